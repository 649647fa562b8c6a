//! CTR-10 and ARCH-08: containers and logs survive the daemon; whatever is killed when, nothing leaks.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use wharf_testkit::{Cli, Host, eventually};

fn state(host: &Host, name: &str) -> Value {
    host.api().get(&format!("/containers/{name}/json")).json()["State"].clone()
}

rows! {
    fn r_ctr_10_running_containers_survive_kill_9(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "printer", "busybox", "sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); done"]).ok();
        host.cli(cli, &["run", "-d", "-i", "--name", "reader", "busybox", "sh", "-c", "while read x; do echo got $x; done"]).ok();
        let before = state(&host, "printer");
        host.crash_and_restart();
        let after = state(&host, "printer");
        assert_eq!((&after["Pid"], &after["StartedAt"], &after["Running"]), (&before["Pid"], &before["StartedAt"], &json!(true)));
        assert_eq!(host.cli(cli, &["exec", "printer", "echo", "exec works"]).ok(), "exec works");
        let mut command = host.command(cli);
        let mut typist = command.args(["attach", "reader"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = typist.stdin.take().unwrap();
        stdin.write_all(b"again\n").unwrap();
        let mut heard = String::new();
        BufReader::new(typist.stdout.take().unwrap()).read_line(&mut heard).unwrap();
        assert_eq!(heard, "got again\n");
        // a client whose input ended would go on to wait for the container
        typist.kill().unwrap();
        typist.wait().unwrap();
        drop(stdin);
        host.cli(cli, &["kill", "printer"]).ok();
        host.cli(cli, &["wait", "printer"]).ok();
        let logs = host.cli(cli, &["logs", "printer"]).stdout;
        for (want, line) in logs.lines().enumerate().take(logs.lines().count() - 1) {
            assert_eq!(line, format!("line {want}"), "no line is missing");
        }
        host.cli(cli, &["rm", "-f", "printer", "reader"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_10_exit_codes_while_the_daemon_is_away(host, cli) {
        host.cli(cli, &["run", "-d", "-i", "--name", "c1", "busybox", "sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done; echo bye; exit 42"]).ok();
        host.cli(cli, &["run", "-d", "--rm", "-i", "--name", "r1", "busybox", "sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done"]).ok();
        let pids: Vec<String> = ["c1", "r1"].iter().map(|n| state(&host, n)["Pid"].to_string()).collect();
        host.take_daemon().kill();
        for pid in &pids {
            host.run("touch", &[&format!("/proc/{pid}/root/go")]).ok();
        }
        eventually("both ended", || pids.iter().all(|p| host.run("test", &["-e", &format!("/proc/{p}")]).code == 1).then_some(()));
        host.start();
        let state = state(&host, "c1");
        assert_eq!((&state["Status"], &state["ExitCode"]), (&json!("exited"), &json!(42)));
        assert!(state["FinishedAt"].as_str().unwrap() > state["StartedAt"].as_str().unwrap());
        assert_eq!(host.cli(cli, &["logs", "c1"]).stdout, "bye\n");
        eventually("--rm is kept", || (host.api().get("/containers/r1/json").status == 404).then_some(()));
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_10_an_attached_client_outlives_the_daemon(host, cli) {
        let mut command = host.command(cli);
        command.args(["run", "-i", "--name", "c1", "busybox", "sh", "-c", "while read x; do echo got $x; done"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"one\n").unwrap();
        eventually("it runs", || host.cli(cli, &["logs", "c1"]).stdout.contains("got one").then_some(()));
        host.take_daemon().kill();
        stdin.write_all(b"two\n").unwrap();
        drop(stdin);
        // the client may tell that the engine went away, but what it printed came through the keeper
        let out = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "got one\ngot two\n");
        host.start();
        eventually("the end was recorded", || (state(&host, "c1")["Status"] == "exited").then_some(()));
    }

    fn r_ctr_10_stop_and_start_of_the_daemon(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sleep", "600"]).ok();
        let pid = state(&host, "c1")["Pid"].clone();
        assert!(host.take_daemon().stop().success());
        assert_eq!(host.run("test", &["-e", &format!("/proc/{pid}")]).code, 0, "the container runs on");
        host.start();
        assert_eq!(state(&host, "c1")["Pid"], pid);
        host.cli(cli, &["stop", "-t", "0", "c1"]).ok();
        host.cli(cli, &["start", "c1"]).ok();
    }
}

/// Kills the daemon at a fail point during one operation, starts it again, removes everything and looks for leaks.
fn crash_at(point: &str, operate: impl FnOnce(&Host)) {
    let mut host = Host::boot();
    host.take_daemon().kill();
    host.start_with(&[], &format!("{point}=kill"));
    operate(&host);
    host.take_daemon().wait_dead();
    host.start();
    for container in host.api().get("/containers/json?all=1").json().as_array().unwrap() {
        let id = container["Id"].as_str().unwrap();
        let answer = host.api().call("DELETE", &format!("/containers/{id}?force=1&v=1"), Value::Null);
        assert_eq!(answer.status, 204, "{point}: {}", answer.message());
    }
    assert_eq!(host.docker(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well", "{point}");
    host.assert_no_leaks();
}

/// create, start, stop, remove, ignoring that the daemon dies on the way.
fn whole_life(host: &Host) {
    let api = host.api();
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "600"], "Volumes": {"/data": {}}}).to_string();
    let _ = api.try_send("POST", "/containers/create?name=c1", Some("application/json"), body.as_bytes());
    for (method, path) in
        [("POST", "/containers/c1/start"), ("POST", "/containers/c1/stop?t=0"), ("DELETE", "/containers/c1?v=1")]
    {
        let _ = api.try_send(method, path, None, &[]);
    }
}

/// The names of the engine's fail points, as its source has them.
fn fail_points() -> Vec<String> {
    fn collect(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.extend(
                    text.split("hit(\"engine.")
                        .skip(1)
                        .filter_map(|s| Some(format!("engine.{}", s.split('"').next()?))),
                );
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src"), &mut found);
    found.sort();
    found.dedup();
    found
}

#[test]
fn r_ctr_10_kill_9_at_every_step() {
    let points = fail_points();
    for operation in ["create", "start", "exit", "remove"] {
        let prefix = format!("engine.{operation}.");
        let of_it: Vec<_> = points.iter().filter(|p| p.starts_with(&prefix)).collect();
        assert!(!of_it.is_empty(), "{operation} has fail points: {points:?}");
        for point in of_it {
            crash_at(point, whole_life);
        }
    }
}

#[test]
fn r_ctr_10_a_failing_step_is_undone() {
    for point in fail_points().iter().filter(|p| p.starts_with("engine.create.") || p.starts_with("engine.start.")) {
        let mut host = Host::boot();
        host.take_daemon().kill();
        host.start_with(&[], &format!("{point}=error"));
        assert_ne!(host.docker(&["run", "--rm", "--name", "c1", "-v", "/data", "busybox", "true"]).code, 0, "{point}");
        host.api().call("DELETE", "/containers/c1?force=1", Value::Null);
        host.assert_no_leaks();
    }
}

#[test]
fn r_ctr_10_the_keeper_dies_and_nothing_leaks() {
    let host = Host::boot();
    host.docker(&["run", "-d", "--name", "c1", "busybox", "sleep", "600"]).ok();
    let pid = state(&host, "c1")["Pid"].to_string();
    let keeper = host.run("ps", &["-o", "ppid=", "-p", &pid]).ok();
    host.run("kill", &["-9", keeper.trim()]).ok();
    eventually("the daemon noticed", || (state(&host, "c1")["Running"] == false).then_some(()));
    host.cli(Cli::Docker, &["rm", "-f", "c1"]).ok();
    host.assert_no_leaks();
}
