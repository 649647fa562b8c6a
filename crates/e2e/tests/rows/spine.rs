//! What the first story promises in so many words: raw answers of the API, steps at which a keeper dies, names of processes.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use wharf_testkit::{Host, eventually};

/// The head of an answer, and the stream behind it.
fn raw(host: &Host, request: &str) -> (String, BufReader<std::os::unix::net::UnixStream>) {
    let mut stream = host.api().connect().expect("the daemon's socket");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
    }
    (head, reader)
}

#[test]
fn r_ctr_06_hijacked_streams_answer_200_and_101() {
    let host = Host::boot();
    host.docker(&["run", "-d", "-i", "--name", "c1", "busybox", "cat"]).ok();
    let exec = json!({"AttachStdout": true, "Cmd": ["echo", "from exec"]});
    for upgrade in [false, true] {
        let headers = if upgrade { "Connection: Upgrade\r\nUpgrade: tcp\r\n" } else { "" };
        let status = if upgrade { "HTTP/1.1 101 UPGRADED\r\n" } else { "HTTP/1.1 200 OK\r\n" };
        let attach = "/v1.51/containers/c1/attach?stream=1&stdin=1&stdout=1";
        let (head, mut stream) = raw(&host, &format!("POST {attach} HTTP/1.1\r\nHost: d\r\n{headers}\r\n"));
        assert!(head.starts_with(status), "{head}");
        assert!(head.contains("Content-Type: application/vnd.docker.raw-stream\r\n") || upgrade, "{head}");
        stream.get_mut().write_all(b"to and fro\n").unwrap();
        let mut frame = [0; 8 + 11];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame, *b"\x01\0\0\0\0\0\0\x0bto and fro\n");
        let id = host.api().call("POST", "/containers/c1/exec", exec.clone()).json()["Id"].as_str().unwrap().to_owned();
        let body = "{\"Detach\":false}";
        let length = body.len();
        let (head, mut stream) = raw(
            &host,
            &format!(
                "POST /v1.51/exec/{id}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            ),
        );
        assert!(head.starts_with(status), "{head}");
        let mut out = Vec::new();
        stream.read_to_end(&mut out).unwrap();
        assert_eq!(out, b"\x01\0\0\0\0\0\0\x0afrom exec\n");
    }
    host.docker(&["rm", "-f", "c1"]).ok();
}

#[test]
fn r_ctr_02_wait_with_every_condition() {
    let host = Host::boot();
    let api = host.api();
    let wait = |name: &str, condition: &str| format!("/containers/{name}/wait?condition={condition}");
    host.docker(&["create", "--name", "c1", "busybox", "sh", "-c", "exit 3"]).ok();
    // it does not run: that is enough for this condition, and for the default
    for condition in ["not-running", ""] {
        assert_eq!(api.call("POST", &wait("c1", condition), Value::Null).json()["StatusCode"], 0);
    }
    let refused = api.call("POST", &wait("c1", "never"), Value::Null);
    assert_eq!((refused.status, refused.message().as_str()), (400, "invalid condition: \"never\""));
    for (condition, then) in [("next-exit", &["start", "c1"][..]), ("removed", &["rm", "c1"])] {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| api.call("POST", &wait("c1", condition), Value::Null));
            // the head of the answer is sent at once, so the condition holds from then on
            eventually("it waits or has ended", || {
                let _ = host.docker(then);
                waiting.is_finished().then_some(())
            });
            assert_eq!(waiting.join().unwrap().json()["StatusCode"], 3, "{condition}");
        });
    }
    assert_eq!(api.call("POST", &wait("c1", "removed"), Value::Null).status, 404);
}

#[test]
fn r_arch_08_what_nobody_knows_is_ignored_or_not_found() {
    let host = Host::boot();
    let api = host.api();
    let body = json!({"Image": "busybox", "Cmd": ["true"], "Nonsense": {"a": [1]}, "HostConfig": {"More": true}});
    let made = api.call("POST", "/containers/create?name=c1&strange=1", body);
    assert_eq!(made.status, 201, "as Go's JSON does: {}", made.message());
    for (method, path) in [("GET", "/nonsense"), ("GET", "/containers/c1/nonsense"), ("PATCH", "/containers/c1/json")] {
        let answer = api.call(method, path, Value::Null);
        assert_eq!((answer.status, answer.message().as_str()), (404, "page not found"), "{method} {path}");
    }
    assert_eq!(api.call("DELETE", "/containers/c1", Value::Null).status, 204);
    host.assert_no_leaks();
}

