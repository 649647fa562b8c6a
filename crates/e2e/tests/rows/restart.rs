//! CTR-05, CTR-11 and what goes with a container's end: restart policies, containers that remove themselves, checkpoints.

use serde_json::json;
use wharf_testkit::{Cli, Host, eventually};

fn inspect(host: &Host, cli: Cli, name: &str, template: &str) -> String {
    host.cli(cli, &["inspect", "-f", template, name]).ok()
}

fn count(host: &Host, cli: Cli, name: &str) -> u32 {
    inspect(host, cli, name, "{{.RestartCount}}").parse().expect("a number")
}

/// Kills the container's first process as nobody of the engine's users would.
fn murder(host: &Host, cli: Cli, name: &str) {
    let pid = inspect(host, cli, name, "{{.State.Pid}}");
    host.run("kill", &["-9", &pid]).ok();
}

rows! {
    fn r_ctr_05_on_failure_gives_up_after_its_count(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "--restart", "on-failure:3", "busybox", "sh", "-c", "echo run; exit 3"]).ok();
        host.cli(cli, &["run", "-d", "--name", "c2", "--restart", "on-failure:3", "busybox", "true"]).ok();
        eventually("it has given up", || {
            (inspect(&host, cli, "c1", "{{.State.Status}} {{.RestartCount}}") == "exited 3").then_some(())
        });
        assert_eq!(inspect(&host, cli, "c1", "{{.State.ExitCode}} {{.State.Restarting}} {{.HostConfig.RestartPolicy}}"), "3 false {on-failure 3}");
        assert_eq!(host.cli(cli, &["logs", "c1"]).ok(), "run\nrun\nrun\nrun");
        host.cli(cli, &["wait", "c2"]).ok();
        assert_eq!(inspect(&host, cli, "c2", "{{.State.Status}} {{.RestartCount}}"), "exited 0");
        // the user's start counts anew
        host.cli(cli, &["start", "c1"]).ok();
        eventually("it has given up again", || {
            (inspect(&host, cli, "c1", "{{.State.Status}} {{.RestartCount}}") == "exited 3").then_some(())
        });
        assert_eq!(host.cli(cli, &["logs", "c1"]).ok().lines().count(), 8);
    }

    fn r_ctr_05_what_the_user_ended_stays_ended(host, cli) {
        for policy in ["always", "unless-stopped", "on-failure"] {
            for end in [&["kill"][..], &["stop", "-t", "0"]] {
                host.cli(cli, &["run", "-d", "--name", "c1", "--restart", policy, "busybox", "sleep", "600"]).ok();
                host.cli(cli, &[end, &["c1"]].concat()).ok();
                host.cli(cli, &["wait", "c1"]).ok();
                assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"), "exited 137 0", "{policy} {end:?}");
                host.cli(cli, &["rm", "c1"]).ok();
            }
            // an end that nobody asked for is another matter
            host.cli(cli, &["run", "-d", "--name", "c1", "--restart", policy, "busybox", "sleep", "600"]).ok();
            murder(&host, cli, "c1");
            eventually("it runs again", || {
                (inspect(&host, cli, "c1", "{{.State.Running}} {{.State.Restarting}} {{.RestartCount}}") == "true false 1").then_some(())
            });
            host.cli(cli, &["rm", "-f", "c1"]).ok();
        }
        host.assert_no_leaks();
    }

    fn r_ctr_05_a_container_between_two_runs(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "--restart", "always", "busybox", "false"]).ok();
        // by then the wait is three seconds: long enough to look around in it
        eventually("it waits for its sixth run", || (count(&host, cli, "c1") >= 5 && inspect(&host, cli, "c1", "{{.State.Status}}") == "restarting").then_some(()));
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode}}"), "true true 0 1");
        let status = host.cli(cli, &["ps", "--filter", "name=c1", "--format", "{{.Status}}"]).ok();
        assert!(status.starts_with("Restarting (1) "), "{status}");
        let attach = host.cli(cli, &["attach", "c1"]).fails(1);
        assert!(attach.contains("You cannot attach to a restarting container, wait until it is running"), "{attach}");
        let id = inspect(&host, cli, "c1", "{{.Id}}");
        let exec = host.cli(cli, &["exec", "c1", "true"]).fails(1);
        assert!(exec.contains(&format!("Container {id} is restarting, wait until the container is running")), "{exec}");
        host.cli(cli, &["stop", "c1"]).ok();
        assert_eq!(inspect(&host, cli, "c1", "{{.State.Status}} {{.State.Running}} {{.State.Restarting}}"), "exited false false");
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_05_what_comes_back_with_the_daemon(host, cli) {
        for policy in ["no", "always", "unless-stopped", "on-failure"] {
            host.cli(cli, &["run", "-d", "--name", &format!("stopped-{policy}"), "--restart", policy, "busybox", "sleep", "600"]).ok();
            host.cli(cli, &["run", "-d", "--name", &format!("running-{policy}"), "--restart", policy, "busybox", "sleep", "600"]).ok();
            host.cli(cli, &["stop", "-t", "0", &format!("stopped-{policy}")]).ok();
        }
        host.cli(cli, &["create", "--name", "created", "--restart", "always", "busybox", "sleep", "600"]).ok();
        let pids = |host: &Host| ["no", "always", "unless-stopped", "on-failure"].map(|policy| inspect(host, cli, &format!("running-{policy}"), "{{.State.Pid}}"));
        let before = pids(&host);
        host.take_daemon().stop();
        host.start();
        eventually("what was always wanted is back", || {
            (inspect(&host, cli, "stopped-always", "{{.State.Status}}") == "running").then_some(())
        });
        for policy in ["no", "unless-stopped", "on-failure"] {
            assert_eq!(inspect(&host, cli, &format!("stopped-{policy}"), "{{.State.Status}}"), "exited", "{policy}");
        }
        assert_eq!(inspect(&host, cli, "created", "{{.State.Status}}"), "created");
        assert_eq!(pids(&host), before, "what ran was left alone");
        // one that died while nobody was there comes back, too
        let daemon = host.take_daemon();
        daemon.kill();
        for pid in &before {
            host.run("kill", &["-9", pid]).ok();
        }
        host.start();
        for policy in ["always", "unless-stopped", "on-failure"] {
            eventually("it is back", || {
                (inspect(&host, cli, &format!("running-{policy}"), "{{.State.Status}}") == "running").then_some(())
            });
        }
        assert_eq!(inspect(&host, cli, "running-no", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    }

    fn r_ctr_05_wrong_policies_are_refused(host, cli) {
        for (args, why) in [
            (&["--restart", "always", "--rm"][..], "conflicting options: cannot specify both --restart and --rm"),
            (&["--restart", "always:3"], "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
            (&["--restart", "no:3"], "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
            (&["--restart", "sometimes"], "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"),
            (&["--restart", "on-failure:-1"], "invalid restart policy: maximum retry count cannot be negative"),
            (&["--restart", "on-failure:x"], "invalid restart policy format: maximum retry count must be an integer"),
        ] {
            let said = host.cli(cli, &[&["run", "--name", "c1"], args, &["busybox", "true"]].concat()).fails(125);
            assert!(said.contains(why), "{args:?}: {said}");
        }
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sleep", "600"]).ok();
        host.cli(cli, &["update", "--restart", "always", "c1"]).ok();
        murder(&host, cli, "c1");
        eventually("the new policy holds", || (count(&host, cli, "c1") == 1).then_some(()));
    }

    fn r_ctr_01_one_that_removes_itself_can_be_restarted_and_committed(host, cli) {
        host.cli(cli, &["run", "-d", "--rm", "--name", "c1", "-w", "/made/here", "busybox", "sh", "-c", "echo run >> /file; sync; exec sleep 600"]).ok();
        for runs in 1..4 {
            eventually("it has begun", || (host.cli(cli, &["exec", "c1", "cat", "/file"]).stdout.lines().count() == runs).then_some(()));
            host.cli(cli, &["commit", "c1", "picture"]).ok();
            assert_eq!(host.cli(cli, &["run", "--rm", "picture", "wc", "-l", "/file"]).ok(), format!("{runs} /file"));
            host.cli(cli, &["restart", "-t", "0", "c1"]).ok();
        }
        host.cli(cli, &["kill", "c1"]).ok();
        eventually("it is gone", || (host.api().get("/containers/c1/json").status == 404).then_some(()));
        host.cli(cli, &["rmi", "picture"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_02_a_container_runs_again_and_again_with_its_files(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "echo run >> /file; cat /file | wc -l"]).ok();
        for runs in 2..10 {
            // at once: the mount of the run before may just be going
            assert_eq!(host.cli(cli, &["start", "-a", "c1"]).ok(), runs.to_string());
        }
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_11_checkpoints_are_refused_in_dockers_words(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sleep", "600"]).ok();
        for args in [&["create", "c1", "p1"][..], &["ls", "c1"], &["rm", "c1", "p1"]] {
            let said = host.cli(cli, &[&["checkpoint"], args].concat()).fails(1);
            let words = format!("checkpoint {} is only supported on a Docker daemon with experimental features enabled", args[0]);
            assert!(said.contains(&words), "{said}");
        }
        let said = host.cli(cli, &["start", "--checkpoint", "p1", "c1"]).fails(1);
        assert!(said.contains("\"--checkpoint\" is only supported on a Docker daemon with experimental features enabled"), "{said}");
        let off = "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.";
        let api = host.api();
        for (method, path, body) in [
            ("GET", "/containers/c1/checkpoints", json!(null)),
            ("POST", "/containers/c1/checkpoints", json!({ "CheckpointID": "p1" })),
            ("DELETE", "/containers/c1/checkpoints/p1", json!(null)),
        ] {
            let answer = api.call(method, path, body);
            assert_eq!((answer.status, answer.message().as_str()), (501, off), "{method} {path}");
        }
        let answer = api.call("POST", "/containers/c1/start?checkpoint=p1", json!(null));
        assert_eq!((answer.status, answer.message().as_str()), (400, "checkpoint is only supported in experimental mode"));
    }

    fn r_img_04_an_empty_image_has_no_command(host, cli) {
        // two blocks of zeros: an archive of nothing
        host.cli_with(cli, &["import", "-", "nothing"], &[0; 1024]).ok();
        let said = host.cli(cli, &["run", "--rm", "nothing"]).fails(125);
        assert!(said.contains("no command specified"), "{said}");
        let said = host.cli(cli, &["run", "--rm", "nothing", "true"]).fails(127);
        assert!(said.contains("exec: \"true\": executable file not found in $PATH"), "{said}");
        host.assert_no_leaks();
    }

    fn r_ctr_01_a_link_to_nobody(host, cli) {
        let said = host.cli(cli, &["create", "--link", "nosuch:x", "busybox", "true"]).fails(1);
        assert!(said.contains("could not get container for nosuch: No such container: nosuch"), "{said}");
        let body = json!({ "Image": "busybox", "HostConfig": { "Links": ["nosuch:x"] } });
        let answer = host.api().call("POST", "/containers/create", body);
        assert_eq!((answer.status, answer.message().as_str()), (400, "could not get container for nosuch: No such container: nosuch"));
        assert_eq!(host.cli(cli, &["ps", "-aq"]).ok(), "");
    }

    fn r_ctr_06_log_entries_carry_what_expressions_choose(host, cli) {
        host.cli(cli, &["run", "--name", "c1", "--log-opt", "labels-regex=^ti|^other$", "--log-opt", "labels=tier", "--log-opt", "env-regex=(?i)^os", "-l", "tier=1", "-l", "another=2", "-e", "OSX=q", "-e", "P=1", "busybox", "echo", "hi"]).ok();
        assert_eq!(host.cli(cli, &["logs", "--details", "c1"]).ok(), "OSX=q,tier=1 hi");
        host.cli(cli, &["create", "--name", "c2", "--log-opt", "labels-regex=[", "busybox", "true"]).ok();
        let said = host.cli(cli, &["start", "c2"]).fails(1);
        assert!(said.contains("failed to create task for container: failed to initialize logging driver: error parsing regexp: missing closing ]: `[`"), "{said}");
        assert_eq!(inspect(&host, cli, "c2", "{{.State.Status}} {{.State.ExitCode}}"), "created 128");
    }
}
