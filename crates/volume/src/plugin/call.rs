//! One question to a plugin: HTTP/1.1 over a socket, a JSON document each way.

use std::io::{self, BufRead, BufReader, Read, Write};
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
/// Most bytes of a line of its head.
const LONGEST_LINE: u64 = 64 << 10;
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
        let (status, text) =
            exchange(stream, path, &body, Instant::now() + patience.answer).map_err(|error| match error.kind() {
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

/// Sends the question, reads the answer: its status and its content.
fn exchange(mut stream: Box<dyn Stream>, path: &str, body: &str, end: Instant) -> io::Result<(u16, Vec<u8>)> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: plugin\r\nUser-Agent: wharf\r\nAccept: {TYPE}\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    answer(BufReader::new(Bounded { stream, left: LARGEST, end }))
}

/// A stream that gives neither more bytes nor for longer than it should: a drop now and then is an answer that never comes.
struct Bounded<S> {
    stream: S,
    left: u64,
    end: Instant,
}

impl<S: Read> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = self.stream.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other("the answer is too large"))?;
        Ok(count)
    }
}

/// Reads an answer of HTTP/1 (RFC 9112), as far as it goes.
fn answer(mut input: impl BufRead) -> io::Result<(u16, Vec<u8>)> {
    let first = line(&mut input)?;
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(malformed)?;
    let (mut length, mut chunked) = (None, false);
    loop {
        let field = line(&mut input)?;
        if field.is_empty() {
            break;
        }
        let (name, value) = field.split_once(':').ok_or_else(malformed)?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse::<u64>().map_err(|_| malformed())?),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let mut content = Vec::new();
    match length {
        _ if chunked => while chunk(&mut input, &mut content)? {},
        Some(length) => exactly(&mut input, length, &mut content)?,
        None if status == 204 => {}
        None => drop(input.read_to_end(&mut content)?),
    }
    Ok((status, content))
}

/// Appends the next chunk; `false`: it was the last one.
fn chunk(input: &mut impl BufRead, content: &mut Vec<u8>) -> io::Result<bool> {
    let head = line(input)?;
    let size = head.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(size, 16).map_err(|_| malformed())?;
    exactly(input, size, content)?;
    // what may follow the last chunk is of no interest: nothing else comes on this connection
    Ok(size > 0 && line(input)?.is_empty())
}

fn exactly(input: &mut impl BufRead, length: u64, content: &mut Vec<u8>) -> io::Result<()> {
    match input.take(length).read_to_end(content)? as u64 == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A line without its end.
fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    input.take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    match bytes.strip_suffix(b"\n") {
        Some(line) => {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            String::from_utf8(line.to_vec()).map_err(|_| malformed())
        }
        None if bytes.len() as u64 == LONGEST_LINE => Err(malformed()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed HTTP response")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let check = |text: &str, expect: Result<(u16, &str), io::ErrorKind>| {
            let got = answer(text.as_bytes()).map_err(|error| error.kind());
            let got = got.map(|(status, body)| (status, String::from_utf8(body).expect("text")));
            assert_eq!(got, expect.map(|(status, body)| (status, body.to_owned())), "{text}");
        };
        let cut = Err(io::ErrorKind::UnexpectedEof);
        let bad = Err(io::ErrorKind::InvalidData);
        check("HTTP/1.1 200 OK\r\n", cut);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", cut);
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}x", Ok((200, "{}")));
        check("HTTP/1.0 500 No\r\n\r\noh", Ok((500, "oh")));
        check("HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "")));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{chunked}3\r\n{{\"a\r\n"), cut);
        check(&format!("{chunked}1\r\n{{\r\n1;x\r\n}}\r\n0\r\n\r\n"), Ok((200, "{}")));
        check(&format!("{chunked}zz\r\n"), bad);
        check(&format!("{chunked}ffffffffffffffff\r\n{{"), cut);
        check("SSH-2.0-x\r\n\r\n", bad);
        check("HTTP/1.1 x\r\n\r\n", bad);
        check(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)), bad);
    }

    #[test]
    fn answers_have_an_end() {
        let bounded = |left, end| BufReader::new(Bounded { stream: io::repeat(b'x'), left, end });
        let later = Instant::now() + Duration::from_secs(600);
        let mut all = Vec::new();
        assert_eq!(
            bounded(1 << 20, later).read_to_end(&mut all).expect_err("too large").to_string(),
            "the answer is too large"
        );
        assert_eq!(answer(bounded(1 << 20, Instant::now())).expect_err("too late").kind(), io::ErrorKind::TimedOut);
    }
}
