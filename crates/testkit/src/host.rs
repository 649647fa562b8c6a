//! A machine of its own for one test: namespaces, an outside world, a daemon, and the two command lines.

use crate::api::Api;
use crate::daemon::{Daemon, executable};
use crate::image::busybox_archive;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Which command line drives the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cli {
    /// The stock `docker` client.
    Docker,
    /// Our own.
    Wharf,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; 128+n when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output without the trailing newline of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "exit {}: {}{}", self.code, self.stdout, self.stderr);
        self.stdout.trim_end().to_owned()
    }

    /// Standard error of a command that must have failed with `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout {:?} stderr {:?}", self.stdout, self.stderr);
        self.stderr.trim_end().to_owned()
    }
}

/// A namespace beside the host that plays the rest of the world (203.0.113.1).
#[derive(Debug)]
pub struct Outside {
    holder: Child,
}

impl Outside {
    /// The file of its network namespace.
    pub(crate) fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// A command in the outside world's network.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--").arg(program);
        command
    }
}

/// A hermetic machine with one daemon.
#[derive(Debug)]
pub struct Host {
    daemon: Option<Daemon>,
    holder: Child,
    init: u32,
    outside: Outside,
    dir: tempfile::TempDir,
    cgroup: String,
}

impl Host {
    /// A host whose daemon runs and has [`crate::IMAGE`].
    #[track_caller]
    pub fn boot() -> Self {
        Self::with_args(&[])
    }

    /// The same with further arguments to wharfd.
    #[track_caller]
    pub fn with_args(args: &[&str]) -> Self {
        let mut host = Self::bare();
        if foreign_engine().is_some() {
            host.remove_all_containers();
            for image in host.api().get("/images/json").json().as_array().into_iter().flatten() {
                let id = image["Id"].as_str().unwrap_or_default();
                host.api().call("DELETE", &format!("/images/{id}?force=1"), serde_json::Value::Null);
            }
            host.import_busybox();
            return host;
        }
        host.start_with(args, "");
        host.import_busybox();
        host
    }

    /// A host without a daemon.
    #[track_caller]
    pub fn bare() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::Builder::new().prefix("wh-").tempdir().expect("a temporary folder");
        let (holder, _) = hold(
            Command::new("unshare")
                .args(["--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"])
                .args(["--propagation", "private", "--", "sh", "-c", include_str!("host.sh"), "host"])
                .arg(dir.path()),
        );
        let init = first_child(holder.id());
        let (outside, _) =
            hold(Command::new("unshare").args(["--net", "sh", "-c", "ip link set lo up; echo ready; cat >/dev/null"]));
        let outside = Outside { holder: outside };
        let cgroup = format!("/wharf-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let host = Self { daemon: None, holder, init, outside, dir, cgroup };
        host.wire();
        host
    }

    /// Lays the wire between the host and the outside world.
    fn wire(&self) {
        let far = self.outside.holder.id();
        for line in [
            format!("ip link add eth0 type veth peer name wan0 netns {far}"),
            "ip addr add 203.0.113.2/24 dev eth0".to_owned(),
            "ip link set eth0 up".to_owned(),
            "ip route add default via 203.0.113.1".to_owned(),
        ] {
            // the PID of the far side is the machine's, so this must not enter the host's PID namespace
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/proc/{}/ns/net", self.init)).args(line.split(' '));
            run(command, &[]).ok();
        }
        for line in ["addr add 203.0.113.1/24 dev wan0", "link set wan0 up"] {
            let mut command = self.outside.command("ip");
            command.args(line.split(' '));
            run(command, &[]).ok();
        }
    }

    /// Lays a wire between two hosts: an interface of this name in each, up and without addresses.
    #[track_caller]
    pub fn join(&self, other: &Host, link: &str) {
        let enter = |host: &Host, line: &str| {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/proc/{}/ns/net", host.init)).args(line.split(' '));
            run(command, &[]).ok();
        };
        enter(self, &format!("ip link add {link} type veth peer name {link} netns {}", other.init));
        for host in [self, other] {
            enter(host, &format!("ip link set {link} up"));
        }
    }

