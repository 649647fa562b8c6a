//! Container answers that take their time: logs, stats, wait, export, attach.

use hyper::StatusCode;
use tokio::sync::mpsc;
use wharf_engine::{AttachOptions, LogOptions, Stats, WaitCondition};

use super::{Answer, Call};
use crate::body::{self, Body};
use crate::failure::Failure;
use crate::hijack::{self, Hijack};
use crate::input::{self, Unread};
use crate::{json, time, websocket};

/// `docker logs`.
pub(super) async fn logs(call: &Call<'_>, name: &str) -> Answer {
    let query = &call.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(Failure::bad("Bad parameters: you must choose at least one stream"));
    }
    let options = LogOptions {
        follow: query.flag("follow"),
        stdout,
        stderr,
        since: time::parse(query.get("since"))?,
        until: time::parse(query.get("until"))?,
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
        // anything that is no number is all of it
        tail: query.get("tail").and_then(|tail| tail.parse().ok()),
    };
    let logs = call.engine.container_logs(name, options).await?;
    let kind = hijack::stream_type(call.version, logs.tty);
    let peer = call.peer.clone();
    let body = Body::items(logs.stream, |chunk| chunk).until(async move { peer.gone().await });
    Ok(body::typed(StatusCode::OK, kind, body))
}

/// `docker stats`.
pub(super) async fn stats(call: &Call<'_>, name: &str) -> Answer {
    let stream = call.query.flag_or("stream", true);
    let one_shot = !call.before(41) && call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Failure::bad("cannot have stream=true and one-shot=true"));
    }
    let mut pictures = call.engine.container_stats(name, stream, one_shot).await?;
    if !stream {
        return one_picture(&mut pictures, one_shot).await;
    }
    let mut before: Option<Stats> = None;
    let peer = call.peer.clone();
    let body = Body::items(pictures, move |now| {
        let document = json::stats::stats(&now, before.as_ref());
        before = Some(now);
        Ok(body::line(&document))
    });
    Ok(body::typed(StatusCode::OK, "application/json", body.until(async move { peer.gone().await })))
}

/// The last picture, compared with the one before it when there are two.
async fn one_picture(pictures: &mut mpsc::Receiver<Stats>, one_shot: bool) -> Answer {
    let mut before: Option<Stats> = None;
    let mut now: Option<Stats> = None;
    while let Some(picture) = pictures.recv().await {
        before = now.replace(picture);
    }
    let now = now.ok_or_else(|| Failure::internal("the container's usage could not be read"))?;
    let mut document = json::stats::stats(&now, before.as_ref());
    if one_shot && now.cgroup.is_some() {
        // Docker leaves these out here, and clients take the ID that they asked for
        document.name.clear();
        document.id.clear();
    }
    super::ok(&document)
}

/// `docker export`.
pub(super) async fn export(call: &Call<'_>, name: &str) -> Answer {
    let stream = call.engine.container_export(name).await?;
    Ok(body::typed(StatusCode::OK, "application/octet-stream", Body::items(stream, |chunk| chunk)))
}

/// `docker wait`: the head at once, so that the client knows that the condition is being watched.
pub(super) async fn wait(call: &Call<'_>, name: &str) -> Answer {
    let condition = match call.query.get("condition").unwrap_or_default() {
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => return Err(Failure::bad(format!("invalid condition: \"{other}\""))),
    };
    let early_head = !call.before(30);
    let condition = if early_head { condition } else { WaitCondition::NotRunning };
    let wait = call.engine.container_wait(name, condition).await?;
    let peer = call.peer.clone();
    let finish = async move {
        tokio::select! {
            result = wait.finish() => body::line(&json::container::waited(result)),
            // nobody is left to tell
            () = peer.gone() => bytes::Bytes::new(),
        }
    };
    let body = if early_head { Body::Later(Box::pin(finish)) } else { Body::from(finish.await) };
    Ok(body::typed(StatusCode::OK, "application/json", body))
}

fn attach_options(call: &Call<'_>) -> AttachOptions {
    let query = &call.query;
    AttachOptions {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        detach_keys: query.text("detachKeys").map(str::to_owned),
    }
}

/// `docker attach`: the socket goes to the keeper.
pub(super) async fn attach(call: &Call<'_>, name: &str, body: Unread) -> Answer {
    // from here on Docker owns the socket: its refusals are text
    input::skip(body).await.map_err(Failure::on_stream)?;
    let attachment = call
        .engine
        .container_attach(name, attach_options(call))
        .await
        .map_err(|error| Failure::from(error).on_stream())?;
    let head = hijack::head(call.headers, call.version, attachment.tty, "");
    let hijack = Hijack::new(head, move |socket, early| async move {
        if let Err(error) = attachment.run(socket, early).await {
            tracing::debug!(%error, "attach stream");
        }
    });
    Ok(call.peer.hijack(hijack).await)
}

/// The same over a WebSocket: we keep the client's socket and translate, the keeper gets the other end of a pair.
pub(super) async fn attach_websocket(call: &Call<'_>, name: &str) -> Answer {
    let head = websocket::handshake(call.headers)?;
    let attachment = call.engine.container_attach(name, attach_options(call)).await?;
    let tty = attachment.tty;
    let hijack = Hijack::new(head, move |socket, early| async move {
        let (inner, translation) = match websocket::relay(socket, early, tty) {
            Ok(both) => both,
            Err(error) => return tracing::warn!(%error, "socket pair of a websocket"),
        };
        let (ran, translated) = tokio::join!(attachment.run(inner, bytes::Bytes::new()), translation);
        if let Err(error) = ran {
            tracing::debug!(%error, "attach stream");
        }
        if let Err(error) = translated {
            tracing::debug!(%error, "websocket");
        }
    });
    Ok(call.peer.hijack(hijack).await)
}
