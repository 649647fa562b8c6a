//! OPS-06: Docker Engine, containerd and Podman with our `wharf-oci` as their runtime.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use wharf_testkit::{Host, busybox_archive, eventually, peers, program};

/// Another engine in a test host. The host's end is its end.
struct Engine {
    host: Host,
    path: String,
    oci: String,
    _daemon: Option<Child>,
}

impl Engine {
    fn new() -> Self {
        let oci = program("wharf-oci").display().to_string();
        Self { host: Host::bare(), path: peers(), oci, _daemon: None }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.host.dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder in the host's own");
        folder
    }

    /// A command of the other engine's.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.host.enter("env");
        command.arg(format!("PATH={}", self.path)).args(args);
        command
    }

    #[track_caller]
    fn say(&self, args: &[&str]) -> wharf_testkit::Output {
        let out = self.command(args).stdin(Stdio::null()).output().expect("nsenter starts");
        wharf_testkit::Output {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    fn daemon(&mut self, args: &[&str]) {
        let log = std::fs::File::create(self.host.dir().join("engine.log")).expect("a log file");
        let again = log.try_clone().expect("a descriptor");
        let child = self.command(args).stdin(Stdio::null()).stdout(log).stderr(again).spawn();
        self._daemon = Some(child.expect("nsenter starts"));
    }

    fn root_file_system(&self) -> PathBuf {
        let folder = self.folder("rootfs");
        let mut tar = Command::new("tar");
        let mut tar = tar.arg("-x").arg("-C").arg(&folder).stdin(Stdio::piped()).spawn().expect("tar starts");
        std::io::Write::write_all(&mut tar.stdin.take().expect("a pipe"), busybox_archive()).expect("tar reads");
        assert!(tar.wait().expect("our child").success());
        folder
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Debian's Docker Engine in a test host, with our runtime as `wharf`; gives its address.
fn docker_engine() -> (Engine, String) {
    let mut engine = Engine::new();
    let (data, exec) = (engine.folder("docker"), engine.folder("exec"));
    let socket = format!("unix://{}/docker.sock", engine.host.dir().display());
    let runtime = format!("wharf={}", engine.oci);
    let parent = engine.host.cgroup_parent().to_owned();
    let pidfile = engine.host.dir().join("docker.pid");
    engine.daemon(&[
        "dockerd",
        "--data-root",
        text(&data),
        "--exec-root",
        text(&exec),
        "-H",
        &socket,
        "--pidfile",
        text(&pidfile),
        "--iptables=false",
        "--ip6tables=false",
        "--bridge=none",
        "--storage-driver",
        "vfs",
        "--cgroup-parent",
        &parent,
        "--add-runtime",
        &runtime,
    ]);
    eventually("dockerd answers", || (engine.say(&["docker", "-H", &socket, "version"]).code == 0).then_some(()));
    (engine, socket)
}

#[test]
fn r_ops_06_docker_engine_uses_our_runtime() {
    let (engine, socket) = docker_engine();
    let docker = |args: &[&str]| engine.say(&[&["docker", "-H", &socket], args].concat());
    let root = engine.host.dir().join("busybox.tar");
    std::fs::write(&root, busybox_archive()).expect("a file");
    docker(&["import", text(&root), "busybox"]).ok();
    // every line must say and end the same by their own runtime and by ours
    let lines: &[&[&str]] = &[
        &["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"],
        &[
            "run",
            "--rm",
            "-h",
            "inside",
            "-e",
            "A=b",
            "-w",
            "/tmp",
            "-u",
            "1:50",
            "busybox",
            "sh",
            "-c",
            "hostname; echo $A; pwd; id -u; id -g",
        ],
        &["run", "--rm", "-m", "20m", "--pids-limit", "9", "--cpu-shares", "300", "busybox", "true"],
        &[
            "run",
            "--rm",
            "--read-only",
            "--tmpfs",
            "/run",
            "busybox",
            "sh",
            "-c",
            "touch /x 2>&1; touch /run/x && echo well",
        ],
        &["run", "--rm", "--cap-drop", "all", "--cap-add", "chown", "busybox", "grep", "Cap", "/proc/self/status"],
        &[
            "run",
            "--rm",
            "--security-opt",
            "no-new-privileges",
            "--ulimit",
            "nofile=77:88",
            "busybox",
            "sh",
            "-c",
            "grep NoNewPrivs /proc/self/status; ulimit -n",
        ],
        &["run", "--rm", "busybox", "cat", "/proc/self/cgroup", "/proc/kcore"],
        &["run", "--rm", "-v", "/etc:/host:ro", "busybox", "sh", "-c", "touch /host/x 2>&1"],
    ];
    for line in lines {
        let (first, rest) = line.split_first().expect("a command");
        let with = |runtime: &str| {
            let said = docker(&[&[*first, "--runtime", runtime, "--network", "none"], rest].concat());
            (said.code, said.stdout, said.stderr)
        };
        let (theirs, ours) = (with("runc"), with("wharf"));
        // what names the container differs from run to run
        let plain = |(code, out, err): (i32, String, String)| {
            let hex = |text: &str| {
                text.split(|c: char| !c.is_ascii_hexdigit())
                    .filter(|word| word.len() == 64)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let out = hex(&out).iter().fold(out.clone(), |text, id| text.replace(id.as_str(), "ID"));
            (code, out, err)
        };
        assert_eq!(plain(ours), plain(theirs), "{line:?}");
    }
    docker(&["run", "--runtime", "wharf", "--network", "none", "--rm", "busybox", "/nope"]).fails(127);
    docker(&["run", "--runtime", "wharf", "--network", "none", "--rm", "busybox", "/etc"]).fails(126);
    docker(&[
        "run",
        "-d",
        "--runtime",
        "wharf",
        "--network",
        "none",
        "--name",
        "c1",
        "-m",
        "20m",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 4' TERM; while true; do sleep 1; done",
    ])
    .ok();
    assert_eq!(docker(&["exec", "c1", "sh", "-c", "echo inside; exit 0"]).ok(), "inside");
    docker(&["exec", "c1", "sh", "-c", "exit 9"]).fails(9);
    docker(&["pause", "c1"]).ok();
    assert_eq!(docker(&["inspect", "-f", "{{.State.Status}}", "c1"]).ok(), "paused");
    docker(&["unpause", "c1"]).ok();
    docker(&["update", "-m", "30m", "--memory-swap", "60m", "c1"]).ok();
    assert!(docker(&["top", "c1"]).ok().contains("sleep 1"));
    assert!(docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "c1"]).ok().ends_with("/ 30MiB"));
    docker(&["stop", "c1"]).ok();
    assert_eq!(docker(&["wait", "c1"]).ok(), "4");
    docker(&["rm", "c1"]).ok();
}

#[test]
fn r_arch_01_our_client_works_against_docker_engine() {
    let (engine, socket) = docker_engine();
    let client = program("wharf").display().to_string();
    let wharf = |args: &[&str]| engine.say(&[&[client.as_str(), "-H", &socket], args].concat());
    let docker = |args: &[&str]| engine.say(&[&["docker", "-H", &socket], args].concat());
    let root = engine.host.dir().join("busybox.tar");
    std::fs::write(&root, busybox_archive()).expect("a file");
    let image = wharf(&["import", text(&root), "busybox"]).ok();
    assert_eq!(wharf(&["images", "--no-trunc", "-q"]).ok(), image);
    assert_eq!(wharf(&["run", "--rm", "--network", "none", "busybox", "echo", "hello"]).ok(), "hello");
    wharf(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "exit 7"]).fails(7);
    wharf(&["run", "--rm", "--network", "none", "busybox", "/nope"]).fails(127);
    let id = wharf(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "c1",
        "-v",
        "data:/data",
        "busybox",
        "sh",
        "-c",
        "echo line; exec sleep 600",
    ])
    .ok();
    assert_eq!(wharf(&["exec", "c1", "echo", "inside"]).ok(), "inside");
    eventually("the line is logged", || (wharf(&["logs", "c1"]).ok() == "line").then_some(()));
    // both clients say the same of the same things
    for line in [
        &["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.Status}}"][..],
        &["inspect", "-f", "{{.Id}} {{.State.Status}} {{json .Mounts}} {{.HostConfig.NetworkMode}}", "c1"],
        &["version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}"],
        &["info", "--format", "{{.Driver}} {{.Containers}} {{.ServerVersion}} {{(index .Runtimes \"wharf\").Path}}"],
        &["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"],
        &["volume", "inspect", "data"],
        &["history", "--no-trunc", "--format", "{{.ID}} {{.Comment}}", "busybox"],
        &["diff", "c1"],
        &["top", "c1", "-o", "pid,args"],
    ] {
        assert_eq!(wharf(line).ok(), docker(line).ok(), "{line:?}");
    }
    wharf(&["pause", "c1"]).ok();
    wharf(&["unpause", "c1"]).ok();
    wharf(&["rename", "c1", "c2"]).ok();
    assert!(wharf(&["inspect", "c1"]).fails(1).ends_with("No such object: c1"));
    wharf(&["stop", "-t", "0", "c2"]).ok();
    assert_eq!(wharf(&["wait", "c2"]).ok(), "137");
    assert_eq!(wharf(&["rm", &id]).ok(), id);
    assert_eq!(wharf(&["volume", "rm", "data"]).ok(), "data");
}

