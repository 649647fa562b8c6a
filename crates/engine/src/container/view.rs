//! A container's files as the container sees them, for the daemon's own hands.
//!
//! ```text
//!   runs      its mount namespace ── copied ──► private namespace, without /proc, /sys, /dev ──► root
//!   does not  its overlay + binds, volumes, files of /etc ──► private, otherwise empty namespace ──► root
//! ```
//!
//! The namespace is made by a thread that ends with it; what keeps it alive is a descriptor, so nothing is mounted where
//! anybody could see it and nothing is left when the daemon is killed. Paths are looked up from the root's descriptor with
//! `RESOLVE_IN_ROOT`, never by name from the host, and nothing is executed or loaded from in there (CVE-2018-15664,
//! CVE-2019-14271).

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use tokio::sync::OwnedRwLockReadGuard;
use wharf_archive::Writing;
use wharf_spec::id::ContainerId;
use wharf_sys::clone::{Flags, setns, unshare};
use wharf_sys::failpoint;
use wharf_sys::mount::{Change, Propagation, attr, set_attr};

use super::handle::{Handle, Live};
use super::rootfs;
use super::snapshot::{Container, Files, MountKind};
use crate::{Error, Inner, Result, blocking};

/// How often a look-up is repeated that a rename in the container disturbed.
const DISTURBED: u32 = 10_000;
/// Links that are followed to the end of a path, as many as Docker.
const LINKS: u32 = 255;
/// What every container has mounted and Docker does not copy from: interfaces of the kernel, and device nodes.
const DEFAULTS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// A container's files. While there is one, the container neither starts nor is removed.
#[derive(Debug)]
pub(crate) struct View {
    mounts: Arc<Mounts>,
}

/// The mounts of a view. They are gone when the container may start.
#[derive(Debug)]
struct Mounts {
    root: OwnedFd,
    /// They last as long as their namespace.
    _namespace: OwnedFd,
    _still: OwnedRwLockReadGuard<()>,
    /// Whoever has the view may write into the container's files and its volumes.
    _writing: (Writing<ContainerId>, Vec<Writing<String>>),
}

/// The last view of a container. While it is there and the container does not run, others share its mounts: a second overlay over one
/// upper folder would take the first one's work folder away.
#[derive(Debug, Default)]
pub(crate) struct Views(Mutex<Weak<Mounts>>);

/// Opens the view.
pub(crate) async fn open(inner: &Arc<Inner>, handle: &Handle) -> Result<View> {
    let still = handle.files.clone().read_owned().await;
    let (inner, id, container, live) = (inner.clone(), handle.id.clone(), handle.container(), handle.live());
    let views = handle.views.clone();
    blocking(move || {
        let mut last = views.0.lock().unwrap_or_else(PoisonError::into_inner);
        if live.is_none()
            && let Some(mounts) = last.upgrade()
        {
            return Ok(View { mounts });
        }
        let volumes = container.mounts.iter().filter(|point| point.kind == MountKind::Volume);
        let volumes = volumes.map(|point| inner.volumes.writing(&point.name)).collect();
        let writing = (inner.store.snapshot_writing(&id), volumes);
        let made = match live {
            Some(live) => in_a_thread(move || of_running(&live, &container)),
            None => {
                let volumes = Volumes::mount(&inner, &container)?;
                let (world, paths) = (inner.clone(), volumes.paths.clone());
                let made = in_a_thread(move || of_stopped(&world, &id, &container, &paths));
                // the view has clones of its own
                volumes.unmount();
                made
            }
        };
        let (root, namespace) = made?;
        failpoint::hit("engine.view.after_mount").map_err(Error::injected)?;
        let mounts = Arc::new(Mounts { root, _namespace: namespace, _still: still, _writing: writing });
        *last = Arc::downgrade(&mounts);
        Ok(View { mounts })
    })
    .await
}

/// A thread of its own: it changes its mount namespace and its root, and takes neither back.
fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let thread = std::thread::Builder::new().name("view".into()).spawn(work);
    let thread = thread.map_err(|e| Error::system("start a thread", e))?;
    thread.join().unwrap_or_else(|_| Err(Error::System("the view of the container's files panicked".into())))
}

/// The volumes of a container, mounted on the host as long as they are being cloned.
struct Volumes {
    inner: Arc<Inner>,
    /// Nobody else goes by this name.
    user: String,
    paths: BTreeMap<String, PathBuf>,
}

impl Volumes {
    fn mount(inner: &Arc<Inner>, container: &Container) -> Result<Volumes> {
        let user = format!("view-{}-{}", container.id, inner.next_attach());
        let mut volumes = Volumes { inner: inner.clone(), user, paths: BTreeMap::new() };
        for point in container.mounts.iter().filter(|point| point.kind == MountKind::Volume) {
            match inner.volumes.mount(&point.name, &volumes.user) {
                Ok(path) => drop(volumes.paths.insert(point.name.clone(), path)),
                Err(error) => {
                    volumes.unmount();
                    return Err(error.into());
                }
            }
        }
        Ok(volumes)
    }

