//! The store itself: what it holds in memory, how it opens and repairs, and how every change is made.
//!
//! A change is: files first (synced), then rows in one transaction, then the catalog in memory. A crash in between leaves
//! files without a row, which the next start removes, or nothing at all.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak, atomic::AtomicBool, mpsc},
};

use wharf_archive::Sizes;
use wharf_spec::{
    digest::Digest,
    id::{ContainerId, DiffId, ImageId},
    reference::Reference,
};
use wharf_state::Db;

use crate::{
    Catalog, Driver, Error, Image, LayerInfo, Result,
    catalog::{image_from_rows, rebuild_names},
    distribution::ManifestInfo,
    layout::{INIT, Layout, STAGING, Stage, make_private, remove_tree},
    rows::{self, BlobRow, ImageRow, LayerRow, ManifestRow, MovedRow, NameRow, SnapshotRow},
};

/// All images and all container file systems under one data root. Clones are the same store. Every operation is
/// synchronous: call it on a blocking thread. Reading the catalog never waits for a write.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) driver: Driver,
    pub(crate) db: Db,
    catalog: RwLock<Arc<Catalog>>,
    /// Held while names, images or layers change.
    changes: Mutex<Changes>,
    pub(crate) snapshots: Mutex<HashMap<ContainerId, Arc<SnapshotRow>>>,
    /// Of containers' own layers.
    pub(crate) sizes: Sizes<ContainerId>,
    /// A container is gone whose image was removed by force: layers may be there that nobody needs.
    pub(crate) orphans: AtomicBool,
    /// Work for the thread that cleans up.
    reaper: mpsc::Sender<Chore>,
}

/// What is done off every path that somebody waits for.
enum Chore {
    /// Remove a folder that is out of sight.
    Remove(std::path::PathBuf),
    /// An operation has let go of a layer that nothing else uses.
    Collect,
}

/// What only the writer needs.
#[derive(Default)]
pub(crate) struct Changes {
    /// Layers that a running operation relies on, with the number of operations.
    pins: HashMap<DiffId, usize>,
}

/// A layer that is complete in its staging folder.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) stage: Stage,
    pub(crate) diff: DiffId,
    pub(crate) row: LayerRow,
}

/// An image to be added.
#[derive(Debug, Clone)]
pub(crate) struct NewImage {
    pub(crate) config: Arc<[u8]>,
    pub(crate) parent: Option<ImageId>,
    pub(crate) names: Vec<Reference>,
}

impl Store {
    /// Opens (or creates) the store under `root`, with its rows in `db`, and repairs what a crash left. `None` chooses
    /// the driver: the one that made what is here, else overlay2, else vfs.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the driver does not work on this file system, or another one made what is here.
    pub fn open(root: &Path, driver: Option<Driver>, db: Db) -> Result<Self> {
        db.migrate(rows::MIGRATIONS)?;
        let (catalog, snapshots) = read_rows(&db)?;
        make_private(root)?;
        let driver = crate::driver::choose(root, driver, |base| {
            let names = catalog.layers.keys().map(Digest::hex).chain(snapshots.keys().map(|id| id.as_str().to_owned()));
            base.is_dir() && names.into_iter().any(|name| base.join(name).is_dir())
        })?;
        let layout = Layout::create(root, driver)?;
        let (reaper, chores) = mpsc::channel();
        let inner = Inner {
            layout,
            driver,
            db,
            catalog: RwLock::new(Arc::new(catalog)),
            changes: Mutex::default(),
            snapshots: Mutex::new(snapshots),
            sizes: Sizes::default(),
            orphans: AtomicBool::new(false),
            reaper,
        };
        let store = Self { inner: Arc::new(inner) };
        let weak = Arc::downgrade(&store.inner);
        std::thread::Builder::new()
            .name("wharf-reaper".into())
            .spawn(move || reap(&chores, &weak))
            .map_err(Error::io("start thread", root))?;
        store.repair()?;
        // what operations held that a crash has ended
        store.collect()?;
        store.make_init_layer()?;
        Ok(store)
    }

    /// The driver in use.
    pub fn driver(&self) -> Driver {
        self.inner.driver
    }

