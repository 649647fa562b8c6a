//! One block of a gzip stream: deflated where that makes it smaller, stored where it would not.
//!
//! ```text
//!   block:  text…text│noise…noise│text…text
//!           deflate  │ stored    │ deflate     each part ends at a byte (RFC 1951, section 3.2.4)
//! ```
//! What is compressed already (archives, pictures, keys) costs the deflate algorithm most and gains nothing. It shows in its bytes:
//! all values are equally frequent. So the frequencies of a sample decide, before any time is spent. The decision depends on nothing
//! but the bytes: the same layer always gives the same stream.

use std::io;

use flate2::{Compress, FlushCompress};

/// The decision is made for this many bytes.
const CELL: usize = 8 << 10;
/// Of every [`STRIDE`] bytes of a cell, the first [`GROUP`] are looked at. Groups rather than single bytes, because the columns of a
/// table may each look like noise.
const STRIDE: usize = 128;
const GROUP: usize = 16;
/// Between noise and something else, the border is looked for in steps of so many bytes, then of so many. A little noise left in
/// front of a text would cost it its small code.
const STEPS: [usize; 2] = [512, 64];
/// The deflate algorithm writes to a piece of memory of this size first: a vector's unused part would be cleared for each call.
const SCRATCH: usize = 64 << 10;
/// Longest stored part (RFC 1951, section 3.2.4: its length has 16 bits).
const STORED: usize = 0xffff;

/// Compresses block after block, each by itself.
pub(crate) struct Deflater {
    compress: Compress,
    scratch: Box<[u8]>,
}

impl Deflater {
    pub(crate) fn new(level: flate2::Compression) -> Self {
        Self { compress: Compress::new(level, false), scratch: vec![0; SCRATCH].into() }
    }

    /// Writes `block` to `out` so that another may follow.
    pub(crate) fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        // noise grows by five bytes per stored part; a compressed part ends with a few more
        out.reserve(block.len() + block.len() / 1000 + 64);
        let mut done = 0;
        while done < block.len() {
            let noise = first_noise(&block[done..]);
            if noise.start > 0 {
                self.deflate(&block[done..done + noise.start], out)?;
            }
            store(&block[done + noise.start..done + noise.end], out);
            done += noise.end;
        }
        Ok(())
    }

    fn deflate(&mut self, part: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.compress.reset();
        loop {
            let at = usize::try_from(self.compress.total_in()).unwrap_or(usize::MAX);
            let before = self.compress.total_out();
            let scratch = &mut self.scratch;
            self.compress.compress(&part[at..], scratch, FlushCompress::Sync).map_err(io::Error::other)?;
            let n = usize::try_from(self.compress.total_out() - before).unwrap_or(SCRATCH);
            out.extend_from_slice(&scratch[..n]);
            // room was left: everything is out (zlib's manual, deflate)
            if n < SCRATCH {
                return Ok(());
            }
        }
    }
}

fn store(noise: &[u8], out: &mut Vec<u8>) {
    for part in noise.chunks(STORED) {
        // never longer than 16 bits
        let length = part.len() as u16;
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(part);
    }
}

/// The first stretch of noise; empty and at the end when there is none.
fn first_noise(bytes: &[u8]) -> std::ops::Range<usize> {
    let mut cells = bytes.chunks_exact(CELL).map(|cell| is_noise(cell.chunks_exact(STRIDE).map(|part| &part[..GROUP])));
    let Some(first) = cells.position(|noise| noise) else { return bytes.len()..bytes.len() };
    let more = cells.take_while(|noise| *noise).count();
    let (mut start, mut end) = (first * CELL, (first + 1 + more) * CELL);
    let noise = |at: usize, step| bytes.get(at..at + step).is_some_and(|part| is_noise(std::iter::once(part)));
    for step in STEPS {
        while start >= step && noise(start - step, step) {
            start -= step;
        }
        while noise(end, step) {
            end += step;
        }
    }
    start..end
}

/// Whether all byte values are about equally frequent. For noise of `n` bytes the sum of the squared frequencies is expected to be
/// n + n (n - 1) / 256; text has three times as much, machine code twice. A quarter more still counts as noise: more than three
/// deviations off for the smallest sample, and what such bytes can be compressed by is a few percent.
fn is_noise<'a>(groups: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut count = [0u16; 256];
    let mut n = 0u64;
    for group in groups {
        group.iter().for_each(|byte| count[usize::from(*byte)] += 1);
        n += group.len() as u64;
    }
    let squares: u64 = count.iter().map(|c| u64::from(*c) * u64::from(*c)).sum();
    squares * 4 < (n + n * n.saturating_sub(1) / 256) * 5
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn check(block: &[u8], longest: usize) {
        let mut out = Vec::new();
        Deflater::new(flate2::Compression::fast()).block(block, &mut out).unwrap();
        assert!(out.len() <= longest, "{} became {}, not {longest}", block.len(), out.len());
        out.extend_from_slice(&[3, 0]);
        let mut back = Vec::new();
        flate2::read::DeflateDecoder::new(&out[..]).read_to_end(&mut back).unwrap();
        assert!(back == block);
    }

    #[test]
    fn noise_is_stored_and_the_rest_is_compressed() {
        let (text, noise) = (b"all work and no play ".repeat(4000), noise(80_000));
        check(&[], 0);
        check(&noise, 80_000 + 2 * 5 + 200);
        check(&text, 1000);
        // the borders are found, wherever they are
        check(&[&text[..], &noise, &text].concat(), 83_000);
        check(&[&noise[..5_000], &text, &noise, &text[..100]].concat(), 88_000);
        // bytes that are as frequent as in noise, but not in a sample's size
        check(&(0..=255).collect::<Vec<u8>>().repeat(2), 1100);
    }

    #[test]
    fn what_compresses_is_no_noise() {
        let is = |bytes: &[u8]| first_noise(bytes).start < bytes.len();
        assert!(is(&noise(CELL)));
        // a table of numbers whose low bytes are noise
        let table: Vec<u8> = noise(2 * CELL).chunks_exact(4).flat_map(|n| [n[0], n[1], n[2], 0]).collect();
        assert!(!is(&table));
        // base64 and hexadecimal forms of noise
        assert!(!is(&noise(2 * CELL).iter().map(|n| n & 63).collect::<Vec<u8>>()));
        assert!(!is(&noise(2 * CELL).iter().map(|n| n & 15).collect::<Vec<u8>>()));
        assert!(!is(&vec![0; 2 * CELL]));
    }
}
