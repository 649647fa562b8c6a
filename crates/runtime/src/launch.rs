//! [`launch`]: a [`Plan`] becomes a process. The parent's side: what must be open before clone3, the id maps, the hooks.

mod prepare;

use crate::channel::{self, Event, Fail, Message};
use crate::child::{self, Prepared, Wait};
use crate::plan::{MountSource, MountStep, Plan, ProcessPlan, Root};
use crate::{LaunchError, Moment, Step, hooks};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::Pid;
use std::cell::Cell;
use wharf_spec::runtime::NamespaceType;
use wharf_sys::Errno;
use wharf_sys::clone::{Flags, Side, clone3};
use wharf_sys::exec::PointerArray;

/// Descriptors for a launch. All are consumed: the caller's copies are closed when `launch` returns.
#[derive(Debug, Default)]
pub struct LaunchFds {
    /// The program's input and output.
    pub stdio: Stdio,
    /// The cgroup it starts in.
    pub cgroup: CgroupFds,
    /// Namespaces joined by descriptor; they take the place of the plan's (made or joined by path) of the same kind.
    pub namespaces: Vec<(NamespaceType, OwnedFd)>,
    /// The root file system as a detached mount ([`crate::open_root`]); without it the launch opens or mounts the plan's itself.
    pub root: Option<OwnedFd>,
    /// Become descriptors 3, 4, … of the program.
    pub preserve: Vec<OwnedFd>,
    /// When the program starts.
    pub start: Start,
}

/// The program's input and output. Whether it has a terminal is the plan's to say (`process.terminal`); then these are
/// not used, and the terminal's master comes back in [`Init::console`].
#[derive(Debug, Default)]
pub enum Stdio {
    /// Those of the caller.
    #[default]
    Inherit,
    /// These.
    Fds {
        /// Input.
        stdin: OwnedFd,
        /// Output.
        stdout: OwnedFd,
        /// Error output.
        stderr: OwnedFd,
    },
    /// A pseudo terminal of the container's devpts.
    Console,
}

/// How the new process gets into its cgroup.
#[derive(Debug, Default)]
pub struct CgroupFds {
    /// v1 `tasks` files, open for writing: the process writes "0" itself, which needs no migration lock.
    pub tasks: Vec<OwnedFd>,
    /// v2 folder for `CLONE_INTO_CGROUP`.
    pub v2: Option<OwnedFd>,
}

/// When the program starts.
#[derive(Debug, Default)]
pub enum Start {
    /// At once.
    #[default]
    Now,
    /// When [`Init::proceed`] is called.
    Held,
    /// When a byte can be read from this descriptor (a FIFO opened for reading and writing, so that the opener may go away).
    Gate(OwnedFd),
}

/// A launched process.
#[derive(Debug)]
pub struct Init {
    /// As the caller's PID namespace numbers it.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// Master of its pseudo terminal.
    pub console: Option<OwnedFd>,
    /// Its root, when that was mounted for it (an overlay). An overlay that goes brings everything that is not yet written of the
    /// file system below it to the disk: without this descriptor the process does that while it ends.
    pub root: Option<OwnedFd>,
    /// Its own mount namespace, where the kernel can say. Without this descriptor the process takes its mounts apart while it ends,
    /// and waits for a grace period of the kernel.
    pub mounts: Option<OwnedFd>,
    held: Option<(OwnedFd, String)>,
}

impl Init {
    /// Lets a process launched with [`Start::Held`] execute its program. Does nothing when it runs already. `poststart`
    /// hooks are the caller's ([`crate::run_hooks`]).
    ///
    /// # Errors
    /// The exec's (and those of the filter and of `startContainer` hooks). The process has ended then and is reaped.
    pub fn proceed(&mut self) -> Result<(), LaunchError> {
        let Some((channel, program)) = self.held.take() else { return Ok(()) };
        let _ = channel::go(&channel, self.pid.as_raw_nonzero().get());
        let failed = match channel::next(&channel) {
            Ok(Message::End) => return Ok(()),
            Ok(Message::Failed(fail)) => describe_process(&fail, &program),
            Ok(Message::Event(..)) => LaunchError::new(Step::Channel, Errno::PROTO),
            Err(errno) => LaunchError::new(Step::Channel, errno),
        };
        end(&self.pidfd);
        Err(failed)
    }
}

/// A launch under way: the process exists and makes itself the container's first, while its parent can do what has to be done
/// beside. Dropped without [`Launching::finish`] nothing is left of it.
#[derive(Debug)]
pub struct Launching<'a> {
    plan: &'a Plan,
    start: Start,
    root: Option<OwnedFd>,
    pid: Pid,
    // `Some` until `finish` takes it
    spawned: Option<Spawned>,
}

