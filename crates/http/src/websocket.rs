//! WebSocket framing (RFC 6455), as much as `attach/ws` needs.
//!
//! ```text
//!   client ── frames ──► relay ── raw bytes ──► socket pair ──► keeper
//!          ◄─ binary ──        ◄─ stdcopy / raw ──
//! ```
//! A browser cannot read Docker's stdcopy frames, so their headers are taken off, as Docker does.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use base64::Engine as _;
use bytes::{Buf, Bytes, BytesMut};
use hyper::header::{CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::failure::Failure;

/// Section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Largest frame from a client, in bytes: keystrokes and pastes.
const MAX_FRAME: u64 = 1024 * 1024;
/// Bytes moved at once.
const CHUNK: usize = 32 * 1024;

/// Checks the opening handshake (section 4.2) and gives the head of the answer.
pub(crate) fn handshake(headers: &HeaderMap) -> Result<String, Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lists = |name, word: &str| text(name).split(',').any(|item| item.trim().eq_ignore_ascii_case(word));
    let key = text(SEC_WEBSOCKET_KEY);
    if !lists(UPGRADE, "websocket") || !lists(CONNECTION, "upgrade") || key.is_empty() {
        return Err(Failure::bad("not a websocket handshake"));
    }
    if text(SEC_WEBSOCKET_VERSION) != "13" {
        return Err(Failure::bad("unsupported websocket version"));
    }
    // a page of another site must not reach a terminal through its visitor's browser
    let origin = text(ORIGIN);
    if !origin.is_empty() && origin.split_once("://").map(|(_, host)| host) != Some(text(HOST)) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "websocket from a foreign origin"));
    }
    let accept = base64::engine::general_purpose::STANDARD.encode(sha1(format!("{key}{GUID}").as_bytes()));
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// The socket for the engine and the work that translates between it and the client's.
pub(crate) fn relay(
    client: OwnedFd,
    early: Bytes,
    tty: bool,
) -> io::Result<(OwnedFd, impl Future<Output = io::Result<()>> + Send)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    // reads and writes of a TCP socket are the same calls
    let client = UnixStream::from_std(StdUnixStream::from(client))?;
    let inner = UnixStream::from_std(ours)?;
    Ok((theirs.into(), translate(client, inner, BytesMut::from(&early[..]), tty)))
}

