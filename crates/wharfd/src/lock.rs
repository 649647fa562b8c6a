//! One daemon per data root, and the file that holds its PID.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

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
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Error::new(
                ErrorKind::AddrInUse,
                format!("the data root {} is in use by another daemon", data_root.display()),
            )
        })?;
        Ok(Self { _file: file })
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
        if let Some(pid) = old.filter(|pid| *pid != std::process::id() && is_daemon(*pid)) {
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

/// Whether the process exists and runs our program (PIDs are used again).
fn is_daemon(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| name.starts_with("wharfd") || name.starts_with("dockerd"))
}
