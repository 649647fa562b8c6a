//! Requests: version negotiation, errors, JSON, hijacked streams.

use std::cell::{OnceCell, RefCell};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;

use serde_json::Value;

use super::connection::{BodyWriter, Connection};
use super::{Address, Body, Error, Head, Query, Stream};

/// The newest API version this client knows.
pub(crate) const NEWEST: (u32, u32) = (1, 51);
/// What an engine speaks that does not say.
const OLDEST: (u32, u32) = (1, 24);

/// HTTP methods the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What a client is made of.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) address: Address,
    /// How to speak TLS to it.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    /// The engine is ours and of our own version: no need to ask what it speaks.
    pub(crate) ours: bool,
    /// `DOCKER_API_VERSION`
    pub(crate) version: Option<String>,
    /// `HttpHeaders` of the configuration.
    pub(crate) headers: Vec<(String, String)>,
}

/// What an engine says about itself in every answer to a ping.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ping {
    pub(crate) version: String,
    pub(crate) experimental: bool,
    pub(crate) os: String,
    /// `Swarm` header: `active/manager`, `inactive` …
    pub(crate) swarm: String,
}

/// A connection to one engine.
#[derive(Debug)]
pub(crate) struct Client {
    settings: Settings,
    idle: RefCell<Vec<Connection>>,
    version: OnceCell<String>,
}

