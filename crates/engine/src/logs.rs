//! Reading a container's log on a thread of its own: following one blocks for as long as the container runs, and must not
//! take a place in the pool that everything else shares.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use wharf_logs::{Format, Framing, Position, Progress, ReadOptions, Reader, StopHandle};
use wharf_shim::protocol::Held;

use crate::container::handle::Handle;
use crate::container::log;
use crate::container::snapshot::Container;
use crate::{AttachOptions, Error, Inner, LogOptions, Logs, Result, blocking};

/// Bytes per chunk.
const CHUNK: usize = 64 * 1024;
/// Chunks on their way to one client.
const DEPTH: usize = 4;
/// Stack of a reading thread in bytes; reading recurses nowhere.
const STACK: usize = 128 * 1024;

/// Opens the log and starts a thread that reads it.
pub(crate) async fn logs(inner: &Arc<Inner>, handle: &Arc<Handle>, options: LogOptions) -> Result<Logs> {
    if !options.stdout && !options.stderr {
        return Err(Error::InvalidParameter("Bad parameters: you must choose at least one stream".into()));
    }
    let container = handle.container();
    // one that stands still writes nothing more
    let follow = options.follow && container.state.status.is_running();
    let options = LogOptions { follow, ..options };
    let tty = container.config.tty;
    let (sender, stream) = mpsc::channel(DEPTH);
    let (opened, answer) = oneshot::channel();
    let (config, read, format) = (config(inner, &container)?, read_options(&options), format(&options, tty));
    thread(move || {
        let mut reader = match Reader::open(&config, read) {
            Ok(reader) => reader,
            Err(error) => return drop(opened.send(Err(refused(error)))),
        };
        let _ = opened.send(Ok(reader.stop_handle()));
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            match reader.fill(format, &mut chunk, CHUNK) {
                Ok(Progress::End) => return,
                Ok(_) => {}
                Err(error) => return drop(sender.blocking_send(Err(std::io::Error::other(error.to_string())))),
            }
            if sender.blocking_send(Ok(Bytes::from(chunk))).is_err() {
                return;
            }
        }
    })?;
    let stop = answer.await.unwrap_or_else(|_| Err(Error::System("read log".into())))?;
    if !follow {
        return Ok(Logs { tty, stream });
    }
    let (watched, stream) = watch_client(stream);
    tokio::spawn(end(inner.clone(), handle.clone(), stop, watched));
    Ok(Logs { tty, stream })
}

/// Passes the chunks on, so that a client that goes away is noticed while nothing is written.
fn watch_client(
    mut from: mpsc::Receiver<std::io::Result<Bytes>>,
) -> (oneshot::Receiver<()>, mpsc::Receiver<std::io::Result<Bytes>>) {
    let (sender, stream) = mpsc::channel(DEPTH);
    let (gone, watched) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let _gone = gone;
        loop {
            tokio::select! {
                chunk = from.recv() => match chunk {
                    Some(chunk) => if sender.send(chunk).await.is_err() { return },
                    None => return,
                },
                () = sender.closed() => return,
            }
        }
    });
    (watched, stream)
}

/// Ends a follower: at once when its client is gone or the engine closes, at the end of the log when the container ends.
async fn end(inner: Arc<Inner>, handle: Arc<Handle>, stop: StopHandle, client: oneshot::Receiver<()>) {
    let mut picture = handle.picture.clone();
    let mut closing = inner.closing.subscribe();
    let ends = picture.borrow().ends;
    let mut client = std::pin::pin!(client);
    let container_ended = tokio::select! {
        // the guards of the watched values must not live on: they are locks
        ended = async { picture.wait_for(|p| p.ends != ends || p.removed.is_some() || p.live.is_none()).await.is_ok() } => ended,
        _ = client.as_mut() => false,
        _ = async { closing.wait_for(|closing| *closing).await.is_ok() } => false,
    };
    if container_ended {
        stop.finish();
        let _ = client.as_mut().await;
    }
    stop.stop();
}

