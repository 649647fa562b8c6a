//! Connections: how many, how long they may take to say something, and the orderly end.

use crate::server::answer::Body;
use crate::server::{Config, Error, Registry};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// A client must have shaken hands, and later have sent its next head, in this time.
const HEAD: Duration = Duration::from_secs(30);
/// A client that takes nothing of its answer for this long has gone.
const STALL: Duration = Duration::from_secs(60);
/// Most bytes of a head (and of what is read ahead of a body), and most lines in a head.
const MAX_BUFFER: usize = 256 << 10;
const MAX_HEADERS: usize = 100;
/// Open requests may take this long after the end began.
const DRAIN: Duration = Duration::from_secs(30);
/// Pause after an accept that failed (too many open files), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a registry until `shutdown` ends; `listening` is told the addresses once clients can come.
///
/// # Errors
/// It cannot begin: see [`Error`].
pub async fn serve(
    config: Config,
    listening: impl FnOnce(&[SocketAddr]),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let tls = config.tls.clone().map(wharf_tls::Reloading::new).transpose()?.map(Arc::new);
    let registry = Arc::new(Registry::open(&config)?);
    let slots = Arc::new(Semaphore::new(config.connections.max(1)));
    let (stop, stopping) = watch::channel(false);
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let mut listeners = Vec::new();
    for address in &config.addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|reason| Error::Address { address: *address, reason })?);
    }
    let bound: Vec<SocketAddr> = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
    for listener in listeners {
        let server = Server {
            registry: registry.clone(),
            tls: tls.clone(),
            slots: slots.clone(),
            stopping: stopping.clone(),
            alive: alive.clone(),
        };
        tokio::spawn(server.accept(listener));
    }
    if let Some((every, what)) = config.collect {
        tokio::spawn(collect_often(config.root, every, what, stopping));
    }
    drop(alive);
    listening(&bound);
    shutdown.await;
    let _ = stop.send(true);
    if tokio::time::timeout(DRAIN, all_gone.recv()).await.is_err() {
        tracing::warn!("requests still open are cut off");
    }
    Ok(())
}

async fn collect_often(
    root: std::path::PathBuf,
    every: Duration,
    what: crate::server::Collection,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stopping.changed() => return,
        }
        let (root, what) = (root.clone(), what.clone());
        match tokio::task::spawn_blocking(move || crate::server::collect(&root, &what)).await {
            Ok(Ok(report)) => tracing::info!(?report, "collected"),
            Ok(Err(error)) => tracing::error!("collect: {error}"),
            Err(error) => tracing::error!("collect: {error}"),
        }
    }
}

struct Server {
    registry: Arc<Registry>,
    tls: Option<Arc<wharf_tls::Reloading>>,
    slots: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        loop {
            // no slot: the kernel's queue holds them back
            let Ok(slot) = self.slots.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.changed() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let (registry, tls) = (self.registry.clone(), self.tls.clone());
            let (stopping, alive) = (self.stopping.clone(), self.alive.clone());
            tokio::spawn(async move {
                if let Err(error) = connection(registry, tls, stream, peer, stopping).await {
                    tracing::debug!(%peer, %error, "connection");
                }
                drop((slot, alive));
            });
        }
    }
}

async fn connection(
    registry: Arc<Registry>,
    tls: Option<Arc<wharf_tls::Reloading>>,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let Some(tls) = tls else { return speak(registry, stream, peer, stopping).await };
    let (config, error) = tls.current();
    if let Some(error) = error {
        tracing::error!("certificates stay as they were: {error}");
    }
    let shaken = tokio::time::timeout(HEAD, TlsAcceptor::from(config).accept(stream)).await;
    speak(registry, shaken.map_err(|_| io::ErrorKind::TimedOut)??, peer, stopping).await
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    registry: Arc<Registry>,
    stream: S,
    peer: SocketAddr,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let service = service_fn(move |request| {
        let registry = registry.clone();
        async move { Ok::<hyper::Response<Body>, Infallible>(registry.answer(peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Impatient { stream, stalled: None }), service);
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(io::Error::other),
            Ok(()) = stopping.changed() => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// A stream that fails when the other side takes nothing any more.
struct Impatient<S> {
    stream: S,
    stalled: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S> Impatient<S> {
    fn watch<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, done)
    }
}
