//! The daemon's end: finds the process that is there, or starts one, and tells it about containers.

use std::ffi::CString;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, shutdown, socket_with,
};

use crate::protocol::{Forward, LONGEST, Reply, Request, Sandbox};

/// What the process could not do, or why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{op}: {errno}")]
    System {
        /// Operation and object.
        op: String,
        /// Why.
        errno: Errno,
    },
    /// The process said no.
    #[error("wharf-netd: {0}")]
    Refused(String),
    /// Its answer is no answer.
    #[error("wharf-netd: malformed answer")]
    Malformed,
}

/// A connection to the process, made when it is first needed and again after it broke.
pub struct Client {
    executable: PathBuf,
    path: PathBuf,
    connection: Mutex<Option<OwnedFd>>,
    end: Arc<End>,
}

/// What happens when the process ends although the daemon did not let it go.
#[derive(Default)]
struct End {
    /// The daemon goes, not the process.
    expected: AtomicBool,
    heal: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// When it was last called.
    healed: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end.expected.store(true, Ordering::SeqCst);
        if let Some(connection) = self.lock().as_ref() {
            // wakes the thread that holds the other descriptor of it
            let _ = shutdown(connection, Shutdown::Both);
        }
    }
}

/// One that dies again this soon does not come up at all: it is given time before it is started once more.
const STILLBORN: Duration = Duration::from_secs(1);

impl Client {
    /// `path` is the socket; `executable` is started when nobody answers there. Does nothing yet.
    pub fn new(executable: PathBuf, path: PathBuf) -> Self {
        Self { executable, path, connection: Mutex::new(None), end: Arc::default() }
    }

    /// Says what to do when the process has died: to tell everything again (which starts another). Called on a thread of
    /// its own; only the first one said counts.
    pub fn on_end(&self, heal: impl Fn() + Send + Sync + 'static) {
        let _ = self.end.heal.set(Box::new(heal));
    }

    /// Tells the names of a container; with sockets, who asks from there.
    ///
    /// # Errors
    /// When the process cannot be started or does not answer.
    pub fn put(&self, sandbox: Sandbox, sockets: Option<(&UdpSocket, &TcpListener)>) -> Result<(), Error> {
        let fds: Vec<BorrowedFd<'_>> = sockets.map(|(udp, tcp)| vec![udp.as_fd(), tcp.as_fd()]).unwrap_or_default();
        done(self.call(&Request::Put(sandbox), &fds, true)?)
    }