/// Writes what is in the log, up to `end`, to a client's socket (attach with `logs`).
pub(crate) async fn write(
    inner: &Arc<Inner>,
    container: &Container,
    options: LogOptions,
    end: Option<Position>,
    client: OwnedFd,
) -> Result<()> {
    let (config, read, format) =
        (config(inner, container)?, read_options(&options), format(&options, container.config.tty));
    let (done, answer) = oneshot::channel();
    thread(move || {
        let copy = || -> Result<()> {
            let mut reader = Reader::open(&config, read).map_err(refused)?;
            if let Some(end) = end {
                reader.end_at(end);
            }
            let mut client = std::fs::File::from(client);
            let mut chunk = Vec::with_capacity(CHUNK);
            while !matches!(reader.fill(format, &mut chunk, CHUNK).map_err(refused)?, Progress::End) {
                write_all(&mut client, &chunk)?;
                chunk.clear();
            }
            Ok(())
        };
        let _ = done.send(copy());
    })?;
    answer.await.unwrap_or_else(|_| Err(Error::System("read log".into())))
}

/// What is in the log for a client that attaches.
pub(crate) fn history(options: &AttachOptions) -> LogOptions {
    LogOptions { stdout: options.stdout, stderr: options.stderr, ..LogOptions::default() }
}

/// Writes what a client that was attached misses: the log up to that moment, and the beginnings of lines that had not ended.
pub(crate) async fn replay(
    inner: &Arc<Inner>,
    container: &Container,
    options: &AttachOptions,
    held: Held,
    client: OwnedFd,
) -> Result<()> {
    let socket = client.try_clone().map_err(|e| Error::system("dup", e))?;
    write(inner, container, history(options), held.log, client).await?;
    let mut rest = Vec::new();
    let wanted = [options.stdout, options.stderr];
    for ((number, bytes), _) in
        (1_u8..).zip(&held.unfinished).zip(wanted).filter(|((_, b), wanted)| *wanted && !b.is_empty())
    {
        if !container.config.tty {
            rest.extend([number, 0, 0, 0]);
            rest.extend((bytes.len() as u32).to_be_bytes());
        }
        rest.extend_from_slice(bytes);
    }
    blocking(move || write_all(&mut std::fs::File::from(socket), &rest)).await
}

/// Writes to a socket that may be non-blocking.
pub(crate) fn write_all(client: &mut std::fs::File, mut bytes: &[u8]) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    while !bytes.is_empty() {
        match client.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                let mut fds = [PollFd::new(client, PollFlags::OUT)];
                poll(&mut fds, None).map_err(|e| Error::system("poll", e))?;
            }
            Err(e) => return Err(Error::system("write to client", e)),
        }
    }
    Ok(())
}

fn thread(work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("wharf-logs".into())
        .stack_size(STACK)
        .spawn(work)
        .map(drop)
        .map_err(|e| Error::system("start a thread", e))
}

fn config(inner: &Inner, container: &Container) -> Result<wharf_logs::LogConfig> {
    log::config(
        &container.host_config.log_config,
        inner.log_file(&container.id),
        &container.id,
        &container.name,
        &container.config,
    )
}

fn refused(error: wharf_logs::Error) -> Error {
    match error {
        wharf_logs::Error::NotReadable => Error::NotImplemented(error.to_string()),
        other => Error::System(crate::container::start::chain(&other)),
    }
}

fn read_options(options: &LogOptions) -> ReadOptions {
    let moment = |at: Option<Timestamp>| {
        at.map(|at| wharf_logs::Timestamp::from_nanos(i64::try_from(at.as_nanosecond()).unwrap_or(0)))
    };
    ReadOptions {
        stdout: options.stdout,
        stderr: options.stderr,
        since: moment(options.since),
        until: moment(options.until),
        tail: options.tail,
        follow: options.follow,
    }
}

fn format(options: &LogOptions, tty: bool) -> Format {
    let framing = if tty {
        Framing::Raw
    } else if options.timestamps || options.details || options.follow {
        Framing::Stdcopy
    } else {
        Framing::StdcopyJoined
    };
    Format { framing, timestamps: options.timestamps, details: options.details }
}
