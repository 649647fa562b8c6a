//! Docker's `json-file` line.
//!
//! ```text
//! {"log":"<text>\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-20T21:17:00.00429029Z"}\n
//!          └ no \n: the line goes on in the next entry   └ left out when empty
//! ```

use crate::line::{Line, Moment, Text};
use crate::time::Clock;
use crate::{Stream, Timestamp, escape};

/// Writes lines.
#[derive(Debug)]
pub(crate) struct Encoder {
    clock: Clock,
    /// From the end of the text to the moment, per stream.
    middle: [Vec<u8>; 2],
}

impl Encoder {
    pub(crate) fn new(attrs: &[(String, String)]) -> Self {
        let attrs = attrs_json(attrs);
        let middle = |stream: &str| {
            let mut middle = format!("\",\"stream\":\"{stream}\"").into_bytes();
            if !attrs.is_empty() {
                middle.extend_from_slice(b",\"attrs\":");
                middle.extend_from_slice(&attrs);
            }
            middle.extend_from_slice(b",\"time\":\"");
            middle
        };
        Self { clock: Clock::new(), middle: [middle("stdout"), middle("stderr")] }
    }

    /// Appends one line.
    pub(crate) fn push(&mut self, stream: Stream, line: &[u8], time: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"log\":\"");
        escape::push(line, out);
        out.extend_from_slice(&self.middle[stream as usize]);
        self.clock.push_nano(time, out);
        out.extend_from_slice(b"\"}\n");
    }
}

/// The `attrs` object, keys sorted as Go sorts a map; empty when there are none.
fn attrs_json(attrs: &[(String, String)]) -> Vec<u8> {
    let mut sorted: Vec<_> = attrs.iter().collect();
    sorted.sort();
    sorted.dedup_by(|later, earlier| later.0 == earlier.0);
    let mut out = Vec::new();
    for (key, value) in sorted {
        out.extend_from_slice(if out.is_empty() { b"{\"" } else { b",\"" });
        escape::push(key.as_bytes(), &mut out);
        out.extend_from_slice(b"\":\"");
        escape::push(value.as_bytes(), &mut out);
        out.push(b'"');
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    out
}

/// Takes a line (without its newline) apart; `None` when it is none, a torn one for instance.
pub(crate) fn parse(line: &[u8]) -> Option<Line<'_>> {
    parse_usual(line).or_else(|| parse_any(line))
}

/// The form that every writer produces: fixed order, no white space.
fn parse_usual(line: &[u8]) -> Option<Line<'_>> {
    let rest = line.strip_prefix(b"{\"log\":\"")?;
    let end = string_end(rest)?;
    let (log, rest) = (&rest[..end], rest[end..].strip_prefix(b"\",\"stream\":\"std")?);
    let (stream, rest) = match rest.split_at_checked(4)? {
        (b"out\"", rest) => (Stream::Stdout, rest),
        (b"err\"", rest) => (Stream::Stderr, rest),
        _ => return None,
    };
    let (attrs, rest) = match rest.strip_prefix(b",\"attrs\":") {
        None => (None, rest),
        Some(rest) => {
            let end = value_end(rest)?;
            (Some(&rest[..end]), &rest[end..])
        }
    };
    let time = rest.strip_prefix(b",\"time\":\"")?.strip_suffix(b"\"}")?;
    Some(Line { text: Text::Escaped(log), stream, attrs, time: Moment::Text(time) })
}

/// Any JSON object with these members.
fn parse_any(line: &[u8]) -> Option<Line<'_>> {
    let mut rest = line.trim_ascii().strip_prefix(b"{")?.trim_ascii_start();
    let (mut log, mut stream, mut attrs, mut time) = (&b""[..], Stream::Stdout, None, None);
    while let Some(key) = rest.strip_prefix(b"\"") {
        let end = string_end(key)?;
        let after = key[end + 1..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let length = value_end(after)?;
        let value = &after[..length];
        let text = || value.strip_prefix(b"\"")?.strip_suffix(b"\"");
        match &key[..end] {
            b"log" => log = text()?,
            b"stream" => stream = if text()? == b"stderr" { Stream::Stderr } else { Stream::Stdout },
            b"attrs" => attrs = Some(value),
            b"time" => time = Some(text()?),
            _ => {}
        }
        rest = after[length..].trim_ascii_start();
        match rest.strip_prefix(b",") {
            Some(more) => rest = more.trim_ascii_start(),
            None => {
                return (rest == b"}").then_some(Line {
                    text: Text::Escaped(log),
                    stream,
                    attrs,
                    time: Moment::Text(time?),
                });
            }
        }
    }
    None
}

