//! Uploads: bytes arrive in one or many requests, are hashed as they come, and become a blob when their digest is right.
//!
//! What an upload has is the length of its file. The running hash lives in memory; after a restart (or when too many uploads
//! are idle) it is computed again from the file.

use crate::server::disk;
use crate::server::name::{Repository, UploadId};
use crate::server::refusal::{Code, Outcome, Refusal};
use crate::server::storage::{Storage, write_link};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wharf_spec::digest::{Digest, Hasher};

/// A client that sends nothing for this long has gone; what came before stays, so that it can resume.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// Bytes that are gathered before they are written and hashed in one go off the reactor.
const BATCH: usize = 512 << 10;
/// Running hashes that are kept of idle uploads; beyond it they are computed again from the file.
const MAX_REMEMBERED: usize = 1024;
/// How long a request waits for another one of the same upload, which may be a connection that died unnoticed.
const TURN: Duration = Duration::from_secs(10);

/// The uploads of one registry.
#[derive(Debug)]
pub(crate) struct Uploads {
    storage: Storage,
    known: Mutex<HashMap<UploadId, Arc<Upload>>>,
}

#[derive(Debug, Default)]
struct Upload {
    /// Whose turn it is, with the hash of the first bytes.
    turn: tokio::sync::Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    hash: Option<Hashed>,
}

#[derive(Debug)]
struct Hashed {
    hasher: Hasher,
    bytes: u64,
}

/// Where a chunk claims to belong: `Content-Range: first-last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Span {
    /// Reads the specification's `first-last`, or HTTP's `bytes first-last/*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix("bytes ").unwrap_or(text.trim());
        let text = text.split_once('/').map_or(text, |(span, _)| span);
        let (first, last) = text.split_once('-')?;
        let span = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (span.first <= span.last).then_some(span)
    }

    /// Bytes that it claims; one that ends at the end of the numbers claims more than can ever come.
    fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

impl Uploads {
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage, known: Mutex::default() }
    }

    fn file(&self, name: &Repository, id: &UploadId) -> PathBuf {
        self.storage.upload(name, id).join("data")
    }

    fn entry(&self, id: &UploadId) -> Arc<Upload> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED && !known.contains_key(id) {
            // only those that nobody works on; they lose a hash that can be computed again
            known.retain(|_, upload| Arc::strong_count(upload) > 1);
        }
        known.entry(id.clone()).or_default().clone()
    }

    fn forget(&self, id: &UploadId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Begins an upload.
    pub(crate) fn begin(&self, name: &Repository) -> io::Result<UploadId> {
        let id = UploadId::random()?;
        let folder = self.storage.upload(name, &id);
        fs::create_dir_all(&folder)?;
        // the stock registry finds the age of an upload here
        fs::write(folder.join("startedat"), jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())?;
        File::create(folder.join("data"))?;
        Ok(id)
    }

    /// Bytes that an upload has.
    pub(crate) fn received(&self, name: &Repository, id: &UploadId) -> Outcome<u64> {
        match fs::metadata(self.file(name, id)) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Code::BlobUploadUnknown.into()),
            Err(error) => Err(Refusal::broken("upload", &error)),
        }
    }

    /// Gives up an upload.
    pub(crate) fn cancel(&self, name: &Repository, id: &UploadId) -> Outcome<()> {
        self.received(name, id)?;
        self.forget(id);
        disk::remove_folder(&self.storage.upload(name, id)).map_err(|e| Refusal::broken("remove upload", &e))
    }

    /// Adds the bytes of a request; gives how many the upload has now.
    pub(crate) async fn append(
        self: &Arc<Self>,
        name: &Repository,
        id: &UploadId,
        span: Option<Span>,
        body: Incoming,
    ) -> Outcome<u64> {
        self.received(name, id)?;
        let upload = self.entry(id);
        let mut progress = turn(&upload).await?;
        let received = self.received(name, id)?;
        if let Some(span) = span.filter(|span| span.first != received) {
            let detail = json!({"offset": received, "requested": span.first});
            return Err(Refusal::new(Code::RangeInvalid, detail));
        }
        let limit = span.map(Span::length);
        let file = File::options().append(true).open(self.file(name, id));
        let file = file.map_err(|e| Refusal::broken("open upload", &e))?;
        if progress.hash.as_ref().is_none_or(|h| h.bytes != received) {
            progress.hash = (received == 0).then(|| Hashed { hasher: Hasher::sha256(), bytes: 0 });
        }
        let taken = take(body, file, progress.hash.take(), limit).await;
        progress.hash = taken.hash;
        taken.outcome?;
        self.received(name, id)
    }

    /// Makes a blob of an upload, if `expected` is its digest.
    pub(crate) async fn finish(self: &Arc<Self>, name: &Repository, id: &UploadId, expected: Digest) -> Outcome<()> {
        self.received(name, id)?;
        let upload = self.entry(id);
        let mut progress = turn(&upload).await?;
        let received = self.received(name, id)?;
        let hash = progress.hash.take().filter(|h| h.bytes == received);
        let (this, name, id) = (self.clone(), name.clone(), id.clone());
        super::blocking(move || {
            let path = this.file(&name, &id);
            let broken = |e: io::Error| Refusal::broken("finish upload", &e);
            let actual = match (hash, expected) {
                (Some(hash), Digest::Sha256(_)) => hash.hasher.finish(),
                _ => hash_file(&path, Hasher::like(&expected)).map_err(broken)?,
            };
            if actual != expected {
                return Err(Refusal::new(Code::DigestInvalid, json!({"digest": expected, "actual": actual})));
            }
            this.storage.adopt(&name, &path, &expected).map_err(broken)?;
            this.forget(&id);
            disk::remove_folder(&this.storage.upload(&name, &id)).map_err(broken)
        })
        .await
    }
}

