//! Compression of streams, on several cores. The bytes do not depend on how many there are.
//!
//! ```text
//!   gzip:  header │ block 0 (deflate, sync) │ block 1 │ … │ empty last block │ CRC-32, length
//!                   each block compressed by itself, by the next thread in turn
//! ```

use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use flate2::Crc;

use crate::{Compression, Pieces, Sink, deflate::Deflater};

/// One block of gzip: large enough that nothing is lost at its start, small enough to keep all cores busy early.
const BLOCK: usize = 512 << 10;
/// Blocks under way per thread: one being compressed, one waiting.
const PER_THREAD: usize = 2;
/// More threads gain nothing: the reader in front of them is one.
const MAX_THREADS: usize = 8;
/// Beyond this the time grows much faster than the size shrinks.
const GZIP_LEVEL: u32 = 2;
/// What zstd does by default.
const ZSTD_LEVEL: i32 = 3;

/// A compressing sink. What is not ended with [`Encoder::finish`] is no complete stream.
pub enum Encoder<W: Write> {
    /// As it is.
    Plain(W),
    /// RFC 1952.
    Gzip(Box<Gzip<Written<W>>>),
    /// RFC 8878.
    Zstd(Box<zstd::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// A sink that writes to `out` in the given form.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for forms that are only read (xz, bzip2).
    pub fn new(compression: Compression, out: W) -> io::Result<Self> {
        match compression {
            Compression::None => Ok(Self::Plain(out)),
            Compression::Gzip => Ok(Self::Gzip(Box::new(Gzip::new(Written(out))?))),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                encoder.multithread(u32::try_from(threads()).unwrap_or(1))?;
                Ok(Self::Zstd(Box::new(encoder)))
            }
            Compression::Xz | Compression::Bzip2 => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "layers are written as plain tar, gzip or zstd; xz and bzip2 are only read",
            )),
        }
    }

    /// Ends the stream and gives the sink back.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(mut out) => out.flush().map(|()| out),
            Self::Gzip(gzip) => {
                let Written(mut out) = gzip.finish()?;
                out.flush().map(|()| out)
            }
            Self::Zstd(zstd) => zstd.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(gzip) => gzip.write(bytes),
            Self::Zstd(zstd) => zstd.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            // a flush in the middle would make the bytes depend on when it comes
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }
}

impl<W: Write> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Encoder::Plain",
            Self::Gzip(_) => "Encoder::Gzip",
            Self::Zstd(_) => "Encoder::Zstd",
        })
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

/// Pieces that are written one after the other.
pub struct Written<W>(W);

impl<W: Write> Pieces for Written<W> {
    fn piece(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.0.write_all(&piece)
    }
}

/// A gzip stream made by several threads.
pub struct Gzip<W> {
    out: W,
    /// The block to be, always [`BLOCK`] bytes, and how many of them are there.
    pending: Vec<u8>,
    filled: usize,
    threads: Vec<Thread>,
    /// Blocks handed out, and taken back; in turn, so that the order is kept without numbers.
    sent: usize,
    taken: usize,
    crc: Crc,
}

struct Thread {
    input: Option<SyncSender<Vec<u8>>>,
    output: Receiver<io::Result<Deflated>>,
    handle: Option<JoinHandle<()>>,
}

struct Deflated {
    bytes: Vec<u8>,
    crc: Crc,
    /// The input, to be filled again.
    empty: Vec<u8>,
}

