//! Docker's `json-file` line.
//!
//! ```text
//! {"log":"<text>\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-20T21:17:00.00429029Z"}\n
//!          └ no \n: the line goes on in the next entry   └ left out when empty
//! ```

use crate::time::Clock;
use crate::{Entry, Stream, Timestamp, escape};

/// Writes lines. The moments of its lines grow strictly, one nanosecond at least, so that a moment names a line: this is
/// how a follower finds its place again, and what `--since` counts on.
#[derive(Debug)]
pub(crate) struct Encoder {
    clock: Clock,
    /// From the end of the text to the moment, per stream.
    middle: [Vec<u8>; 2],
    last: Timestamp,
}

/// A clock that was set back by more than this is believed, by less it is smoothed over.
const SMOOTHED: i64 = 1_000_000_000;

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
        Self { clock: Clock::new(), middle: [middle("stdout"), middle("stderr")], last: Timestamp::default() }
    }

    /// Appends one line.
    pub(crate) fn push(&mut self, stream: Stream, line: &[u8], time: Timestamp, out: &mut Vec<u8>) {
        let behind = self.last.as_nanos() - time.as_nanos();
        let time = if (0..SMOOTHED).contains(&behind) { self.last.next() } else { time };
        self.last = time;
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

/// The pieces of a line as they stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Still escaped.
    pub(crate) log: &'a [u8],
    pub(crate) stream: Stream,
    pub(crate) attrs: Option<&'a [u8]>,
    /// Still text.
    time: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line (without its newline) apart; `None` when it is none, a torn one for instance.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        Self::parse_usual(line).or_else(|| Self::parse_any(line))
    }

    /// The form that every writer produces: fixed order, no white space.
    fn parse_usual(line: &'a [u8]) -> Option<Self> {
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
        Some(Self { log, stream, attrs, time })
    }

    /// Any JSON object with these members.
    fn parse_any(line: &'a [u8]) -> Option<Self> {
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
                None => return (rest == b"}").then_some(Self { log, stream, attrs, time: time? }),
            }
        }
        None
    }

    /// The moment as it stands in the file.
    pub(crate) fn time_text(&self) -> &'a [u8] {
        self.time
    }

    /// When it was read from the container.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        Timestamp::parse(self.time)
    }

    /// The whole entry; its bytes are put into `text`.
    pub(crate) fn entry<'b>(&self, text: &'b mut Vec<u8>) -> Option<Entry<'b>>
    where
        'a: 'b,
    {
        text.clear();
        escape::unescape(self.log, text)?;
        Some(Entry { stream: self.stream, time: self.time()?, line: text, attrs: self.attrs })
    }
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
    fn moments_grow() {
        let text = encoded(
            &[(Stream::Stdout, "", 5), (Stream::Stdout, "", 5), (Stream::Stdout, "", 4), (Stream::Stdout, "", 9)],
            &[],
        );
        let times: Vec<_> =
            text.lines().map(|line| Line::parse(line.as_bytes()).and_then(|line| line.time()).expect("line")).collect();
        assert_eq!(times.iter().map(|time| time.as_nanos()).collect::<Vec<_>>(), [5, 6, 7, 9]);
    }

    #[test]
    fn other_writers_and_torn_lines() {
        let line = br#" { "time" : "1970-01-01T00:00:01Z" , "x" : [1,{"y":"]"}], "n":5, "stream":"stderr", "log" : "a\"b\n" } "#;
        let mut text = Vec::new();
        let entry = Line::parse(line).and_then(|line| line.entry(&mut text)).expect("an entry");
        assert_eq!((entry.stream, entry.line, entry.time.as_nanos()), (Stream::Stderr, &b"a\"b\n"[..], 1_000_000_000));
        let whole = encoded(&[(Stream::Stdout, "a\"\\b\n", 1)], &[("k", "v}")]);
        let whole = whole.trim_end().as_bytes();
        assert!(Line::parse(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(Line::parse(&whole[..end]), None, "cut at {end}");
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
            let _ = Line::parse(&line).and_then(|line| line.entry(&mut text).map(|entry| entry.time));
            let _ = attrs(&line);
            let mut wrapped = b"{\"log\":\"".to_vec();
            wrapped.extend_from_slice(&line);
            let _ = Line::parse(&wrapped);
        }
    }
}
