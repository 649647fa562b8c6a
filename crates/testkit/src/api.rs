//! A plain HTTP/1.1 client over a unix socket, blunt enough to send what a real client never would.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The API of one daemon.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
}

/// One answer, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body with its transfer coding removed.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Docker's error sentence, or the body as text.
    pub fn message(&self) -> String {
        match self.json().get("message").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl Api {
    /// The API behind a unix socket.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// A connection of one's own, for hijacked streams and malformed requests.
    pub fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// Sends a request without a body.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, None, &[])
    }

    /// Sends a request with a JSON body ([`Value::Null`] sends none).
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Value) -> Response {
        match body {
            Value::Null => self.send(method, path, None, &[]),
            body => self.send(method, path, Some("application/json"), body.to_string().as_bytes()),
        }
    }

    /// Sends any bytes as the body.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Response {
        self.try_send(method, path, content_type, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// As [`Api::send`], for a daemon that may be gone.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> std::io::Result<Response> {
        let mut stream = self.connect()?;
        let kind = content_type.map(|t| format!("Content-Type: {t}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        // an answer may come before the whole body was taken (a refusal): what it says counts
        let _ = stream.write_all(body);
        read_response(stream)
    }
}

/// Reads one response to its end.
pub fn read_response(stream: impl Read) -> std::io::Result<Response> {
    let mut reader = BufReader::new(stream);
    let mut response = head(&mut reader)?;
    let header = |name: &str| response.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut body = Vec::new();
    if header("transfer-encoding") == Some("chunked") {
        read_chunks(&mut reader, &mut body)?;
    } else if let Some(length) = header("content-length").and_then(|v| v.parse().ok()) {
        reader.take(length).read_to_end(&mut body)?;
    } else if response.status != 204 && response.status != 304 {
        reader.read_to_end(&mut body)?;
    }
    response.body = body;
    Ok(response)
}

/// Reads the head of a response: all there is of an answer to HEAD.
pub(crate) fn read_head(stream: impl Read) -> std::io::Result<Response> {
    head(&mut BufReader::new(stream))
}

fn head(reader: &mut impl BufRead) -> std::io::Result<Response> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| std::io::Error::other(format!("no status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Ok(Response { status, headers, body: Vec::new() })
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let Ok(size) = u64::from_str_radix(size.trim(), 16) else { return Ok(()) };
        let taken = reader.by_ref().take(size).read_to_end(body)?;
        let mut end = [0; 2];
        if size == 0 || (taken as u64) < size || reader.read_exact(&mut end).is_err() {
            return Ok(());
        }
    }
}
