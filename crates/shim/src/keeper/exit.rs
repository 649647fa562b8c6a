//! How things end: the record on disk, and what a container without a PID namespace of its own leaves behind.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::process::{Pid, Signal, WaitStatus};
use wharf_logs::Timestamp;
use wharf_sys::{Errno, Result};

use crate::protocol::{Exit, ExitRecord};

/// The end of a child, as it is told.
pub(super) fn of_status(status: WaitStatus) -> Exit {
    let signal = status.terminating_signal();
    let code = signal.map_or_else(|| status.exit_status().unwrap_or(255), |signal| 128 + signal);
    Exit { code, signal, at: Timestamp::now() }
}

/// A record that is in its place and not yet on the disk.
#[derive(Debug)]
pub(super) struct Written {
    file: OwnedFd,
    folder: OwnedFd,
}

/// Puts the record in its place: from here on it is whole and outlives every process, this one and the daemon included.
///
/// Against a failure of the machine it is safe only after [`Written::sync`], which takes two commits of the file system's
/// journal, 1 to 12 ms. The keeper does that when no daemon has heard of the end: what a daemon hears it commits itself
/// before it tells anybody.
pub(super) fn record(path: &Path, record: &ExitRecord) -> Result<Written> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut temporary = name.to_owned();
    temporary.push(".tmp");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(&folder, &temporary, flags, Mode::from_raw_mode(0o600))?;
    let text = record.encode();
    let written = rustix::io::write(&file, text.as_bytes())?;
    if written != text.len() {
        rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty())?;
        return Err(Errno::NOSPC);
    }
    wharf_sys::failpoint::hit("shim.exit.before_rename")?;
    rustix::fs::renameat(&folder, &temporary, &folder, name)?;
    Ok(Written { file, folder })
}

impl Written {
    /// Brings it to the disk.
    pub(super) fn sync(self) -> Result<()> {
        rustix::fs::fdatasync(&self.file)?;
        rustix::fs::fsync(&self.folder)
    }
}

/// Kills all children. As a subreaper the keeper inherits what its dead children leave, so calling this at every SIGCHLD
/// gets everything in the end.
pub(super) fn kill_children() {
    let own = rustix::process::getpid().as_raw_nonzero();
    let Ok(children) = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")) else { return };
    for pid in children.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}
