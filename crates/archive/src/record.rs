//! The record of a layer: every byte of its tar stream that is not in the unpacked files, so that the stream can be written
//! again exactly as it came (what tar-split does for Docker).
//!
//! ```text
//! file  = "WHARFREC" version:u8(=1)  zstd( item… end )
//! item  = 1 length:varint bytes                           bytes of headers and padding
//!       | 2 path-length:varint path offset:varint length:varint   a range of the unpacked file `path`
//! end   = 0 total:varint                                  length of the whole tar stream
//! ```
//! A file that a later member of the same layer replaced is not under its path any more: the unpacker moved it aside and
//! says so in a [`Moved`]; `items` counts which references came before.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::{Error, Observer, Result, Sink};

const MAGIC: &[u8] = b"WHARFREC\x01";
const RAW: u8 = 1;
const FILE: u8 = 2;
const END: u8 = 0;
/// Raw bytes are gathered up to this before they become an item.
const GATHER: usize = 64 << 10;
/// A raw item is never longer; a longer one in a file means that it is damaged.
const MAX_ITEM: u64 = 16 << 20;
/// The headers of a layer are nearly all zeros: the fastest level already takes them to a few percent.
const LEVEL: i32 = 1;

/// A file or folder that was moved aside because a later member took its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// File references up to this number mean the old one.
    pub before: u64,
    /// What was replaced, relative to the root of the layer.
    pub path: PathBuf,
    /// Its name in the folder of replaced files.
    pub name: u64,
}

/// Writes a record while a layer is being unpacked.
pub struct Recorder<W: Write> {
    out: zstd::Encoder<'static, W>,
    raw: Vec<u8>,
    total: u64,
    files: u64,
}

impl<W: Write> Recorder<W> {
    /// A record that goes to `out`.
    pub fn new(mut out: W) -> Result<Self> {
        out.write_all(MAGIC).map_err(Error::stream("write layer record"))?;
        let out = zstd::Encoder::new(out, LEVEL).map_err(Error::stream("write layer record"))?;
        Ok(Self { out, raw: Vec::with_capacity(GATHER), total: 0, files: 0 })
    }

    /// A range of an unpacked file stands here in the stream.
    pub fn file(&mut self, path: &Path, offset: u64, length: u64) -> Result<()> {
        self.flush()?;
        let path = path.as_os_str().as_bytes();
        let mut item = vec![FILE];
        push_varint(&mut item, path.len() as u64);
        item.extend_from_slice(path);
        push_varint(&mut item, offset);
        push_varint(&mut item, length);
        self.total += length;
        self.files += 1;
        self.out.write_all(&item).map_err(Error::stream("write layer record"))
    }

    /// How many file references there are so far.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Ends the record; answers the sink and the length of the tar stream.
    pub fn finish(mut self) -> Result<(W, u64)> {
        self.flush()?;
        let mut item = vec![END];
        push_varint(&mut item, self.total);
        let total = self.total;
        let write = |mut out: zstd::Encoder<'static, W>| {
            out.write_all(&item)?;
            out.finish()
        };
        Ok((write(self.out).map_err(Error::stream("write layer record"))?, total))
    }

    fn flush(&mut self) -> Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let mut head = vec![RAW];
        push_varint(&mut head, self.raw.len() as u64);
        self.out.write_all(&head).map_err(Error::stream("write layer record"))?;
        self.out.write_all(&self.raw).map_err(Error::stream("write layer record"))?;
        self.raw.clear();
        Ok(())
    }
}

impl<W: Write> Observer for Recorder<W> {
    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.total += bytes.len() as u64;
        for piece in bytes.chunks(GATHER) {
            if self.raw.len() + piece.len() > GATHER {
                self.flush()?;
            }
            self.raw.extend_from_slice(piece);
        }
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("total", &self.total).finish_non_exhaustive()
    }
}

/// Where the bytes of an unpacked layer are.
#[derive(Debug, Clone, Copy)]
pub struct LayerFiles<'a> {
    /// The unpacked files.
    pub root: BorrowedFd<'a>,
    /// The folder of replaced files, when there is one.
    pub moved_root: Option<BorrowedFd<'a>>,
    /// What is in it, in the order in which it happened.
    pub moved: &'a [Moved],
}

