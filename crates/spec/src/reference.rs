//! Image references: `[registry[:port]/]path[:tag][@digest]`, with Docker's short ("familiar") and full forms.
//!
//! ```text
//! reference  = [domain "/"] path [":" tag] ["@" digest]
//! domain     = host [":" port]           host = name, IPv4, or "[" IPv6 "]"
//! path       = component {"/" component} component = [a-z0-9]+ ((". " | "_" | "__" | "-"+) [a-z0-9]+)*
//! tag        = [A-Za-z0-9_] [A-Za-z0-9_.-]{0,127}
//! ```
//! The first component is a domain when it has a `.` or `:`, is `localhost`, or has an upper-case letter.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    digest::{Digest, DigestError},
    id::is_full_id,
};

/// The registry that short names mean unless the daemon is told otherwise.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag that a name without tag or digest means.
pub const DEFAULT_TAG: &str = "latest";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

/// A normalised reference: the domain is always there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no reference. The sentences are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The path has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// The whole text is an image identifier.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    HexName(String),
    /// The path is longer than 255 bytes.
    #[error("repository name must not be more than {MAX_PATH} characters")]
    TooLong,
    /// The part after `@` is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// Parses what a user typed; short names mean [`DEFAULT_DOMAIN`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_in(text, DEFAULT_DOMAIN)
    }

    /// Parses what a user typed; short names mean the registry `default_domain`.
    pub fn parse_in(text: &str, default_domain: &str) -> Result<Self, ReferenceError> {
        if is_full_id(text) {
            return Err(ReferenceError::HexName(text.into()));
        }
        let (domain, rest) = split_domain(text, default_domain);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let path = match domain {
            DEFAULT_DOMAIN if !path.contains('/') => format!("{OFFICIAL}{path}"),
            _ => path.to_owned(),
        };
        if path.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(ReferenceError::UpperCase(path));
        }
        let tag_is_good = tag.is_none_or(is_tag);
        if !is_domain(domain) || !path.split('/').all(is_component) || !tag_is_good {
            return Err(ReferenceError::Format);
        }
        if path.len() > MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { domain: domain.to_owned(), path, tag: tag.map(str::to_owned), digest })
    }

    /// The registry: `docker.io`, `registry.example.net:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository inside the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, when one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `true` when there is neither tag nor digest.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// `busybox`: the shortest name that means the same.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// `busybox:1.36@sha256:…`: as short as possible, with tag and digest when there.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    /// The same reference, with `:latest` when it has neither tag nor digest.
    pub fn with_default_tag(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some(DEFAULT_TAG.into());
        }
        self
    }

    /// The repository alone.
    pub fn without_tag_and_digest(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// The repository with this tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format);
        }
        Ok(Self { tag: Some(tag.into()), digest: None, ..self.clone() })
    }

    /// The repository with this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn suffixed(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(&digest.to_string());
        }
        name
    }
}

/// What a user may mean by one word: a full identifier, or a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReference {
    /// `sha256:…` or 64 hexadecimal digits.
    Id(Digest),
    /// A name.
    Named(Reference),
}

impl AnyReference {
    /// Parses an identifier or a reference.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Ok(id) = Digest::from_sha256_hex(text) {
            return Ok(Self::Id(id));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        Reference::parse(text).map(Self::Named)
    }
}

/// `true` when `text` may stand after the colon of a reference.
pub fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|c| word(c) || matches!(c, b'.' | b'-'))
}

fn split_domain<'a>(text: &'a str, default_domain: &'a str) -> (&'a str, &'a str) {
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (default_domain, text),
    };
    if domain == LEGACY_DOMAIN { (DEFAULT_DOMAIN, rest) } else { (domain, rest) }
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|c| c.is_ascii_uppercase())
}