    /// A container has ended. Starts no process for that.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn drop(&self, container: &str) -> Result<(), Error> {
        match self.call(&Request::Drop { container: container.into() }, &[], false) {
            Ok(reply) => done(reply),
            Err(Error::System { errno: Errno::NOENT | Errno::CONNREFUSED, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whom the process knows; nobody when there is none.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn list(&self) -> Result<Vec<String>, Error> {
        match self.call(&Request::List, &[], false) {
            Ok(Reply::Sandboxes(containers)) => Ok(containers),
            Ok(_) => Err(Error::Malformed),
            Err(Error::System { errno: Errno::NOENT | Errno::CONNREFUSED, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Hands over the bound sockets of published ports. The process listens where there is a target.
    ///
    /// # Errors
    /// As [`Client::put`]. Ports of earlier messages stay: [`Client::unpublish`] lets them go.
    pub fn publish(&self, container: &str, ports: &[(Forward, OwnedFd)]) -> Result<(), Error> {
        // the kernel passes up to 253 descriptors at once
        for chunk in ports.chunks(250) {
            let forwards = chunk.iter().map(|(forward, _)| *forward).collect();
            let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(|(_, fd)| fd.as_fd()).collect();
            done(self.call(&Request::Publish { container: container.into(), forwards }, &fds, true)?)?;
        }
        Ok(())
    }

    /// Streams of the container's ports are led inside its namespace from now on, coming from one of `sources` there.
    ///
    /// # Errors
    /// As [`Client::put`]; [`Error::Refused`] by a process of an earlier version, which leads them over the bridge.
    pub fn inside(&self, container: &str, sources: &[IpAddr], netns: BorrowedFd<'_>) -> Result<(), Error> {
        let request = Request::Inside { container: container.into(), sources: sources.to_vec() };
        done(self.call(&request, &[netns], true)?)
    }

    /// Ports that are held already lead elsewhere from now on.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn redirect(&self, container: &str, forwards: &[Forward]) -> Result<(), Error> {
        for chunk in forwards.chunks(250) {
            done(self.call(&Request::Publish { container: container.into(), forwards: chunk.to_vec() }, &[], true)?)?;
        }
        Ok(())
    }

    /// The ports of a container are free when this returns. Starts no process for that.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn unpublish(&self, container: &str) -> Result<(), Error> {
        match self.call(&Request::Unpublish { container: container.into() }, &[], false) {
            Ok(reply) => done(reply),
            Err(Error::System { errno: Errno::NOENT | Errno::CONNREFUSED, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whose ports the process holds, and how many; nobody's when there is none.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn published(&self) -> Result<Vec<(String, u32)>, Error> {
        match self.call(&Request::Published, &[], false) {
            Ok(Reply::Published(list)) => Ok(list),
            Ok(_) => Err(Error::Malformed),
            Err(Error::System { errno: Errno::NOENT | Errno::CONNREFUSED, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn call(&self, request: &Request, fds: &[BorrowedFd<'_>], start: bool) -> Result<Reply, Error> {
        let bytes = postcard::to_stdvec(request).map_err(|_| Error::Malformed)?;
        if bytes.len() > LONGEST {
            return Err(Error::Refused("too many names".into()));
        }
        let mut connection = self.lock();
        if let Some(there) = connection.as_ref() {
            match exchange(there, &bytes, fds) {
                // it ended since the last time
                Err(Error::System { errno: Errno::PIPE | Errno::CONNRESET, .. }) => *connection = None,
                other => return other,
            }
        }
        let fresh = self.connect(start)?;
        self.watch(&fresh)?;
        let reply = exchange(&fresh, &bytes, fds);
        *connection = Some(fresh);
        reply
    }

    fn connect(&self, start: bool) -> Result<OwnedFd, Error> {
        let failed = |op: &str| {
            let op = format!("{op} `{}`", self.path.display());
            move |errno| Error::System { op, errno }
        };
        let address = SocketAddrUnix::new(&self.path).map_err(failed("name"))?;
        let socket = seqpacket().map_err(failed("socket for"))?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::NOENT | Errno::CONNREFUSED) if start => {}
            Err(errno) => return Err(failed("connect")(errno)),
        }
        // nobody listens any more
        match rustix::fs::unlink(&self.path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("unlink")(errno)),
        }
        let listener = seqpacket().map_err(failed("socket for"))?;
        bind(&listener, &address).map_err(failed("bind"))?;
        rustix::fs::chmod(&self.path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).map_err(failed("chmod"))?;
        listen(&listener, 16).map_err(failed("listen on"))?;
        spawn(&self.executable, listener.as_fd())?;
        let socket = seqpacket().map_err(failed("socket for"))?;
        connect(&socket, &address).map_err(failed("connect"))?;
        Ok(socket)
    }

    /// A thread that waits for the end of a connection: the process closes it only by dying.
    fn watch(&self, connection: &OwnedFd) -> Result<(), Error> {
        let failed = |errno| Error::System { op: "watch wharf-netd".into(), errno };
        let connection = rustix::io::fcntl_dupfd_cloexec(connection, 0).map_err(failed)?;
        let end = self.end.clone();
        let wait = move || {
            // readable is the business of whoever asked; only the end wakes this thread
            while let Err(Errno::INTR) = poll(&mut [PollFd::new(&connection, PollFlags::empty())], None) {}
            drop(connection);
            if end.expected.load(Ordering::SeqCst) {
                return;
            }
            if let Some(heal) = end.heal.get() {
                let before = end.healed.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
                let left = before.map_or(Duration::ZERO, |at| STILLBORN.saturating_sub(at.elapsed()));
                let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
                let _ = poll(&mut [], Some(&left));
                heal();
            }
        };
        std::thread::Builder::new()
            .name("wharf-netd-end".into())
            .spawn(wait)
            .map(drop)
            .map_err(|_| failed(Errno::AGAIN))
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seqpacket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Starts the process in a session of its own: it stays when we go.
fn spawn(executable: &Path, listener: BorrowedFd<'_>) -> Result<(), Error> {
    const LISTENER: i32 = 3;
    let failed = |errno| Error::System { op: format!("start `{}`", executable.display()), errno };
    let path = CString::new(executable.as_os_str().as_bytes()).map_err(|_| failed(Errno::INVAL))?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).map_err(failed)?;
    let above = rustix::io::fcntl_dupfd_cloexec(listener, 10).map_err(failed)?;
    let null = rustix::io::fcntl_dupfd_cloexec(&null, 10).map_err(failed)?;
    let argv = [c"wharf-netd".into()];
    let fds = [(0, null.as_fd()), (1, null.as_fd()), (2, null.as_fd()), (LISTENER, above.as_fd())];
    let command = wharf_sys::spawn::Command { path: &path, argv: &argv, env: &[], fds: &fds, new_session: true };
    let child = wharf_sys::spawn::spawn(&command).map_err(failed)?;
    // whoever started it must take its end, or a dead process stays in the table
    std::thread::Builder::new()
        .name("wharf-netd-child".into())
        .spawn(move || wharf_sys::pidfd::wait(&child.pidfd))
        .map_err(|_| failed(Errno::AGAIN))?;
    Ok(())
}

fn exchange(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
    let failed = |op: &str| {
        let op = op.to_owned();
        move |errno| Error::System { op, errno }
    };
    wharf_sys::fd::send(socket, bytes, fds).map_err(failed("send to wharf-netd"))?;
    let mut buffer = vec![0; LONGEST];
    let received = wharf_sys::fd::receive(socket, &mut buffer).map_err(failed("receive from wharf-netd"))?;
    if received.len == 0 {
        return Err(Error::System { op: "receive from wharf-netd".into(), errno: Errno::PIPE });
    }
    postcard::from_bytes(&buffer[..received.len]).map_err(|_| Error::Malformed)
}

fn done(reply: Reply) -> Result<(), Error> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused(why) => Err(Error::Refused(why)),
        Reply::Sandboxes(_) | Reply::Published(_) => Err(Error::Malformed),
    }
}
