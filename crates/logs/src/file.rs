//! The current log file: appended to, and moved out of the way when it is full.
//!
//! ```text
//!  x-json.log ─rename─► x-json.log.1 ─rename─► x-json.log.2 … the one after `max_file - 1` is removed
//!                            └─ compress: x-json.log.1.gz.tmp ─rename─► x-json.log.1.gz, then .1 is removed
//! ```
//!
//! As in Docker the size is looked at before an entry is written, so a file is a little larger than `max_size`.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::{Error, Result};

/// When a new file begins and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Bytes after which a new file begins; `None` never.
    pub max_size: Option<u64>,
    /// How many files are kept, the current one included. With 1 the old content is dropped.
    pub max_file: u32,
    /// Rotated files are compressed with gzip.
    pub compress: bool,
}

impl Rotation {
    /// What Docker's `local` driver does when not told otherwise: five files of 20 MiB, compressed.
    pub const LOCAL: Self = Self { max_size: Some(20 << 20), max_file: 5, compress: true };
}

impl Default for Rotation {
    /// Docker's: one file that grows.
    fn default() -> Self {
        Self { max_size: None, max_file: 1, compress: false }
    }
}

/// A rotated file that is to be compressed. It can be read in either form, so this may happen at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    from: PathBuf,
    to: PathBuf,
}

impl Compression {
    /// Compresses the file and removes the original. May run in another process than the writer's.
    ///
    /// # Errors
    /// The kernel's; the original is then still there.
    pub fn run(&self) -> Result<()> {
        let temporary = suffixed(&self.to, ".tmp");
        let mut source = File::open(&self.from).map_err(|error| Error::io("open", &self.from, error))?;
        let fail = |error| Error::io("compress", &self.from, error);
        let target = File::create(&temporary).map_err(|error| Error::io("create", &temporary, error))?;
        // level 1: the one that keeps up with a container that prints without end
        let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::fast());
        io::copy(&mut source, &mut encoder).map_err(fail)?;
        let target = encoder.finish().map_err(fail)?;
        target.sync_data().map_err(fail)?;
        std::fs::rename(&temporary, &self.to).map_err(|error| Error::io("rename", &temporary, error))?;
        std::fs::remove_file(&self.from).map_err(|error| Error::io("remove", &self.from, error))
    }
}

/// `path` with `suffix` behind its name.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The current file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: OwnedFd,
    size: u64,
    rotation: Rotation,
}

impl LogFile {
    pub(crate) fn open(path: &Path, rotation: Rotation, codec: Codec) -> Result<Self> {
        let file = open(path)?;
        let size = rustix::fs::fstat(&file).map_err(|error| Error::io("stat", path, error))?.st_size as u64;
        let mut log = Self { path: path.to_owned(), file, size, rotation };
        match codec {
            Codec::Json => log.end_torn_line()?,
            Codec::Local => log.cut_torn_entry(codec)?,
        }
        Ok(log)
    }

    /// A writer that was killed, or a full disk, may have left half a line: it must not swallow the next one.
    fn end_torn_line(&mut self) -> Result<()> {
        let mut last = [b'\n'];
        if self.size > 0 {
            let source = open_read(&self.path)?;
            rustix::io::pread(&source, &mut last, self.size - 1)
                .map_err(|error| Error::io("read", &self.path, error))?;
        }
        if last == *b"\n" { Ok(()) } else { self.append(b"\n") }
    }

    /// The same where entries have lengths: what follows half an entry could never be found.
    fn cut_torn_entry(&mut self, codec: Codec) -> Result<()> {
        let source = File::from(open_read(&self.path)?);
        if let Some(end) = codec.torn_at(&source).map_err(|error| Error::io("read", &self.path, error))? {
            rustix::fs::ftruncate(&self.file, end).map_err(|error| Error::io("truncate", &self.path, error))?;
            self.size = end;
        }
        Ok(())
    }

    /// Inode and length of the current file.
    pub(crate) fn place(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::fstat(&self.file).map_err(|error| Error::io("stat", &self.path, error))?;
        Ok((stat.st_ino, stat.st_size as u64))
    }

    /// Bytes that may still be appended before [`LogFile::rotate`] is due; 0 when it is.
    pub(crate) fn room(&self) -> u64 {
        self.rotation.max_size.map_or(u64::MAX, |max| max.saturating_sub(self.size))
    }

    /// Appends whole entries, or nothing of them: what a full disk let through is taken back.
    pub(crate) fn append(&mut self, mut entries: &[u8]) -> Result<()> {
        let start = self.size;
        while !entries.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.file, entries)) {
                Ok(count) => {
                    self.size += count as u64;
                    entries = &entries[count..];
                }
                Err(error) => {
                    if rustix::fs::ftruncate(&self.file, start).is_ok() {
                        self.size = start;
                    }
                    return Err(Error::io("write", &self.path, error));
                }
            }
        }
        Ok(())
    }

    /// Begins a new file. What is to be compressed is handed back, as it takes long.
    pub(crate) fn rotate(&mut self) -> Result<Option<Compression>> {
        let mut compression = None;
        if self.rotation.max_file < 2 {
            // a new file rather than a truncated one: who follows the old one can still read it to its end
            self.discard(&self.path)?;
        } else {
            for extension in ["", ".gz"] {
                self.discard(&self.numbered(self.rotation.max_file - 1, extension))?;
                for number in (1..self.rotation.max_file - 1).rev() {
                    rename(&self.numbered(number, extension), &self.numbered(number + 1, extension))?;
                }
            }
            let first = self.numbered(1, "");
            rename(&self.path, &first)?;
            if self.rotation.compress {
                compression = Some(Compression { to: self.numbered(1, ".gz"), from: first });
            }
        }
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(compression)
    }

    fn numbered(&self, number: u32, extension: &str) -> PathBuf {
        suffixed(&self.path, &format!(".{number}{extension}"))
    }

    fn discard(&self, path: &Path) -> Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
            _ => Ok(()),
        }
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("rename", from, error)),
        _ => Ok(()),
    }
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)).map_err(|error| Error::io("open", path, error))
}

fn open_read(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
        .map_err(|error| Error::io("open", path, error))
}

/// Everything of a log, from its path: for the removal of a container.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let Some((folder, name)) = path.parent().zip(path.file_name()) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let belongs = |candidate: &Path| {
        let rest = candidate.file_name()?.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?;
        (rest.is_empty() || rest[0] == b'.').then_some(())
    };
    entries.flatten().map(|entry| entry.path()).filter(|candidate| belongs(candidate).is_some()).collect()
}
