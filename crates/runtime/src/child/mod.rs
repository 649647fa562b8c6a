//! The child between clone and exec: it makes itself the container's process, or dies saying where.
//!
//! ```text
//! cgroup ─▶ namespaces ─▶ names, sysctls ─▶ root, mounts, /dev, console ─▶ [hooks] ─▶ hidden paths ─▶ pivot_root
//!        ─▶ descriptors, limits, user, capabilities, cwd, look-up ─▶ Ready ─▶ [wait for start] ─▶ filter ─▶ execve
//! ```
//!
//! The process has one thread and a copy of the parent's memory, so ordinary code is sound; for speed the common path makes
//! system calls over what the plan and [`Prepared`] hold already.

mod console;
mod copy_up;
mod dev;
mod finish;
mod hide;
mod mounts;
mod paths;
mod program;

pub(crate) use finish::{Prepared, Wait};
pub(crate) use mounts::open_source;

use crate::channel::{At, Done, Event, Fail, await_go, tell, tell_failure};
use crate::plan::{ExecPlan, Plan, ProcessPlan};
use crate::{Step, hooks};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use wharf_spec::runtime::NamespaceType;
use wharf_sys::clone::{Flags, Side};
use wharf_sys::mount::{Change, set_attr, set_attr_at};

/// What the parent opened before clone3.
pub(crate) struct Opened {
    /// Namespaces to join, in the order they are joined.
    pub(crate) join: Vec<(NamespaceType, OwnedFd)>,
    /// The root file system, detached.
    pub(crate) root: Option<OwnedFd>,
    /// Bind sources that only the parent can open, one place per mount step.
    pub(crate) sources: Vec<Option<OwnedFd>>,
    /// v1 `tasks` files.
    pub(crate) tasks: Vec<OwnedFd>,
}

/// The child of a launch. Never returns.
pub(crate) fn run(plan: &Plan, opened: &Opened, prepared: &Prepared<'_>) -> ! {
    let fail = match container(plan, opened, prepared) {
        Ok(console) => finish::finish(&plan.process, prepared, console, &|pid| start_hooks(plan, pid)),
        Err(fail) => fail,
    };
    tell_failure(prepared.channel, &fail);
    wharf_sys::clone::exit(1)
}

/// The process between the parent and a container whose user namespace is joined: enters it and clones from there, so that
/// the namespaces made belong to it. Never returns.
pub(crate) fn go_between(
    plan: &Plan,
    opened: &Opened,
    flags: Flags,
    cgroup: Option<BorrowedFd<'_>>,
    prepared: &Prepared<'_>,
    user: BorrowedFd<'_>,
    reporter: BorrowedFd<'_>,
) -> ! {
    let clone = || -> Done<Side> {
        wharf_sys::clone::setns(user, Flags::USER).at(Step::JoinNamespace, 0)?;
        become_root(plan.process.set_groups)?;
        if let Some((_, namespace)) = opened.join.iter().find(|(kind, _)| *kind == NamespaceType::Pid) {
            wharf_sys::clone::setns(namespace, Flags::PID).at(Step::JoinNamespace, 1)?;
        }
        wharf_sys::clone::clone3(flags | Flags::PARENT, cgroup).at(Step::Clone, 0)
    };
    match clone() {
        Ok(Side::Child) => run(plan, opened, prepared),
        Ok(Side::Parent { pid, pidfd }) => {
            let _ = tell(reporter, Event::Sibling, pid.as_raw_nonzero().get(), Some(pidfd.as_fd()));
            wharf_sys::clone::exit(0)
        }
        Err(fail) => {
            tell_failure(reporter, &fail);
            wharf_sys::clone::exit(1)
        }
    }
}

/// The child of an exec. Never returns.
pub(crate) fn run_exec(plan: &ExecPlan, target: BorrowedFd<'_>, tasks: &[OwnedFd], prepared: &Prepared<'_>) -> ! {
    let fail = match join_container(plan, target, tasks, prepared) {
        Ok(console) => finish::finish(&plan.process, prepared, console, &|_| Ok(())),
        Err(fail) => fail,
    };
    tell_failure(prepared.channel, &fail);
    wharf_sys::clone::exit(1)
}

fn start_hooks(plan: &Plan, pid: i32) -> Done<()> {
    hooks::run_here(plan, hooks::Moment::StartContainer, pid)
}

