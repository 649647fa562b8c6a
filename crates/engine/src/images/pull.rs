//! `pull`: from a name to a published image.
//!
//! ```text
//!   endpoints ─► manifest (by tag or digest) ─► index: the platform's manifest ─► configuration ─► layers that are not here
//!                                                                                                  │ all at once, shared with others
//!                                                                                                  └► publish: visible in one step
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use wharf_registry::client::{Access, Credentials, Document, Endpoint, Error as Remote, Repository};
use wharf_spec::digest::Digest;
use wharf_spec::id::ImageId;
use wharf_spec::image::{Descriptor, ImageConfig, Index, Manifest, media_type};
use wharf_spec::platform::Platform;
use wharf_spec::reference::Reference;
use wharf_store::{Distribution, Incoming, Ingest, LayerBlob, ManifestDocument, Unpacked};

use super::{Messages, Progress, platform, progress};
use crate::registries::{Flight, State, refused_pull};
use crate::{Engine, Error, Inner, Result, blocking};

/// Longest configuration of an image, in bytes.
const CONFIG: usize = 8 << 20;
/// Indexes in indexes.
const DEPTH: usize = 3;
/// Layers of one image: overlayfs takes no more.
const LAYERS: usize = 500;

/// `POST /images/create?fromImage=…`.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Name, perhaps with tag or digest.
    pub name: String,
    /// Tag or digest; empty (and none in the name) means every tag.
    pub tag: String,
    /// `os[/arch[/variant]]`
    pub platform: Option<String>,
    /// For the registry.
    pub credentials: Credentials,
}

/// What one pull is about.
struct Pull {
    inner: Arc<Inner>,
    name: Reference,
    /// As asked for.
    platform: Option<Platform>,
    credentials: Credentials,
    messages: Messages,
}

/// An image of a registry, verified, before its layers.
struct Wanted {
    /// What the tag means: the digest of an index, or of the manifest.
    digest: Digest,
    manifest: Manifest,
    /// The indexes on the way and the manifest, as they came.
    documents: Vec<ManifestDocument>,
    id: ImageId,
    config_bytes: Arc<[u8]>,
    config: ImageConfig,
}

impl Engine {
    /// Brings an image (or all of a repository) here.
    pub async fn image_pull(&self, options: PullOptions) -> Result<mpsc::Receiver<Progress>> {
        let invalid = |e: wharf_spec::reference::ReferenceError| Error::InvalidParameter(e.to_string());
        let mut name = Reference::parse(options.name.trim_end_matches(':')).map_err(invalid)?;
        if !options.tag.is_empty() {
            name = match options.tag.parse() {
                Ok(digest) => name.with_digest(digest),
                Err(_) => name.with_tag(&options.tag).map_err(invalid)?,
            };
        }
        if let Some(digest) = name.digest() {
            name = name.with_digest(*digest);
        }
        let platform = platform(options.platform.as_deref())?;
        if wharf_store::Store::is_embedded(&name) {
            return Ok(embedded(self.inner.clone(), name.with_default_tag()));
        }
        let (inner, credentials) = (self.inner.clone(), options.credentials);
        Ok(Messages::run(
            move |messages| async move { Pull { inner, name, platform, credentials, messages }.run().await },
        ))
    }
}

/// The image that is built in.
fn embedded(inner: Arc<Inner>, wanted: Reference) -> mpsc::Receiver<Progress> {
    progress(move |sender| {
        let tag = wanted.tag().unwrap_or_default().to_owned();
        // nobody listens any more: the image is installed all the same
        let say = |item| drop(sender.blocking_send(item));
        say(Progress::Heading { status: format!("Pulling from {}", wanted.path()), id: tag });
        let old = inner.store.catalog().by_reference(&wanted).map(|image| image.id);
        let image = inner.store.install_hello_world()?;
        inner.image_event("pull", &wanted.familiar(), &wanted.familiar_name());
        say(Progress::Status { status: outcome(old != Some(image.id), &wanted), id: None, detail: None });
        Ok(())
    })
}