    /// Starts the daemon (again), over the same data.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_with(&[], "");
    }

    /// Starts the daemon with further arguments and fail points (`name=kill;…`).
    #[track_caller]
    pub fn start_with(&mut self, args: &[&str], failpoints: &str) {
        assert!(self.daemon.is_none(), "the daemon runs");
        self.daemon = Some(Daemon::start(self, args, failpoints, None));
    }

    /// Starts the daemon with `path` as its whole `PATH`.
    #[track_caller]
    pub fn start_with_path(&mut self, path: &Path) {
        assert!(self.daemon.is_none(), "the daemon runs");
        self.daemon = Some(Daemon::start(self, &[], "", Some(path)));
    }

    /// The running daemon.
    #[track_caller]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon runs")
    }

    /// Takes the daemon out, to kill or stop it.
    #[track_caller]
    pub fn take_daemon(&mut self) -> Daemon {
        self.daemon.take().expect("the daemon runs")
    }

    /// `kill -9` of the daemon, and a new one.
    #[track_caller]
    pub fn crash_and_restart(&mut self) {
        self.take_daemon().kill();
        self.start();
    }

    /// Imports [`crate::IMAGE`] through the API.
    #[track_caller]
    pub fn import_busybox(&self) {
        let path = "/images/create?fromSrc=-&repo=busybox&tag=latest&changes=CMD+%5B%22sh%22%5D";
        let response = self.api().send("POST", path, Some("application/x-tar"), busybox_archive());
        assert_eq!(response.status, 200, "import: {}", response.message());
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(!text.contains("errorDetail"), "import: {text}");
    }

    /// A command inside the host (all its namespaces).
    pub fn enter(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--net", "--mount", "--pid", "--ipc", "--uts", "--"]);
        command.arg(program);
        command.current_dir("/");
        command
    }

    /// A command line, inside the host, aimed at the daemon.
    pub fn command(&self, cli: Cli) -> Command {
        let mut command = match cli {
            Cli::Docker => self.enter(std::env::var_os("DOCKER_CLI").unwrap_or_else(|| "docker".into())),
            Cli::Wharf => self.enter(executable("wharf")),
        };
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.dir().join("config"))
            .env("HOME", self.dir());
        command
    }

    /// A program inside the host that finds our command line by its name, with the engine in its environment.
    pub fn with_our_command(&self, program: &str, args: &[&str]) -> Command {
        let folder = executable("wharf").parent().expect("an executable lies somewhere").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)));
        let mut command = self.enter(program);
        command
            .args(args)
            .env("PATH", path.expect("folders without colons"))
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.dir().join("config"))
            .env("HOME", self.dir());
        command
    }

    /// Runs a command line to its end.
    #[track_caller]
    pub fn cli(&self, cli: Cli, args: &[&str]) -> Output {
        self.cli_with(cli, args, &[])
    }

    /// The same with standard input.
    #[track_caller]
    pub fn cli_with(&self, cli: Cli, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = self.command(cli);
        command.args(args);
        run(command, stdin)
    }

    /// The stock client, run to its end.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Output {
        self.cli(Cli::Docker, args)
    }

    /// Our client, run to its end.
    #[track_caller]
    pub fn wharf(&self, args: &[&str]) -> Output {
        self.cli(Cli::Wharf, args)
    }

    /// Any program inside the host, run to its end.
    #[track_caller]
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.enter(program);
        command.args(args);
        run(command, &[])
    }

    /// A program in the outside world, run to its end.
    #[track_caller]
    pub fn run_outside(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.outside.command(program);
        command.args(args);
        run(command, &[])
    }

    /// The daemon's API.
    pub fn api(&self) -> Api {
        Api::new(&self.socket())
    }

    /// The outside world.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// The API socket, reachable from the machine as well.
    pub fn socket(&self) -> PathBuf {
        foreign_engine().unwrap_or_else(|| self.dir.path().join("api.sock"))
    }

    /// Force-removes every container of the engine.
    pub fn remove_all_containers(&self) {
        for container in self.api().get("/containers/json?all=1").json().as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            self.api().call("DELETE", &format!("/containers/{id}?force=1&v=1"), serde_json::Value::Null);
        }
    }

    /// The folder that holds everything of this host.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's data root.
    pub fn data_root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The cgroup (in every hierarchy) under which the daemon puts its containers.
    pub fn cgroup_parent(&self) -> &str {
        &self.cgroup
    }

    /// PID 1 of the host as the machine sees it.
    pub fn init_pid(&self) -> u32 {
        self.init
    }

    /// What the daemon logged so far.
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.dir().join("wharfd.log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.daemon_log();
            let tail = log.len().saturating_sub(6000);
            let tail = (tail..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len());
            let _ = writeln!(std::io::stderr(), "--- wharfd log (end) ---\n{}", &log[tail..]);
        }
        self.daemon = None;
        for child in [&mut self.holder, &mut self.outside.holder] {
            let _ = child.kill();
            let _ = child.wait();
        }
        crate::leaks::remove_cgroups(&self.cgroup);
    }
}

/// The socket of another engine (`WHARF_TEST_ENGINE`), to hold the rows themselves against a real Docker, one at a time.
fn foreign_engine() -> Option<PathBuf> {
    std::env::var_os("WHARF_TEST_ENGINE").map(PathBuf::from)
}

/// Starts a holder of namespaces and waits until it says "ready".
#[track_caller]
fn hold(command: &mut Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare starts");
    let mut reader = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("the holder speaks");
    assert_eq!(line.trim(), "ready", "a test host needs root and util-linux, iproute2");
    (child, reader)
}

fn first_child(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().next().and_then(|c| c.parse().ok()).expect("unshare --fork has a child")
}

/// Runs a prepared command to its end, feeding it `stdin`.
#[track_caller]
pub(crate) fn run(mut command: Command, stdin: &[u8]) -> Output {
    use std::os::unix::process::ExitStatusExt;
    let input = if stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if let Some(mut pipe) = child.stdin.take() {
        let bytes = stdin.to_owned();
        std::thread::spawn(move || pipe.write_all(&bytes));
    }
    let output = child.wait_with_output().expect("our own child is waited for");
    Output {
        code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
