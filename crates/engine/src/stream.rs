//! Byte streams between the HTTP edge and the blocking threads that make or eat them.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

/// Chunks in flight in one stream: with chunks of 64 KiB, at most 512 KiB per stream.
const DEPTH: usize = 8;
/// Size at which small writes are sent on, in bytes.
const CHUNK: usize = 64 * 1024;

/// A stream from the engine to a client (export, save, logs …): chunks until the channel closes; an `Err` is the last item.
/// Dropping it ends the producer.
pub type ByteStream = mpsc::Receiver<io::Result<Bytes>>;

/// The reading end of a stream from a client (load, import, …), for a blocking thread.
#[derive(Debug)]
pub struct ByteSource {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

/// The writing end of a stream from a client. Drop it at the end of the body; send an `Err` when the client went away.
pub type ByteFeed = mpsc::Sender<io::Result<Bytes>>;

impl ByteSource {
    /// A feed for the HTTP edge and a reader for the engine.
    pub fn channel() -> (ByteFeed, ByteSource) {
        let (sender, chunks) = mpsc::channel(DEPTH);
        (sender, ByteSource { chunks, current: Bytes::new() })
    }
}

impl Read for ByteSource {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk?,
                None => return Ok(0),
            }
        }
        let n = buf.len().min(self.current.len());
        self.current.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

/// The writing end of a [`ByteStream`], for a blocking thread; small writes are gathered.
#[derive(Debug)]
pub struct ByteSink {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl ByteSink {
    /// A sink and the stream that it fills.
    pub fn channel() -> (ByteSink, ByteStream) {
        let (chunks, stream) = mpsc::channel(DEPTH);
        (ByteSink { chunks, buffer: BytesMut::new() }, stream)
    }

    /// Ends the stream with an error.
    pub fn fail(mut self, error: io::Error) {
        self.buffer.clear();
        let _ = self.chunks.blocking_send(Err(error));
    }
}

impl Write for ByteSink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(buf);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for ByteSink {
    fn drop(&mut self) {
        // the reader may be gone: then nobody misses the rest
        let _ = self.flush();
    }
}
