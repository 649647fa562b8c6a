//! The last part of the child, the same for a launch and an exec: descriptors, limits, rights, look-up, filter, exec.

use super::program;
use crate::Step;
use crate::channel::{At, Done, Event, Fail, await_go, tell, tell_failure};
use crate::plan::{Capabilities, ProcessPlan};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use std::cell::Cell;
use std::ffi::CStr;
use wharf_sys::exec::PointerArray;
use wharf_sys::fd::{Arranged, arrange};

/// What the parent made ready for the child's end.
pub(crate) struct Prepared<'a> {
    /// The message socket.
    pub(crate) channel: BorrowedFd<'a>,
    /// Input, output, error output; none with a terminal.
    pub(crate) stdio: Option<[BorrowedFd<'a>; 3]>,
    /// Descriptors 3, 4, … of the program.
    pub(crate) preserve: Vec<BorrowedFd<'a>>,
    /// What the program waits for.
    pub(crate) wait: Wait<'a>,
    /// Arguments.
    pub(crate) argv: PointerArray<'a>,
    /// The parent sets resource limits and OOM score, because the child has rights in its user namespace only.
    pub(crate) outer_limits: bool,
    /// The process as the parent numbers it, once known; for hooks.
    pub(crate) pid: Cell<i32>,
}

/// What the program waits for.
#[derive(Clone, Copy)]
pub(crate) enum Wait<'a> {
    Nothing,
    /// A word from the parent.
    Parent,
    /// A byte from this descriptor.
    Gate(BorrowedFd<'a>),
}

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Executes the program. Returns only what went wrong before the descriptors were placed; later failures are told here,
/// because the owners of the old descriptors must not be dropped any more.
pub(super) fn finish(
    process: &ProcessPlan,
    prepared: &Prepared<'_>,
    console: Option<OwnedFd>,
    start_hooks: &dyn Fn(i32) -> Done<()>,
) -> Fail {
    let terminal = console.as_ref().map(|slave| [slave.as_fd(); 3]);
    let Some(stdio) = terminal.or(prepared.stdio) else {
        return Fail { step: Step::Descriptors, index: 0, errno: Errno::BADF };
    };
    let kept = stdio.len() + prepared.preserve.len();
    let mut order: Vec<Option<BorrowedFd<'_>>> = stdio.iter().chain(&prepared.preserve).copied().map(Some).collect();
    order.push(Some(prepared.channel));
    if let Wait::Gate(gate) = prepared.wait {
        order.push(Some(gate));
    }
    let arranged = match arrange(&order, kept) {
        Ok(arranged) => arranged,
        Err(errno) => return Fail { step: Step::Descriptors, index: 1, errno },
    };
    let fail = match arranged.get(kept) {
        Some(channel) => last_steps(process, prepared, &arranged, channel, kept, start_hooks),
        None => Fail { step: Step::Descriptors, index: 2, errno: Errno::BADF },
    };
    if let Some(channel) = arranged.get(kept) {
        tell_failure(channel, &fail);
    }
    wharf_sys::clone::exit(if fail.errno == Errno::NOENT { 127 } else { 126 })
}

fn last_steps(
    process: &ProcessPlan,
    prepared: &Prepared<'_>,
    arranged: &Arranged,
    channel: BorrowedFd<'_>,
    kept: usize,
    start_hooks: &dyn Fn(i32) -> Done<()>,
) -> Fail {
    match prepare(process, prepared, arranged, channel) {
        Err(fail) => fail,
        Ok(found) => {
            let gate = arranged.get(kept + 1);
            if let Err(fail) = wait_for_start(process, prepared, channel, gate, start_hooks) {
                return fail;
            }
            let env = PointerArray::with_last(&process.env, found.home.as_deref());
            let errno = wharf_sys::exec::execve(&found.path, &prepared.argv, &env);
            refused(&found.path, errno, arranged)
        }
    }
}

