//! OPS-06: other OCI runtimes under our daemon, and our runtime under other engines.

use wharf_testkit::{Cli, Host, eventually, program};

/// The host's daemon anew, with Debian's runc and our own command as other runtimes.
fn with_runtimes(host: &mut Host) {
    host.take_daemon().stop();
    let ours = format!("other={}", program("wharf-oci").display());
    host.start_with(
        &["--add-runtime", "plain=/usr/sbin/runc", "--add-runtime", &ours, "--add-runtime", "gone=/nowhere"],
        "",
    );
}

/// What a container does, whoever makes it.
fn life(host: &Host, cli: Cli, runtime: &str) {
    let run = |args: &[&str]| host.cli(cli, &[&["run", "--runtime", runtime], args].concat());
    assert_eq!(run(&["--rm", "busybox", "echo", "hello"]).ok(), "hello");
    run(&["--rm", "busybox", "sh", "-c", "exit 7"]).fails(7);
    let missing = run(&["--rm", "busybox", "/nope"]).fails(127);
    assert!(
        missing.contains("OCI runtime create failed") && missing.contains("no such file or directory"),
        "{missing}"
    );
    let folder = run(&["--rm", "busybox", "/etc"]).fails(126);
    assert!(folder.contains("permission denied") || folder.contains("is a directory"), "{folder}");
    assert_eq!(
        host.cli_with(cli, &["run", "--runtime", runtime, "-i", "--rm", "busybox", "cat"], b"typed").ok(),
        "typed"
    );

    run(&[
        "-d",
        "--name",
        "c1",
        "-m",
        "32m",
        "-h",
        "inside",
        "-v",
        "data:/data",
        "busybox",
        "sh",
        "-c",
        "echo ready; echo wrong >&2; exec sleep 600",
    ])
    .ok();
    assert_eq!(
        host.cli(cli, &["inspect", "-f", "{{.HostConfig.Runtime}} {{.State.Status}}", "c1"]).ok(),
        format!("{runtime} running")
    );
    eventually("the first line is logged", || host.cli(cli, &["logs", "c1"]).ok().contains("ready").then_some(()));
    let exec = |args: &[&str]| host.cli(cli, &[&["exec"], args].concat());
    assert_eq!(exec(&["c1", "hostname"]).ok(), "inside");
    exec(&["c1", "sh", "-c", "exit 3"]).fails(3);
    exec(&["c1", "/nope"]).fails(127);
    assert_eq!(
        exec(&["-u", "1000:1000", "-w", "/tmp", "-e", "A=b", "c1", "sh", "-c", "echo $(id -u) $PWD $A"]).ok(),
        "1000 /tmp b"
    );
    assert_eq!(exec(&["-w", "/data", "c1", "sh", "-c", "echo kept > file; cat file"]).ok(), "kept");
    // the network, made by us, joined by the other runtime
    exec(&["c1", "ping", "-c", "1", "-W", "5", "203.0.113.1"]).ok();
    // the limits, in the group that we made
    let stats = host.cli(cli, &["stats", "--no-stream", "--format", "{{.MemUsage}}", "c1"]).ok();
    assert!(stats.ends_with("/ 32MiB"), "{stats}");
    host.cli(cli, &["pause", "c1"]).ok();
    host.cli(cli, &["unpause", "c1"]).ok();
    host.cli(cli, &["kill", "c1"]).ok();
    assert_eq!(host.cli(cli, &["wait", "c1"]).ok(), "137");
    host.cli(cli, &["start", "c1"]).ok();
    host.cli(cli, &["rm", "-f", "-v", "c1"]).ok();
    host.cli(cli, &["volume", "rm", "data"]).ok();
}

rows! {
    fn r_ops_06_another_runtime_makes_containers(host, cli) {
        with_runtimes(&mut host);
        assert_eq!(host.cli(cli, &["info", "-f", "{{.DefaultRuntime}} {{(index .Runtimes \"plain\").Path}}"]).ok(), "runc /usr/sbin/runc");
        life(&host, cli, "plain");
        life(&host, cli, "other");
        host.assert_no_leaks();
    }

    fn r_ops_06_another_runtime_gives_terminals(host, cli) {
        with_runtimes(&mut host);
        let mut terminal = host.terminal(cli, &["run", "--runtime", "plain", "-it", "--name", "c1", "busybox"]);
        terminal.expect("/ #");
        terminal.send("tty; echo $((6*7))\n");
        terminal.expect("42");
        terminal.send("exit 5\n");
        assert_eq!(terminal.wait().0, 5);
        host.cli(cli, &["start", "c1"]).ok();
        let mut terminal = host.terminal(cli, &["exec", "-it", "c1", "sh"]);
        terminal.expect("/ #");
        terminal.send("exit 6\n");
        assert_eq!(terminal.wait().0, 6);
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ops_06_another_runtime_survives_the_daemon(host, cli) {
        with_runtimes(&mut host);
        host.cli(cli, &["run", "-d", "--runtime", "plain", "--name", "c1", "busybox", "sleep", "600"]).ok();
        let pid = host.cli(cli, &["inspect", "-f", "{{.State.Pid}}", "c1"]).ok();
        host.take_daemon().kill();
        let again = ["--add-runtime", "plain=/usr/sbin/runc"];
        host.start_with(&again, "");
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.State.Pid}} {{.State.Running}}", "c1"]).ok(), format!("{pid} true"));
        assert_eq!(host.cli(cli, &["exec", "c1", "echo", "well"]).ok(), "well");
        host.cli(cli, &["stop", "-t", "0", "c1"]).ok();
        assert_eq!(host.cli(cli, &["wait", "c1"]).ok(), "137");
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ops_06_a_runtime_that_is_not_there(host, cli) {
        with_runtimes(&mut host);
        let unknown = host.cli(cli, &["run", "--runtime", "nope", "busybox", "true"]).fails(125);
        assert!(unknown.contains("unknown or invalid runtime name: nope"), "{unknown}");
        let gone = host.cli(cli, &["run", "--name", "c1", "--runtime", "gone", "busybox", "true"]).fails(127);
        assert!(gone.contains("/nowhere: no such file or directory"), "{gone}");
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.State.Status}}", "c1"]).ok(), "created");
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }
}

#[test]
fn r_ops_06_the_default_runtime_can_be_another() {
    let host = Host::with_args(&["--add-runtime", "plain=/usr/sbin/runc", "--default-runtime", "plain"]);
    assert_eq!(host.docker(&["run", "--name", "c1", "busybox", "echo", "hello"]).ok(), "hello");
    assert_eq!(host.docker(&["inspect", "-f", "{{.HostConfig.Runtime}}", "c1"]).ok(), "plain");
    assert_eq!(host.docker(&["run", "--runtime", "runc", "busybox", "echo", "ours"]).ok(), "ours");
}
