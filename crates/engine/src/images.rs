//! The facade's image operations, over the store.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use wharf_spec::id::{ContainerId, DiffId, ImageId};
use wharf_spec::image::ImageConfig;

use crate::{ByteSource, ByteStream, Engine, Error, Filters, Pruned, Result, pending};

/// An image as it is at one moment.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of its configuration.
    pub id: ImageId,
    /// The configuration.
    pub config: Arc<ImageConfig>,
    /// `repo:tag` names, familiar form, sorted.
    pub tags: Vec<String>,
    /// `repo@digest` names, familiar form.
    pub digests: Vec<String>,
    /// Bytes of all layers, unpacked.
    pub size: i64,
    /// Image that it was committed from.
    pub parent: Option<ImageId>,
    /// When a tag was last put on it.
    pub last_tagged: Option<Timestamp>,
    /// Containers made of it, running or not.
    pub containers: usize,
    /// Storage driver.
    pub driver: String,
    /// Docker's `GraphDriver.Data`.
    pub graph: std::collections::BTreeMap<String, String>,
    /// Layers, bottom first.
    pub layers: Vec<DiffId>,
}

/// One row of `docker history`.
#[derive(Debug, Clone)]
pub struct HistoryItem {
    /// The image at this step; `None` shows `<missing>`.
    pub id: Option<ImageId>,
    /// When.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// Names.
    pub tags: Vec<String>,
    /// Bytes of the step's layer.
    pub size: i64,
    /// Comment.
    pub comment: String,
}

/// One line of `DELETE /images/x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageDeleted {
    /// A name is gone.
    Untagged(String),
    /// An image or a layer is gone.
    Deleted(String),
}

/// One item of a progress stream (load, import, pull).
#[derive(Debug)]
pub enum Progress {
    /// `{"stream": …}`
    Stream(String),
    /// `{"status": …, "id": …, "progressDetail": {…}}`
    Status {
        /// What happens.
        status: String,
        /// To what.
        id: Option<String>,
        /// Bytes done and all.
        detail: Option<(u64, Option<u64>)>,
    },
    /// `{"error": …, "errorDetail": …}`; the last item.
    Error(Error),
}

/// `POST /images/create?fromSrc=…`.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name.
    pub repo: String,
    /// Tag.
    pub tag: String,
    /// Commit message.
    pub message: String,
    /// Dockerfile instructions to apply (`CMD …`, `ENV …`).
    pub changes: Vec<String>,
    /// Platform.
    pub platform: Option<String>,
}

/// `POST /commit`.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Container name or ID.
    pub container: String,
    /// Name.
    pub repo: String,
    /// Tag.
    pub tag: String,
    /// Comment.
    pub comment: String,
    /// Author.
    pub author: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// Configuration instead of the container's.
    pub config: Option<wharf_api::container::Config>,
}

/// What a prune of images removed.
#[derive(Debug, Clone, Default)]
pub struct ImagesPruned {
    /// Names and images.
    pub deleted: Vec<ImageDeleted>,
    /// Bytes.
    pub space: u64,
}

impl Engine {
    /// Lists images, newest first. `all`: intermediate ones, too.
    pub async fn image_list(&self, all: bool, filters: Filters) -> Result<Vec<Arc<Image>>> {
        drop((all, filters));
        pending("images")
    }

    /// Everything about one.
    pub async fn image_inspect(&self, name: &str) -> Result<Arc<Image>> {
        pending(name)
    }

    /// Its steps, newest first.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        pending(name)
    }

    /// Puts another name on it.
    pub async fn image_tag(&self, name: &str, repo: &str, tag: &str) -> Result<()> {
        let _ = (repo, tag);
        pending(name)
    }

    /// Takes a name off it, and with the last name removes it. `prune`: its nameless parents, too.
    pub async fn image_remove(&self, name: &str, force: bool, prune: bool) -> Result<Vec<ImageDeleted>> {
        let _ = (force, prune);
        pending(name)
    }

    /// Makes an image of a tar of a root file system.
    pub async fn image_import(&self, source: ByteSource, options: ImportOptions) -> Result<mpsc::Receiver<Progress>> {
        drop((source, options));
        pending("import")
    }

    /// Takes the images of an archive (docker-archive or OCI layout, compressed or not).
    pub async fn image_load(
        &self,
        source: ByteSource,
        quiet: bool,
        platform: Option<String>,
    ) -> Result<mpsc::Receiver<Progress>> {
        drop((source, quiet, platform));
        pending("load")
    }

    /// Writes images to an archive.
    pub async fn image_save(&self, names: &[String], platform: Option<String>) -> Result<ByteStream> {
        let _ = (names, platform);
        pending("save")
    }

    /// Makes an image of a container.
    pub async fn image_commit(&self, options: CommitOptions) -> Result<ImageId> {
        drop(options);
        pending("commit")
    }

    /// Removes images that nobody needs: without names, or (`dangling=false`) all without containers.
    pub async fn image_prune(&self, filters: Filters) -> Result<ImagesPruned> {
        drop(filters);
        pending("prune")
    }
}

/// What `docker system df` shows.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Bytes of all layers, each counted once.
    pub layers: i64,
    /// Images with the bytes that they share with others.
    pub images: Vec<(Arc<Image>, i64)>,
    /// Containers with their sizes.
    pub containers: Vec<crate::Listed>,
    /// Volumes with their bytes and reference counts.
    pub volumes: Vec<crate::Volume>,
}

#[allow(unused)]
type Unused = (Pruned, ContainerId);