#[test]
fn r_ops_06_containerd_uses_our_runtime() {
    let mut engine = Engine::new();
    let root = engine.root_file_system();
    let (data, state) = (engine.folder("containerd"), engine.folder("state"));
    let socket = engine.host.dir().join("containerd.sock");
    engine.daemon(&["containerd", "--root", text(&data), "--state", text(&state), "--address", text(&socket)]);
    let ctr = |args: &[&str]| engine.say(&[&["ctr", "-a", text(&socket)], args].concat());
    eventually("containerd answers", || (ctr(&["version"]).code == 0).then_some(()));
    let group = format!("{}/c1", engine.host.cgroup_parent());
    let run = |more: &[&str], args: &[&str]| {
        let head = ["run", "--runc-binary", &engine.oci, "--cgroup", &group];
        ctr(&[&head, more, &["--rootfs", text(&root), "c1"], args].concat())
    };
    assert_eq!(run(&["--rm"], &["echo", "hello"]).ok(), "hello");
    run(&["--rm"], &["sh", "-c", "exit 7"]).fails(7);
    assert!(run(&["--rm"], &["/nope"]).fails(1).contains("/nope"));
    run(&["-d", "--memory-limit", "20000000"], &["sleep", "600"]).ok();
    let listed = ctr(&["task", "ls"]).ok();
    assert!(listed.contains("c1") && listed.contains("RUNNING"), "{listed}");
    assert_eq!(ctr(&["task", "exec", "--exec-id", "e1", "c1", "echo", "inside"]).ok(), "inside");
    ctr(&["task", "exec", "--exec-id", "e2", "c1", "sh", "-c", "exit 5"]).fails(5);
    ctr(&["task", "pause", "c1"]).ok();
    assert!(ctr(&["task", "ls"]).ok().contains("PAUSED"));
    ctr(&["task", "resume", "c1"]).ok();
    assert!(ctr(&["task", "ps", "c1"]).ok().lines().count() >= 2);
    ctr(&["task", "kill", "-s", "SIGKILL", "c1"]).ok();
    eventually("the task has ended", || ctr(&["task", "ls"]).ok().contains("STOPPED").then_some(()));
    ctr(&["task", "rm", "c1"]);
    ctr(&["container", "rm", "c1"]).ok();
}

