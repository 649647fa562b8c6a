//! Rows OPS-06 and CTR: a container from `create` to `delete`.

mod world;

use std::os::unix::fs::FileTypeExt;

use serde_json::json;
use world::{READY, World, await_end};

#[test]
fn r_ops_06_create_start_state_kill_delete() {
    let world = World::new(READY);
    world.change(|spec| spec["annotations"] = json!({"org.example.key": "value"}));
    let mut lines = world.create_with(&["--pid-file", "pid"]);
    let state = world.state();
    let pid = state["pid"].as_i64().expect("a number");
    assert_eq!(std::fs::read_to_string(world.path().join("pid")).expect("a pid file"), pid.to_string());
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], "c");
    assert_eq!(state["bundle"], world.bundle().to_str().expect("a plain path"));
    assert_eq!(state["annotations"]["org.example.key"], "value");
    assert!(std::fs::metadata(world.states().join("c/start.fifo")).expect("a fifo").file_type().is_fifo());

    world.oci(&["start", "c"]).ok();
    assert_eq!(lines.next(), "ready");
    assert_eq!(world.state()["pid"], pid);
    assert_eq!(world.status(), "running");
    world.oci(&["kill", "c", "SIGTERM"]).ok();
    await_end(pid as i32);
    assert_eq!(world.status(), "stopped");
    assert_eq!(world.state()["pid"], 0);
    world.oci(&["kill", "c", "TERM"]).fails_with("container not running");
    world.oci(&["delete", "c"]).ok();
    world.oci(&["state", "c"]).fails_with("container does not exist");
    world.assert_clean();
}

#[test]
fn r_ops_06_run_gives_the_exit_code() {
    for (args, code) in
        [(vec!["true"], 0), (vec!["sh", "-c", "exit 7"], 7), (vec!["sh", "-c", "kill -9 $$; sleep 1"], 0)]
    {
        let world = World::new(&args);
        let said = world.oci(&["run", "c"]);
        // PID 1 of a namespace cannot kill itself
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        world.assert_clean();
    }
}

#[test]
fn r_ops_06_run_passes_signals_on() {
    let world = World::new(READY);
    let mut child = world.command(&["run", "c"]).stdout(std::process::Stdio::piped()).spawn().expect("wharf-oci runs");
    let mut lines = world::Lines::new(&mut child);
    assert_eq!(lines.next(), "ready");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("our child");
    assert_eq!(child.wait().expect("a child").code(), Some(3));
}

#[test]
fn r_ops_06_a_detached_run_outlives_its_command() {
    let world = World::new(READY);
    let mut child =
        world.command(&["run", "--detach", "c"]).stdout(std::process::Stdio::piped()).spawn().expect("wharf-oci runs");
    assert!(child.wait().expect("a child").success());
    assert_eq!(world::Lines::new(&mut child).next(), "ready");
    assert_eq!(world.status(), "running");
    world.oci(&["delete", "c"]).fails_with("cannot delete container c that is not stopped: running");
    world.oci(&["delete", "--force", "c"]).ok();
    world.oci(&["delete", "--force", "c"]).ok();
    world.oci(&["delete", "c"]).fails_with("container does not exist");
}

#[test]
fn r_ops_06_keep_keeps_the_state() {
    let world = World::new(&["true"]);
    world.oci(&["run", "--keep", "c"]).ok();
    assert_eq!(world.status(), "stopped");
    world.oci(&["delete", "c"]).ok();
}

#[test]
fn r_ops_06_a_created_container_can_be_deleted() {
    let world = World::new(&["true"]);
    let lines = world.create();
    world.oci(&["delete", "c"]).ok();
    assert_eq!(lines.rest(), "");
    world.assert_clean();
}

#[test]
fn r_ops_06_a_second_start_is_refused() {
    let world = World::new(READY);
    let _lines = world.running();
    world.oci(&["start", "c"]).fails_with("cannot start an already running container");
    let pid = world.state()["pid"].as_i64().expect("a number");
    world.oci(&["kill", "c", "9"]).ok();
    await_end(pid as i32);
    world.oci(&["start", "c"]).fails_with("cannot start a container that has stopped");
}

#[test]
fn r_ops_06_pause_and_resume() {
    let world = World::new(READY);
    let _lines = world.running();
    world.oci(&["resume", "c"]).fails_with("container not paused");
    world.oci(&["pause", "c"]).ok();
    assert_eq!(world.status(), "paused");
    world.oci(&["pause", "c"]).fails_with("container already paused");
    world.oci(&["exec", "c", "true"]).fails_with("cannot exec in a paused container");
    world.oci(&["resume", "c"]).ok();
    assert_eq!(world.status(), "running");
    // SIGKILL ends a frozen container too
    world.oci(&["pause", "c"]).ok();
    let pid = world.state()["pid"].as_i64().expect("a number");
    world.oci(&["kill", "c", "KILL"]).ok();
    await_end(pid as i32);
    assert_eq!(world.status(), "stopped");
}

