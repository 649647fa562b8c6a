//! PAX extended header records: `length SP key = value LF`, where length counts itself (POSIX `pax`, "Extended Header").

use std::collections::BTreeMap;

use crate::{Error, Result, Time};

/// Prefix of extended attributes, as star and everyone after it write them.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records of one header, last one wins. GNU sparse 0.0 repeats keys, so those are kept in order apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct Records {
    pub(crate) values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes` in turn.
    pub(crate) sparse_00: Vec<u64>,
}

impl Records {
    pub(crate) fn parse(mut data: &[u8]) -> Result<Self> {
        let mut records = Self::default();
        while !data.is_empty() {
            let (key, value, rest) = split_record(data).ok_or_else(|| Error::Corrupt("malformed PAX record".into()))?;
            records.add(key, value)?;
            data = rest;
        }
        Ok(records)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let is_xattr = key.starts_with(XATTR);
        let nul_in_text = value.contains(&0) && matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
        if key.is_empty() || (key.contains(&0) && !is_xattr) || nul_in_text {
            return Err(Error::Corrupt("NUL in a PAX record".into()));
        }
        match key {
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let wanted = if self.sparse_00.len().is_multiple_of(2) {
                    &b"GNU.sparse.offset"[..]
                } else {
                    b"GNU.sparse.numbytes"
                };
                if key != wanted {
                    return Err(Error::Corrupt("sparse map out of order".into()));
                }
                self.sparse_00.push(parse_decimal(value)?);
            }
            _ => {
                self.values.insert(key.to_vec(), value.to_vec());
            }
        }
        Ok(())
    }

    /// A value; an empty one means "as if it were not there".
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key.as_bytes()).map(Vec::as_slice).filter(|v| !v.is_empty())
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.get(key).map(parse_decimal).transpose()
    }

    pub(crate) fn time(&self, key: &str) -> Result<Option<Time>> {
        self.get(key).map(parse_time).transpose()
    }
}

fn split_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(parse_decimal(&data[..space]).ok()?).ok()?;
    if length <= space + 2 || length > data.len() {
        return None;
    }
    let (record, rest) = data.split_at(length);
    let (body, newline) = record[space + 1..].split_at(length - space - 2);
    if newline != b"\n" {
        return None;
    }
    let equals = body.iter().position(|b| *b == b'=')?;
    Some((&body[..equals], &body[equals + 1..], rest))
}

/// Appends one record.
pub(crate) fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // ' ', '=' and '\n'; then the digits of the length itself, which may carry
    let base = key.len() + value.len() + 3;
    let mut length = base + digits(base);
    if digits(length) + base != length {
        length = base + digits(length);
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().unwrap_or(0) as usize + 1
}

pub(crate) fn parse_decimal(text: &[u8]) -> Result<u64> {
    let bad = || Error::Corrupt("PAX record is no number".into());
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or_else(bad)
}

/// `[-]seconds[.fraction]`
fn parse_time(text: &[u8]) -> Result<Time> {
    let bad = || Error::Corrupt("PAX record is no time".into());
    let text = std::str::from_utf8(text).map_err(|_| bad())?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !seconds.bytes().chain(fraction.bytes()).all(|c| c.is_ascii_digit()) {
        return Err(bad());
    }
    let seconds: i64 = seconds.parse().map_err(|_| bad())?;
    let nanos: u32 = format!("{fraction:0<9.9}").parse().map_err(|_| bad())?;
    Ok(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos },
        (true, _) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// The shortest decimal form, as Go writes it: no trailing zeros.
pub(crate) fn format_time(time: Time) -> String {
    if time.nanos == 0 {
        return time.seconds.to_string();
    }
    let (sign, seconds, nanos) = match time.seconds {
        s if s < 0 => ("-", -(s + 1), 1_000_000_000 - time.nanos),
        s => ("", s, time.nanos),
    };
    format!("{sign}{seconds}.{nanos:09}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        for length in [0, 1, 85, 86, 87, 88, 89, 90, 91, 92, 985, 990, 991, 995, 9990, 9992] {
            let value = vec![b'v'; length];
            let mut out = Vec::new();
            push_record(&mut out, b"path", &value);
            push_record(&mut out, b"k", b"a=b\nc");
            let parsed = Records::parse(&out).unwrap();
            assert_eq!(parsed.values[&b"path"[..]], value, "{length}");
            assert_eq!(parsed.values[&b"k"[..]], b"a=b\nc");
        }
    }

    #[test]
    fn bad_records() {
        for bad in [
            &b"5 a=\n"[..],
            b"x a=b\n",
            b"6 a=b",
            b"7 a=b\n",
            b"6 ab\n\n",
            b"99999999999999999999 a=b\n",
            b"9 path=\0\n",
            b"-6 a=b\n",
        ] {
            // "5 a=\n" is the only good one: an empty value
            assert_eq!(Records::parse(bad).is_ok(), bad == b"5 a=\n", "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn times() {
        let check = |text: &str, seconds, nanos| {
            let time = parse_time(text.as_bytes()).unwrap();
            assert_eq!(time, Time { seconds, nanos }, "{text}");
            assert_eq!(format_time(time), text);
        };
        check("0", 0, 0);
        check("1350244992.023960108", 1_350_244_992, 23_960_108);
        check("-1.5", -2, 500_000_000);
        check("-1", -1, 0);
        check("1.5", 1, 500_000_000);
        for bad in ["", "x", "1.x", "--1", "1e5", "99999999999999999999"] {
            assert!(parse_time(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