    fn unmount(self) {
        for name in self.paths.keys() {
            if let Err(error) = self.inner.volumes.unmount(name, &self.user) {
                tracing::warn!(volume = name, %error, "unmount after a copy");
            }
        }
    }
}

type Made = Result<(OwnedFd, OwnedFd)>;

fn of_running(live: &Live, container: &Container) -> Made {
    let fail = |op: &'static str| move |errno: Errno| Error::system(op, errno);
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(fail("open /proc"))?;
    unshare(Flags::ROOT).map_err(fail("unshare the root"))?;
    match setns(&live.pidfd, Flags::MOUNT) {
        Err(Errno::SRCH) => return Err(Error::not_running(&container.id)),
        other => other.map_err(fail("join the container's mount namespace"))?,
    }
    unshare(Flags::MOUNT).map_err(fail("unshare the mount namespace"))?;
    let root = open_root()?;
    let destinations: Vec<&str> = container.mounts.iter().map(|m| m.destination.as_str()).collect();
    let mut kept = Vec::new();
    for default in DEFAULTS.into_iter().filter(|path| !destinations.contains(path)) {
        // what the user has mounted below stays
        for destination in destinations.iter().filter(|d| Path::new(d).starts_with(default)) {
            if let Ok(place) = look_up(root.as_fd(), Path::new(destination), OFlags::PATH)
                && let Ok(tree) = clone_tree(&place)
            {
                kept.push((PathBuf::from(destination), tree));
            }
        }
        match unmount(default, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // not mounted, or (in a user namespace) locked in its place: then it is left out when packing
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(e) => return Err(Error::system(format!("detach {default}"), e)),
        }
    }
    for (destination, tree) in kept {
        attach(root.as_fd(), &destination, &tree)?;
    }
    Ok((root, namespace(&proc)?))
}

fn of_stopped(inner: &Inner, id: &ContainerId, container: &Container, volumes: &BTreeMap<String, PathBuf>) -> Made {
    let fail = |op: &'static str| move |errno: Errno| Error::system(op, errno);
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(fail("open /proc"))?;
    unshare(Flags::ROOT).map_err(fail("unshare the root"))?;
    unshare(Flags::MOUNT).map_err(fail("unshare the mount namespace"))?;
    drop(open_root()?);
    let root = match inner.store.snapshot_rootfs(id)? {
        wharf_store::Rootfs::Dir(path) => clone_path(&path, false)?,
        wharf_store::Rootfs::Overlay { .. } => inner.store.snapshot_open(id)?,
    };
    let mut trees = Vec::new();
    for Source { path, subpath, destination, writable } in mounts(container, volumes) {
        let tree = if subpath.as_os_str().is_empty() {
            clone_path(&path, true)?
        } else {
            // looked up from the volume, whatever links are in it
            let volume = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let place = volume.and_then(|volume| look_up(volume.as_fd(), &subpath, OFlags::PATH));
            let tree = place.and_then(clone_tree).map_err(fail("open the volume's subpath"))?;
            set_attr(&tree, &PRIVATE).map_err(fail("make a mount private"))?;
            tree
        };
        if !writable {
            let change = Change { set: attr::RDONLY, recursive: true, ..Change::default() };
            set_attr(&tree, &change).map_err(fail("make a mount read-only"))?;
        }
        trees.push((destination, tree));
    }
    // outer ones first, as at start
    trees.sort_by_key(|(destination, _)| destination.components().count());
    // the new root takes the place of the host's, which then goes away as a whole
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&root, c"", CWD, inner.config.exec_root.as_path(), flags).map_err(fail("mount the container's root"))?;
    rustix::process::fchdir(&root).map_err(fail("enter the container's root"))?;
    rustix::process::pivot_root(".", ".").map_err(fail("pivot_root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(fail("detach the host's root"))?;
    for (destination, tree) in trees {
        attach(root.as_fd(), &destination, &tree)?;
    }
    Ok((root, namespace(&proc)?))
}

/// One mount of a container that does not run.
struct Source {
    path: PathBuf,
    /// Folder in the volume; empty: all of it.
    subpath: PathBuf,
    destination: PathBuf,
    writable: bool,
}

/// What is mounted in a container by its declaration.
fn mounts(container: &Container, volumes: &BTreeMap<String, PathBuf>) -> Vec<Source> {
    let mut list = Vec::new();
    for point in container.mounts.iter() {
        let options = point.declared.as_ref().and_then(|declared| declared.volume_options.as_ref());
        let (path, subpath) = match point.kind {
            MountKind::Volume => match volumes.get(&point.name) {
                Some(path) => (path.clone(), options.map(|o| PathBuf::from(&o.subpath)).unwrap_or_default()),
                None => continue,
            },
            MountKind::Bind => (PathBuf::from(&point.source), PathBuf::new()),
            // empty until it runs
            MountKind::Tmpfs | MountKind::Image => continue,
        };
        list.push(Source { path, subpath, destination: PathBuf::from(&point.destination), writable: point.rw });
    }
    let Files { resolv_conf, hostname, hosts, .. } = &container.files;
    for (path, destination) in [(resolv_conf, "/etc/resolv.conf"), (hostname, "/etc/hostname"), (hosts, "/etc/hosts")] {
        let taken = list.iter().any(|other| other.destination == Path::new(destination));
        // written at its first start
        if !taken && !path.as_os_str().is_empty() && path.exists() {
            let writable = !container.host_config.readonly_rootfs;
            list.push(Source {
                path: path.clone(),
                subpath: PathBuf::new(),
                destination: destination.into(),
                writable,
            });
        }
    }
    list
}

/// Nothing travels between the mounts of a view and others.
const PRIVATE: Change<'static> =
    Change { set: 0, clear: 0, propagation: Some(Propagation::Private), idmap: None, recursive: true };

/// The root of the calling thread's namespace, from which nothing travels to other namespaces any more.
fn open_root() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).map_err(|e| Error::system("open the root", e))?;
    set_attr(&root, &PRIVATE).map_err(|e| Error::system("make the mounts private", e))?;
    Ok(root)
}

