//! ARCH-03: TLS between client and daemon, through both command lines.

use crate::registry_folder::certificates;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use wharf_testkit::{Cli, Host, Output, eventually};

const ADDRESS: &str = "tcp://127.0.0.1:2376";

/// A host whose daemon lets in only clients with a certificate of the CA in the folder `ours`.
fn host() -> Host {
    let mut host = Host::bare();
    let folder = certificates(&host, "ours");
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (ca, certificate, key) = (file("ca.pem"), file("tls.crt"), file("tls.key"));
    let args =
        ["--tlsverify", "--tlscacert", &ca, "--tlscert", &certificate, "--tlskey", &key, "-H", "tcp://0.0.0.0:2376"];
    host.start_with(&args, "");
    host.import_busybox();
    host
}

/// The global flags of a client with the certificates in `folder`.
fn flags(folder: &Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut flags = vec!["-H".to_owned(), ADDRESS.into(), "--tlsverify".into()];
    for (flag, name) in [("--tlscacert", "ca.pem"), ("--tlscert", "cert.pem"), ("--tlskey", "key.pem")] {
        flags.extend([flag.to_owned(), file(name)]);
    }
    flags
}

fn secure(host: &Host, cli: Cli, args: &[&str], stdin: &[u8]) -> Output {
    let flags = flags(&host.dir().join("ours"));
    let all: Vec<&str> = flags.iter().map(String::as_str).chain(args.iter().copied()).collect();
    host.cli_with(cli, &all, stdin)
}

/// A client that finds everything in its environment.
fn by_environment(host: &Host, cli: Cli, folder: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = host.command(cli);
    command.args(["images", "--format", "{{.Repository}}"]).env("DOCKER_HOST", ADDRESS).env("DOCKER_CERT_PATH", folder);
    let output = command.envs(variables.iter().copied()).stdin(Stdio::null()).output().expect("the client runs");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn r_arch_03_only_clients_with_a_good_certificate_are_let_in() {
    let host = host();
    let (ours, other, alone) = (host.dir().join("ours"), certificates(&host, "other"), host.dir().join("alone"));
    std::fs::create_dir(&alone).expect("a new folder");
    std::fs::copy(ours.join("ca.pem"), alone.join("ca.pem")).expect("copied");
    let mixed = host.dir().join("mixed");
    std::fs::create_dir(&mixed).expect("a new folder");
    for (from, name) in [(&ours, "ca.pem"), (&other, "cert.pem"), (&other, "key.pem")] {
        std::fs::copy(from.join(name), mixed.join(name)).expect("copied");
    }
    let verify = [("DOCKER_TLS_VERIFY", "1")];
    for cli in [Cli::Docker, Cli::Wharf] {
        assert_eq!(by_environment(&host, cli, &ours, &verify).ok(), "busybox");
        assert_eq!(secure(&host, cli, &["version", "-f", "{{.Server.APIVersion}}"], b"").ok(), "1.51");
        let none = by_environment(&host, cli, &alone, &verify).fails(1);
        assert!(none.contains("certificate required"), "{cli:?}: {none}");
        let foreign = by_environment(&host, cli, &mixed, &verify).fails(1);
        assert!(foreign.contains("remote error: tls: "), "{cli:?}: {foreign}");
        // a client that does not trust the daemon
        let distrust = by_environment(&host, cli, &other, &verify).fails(1);
        assert!(distrust.contains("certificate signed by unknown authority"), "{cli:?}: {distrust}");
        // one that does not speak TLS at all
        let plain = host.cli(cli, &["-H", ADDRESS, "version"]).fails(1);
        assert!(plain.contains("Client sent an HTTP request to an HTTPS server."), "{cli:?}: {plain}");
        // encrypted, but whoever it is: TLS without verification
        assert_eq!(by_environment(&host, cli, &ours, &[("DOCKER_TLS", "1")]).ok(), "busybox");
        let missing = by_environment(&host, cli, Path::new("/nowhere"), &verify).fails(1);
        assert!(missing.contains("/nowhere/ca.pem: no such file or directory"), "{cli:?}: {missing}");
    }
}

#[test]
fn r_arch_03_streams_of_every_kind() {
    let host = host();
    for (cli, name) in [(Cli::Docker, "one"), (Cli::Wharf, "two")] {
        let echoed =
            secure(&host, cli, &["run", "-i", "--rm", "busybox", "cat"], &b"through and through\n".repeat(20_000));
        assert_eq!(echoed.ok().len(), 400_000 - 1, "{cli:?}");
        secure(
            &host,
            cli,
            &[
                "run",
                "-d",
                "--name",
                name,
                "busybox",
                "sh",
                "-c",
                "echo begun; cat /proc/uptime >/dev/null; exec sleep 600",
            ],
            b"",
        )
        .ok();
        assert_eq!(secure(&host, cli, &["exec", "-i", name, "sh", "-c", "cat; exit 4"], b"in").stdout, "in", "{cli:?}");
        assert_eq!(secure(&host, cli, &["exec", name, "sh", "-c", "exit 4"], b"").code, 4);

        let all = flags(&host.dir().join("ours"));
        let words = |last: &[&'static str]| -> Vec<String> {
            all.iter().cloned().chain(last.iter().map(|w| (*w).to_owned())).collect()
        };
        let words = words(&["run", "-it", "--rm", "busybox", "sh"]);
        let mut terminal = host.terminal(cli, &words.iter().map(String::as_str).collect::<Vec<_>>());
        terminal.expect("# ");
        terminal.send("stty size; exit 9\n");
        terminal.expect("24 80");
        assert_eq!(terminal.wait().0, 9, "{cli:?}");

        // a log that is followed ends with the container
        let mut command = host.command(cli);
        let follow = command.args(&all).args(["logs", "-f", name]).stdout(Stdio::piped()).spawn().expect("it starts");
        secure(&host, cli, &["exec", name, "sh", "-c", "echo more >/proc/1/fd/1"], b"").ok();
        eventually("the line is in the log", || {
            secure(&host, cli, &["logs", name], b"").stdout.contains("more").then_some(())
        });
        secure(&host, cli, &["kill", name], b"").ok();
        let followed = follow.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&followed.stdout), "begun\nmore\n", "{cli:?}");

        // what is typed reaches an attached container, and its end reaches the client
        let attached =
            secure(&host, cli, &["create", "-i", "busybox", "sh", "-c", "read x; echo got $x; exit 3"], b"").ok();
        let mut command = host.command(cli);
        command.args(&all).args(["start", "-ai", &attached]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(b"this\n").expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"got this\n"[..]), "{cli:?}");
    }
}