async fn turn(upload: &Upload) -> Outcome<tokio::sync::MutexGuard<'_, Progress>> {
    let turn = tokio::time::timeout(TURN, upload.turn.lock()).await;
    turn.map_err(|_| Refusal::saying(Code::Unavailable, "another request of this upload is still being served"))
}

impl Storage {
    /// Makes the verified file at `path` the blob `digest` of a repository.
    pub(crate) fn adopt(&self, name: &Repository, path: &std::path::Path, digest: &Digest) -> io::Result<()> {
        let blob = self.blob(digest);
        let _gate = self.rely()?;
        if self.keep(digest).is_err() {
            File::open(path)?.sync_all()?;
            wharf_sys::failpoint::hit("registry.blob.after_sync")?;
            let folder = blob.parent().ok_or(io::ErrorKind::InvalidInput)?;
            fs::create_dir_all(folder)?;
            disk::touch(path)?;
            fs::rename(path, &blob)?;
        }
        wharf_sys::failpoint::hit("registry.blob.after_rename")?;
        let link = self.layer_link(name, digest);
        write_link(&link, digest)?;
        disk::sync_folder(link.parent().unwrap_or(&link))
    }
}

fn hash_file(path: &std::path::Path, mut hasher: Hasher) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    file.rewind()?;
    let mut buffer = vec![0; BATCH];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// What became of the bytes of a request.
struct Taken {
    outcome: Outcome<()>,
    hash: Option<Hashed>,
}

/// A file with the hash of what is in it.
struct Sink {
    file: File,
    hash: Option<Hashed>,
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).inspect_err(|_| self.hash = None)?;
        if let Some(hash) = &mut self.hash {
            hash.hasher.update(bytes);
            hash.bytes += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Writes a body to a file: one batch is hashed and written while the next one is gathered, so that a slow client holds no
/// thread and a fast one keeps the disk busy.
async fn take(mut body: Incoming, file: File, hash: Option<Hashed>, limit: Option<u64>) -> Taken {
    let mut left = limit;
    let mut batch = BytesMut::new();
    let mut writing = tokio::task::spawn_blocking(move || (Ok(()), Sink { file, hash }));
    let outcome = loop {
        let frame = match tokio::time::timeout(IDLE, body.frame()).await {
            Err(_) => break Err(Refusal::saying(Code::BlobUploadInvalid, "the client sends nothing any more")),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "upload cut off");
                break Err(Refusal::saying(Code::BlobUploadInvalid, "the upload was cut off"));
            }
            Ok(None) => break left.is_none_or(|left| left == 0).then_some(()).ok_or(Code::SizeInvalid.into()),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(bytes) = frame.into_data() else { continue };
        match left.as_mut().map(|left| left.checked_sub(bytes.len() as u64)) {
            Some(None) => break Err(Code::SizeInvalid.into()),
            Some(Some(rest)) => left = Some(rest),
            None => {}
        }
        batch.extend_from_slice(&bytes);
        if batch.len() >= BATCH {
            match write_next(writing, batch.split().freeze()).await {
                Ok(next) => writing = next,
                Err(taken) => return taken,
            }
        }
    };
    // what came counts even if more was promised: the client may resume there
    match write_next(writing, batch.freeze()).await {
        Ok(last) => match last.await {
            Ok((Ok(()), sink)) => Taken { outcome, hash: sink.hash },
            Ok((Err(error), sink)) => Taken { outcome: Err(Refusal::broken("write upload", &error)), hash: sink.hash },
            Err(_) => Taken { outcome: Err(Code::Unknown.into()), hash: None },
        },
        Err(taken) => taken,
    }
}

type Writing = tokio::task::JoinHandle<(io::Result<()>, Sink)>;

/// Waits for the batch before and begins to write this one.
async fn write_next(before: Writing, batch: Bytes) -> Result<Writing, Taken> {
    match before.await {
        Ok((Ok(()), mut sink)) => Ok(tokio::task::spawn_blocking(move || (sink.write(&batch), sink))),
        Ok((Err(error), sink)) => Err(Taken { outcome: Err(Refusal::broken("write upload", &error)), hash: sink.hash }),
        Err(_) => Err(Taken { outcome: Err(Code::Unknown.into()), hash: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans() {
        assert_eq!(Span::parse("0-9"), Some(Span { first: 0, last: 9 }));
        assert_eq!(Span::parse("bytes 5-9/*"), Some(Span { first: 5, last: 9 }));
        assert_eq!(Span::parse("0-9").map(Span::length), Some(10));
        assert_eq!(Span::parse("0-18446744073709551615").map(Span::length), Some(u64::MAX));
        for bad in ["", "9-5", "a-b", "-1", "1-", "0-99999999999999999999", "bytes=0-1"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
