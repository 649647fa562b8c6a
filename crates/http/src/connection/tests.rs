//! Real sockets with a stub handler: keep-alive, hijack, streams, half-closed and vanished clients, hostile bytes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdStream;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::input::{self, Unread};
use crate::{body, hijack};

/// Serves one end of a pair with the stub, gives the other.
fn connect() -> (UnixStream, watch::Sender<bool>, mpsc::Receiver<()>) {
    let (client, server) = UnixStream::pair().expect("a socket pair");
    let (stop, stopping) = watch::channel(false);
    let (alive, gone) = mpsc::channel(1);
    tokio::spawn(run(server, stub, stopping, alive));
    (client, stop, gone)
}

async fn stub(peer: Peer, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/echo" => {
            let (parts, incoming) = request.into_parts();
            match input::document::<wharf_api::network::ConnectRequest>(&parts.headers, Unread::new(incoming)).await {
                Ok(document) => body::json(StatusCode::OK, &document),
                Err(failure) => failure.into_response(),
            }
        }
        "/hijack" => {
            let head = hijack::head(request.headers(), crate::version::MAXIMUM, false, "");
            input::skip(Unread::new(request.into_body())).await.expect("no body");
            // gives back what it gets, first what hyper had read ahead
            let hijack = Hijack::new(head, |fd, early| async move {
                let mut socket = StdStream::from(fd);
                socket.set_nonblocking(false).expect("blocking");
                let echo = move || -> io::Result<()> {
                    socket.write_all(&early)?;
                    let mut rest = Vec::new();
                    socket.read_to_end(&mut rest)?;
                    socket.write_all(&rest)
                };
                tokio::task::spawn_blocking(echo).await.expect("no panic").expect("echo");
            });
            peer.hijack(hijack).await
        }
        "/silent" => {
            let (sender, items) = mpsc::channel::<Bytes>(1);
            tokio::spawn(async move {
                let _ = sender.send(Bytes::from_static(b"first\n")).await;
                sender.closed().await;
            });
            let body = Body::items(items, Ok).until(async move { peer.gone().await });
            body::typed(StatusCode::OK, "text/plain", body)
        }
        "/later" => {
            let later = async move {
                peer.gone().await;
                Bytes::new()
            };
            body::typed(StatusCode::OK, "text/plain", Body::Later(Box::pin(later)))
        }
        _ => body::json(StatusCode::OK, &path),
    }
}

async fn send(client: &mut UnixStream, text: &str) {
    client.write_all(text.as_bytes()).await.expect("send");
}

