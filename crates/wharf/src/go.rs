//! How Go reads and says things: numbers, truth, durations, system errors.

use std::io;

pub(crate) use wharf_template::quote;

/// A system error as Go's `syscall.Errno` says it, without Rust's `(os error N)`.
pub(crate) fn io_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    if error.raw_os_error().is_some() { lower_first(text) } else { text.to_owned() }
}

/// `open PATH: no such file or directory`
pub(crate) fn path_error(operation: &str, path: impl AsRef<std::path::Path>, error: &io::Error) -> String {
    format!("{operation} {}: {}", path.as_ref().display(), io_error(error))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// `strconv.ParseBool`
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(text))),
    }
}

/// `strconv.ParseInt(text, 0, 64)`
pub(crate) fn parse_int(text: &str) -> Result<i64, String> {
    let fail = |why: &str| Err(format!("strconv.ParseInt: parsing {}: {why}", quote(text)));
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    match digits(body) {
        Some(Some(value)) => {
            let value = if negative { -i128::from(value) } else { i128::from(value) };
            i64::try_from(value).or_else(|_| fail("value out of range"))
        }
        Some(None) => fail("value out of range"),
        None => fail("invalid syntax"),
    }
}

/// `strconv.ParseUint(text, 0, bits)`
pub(crate) fn parse_uint(text: &str, bits: u32) -> Result<u64, String> {
    let fail = |why: &str| Err(format!("strconv.ParseUint: parsing {}: {why}", quote(text)));
    match digits(text) {
        Some(Some(value)) if bits >= 64 || value < 1 << bits => Ok(value),
        Some(_) => fail("value out of range"),
        None => fail("invalid syntax"),
    }
}

/// Digits with Go's base prefixes and underscores; the inner `None` means too large.
fn digits(text: &str) -> Option<Option<u64>> {
    let lower = text.to_ascii_lowercase();
    let (radix, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let body = body.replace('_', "");
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(u64::from_str_radix(&body, radix).ok())
}

/// `time.ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..length].parse().map_err(|_| invalid())?;
        rest = &rest[length..];
        let length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = &rest[..length];
        rest = &rest[length..];
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "" => return Err(format!("time: missing unit in duration {}", quote(text))),
            other => return Err(format!("time: unknown unit {} in duration {}", quote(other), quote(text))),
        };
        total += number * scale;
    }
    if total > i64::MAX as f64 {
        return Err(invalid());
    }
    let total = total.round() as i64;
    Ok(if negative { -total } else { total })
}

/// `time.Duration.String`
#[cfg(test)]
fn duration(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return "0s".into();
    }
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let value = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let text = format!("{}.{:0width$}", value / unit, value % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if value < 1_000 {
        return format!("{sign}{value}ns");
    }
    if value < 1_000_000 {
        return format!("{sign}{}µs", fraction(value, 1_000));
    }
    if value < 1_000_000_000 {
        return format!("{sign}{}ms", fraction(value, 1_000_000));
    }
    let (minutes, rest) = (value / 60_000_000_000, value % 60_000_000_000);
    let seconds = fraction(rest, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

const UNTERMINATED: &str =
    "record on line 1; parse error on line 2, column 0: extraneous or missing \" in quoted-field";

/// One record of `encoding/csv`.
pub(crate) fn csv(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line.chars().peekable();
    let mut column = 1;
    loop {
        let mut field = String::new();
        if rest.peek() == Some(&'"') {
            rest.next();
            column += 1;
            loop {
                match rest.next() {
                    Some('"') if rest.peek() == Some(&'"') => {
                        rest.next();
                        column += 2;
                        field.push('"');
                    }
                    Some('"') => {
                        column += 1;
                        break;
                    }
                    Some(c) => {
                        column += c.len_utf8();
                        field.push(c);
                    }
                    None => {
                        return Err(UNTERMINATED.to_owned());
                    }
                }
            }
            match rest.next() {
                Some(',') => column += 1,
                None => {
                    fields.push(field);
                    return Ok(fields);
                }
                Some(_) => {
                    return Err(format!(
                        "parse error on line 1, column {}: extraneous or missing \" in quoted-field",
                        column - 1
                    ));
                }
            }
            fields.push(field);
            continue;
        }
        loop {
            match rest.next() {
                Some(',') => {
                    column += 1;
                    break;
                }
                Some('"') => {
                    return Err(format!("parse error on line 1, column {column}: bare \" in non-quoted-field"));
                }
                Some(c) => {
                    column += c.len_utf8();
                    field.push(c);
                }
                None => {
                    fields.push(field);
                    return Ok(fields);
                }
            }
        }
        fields.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        assert_eq!(parse_int("-0x10"), Ok(-16));
        assert_eq!(parse_int("010"), Ok(8));
        assert_eq!(parse_int("x").unwrap_err(), r#"strconv.ParseInt: parsing "x": invalid syntax"#);
        assert_eq!(
            parse_int("9223372036854775808").unwrap_err(),
            r#"strconv.ParseInt: parsing "9223372036854775808": value out of range"#
        );
        assert_eq!(parse_uint("70000", 16).unwrap_err(), r#"strconv.ParseUint: parsing "70000": value out of range"#);
    }

    #[test]
    fn durations_both_ways() {
        for (text, expect) in
            [("1h2m3s", "1h2m3s"), ("1.5s", "1.5s"), ("90s", "1m30s"), ("1500us", "1.5ms"), ("0", "0s")]
        {
            assert_eq!(parse_duration(text).map(duration).as_deref(), Ok(expect), "{text}");
        }
        assert_eq!(parse_duration("x").unwrap_err(), r#"time: invalid duration "x""#);
        assert_eq!(parse_duration("5").unwrap_err(), r#"time: missing unit in duration "5""#);
        assert_eq!(parse_duration("5y").unwrap_err(), r#"time: unknown unit "y" in duration "5y""#);
    }

    #[test]
    fn csv_records() {
        assert_eq!(csv("a,b"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(csv(r#""a,b",c"#), Ok(vec!["a,b".into(), "c".into()]));
        assert!(csv(r#"a"b"#).is_err());
    }
}