/// What goes into a request beside method, path and query.
#[derive(Default)]
enum Payload<'a> {
    #[default]
    Nothing,
    Json(&'a Value),
    Stream(&'static str, &'a mut dyn Read),
    /// The same, from somebody who writes it.
    Written(&'static str, &'a mut BodyWriter<'a>),
}

impl Client {
    /// A client; nothing is connected yet.
    pub(crate) fn new(settings: Settings) -> Self {
        let version = OnceCell::new();
        if let Some(given) = settings.version.as_deref().filter(|given| !given.is_empty()) {
            let _ = version.set(given.trim_start_matches('v').to_owned());
        } else if settings.ours {
            let _ = version.set(format!("{}.{}", NEWEST.0, NEWEST.1));
        }
        Self { settings, idle: RefCell::default(), version }
    }

    /// Where the engine is.
    pub(crate) fn address(&self) -> &Address {
        &self.settings.address
    }

    /// A client of its own for another thread (connections are not shared).
    pub(crate) fn another(&self) -> Self {
        let version = OnceCell::new();
        if let Some(known) = self.version.get() {
            let _ = version.set(known.clone());
        }
        Self { settings: self.settings.clone(), idle: RefCell::default(), version }
    }

    /// The version in the paths of all requests, found with a ping on first use.
    pub(crate) fn version(&self) -> Result<&str, Error> {
        if let Some(version) = self.version.get() {
            return Ok(version);
        }
        let ping = self.ping()?;
        let theirs = parse_version(&ping.version).unwrap_or(OLDEST);
        let agreed = theirs.min(NEWEST);
        Ok(self.version.get_or_init(|| format!("{}.{}", agreed.0, agreed.1)))
    }

    /// Asks the engine what it is.
    pub(crate) fn ping(&self) -> Result<Ping, Error> {
        let (head, body) = self.exchange(Method::Head, "/_ping", &[], Payload::Nothing)?;
        self.keep(body);
        let get = |name: &str| head.get(name).unwrap_or_default().to_owned();
        Ok(Ping {
            version: get("api-version"),
            experimental: get("docker-experimental") == "true",
            os: get("ostype"),
            swarm: get("swarm"),
        })
    }

    fn keep(&self, body: Body) {
        if let Ok((_, Some(connection))) = body.collect() {
            self.idle.borrow_mut().push(connection);
        }
    }

    fn path(&self, path: &str, query: &Query) -> Result<String, Error> {
        let version = self.version()?;
        Ok(format!("/v{version}{path}{}", query.encode()))
    }

    fn request_head(&self, method: Method, target: &str, headers: &[(&str, &str)], payload: &Payload<'_>) -> String {
        let (host, prefix) = match &self.settings.address {
            Address::Tcp { host, port, path } => (format!("{host}:{port}"), path.as_str()),
            _ => ("api.moby.localhost".to_owned(), ""),
        };
        let mut head = format!("{} {prefix}{target} HTTP/1.1\r\nHost: {host}\r\n", method.name());
        _ = write!(head, "User-Agent: Wharf-Client/{} (linux)\r\n", env!("CARGO_PKG_VERSION"));
        for (name, value) in
            self.settings.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain(headers.iter().copied())
        {
            if !value.contains(['\r', '\n']) && !name.contains(['\r', '\n', ':', ' ']) {
                _ = write!(head, "{name}: {value}\r\n");
            }
        }
        match payload {
            Payload::Nothing if method == Method::Post || method == Method::Put => {
                head.push_str("Content-Length: 0\r\n")
            }
            Payload::Nothing => {}
            Payload::Json(_) => head.push_str("Content-Type: application/json\r\n"),
            Payload::Stream(kind, _) | Payload::Written(kind, _) => {
                _ = write!(head, "Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n");
            }
        }
        head
    }

    fn exchange(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        mut payload: Payload<'_>,
    ) -> Result<(Head, Body), Error> {
        let mut head = self.request_head(method, target, headers, &payload);
        if let Payload::Json(body) = &payload {
            let body = body.to_string();
            _ = write!(head, "Content-Length: {}\r\n\r\n{body}", body.len());
        } else {
            head.push_str("\r\n");
        }
        let reused = self.idle.borrow_mut().pop();
        let fresh = reused.is_none();
        let mut connection = match reused {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let mut attempt = |connection: &mut Connection, again: bool| -> io::Result<Head> {
            connection.write(head.as_bytes())?;
            let sent = match &mut payload {
                Payload::Nothing | Payload::Json(_) => Ok(()),
                // what went out once is not there a second time
                Payload::Stream(..) | Payload::Written(..) if again => return Err(io::ErrorKind::BrokenPipe.into()),
                Payload::Stream(_, source) => connection.write_chunked(*source),
                Payload::Written(_, write) => connection.write_body(*write),
            };
            match sent {
                // an engine that refuses early closes its side: its answer is still there to be read
                Ok(()) => connection.head(),
                Err(error) => match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => connection.head(),
                    _ => Err(error),
                },
            }
        };
        let response = match attempt(&mut connection, false) {
            // a kept connection may have been closed by the engine meanwhile
            Err(_) if !fresh => {
                connection = self.connect()?;
                attempt(&mut connection, true)
            }
            other => other,
        };
        let response = response.map_err(|error| self.broken(method, target, &error))?;
        let body = connection.body(&response, method == Method::Head)?;
        Ok((response, body))
    }

    fn broken(&self, method: Method, target: &str, error: &io::Error) -> Error {
        let verb = match method {
            Method::Get => "Get",
            Method::Head => "Head",
            Method::Post => "Post",
            Method::Put => "Put",
            Method::Delete => "Delete",
        };
        let reason =
            if error.kind() == io::ErrorKind::UnexpectedEof { "EOF".into() } else { crate::go::io_error(error) };
        let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
        Error::Broken(format!("{verb} \"{scheme}://{}{target}\": {reason}", self.authority()))
    }

    fn connect(&self) -> Result<Connection, Error> {
        self.dial().map(Connection::new)
    }

    /// A stream of one's own to the engine.
    pub(crate) fn dial(&self) -> Result<Stream, Error> {
        Stream::connect(&self.settings.address, self.settings.tls.as_ref()).map_err(|error| match error {
            // as Go's client says it: with the request that could not be sent
            Error::Broken(reason) => Error::Broken(format!("Get \"https://{}/_ping\": {reason}", self.authority())),
            other => other,
        })
    }

    /// Host and port of the engine as they stand in an URL.
    fn authority(&self) -> String {
        match &self.settings.address {
            Address::Unix(path) => path.to_string_lossy().replace('/', "%2F"),
            Address::Tcp { host, port, .. } => format!("{host}:{port}"),
            Address::Ssh { .. } => "docker.example.com".into(),
        }
    }

    /// Turns an answer of 400 and above into an error.
    fn accept(&self, head: Head, body: Body, target: &str) -> Result<(Head, Body), Error> {
        if head.status < 400 {
            return Ok((head, body));
        }
        let (bytes, connection) = body.collect().map_err(|error| Error::Broken(crate::go::io_error(&error)))?;
        self.idle.borrow_mut().extend(connection);
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if text.is_empty() {
            return Err(Error::Status(format!(
                "request returned {} for API route and version {target}, check if the server supports the requested API version",
                head.line
            )));
        }
        let message = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|json| json.get("message").and_then(Value::as_str).map(|text| text.trim().to_owned()))
            .unwrap_or(text);
        Err(Error::Response { status: head.status, message })
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        headers: &[(&str, &str)],
        payload: Payload<'_>,
    ) -> Result<(Head, Body), Error> {
        let target = self.path(path, query)?;
        let (head, body) = self.exchange(method, &target, headers, payload)?;
        // engines answer a path like `/containers//web/json` with the clean one
        if let Some(clean) = head.get("location").filter(|_| head.status == 301 && method == Method::Get) {
            let clean = clean.to_owned();
            self.collect(body)?;
            let (head, body) = self.exchange(method, &clean, headers, Payload::Nothing)?;
            return self.accept(head, body, &clean);
        }
        self.accept(head, body, &target)
    }

    fn collect(&self, body: Body) -> Result<Vec<u8>, Error> {
        let (bytes, connection) = body.collect().map_err(|error| Error::Broken(crate::go::io_error(&error)))?;
        self.idle.borrow_mut().extend(connection);
        Ok(bytes)
    }

    fn json(&self, body: Body) -> Result<Value, Error> {
        let bytes = self.collect(body)?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| Error::Protocol(format!("error reading the answer: {error}")))
    }

    /// `GET` a document.
    pub(crate) fn get(&self, path: &str, query: &Query) -> Result<Value, Error> {
        let (_, body) = self.send(Method::Get, path, query, &[], Payload::Nothing)?;
        self.json(body)
    }

    /// `POST` with an optional document; the answer's document (or `null`).
    pub(crate) fn post(&self, path: &str, query: &Query, body: Option<&Value>) -> Result<Value, Error> {
        let payload = body.map_or(Payload::Nothing, Payload::Json);
        let (_, body) = self.send(Method::Post, path, query, &[], payload)?;
        self.json(body)
    }

    /// `POST` with headers of its own; the answer is read as it comes.
    pub(crate) fn post_stream(
        &self,
        path: &str,
        query: &Query,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(Head, Body), Error> {
        let payload = body.map_or(Payload::Nothing, Payload::Json);
        self.send(Method::Post, path, query, headers, payload)
    }

    /// Sends a `POST` without a body and does not wait for the answer, so that the engine works on it beside other requests.
    pub(crate) fn post_ahead(&self, path: &str, query: &Query) -> Result<Ahead, Error> {
        let target = self.path(path, query)?;
        let mut head = self.request_head(Method::Post, &target, &[], &Payload::Nothing);
        head.push_str("\r\n");
        let reused = self.idle.borrow_mut().pop();
        let mut connection = match reused {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let sent = connection.write(head.as_bytes()).is_ok();
        Ok(Ahead { connection: sent.then_some(connection), target })
    }

    /// The answer to a request that was sent ahead; to be read as it comes. Asks again when the connection broke, so this is
    /// for requests that change nothing.
    pub(crate) fn answer(&self, ahead: Ahead) -> Result<(Head, Body), Error> {
        let Ahead { connection, target } = ahead;
        if let Some(mut connection) = connection
            && let Ok(head) = connection.head()
        {
            let body = connection.body(&head, false)?;
            return self.accept(head, body, &target);
        }
        let (head, body) = self.exchange(Method::Post, &target, &[], Payload::Nothing)?;
        self.accept(head, body, &target)
    }

    /// Connects for the next request: the engine takes the connection while we do something else.
    pub(crate) fn connect_ahead(&self) {
        if self.idle.borrow().is_empty()
            && let Ok(connection) = self.connect()
        {
            self.idle.borrow_mut().push(connection);
        }
    }

    /// `DELETE`
    pub(crate) fn delete(&self, path: &str, query: &Query) -> Result<Value, Error> {
        let (_, body) = self.send(Method::Delete, path, query, &[], Payload::Nothing)?;
        self.json(body)
    }

    /// `HEAD`: the head alone.
    pub(crate) fn head(&self, path: &str, query: &Query) -> Result<Head, Error> {
        let (head, body) = self.send(Method::Head, path, query, &[], Payload::Nothing)?;
        self.keep(body);
        Ok(head)
    }

    /// `GET` whose answer is read as it comes.
    pub(crate) fn open(&self, path: &str, query: &Query) -> Result<(Head, Body), Error> {
        self.send(Method::Get, path, query, &[], Payload::Nothing)
    }

    /// The same with headers of its own.
    pub(crate) fn open_with(&self, path: &str, query: &Query, headers: &[(&str, &str)]) -> Result<(Head, Body), Error> {
        self.send(Method::Get, path, query, headers, Payload::Nothing)
    }

    /// `PUT` of bytes with headers of its own; the answer's document.
    pub(crate) fn put_bytes(
        &self,
        path: &str,
        query: &Query,
        headers: &[(&str, &str)],
        kind: &'static str,
        bytes: &[u8],
    ) -> Result<Value, Error> {
        let mut source = bytes;
        let (_, body) = self.send(Method::Put, path, query, headers, Payload::Stream(kind, &mut source))?;
        self.json(body)
    }

    /// Sends a stream of the given content type; the answer is read as it comes.
    pub(crate) fn upload(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        kind: &'static str,
        source: &mut dyn Read,
    ) -> Result<(Head, Body), Error> {
        self.send(method, path, query, &[], Payload::Stream(kind, source))
    }

    /// Sends what `write` writes as the given content type; the answer is read as it comes.
    pub(crate) fn upload_written(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        kind: &'static str,
        mut write: impl FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<(Head, Body), Error> {
        self.send(method, path, query, &[], Payload::Written(kind, &mut write))
    }

    /// `POST` that turns the connection into a raw stream: the stream, what was already read, and the content type.
    pub(crate) fn hijack(&self, path: &str, query: &Query, body: Option<&Value>) -> Result<Hijacked, Error> {
        let target = self.path(path, query)?;
        let payload = body.map_or(Payload::Nothing, Payload::Json);
        let headers = [("Connection", "Upgrade"), ("Upgrade", "tcp")];
        let mut head = self.request_head(Method::Post, &target, &headers, &payload);
        match body {
            Some(body) => {
                let body = body.to_string();
                _ = write!(head, "Content-Length: {}\r\n\r\n{body}", body.len());
            }
            None => head.push_str("\r\n"),
        }
        let mut connection = self.connect()?;
        let broken = |error: io::Error| self.broken(Method::Post, &target, &error);
        connection.write(head.as_bytes()).map_err(broken)?;
        let head = connection.head().map_err(broken)?;
        // an engine behind an old proxy answers 200 and goes raw all the same
        if !matches!(head.status, 101 | 200) {
            let body = connection.body(&head, false)?;
            return match self.accept(head, body, &target) {
                Ok((head, _)) => Err(Error::Status(format!("unable to upgrade to tcp, received {}", head.status))),
                Err(error) => Err(error),
            };
        }
        let multiplexed = head.get("content-type") == Some("application/vnd.docker.multiplexed-stream");
        let (stream, early) = connection.into_parts();
        Ok(Hijacked { stream, early, multiplexed })
    }
}

/// A request whose answer is still to be read.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// `None`: it could not be sent.
    connection: Option<Connection>,
    target: String,
}

/// A raw stream.
#[derive(Debug)]
pub(crate) struct Hijacked {
    pub(crate) stream: Stream,
    /// Bytes that came together with the head.
    pub(crate) early: Vec<u8>,
    /// The engine says that the stream has frames.
    pub(crate) multiplexed: bool,
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