/// Makes the container and executes its program: [`begin`] and [`Launching::finish`].
///
/// # Errors
/// The step that failed, with the kernel's number. Nothing is left then.
pub fn launch(plan: &Plan, fds: LaunchFds) -> Result<Init, LaunchError> {
    begin(plan, fds)?.finish()
}

/// Begins a launch: the process has been made and goes on by itself.
///
/// The caller must have a single thread. The new process is its child, to be reaped by it; here that happens only when the
/// launch fails.
///
/// # Errors
/// The step that failed, with the kernel's number.
pub fn begin(plan: &Plan, fds: LaunchFds) -> Result<Launching<'_>, LaunchError> {
    let LaunchFds { stdio, cgroup, namespaces, root, preserve, start } = fds;
    let (mut opened, flags) = prepare::open(plan, namespaces, cgroup.tasks, root)?;
    fail_point("runtime.launch.opened")?;
    let outer_limits = plan.id_maps.is_some() || joins(&opened, NamespaceType::User).is_some();
    let spawned = spawn(
        &plan.process,
        &Streams { stdio: &stdio, preserve: &preserve, start: &start },
        outer_limits,
        |prepared| clone_container(plan, &opened, flags, cgroup.v2.as_ref(), prepared),
        |spawned| match &plan.id_maps {
            None => Ok(()),
            Some(maps) => {
                prepare::write_id_maps(spawned.pid, maps)?;
                channel::go(&spawned.channel, 0).map_err(|errno| LaunchError::new(Step::Channel, errno))
            }
        },
    )?;
    let root = opened.root.take().filter(|_| matches!(plan.root, Some(Root::Overlay(_))));
    // what the child has of its own must not stay open here: ends of pipes above all
    drop((opened, stdio, preserve, cgroup.v2));
    Ok(Launching { plan, start, root, pid: spawned.pid, spawned: Some(spawned) })
}

impl Launching<'_> {
    /// As the caller's PID namespace numbers the process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the program runs, or, with [`Start::Held`] and [`Start::Gate`], until all is done but the filter and the exec.
    ///
    /// # Errors
    /// The step that failed, with the kernel's number. Nothing is left then.
    pub fn finish(mut self) -> Result<Init, LaunchError> {
        let spawned = self.spawned.take().expect("only this function takes it, and it takes itself");
        let init = follow(spawned, &self.plan.process, Some(self.plan), &self.start)?;
        // whoever unmounts a volume after the end must find it free: two mounts of one image would not know of each other
        let own = self.plan.namespaces.makes(NamespaceType::Mount) && !self.plan.mounts.iter().any(is_of_the_user);
        let mounts = own.then(|| wharf_sys::pidfd::mount_namespace(&init.pidfd).ok()).flatten();
        Ok(Init { root: self.root.take(), mounts, ..init })
    }
}

/// Whether a mount is of something of the machine that may be unmounted there, unlike the engine's own files and groups.
fn is_of_the_user(step: &MountStep) -> bool {
    let target = step.target.as_bytes();
    matches!(step.source, MountSource::Bind { .. })
        && !target.starts_with(b"/sys/fs/cgroup")
        && !matches!(target, b"/etc/hosts" | b"/etc/hostname" | b"/etc/resolv.conf")
}

impl Drop for Launching<'_> {
    fn drop(&mut self) {
        if let Some(spawned) = &self.spawned {
            end(&spawned.pidfd);
        }
    }
}

/// What the child gets beyond the plan.
pub(crate) struct Streams<'a> {
    pub(crate) stdio: &'a Stdio,
    pub(crate) preserve: &'a [OwnedFd],
    pub(crate) start: &'a Start,
}

/// A child under way.
#[derive(Debug)]
pub(crate) struct Spawned {
    pid: Pid,
    pidfd: OwnedFd,
    channel: OwnedFd,
}

