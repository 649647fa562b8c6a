//! The registry as a cache of another one: what is missing is fetched from there, verified, kept, and served while it comes.
//!
//! A tag is asked for again when it is older than its time to live; digests never change. While the registry behind does not
//! answer, what is here is served. Several clients that want one blob share one download.

use crate::client::{self, Access, Address, Credentials, Endpoint, Settings, Step};
use crate::server::answer::{self, Answer, Body, set};
use crate::server::name::{Name, Repository, UploadId};
use crate::server::refusal::{Code, Outcome, Refusal};
use crate::server::storage::Storage;
use crate::server::{blocking, disk};
use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use hyper::header::CONTENT_LENGTH;
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wharf_spec::digest::{Digest, Hasher};

/// Repositories whose connection and tokens are kept.
const MAX_OPEN: usize = 256;
/// Bytes that are written and hashed, and read again for a client, in one go.
const PIECE: usize = 512 << 10;

/// The registry behind this one.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `https://registry-1.docker.io`
    pub url: String,
    /// Who we are there; nobody when empty.
    pub username: String,
    /// The password for that.
    pub password: String,
    /// How long a tag is believed.
    pub ttl: Duration,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    storage: Storage,
    settings: Arc<Settings>,
    endpoint: Endpoint,
    credentials: Credentials,
    ttl: Duration,
    open: Mutex<HashMap<Repository, Arc<client::Repository>>>,
    fetches: Arc<Mutex<HashMap<Digest, Weak<Fetch>>>>,
}

/// A blob on its way.
#[derive(Debug)]
struct Fetch {
    file: File,
    size: u64,
    state: watch::Receiver<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes are in the file.
    Coming(u64),
    /// All of it, and it is what was asked for.
    Whole,
    Failed,
}

fn unavailable(error: &client::Error) -> Refusal {
    tracing::warn!("the registry behind this one: {error}");
    Refusal::saying(Code::BadGateway, format!("the registry behind this one: {error}"))
}

impl Cache {
    pub(crate) fn new(proxy: &Proxy, storage: Storage) -> Result<Self, crate::server::Error> {
        let base =
            Address::parse(&proxy.url).map_err(|e| crate::server::Error::Proxy(format!("{}: {e}", proxy.url)))?;
        let credentials = Credentials {
            username: proxy.username.clone(),
            password: proxy.password.clone(),
            ..Credentials::default()
        };
        Ok(Self {
            storage,
            settings: Arc::new(Settings::default()),
            endpoint: Endpoint { base, verify: true, mirror: false },
            credentials,
            ttl: proxy.ttl,
            open: Mutex::default(),
            fetches: Arc::default(),
        })
    }

    async fn upstream(&self, name: &Repository) -> client::Result<Arc<client::Repository>> {
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (settings, endpoint) = (self.settings.clone(), self.endpoint.clone());
        let credentials = self.credentials.clone();
        let opened = client::Repository::open(settings, endpoint, name.as_str(), credentials, Access::Pull).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(name.clone(), opened.clone());
        Ok(opened)
    }

    /// Sees to it that the newest manifest of that name is here, as far as can be.
    pub(crate) async fn refresh(&self, name: &Repository, which: &Name) -> Outcome<()> {
        let (storage, owner, asked, ttl) = (self.storage.clone(), name.clone(), which.clone(), self.ttl);
        let (here, fresh) = blocking(move || {
            let broken = |e: io::Error| Refusal::broken("read cache", &e);
            let digest = match &asked {
                Name::Digest(digest) => Some(*digest),
                Name::Tag(tag) => storage.tag(&owner, tag).map_err(broken)?,
            };
            let here = digest.filter(|digest| storage.manifest(&owner, digest).is_ok_and(|found| found.is_some()));
            let fresh = match &asked {
                Name::Digest(_) => true,
                Name::Tag(tag) => storage.tag_age(&owner, tag).is_some_and(|age| age < ttl),
            };
            Ok((here, fresh))
        })
        .await?;
        if here.is_some() && fresh {
            return Ok(());
        }
        match self.renew(name, which, here).await {
            Ok(()) => Ok(()),
            Err(Failure::Here(refusal)) => Err(refusal),
            Err(Failure::There(error)) if error.is_missing() => {
                Err(Refusal::new(Code::ManifestUnknown, json!({"Name": name.as_str(), "Reference": which.to_string()})))
            }
            Err(Failure::There(error)) if here.is_some() => {
                tracing::warn!("{name}:{which} is served as it was: {error}");
                Ok(())
            }
            Err(Failure::There(error)) => Err(unavailable(&error)),
        }
    }

