//! Taking in one layer: the stream is hashed by the thread that reads it, unpacked by a second one, and copied nowhere.
//!
//! ```text
//!   archive ──read──► piece ──hash──► bounded channel ──► [inflate, hash] ──► unpack ──► staging folder
//!              ▲                                                                │
//!              └────────────────── empty pieces come back ◄─────────────────────┘
//! ```

use std::{
    io::{self, BufRead, BufWriter, Read},
    os::fd::AsFd,
    path::Path,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::JoinHandle,
};

use wharf_archive::{Compression, Decoder, Recorder, Unpack, Whiteouts};
use wharf_spec::digest::{Digest, Hasher};

use crate::{
    Error, Job, Result,
    layout::{ASIDE, DIFF, Layout, RECORD, Stage},
    rows::LayerRow,
    store::Staged,
};

/// One piece: large enough that hand-over costs nothing, small enough for the cache.
const PIECE: usize = 256 << 10;
/// Pieces on their way: bounds the memory of one intake to 2 MiB.
const IN_FLIGHT: usize = 8;

/// A layer being taken in. What comes out of it is on the disk.
pub(crate) struct Intake {
    /// What was written and is not yet a whole piece.
    pending: Vec<u8>,
    pieces: Option<SyncSender<Vec<u8>>>,
    empties: Receiver<Vec<u8>>,
    made: usize,
    hasher: Hasher,
    length: u64,
    thread: JoinHandle<Result<Unpacking>>,
}

/// An intake whose bytes have all come, while the last of them are still being unpacked.
pub(crate) struct Ending {
    digest: Digest,
    thread: Option<JoinHandle<Result<Unpacking>>>,
}

/// What came out of an intake.
#[derive(Debug)]
pub(crate) struct Blob {
    /// Digest of the bytes as they came.
    pub(crate) digest: Digest,
    /// The layer, or why it is none.
    pub(crate) layer: Result<Staged>,
}

struct Unpacking {
    stage: Stage,
    /// Digest of the plain tar when that is not the blob itself.
    diff: Option<Digest>,
    row: LayerRow,
}

impl Intake {
    /// Starts taking in a layer.
    pub(crate) fn start(layout: &Layout) -> Result<Self> {
        let stage = layout.stage()?;
        let limit = layout.free();
        let (pieces, received) = sync_channel(IN_FLIGHT);
        let (give_back, empties) = channel();
        let input = Pieces { received, give_back, current: Vec::new(), at: 0 };
        let thread = std::thread::Builder::new()
            .name("wharf-unpack".into())
            .spawn(move || unpack_stage(stage, input, limit))
            .map_err(Error::io("start thread", layout.base()))?;
        Ok(Self {
            pending: Vec::new(),
            pieces: Some(pieces),
            empties,
            made: 0,
            hasher: Hasher::sha256(),
            length: 0,
            thread,
        })
    }

    /// Reads `input` to its end. When the unpacking has failed already the rest is only read.
    pub(crate) fn feed(&mut self, input: &mut dyn Read, job: &Job, mut progress: impl FnMut(u64)) -> Result<()> {
        loop {
            job.check()?;
            let mut piece = self.empty_piece();
            let n = fill(input, &mut piece)?;
            if n == 0 {
                return Ok(());
            }
            piece.truncate(n);
            self.push(piece);
            progress(self.length);
        }
    }

    fn push(&mut self, piece: Vec<u8>) {
        self.hasher.update(&piece);
        self.length += piece.len() as u64;
        if let Some(pieces) = &self.pieces
            && pieces.send(piece).is_err()
        {
            self.pieces = None;
        }
    }

    /// There is no more to come.
    pub(crate) fn end(self) -> Ending {
        // the thread ends with the channel
        drop(self.pieces);
        Ending { digest: self.hasher.finish(), thread: Some(self.thread) }
    }

    /// Waits for the unpacking.
    pub(crate) fn finish(self) -> Blob {
        self.end().wait()
    }

    fn empty_piece(&mut self) -> Vec<u8> {
        let recycled = match self.made {
            0..IN_FLIGHT => self.empties.try_recv().ok(),
            // all are made: one comes back before the channel has room anyway, unless the thread has ended
            _ => self.empties.recv().ok(),
        };
        let mut piece = recycled.unwrap_or_else(|| {
            self.made += 1;
            Vec::with_capacity(PIECE)
        });
        piece.resize(PIECE, 0);
        piece
    }
}

