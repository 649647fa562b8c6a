//! Bodies of answers: whole documents, documents that come later, and streams that are flushed item by item.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

/// Content type of a raw stream, and of a framed one before v1.42 and for clients that did not ask for an upgrade.
pub(crate) const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// Content type of a framed stream.
pub(crate) const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";

type Later = Pin<Box<dyn Future<Output = Bytes> + Send>>;
type Poller = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> + Send>;
type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Body of an answer.
pub(crate) enum Body {
    /// Nothing (more).
    Empty,
    /// All of it.
    Whole(Bytes),
    /// The head goes out at once, this when it is there; chunked.
    Later(Later),
    /// Chunks; hyper flushes whenever the next one is not there yet. The signal ends the stream early.
    Stream(Poller, Option<Signal>),
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::Whole(bytes)
    }
}

impl Body {
    /// One chunk per item of a channel; dropping the body drops the receiver, which ends the producer.
    pub(crate) fn items<T: Send + 'static>(
        mut items: mpsc::Receiver<T>,
        mut chunk: impl FnMut(T) -> io::Result<Bytes> + Send + 'static,
    ) -> Body {
        Body::Stream(Box::new(move |cx| items.poll_recv(cx).map(|item| item.map(&mut chunk))), None)
    }

    /// Ends the stream when `signal` does: the client has gone, and nothing would be written for a long time to notice.
    pub(crate) fn until(self, signal: impl Future<Output = ()> + Send + 'static) -> Body {
        match self {
            Body::Stream(poller, _) => Body::Stream(poller, Some(Box::pin(signal))),
            other => other,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Body::Empty => Poll::Ready(None),
            Body::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Body::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Body::Later(later) => {
                let bytes = std::task::ready!(later.as_mut().poll(cx));
                *self = Body::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Body::Stream(poller, signal) => match poller(cx) {
                Poll::Ready(Some(chunk)) => Poll::Ready(Some(chunk.map(Frame::data))),
                Poll::Ready(None) => {
                    *self = Body::Empty;
                    Poll::Ready(None)
                }
                Poll::Pending => {
                    if let Some(signal) = signal {
                        std::task::ready!(signal.as_mut().poll(cx));
                        *self = Body::Empty;
                        return Poll::Ready(None);
                    }
                    Poll::Pending
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Later(_) | Body::Stream(..) => SizeHint::default(),
        }
    }
}

/// One line of JSON; Go's encoder ends documents with a newline.
pub(crate) fn line(document: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    // our documents are plain data: maps with string keys, no floats that are not numbers
    serde_json::to_writer(&mut bytes, document).expect("plain data always serialises");
    bytes.push(b'\n');
    bytes.into()
}

/// An answer that is one document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Response<Body> {
    typed(status, "application/json", line(document).into())
}

/// An answer with a content type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer without body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}