/// The program is there but the kernel does not take it (no format of its, or no interpreter). Container engines count that as
/// a program that started and failed: it says so on its error output and its exit code is 255.
fn refused(path: &CStr, errno: Errno, arranged: &Arranged) -> ! {
    let text = format!("exec {}: {}\n", path.to_string_lossy(), crate::error::errno_text(errno.raw_os_error()));
    if let Some(stderr) = arranged.get(2) {
        // nobody is left to tell that this could not be told
        let _ = rustix::io::write(stderr, text.as_bytes());
    }
    wharf_sys::clone::exit(255)
}

/// Limits, user, rights, working directory, the program's path.
fn prepare(
    process: &ProcessPlan,
    prepared: &Prepared<'_>,
    arranged: &Arranged,
    channel: BorrowedFd<'_>,
) -> Done<program::Found> {
    stdio(process, arranged)?;
    if prepared.outer_limits {
        tell(channel, Event::Limits, 0, None).at(Step::Rlimit, 0)?;
        await_go(channel).at(Step::Rlimit, 0)?;
    } else {
        rlimits(process)?;
    }
    if let Some(scheduler) = &process.scheduler {
        let scheduler = wharf_sys::sched::Scheduler {
            policy: scheduler.policy,
            flags: scheduler.flags,
            nice: scheduler.nice,
            priority: scheduler.priority,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
        };
        wharf_sys::sched::set_scheduler(&scheduler).at(Step::Scheduler, 0)?;
    }
    if let Some((class, priority)) = process.io_priority {
        wharf_sys::sched::set_io_priority(class, priority).at(Step::IoPriority, 0)?;
    }
    rustix::process::umask(Mode::from_raw_mode(process.umask));
    let home = if process.set_home { Some(program::home(process.uid)) } else { None };
    // as runc does it: the working directory may be one that only root can enter, or (on a network file system) only the user
    let entered = match enter_cwd(process) {
        Err(fail) if fail.errno == Errno::ACCESS => false,
        other => other.map(|()| true)?,
    };
    identity(process)?;
    if !entered {
        enter_cwd(process)?;
    }
    let path = program::find(process)?;
    Ok(program::Found { path, home })
}

/// The terminal becomes the controlling one; pipes belong to the user, so that it can open `/dev/stdout` again.
fn stdio(process: &ProcessPlan, arranged: &Arranged) -> Done<()> {
    if let Some(size) = process.terminal {
        let slave = arranged.get(0).ok_or(Errno::BADF).at(Step::Console, 7)?;
        rustix::process::ioctl_tiocsctty(slave).at(Step::Console, 8)?;
        if let Some((columns, rows)) = size {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(slave, size).at(Step::Console, 9)?;
        }
    }
    for fd in (0..3).filter_map(|i| arranged.get(i)) {
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let ours = matches!(kind, FileType::Fifo | FileType::Socket) || process.terminal.is_some();
        if ours && stat.st_uid != process.uid {
            // not ours to change, or an owner that the user namespace cannot name: then it stays as it is
            let _ = rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(process.uid)), None);
        }
    }
    Ok(())
}

/// Resource limits.
fn rlimits(process: &ProcessPlan) -> Done<()> {
    for (i, (resource, soft, hard)) in process.rlimits.iter().enumerate() {
        let limit = wharf_sys::rlimit::Limit { soft: *soft, hard: *hard };
        wharf_sys::rlimit::set(None, *resource, limit).at(Step::Rlimit, i)?;
    }
    Ok(())
}

/// User, groups and capabilities. CAP_SYS_ADMIN is kept until the filter is in when only that may install it.
fn identity(process: &ProcessPlan) -> Done<()> {
    let sets = &process.capabilities;
    drop_bounding(sets.bounding)?;
    wharf_sys::prctl::set_keep_caps(true).at(Step::Capabilities, 0)?;
    if process.set_groups {
        wharf_sys::ids::setgroups(&process.groups).at(Step::Groups, 0)?;
    }
    wharf_sys::ids::set_gid(process.gid).at(Step::User, 0)?;
    wharf_sys::ids::set_uid(process.uid).at(Step::User, 1)?;
    wharf_sys::prctl::set_keep_caps(false).at(Step::Capabilities, 1)?;
    let extra = extra_rights(process);
    let (effective, permitted) = (sets.effective | extra, sets.permitted | extra);
    wharf_sys::prctl::set_capabilities(effective, permitted, sets.inheritable).at(Step::Capabilities, 2)?;
    wharf_sys::prctl::clear_ambient().at(Step::Capabilities, 3)?;
    for bit in bits(sets.ambient) {
        wharf_sys::prctl::raise_ambient(bit).at(Step::Capabilities, 4)?;
    }
    if process.no_new_privs {
        wharf_sys::prctl::set_no_new_privs().at(Step::NoNewPrivs, 0)?;
    }
    Ok(())
}

