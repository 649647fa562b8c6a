//! What the parent does for the child: descriptors that must be opened with its rights, id maps, limits, the seccomp agent.

use crate::child::{self, Opened};
use crate::hooks::{quote, state};
use crate::plan::{IdMaps, MountSource, MountStep, Plan, ProcessPlan};
use crate::{LaunchError, Step, root};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use std::ffi::CStr;
use std::fmt::Write;
use wharf_spec::runtime::{ContainerStatus, NamespaceType, OCI_VERSION};
use wharf_sys::clone::{Flags, Side, clone3};
use wharf_sys::mount::{Change, set_attr};
use wharf_sys::{Errno, Result};

/// Opens what the child needs, and says which namespaces clone3 makes.
pub(super) fn open(
    plan: &Plan,
    given: Vec<(NamespaceType, OwnedFd)>,
    tasks: Vec<OwnedFd>,
    given_root: Option<OwnedFd>,
) -> std::result::Result<(Opened, Flags), LaunchError> {
    let mut join = Vec::with_capacity(given.len() + plan.namespaces.join.len());
    for named in &plan.namespaces.join {
        if !given.iter().any(|(kind, _)| *kind == named.kind) {
            let fd = open_namespace(&named.path).map_err(|errno| about(Step::OpenNamespace, errno, &named.path))?;
            join.push((named.kind, fd));
        }
    }
    join.extend(given);
    // the user namespace first, for the rights in the others; the mount namespace last, because paths change with it
    join.sort_by_key(|(kind, _)| match kind {
        NamespaceType::User => 0,
        NamespaceType::Mount => 2,
        _ => 1,
    });
    let mut flags = Flags::empty();
    for kind in &plan.namespaces.new {
        if !join.iter().any(|(joined, _)| joined == kind) {
            flags |= child::clone_flag(*kind);
        }
    }
    // these two are made from within
    let flags = flags.without(Flags::CGROUP | Flags::TIME);
    let foreign = flags.contains(Flags::USER) || join.iter().any(|(kind, _)| *kind == NamespaceType::User);
    // without rights of its own the parent leaves everything to the child, which has some in its new user namespace
    let rootless = plan.id_maps.as_ref().is_some_and(|maps| maps.deny_setgroups);
    let root = match (given_root, &plan.root) {
        (Some(given), _) => Some(given),
        (None, Some(root)) if !rootless => Some(root::open_named(root)?),
        (None, _) => None,
    };
    let mut sources = Vec::new();
    for step in &plan.mounts {
        let ours = (foreign && !rootless) || step.idmap.is_some() || matches!(step.source, MountSource::Overlay(_));
        sources.push(if ours { open_source(step)? } else { None });
    }
    Ok((Opened { join, root, sources, tasks }, flags))
}

pub(super) fn open_namespace(path: &CStr) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn about(step: Step, errno: Errno, path: &CStr) -> LaunchError {
    LaunchError::about(step, errno, path.to_string_lossy())
}

/// A bind source as a detached mount that the child may use although it has no rights in this user namespace.
fn open_source(step: &MountStep) -> std::result::Result<Option<OwnedFd>, LaunchError> {
    let words = || mount_in_words(step);
    let tree = match &step.source {
        MountSource::Bind { path, recursive } => child::open_source(path, step.subpath.as_deref(), *recursive),
        MountSource::Overlay(overlay) => root::mount(overlay),
        _ => return Ok(None),
    };
    let tree = tree.map_err(|errno| LaunchError::about(Step::MountSource, errno, words()))?;
    // opened before the child's mounts became slaves: without this, its mounts would travel to the host
    let slave =
        Change { propagation: Some(wharf_sys::mount::Propagation::Slave), recursive: true, ..Change::default() };
    set_attr(&tree, &slave).map_err(|errno| LaunchError::about(Step::MountAttributes, errno, words()))?;
    if let Some((maps, recursive)) = &step.idmap {
        let namespace = user_namespace(maps)?;
        let change = Change { idmap: Some(namespace.as_fd()), recursive: *recursive, ..Change::default() };
        set_attr(&tree, &change).map_err(|errno| LaunchError::about(Step::IdMap, errno, words()))?;
    }
    Ok(Some(tree))
}

