//! CTR-06: attach, exec, logs, top, stats, port, diff: looking into a container while it runs.

use std::io::Write;
use std::process::Stdio;
use wharf_testkit::{Host, eventually};

/// Logs of a container, once they contain `text`.
fn logs_with(host: &Host, cli: wharf_testkit::Cli, name: &str, text: &str) -> String {
    eventually("the log line arrives", || {
        let logs = host.cli(cli, &["logs", name]).stdout;
        logs.contains(text).then_some(logs)
    })
}

rows! {
    fn r_ctr_06_terminal_run_and_exit_code(host, cli) {
        let mut terminal = host.terminal(cli, &["run", "-it", "--rm", "busybox", "sh"]);
        terminal.expect("# ");
        terminal.send("tty; stty size; exit 9\n");
        terminal.expect("/dev/pts/0");
        terminal.expect("24 80");
        assert_eq!(terminal.wait().0, 9);
    }

    fn r_ctr_06_terminal_resize(host, cli) {
        let mut terminal = host.terminal(cli, &["run", "-it", "--rm", "busybox", "sh"]);
        terminal.expect("# ");
        // the client tells the first size on its own; only after that does it listen for changes
        terminal.send("until [ \"$(stty size)\" = '24 80' ]; do :; done; echo si''zed\n");
        terminal.expect("sized");
        terminal.resize(132, 50);
        // the size arrives by a request of its own, soon after the signal
        terminal.send("until [ \"$(stty size)\" = '50 132' ]; do :; done; echo resi''zed\n");
        terminal.expect("resized");
        terminal.send("exit\n");
        assert_eq!(terminal.wait().0, 0);
    }

    fn r_ctr_06_detach_keys_leave_the_container_running(host, cli) {
        let mut terminal = host.terminal(cli, &["run", "-it", "--name", "c1", "busybox", "sh"]);
        terminal.expect("# ");
        terminal.send("\u{10}\u{11}");
        let (code, screen) = terminal.wait();
        assert_eq!(code, 0, "{screen}");
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.State.Running}}", "c1"]).ok(), "true");
        let mut again = host.terminal(cli, &["attach", "--detach-keys", "ctrl-a,x", "c1"]);
        again.send("echo ba''ck\n");
        again.expect("back");
        again.send("\u{1}x");
        again.wait();
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.State.Running}}", "c1"]).ok(), "true");
    }

    fn r_ctr_06_interrupt_reaches_the_process(host, cli) {
        let mut terminal = host.terminal(cli, &["run", "-it", "--rm", "busybox", "sh", "-c", "trap 'echo got it; exit 6' INT; echo up; while :; do sleep 0.05; done"]);
        terminal.expect("up");
        terminal.send("\u{3}");
        terminal.expect("got it");
        assert_eq!(terminal.wait().0, 6);
    }

    fn r_ctr_06_several_clients_see_the_same_output(host, cli) {
        host.cli(cli, &["run", "-d", "-i", "--name", "c1", "busybox", "sh", "-c", "read x; echo got $x; echo oops >&2; exit 3"]).ok();
        let attach = |args: &[&str]| {
            let mut command = host.command(cli);
            command.arg("attach").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let watcher = attach(&["--no-stdin", "c1"]);
        let mut typist = attach(&["c1"]);
        // attached means: an attach request was served; events say so
        eventually("both are attached", || {
            let events = crate::events(&host, cli, &["container=c1", "event=attach"], "{{.Action}}");
            (events.lines().count() == 2).then_some(())
        });
        // Docker detaches a client whose input ends, so this one stays open to the end
        let mut stdin = typist.stdin.take().unwrap();
        stdin.write_all(b"it\n").unwrap();
        for child in [watcher, typist] {
            let out = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout), "got it\n");
            assert_eq!(String::from_utf8_lossy(&out.stderr), "oops\n");
            assert_eq!(out.status.code(), Some(3));
        }
    }

    fn r_ctr_06_exec_output_code_user_env_and_terminal(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "-e", "A=1", "busybox", "sleep", "600"]).ok();
        let out = host.cli(cli, &["exec", "-e", "B=2", "-w", "/tmp", "-u", "1:1", "c1", "sh", "-c", "echo $A$B $(pwd) $(id -u); echo e >&2; exit 5"]);
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (5, "12 /tmp 1\n", "e\n"));
        assert_eq!(host.cli_with(cli, &["exec", "-i", "c1", "wc", "-c"], b"12345").ok(), "5");
        assert_eq!(host.cli(cli, &["exec", "-d", "c1", "touch", "/made"]).ok(), "");
        eventually("the detached exec ran", || (host.cli(cli, &["exec", "c1", "ls", "/made"]).code == 0).then_some(()));
        let missing = host.cli(cli, &["exec", "c1", "no-such-program"]);
        assert_eq!(missing.code, 127, "{}", missing.stderr);
        assert!((missing.stdout + &missing.stderr).contains("executable file not found in $PATH"));
        assert_eq!(host.cli(cli, &["exec", "c1", "/etc/passwd"]).code, 126);
        let mut terminal = host.terminal(cli, &["exec", "-it", "c1", "sh"]);
        terminal.expect("# ");
        terminal.send("tty; exit 8\n");
        terminal.expect("/dev/pts/");
        assert_eq!(terminal.wait().0, 8);
        assert_eq!(host.cli(cli, &["exec", "--privileged", "c1", "sh", "-c", "grep CapEff /proc/self/status"]).ok().split_whitespace().nth(1).map(|c| c.len()), Some(16));
    }

    fn r_ctr_06_logs_tail_since_timestamps_and_follow(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo err >&2"]).ok();
        let out = host.cli(cli, &["logs", "c1"]);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("line 1\nline 2\nline 3\nline 4\nline 5\n", "err\n"));
        assert_eq!(host.cli(cli, &["logs", "--tail", "2", "c1"]).code, 0);
        host.cli(cli, &["run", "--name", "t1", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done"]).ok();
        assert_eq!(host.cli(cli, &["logs", "--tail", "2", "t1"]).ok(), "line 4\nline 5");
        assert_eq!(host.cli(cli, &["logs", "--tail", "0", "c1"]).ok(), "");
        let stamped = host.cli(cli, &["logs", "-t", "--tail", "all", "c1"]).stdout;
        let first = stamped.lines().next().unwrap();
        let (time, text) = first.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == 30 && text == "line 1", "{first}");
        assert_eq!(host.cli(cli, &["logs", "--since", "1h", "c1"]).stdout.lines().count(), 5);
        // the epoch
        assert_eq!(host.cli(cli, &["logs", "--since", "0", "c1"]).stdout.lines().count(), 5);
        assert_eq!(host.cli(cli, &["logs", "--until", "1h", "c1"]).stdout, "");
        // follow ends with the container
        host.cli(cli, &["run", "-d", "-i", "--name", "f1", "busybox", "sh", "-c", "echo first; read x; echo last"]).ok();
        let mut command = host.command(cli);
        let follower = command.args(["logs", "-f", "f1"]).stdout(Stdio::piped()).spawn().unwrap();
        logs_with(&host, cli, "f1", "first");
        host.cli_with(cli, &["attach", "f1"], b"go\n");
        assert_eq!(String::from_utf8_lossy(&follower.wait_with_output().unwrap().stdout), "first\nlast\n");
    }

    fn r_ctr_06_long_and_binary_lines_survive(host, cli) {
        let script = "head -c 100000 /dev/zero | tr '\\0' a; echo; printf 'no newline'";
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", script]).ok();
        let logs = host.cli(cli, &["logs", "c1"]).stdout;
        assert_eq!(logs.len(), 100_001 + 10);
        assert!(logs.ends_with("a\nno newline"));
    }

    fn r_ctr_06_top_lists_processes(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sleep", "600"]).ok();
        let top = host.cli(cli, &["top", "c1"]).ok();
        let lines: Vec<&str> = top.lines().collect();
        assert!(lines[0].starts_with("UID") && lines[0].trim_end().ends_with("CMD"), "{top}");
        assert!(lines[1].contains("sleep 600"), "{top}");
        let own = host.cli(cli, &["top", "c1", "-o", "pid,args"]).ok();
        assert!(own.lines().next().unwrap().starts_with("PID"), "{own}");
    }

    fn r_ctr_06_stats_show_memory_and_processes(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "-m", "64m", "busybox", "sleep", "600"]).ok();
        let stats = host.cli(cli, &["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "c1"]).ok();
        assert!(stats.starts_with("c1 ") && stats.ends_with("/ 64MiB 1"), "{stats}");
        assert!(host.cli(cli, &["stats", "--no-stream"]).ok().starts_with("CONTAINER ID"));
    }

    fn r_ctr_06_logs_of_no_driver_are_refused(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "--log-driver", "none", "busybox", "echo", "x"]).ok();
        let refused = host.cli(cli, &["logs", "c1"]).fails(1);
        assert!(refused.contains("configured logging driver does not support reading"), "{refused}");
    }

    fn r_ctr_06_log_rotation_keeps_the_newest(host, cli) {
        let script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done";
        host.cli(cli, &["run", "--name", "c1", "--log-opt", "max-size=20k", "--log-opt", "max-file=3", "busybox", "sh", "-c", script]).ok();
        let logs = host.cli(cli, &["logs", "c1"]).stdout;
        assert!(logs.ends_with("line 2999\n"), "{}", &logs[logs.len().saturating_sub(200)..]);
        let count = logs.lines().count();
        assert!(count < 1000 && count > 100, "{count} lines of three files of 20k");
    }
}
