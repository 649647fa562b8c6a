//! CTR-10: what is answered is on the disk, and what was written outlives every process.

use serde_json::{Value, json};
use std::process::Stdio;
use wharf_testkit::Host;

fn state(host: &Host, name: &str) -> Value {
    host.api().get(&format!("/containers/{name}/json")).json()["State"].clone()
}

rows! {
    fn r_ctr_10_what_is_answered_is_on_the_disk(host, cli) {
        // the host's network: what a start of the daemon finds to tidy up after it has no rows
        let script = "while [ ! -e /go ]; do sleep 0.02; done; exit 42";
        host.cli(cli, &["run", "-d", "-i", "--net", "host", "--name", "c1", "busybox", "sh", "-c", script]).ok();
        let pid = state(&host, "c1")["Pid"].to_string();
        // every attempt to bring something to the disk ends the daemon before it: nothing that needs it may be answered
        host.take_daemon().kill();
        host.start_with(&[], "state.sync=kill");
        let mut waiting = host.command(cli).args(["wait", "c1"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        host.run("touch", &[&format!("/proc/{pid}/root/go")]).ok();
        let mut heard = String::new();
        std::io::Read::read_to_string(waiting.stdout.as_mut().unwrap(), &mut heard).unwrap();
        assert_eq!((heard.as_str(), waiting.wait().unwrap().success()), ("", false), "an exit code was told too early");
        host.take_daemon().wait_dead();
        host.start_with(&[], "state.sync=kill");
        let created = host.cli(cli, &["create", "--name", "c2", "busybox"]);
        assert_eq!((created.stdout.as_str(), created.code == 0), ("", false), "a create was answered too early");
        host.take_daemon().wait_dead();
        host.start();
        assert_eq!((&state(&host, "c1")["Status"], &state(&host, "c1")["ExitCode"]), (&json!("exited"), &json!(42)));
        // a process was killed, not the machine: what was written is there
        assert_eq!(state(&host, "c2")["Status"], "created");
        host.cli(cli, &["rm", "c1", "c2"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_10_a_removed_container_stays_removed_when_the_daemon_is_killed(host, cli) {
        host.cli(cli, &["create", "--name", "c1", "busybox"]).ok();
        host.take_daemon().kill();
        host.start_with(&[], "state.sync=kill");
        host.cli(cli, &["rm", "c1"]).ok();
        host.take_daemon().wait_dead();
        host.start();
        assert_eq!(host.api().get("/containers/c1/json").status, 404);
        host.assert_no_leaks();
    }
}