/// A user namespace with these mappings, kept alive by its descriptor alone.
fn user_namespace(maps: &IdMaps) -> std::result::Result<OwnedFd, LaunchError> {
    let failed = |errno| LaunchError::new(Step::IdMap, errno);
    let (ours, theirs) = wharf_sys::fd::seqpacket_pair().map_err(failed)?;
    match clone3(Flags::USER, None).map_err(failed)? {
        Side::Child => {
            drop(ours);
            // end of file: the parent has what it wants
            let _ = rustix::io::read(&theirs, &mut [0; 1]);
            wharf_sys::clone::exit(0)
        }
        Side::Parent { pid, pidfd } => {
            drop(theirs);
            let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
            let namespace = write_id_maps(pid, maps).and_then(|()| {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                rustix::fs::open(path.as_str(), flags, Mode::empty()).map_err(failed)
            });
            drop(ours);
            let _ = wharf_sys::pidfd::wait(&pidfd);
            namespace
        }
    }
}

/// Writes the maps of a process's new user namespace.
pub(super) fn write_id_maps(pid: Pid, maps: &IdMaps) -> std::result::Result<(), LaunchError> {
    let write = |name: &str, bytes: &[u8]| {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        write_file(&path, bytes).map_err(|errno| LaunchError::about(Step::WriteIdMaps, errno, path))
    };
    if maps.deny_setgroups {
        write("setgroups", b"deny")?;
    }
    write("gid_map", &maps.gid)?;
    write("uid_map", &maps.uid)
}

/// Offsets of the time namespace that the child has made for its program.
pub(super) fn time_offsets(plan: &Plan, pid: Pid) -> std::result::Result<(), LaunchError> {
    let path = format!("/proc/{}/timens_offsets", pid.as_raw_nonzero());
    write_file(&path, &plan.time_offsets).map_err(|errno| LaunchError::new(Step::TimeOffsets, errno))
}

fn write_file(path: &str, bytes: &[u8]) -> Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, bytes).map(drop)
}

/// Limits that rights inside the user namespace cannot set.
pub(super) fn outer_limits(process: &ProcessPlan, pid: Pid) -> std::result::Result<(), LaunchError> {
    for (number, soft, hard) in &process.rlimits {
        let limit = wharf_sys::rlimit::Limit { soft: *soft, hard: *hard };
        wharf_sys::rlimit::set(Some(pid), *number, limit)
            .map_err(|errno| LaunchError::about(Step::Rlimit, errno, format!("type {number}")))?;
    }
    if let Some(score) = process.oom_score_adj {
        let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
        write_file(&path, score.to_string().as_bytes()).map_err(|errno| LaunchError::new(Step::OomScore, errno))?;
    }
    Ok(())
}

/// Sends the filter's listener to the agent (OCI runtime spec, "The Container Process State").
pub(super) fn hand_over_listener(
    process: &ProcessPlan,
    plan: Option<&Plan>,
    listener: &OwnedFd,
    pid: i32,
) -> std::result::Result<(), LaunchError> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let Some((path, metadata)) = process.seccomp.as_ref().and_then(|seccomp| seccomp.listener.as_ref()) else {
        return Err(LaunchError::new(Step::SeccompListener, Errno::PROTO));
    };
    let failed = |errno| about(Step::SeccompListener, errno, path);
    let mut text = String::from("{\"ociVersion\":");
    quote(&mut text, OCI_VERSION);
    // writing to a String cannot fail
    let _ = write!(text, ",\"fds\":[\"seccompFd\"],\"pid\":{pid},\"metadata\":");
    quote(&mut text, metadata);
    if let Some(plan) = plan {
        let _ = write!(text, ",\"state\":{}", state(plan, ContainerStatus::Creating, pid));
    }
    text.push('}');
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
    let address = SocketAddrUnix::new(path.as_c_str()).map_err(failed)?;
    connect(&socket, &address).map_err(failed)?;
    wharf_sys::fd::send(&socket, text.as_bytes(), &[listener.as_fd()]).map(drop).map_err(failed)
}

/// `"source" to rootfs at "target"`, as the sentences of other runtimes have it.
pub(super) fn mount_in_words(step: &MountStep) -> String {
    let target = step.target.to_string_lossy();
    match &step.source {
        MountSource::Bind { path, .. } => format!("{:?} to rootfs at {target:?}", path.to_string_lossy()),
        MountSource::Filesystem { source, .. } => format!("{:?} to rootfs at {target:?}", source.to_string_lossy()),
        MountSource::Overlay(overlay) => format!("{:?} to rootfs at {target:?}", overlay.source.to_string_lossy()),
        MountSource::Remount | MountSource::Link { .. } => format!("{target:?}"),
    }
}
