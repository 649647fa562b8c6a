//! The first line of a connection, as people type it.
//!
//! Everybody writes filters into addresses as they are: `curl -g '…/containers/json?filters={"status":["exited"]}'`. RFC 3986 section 2
//! wants quotation marks and angle brackets percent-encoded; Docker takes them all the same, hyper does not. Programs encode, people
//! make one request a connection: so only the first line is looked at, and what comes behind it costs nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose first line has its quotation marks and angle brackets encoded.
pub(crate) struct RequestLine<S> {
    socket: S,
    /// Encoded, and not read yet.
    waiting: BytesMut,
    ended: bool,
}

impl<S> RequestLine<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, waiting: BytesMut::new(), ended: false }
    }

    /// The socket, and what was taken from it and not read.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.socket, self.waiting.freeze())
    }
}

fn encode(line: &[u8], to: &mut BytesMut) {
    for byte in line {
        match byte {
            b'"' => to.extend_from_slice(b"%22"),
            b'<' => to.extend_from_slice(b"%3C"),
            b'>' => to.extend_from_slice(b"%3E"),
            other => to.extend_from_slice(&[*other]),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestLine<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            let start = buf.filled().len();
            ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let new = &buf.filled()[start..];
            let end = new.iter().position(|byte| *byte == b'\n');
            let (line, rest) = new.split_at(end.unwrap_or(new.len()));
            self.ended = end.is_some();
            if !line.iter().any(|byte| matches!(byte, b'"' | b'<' | b'>')) {
                return Poll::Ready(Ok(()));
            }
            let mut waiting = BytesMut::with_capacity(new.len() * 2);
            encode(line, &mut waiting);
            waiting.extend_from_slice(rest);
            self.waiting = waiting;
            buf.set_filled(start);
        }
        let now = self.waiting.len().min(buf.remaining());
        buf.put_slice(&self.waiting[..now]);
        self.waiting.advance(now);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestLine<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn only_the_first_line_is_encoded() {
        let typed = "GET /x?a={\"b\":[\"<c>\"]} HTTP/1.1\r\nX: \"y\"\r\n\r\n\"body\"\n";
        let wanted = "GET /x?a={%22b%22:[%22%3Cc%3E%22]} HTTP/1.1\r\nX: \"y\"\r\n\r\n\"body\"\n";
        for (pieces, room) in [(1, 1), (3, 2), (7, 1), (7, 4096), (4096, 5), (4096, 4096)] {
            let (mut client, server) = tokio::io::duplex(pieces);
            let sent = tokio::spawn(async move { client.write_all(typed.as_bytes()).await });
            let mut line = RequestLine::new(server);
            let mut all = Vec::new();
            loop {
                let mut buffer = vec![0; room];
                let n = line.read(&mut buffer).await.expect("read");
                all.extend_from_slice(&buffer[..n]);
                if n == 0 {
                    break;
                }
            }
            sent.await.expect("a task").expect("written");
            assert_eq!(String::from_utf8(all).expect("text"), wanted, "{pieces} {room}");
        }
    }
}
