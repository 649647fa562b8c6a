//! JSON string escaping as Go's encoder (and Docker's generated one) does it, byte for byte, and the way back.
//!
//! `\n`, `\r`, `\"`, `\\` are short; every other control character, `<`, `>`, `&`, U+2028 and U+2029 become `\u00xx`;
//! each byte that is not valid UTF-8 becomes `\ufffd`.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether a byte ends the run that can be copied as it is.
const fn special(byte: u8) -> bool {
    byte < 0x20 || byte >= 0x80 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

/// Appends `text` without the quotes around it.
pub(crate) fn push(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let Some(&byte) = rest.first() else { return };
        rest = if byte < 0x80 {
            push_ascii(byte, out);
            &rest[1..]
        } else {
            push_unicode(rest, out)
        };
    }
}

/// Length of the longest prefix without a special byte, looked for in pieces that the compiler turns into vectors.
fn plain_prefix(text: &[u8]) -> usize {
    const LANE: usize = 16;
    let mut at = 0;
    for piece in text.chunks_exact(LANE) {
        if piece.iter().fold(false, |found, &byte| found | special(byte)) {
            break;
        }
        at += LANE;
    }
    at + text[at..].iter().position(|&byte| special(byte)).unwrap_or(text.len() - at)
}

fn push_ascii(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
    }
}

/// Handles the run of non-ASCII bytes that `text` begins with; gives what follows it.
fn push_unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let end = text.iter().position(u8::is_ascii).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    for chunk in run.utf8_chunks() {
        let mut valid = chunk.valid();
        while let Some(at) = valid.find(['\u{2028}', '\u{2029}']) {
            let separator = valid.as_bytes()[at + 2];
            out.extend_from_slice(&valid.as_bytes()[..at]);
            out.extend_from_slice(if separator == 0xa8 { b"\\u2028" } else { b"\\u2029" });
            valid = &valid[at + 3..];
        }
        out.extend_from_slice(valid.as_bytes());
        // Go replaces byte by byte, Rust groups the bytes of one truncated character
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    rest
}

/// Appends the bytes that a JSON string stands for (`text` is what lies between its quotes). `None` when an escape is
/// malformed. A surrogate without its pair becomes U+FFFD, as in Go.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let code = *rest.get(at + 1)?;
        rest = &rest[at + 2..];
        match code {
            b'n' => out.push(b'\n'),
            b'"' | b'\\' | b'/' => out.push(code),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let (character, used) = unicode(rest)?;
                rest = &rest[used..];
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    out.extend_from_slice(rest);
    Some(())
}

/// The character of a `\u` escape and how many bytes after the `u` it took.
fn unicode(rest: &[u8]) -> Option<(char, usize)> {
    let first = hex4(rest)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 4));
    }
    if (0xd800..0xdc00).contains(&first)
        && rest.get(4..6) == Some(b"\\u")
        && let Some(second) = hex4(&rest[6..])
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(code)?, 10));
    }
    Some((char::REPLACEMENT_CHARACTER, 4))
}

fn hex4(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expect: &str) {
        let mut out = Vec::new();
        push(text, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect, "{text:?}");
    }

    /// What a Docker 28.5 wrote for these bytes.
    #[test]
    fn as_docker_writes_it() {
        check(
            b"a\tb<c>&\"q\\\x01\r\x08\x0c\x0b\x1b \xe2\x80\xa8 \xff\xc3 \xf0\x9f\x98\x80 \xed\xa0\x80\n",
            "a\\u0009b\\u003cc\\u003e\\u0026\\\"q\\\\\\u0001\\r\\u0008\\u000c\\u000b\\u001b \\u2028 \\ufffd\\ufffd 😀 \\ufffd\\ufffd\\ufffd\\n",
        );
    }

    #[test]
    fn truncated_characters_and_delete() {
        check(b"\x7f", "\x7f");
        check(b"\xf0\x9f\x98", "\\ufffd\\ufffd\\ufffd");
        check(b"\xe2\x80\xa9\xe2\x80", "\\u2029\\ufffd\\ufffd");
        check("0123456789abcdef0123456789é<".as_bytes(), "0123456789abcdef0123456789é\\u003c");
    }

    #[test]
    fn surrogates() {
        let mut out = Vec::new();
        assert_eq!(unescape(br"\ud83d\ude00 \ud83d x \u0041\/", &mut out), Some(()));
        assert_eq!(String::from_utf8_lossy(&out), "😀 \u{fffd} x A/");
        assert_eq!(unescape(br"\x", &mut out), None);
        assert_eq!(unescape(br"\u12", &mut out), None);
        assert_eq!(unescape(br"\", &mut out), None);
    }

    proptest::proptest! {
        #[test]
        fn comes_back(text: String) {
            let (mut escaped, mut plain) = (Vec::new(), Vec::new());
            push(text.as_bytes(), &mut escaped);
            proptest::prop_assert!(escaped.iter().all(|byte| *byte >= 0x20));
            unescape(&escaped, &mut plain).expect("our own escapes");
            proptest::prop_assert_eq!(plain, text.into_bytes());
        }

        #[test]
        fn any_bytes_become_valid_text(bytes: Vec<u8>) {
            let mut escaped = Vec::new();
            push(&bytes, &mut escaped);
            proptest::prop_assert!(std::str::from_utf8(&escaped).is_ok());
        }
    }
}
