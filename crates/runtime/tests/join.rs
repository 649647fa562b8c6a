//! Terminals, held starts, exec, hooks, namespaces of other containers, and what a launch leaves behind (root needed).

mod world;

use serde_json::json;
use std::os::fd::AsFd;
use wharf_runtime::{ExecFds, ExecTarget, LaunchFds, Start, Stdio, exec, launch, plan_exec};
use world::{Outcome, World, describe, finish, ok, output, pipes, read_all, with_launcher};

#[test]
fn a_terminal() {
    let world = World::new();
    let mut document = world.document("tty; stat -c %t:%T /dev/console; ls -1 /dev/pts; busybox stty size");
    document["process"]["terminal"] = json!(true);
    document["process"]["consoleSize"] = json!({"width": 91, "height": 17});
    let plan = world.plan(&document);
    let outcome = with_launcher(|| {
        let mut init =
            launch(&plan, LaunchFds { stdio: Stdio::Console, ..LaunchFds::default() }).map_err(|e| describe(&e))?;
        let output = read_all(init.console.take().expect("a master"));
        Ok(Outcome { status: wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status(), output })
    });
    assert_eq!(ok(outcome), "/dev/pts/0\r\n88:0\r\n0\r\nptmx\r\n17 91\r\n");
}

#[test]
fn held_until_told_to_proceed() {
    let world = World::new();
    let plan = world.plan(&world.document("echo ran"));
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds { start: Start::Held, ..LaunchFds::default() };
        let reader = output(&mut fds);
        let mut init = launch(&plan, fds).map_err(|e| describe(&e))?;
        assert_eq!(wharf_sys::pidfd::try_wait(&init.pidfd), Ok(None));
        init.proceed().map_err(|e| describe(&e))?;
        let output = read_all(reader);
        Ok(Outcome { status: wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status(), output })
    });
    assert_eq!(ok(outcome), "ran\n");
}

#[test]
fn held_at_a_gate_that_others_open() {
    let world = World::new();
    let plan = world.plan(&world.document("echo ran"));
    let fifo = world.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .expect("fifo");
    let outcome = with_launcher(|| {
        let open = |write: bool| std::fs::OpenOptions::new().read(!write).write(true).open(&fifo).expect("fifo");
        let mut fds = LaunchFds { start: Start::Gate(open(false).into()), ..LaunchFds::default() };
        let reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        rustix::io::write(open(true), b"0").expect("write");
        let output = read_all(reader);
        Ok(Outcome { status: wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status(), output })
    });
    assert_eq!(ok(outcome), "ran\n");
}

#[test]
fn exec_joins_everything() {
    let world = World::new();
    let mut document = world.document("exec sleep 1000");
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "cgroup"}));
    let plan = world.plan(&document);
    let spec = serde_json::from_value(document.clone()).expect("document");
    let mut process = document["process"].clone();
    process["args"] = json!([
        "sh",
        "-c",
        "for n in mnt uts ipc pid net cgroup; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo same; done; hostname; pwd; id -u; ls /proc/self/fd | wc -l"
    ]);
    process["cwd"] = json!("/tmp");
    process["user"] = json!({"uid": 1000, "gid": 1000});
    // looking at PID 1's namespaces as another user
    let caps = json!(["CAP_SYS_PTRACE"]);
    process["capabilities"] =
        json!({"bounding": caps, "effective": caps, "permitted": caps, "inheritable": caps, "ambient": caps});
    let process = serde_json::from_value(process).expect("process");
    let exec_plan = plan_exec(&spec, &process, &world.options()).expect("plan");
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds::default();
        let _reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        let (reader, stdio) = pipes();
        let target = ExecTarget { pidfd: init.pidfd.as_fd(), pid: init.pid };
        let joined = exec(&exec_plan, target, ExecFds { stdio, ..ExecFds::default() }).map_err(|e| describe(&e))?;
        let output = read_all(reader);
        let status = wharf_sys::pidfd::wait(&joined.pidfd).expect("our child").status();
        let mut wrong = exec_plan.clone();
        wrong.process.argv = vec![c"nosuch".into()];
        let error = exec(&wrong, target, ExecFds::default()).expect_err("no program");
        finish(&init);
        let gone = exec(&exec_plan, target, ExecFds::default()).expect_err("ended");
        Ok(Outcome { status, output: format!("{output}{}\n{}", describe(&error), gone.errno) })
    });
    let text = ok(outcome);
    assert_eq!(
        text,
        format!(
            "{}testhost\n/tmp\n1000\n4\n127|exec: \"nosuch\": executable file not found in $PATH\n3",
            "same\n".repeat(6)
        )
    );
}

