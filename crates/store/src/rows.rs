//! The store's rows: JSON documents in a few tables, so that a field can be added without a migration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wharf_spec::id::{DiffId, ImageId};
use wharf_state::{Migrations, Table};

/// The store's tables; give them to `Db::open`.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "store",
    steps: &[
        "CREATE TABLE images (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE image_configs (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE image_names (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE layers (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE snapshots (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;",
        "CREATE TABLE layer_blobs (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;",
        "CREATE TABLE image_manifests (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;",
    ],
};

/// By image identifier.
pub(crate) const IMAGES: Table = Table("images");
/// By image identifier: the configuration's own bytes.
pub(crate) const CONFIGS: Table = Table("image_configs");
/// By full reference (`docker.io/library/busybox:latest`).
pub(crate) const NAMES: Table = Table("image_names");
/// By diff identifier.
pub(crate) const LAYERS: Table = Table("layers");
/// By container identifier.
pub(crate) const SNAPSHOTS: Table = Table("snapshots");

/// By distribution digest of a compressed blob: the layer that came from it.
pub(crate) const BLOBS: Table = Table("layer_blobs");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRow {
    pub(crate) diff: DiffId,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) media_type: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) repositories: BTreeSet<String>,
}

/// By digest: a manifest or index.
pub(crate) const MANIFESTS: Table = Table("image_manifests");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestRow {
    pub(crate) image: ImageId,
    pub(crate) media_type: String,
    /// The document, byte for byte: JSON is UTF-8.
    pub(crate) text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ImageId>,
    /// Nanoseconds since 1970, decimal: JSON numbers do not hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_tagged: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRow {
    pub(crate) image: ImageId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRow {
    pub(crate) size: u64,
    pub(crate) tar_size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moved: Vec<MovedRow>,
}

/// [`wharf_archive::Moved`] on disk; a path need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedRow {
    pub(crate) before: u64,
    pub(crate) path: Vec<u8>,
    pub(crate) name: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<ImageId>,
    /// Bottom first.
    pub(crate) layers: Vec<DiffId>,
    /// `None`: as large as the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<Project>,
}

/// A quota project of the file system that holds a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: u32,
    /// In bytes.
    pub(crate) limit: u64,
}

/// The bytes of a row. Rows are plain data: they always have a JSON form.
pub(crate) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    serde_json::to_vec(row).expect("rows have string keys only")
}
