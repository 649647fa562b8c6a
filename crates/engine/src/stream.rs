//! Byte streams between the HTTP edge and the blocking threads that make or eat them.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;
use wharf_archive::Sink;

/// Chunks in flight of a stream from a client: hyper's are at most 64 KiB.
const DEPTH: usize = 8;
/// Chunks in flight to a client: with chunks of 128 KiB, at most 512 KiB per stream.
const OUTGOING: usize = 4;
/// Size at which small writes are sent on, in bytes.
const CHUNK: usize = 128 << 10;
/// Bytes of the start of a stream that come in one piece: its kind (gzip, zstd, tar …) is told by them.
const START: usize = 512;

/// A stream from the engine to a client (export, save, logs …): chunks until the channel closes; an `Err` is the last item.
/// Dropping it ends the producer.
pub type ByteStream = mpsc::Receiver<io::Result<Bytes>>;

/// The reading end of a stream from a client (load, import, …), for a blocking thread.
#[derive(Debug)]
pub struct ByteSource {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    begun: bool,
    whole: Arc<AtomicBool>,
}

/// The writing end of a stream from a client. What is dropped without [`ByteFeed::finish`] was cut off, and reads as an error.
#[derive(Debug)]
pub struct ByteFeed {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    whole: Arc<AtomicBool>,
}

impl ByteFeed {
    /// Hands on the next piece, which is not empty, or why there is none.
    ///
    /// # Errors
    /// The engine wants no more.
    pub async fn send(&self, chunk: io::Result<Bytes>) -> Result<(), io::Error> {
        self.chunks.send(chunk).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// The stream is whole.
    pub fn finish(self) {
        self.whole.store(true, Ordering::Release);
    }
}

impl ByteSource {
    /// A feed for the HTTP edge and a reader for the engine.
    pub fn channel() -> (ByteFeed, ByteSource) {
        let (sender, chunks) = mpsc::channel(DEPTH);
        let whole = Arc::new(AtomicBool::new(false));
        let feed = ByteFeed { chunks: sender, whole: whole.clone() };
        (feed, ByteSource { chunks, current: Bytes::new(), begun: false, whole })
    }

    /// The next piece, empty at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        match self.chunks.blocking_recv() {
            Some(chunk) => chunk,
            None if self.whole.load(Ordering::Acquire) => Ok(Bytes::new()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The first piece, joined until it is long enough to tell what kind of stream it is.
    fn first(&mut self) -> io::Result<Bytes> {
        let mut start = BytesMut::new();
        while start.len() < START {
            match self.next()? {
                end if end.is_empty() => break,
                piece if start.is_empty() && piece.len() >= START => return Ok(piece),
                piece => start.extend_from_slice(&piece),
            }
        }
        Ok(start.freeze())
    }
}

impl Read for ByteSource {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.fill_buf()?.len());
        self.current.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

impl BufRead for ByteSource {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() {
            self.current = if self.begun { self.next()? } else { self.first()? };
            self.begun = true;
        }
        Ok(&self.current)
    }

    fn consume(&mut self, n: usize) {
        self.current.advance(n);
    }
}

/// The writing end of a [`ByteStream`], for a blocking thread; small writes are gathered. Buffers come back when they were sent, and
/// are filled again.
#[derive(Debug)]
pub struct ByteSink {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    /// Always [`CHUNK`] bytes, or none before the first write.
    buffer: Vec<u8>,
    filled: usize,
    empties: std::sync::mpsc::Receiver<Vec<u8>>,
    give_back: std::sync::mpsc::Sender<Vec<u8>>,
}

/// A chunk whose buffer goes back to its sink.
struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
    give_back: std::sync::mpsc::Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // the sink may be gone
        let _ = self.give_back.send(std::mem::take(&mut self.buffer));
    }
}

impl ByteSink {
    /// A sink and the stream that it fills.
    pub fn channel() -> (ByteSink, ByteStream) {
        let (chunks, stream) = mpsc::channel(OUTGOING);
        let (give_back, empties) = std::sync::mpsc::channel();
        (ByteSink { chunks, buffer: Vec::new(), filled: 0, empties, give_back }, stream)
    }

    /// Ends the stream with an error.
    pub fn fail(mut self, error: io::Error) {
        self.filled = 0;
        let _ = self.chunks.blocking_send(Err(error));
    }
}

impl Sink for ByteSink {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.buffer.is_empty() {
            self.buffer = self.empties.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
        }
        // never full: a full one is sent at once
        Ok(&mut self.buffer[self.filled..])
    }

    fn advance(&mut self, n: usize) -> io::Result<()> {
        self.filled += n;
        if self.filled == CHUNK { self.flush() } else { Ok(()) }
    }
}

impl Write for ByteSink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.room()?;
        let n = buf.len().min(room.len());
        room[..n].copy_from_slice(&buf[..n]);
        self.advance(n)?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        let (buffer, filled) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.filled));
        let chunk = Bytes::from_owner(Chunk { buffer, filled, give_back: self.give_back.clone() });
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for ByteSink {
    fn drop(&mut self) {
        // the reader may be gone: then nobody misses the rest
        let _ = self.flush();
    }
}