/// Fail points of a crate's source that begin so.
fn fail_points(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(fail_points(&path, prefix));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let points = text.split("(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(points.filter(|point| point.starts_with(prefix)).map(str::to_owned));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn r_ctr_10_a_keeper_killed_at_every_step_leaves_nothing() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut points = fail_points(&crates.join("shim/src"), "shim.");
    points.extend(fail_points(&crates.join("runtime/src"), "runtime."));
    assert!(points.len() > 8, "{points:?}");
    for point in points {
        let mut host = Host::boot();
        host.take_daemon().kill();
        host.start_with(&[], &format!("{point}=kill"));
        let api = host.api();
        // on each of these somebody dies: the template, the keeper or the process that was to become the container's
        let body = json!({"Image": "busybox", "Cmd": ["sleep", "600"]});
        assert_eq!(api.call("POST", "/containers/create?name=c1", body).status, 201, "{point}");
        let started = api.call("POST", "/containers/c1/start", Value::Null).status;
        let stopped = api.call("POST", "/containers/c1/stop?t=0", Value::Null).status;
        assert!(matches!((started, stopped), (204, 204 | 304) | (500, 304)), "{point}: {started}, {stopped}");
        eventually("it does not run", || {
            (api.get("/containers/c1/json").json()["State"]["Running"] == false).then_some(())
        });
        assert_eq!(api.call("DELETE", "/containers/c1?force=1", Value::Null).status, 204, "{point}");
        host.take_daemon().kill();
        host.start();
        assert_eq!(host.docker(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well", "{point}");
        host.assert_no_leaks();
    }
}

#[test]
fn r_arch_09_every_process_of_ours_says_so() {
    let host = Host::boot();
    host.docker(&["network", "create", "n1"]).ok();
    host.docker(&["run", "-d", "--name", "c1", "--network", "n1", "busybox", "sleep", "600"]).ok();
    let script = "for p in /proc/[0-9]*; do case $(readlink $p/exe) in *wharf*) cat $p/comm ;; esac; done";
    let names = host.run("sh", &["-c", script]).ok();
    let names: Vec<_> = names.lines().collect();
    // the daemon, the template and a keeper, the one that answers names
    assert!(names.len() >= 4 && names.iter().all(|name| name.starts_with("wharf")), "{names:?}");
    host.docker(&["rm", "-f", "c1"]).ok();
}

rows! {
    fn r_arch_07_inspect_gives_the_state_as_json(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "exit 7"]).fails(7);
        let text = host.cli(cli, &["inspect", "-f", "{{json .State}}", "c1"]).ok();
        let state: Value = serde_json::from_str(&text).expect("one document");
        let keys: Vec<_> = state.as_object().unwrap().keys().map(String::as_str).collect();
        let of_docker = [
            "Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode", "Error", "StartedAt", "FinishedAt",
        ];
        assert!(of_docker.iter().all(|key| keys.contains(key)) && keys.len() == of_docker.len(), "{text}");
        assert_eq!((&state["Status"], &state["ExitCode"], &state["Pid"]), (&json!("exited"), &json!(7), &json!(0)));
    }

    fn r_ctr_04_stop_waits_ten_seconds_by_itself(host, cli) {
        // 15 is what it does not listen to
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]).ok();
        let begun = Instant::now();
        host.cli(cli, &["stop", "c1"]).ok();
        assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.State.ExitCode}}", "c1"]).ok(), "137");
    }

    fn r_iso_07_devices_and_limits_of_processes(host, cli) {
        // the one that makes loop devices: nobody has it by default
        let port = host.dir().join("port").display().to_string();
        host.run("mknod", &[&port, "c", "10", "237"]).ok();
        let device = ["--device", &format!("{port}:/dev/door:r")];
        let script = "head -c 0 /dev/door && echo open; true 2>/dev/null > /dev/door || echo refused; ls -l /dev/door | cut -c1";
        let args = [&["run", "--rm"], &device[..], &["busybox", "sh", "-c", script]].concat();
        assert_eq!(host.cli(cli, &args).ok(), "open\nrefused\nc");
        let said = host.cli(cli, &["run", "--rm", "--device", "/dev/none", "busybox", "true"]).fails(127);
        assert!(said.contains("error gathering device information while adding custom device \"/dev/none\""), "{said}");
        // a node that it makes itself is of no use, unless a rule says so
        let make = "mknod /tmp/port c 10 237 && head -c 0 /tmp/port 2>&1 | grep -c 'not permitted'";
        assert_eq!(host.cli(cli, &["run", "--rm", "busybox", "sh", "-c", make]).stdout, "1\n");
        let rule = ["run", "--rm", "--device-cgroup-rule", "c 10:237 r", "busybox", "sh", "-c", make];
        assert_eq!(host.cli(cli, &rule).stdout, "0\n");
        let limits = ["run", "--rm", "--ulimit", "nofile=100:200", "--ulimit", "core=0", "busybox", "sh", "-c"];
        let shown = host.cli(cli, &[&limits[..], &["ulimit -Sn; ulimit -Hn; ulimit -c"]].concat()).ok();
        assert_eq!(shown, "100\n200\n0");
    }

    fn r_iso_08_a_profile_in_the_oci_form(host, cli) {
        let profile = host.dir().join("oci.json");
        let document = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
                {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            ],
        });
        std::fs::write(&profile, document.to_string()).unwrap();
        let option = format!("seccomp={}", profile.display());
        let out = host.cli(cli, &["run", "--rm", "--security-opt", &option, "busybox", "mkdir", "/x"]);
        assert!(out.code == 1 && out.stderr.contains("not supported"), "{}", out.stderr);
        host.cli(cli, &["run", "--rm", "--security-opt", &option, "busybox", "touch", "/x"]).ok();
    }
}
