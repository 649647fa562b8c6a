//! The query of a request, encoded as Go's `url.Values` encodes it (keys sorted), and path segments.

use std::fmt::Write as _;

/// Keys with values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// An empty query.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With one more pair.
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    /// With one more pair when `condition` holds.
    #[must_use]
    pub(crate) fn when(self, condition: bool, key: &'static str, value: impl Into<String>) -> Self {
        if condition { self.with(key, value) } else { self }
    }

    /// The encoded form with its `?`; nothing when there are no pairs.
    pub(crate) fn encode(&self) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort_by_key(|(key, _)| *key);
        let mut out = String::new();
        for (key, value) in pairs {
            out.push(if out.is_empty() { '?' } else { '&' });
            out.push_str(key);
            out.push('=');
            for byte in value.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
                    b' ' => out.push('+'),
                    byte => _ = write!(out, "%{byte:02X}"),
                }
            }
        }
        out
    }
}

/// A name inside a path: everything that would end the segment or the path is encoded, `/` and `:` stay.
pub(crate) fn escape_path(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(byte as char),
            b'-' | b'_' | b'.' | b'~' | b'/' | b':' | b'@' | b'$' | b'&' | b'+' | b',' | b'=' | b';' => {
                out.push(byte as char)
            }
            byte => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_escaped() {
        assert_eq!(Query::new().encode(), "");
        let query = Query::new().with("b", "x y/{}").with("a", "1").when(false, "c", "no");
        assert_eq!(query.encode(), "?a=1&b=x+y%2F%7B%7D");
        assert_eq!(escape_path("a/b:c d?#"), "a/b:c%20d%3F%23");
    }
}
