//! CTR-01 … CTR-04, CTR-08: containers from `run` to `rm`.

use serde_json::{Value, json};
use wharf_testkit::eventually;

/// One field of `inspect`, as a template prints it.
fn inspect(host: &wharf_testkit::Host, cli: wharf_testkit::Cli, name: &str, template: &str) -> String {
    host.cli(cli, &["inspect", "-f", template, name]).ok()
}

rows! {
    fn r_ctr_01_run_prints_and_returns_the_exit_code(host, cli) {
        assert_eq!(host.cli(cli, &["run", "--rm", "busybox", "echo", "hello"]).ok(), "hello");
        assert_eq!(host.cli(cli, &["run", "--rm", "busybox", "sh", "-c", "exit 7"]).code, 7);
        let out = host.cli(cli, &["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
    }

    fn r_ctr_01_signal_exit_codes(host, cli) {
        // PID 1 of a namespace is immune to its own signals; its child is not
        assert_eq!(host.cli(cli, &["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code, 137);
        let id = host.cli(cli, &["run", "-d", "busybox", "sleep", "600"]).ok();
        host.cli(cli, &["kill", &id]).ok();
        assert_eq!(host.cli(cli, &["wait", &id]).ok(), "137");
        assert_eq!(inspect(&host, cli, &id, "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}"), "exited 137 false");
    }

    fn r_ctr_01_engine_errors_are_125_126_127(host, cli) {
        let missing = host.cli(cli, &["run", "--rm", "busybox", "/no/such/file"]);
        assert_eq!(missing.code, 127, "{}", missing.stderr);
        assert!(missing.stderr.contains("no such file or directory"), "{}", missing.stderr);
        let missing = host.cli(cli, &["run", "--rm", "busybox", "no-such-program"]);
        assert_eq!(missing.code, 127, "{}", missing.stderr);
        assert!(missing.stderr.contains("executable file not found in $PATH"), "{}", missing.stderr);
        let denied = host.cli(cli, &["run", "--rm", "busybox", "/etc/passwd"]);
        assert_eq!(denied.code, 126, "{}", denied.stderr);
        assert!(denied.stderr.contains("permission denied"), "{}", denied.stderr);
        let bad = host.cli(cli, &["run", "--no-such-flag", "busybox"]);
        assert_eq!(bad.code, 125);
        assert!(bad.stderr.contains("unknown flag: --no-such-flag"), "{}", bad.stderr);
        host.cli(cli, &["rm", "-f", "none"]).ok();
        assert_eq!(host.cli(cli, &["ps", "-aq"]).ok(), "", "a failed run --rm leaves no container");
    }

    fn r_ctr_01_stdin_reaches_the_process_and_ends(host, cli) {
        let out = host.cli_with(cli, &["run", "--rm", "-i", "busybox", "cat"], b"one\ntwo\n");
        assert_eq!(out.ok(), "one\ntwo");
        let big = vec![b'x'; 3_000_000];
        let out = host.cli_with(cli, &["run", "--rm", "-i", "busybox", "wc", "-c"], &big);
        assert_eq!(out.ok(), "3000000");
    }

    fn r_ctr_01_environment_directory_user_and_hostname(host, cli) {
        std::fs::write(host.dir().join("env"), "FROM_FILE=yes\n# a comment\nEMPTY=\n").unwrap();
        let file = host.dir().join("env").display().to_string();
        let script = "echo $A-$FROM_FILE-$EMPTY-$(pwd)-$(id -u):$(id -g)-$(hostname)-$HOME";
        let args = ["run", "--rm", "-e", "A=b", "--env-file", &file, "-w", "/tmp/new", "-u", "daemon", "-h", "web", "busybox", "sh", "-c", script];
        assert_eq!(host.cli(cli, &args).ok(), "b-yes--/tmp/new-1:1-web-/");
        let entry = ["run", "--rm", "--entrypoint", "echo", "busybox", "from", "entrypoint"];
        assert_eq!(host.cli(cli, &entry).ok(), "from entrypoint");
    }

    fn r_ctr_01_cidfile_names_and_labels(host, cli) {
        let file = host.dir().join("cid").display().to_string();
        host.cli(cli, &["run", "-d", "--cidfile", &file, "--name", "web", "-l", "tier=front", "busybox", "sleep", "600"]).ok();
        let id = std::fs::read_to_string(host.dir().join("cid")).unwrap();
        assert_eq!(id.len(), 64);
        assert_eq!(inspect(&host, cli, "web", "{{.Id}} {{.Name}} {{index .Config.Labels \"tier\"}}"), format!("{id} /web front"));
        let again = host.cli(cli, &["run", "-d", "--cidfile", &file, "busybox", "true"]);
        assert_eq!(again.code, 125);
        let taken = host.cli(cli, &["run", "-d", "--name", "web", "busybox", "true"]).fails(125);
        let want = format!("Conflict. The container name \"/web\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name.");
        assert!(taken.contains(&want), "{taken}");
    }

    fn r_ctr_01_init_reaps_and_forwards_signals(host, cli) {
        host.cli(cli, &["run", "-d", "--init", "--name", "c1", "busybox", "sleep", "600"]).ok();
        let first = host.cli(cli, &["exec", "c1", "cat", "/proc/1/comm"]).ok();
        assert_ne!(first, "sleep", "PID 1 is the init, not the program");
        host.cli(cli, &["kill", "-s", "TERM", "c1"]).ok();
        assert_eq!(host.cli(cli, &["wait", "c1"]).ok(), "143");
    }

    fn r_ctr_01_pull_never_and_missing_images(host, cli) {
        let none = host.cli(cli, &["run", "--rm", "--pull", "never", "no-such-image:x", "true"]).fails(125);
        assert!(none.contains("No such image: no-such-image:x"), "{none}");
    }

    fn r_ctr_02_create_start_stop_restart_rm(host, cli) {
        let id = host.cli(cli, &["create", "--name", "c1", "busybox", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"]).ok();
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}} {{.State.Running}} {{.State.Pid}}"), "created false 0");
        assert_eq!(host.cli(cli, &["start", "c1"]).ok(), "c1");
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}}"), "running");
        eventually("the trap is set", || host.cli(cli, &["logs", "c1"]).stdout.contains("up").then_some(()));
        assert_eq!(host.cli(cli, &["stop", "c1"]).ok(), "c1");
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
        assert_eq!(host.cli(cli, &["restart", "-t", "0", "c1"]).ok(), "c1");
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Running}} {{.RestartCount}}"), "true 0");
        let refused = host.cli(cli, &["rm", "c1"]).fails(1);
        assert!(refused.contains("cannot remove container \"c1\": container is running: stop the container before removing or force remove"), "{refused}");
        assert_eq!(host.cli(cli, &["rm", "-f", &id[..12]]).ok(), &id[..12]);
        let gone = host.cli(cli, &["inspect", "c1"]).fails(1);
        assert!(gone.to_lowercase().contains("no such object: c1"), "{gone}");
        host.assert_no_leaks();
    }

    fn r_ctr_02_start_attached_gives_output_and_code(host, cli) {
        host.cli(cli, &["create", "--name", "c1", "-i", "busybox", "sh", "-c", "cat; exit 4"]).ok();
        let out = host.cli_with(cli, &["start", "-a", "-i", "c1"], b"typed\n");
        assert_eq!((out.code, out.stdout.as_str()), (4, "typed\n"));
    }

    fn r_ctr_02_several_at_once_report_each(host, cli) {
        for name in ["a1", "b1"] {
            host.cli(cli, &["create", "--name", name, "busybox", "true"]).ok();
        }
        let out = host.cli(cli, &["rm", "a1", "missing", "b1"]);
        assert_eq!(out.code, 1);
        assert_eq!(out.stdout, "a1\nb1\n");
        assert!(out.stderr.contains("No such container: missing"), "{}", out.stderr);
    }

    fn r_ctr_02_pause_freezes_and_unpause_thaws(host, cli) {
        let script = "i=0; while :; do i=$((i+1)); echo $i > /n; done";
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sh", "-c", script]).ok();
        host.cli(cli, &["pause", "c1"]).ok();
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}"), "paused true true");
        assert!(host.cli(cli, &["ps"]).ok().contains("(Paused)"));
        let refused = host.cli(cli, &["exec", "c1", "true"]).fails(1);
        assert!(refused.contains("is paused, unpause the container before exec"), "{refused}");
        let twice = host.cli(cli, &["pause", "c1"]).fails(1);
        assert!(twice.contains("is already paused"), "{twice}");
        host.cli(cli, &["unpause", "c1"]).ok();
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}}"), "running");
        let twice = host.cli(cli, &["unpause", "c1"]).fails(1);
        assert!(twice.contains("is not paused"), "{twice}");
        host.cli(cli, &["exec", "c1", "true"]).ok();
    }

    fn r_ctr_02_wait_several_and_next_exit(host, cli) {
        host.cli(cli, &["create", "--name", "a1", "busybox", "sh", "-c", "exit 1"]).ok();
        host.cli(cli, &["create", "--name", "b1", "busybox", "sh", "-c", "exit 2"]).ok();
        host.cli(cli, &["start", "a1", "b1"]).ok();
        assert_eq!(host.cli(cli, &["wait", "a1", "b1"]).ok(), "1\n2");
    }

    fn r_ctr_02_rename_and_update(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "old", "busybox", "sleep", "600"]).ok();
        host.cli(cli, &["rename", "old", "new"]).ok();
        assert_eq!(inspect(&host, cli, "new", "{{.Name}}"), "/new");
        host.cli(cli, &["inspect", "old"]).fails(1);
        assert_eq!(host.cli(cli, &["update", "--memory", "64m", "--memory-swap", "64m", "--restart", "on-failure:3", "new"]).ok(), "new");
        assert_eq!(inspect(&host, cli, "new", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}"), "67108864 on-failure 3");
    }

    fn r_ctr_03_wrong_transitions_are_told(host, cli) {
        host.cli(cli, &["create", "--name", "c1", "busybox", "sleep", "600"]).ok();
        let id = inspect(&host, cli, "c1", "{{.Id}}");
        let kill = host.cli(cli, &["kill", "c1"]).fails(1);
        assert!(kill.contains(&format!("cannot kill container: c1: container {id} is not running")), "{kill}");
        let pause = host.cli(cli, &["pause", "c1"]).fails(1);
        assert!(pause.contains("is not running"), "{pause}");
        let exec = host.cli(cli, &["exec", "c1", "true"]).fails(1);
        assert!(exec.contains(&format!("container {id} is not running")), "{exec}");
        host.cli(cli, &["start", "c1"]).ok();
        let api = host.api();
        assert_eq!(api.call("POST", "/containers/c1/start", Value::Null).status, 304);
        host.cli(cli, &["kill", "c1"]).ok();
        host.cli(cli, &["wait", "c1"]).ok();
        assert_eq!(api.call("POST", "/containers/c1/stop", Value::Null).status, 304);
        assert_eq!(api.call("POST", "/containers/none/start", Value::Null).status, 404);
    }

    fn r_ctr_04_stop_kills_after_its_time(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]).ok();
        eventually("the trap is set", || host.cli(cli, &["logs", "deaf"]).stdout.contains("deaf").then_some(()));
        host.cli(cli, &["stop", "-t", "1", "deaf"]).ok();
        assert_eq!(inspect(&host, cli, "deaf", "{{.State.ExitCode}}"), "137");
    }

    fn r_ctr_04_stop_signal_and_kill_signal(host, cli) {
        let script = "trap 'echo usr1; exit 5' USR1; trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done";
        host.cli(cli, &["run", "-d", "--name", "c1", "--stop-signal", "SIGUSR1", "busybox", "sh", "-c", script]).ok();
        eventually("the traps are set", || host.cli(cli, &["logs", "c1"]).stdout.contains("up").then_some(()));
        host.cli(cli, &["kill", "-s", "HUP", "c1"]).ok();
        eventually("HUP arrived", || host.cli(cli, &["logs", "c1"]).stdout.contains("hup").then_some(()));
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}}"), "running");
        host.cli(cli, &["stop", "c1"]).ok();
        assert_eq!(inspect(&host, cli, "c1", "{{.State.ExitCode}} {{.Config.StopSignal}}"), "5 SIGUSR1");
        let bad = host.cli(cli, &["kill", "-s", "NOPE", "c1"]).fails(1);
        assert!(bad.contains("invalid signal: NOPE"), "{bad}");
    }

    fn r_ctr_08_hosts_hostname_resolv_and_dockerenv(host, cli) {
        let args = ["run", "--rm", "--name", "c1", "-h", "web.example", "--add-host", "db:10.1.2.3", "--dns", "192.0.2.53", "--dns-search", "corp.example",
            "--dns-option", "ndots:3", "busybox", "sh", "-c", "cat /etc/hosts; echo ==; cat /etc/hostname; echo ==; cat /etc/resolv.conf; ls /.dockerenv"];
        let out = host.cli(cli, &args).ok();
        let parts: Vec<&str> = out.split("==\n").collect();
        assert!(parts[0].contains("127.0.0.1\tlocalhost\n"), "{out}");
        assert!(parts[0].contains("10.1.2.3\tdb\n"), "{out}");
        assert!(parts[0].lines().any(|l| l.starts_with("172.17.") && l.contains("web.example")), "{out}");
        assert_eq!(parts[1], "web.example\n");
        assert!(parts[2].contains("nameserver 192.0.2.53"), "{out}");
        assert!(parts[2].contains("search corp.example"), "{out}");
        assert!(parts[2].contains("options ndots:3"), "{out}");
        assert!(out.ends_with("/.dockerenv"), "{out}");
        let files = "echo x >> /etc/hosts && echo y > /etc/hostname && echo z >> /etc/resolv.conf";
        host.cli(cli, &["run", "--rm", "busybox", "sh", "-c", files]).ok();
    }

    fn r_ctr_08_dev_is_the_containers_own(host, cli) {
        let out = host.cli(cli, &["run", "--rm", "busybox", "ls", "/dev"]).ok();
        let names: Vec<&str> = out.lines().collect();
        for want in ["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"] {
            assert!(names.contains(&want), "{want} is missing: {out}");
        }
        assert!(!names.contains(&"kvm") && !names.contains(&"vda"), "{out}");
        let shm = host.cli(cli, &["run", "--rm", "--shm-size", "8m", "busybox", "df", "-k", "/dev/shm"]).ok();
        assert!(shm.contains("8192"), "{shm}");
    }
}

#[test]
fn r_ctr_03_removal_while_running_is_a_conflict() {
    let host = wharf_testkit::Host::boot();
    let api = host.api();
    let made = api.call("POST", "/containers/create?name=c1", json!({"Image": "busybox", "Cmd": ["sleep", "600"]}));
    assert_eq!(made.status, 201, "{}", made.message());
    assert_eq!(api.call("POST", "/containers/c1/start", Value::Null).status, 204);
    let refused = api.call("DELETE", "/containers/c1", Value::Null);
    assert_eq!(refused.status, 409);
    assert_eq!(
        refused.message(),
        "cannot remove container \"c1\": container is running: stop the container before removing or force remove"
    );
    assert_eq!(api.call("DELETE", "/containers/c1?force=1", Value::Null).status, 204);
    host.assert_no_leaks();
}
