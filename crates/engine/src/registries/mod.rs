//! Registries: the administrator's settings, and downloads that several pulls share.
//!
//! ```text
//!   pull A ─┐                        ┌─ Download (Range, retries) ──► Partial: a file beside ──► Store::unpack
//!   pull B ─┴─ join ─► Flight of one blob                              │ kept until the image is published:
//!                      ends with its last passenger                    └ a broken pull goes on from there
//! ```

mod flight;
mod partial;

pub(crate) use flight::{Flight, State};

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};

use tokio::sync::Semaphore;
use wharf_registry::client::{self, Access, Credentials, Endpoint, Insecure, Proxies, Repository, Settings};
use wharf_spec::digest::Digest;
use wharf_spec::image::Descriptor;
use wharf_spec::reference::{DEFAULT_DOMAIN, Reference};
use wharf_store::Store;

use crate::{Config, Error, Result};

/// What the engine has for registries.
pub(crate) struct Registries {
    /// A reload changes them for what begins later.
    live: RwLock<Live>,
    /// Stands in for Docker Hub.
    default: Option<String>,
    flights: Mutex<HashMap<Digest, Weak<Flight>>>,
    /// Blobs that have not come whole yet.
    folder: PathBuf,
}

/// What can change while the engine runs.
struct Live {
    settings: Arc<Settings>,
    downloads: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl Live {
    fn of(config: &Config) -> Result<Self> {
        let invalid = |e: client::Error| Error::InvalidParameter(e.to_string());
        let insecure = config.insecure_registries.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        let mirrors = config.registry_mirrors.iter().map(|text| client::mirror(text)).collect::<Result<_, _>>();
        let proxies = Proxies::new(&config.http_proxy, &config.https_proxy, &config.no_proxy).map_err(invalid)?;
        let settings = Settings {
            insecure: insecure.map_err(invalid)?,
            mirrors: mirrors.map_err(invalid)?,
            proxies,
            agent: format!("wharf/{}", config.version),
            attempts: config.max_download_attempts.max(1),
            ..Settings::default()
        };
        Ok(Self {
            settings: Arc::new(settings),
            downloads: Arc::new(Semaphore::new(config.max_concurrent_downloads.max(1))),
            uploads: Arc::new(Semaphore::new(config.max_concurrent_uploads.max(1))),
        })
    }
}

impl Config {
    /// Checks what is said of registries without opening anything.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] names what is wrong.
    pub fn check_registries(&self) -> Result<()> {
        Live::of(self).map(drop)
    }
}

impl Registries {
    /// Reads the settings.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let live = RwLock::new(Live::of(config)?);
        if let Some(domain) = &config.default_registry {
            // any name will do: only the domain is looked at
            Reference::parse(&format!("{domain}/x"))
                .ok()
                .filter(|r| r.domain() == domain)
                .ok_or_else(|| Error::InvalidParameter(format!("invalid default registry \"{domain}\"")))?;
        }
        let folder = config.data_root.join("downloads");
        partial::sweep(&folder)?;
        Ok(Self { live, default: config.default_registry.clone(), flights: Mutex::default(), folder })
    }

    /// Reads the settings again; when they are wrong the old ones stay.
    pub(crate) fn reload(&self, config: &Config) -> Result<()> {
        let live = Live::of(config)?;
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        Ok(())
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.live().settings.clone()
    }

    /// Turns of uploads.
    pub(crate) fn uploads(&self) -> Arc<Semaphore> {
        self.live().uploads.clone()
    }

