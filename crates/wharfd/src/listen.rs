//! The daemon's sockets: unix, tcp, and descriptors handed over by a service manager.

use crate::settings::SettingsError;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Listener {
    /// A path in the file system; removed again at the end.
    Unix(UnixListener, PathBuf),
    /// A port.
    Tcp(TcpListener, SocketAddr),
    /// Handed over (`fd://`): a unix or a TCP socket.
    Inherited(OwnedFd),
}

/// How TCP sockets are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// Not at all.
    Plain,
    /// By TLS; anybody may come.
    Encrypted,
    /// By TLS; only clients with a good certificate may come.
    Verified,
}

const UNVERIFIED: &str = "Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone who has access to your network.";
const UNENCRYPTED: &str = "[DEPRECATION NOTICE] API is accessible without encryption: access to the remote API is equivalent to root access on the host";
const ON_LOOPBACK: &str =
    "Binding to an IP address, even on localhost, can also give access to scripts run in a browser. Be safe out there!";

/// What `info` says of an address; dockerd's sentences.
pub(crate) fn info_warning(address: &Address, security: Security) -> Option<String> {
    let Address::Tcp(address) = address else { return None };
    let what = match security {
        Security::Plain => format!("http://{address} without encryption"),
        Security::Encrypted => format!("https://{address} without TLS client verification"),
        Security::Verified => return None,
    };
    Some(format!(
        "[DEPRECATION NOTICE]: API is accessible on {what}.\n         Access to the remote API is equivalent to root access on the host. Refer\n         to the 'Docker daemon attack surface' section in the documentation for\n         more information: https://docs.docker.com/go/attack-surface/\nIn future versions this will be a hard failure preventing the daemon from starting! Learn more at: https://docs.docker.com/go/api-security/"
    ))
}

/// One `-H`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://host:port`.
    Tcp(String),
    /// `fd://`: every descriptor handed over; `fd://N` one of them.
    Inherited(Option<u32>),
}

/// Docker's ports of plain HTTP, and of HTTP over TLS.
const PORTS: (u16, u16) = (2375, 2376);

impl Address {
    /// Reads a `-H`; `tls` chooses the port where none is given.
    pub(crate) fn parse(text: &str, tls: bool) -> Result<Self, SettingsError> {
        let wrong = |why: &str| {
            SettingsError::Usage(format!(
                "invalid argument \"{text}\" for \"-H, --host\" flag: invalid bind address ({text}): {why}"
            ))
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix("/run/wharf/wharf.sock".into())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(wrong("the path must be absolute")),
            "fd" if rest.is_empty() || rest == "*" => Ok(Self::Inherited(None)),
            "fd" => {
                rest.parse().map(|n| Self::Inherited(Some(n))).map_err(|_| wrong("a descriptor's number is expected"))
            }
            "tcp" => {
                let rest = rest.trim_end_matches('/');
                let host_only = rest.is_empty() || rest.ends_with(']') || !rest.contains(':');
                let host = if rest.is_empty() { "localhost" } else { rest };
                let address =
                    if host_only { format!("{host}:{}", if tls { PORTS.1 } else { PORTS.0 }) } else { rest.to_owned() };
                let address =
                    if let Some(port) = address.strip_prefix(':') { format!("localhost:{port}") } else { address };
                let port = address.rsplit(':').next().unwrap_or_default();
                port.parse::<u16>().map_err(|_| wrong(&format!("invalid port {port}")))?;
                Ok(Self::Tcp(address))
            }
            other => Err(wrong(&format!("unsupported proto '{other}'"))),
        }
    }
}

/// Binds one address. Unix sockets get mode 0660 and the group's ID.
///
/// # Errors
/// What the kernel says, with the address.
pub(crate) fn bind(address: &Address, group: Option<u32>) -> std::io::Result<Vec<Listener>> {
    match address {
        Address::Unix(path) => Ok(vec![bind_unix(path, group)?]),
        Address::Tcp(text) => bind_tcp(text),
        Address::Inherited(number) => inherited(*number),
    }
}

fn bind_unix(path: &Path, group: Option<u32>) -> std::io::Result<Listener> {
    let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("bind `unix://{}`: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(named)?;
    }
    if owned_by_someone(path) {
        let why = format!("bind `unix://{}`: another program listens there", path.display());
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, why));
    }
    if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        std::fs::remove_file(path).map_err(named)?;
    }
    // bound under another name and renamed when its mode is right: nobody can connect before, and a reader sees it whole
    let fresh = path.with_extension(format!("new{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).map_err(named)?;
    let finish = || {
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o660))?;
        std::os::unix::fs::chown(&fresh, Some(0), group)?;
        std::fs::rename(&fresh, path)
    };
    finish().map_err(named)?;
    Ok(Listener::Unix(listener, path.to_owned()))
}