    async fn renew(&self, name: &Repository, which: &Name, here: Option<Digest>) -> Result<(), Failure> {
        let upstream = self.upstream(name).await?;
        let reference = which.to_string();
        // a HEAD costs little, and registries that count pulls do not count it
        let unchanged = here.is_some() && upstream.head_manifest(&reference).await? == here;
        let document = if unchanged { None } else { Some(upstream.manifest(&reference).await?) };
        let tag = match which {
            Name::Tag(tag) => Some(tag.clone()),
            Name::Digest(_) => None,
        };
        let (storage, name) = (self.storage.clone(), name.clone());
        blocking(move || {
            let broken = |e: io::Error| Refusal::broken("keep manifest", &e);
            let _gate = storage.rely().map_err(broken)?;
            match (document, here, tag) {
                (Some(found), _, tag) => {
                    let parsed = super::document::Document::parse(&found.bytes, Some(&found.media_type)).ok();
                    let subject = parsed.and_then(|document| document.subject);
                    storage.store(&name, &found.digest, &found.bytes, subject.as_ref(), tag.as_ref()).map_err(broken)
                }
                (None, Some(digest), Some(tag)) => storage.set_tag(&name, &tag, &digest).map_err(broken),
                _ => Ok(()),
            }
        })
        .await
        .map_err(Failure::Here)
    }

    /// Tags as the registry behind has them; nothing while it does not answer.
    pub(crate) async fn tags(&self, name: &Repository) -> Outcome<Option<Vec<String>>> {
        let listed = async { self.upstream(name).await?.tags().await }.await;
        match listed {
            Ok(mut tags) => {
                tags.sort();
                Ok(Some(tags))
            }
            Err(error) if error.is_missing() => Err(Refusal::new(Code::NameUnknown, json!({ "name": name.as_str() }))),
            Err(error) => {
                tracing::warn!("tags of {name} are listed from the cache: {error}");
                Ok(None)
            }
        }
    }

    /// A blob that is not here.
    pub(crate) async fn blob(&self, name: &Repository, digest: &Digest, head: bool) -> Outcome<Answer> {
        let unknown = || Refusal::new(Code::BlobUnknown, json!({ "digest": digest }));
        let fetch = match self.coming(digest) {
            Some(fetch) => fetch,
            None => {
                let upstream = self.upstream(name).await.map_err(|e| unavailable(&e))?;
                let size = upstream.head_blob(digest).await.map_err(|e| unavailable(&e))?.ok_or_else(unknown)?;
                if head {
                    let mut answer = answer::empty(StatusCode::OK);
                    set(&mut answer, CONTENT_LENGTH, size.to_string());
                    return Ok(answer);
                }
                self.fetch(upstream, name, digest, size).await?
            }
        };
        let mut answer = answer::empty(StatusCode::OK);
        set(&mut answer, CONTENT_LENGTH, fetch.size.to_string());
        if !head {
            *answer.body_mut() = follow(fetch);
        }
        Ok(answer)
    }

    /// The download of a blob that somebody else began.
    fn coming(&self, digest: &Digest) -> Option<Arc<Fetch>> {
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.get(digest)?.upgrade().filter(|fetch| *fetch.state.borrow() != State::Failed)
    }

