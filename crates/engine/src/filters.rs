//! The `filters` argument of lists, prunes and events: key to values, checked against the keys that an operation knows.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Filters as the API carries them, already parsed from JSON (both the list and the old map form).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

impl Filters {
    /// No filter at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses keys that the operation does not know, with Docker's sentence.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Error::InvalidParameter(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// The values of a key (empty when it is not there).
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// `true` when the key is absent or one of its values is `value`.
    pub fn exact(&self, key: &str, value: &str) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().any(|v| v == value)
    }

    /// `true` when the key is absent or one of its values occurs in `value` (Docker takes them for patterns; `^`, `$` and
    /// `.*` are honoured, everything else is literal).
    pub fn matches(&self, key: &str, value: &str) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().any(|v| pattern(v, value))
    }

    /// `true` when every `label` value (`key` or `key=value`) is met by `labels`.
    pub fn labels<'a>(&self, key: &str, labels: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.get(key).iter().all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels(name) == Some(value),
            None => labels(wanted).is_some(),
        })
    }

    /// A yes/no filter: `None` when absent; Docker's error when it is neither.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        let values = self.get(key);
        let bad = || Error::InvalidParameter(format!("invalid filter '{key}=[{}]'", values.join(" ")));
        let mut answer = None;
        for value in values {
            let one = match value.as_str() {
                "1" | "true" | "True" | "TRUE" | "t" | "T" => true,
                "0" | "false" | "False" | "FALSE" | "f" | "F" => false,
                _ => return Err(bad()),
            };
            if answer.is_some_and(|a| a != one) {
                return Err(bad());
            }
            answer = Some(one);
        }
        Ok(answer)
    }
}

/// Literal text with optional anchors, or pieces separated by `.*`.
fn pattern(pattern: &str, text: &str) -> bool {
    let (from_start, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |p| (true, p));
    let (to_end, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |p| (true, p));
    let pieces: Vec<&str> = pattern.split(".*").collect();
    let mut rest = text;
    for (i, piece) in pieces.iter().enumerate() {
        let last = i + 1 == pieces.len();
        if i == 0 && from_start {
            let Some(after) = rest.strip_prefix(piece) else { return false };
            rest = after;
            if last && to_end && !rest.is_empty() {
                return false;
            }
            continue;
        }
        if last && to_end {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |p: &str, text: &str, expect: bool| assert_eq!(pattern(p, text), expect, "{p} {text}");
        check("web", "my-web-1", true);
        check("^web", "my-web-1", false);
        check("^web$", "web", true);
        check("^web$", "web1", false);
        check("web$", "my-web", true);
        check("^my.*1$", "my-web-1", true);
        check("", "x", true);
    }
}