    /// The picture of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// [`Catalog::resolve`] on the picture of this moment.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        self.catalog().resolve(text).cloned()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// Takes the right to change names, images and layers.
    pub(crate) fn change(&self) -> Change<'_> {
        let changes = self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Change { store: self, catalog: (*self.catalog()).clone(), changes, rows: Vec::new() }
    }

    /// Keeps a layer from being collected while the result lives. `None`: it is not there.
    pub(crate) fn pin(&self, diff: &DiffId) -> Option<Pin> {
        let mut changes = self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.catalog().layer(diff)?;
        *changes.pins.entry(*diff).or_default() += 1;
        Some(Pin { store: self.clone(), diff: *diff })
    }

    /// The same for several layers that an operation reads.
    pub(crate) fn pin_all(&self, layers: &[DiffId]) -> Result<Vec<Pin>> {
        layers.iter().map(|d| self.pin(d).ok_or_else(|| Error::Corrupt(format!("layer {d} is gone")))).collect()
    }

    /// The same for a layer that is only on its way in.
    pub(crate) fn pin_ahead(&self, diff: &DiffId) -> Pin {
        let mut changes = self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes.pins.entry(*diff).or_default() += 1;
        Pin { store: self.clone(), diff: *diff }
    }

    /// Notes that a container uses these layers; `false` when one of them is gone: then the caller takes the note back.
    pub(crate) fn use_layers(&self, id: &ContainerId, row: &Arc<SnapshotRow>) -> bool {
        let _changes = self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = self.catalog();
        let all = row.layers.iter().all(|d| catalog.layers.contains_key(d));
        self.snapshot_rows().insert(id.clone(), row.clone());
        all
    }

    pub(crate) fn snapshot_rows(&self) -> MutexGuard<'_, HashMap<ContainerId, Arc<SnapshotRow>>> {
        self.inner.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a folder removed that is out of sight already.
    pub(crate) fn reap(&self, path: std::path::PathBuf) {
        // the thread lives as long as the sender; if it is gone the next start removes the folder
        let _ = self.inner.reaper.send(Chore::Remove(path));
    }

    /// Removes layers of no image, no container and no running operation.
    fn collect(&self) -> Result<()> {
        let change = self.change();
        if change.unused_layers().is_empty() { Ok(()) } else { change.commit() }
    }

    /// Removes what no row speaks of, and makes again what a row promises and only emptiness was lost of.
    fn repair(&self) -> Result<()> {
        let layout = self.layout();
        let catalog = self.catalog();
        let snapshots = self.snapshot_rows().clone();
        let known: HashSet<String> = catalog
            .layers
            .keys()
            .map(Digest::hex)
            .chain(snapshots.keys().map(|id| id.as_str().to_owned()))
            .chain([INIT.to_owned(), STAGING.to_owned()])
            .collect();
        for path in entries(layout.base())? {
            let name = path.file_name().unwrap_or_default();
            if !known.iter().any(|k| k.as_bytes() == name.as_bytes()) {
                layout.retire(&path)?;
            }
        }
        // removed in the background, whatever their size
        for path in entries(&layout.staging())? {
            self.reap(path);
        }
        let lost: Vec<DiffId> = catalog.layers.keys().filter(|d| !layout.layer_files(d).is_dir()).copied().collect();
        if !lost.is_empty() {
            tracing::error!("layers without files, their images cannot run: {lost:?}");
        }
        for id in snapshots.keys() {
            if !layout.snapshot(id).join(crate::layout::DIFF).is_dir() {
                self.make_snapshot_folders(id)?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("base", &self.layout().base()).finish_non_exhaustive()
    }
}

/// A layer that is kept while this lives.
#[derive(Debug)]
pub(crate) struct Pin {
    store: Store,
    diff: DiffId,
}

impl Drop for Pin {
    fn drop(&mut self) {
        {
            let mut changes = self.store.inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(count) = changes.pins.get_mut(&self.diff) else { return };
            *count -= 1;
            if *count > 0 {
                return;
            }
            changes.pins.remove(&self.diff);
        }
        let catalog = self.store.catalog();
        let is_here = catalog.layers.contains_key(&self.diff);
        if is_here && !catalog.images().any(|image| image.layers.contains(&self.diff)) {
            // its image was removed meanwhile; the thread lives as long as the sender
            let _ = self.store.inner.reaper.send(Chore::Collect);
        }
    }
}

/// One row to be written or, without a document, removed.
type RowChange = (wharf_state::Table, String, Option<Vec<u8>>);

/// A change of names, images and layers in the making. Nothing is visible before [`Change::commit`].
pub(crate) struct Change<'a> {
    store: &'a Store,
    pub(crate) catalog: Catalog,
    changes: MutexGuard<'a, Changes>,
    rows: Vec<RowChange>,
}

