//! The store's public operations.

use std::{
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use wharf_spec::{
    id::{ContainerId, ImageId},
    platform::Platform,
    reference::Reference,
};
use wharf_state::{Db, Migrations};

use crate::{
    Catalog, Change, Commit, Driver, Error, HistoryRow, Image, Import, Job, Loaded, Pruned, Removed, Result, Rootfs,
    SnapshotSize, Usage, Use,
};

/// The store's tables; give them to `Db::open`.
pub const MIGRATIONS: Migrations = Migrations { owner: "store", steps: &[] };

/// All images and all container file systems under one data root. Clones are the same store. Every operation is
/// synchronous: call it on a blocking thread. Reading the catalog never waits for a write.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens (or creates) the store under `root`, with its rows in `db`, and repairs what a crash left. `None` chooses
    /// the driver.
    pub fn open(root: &Path, driver: Option<Driver>, db: Db) -> Result<Self> {
        let _ = (root, driver, db);
        Err(Error::Unsupported("not yet".into()))
    }

    /// The driver in use.
    pub fn driver(&self) -> Driver {
        Driver::Overlay2
    }

    /// The picture of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::default()
    }

    /// [`Catalog::resolve`] on the picture of this moment.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        self.catalog().resolve(text).cloned()
    }

    /// One row per instruction, newest first.
    pub fn history(&self, image: &Image) -> Result<Vec<HistoryRow>> {
        let _ = image;
        Err(Error::Unsupported("not yet".into()))
    }

    /// Puts a name on an image; the name leaves the image that had it. A reference without a tag means `latest`.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<()> {
        let _ = (id, reference);
        Err(Error::Unsupported("not yet".into()))
    }

    /// `rmi`: removes a name, and with the last one the image and the layers that nobody else uses. `users` tells which
    /// containers use an image.
    ///
    /// # Errors
    /// [`Error::Conflict`] with Docker's sentence when containers or several repositories use it and `force` does not help.
    pub fn remove(
        &self,
        name: &str,
        force: bool,
        prune_parents: bool,
        users: &dyn Fn(&ImageId) -> Vec<Use>,
    ) -> Result<Vec<Removed>> {
        let _ = (name, force, prune_parents, users);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Removes images that no container uses and that `select` accepts: those without a name, or with `all` named ones too.
    pub fn prune(
        &self,
        all: bool,
        users: &dyn Fn(&ImageId) -> Vec<Use>,
        select: &dyn Fn(&Image) -> bool,
    ) -> Result<Pruned> {
        let _ = (all, users, select);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Makes an image of one layer from a tar (plain or gzip, bzip2, xz, zstd).
    pub fn import(&self, reader: &mut dyn Read, import: &Import, job: &Job) -> Result<ImageId> {
        let _ = (reader, import, job);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Takes in a `docker save` archive or an OCI layout (tar, plain or compressed), with all images in it or those for
    /// `platform`.
    pub fn load(&self, reader: &mut (dyn Read + Send), platform: Option<&Platform>, job: &Job) -> Result<Vec<Loaded>> {
        let _ = (reader, platform, job);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Writes images (names, names without tag = all tags, or identifiers) in the form of Docker 28: docker-archive and
    /// OCI layout in one tar. Fails before the first byte when a name is unknown.
    pub fn save(&self, names: &[String], writer: &mut dyn Write, job: &Job) -> Result<()> {
        let _ = (names, writer, job);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Bytes of layers of `image` that other images have too (`SharedSize`).
    pub fn shared_size(&self, image: &Image) -> u64 {
        let _ = image;
        0
    }

    /// What the images take on disk.
    pub fn usage(&self) -> Usage {
        Usage::default()
    }

    /// The image that is built into this program, installed under its name when it is not there yet.
    pub fn install_hello_world(&self) -> Result<Arc<Image>> {
        Err(Error::Unsupported("not yet".into()))
    }

    /// Makes the folders of a new container on `image` (`None`: an empty file system). No mount, no process.
    pub fn snapshot_create(&self, id: &ContainerId, image: Option<&ImageId>) -> Result<()> {
        let _ = (id, image);
        Err(Error::Unsupported("not yet".into()))
    }

    /// How the runtime has to mount the container's root.
    pub fn snapshot_rootfs(&self, id: &ContainerId) -> Result<Rootfs> {
        let _ = id;
        Err(Error::Unsupported("not yet".into()))
    }

    /// A detached mount of the container's root in this process, attached nowhere (overlay), or its folder: to copy files
    /// out of and into a container that does not run. It vanishes with the descriptor.
    pub fn snapshot_open(&self, id: &ContainerId) -> Result<std::os::fd::OwnedFd> {
        let _ = id;
        Err(Error::Unsupported("not yet".into()))
    }

    /// `GraphDriver.Data` of an inspected container.
    pub fn snapshot_data(&self, id: &ContainerId) -> Result<Vec<(&'static str, String)>> {
        let _ = id;
        Err(Error::Unsupported("not yet".into()))
    }

    /// `GraphDriver.Data` of an inspected image.
    pub fn image_data(&self, image: &Image) -> Vec<(&'static str, String)> {
        let _ = image;
        Vec::new()
    }

    /// Sizes of a container (`ps -s`).
    pub fn snapshot_size(&self, id: &ContainerId) -> Result<SnapshotSize> {
        let _ = id;
        Err(Error::Unsupported("not yet".into()))
    }

    /// What the container changed against its image, sorted by path (`docker diff`).
    pub fn snapshot_changes(&self, id: &ContainerId) -> Result<Vec<Change>> {
        let _ = id;
        Err(Error::Unsupported("not yet".into()))
    }

    /// Writes the container's whole file system as a tar (`docker export`).
    pub fn snapshot_export(&self, id: &ContainerId, writer: &mut dyn Write, job: &Job) -> Result<()> {
        let _ = (id, writer, job);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Makes an image from the container's changes (`docker commit`). The caller pauses the container.
    pub fn snapshot_commit(&self, id: &ContainerId, commit: &Commit, job: &Job) -> Result<ImageId> {
        let _ = (id, commit, job);
        Err(Error::Unsupported("not yet".into()))
    }

    /// Removes the container's folders. Removing what is not there is no error.
    pub fn snapshot_remove(&self, id: &ContainerId) -> Result<()> {
        let _ = id;
        Err(Error::Unsupported("not yet".into()))
    }

    /// All containers that have a snapshot: for the reconciliation at start.
    pub fn snapshots(&self) -> Vec<ContainerId> {
        Vec::new()
    }
}