/// Where the string that `text` is inside of ends: the offset of its closing quote.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &text[at..])?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
        if at > text.len() {
            return None;
        }
    }
}

/// Length of the JSON value that `text` begins with. Nesting is counted, not checked: brackets need only balance.
fn value_end(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => Some(string_end(&text[1..])? + 2),
        b'{' | b'[' => {
            let mut depth = 0usize;
            let mut at = 0;
            while let Some(byte) = text.get(at) {
                match byte {
                    b'"' => at += string_end(&text[at + 1..])? + 1,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            None
        }
        _ => text.iter().position(|byte| matches!(byte, b',' | b'}' | b']')),
    }
}

/// Key and value of every member of an `attrs` object, in the file's order. Values that are no strings are left out.
pub(crate) fn attrs(object: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut rest = object.trim_ascii().strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    while let Some((key, value, after)) = member(rest) {
        pairs.extend(
            unescaped(key).zip(value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).and_then(unescaped)),
        );
        rest = after;
    }
    pairs
}

/// First member of an object's inside: key and value as they stand, and what follows the comma.
fn member(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let key = text.strip_prefix(b"\"")?;
    let end = string_end(key)?;
    let after = key[end + 1..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let length = value_end(after)?;
    let rest = after[length..].trim_ascii_start();
    Some((&key[..end], &after[..length], rest.strip_prefix(b",").unwrap_or_default().trim_ascii_start()))
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    escape::unescape(text, &mut out).map(|()| out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(lines: &[(Stream, &str, i64)], attrs: &[(&str, &str)]) -> String {
        let attrs: Vec<_> = attrs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let mut encoder = Encoder::new(&attrs);
        let mut out = Vec::new();
        for (stream, line, time) in lines {
            encoder.push(*stream, line.as_bytes(), Timestamp::from_nanos(*time), &mut out);
        }
        String::from_utf8(out).expect("escaped text")
    }

    #[test]
    fn lines_as_docker_writes_them() {
        assert_eq!(
            encoded(&[(Stream::Stdout, "hi\n", 1_500_000_000), (Stream::Stderr, "part", 2_000_000_000)], &[]),
            "{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01.5Z\"}\n\
             {\"log\":\"part\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:02Z\"}\n"
        );
        assert_eq!(
            encoded(&[(Stream::Stderr, "err\n", 1_500_000_000)], &[("tag", "x"), ("a", "<1>")]),
            "{\"log\":\"err\\n\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"\\u003c1\\u003e\",\"tag\":\"x\"},\"time\":\"1970-01-01T00:00:01.5Z\"}\n"
        );
    }

    #[test]
    fn other_writers_and_torn_lines() {
        let line = br#" { "time" : "1970-01-01T00:00:01Z" , "x" : [1,{"y":"]"}], "n":5, "stream":"stderr", "log" : "a\"b\n" } "#;
        let mut text = Vec::new();
        let entry = parse(line).and_then(|line| line.entry(&mut text)).expect("an entry");
        assert_eq!((entry.stream, entry.line, entry.time.as_nanos()), (Stream::Stderr, &b"a\"b\n"[..], 1_000_000_000));
        let whole = encoded(&[(Stream::Stdout, "a\"\\b\n", 1)], &[("k", "v}")]);
        let whole = whole.trim_end().as_bytes();
        assert!(parse(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn attributes() {
        let pairs = attrs(br#"{"a":"1","tag":"x\n","n":5,"z":"{}"}"#);
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (&k[..], &v[..])).collect();
        assert_eq!(pairs, [(&b"a"[..], &b"1"[..]), (b"tag", b"x\n"), (b"z", b"{}")]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(line: Vec<u8>) {
            let mut text = Vec::new();
            let _ = parse(&line).and_then(|line| line.entry(&mut text).map(|entry| entry.time));
            let _ = attrs(&line);
            let mut wrapped = b"{\"log\":\"".to_vec();
            wrapped.extend_from_slice(&line);
            let _ = parse(&wrapped);
        }
    }
}