/// Everything up to pivot_root. Returns the terminal's slave.
fn container(plan: &Plan, opened: &Opened, prepared: &Prepared<'_>) -> Done<Option<OwnedFd>> {
    let channel = prepared.channel;
    // an unprivileged parent could not write the id maps of a process that nobody may look into
    if plan.id_maps.as_ref().is_none_or(|maps| !maps.deny_setgroups) {
        wharf_sys::prctl::set_dumpable(false).at(Step::Session, 0)?;
    }
    begin(&opened.tasks)?;
    if let Some(score) = plan.process.oom_score_adj.filter(|_| !prepared.outer_limits) {
        oom_score(score)?;
    }
    if plan.id_maps.is_some() {
        await_go(channel).at(Step::Channel, 0)?;
        become_root(plan.process.set_groups)?;
    }
    for (i, (kind, fd)) in opened.join.iter().enumerate() {
        // whoever cloned this process has entered these two for it
        if !matches!(kind, NamespaceType::User | NamespaceType::Pid) {
            wharf_sys::clone::setns(fd, clone_flag(*kind)).at(Step::JoinNamespace, i)?;
        }
    }
    late_namespaces(plan, channel)?;
    surroundings(plan)?;
    let own_network = !opened.join.iter().any(|(kind, _)| *kind == NamespaceType::Network);
    if plan.loopback_up && own_network {
        wharf_sys::net::loopback_up().at(Step::Loopback, 0)?;
    }
    names(plan)?;
    let Some(document) = &plan.root else {
        return Ok(None);
    };
    first_propagation(plan)?;
    let own;
    let root = match &opened.root {
        Some(root) => root.as_fd(),
        None => {
            own = crate::root::open(document).at(crate::root::step(document), 0)?;
            own.as_fd()
        }
    };
    attach_root(plan, root)?;
    let previous = rustix::process::umask(Mode::empty());
    mounts::all(plan, root, &opened.sources)?;
    wharf_sys::failpoint::hit("runtime.child.mounted").at(Step::Mount, usize::from(u16::MAX))?;
    dev::populate(plan, root)?;
    let console = match plan.process.terminal {
        Some(_) => Some(console::open(root, channel, true)?),
        None => None,
    };
    let pid = if plan.hooks.need_the_child() {
        tell(channel, Event::Hooks, 0, None).at(Step::Channel, 0)?;
        await_go(channel).at(Step::Channel, 0)?
    } else {
        0
    };
    hooks::run_here(plan, hooks::Moment::CreateContainer, pid)?;
    prepared.pid.set(pid);
    hide::all(plan, root)?;
    paths::make_cwd(root, &plan.process.cwd)?;
    rustix::process::umask(previous);
    label(&plan.process)?;
    pivot(plan, root)?;
    wharf_sys::failpoint::hit("runtime.child.pivoted").at(Step::PivotRoot, 6)?;
    Ok(console)
}

/// First things of a new process: it has no signal state of ours, leads its session and sits in its cgroups.
fn begin(tasks: &[OwnedFd]) -> Done<()> {
    wharf_sys::signal::reset().at(Step::Session, 0)?;
    rustix::process::setsid().map(drop).at(Step::Session, 0)?;
    for (i, file) in tasks.iter().enumerate() {
        rustix::io::write(file, b"0").map(drop).at(Step::CgroupJoin, i)?;
    }
    Ok(())
}

/// User and group 0 of the user namespace just entered.
fn become_root(set_groups: bool) -> Done<()> {
    wharf_sys::ids::set_gid(0).at(Step::BecomeRoot, 0)?;
    wharf_sys::ids::set_uid(0).at(Step::BecomeRoot, 0)?;
    if set_groups {
        wharf_sys::ids::setgroups(&[]).at(Step::BecomeRoot, 0)?;
    }
    Ok(())
}

/// Namespaces that can only be made from within: the cgroup namespace's root is the cgroup one is in, and the offsets of a
/// time namespace are fixed when the first process enters it (at exec).
fn late_namespaces(plan: &Plan, channel: BorrowedFd<'_>) -> Done<()> {
    let joined = |kind| plan.namespaces.joins(kind);
    if plan.namespaces.makes(NamespaceType::Cgroup) && !joined(NamespaceType::Cgroup) {
        wharf_sys::clone::unshare(Flags::CGROUP).at(Step::Unshare, 0)?;
    }
    if plan.namespaces.makes(NamespaceType::Time) && !joined(NamespaceType::Time) {
        wharf_sys::clone::unshare(Flags::TIME).at(Step::Unshare, 0)?;
        if plan.time_offsets.is_empty() {
            return Ok(());
        }
        if plan.id_maps.is_some() {
            // the file belongs to the host's root, whom this process cannot be any more
            tell(channel, Event::TimeOffsets, 0, None).at(Step::TimeOffsets, 0)?;
            await_go(channel).at(Step::TimeOffsets, 0)?;
        } else {
            write_file(c"/proc/self/timens_offsets", &plan.time_offsets).at(Step::TimeOffsets, 0)?;
        }
    }
    Ok(())
}

