//! Row OPS-06: `exec`, terminals and console sockets.

mod world;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::json;
use world::{READY, World, await_end};

#[test]
fn r_ops_06_exec_in_a_running_container() {
    let world = World::new(READY);
    world.change(|spec| spec["process"]["env"] = json!(["PATH=/bin", "A=1"]));
    let _lines = world.running();
    let said = world.oci(&[
        "exec",
        "-e",
        "B=2",
        "--cwd",
        "/tmp",
        "-u",
        "5:6",
        "-g",
        "7",
        "c",
        "sh",
        "-c",
        "echo $A $B; pwd; id; exit 9",
    ]);
    assert_eq!(said.code, 9, "{}", said.err);
    assert_eq!(said.out, "1 2\n/tmp\nuid=5 gid=6 groups=7\n");
    // the same namespaces and the same cgroup
    let inside = world
        .oci(&["exec", "c", "sh", "-c", "readlink /proc/1/ns/mnt; readlink /proc/self/ns/mnt; cat /proc/self/cgroup"])
        .ok();
    let lines: Vec<&str> = inside.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert!(lines[2..].iter().all(|line| line.ends_with(":/")), "{inside}");
}

#[test]
fn r_ops_06_exec_reads_a_process_document() {
    let world = World::new(READY);
    let _lines = world.running();
    let process = json!({"user": {"uid": 1, "gid": 2}, "args": ["sh", "-c", "id; grep CapEff /proc/self/status"], "cwd": "/", "env": ["PATH=/bin"],
                         "capabilities": {"bounding": [], "effective": [], "permitted": []}, "noNewPrivileges": true});
    std::os::unix::fs::symlink("busybox", world.rootfs().join("bin/grep")).expect("a link");
    std::fs::write(world.path().join("process.json"), process.to_string()).expect("a file");
    let out = world.oci(&["exec", "--process", "process.json", "c"]).ok();
    assert_eq!(out, "uid=1 gid=2\nCapEff:\t0000000000000000\n");
}

#[test]
fn r_ops_06_a_detached_exec_writes_its_pid() {
    let world = World::new(READY);
    let _lines = world.running();
    // its output stays open as long as it runs: no pipe to wait for
    let mut exec = world.command(&["exec", "--detach", "--pid-file", "exec.pid", "c", "sleep", "1000"]);
    assert!(exec.stdout(Stdio::null()).status().expect("wharf-oci runs").success());
    let pid: i32 =
        std::fs::read_to_string(world.path().join("exec.pid")).expect("a pid file").parse().expect("a number");
    let pids: Vec<i32> = serde_json::from_str(&world.oci(&["ps", "-f", "json", "c"]).ok()).expect("JSON");
    assert!(pids.contains(&pid));
    world.oci(&["delete", "-f", "c"]).ok();
    await_end(pid);
}

#[test]
fn r_ops_06_exec_says_why_not() {
    let world = World::new(READY);
    let _lines = world.running();
    let said = world.oci(&["exec", "c", "nosuch"]).fails_with("executable file not found in $PATH");
    assert_eq!(said.code, 255);
    world.oci(&["exec", "c", "/etc"]).fails_with("/etc");
    world.oci(&["exec", "c"]).fails_with("process args cannot be empty");
    world.oci(&["exec", "nosuch", "true"]).fails_with("container does not exist");
    world.oci(&["exec", "-t", "-d", "c", "true"]).fails_with("without setting console socket");
    let pid = world.state()["pid"].as_i64().expect("a number");
    world.oci(&["kill", "c", "9"]).ok();
    await_end(pid as i32);
    world.oci(&["exec", "c", "true"]).fails_with("cannot exec in a stopped container");
}

/// Takes the descriptor that arrives at a console socket.
fn console(listener: &UnixListener) -> File {
    let (stream, _) = listener.accept().expect("the runtime connects");
    let mut name = [0; 64];
    let mut received = wharf_sys::fd::receive(&stream, &mut name).expect("a message");
    assert_eq!(received.fds.len(), 1);
    File::from(received.fds.remove(0))
}

/// Everything a terminal shows until its other side is closed.
fn screen(mut master: &File) -> String {
    let mut bytes = Vec::new();
    // EIO is how a terminal says that nobody has it open any more
    let _ = master.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn r_ops_06_a_terminal_over_the_console_socket() {
    let world = World::new(&["sh", "-c", "stty size; readlink /proc/self/fd/0; read line; echo got $line"]);
    world.change(|spec| {
        spec["process"]["terminal"] = json!(true);
        spec["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    });
    world
        .oci(&["create", "c"])
        .fails_with("cannot allocate tty if wharf-oci will detach without setting console socket");
    let socket = world.path().join("console.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    world.oci(&["create", "--console-socket", "console.sock", "c"]).ok();
    let mut master = console(&listener);
    world.oci(&["start", "c"]).ok();
    master.write_all(b"hello\n").expect("a terminal");
    let text = screen(&master);
    assert!(text.contains("33 77"), "{text}");
    assert!(text.contains("/dev/pts/0") || text.contains("/dev/console"), "{text}");
    assert!(text.contains("got hello"), "{text}");
}

#[test]
fn r_ops_06_exec_with_a_terminal() {
    let world = World::new(READY);
    let _lines = world.running();
    let listener = UnixListener::bind(world.path().join("exec.sock")).expect("a socket");
    world
        .oci(&[
            "exec",
            "-t",
            "-d",
            "--console-socket",
            "exec.sock",
            "c",
            "sh",
            "-c",
            "echo on; readlink /proc/self/fd/1",
        ])
        .ok();
    let text = screen(&console(&listener));
    assert!(text.contains("on\r\n/dev/pts/"), "{text}");
}

#[test]
fn r_ops_06_a_terminal_of_a_foreground_exec() {
    let world = World::new(READY);
    let _lines = world.running();
    // our side is a pipe: the terminal is the container's alone
    let mut child = world
        .command(&["exec", "-t", "c", "sh", "-c", "read line; echo got $line; exit 4"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("wharf-oci runs");
    child.stdin.take().expect("a pipe").write_all(b"word\n").expect("a pipe");
    let output = child.wait_with_output().expect("a child");
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stdout).contains("got word"));
}