/// Reads until `end` has been seen.
async fn until(client: &mut UnixStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let n = client.read(&mut buffer).await.expect("read");
        assert_ne!(n, 0, "closed before {end:?}: {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    text
}

async fn rest(client: &mut UnixStream) -> String {
    let mut text = Vec::new();
    // a reset tells the same as an end here
    let _ = client.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (mut client, _stop, _gone) = connect();
    for path in ["/a", "/b"] {
        send(&mut client, &format!("GET {path} HTTP/1.1\r\nHost: d\r\n\r\n")).await;
        let answer = until(&mut client, &format!("\"{path}\"\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Content-Type: application/json\r\n"), "{answer}");
        assert!(answer.contains("Content-Length: 5\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_hijack_takes_early_bytes_later_bytes_and_half_close() {
    for (upgrade, status) in [("", "HTTP/1.1 200 OK\r\n"), ("Upgrade: tcp\r\n", "HTTP/1.1 101 UPGRADED\r\n")] {
        let (mut client, _stop, mut gone) = connect();
        send(&mut client, "GET /before HTTP/1.1\r\nHost: d\r\n\r\n").await;
        until(&mut client, "\"/before\"\n").await;
        let request = format!("POST /hijack HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n{upgrade}\r\nearly ");
        send(&mut client, &request).await;
        let head = until(&mut client, "early ").await;
        assert!(head.starts_with(status), "{head}");
        // nobody waits for a hijacked connection
        assert_eq!(gone.recv().await, None);
        send(&mut client, "late").await;
        client.shutdown().await.expect("half-close");
        assert_eq!(rest(&mut client).await, "late");
    }
}

#[tokio::test]
async fn a_stream_is_flushed_at_once_and_ends_with_its_client() {
    let (mut client, _stop, mut gone) = connect();
    send(&mut client, "GET /silent HTTP/1.1\r\nHost: d\r\n\r\n").await;
    until(&mut client, "first\n").await;
    drop(client);
    assert_eq!(gone.recv().await, None);
}

#[tokio::test]
async fn a_stream_ends_when_its_client_closes_its_half() {
    let (mut client, _stop, _gone) = connect();
    send(&mut client, "GET /silent HTTP/1.1\r\nHost: d\r\n\r\n").await;
    until(&mut client, "first\n").await;
    client.shutdown().await.expect("half-close");
    assert!(rest(&mut client).await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_closes_its_half_gets_its_answer() {
    let (mut client, _stop, _gone) = connect();
    send(&mut client, "GET /x HTTP/1.1\r\nHost: d\r\n\r\n").await;
    client.shutdown().await.expect("half-close");
    assert!(rest(&mut client).await.ends_with("\"/x\"\n"));
}

#[tokio::test]
async fn a_head_goes_out_before_its_body() {
    let (mut client, _stop, mut gone) = connect();
    send(&mut client, "POST /later HTTP/1.1\r\nHost: d\r\n\r\n").await;
    let head = until(&mut client, "\r\n\r\n").await;
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    drop(client);
    assert_eq!(gone.recv().await, None);
}

#[tokio::test]
async fn shutdown_ends_idle_connections() {
    let (mut client, stop, mut gone) = connect();
    send(&mut client, "GET /x HTTP/1.1\r\nHost: d\r\n\r\n").await;
    until(&mut client, "\"/x\"\n").await;
    stop.send(true).expect("still served");
    assert_eq!(gone.recv().await, None);
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn hostile_bytes_are_refused() {
    let check = async |request: String, expect: &str| {
        let (mut client, _stop, mut gone) = connect();
        // the server may hang up while we are still sending
        let _ = client.write_all(request.as_bytes()).await;
        let _ = client.shutdown().await;
        let answer = rest(&mut client).await;
        let shown: String = request.chars().take(80).collect();
        assert!(answer.contains(expect), "{shown:?}: {answer:?}");
        drop(client);
        assert_eq!(gone.recv().await, None);
    };
    let post = |headers: &str, body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
    };
    let sized = |body: &str| post(&format!("Content-Length: {}\r\n", body.len()), body);
    check("garbage\r\n\r\n".into(), "400 Bad Request").await;
    check("GET / HTTP/9.9\r\n\r\n".into(), "400 Bad Request").await;
    check(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(2_000_000)), "431 Request Header").await;
    check(format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(10_000)), "431 Request Header").await;
    check(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)), "414 URI Too Long").await;
    check(post("Transfer-Encoding: chunked\r\n", "ZZ\r\n"), "400 Bad Request").await;
    check(post("Content-Length: 10\r\n", "{"), "400 Bad Request").await;
    check(post("Content-Length: 1\r\nContent-Length: 2\r\n", "{"), "400 Bad Request").await;
    check(sized("{"), "unexpected EOF").await;
    check(sized(""), "got EOF while reading request body").await;
    check(sized("{} {}"), "unexpected content after JSON").await;
    check(sized(&"[".repeat(100_000)), "exceeded max depth").await;
    check(sized(r#"{"Container":5}"#), "cannot unmarshal number into Go struct field .Container of type string").await;
    check(sized(&format!("\"{}\"", "a".repeat(5_000_000))), "413 Payload Too Large").await;
    // what Go accepts: unknown, repeated and differently written keys, a lone surrogate, broken UTF-8
    check(sized(r#"{"container":"a","CONTAINER":"b","Other":[{}]}"#), r#"{"Container":"b"}"#).await;
    check(sized(r#"{"Container":"\ud800"}"#), "200 OK").await;
}