/// Key ring, execution domain, memory policy.
fn surroundings(plan: &Plan) -> Done<()> {
    keyring(plan.keyring.as_deref())?;
    if let Some(persona) = plan.personality {
        wharf_sys::sched::set_personality(persona).at(Step::Personality, 0)?;
    }
    if let Some((mode, nodes)) = &plan.memory_policy {
        wharf_sys::sched::set_memory_policy(*mode, nodes).at(Step::MemoryPolicy, 0)?;
    }
    Ok(())
}

fn keyring(name: Option<&CStr>) -> Done<()> {
    match name.map_or(Ok(()), wharf_sys::keyctl::join_session_keyring) {
        // a kernel without keys has none to leak; a user over quota keeps the parent's, as with runc
        Ok(()) | Err(Errno::NOSYS | Errno::DQUOT) => Ok(()),
        Err(errno) => Err(Fail { step: Step::Keyring, index: 0, errno }),
    }
}

fn oom_score(score: i32) -> Done<()> {
    let mut buffer = [0; 12];
    let text = decimal(score, &mut buffer);
    write_file(c"/proc/self/oom_score_adj", text).at(Step::OomScore, 0)
}

fn names(plan: &Plan) -> Done<()> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).at(Step::Hostname, 0)?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).at(Step::Hostname, 1)?;
    }
    if plan.sysctls.is_empty() {
        return Ok(());
    }
    // the host's proc shows the parameters of the namespaces that the opener is in; no image can have tampered with it
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let sys = rustix::fs::open(c"/proc/sys", flags, Mode::empty()).at(Step::Sysctl, 0)?;
    for (i, (path, value)) in plan.sysctls.iter().enumerate() {
        let file =
            rustix::fs::openat(&sys, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).at(Step::Sysctl, i)?;
        rustix::io::write(&file, value).map(drop).at(Step::Sysctl, i)?;
    }
    Ok(())
}

/// Mounts of ours must not travel to the host.
fn first_propagation(plan: &Plan) -> Done<()> {
    let (propagation, recursive) = plan.propagation;
    let change = Change { propagation: Some(propagation.into()), recursive, ..Change::default() };
    set_attr_at(CWD, c"/", &change).at(Step::Propagation, 0)?;
    if propagation == crate::Propagation::Shared {
        // the new root is put on top of the old one; were that shared, the host would get it too
        let private = Change { propagation: Some(wharf_sys::mount::Propagation::Private), ..Change::default() };
        set_attr_at(CWD, c"/", &private).at(Step::Propagation, 1)?;
    }
    Ok(())
}

/// Puts the new root on top of the old one. Look-ups from `/` do not see it (they start below it), so host paths still work.
///
/// A folder's mount is a copy of the host's: where that is shared (systemd makes all mounts so), the copy is its peer, whatever were
/// mounted on it would appear on the host, and the kernel refuses to pivot to it.
fn attach_root(plan: &Plan, root: BorrowedFd<'_>) -> Done<()> {
    use rustix::mount::{MoveMountFlags, move_mount};
    use wharf_sys::mount::Propagation;
    if matches!(plan.root, Some(crate::plan::Root::Dir(_))) {
        let private = plan.propagation.0 == crate::Propagation::Private;
        let propagation = if private { Propagation::Private } else { Propagation::Slave };
        let change = Change { propagation: Some(propagation), recursive: true, ..Change::default() };
        set_attr(root, &change).at(Step::Propagation, 3)?;
    }
    move_mount(root, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at(Step::Root, 0)
}

/// Swaps the roots and lets go of the old one: it lies on top of the new one, so that no folder is needed for it.
fn pivot(plan: &Plan, root: BorrowedFd<'_>) -> Done<()> {
    if plan.root_readonly {
        let change = Change { set: wharf_sys::mount::attr::RDONLY, ..Change::default() };
        set_attr(root, &change).at(Step::ReadonlyRoot, 0)?;
    }
    let (propagation, recursive) = plan.propagation;
    // unmounting the old tree must not reach the host; mounts that are all slave or private cannot reach it
    let travels = propagation == crate::Propagation::Shared || !recursive;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = if travels { Some(rustix::fs::open(c"/", flags, Mode::empty()).at(Step::PivotRoot, 0)?) } else { None };
    rustix::process::fchdir(root).at(Step::PivotRoot, 1)?;
    rustix::process::pivot_root(c".", c".").at(Step::PivotRoot, 2)?;
    if let Some(old) = old {
        let slave = Some(wharf_sys::mount::Propagation::Slave);
        set_attr(&old, &Change { propagation: slave, recursive: true, ..Change::default() }).at(Step::PivotRoot, 3)?;
    }
    // the look-up for umount climbs the mounts stacked on the working directory, so "." names the old root
    rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH).at(Step::PivotRoot, 4)?;
    rustix::process::chdir(c"/").at(Step::PivotRoot, 5)?;
    if plan.propagation_asked {
        let change = Change { propagation: Some(propagation.into()), recursive, ..Change::default() };
        set_attr_at(CWD, c"/", &change).at(Step::Propagation, 2)?;
    }
    Ok(())
}

