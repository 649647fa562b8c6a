//! Docker's notation for the keys that detach: `ctrl-p,ctrl-q`, single characters, comma between.

use crate::{Error, Result};

/// The bytes that a terminal sends for these keys. Empty means the default.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|key| one(key).ok_or_else(|| invalid(text, key))).collect()
}

fn invalid(text: &str, key: &str) -> Error {
    Error::InvalidParameter(format!("Invalid detach keys ({text}) provided: Unknown character: '{key}'"))
}

fn one(key: &str) -> Option<u8> {
    if let &[byte] = key.as_bytes() {
        return Some(byte);
    }
    let control = key.to_ascii_lowercase();
    match control.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        b"@" => Some(0),
        b"[" => Some(27),
        b"\\" => Some(28),
        b"]" => Some(29),
        b"^" => Some(30),
        b"_" => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        let check = |text: &str, expect: Option<&[u8]>| assert_eq!(parse(text).ok().as_deref(), expect, "{text}");
        check("", Some(&[]));
        check("ctrl-p,ctrl-q", Some(&[16, 17]));
        check("a,b,ctrl-@", Some(b"ab\0"));
        check("ctrl-1", None);
        check("ab", None);
        check("a,,b", None);
    }
}
