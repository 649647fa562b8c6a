//! Addresses of registries: scheme, host and port, path; and what a redirect makes of one.

use std::fmt;

use super::{Error, Result};

/// An absolute `http` or `https` address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// `https`?
    pub tls: bool,
    /// Name, IPv4, or IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
    /// `user:password` that stood in front of the host.
    pub login: Option<String>,
}

impl Address {
    /// Parses an absolute address.
    ///
    /// # Errors
    /// [`Error::Settings`] when it is none, or has another scheme.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::Settings(format!("invalid address {text:?}: it must begin with http:// or https://"));
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(bad()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(login.to_owned()), authority),
            None => (None, authority),
        };
        let (host, port) = split_port(authority).ok_or_else(bad)?;
        let clean = |text: &str| text.bytes().all(|c| c.is_ascii_graphic());
        if host.is_empty() || !clean(&host) || host.contains(['/', '\\', '?']) || !clean(path) {
            return Err(bad());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }), path, login })
    }

    /// Scheme, host and port of a registry's domain (`registry.example.net:5000`).
    pub(crate) fn of_domain(domain: &str, tls: bool) -> Result<Self> {
        Self::parse(&format!("{}://{domain}/", if tls { "https" } else { "http" }))
    }

    /// The same place, another path (and query).
    pub(crate) fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    /// Where a `Location` (or `Link`) of this address leads.
    pub(crate) fn join(&self, location: &str) -> Result<Self> {
        if location.contains("://") {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme()));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{}{location}", self.origin()));
        }
        let folder = self.path.split('?').next().unwrap_or_default().rsplit_once('/').map_or("", |(folder, _)| folder);
        Self::parse(&format!("{}{folder}/{location}", self.origin()))
    }

    /// `https`, `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// `host`, with brackets and port where needed.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let standard = if self.tls { 443 } else { 80 };
        if self.port == standard { host } else { format!("{host}:{}", self.port) }
    }

    /// `scheme://host:port`.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// Whether both are served by the same host over the same scheme.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.tls == other.tls && self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// A path below this one.
    pub(crate) fn below(&self, path: &str) -> Self {
        self.at(&format!("{}{path}", self.path.trim_end_matches('/')))
    }

    /// The same with another query parameter.
    pub(crate) fn with_query(&self, key: &str, value: &str) -> Self {
        let sign = if self.path.contains('?') { '&' } else { '?' };
        self.at(&format!("{}{sign}{key}={}", self.path, escape(value)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

/// Host and port of `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), Some(port.parse().ok()?))),
        None => Some((text.to_owned(), None)),
    }
}

/// Escapes a query value (RFC 3986: unreserved characters stay).
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let check = |text: &str, expect: &str| assert_eq!(Address::parse(text).unwrap().to_string(), expect);
        check("https://r.example/v2/", "https://r.example/v2/");
        check("https://r.example:443", "https://r.example/");
        check("http://[2001:db8::1]:5000/x?y=z#f", "http://[2001:db8::1]:5000/x?y=z");
        check("http://u:p@r.example:81?x", "http://r.example:81/?x");
        for bad in
            ["r.example", "ftp://x/", "http://", "http://a:b/", "http://[::1/", "http://a b/", "http://a/\r\nX: y"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_lead_somewhere() {
        let base = Address::parse("https://r.example/v2/a/blobs/x?q").unwrap();
        let check = |location: &str, expect: &str| assert_eq!(base.join(location).unwrap().to_string(), expect);
        check("/other?x=1", "https://r.example/other?x=1");
        check("y", "https://r.example/v2/a/blobs/y");
        check("//cdn.example/z", "https://cdn.example/z");
        check("http://cdn.example:81/z", "http://cdn.example:81/z");
        assert!(base.join("file:///etc/passwd").is_err());
    }
}
