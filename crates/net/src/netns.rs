//! Network namespaces without a name: held by a descriptor, mounted nowhere, gone with the last process and descriptor.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use wharf_netlink::{Batch, LinkName, SetLink, Socket};

use crate::sysctl::{self, DEFAULT_DISABLE_IPV6};
use crate::{Error, Result};

/// A network namespace. It lives as long as this value or a process in it: drop it when the container has been launched.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
    inside: Mutex<Option<Socket>>,
    /// Made by us for one container and not yet handed out to anybody.
    fresh: Option<Fresh>,
}

/// What belongs to a namespace that nobody uses yet.
#[derive(Debug)]
struct Fresh {
    /// Whether interfaces made from now on are without IPv6, open for writing.
    no_ipv6: Option<File>,
    /// The namespace's sysfs, so that it is there when the container mounts it: the kernel finds the youngest first, and looks
    /// through those of all containers before it makes one. Not a mount: who closes one waits for a grace period.
    _sysfs: Option<OwnedFd>,
    /// It came from the pool.
    _place: Option<Place>,
}

impl Netns {
    /// The namespace behind a descriptor of `/proc/<pid>/ns/net`.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd, inside: Mutex::new(None), fresh: None }
    }

    /// The namespace of a process.
    pub fn of_process(pid: i32) -> Result<Self> {
        open(&format!("/proc/{pid}/ns/net")).map(Self::from_fd)
    }

    /// A fresh one with `lo` up, low ports and ping open to everybody in it (as Docker has it).
    pub fn create() -> Result<Self> {
        // a thread of its own: the namespace of the caller must never change
        std::thread::scope(|scope| {
            let maker = scope.spawn(|| make(None));
            maker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Another handle of the same namespace.
    pub(crate) fn again(&self) -> Result<Self> {
        self.descriptor().map(Self::from_fd)
    }

    /// The descriptor alone.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// A descriptor for somebody who will enter it. Keep this value until that is done: what was made ready goes with it.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(Error::system("dup of a network namespace"))
    }

    /// Runs `f` with a route socket of the namespace.
    pub(crate) fn with_socket<T>(&self, f: impl FnOnce(&mut Socket) -> Result<T>) -> Result<T> {
        let mut inside = lock(&self.inside);
        if inside.is_none() {
            *inside = Some(self.within(|| Ok(Socket::route()?))?);
        }
        f(inside.as_mut().expect("was put there above"))
    }

    /// Runs `f` on this thread inside the namespace. `f` must be short and must not spawn.
    pub(crate) fn within<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let home = open("/proc/thread-self/ns/net")?;
        enter(&self.fd)?;
        let _back = Back(home);
        f()
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh.is_some()
    }

    /// Everything of ours is made: what the container makes itself has IPv6 as usual.
    pub(crate) fn seal(&self) -> Result<()> {
        let setting = self.fresh.as_ref().and_then(|fresh| fresh.no_ipv6.as_ref());
        setting.map_or(Ok(()), |setting| sysctl::set(setting, DEFAULT_DISABLE_IPV6, "0"))
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Brings the thread home, also when the closure panics.
struct Back(OwnedFd);

impl Drop for Back {
    fn drop(&mut self) {
        if enter(&self.0).is_err() {
            // going on would let the daemon work in the container's network
            std::process::abort();
        }
    }
}

fn enter(fd: impl AsFd) -> Result<()> {
    move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(Error::system("setns of a network namespace"))
}

/// Opens a namespace file.
pub(crate) fn open(path: &str) -> Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(Error::system(format!("open `{path}`")))
}

/// Moves the calling thread into a fresh namespace and sets it up.
fn make(place: Option<Place>) -> Result<Netns> {
    wharf_sys::clone::unshare(wharf_sys::clone::Flags::NETWORK).map_err(Error::system("unshare the network"))?;
    let fd = open("/proc/thread-self/ns/net")?;
    let mut socket = Socket::route()?;
    let up = SetLink { up: Some(true), ..SetLink::default() };
    socket.run(Batch::new().set_link(LinkName::Index(1), &up))?;
    sysctl::write("net/ipv4/ip_unprivileged_port_start", "0")?;
    sysctl::write("net/ipv4/ping_group_range", "0 2147483647")?;
    // the interfaces we make have no IPv6 unless their network has; `seal` puts the default back for those
    // that the container makes itself
    let no_ipv6 = match sysctl::open(DEFAULT_DISABLE_IPV6) {
        Ok(setting) => sysctl::set(&setting, DEFAULT_DISABLE_IPV6, "1").map(|()| Some(setting))?,
        Err(error) => sysctl::ignore_missing(error).map(|()| None)?,
    };
    let fresh = Fresh { no_ipv6, _sysfs: sysfs().ok(), _place: place };
    Ok(Netns { fd, inside: Mutex::new(Some(socket)), fresh: Some(fresh) })
}

/// The sysfs of the calling thread's namespace, made and not mounted.
fn sysfs() -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{FsOpenFlags, fsconfig_create, fsopen};
    let context = fsopen(c"sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    Ok(context)
}

/// Namespaces that are ready, made by a thread of its own. One that was taken is replaced when it is let go of: by then its container
/// runs, and the start does not share the processor and the kernel's locks with the making of another namespace.
#[derive(Debug)]
pub(crate) struct Pool {
    ready: Mutex<Receiver<Netns>>,
}

/// A place in the pool: to be filled again when this goes.
#[derive(Debug)]
struct Place(Sender<()>);

impl Drop for Place {
    fn drop(&mut self) {
        // when the pool is gone nothing is to be filled
        let _ = self.0.send(());
    }
}

impl Pool {
    /// Keeps `size` ready.
    pub(crate) fn start(size: usize) -> Result<Self> {
        let (sender, ready) = channel();
        if size > 0 {
            let (wants, wanted) = channel();
            (0..size).for_each(|_| drop(Place(wants.clone())));
            std::thread::Builder::new()
                .name("wharf-netns".into())
                .spawn(move || fill(&sender, &wants, &wanted))
                .map_err(|source| Error::System { op: "spawn a thread".into(), source })?;
        }
        Ok(Self { ready: Mutex::new(ready) })
    }

    /// One that is ready, or a new one.
    pub(crate) fn take(&self) -> Result<Netns> {
        match lock(&self.ready).try_recv() {
            Ok(netns) => Ok(netns),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Netns::create(),
        }
    }
}

/// Ends when nobody takes any more, or when the kernel makes none (then `take` reports why).
fn fill(ready: &Sender<Netns>, wants: &Sender<()>, wanted: &Receiver<()>) {
    let Ok(home) = open("/proc/thread-self/ns/net") else { return };
    while wanted.recv().is_ok() {
        let made = make(Some(Place(wants.clone())));
        // the thread must not keep the container's namespace alive
        if enter(&home).is_err() {
            return;
        }
        match made {
            Ok(netns) => {
                if ready.send(netns).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no namespaces are kept ready");
                return;
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // what is behind our locks is changed in single steps: a panic elsewhere leaves it whole
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
