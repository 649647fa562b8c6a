//! Registries that are slow, dead or out of their minds: every wait has an end, and what came is used.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use wharf_registry::client::{
    Access, Address, Credentials, Download, Endpoint, Error, Patience, Repository, Settings, Step,
};
use wharf_spec::digest::Digest;

/// What a test's registry does with one request; the connection ends when it returns `false`.
type Answer = dyn Fn(&str, &str, &mut TcpStream) -> bool + Send + Sync;

/// Serves on loopback: the first line and the range of each request, and the connection.
fn serve(answer: impl Fn(&str, &str, &mut TcpStream) -> bool + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer: Arc<Answer> = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || talk(stream, &*answer));
        }
    });
    address
}

fn talk(mut stream: TcpStream, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut range = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("range: ") {
                value.trim().clone_into(&mut range);
            }
        }
        if !answer(&first, &range, &mut stream) {
            return;
        }
    }
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
}

/// Holds the connection until the client goes.
fn hold(stream: &mut TcpStream) -> bool {
    let _ = std::io::copy(stream, &mut std::io::sink());
    false
}

fn settings() -> Arc<Settings> {
    let short = Duration::from_millis(200);
    let patience = Patience {
        connect: Duration::from_secs(5),
        answer: short,
        stall: short,
        pause: Duration::from_millis(10),
        longest: short,
    };
    Arc::new(Settings { patience, attempts: 3, ..Settings::default() })
}

async fn open(address: &str) -> Result<Arc<Repository>, Error> {
    let base = Address::parse(&format!("http://{address}/"))?;
    let endpoint = Endpoint { base, verify: true, mirror: false };
    Repository::open(settings(), endpoint, "app", Credentials::default(), Access::Pull).await
}

async fn all(mut download: Download) -> Result<(Vec<u8>, usize), Error> {
    let (mut bytes, mut waits) = (Vec::new(), 0);
    loop {
        match download.next().await? {
            Step::Data(piece) => bytes.extend_from_slice(&piece),
            Step::Waiting(..) => waits += 1,
            Step::End => return Ok((bytes, waits)),
        }
    }
}

#[tokio::test]
async fn r_img_08_a_registry_that_says_nothing_is_given_up() {
    let address = serve(|_, _, stream| hold(stream));
    let error = open(&address).await.unwrap_err();
    let expect = format!("Get \"http://{address}/v2/\": net/http: timeout awaiting response headers");
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn r_reg_01_nobody_there_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = open(&address.to_string()).await.unwrap_err();
    let expect = format!("Get \"http://{address}/v2/\": dial tcp {address}: connect: connection refused");
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn r_img_08_a_stalled_blob_goes_on_where_it_stopped() {
    let blob: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let digest = Digest::of(&blob);
    let served = blob.clone();
    let address = serve(move |first, range, stream| {
        if first.contains("/v2/ ") {
            return say(stream, "200 OK", "", b"{}");
        }
        match range.strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse::<usize>().ok()) {
            Some(at) => {
                let headers = format!("Content-Range: bytes {at}-{}/{}\r\n", served.len() - 1, served.len());
                say(stream, "206 Partial Content", &headers, &served[at..])
            }
            None => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", served.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&served[..40_000]));
                hold(stream)
            }
        }
    });
    let repository = open(&address).await.unwrap();
    let (bytes, waits) = all(repository.download(&digest, blob.len() as u64, 0)).await.unwrap();
    assert_eq!((bytes == blob, waits), (true, 1));
    // a kept part is not asked for again
    let (rest, _) = all(repository.download(&digest, blob.len() as u64, 99_000)).await.unwrap();
    assert_eq!(rest, blob[99_000..]);
    // longer than promised
    let lie = all(repository.download(&digest, 1000, 0)).await.unwrap_err();
    assert!(matches!(lie, Error::Lie(_)), "{lie}");
}

#[tokio::test]
async fn r_img_08_answers_without_ranges_and_odd_statuses_are_understood() {
    let blob = b"0123456789".to_vec();
    let digest = Digest::of(&blob);
    let served = blob.clone();
    let address = serve(move |first, _, stream| match first {
        first if first.contains("/v2/ ") => say(stream, "200 OK", "", b"{}"),
        first if first.contains("/blobs/") => say(stream, "200 OK", "", &served),
        first if first.contains("/manifests/429") => say(stream, "429 Slow Down", "Retry-After: 3600\r\n", b""),
        first if first.contains("/manifests/loop") => say(stream, "302 Found", "Location: loop\r\n", b""),
        first if first.contains("/manifests/file") => say(stream, "302 Found", "Location: file:///etc/passwd\r\n", b""),
        _ => {
            let _ = stream.write_all(b"!!\r\n\r\n");
            false
        }
    });
    let repository = open(&address).await.unwrap();
    let (rest, _) = all(repository.download(&digest, 10, 4)).await.unwrap();
    assert_eq!(rest, b"456789");
    let check = async |reference: &str, expect: &str| {
        let error = repository.manifest(reference).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{reference}: {error}");
    };
    check("429", "toomanyrequests").await;
    check("loop", "stopped after 10 redirects").await;
    check("file", "redirect of").await;
    check("nonsense", "Get \"http://").await;
}
