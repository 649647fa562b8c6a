//! Blobs that have come in part: `<data root>/downloads/<digest>`, the bytes from the first one on.
//!
//! They are a cache: nothing is synced, because the digest is verified over everything before anything of it is used.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use wharf_spec::digest::Digest;

use crate::{Error, Result};

/// Smaller blobs are fetched again rather than kept.
const SMALLEST: u64 = 1 << 20;
/// What has not grown for so long will not be asked for again.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// One blob's file.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Removes what nobody came back for.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    let system = |e: io::Error| Error::system(format!("mkdir `{}`", folder.display()), e);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(system)?;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > STALE) {
            // one that cannot be removed is only space
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Removes what is not `under_way` and was not touched since `until`; answers the bytes.
pub(crate) fn prune(folder: &Path, under_way: &HashSet<String>, until: Option<SystemTime>) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        let young = until.is_some_and(|until| meta.modified().is_ok_and(|at| at >= until));
        let used = entry.file_name().to_str().is_some_and(|name| under_way.contains(name));
        if !young && !used && fs::remove_file(entry.path()).is_ok() {
            bytes += meta.len();
        }
    }
    bytes
}

/// Bytes of all of them.
pub(crate) fn bytes(folder: &Path) -> u64 {
    let sizes =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.sum()
}

/// Removes a blob's file.
pub(crate) fn forget(folder: &Path, digest: &Digest) {
    // it may never have been there
    let _ = fs::remove_file(folder.join(digest.hex()));
}

impl Partial {
    pub(crate) fn new(folder: &Path, digest: &Digest, size: u64) -> Self {
        Self { path: folder.join(digest.hex()), digest: *digest, size }
    }

    /// Bytes that are here. A file that is too long is none of ours.
    pub(crate) fn here(&self) -> u64 {
        match fs::metadata(&self.path).map(|m| m.len()) {
            Ok(length) if length <= self.size => length,
            Ok(_) => {
                self.remove();
                0
            }
            Err(_) => 0,
        }
    }

    pub(crate) fn remove(&self) {
        // as above: it may not be there
        let _ = fs::remove_file(&self.path);
    }

    /// Everything from the first byte on: `here` bytes of the file, then what comes through the channel, which is kept, too.
    pub(crate) fn source(&self, here: u64) -> (mpsc::Sender<Bytes>, Source) {
        /// Chunks on their way: hyper's are at most 64 KiB.
        const DEPTH: usize = 8;
        let (sender, chunks) = mpsc::channel(DEPTH);
        let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path);
        // without the file the blob comes all the same, only not in two parts
        let keep = if self.size >= SMALLEST { open().ok() } else { None };
        let kept = if here > 0 { File::open(&self.path).ok() } else { None };
        (sender, Source { kept, left: here, chunks, current: Bytes::new(), keep, ended: false })
    }
}

/// A blob as the unpacker reads it, on its own thread.
#[derive(Debug)]
pub(crate) struct Source {
    kept: Option<File>,
    left: u64,
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
    keep: Option<File>,
    ended: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
            let n = self.kept.as_mut().map_or(Ok(0), |file| file.read(&mut buffer[..most]))?;
            if n == 0 {
                return Err(io::Error::other("the kept part of a download is gone"));
            }
            self.left -= n as u64;
            return Ok(n);
        }
        while self.current.is_empty() {
            if self.ended {
                return Ok(0);
            }
            // a channel that closes without an end: whoever fetches has given up
            let chunk = self.chunks.blocking_recv().ok_or_else(|| io::Error::other("the download was given up"))?;
            self.ended = chunk.is_empty();
            if let Some(file) = &mut self.keep
                && file.write_all(&chunk).is_err()
            {
                // a full disk: the rest comes without being kept, and what is there is a whole prefix or too long by nothing
                self.keep = None;
            }
            self.current = chunk;
        }
        let n = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
