//! One connection: hyper reads and writes HTTP until a request hijacks the socket.
//!
//! A large upload in small pieces (a tar of small files is three chunks for each) would send a task of the shared runtime from
//! worker to worker, a wake-up per chunk. So its handler asks for a thread of its own ([`Peer::alone`]): the same connection is
//! driven there until the answer is made.
//!
//! hyper's own upgrade knows only 101, Docker's clients also expect 200 followed by a raw stream. So a hijacking handler
//! sends its [`Hijack`] to this loop and never answers; the loop takes socket and read-ahead bytes out of hyper
//! (`into_parts`), writes the head itself and gives everything to the engine.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::body::Body;
use crate::hijack::Hijack;
use crate::request_line::RequestLine;

/// As in Docker: a client may take five minutes to send its header, or to come with its next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(300);

/// A socket that can be taken back from hyper and handed to another process.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// A second descriptor of the socket, to watch the client with.
    fn watch(&self) -> io::Result<OwnedFd>;
    /// The descriptor itself, non-blocking.
    fn into_fd(self) -> io::Result<OwnedFd>;
}

impl Socket for UnixStream {
    fn watch(&self) -> io::Result<OwnedFd> {
        std::os::fd::AsFd::as_fd(self).try_clone_to_owned()
    }
    fn into_fd(self) -> io::Result<OwnedFd> {
        self.into_std().map(OwnedFd::from)
    }
}

impl Socket for TcpStream {
    fn watch(&self) -> io::Result<OwnedFd> {
        std::os::fd::AsFd::as_fd(self).try_clone_to_owned()
    }
    fn into_fd(self) -> io::Result<OwnedFd> {
        self.into_std().map(OwnedFd::from)
    }
}

/// What handlers know of their connection.
#[derive(Clone)]
pub(crate) struct Peer {
    socket: Arc<OwnedFd>,
    orders: mpsc::Sender<Order>,
}

/// What a handler wants of its connection.
enum Order {
    Hijack(Hijack),
    /// To be driven by a thread of its own.
    Alone,
    /// No more.
    Together,
}

impl Peer {
    /// Ends when the client will send nothing more: it has gone, or it has closed its half. Docker cancels streams then.
    pub(crate) async fn gone(&self) {
        // any stream socket will do: only its readiness is asked, nothing is read
        let Ok(watch) = self.socket.try_clone().and_then(|fd| UnixStream::from_std(fd.into())) else {
            return pending().await;
        };
        loop {
            match watch.ready(Interest::READABLE).await {
                Ok(ready) if ready.is_read_closed() => return,
                // a pipelined request: not ours to read, wait for the next change
                Ok(_) => drop(watch.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()))),
                Err(_) => return pending().await,
            }
        }
    }

    /// Gives the socket away; the request never gets an ordinary answer.
    pub(crate) async fn hijack(&self, hijack: Hijack) -> Response<Body> {
        if self.orders.send(Order::Hijack(hijack)).await.is_err() {
            tracing::debug!("hijack of a connection that has ended");
        }
        pending().await
    }

    /// Does `work`, which reads a large body, while a thread of its own drives the connection.
    pub(crate) async fn alone<T>(&self, work: impl Future<Output = T>) -> T {
        // a connection that has ended drops this future
        let _ = self.orders.send(Order::Alone).await;
        let done = work.await;
        let _ = self.orders.send(Order::Together).await;
        done
    }
}

/// Serves one client until it goes, or until its socket is hijacked.
pub(crate) async fn run<S, A, F>(socket: S, answer: A, mut stopping: watch::Receiver<bool>, alive: mpsc::Sender<()>)
where
    S: Socket,
    A: Fn(Peer, Request<Incoming>) -> F + Send + Unpin + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Ok(watched) = socket.watch() else { return };
    let (sender, mut orders) = mpsc::channel(1);
    let peer = Peer { socket: Arc::new(watched), orders: sender };
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(peer.clone(), request);
        Box::pin(async move { Ok::<_, Infallible>(answer.await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .title_case_headers(true)
        // a client that closes its half still gets its answer; streams watch for it themselves
        .half_close(true)
        .serve_connection(TokioIo::new(RequestLine::new(socket)), service);
    let hijack = loop {
        match next(&mut connection, &mut orders, &mut stopping).await {
            None => return,
            Some(Order::Hijack(hijack)) => break hijack,
            Some(Order::Together) => {}
            Some(Order::Alone) => {
                let runtime = tokio::runtime::Handle::current();
                let alone = tokio::task::spawn_blocking(move || {
                    let order = runtime.block_on(next(&mut connection, &mut orders, &mut stopping));
                    (connection, orders, stopping, order)
                });
                // it panics only if a handler does, and then the connection is over
                let Ok(back) = alone.await else { return };
                let order;
                (connection, orders, stopping, order) = back;
                match order {
                    None => return,
                    Some(Order::Hijack(hijack)) => break hijack,
                    Some(Order::Alone | Order::Together) => {}
                }
            }
        }
    };
    let parts = connection.into_parts();
    // with the service goes the second descriptor: the engine is the only owner from here on
    drop(parts.service);
    drop(alive);
    let (mut socket, unread) = parts.io.into_inner().into_parts();
    let early = if unread.is_empty() { parts.read_buf } else { [parts.read_buf, unread].concat().into() };
    if let Err(error) = socket.write_all(&hijack.head).await {
        tracing::debug!(%error, "head of a hijacked connection");
    }
    match socket.into_fd() {
        Ok(fd) => hijack.run(fd, early).await,
        Err(error) => tracing::warn!(%error, "socket of a hijacked connection"),
    }
}

/// Drives the connection until a handler wants something of it, or (`None`) to its end.
async fn next<S: AsyncRead + AsyncWrite + Unpin, V>(
    connection: &mut http1::Connection<TokioIo<S>, V>,
    orders: &mut mpsc::Receiver<Order>,
    stopping: &mut watch::Receiver<bool>,
) -> Option<Order>
where
    V: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
    V::Future: Unpin,
{
    loop {
        tokio::select! {
            // the order first: a hijack is there before hyper finds out that the handler will not answer
            biased;
            Some(order) = orders.recv() => return Some(order),
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection");
                }
                return None;
            }
            Ok(()) = stopping.changed() => std::pin::Pin::new(&mut *connection).graceful_shutdown(),
        }
    }
}

#[cfg(test)]
mod tests;
