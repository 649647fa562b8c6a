//! The query of a request: decoding, Docker's booleans, numbers, and `filters`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use wharf_engine::{Filters, Platform};

use crate::failure::Failure;
use crate::syntax;

/// Decoded pairs, in order.
#[derive(Debug, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Decodes `a=b&c=d`; a broken escape is Go's error.
    pub(crate) fn parse(text: &'a str) -> Result<Query<'a>, Failure> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((unescape(key, true)?, unescape(value, true)?))
            })
            .collect::<Result<_, _>>()
            .map(Query)
    }

    /// The first value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_ref())
    }

    /// The value, when there is one and it is not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// The value as an owned text; empty when there is none.
    pub(crate) fn string(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    /// All values of a key.
    pub(crate) fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_ref().to_owned()).collect()
    }

    /// Docker's reading: everything is true but nothing, 0, no, false and none.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    /// The same with a default for an absent key.
    pub(crate) fn flag_or(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |value| {
            let value = value.trim();
            !["", "0", "no", "false", "none"].iter().any(|no| value.eq_ignore_ascii_case(no))
        })
    }

    /// A switch for those routes that take no other word; Go's sentence when it is none.
    pub(crate) fn boolean(&self, key: &str) -> Result<bool, Failure> {
        match self.text(key) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(other) => Err(Failure::bad(format!(
                "invalid value for {key}: {other}: strconv.ParseBool: parsing {other:?}: invalid syntax"
            ))),
        }
    }

    /// A number; Go's sentence when it is none.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, Failure> {
        self.text(key)
            .map(|text| {
                text.parse().map_err(|_| Failure::internal(format!("strconv.Atoi: parsing \"{text}\": invalid syntax")))
            })
            .transpose()
    }

    /// `platform` as the descriptor's JSON (`{"os":"linux","architecture":"arm64"}`).
    pub(crate) fn platform(&self) -> Result<Option<Platform>, Failure> {
        let Some(text) = self.text("platform") else { return Ok(None) };
        let bad = |why: String| Failure::bad(format!("failed to parse platform: {why}"));
        syntax::check(text.as_bytes()).map_err(|error| match error {
            syntax::Error::Wrong(sentence) => bad(sentence),
            syntax::Error::Empty | syntax::Error::Trailing => bad("unexpected end of JSON input".into()),
        })?;
        let platform: Platform = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if platform.os.is_empty() || platform.architecture.is_empty() {
            return Err(bad("both OS and Architecture must be provided".into()));
        }
        Ok(Some(platform.normalized()))
    }

    /// `filters`: `{"key": ["value"]}` or the old `{"key": {"value": true}}`.
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        let Some(text) = self.text("filters") else { return Ok(Filters::default()) };
        let refuse = || Failure::bad("invalid filter");
        let Ok(Value::Object(keys)) = serde_json::from_str::<Value>(text) else { return Err(refuse()) };
        let mut filters = BTreeMap::new();
        for (key, values) in keys {
            let values = match values {
                Value::Array(items) => items
                    .into_iter()
                    .map(|item| if let Value::String(text) = item { Ok(text) } else { Err(refuse()) })
                    .collect::<Result<Vec<_>, _>>()?,
                Value::Object(items) if items.values().all(Value::is_boolean) => {
                    items.into_iter().map(|(value, _)| value).collect()
                }
                Value::Null => Vec::new(),
                _ => return Err(refuse()),
            };
            filters.insert(key, values);
        }
        Ok(Filters(filters))
    }
}

/// Undoes `%41` and, in queries, `+`.
pub(crate) fn unescape(text: &str, plus: bool) -> Result<Cow<'_, str>, Failure> {
    if !text.bytes().any(|b| b == b'%' || (plus && b == b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                // from_str_radix would take a sign
                let byte = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(byte) = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
                    let bad = String::from_utf8_lossy(&tail[..tail.len().min(2)]);
                    return Err(Failure::bad(format!("invalid URL escape \"%{bad}\"")));
                };
                bytes.push(byte);
                rest = &tail[2..];
            }
            b'+' if plus => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    Ok(Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let check = |text: &str, expect: &str| assert_eq!(unescape(text, true).expect(text), expect);
        check("a%2Fb+c", "a/b c");
        check("%e2%82%ac", "€");
        check("%ff", "\u{fffd}");
        for bad in ["%", "%4", "%zz", "%+1"] {
            assert!(unescape(bad, true).is_err(), "{bad}");
        }
        assert_eq!(unescape("%zz", true).expect_err("broken").message(), "invalid URL escape \"%zz\"");
    }

    #[test]
    fn booleans_are_dockers() {
        let query = Query::parse("a=1&b=0&c=&d=False&e=maybe&f=none&g").expect("a query");
        assert!(query.flag("a") && query.flag("e"));
        assert!(!query.flag("b") && !query.flag("c") && !query.flag("d") && !query.flag("f") && !query.flag("g"));
        assert!(query.flag_or("x", true) && !query.flag("x"));
    }

    #[test]
    fn filters_in_both_forms() {
        let read = |text: &str| {
            let query = format!("filters={text}");
            Query::parse(&query).expect("a query").filters().map(|filters| filters.0)
        };
        let expect = BTreeMap::from([("status".to_owned(), vec!["exited".to_owned()])]);
        assert_eq!(read(r#"{"status":["exited"]}"#).expect("new"), expect);
        assert_eq!(read(r#"{"status":{"exited":true}}"#).expect("old"), expect);
        assert!(read("").expect("none").is_empty());
        for bad in ["x", "[]", r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#] {
            assert_eq!(read(bad).expect_err(bad).message(), "invalid filter", "{bad}");
        }
    }
}
