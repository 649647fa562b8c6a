//! Long work on images as a stream of JSON messages.

use hyper::{Response, StatusCode};
use tokio::sync::mpsc;
use wharf_api::image;
use wharf_engine::Progress;

use super::{Answer, Call};
use crate::body::{self, Body};
use crate::json;

/// Progress as JSON messages. Pull and import answer with a status as long as nothing has been said: so does a first
/// item that is an error.
pub(super) async fn progressing(call: &Call<'_>, mut progress: mpsc::Receiver<Progress>) -> Answer {
    let first = match progress.recv().await {
        Some(Progress::Error(error)) => return Err(error.into()),
        other => other,
    };
    let first = first.map(|first| crlf(&json::image::message(first)));
    Ok(messages(call, first, progress))
}

/// The messages of a stream: one chunk each, `first` before all others.
pub(super) fn messages(
    call: &Call<'_>,
    mut first: Option<bytes::Bytes>,
    mut rest: mpsc::Receiver<Progress>,
) -> Response<Body> {
    let next = move |cx: &mut std::task::Context<'_>| match first.take() {
        Some(first) => std::task::Poll::Ready(Some(Ok(first))),
        None => rest.poll_recv(cx).map(|item| item.map(|message| Ok(crlf(&json::image::message(message))))),
    };
    let peer = call.peer.clone();
    let body = Body::Stream(Box::new(next), None).until(async move { peer.gone().await });
    body::typed(StatusCode::OK, "application/json", body)
}

/// One JSON message; Docker ends these with CR LF.
fn crlf(document: &image::Message) -> bytes::Bytes {
    let line = body::line(document);
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(&line[..line.len() - 1]);
    bytes.extend_from_slice(b"\r\n");
    bytes.into()
}
