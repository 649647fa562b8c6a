//! The 512-byte tar header block: ustar, GNU and v7 fields, read and written.
//!
//! ```text
//!   0 name 100 │ 100 mode 8 │ 108 uid 8 │ 116 gid 8 │ 124 size 12 │ 136 mtime 12 │ 148 checksum 8 │ 156 type 1
//! 157 link 100 │ 257 magic 6 │ 263 version 2 │ 265 uname 32 │ 297 gname 32 │ 329 major 8 │ 337 minor 8
//! 345 prefix 155 (ustar)      │ 386 sparse 4 × 24, 482 extended 1, 483 real size 12 (old GNU)
//! ```

use crate::{Error, Result};

/// Size of a block.
pub(crate) const BLOCK: usize = 512;

/// One header block.
#[derive(Clone, Copy)]
pub(crate) struct Block(pub(crate) [u8; BLOCK]);

/// Which dialect a block is written in, told by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    Gnu,
}

/// Byte ranges of the fields.
pub(crate) mod field {
    use std::ops::Range;
    pub(crate) const NAME: Range<usize> = 0..100;
    pub(crate) const MODE: Range<usize> = 100..108;
    pub(crate) const UID: Range<usize> = 108..116;
    pub(crate) const GID: Range<usize> = 116..124;
    pub(crate) const SIZE: Range<usize> = 124..136;
    pub(crate) const MTIME: Range<usize> = 136..148;
    pub(crate) const CHECKSUM: Range<usize> = 148..156;
    pub(crate) const TYPE: usize = 156;
    pub(crate) const LINK: Range<usize> = 157..257;
    pub(crate) const MAGIC: Range<usize> = 257..265;
    pub(crate) const UNAME: Range<usize> = 265..297;
    pub(crate) const GNAME: Range<usize> = 297..329;
    pub(crate) const MAJOR: Range<usize> = 329..337;
    pub(crate) const MINOR: Range<usize> = 337..345;
    pub(crate) const PREFIX: Range<usize> = 345..500;
    pub(crate) const GNU_SPARSE: usize = 386;
    pub(crate) const GNU_EXTENDED: usize = 482;
    pub(crate) const GNU_REAL_SIZE: Range<usize> = 483..495;
    pub(crate) const EXTENSION_EXTENDED: usize = 504;
}

impl Block {
    pub(crate) fn zeroed() -> Self {
        Self([0; BLOCK])
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|b| *b == 0)
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0[field::TYPE]
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match &self.0[field::MAGIC] {
            b"ustar\x0000" => Dialect::Ustar,
            b"ustar  \0" => Dialect::Gnu,
            magic if magic.starts_with(b"ustar") => Dialect::Ustar,
            _ => Dialect::V7,
        }
    }

    /// The text of a field up to its first NUL.
    pub(crate) fn text(&self, range: std::ops::Range<usize>) -> &[u8] {
        until_nul(&self.0[range])
    }

    pub(crate) fn number(&self, what: &'static str, range: std::ops::Range<usize>) -> Result<i64> {
        parse_number(&self.0[range]).ok_or_else(|| Error::Corrupt(format!("header field {what} is no number")))
    }

    /// A number that cannot be negative.
    pub(crate) fn count(&self, what: &'static str, range: std::ops::Range<usize>) -> Result<u64> {
        let number = self.number(what, range)?;
        u64::try_from(number).map_err(|_| Error::Corrupt(format!("header field {what} is negative")))
    }

    /// Verifies the checksum; old programs summed signed bytes.
    pub(crate) fn verify(&self) -> Result<()> {
        let stored = parse_number(&self.0[field::CHECKSUM]);
        let (unsigned, signed) = self.sums();
        if stored == Some(unsigned) || stored == Some(signed) {
            return Ok(());
        }
        Err(Error::Corrupt("header checksum does not match".into()))
    }

    fn sums(&self) -> (i64, i64) {
        let mut unsigned = 0;
        let mut signed = 0;
        for (i, byte) in self.0.iter().enumerate() {
            let byte = if field::CHECKSUM.contains(&i) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(i8::from_ne_bytes([byte]));
        }
        (unsigned, signed)
    }

    pub(crate) fn set_text(&mut self, range: std::ops::Range<usize>, text: &[u8]) {
        let slot = &mut self.0[range];
        let n = text.len().min(slot.len());
        slot[..n].copy_from_slice(&text[..n]);
    }

    /// Writes octal digits, zero-padded, NUL at the end; a number that does not fit is written as 0 (its true value is
    /// in a PAX record).
    pub(crate) fn set_octal(&mut self, range: std::ops::Range<usize>, value: i64) {
        let slot = &mut self.0[range];
        let digits = slot.len() - 1;
        let value = if fits_octal(slot.len(), value) { value } else { 0 };
        let text = format!("{value:0digits$o}");
        slot[..digits].copy_from_slice(text.as_bytes());
        slot[digits] = 0;
    }

    /// Writes magic and checksum.
    pub(crate) fn seal_ustar(&mut self) {
        self.0[field::MAGIC].copy_from_slice(b"ustar\x0000");
        let (sum, _) = self.sums();
        let text = format!("{sum:06o}\0 ");
        self.0[field::CHECKSUM].copy_from_slice(text.as_bytes());
    }
}

/// Whether `value` can be written in an octal field of `width` bytes (one is the NUL).
pub(crate) fn fits_octal(width: usize, value: i64) -> bool {
    value >= 0 && (width > 21 || value < 1 << (3 * (width - 1)))
}

pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// Octal with blanks around, or base-256 (first bit set; the second one is the sign).
pub(crate) fn parse_number(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => parse_base256(bytes),
        _ => parse_octal(bytes),
    }
}

fn parse_base256(bytes: &[u8]) -> Option<i64> {
    let negative = bytes[0] & 0x40 != 0;
    let flip = if negative { 0xff } else { 0 };
    let mut value: u64 = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let mut byte = byte ^ flip;
        if i == 0 {
            byte &= 0x7f;
        }
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if negative { !value } else { value })
}

fn parse_octal(bytes: &[u8]) -> Option<i64> {
    let blank = |b: &u8| *b == b' ' || *b == 0;
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let text = &bytes[start..];
    let end = text.iter().position(blank).unwrap_or(text.len());
    let mut value: i64 = 0;
    for byte in &text[..end] {
        if !matches!(byte, b'0'..=b'7') {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_dialect() {
        let check = |bytes: &[u8], expect: Option<i64>| assert_eq!(parse_number(bytes), expect, "{bytes:?}");
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"77777777777\0", Some(0o77_777_777_777));
        check(b"7777777777777777777777777", None);
        check(b"12x\0", None);
        check(b"-1\0", None);
        check(b"\x80\0\0\0\0\0\0\x01\0\0\0\0", Some(1 << 32));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1));
        check(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None);
    }

    #[test]
    fn a_sealed_block_verifies() {
        let mut block = Block::zeroed();
        block.set_text(field::NAME, b"a");
        block.set_octal(field::SIZE, 5);
        block.seal_ustar();
        block.verify().unwrap();
        assert_eq!(block.count("size", field::SIZE).unwrap(), 5);
        block.0[0] = b'b';
        assert!(block.verify().is_err());
    }
}
