//! The writing side: bytes as they come from a container, out as whole entries, one `write` per batch.

use std::path::Path;

use crate::codec::{Codec, Encoder, Rising};
use crate::file::{Compression, LogFile, Rotation};
use crate::split::Splitter;
use crate::{Error, LogConfig, Position, Result, Stream, Timestamp, json, local};

/// Bytes of encoded entries after which a batch is written out.
const BATCH: usize = 256 * 1024;

/// A container's log, whatever its driver.
#[derive(Debug)]
pub enum Writer {
    /// Keeps nothing.
    None,
    /// Files of Docker's `json-file` or `local` driver.
    File(Box<FileWriter>),
}

impl Writer {
    /// Opens the log.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(config: &LogConfig) -> Result<Self> {
        Ok(match config {
            LogConfig::None => Self::None,
            LogConfig::JsonFile { path, rotation, attrs } => {
                Self::File(Box::new(FileWriter::json(path, *rotation, attrs)?))
            }
            LogConfig::Local { path, rotation } => Self::File(Box::new(FileWriter::local(path, *rotation)?)),
        })
    }

    /// Logs what was read from a stream at one moment.
    ///
    /// # Errors
    /// The kernel's; the lines that did not get to the disk are lost, later ones are not.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], time: Timestamp) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::File(writer) => writer.write(stream, bytes, time),
        }
    }

    /// The end of a stream: an unfinished last line is logged as it is.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(&mut self, stream: Stream, time: Timestamp) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::File(writer) => writer.finish(stream, time),
        }
    }

    /// A rotated file that waits to be compressed. The next rotation waits too, until [`Writer::compressed`].
    pub fn compression(&mut self) -> Option<Compression> {
        match self {
            Self::None => None,
            Self::File(writer) => writer.compression(),
        }
    }

    /// The compression that was handed out has ended, well or not.
    pub fn compressed(&mut self) {
        if let Self::File(writer) = self {
            writer.compressed();
        }
    }

    /// How far it has got; `None` when nothing is kept.
    ///
    /// # Errors
    /// The kernel's.
    pub fn position(&self) -> Result<Option<Position>> {
        match self {
            Self::None => Ok(None),
            Self::File(writer) => writer.position().map(Some),
        }
    }

    /// What has come of a stream since its last whole line: not in the log yet.
    pub fn unfinished(&self, stream: Stream) -> &[u8] {
        match self {
            Self::None => &[],
            Self::File(writer) => writer.splitters[stream as usize].unfinished(),
        }
    }

    /// Gives the buffers' memory back: the container is silent.
    pub fn release(&mut self) {
        if let Self::File(writer) = self {
            writer.release();
        }
    }
}

/// Writes Docker's `json-file` or `local` format.
#[derive(Debug)]
pub struct FileWriter {
    encoder: Encoder,
    clock: Rising,
    splitters: [Splitter; 2],
    output: Output,
}

/// Encoded entries on their way into the file.
#[derive(Debug)]
struct Output {
    file: LogFile,
    pending: Vec<u8>,
    compression: Handover,
    /// The first thing that went wrong in a batch; the rest of the batch is tried all the same.
    failed: Option<Error>,
}

/// What becomes of a rotated file that is to be compressed.
#[derive(Debug)]
enum Handover {
    Nothing,
    Waiting(Compression),
    Taken,
}

impl FileWriter {
    /// Opens the `json-file` log at `path`, to which new entries are appended. `attrs` go into every entry.
    ///
    /// # Errors
    /// The kernel's.
    pub fn json(path: &Path, rotation: Rotation, attrs: &[(String, String)]) -> Result<Self> {
        let file = LogFile::open(path, rotation, Codec::Json)?;
        Ok(Self::new(file, Encoder::Json(json::Encoder::new(attrs))))
    }

    /// Opens the `local` log at `path`, to which new entries are appended.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local(path: &Path, rotation: Rotation) -> Result<Self> {
        // this driver has a folder of its own
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        let file = LogFile::open(path, rotation, Codec::Local)?;
        Ok(Self::new(file, Encoder::Local(local::Encoder::default())))
    }

    fn new(file: LogFile, encoder: Encoder) -> Self {
        let output = Output { file, pending: Vec::new(), compression: Handover::Nothing, failed: None };
        Self { encoder, clock: Rising::default(), splitters: Default::default(), output }
    }

    /// See [`Writer::write`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], time: Timestamp) -> Result<()> {
        let Self { encoder, clock, splitters, output } = self;
        splitters[stream as usize].push(bytes, time, |line, time, part| {
            output.entry(|out| encoder.push(stream, line, part, clock.next(time), out));
        });
        output.flush();
        output.failed.take().map_or(Ok(()), Err)
    }

    /// See [`Writer::finish`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn finish(&mut self, stream: Stream, time: Timestamp) -> Result<()> {
        let Self { encoder, clock, splitters, output } = self;
        splitters[stream as usize].finish(time, |line, time, part| {
            output.entry(|out| encoder.push(stream, line, part, clock.next(time), out));
        });
        output.flush();
        output.failed.take().map_or(Ok(()), Err)
    }

    /// See [`Writer::position`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn position(&self) -> Result<Position> {
        let (inode, length) = self.output.file.place()?;
        Ok(Position { inode, length, time: self.clock.last() })
    }

    /// See [`Writer::compression`].
    pub fn compression(&mut self) -> Option<Compression> {
        match std::mem::replace(&mut self.output.compression, Handover::Taken) {
            Handover::Waiting(compression) => Some(compression),
            other => {
                self.output.compression = other;
                None
            }
        }
    }

    /// See [`Writer::compressed`].
    pub fn compressed(&mut self) {
        self.output.compression = Handover::Nothing;
    }

    /// See [`Writer::release`].
    pub fn release(&mut self) {
        self.output.pending = Vec::new();
        self.splitters.iter_mut().for_each(Splitter::release);
    }
}

impl Output {
    fn entry(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        // while the last rotated file is being compressed its name must stay: the current one grows a little longer
        if matches!(self.compression, Handover::Nothing) && self.pending.len() as u64 >= self.file.room() {
            self.flush();
            self.rotate();
        }
        encode(&mut self.pending);
        if self.pending.len() >= BATCH {
            self.flush();
        }
    }

    fn rotate(&mut self) {
        match self.file.rotate() {
            Ok(None) => {}
            Ok(Some(compression)) => self.compression = Handover::Waiting(compression),
            Err(error) => self.fail(error),
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.file.append(&self.pending) {
            self.fail(error);
        }
        // entries that do not fit on the disk are dropped, or the container would stand still
        self.pending.clear();
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }
}
