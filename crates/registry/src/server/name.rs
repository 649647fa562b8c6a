//! Names in requests: repositories, tags, upload sessions. What passes here can be part of a path on disk.

use std::fmt;
use wharf_spec::digest::Digest;

/// Longest repository name (the specification's advice, and the stock registry's limit).
const MAX_REPOSITORY: usize = 255;

/// A repository's name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/…)*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Repository(String);

impl Repository {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= MAX_REPOSITORY && text.split('/').all(is_component);
        fits.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn is_component(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !word(*first) || !word(*last) {
        return false;
    }
    // what stands between two words: one dot, one or two underscores, any number of dashes
    bytes
        .split(|c| word(*c))
        .all(|between| matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|c| *c == b'-'))
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(String);

impl Tag {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        wharf_spec::reference::is_tag(text).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Tag(Tag),
    Digest(Digest),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(&tag.0),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// An upload session: a random UUID in the form that the stock registry uses for its folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UploadId(String);

impl UploadId {
    /// A new one that cannot be guessed.
    pub(crate) fn random() -> std::io::Result<Self> {
        let mut bytes = [0_u8; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
        }
        // RFC 9562, version 4
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = wharf_spec::digest::hex(&bytes);
        Ok(Self(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lengths = text.split('-').map(str::len);
        let fits = lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        for good in ["a", "library/busybox", "a/b/c/d", "a.b", "a__b", "a---b", "0/1_2", &"a".repeat(255)] {
            assert!(Repository::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", ".", "..", "a/../b", "_uploads", "a-", "ä",
            "a b",
        ] {
            assert!(Repository::parse(bad).is_none(), "{bad}");
        }
        assert!(Repository::parse(&"a".repeat(256)).is_none());
    }

    #[test]
    fn uploads() {
        let id = UploadId::random().expect("the kernel has random bytes");
        assert_eq!(UploadId::parse(id.as_str()), Some(id));
        for bad in ["", "..", "a-b-c-d-e", "../../../../etc/passwd", "00000000-0000-0000-0000-00000000000g"] {
            assert!(UploadId::parse(bad).is_none(), "{bad}");
        }
    }
}
