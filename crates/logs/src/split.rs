//! Cuts a byte stream into lines the way Docker's copier does: a line ends at its newline or after 16 KiB, whichever comes
//! first; the parts of one long line share the moment of the first.

use crate::Timestamp;

/// Bytes after which a line is cut. A line of exactly this length without its newline counts as full.
pub(crate) const PART: usize = 16 * 1024;

/// Where a piece stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is the line.
    Whole,
    /// One of several, counted from 1.
    Piece {
        /// Its number.
        ordinal: u32,
        /// It ends with the line's newline.
        last: bool,
    },
}

/// What came before the newline that has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    held: Vec<u8>,
    /// Moment of the first part of a line that was already cut, and how many parts there are.
    cut: Option<(Timestamp, u32)>,
}

impl Splitter {
    /// Gives `emit` every line or part that `bytes` completes: its bytes, newline included, and its moment.
    pub(crate) fn push(&mut self, mut bytes: &[u8], time: Timestamp, mut emit: impl FnMut(&[u8], Timestamp, Part)) {
        while !bytes.is_empty() {
            let room = (PART - self.held.len()).min(bytes.len());
            let (taken, ends) = match memchr::memchr(b'\n', &bytes[..room]) {
                Some(at) => (at + 1, true),
                None if self.held.len() + room == PART => (room, false),
                None => {
                    self.held.extend_from_slice(bytes);
                    return;
                }
            };
            let (piece, rest) = bytes.split_at(taken);
            bytes = rest;
            let (at, part) = self.place(time, ends);
            if self.held.is_empty() {
                emit(piece, at, part);
            } else {
                // joined first: a character may lie across the two
                self.held.extend_from_slice(piece);
                emit(&self.held, at, part);
                self.held.clear();
            }
        }
    }

    /// The end of the stream: what is held is a last part without a newline.
    pub(crate) fn finish(&mut self, time: Timestamp, mut emit: impl FnMut(&[u8], Timestamp, Part)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            let (at, part) = self.place(time, false);
            emit(&held, at, part);
        }
        self.cut = None;
    }

    /// Moment and place of the next piece.
    fn place(&mut self, time: Timestamp, ends: bool) -> (Timestamp, Part) {
        let (at, before) = self.cut.unwrap_or((time, 0));
        self.cut = (!ends).then_some((at, before + 1));
        match (before, ends) {
            (0, true) => (at, Part::Whole),
            (before, last) => (at, Part::Piece { ordinal: before + 1, last }),
        }
    }

    /// What has come of a line that has not ended.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.held
    }

    /// Gives memory back while no line is open.
    pub(crate) fn release(&mut self) {
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(Vec<u8>, i64)> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        let mut emit = |line: &[u8], time: Timestamp, _: Part| lines.push((line.to_vec(), time.as_nanos()));
        for (number, chunk) in (1..).zip(chunks) {
            splitter.push(chunk, Timestamp::from_nanos(number), &mut emit);
        }
        splitter.finish(Timestamp::from_nanos(99), &mut emit);
        lines
    }

    #[test]
    fn lines_across_reads() {
        let expect = [(b"one\n".to_vec(), 1), (b"two\n".to_vec(), 2), (b"\n".to_vec(), 2), (b"rest".to_vec(), 99)];
        assert_eq!(lines(&[b"one\ntw", b"o\n\nre", b"st"]), expect);
    }

    #[test]
    fn long_lines_are_cut_and_keep_their_moment() {
        let long = vec![b'x'; 2 * PART];
        let seen = lines(&[&long[..100], &long[100..], b"end\nnext\n"]);
        let shape: Vec<_> = seen.iter().map(|(line, at)| (line.len(), *at)).collect();
        assert_eq!(shape, [(PART, 2), (PART, 2), (4, 2), (5, 3)]);
    }

    #[test]
    fn pieces_are_numbered() {
        let mut splitter = Splitter::default();
        let mut parts = Vec::new();
        let mut bytes = vec![b'x'; 2 * PART];
        bytes.extend_from_slice(b"end\nwhole\nopen");
        splitter.push(&bytes, Timestamp::default(), |_, _, part| parts.push(part));
        splitter.finish(Timestamp::default(), |_, _, part| parts.push(part));
        let piece = |ordinal, last| Part::Piece { ordinal, last };
        assert_eq!(parts, [piece(1, false), piece(2, false), piece(3, true), Part::Whole, piece(1, false)]);
    }

    #[test]
    fn a_full_line_without_its_newline_is_a_part() {
        let mut line = vec![b'x'; PART - 1];
        line.push(b'\n');
        assert_eq!(lines(&[&line]).len(), 1);
        line.insert(0, b'x');
        let shape: Vec<_> = lines(&[&line]).iter().map(|(line, _)| line.len()).collect();
        assert_eq!(shape, [PART, 1]);
    }
}
