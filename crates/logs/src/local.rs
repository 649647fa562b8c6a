//! Docker's `local` driver: protocol buffers between their lengths, so that a file can be walked from both ends.
//!
//! ```text
//! ┌───────────────┬──────────────────────────────────────────────────────────────────┬───────────────┐
//! │ length u32 BE │ LogEntry { 1 source, 2 time_nano, 3 line without its newline,    │ length u32 BE │
//! │               │   4 partial, 5 { 1 last, 2 id (64 hex), 3 ordinal } }            │               │
//! └───────────────┴──────────────────────────────────────────────────────────────────┴───────────────┘
//!   partial and its metadata stand only in the pieces of a line longer than 16 KiB; a piece that is not the last has no
//!   newline. Fields with their zero value are left out.
//! ```

use crate::line::{Line, Moment, Text};
use crate::split::Part;
use crate::{Stream, Timestamp};

/// Bytes around an entry.
pub(crate) const FRAME: usize = 8;

/// Longest entry that is believed.
pub(crate) const ENTRY_MAX: usize = 1 << 20;

/// Writes entries.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// Identifier of the line that is in pieces, per stream.
    ids: [Option<[u8; 64]>; 2],
}

impl Encoder {
    /// Appends an entry.
    pub(crate) fn push(&mut self, stream: Stream, line: &[u8], part: Part, time: Timestamp, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        push_bytes(1, if stream == Stream::Stdout { b"stdout" } else { b"stderr" }, out);
        push_number(2, time.as_nanos() as u64, out);
        push_bytes(3, line.strip_suffix(b"\n").unwrap_or(line), out);
        if let Part::Piece { ordinal, last } = part {
            let id = self.ids[stream as usize].get_or_insert_with(random_id);
            let mut piece = Vec::with_capacity(80);
            push_number(1, u64::from(last), &mut piece);
            push_bytes(2, id, &mut piece);
            push_number(3, u64::from(ordinal), &mut piece);
            if last {
                self.ids[stream as usize] = None;
            }
            push_number(4, 1, out);
            push_bytes(5, &piece, out);
        }
        let length = ((out.len() - start - 4) as u32).to_be_bytes();
        out[start..start + 4].copy_from_slice(&length);
        out.extend_from_slice(&length);
    }
}

/// 32 random bytes in hexadecimal. Only to tell lines apart, so a kernel without entropy yet is no reason to wait.
fn random_id() -> [u8; 64] {
    let mut random = [0; 32];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::NONBLOCK);
    let mut id = [0; 64];
    for (pair, byte) in id.chunks_exact_mut(2).zip(random) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    id
}

fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn push_number(field: u64, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        push_varint(field << 3, out);
        push_varint(value, out);
    }
}

fn push_bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        push_varint(field << 3 | 2, out);
        push_varint(value.len() as u64, out);
        out.extend_from_slice(value);
    }
}

/// The length in the four bytes that `bytes` begins with; `None` when there are not four.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = *bytes else { return None };
    Some(u32::from_be_bytes([a, b, c, d]) as usize)
}

/// Takes an entry (without the lengths around it) apart; `None` when it is none.
pub(crate) fn parse(entry: &[u8]) -> Option<Line<'_>> {
    let (mut stream, mut time, mut bytes, mut newline) = (Stream::Stdout, 0, &b""[..], true);
    let mut rest = entry;
    while !rest.is_empty() {
        let (field, after) = next_field(rest)?;
        rest = after;
        match field {
            Field::Bytes(1, source) => stream = if source == b"stderr" { Stream::Stderr } else { Stream::Stdout },
            Field::Number(2, nanos) => time = nanos as i64,
            Field::Bytes(3, line) => bytes = line,
            // what says whether it is the last piece follows; without it no piece has a newline
            Field::Number(4, partial) => newline &= partial == 0,
            Field::Bytes(5, piece) => newline = is_last(piece)?,
            _ => {}
        }
    }
    let time = Moment::Read(Timestamp::from_nanos(time));
    Some(Line { text: Text::Plain { bytes, newline }, stream, attrs: None, time })
}

fn is_last(mut piece: &[u8]) -> Option<bool> {
    let mut last = false;
    while !piece.is_empty() {
        let (field, after) = next_field(piece)?;
        piece = after;
        if let Field::Number(1, value) = field {
            last = value != 0;
        }
    }
    Some(last)
}

enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
    /// Of a fixed width: none that an entry has.
    Other,
}

fn next_field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    match tag & 7 {
        0 => varint(rest).map(|(value, rest)| (Field::Number(tag >> 3, value), rest)),
        2 => {
            let (length, rest) = varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Field::Bytes(tag >> 3, value), rest))
        }
        1 => Some((Field::Other, rest.get(8..)?)),
        5 => Some((Field::Other, rest.get(4..)?)),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a Docker 28.5 wrote for `hi` on standard output.
    const DOCKER: &[u8] = b"\0\0\0\x16\x0a\x06stdout\x10\xab\xc5\xf0\xa2\xe6\x94\xf8\xf4\x18\x1a\x02hi\0\0\0\x16";

    #[test]
    fn as_docker_writes_it() {
        let line = parse(&DOCKER[4..DOCKER.len() - 4]).expect("an entry");
        let time = line.time().expect("a moment");
        assert_eq!((line.stream, line.text), (Stream::Stdout, Text::Plain { bytes: b"hi", newline: true }));
        let mut out = Vec::new();
        Encoder::default().push(Stream::Stdout, b"hi\n", Part::Whole, time, &mut out);
        assert_eq!(out, DOCKER);
    }

    #[test]
    fn pieces_share_an_identifier() {
        let mut encoder = Encoder::default();
        let mut ids = Vec::new();
        for (ordinal, last) in [(1, false), (2, true), (1, false)] {
            let mut out = Vec::new();
            let line: &[u8] = if last { b"end\n" } else { b"begin" };
            encoder.push(Stream::Stderr, line, Part::Piece { ordinal, last }, Timestamp::from_nanos(5), &mut out);
            let entry = &out[4..out.len() - 4];
            assert_eq!(length(&out), Some(entry.len()));
            let parsed = parse(entry).expect("an entry");
            let bytes = line.strip_suffix(b"\n").unwrap_or(line);
            assert_eq!((parsed.stream, parsed.text), (Stream::Stderr, Text::Plain { bytes, newline: last }));
            let at = entry.windows(2).position(|pair| pair == [0x12, 64]).expect("an identifier");
            ids.push(entry[at + 2..at + 66].to_vec());
        }
        assert!(ids[0] == ids[1] && ids[1] != ids[2]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
