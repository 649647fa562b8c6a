//! `push`: what the registry lacks of an image, then its manifest.
//!
//! ```text
//!   per layer: HEAD (known digests) ─► "Layer already exists"
//!              mount from a repository of the same registry ─► "Mounted from …"
//!              tar ─► gzip ─► PATCH, PUT ─► "Pushed"
//! ```
//! The same layer always gives the same gzip stream, so a second push finds the blob of the first.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use wharf_archive::{Gzip, Pieces, Sink};
use wharf_registry::client::{Access, Credentials, Error as Remote, Mount, Outgoing, Repository, Upload};
use wharf_spec::digest::{Digest, Hasher};
use wharf_spec::id::{DiffId, ImageId};
use wharf_spec::image::media_type;
use wharf_spec::platform::Platform;
use wharf_spec::reference::Reference;
use wharf_store::{Distribution, Image, LayerBlob, ManifestDocument};

use super::pull::together;
use super::{Messages, Progress, platform};
use crate::{Engine, Error, Inner, Result, blocking};

/// Known digests of a layer that are asked for before it is sent.
const CANDIDATES: usize = 3;
/// Attempts of one layer.
const ATTEMPTS: u32 = 3;
/// The client sees the bar move this often.
const TELL: Duration = Duration::from_millis(100);

/// `POST /images/{name}/push`.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// Name.
    pub name: String,
    /// Tag; empty means every tag.
    pub tag: String,
    /// Only an image for this platform.
    pub platform: Option<String>,
    /// For the registry.
    pub credentials: Credentials,
}

struct Push {
    inner: Arc<Inner>,
    name: Reference,
    platform: Option<Platform>,
    credentials: Credentials,
    messages: Messages,
}

impl Engine {
    /// Sends an image (or all tags of a repository) to its registry.
    pub async fn image_push(&self, options: PushOptions) -> Result<mpsc::Receiver<Progress>> {
        let invalid = |e: wharf_spec::reference::ReferenceError| Error::InvalidParameter(e.to_string());
        let mut name = Reference::parse(&options.name).map_err(invalid)?;
        if !options.tag.is_empty() {
            name = name.with_tag(&options.tag).map_err(invalid)?;
        }
        if name.digest().is_some() {
            return Err(Error::InvalidParameter("cannot push a digest reference".into()));
        }
        let platform = platform(options.platform.as_deref())?;
        let (inner, credentials) = (self.inner.clone(), options.credentials);
        Ok(Messages::run(
            move |messages| async move { Push { inner, name, platform, credentials, messages }.run().await },
        ))
    }
}

impl Push {
    async fn run(&self) -> Result<()> {
        self.messages.line(format!("The push refers to repository [{}]", self.name.name())).await;
        let catalog = self.inner.store.catalog();
        let here: Vec<(Reference, Arc<Image>)> = catalog
            .names()
            .filter(|(name, _)| name.name() == self.name.name() && name.digest().is_none())
            .filter_map(|(name, id)| Some((name.clone(), catalog.get(id)?.clone())))
            .collect();
        if here.is_empty() {
            let name = self.name.familiar_name();
            return Err(Error::NotFound(format!("An image does not exist locally with the tag: {name}")));
        }
        let repository = self.inner.registries.open_any(&self.name, &self.credentials, Access::Push).await?;
        let chosen: Vec<_> =
            here.into_iter().filter(|(name, _)| self.name.tag().is_none() || *name == self.name).collect();
        if chosen.is_empty() {
            return Err(Error::NotFound(format!("tag does not exist: {}", self.name.familiar())));
        }
        for (name, image) in chosen {
            self.one(&repository, &name, &image).await?;
        }
        Ok(())
    }

    async fn one(&self, repository: &Arc<Repository>, name: &Reference, image: &Arc<Image>) -> Result<()> {
        if let Some(wanted) =
            self.platform.as_ref().filter(|p| !image.config().is_ok_and(|c| c.platform().satisfies(p)))
        {
            let name = name.familiar();
            return Err(Error::NotFound(format!(
                "image with reference {name} was found but does not provide the specified platform ({wanted})"
            )));
        }
        // kept while it is read
        let kept = self.inner.store.ingest();
        let mut unique: Vec<DiffId> = Vec::new();
        // the top layer first, as Docker lists them
        for diff in image.layers.iter().rev() {
            if !unique.contains(diff) {
                if !kept.has_layer(diff) {
                    return Err(Error::System(format!("layer {diff} of {} is gone", name.familiar())));
                }
                unique.push(*diff);
            }
        }
        for diff in &unique {
            self.messages.layer(&diff.short(), "Preparing").await;
        }
        let pushed = together(unique.iter().map(|diff| self.layer(repository, &image.id, diff))).await?;
        let blobs: HashMap<DiffId, LayerBlob> = unique.into_iter().zip(pushed).collect();
        self.config(repository, image).await?;
        let manifest = manifest(image, &blobs);
        let (digest, size) = (Digest::of(&manifest), manifest.len());
        let tag = name.tag().unwrap_or_default();
        repository.put_manifest(tag, media_type::DOCKER_MANIFEST, manifest.clone().into()).await?;
        let (inner, with_digest, id) = (self.inner.clone(), name.with_digest(digest), image.id);
        let document = ManifestDocument { digest, media_type: media_type::DOCKER_MANIFEST.into(), bytes: manifest };
        blocking(move || {
            inner.store.tag(&id, &with_digest)?;
            Ok(inner.store.note_distribution(&id, &Distribution { manifests: vec![document], blobs: Vec::new() })?)
        })
        .await?;
        drop(kept);
        self.inner.image_event("push", &name.familiar(), &name.familiar_name());
        self.messages.line(format!("{tag}: digest: {digest} size: {size}")).await;
        self.messages.send(Progress::Pushed { tag: tag.to_owned(), digest, size }).await;
        Ok(())
    }