/// Writes the original tar stream of a layer again: `record` and the unpacked files give every byte. Answers its length.
///
/// # Errors
/// [`Error::Corrupt`] when the record or a file is not what it was.
pub fn replay(record: impl Read, files: LayerFiles<'_>, out: &mut dyn Sink) -> Result<u64> {
    let mut record = BufReader::new(record);
    let mut magic = [0; MAGIC.len()];
    record.read_exact(&mut magic).map_err(Error::stream("a layer record"))?;
    if magic != MAGIC {
        return Err(Error::Corrupt("unknown form of layer record".into()));
    }
    let decoder = zstd::Decoder::with_buffer(record).map_err(Error::stream("read layer record"))?;
    let mut replay =
        Replay { items: BufReader::with_capacity(GATHER, decoder), files, folder: None, references: 0, written: 0 };
    while replay.item(out)? {}
    Ok(replay.written)
}

struct Replay<'a, R> {
    items: R,
    files: LayerFiles<'a>,
    /// The folder of the last file: consecutive members are mostly neighbours.
    folder: Option<(PathBuf, OwnedFd)>,
    references: u64,
    written: u64,
}

impl<R: BufRead> Replay<'_, R> {
    fn item(&mut self, out: &mut dyn Sink) -> Result<bool> {
        match self.byte()? {
            RAW => self.raw(out)?,
            FILE => self.file(out)?,
            END => {
                let total = self.varint()?;
                if total != self.written {
                    return Err(Error::Corrupt("layer record ends at the wrong length".into()));
                }
                return Ok(false);
            }
            _ => return Err(Error::Corrupt("layer record has an unknown item".into())),
        }
        Ok(true)
    }

    fn raw(&mut self, out: &mut dyn Sink) -> Result<()> {
        let mut left = self.varint()?;
        if left > MAX_ITEM {
            return Err(Error::Corrupt("layer record has an endless item".into()));
        }
        while left > 0 {
            let piece = self.items.fill_buf().map_err(Error::stream("read layer record"))?;
            let n = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if n == 0 {
                return Err(Error::Truncated("a layer record"));
            }
            out.write_all(&piece[..n]).map_err(Error::stream("write layer"))?;
            self.items.consume(n);
            self.written += n as u64;
            left -= n as u64;
        }
        Ok(())
    }

    fn file(&mut self, out: &mut dyn Sink) -> Result<()> {
        let length = usize::try_from(self.varint()?).ok().filter(|n| *n <= GATHER);
        let mut path = vec![0; length.ok_or_else(|| Error::Corrupt("layer record has an endless name".into()))?];
        self.items.read_exact(&mut path).map_err(Error::stream("a layer record"))?;
        let path = PathBuf::from(OsString::from_vec(path));
        let (mut offset, mut left) = (self.varint()?, self.varint()?);
        let file = self.open(&path)?;
        self.references += 1;
        while left > 0 {
            let room = out.room().map_err(Error::stream("write layer"))?;
            let want = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = rustix::io::pread(&file, &mut room[..want], offset).map_err(Error::io("read", &path))?;
            if n == 0 {
                return Err(Error::Corrupt(format!("file {path:?} of a layer is shorter than it was")));
            }
            out.advance(n).map_err(Error::stream("write layer"))?;
            offset += n as u64;
            self.written += n as u64;
            left -= n as u64;
        }
        Ok(())
    }

    fn open(&mut self, path: &Path) -> Result<OwnedFd> {
        let aside = self.files.moved.iter().find(|m| self.references < m.before && path.starts_with(&m.path));
        if let (Some(moved), Some(root)) = (aside, self.files.moved_root) {
            // the prefix was just compared
            let rest = path.strip_prefix(&moved.path).unwrap_or(Path::new(""));
            let name = Path::new(&moved.name.to_string()).join(rest);
            // join with an empty rest leaves a slash behind, which no file can have
            let name = if rest.as_os_str().is_empty() { PathBuf::from(moved.name.to_string()) } else { name };
            return open_in(root, &name, OFlags::RDONLY | OFlags::NOFOLLOW);
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().ok_or_else(|| Error::Corrupt("layer record names no file".into()))?;
        if parent.as_os_str().is_empty() {
            return open_in(self.files.root, path, OFlags::RDONLY | OFlags::NOFOLLOW);
        }
        if self.folder.as_ref().is_none_or(|(known, _)| known != parent) {
            let fd = open_in(self.files.root, parent, OFlags::PATH | OFlags::DIRECTORY)?;
            self.folder = Some((parent.to_owned(), fd));
        }
        let (_, folder) = self.folder.as_ref().ok_or_else(|| Error::Corrupt("no folder".into()))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(Error::io("open", path))
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.items.read_exact(&mut byte).map_err(Error::stream("a layer record"))?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Corrupt("layer record has an endless number".into()))
    }
}

fn open_in(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve).map_err(Error::io("open", path))
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
