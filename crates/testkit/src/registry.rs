//! The embedded registry in a test: served in the outside world, spoken to byte by byte.

use crate::api::{Response, read_response};
use crate::daemon::executable;
use crate::host::{Host, Outside};
use crate::wait::{self, PATIENCE};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A registry at [`Registry::ADDRESS`] in the outside world of a host. Dropping it kills it; its folder stays with the host.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    namespace: PathBuf,
    root: PathBuf,
}

/// A connection to a registry.
pub type Connection = TcpStream;

impl Registry {
    /// Where it listens, as the host sees it.
    pub const ADDRESS: &str = "203.0.113.1:5000";

    /// Serves `root` with further arguments, and waits until clients can come.
    #[track_caller]
    pub fn serve(host: &Host, root: &Path, args: &[&str]) -> Self {
        Self::serve_with(host, root, args, "")
    }

    /// The same with fail points.
    #[track_caller]
    pub fn serve_with(host: &Host, root: &Path, args: &[&str], failpoints: &str) -> Self {
        let mut command = host.outside().command(executable("wharf"));
        command.args(["registry", "serve", "--addr", Self::ADDRESS, "--root"]).arg(root).args(args);
        command.env("WHARF_FAILPOINTS", failpoints);
        Self::start(host.outside(), command, root, "serving ")
    }

    /// Starts any registry with `command`, which says `ready` on standard error when clients can come.
    #[track_caller]
    pub fn start(outside: &Outside, mut command: Command, root: &Path, ready: &str) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut said = String::new();
        loop {
            let begin = said.len();
            let read = lines.read_line(&mut said).expect("the registry speaks");
            assert!(read > 0, "the registry ended:\n{said}");
            if said[begin..].contains(ready) {
                break;
            }
        }
        // its log must not fill the pipe
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, namespace: outside.namespace(), root: root.to_owned() }
    }

    /// The data folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A connection of one's own.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("the registry listens")
    }

    fn try_connect(&self) -> std::io::Result<Connection> {
        let namespace = std::fs::File::open(&self.namespace).expect("the outside world is there");
        // a socket stays in the namespace that it was made in; this thread must not
        let connected = std::thread::spawn(move || {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), None)?;
            TcpStream::connect(Self::ADDRESS)
        });
        let stream = connected.join().expect("connecting does not panic")?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// Sends a request with further header lines.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_send(method, path, headers, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// The same to a registry that may be gone.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Response> {
        let mut stream = self.try_connect()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || !matches!(method, "GET" | "HEAD") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        // an answer may come before the whole body was taken: what it says counts
        let _ = stream.write_all(body);
        if method == "HEAD" { crate::api::read_head(stream) } else { read_response(stream) }
    }

    /// Sends a request without a body.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], &[])
    }

    /// SIGTERM.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM, and waits for the orderly end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("our own child")
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Waits until it ended by itself.
    #[track_caller]
    pub fn wait_dead(mut self) -> ExitStatus {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).expect("a pidfd of our own child");
        assert!(wait::wait_readable(pidfd.as_fd(), PATIENCE), "the registry lives on");
        self.child.wait().expect("our own child")
    }

    fn signal(&self, signal: Signal) {
        if let Ok(fd) = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()) {
            let _ = pidfd_send_signal(fd, signal);
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
