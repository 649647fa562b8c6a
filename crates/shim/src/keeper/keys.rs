//! The detach keys: a sequence in what a client types that ends its session.

use crate::protocol::DETACH_KEYS;

/// Finds the sequence across reads. As in Docker's client library a key that might begin the sequence is held back until the
/// next one decides, and a sequence that was broken off is passed on whole.
#[derive(Debug)]
pub(super) struct Keys {
    sequence: Vec<u8>,
    matched: usize,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// For the process.
    Input,
    /// The whole sequence: the session ends after what came before it.
    Detach,
}

impl Keys {
    pub(super) fn new(sequence: &[u8]) -> Self {
        let sequence = if sequence.is_empty() { &DETACH_KEYS[..] } else { sequence };
        Self { sequence: sequence.to_vec(), matched: 0 }
    }

    /// Appends to `out` what of `bytes` goes to the process.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Typed {
        for &byte in bytes {
            if byte == self.sequence[self.matched] {
                self.matched += 1;
                if self.matched == self.sequence.len() {
                    self.matched = 0;
                    return Typed::Detach;
                }
                continue;
            }
            out.extend_from_slice(&self.sequence[..self.matched]);
            self.matched = 0;
            out.push(byte);
        }
        Typed::Input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], reads: &[&[u8]], expect: &[u8], last: Typed) {
        let mut keys = Keys::new(keys);
        let mut out = Vec::new();
        let mut typed = Typed::Input;
        for read in reads {
            typed = keys.feed(read, &mut out);
            if typed == Typed::Detach {
                break;
            }
        }
        assert_eq!((out.as_slice(), typed), (expect, last));
    }

    #[test]
    fn sequences() {
        check(b"", &[b"ls\n\x10\x11rest"], b"ls\n", Typed::Detach);
        check(b"", &[b"a\x10", b"\x11"], b"a", Typed::Detach);
        check(b"", &[b"a\x10", b"b"], b"a\x10b", Typed::Input);
        check(b"", &[b"a\x10"], b"a", Typed::Input);
        check(b"ab", &[b"xaab"], b"xaab", Typed::Input);
        check(b"ab", &[b"xabab"], b"x", Typed::Detach);
        check(b"\x01", &[b"q\x01"], b"q", Typed::Detach);
    }
}
