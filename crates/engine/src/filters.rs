//! The `filters` argument of lists, prunes and events: key to values, checked against the keys that an operation knows.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::{Error, Result, pattern};

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

    /// The values of a key as regular expressions.
    pub(crate) fn patterns(&self, key: &str) -> Patterns {
        let values = self.get(key);
        // one that cannot be read matches nothing, as in Docker
        Patterns((!values.is_empty()).then(|| values.iter().filter_map(|v| pattern::compile(v).ok()).collect()))
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

/// Of which one has to match somewhere; without any, everything does.
#[derive(Debug)]
pub(crate) struct Patterns(Option<Vec<Regex>>);

impl Patterns {
    pub(crate) fn accept(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|list| list.iter().any(|pattern| pattern.is_match(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let matches =
            |p: &str, text: &str| Filters([("name".into(), vec![p.into()])].into()).patterns("name").accept(text);
        assert!(matches("web", "my-web-1") && matches("^my-[vw]eb", "my-web-1") && !matches("^web", "my-web-1"));
        assert!(!matches("[", "["));
    }
}
