//! API versions and their negotiation by path.

use std::fmt;

use crate::failure::Failure;

/// A version such as 1.51.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

/// The newest version that is spoken, and the one of a request without a version in its path.
pub const MAXIMUM: ApiVersion = ApiVersion::new(1, 51);
/// The oldest.
pub const MINIMUM: ApiVersion = ApiVersion::new(1, 24);
/// From here on a framed stream has a content type of its own.
pub(crate) const MULTIPLEXED_TYPE_SINCE: ApiVersion = ApiVersion::new(1, 42);

impl ApiVersion {
    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> ApiVersion {
        ApiVersion { major, minor }
    }

    /// Reads the part of the path after `v`: digits and dots, as Docker's router matches it. `None`: no version at all.
    pub(crate) fn parse(text: &str) -> Option<ApiVersion> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        let mut parts = text.split('.').map(|part| part.parse().unwrap_or(if part.is_empty() { 0 } else { u16::MAX }));
        Some(ApiVersion { major: parts.next().unwrap_or(0), minor: parts.next().unwrap_or(0) })
    }

    /// Refuses what is too old or too new; `text` is what the client wrote.
    pub(crate) fn supported(self, text: &str) -> Result<ApiVersion, Failure> {
        if self < MINIMUM {
            // Docker says this one as plain text, because old clients do not read JSON
            return Err(Failure::text(format!(
                "client version {text} is too old. Minimum supported API version is {MINIMUM}, please upgrade your \
                 client to a newer version"
            )));
        }
        if self > MAXIMUM {
            return Err(Failure::bad(format!(
                "client version {text} is too new. Maximum supported API version is {MAXIMUM}"
            )));
        }
        Ok(self)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// `true` when the negotiated version is older than `1.minor`.
pub(crate) fn before(version: ApiVersion, minor: u16) -> bool {
    version < ApiVersion::new(1, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |text: &str, expect: Option<ApiVersion>| assert_eq!(ApiVersion::parse(text), expect, "{text}");
        check("1.51", Some(MAXIMUM));
        check("1.9", Some(ApiVersion::new(1, 9)));
        check("2", Some(ApiVersion::new(2, 0)));
        check("1.5x", None);
        check("", None);
        check("1.99999999", Some(ApiVersion::new(1, u16::MAX)));
        assert!(ApiVersion::new(1, 9) < ApiVersion::new(1, 24));
    }

    #[test]
    fn refusals_are_dockers_sentences() {
        let check = |text: &str, expect: &str| {
            let version = ApiVersion::parse(text).expect("a version");
            assert_eq!(version.supported(text).expect_err("out of range").message(), expect);
        };
        check(
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a \
             newer version",
        );
        check("2", "client version 2 is too new. Maximum supported API version is 1.51");
    }
}