#[test]
fn r_ops_06_delete_force_ends_a_paused_container() {
    let world = World::new(READY);
    let _lines = world.running();
    world.oci(&["pause", "c"]).ok();
    world.oci(&["delete", "--force", "c"]).ok();
    world.assert_clean();
}

#[test]
fn r_ops_06_kill_all_reaches_every_process() {
    // without a PID namespace of its own the others do not end with the first process
    let world = World::new(&["sh", "-c", "sleep 1000 & echo ready; wait"]);
    world.change(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "pid");
    });
    let _lines = world.running();
    let pids: Vec<i32> = serde_json::from_str(&world.oci(&["ps", "-f", "json", "c"]).ok()).expect("JSON");
    assert_eq!(pids.len(), 2);
    world.oci(&["kill", "--all", "c", "KILL"]).ok();
    for pid in pids {
        await_end(pid);
    }
    assert_eq!(world.status(), "stopped");
}

#[test]
fn r_ops_06_list_and_ps() {
    let world = World::new(READY);
    assert_eq!(world.oci(&["list", "-f", "json"]).ok(), "null\n");
    let _lines = world.running();
    assert_eq!(world.oci(&["list", "-q"]).ok(), "c\n");
    let list: serde_json::Value = serde_json::from_str(&world.oci(&["list", "--format=json"]).ok()).expect("JSON");
    assert_eq!(list[0]["id"], "c");
    assert_eq!(list[0]["status"], "running");
    let table = world.oci(&["list"]).ok();
    assert!(table.starts_with("ID          PID         STATUS      BUNDLE"), "{table}");
    let table = world.oci(&["ps", "c"]).ok();
    assert!(table.starts_with("UID") && table.contains("sleep 1000"), "{table}");
    world.oci(&["list", "-f", "yaml"]).fails_with("invalid format option");
}

#[test]
fn r_ops_06_the_document_of_create_counts() {
    let world = World::new(&["echo", "first"]);
    let lines = world.create();
    world.change(|spec| spec["process"]["args"] = json!(["echo", "second"]));
    world.oci(&["start", "c"]).ok();
    assert_eq!(lines.rest(), "first\n");
}

#[test]
fn r_ops_06_preserved_descriptors_arrive() {
    let world = World::new(&["sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"]);
    std::os::unix::fs::symlink("busybox", world.rootfs().join("bin/wc")).expect("a link");
    let file = world.path().join("content");
    std::fs::write(&file, "preserved\n").expect("a file");
    // the shell opens descriptor 3 for us
    let script = format!(
        "exec {} --root {} run --preserve-fds 1 c 3<{}",
        env!("CARGO_BIN_EXE_wharf-oci"),
        world.states().display(),
        file.display()
    );
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(world.path()).output().expect("a shell");
    // 0, 1, 2, 3 and the one that ls has open itself
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "preserved\n5\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    world.oci(&["run", "--preserve-fds", "9", "c"]).fails_with("please check that preserved-fd");
}

#[test]
fn r_ops_06_no_descriptor_leaks_in() {
    let world = World::new(&["ls", "/proc/self/fd"]);
    // an open folder of the host that is not close-on-exec (CVE-2024-21626)
    let script = format!("exec {} --root {} run c 7</", env!("CARGO_BIN_EXE_wharf-oci"), world.states().display());
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(world.path()).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n", "{}", String::from_utf8_lossy(&output.stderr));
    world.change(|spec| spec["process"]["cwd"] = json!("/proc/self/fd/7"));
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(world.path()).output().expect("a shell");
    assert!(!output.status.success());
}

#[test]
fn r_ops_06_the_runtimes_own_file_cannot_be_written() {
    // CVE-2019-5736: the image's program is the runtime itself
    let world = World::new(&["/proc/self/exe", "--version"]);
    let said = world.oci(&["run", "c"]);
    // it may execute (read-only) or be refused, but a writer inside finds a read-only file system
    assert!(said.code != 0 || said.out.starts_with("wharf-oci version"), "{} {}", said.out, said.err);
    let world = World::new(READY);
    let _lines = world.create();
    let pid = world.state()["pid"].as_i64().expect("a number");
    let exe = format!("/proc/{pid}/exe");
    let error = std::fs::OpenOptions::new().write(true).open(exe).expect_err("a read-only mount").raw_os_error();
    let busy_or_read_only = [Some(26), Some(30)];
    assert!(busy_or_read_only.contains(&error), "{error:?}");
}

/// systemd makes every mount of a machine shared.
#[test]
fn r_ops_06_on_shared_mounts_nothing_reaches_the_host() {
    let world = World::new(&["echo", "hello"]);
    let script = format!(
        "before=$(cat /proc/self/mountinfo); {} --root {} run --bundle {} c || exit; [ \"$before\" = \"$(cat /proc/self/mountinfo)\" ]",
        env!("CARGO_BIN_EXE_wharf-oci"),
        world.states().display(),
        world.bundle().display(),
    );
    let mut command = std::process::Command::new("unshare");
    let out = command.args(["--mount", "--propagation", "shared", "sh", "-c", &script]).output().expect("unshare");
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stdout)), (Some(0), "hello\n".into()), "{out:?}");
}