/// What is needed to install the filter and not the program's.
fn extra_rights(process: &ProcessPlan) -> u64 {
    let needed = process.seccomp.is_some() && !process.no_new_privs;
    if needed { CAP_SYS_ADMIN & !process.capabilities.permitted } else { 0 }
}

fn bits(set: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| set >> bit & 1 == 1)
}

fn drop_bounding(keep: u64) -> Done<()> {
    for bit in bits(!keep) {
        match wharf_sys::prctl::drop_bounding(bit) {
            Ok(()) => {}
            // beyond the last capability that the kernel knows
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno).at(Step::Capabilities, 5),
        }
    }
    Ok(())
}

/// Changes into the working directory and makes sure that it lies inside the root: all descriptors that could have led
/// out of it are closed by now, and the kernel says `(unreachable)` if one did all the same (CVE-2024-21626).
fn enter_cwd(process: &ProcessPlan) -> Done<()> {
    rustix::process::chdir(process.cwd.as_c_str()).at(Step::Chdir, 0)?;
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        Ok(_) | Err(Errno::NOENT) => Err(Fail { step: Step::CwdOutside, index: 0, errno: Errno::NOENT }),
        Err(errno) => Err(errno).at(Step::Chdir, 1),
    }
}

fn wait_for_start(
    process: &ProcessPlan,
    prepared: &Prepared<'_>,
    channel: BorrowedFd<'_>,
    gate: Option<BorrowedFd<'_>>,
    start_hooks: &dyn Fn(i32) -> Done<()>,
) -> Done<()> {
    // the listener must be handed over while the parent is there for sure
    let early = process.seccomp.as_ref().is_some_and(|seccomp| seccomp.listener.is_some());
    if early {
        confine(process, Some(channel))?;
    }
    tell(channel, Event::Ready, 0, None).at(Step::Channel, 0)?;
    match (prepared.wait, gate) {
        (Wait::Nothing, _) => {}
        (Wait::Parent, _) => drop(await_go(channel).at(Step::Gate, 0)?),
        (Wait::Gate(_), Some(gate)) => {
            let mut byte = [0; 1];
            rustix::io::retry_on_intr(|| rustix::io::read(gate, &mut byte)).at(Step::Gate, 1)?;
        }
        (Wait::Gate(_), None) => return Err(Errno::BADF).at(Step::Gate, 2),
    }
    start_hooks(prepared.pid.get())?;
    if early { Ok(()) } else { confine(process, None) }
}

/// The filter, and what only it needed. After it nothing is called but what any program needs to start: capset and execve.
fn confine(process: &ProcessPlan, channel: Option<BorrowedFd<'_>>) -> Done<()> {
    let Some(seccomp) = &process.seccomp else { return Ok(()) };
    let listener = wharf_sys::seccomp::install(&seccomp.program.0, seccomp.flags).at(Step::Seccomp, 0)?;
    if let (Some(listener), Some(channel)) = (&listener, channel) {
        tell(channel, Event::Listener, 0, Some(listener.as_fd())).at(Step::SeccompListener, 0)?;
        await_go(channel).at(Step::SeccompListener, 1)?;
    }
    if extra_rights(process) != 0 {
        let Capabilities { effective, permitted, inheritable, .. } = process.capabilities;
        wharf_sys::prctl::set_capabilities(effective, permitted, inheritable).at(Step::Capabilities, 6)?;
    }
    Ok(())
}