    async fn config(&self, repository: &Repository, image: &Image) -> Result<()> {
        if repository.head_blob(&image.id).await?.is_none() {
            repository.put_blob(&image.id, Bytes::copy_from_slice(&image.config_bytes)).await?;
        }
        Ok(())
    }

    /// Sees to it that the registry has a layer.
    async fn layer(&self, repository: &Arc<Repository>, image: &ImageId, diff: &DiffId) -> Result<LayerBlob> {
        let id = diff.short();
        let turn = match self.inner.registries.uploads().try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                self.messages.layer(&id, "Waiting").await;
                let turn = self.inner.registries.uploads().acquire_owned().await;
                turn.map_err(|_| Error::Unavailable("the engine is closing".into()))?
            }
        };
        let mut known = self.inner.store.catalog().blobs_of(diff);
        // of some only the digest is known
        known.retain(|blob| blob.size > 0);
        let (blob, said) = match self.existing(repository, &known).await? {
            Some(found) => found,
            None => self.send(repository, diff, &known).await?,
        };
        drop(turn);
        let distribution = Distribution {
            blobs: vec![LayerBlob { repositories: [self.name.name()].into(), ..blob.clone() }],
            ..Distribution::default()
        };
        let (inner, image) = (self.inner.clone(), *image);
        blocking(move || Ok(inner.store.note_distribution(&image, &distribution)?)).await?;
        self.messages.layer(&id, said).await;
        Ok(blob)
    }

    /// The layer as the repository has it already.
    async fn existing(&self, repository: &Repository, known: &[LayerBlob]) -> Result<Option<(LayerBlob, String)>> {
        let mut asked: Vec<Digest> = Vec::new();
        let here = self.name.name();
        let (ours, others): (Vec<_>, Vec<_>) = known.iter().partition(|blob| blob.repositories.contains(&here));
        for origin in ours.into_iter().chain(others) {
            if asked.contains(&origin.digest) || asked.len() == CANDIDATES {
                continue;
            }
            asked.push(origin.digest);
            // a registry that answers with another length has another blob: better to send ours
            if repository.head_blob(&origin.digest).await?.is_some_and(|size| size == origin.size || size == 0) {
                return Ok(Some((origin.clone(), "Layer already exists".into())));
            }
        }
        Ok(None)
    }

    /// Mounts or sends the layer; again when it fails in passing.
    async fn send(
        &self,
        repository: &Arc<Repository>,
        diff: &DiffId,
        known: &[LayerBlob],
    ) -> Result<(LayerBlob, String)> {
        let mut upload = None;
        let registry = format!("{}/", self.name.domain());
        let paths = |blob: &LayerBlob| -> Vec<String> {
            let here = blob.repositories.iter().filter_map(|name| name.strip_prefix(&registry));
            here.filter(|path| *path != self.name.path()).map(str::to_owned).collect()
        };
        let elsewhere = known.iter().flat_map(|blob| paths(blob).into_iter().map(move |path| (blob, path)));
        for (blob, path) in elsewhere.take(CANDIDATES) {
            match repository.mount(&blob.digest, &path).await {
                Ok(Mount::Mounted) => return Ok((blob.clone(), format!("Mounted from {path}"))),
                Ok(Mount::Upload(place)) => upload = Some(place),
                // not ours to read: then it is sent
                Err(error) => tracing::debug!(%error, "mount {} from {path}", blob.digest),
            }
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.stream(repository, diff, upload.take()).await {
                Ok(blob) => return Ok((blob, "Pushed".into())),
                Err(Fault::Remote(error)) if error.is_passing() && attempt < ATTEMPTS => {
                    let wait = Duration::from_secs(attempt.into());
                    tracing::info!(layer = %diff.short(), %error, "upload broke; again in {wait:?}");
                    let unit = if attempt == 1 { "second" } else { "seconds" };
                    self.messages.layer(&diff.short(), format!("Retrying in {attempt} {unit}")).await;
                    tokio::time::sleep(wait).await;
                }
                Err(Fault::Remote(error)) => return Err(error.into()),
                Err(Fault::Local(error)) => return Err(error),
            }
        }
    }

    /// One upload: packed on a blocking thread while it is sent.
    async fn stream(&self, repository: &Repository, diff: &DiffId, upload: Option<Upload>) -> Result<LayerBlob, Fault> {
        let upload = match upload {
            Some(upload) => upload,
            None => repository.begin_upload().await?,
        };
        let total = self.inner.store.catalog().layer(diff).map_or(0, |layer| layer.tar_size);
        let (out, pieces) = Outgoing::channel();
        let packed = Arc::new(AtomicU64::new(0));
        let (store, counter, key) = (self.inner.store.clone(), packed.clone(), *diff);
        let work = tokio::task::spawn_blocking(move || pack(&store, &key, out, &counter));
        let sending = repository.send(upload, pieces, Arc::default());
        tokio::pin!(sending);
        let id = diff.short();
        let sent = loop {
            tokio::select! {
                sent = &mut sending => break sent,
                () = tokio::time::sleep(TELL) => {
                    self.messages.bar(&id, "Pushing", packed.load(Ordering::Relaxed), total);
                }
            }
        };
        let packed = work.await.map_err(|e| Fault::Local(Error::system("pack a layer", e)))?;
        let (sent, blob) = match (sent, packed) {
            (Ok(sent), Ok(blob)) => (sent, blob),
            // the registry ended it, or we did
            (Err(error), Err(failed)) if is_cut(&failed) => return Err(Fault::Remote(error)),
            (_, Err(failed)) => return Err(Fault::Local(failed.into())),
            (Err(error), Ok(_)) => return Err(Fault::Remote(error)),
        };
        repository.finish_upload(sent, &blob.digest).await?;
        Ok(blob)
    }
}