fn outcome(new: bool, name: &Reference) -> String {
    match new {
        false => format!("Status: Image is up to date for {}", name.familiar()),
        true => format!("Status: Downloaded newer image for {}", name.familiar()),
    }
}

impl Pull {
    /// Tries the endpoints in turn: a mirror's failure is no failure.
    async fn run(&self) -> Result<()> {
        let endpoints = self.inner.registries.endpoints(&self.name, Access::Pull).await?;
        let last = endpoints.len().saturating_sub(1);
        for (at, endpoint) in endpoints.into_iter().enumerate() {
            let mirror = endpoint.mirror;
            match self.at(endpoint).await {
                Err(Fault { error, reached }) if at < last && (mirror || !reached) => {
                    tracing::debug!(%error, "trying the next endpoint for {}", self.name.familiar());
                }
                other => return other.map_err(|fault| fault.error),
            }
        }
        Err(Error::Unavailable(format!("no address for {}", self.name.domain())))
    }

    async fn at(&self, endpoint: Endpoint) -> Result<(), Fault> {
        let unreached = |error: Error| Fault { error, reached: false };
        let registries = &self.inner.registries;
        let opened = registries.open_at(endpoint, &self.name, &self.credentials, Access::Pull).await;
        let repository = opened.map_err(unreached)?;
        self.from(&repository).await.map_err(|error| Fault { error, reached: true })
    }

    async fn from(&self, repository: &Arc<Repository>) -> Result<()> {
        let mut new = false;
        if self.name.is_name_only() {
            let tags = repository.tags().await.map_err(|e| refused_pull(e, &self.name))?;
            for tag in tags {
                let invalid = |e| Error::System(format!("tag {tag:?} of {}: {e}", self.name.familiar_name()));
                new |= self.one(repository, &self.name.with_tag(&tag).map_err(invalid)?).await?;
            }
        } else {
            new = self.one(repository, &self.name).await?;
        }
        self.messages.line(outcome(new, &self.name)).await;
        Ok(())
    }

    /// One image; `true` when its name means another one than before.
    async fn one(&self, repository: &Arc<Repository>, name: &Reference) -> Result<bool> {
        let reference = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        let heading = if name.digest().is_some() { name.familiar() } else { reference.clone() };
        let heading = Progress::Heading { status: format!("Pulling from {}", name.path()), id: heading };
        if let Some(digest) = self.is_current(repository, name, &reference).await? {
            self.messages.send(heading).await;
            self.messages.line(format!("Digest: {digest}")).await;
            self.tell_event(name);
            return Ok(false);
        }
        let document = repository.manifest(&reference).await.map_err(|e| refused_pull(e, name))?;
        self.messages.send(heading).await;
        let wanted = self.resolve(repository, name, document).await?;
        let layers = self.layers(repository, name, &wanted).await?;
        let new = self.publish(name, &wanted, layers).await?;
        self.messages.line(format!("Digest: {}", wanted.digest)).await;
        if let Some(asked) = self.platform.as_ref().filter(|asked| !wanted.config.platform().satisfies(asked)) {
            let (is, name) = (wanted.config.platform(), name.familiar());
            self.messages
                .line(format!(
                    "WARNING: image with reference {name} was found but its platform ({is}) does not match the specified platform ({asked})"
                ))
                .await;
        }
        self.tell_event(name);
        Ok(new)
    }

    fn tell_event(&self, name: &Reference) {
        self.inner.image_event("pull", &name.familiar(), &name.familiar_name());
    }

    /// The digest, when the registry's tag still means what it means here: then nothing is fetched, not even a manifest.
    async fn is_current(&self, repository: &Repository, name: &Reference, reference: &str) -> Result<Option<Digest>> {
        let catalog = self.inner.store.catalog();
        let Some(image) = catalog.by_reference(name) else { return Ok(None) };
        let fits = match (&self.platform, image.config()) {
            (Some(asked), Ok(config)) => config.platform().satisfies(asked),
            (asked, _) => asked.is_none(),
        };
        if name.digest().is_some() || !fits {
            return Ok(None);
        }
        let head = repository.head_manifest(reference).await.map_err(|e| refused_pull(e, name))?;
        Ok(head.filter(|digest| image.digests.contains(&name.with_digest(*digest))))
    }

