//! ARCH-02, ARCH-04, ARCH-11: how the daemon is configured, told to change, and told to stop.

use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use wharf_testkit::{Cli, Host, eventually, program};

fn write(host: &Host, text: &str) -> PathBuf {
    let path = host.dir().join("daemon.json");
    std::fs::write(&path, text).expect("written");
    path
}

/// Runs the daemon with these words; it must refuse.
#[track_caller]
fn refused(host: &Host, args: &[&str]) -> String {
    let data = host.data_root();
    let mut all =
        vec!["--data-root", data.to_str().expect("text"), "--exec-root", "/run/w", "-H", "unix:///run/w.sock"];
    all.extend(args);
    host.run(program("wharfd").to_str().expect("text"), &all).fails(1)
}

#[test]
fn r_arch_04_a_reload_changes_what_can_change() {
    let mut host = Host::bare();
    let file = write(&host, r#"{"labels": ["stage=one"], "insecure-registries": ["192.0.2.0/24"]}"#);
    host.start_with(&["--config-file", file.to_str().expect("text")], "");
    let info = |template: &str| host.docker(&["info", "-f", template]).ok();
    assert_eq!(info("{{json .Labels}} {{.Debug}}"), "[\"stage=one\"] false");

    write(
        &host,
        r#"{"labels": ["stage=two", "more=yes"], "insecure-registries": ["198.51.100.0/24"], "debug": true, "mtu": 1400,
            "registry-mirrors": ["https://mirror.example.net/"]}"#,
    );
    host.daemon().signal(Signal::HUP);
    eventually("the new labels are there", || {
        (info("{{json .Labels}}") == "[\"stage=two\",\"more=yes\"]").then_some(())
    });
    assert_eq!(info("{{.Debug}}"), "true");
    assert!(info("{{json .RegistryConfig}}").contains("198.51.100.0/24"), "{}", info("{{json .RegistryConfig}}"));
    assert!(!info("{{json .RegistryConfig}}").contains("192.0.2.0/24"), "{}", info("{{json .RegistryConfig}}"));
    assert_eq!(info("{{json .RegistryConfig.Mirrors}}"), "[\"https://mirror.example.net/\"]");
    for cli in [Cli::Docker, Cli::Wharf] {
        let told = crate::events(
            &host,
            cli,
            &["event=reload"],
            "{{.Type}} {{.Action}} {{index .Actor.Attributes \"labels\"}}",
        );
        assert_eq!(told, "daemon reload [\"stage=two\",\"more=yes\"]");
    }
    // what cannot change is said
    let log = host.daemon_log();
    assert!(log.contains("mtu: the new value holds from the next start on"), "{log}");

    // a file that is wrong changes nothing
    for (text, why) in [
        (
            r#"{"labels": ["stage=three"], "foo": 1}"#,
            "the following directives don't match any configuration option: foo",
        ),
        (r#"{"labels": ["nothing"]}"#, "bad attribute format: nothing"),
        (r#"{"labels": ["stage=three"], "registry-mirrors": ["ftp://x"]}"#, "mirror"),
        (r#"{"labels": "#, "invalid JSON"),
    ] {
        write(&host, text);
        let seen = host.daemon_log().len();
        host.daemon().signal(Signal::HUP);
        let said = eventually("the refusal is in the log", || {
            let log = host.daemon_log();
            log[seen..].contains("the configuration stays as it was").then(|| log[seen..].to_owned())
        });
        assert!(said.contains(why), "{text}: {said}");
        assert_eq!(info("{{json .Labels}}"), "[\"stage=two\",\"more=yes\"]");
    }
}

#[test]
fn r_arch_04_a_reload_brings_runtimes() {
    let mut host = Host::bare();
    let file = write(&host, r#"{"runtimes": {"going": {"path": "/nowhere"}}}"#);
    host.start_with(&["--config-file", file.to_str().expect("text")], "");
    host.import_busybox();
    host.docker(&["create", "--name", "old", "--runtime", "going", "busybox", "true"]).ok();
    let said = host.docker(&["create", "--runtime", "coming", "busybox", "true"]).fails(1);
    assert!(said.contains("unknown or invalid runtime name: coming"), "{said}");

    let ours = program("wharf-oci");
    let runtimes = format!(
        r#"{{"runtimes": {{"coming": {{"path": "{}", "runtimeArgs": ["--debug"]}}}}, "default-runtime": "coming"}}"#,
        ours.display()
    );
    write(&host, &runtimes);
    host.daemon().signal(Signal::HUP);
    let info = |template: &str| host.docker(&["info", "-f", template]).ok();
    eventually("the new default is there", || (info("{{.DefaultRuntime}}") == "coming").then_some(()));
    assert!(info("{{json .Runtimes}}").contains("\"coming\""), "{}", info("{{json .Runtimes}}"));
    assert!(!info("{{json .Runtimes}}").contains("going"), "{}", info("{{json .Runtimes}}"));
    assert_eq!(host.docker(&["run", "--name", "new", "busybox", "echo", "hello"]).ok(), "hello");
    assert_eq!(host.docker(&["inspect", "-f", "{{.HostConfig.Runtime}}", "new"]).ok(), "coming");
    let said = host.docker(&["start", "old"]).fails(1);
    assert!(said.contains("unknown or invalid runtime name: going"), "{said}");
    let told = crate::events(&host, Cli::Docker, &["event=reload"], "{{index .Actor.Attributes \"default-runtime\"}}");
    assert_eq!(told, "coming");

    // a default that does not exist changes nothing
    write(&host, r#"{"default-runtime": "nowhere"}"#);
    host.daemon().signal(Signal::HUP);
    eventually("the refusal is in the log", || {
        host.daemon_log().contains("specified default runtime 'nowhere' does not exist").then_some(())
    });
    assert_eq!(info("{{.DefaultRuntime}}"), "coming");
}

#[test]
fn r_arch_04_a_configuration_that_is_wrong_ends_the_start() {
    let host = Host::bare();
    let file = |text: &str| write(&host, text).to_string_lossy().into_owned();
    let path = file(r#"{"labels": ["a=b"], "bogus": 1, "other": 2}"#);
    let sentence = format!("unable to configure the daemon with file {path}: ");
    let said = refused(&host, &["--config-file", &path]);
    assert_eq!(said, format!("{sentence}the following directives don't match any configuration option: bogus, other"));
    file(r#"{"labels": ["a=b"]}"#);
    let said = refused(&host, &["--config-file", &path, "--label", "c=d"]);
    assert!(said.starts_with(&sentence) && said.contains("the following directives are specified both as a flag and in the configuration file: labels: (from flag: c=d, from file: a=b)"), "{said}");
    file("{");
    assert!(refused(&host, &["--config-file", &path]).starts_with(&format!("{sentence}invalid JSON")));
    let said = refused(&host, &["--config-file", "/nowhere.json"]);
    assert!(said.contains("/nowhere.json") && said.contains("No such file or directory"), "{said}");
    // checked without starting
    file(r#"{"labels": ["a=b"], "log-level": "debug"}"#);
    let wharfd = program("wharfd");
    let wharfd = wharfd.to_str().expect("text");
    let said = host.run(wharfd, &["--validate", "--config-file", &path]);
    assert_eq!(format!("{}{}", said.stdout, said.stderr).trim(), "configuration OK");
    file(r#"{"log-level": "loud"}"#);
    assert!(host.run(wharfd, &["--validate", "--config-file", &path]).fails(1).contains("loud"));
    for (mirror, why) in [
        ("nosuch", "invalid mirror: no scheme specified for \"nosuch\": must use either 'https://' or 'http://'"),
        (
            "ftp://a",
            "invalid mirror: unsupported scheme \"ftp\" in \"ftp://a\": must use either 'https://' or 'http://'",
        ),
        ("https://u:secret@a", "invalid mirror: username/password not allowed in URI"),
        ("https://a?x", "invalid mirror: query or fragment at end of the URI \"https://a?x\""),
    ] {
        let said = host.run(wharfd, &["--validate", "--registry-mirror", mirror]).fails(1);
        assert!(said.contains(why) && !said.contains("secret"), "{said}");
    }
    assert!(host.run(wharfd, &["--validate", "--insecure-registry", "http://x"]).fails(1).contains("scheme"));
    host.run(wharfd, &["--validate", "--registry-mirror", "https://mirror.example.net/path"]).ok();
    assert!(!host.data_root().exists(), "nothing was begun");
}

#[test]
fn r_arch_11_dockerds_flags_and_names() {
    let host = Host::bare();
    let folder = host.dir().join("bin");
    std::fs::create_dir(&folder).expect("a new folder");
    for (name, target) in [("dockerd", "wharfd"), ("docker", "wharf")] {
        std::os::unix::fs::symlink(program(target), folder.join(name)).expect("linked");
    }
    let called = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let help = host.run(&called("dockerd"), &["--help"]).ok();
    assert!(help.contains("Usage:\tdockerd [OPTIONS]") && help.contains("--data-root string"), "{help}");
    let wrong = host.run(&called("dockerd"), &["--bogus"]).fails(125);
    assert!(wrong.contains("unknown flag: --bogus") && wrong.contains("See 'dockerd --help'."), "{wrong}");
    let help = host.run(&called("docker"), &["--help"]).ok();
    assert!(help.contains("Usage:  docker [OPTIONS] COMMAND"), "{help}");
    assert!(host.run(&called("docker"), &["--version"]).ok().starts_with("Docker version "));

    // flags that mean nothing here are accepted, and it is said why
    let mut host = host;
    let harmless = [
        "--live-restore",
        "--containerd",
        "/run/x.sock",
        "--shutdown-timeout",
        "20",
        "--raw-logs",
        "--storage-opt",
        "x=y",
    ];
    host.start_with(&harmless, "");
    let log = host.daemon_log();
    for flag in ["--live-restore", "--containerd", "--shutdown-timeout", "--raw-logs", "--storage-opt"] {
        assert!(log.contains(&format!("{flag} has no effect: ")), "{flag}: {log}");
    }
    // those that would mislead are refused
    for (flag, value) in
        [("--userns-remap", "default"), ("--authorization-plugin", "x"), ("--metrics-addr", "127.0.0.1:1")]
    {
        let said = host.run(program("wharfd").to_str().expect("text"), &[flag, value]).fails(125);
        assert!(said.starts_with(&format!("Status: {flag}: ")), "{said}");
    }
}

#[test]
fn r_arch_11_signals() {
    let mut host = Host::boot();
    let id = host.docker(&["run", "-d", "busybox", "sleep", "600"]).ok();
    host.daemon().signal(Signal::USR1);
    let dump = eventually("the dump is written", || {
        let dump = host.run("cat", &["/run/wharf/wharfd-dump.log"]);
        (dump.code == 0 && dump.stdout.contains("VmRSS")).then_some(dump.stdout)
    });
    assert!(dump.contains("tasks alive: "), "{dump}");
    assert_eq!(host.api().get("/_ping").status, 200);
    for signal in [Signal::INT, Signal::TERM] {
        let daemon = host.take_daemon();
        daemon.signal(signal);
        // says it once more, which changes nothing
        assert!(daemon.stop().success(), "{signal:?}");
        assert!(!host.socket().exists(), "{signal:?}: the socket is gone");
        host.start();
        assert_eq!(host.docker(&["inspect", "-f", "{{.State.Running}}", &id]).ok(), "true", "{signal:?}");
    }
}

#[test]
fn r_arch_02_sockets_of_a_service_manager() {
    let host = Host::bare();
    let script = "import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind('/run/activated.sock')
listening.listen(16)
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])";
    let data = host.data_root();
    let log = std::fs::File::create(host.dir().join("activated.log")).expect("a log");
    let mut command = host.enter("python3");
    command.args(["-c", script]).arg(program("wharfd")).arg("--data-root").arg(&data);
    command.args(["--exec-root", "/run/wharf", "--cgroup-parent", host.cgroup_parent(), "-H", "fd://"]);
    let mut child = command.stdin(Stdio::null()).stderr(log).spawn().expect("python starts");
    // the socket exists before the daemon does: a client that comes early waits
    let answer = eventually("the daemon answers on the socket that it was given", || {
        let answer = host.run("docker", &["-H", "unix:///run/activated.sock", "info", "-f", "{{.Driver}}"]);
        (answer.code == 0).then_some(answer.stdout)
    });
    assert_eq!(answer.trim(), "overlay2");
    assert!(child.try_wait().expect("our own child").is_none());
    drop(host);
    let _ = child.wait();

    let host = Host::bare();
    let said = host.run(
        program("wharfd").to_str().expect("text"),
        &["--data-root", Path::new("/run/d").to_str().expect("text"), "--exec-root", "/run/w", "-H", "fd://"],
    );
    assert!(
        said.fails(1).contains("no sockets found via socket activation: make sure the service was started by systemd")
    );
}
