//! Completion of command lines: what the client offers, and that shells offer it.

use wharf_testkit::{Cli, Host, Terminal};

/// A host with something to complete.
fn host() -> Host {
    let host = Host::boot();
    host.cli(Cli::Wharf, &["network", "create", "my-net"]).ok();
    host.cli(Cli::Wharf, &["volume", "create", "my-volume"]).ok();
    host.cli(Cli::Wharf, &["create", "--name", "made", "busybox"]).ok();
    host.cli(Cli::Wharf, &["run", "-d", "--name", "running", "busybox", "sleep", "600"]).ok();
    host
}

/// The words offered, without what they mean, and the directive.
fn offered(host: &Host, line: &[&str]) -> String {
    let text = host.cli(Cli::Wharf, &[&["__complete"], line].concat()).ok();
    text.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_come_from_the_engine() {
    let host = host();
    for (line, words) in [
        (&["start", ""][..], "made :4"),
        (&["stop", ""], "running :4"),
        (&["rm", ""], "made running :4"),
        (&["rm", "made", ""], "running :4"),
        (&["exec", "-it", "r"], "running :4"),
        (&["unpause", ""], ":4"),
        (&["run", ""], "busybox:latest :4"),
        (&["run", "--network", "m"], "my-net :4"),
        (&["run", "--network=m"], "my-net :4"),
        (&["run", "busybox:latest", ""], ":4"),
        (&["run", "--ipc", "container:"], "container:running :4"),
        (&["network", "rm", ""], "my-net :4"),
        (&["network", "connect", "my-net", "m"], "made :4"),
        (&["volume", "inspect", ""], "my-volume :4"),
        (&["cp", "m"], "made: :2"),
        (&["ps", "--filter", "name=m"], "name=made :4"),
        (&["inspect", "my"], "my-net my-volume :4"),
    ] {
        assert_eq!(offered(&host, line), words, "{line:?}");
    }
    let described = host.cli(Cli::Wharf, &["__complete", "start", ""]).ok();
    assert_eq!(described.lines().next(), Some("made\tbusybox (Created)"));
    let plain = host.cli(Cli::Wharf, &["__completeNoDesc", "start", ""]).ok();
    assert_eq!(plain, "made\n:4");
}

#[test]
fn nobody_is_started_or_told_where_no_engine_is() {
    let host = Host::boot();
    let elsewhere = format!("--host=unix://{}/nothing.sock", host.dir().display());
    let output = host.cli(Cli::Wharf, &["__complete", &elsewhere, "rm", ""]);
    assert_eq!((output.code, output.stdout.as_str()), (0, ":4\n"));
    assert!(!output.stderr.contains("annot connect"), "{}", output.stderr);
}

#[test]
fn help_says_how_it_is_switched_on() {
    let host = Host::boot();
    let help = host.cli(Cli::Wharf, &["completion", "bash", "--help"]).ok();
    assert!(help.contains("source <(wharf completion bash)"), "{help}");
    assert!(host.cli(Cli::Wharf, &["--help"]).ok().contains("\n  completion "));
    let wrong = host.cli(Cli::Wharf, &["completion", "bash", "more"]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
}

/// Types commands with a tab in them; each is complete when what it prints appears.
fn type_commands(shell: &mut Terminal) {
    for (line, answer) in [
        // a name
        ("wharf network inspect -f 'is {{.Name}}' my-n\t\n", "is my-net"),
        // a word with a colon, which bash cuts words at
        ("wharf run --rm busybox:la\techo a$((1+1))z\n", "a2z"),
        // a filter's value, and a flag's after `=`
        ("wharf ps -a --format 'it is {{.Names}}' --filter status=crea\t\n", "it is made"),
        ("wharf create --network=my-n\t--name other busybox && echo d$((1+1))ne\n", "d2ne"),
        // a command
        ("wharf vol\tinspect -f 'its {{.Name}}' my-\t\n", "its my-volume"),
    ] {
        shell.send(line);
        shell.expect(answer);
    }
}

#[test]
fn bash_completes() {
    let host = host();
    let mut shell = host.shell("bash", &["--norc", "--noprofile", "-i"]);
    shell.send("source <(wharf completion bash); echo rea$((1+1))y\n");
    shell.expect("rea2y");
    type_commands(&mut shell);
    // two tabs: a list with what each means
    shell.send("wharf container p\t\t");
    shell.expect("(Pause all processes within one or more containers)");
}

#[test]
fn zsh_completes() {
    let host = host();
    let mut shell = host.shell("zsh", &["-f", "-i"]);
    shell.send("autoload -U compinit; compinit -u -D; source <(wharf completion zsh); echo rea$((1+1))y\n");
    shell.expect("rea2y");
    type_commands(&mut shell);
    shell.send("wharf container p\t");
    shell.expect("Pause all processes within one or more containers");
}

#[test]
fn fish_completes() {
    let host = host();
    let asked = |line: &str| {
        let script = format!("wharf completion fish | source; complete -C '{line}'");
        let output = host.with_our_command("fish", &["--no-config", "-c", &script]).output().expect("fish runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(asked("wharf network inspect my-n"), "my-net\tbridge\n");
    assert_eq!(asked("wharf run --network=my"), "--network=my-net\tbridge\n");
    assert_eq!(asked("wharf run busybox:la"), "busybox:latest\n");
    assert_eq!(asked("wharf ps --filter status=crea"), "status=created\n");
    // files, where the program leaves that to the shell
    assert_eq!(asked("wharf load -i /etc/hostn"), "/etc/hostname\n");
}
