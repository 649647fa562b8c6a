//! Entries as the logs endpoint sends them: Docker's multiplexed stream or raw, with moments and attributes in front.
//!
//! ```text
//! [stream 1|2][0][0][0][length u32 BE] 2026-11-20T21:14:02.292447714Z a=1,tag=x the line
//!                                      └ timestamps                   └ details └
//! ```

use crate::Stream;
use crate::json::attrs;
use crate::line::Line;
use crate::time::Clock;

/// How output is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As it was written (a terminal's container).
    Raw,
    /// Docker's multiplexed stream, one frame per entry: clients that take a frame for a line see lines.
    Stdcopy,
    /// Docker's multiplexed stream, consecutive entries of a stream joined in frames of up to 32 KiB: the same bytes for
    /// a client that only separates the streams (the docker command line), at a fraction of its work.
    StdcopyJoined,
}

/// How entries are written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How output is divided.
    pub framing: Framing,
    /// The moment before each line, with nine digits.
    pub timestamps: bool,
    /// The attributes before each line: `key=value,…`, URL-encoded, sorted.
    pub details: bool,
}

/// Bytes of a frame's header.
const HEADER: usize = 8;

/// Payload after which a joined frame ends: with its header this fits the first buffer of Docker's client, which would
/// have to grow and copy for more.
const JOINED: usize = 32 * 1024;

/// Appends entries to a buffer.
#[derive(Debug)]
pub(crate) struct Encoder {
    format: Format,
    clock: Clock,
    /// The frame that may still grow: its stream and where its header is.
    open: Option<(Stream, usize)>,
}

impl Encoder {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, clock: Clock::new(), open: None }
    }

    /// A new buffer: frames in the old one are complete.
    pub(crate) fn begin(&mut self) {
        self.open = None;
    }

    /// Appends a line; `None`, and nothing appended, when its content is malformed.
    pub(crate) fn push(&mut self, line: &Line<'_>, out: &mut Vec<u8>) -> Option<()> {
        let before = out.len();
        let header = self.frame(line.stream, out);
        let done = self.payload(line, out);
        if done.is_none() {
            // an entry that joined an open frame leaves that frame as it was
            out.truncate(before);
            self.open = self.open.filter(|(_, header)| *header < before);
            return None;
        }
        if let Some(header) = header {
            let length = (out.len() - header - HEADER) as u32;
            out[header + 4..header + HEADER].copy_from_slice(&length.to_be_bytes());
        }
        Some(())
    }

    /// The header that the entry belongs to; `None` when there are none.
    fn frame(&mut self, stream: Stream, out: &mut Vec<u8>) -> Option<usize> {
        if self.format.framing == Framing::Raw {
            return None;
        }
        if self.format.framing == Framing::StdcopyJoined
            && let Some((open, header)) = self.open
            && open == stream
            // room for the longest part of a line
            && out.len() - header - HEADER < JOINED - crate::split::PART
        {
            return Some(header);
        }
        let header = out.len();
        out.extend_from_slice(&[stream as u8 + 1, 0, 0, 0, 0, 0, 0, 0]);
        self.open = Some((stream, header));
        Some(header)
    }

    fn payload(&mut self, line: &Line<'_>, out: &mut Vec<u8>) -> Option<()> {
        if self.format.timestamps {
            self.clock.push_fixed(line.time()?, out);
            out.push(b' ');
        }
        if self.format.details {
            push_details(line.attrs.unwrap_or_default(), out);
            out.push(b' ');
        }
        line.push_text(out)
    }
}

fn push_details(object: &[u8], out: &mut Vec<u8>) {
    let mut pairs = attrs(object);
    pairs.sort();
    for (place, (key, value)) in pairs.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        push_query(key, out);
        out.push(b'=');
        push_query(value, out);
    }
}

/// Go's `url.QueryEscape`.
fn push_query(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(format: Format, lines: &[&str]) -> Vec<u8> {
        let mut encoder = Encoder::new(format);
        let mut out = Vec::new();
        for line in lines {
            if let Some(line) = crate::json::parse(line.as_bytes()) {
                let _ = encoder.push(&line, &mut out);
            }
        }
        out
    }

    const OUT: &str =
        r#"{"log":"a\n","stream":"stdout","attrs":{"t x":"1&2","a":"b"},"time":"1970-01-01T00:00:01.5Z"}"#;
    const ERR: &str = r#"{"log":"b\n","stream":"stderr","time":"1970-01-01T00:00:02Z"}"#;
    const BAD: &str = r#"{"log":"\q","stream":"stdout","time":"1970-01-01T00:00:02Z"}"#;

    fn format(framing: Framing) -> Format {
        Format { framing, timestamps: false, details: false }
    }

    #[test]
    fn raw_and_frames() {
        assert_eq!(encode(format(Framing::Raw), &[OUT, BAD, ERR]), b"a\nb\n");
        assert_eq!(
            encode(format(Framing::Stdcopy), &[OUT, OUT, BAD, ERR]),
            b"\x01\0\0\0\0\0\0\x02a\n\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x02b\n"
        );
        assert_eq!(
            encode(format(Framing::StdcopyJoined), &[OUT, BAD, OUT, BAD, ERR]),
            b"\x01\0\0\0\0\0\0\x04a\na\n\x02\0\0\0\0\0\0\x02b\n"
        );
    }

    #[test]
    fn timestamps_and_details() {
        let format = Format { framing: Framing::Raw, timestamps: true, details: true };
        assert_eq!(
            String::from_utf8_lossy(&encode(format, &[OUT, ERR])),
            "1970-01-01T00:00:01.500000000Z a=b,t+x=1%262 a\n1970-01-01T00:00:02.000000000Z  b\n"
        );
    }
}