/// Makes the message socket and what the child needs at its end, and clones. `clone` does not return in the child.
pub(crate) fn spawn(
    process: &ProcessPlan,
    streams: &Streams<'_>,
    outer_limits: bool,
    clone: impl FnOnce(&Prepared<'_>) -> Result<(Pid, OwnedFd), LaunchError>,
    settle: impl FnOnce(&Spawned) -> Result<(), LaunchError>,
) -> Result<Spawned, LaunchError> {
    let (ours, theirs) = wharf_sys::fd::seqpacket_pair().map_err(|errno| LaunchError::new(Step::Channel, errno))?;
    let (stdin, stdout, stderr) = (rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr());
    let stdio = match streams.stdio {
        Stdio::Console => None,
        Stdio::Inherit => Some([stdin, stdout, stderr]),
        Stdio::Fds { stdin, stdout, stderr } => Some([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]),
    };
    let prepared = Prepared {
        channel: theirs.as_fd(),
        stdio,
        preserve: streams.preserve.iter().map(AsFd::as_fd).collect(),
        wait: match streams.start {
            Start::Now => Wait::Nothing,
            Start::Held => Wait::Parent,
            Start::Gate(gate) => Wait::Gate(gate.as_fd()),
        },
        argv: PointerArray::new(&process.argv),
        outer_limits,
        pid: Cell::new(0),
    };
    let (pid, pidfd) = clone(&prepared)?;
    let spawned = Spawned { pid, pidfd, channel: ours };
    if let Err(error) = fail_point("runtime.launch.cloned").and_then(|()| settle(&spawned)) {
        end(&spawned.pidfd);
        return Err(error);
    }
    Ok(spawned)
}

fn clone_container(
    plan: &Plan,
    opened: &child::Opened,
    flags: Flags,
    cgroup: Option<&OwnedFd>,
    prepared: &Prepared<'_>,
) -> Result<(Pid, OwnedFd), LaunchError> {
    // a PID namespace is entered by children only; a user namespace owns what is made after it was entered, so then a
    // process in between is needed
    if let Some(user) = joins(opened, NamespaceType::User) {
        return clone_within(plan, opened, flags, cgroup, prepared, user);
    }
    let pid_namespace = joins(opened, NamespaceType::Pid);
    match in_pid_namespace(pid_namespace, || clone3(flags, cgroup.map(AsFd::as_fd)))? {
        Side::Parent { pid, pidfd } => Ok((pid, pidfd)),
        Side::Child => child::run(plan, opened, prepared),
    }
}

/// The first child enters the user namespace and clones the container's process as our child (its sibling) from there.
fn clone_within(
    plan: &Plan,
    opened: &child::Opened,
    flags: Flags,
    cgroup: Option<&OwnedFd>,
    prepared: &Prepared<'_>,
    user: BorrowedFd<'_>,
) -> Result<(Pid, OwnedFd), LaunchError> {
    let (report, reporter) = wharf_sys::fd::seqpacket_pair().map_err(|errno| LaunchError::new(Step::Channel, errno))?;
    match clone3(Flags::empty(), None).map_err(|errno| LaunchError::new(Step::Clone, errno))? {
        Side::Parent { pidfd, .. } => {
            drop(reporter);
            let message = channel::next(&report);
            let _ = wharf_sys::pidfd::wait(&pidfd);
            match message {
                Ok(Message::Event(Event::Sibling, number, Some(pidfd))) => {
                    let pid = Pid::from_raw(number).ok_or_else(|| LaunchError::new(Step::Clone, Errno::CHILD))?;
                    Ok((pid, pidfd))
                }
                Ok(Message::Failed(fail)) => Err(LaunchError::new(fail.step, fail.errno)),
                Ok(_) => Err(LaunchError::new(Step::Died, Errno::CHILD)),
                Err(errno) => Err(LaunchError::new(Step::Channel, errno)),
            }
        }
        Side::Child => {
            drop(report);
            child::go_between(plan, opened, flags, cgroup.map(AsFd::as_fd), prepared, user, reporter.as_fd())
        }
    }
}

/// Runs `clone` with `namespace` as the PID namespace of new children, and our own again afterwards.
pub(crate) fn in_pid_namespace(
    namespace: Option<BorrowedFd<'_>>,
    clone: impl FnOnce() -> wharf_sys::Result<Side>,
) -> Result<Side, LaunchError> {
    let failed = |errno| LaunchError::about(Step::JoinNamespace, errno, "pid");
    let Some(namespace) = namespace else {
        return clone().map_err(|errno| LaunchError::new(Step::Clone, errno));
    };
    let own = prepare::open_namespace(c"/proc/self/ns/pid").map_err(failed)?;
    wharf_sys::clone::setns(namespace, Flags::PID).map_err(failed)?;
    let side = clone().map_err(|errno| LaunchError::new(Step::Clone, errno));
    if !matches!(side, Ok(Side::Child)) {
        wharf_sys::clone::setns(&own, Flags::PID).map_err(failed)?;
    }
    side
}

fn joins(opened: &child::Opened, kind: NamespaceType) -> Option<BorrowedFd<'_>> {
    opened.join.iter().find(|(joined, _)| *joined == kind).map(|(_, fd)| fd.as_fd())
}

/// Listens to the child until its program runs or waits for its start.
pub(crate) fn follow(
    spawned: Spawned,
    process: &ProcessPlan,
    plan: Option<&Plan>,
    start: &Start,
) -> Result<Init, LaunchError> {
    let program = process.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match listen(&spawned, process, plan, start, &program) {
        Ok(console) => {
            let Spawned { pid, pidfd, channel } = spawned;
            let held = matches!(start, Start::Held).then_some((channel, program));
            Ok(Init { pid, pidfd, console, root: None, mounts: None, held })
        }
        Err(error) => {
            end(&spawned.pidfd);
            Err(error)
        }
    }
}

