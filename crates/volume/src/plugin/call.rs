//! One question to a plugin: HTTP/1.1 over a socket, a JSON document each way.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use wharf_tls::Client;

use crate::{Error, Result};

/// The type of every document.
const TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// Most bytes of an answer: a list of a hundred thousand volumes.
const LARGEST: u64 = 32 << 20;
/// First pause before connecting again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Where a plugin listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `host:port`
    Tcp(String),
    /// The same, inside of TLS.
    Tls {
        /// `host:port`
        place: String,
        /// What is verified, and what is shown.
        files: Client,
    },
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For an answer.
    pub(super) answer: Duration,
    /// For somebody to listen.
    pub(super) connect: Duration,
}

trait Stream: Read + Write {}
impl Stream for UnixStream {}
impl Stream for TcpStream {}
impl Stream for StreamOwned<ClientConnection, TcpStream> {}

impl Endpoint {
    /// `unix:///path`, `tcp://host:port` or `https://host[:port]`, where `files` count.
    pub(super) fn parse(address: &str, files: Client) -> Result<Endpoint, String> {
        if let Some(path) = address.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            return Ok(Endpoint::Unix(path.into()));
        }
        // a path behind the place is ignored, as Docker does
        let place = |rest: &str| rest.split('/').next().filter(|place| !place.is_empty()).map(str::to_owned);
        if let Some(place) = address.strip_prefix("https://").and_then(place) {
            let with_port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            return Ok(Endpoint::Tls { place: if with_port { place } else { format!("{place}:443") }, files });
        }
        match address.strip_prefix("tcp://").or_else(|| address.strip_prefix("http://")).and_then(place) {
            Some(place) => Ok(Endpoint::Tcp(place)),
            None => Err(format!(
                "invalid plugin address {address:?}: use unix:///path, tcp://host:port or https://host:port"
            )),
        }
    }

    fn connect(&self, patience: Duration) -> io::Result<Box<dyn Stream>> {
        match self {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Ok(Box::new(stream))
            }
            Endpoint::Tcp(place) => Ok(Box::new(dial(place, patience)?)),
            Endpoint::Tls { place, files } => {
                let config = files.load().map_err(io::Error::other)?;
                let host = place.rsplit_once(':').map_or(place.as_str(), |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
                Ok(Box::new(StreamOwned::new(session, dial(place, patience)?)))
            }
        }
    }

    /// Asks and waits. A plugin that nobody listens for yet is tried again; a question that was heard is not repeated.
    pub(super) fn call(&self, path: &str, body: &Value, patience: Patience) -> Result<Value> {
        let method = path.trim_start_matches('/');
        let failed = |why: &dyn std::fmt::Display| Error::Plugin(format!("Post {path:?} of {self}: {why}"));
        let end = Instant::now() + patience.connect;
        let mut pause = FIRST_PAUSE;
        let stream = loop {
            match self.connect(patience.answer) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() + pause >= end => return Err(failed(&error)),
                Err(_) => wait(pause),
            }
            pause *= 2;
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = exchange(stream, path, &body).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                failed(&format_args!("no answer within {} seconds", patience.answer.as_secs()))
            }
            _ => failed(&error),
        })?;
        let document: Value = serde_json::from_slice(&text).unwrap_or_default();
        match document["Err"].as_str() {
            Some(why) if !why.is_empty() => Err(Error::Plugin(format!("{method}: {why}"))),
            _ if status == 200 => Ok(document),
            _ => {
                let why = String::from_utf8_lossy(&text);
                Err(Error::Plugin(format!("{method}: status {status}: {}", why.trim())))
            }
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp(place) => write!(f, "tcp://{place}"),
            Endpoint::Tls { place, .. } => write!(f, "https://{place}"),
        }
    }
}

fn dial(place: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::other(format!("no address of {place}"));
    for address in place.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when a program begins to listen")]
fn wait(pause: Duration) {
    std::thread::sleep(pause);
}

fn exchange(mut stream: Box<dyn Stream>, path: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: plugin\r\nUser-Agent: wharf\r\nAccept: {TYPE}\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        if let Some(answer) = parse(&bytes, false)? {
            return Ok(answer);
        }
        let count = match stream.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if count == 0 {
            return parse(&bytes, true)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other("the answer is too large"));
        }
    }
}

/// The answer in `bytes`; `None`: there is more to come.
fn parse(bytes: &[u8], ended: bool) -> io::Result<Option<(u16, Vec<u8>)>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "malformed HTTP response");
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong())?;
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let first = lines.next().filter(|line| line.starts_with("HTTP/1.")).ok_or_else(wrong)?;
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let field = |name: &str| {
        let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    if field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(unchunk(body).ok_or_else(wrong)?.map(|body| (status, body)));
    }
    match field("content-length") {
        Some(length) => {
            let length: usize = length.parse().map_err(|_| wrong())?;
            Ok((body.len() >= length).then(|| (status, body[..length.min(body.len())].to_vec())))
        }
        None if status == 204 => Ok(Some((status, Vec::new()))),
        None => Ok(ended.then(|| (status, body.to_vec()))),
    }
}

/// The content of chunks; `Some(None)`: the last one is not there yet; `None`: they are no chunks.
fn unchunk(mut bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut content = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Some(None) };
        let size = std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|size| (*size as u64) <= LARGEST)?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Some(Some(content));
        }
        if bytes.len() < size + 2 {
            return Some(None);
        }
        content.extend_from_slice(&bytes[..size]);
        bytes = &bytes[size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let check = |text: &str, ended: bool, expect: Option<(u16, &str)>| {
            let got = parse(text.as_bytes(), ended).expect("an answer");
            let got = got.map(|(status, body)| (status, String::from_utf8(body).expect("text")));
            assert_eq!(got, expect.map(|(status, body)| (status, body.to_owned())), "{text}");
        };
        check("HTTP/1.1 200 OK\r\n", false, None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", false, None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}x", false, Some((200, "{}")));
        check("HTTP/1.0 500 No\r\n\r\noh", false, None);
        check("HTTP/1.0 500 No\r\n\r\noh", true, Some((500, "oh")));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n", false, None);
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x\r\n}\r\n0\r\n\r\n",
            false,
            Some((200, "{}")),
        );
        for bad in
            ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
        {
            assert!(parse(bad.as_bytes(), true).is_err(), "{bad}");
        }
    }
}
