//! The files of one log as a reader sees them: oldest first, rotated and compressed ones included, each exactly once although
//! the writer may rotate meanwhile.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::codec::Codec;
use crate::file::suffixed;
use crate::{Error, Result};

/// Most rotated files that are looked for; Docker itself accepts any `max-file`.
const NUMBERED_MAX: u32 = 10_000;

/// How often opening is begun anew because the writer rotated in the middle of it.
const ATTEMPTS: usize = 32;

/// One file, open.
#[derive(Debug)]
pub(crate) enum Source {
    /// As it was written.
    Plain {
        file: File,
        inode: u64,
        /// Where reading goes on.
        position: u64,
        /// Where reading ends, whatever is written behind it.
        end: Option<u64>,
    },
    /// Compressed after rotation; the first `skip` records are not wanted.
    Gzip { file: Box<GzDecoder<File>>, skip: u64 },
}

impl Source {
    fn plain(file: File) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        Ok(Self::Plain { file, inode, position: 0, end: None })
    }

    /// Reads on; 0 at the (present) end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { file, position, end, .. } => {
                let room = end.map_or(u64::MAX, |end| end.saturating_sub(*position));
                let room = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
                let count = file.read_at(&mut buffer[..room], *position)?;
                *position += count as u64;
                Ok(count)
            }
            Self::Gzip { file, .. } => file.read(buffer),
        }
    }

    /// Goes to the present end.
    pub(crate) fn skip_rest(&mut self) -> io::Result<()> {
        match self {
            Self::Plain { file, position, .. } => *position = file.metadata()?.len(),
            Self::Gzip { file, .. } => _ = io::copy(file, &mut io::sink())?,
        }
        Ok(())
    }

    /// How many of its first records are not wanted.
    pub(crate) fn skip(&self) -> u64 {
        match self {
            Self::Plain { .. } => 0,
            Self::Gzip { skip, .. } => *skip,
        }
    }

    /// Moves to the last `records`, and says how many of them it has.
    fn seek_tail(&mut self, codec: Codec, records: u64) -> io::Result<u64> {
        match self {
            Self::Plain { file, position, .. } => {
                let (start, found) = codec.tail(file, records)?;
                *position = start;
                Ok(found)
            }
            Self::Gzip { file, skip } => {
                // the clone shares the file's offset: this decoder begins anew afterwards
                let total = codec.count(&mut BufReader::new(GzDecoder::new(rewound(file)?)))?;
                **file = GzDecoder::new(rewound(file)?);
                *skip = total.saturating_sub(records);
                Ok(total.min(records))
            }
        }
    }
}

fn rewound(file: &GzDecoder<File>) -> io::Result<File> {
    let mut plain = file.get_ref().try_clone()?;
    io::Seek::rewind(&mut plain)?;
    Ok(plain)
}

/// Opens all files of the log at `path`, oldest first.
pub(crate) fn open(path: &Path) -> Result<VecDeque<Source>> {
    let fail = |error| Error::io("open", path, error);
    let mut chain = VecDeque::new();
    for _ in 0..ATTEMPTS {
        chain.clear();
        let Some(current) = open_one(path).map_err(fail)? else { continue };
        let current = Source::plain(current).map_err(fail)?;
        let inode = inode_of(&current);
        chain.push_front(current);
        for number in 1..NUMBERED_MAX {
            let Some(source) = open_numbered(path, number).map_err(fail)? else { break };
            chain.push_front(source);
        }
        // had the writer rotated in between, a file would be in the list twice (once compressed, perhaps) or not at all
        if std::fs::metadata(path).is_ok_and(|now| Some(now.ino()) == inode) {
            break;
        }
    }
    Ok(chain)
}

/// Ends the log in the middle of the file with this inode; `false` when it has no such file.
pub(crate) fn end_at(chain: &mut VecDeque<Source>, inode: u64, length: u64) -> bool {
    let Some(place) = chain.iter().position(|source| inode_of(source) == Some(inode)) else { return false };
    chain.truncate(place + 1);
    if let Some(Source::Plain { end, .. }) = chain.back_mut() {
        *end = Some(length);
    }
    true
}

/// Opens what was written after the file with this inode, oldest first; `None` when that file is not there any more.
pub(crate) fn open_after(path: &Path, inode: u64) -> Result<Option<VecDeque<Source>>> {
    let mut chain = open(path)?;
    let Some(place) = chain.iter().position(|source| inode_of(source) == Some(inode)) else { return Ok(None) };
    chain.drain(..=place);
    Ok(Some(chain))
}

/// Drops what is before the last `records` of the whole log.
pub(crate) fn seek_tail(chain: &mut VecDeque<Source>, codec: Codec, records: u64, path: &Path) -> Result<()> {
    let mut wanted = records;
    for place in (0..chain.len()).rev() {
        wanted -= chain[place].seek_tail(codec, wanted).map_err(|error| Error::io("read", path, error))?;
        if wanted == 0 {
            chain.drain(..place);
            break;
        }
    }
    Ok(())
}

fn inode_of(source: &Source) -> Option<u64> {
    match source {
        Source::Plain { inode, .. } => Some(*inode),
        Source::Gzip { .. } => None,
    }
}

fn open_numbered(path: &Path, number: u32) -> io::Result<Option<Source>> {
    if let Some(file) = open_one(&suffixed(path, &format!(".{number}")))? {
        return Source::plain(file).map(Some);
    }
    let compressed = open_one(&suffixed(path, &format!(".{number}.gz")))?;
    Ok(compressed.map(|file| Source::Gzip { file: Box::new(GzDecoder::new(file)), skip: 0 }))
}

fn open_one(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
