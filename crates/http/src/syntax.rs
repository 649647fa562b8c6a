//! Where and how a JSON text is broken, in the words of Go's decoder; runs only over texts that were refused already.

/// Deepest nesting that Go accepts.
const MAX_DEPTH: usize = 10_000;

/// How a text is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// There is nothing in it.
    Empty,
    /// A second value follows.
    Trailing,
    /// Go's sentence.
    Wrong(String),
}

/// Checks a whole text.
pub(crate) fn check(text: &[u8]) -> Result<(), Error> {
    let mut scan = Scan { text, at: 0 };
    scan.space();
    if scan.peek().is_none() {
        return Err(Error::Empty);
    }
    scan.value().map_err(Error::Wrong)?;
    scan.space();
    if scan.peek().is_some() { Err(Error::Trailing) } else { Ok(()) }
}

/// The text with every escaped surrogate that lacks its partner replaced by U+FFFD; `None` when there is none.
pub(crate) fn without_lone_surrogates(text: &str) -> Option<String> {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str(&text[copied..at]);
                mended.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            // an escaped backslash must not be taken for the start of the next escape
            _ => 2,
        };
    }
    (copied > 0).then(|| mended + &text[copied..])
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

type Step<T = ()> = Result<T, String>;

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Step<u8> {
        let byte = self.peek().ok_or("unexpected EOF")?;
        self.at += 1;
        Ok(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// A value with everything in it; iterative, so that depth costs no stack.
    fn value(&mut self) -> Step {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.space();
            let first = self.next()?;
            let scalar = match first {
                b'{' | b'[' => {
                    open.push(first);
                    if open.len() > MAX_DEPTH {
                        return Err("exceeded max depth".into());
                    }
                    self.space();
                    let close = if first == b'{' { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                        open.pop();
                        true
                    } else {
                        if first == b'{' {
                            self.key()?;
                        }
                        false
                    }
                }
                b'"' => self.string().map(|()| true)?,
                b't' => self.literal("true").map(|()| true)?,
                b'f' => self.literal("false").map(|()| true)?,
                b'n' => self.literal("null").map(|()| true)?,
                b'-' | b'0'..=b'9' => self.number(first).map(|()| true)?,
                other => return Err(invalid(other, "looking for beginning of value")),
            };
            if scalar && self.after(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here. `true`: the outermost value has ended.
    fn after(&mut self, open: &mut Vec<u8>) -> Step<bool> {
        while let Some(container) = open.last().copied() {
            self.space();
            match (self.next()?, container) {
                (b',', b'{') => {
                    self.space();
                    return self.key().map(|()| false);
                }
                (b',', _) => return Ok(false),
                (b'}', b'{') | (b']', b'[') => {
                    open.pop();
                }
                (other, b'{') => return Err(invalid(other, "after object key:value pair")),
                (other, _) => return Err(invalid(other, "after array element")),
            }
        }
        Ok(true)
    }

    fn key(&mut self) -> Step {
        match self.next()? {
            b'"' => self.string()?,
            other => return Err(invalid(other, "looking for beginning of object key string")),
        }
        self.space();
        match self.next()? {
            b':' => Ok(()),
            other => Err(invalid(other, "after object key")),
        }
    }

    fn string(&mut self) -> Step {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next()?;
                            if !digit.is_ascii_hexdigit() {
                                return Err(invalid(digit, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    other => return Err(invalid(other, "in string escape code")),
                },
                control @ 0..0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Step {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting {})", quote(expected));
                return Err(invalid(byte, &context));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Step {
        let first = if first == b'-' { self.digit("in numeric literal")? } else { first };
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, context: &str) -> Step<u8> {
        let byte = self.next()?;
        if byte.is_ascii_digit() { Ok(byte) } else { Err(invalid(byte, context)) }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

fn invalid(byte: u8, context: &str) -> String {
    format!("invalid character {} {context}", quote(byte))
}

/// A byte as Go quotes it.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'\\' => r"'\\'".into(),
        b'\n' => r"'\n'".into(),
        b'\r' => r"'\r'".into(),
        b'\t' => r"'\t'".into(),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_gos() {
        let check_one = |text: &str, expect: &str| {
            assert_eq!(check(text.as_bytes()), Err(Error::Wrong(expect.into())), "{text}");
        };
        check_one(r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string");
        check_one(r#"{"a" 1}"#, "invalid character '1' after object key");
        check_one(r#"{"a":"a" "b"}"#, "invalid character '\"' after object key:value pair");
        check_one("[1 2]", "invalid character '2' after array element");
        check_one(r#"{"x":tru}"#, "invalid character '}' in literal true (expecting 'e')");
        check_one("\"a\nb\"", r"invalid character '\n' in string literal");
        check_one(r#""\x""#, "invalid character 'x' in string escape code");
        check_one(r#""\u00g0""#, r"invalid character 'g' in \u hexadecimal character escape");
        check_one("-x", "invalid character 'x' in numeric literal");
        check_one("1.x", "invalid character 'x' after decimal point in numeric literal");
        check_one("1ex", "invalid character 'x' in exponent of numeric literal");
        check_one(r#"{"Imag"#, "unexpected EOF");
        check_one("[", "unexpected EOF");
        check_one(&"[".repeat(20_000), "exceeded max depth");
        assert_eq!(check(b" "), Err(Error::Empty));
        assert_eq!(check(b"{} {}"), Err(Error::Trailing));
    }

    #[test]
    fn surrogates_come_in_pairs() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(without_lone_surrogates(text).as_deref(), expect, "{text}");
        };
        check(r#""\ud83d\ude00""#, None);
        check(r#""\\ud800""#, None);
        check(r#""a\ud800b""#, Some(r#""a\ufffdb""#));
        check(r#""\ud800\ud83d\ude00\udc00""#, Some(r#""\ufffd\ud83d\ude00\ufffd""#));
        check("\"é\\\\", None);
    }

    #[test]
    fn good_texts_pass() {
        for text in ["{}", "[]", r#"{"a":[1,-2.5e+3,{"b":null}],"c":{"d":"\u00e9"}}"#, " true ", "\"x\"", "[[],[{}]]"] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }
}
