//! Answers: bodies that stream, and heads as the specification wants them.

use crate::server::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Bytes that are read from disk in one go.
const PIECE: usize = 512 << 10;

/// Body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    /// Pieces of a blob; an error breaks the connection, so that the client sees that something is missing.
    Pieces(mpsc::Receiver<io::Result<Bytes>>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Pieces(pieces) => pieces.poll_recv(cx).map(|piece| piece.map(|p| p.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

pub(crate) type Answer = Response<Body>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::Whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// Sets a header; a value that cannot be one is left out (none of ours can be that).
pub(crate) fn set(answer: &mut Answer, name: impl Into<HeaderName>, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        answer.headers_mut().insert(name.into(), value);
    }
}

/// Bytes of a media type.
pub(crate) fn bytes(media_type: &str, bytes: Vec<u8>) -> Answer {
    let mut answer = empty(StatusCode::OK);
    set(&mut answer, CONTENT_TYPE, media_type);
    set(&mut answer, CONTENT_LENGTH, bytes.len().to_string());
    *answer.body_mut() = Body::Whole(bytes.into());
    answer
}

/// A JSON document.
pub(crate) fn json(media_type: &str, value: &Value) -> Answer {
    bytes(media_type, value.to_string().into_bytes())
}

/// A refusal.
pub(crate) fn refusal(refusal: &Refusal) -> Answer {
    let mut answer = json("application/json; charset=utf-8", &refusal.body());
    *answer.status_mut() = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}

/// Streams `length` bytes of a file from `start` on: while one piece is sent the next one is read.
pub(crate) fn pieces(mut file: File, start: u64, length: u64) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut left = length;
        let mut seek = Some(start);
        while left > 0 {
            let want = left.min(PIECE as u64) as usize;
            let read = tokio::task::spawn_blocking(move || {
                let read = read_piece(&mut file, seek, want);
                (file, read)
            });
            let Ok((back, read)) = read.await else { return };
            (file, seek) = (back, None);
            left -= want as u64;
            let failed = read.is_err();
            if sender.send(read).await.is_err() || failed {
                return;
            }
        }
    });
    Body::Pieces(receiver)
}

fn read_piece(file: &mut File, seek: Option<u64>, want: usize) -> io::Result<Bytes> {
    if let Some(start) = seek {
        file.seek(SeekFrom::Start(start))?;
    }
    let mut piece = BytesMut::zeroed(want);
    file.read_exact(&mut piece)?;
    Ok(piece.freeze())
}
