//! One connection: name, proxy, TCP, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::sentence::{explain, reason};
use super::{Address, resolve};

/// Before the next address of a host is tried beside the one that does not answer (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Longest answer of a proxy to CONNECT.
const PROXY_HEAD: usize = 16 << 10;

/// Any stream to a registry.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// How to reach an address.
pub(crate) struct Route<'a> {
    pub(crate) to: &'a Address,
    pub(crate) proxy: Option<&'a Address>,
    /// For `to`, when that is `https`.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// For the proxy, when that is `https`.
    pub(crate) proxy_tls: Option<Arc<ClientConfig>>,
    pub(crate) patience: Duration,
}

/// Connects. The error is the cause in Go's words, as Docker's users know them.
pub(crate) async fn dial(route: &Route<'_>) -> Result<Box<dyn Socket>, String> {
    match tokio::time::timeout(route.patience, connect(route)).await {
        Ok(connected) => connected,
        Err(_) => Err(match (&route.tls, route.proxy) {
            (_, Some(proxy)) => format!("proxyconnect tcp: dial tcp {}: i/o timeout", proxy.authority()),
            (Some(_), None) => "net/http: TLS handshake timeout".into(),
            (None, None) => format!("dial tcp {}: i/o timeout", route.to.authority()),
        }),
    }
}

async fn connect(route: &Route<'_>) -> Result<Box<dyn Socket>, String> {
    let first = route.proxy.unwrap_or(route.to);
    let stream = tcp(first, route.patience).await;
    let stream = stream.map_err(|why| if route.proxy.is_some() { format!("proxyconnect tcp: {why}") } else { why })?;
    let mut stream: Box<dyn Socket> = Box::new(stream);
    if let (Some(proxy), Some(tls)) = (route.proxy, &route.proxy_tls) {
        stream = shake(stream, proxy, tls).await?;
    }
    match (&route.tls, route.proxy) {
        (Some(tls), Some(proxy)) => {
            tunnel(&mut stream, route.to, proxy).await?;
            shake(stream, route.to, tls).await
        }
        (Some(tls), None) => shake(stream, route.to, tls).await,
        // plain HTTP through a proxy: the request itself names the host
        (None, _) => Ok(stream),
    }
}

/// Tries the addresses of a host, the next one a moment after the last.
async fn tcp(address: &Address, patience: Duration) -> Result<TcpStream, String> {
    let found = resolve::lookup(&address.host, patience).await.map_err(|why| format!("dial tcp: {why}"))?;
    let mut waiting = found.into_iter().map(|ip| SocketAddr::new(ip, address.port));
    let mut running: JoinSet<Result<TcpStream, String>> = JoinSet::new();
    let mut first_failure = None;
    loop {
        if let Some(to) = waiting.next() {
            running.spawn(async move {
                let stream = TcpStream::connect(to).await;
                stream.map_err(|e| format!("dial tcp {to}: connect: {}", reason(&e)))
            });
        } else if running.is_empty() {
            return Err(first_failure.unwrap_or_else(|| "no such host".into()));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(done) = running.join_next() => match done {
                Ok(Ok(stream)) => {
                    // small requests must not wait for the acknowledgement of earlier ones
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(why)) => first_failure = first_failure.or(Some(why)),
                Err(error) => first_failure = first_failure.or(Some(error.to_string())),
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
        // nothing is left to start: wait for those that run
        while waiting.len() == 0 && !running.is_empty() {
            match running.join_next().await {
                Some(Ok(Ok(stream))) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Some(Ok(Err(why))) => first_failure = first_failure.or(Some(why)),
                _ => {}
            }
        }
    }
}

async fn shake(stream: Box<dyn Socket>, to: &Address, tls: &Arc<ClientConfig>) -> Result<Box<dyn Socket>, String> {
    let name = ServerName::try_from(to.host.clone()).map_err(|_| format!("tls: invalid server name {}", to.host))?;
    match TlsConnector::from(tls.clone()).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(explain(&error, &to.host)),
    }
}

/// Asks a proxy for a tunnel.
async fn tunnel(stream: &mut Box<dyn Socket>, to: &Address, proxy: &Address) -> Result<(), String> {
    let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
    let mut head = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n", port = to.port);
    if let Some(login) = proxy_login(proxy) {
        head.push_str(&format!("Proxy-Authorization: {login}\r\n"));
    }
    head.push_str("\r\n");
    let failed = |e: io::Error| format!("proxyconnect tcp: {}", reason(&e));
    stream.write_all(head.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > PROXY_HEAD {
            return Err("proxyconnect tcp: the proxy's answer does not end".into());
        }
        // byte by byte: what follows belongs to TLS
        answer.push(stream.read_u8().await.map_err(failed)?);
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some(status) if status.starts_with('2') && status.len() == 3 => Ok(()),
        // Go says just the reason
        _ => Err(line.splitn(3, ' ').nth(2).unwrap_or("malformed HTTP response").to_owned()),
    }
}

/// `Proxy-Authorization` from `user:password@` of the proxy's address.
pub(crate) fn proxy_login(proxy: &Address) -> Option<String> {
    proxy.login.as_ref().map(|login| format!("Basic {}", STANDARD.encode(login)))
}