impl Change<'_> {
    pub(crate) fn store(&self) -> &Store {
        self.store
    }

    /// Moves a staged layer (whose data is synced) to its place, unless it is there.
    pub(crate) fn add_layer(&mut self, staged: Staged) -> Result<()> {
        if self.catalog.layers.contains_key(&staged.diff) {
            return Ok(());
        }
        let place = self.store.layout().layer(&staged.diff);
        // left by a commit that did not succeed
        if let Some(old) = self.store.layout().retire(&place)? {
            self.store.reap(old);
        }
        staged.stage.publish(&place)?;
        let info = LayerInfo { size: staged.row.size, tar_size: staged.row.tar_size };
        self.catalog.layers.insert(staged.diff, info);
        self.put(rows::LAYERS, staged.diff.to_string(), &staged.row);
        Ok(())
    }

    /// Adds an image whose layers are there; the same image twice is no error.
    pub(crate) fn add_image(&mut self, new: &NewImage) -> Result<ImageId> {
        let id = Digest::of(&new.config);
        if !self.catalog.images.contains_key(&id) {
            let row = ImageRow { parent: new.parent, last_tagged: None };
            let image = image_from_rows(id, new.config.clone(), &row, &self.catalog.layers)?;
            if let Some(missing) = image.layers.iter().find(|d| !self.catalog.layers.contains_key(d)) {
                return Err(Error::Corrupt(format!("layer {missing} of image {id} is not there")));
            }
            self.put(rows::IMAGES, id.to_string(), &row);
            self.rows.push((rows::CONFIGS, id.to_string(), Some(new.config.to_vec())));
            self.catalog.images.insert(id, Arc::new(image));
        }
        for name in &new.names {
            self.set_name(name, &id)?;
        }
        Ok(id)
    }

    /// Lets `name` mean `id`.
    pub(crate) fn set_name(&mut self, name: &Reference, id: &ImageId) -> Result<()> {
        let image = self.catalog.images.get(id).ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
        let mut image = (**image).clone();
        let old = self.catalog.names.insert(name.clone(), *id);
        self.put(rows::NAMES, name.to_string(), &NameRow { image: *id });
        if name.digest().is_none() {
            let now = jiff::Timestamp::now().as_nanosecond();
            image.last_tagged = Some(now);
            let row = ImageRow { parent: image.parent, last_tagged: Some(now.to_string()) };
            self.put(rows::IMAGES, id.to_string(), &row);
        }
        self.catalog.images.insert(*id, Arc::new(image));
        for id in old.iter().chain([id]) {
            rebuild_names(&mut self.catalog, id);
        }
        Ok(())
    }

    /// Removes a name; says which image it meant.
    pub(crate) fn remove_name(&mut self, name: &Reference) -> Option<ImageId> {
        let id = self.catalog.names.remove(name)?;
        self.rows.push((rows::NAMES, name.to_string(), None));
        rebuild_names(&mut self.catalog, &id);
        Some(id)
    }

    /// Removes an image that has no names.
    pub(crate) fn remove_image(&mut self, id: &ImageId) {
        self.catalog.images.remove(id);
        self.rows.push((rows::IMAGES, id.to_string(), None));
        self.rows.push((rows::CONFIGS, id.to_string(), None));
    }

    pub(crate) fn put<T: serde::Serialize>(&mut self, table: wharf_state::Table, key: String, row: &T) {
        self.rows.push((table, key, Some(rows::encode(row))));
    }

    pub(crate) fn delete(&mut self, table: wharf_state::Table, key: String) {
        self.rows.push((table, key, None));
    }

    /// Makes it durable, then visible; then layers that nobody uses any more are collected.
    pub(crate) fn commit(mut self) -> Result<()> {
        let garbage = self.unused_layers();
        for diff in &garbage {
            self.catalog.layers.remove(diff);
            self.rows.push((rows::LAYERS, diff.to_string(), None));
        }
        self.forget_distribution();
        let rows = std::mem::take(&mut self.rows);
        wharf_sys::failpoint::hit("store.commit").map_err(Error::io("commit", self.store.layout().base()))?;
        self.store.inner.db.write(move |tx| -> Result<(), wharf_state::Error> {
            for (table, key, doc) in &rows {
                match doc {
                    Some(doc) => tx.put(*table, key, doc)?,
                    None => drop(tx.delete(*table, key)?),
                }
            }
            Ok(())
        })?;
        *self.store.inner.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.catalog);
        wharf_sys::failpoint::hit("store.commit.after_rows")
            .map_err(Error::io("commit", self.store.layout().base()))?;
        for diff in &garbage {
            if let Some(path) = self.store.layout().retire(&self.store.layout().layer(diff))? {
                self.store.reap(path);
            }
        }
        Ok(())
    }

    /// Layers of no image, no container and no running operation.
    pub(crate) fn unused_layers(&self) -> Vec<DiffId> {
        let mut used: HashSet<DiffId> = self.catalog.images.values().flat_map(|i| i.layers.iter().copied()).collect();
        used.extend(self.store.snapshot_rows().values().flat_map(|s| s.layers.iter().copied()));
        used.extend(self.changes.pins.keys().copied());
        self.catalog.layers.keys().filter(|d| !used.contains(d)).copied().collect()
    }
}