#[test]
fn r_ops_06_podman_uses_our_runtime() {
    let engine = Engine::new();
    let root = engine.root_file_system();
    let (data, run, tmp) = (engine.folder("podman"), engine.folder("run"), engine.folder("tmp"));
    let parent = engine.host.cgroup_parent().to_owned();
    let podman = |args: &[&str]| {
        let head = [
            "podman",
            "--root",
            text(&data),
            "--runroot",
            text(&run),
            "--tmpdir",
            text(&tmp),
            "--runtime",
            &engine.oci,
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
            "--storage-driver",
            "vfs",
        ];
        engine.say(&[&head, args].concat())
    };
    let start = |more: &[&str], args: &[&str]| {
        let head = ["run", "--network", "none", "--cgroup-parent", &parent];
        podman(&[&head, more, &["--rootfs", text(&root)], args].concat())
    };
    assert_eq!(start(&["--rm"], &["echo", "hello"]).ok(), "hello");
    start(&["--rm"], &["sh", "-c", "exit 7"]).fails(7);
    start(&["--rm"], &["/nope"]).fails(127);
    start(&["--rm"], &["/etc"]).fails(126);
    assert_eq!(
        start(&["--rm", "-h", "inside", "-e", "A=b", "-w", "/tmp"], &["sh", "-c", "hostname; echo $A; pwd"]).ok(),
        "inside\nb\n/tmp"
    );
    start(&["-d", "--name", "c1", "-m", "20m"], &["sleep", "600"]).ok();
    assert_eq!(podman(&["exec", "c1", "echo", "inside"]).ok(), "inside");
    podman(&["exec", "c1", "sh", "-c", "exit 5"]).fails(5);
    podman(&["pause", "c1"]).ok();
    assert_eq!(podman(&["inspect", "-f", "{{.State.Status}}", "c1"]).ok(), "paused");
    podman(&["unpause", "c1"]).ok();
    assert_eq!(podman(&["ps", "--format", "{{.Names}}"]).ok(), "c1");
    podman(&["stop", "-t", "0", "c1"]).ok();
    assert_eq!(podman(&["inspect", "-f", "{{.State.ExitCode}}", "c1"]).ok(), "137");
    podman(&["rm", "c1"]).ok();
}