/// Where it failed.
enum Fault {
    Remote(Remote),
    Local(Error),
}

impl From<Remote> for Fault {
    fn from(error: Remote) -> Self {
        Fault::Remote(error)
    }
}

/// Whether packing ended because nobody takes the bytes.
fn is_cut(error: &wharf_store::Error) -> bool {
    let text = error.to_string();
    text.contains("roken pipe")
}

/// Writes a layer as gzip.
fn pack(
    store: &wharf_store::Store,
    diff: &DiffId,
    out: Outgoing,
    packed: &AtomicU64,
) -> Result<LayerBlob, wharf_store::Error> {
    let stream = |source| wharf_store::Error::Stream { op: "send layer", source };
    let measured = Measured { out, hasher: Hasher::sha256(), length: 0 };
    let gzip = Gzip::new(measured).map_err(stream)?;
    let mut counted = Counted { out: gzip, count: packed };
    store.write_layer(diff, &mut counted)?;
    let measured = counted.out.finish().map_err(stream)?;
    let (digest, size) = (measured.hasher.finish(), measured.length);
    measured.out.finish().map_err(stream)?;
    Ok(LayerBlob {
        diff: *diff,
        digest,
        size,
        media_type: media_type::DOCKER_LAYER_GZIP.into(),
        repositories: BTreeSet::new(),
    })
}

/// Counts what goes in.
struct Counted<'a, W> {
    out: W,
    count: &'a AtomicU64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Sink> Sink for Counted<'_, W> {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        self.out.room()
    }

    fn advance(&mut self, n: usize) -> io::Result<()> {
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        self.out.advance(n)
    }
}

/// Hashes and measures what comes out.
struct Measured {
    out: Outgoing,
    hasher: Hasher,
    length: u64,
}

impl Pieces for Measured {
    fn piece(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.hasher.update(&piece);
        self.length += piece.len() as u64;
        self.out.piece(piece)
    }
}

/// The manifest, written as Docker writes it: three spaces, in this order.
fn manifest(image: &Image, blobs: &HashMap<DiffId, LayerBlob>) -> Vec<u8> {
    let entry = |media_type: &str, size: u64, digest: &Digest, indent: &str| {
        format!(
            "{{\n{indent}   \"mediaType\": \"{media_type}\",\n{indent}   \"size\": {size},\n{indent}   \"digest\": \"{digest}\"\n{indent}}}"
        )
    };
    let config = entry(media_type::DOCKER_CONFIG, image.config_bytes.len() as u64, &image.id, "   ");
    let layers: Vec<String> = image
        .layers
        .iter()
        .filter_map(|diff| blobs.get(diff))
        .map(|blob| format!("      {}", entry(docker_kind(&blob.media_type), blob.size, &blob.digest, "      ")))
        .collect();
    let layers = if layers.is_empty() { "[]".to_owned() } else { format!("[\n{}\n   ]", layers.join(",\n")) };
    let kind = media_type::DOCKER_MANIFEST;
    format!(
        "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{kind}\",\n   \"config\": {config},\n   \"layers\": {layers}\n}}"
    )
    .into_bytes()
}

/// A layer's kind in a manifest of Docker's schema 2.
fn docker_kind(kind: &str) -> &'static str {
    match kind {
        media_type::OCI_LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD => media_type::DOCKER_LAYER_ZSTD,
        media_type::OCI_LAYER | media_type::DOCKER_LAYER => media_type::DOCKER_LAYER,
        _ => media_type::DOCKER_LAYER_GZIP,
    }
}