#[test]
fn exec_with_a_terminal_and_into_a_user_namespace() {
    let world = World::new();
    std::fs::set_permissions(world.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let mut document = world.document("exec sleep 1000");
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    let plan = world.plan(&document);
    let spec = serde_json::from_value(document.clone()).expect("document");
    let mut process = document["process"].clone();
    process["args"] = json!(["sh", "-c", "tty; id -u; cat /proc/self/uid_map"]);
    process["terminal"] = json!(true);
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    let process = serde_json::from_value(process).expect("process");
    let exec_plan = plan_exec(&spec, &process, &world.options()).expect("plan");
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds::default();
        let _reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        let target = ExecTarget { pidfd: init.pidfd.as_fd(), pid: init.pid };
        let fds = ExecFds { stdio: Stdio::Console, ..ExecFds::default() };
        let mut joined = exec(&exec_plan, target, fds).map_err(|e| describe(&e))?;
        let output = read_all(joined.console.take().expect("a master"));
        let status = wharf_sys::pidfd::wait(&joined.pidfd).expect("our child").status();
        finish(&init);
        Ok(Outcome { status, output })
    });
    let text = ok(outcome);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["/dev/pts/0", "0", "0", "100000", "65536"]);
}

#[test]
fn r_iso_01_namespaces_of_another_container() {
    let world = World::new();
    let mut first = world.document("exec sleep 1000");
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    first["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    first["linux"]["uidMappings"] = map.clone();
    first["linux"]["gidMappings"] = map;
    let plain = world.plan(&world.document("exec sleep 1000"));
    let mapped = world.plan(&first);
    for (plan, with_user) in [(plain, false), (mapped, true)] {
        let outcome = with_launcher(|| {
            let mut fds = LaunchFds::default();
            let _reader = output(&mut fds);
            let init = launch(&plan, fds).map_err(|e| describe(&e))?;
            let ns = |kind: &str| format!("/proc/{}/ns/{kind}", init.pid.as_raw_nonzero());
            let mut second =
                world.document("echo $$; hostname; for n in net ipc uts; do readlink /proc/self/ns/$n; done");
            second["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "pid", "path": ns("pid")}, {"type": "network", "path": ns("net")},
                {"type": "ipc", "path": ns("ipc")}, {"type": "uts", "path": ns("uts")}]);
            second.as_object_mut().expect("object").remove("hostname");
            if with_user {
                second["linux"]["namespaces"]
                    .as_array_mut()
                    .expect("list")
                    .push(json!({"type": "user", "path": ns("user")}));
            }
            let spec = serde_json::from_value(second).expect("document");
            let second = wharf_runtime::plan(&spec, &world.options()).expect("plan");
            let mut fds = LaunchFds::default();
            let reader = output(&mut fds);
            let joined = launch(&second, fds).map_err(|e| describe(&e))?;
            let output = read_all(reader);
            let status = wharf_sys::pidfd::wait(&joined.pidfd).expect("our child").status();
            let expect: String = ["net", "ipc", "uts"]
                .iter()
                .map(|kind| std::fs::read_link(ns(kind)).expect("link").display().to_string() + "\n")
                .collect();
            let pid_is_ours = std::fs::read_link("/proc/self/ns/pid_for_children").expect("link")
                == std::fs::read_link("/proc/self/ns/pid").expect("link");
            finish(&init);
            assert!(pid_is_ours, "the launcher's own children stay in its namespace");
            Ok(Outcome {
                status,
                output: if output == format!("2\ntesthost\n{expect}") { "as expected".into() } else { output },
            })
        });
        assert_eq!(ok(outcome), "as expected");
    }
}

