//! From a request to a process: descriptors into their places, the plan to the runtime, its errors into answers.

use std::os::fd::OwnedFd;

use rustix::process::Pid;
use serde::de::DeserializeOwned;
use wharf_logs::Timestamp;
use wharf_runtime::{CgroupFds, ExecFds, ExecPlan, ExecTarget, Init, LaunchError, LaunchErrorKind, LaunchFds, Plan};
use wharf_spec::runtime::NamespaceType;

use super::foreign::{Runtime, Spawned};
use super::process::{Pipes, Process};
use crate::protocol::{Exec, Failure, FdRole, Foreign, ForeignExec, Launch, Started, Target};

/// The descriptors of a request, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    cgroup: CgroupFds,
    namespaces: Vec<(NamespaceType, OwnedFd)>,
    root: Option<OwnedFd>,
    /// In the order of the request's [`crate::protocol::Attach`]es.
    pub(super) sockets: Vec<OwnedFd>,
}

impl Sorted {
    /// Gives each descriptor its role.
    pub(super) fn new(roles: &[FdRole], fds: Vec<OwnedFd>, sockets: usize) -> Result<Self, Failure> {
        if roles.len() != fds.len() {
            return Err(Failure::Malformed(format!("{} descriptors for {} roles", fds.len(), roles.len())));
        }
        let mut sorted = Self::default();
        for (role, fd) in roles.iter().zip(fds) {
            match role {
                FdRole::CgroupTasks => sorted.cgroup.tasks.push(fd),
                FdRole::CgroupDir => sorted.cgroup.v2 = Some(fd),
                FdRole::Root => sorted.root = Some(fd),
                FdRole::Netns => sorted.namespaces.push((NamespaceType::Network, fd)),
                FdRole::Attach => sorted.sockets.push(fd),
                FdRole::Namespace(flag) => sorted.namespaces.push((namespace(*flag)?, fd)),
            }
        }
        if sorted.sockets.len() != sockets {
            return Err(Failure::Malformed(format!("{} sockets for {sockets} clients", sorted.sockets.len())));
        }
        Ok(sorted)
    }
}

/// The namespace that a `CLONE_NEW*` flag stands for.
fn namespace(flag: u32) -> Result<NamespaceType, Failure> {
    Ok(match flag {
        0x0000_0080 => NamespaceType::Time,
        0x0002_0000 => NamespaceType::Mount,
        0x0200_0000 => NamespaceType::Cgroup,
        0x0400_0000 => NamespaceType::Uts,
        0x0800_0000 => NamespaceType::Ipc,
        0x1000_0000 => NamespaceType::User,
        0x2000_0000 => NamespaceType::Pid,
        0x4000_0000 => NamespaceType::Network,
        _ => return Err(Failure::Malformed(format!("namespace {flag:#x}"))),
    })
}

/// What is held until everybody has heard of the container's end, so that it goes with the keeper: whoever lets go of it last waits, for
/// the disk or for the kernel, and nobody who waits for the end shall.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The container's root.
    _root: Option<OwnedFd>,
    /// Its mount namespace.
    pub(super) mounts: Option<OwnedFd>,
}

/// Starts the container's first process. `beside` is done while the process makes itself the container's.
pub(super) fn launch<T>(
    number: u32,
    request: &Launch,
    sorted: Sorted,
    beside: impl FnOnce() -> Result<T, Failure>,
) -> Result<(Process, Held, T), Failure> {
    let plan: Plan = decode(&request.plan)?;
    let (theirs, ours) = pipes(request.tty, request.open_stdin)?;
    let Sorted { cgroup, namespaces, root, .. } = sorted;
    let fds = LaunchFds { stdio: theirs, cgroup, namespaces, root, ..LaunchFds::default() };
    let launching = wharf_runtime::begin(&plan, fds).map_err(refusal)?;
    let made = beside()?;
    let begun = start_ticks(launching.pid());
    let Init { pid, pidfd, console, root, mounts, .. } = launching.finish().map_err(refusal)?;
    let process = process(number, Target::Init, Spawned { pid, pidfd, console }, begun, ours, streams(request))?;
    Ok((process, Held { _root: root, mounts }, made))
}

/// The same by another runtime.
pub(super) fn launch_foreign(
    number: u32,
    request: &Launch,
    foreign: Foreign,
    sorted: Sorted,
) -> Result<(Process, Runtime), Failure> {
    let netns = sorted.namespaces.into_iter().find(|(kind, _)| *kind == NamespaceType::Network).map(|(_, fd)| fd);
    let runtime = Runtime::new(request, foreign, netns)?;
    let (theirs, ours) = pipes(request.tty, request.open_stdin)?;
    let spawned = runtime.launch(theirs)?;
    let begun = start_ticks(spawned.pid);
    let process =
        process(number, Target::Init, spawned, begun, ours, streams(request)).inspect_err(|_| runtime.delete())?;
    Ok((process, runtime))
}