fn namespace(proc: &OwnedFd) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(proc, "thread-self/ns/mnt", flags, Mode::empty())
        .map_err(|e| Error::system("open the mount namespace", e))
}

fn clone_tree(place: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(place, c"", flags | OpenTreeFlags::AT_EMPTY_PATH | OpenTreeFlags::AT_RECURSIVE)
}

/// A private, detached copy of what is mounted at a path of the host.
fn clone_path(path: &Path, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(CWD, path, flags).map_err(|e| Error::system(format!("open_tree `{}`", path.display()), e))?;
    set_attr(&tree, &PRIVATE).map_err(|e| Error::system("make a mount private", e))?;
    Ok(tree)
}

/// Puts a detached tree on its place below `root`, which is made when it is not there.
fn attach(root: BorrowedFd<'_>, destination: &Path, tree: &OwnedFd) -> Result<()> {
    let fail = |errno: Errno| Error::system(format!("mount `{}` in the container", destination.display()), errno);
    let place = match look_up(root, destination, OFlags::PATH) {
        Err(Errno::NOENT) => {
            let folder = FileType::from_raw_mode(fstat(tree).map_err(fail)?.st_mode) == FileType::Directory;
            rootfs::make_place(root, destination, folder)?
        }
        other => other.map_err(fail)?,
    };
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", &place, c"", flags).map_err(fail)
}

/// Opens `path` inside `root`, again when a rename came across.
pub(crate) fn look_up(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // NUL in a path would cut it
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..DISTURBED {
        match openat2(root, path.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

impl View {
    /// The place itself that a path leads to; a link at its end is not followed (behind a trailing slash it is).
    pub(crate) fn place(&self, path: &Path) -> rustix::io::Result<(OwnedFd, Stat)> {
        let place = look_up(self.mounts.root.as_fd(), path, OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat = fstat(&place)?;
        Ok((place, stat))
    }

    /// Its users and groups.
    pub(crate) fn accounts(&self) -> crate::users::Accounts {
        rootfs::accounts_in(&self.mounts.root)
    }

    /// The folder that a path leads to, links followed, and its true path in the container.
    pub(crate) fn folder(&self, path: &Path) -> rustix::io::Result<(OwnedFd, PathBuf)> {
        let place = look_up(self.mounts.root.as_fd(), path, OFlags::PATH)?;
        if FileType::from_raw_mode(fstat(&place)?.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        let whole = readlinkat(CWD, super::proc_path(&place), Vec::new())?;
        let folder = look_up(place.as_fd(), Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok((folder, PathBuf::from(OsString::from_vec(whole.into_bytes()))))
    }

    /// Where the links of a path lead in the end, as far as they lead anywhere; `None` when they go round in circles.
    pub(crate) fn follow(&self, path: &Path) -> Option<PathBuf> {
        let mut done = PathBuf::from("/");
        let mut rest: Vec<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&part);
            let link = look_up(self.mounts.root.as_fd(), &next, OFlags::PATH | OFlags::NOFOLLOW)
                .and_then(|place| readlinkat(&place, "", Vec::new()));
            let Ok(target) = link else {
                done = next;
                continue;
            };
            links += 1;
            if links > LINKS {
                return None;
            }
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                done = PathBuf::from("/");
            }
            rest.extend(parts(&target));
        }
        Some(done)
    }
}

/// The parts of a path, last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let bytes = path.as_os_str().as_bytes();
    let real = |part: &&[u8]| !part.is_empty() && *part != b".";
    bytes.split(|byte| *byte == b'/').filter(real).map(|part| OsString::from_vec(part.to_vec())).rev().collect()
}