async fn translate(mut client: UnixStream, mut inner: UnixStream, mut incoming: BytesMut, tty: bool) -> io::Result<()> {
    let mut outgoing = BytesMut::with_capacity(CHUNK);
    let mut unframe = (!tty).then(Unframe::default);
    loop {
        while let Some(frame) = next_frame(&mut incoming)? {
            match frame {
                Frame::Data(data) => inner.write_all(&data).await?,
                Frame::Ping(data) => client.write_all(&encode(0xa, &data)).await?,
                Frame::Pong => {}
                Frame::Close => return client.write_all(&encode(0x8, &[])).await,
            }
        }
        tokio::select! {
            read = client.read_buf(&mut incoming) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            read = inner.read_buf(&mut outgoing) => {
                if read? == 0 {
                    return client.write_all(&encode(0x8, &[])).await;
                }
                let data = outgoing.split();
                let payload = match &mut unframe {
                    Some(unframe) => unframe.payload(&data),
                    None => data.to_vec(),
                };
                if !payload.is_empty() {
                    client.write_all(&encode(0x2, &payload)).await?;
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Data(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// Takes one frame (section 5.2) from the buffer; `None`: it is not complete.
fn next_frame(buffer: &mut BytesMut) -> io::Result<Option<Frame>> {
    let broken = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, format!("websocket frame {what}")));
    let [first, second, ..] = buffer[..] else { return Ok(None) };
    if second & 0x80 == 0 {
        return broken("without mask");
    }
    let (length, head) = match second & 0x7f {
        126 => match buffer.get(2..4) {
            Some(bytes) => (u64::from(u16::from_be_bytes([bytes[0], bytes[1]])), 4),
            None => return Ok(None),
        },
        127 => match buffer.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => (u64::from_be_bytes(bytes), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    if length > MAX_FRAME {
        return broken("too large");
    }
    // at most MAX_FRAME
    let length = length as usize;
    if buffer.len() < head + 4 + length {
        return Ok(None);
    }
    let mask: [u8; 4] = buffer[head..head + 4].try_into().expect("four bytes");
    buffer.advance(head + 4);
    let mut payload = buffer.split_to(length).to_vec();
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    match first & 0x0f {
        0x0..=0x2 => Ok(Some(Frame::Data(payload))),
        0x8 => Ok(Some(Frame::Close)),
        0x9 => Ok(Some(Frame::Ping(payload))),
        0xa => Ok(Some(Frame::Pong)),
        _ => broken("of an unknown kind"),
    }
}

/// One whole frame of a server: not masked.
fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Takes the eight-byte headers out of a stdcopy stream, wherever reads cut it.
#[derive(Debug, Default)]
struct Unframe {
    header: Vec<u8>,
    left: usize,
}

impl Unframe {
    fn payload(&mut self, mut data: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(data.len());
        while !data.is_empty() {
            if self.left > 0 {
                let (now, rest) = data.split_at(self.left.min(data.len()));
                payload.extend_from_slice(now);
                self.left -= now.len();
                data = rest;
                continue;
            }
            let (now, rest) = data.split_at((8 - self.header.len()).min(data.len()));
            self.header.extend_from_slice(now);
            data = rest;
            if let [_, _, _, _, a, b, c, d] = self.header[..] {
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.header.clear();
            }
        }
        payload
    }
}

/// SHA-1 (RFC 3174), which the handshake prescribes; nothing secret depends on it.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (f, k) = match i {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(value);
        }
    }
    let mut digest = [0; 20];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(extra: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("host", "d"),
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(extra) {
            headers.insert(*name, value.parse().expect("a header"));
        }
        headers
    }

    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = encode(opcode, &[]);
        frame[1] = 0x80 | payload.len() as u8;
        frame.extend_from_slice(&[1, 2, 3, 4]);
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn the_example_of_the_rfc() {
        let head = handshake(&headers(&[])).expect("a good handshake");
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    }

    #[test]
    fn bad_handshakes() {
        assert!(handshake(&headers(&[("upgrade", "tcp")])).is_err());
        assert!(handshake(&headers(&[("sec-websocket-version", "8")])).is_err());
        assert!(handshake(&headers(&[("origin", "http://evil.example")])).is_err());
        assert!(handshake(&headers(&[("origin", "http://d")])).is_ok());
    }

    #[test]
    fn frames() {
        let whole = masked(1, b"hello");
        for cut in 0..whole.len() {
            assert_eq!(next_frame(&mut BytesMut::from(&whole[..cut])).expect("incomplete"), None, "{cut}");
        }
        assert_eq!(
            next_frame(&mut BytesMut::from(&whole[..])).expect("complete"),
            Some(Frame::Data(b"hello".to_vec()))
        );
        assert!(next_frame(&mut BytesMut::from(&encode(1, b"x")[..])).is_err(), "not masked");
        assert!(next_frame(&mut BytesMut::from(&[0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0][..])).is_err(), "too large");
    }

    #[test]
    fn stdcopy_headers_vanish_wherever_the_stream_is_cut() {
        let stream = b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x02de\x01\0\0\0\0\0\0\0";
        for cut in 0..stream.len() {
            let mut unframe = Unframe::default();
            let mut payload = unframe.payload(&stream[..cut]);
            payload.extend(unframe.payload(&stream[cut..]));
            assert_eq!(payload, b"abcde", "{cut}");
        }
    }

    #[tokio::test]
    async fn both_directions() {
        let (client, server) = StdUnixStream::pair().expect("a pair");
        server.set_nonblocking(true).expect("non-blocking");
        client.set_nonblocking(true).expect("non-blocking");
        let early = Bytes::from(masked(1, b"early "));
        let (engine, work) = relay(server.into(), early, false).expect("a relay");
        let work = tokio::spawn(work);
        let mut client = UnixStream::from_std(client).expect("a socket");
        let mut engine = UnixStream::from_std(StdUnixStream::from(engine)).expect("a socket");
        client.write_all(&masked(2, b"late")).await.expect("send");
        let mut got = [0; 10];
        engine.read_exact(&mut got).await.expect("receive");
        assert_eq!(&got, b"early late");
        engine.write_all(b"\x01\0\0\0\0\0\0\x02hi").await.expect("send");
        drop(engine);
        let mut frames = Vec::new();
        client.read_to_end(&mut frames).await.expect("receive");
        assert_eq!(frames, b"\x82\x02hi\x88\0");
        work.await.expect("no panic").expect("a clean end");
    }
}