fn listen(
    spawned: &Spawned,
    process: &ProcessPlan,
    plan: Option<&Plan>,
    start: &Start,
    program: &str,
) -> Result<Option<OwnedFd>, LaunchError> {
    let wire = |errno| LaunchError::new(Step::Channel, errno);
    let pid = spawned.pid.as_raw_nonzero().get();
    let mut console = None;
    let mut ready = false;
    loop {
        match channel::next(&spawned.channel).map_err(wire)? {
            Message::End if ready => break,
            Message::End => return Err(LaunchError::new(Step::Died, Errno::CHILD)),
            Message::Failed(fail) => {
                return Err(
                    plan.map_or_else(|| describe_process(&fail, program), |plan| describe(&fail, plan, program))
                );
            }
            Message::Event(Event::Console, _, master) => console = master,
            Message::Event(Event::Ready, ..) if matches!(start, Start::Now) => {
                fail_point("runtime.launch.ready")?;
                ready = true;
            }
            Message::Event(Event::Ready, ..) => return Ok(console),
            Message::Event(event, _, fd) => {
                answer(event, fd, spawned, process, plan)?;
                channel::go(&spawned.channel, pid).map_err(wire)?;
            }
        }
    }
    if let Some(plan) = plan {
        // the program runs: a failing hook changes nothing any more (OCI runtime spec, "poststart")
        let _ = hooks::run(plan, Moment::Poststart, Moment::Poststart.status(), pid);
    }
    Ok(console)
}

/// A place for tests to fail at.
fn fail_point(name: &str) -> Result<(), LaunchError> {
    wharf_sys::failpoint::hit(name).map_err(|errno| LaunchError::about(Step::Channel, errno, name))
}

/// Events that the child waits at.
fn answer(
    event: Event,
    fd: Option<OwnedFd>,
    spawned: &Spawned,
    process: &ProcessPlan,
    plan: Option<&Plan>,
) -> Result<(), LaunchError> {
    let pid = spawned.pid.as_raw_nonzero().get();
    match (event, plan, fd) {
        (Event::Hooks, Some(plan), _) => {
            hooks::run(plan, Moment::Prestart, Moment::Prestart.status(), pid)?;
            hooks::run(plan, Moment::CreateRuntime, Moment::CreateRuntime.status(), pid)?;
            Ok(())
        }
        (Event::TimeOffsets, Some(plan), _) => prepare::time_offsets(plan, spawned.pid),
        (Event::Limits, ..) => prepare::outer_limits(process, spawned.pid),
        (Event::Listener, _, Some(listener)) => prepare::hand_over_listener(process, plan, &listener, pid),
        _ => Err(LaunchError::new(Step::Channel, Errno::PROTO)),
    }
}

/// Ends and reaps a child whose launch failed.
fn end(pidfd: &OwnedFd) {
    let _ = wharf_sys::pidfd::kill(pidfd, 9);
    let _ = wharf_sys::pidfd::wait(pidfd);
}

/// The failure in words of the plan: the child sends numbers only.
fn describe(fail: &Fail, plan: &Plan, program: &str) -> LaunchError {
    let i = usize::from(fail.index);
    let text = |list: &[std::ffi::CString]| list.get(i).map(|text| text.to_string_lossy().into_owned());
    let object = match fail.step {
        Step::MountSource | Step::MountTarget | Step::Mount | Step::MountAttributes | Step::CopyUp => {
            plan.mounts.get(i).map(prepare::mount_in_words)
        }
        Step::InsideProc => plan.mounts.get(i).map(|mount| format!("{:?}", mount.target.to_string_lossy())),
        Step::Sysctl => plan.sysctls.get(i).map(|(name, _)| name.to_string_lossy().into_owned()),
        Step::Device => plan.devices.get(i).map(|node| node.path.to_string_lossy().into_owned()),
        Step::MaskedPath => text(&plan.masked),
        Step::ReadonlyPath => text(&plan.readonly),
        Step::Hook | Step::StartHook => Some(format!("#{i}")),
        Step::Rlimit => plan.process.rlimits.get(i).map(|(number, ..)| format!("type {number}")),
        Step::Chdir => Some(plan.process.cwd.to_string_lossy().into_owned()),
        _ => return describe_process(fail, program),
    };
    LaunchError { step: fail.step, errno: fail.errno.raw_os_error(), object }
}

fn describe_process(fail: &Fail, program: &str) -> LaunchError {
    let object = matches!(fail.step, Step::LookUp).then(|| program.to_owned());
    LaunchError { step: fail.step, errno: fail.errno.raw_os_error(), object }
}