fn streams(request: &Launch) -> Streams {
    let Launch { tty, open_stdin, stdin_once, .. } = *request;
    Streams { tty, open_stdin, stdin_once }
}

/// Starts an exec.
pub(super) fn exec(number: u32, request: &Exec, init: &Process, sorted: Sorted) -> Result<Process, Failure> {
    let plan: ExecPlan = decode(&request.plan)?;
    let (theirs, ours) = pipes(request.tty, request.stdin)?;
    let target = ExecTarget { pidfd: std::os::fd::AsFd::as_fd(&init.pidfd), pid: init.pid };
    let fds = ExecFds { stdio: theirs, cgroup: sorted.cgroup, ..ExecFds::default() };
    let Init { pid, pidfd, console, .. } = wharf_runtime::exec(&plan, target, fds).map_err(refusal)?;
    exec_process(number, request, Spawned { pid, pidfd, console }, ours)
}

/// The same by another runtime.
pub(super) fn exec_foreign(
    number: u32,
    request: &Exec,
    foreign: &ForeignExec,
    runtime: &Runtime,
) -> Result<Process, Failure> {
    let (theirs, ours) = pipes(request.tty, request.stdin)?;
    let spawned = runtime.exec(&request.id, &foreign.process, theirs)?;
    exec_process(number, request, spawned, ours)
}

fn exec_process(number: u32, request: &Exec, spawned: Spawned, ours: Pipes) -> Result<Process, Failure> {
    // the input of an exec always follows its one client
    let streams = Streams { tty: request.tty, open_stdin: request.stdin, stdin_once: true };
    let begun = start_ticks(spawned.pid);
    process(number, Target::Exec(request.id.clone()), spawned, begun, ours, streams)
}

fn pipes(tty: bool, open_stdin: bool) -> Result<(wharf_runtime::Stdio, Pipes), Failure> {
    let mut pipes =
        if tty { Pipes::console() } else { Pipes::new(open_stdin).map_err(|error| setup("pipe", error))? };
    Ok((std::mem::take(&mut pipes.theirs), pipes))
}

/// What the standard streams of a process are.
#[derive(Clone, Copy)]
struct Streams {
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
}

/// `begun`: [`start_ticks`] of the process.
fn process(
    number: u32,
    target: Target,
    spawned: Spawned,
    begun: u64,
    pipes: Pipes,
    streams: Streams,
) -> Result<Process, Failure> {
    let at = Timestamp::now();
    let Spawned { pid, pidfd, console } = spawned;
    let ours = pipes.ours(console).map_err(|error| setup("prepare standard streams", error));
    let (outputs, input) = ours.inspect_err(|_| {
        // it runs already, and nobody would ever read what it says
        let _ = wharf_sys::pidfd::kill(&pidfd, 9);
    })?;
    let started = Started { pid: pid.as_raw_nonzero().get() as u32, start_ticks: begun, at };
    let Streams { tty, open_stdin, stdin_once } = streams;
    // a terminal has a way in whether it was asked for or not
    let input = input.filter(|_| open_stdin);
    Ok(Process {
        number,
        target,
        pid,
        pidfd,
        started,
        tty,
        open_stdin,
        stdin_once,
        outputs,
        input,
        exit: None,
        drain_until: None,
    })
}

fn decode<P: DeserializeOwned>(plan: &[u8]) -> Result<P, Failure> {
    postcard::from_bytes(plan).map_err(|error| Failure::Malformed(format!("plan: {error}")))
}

/// What a launch error means to who asked.
fn refusal(error: LaunchError) -> Failure {
    let text = error.to_string();
    match error.kind() {
        LaunchErrorKind::NotFound => Failure::NotFound(text),
        LaunchErrorKind::NotExecutable => Failure::NotExecutable(text),
        LaunchErrorKind::Setup => Failure::Setup(text),
    }
}

/// A step of the keeper's own that went wrong.
pub(super) fn setup(operation: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Setup(format!("{operation}: {error}"))
}

/// Field 22 of `/proc/<pid>/stat`; 0 when the process is gone already.
fn start_ticks(pid: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // the name in brackets may hold anything; field 3 follows the last bracket
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split(' ').nth(22 - 3).and_then(|field| field.parse().ok()).unwrap_or(0)
}
