//! One daemon per data root, and the file that holds its PID.
//!
//! A daemon that was killed a moment ago may still be on its way out, so both wait a little before they refuse.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a killed daemon may take to be gone: it has memory to free and sockets to close, on a machine that may be busy.
const DYING: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Whether `condition` becomes true while a daemon may be dying.
fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + DYING;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        let _ = rustix::event::poll(&mut [], Some(&LOOK));
    }
}

/// A data root that no other daemon uses; free again when dropped or when the process dies.
#[derive(Debug)]
pub(crate) struct DataRoot {
    _file: File,
}

impl DataRoot {
    /// Locks `<data-root>/wharfd.lock`.
    ///
    /// # Errors
    /// When another daemon has it.
    pub(crate) fn lock(data_root: &Path) -> Result<Self> {
        let file = File::options().create(true).truncate(false).write(true).open(data_root.join("wharfd.lock"))?;
        if soon(|| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()) {
            return Ok(Self { _file: file });
        }
        let why = format!("the data root {} is in use by another daemon", data_root.display());
        Err(Error::new(ErrorKind::AddrInUse, why))
    }
}

/// The PID file; removed when dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes our PID.
    ///
    /// # Errors
    /// When the file names a living process, with dockerd's sentence.
    pub(crate) fn write(path: &Path) -> Result<Self> {
        let old = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(pid) = old.filter(|pid| *pid != std::process::id() && !soon(|| !is_daemon(*pid))) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("process with PID {pid} is still running: delete {} if it is not a daemon", path.display()),
            ));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, std::process::id().to_string())?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the process lives and runs our program (PIDs are used again, and one that is only not yet reaped holds nothing).
fn is_daemon(pid: u32) -> bool {
    // `pid (comm) state …`
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((name, state)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else { return false };
    (name.starts_with("wharfd") || name.starts_with("dockerd")) && !state.starts_with(['Z', 'X'])
}
