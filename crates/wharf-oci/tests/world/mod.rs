//! A folder of states, a bundle with busybox, a cgroup parent of one's own; dropped, nothing may be left of any container.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) parent: String,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    #[track_caller]
    pub(crate) fn fails_with(self, sentence: &str) -> Self {
        assert_ne!(self.code, 0, "stdout: {}", self.out);
        assert!(self.err.contains(sentence), "expected {sentence:?} in {:?}", self.err);
        self
    }
}

impl World {
    /// A bundle that runs `args`.
    pub(crate) fn new(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let world = Self { dir, parent: format!("wharf-oci-test-{}-{number}", std::process::id()) };
        let root = world.rootfs();
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
            std::fs::create_dir_all(root.join(folder)).expect("a folder in a new root");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
        for applet in [
            "sh", "sleep", "cat", "true", "false", "id", "stty", "ls", "mount", "hostname", "head", "dd", "echo",
            "readlink", "kill", "env", "pwd",
        ] {
            symlink("busybox", root.join("bin").join(applet)).expect("a link in a new root");
        }
        world.oci(&["spec", "--bundle", world.bundle().to_str().expect("a plain path")]).ok();
        world.change(|spec| {
            spec["process"]["terminal"] = json!(false);
            spec["process"]["args"] = json!(args);
            spec["root"]["readonly"] = json!(false);
            spec["linux"]["cgroupsPath"] = json!(format!("/{}/c", world.parent));
        });
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.path().to_owned()
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    pub(crate) fn states(&self) -> PathBuf {
        self.path().join("states")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config.json")
    }

    pub(crate) fn spec(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.config()).expect("a document")).expect("JSON")
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut spec = self.spec();
        change(&mut spec);
        std::fs::write(self.config(), spec.to_string()).expect("a document");
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf-oci"));
        command.arg("--root").arg(self.states()).args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn oci(&self, args: &[&str]) -> Said {
        Said::new(self.command(args).output().expect("wharf-oci runs"))
    }

    /// Creates `c` with its output on a pipe; the program waits for `start`.
    pub(crate) fn create(&self) -> Lines {
        self.create_with(&[])
    }

    pub(crate) fn create_with(&self, options: &[&str]) -> Lines {
        let args = [&["create"], options, &["c"]].concat();
        let mut child =
            self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wharf-oci runs");
        let status = child.wait().expect("a child");
        let mut lines = Lines::new(&mut child);
        if !status.success() {
            panic!("create: {}", lines.error());
        }
        lines
    }

    /// Creates and starts `c`, whose program says `ready` when it is.
    pub(crate) fn running(&self) -> Lines {
        let mut lines = self.create();
        self.oci(&["start", "c"]).ok();
        assert_eq!(lines.next(), "ready");
        lines
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.oci(&["state", "c"]).ok()).expect("JSON")
    }

    pub(crate) fn status(&self) -> String {
        self.state()["status"].as_str().expect("a word").to_owned()
    }

    /// Folders of the container's cgroup in every hierarchy of this machine.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("a mount table");
        let points = mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
        let points = points.filter(|point| point.starts_with("/sys/fs/cgroup"));
        points.map(|point| Path::new(point).join(&self.parent)).filter(|path| path.exists()).collect()
    }

    /// The content of a cgroup file of the container.
    pub(crate) fn limit(&self, controller: &str, file: &str) -> Option<String> {
        let path = Path::new("/sys/fs/cgroup").join(controller).join(&self.parent).join("c").join(file);
        std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    }

    /// Nothing may be left but what the test has made.
    pub(crate) fn assert_clean(&self) {
        let left: Vec<_> =
            std::fs::read_dir(self.states()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "states left: {left:?}");
        for folder in self.cgroups() {
            assert!(!folder.join("c").exists(), "cgroup left: {folder:?}/c");
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("a mount table");
        assert!(!mounts.contains(self.path().to_str().expect("a plain path")), "mount left");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.states()).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let said = self.oci(&["delete", "--force", &id]);
            assert!(said.code == 0 || std::thread::panicking(), "delete {id}: {}", said.err);
        }
        if !std::thread::panicking() {
            self.assert_clean();
        }
        for folder in self.cgroups() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Lines of a program's output, read as they come.
pub(crate) struct Lines {
    out: BufReader<ChildStdout>,
    err: Option<std::process::ChildStderr>,
}

impl Lines {
    pub(crate) fn new(child: &mut Child) -> Self {
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { out, err: child.stderr.take() }
    }

    pub(crate) fn next(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a pipe");
        line.trim_end().to_owned()
    }

    /// Everything until the last writer has gone.
    pub(crate) fn rest(mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).expect("a pipe");
        text
    }

    pub(crate) fn error(&mut self) -> String {
        let mut text = String::new();
        let _ = self.err.take().expect("a pipe").read_to_string(&mut text);
        text
    }
}

/// Waits until the process has ended.
pub(crate) fn await_end(pid: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return };
    if let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).expect("poll");
    }
}

/// A program that says `ready` and then waits to be killed.
pub(crate) const READY: &[&str] = &["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done"];