fn parse_digest(text: &str) -> Result<Digest, ReferenceError> {
    let (algorithm, hex) = text.split_once(':').ok_or(ReferenceError::Format)?;
    let good = !algorithm.is_empty()
        && algorithm.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_+.".contains(&c))
        && hex.len() >= 32
        && hex.bytes().all(|c| c.is_ascii_hexdigit());
    if !good {
        return Err(ReferenceError::Format);
    }
    Ok(text.parse()?)
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            let hex = !address.is_empty() && address.bytes().all(|c| c.is_ascii_hexdigit() || c == b':');
            if !hex {
                return false;
            }
            (None, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("!") }))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    let port_is_good = port.is_none_or(|p| !p.is_empty() && p.bytes().all(|c| c.is_ascii_digit()));
    port_is_good && host.is_none_or(|h| h.split('.').all(is_domain_component))
}

fn is_domain_component(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alnum = |c: &u8| matches!(c, b'a'..=b'z' | b'0'..=b'9');
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(first) || !alnum(last) {
        return false;
    }
    // what stands between runs of letters must be one of the separators
    bytes
        .split(alnum)
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|c| *c == b'-'))
}

impl fmt::Display for Reference {
    /// The full form: `docker.io/library/busybox:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_img_06_names_are_normalised() {
        let check = |text: &str, full: &str, familiar: &str| {
            let r = Reference::parse(text).unwrap();
            assert_eq!((r.to_string().as_str(), r.familiar().as_str()), (full, familiar), "{text}");
            assert_eq!(Reference::parse(&r.to_string()).unwrap(), r, "{text}");
        };
        check("busybox", "docker.io/library/busybox", "busybox");
        check("docker.io/busybox:1", "docker.io/library/busybox:1", "busybox:1");
        check("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox");
        check("me/app:v1", "docker.io/me/app:v1", "me/app:v1");
        check("library/a/b", "docker.io/library/a/b", "library/a/b");
        check("localhost/app", "localhost/app", "localhost/app");
        check("localhost:5000/app:1.9.1", "localhost:5000/app:1.9.1", "localhost:5000/app:1.9.1");
        check(
            "registry.example.net:5000/a/b/c:v1",
            "registry.example.net:5000/a/b/c:v1",
            "registry.example.net:5000/a/b/c:v1",
        );
        check("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app");
        check("a__b/c-----d.e", "docker.io/a__b/c-----d.e", "a__b/c-----d.e");
        check("LOCALHOST/app", "LOCALHOST/app", "LOCALHOST/app");
        let digest = Digest::of(b"x");
        check(&format!("app:1@{digest}"), &format!("docker.io/library/app:1@{digest}"), &format!("app:1@{digest}"));
        assert_eq!(Reference::parse("busybox").unwrap().with_default_tag().familiar(), "busybox:latest");
        assert_eq!(Reference::parse_in("app", "r.example").unwrap().to_string(), "r.example/app");
    }

    #[test]
    fn r_img_06_bad_names_are_refused() {
        let check = |text: &str, message: &str| {
            assert_eq!(Reference::parse(text).unwrap_err().to_string(), message, "{text}");
        };
        for text in [
            "",
            ":",
            "a:",
            "-a",
            "a-",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a._b",
            "a___b",
            "a b",
            "a:b:c",
            "a@",
            "a@sha256:x",
            "../a",
            "a:-x",
            "é",
            "a.b:x/c",
            "[::1/a",
            "[::1]x/a",
            "a\0b",
            "x.y/.a",
            &format!("a:{}", "t".repeat(129)),
        ] {
            check(text, "invalid reference format");
        }
        check("Foo", "invalid reference format: repository name (library/Foo) must be lowercase");
        check("x/Foo:1", "invalid reference format: repository name (x/Foo) must be lowercase");
        check(&"a".repeat(250), "repository name must not be more than 255 characters");
        let hex = "0a".repeat(32);
        check(&hex, &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings"));
        check(&format!("a@md5:{}", "0".repeat(32)), "unsupported digest algorithm");
        check(&format!("a@sha256:{}", "0".repeat(40)), "invalid checksum digest length");
    }

    #[test]
    fn identifiers_and_names() {
        let id = Digest::of(b"x");
        assert_eq!(AnyReference::parse(&id.hex()), Ok(AnyReference::Id(id)));
        assert_eq!(AnyReference::parse(&id.to_string()), Ok(AnyReference::Id(id)));
        assert!(matches!(AnyReference::parse("abc"), Ok(AnyReference::Named(_))));
    }
}