/// Whether a program answers on this socket.
pub(crate) fn owned_by_someone(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

fn bind_tcp(text: &str) -> std::io::Result<Vec<Listener>> {
    let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("bind `tcp://{text}`: {e}"));
    let text_address = text.replacen("localhost:", "127.0.0.1:", 1);
    let mut listeners = Vec::new();
    for address in text_address.to_socket_addrs().map_err(named)? {
        let listener = TcpListener::bind(address).map_err(named)?;
        let bound = listener.local_addr()?;
        listeners.push(Listener::Tcp(listener, bound));
    }
    Ok(listeners)
}

/// Takes the descriptors of the service manager's protocol (`sd_listen_fds(3)`): `LISTEN_PID`, `LISTEN_FDS`, from 3 up.
fn inherited(number: Option<u32>) -> std::io::Result<Vec<Listener>> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
    let none = || {
        std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "bind `fd://`: no sockets found via socket activation: make sure the service was started by systemd",
        )
    };
    if variable("LISTEN_PID") != Some(std::process::id()) {
        return Err(none());
    }
    let count = variable("LISTEN_FDS").unwrap_or(0);
    let wanted: Vec<u32> = (3..3 + count).filter(|n| number.is_none_or(|one| one == *n)).collect();
    if wanted.is_empty() {
        return Err(none());
    }
    let take = |n: u32| wharf_sys::fd::inherited(n as i32).map(Listener::Inherited).map_err(std::io::Error::from);
    wanted.into_iter().map(take).collect()
}

/// A group by name or number.
pub(crate) fn group_id(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

impl Listener {
    /// The file to remove at the end.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        if let Self::Unix(_, path) = self { Some(path.clone()) } else { None }
    }

    /// The socket as the HTTP edge takes it.
    ///
    /// # Errors
    /// When an inherited descriptor is no stream socket of a known family.
    pub(crate) fn for_http(self, tls: Option<&Arc<wharf_tls::Reloading>>) -> std::io::Result<wharf_http::Listener> {
        Ok(match self {
            Self::Unix(listener, _) => wharf_http::Listener::Unix(listener),
            Self::Tcp(listener, _) => wharf_http::Listener::Tcp(listener, tls.cloned()),
            Self::Inherited(fd) => match rustix::net::sockopt::socket_domain(&fd)? {
                rustix::net::AddressFamily::UNIX => wharf_http::Listener::Unix(fd.into()),
                rustix::net::AddressFamily::INET | rustix::net::AddressFamily::INET6 => {
                    wharf_http::Listener::Tcp(fd.into(), tls.cloned())
                }
                other => return Err(std::io::Error::other(format!("the inherited socket is of family {other:?}"))),
            },
        })
    }

    /// Warnings that must be shouted, when this socket is open to the network without protection: dockerd's.
    pub(crate) fn warnings(&self, security: Security) -> Vec<&'static str> {
        let Self::Tcp(_, address) = self else { return Vec::new() };
        match security {
            Security::Verified => Vec::new(),
            _ if address.ip().is_loopback() => vec![ON_LOOPBACK],
            Security::Encrypted => vec![UNVERIFIED],
            Security::Plain => vec![UNVERIFIED, UNENCRYPTED],
        }
    }

    /// How the address is written in the log.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Unix(_, path) => format!("unix://{}", path.display()),
            Self::Tcp(_, address) => format!("tcp://{address}"),
            Self::Inherited(_) => "fd://".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_arch_02_addresses() {
        let ok = |text: &str| Address::parse(text, false).unwrap();
        assert_eq!(ok("unix:///a/b.sock"), Address::Unix("/a/b.sock".into()));
        assert_eq!(ok("tcp://0.0.0.0:2375"), Address::Tcp("0.0.0.0:2375".into()));
        assert_eq!(ok("tcp://192.0.2.1"), Address::Tcp("192.0.2.1:2375".into()));
        assert_eq!(Address::parse("tcp://192.0.2.1", true).unwrap(), Address::Tcp("192.0.2.1:2376".into()));
        assert_eq!(ok("tcp://[::1]:99"), Address::Tcp("[::1]:99".into()));
        assert_eq!(ok("tcp://:99"), Address::Tcp("localhost:99".into()));
        assert_eq!(ok("fd://"), Address::Inherited(None));
        assert_eq!(ok("fd://4"), Address::Inherited(Some(4)));
        for bad in ["foo://x", "tcp://a:99999", "unix://relative", "fd://x"] {
            assert!(Address::parse(bad, false).is_err(), "{bad}");
        }
        let error = Address::parse("foo://x", false).unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid argument \"foo://x\" for \"-H, --host\" flag: invalid bind address (foo://x): unsupported proto 'foo'"
        );
    }
}