    /// From what a name means to the image for a platform.
    async fn resolve(&self, repository: &Repository, name: &Reference, document: Document) -> Result<Wanted> {
        let digest = document.digest;
        let mut document = document;
        let mut documents = Vec::new();
        for _ in 0..DEPTH {
            documents.push(ManifestDocument {
                digest: document.digest,
                media_type: document.media_type.clone(),
                bytes: document.bytes.to_vec(),
            });
            if !media_type::is_index(&document.media_type) {
                return Ok(Wanted { digest, documents, ..self.image(repository, name, document).await? });
            }
            let index: Index = parse(&document)?;
            let chosen = choose(&index, self.platform.as_ref())?;
            document = repository.manifest(&chosen.digest.to_string()).await.map_err(|e| refused_pull(e, name))?;
        }
        Err(Error::System(format!("{}: indexes lie in indexes, too deep", name.familiar())))
    }

    /// A manifest with its configuration, verified and checked.
    async fn image(&self, repository: &Repository, name: &Reference, document: Document) -> Result<Wanted> {
        if document.media_type == media_type::DOCKER_MANIFEST_V1 {
            return Err(Error::InvalidParameter(format!(
                "[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is not available. Suggest the author of {} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/",
                name.familiar()
            )));
        }
        if !media_type::is_manifest(&document.media_type) {
            let kind = &document.media_type;
            return Err(Error::InvalidParameter(format!(
                "{}: unsupported manifest media type {kind}",
                name.familiar()
            )));
        }
        let manifest: Manifest = parse(&document)?;
        check(&manifest, name)?;
        let id = manifest.config.digest;
        let here = self.inner.store.catalog().get(&id).map(|image| image.config_bytes.clone());
        let config_bytes: Arc<[u8]> = match here {
            Some(bytes) => bytes,
            None => {
                let size = usize::try_from(manifest.config.size).unwrap_or(usize::MAX);
                if size > CONFIG {
                    return Err(Error::System(format!("the configuration of {} has {size} bytes", name.familiar())));
                }
                let bytes = repository.small_blob(&id, CONFIG).await.map_err(|e| refused_pull(e, name))?;
                if bytes.len() != size {
                    let found = bytes.len();
                    return Err(Error::System(format!(
                        "configuration {id} has {found} bytes instead of the {size} promised"
                    )));
                }
                bytes.as_ref().into()
            }
        };
        let config: ImageConfig = serde_json::from_slice(&config_bytes)
            .map_err(|e| Error::System(format!("configuration of {}: {e}", name.familiar())))?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Error::System("layers from manifest don't match image configuration".into()));
        }
        if !matches!(config.os.as_str(), "linux" | "") {
            return Err(Error::InvalidParameter(format!(
                "cannot download image with operating system {:?} when requesting \"linux\"",
                config.os
            )));
        }
        Ok(Wanted { digest: document.digest, manifest, documents: Vec::new(), id, config_bytes, config })
    }

    /// Brings the layers that are not here.
    async fn layers(&self, repository: &Arc<Repository>, name: &Reference, wanted: &Wanted) -> Result<Layers> {
        let ingest = self.inner.store.ingest();
        if self.inner.store.catalog().get(&wanted.id).is_some() {
            // kept while we are at it, in case somebody removes the image right now
            for diff in &wanted.config.rootfs.diff_ids {
                ingest.has_layer(diff);
            }
            return Ok(Layers { ingest, missing: Vec::new(), _flights: Vec::new() });
        }
        let pairs = || wanted.manifest.layers.iter().zip(&wanted.config.rootfs.diff_ids);
        let mut missing: Vec<(&Descriptor, Digest)> = Vec::new();
        let mut seen = HashSet::new();
        for (blob, diff) in pairs() {
            let id = blob.digest.short();
            if !seen.insert(blob.digest) {
                continue;
            }
            if ingest.has_layer(diff) {
                self.messages.layer(&id, "Already exists").await;
            } else {
                self.messages.layer(&id, "Pulling fs layer").await;
                missing.push((blob, *diff));
            }
        }
        // polled together: when one fails the others are let go
        let fetches = missing.iter().map(|(blob, diff)| self.layer(repository, name, blob, diff));
        let mut flights = Vec::new();
        for (layer, flight) in together(fetches).await? {
            ingest.adopt(&layer);
            flights.push(flight);
        }
        let missing = missing.into_iter().map(|(blob, _)| blob.digest).collect();
        Ok(Layers { ingest, missing, _flights: flights })
    }

    /// Follows the download of one layer, whoever began it.
    async fn layer(
        &self,
        repository: &Arc<Repository>,
        name: &Reference,
        blob: &Descriptor,
        diff: &Digest,
    ) -> Result<(Unpacked, Arc<Flight>)> {
        let registries = &self.inner.registries;
        let id = blob.digest.short();
        let (layer, flight) = loop {
            let (flight, own) = registries.join(&self.inner.store, repository, blob);
            match self.follow(flight.watch(), &id, blob.size).await {
                Ok(layer) => break (layer, flight),
                // another's, with his credentials and from his registry: the next one is our own, or of somebody who came later
                Err(error) if !own => tracing::debug!(%error, "a shared download of {id} failed"),
                Err(error) => return Err(error),
            }
        };
        if layer.diff() != *diff {
            return Err(Error::System(format!(
                "layer {} of {} has diff ID {}, its configuration promises {diff}",
                blob.digest,
                name.familiar(),
                layer.diff()
            )));
        }
        Ok((layer, flight))
    }

    async fn follow(&self, mut state: tokio::sync::watch::Receiver<State>, id: &str, size: u64) -> Result<Unpacked> {
        let mut complete = false;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Waiting => self.messages.layer(id, "Waiting").await,
                State::Downloading(at) => self.messages.bar(id, "Downloading", at, size),
                State::Retrying(wait) => {
                    let seconds = wait.as_secs().max(1);
                    let unit = if seconds == 1 { "second" } else { "seconds" };
                    self.messages.layer(id, format!("Retrying in {seconds} {unit}")).await;
                }
                State::Unpacking | State::Done(Ok(_)) if !complete => {
                    complete = true;
                    self.messages.layer(id, "Verifying Checksum").await;
                    self.messages.layer(id, "Download complete").await;
                    self.messages.bar(id, "Extracting", size, size);
                    if let State::Done(done) = now {
                        return done;
                    }
                }
                State::Unpacking => {}
                State::Done(done) => return done,
            }
            if state.changed().await.is_err() {
                return Err(Error::System("the download ended without a result".into()));
            }
        }
    }

    /// Makes everything visible. `true`: the name means another image than before.
    async fn publish(&self, name: &Reference, wanted: &Wanted, layers: Layers) -> Result<bool> {
        let Layers { ingest, missing, _flights } = layers;
        let mut names = vec![name.with_digest(wanted.digest)];
        if name.digest().is_none() {
            names.push(name.clone());
        }
        let seen = wanted.manifest.layers.iter().zip(&wanted.config.rootfs.diff_ids);
        let distribution = Distribution {
            manifests: wanted.documents.clone(),
            // only what was verified: a manifest may call any blob a form of a layer that is here
            blobs: seen
                .filter(|(blob, diff)| ingest.layer_of_blob(&blob.digest) == Some(**diff))
                .map(|(blob, diff)| seen_at(blob, diff, name))
                .collect(),
        };
        let incoming = Incoming { config: wanted.config_bytes.clone(), names, parent: None, distribution };
        let (inner, key, id) = (self.inner.clone(), name.clone(), wanted.id);
        let digests: Vec<Digest> = wanted.manifest.layers.iter().map(|blob| blob.digest).collect();
        let new = blocking(move || {
            let old = inner.store.catalog().by_reference(&key).map(|image| image.id);
            ingest.publish(&[incoming])?;
            inner.registries.arrived(digests.iter());
            Ok(old != Some(id))
        })
        .await?;
        for blob in missing {
            self.messages.layer(&blob.short(), "Pull complete").await;
        }
        Ok(new)
    }
}

