//! What goes into and comes out of the store's operations: plain data.

use std::path::PathBuf;

use serde_json::Value;
use wharf_spec::{
    id::{ContainerId, ImageId},
    image::RunConfig,
    platform::Platform,
    reference::Reference,
};

/// One row of an image's history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// The image of this step; `None` is shown as `<missing>`.
    pub id: Option<ImageId>,
    /// Seconds since 1970; 0 when unknown.
    pub created: i64,
    /// The instruction.
    pub created_by: String,
    /// Tags of that image, familiar form.
    pub tags: Vec<String>,
    /// Bytes of the layer of this step.
    pub size: u64,
    /// The message.
    pub comment: String,
}

/// What `load` found in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// The tag it got; `None`: an image without a name.
    pub reference: Option<Reference>,
}

/// One line of the answer to a removal, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone (familiar form).
    Untagged(String),
    /// An image is gone.
    Deleted(ImageId),
}

/// A container that uses an image; the engine tells the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The container.
    pub container: ContainerId,
    /// Whether it runs (a stopped one only asks for force).
    pub running: bool,
}

/// What a prune did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names and images that are gone.
    pub removed: Vec<Removed>,
    /// Bytes that are free now.
    pub reclaimed: u64,
}

/// How to make an image from a plain tar of a file system.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Name to give; without a tag it is `latest`.
    pub reference: Option<Reference>,
    /// Dockerfile instructions that change the configuration (`CMD ["sh"]`, `ENV A=b`, …).
    pub changes: Vec<String>,
    /// The comment.
    pub message: String,
    /// For what it is; `None`: this machine.
    pub platform: Option<Platform>,
}

/// How to make an image from a container.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Name to give; without a tag it is `latest`.
    pub reference: Option<Reference>,
    /// The author.
    pub author: String,
    /// The comment.
    pub message: String,
    /// The configuration of the container, image defaults merged (before `changes`).
    pub config: RunConfig,
    /// Dockerfile instructions that change it.
    pub changes: Vec<String>,
    /// The container's own configuration, as Docker's `container_config` keeps it.
    pub container_config: Option<Value>,
    /// The instruction for the history; Docker shows the container's command.
    pub created_by: String,
}

/// Sizes of a container's files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Bytes in the container's own layer.
    pub rw: u64,
    /// Those and the image's.
    pub root: u64,
}

/// One line of `docker diff`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Path inside the container, absolute.
    pub path: PathBuf,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a file; the numbers are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// `C`
    Modified = 0,
    /// `A`
    Added = 1,
    /// `D`
    Deleted = 2,
}

/// What the images take on disk (`system df`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all layers, each counted once.
    pub layers: u64,
}
