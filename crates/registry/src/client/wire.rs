//! Requests and answers: kept connections, proxies, redirects, and an end to all waiting.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{Method, Request as HttpRequest, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::dial::{self, Route};
use super::{Address, Error, Result, Settings, sentence, tls};

/// As many as Go follows.
const REDIRECTS: usize = 10;
/// Idle connections kept to one host.
const IDLE: usize = 8;
/// hyper's buffer for one connection, in bytes: pulls run many at once in little memory.
const BUFFER: usize = 64 << 10;

/// What is sent.
#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Whole(Bytes),
    /// Chunks until the sender says `Ok(empty)`; a sender that is dropped breaks the request.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    /// The same once more, unless it is a stream.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(chunks) => match std::task::ready!(chunks.poll_recv(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {
                    *self = Self::Empty;
                    Poll::Ready(None)
                }
                Some(chunk) => Poll::Ready(Some(chunk.map(Frame::data))),
                None => Poll::Ready(Some(Err(io::Error::other("the source of the upload ended")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Request {
    pub(crate) fn new(method: Method, address: Address) -> Self {
        Self { method, address, headers: HeaderMap::new(), body: Body::Empty }
    }

    pub(crate) fn get(address: Address) -> Self {
        Self::new(Method::GET, address)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        // what cannot stand in a header is not sent
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The same once more, unless its body is a stream.
    pub(crate) fn again(&self) -> Option<Self> {
        let body = self.body.again()?;
        Some(Self { method: self.method.clone(), address: self.address.clone(), headers: self.headers.clone(), body })
    }

    /// For sentences.
    pub(crate) fn shown(&self) -> (&'static str, String) {
        (verb(&self.method), self.address.to_string())
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "Get",
        Method::HEAD => "Head",
        Method::POST => "Post",
        Method::PUT => "Put",
        Method::PATCH => "Patch",
        Method::DELETE => "Delete",
        _ => "Request",
    }
}

/// One answer; its body comes piece by piece.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Where it came from in the end.
    pub(crate) address: Address,
    pub(crate) method: &'static str,
    body: Incoming,
    stall: Duration,
}

impl Answer {
    pub(crate) fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let broken = |why: String| Error::Unreachable { method: self.method, url: self.address.to_string(), why };
        loop {
            match timeout(self.stall, self.body.frame()).await {
                Err(_) => return Err(broken(format!("no data for {} seconds", self.stall.as_secs_f32()))),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(broken(sentence::explain_http(&error, &self.address.host))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::Lie`] when it is longer than `limit` bytes.
    pub(crate) async fn read(mut self, limit: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit {
                return Err(Error::Lie(format!("the answer of {} is longer than {limit} bytes", self.address)));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// One connection: where requests go in, and what ends it.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Body>,
    end: JoinHandle<Option<hyper::Error>>,
}

impl Connection {
    /// Why a request failed. One that the connection did not take, because it had failed by then (a server may refuse a
    /// client certificate behind the handshake, RFC 8446 section 4.4.2.4), only says so; the connection knows why.
    async fn why(self, error: hyper::Error, host: &str) -> String {
        let end = if error.is_closed() || error.is_canceled() { self.end.await.ok().flatten() } else { None };
        sentence::explain_http(&end.unwrap_or(error), host)
    }
}

/// Connections on behalf of one operation.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) settings: Arc<Settings>,
    /// Whose certificate need not be verified, besides hosts that are insecure anyway.
    unverified: Option<String>,
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    tls: Mutex<HashMap<String, Arc<ClientConfig>>>,
}

impl Wire {
    pub(crate) fn new(settings: Arc<Settings>, unverified: Option<String>) -> Self {
        Self { settings, unverified, idle: Mutex::default(), tls: Mutex::default() }
    }

    /// Sends a request and follows redirects of GET and HEAD. Credentials do not go along to another host.
    pub(crate) async fn send(&self, mut request: Request) -> Result<Answer> {
        for _ in 0..=REDIRECTS {
            let (method, headers) = (request.method.clone(), request.headers.clone());
            let from = request.address.clone();
            let answer = self.once(request).await?;
            let code = answer.status.as_u16();
            let follow = matches!(code, 301 | 302 | 303 | 307 | 308) && matches!(method, Method::GET | Method::HEAD);
            let Some(location) = answer.header(LOCATION).filter(|_| follow) else { return Ok(answer) };
            let to = from.join(location).map_err(|e| Error::Lie(format!("redirect of {from}: {e}")))?;
            if from.tls && !to.tls && !self.settings.may_tell(&to).await {
                return Err(Error::Lie(format!("redirect of {from} to {}, which is not encrypted", to.origin())));
            }
            request = Request { method, address: to, headers, body: Body::Empty };
            if !request.address.same_origin(&from) {
                request.headers.remove(AUTHORIZATION);
            }
        }
        Err(Error::Lie(format!("{}: stopped after {REDIRECTS} redirects", request.address)))
    }

    /// One exchange.
    async fn once(&self, request: Request) -> Result<Answer> {
        let key = request.address.origin();
        if let Some(again) = request.again()
            && let Some(kept) = self.take(&key)
        {
            // a kept connection may have been closed at this very moment: then a new one is made
            if let Ok(answer) = self.exchange(kept, again, &key).await {
                return Ok(answer);
            }
        }
        let fresh = self.connect(&request).await?;
        self.exchange(fresh, request, &key).await
    }

    fn take(&self, key: &str) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let list = idle.get_mut(key)?;
        list.retain(|kept| !kept.sender.is_closed());
        let at = list.iter().position(|kept| kept.sender.is_ready())?;
        Some(list.swap_remove(at))
    }

    async fn connect(&self, request: &Request) -> Result<Connection> {
        let (method, url) = request.shown();
        let unreachable = |why: String| Error::Unreachable { method, url: url.clone(), why };
        let to = &request.address;
        let proxy = self.settings.proxies.of(to);
        let tls = if to.tls { Some(self.tls(to).await?) } else { None };
        let proxy_tls = match proxy {
            Some(proxy) if proxy.tls => Some(self.tls(proxy).await?),
            _ => None,
        };
        let route = Route { to, proxy, tls, proxy_tls, patience: self.settings.patience.connect };
        let stream = dial::dial(&route).await.map_err(&unreachable)?;
        let shaken = http1::Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|e| unreachable(sentence::explain_http(&e, &to.host)))?;
        let end = tokio::spawn(async move { connection.await.err() });
        Ok(Connection { sender, end })
    }

    async fn tls(&self, to: &Address) -> Result<Arc<ClientConfig>> {
        let authority = to.authority();
        if let Some(config) = self.tls.lock().unwrap_or_else(PoisonError::into_inner).get(&authority) {
            return Ok(config.clone());
        }
        let free = self.unverified.as_deref() == Some(&*authority);
        // the same question as for plain text: is it insecure?
        let verify = !free && !self.settings.may_tell(&Address { tls: false, ..to.clone() }).await;
        let (settings, name) = (self.settings.clone(), authority.clone());
        // reads a hundred and more certificates
        let config = tokio::task::spawn_blocking(move || tls::config(&settings, &name, verify)).await;
        let config = config.map_err(|e| Error::Settings(e.to_string()))??;
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).insert(authority, config.clone());
        Ok(config)
    }

    async fn exchange(&self, mut on: Connection, request: Request, key: &str) -> Result<Answer> {
        let (method, url) = request.shown();
        let unreachable = |why: String| Error::Unreachable { method, url: url.clone(), why };
        let Request { method: verb, address, headers, body } = request;
        let streaming = matches!(body, Body::Stream(_));
        let through = self.settings.proxies.of(&address).filter(|_| !address.tls);
        let target = if through.is_some() { address.to_string() } else { address.path.clone() };
        let mut http =
            HttpRequest::builder().method(verb).uri(target).body(body).map_err(|e| unreachable(e.to_string()))?;
        *http.headers_mut() = headers;
        let host = HeaderValue::from_str(&address.authority()).map_err(|e| unreachable(e.to_string()))?;
        http.headers_mut().insert(HOST, host);
        if let Ok(agent) = HeaderValue::from_str(&self.settings.agent) {
            http.headers_mut().insert(USER_AGENT, agent);
        }
        if let Some(login) = through.and_then(dial::proxy_login).and_then(|l| HeaderValue::from_str(&l).ok()) {
            http.headers_mut().insert(PROXY_AUTHORIZATION, login);
        }
        let answer = async {
            on.sender.ready().await?;
            on.sender.send_request(http).await
        };
        let answered = if streaming {
            // an upload takes as long as it takes; who feeds it watches that it moves
            answer.await
        } else {
            let waited = timeout(self.settings.patience.answer, answer).await;
            waited.map_err(|_| unreachable("net/http: timeout awaiting response headers".into()))?
        };
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => return Err(unreachable(on.why(error, &address.host).await)),
        };
        let (parts, body) = answered.into_parts();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let list = idle.entry(key.to_owned()).or_default();
        if list.len() < IDLE && !on.sender.is_closed() {
            // not ready before the body is read to its end; until then nobody takes it
            list.push(on);
        }
        drop(idle);
        let stall = self.settings.patience.stall;
        Ok(Answer { status: parts.status, headers: parts.headers, address, method, body, stall })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn r_reg_01_a_connection_that_broke_before_the_request_says_why() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&format!("http://{}/v2/", listener.local_addr().unwrap())).unwrap();
        let wire = Wire::new(Arc::default(), None);
        let connection = wire.connect(&Request::get(address.clone())).await.unwrap();
        listener.accept().unwrap().0.write_all(b"before anybody asked").unwrap();
        while !connection.end.is_finished() {
            tokio::task::yield_now().await;
        }
        let error = wire.exchange(connection, Request::get(address), "").await.unwrap_err().to_string();
        assert!(error.contains("received unexpected message from connection"), "{error}");
    }
}