impl Ending {
    /// Digest of the bytes as they came.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Waits for the unpacking.
    pub(crate) fn wait(mut self) -> Blob {
        let digest = self.digest;
        let unpacked =
            self.thread.take().map_or_else(|| Err(panicked()), |t| t.join().unwrap_or_else(|_| Err(panicked())));
        let layer = unpacked.map(|u| Staged { stage: u.stage, diff: u.diff.unwrap_or(digest), row: u.row });
        Blob { digest, layer }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // what it made is removed with its result: nothing is left when the operation answers
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn panicked() -> Error {
    Error::Corrupt("unpacking panicked".into())
}

/// For whoever makes the stream here. Ends with a flush.
impl io::Write for Intake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.capacity() < PIECE {
            self.pending = self.empty_piece();
            self.pending.clear();
        }
        let n = bytes.len().min(PIECE - self.pending.len());
        self.pending.extend_from_slice(&bytes[..n]);
        if self.pending.len() == PIECE {
            self.flush()?;
        }
        Ok(n)
    }

    /// Failures of the unpacking are told by [`Intake::finish`].
    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            let piece = std::mem::take(&mut self.pending);
            self.push(piece);
        }
        Ok(())
    }
}

/// Reads until `buffer` is full or the stream ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match input.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::read(source)),
        }
    }
    Ok(have)
}

/// Takes in a whole stream on this thread and one more.
pub(crate) fn take(layout: &Layout, input: &mut dyn Read, job: &Job, progress: impl FnMut(u64)) -> Result<Blob> {
    let mut intake = Intake::start(layout)?;
    let fed = intake.feed(input, job, progress);
    let blob = intake.finish();
    fed.map(|()| blob)
}

fn unpack_stage(stage: Stage, mut input: Pieces, limit: u64) -> Result<Unpacking> {
    let start = input.fill_buf().map_err(Error::read)?;
    if Compression::detect(start) == Compression::None {
        let row = unpack_into(stage.path(), input, limit)?;
        sync(stage.path())?;
        return Ok(Unpacking { stage, diff: None, row });
    }
    let mut plain = Hashing { input: Decoder::new(input)?, hasher: Hasher::sha256() };
    let row = unpack_into(stage.path(), &mut plain, limit)?;
    sync(stage.path())?;
    Ok(Unpacking { stage, diff: Some(plain.hasher.finish()), row })
}

/// Waits until the layer is on the disk: whoever gets it only has to rename it. Other layers are read meanwhile.
fn sync(folder: &Path) -> Result<()> {
    let folder = std::fs::File::open(folder).map_err(Error::io("open", folder))?;
    Ok(wharf_archive::sync(folder.as_fd())?)
}

/// Unpacks a plain tar into `<folder>/diff` with its record beside it.
pub(crate) fn unpack_into(folder: &Path, input: impl BufRead, limit: u64) -> Result<LayerRow> {
    let files = folder.join(DIFF);
    std::fs::create_dir(&files).map_err(Error::io("mkdir", &files))?;
    // what an image without an entry for its root gets, whatever the umask
    std::fs::set_permissions(&files, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(Error::io("chmod", &files))?;
    let root = std::fs::File::open(&files).map_err(Error::io("open", &files))?;
    let record_path = folder.join(RECORD);
    let record = std::fs::File::create_new(&record_path).map_err(Error::io("create", &record_path))?;
    let recorder = Recorder::new(BufWriter::new(record))?;
    let aside = folder.join(ASIDE);
    let options = Unpack { whiteouts: Whiteouts::Overlay, limit, aside: Some(&aside) };
    let (unpacked, recorder) = wharf_archive::unpack(root.as_fd(), input, &options, recorder)?;
    let (out, tar_size) = recorder.finish()?;
    out.into_inner().map_err(|e| Error::io("write", &record_path)(e.into_error()))?;
    Ok(LayerRow { size: unpacked.size, tar_size, moved: unpacked.moved.iter().map(Into::into).collect() })
}

/// The receiving end of the channel as a stream.
struct Pieces {
    received: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.current.len() {
            let old = std::mem::take(&mut self.current);
            if old.capacity() > 0 {
                // the feeder may have ended
                let _ = self.give_back.send(old);
            }
            self.at = 0;
            // a closed channel is the end of the stream
            self.current = self.received.recv().unwrap_or_default();
        }
        Ok(&self.current[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

/// Hashes what passes through.
struct Hashing<R> {
    input: R,
    hasher: Hasher,
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        // the bytes are still in the buffer: asking again reads nothing
        if let Ok(buffer) = self.input.fill_buf() {
            self.hasher.update(&buffer[..n]);
        }
        self.input.consume(n);
    }
}
