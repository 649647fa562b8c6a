//! Content digests: `algorithm:hex` as in the OCI image specification, "Digests".

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// The digest of a blob. Two digests are equal when algorithm and bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// `sha256:…`, what every tool writes.
    Sha256([u8; 32]),
    /// `sha512:…`, allowed by the specification and verified when met.
    Sha512([u8; 64]),
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:hex` form.
    #[error("invalid checksum digest format")]
    Format,
    /// The part after the colon has the wrong length for the algorithm.
    #[error("invalid checksum digest length")]
    Length,
    /// The algorithm is not one of those registered by the specification.
    #[error("unsupported digest algorithm")]
    Algorithm,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of `bytes` with the algorithm that `self` has.
    pub fn same_algorithm(&self, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::like(self);
        hasher.update(bytes);
        hasher.finish()
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(b) => b,
            Self::Sha512(b) => b,
        }
    }

    /// The lower-case hexadecimal part without the algorithm.
    pub fn hex(&self) -> String {
        hex(self.bytes())
    }

    /// The first twelve hexadecimal digits, as lists show them.
    pub fn short(&self) -> String {
        hex(&self.bytes()[..6])
    }

    /// Parses a bare 64-digit hexadecimal text as a SHA-256 digest.
    pub fn from_sha256_hex(text: &str) -> Result<Self, DigestError> {
        let mut out = [0; 32];
        unhex(text, &mut out)?;
        Ok(Self::Sha256(out))
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        match algorithm {
            "sha256" => Self::from_sha256_hex(hex),
            "sha512" => {
                let mut out = [0; 64];
                unhex(hex, &mut out)?;
                Ok(Self::Sha512(out))
            }
            "" => Err(DigestError::Format),
            _ => Err(DigestError::Algorithm),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A digest being computed over a stream.
#[derive(Clone)]
pub enum Hasher {
    /// Computes SHA-256.
    Sha256(sha2::Sha256),
    /// Computes SHA-512.
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// A SHA-256 hasher.
    pub fn sha256() -> Self {
        Self::Sha256(sha2::Sha256::new())
    }

    /// A hasher of the algorithm that `digest` has: to verify against it.
    pub fn like(digest: &Digest) -> Self {
        match digest {
            Digest::Sha256(_) => Self::sha256(),
            Digest::Sha512(_) => Self::Sha512(Box::new(sha2::Sha512::new())),
        }
    }

    /// Adds the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(h) => h.update(bytes),
            Self::Sha512(h) => h.update(bytes),
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(h) => Digest::Sha256(h.finalize().into()),
            Self::Sha512(h) => Digest::Sha512(h.finalize().into()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Lower-case hexadecimal text of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    out
}

/// Parses lower-case hexadecimal `text` into exactly `out.len()` bytes.
pub(crate) fn unhex(text: &str, out: &mut [u8]) -> Result<(), DigestError> {
    let text = text.as_bytes();
    if text.len() != out.len() * 2 {
        return Err(DigestError::Length);
    }
    let value = |c: u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(DigestError::Format),
    };
    for (pair, slot) in text.chunks_exact(2).zip(out) {
        *slot = value(pair[0])? << 4 | value(pair[1])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digest_of_nothing() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn bad_digests() {
        let check = |text: &str, expect| assert_eq!(text.parse::<Digest>(), Err(expect), "{text}");
        check("", DigestError::Format);
        check("sha256", DigestError::Format);
        check("sha256:", DigestError::Length);
        check("sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", DigestError::Format);
        check("sha256:../../etc/passwd", DigestError::Length);
        check("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::Algorithm);
    }

    #[test]
    fn sha512_round_trip() {
        let d = Digest::Sha512([7; 64]);
        assert_eq!(d.to_string().parse(), Ok(d));
        assert_eq!(serde_json::from_str::<Digest>(&serde_json::to_string(&d).unwrap()).unwrap(), d);
    }
}
