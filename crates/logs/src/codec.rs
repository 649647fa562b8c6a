//! The drivers' file formats behind one pair of types: records out of bytes, bytes out of lines.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;

use crate::line::Line;
use crate::split::Part;
use crate::{Stream, Timestamp, json, local};

/// Bytes of one step of a backward search.
const STEP: usize = 64 * 1024;

/// Reads a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Lines of JSON.
    Json,
    /// Docker's `local`.
    Local,
}

/// What a buffer begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A record: its content, and where the next one begins.
    Record(std::ops::Range<usize>, usize),
    /// A part of one.
    Incomplete,
    /// Nothing that could be a record, and no way to find the next one.
    Damaged,
}

impl Codec {
    /// Finds the first record.
    pub(crate) fn next(self, bytes: &[u8]) -> Next {
        match self {
            Self::Json => memchr::memchr(b'\n', bytes).map_or(Next::Incomplete, |at| Next::Record(0..at, at + 1)),
            Self::Local => match local::length(bytes) {
                None => Next::Incomplete,
                Some(length) if length > local::ENTRY_MAX => Next::Damaged,
                Some(length) if bytes.len() < length + local::FRAME => Next::Incomplete,
                Some(length) if local::length(&bytes[length + 4..]) != Some(length) => Next::Damaged,
                Some(length) => Next::Record(4..length + 4, length + local::FRAME),
            },
        }
    }

    /// Takes a record apart.
    pub(crate) fn parse(self, record: &[u8]) -> Option<Line<'_>> {
        match self {
            Self::Json => json::parse(record),
            Self::Local => local::parse(record),
        }
    }

    /// Where the last `records` of a file begin, and how many they are. Looks at no more than it must, from the end.
    pub(crate) fn tail(self, file: &File, records: u64) -> io::Result<(u64, u64)> {
        let size = file.metadata()?.len();
        match self {
            Self::Json => tail_of_lines(file, size, records),
            Self::Local => tail_of_entries(file, size, records),
        }
    }

    /// How many records a stream has.
    pub(crate) fn count(self, stream: &mut impl BufRead) -> io::Result<u64> {
        let mut count = 0;
        match self {
            Self::Json => loop {
                let buffer = stream.fill_buf()?;
                if buffer.is_empty() {
                    return Ok(count);
                }
                count += memchr::memchr_iter(b'\n', buffer).count() as u64;
                let length = buffer.len();
                stream.consume(length);
            },
            Self::Local => {
                let mut header = [0; 4];
                while stream.read_exact(&mut header).is_ok() {
                    let rest = u64::from(u32::from_be_bytes(header)) + 4;
                    if io::copy(&mut stream.by_ref().take(rest), &mut io::sink())? != rest {
                        break;
                    }
                    count += 1;
                }
                Ok(count)
            }
        }
    }

    /// The end of the last whole record, when a writer that was killed or a full disk left a part of one behind it.
    pub(crate) fn torn_at(self, file: &File) -> io::Result<Option<u64>> {
        let size = file.metadata()?.len();
        let sound = match self {
            Self::Json => return Ok(None),
            Self::Local => size == 0 || tail_of_entries(file, size, 1)?.1 == 1,
        };
        if sound {
            return Ok(None);
        }
        let mut at = 0;
        while let Some(next) = entry_after(file, size, at)? {
            at = next;
        }
        Ok(Some(at))
    }
}

fn tail_of_lines(file: &File, size: u64, lines: u64) -> io::Result<(u64, u64)> {
    let mut buffer = vec![0; STEP];
    let mut end = size;
    let mut newlines = 0;
    while end > 0 {
        let start = end.saturating_sub(STEP as u64);
        let block = &mut buffer[..(end - start) as usize];
        file.read_exact_at(block, start)?;
        for at in memchr::memrchr_iter(b'\n', block) {
            // this newline ends the line before the wanted ones
            if newlines == lines {
                return Ok((start + at as u64 + 1, lines));
            }
            newlines += 1;
        }
        end = start;
    }
    Ok((0, newlines))
}

fn tail_of_entries(file: &File, size: u64, entries: u64) -> io::Result<(u64, u64)> {
    let mut start = size;
    for found in 0..entries {
        let length = |at: u64| -> io::Result<u64> {
            let mut bytes = [0; 4];
            file.read_exact_at(&mut bytes, at)?;
            Ok(u64::from(u32::from_be_bytes(bytes)))
        };
        if start < local::FRAME as u64 {
            return Ok((start, found));
        }
        let before = length(start - 4)? + local::FRAME as u64;
        // damaged: what lies before cannot be found from here
        if before > start || length(start - before)? + local::FRAME as u64 != before {
            return Ok((start, found));
        }
        start -= before;
    }
    Ok((start, entries))
}

/// Where the entry at `at` ends; `None` when it is not whole.
fn entry_after(file: &File, size: u64, at: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; 4];
    if size - at < local::FRAME as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, at)?;
    let length = bytes;
    let end = at + u64::from(u32::from_be_bytes(length)) + local::FRAME as u64;
    if end > size {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, end - 4)?;
    Ok((bytes == length).then_some(end))
}

/// Writes a format.
#[derive(Debug)]
pub(crate) enum Encoder {
    /// Lines of JSON.
    Json(json::Encoder),
    /// Docker's `local`.
    Local(local::Encoder),
}

/// Gives each entry a moment later than the last one's, one nanosecond at least, so that a moment names an entry: this is how a
/// follower finds its place again, and what `--since` counts on.
#[derive(Debug, Default)]
pub(crate) struct Rising(Timestamp);

/// A clock that was set back by more than this is believed, by less it is smoothed over.
const SMOOTHED: i64 = 1_000_000_000;

impl Rising {
    /// The last moment.
    pub(crate) fn last(&self) -> Timestamp {
        self.0
    }

    pub(crate) fn next(&mut self, time: Timestamp) -> Timestamp {
        let behind = self.0.as_nanos() - time.as_nanos();
        self.0 = if (0..SMOOTHED).contains(&behind) { self.0.next() } else { time };
        self.0
    }
}

impl Encoder {
    /// Appends an entry.
    pub(crate) fn push(&mut self, stream: Stream, line: &[u8], part: Part, time: Timestamp, out: &mut Vec<u8>) {
        match self {
            Self::Json(encoder) => encoder.push(stream, line, time, out),
            Self::Local(encoder) => encoder.push(stream, line, part, time, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_grow() {
        let mut rising = Rising::default();
        let far = 5 * SMOOTHED;
        let seen = [5, 5, 4, 9, far, 1].map(|nanos| rising.next(Timestamp::from_nanos(nanos)).as_nanos());
        assert_eq!(seen, [5, 6, 7, 9, far, 1]);
    }
}
