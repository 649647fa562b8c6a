//! Bodies of requests: JSON documents with a limit and Docker's refusals, and byte streams for the engine.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use wharf_api::go::GoValue;
use wharf_engine::{ByteFeed, ByteSource};

use crate::connection::Peer;
use crate::failure::Failure;
use crate::syntax;

/// Largest JSON document, in bytes: thousands of times a usual declaration.
const LIMIT: usize = 4 * 1024 * 1024;

/// What is read of a body that nobody wants any more, in bytes: enough for what is on its way when the answer comes.
const DRAIN: usize = 16 * 1024 * 1024;

/// Small frames are sent on together when they are this many bytes.
const GATHER: usize = 64 * 1024;
/// A frame of this many bytes is sent on as it is, without a copy.
const LARGE: usize = 16 * 1024;

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn whole(body: Unread, limit: usize) -> Result<Bytes, Failure> {
    let mut body = body.take();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::bad(format!("invalid JSON: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            tokio::spawn(drain(body));
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large"));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Reads what a hijacking request may have as its body, so that the socket holds only what comes behind it.
pub(crate) async fn skip(body: Unread) -> Result<(), Failure> {
    whole(body, LIMIT).await.map(drop)
}

/// Reads a JSON document; an absent one is refused.
pub(crate) async fn document<T: DeserializeOwned + GoValue>(headers: &HeaderMap, body: Unread) -> Result<T, Failure> {
    let bytes = whole(body, LIMIT).await?;
    content_type(headers, &bytes)?;
    decode(&bytes)
}

/// Reads a JSON document; an absent one is the zero value, as it is for Docker everywhere but at `create`.
pub(crate) async fn optional<T: DeserializeOwned + GoValue>(headers: &HeaderMap, body: Unread) -> Result<T, Failure> {
    let bytes = whole(body, LIMIT).await?;
    content_type(headers, &bytes)?;
    if bytes.is_empty() { Ok(T::default()) } else { decode(&bytes) }
}

fn content_type(headers: &HeaderMap, bytes: &[u8]) -> Result<(), Failure> {
    let given = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    if given.is_empty() && bytes.is_empty() {
        return Ok(());
    }
    let kind = given.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::bad(if kind.is_empty() {
        "malformed Content-Type header (): mime: no media type".to_owned()
    } else {
        format!("unsupported Content-Type header ({kind}): must be 'application/json'")
    }))
}

fn decode<T: DeserializeOwned + GoValue>(bytes: &[u8]) -> Result<T, Failure> {
    // broken UTF-8 and lone surrogates are replaced, as Go does
    let text = String::from_utf8_lossy(bytes);
    let error = match serde_json::from_str(&text) {
        Ok(document) => return Ok(document),
        Err(error) => error,
    };
    if let Some(mended) = syntax::without_lone_surrogates(&text)
        && let Ok(document) = serde_json::from_str(&mended)
    {
        return Ok(document);
    }
    Err(Failure::bad(refusal::<T>(&text, &error)))
}

/// Why Docker would refuse the document: first its syntax, then the first value of a wrong type.
fn refusal<T: GoValue>(text: &str, error: &serde_json::Error) -> String {
    match syntax::check(text.as_bytes()) {
        Err(syntax::Error::Empty) => "invalid JSON: got EOF while reading request body".into(),
        Err(syntax::Error::Trailing) => "unexpected content after JSON".into(),
        Err(syntax::Error::Wrong(sentence)) => format!("invalid JSON: {sentence}"),
        Ok(()) => match serde_json::from_str(text).map(|value| T::check(&value, &mut String::new())) {
            Ok(Err(wrong)) => format!("invalid JSON: {wrong}"),
            Ok(Ok(())) | Err(_) => format!("invalid JSON: {error}"),
        },
    }
}

/// Feeds the body to a blocking reader of the engine; the feed's end is the body's end.
pub(crate) fn source(body: Unread) -> ByteSource {
    let mut body = body.take();
    let (feed, source) = ByteSource::channel();
    tokio::spawn(async move {
        pump(&mut body, feed).await;
        drain(body).await;
    });
    source
}

/// Does `work` with a reader of the body; a thread of its own reads the socket meanwhile.
pub(crate) async fn upload<F: Future>(peer: &Peer, body: Unread, work: impl FnOnce(ByteSource) -> F) -> F::Output {
    let mut body = body.take();
    let (feed, source) = ByteSource::channel();
    let mut work = pin!(work(source));
    let done = async {
        tokio::select! {
            done = &mut work => done,
            () = pump(&mut body, feed) => work.await,
        }
    };
    let done = peer.alone(done).await;
    tokio::spawn(drain(body));
    done
}

/// Sends on what is there; small frames are gathered until the socket has no more.
async fn pump(body: &mut Incoming, feed: ByteFeed) {
    let mut gathered = BytesMut::new();
    loop {
        match next(body, !gathered.is_empty()).await {
            Next::Frame(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if data.is_empty() {
                    continue;
                }
                if data.len() < LARGE {
                    gathered.extend_from_slice(&data);
                }
                if gathered.len() >= GATHER || data.len() >= LARGE {
                    if !gathered.is_empty() && feed.send(Ok(gathered.split().freeze())).await.is_err() {
                        return;
                    }
                    if data.len() >= LARGE && feed.send(Ok(data)).await.is_err() {
                        return;
                    }
                }
            }
            Next::Frame(Err(error)) => {
                let _ = feed.send(Err(std::io::Error::other(error))).await;
                return;
            }
            Next::NotYet => {
                if feed.send(Ok(gathered.split().freeze())).await.is_err() {
                    return;
                }
            }
            Next::End => {
                if gathered.is_empty() || feed.send(Ok(gathered.freeze())).await.is_ok() {
                    feed.finish();
                }
                return;
            }
        }
    }
}

enum Next {
    Frame(hyper::Result<Frame<Bytes>>),
    /// The connection had its turn and brought nothing.
    NotYet,
    End,
}

/// The next frame; with `hurry` it is waited for only as long as the connection has bytes.
async fn next(body: &mut Incoming, hurry: bool) -> Next {
    let mut turns = 0;
    poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(Some(frame)) => Poll::Ready(Next::Frame(frame)),
        Poll::Ready(None) => Poll::Ready(Next::End),
        Poll::Pending if hurry && turns == 0 => {
            turns += 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending if hurry => Poll::Ready(Next::NotYet),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// The body of a request, as long as nobody has asked for it. One that nobody wants is read on and thrown away.
pub(crate) struct Unread(Option<Incoming>);

impl Unread {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }

    /// The body. Whoever takes it reads it, to its end or until [`drain`] does.
    fn take(mut self) -> Incoming {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(drain(body));
        }
    }
}

/// Reads on when the engine wants no more: a client that is still sending sees the answer only once its bytes are taken, and
/// a reset connection otherwise.
async fn drain(mut body: Incoming) {
    let mut left = DRAIN;
    while let Some(Ok(frame)) = body.frame().await {
        let n = frame.data_ref().map_or(0, Bytes::len);
        if n > left {
            return;
        }
        left -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_api::container::CreateRequest;

    #[test]
    fn documents_are_refused_in_dockers_words() {
        let check = |text: &str, expect: &str| {
            let error = decode::<CreateRequest>(text.as_bytes()).expect_err(text);
            assert_eq!(error.message(), expect, "{text}");
        };
        check("", "invalid JSON: got EOF while reading request body");
        check("{", "invalid JSON: unexpected EOF");
        check("{} x", "unexpected content after JSON");
        check("x", "invalid JSON: invalid character 'x' looking for beginning of value");
        check("[]", "invalid JSON: json: cannot unmarshal array into Go value of type container.CreateRequest");
        check(
            r#"{"Image":5}"#,
            "invalid JSON: json: cannot unmarshal number into Go struct field .Image of type string",
        );
    }

    #[test]
    fn content_types() {
        let check = |kind: Option<&str>, body: &[u8], expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert(CONTENT_TYPE, kind.parse().expect("a header"));
            }
            assert_eq!(content_type(&headers, body).err().as_ref().map(Failure::message), expect);
        };
        check(None, b"", None);
        check(Some("application/json"), b"{}", None);
        check(Some("application/json; charset=utf-8"), b"{}", None);
        check(
            Some("text/plain"),
            b"{}",
            Some("unsupported Content-Type header (text/plain): must be 'application/json'"),
        );
        check(None, b"{}", Some("malformed Content-Type header (): mime: no media type"));
    }
}