/// The layers of an image on its way in.
struct Layers {
    ingest: Ingest,
    /// Blobs that were not here.
    missing: Vec<Digest>,
    /// Until it is published, others who want the same blobs find them here.
    _flights: Vec<Arc<Flight>>,
}

/// Why an endpoint did not do.
struct Fault {
    error: Error,
    /// A registry answered there.
    reached: bool,
}

fn parse<T: serde::de::DeserializeOwned>(document: &Document) -> Result<T> {
    serde_json::from_slice(&document.bytes).map_err(|e| Error::System(format!("manifest {}: {e}", document.digest)))
}

/// Where a layer has just been seen.
fn seen_at(blob: &Descriptor, diff: &Digest, name: &Reference) -> LayerBlob {
    LayerBlob {
        diff: *diff,
        digest: blob.digest,
        media_type: blob.media_type.clone(),
        size: blob.size,
        repositories: [name.name()].into(),
    }
}

/// Refuses what is no image that can run here, before anything is fetched.
fn check(manifest: &Manifest, name: &Reference) -> Result<()> {
    let invalid = |text: String| Err(Error::InvalidParameter(text));
    let name = name.familiar();
    let config = manifest.config.media_type.as_str();
    if !matches!(config, media_type::OCI_CONFIG | media_type::DOCKER_CONFIG | "" | "application/octet-stream") {
        return invalid(format!("{name} is no container image: its configuration is {config}"));
    }
    if manifest.layers.len() > LAYERS {
        return invalid(format!("{name} has {} layers, more than {LAYERS}", manifest.layers.len()));
    }
    for layer in &manifest.layers {
        let kind = layer.media_type.as_str();
        if media_type::is_foreign_layer(kind) || !layer.urls.is_empty() {
            return invalid(format!(
                "layer {} of {name} is a foreign layer ({kind}): its data lies outside of the registry and is not fetched",
                layer.digest
            ));
        }
        let known = kind.contains("tar")
            && (kind.starts_with("application/vnd.oci.image.layer.")
                || kind.starts_with("application/vnd.docker.image.rootfs."));
        if !known {
            return invalid(format!("layer {} of {name} is of the unknown kind {kind}", layer.digest));
        }
        if !matches!(layer.digest, Digest::Sha256(_)) {
            return invalid(format!("layer {} of {name}: only sha256 digests are supported", layer.digest));
        }
    }
    Ok(())
}