    /// Begins a download; it goes on when the client goes.
    async fn fetch(
        &self,
        upstream: Arc<client::Repository>,
        name: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Outcome<Arc<Fetch>> {
        let (storage, owner) = (self.storage.clone(), name.clone());
        let (folder, written, read) = blocking(move || {
            let make = || -> io::Result<(PathBuf, File, File)> {
                // where unfinished uploads are: the collector knows the place
                let folder = storage.upload(&owner, &UploadId::random()?);
                std::fs::create_dir_all(&folder)?;
                let path = folder.join("data");
                Ok((folder, File::create_new(&path)?, File::open(&path)?))
            };
            make().map_err(|e| Refusal::broken("fetch blob", &e))
        })
        .await?;
        let (progress, state) = watch::channel(State::Coming(0));
        let fetch = Arc::new(Fetch { file: read, size, state });
        let raced = {
            let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            let there = fetches.get(digest).and_then(Weak::upgrade).filter(|f| *f.state.borrow() != State::Failed);
            if there.is_none() {
                fetches.insert(*digest, Arc::downgrade(&fetch));
            }
            there
        };
        if let Some(there) = raced {
            let _ = disk::remove_folder(&folder);
            return Ok(there);
        }
        let job = Job { storage: self.storage.clone(), name: name.clone(), digest: *digest, folder, progress };
        let (fetches, held) = (self.fetches.clone(), fetch.clone());
        tokio::spawn(async move {
            let digest = job.digest;
            job.run(upstream, written, size).await;
            fetches.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
            drop(held);
        });
        Ok(fetch)
    }
}

/// What can go wrong when a manifest is renewed.
enum Failure {
    Here(Refusal),
    There(client::Error),
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        Self::There(error)
    }
}

/// One download.
struct Job {
    storage: Storage,
    name: Repository,
    digest: Digest,
    folder: PathBuf,
    progress: watch::Sender<State>,
}

impl Job {
    async fn run(self, upstream: Arc<client::Repository>, file: File, size: u64) {
        let state = match self.download(upstream, file, size).await {
            Ok(()) => State::Whole,
            Err(why) => {
                tracing::error!("fetch {} of {}: {why}", self.digest, self.name);
                State::Failed
            }
        };
        let _ = disk::remove_folder(&self.folder);
        let _ = self.progress.send(state);
    }

    async fn download(&self, upstream: Arc<client::Repository>, file: File, size: u64) -> Result<(), String> {
        let mut download = upstream.download(&self.digest, size, 0);
        let mut sink = (file, Hasher::like(&self.digest), 0_u64);
        let mut batch = BytesMut::new();
        loop {
            let step = download.next().await.map_err(|e| e.to_string())?;
            let end = matches!(step, Step::End);
            match step {
                Step::Data(bytes) => batch.extend_from_slice(&bytes),
                Step::Waiting(_, error) => tracing::warn!("fetch {}: {error}; trying again", self.digest),
                Step::End => {}
            }
            if batch.len() < PIECE && !end {
                continue;
            }
            let bytes = batch.split().freeze();
            let written = tokio::task::spawn_blocking(move || {
                sink.0.write_all(&bytes)?;
                sink.1.update(&bytes);
                sink.2 += bytes.len() as u64;
                io::Result::Ok(sink)
            });
            sink = written.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
            let _ = self.progress.send(State::Coming(sink.2));
            if end {
                break;
            }
        }
        let found = sink.1.finish();
        if found != self.digest {
            return Err(format!("the bytes have digest {found}"));
        }
        let (storage, name, digest) = (self.storage.clone(), self.name.clone(), self.digest);
        let path = self.folder.join("data");
        let adopted = tokio::task::spawn_blocking(move || storage.adopt(&name, &path, &digest));
        adopted.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }
}

/// Streams a blob while it comes. The last byte is sent when the digest was found right: a client never has a whole blob that lies.
fn follow(fetch: Arc<Fetch>) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut state = fetch.state.clone();
        let mut at = 0;
        while at < fetch.size {
            let now = *state.borrow_and_update();
            let ready = match now {
                State::Coming(bytes) => bytes.min(fetch.size - 1),
                State::Whole => fetch.size,
                State::Failed => {
                    let _ = sender.send(Err(io::Error::other("the registry behind this one broke off"))).await;
                    return;
                }
            };
            if ready <= at {
                if state.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let (file, want) = (fetch.clone(), (ready - at).min(PIECE as u64) as usize);
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = BytesMut::zeroed(want);
                file.file.read_exact_at(&mut piece, at)?;
                io::Result::Ok(Bytes::from(piece))
            });
            let Ok(piece) = read.await else { return };
            let failed = piece.is_err();
            if sender.send(piece).await.is_err() || failed {
                return;
            }
            at += want as u64;
        }
    });
    Body::Pieces(receiver)
}