#[test]
fn hooks_run_at_their_moments() {
    let world = World::new();
    let log = world.path().join("log");
    let inside = world.rootfs().join("log");
    std::fs::write(&inside, "").expect("file");
    let hook = |name: &str, file: &std::path::Path| json!([{"path": "/bin/busybox", "args": ["sh", "-c", format!("read s; echo {name} $(readlink /proc/self/ns/net) $s >> {}", file.display())], "env": ["PATH=/bin:/usr/bin"]}]);
    let mut document = world.document("cat /log; readlink /proc/self/ns/net");
    document["hooks"] = json!({
        "prestart": hook("prestart", &log), "createRuntime": hook("createRuntime", &log), "createContainer": hook("createContainer", &log),
        "startContainer": hook("startContainer", std::path::Path::new("/log")), "poststart": hook("poststart", &log),
    });
    document["annotations"] = json!({"a": "b"});
    let outcome = ok(world.run(&document));
    let text = std::fs::read_to_string(&log).expect("log") + &outcome;
    let own = std::fs::read_link("/proc/self/ns/net").expect("link").display().to_string();
    let theirs = outcome.lines().last().expect("its namespace");
    let lines: Vec<&str> = text.lines().collect();
    for (line, (name, ns, status)) in lines.iter().zip([
        ("prestart", own.as_str(), "creating"),
        ("createRuntime", &own, "creating"),
        ("createContainer", theirs, "creating"),
        ("poststart", &own, "running"),
        ("startContainer", theirs, "created"),
    ]) {
        assert!(line.starts_with(&format!("{name} {ns} ")), "{line}");
        assert!(line.contains(&format!("\"status\":\"{status}\",\"pid\":")), "{line}");
        assert!(line.contains("\"id\":\"test\"") && line.contains("\"annotations\":{\"a\":\"b\"}"), "{line}");
    }
}

#[test]
fn a_failing_hook_ends_the_launch() {
    let world = World::new();
    let check = |moment: &str, expect: &str| {
        let mut document = world.document("true");
        document["hooks"] = json!({moment: [{"path": "/bin/busybox", "args": ["sh", "-c", "echo no; exit 5"]}]});
        assert_eq!(world.run(&document).expect_err("a failing hook"), expect);
    };
    check("createRuntime", "125|error running createRuntime hook #0: exit status 5, output: no");
    check("createContainer", "125|run createContainer hook #0: operation canceled");
}

#[test]
fn a_launch_leaves_neither_descriptors_nor_children_behind() {
    let world = World::new();
    let mut document = world.document("true");
    document["process"]["terminal"] = json!(true);
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/m", "type": "bind", "source": world.rootfs(),
        "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map}));
    let right = world.plan(&document);
    let mut wrong_at_the_end = right.clone();
    wrong_at_the_end.process.argv = vec![c"nosuch".into()];
    let mut wrong_at_the_start = right.clone();
    wrong_at_the_start.root = Some(wharf_runtime::Root::Dir(c"/no/such/root".into()));
    let mut wrong_amid = right.clone();
    wrong_amid.mounts[1].target = c"/etc/passwd/x".into();
    let outcome = with_launcher(|| {
        let open = || std::fs::read_dir("/proc/self/fd").expect("fds").count();
        let before = open();
        for plan in [&wrong_at_the_start, &wrong_amid, &wrong_at_the_end] {
            launch(plan, LaunchFds { stdio: Stdio::Console, ..LaunchFds::default() }).map(drop).expect_err("wrong");
            assert_eq!(open(), before);
            let children = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
            assert_eq!(children.map(drop), Err(rustix::io::Errno::CHILD));
        }
        let init =
            launch(&right, LaunchFds { stdio: Stdio::Console, ..LaunchFds::default() }).map_err(|e| describe(&e))?;
        let mounts = usize::from(init.mounts.is_some());
        assert_eq!(
            open(),
            before + 2 + mounts,
            "the pidfd, the master and, where the kernel has it, the mount namespace"
        );
        wharf_sys::pidfd::wait(&init.pidfd).expect("our child");
        Ok(Outcome { status: 0, output: String::new() })
    });
    ok(outcome);
}
