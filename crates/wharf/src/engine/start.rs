//! The engine behind the default sockets, started when there is none.

use std::fs::{self, OpenOptions};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::{Address, Error};

/// Ours, then the one every docker client knows.
pub(crate) const DEFAULT_SOCKETS: [&str; 2] = ["/run/wharf/wharf.sock", "/var/run/docker.sock"];
/// A first start loads state and sets up a bridge; a machine under load may need seconds for that.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often the socket is tried between two events (it exists a moment before it listens).
const STEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// The address to use when nobody named one, and whether our own engine is behind it.
///
/// Starts our engine when neither default socket answers and we may.
pub(crate) fn default_address(may_start: bool) -> Result<(Address, bool), Error> {
    let [ours, theirs] = DEFAULT_SOCKETS;
    let unix = |path: &str| Address::Unix(PathBuf::from(path));
    if UnixStream::connect(ours).is_ok() {
        return Ok((unix(ours), true));
    }
    if UnixStream::connect(theirs).is_ok() {
        return Ok((unix(theirs), false));
    }
    if may_start
        && rustix::process::geteuid().is_root()
        && let Some(program) = daemon()
    {
        start(&program, Path::new(ours))?;
        return Ok((unix(ours), true));
    }
    Ok((unix(theirs), false))
}

/// `wharfd` beside our own executable, else on the path.
pub(crate) fn daemon() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("wharfd")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).map(|folder| folder.join("wharfd")).collect();
    beside.into_iter().chain(on_path).find(|file| file.is_file())
}

fn start(program: &Path, socket: &Path) -> Result<(), Error> {
    let broken = |what: &str, error: &dyn std::fmt::Display| Error::Broken(format!("{what}: {error}"));
    let folder = socket.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|error| broken(&format!("create {}", folder.display()), &error))?;
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(|error| broken("inotify_init", &error))?;
    inotify::add_watch(&watch, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO)
        .map_err(|error| broken("inotify_add_watch", &error))?;
    let log = folder.join("wharfd.log");
    let output = OpenOptions::new().create(true).append(true).open(&log);
    let output = output.map_err(|error| broken(&format!("open {}", log.display()), &error))?;
    let again = output.try_clone().map_err(|error| broken("dup", &error))?;
    // a process group of its own: ctrl-c in this terminal is not meant for it
    let mut child = Command::new(program)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(again)
        .process_group(0)
        .spawn()
        .map_err(|error| broken(&format!("start {}", program.display()), &error))?;
    wait(&mut child, &watch, socket, &log)
}

fn wait(child: &mut Child, watch: &rustix::fd::OwnedFd, socket: &Path, log: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + START_LIMIT;
    while UnixStream::connect(socket).is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            // another client may have been faster: then its engine answers
            if UnixStream::connect(socket).is_ok() {
                return Ok(());
            }
            return Err(Error::Broken(format!("wharfd ended ({status}); see {}", log.display())));
        }
        if Instant::now() > deadline {
            return Err(Error::Broken(format!(
                "wharfd does not answer on {}; see {}",
                socket.display(),
                log.display()
            )));
        }
        let mut buffer = [0; 4096];
        let _ = rustix::io::read(watch, &mut buffer);
        let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&STEP));
    }
    Ok(())
}
