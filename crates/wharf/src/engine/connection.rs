//! HTTP/1.1 on one stream: requests out, responses in.

use std::io::{self, Read, Write};

use super::{Error, Stream};

/// A response's head may not be longer than this.
const MAX_HEAD: usize = 256 << 10;
const CHUNK: usize = 32 << 10;

/// A stream with what was read from it but not used yet.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    at: usize,
}

/// Status line and headers (names in lower case).
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// `200 OK`
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The header called `name` (in lower case).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|value| value.to_ascii_lowercase().contains(word))
    }
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    /// What is left of the current chunk; `None` before the first.
    Chunked(Option<u64>),
    UntilClose,
    Done,
}

/// A response's body, read as it comes.
#[derive(Debug)]
pub(crate) struct Body {
    connection: Connection,
    framing: Framing,
    keep: bool,
}

/// Writes a request's body.
pub(crate) type BodyWriter<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'a;

/// A chunked body on its way: small pieces are gathered, large ones go out without a copy.
struct Chunks<'a> {
    stream: &'a mut Stream,
    gathered: Vec<u8>,
}

impl Chunks<'_> {
    fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        write!(self.stream, "{:x}\r\n", piece.len())?;
        self.stream.write_all(piece)?;
        self.stream.write_all(b"\r\n")
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.len() + bytes.len() > CHUNK {
            self.flush()?;
        }
        if bytes.len() >= CHUNK {
            self.send(bytes)?;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            let piece = std::mem::take(&mut self.gathered);
            self.send(&piece)?;
            self.gathered = piece;
            self.gathered.clear();
        }
        Ok(())
    }
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new(), at: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Copies `source` as a chunked request body.
    pub(crate) fn write_chunked(&mut self, source: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match source.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut chunk = format!("{count:x}\r\n").into_bytes();
            chunk.extend_from_slice(&buffer[..count]);
            chunk.extend_from_slice(b"\r\n");
            self.stream.write_all(&chunk)?;
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Sends what `write` writes as a chunked request body. When it fails the body has no end, and the engine sees that.
    pub(crate) fn write_body(&mut self, write: &mut BodyWriter<'_>) -> io::Result<()> {
        let mut chunks = Chunks { stream: &mut self.stream, gathered: Vec::with_capacity(CHUNK) };
        write(&mut chunks)?;
        chunks.flush()?;
        self.stream.write_all(b"0\r\n\r\n")
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
        let used = self.buffer.len();
        self.buffer.resize(used + CHUNK, 0);
        loop {
            match self.stream.read(&mut self.buffer[used..]) {
                Ok(count) => {
                    self.buffer.truncate(used + count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.truncate(used);
                    return Err(error);
                }
            }
        }
    }

    /// One line without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut searched = self.at;
        loop {
            if let Some(offset) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + offset;
                let line = String::from_utf8_lossy(&self.buffer[self.at..end]).trim_end_matches('\r').to_owned();
                self.at = end + 1;
                return Ok(line);
            }
            if self.buffer.len() - self.at > MAX_HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "response header too long"));
            }
            let pending = self.buffer.len() - self.at;
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // fill() may have moved an empty buffer back to its start
            searched = self.at + pending;
        }
    }

    /// The next response's head; interim answers (1xx) other than 101 are skipped.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        loop {
            let first = self.line()?;
            let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("malformed HTTP response {first:?}"));
            let line = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..)).ok_or_else(bad)?;
            let status: u16 = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
            let mut headers = Vec::new();
            let mut size = 0;
            loop {
                let text = self.line()?;
                size += text.len();
                if size > MAX_HEAD {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "response headers too long"));
                }
                if text.is_empty() {
                    break;
                }
                if let Some((name, value)) = text.split_once(':') {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
            if status >= 200 || status == 101 {
                return Ok(Head { status, line: line.to_owned(), headers });
            }
        }
    }

    /// The body that follows `head`.
    pub(crate) fn body(self, head: &Head, no_body: bool) -> Result<Body, Error> {
        let framing = if no_body || matches!(head.status, 204 | 304) {
            Framing::Done
        } else if head.has("transfer-encoding", "chunked") {
            Framing::Chunked(None)
        } else if let Some(length) = head.get("content-length") {
            match length.parse() {
                Ok(0) => Framing::Done,
                Ok(length) => Framing::Length(length),
                Err(_) => return Err(Error::Protocol(format!("bad Content-Length {length:?}"))),
            }
        } else {
            Framing::UntilClose
        };
        let keep = !head.has("connection", "close") && framing != Framing::UntilClose;
        Ok(Body { connection: self, framing, keep })
    }

    /// The raw stream and the bytes that were already read from it (a hijacked connection).
    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.buffer[self.at..].to_vec())
    }
}

impl Body {
    /// Reads everything; the connection comes back when it can be used again.
    pub(crate) fn collect(mut self) -> io::Result<(Vec<u8>, Option<Connection>)> {
        let mut bytes = Vec::new();
        if let Framing::Length(length) = self.framing {
            bytes.reserve(usize::try_from(length).unwrap_or(0).min(16 << 20));
        }
        self.read_to_end(&mut bytes)?;
        let done = self.framing == Framing::Done && self.keep;
        Ok((bytes, done.then_some(self.connection)))
    }

    fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.connection.at == self.connection.buffer.len() {
            // nothing is left over: much goes where it is wanted without a copy
            if into.len() >= CHUNK {
                return self.connection.stream.read(into);
            }
            if self.connection.fill()? == 0 {
                return Ok(0);
            }
        }
        let ready = &self.connection.buffer[self.connection.at..];
        let count = ready.len().min(into.len());
        into[..count].copy_from_slice(&ready[..count]);
        self.connection.at += count;
        Ok(count)
    }

    fn next_chunk(&mut self, first: bool) -> io::Result<()> {
        if !first {
            self.connection.line()?;
        }
        let line = self.connection.line()?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("bad chunk size {digits:?}")))?;
        if size == 0 {
            while !self.connection.line()?.is_empty() {}
            self.framing = Framing::Done;
        } else {
            self.framing = Framing::Chunked(Some(size));
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.framing {
                Framing::Done => return Ok(0),
                Framing::UntilClose => return self.take(into),
                Framing::Length(left) => {
                    let limit = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
                    let count = self.take(&mut into[..limit])?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    let left = left - count as u64;
                    self.framing = if left == 0 { Framing::Done } else { Framing::Length(left) };
                    return Ok(count);
                }
                Framing::Chunked(None) => self.next_chunk(true)?,
                Framing::Chunked(Some(0)) => self.next_chunk(false)?,
                Framing::Chunked(Some(left)) => {
                    let limit = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
                    let count = self.take(&mut into[..limit])?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    let left = left - count as u64;
                    self.framing = Framing::Chunked(Some(left));
                    if left == 0 && self.connection.buffer[self.connection.at..].starts_with(b"\r\n0\r\n\r\n") {
                        // the end is already here: do not wait for another call to find it
                        self.connection.at += 7;
                        self.framing = Framing::Done;
                    }
                    return Ok(count);
                }
            }
        }
    }
}