impl<W: Pieces> Gzip<W> {
    /// A stream that goes to `out`.
    ///
    /// # Errors
    /// Those of the sink, or that no thread can be started.
    pub fn new(mut out: W) -> io::Result<Self> {
        // no name, no time, made on Unix
        out.piece(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])?;
        let threads = (0..threads()).map(|_| Thread::start()).collect::<io::Result<_>>()?;
        Ok(Self { out, pending: vec![0; BLOCK], filled: 0, threads, sent: 0, taken: 0, crc: Crc::new() })
    }

    /// Ends the stream and gives the sink back.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(mut self) -> io::Result<W> {
        if self.filled > 0 {
            self.send()?;
        }
        while self.taken < self.sent {
            self.take()?;
        }
        // an empty last block of fixed codes
        let mut end = vec![3, 0];
        end.extend(self.crc.sum().to_le_bytes());
        end.extend(self.crc.amount().to_le_bytes());
        self.out.piece(end)?;
        Ok(self.out)
    }

    /// Hands the pending block to the next thread.
    fn send(&mut self) -> io::Result<()> {
        let next = match self.sent - self.taken >= self.threads.len() * PER_THREAD {
            true => self.take()?,
            false => vec![0; BLOCK],
        };
        let mut block = std::mem::replace(&mut self.pending, next);
        block.truncate(std::mem::take(&mut self.filled));
        let at = self.sent % self.threads.len();
        let sender = self.threads[at].input.as_ref();
        sender.and_then(|input| input.send(block).ok()).ok_or_else(ended)?;
        self.sent += 1;
        Ok(())
    }

    /// Writes the oldest block; answers its buffer.
    fn take(&mut self) -> io::Result<Vec<u8>> {
        let at = self.taken % self.threads.len();
        let block = self.threads[at].output.recv().map_err(|_| ended())??;
        self.taken += 1;
        self.out.piece(block.bytes)?;
        self.crc.combine(&block.crc);
        Ok(block.empty)
    }
}

impl<W: Pieces> Sink for Gzip<W> {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        // never full: a full one is sent at once
        Ok(&mut self.pending[self.filled..])
    }

    fn advance(&mut self, n: usize) -> io::Result<()> {
        self.filled += n;
        if self.filled == BLOCK { self.send() } else { Ok(()) }
    }
}

impl<W: Pieces> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room()?;
        let n = bytes.len().min(room.len());
        room[..n].copy_from_slice(&bytes[..n]);
        self.advance(n)?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let (input, blocks) = sync_channel::<Vec<u8>>(PER_THREAD);
        let (done, output) = sync_channel(PER_THREAD);
        let work = move || {
            let mut deflater = Deflater::new(flate2::Compression::new(GZIP_LEVEL));
            for block in blocks {
                if done.send(deflate(&mut deflater, block)).is_err() {
                    return;
                }
            }
        };
        let handle = std::thread::Builder::new().name("wharf-gzip".into()).spawn(work)?;
        Ok(Self { input: Some(input), output, handle: Some(handle) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.input = None;
        // at most two blocks are in its hands, and there is room for both: it ends
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

/// Compresses one block so that another may follow.
fn deflate(deflater: &mut Deflater, mut block: Vec<u8>) -> io::Result<Deflated> {
    let mut crc = Crc::new();
    crc.update(&block);
    let mut bytes = Vec::new();
    deflater.block(&block, &mut bytes)?;
    // a short one is the last
    block.resize(BLOCK, 0);
    Ok(Deflated { bytes, crc, empty: block })
}

fn ended() -> io::Error {
    io::Error::other("a compressing thread ended")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::Decoder;

    fn check(compression: Compression, bytes: &[u8], piece: usize) {
        let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
        for piece in bytes.chunks(piece) {
            encoder.write_all(piece).unwrap();
        }
        let packed = encoder.finish().unwrap();
        assert_eq!(Compression::detect(&packed), compression);
        let mut back = Vec::new();
        Decoder::new(&packed[..]).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == bytes, "{compression:?} {} {piece}", bytes.len());
    }

    #[test]
    fn streams_round_trip() {
        let noise = |length: usize| {
            let mut state = 1u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            };
            (0..length).map(|_| next()).collect::<Vec<u8>>()
        };
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 17] {
            for compression in [Compression::Gzip, Compression::Zstd] {
                check(compression, &noise(length), 100_000);
                check(compression, &vec![b'x'; length], 7_777);
            }
        }
    }

    #[test]
    fn what_is_only_read_is_refused() {
        for compression in [Compression::Xz, Compression::Bzip2] {
            let error = Encoder::new(compression, Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut encoder = Encoder::new(Compression::Gzip, Full(64)).unwrap();
        let written = (0..20).try_for_each(|_| encoder.write_all(&vec![1; BLOCK]));
        let error = written.and_then(|()| encoder.finish().map(drop)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
