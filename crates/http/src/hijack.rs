//! Sockets that leave HTTP: the head that precedes the raw stream, and what becomes of the socket.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::pin::Pin;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::UPGRADE;

use crate::body::{MULTIPLEXED_STREAM, RAW_STREAM};
use crate::version::{ApiVersion, MULTIPLEXED_TYPE_SINCE};

type Run = Box<dyn FnOnce(OwnedFd, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A request that takes its socket out of HTTP.
pub(crate) struct Hijack {
    /// Status line and headers, written as they are.
    pub(crate) head: Bytes,
    run: Run,
}

impl Hijack {
    /// `run` gets the socket and the bytes that the client sent behind its request.
    pub(crate) fn new<F>(head: String, run: impl FnOnce(OwnedFd, Bytes) -> F + Send + 'static) -> Hijack
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Hijack { head: head.into(), run: Box::new(move |fd, early| Box::pin(run(fd, early))) }
    }

    pub(crate) async fn run(self, socket: OwnedFd, early: Bytes) {
        (self.run)(socket, early).await;
    }
}

/// The head that Docker writes: 101 when the client asked for an upgrade, else 200; `extra` are header lines.
pub(crate) fn head(headers: &HeaderMap, version: ApiVersion, tty: bool, extra: &str) -> String {
    let mut head = String::with_capacity(256);
    // writing to a string cannot fail
    let _ = if headers.contains_key(UPGRADE) {
        write!(
            head,
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: {}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n{extra}\r\n",
            stream_type(version, tty)
        )
    } else {
        write!(head, "HTTP/1.1 200 OK\r\nContent-Type: {RAW_STREAM}\r\n{extra}\r\n")
    };
    head
}

/// What a stream of a container with or without a terminal is called.
pub(crate) fn stream_type(version: ApiVersion, tty: bool) -> &'static str {
    if !tty && version >= MULTIPLEXED_TYPE_SINCE { MULTIPLEXED_STREAM } else { RAW_STREAM }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::MAXIMUM;

    #[test]
    fn heads_are_dockers() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            head(&headers, MAXIMUM, false, ""),
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        );
        headers.insert(UPGRADE, "tcp".parse().expect("a header"));
        assert_eq!(
            head(&headers, MAXIMUM, false, ""),
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        );
        assert!(head(&headers, MAXIMUM, true, "").contains(RAW_STREAM));
        assert!(head(&headers, ApiVersion::new(1, 41), false, "").contains(RAW_STREAM));
    }
}
