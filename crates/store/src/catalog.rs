//! Images and the catalog: an immutable picture of everything that has a name, replaced as a whole on every change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use wharf_spec::{
    digest::Digest,
    id::{DiffId, ImageId},
    image::ImageConfig,
    reference::{AnyReference, Reference},
};

use crate::{Error, ManifestInfo, Result, distribution::BlobInfo, rows::ImageRow};

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Digest of the configuration.
    pub id: ImageId,
    /// The configuration, byte for byte as it came.
    pub config_bytes: Arc<[u8]>,
    /// Tags, full names, sorted.
    pub tags: Vec<Reference>,
    /// Names with a digest under which it was pulled or pushed, sorted.
    pub digests: Vec<Reference>,
    /// The image it was committed from or built on, when that is known here.
    pub parent: Option<ImageId>,
    /// When it was made: seconds since 1970 (UTC); 0 when the configuration does not say.
    pub created: i64,
    /// Labels of the configuration.
    pub labels: Option<BTreeMap<String, String>>,
    /// Layers, bottom first.
    pub layers: Vec<DiffId>,
    /// Bytes of all layers, counted as Docker does (contents of files, hard links once).
    pub size: u64,
    /// When a tag was last put on it, nanoseconds since 1970; `None` when never.
    pub last_tagged: Option<i128>,
}

impl Image {
    /// The parsed configuration.
    pub fn config(&self) -> Result<ImageConfig> {
        serde_json::from_slice(&self.config_bytes)
            .map_err(|e| Error::Corrupt(format!("configuration of image {}: {e}", self.id)))
    }

    /// `true` when it has neither tag nor digest.
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }
}

/// Everything that is there at one moment. Reading it takes no lock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    pub(crate) images: BTreeMap<ImageId, Arc<Image>>,
    pub(crate) names: BTreeMap<Reference, ImageId>,
    pub(crate) layers: HashMap<DiffId, LayerInfo>,
    /// By distribution digest: compressed blobs of the layers.
    pub(crate) blobs: HashMap<Digest, BlobInfo>,
    /// By digest: manifests and indexes of the images.
    pub(crate) manifests: HashMap<Digest, ManifestInfo>,
}

/// What is known of one unpacked layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerInfo {
    /// Bytes of its files, hard links once (what Docker shows).
    pub size: u64,
    /// Bytes of its tar stream.
    pub tar_size: u64,
}

impl Catalog {
    /// All images, in the order of their identifiers.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// The image with exactly this identifier.
    pub fn get(&self, id: &ImageId) -> Option<&Arc<Image>> {
        self.images.get(id)
    }

    /// The image that `reference` names.
    pub fn by_reference(&self, reference: &Reference) -> Option<&Arc<Image>> {
        self.images.get(self.names.get(reference)?)
    }

    /// All names (tags and digests) with the image each means, in order.
    pub fn names(&self) -> impl Iterator<Item = (&Reference, &ImageId)> {
        self.names.iter()
    }

    /// What is known of a layer.
    pub fn layer(&self, diff: &DiffId) -> Option<LayerInfo> {
        self.layers.get(diff).copied()
    }

    /// The image that a user means by `text`: a full identifier, a name (`latest` when it has no tag), `name@digest`, or
    /// an unambiguous prefix of an identifier. In that order, as Docker does.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Ambiguous`], or [`Error::Reference`] when the text is none of these.
    pub fn resolve(&self, text: &str) -> Result<&Arc<Image>> {
        match AnyReference::parse(text)? {
            AnyReference::Id(id) => self.images.get(&id).ok_or_else(|| Error::NoSuchImage(text.into())),
            AnyReference::Named(reference) => {
                if let Some(image) = self.by_name(&reference) {
                    return Ok(image);
                }
                if let Some(image) = self.by_prefix(text)? {
                    return Ok(image);
                }
                Err(Error::NoSuchImage(reference.with_default_tag().familiar()))
            }
        }
    }

    fn by_name(&self, reference: &Reference) -> Option<&Arc<Image>> {
        let name = match reference.digest() {
            // `name:tag@digest`: the digest decides
            Some(digest) => reference.with_digest(*digest),
            None => reference.clone().with_default_tag(),
        };
        self.by_reference(&name).or_else(|| {
            // `name@sha256:<image id>` where the repository has a tag for that very image
            let image = self.images.get(reference.digest()?)?;
            image.tags.iter().any(|t| t.name() == reference.name()).then_some(image)
        })
    }

    fn by_prefix(&self, text: &str) -> Result<Option<&Arc<Image>>> {
        let Some((low, high)) = prefix_range(text) else { return Ok(None) };
        let mut found = self.images.range(low..=high);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(Error::Ambiguous(text.into())),
            (first, _) => Ok(first.map(|(_, image)| image)),
        }
    }
}

/// The identifiers that begin with the hexadecimal `prefix`.
fn prefix_range(prefix: &str) -> Option<(Digest, Digest)> {
    let hex = prefix.strip_prefix("sha256:").unwrap_or(prefix);
    if hex.is_empty() || hex.len() > 64 {
        return None;
    }
    let low = Digest::from_sha256_hex(&format!("{hex:0<64}")).ok()?;
    let high = Digest::from_sha256_hex(&format!("{hex:f<64}")).ok()?;
    Some((low, high))
}

/// An image as its rows describe it; names come later.
pub(crate) fn image_from_rows(
    id: ImageId,
    config_bytes: Arc<[u8]>,
    row: &ImageRow,
    layers: &HashMap<DiffId, LayerInfo>,
) -> Result<Image> {
    let config: ImageConfig = serde_json::from_slice(&config_bytes)
        .map_err(|e| Error::Document(format!("configuration of image {id}: {e}")))?;
    let size = config.rootfs.diff_ids.iter().filter_map(|d| layers.get(d)).map(|l| l.size).sum();
    Ok(Image {
        id,
        tags: Vec::new(),
        digests: Vec::new(),
        parent: row.parent,
        created: config.created.as_deref().map_or(0, unix_seconds),
        labels: config.config.and_then(|c| c.labels),
        layers: config.rootfs.diff_ids,
        size,
        last_tagged: row.last_tagged.as_deref().and_then(|t| t.parse().ok()),
        config_bytes,
    })
}

/// Puts the names that mean `id` into its entry.
pub(crate) fn rebuild_names(catalog: &mut Catalog, id: &ImageId) {
    let Some(image) = catalog.images.get_mut(id) else { return };
    let image = Arc::make_mut(image);
    let mine = catalog.names.iter().filter(|(_, target)| *target == id).map(|(name, _)| name.clone());
    (image.digests, image.tags) = mine.partition(|name| name.digest().is_some());
}

/// Seconds since 1970 of an RFC 3339 text; 0 when it is none.
pub(crate) fn unix_seconds(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().map_or(0, |t| t.as_second())
}