fn read_rows(db: &Db) -> Result<(Catalog, HashMap<ContainerId, Arc<SnapshotRow>>)> {
    db.read(|tx| {
        let mut catalog = Catalog::default();
        tx.scan(rows::LAYERS, |key, doc| -> Result<()> {
            let row: LayerRow = decode(key, doc)?;
            let info = LayerInfo { size: row.size, tar_size: row.tar_size };
            catalog.layers.insert(parse(key)?, info);
            Ok(())
        })?;
        tx.scan(rows::BLOBS, |key, doc| -> Result<()> {
            catalog.blobs.insert(parse(key)?, decode::<BlobRow>(key, doc)?.into());
            Ok(())
        })?;
        tx.scan(rows::MANIFESTS, |key, doc| -> Result<()> {
            let row: ManifestRow = decode(key, doc)?;
            let info = ManifestInfo { image: row.image, media_type: row.media_type, size: row.text.len() as u64 };
            catalog.manifests.insert(parse(key)?, info);
            Ok(())
        })?;
        let mut configs: HashMap<String, Arc<[u8]>> = HashMap::new();
        tx.scan(rows::CONFIGS, |key, doc| -> Result<()> {
            configs.insert(key.to_owned(), doc.into());
            Ok(())
        })?;
        let mut images = BTreeMap::new();
        tx.scan(rows::IMAGES, |key, doc| -> Result<()> {
            let row: ImageRow = decode(key, doc)?;
            let id = parse(key)?;
            let config =
                configs.remove(key).ok_or_else(|| Error::Corrupt(format!("image {key} has no configuration")))?;
            images.insert(id, Arc::new(image_from_rows(id, config, &row, &catalog.layers)?));
            Ok(())
        })?;
        catalog.images = images;
        tx.scan(rows::NAMES, |key, doc| -> Result<()> {
            let row: NameRow = decode(key, doc)?;
            catalog.names.insert(Reference::parse(key)?, row.image);
            Ok(())
        })?;
        let ids: Vec<ImageId> = catalog.images.keys().copied().collect();
        ids.iter().for_each(|id| rebuild_names(&mut catalog, id));
        let mut snapshots = HashMap::new();
        tx.scan(rows::SNAPSHOTS, |key, doc| -> Result<()> {
            let id = key.parse().map_err(|e| Error::Corrupt(format!("snapshot row: {e}")))?;
            snapshots.insert(id, Arc::new(decode::<SnapshotRow>(key, doc)?));
            Ok(())
        })?;
        Ok((catalog, snapshots))
    })
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(key: &str, doc: &[u8]) -> Result<T> {
    serde_json::from_slice(doc).map_err(|e| Error::Corrupt(format!("row {key}: {e}")))
}

fn parse(key: &str) -> Result<Digest> {
    key.parse().map_err(|e| Error::Corrupt(format!("row {key}: {e}")))
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let list = std::fs::read_dir(folder).map_err(Error::io("read folder", folder))?;
    list.map(|e| e.map(|e| e.path()).map_err(Error::io("read folder", folder))).collect()
}

/// Does the chores one after the other.
fn reap(chores: &mpsc::Receiver<Chore>, store: &Weak<Inner>) {
    for chore in chores {
        match chore {
            Chore::Remove(path) => {
                if let Err(error) = remove_tree(&path) {
                    tracing::warn!("removed files stay until the next start: {error}");
                }
            }
            Chore::Collect => {
                let Some(inner) = store.upgrade() else { return };
                if let Err(error) = (Store { inner }).collect() {
                    tracing::warn!("layers that nobody uses stay until the next change: {error}");
                }
            }
        }
    }
}

impl From<&wharf_archive::Moved> for MovedRow {
    fn from(moved: &wharf_archive::Moved) -> Self {
        Self { before: moved.before, path: moved.path.as_os_str().as_bytes().to_vec(), name: moved.name }
    }
}

impl From<&MovedRow> for wharf_archive::Moved {
    fn from(row: &MovedRow) -> Self {
        let path = std::ffi::OsStr::from_bytes(&row.path).into();
        Self { before: row.before, path, name: row.name }
    }
}
