//! What is known of an image in the form in which registries have it: the manifests and indexes under which it came or went,
//! byte for byte, and the compressed blobs of its layers.
//!
//! A manifest is kept as long as its image, a blob's row as long as its layer. Compressed bytes are not kept: a layer's plain tar
//! can be written again at any time ([`Store::write_layer`]).

use std::collections::BTreeSet;

use wharf_spec::{
    digest::Digest,
    id::{DiffId, ImageId},
};

use crate::{
    Catalog, Result,
    rows::{self, BlobRow, ManifestRow},
    store::{Change, Store, decode},
};

/// Repositories remembered per blob: enough to find one to mount from, and no endless row.
const MAX_REPOSITORIES: usize = 32;

/// A manifest or index with its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDocument {
    /// Digest of the bytes.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// As the registry has it.
    pub bytes: Vec<u8>,
}

/// A compressed form of a layer that some registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// The layer.
    pub diff: DiffId,
    /// Digest of the blob.
    pub digest: Digest,
    /// Its media type as the manifest names it.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where it is: `registry/path` without a tag.
    pub repositories: BTreeSet<String>,
}

/// What a pull or a push learned of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Manifests and indexes to keep with the image.
    pub manifests: Vec<ManifestDocument>,
    /// Blobs of its layers.
    pub blobs: Vec<LayerBlob>,
}

/// What the catalog holds of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestInfo {
    /// The image that it is kept with.
    pub image: ImageId,
    /// What it is.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
}

/// What the catalog holds of a compressed blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobInfo {
    pub(crate) diff: DiffId,
    pub(crate) media_type: String,
    pub(crate) size: u64,
    pub(crate) repositories: BTreeSet<String>,
}

impl Store {
    /// The manifest or index with this digest, when an image here came or went under it.
    pub fn manifest(&self, digest: &Digest) -> Result<Option<ManifestDocument>> {
        let key = digest.to_string();
        let Some(doc) = self.inner.db.read(|tx| tx.get(rows::MANIFESTS, &key))? else { return Ok(None) };
        let row: ManifestRow = decode(&key, &doc)?;
        Ok(Some(ManifestDocument { digest: *digest, media_type: row.media_type, bytes: row.text.into_bytes() }))
    }

    /// Remembers what a push (or a pull of what was here already) learned of an image that is here.
    pub fn note_distribution(&self, image: &ImageId, known: &Distribution) -> Result<()> {
        let mut change = self.change();
        change.note_distribution(image, known);
        change.commit()
    }
}

impl Catalog {
    /// The compressed blobs that are known of a layer, those with repositories first.
    pub fn blobs_of(&self, diff: &DiffId) -> Vec<LayerBlob> {
        let mine = self.blobs.iter().filter(|(_, info)| info.diff == *diff);
        let mut blobs: Vec<LayerBlob> = mine.map(|(digest, info)| info.blob(*digest)).collect();
        blobs.sort_by_key(|b| (std::cmp::Reverse(b.repositories.len()), b.digest));
        blobs
    }

    /// What is known of a blob.
    pub fn blob(&self, digest: &Digest) -> Option<LayerBlob> {
        self.blobs.get(digest).map(|info| info.blob(*digest))
    }

    /// What is known of a manifest or index.
    pub fn manifest(&self, digest: &Digest) -> Option<&ManifestInfo> {
        self.manifests.get(digest)
    }

    /// The manifests and indexes kept with an image.
    pub fn manifests_of(&self, image: &ImageId) -> impl Iterator<Item = (&Digest, &ManifestInfo)> {
        self.manifests.iter().filter(move |(_, info)| info.image == *image)
    }
}

impl BlobInfo {
    fn blob(&self, digest: Digest) -> LayerBlob {
        LayerBlob {
            diff: self.diff,
            digest,
            media_type: self.media_type.clone(),
            size: self.size,
            repositories: self.repositories.clone(),
        }
    }

    pub(crate) fn row(&self) -> BlobRow {
        BlobRow {
            diff: self.diff,
            media_type: self.media_type.clone(),
            size: self.size,
            repositories: self.repositories.clone(),
        }
    }
}

impl From<BlobRow> for BlobInfo {
    fn from(row: BlobRow) -> Self {
        Self { diff: row.diff, media_type: row.media_type, size: row.size, repositories: row.repositories }
    }
}

impl Change<'_> {
    /// Remembers which layer a compressed blob holds.
    pub(crate) fn note_blob(&mut self, blob: Digest, diff: DiffId) {
        let known = LayerBlob { diff, digest: blob, media_type: String::new(), size: 0, repositories: BTreeSet::new() };
        self.note_layer_blob(&known);
    }

    /// Adds to what is known of a blob.
    fn note_layer_blob(&mut self, blob: &LayerBlob) {
        let empty = || BlobInfo { diff: blob.diff, media_type: String::new(), size: 0, repositories: BTreeSet::new() };
        let info = self.catalog.blobs.entry(blob.digest).or_insert_with(empty);
        info.diff = blob.diff;
        if !blob.media_type.is_empty() {
            info.media_type.clone_from(&blob.media_type);
            info.size = blob.size;
        }
        info.repositories.extend(blob.repositories.iter().cloned());
        while info.repositories.len() > MAX_REPOSITORIES {
            info.repositories.pop_first();
        }
        let row = info.row();
        self.put(rows::BLOBS, blob.digest.to_string(), &row);
    }

    /// Remembers what registries know of an image.
    pub(crate) fn note_distribution(&mut self, image: &ImageId, known: &Distribution) {
        for document in &known.manifests {
            // what is no text is no manifest, and none is verified that is not: its digest was checked over its bytes
            let Ok(text) = String::from_utf8(document.bytes.clone()) else { continue };
            let info = ManifestInfo {
                image: *image,
                media_type: document.media_type.clone(),
                size: document.bytes.len() as u64,
            };
            self.catalog.manifests.insert(document.digest, info);
            let row = ManifestRow { image: *image, media_type: document.media_type.clone(), text };
            self.put(rows::MANIFESTS, document.digest.to_string(), &row);
        }
        known.blobs.iter().for_each(|blob| self.note_layer_blob(blob));
    }

    /// Forgets what belongs to images and layers that are gone.
    pub(crate) fn forget_distribution(&mut self) {
        let catalog = &mut self.catalog;
        let mut gone = Vec::new();
        catalog.blobs.retain(|digest, info| {
            let stays = catalog.layers.contains_key(&info.diff);
            gone.extend((!stays).then(|| (rows::BLOBS, digest.to_string())));
            stays
        });
        catalog.manifests.retain(|digest, info| {
            let stays = catalog.images.contains_key(&info.image);
            gone.extend((!stays).then(|| (rows::MANIFESTS, digest.to_string())));
            stays
        });
        gone.into_iter().for_each(|(table, key)| self.delete(table, key));
    }
}
