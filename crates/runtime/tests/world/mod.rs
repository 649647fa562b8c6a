//! A world for kernel tests: a root file system around a static busybox, Docker's usual document, and launches from a forked
//! child, because the runtime wants a caller with one thread.
#![allow(dead_code, reason = "each test binary uses its part")]

use rustix::fd::OwnedFd;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use wharf_runtime::{Init, LaunchError, LaunchFds, Plan, PlanOptions, Root, Stdio, launch, plan};
use wharf_spec::runtime::Spec;
use wharf_sys::clone::{Side, fork};
use wharf_sys::pidfd;

/// A root file system that is removed with it.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

/// What a container did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) output: String,
}

impl World {
    pub(crate) fn new() -> World {
        let dir = tempfile::tempdir().expect("temporary folder");
        let root = dir.path().join("rootfs");
        for name in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "home"] {
            std::fs::create_dir_all(root.join(name)).expect("folder");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("static busybox in /bin");
        for applet in [
            "sh", "cat", "ls", "id", "mount", "stat", "sleep", "readlink", "hostname", "grep", "env", "tty", "ip",
            "true",
        ] {
            symlink("busybox", root.join("bin").join(applet)).expect("link");
        }
        std::fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .expect("passwd");
        World { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Docker's usual document for a shell script.
    pub(crate) fn document(&self, script: &str) -> Value {
        let mut document: Value = serde_json::from_str(include_str!("docker.json")).expect("JSON");
        document["process"]["args"] = json!(["sh", "-c", script]);
        document
    }

    pub(crate) fn options(&self) -> PlanOptions {
        PlanOptions { id: "test".into(), bundle: self.path().to_owned(), ..PlanOptions::default() }
    }

    pub(crate) fn plan(&self, document: &Value) -> Plan {
        let spec: Spec = serde_json::from_value(document.clone()).expect("a document");
        let plan = plan(&spec, &self.options()).expect("a plan");
        // as the keeper gets it
        let bytes = postcard::to_stdvec(&plan).expect("serialisable");
        let again: Plan = postcard::from_bytes(&bytes).expect("the same");
        assert_eq!(plan, again);
        again
    }

    /// The same root as an overlay.
    pub(crate) fn overlay(&self) -> Root {
        let (upper, work) = (self.path().join("upper"), self.path().join("work"));
        std::fs::create_dir_all(&upper).expect("folder");
        std::fs::create_dir_all(&work).expect("folder");
        Root::Overlay(wharf_runtime::Overlay::new(&[self.rootfs()], upper, work).expect("paths"))
    }

    /// Runs the document to its end.
    pub(crate) fn run(&self, document: &Value) -> Result<Outcome, String> {
        self.run_plan(&self.plan(document))
    }

    pub(crate) fn run_plan(&self, plan: &Plan) -> Result<Outcome, String> {
        self.run_with(plan, |_| {})
    }

    /// As an ordinary user without any right.
    pub(crate) fn run_as(&self, user: u32, plan: &Plan) -> Result<Outcome, String> {
        with_launcher(|| {
            let mut fds = LaunchFds::default();
            let reader = output(&mut fds);
            wharf_sys::ids::setgroups(&[]).expect("root");
            wharf_sys::ids::set_gid(user).expect("root");
            wharf_sys::ids::set_uid(user).expect("root");
            // changing the user made the process opaque; an ordinary user's is not
            wharf_sys::prctl::set_dumpable(true).expect("no right needed");
            let init = launch(plan, fds).map_err(|error| describe(&error))?;
            let output = read_all(reader);
            Ok(Outcome { status: pidfd::wait(&init.pidfd).expect("our child").status(), output })
        })
    }

    pub(crate) fn run_with(&self, plan: &Plan, more: impl FnOnce(&mut LaunchFds)) -> Result<Outcome, String> {
        with_launcher(|| {
            let mut fds = LaunchFds::default();
            let reader = output(&mut fds);
            more(&mut fds);
            let init = launch(plan, fds).map_err(|error| describe(&error))?;
            let output = read_all(reader);
            Ok(Outcome { status: pidfd::wait(&init.pidfd).expect("our child").status(), output })
        })
    }
}

pub(crate) fn describe(error: &LaunchError) -> String {
    format!("{}|{}", error.exit_code(), error)
}

/// Gives the program `/dev/null` and a pipe; returns the pipe's end.
pub(crate) fn output(fds: &mut LaunchFds) -> OwnedFd {
    let (reader, stdio) = pipes();
    fds.stdio = stdio;
    reader
}

pub(crate) fn pipes() -> (OwnedFd, Stdio) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    let stdin = OwnedFd::from(std::fs::File::open("/dev/null").expect("null"));
    let stderr = writer.try_clone().expect("dup");
    (reader, Stdio::Fds { stdin, stdout: writer, stderr })
}

pub(crate) fn read_all(fd: OwnedFd) -> String {
    let mut text = Vec::new();
    // a terminal's master says EIO at its end
    let _ = std::fs::File::from(fd).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs `work` in a forked process with a single thread and brings back what it returned.
pub(crate) fn with_launcher(work: impl FnOnce() -> Result<Outcome, String>) -> Result<Outcome, String> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    match fork().expect("fork") {
        Side::Child => {
            drop(reader);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let text = match result {
                Ok(Ok(outcome)) => format!("+{}|{}", outcome.status, outcome.output),
                Ok(Err(error)) => format!("-{error}"),
                Err(_) => "!panic in the launcher".to_owned(),
            };
            let _ = std::fs::File::from(writer).write_all(text.as_bytes());
            wharf_sys::clone::exit(0)
        }
        Side::Parent { pidfd, .. } => {
            drop(writer);
            let text = read_all(reader);
            pidfd::wait(&pidfd).expect("our child");
            let (sign, rest) = text.split_at(1.min(text.len()));
            match sign {
                "+" => {
                    let (status, output) = rest.split_once('|').expect("status|output");
                    Ok(Outcome { status: status.parse().expect("a number"), output: output.to_owned() })
                }
                "-" => Err(rest.to_owned()),
                _ => panic!("the launcher said {text:?}"),
            }
        }
    }
}

/// Ends a container and reaps it.
pub(crate) fn finish(init: &Init) {
    pidfd::kill(&init.pidfd, 9).expect("alive");
    pidfd::wait(&init.pidfd).expect("our child");
}

/// Output of a run that must succeed.
#[track_caller]
pub(crate) fn ok(outcome: Result<Outcome, String>) -> String {
    let outcome = outcome.expect("launch");
    assert_eq!(outcome.status, 0, "{}", outcome.output);
    outcome.output
}