    /// The registry that `domain` means, and the name that a repository has there.
    fn place<'a>(&'a self, domain: &'a str, path: &'a str) -> (&'a str, &'a str) {
        match &self.default {
            Some(default) if domain == DEFAULT_DOMAIN => (default, path.strip_prefix("library/").unwrap_or(path)),
            _ => (domain, path),
        }
    }

    /// The registry that `domain` (as a login names it) means.
    pub(crate) fn registry<'a>(&'a self, domain: &'a str) -> &'a str {
        self.place(domain, "").0
    }

    /// Where a repository can be reached.
    pub(crate) async fn endpoints(&self, name: &Reference, access: Access) -> Result<Vec<Endpoint>> {
        let (domain, _) = self.place(name.domain(), name.path());
        Ok(self.settings().endpoints(domain, access == Access::Pull).await?)
    }

    /// Opens a repository at one endpoint.
    pub(crate) async fn open_at(
        &self,
        endpoint: Endpoint,
        name: &Reference,
        credentials: &Credentials,
        access: Access,
    ) -> Result<Arc<Repository>> {
        let (_, path) = self.place(name.domain(), name.path());
        Ok(Repository::open(self.settings(), endpoint, path, credentials.clone(), access).await?)
    }

    /// Opens a repository at the first endpoint that answers.
    pub(crate) async fn open_any(
        &self,
        name: &Reference,
        credentials: &Credentials,
        access: Access,
    ) -> Result<Arc<Repository>> {
        self.reach(name, credentials, access, false).await
    }

    /// The same; `insecure`: as if the administrator had named the registry so.
    pub(crate) async fn reach(
        &self,
        name: &Reference,
        credentials: &Credentials,
        access: Access,
        insecure: bool,
    ) -> Result<Arc<Repository>> {
        let (domain, path) = self.place(name.domain(), name.path());
        let mut settings = self.settings();
        if insecure {
            Arc::make_mut(&mut settings).insecure.push(Insecure::Host(domain.to_owned()));
        }
        let mut last = Error::Unavailable(format!("no address for {domain}"));
        for endpoint in settings.endpoints(domain, access == Access::Pull).await? {
            match Repository::open(settings.clone(), endpoint, path, credentials.clone(), access).await {
                Ok(repository) => return Ok(repository),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// The download of a blob: the one that is on its way already, or (`true`) a new one.
    pub(crate) fn join(&self, store: &Store, repository: &Arc<Repository>, blob: &Descriptor) -> (Arc<Flight>, bool) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| flight.strong_count() > 0);
        if let Some(flight) = flights.get(&blob.digest).and_then(Weak::upgrade)
            && !flight.has_failed()
        {
            return (flight, false);
        }
        let partial = partial::Partial::new(&self.folder, &blob.digest, blob.size);
        let flight = Arc::new(Flight::start(store.clone(), repository.clone(), partial, self.live().downloads.clone()));
        flights.insert(blob.digest, Arc::downgrade(&flight));
        (flight, true)
    }

    /// Blobs whose images are published need not be kept any longer.
    pub(crate) fn arrived<'a>(&self, blobs: impl Iterator<Item = &'a Digest>) {
        for blob in blobs {
            partial::forget(&self.folder, blob);
        }
    }
}

impl Registries {
    /// Removes what came of blobs that nobody fetches any more (and that has not grown since `until`); answers how many bytes it was.
    pub(crate) fn prune(&self, until: Option<std::time::SystemTime>) -> u64 {
        // held: what begins meanwhile waits, and finds nothing
        let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way =
            flights.iter().filter(|(_, flight)| flight.strong_count() > 0).map(|(digest, _)| digest.hex()).collect();
        partial::prune(&self.folder, &under_way, until)
    }

    /// Bytes of blobs that have come in part.
    pub(crate) fn kept(&self) -> u64 {
        partial::bytes(&self.folder)
    }
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        use client::Error as Client;
        let text = error.to_string();
        match &error {
            Client::Unauthorized(_) | Client::Refused { status: 401, .. } => Error::Unauthorized(text),
            Client::Refused { status: 404, .. } => Error::NotFound(text),
            Client::Refused { status: 403, .. } => Error::Forbidden(text),
            Client::Refused { status: 400, .. } => Error::InvalidParameter(text),
            Client::Answer { status: 404, .. } | Client::Status { status: 404, .. } => Error::NotFound(text),
            Client::Answer { status: 403, .. } => Error::Forbidden(text),
            Client::Settings(_) | Client::Lie(_) => Error::System(text),
            Client::Unsupported(_) => Error::InvalidParameter(text),
            _ => Error::System(text),
        }
    }
}

/// What a pull says when the registry has refused (Docker's sentences).
pub(crate) fn refused_pull(error: client::Error, name: &Reference) -> Error {
    match (error.code(), error.is_missing()) {
        ("DENIED", _) => Error::NotFound(format!(
            "pull access denied for {}, repository does not exist or may require 'docker login': {error}",
            name.familiar_name()
        )),
        ("NAME_UNKNOWN", _) => Error::NotFound(format!("repository {} not found: {error}", name.familiar_name())),
        ("MANIFEST_UNKNOWN" | "NOT_FOUND", _) => {
            Error::NotFound(format!("manifest for {} not found: {error}", name.familiar()))
        }
        (_, true) => Error::NotFound(format!("manifest for {} not found: manifest unknown: {error}", name.familiar())),
        _ => error.into(),
    }
}