/// The manifest of an index for a platform, by default the machine's.
fn choose<'a>(index: &'a Index, asked: Option<&Platform>) -> Result<&'a Descriptor> {
    let host = Platform::host();
    let wanted = asked.unwrap_or(&host);
    let fits = |one: &&Descriptor| {
        let image = media_type::is_manifest(&one.media_type) || media_type::is_index(&one.media_type);
        image && one.platform.as_ref().is_some_and(|p| p.satisfies(wanted))
    };
    let alone = || match index.manifests.as_slice() {
        // an index around one image may leave its platform out
        [only] if only.platform.is_none() => Some(only),
        _ => None,
    };
    let found = index.manifests.iter().find(fits).or_else(alone);
    found.ok_or_else(|| Error::NotFound(format!("no matching manifest for {wanted} in the manifest list entries")))
}

/// Waits for all, in order; the first error ends it and drops the others.
pub(super) async fn together<T, F: Future<Output = Result<T>>>(work: impl Iterator<Item = F>) -> Result<Vec<T>> {
    let mut running: Vec<_> = work.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, done) in &mut running {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(Ok(value)) => *done = Some(value),
                    std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(Err(error)),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(running.into_iter().filter_map(|(_, done)| done).collect())
}

impl From<Remote> for Fault {
    fn from(error: Remote) -> Self {
        Fault { error: error.into(), reached: false }
    }
}
