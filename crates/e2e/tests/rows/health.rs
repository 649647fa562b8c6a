//! CTR-09: HEALTHCHECK and `--health-*`.

use serde_json::{Value, json};
use wharf_testkit::{Cli, Host, eventually};

fn health(host: &Host, name: &str) -> Value {
    host.api().get(&format!("/containers/{name}/json")).json()["State"]["Health"].clone()
}

fn until(host: &Host, name: &str, status: &str) -> Value {
    eventually("the health is as expected", || Some(health(host, name)).filter(|h| h["Status"] == status))
}

fn listed(host: &Host, cli: Cli, filter: &str) -> String {
    host.cli(cli, &["ps", "-a", "--filter", filter, "--format", "{{.Names}} {{.Status}}"]).ok()
}

rows! {
    fn r_ctr_09_from_starting_to_unhealthy_to_healthy(host, cli) {
        let check = "echo out; echo err >&2; test -e /ok";
        let args = ["run", "-d", "--name", "c1", "--health-cmd", check, "--health-interval", "50ms", "--health-retries", "2"];
        let mut all = args.to_vec();
        all.extend(["busybox", "sh", "-c", "sleep 600"]);
        host.cli(cli, &all).ok();
        let sick = until(&host, "c1", "unhealthy");
        assert!(sick["FailingStreak"].as_u64() >= Some(2), "{sick}");
        assert_eq!(sick["Log"][0]["ExitCode"], 1);
        let said = sick["Log"][0]["Output"].as_str().unwrap();
        assert!(matches!(said, "out\nerr\n" | "err\nout\n"), "{said:?}");
        assert!(sick["Log"][0]["End"].as_str() >= sick["Log"][0]["Start"].as_str());
        assert!(listed(&host, cli, "health=unhealthy").ends_with("(unhealthy)"));
        host.cli(cli, &["exec", "c1", "touch", "/ok"]).ok();
        let well = until(&host, "c1", "healthy");
        assert_eq!((&well["FailingStreak"], well["Log"].as_array().unwrap().last().unwrap()["ExitCode"].as_i64()), (&json!(0), Some(0)));
        assert!(listed(&host, cli, "health=healthy").ends_with("(healthy)"));
        assert_eq!(listed(&host, cli, "health=none"), "");
        eventually("five probes are remembered, no more", || (health(&host, "c1")["Log"].as_array().unwrap().len() == 5).then_some(()));
        let told = crate::events(&host, cli, &["event=health_status"], "{{.Action}} {{index .Actor.Attributes \"name\"}}");
        assert_eq!(told, "health_status: unhealthy c1\nhealth_status: healthy c1");
        let told = crate::events(&host, cli, &["event=exec_create"], "{{.Action}}");
        assert!(told.starts_with("exec_create: /bin/sh -c echo out"), "{told}");
        let bad = host.cli(cli, &["ps", "--filter", "health=odd"]).fails(1);
        assert!(bad.ends_with("invalid filter 'health=odd': invalid value for health (odd): must be one of none, starting, healthy, unhealthy"), "{bad}");
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_09_pause_and_stop_end_the_probes(host, cli) {
        let args = ["run", "-d", "--name", "c1", "--health-cmd", "true", "--health-interval", "50ms", "busybox", "sleep", "600"];
        host.cli(cli, &args).ok();
        until(&host, "c1", "healthy");
        host.cli(cli, &["pause", "c1"]).ok();
        assert_eq!(health(&host, "c1")["Status"], "unhealthy", "nobody looks");
        assert!(listed(&host, cli, "name=c1").ends_with("(Paused)"));
        host.cli(cli, &["unpause", "c1"]).ok();
        until(&host, "c1", "healthy");
        host.cli(cli, &["stop", "-t", "0", "c1"]).ok();
        let ended = health(&host, "c1");
        assert_eq!(ended["Status"], "unhealthy");
        host.cli(cli, &["start", "c1"]).ok();
        until(&host, "c1", "healthy");
        host.crash_and_restart();
        let count = |h: &Value| h["Log"].as_array().and_then(|l| l.last()).map(|l| l["Start"].to_string());
        let before = health(&host, "c1");
        assert_eq!(before["Status"], "healthy", "what was known is still known");
        eventually("a new daemon goes on probing", || (count(&health(&host, "c1")) > count(&before)).then_some(()));
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_09_a_probe_that_takes_too_long_is_killed(host, cli) {
        let check = "yes | head -c 6000; sleep 601";
        let args = ["run", "-d", "--name", "c1", "--health-cmd", check, "--health-interval", "10ms", "--health-timeout", "700ms", "--health-retries", "1", "busybox", "sleep", "600"];
        host.cli(cli, &args).ok();
        let sick = until(&host, "c1", "unhealthy");
        let probe = &sick["Log"][0];
        assert_eq!(probe["ExitCode"], -1);
        let said = probe["Output"].as_str().unwrap();
        assert!(said.starts_with("Health check exceeded timeout (700ms): y\ny\n") && said.ends_with("..."), "{said}");
        assert!(said.len() < 4096 + 100);
        host.cli(cli, &["pause", "c1"]).ok();
        host.cli(cli, &["unpause", "c1"]).ok();
        host.cli(cli, &["stop", "-t", "0", "c1"]).ok();
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_09_the_start_period_forgives(host, cli) {
        let args = ["run", "-d", "--name", "c1", "--health-cmd", "exit 7", "--health-start-period", "600s", "--health-start-interval", "20ms", "--health-interval", "600s", "--health-retries", "1", "busybox", "sleep", "600"];
        host.cli(cli, &args).ok();
        eventually("it was probed at the start interval", || (health(&host, "c1")["Log"].as_array().unwrap().len() >= 3).then_some(()));
        let early = health(&host, "c1");
        assert_eq!((&early["Status"], &early["FailingStreak"], &early["Log"][0]["ExitCode"]), (&json!("starting"), &json!(0), &json!(7)));
        assert!(listed(&host, cli, "health=starting").ends_with("(health: starting)"));
    }

    fn r_ctr_09_declarations_and_the_images(host, cli) {
        let image = "HEALTHCHECK --interval=50ms --retries=1 CMD false";
        host.cli(cli, &["run", "--name", "base", "busybox", "true"]).ok();
        host.cli(cli, &["commit", "-c", image, "base", "checked"]).ok();
        host.cli(cli, &["run", "-d", "--name", "own", "checked", "sleep", "600"]).ok();
        until(&host, "own", "unhealthy");
        host.cli(cli, &["run", "-d", "--name", "other", "--health-cmd", "true", "checked", "sleep", "600"]).ok();
        until(&host, "other", "healthy");
        host.cli(cli, &["run", "-d", "--name", "none", "--no-healthcheck", "checked", "sleep", "600"]).ok();
        assert_eq!(health(&host, "none"), Value::Null);
        assert!(listed(&host, cli, "health=none").contains("none Up"));
        host.cli(cli, &["run", "-d", "--name", "missing", "--health-cmd", "x", "busybox", "sleep", "600"]).ok();
        assert_eq!(health(&host, "missing")["Status"], "starting");
        let bad = host.cli(cli, &["create", "--health-interval", "10us", "busybox"]).fails(1);
        assert!(bad.contains("Interval in Healthcheck cannot be less than 1ms"), "{bad}");
        let bad = host.cli(cli, &["create", "--health-retries", "-1", "busybox"]);
        assert!(bad.stderr.contains("--health-retries cannot be negative"), "{}", bad.stderr);
        let bad = host.cli(cli, &["create", "--no-healthcheck", "--health-cmd", "x", "busybox"]);
        assert!(bad.stderr.contains("--no-healthcheck conflicts with --health-* options"), "{}", bad.stderr);
        let body = json!({"Image": "busybox", "Cmd": ["sleep", "600"], "Healthcheck": {"Test": ["CMD", "no-such-program"], "Interval": 20_000_000}});
        assert_eq!(host.api().call("POST", "/containers/create?name=prog", body).status, 201);
        host.cli(cli, &["start", "prog"]).ok();
        let probe = eventually("it was probed", || Some(health(&host, "prog")["Log"][0].clone()).filter(|p| !p.is_null()));
        assert_eq!(probe["ExitCode"], -1);
        assert!(probe["Output"].as_str().unwrap().contains("executable file not found in $PATH"), "{probe}");
    }
}