/// The label that the kernel gives the process at exec. Written through the host's proc, before the container's is near.
fn label(process: &ProcessPlan) -> Done<()> {
    if let Some(profile) = &process.apparmor {
        let text = [b"exec ", profile.as_bytes()].concat();
        let write = write_file(c"/proc/self/attr/apparmor/exec", &text);
        write.or_else(|_| write_file(c"/proc/self/attr/exec", &text)).at(Step::Label, 0)?;
    }
    if let Some(label) = &process.selinux {
        write_file(c"/proc/self/attr/exec", label.as_bytes()).at(Step::Label, 1)?;
    }
    Ok(())
}

/// Makes the process one of a running container's. Returns the terminal's slave.
fn join_container(
    plan: &ExecPlan,
    target: BorrowedFd<'_>,
    tasks: &[OwnedFd],
    prepared: &Prepared<'_>,
) -> Done<Option<OwnedFd>> {
    // processes of the container may not look into this one while it still has what they must not have
    wharf_sys::prctl::set_dumpable(false).at(Step::Session, 0)?;
    if let Some(cpus) = &plan.affinity_initial {
        affinity(cpus)?;
    }
    begin(tasks)?;
    if let Some(cpus) = &plan.affinity_final {
        affinity(cpus)?;
    }
    keyring(plan.keyring.as_deref())?;
    if let Some(score) = plan.process.oom_score_adj.filter(|_| !prepared.outer_limits) {
        oom_score(score)?;
    }
    if let Some(persona) = plan.personality {
        wharf_sys::sched::set_personality(persona).at(Step::Personality, 0)?;
    }
    label(&plan.process)?;
    let mut flags = Flags::empty();
    for kind in &plan.namespaces {
        flags |= clone_flag(*kind);
    }
    // the parent has entered the PID namespace for us: it applies to children only
    let flags = flags.without(Flags::PID);
    if !flags.is_empty() {
        wharf_sys::clone::setns(target, flags).at(Step::JoinNamespace, 0)?;
    }
    if plan.user_namespace {
        become_root(plan.process.set_groups)?;
    }
    match plan.process.terminal {
        None => Ok(None),
        Some(_) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open(c"/", flags, Mode::empty()).at(Step::Console, 0)?;
            console::open(root.as_fd(), prepared.channel, false).map(Some)
        }
    }
}

fn affinity(bits: &[u64]) -> Done<()> {
    let mut set = rustix::thread::CpuSet::new();
    for cpu in 0..(bits.len() * 64).min(rustix::thread::CpuSet::MAX_CPU) {
        if bits[cpu / 64] >> (cpu % 64) & 1 == 1 {
            set.set(cpu);
        }
    }
    rustix::thread::sched_setaffinity(None, &set).at(Step::Scheduler, 1)
}

/// The flag of a kind of namespace.
pub(crate) fn clone_flag(kind: NamespaceType) -> Flags {
    match kind {
        NamespaceType::Pid => Flags::PID,
        NamespaceType::Network => Flags::NETWORK,
        NamespaceType::Mount => Flags::MOUNT,
        NamespaceType::Ipc => Flags::IPC,
        NamespaceType::Uts => Flags::UTS,
        NamespaceType::User => Flags::USER,
        NamespaceType::Cgroup => Flags::CGROUP,
        NamespaceType::Time => Flags::TIME,
    }
}

fn write_file(path: &CStr, bytes: &[u8]) -> rustix::io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, bytes).map(drop)
}

/// `value` in decimal, without allocating.
fn decimal(value: i32, buffer: &mut [u8; 12]) -> &[u8] {
    use std::io::Write;
    let mut rest: &mut [u8] = buffer;
    // 12 bytes hold every i32
    let _ = write!(rest, "{value}");
    let left = rest.len();
    &buffer[..12 - left]
}

impl From<crate::Propagation> for wharf_sys::mount::Propagation {
    fn from(value: crate::Propagation) -> Self {
        match value {
            crate::Propagation::Shared => Self::Shared,
            crate::Propagation::Slave => Self::Slave,
            crate::Propagation::Private => Self::Private,
            crate::Propagation::Unbindable => Self::Unbindable,
        }
    }
}
