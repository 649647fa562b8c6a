//! Blobs to a registry: in one piece, as a stream whose digest is known at the end, or by mounting another repository's.
//!
//! ```text
//!   POST blobs/uploads/[?mount=D&from=R] ──201──► mounted
//!                       │202 Location
//!                       ├─ PATCH Location (stream) ─► 202 Location ─ PUT Location?digest=D ─► 201
//!                       └─ PUT Location?digest=D (whole) ─► 201
//! ```

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Method, StatusCode};
use tokio::sync::mpsc;
use wharf_spec::digest::Digest;

use super::refusal::refusal;
use super::wire::{Answer, Body, Request};
use super::{Address, Error, Repository, Result};

/// Pieces of an upload on their way.
const IN_FLIGHT: usize = 2;
/// Writes are gathered up to this many bytes.
const PIECE: usize = 128 << 10;
const BYTES: &str = "application/octet-stream";

/// A place where a blob can be put.
#[derive(Debug)]
pub struct Upload {
    address: Address,
}

/// What became of the wish to mount a blob.
#[derive(Debug)]
pub enum Mount {
    /// The blob is there now.
    Mounted,
    /// The registry would rather have it uploaded.
    Upload(Upload),
}

/// The writing end of an upload, for a blocking thread.
#[derive(Debug)]
pub struct Outgoing {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

/// The reading end.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl Outgoing {
    /// Both ends.
    pub fn channel() -> (Self, Pieces) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        (Self { pieces: sender, buffer: BytesMut::with_capacity(PIECE) }, Pieces { pieces: receiver })
    }

    /// Says that everything was written. Without it the upload breaks.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Bytes::new())
    }

    /// Sends on what is a piece already.
    pub fn piece(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.flush()?;
        if piece.is_empty() { Ok(()) } else { self.send(piece.into()) }
    }

    fn send(&mut self, piece: Bytes) -> io::Result<()> {
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..n]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE)).freeze();
        self.send(piece)
    }
}

impl Repository {
    /// Begins an upload.
    pub async fn begin_upload(&self) -> Result<Upload> {
        let request = Request::new(Method::POST, self.address("blobs/uploads/")).body(Body::Whole(Bytes::new()));
        let answer = self.ask_patiently(request).await?;
        self.place(&answer)
    }

    /// Asks the registry to take a blob from another of its repositories.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<Mount> {
        let address = self.address("blobs/uploads/").with_query("mount", &digest.to_string()).with_query("from", from);
        let request = Request::new(Method::POST, address).body(Body::Whole(Bytes::new()));
        let answer = self.ask(request, Some(from)).await?;
        match answer.status {
            StatusCode::CREATED => Ok(Mount::Mounted),
            StatusCode::ACCEPTED => self.place(&answer).map(Mount::Upload),
            _ => Err(refusal(answer).await),
        }
    }

    fn place(&self, answer: &Answer) -> Result<Upload> {
        let location = answer.header(LOCATION).unwrap_or_default();
        if location.is_empty() {
            return Err(Error::Lie(format!("the registry does not say where to upload to ({})", answer.address)));
        }
        Ok(Upload { address: answer.address.join(location)? })
    }

    /// Sends a stream. `sent` counts the bytes that the connection took.
    ///
    /// # Errors
    /// The stream cannot be sent again: the caller begins anew.
    pub async fn send(&self, upload: Upload, pieces: Pieces, sent: Arc<AtomicU64>) -> Result<Upload> {
        let (relay, relayed) = mpsc::channel(1);
        let request =
            Request::new(Method::PATCH, upload.address.clone()).header(CONTENT_TYPE, BYTES).body(Body::Stream(relayed));
        let (method, url) = request.shown();
        let patience = self.wire.settings.patience.answer;
        let feed = async move {
            let mut pieces = pieces.pieces;
            while let Some(piece) = pieces.recv().await {
                let length = piece.as_ref().map_or(0, |p| p.len() as u64);
                // the connection takes pieces as fast as the registry does
                match tokio::time::timeout(patience, relay.send(piece)).await {
                    Ok(Ok(())) => sent.fetch_add(length, Ordering::Relaxed),
                    // the request has ended: its own answer tells why
                    Ok(Err(_)) => return std::future::pending().await,
                    Err(_) => return "the registry does not take the data",
                };
                if length == 0 {
                    tokio::time::sleep(patience).await;
                    return "net/http: timeout awaiting response headers";
                }
            }
            drop(relay);
            std::future::pending().await
        };
        let answer = tokio::select! {
            answer = self.ask(request, None) => answer?,
            why = feed => return Err(Error::Unreachable { method, url, why: why.into() }),
        };
        match answer.status {
            status if status.is_success() => self.place(&answer),
            _ => Err(refusal(answer).await),
        }
    }

    /// Ends an upload: the registry verifies the digest.
    pub async fn finish_upload(&self, upload: Upload, digest: &Digest) -> Result<()> {
        self.put_upload(upload, digest, Bytes::new()).await
    }

    /// A small blob in one piece.
    pub async fn put_blob(&self, digest: &Digest, bytes: Bytes) -> Result<()> {
        let upload = self.begin_upload().await?;
        self.put_upload(upload, digest, bytes).await
    }

    async fn put_upload(&self, upload: Upload, digest: &Digest, bytes: Bytes) -> Result<()> {
        let request = Request::new(Method::PUT, upload.address.with_query("digest", &digest.to_string()))
            .header(CONTENT_TYPE, BYTES)
            .body(Body::Whole(bytes));
        let answer = self.ask(request, None).await?;
        if answer.status.is_success() { Ok(()) } else { Err(refusal(answer).await) }
    }
}
