//! Compression of streams, told by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz format.
    Xz,
    /// The .bz2 format.
    Bzip2,
}

impl Compression {
    /// Tells the compression by the first bytes of a stream.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // a skippable frame, as some writers put first
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Xz,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            _ => Self::None,
        }
    }
}

/// A stream with its compression taken off. An end in the middle is an error, never a short stream.
pub enum Decoder<R: BufRead> {
    /// As it came.
    Plain(R),
    /// From gzip.
    Gzip(Box<BufReader<MultiGzDecoder<R>>>),
    /// From zstd.
    Zstd(Box<BufReader<zstd::Decoder<'static, R>>>),
    /// From xz.
    Xz(Box<BufReader<lzma_rust2::XzReader<R>>>),
    /// From bzip2.
    Bzip2(Box<BufReader<MultiBzDecoder<R>>>),
}

/// The window of a zstd frame may be this large (2^27): what the tools call the default limit.
const ZSTD_WINDOW_LOG: u32 = 27;
/// Large pieces: each becomes one write to a file and one message to a hasher.
const PIECE: usize = 128 << 10;

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes of `input` and takes off what compression is there.
    pub fn new(mut input: R) -> Result<Self> {
        // the buffers of this program are larger than the magic numbers; only a stream shorter than one can give less
        let start = input.fill_buf().map_err(Error::stream("read archive"))?;
        Self::with(Compression::detect(start), input)
    }

    /// Takes off the given compression.
    pub fn with(compression: Compression, input: R) -> Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(input),
            Compression::Gzip => Self::Gzip(Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(input)))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input).map_err(Error::stream("zstd"))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::stream("zstd"))?;
                Self::Zstd(Box::new(BufReader::with_capacity(PIECE, decoder)))
            }
            Compression::Xz => {
                let decoder = lzma_rust2::XzReader::new(input, true);
                Self::Xz(Box::new(BufReader::with_capacity(PIECE, decoder)))
            }
            Compression::Bzip2 => Self::Bzip2(Box::new(BufReader::with_capacity(PIECE, MultiBzDecoder::new(input)))),
        })
    }

    fn inner(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(r) => r,
            Self::Gzip(r) => r,
            Self::Zstd(r) => r,
            Self::Xz(r) => r,
            Self::Bzip2(r) => r,
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().read(buffer)
    }
}

impl<R: BufRead> BufRead for Decoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner().fill_buf()?;
        // asked twice because the borrow of the first answer would outlive the match
        match self {
            Self::Plain(r) => r.fill_buf(),
            Self::Gzip(r) => r.fill_buf(),
            Self::Zstd(r) => r.fill_buf(),
            Self::Xz(r) => r.fill_buf(),
            Self::Bzip2(r) => r.fill_buf(),
        }
    }

    fn consume(&mut self, n: usize) {
        self.inner().consume(n);
    }
}

impl<R: BufRead> std::fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Decoder::Plain",
            Self::Gzip(_) => "Decoder::Gzip",
            Self::Zstd(_) => "Decoder::Zstd",
            Self::Xz(_) => "Decoder::Xz",
            Self::Bzip2(_) => "Decoder::Bzip2",
        })
    }
}
