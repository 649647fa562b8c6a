//! `unix://`, `tcp://`, `ssh://` and friends.

use std::path::PathBuf;

use super::Error;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp { host: String, port: u16, path: String },
    Ssh { user: Option<String>, host: String, port: Option<u16>, path: Option<String> },
}

impl Address {
    /// The address as people write it.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::Address(format!("unable to parse docker host `{text}`"));
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        match scheme {
            "unix" => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" | "https" => {
                let (authority, path) = match rest.find('/') {
                    Some(at) => (&rest[..at], &rest[at..]),
                    None => (rest, ""),
                };
                let (host, port) = match authority.rsplit_once(':') {
                    Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| bad())?),
                    _ => (authority, 2375),
                };
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let host = if host.is_empty() { "localhost" } else { host };
                Ok(Self::Tcp { host: host.into(), port, path: path.trim_end_matches('/').into() })
            }
            "ssh" => {
                let (authority, path) = match rest.find('/') {
                    Some(at) => (&rest[..at], Some(&rest[at..])),
                    None => (rest, None),
                };
                let (user, host) = match authority.rsplit_once('@') {
                    Some((user, host)) => (Some(user.to_owned()), host),
                    None => (None, authority),
                };
                if user.as_deref().is_some_and(|user| user.contains(':')) {
                    return Err(Error::Address(
                        "ssh host connection is not valid: plain-text password is not supported".into(),
                    ));
                }
                let (host, port) = match host.rsplit_once(':') {
                    Some((host, port)) => (host, Some(port.parse().map_err(|_| bad())?)),
                    None => (host, None),
                };
                if host.is_empty() || host.starts_with('-') {
                    return Err(Error::Address("ssh host connection is not valid: no host specified".into()));
                }
                let path = path.filter(|path| *path != "/").map(str::to_owned);
                Ok(Self::Ssh { user, host: host.into(), port, path })
            }
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, path } if host.contains(':') => write!(f, "tcp://[{host}]:{port}{path}"),
            Self::Tcp { host, port, path } => write!(f, "tcp://{host}:{port}{path}"),
            Self::Ssh { user, host, port, .. } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                f.write_str(host)?;
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

/// What `-H` and `DOCKER_HOST` may leave out is put back, as docker does.
pub(crate) fn parse_host(text: &str, tls: bool) -> Result<String, String> {
    let port = if tls { 2376 } else { 2375 };
    let text = text.trim();
    if text.is_empty() {
        return Ok(if tls { format!("tcp://localhost:{port}") } else { "unix:///var/run/docker.sock".into() });
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    match scheme {
        "unix" if rest.contains("://") => Err(format!("invalid proto, expected unix: {text}")),
        "unix" if rest.is_empty() => Ok("unix:///var/run/docker.sock".into()),
        "unix" | "ssh" | "fd" | "http" | "https" => Ok(text.to_owned()),
        "tcp" => {
            let (authority, path) = match rest.find('/') {
                Some(at) => (&rest[..at], &rest[at..]),
                None => (rest, ""),
            };
            let (host, given) = match authority.rsplit_once(':') {
                Some((host, given)) if !given.contains(']') => (host, given),
                _ => (authority, ""),
            };
            let host = if host.is_empty() { "localhost" } else { host };
            let given = if given.is_empty() { port.to_string() } else { given.to_owned() };
            if given.parse::<u16>().is_err() {
                return Err(format!("invalid bind address format: {text}"));
            }
            Ok(format!("tcp://{host}:{given}{path}"))
        }
        _ => Err(format!("invalid bind address format: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_completed() {
        for (input, expect) in [
            ("", "unix:///var/run/docker.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("unix:///x/y", "unix:///x/y"),
            ("1.2.3.4", "tcp://1.2.3.4:2375"),
            ("tcp://h:1", "tcp://h:1"),
            ("tcp://:7777/path", "tcp://localhost:7777/path"),
            ("ssh://me@there", "ssh://me@there"),
        ] {
            assert_eq!(parse_host(input, false).as_deref(), Ok(expect));
        }
        assert!(parse_host("gopher://x", false).is_err());
        assert_eq!(parse_host("tcp://h", true).as_deref(), Ok("tcp://h:2376"));
    }

    #[test]
    fn addresses() {
        let parse = |text: &str| Address::parse(text).map(|address| address.to_string()).ok();
        assert_eq!(parse("unix:///a").as_deref(), Some("unix:///a"));
        assert_eq!(parse("tcp://[::1]:5/x/").as_deref(), Some("tcp://[::1]:5/x"));
        assert_eq!(parse("ssh://u@h:22").as_deref(), Some("ssh://u@h:22"));
        assert_eq!(parse("ssh://-oProxyCommand=x"), None);
        assert_eq!(parse("npipe://x"), None);
    }
}
