//! The Docker REST edge: route, engine call, JSON; hijack and streams.
//!
//! ```text
//!   listener ──► connection (hyper http1, keep-alive)
//!                   │ route::find ──► version check ──► routes::* ──► Engine ──► json::* ──► body
//!                   └ a hijack parks the request, takes the socket back from hyper and gives it to the engine
//! ```
//!
//! Nothing below this crate knows a status code, nothing in it knows the kernel. [`failure`] is the one table from
//! engine errors to statuses.

mod body;
mod connection;
mod failure;
mod hijack;
mod input;
mod json;
mod query;
mod request_line;
mod route;
mod routes;
mod syntax;
mod time;
mod tls;
mod version;
mod websocket;

use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::{mpsc, watch};
use wharf_engine::Engine;

pub use version::{MAXIMUM as API_VERSION, MINIMUM as MINIMUM_API_VERSION};

/// How long open requests may take after the shutdown began: shorter than Docker's default stop timeout of services (15 s).
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after an accept that could not be served (too many open files), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound socket; the caller has chosen path, mode and owner.
#[derive(Debug)]
pub enum Listener {
    /// A unix stream socket.
    Unix(StdUnixListener),
    /// TCP, with TLS when there is a configuration for it.
    Tcp(std::net::TcpListener, Option<Arc<wharf_tls::Reloading>>),
}

enum Bound {
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener, Option<Arc<wharf_tls::Reloading>>),
}

/// Answers requests on all listeners until `shutdown` ends, then lets open requests finish for a short while. Hijacked
/// connections belong to the engine and are not waited for.
pub async fn serve(
    engine: Engine,
    listeners: Vec<Listener>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let bound = listeners.into_iter().map(bind).collect::<io::Result<Vec<_>>>()?;
    let (stop, stopping) = watch::channel(false);
    // every connection holds a clone of `alive`; the receiver ends when all are gone
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    for listener in bound {
        tokio::spawn(accept(engine.clone(), listener, stopping.clone(), alive.clone()));
    }
    drop(alive);
    shutdown.await;
    let _ = stop.send(true);
    if tokio::time::timeout(DRAIN, all_gone.recv()).await.is_err() {
        tracing::warn!("requests still open at shutdown are cut off");
    }
    Ok(())
}

fn bind(listener: Listener) -> io::Result<Bound> {
    match listener {
        Listener::Unix(socket) => {
            socket.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(socket).map(Bound::Unix)
        }
        Listener::Tcp(socket, tls) => {
            socket.set_nonblocking(true)?;
            Ok(Bound::Tcp(tokio::net::TcpListener::from_std(socket)?, tls))
        }
    }
}

async fn accept(engine: Engine, listener: Bound, mut stopping: watch::Receiver<bool>, alive: mpsc::Sender<()>) {
    let given = stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept_one(&listener, &engine, &given, &alive) => accepted,
            _ = stopping.changed() => return,
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "accept");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

async fn accept_one(
    listener: &Bound,
    engine: &Engine,
    stopping: &watch::Receiver<bool>,
    alive: &mpsc::Sender<()>,
) -> io::Result<()> {
    match listener {
        Bound::Unix(socket) => {
            let (stream, _) = socket.accept().await?;
            tokio::spawn(connection::run(stream, answers(engine), stopping.clone(), alive.clone()));
        }
        Bound::Tcp(socket, tls) => {
            let (stream, peer) = socket.accept().await?;
            // small answers must not wait for the acknowledgement of the one before
            stream.set_nodelay(true)?;
            let (stopping, alive) = (stopping.clone(), alive.clone());
            let Some(tls) = tls.clone() else {
                tokio::spawn(connection::run(stream, answers(engine), stopping, alive));
                return Ok(());
            };
            let answers = answers(engine);
            tokio::spawn(async move {
                match tls::open(&tls, stream).await {
                    Ok(plain) => connection::run(plain, answers, stopping, alive).await,
                    Err(error) => tracing::info!("TLS handshake with {peer}: {error}"),
                }
            });
        }
    }
    Ok(())
}

fn answers(
    engine: &Engine,
) -> impl Fn(connection::Peer, Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<body::Body>> + Send>> + use<>
{
    let engine = engine.clone();
    move |peer, request| Box::pin(routes::answer(engine.clone(), peer, request))
}
