//! Registries in the outside world: Debian's docker-registry, and one whose every answer a test decides.

use crate::host::Host;
use crate::wait::eventually;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use wharf_spec::digest::Digest;

/// Debian's docker-registry at 203.0.113.1.
#[derive(Debug)]
pub struct PeerRegistry {
    child: Child,
}

impl PeerRegistry {
    /// Starts it with its data in `host`'s folder. `more`: further lines of its configuration.
    #[track_caller]
    pub fn start(host: &Host, port: u16, more: &str) -> Self {
        let folder = host.dir().join(format!("registry-{port}"));
        std::fs::create_dir_all(&folder).expect("a folder for the registry");
        let config = folder.join("config.yml");
        let http =
            if more.contains("http:") { String::new() } else { format!("http: {{addr: '203.0.113.1:{port}'}}\n") };
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: '{}/data'}}\n  delete: {{enabled: true}}\n{http}{more}\n",
            folder.display()
        );
        std::fs::write(&config, text).expect("the registry's configuration");
        let log = File::create(folder.join("log")).expect("the registry's log");
        let child = host
            .outside()
            .command("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry starts (is the package installed?)");
        let mut registry = Self { child };
        eventually("the registry listens", || {
            let ended = registry.child.try_wait().expect("our own child");
            let told = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "docker-registry ended: {told}");
            let probe = format!("exec 3<>/dev/tcp/203.0.113.1/{port}");
            let ok = host.outside().command("bash").args(["-c", &probe]).stderr(Stdio::null()).status().ok()?;
            ok.success().then_some(())
        });
        registry
    }
}

impl Drop for PeerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request to a [`ScriptedRegistry`].
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// Of `Content-Length`.
    pub body: Vec<u8>,
}

impl Asked {
    /// First byte of `Range: bytes=N-`.
    pub fn range(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.trim_end_matches('-').parse().ok()
    }
}

/// What a [`ScriptedRegistry`] answers.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Status; 0 answers nothing and holds the connection.
    pub status: u16,
    /// Headers beside `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Sends only so many bytes of the body …
    pub only: Option<usize>,
    /// … and then holds the connection instead of closing it.
    pub hold: bool,
}

impl Reply {
    /// A whole answer.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".into(), kind.into())], body: body.into(), ..Self::default() }
    }

    /// An error as registries explain it.
    pub fn refuse(status: u16, code: &str) -> Self {
        let text = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"as the test wants it\"}}]}}");
        Self::new(status, "application/json", text)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A registry that a test writes: every request goes through one function.
#[derive(Debug)]
pub struct ScriptedRegistry {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl ScriptedRegistry {
    /// Serves at 203.0.113.1 until the test ends.
    #[track_caller]
    pub fn serve(host: &Host, port: u16, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = listen(host, port);
        let (log, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || talk(stream, &log, &*answer));
            }
        });
        Self { asked }
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a path was asked for with a method.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.asked().iter().filter(|a| a.method == method && a.path == path).count()
    }
}

/// A socket in the outside world, made by a thread that went there.
fn listen(host: &Host, port: u16) -> TcpListener {
    let namespace = File::open(host.outside().namespace()).expect("the outside world is there");
    let there = std::thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("a test may enter it");
        TcpListener::bind(("203.0.113.1", port)).expect("the port is free")
    });
    there.join().expect("the thread ends")
}

fn talk(stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Reply) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut reader = BufReader::new(copy);
    let mut out = stream;
    while let Some(asked) = read(&mut reader) {
        log.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
        let reply = answer(&asked);
        if reply.status == 0 {
            return hold(&mut reader);
        }
        let mut head = format!("HTTP/1.1 {} As-Scripted\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let body = if asked.method == "HEAD" { &[][..] } else { &reply.body };
        let sent = reply.only.unwrap_or(body.len()).min(body.len());
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body[..sent])).is_err() {
            return;
        }
        if sent < body.len() {
            if reply.hold {
                hold(&mut reader);
            }
            let _ = out.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// Until the other side closes.
fn hold(reader: &mut impl Read) {
    let _ = std::io::copy(reader, &mut std::io::sink());
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n: &String| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body })
}

/// An image as a registry has it, made of plain tar layers.
#[derive(Clone, Debug)]
pub struct ShelfImage {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Configuration and layers by digest.
    pub blobs: HashMap<String, Vec<u8>>,
    /// Digests of the layers.
    pub layers: Vec<String>,
}

/// What a compressed layer holds (or is said to hold), and its media type.
pub type Packed<'a> = (Vec<u8>, &'a str);

/// Docker's manifest, schema 2.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

impl ShelfImage {
    /// One layer per list of files.
    pub fn new(layers: &[&[(&str, &[u8])]]) -> Self {
        Self::of_blobs(layers.iter().map(|files| (tar(files), None)).collect())
    }

    /// Of layers as they are on the wire, with their plain form when that is another one and the kind.
    pub fn of_blobs(layers: Vec<(Vec<u8>, Option<Packed<'_>>)>) -> Self {
        let mut blobs = HashMap::new();
        let (mut entries, mut diffs, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for (blob, plain) in layers {
            let digest = Digest::of(&blob).to_string();
            let kind = plain.as_ref().map_or("application/vnd.docker.image.rootfs.diff.tar", |(_, kind)| kind);
            diffs.push(plain.as_ref().map_or_else(|| digest.clone(), |(plain, _)| Digest::of(plain).to_string()));
            entries.push(serde_json::json!({"mediaType": kind, "size": blob.len(), "digest": digest}));
            digests.push(digest.clone());
            blobs.insert(digest, blob);
        }
        let config = serde_json::json!({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diffs}});
        let config = config.to_string().into_bytes();
        let id = Digest::of(&config).to_string();
        let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": id},
            "layers": entries});
        blobs.insert(id, config);
        Self { manifest: manifest.to_string().into_bytes(), blobs, layers: digests }
    }

    /// Digest of the manifest.
    pub fn digest(&self) -> String {
        Digest::of(&self.manifest).to_string()
    }

    /// What an honest registry answers about this image, whatever its name and tag.
    pub fn answer(&self, asked: &Asked) -> Reply {
        let path = asked.path.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            return Reply::new(200, "application/json", "{}");
        }
        if path.contains("/manifests/") {
            return Reply::new(200, MANIFEST, self.manifest.clone()).with("Docker-Content-Digest", &self.digest());
        }
        let Some(blob) = path.rsplit('/').next().and_then(|digest| self.blobs.get(digest)) else {
            return Reply::refuse(404, "BLOB_UNKNOWN");
        };
        match asked.range().filter(|at| *at < blob.len()) {
            Some(at) => {
                let range = format!("bytes {at}-{}/{}", blob.len() - 1, blob.len());
                Reply::new(206, "application/octet-stream", &blob[at..]).with("Content-Range", &range)
            }
            None => Reply::new(200, "application/octet-stream", blob.clone()),
        }
    }
}

/// A plain tar of regular files (ustar).
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[108..115].copy_from_slice(b"0000000");
        header[116..123].copy_from_slice(b"0000000");
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[263..265].copy_from_slice(b"00");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// Makes `/etc/<name>` of the host something else, for its daemon and its commands alone.
#[track_caller]
pub fn replace_etc(host: &Host, name: &str, from: &Path) {
    let script = format!(
        "test -e /run/etc || {{ cp -a /etc /run/etc && mount --bind /run/etc /etc; }}; mkdir -p /etc/$(dirname {name}); cp -rL {} /etc/{name}",
        from.display()
    );
    host.run("sh", &["-c", &script]).ok();
}

/// `sha256:…` of bytes.
pub fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}
