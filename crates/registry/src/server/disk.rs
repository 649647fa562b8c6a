//! Files that are there whole or not at all: written beside their place, synced, renamed, and the folder synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Puts the names in a folder on disk, and with them every change before: a journal keeps the order.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a file with its folders; whoever reads it sees the old or the new bytes, also after a power loss. Which of the two
/// is settled by [`sync_folder`], once for several files.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".{}.tmp", super::name::UploadId::random()?.as_str()));
    let written = || -> io::Result<()> {
        let mut file = File::create_new(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        wharf_sys::failpoint::hit("registry.write.after_sync")?;
        fs::rename(&beside, path)
    };
    written().inspect_err(|_| _ = fs::remove_file(&beside))
}

/// Makes a file look as if it had been written now, so that no collection takes it for old.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

/// Names in a folder; none when it is not there.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Removes a folder with everything in it; it may be gone already.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
