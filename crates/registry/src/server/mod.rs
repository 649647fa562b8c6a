//! The embedded registry: OCI distribution specification 1.1 over a folder in the stock registry's layout.
//!
//! ```text
//!   accept ─ connection limit ─ TLS ─ hyper ─► auth ─► route ─► blobs │ manifests │ lists ─► storage (blocking threads)
//!                                                                  └ cache: fetch what is missing from the registry behind
//! ```
//!
//! Everything a client sends is foreign: names are parsed before they are part of a path, sizes are bounded, a client that
//! stalls loses its connection, and a blob exists only after its digest was found right.

mod answer;
mod auth;
mod blobs;
mod cache;
mod collect;
mod disk;
mod document;
mod listen;
mod lists;
mod manifests;
mod name;
mod refusal;
mod route;
mod storage;
mod upload;

pub use cache::Proxy;
pub use collect::{Collection, Report, collect};
pub use listen::serve;

use answer::{Answer, set};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use refusal::{Code, Outcome, Refusal};
use route::Route;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `Docker-Distribution-Api-Version`: by this a client knows a registry of version 2.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What clients may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Pull, push and delete.
    Full,
    /// Pull and push.
    NoDelete,
    /// Pull.
    ReadOnly,
}

/// How a registry is served.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub addresses: Vec<SocketAddr>,
    /// The data folder.
    pub root: PathBuf,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<wharf_tls::Server>,
    /// The file of users; anybody may come without.
    pub users: Option<PathBuf>,
    /// What a client shows when it asks for a password.
    pub realm: String,
    /// What clients may do.
    pub access: Access,
    /// The registry behind this one: then it is a cache, and nothing can be pushed.
    pub proxy: Option<Proxy>,
    /// Connections at the same time; more wait.
    pub connections: usize,
    /// Collect what nothing refers to this often.
    pub collect: Option<(Duration, Collection)>,
}

/// Why a registry cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("listen on {address}: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The system's sentence.
        reason: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error("data folder {}: {reason}", root.display())]
    Root {
        /// The folder.
        root: PathBuf,
        /// The system's sentence.
        reason: std::io::Error,
    },
    /// The file of users cannot be used.
    #[error(transparent)]
    Users(std::io::Error),
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] wharf_tls::Error),
    /// The address of the registry behind this one is none.
    #[error("proxy {0}")]
    Proxy(String),
}

/// A registry that is being served.
#[derive(Debug)]
pub(crate) struct Registry {
    storage: storage::Storage,
    uploads: Arc<upload::Uploads>,
    users: Option<auth::Users>,
    realm: String,
    access: Access,
    cache: Option<Arc<cache::Cache>>,
}

impl Registry {
    fn open(config: &Config) -> Result<Self, Error> {
        let storage = storage::Storage::new(&config.root);
        if config.access != Access::ReadOnly {
            storage.create().map_err(|reason| Error::Root { root: config.root.clone(), reason })?;
        }
        let cache = config.proxy.as_ref().map(|proxy| cache::Cache::new(proxy, storage.clone())).transpose()?;
        Ok(Self {
            uploads: Arc::new(upload::Uploads::new(storage.clone())),
            storage,
            users: config.users.as_deref().map(auth::Users::open).transpose().map_err(Error::Users)?,
            realm: config.realm.clone(),
            access: config.access,
            cache: cache.map(Arc::new),
        })
    }

    /// Answers a request and logs it.
    pub(crate) async fn answer(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> Answer {
        let began = std::time::Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut user = None;
        let mut answer = match self.clone().route(&mut user, request).await {
            Ok(answer) => answer,
            Err(refusal) => {
                let mut answer = answer::refusal(&refusal);
                if refusal.code == Code::Unauthorized {
                    set(&mut answer, WWW_AUTHENTICATE, format!("Basic realm=\"{}\"", self.realm));
                }
                answer
            }
        };
        answer.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        set(&mut answer, HeaderName::from_static("x-content-type-options"), "nosniff");
        let status = answer.status().as_u16();
        let (user, took) = (user.as_deref().unwrap_or("-"), began.elapsed());
        tracing::info!(%peer, user, %method, path = %path.escape_debug(), status, ?took, "request");
        answer
    }

    async fn route(self: Arc<Self>, user: &mut Option<String>, request: Request<Incoming>) -> Outcome<Answer> {
        if let Some(users) = &self.users {
            let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            *user = users.check(header).await;
            if user.is_none() {
                return Err(Code::Unauthorized.into());
            }
        }
        let route = route::route(request.uri().path())?;
        let method = request.method().clone();
        let reads = matches!(method, Method::GET | Method::HEAD);
        match &route {
            Route::Upload(..) | Route::Uploads(_) => self.may_push()?,
            _ if reads => {}
            _ if method == Method::DELETE => self.may_delete()?,
            _ => self.may_push()?,
        }
        match (method, route) {
            (Method::GET | Method::HEAD, Route::Base) => Ok(answer::json("application/json", &serde_json::json!({}))),
            (Method::GET, Route::Catalog) => self.catalog(&request).await,
            (Method::GET, Route::Tags(name)) => self.tags(name, &request).await,
            (Method::GET, Route::Referrers(name, digest)) => self.referrers(name, digest, &request).await,
            (Method::GET | Method::HEAD, Route::Manifest(name, which)) => self.manifest(name, which, &request).await,
            (Method::PUT, Route::Manifest(name, which)) => self.put_manifest(name, which, request).await,
            (Method::DELETE, Route::Manifest(name, which)) => self.delete_manifest(name, which).await,
            (Method::GET | Method::HEAD, Route::Blob(name, digest)) => self.blob(name, digest, &request).await,
            (Method::DELETE, Route::Blob(name, digest)) => self.delete_blob(name, digest).await,
            (Method::POST, Route::Uploads(name)) => self.post_upload(name, request).await,
            (Method::GET | Method::HEAD, Route::Upload(name, id)) => self.upload_status(&name, &id),
            (Method::PATCH, Route::Upload(name, id)) => self.patch_upload(name, id, request).await,
            (Method::PUT, Route::Upload(name, id)) => self.put_upload(name, id, request).await,
            (Method::DELETE, Route::Upload(name, id)) => {
                let this = self.clone();
                blocking(move || this.uploads.cancel(&name, &id)).await?;
                Ok(answer::empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Code::Unsupported.into()),
        }
    }

    fn may_push(&self) -> Outcome<()> {
        match (self.access, &self.cache) {
            (Access::ReadOnly, _) => Err(Refusal::saying(Code::Unsupported, "the registry is read-only")),
            (_, Some(_)) => {
                Err(Refusal::saying(Code::Unsupported, "this registry is a cache of another one: push there"))
            }
            _ => Ok(()),
        }
    }

    fn may_delete(&self) -> Outcome<()> {
        match self.access {
            Access::Full => Ok(()),
            Access::NoDelete => Err(Refusal::saying(Code::Unsupported, "the registry deletes nothing (--no-delete)")),
            Access::ReadOnly => Err(Refusal::saying(Code::Unsupported, "the registry is read-only")),
        }
    }
}

/// Does disk work off the reactor. It runs to its end even when the client goes.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Code::Unknown.into()))
}