#[test]
fn r_arch_03_contexts_bring_their_certificates() {
    let host = host();
    let ours = host.dir().join("ours");
    let file = |name: &str| ours.join(name).to_string_lossy().into_owned();
    let full = format!("host={ADDRESS},ca={},cert={},key={}", file("ca.pem"), file("cert.pem"), file("key.pem"));
    let blind = format!("host={ADDRESS},cert={},key={},skip-tls-verify=true", file("cert.pem"), file("key.pem"));
    let bare = format!("host={ADDRESS},ca={}", file("ca.pem"));
    let images = ["images", "--format", "{{.Repository}}"];
    for cli in [Cli::Docker, Cli::Wharf] {
        let with = |name: &str| {
            let mut command = host.command(cli);
            command.env_remove("DOCKER_HOST").args(["--context", name]).args(images);
            let output = command.output().expect("the client runs");
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stdout).trim().to_owned() + &String::from_utf8_lossy(&output.stderr),
            )
        };
        for (name, endpoint) in [("full", &full), ("blind", &blind), ("bare", &bare)] {
            host.cli(cli, &["context", "create", name, "--docker", endpoint]).ok();
        }
        assert_eq!(with("full"), (Some(0), "busybox".to_owned()), "{cli:?}");
        assert_eq!(with("blind"), (Some(0), "busybox".to_owned()), "{cli:?}");
        let (code, said) = with("bare");
        assert!(code == Some(1) && said.contains("certificate required"), "{cli:?}: {said}");
        for name in ["full", "blind", "bare"] {
            host.cli(cli, &["context", "rm", name]).ok();
        }
    }
}

#[test]
fn r_arch_03_an_unprotected_address_is_shouted_about() {
    let host = Host::with_args(&["-H", "tcp://0.0.0.0:2375"]);
    let log = host.daemon_log();
    assert!(
        log.contains("Binding to IP address without --tlsverify is insecure and gives root access on this machine"),
        "{log}"
    );
    for cli in [Cli::Docker, Cli::Wharf] {
        let info = host.cli(cli, &["info"]);
        let text = format!("{}{}", info.stdout, info.stderr);
        assert!(
            text.contains("[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption."),
            "{cli:?}: {text}"
        );
        assert!(text.contains("Access to the remote API is equivalent to root access on the host."), "{cli:?}: {text}");
    }
    drop(host);
    let mut host = Host::bare();
    let folder = certificates(&host, "ours");
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (certificate, key) = (file("tls.crt"), file("tls.key"));
    host.start_with(&["--tls", "--tlscert", &certificate, "--tlskey", &key, "-H", "tcp://0.0.0.0:2376"], "");
    let info = host.wharf(&["info"]);
    let text = format!("{}{}", info.stdout, info.stderr);
    assert!(text.contains("API is accessible on https://0.0.0.0:2376 without TLS client verification."), "{text}");
}

#[test]
fn r_arch_03_certificates_that_cannot_be_used_end_the_start() {
    let host = Host::bare();
    let (one, two) = (certificates(&host, "one"), certificates(&host, "two"));
    let file = |folder: &Path, name: &str| folder.join(name).to_string_lossy().into_owned();
    let program = wharf_testkit::program("wharfd");
    let start = |certificate: &str, key: &str| {
        let data = host.data_root();
        let args = [
            "--data-root",
            data.to_str().expect("text"),
            "--exec-root",
            "/run/wharf",
            "-H",
            "tcp://127.0.0.1:2376",
            "--tls",
            "--tlscert",
            certificate,
            "--tlskey",
            key,
        ];
        host.run(program.to_str().expect("text"), &args).fails(1)
    };
    let missing = start("/nowhere/cert.pem", &file(&one, "tls.key"));
    assert!(missing.contains("failed to start daemon: open /nowhere/cert.pem: No such file or directory"), "{missing}");
    let crossed = start(&file(&one, "tls.crt"), &file(&two, "tls.key"));
    assert!(
        crossed.contains("failed to start daemon: certificate ")
            && crossed.contains("KeyMismatch")
                | crossed.contains("keys may not be consistent")
                | crossed.contains("inconsistent"),
        "{crossed}"
    );
    let rubbish = start(&file(&one, "tls.key"), &file(&one, "tls.key"));
    assert!(rubbish.contains("no certificate in it"), "{rubbish}");
}
