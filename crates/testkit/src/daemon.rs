//! One wharfd inside a test host: started, killed, started again over the same data.

use crate::api::Api;
use crate::host::Host;
use crate::wait::{self, PATIENCE};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A running daemon. Dropping it kills it; its containers go on.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    pidfd: OwnedFd,
}

impl Daemon {
    /// Starts wharfd in `host` with further `args` and fail points, and waits until it answers.
    pub(crate) fn start(host: &Host, args: &[&str], failpoints: &str, path: Option<&Path>) -> Self {
        let daemon = Self::spawn(host, args, failpoints, path);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(response) = Api::new(&host.socket()).try_send("GET", "/_ping", None, &[])
                && response.status == 200
            {
                return daemon;
            }
            let exited = wait::wait_readable(daemon.pidfd.as_fd(), Duration::from_millis(5));
            assert!(!exited && Instant::now() < end, "wharfd did not come up:\n{}", host.daemon_log());
        }
    }

    /// Starts wharfd without waiting for it.
    pub(crate) fn spawn(host: &Host, args: &[&str], failpoints: &str, path: Option<&Path>) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(host.dir().join("wharfd.log"));
        let child = host
            .enter("env")
            .args(path.map(|p| format!("PATH={}", p.display())))
            .arg(executable("wharfd"))
            .arg("--data-root")
            .arg(host.data_root())
            .args(["--exec-root", "/run/wharf", "--pidfile", "/run/wharfd.pid"])
            .arg("--cgroup-parent")
            .arg(host.cgroup_parent())
            .arg("-H")
            .arg(format!("unix://{}", host.socket().display()))
            .args(["-H", "unix:///run/wharf/wharf.sock"])
            .args(args)
            .env("WHARF_FAILPOINTS", failpoints)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("the daemon's log opens"))
            .spawn()
            .expect("nsenter starts");
        // nsenter forked into the PID namespace: the daemon is its child, and nsenter ends when the daemon does
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("a pidfd of our own child");
        Self { child, pidfd }
    }

    /// The daemon's PID as the machine sees it.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        wait::eventually("wharfd runs under nsenter", || {
            let pid = self.child.id();
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the orderly end; gives its exit status.
    pub fn stop(mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("our own child is waited for")
    }

    /// Waits until the daemon ended by itself (a fail point killed it).
    pub fn wait_dead(mut self) {
        assert!(wait::wait_readable(self.pidfd.as_fd(), PATIENCE), "wharfd lives on");
        let _ = self.child.wait();
    }

    /// Sends a signal to the daemon itself.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid() as i32) else { return };
        if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ = pidfd_send_signal(fd, signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Path of one of our executables: the folder that `WHARF_BIN` names, or the one this test was built into.
pub fn executable(name: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os("WHARF_BIN") {
        return PathBuf::from(dir).join(name);
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in <profile>/deps");
    let path = profile.join(name);
    assert!(path.exists(), "{} is not built: run the tests through ./x test", path.display());
    path
}
