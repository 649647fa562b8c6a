//! Snapshots: the writable root of each container on top of its image's layers.

use std::{
    collections::HashSet,
    ffi::CString,
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, PermissionsExt, symlink},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use wharf_archive::Writing;
use wharf_spec::id::{ContainerId, ImageId};
use wharf_sys::quota;

use crate::{
    Driver, Error, Image, Result, Rootfs, SnapshotSize,
    layout::{DIFF, MERGED, WORK},
    rows::{self, Project, SnapshotRow},
    store::{Change, Store},
};

/// What the kernel may have switched on by default and layers must not have: a moved folder or a file without its data in the
/// upper layer would be lost in the image that is made of it.
const OVERLAY_OPTIONS: [(&str, &str); 3] = [("index", "off"), ("redirect_dir", "off"), ("metacopy", "off")];

/// Numbers of containers' quota projects have this bit.
const OWN_PROJECTS: u32 = 1 << 31;

impl Store {
    /// Makes the folders of a new container on `image` (`None`: an empty file system). No mount, no process. `limit`: most bytes
    /// that it may write.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; with a limit also the kernel's refusal where [`Store::can_limit_snapshots`] says no.
    pub fn snapshot_create(&self, id: &ContainerId, image: Option<&ImageId>, limit: Option<u64>) -> Result<()> {
        let layers = match image {
            None => Vec::new(),
            Some(image) => {
                let catalog = self.catalog();
                catalog.get(image).ok_or_else(|| Error::NoSuchImage(image.to_string()))?.layers.clone()
            }
        };
        let project = limit.map(|limit| Project { id: self.fresh_project(id), limit });
        let row = Arc::new(SnapshotRow { image: image.copied(), layers, project });
        // no removal is half done while this is decided: either the layers are gone, or they are in use from here on
        let still_there = self.use_layers(id, &row);
        let made = match still_there {
            true => self.make_snapshot_folders(id),
            false => Err(Error::NoSuchImage(image.map(ToString::to_string).unwrap_or_default())),
        };
        if let Err(error) = made {
            self.snapshot_rows().remove(id);
            return Err(error);
        }
        let (key, doc) = (id.to_string(), rows::encode(&*row));
        // with the container's own row, which whoever made this writes next
        self.inner.db.submit_with_next(
            move |tx| tx.put(rows::SNAPSHOTS, &key, &doc),
            |result: Result<(), wharf_state::Error>| {
                if let Err(error) = result {
                    tracing::error!("row of a snapshot: {error}");
                }
            },
        );
        Ok(())
    }

    pub(crate) fn make_snapshot_folders(&self, id: &ContainerId) -> Result<()> {
        let folder = self.layout().snapshot(id);
        make_dir(&folder, 0o710)?;
        if let Some(Project { id, limit }) = self.snapshot_row(id)?.project {
            let place = File::open(&folder).map_err(Error::io("open", &folder))?;
            quota::set_project_limit(&place, id, limit).map_err(Error::io("set quota of", &folder))?;
            // what is made in it from here on belongs to it
            quota::set_project(&place, id).map_err(Error::io("set quota project of", &folder))?;
        }
        make_dir(&folder.join(DIFF), 0o755)?;
        if self.driver() == Driver::Overlay2 {
            make_dir(&folder.join(WORK), 0o700)?;
            make_dir(&folder.join(MERGED), 0o700)?;
            return self.copy_root_metadata(id, &folder.join(DIFF));
        }
        let files = folder.join(DIFF);
        let to = File::open(&files).map_err(Error::io("open", &files))?;
        Ok(wharf_archive::copy_merged(self.open_lower(&self.snapshot_row(id)?.layers)?, to.as_fd())?)
    }

    /// Whether containers can have a limit: with overlays, on a file system that counts projects and keeps to their limits.
    pub fn can_limit_snapshots(&self) -> bool {
        if self.driver() != Driver::Overlay2 {
            return false;
        }
        File::open(self.layout().base()).is_ok_and(quota::enforces_project_limits)
    }

    /// A project that no other snapshot has, by the container's own name, away from those that people and volumes choose.
    fn fresh_project(&self, id: &ContainerId) -> u32 {
        let start = id.as_str().get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
        let rows = self.snapshot_rows();
        let taken: HashSet<u32> = rows.values().filter_map(|row| row.project).map(|project| project.id).collect();
        let own = |n: u32| OWN_PROJECTS | start.wrapping_add(n);
        (0..).map(own).find(|id| *id != u32::MAX && !taken.contains(id)).unwrap_or(OWN_PROJECTS)
    }

    /// Folders of a stack of layers, opened, top first.
    pub(crate) fn open_lower(&self, layers: &[wharf_spec::id::DiffId]) -> Result<Vec<OwnedFd>> {
        let open = |path: &PathBuf| Ok(File::open(path).map_err(Error::io("open", path))?.into());
        self.lower(layers).iter().map(open).collect()
    }

    /// The root folder of an overlay shows the metadata of its topmost layer: the container's own must look like the image's.
    fn copy_root_metadata(&self, id: &ContainerId, upper: &Path) -> Result<()> {
        let row = self.snapshot_row(id)?;
        let Some(top) = row.layers.last() else { return Ok(()) };
        let below = self.layout().layer_files(top);
        let stat = rustix::fs::stat(&below).map_err(Error::io("stat", &below))?;
        let mode = rustix::fs::Mode::from_raw_mode(stat.st_mode);
        if mode.bits() & 0o7777 != 0o755 {
            rustix::fs::chmod(upper, mode).map_err(Error::io("chmod", upper))?;
        }
        if (stat.st_uid, stat.st_gid) != (0, 0) {
            let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
            rustix::fs::chown(upper, Some(uid), Some(gid)).map_err(Error::io("chown", upper))?;
        }
        Ok(())
    }

    pub(crate) fn snapshot_row(&self, id: &ContainerId) -> Result<Arc<SnapshotRow>> {
        self.snapshot_rows().get(id).cloned().ok_or_else(|| Error::NoSuchSnapshot(id.to_string()))
    }

    /// How the runtime has to mount the container's root.
    pub fn snapshot_rootfs(&self, id: &ContainerId) -> Result<Rootfs> {
        let row = self.snapshot_row(id)?;
        let folder = self.layout().snapshot(id);
        if self.driver() != Driver::Overlay2 {
            return Ok(Rootfs::Dir(folder.join(DIFF)));
        }
        Ok(Rootfs::Overlay {
            lower: self.lower(&row.layers),
            upper: folder.join(DIFF),
            work: folder.join(WORK),
            options: OVERLAY_OPTIONS.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        })
    }

    /// Makes the mount of a snapshot one that is never synced, not even when a program asks for it.
    pub fn snapshot_volatile(&self, id: &ContainerId, root: &mut Rootfs) -> Result<()> {
        let Rootfs::Overlay { options, .. } = root else { return Ok(()) };
        // the mark of such a mount before, by which the kernel knows that the machine may have failed meanwhile: it has not, as
        // then the container would not be there any more
        let mark = self.layout().snapshot(id).join(WORK).join("work/incompat");
        match std::fs::remove_dir_all(&mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &mark)(error));
            }
            _ => {}
        }
        options.push("volatile".into());
        Ok(())
    }

    /// Folders of a stack of layers, top first, with the common mount points below all of them.
    pub(crate) fn lower(&self, layers: &[wharf_spec::id::DiffId]) -> Vec<PathBuf> {
        let layout = self.layout();
        layers.iter().rev().map(|d| layout.layer_files(d)).chain([layout.init()]).collect()
    }

    /// Folders of an image's layers, top first: what a mount of the image alone consists of.
    pub fn image_layers(&self, image: &ImageId) -> Result<Vec<PathBuf>> {
        let catalog = self.catalog();
        let image = catalog.get(image).ok_or_else(|| Error::NoSuchImage(image.to_string()))?;
        Ok(image.layers.iter().rev().map(|diff| self.layout().layer_files(diff)).collect())
    }

    /// A detached mount of the container's root in this process, attached nowhere (overlay), or its folder: to copy files
    /// out of and into a container that does not run. It vanishes with the descriptor.
    pub fn snapshot_open(&self, id: &ContainerId) -> Result<OwnedFd> {
        match self.snapshot_rootfs(id)? {
            Rootfs::Dir(path) => Ok(File::open(&path).map_err(Error::io("open", &path))?.into()),
            Rootfs::Overlay { lower, upper, work, .. } => mount_overlay(&lower, Some((&upper, &work))),
        }
    }

    /// The same, read-only and without touching the container's own work folder: safe while it runs.
    pub(crate) fn snapshot_view(&self, id: &ContainerId) -> Result<OwnedFd> {
        match self.snapshot_rootfs(id)? {
            Rootfs::Dir(path) => Ok(File::open(&path).map_err(Error::io("open", &path))?.into()),
            Rootfs::Overlay { lower, upper, .. } => {
                let all: Vec<PathBuf> = std::iter::once(upper).chain(lower).collect();
                mount_overlay(&all, None)
            }
        }
    }

    /// `GraphDriver.Data` of an inspected container.
    pub fn snapshot_data(&self, id: &ContainerId) -> Result<Vec<(&'static str, String)>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        match self.snapshot_rootfs(id)? {
            Rootfs::Dir(path) => Ok(vec![("Dir", text(&path))]),
            Rootfs::Overlay { lower, upper, work, .. } => {
                let lower: Vec<String> = lower.iter().map(|p| text(p)).collect();
                Ok(vec![
                    ("LowerDir", lower.join(":")),
                    ("MergedDir", text(&self.layout().snapshot(id).join(MERGED))),
                    ("UpperDir", text(&upper)),
                    ("WorkDir", text(&work)),
                ])
            }
        }
    }

    /// `GraphDriver.Data` of an inspected image.
    pub fn image_data(&self, image: &Image) -> Vec<(&'static str, String)> {
        let layout = self.layout();
        let Some((top, below)) = image.layers.split_last() else { return Vec::new() };
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        if self.driver() != Driver::Overlay2 {
            return vec![("Dir", text(layout.layer_files(top)))];
        }
        let mut data = Vec::new();
        if !below.is_empty() {
            let lower: Vec<String> = below.iter().rev().map(|d| text(layout.layer_files(d))).collect();
            data.push(("LowerDir", lower.join(":")));
        }
        data.push(("MergedDir", text(layout.layer(top).join(MERGED))));
        data.push(("UpperDir", text(layout.layer_files(top))));
        data.push(("WorkDir", text(layout.layer(top).join(WORK))));
        data
    }

    /// Says that somebody may write into the container's files as long as the result lives: its processes, or we.
    pub fn snapshot_writing(&self, id: &ContainerId) -> Writing<ContainerId> {
        self.inner.sizes.writing(id.clone())
    }

    /// Sizes of a container (`ps -s`, `system df`). Its files are walked only when somebody may have written since the last time.
    pub fn snapshot_size(&self, id: &ContainerId) -> Result<SnapshotSize> {
        let row = self.snapshot_row(id)?;
        let rw = match self.inner.sizes.known(id) {
            Some((bytes, _)) => bytes,
            None => self.inner.sizes.walk(id, || self.own_bytes(id))?,
        };
        let catalog = self.catalog();
        let image: u64 = row.layers.iter().filter_map(|d| catalog.layer(d)).map(|l| l.size).sum();
        Ok(SnapshotSize { rw, root: rw + image })
    }

    fn own_bytes(&self, id: &ContainerId) -> Result<u64> {
        let path = self.layout().snapshot(id).join(DIFF);
        match self.driver() {
            Driver::Overlay2 => {
                let root = File::open(&path).map_err(Error::io("open", &path))?;
                Ok(wharf_archive::size(root.as_fd())?)
            }
            Driver::Vfs | Driver::Btrfs => self.changed_bytes(id, &path),
        }
    }

    /// Bytes of files that are not as in the image, where the container has a full copy.
    fn changed_bytes(&self, id: &ContainerId, root: &Path) -> Result<u64> {
        let changes = self.snapshot_changes(id)?;
        let size = |change: &crate::Change| {
            let path = root.join(change.path.strip_prefix("/").unwrap_or(&change.path));
            // gone since, or deleted: no bytes
            path.symlink_metadata().map_or(0, |m| if m.is_dir() { 0 } else { m.len() })
        };
        Ok(changes.iter().map(size).sum())
    }

    /// Lets the container's layers go, and its row with whatever is written next; its folders stay until
    /// [`Store::snapshot_remove`].
    pub fn snapshot_forget(&self, id: &ContainerId) {
        let Some(row) = self.snapshot_rows().remove(id) else { return };
        self.inner.sizes.forget(id);
        if let (Some(project), Ok(base)) = (row.project, File::open(self.layout().base())) {
            // a limit on a project without files hurts nobody
            let _ = quota::set_project_limit(base, project.id, 0);
        }
        let key = id.to_string();
        self.inner.db.submit_with_next(
            move |tx| tx.delete(rows::SNAPSHOTS, &key),
            |result: Result<bool, wharf_state::Error>| {
                if let Err(error) = result {
                    tracing::error!("row of a removed snapshot: {error}");
                }
            },
        );
        // its image was removed by force
        if row.image.is_some_and(|image| self.catalog().get(&image).is_none()) {
            self.inner.orphans.store(true, Ordering::Release);
        }
    }

    /// Removes the container's folders. Removing what is not there is no error.
    pub fn snapshot_remove(&self, id: &ContainerId) -> Result<()> {
        if let Some(path) = self.layout().retire(&self.layout().snapshot(id))? {
            self.reap(path);
        }
        self.snapshot_forget(id);
        // layers that only removed containers still needed
        if self.inner.orphans.swap(false, Ordering::AcqRel) { self.change().commit() } else { Ok(()) }
    }

    /// All containers that have a snapshot: for the reconciliation at start.
    pub fn snapshots(&self) -> Vec<ContainerId> {
        self.snapshot_rows().keys().cloned().collect()
    }

    /// The mount points that every container's root needs. They lie below all layers of the image: where the image has
    /// something of that name it is what the container sees, and no container pays for a layer of its own.
    pub(crate) fn make_init_layer(&self) -> Result<()> {
        let root = self.layout().init();
        if root.join("etc/mtab").is_symlink() {
            return Ok(());
        }
        let folder = |path: &str| make_dir(&root.join(path), 0o755);
        let parent = root.parent().unwrap_or(&root).to_owned();
        make_dir(&parent, 0o710)?;
        make_dir(&root, 0o755)?;
        for path in ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"] {
            folder(path)?;
        }
        for path in ["dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf", ".dockerenv"] {
            let path = root.join(path);
            let file = File::create(&path).map_err(Error::io("create", &path))?;
            file.set_permissions(PermissionsExt::from_mode(0o755)).map_err(Error::io("chmod", &path))?;
        }
        // last: its presence says that the others are there
        let mtab = root.join("etc/mtab");
        symlink("/proc/mounts", &mtab).map_err(Error::io("symlink", &mtab))
    }
}

impl Change<'_> {
    /// Chain identifiers that containers need.
    pub(crate) fn snapshot_chains(&self) -> Vec<wharf_spec::digest::Digest> {
        let rows: Vec<_> = self.store().snapshot_rows().values().cloned().collect();
        rows.iter().flat_map(|row| wharf_spec::id::chain_ids(&row.layers)).collect()
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(Error::io("mkdir", path)(e)),
    }
    // whatever the umask says
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(Error::io("chmod", path))
}

/// Mounts an overlay that is attached nowhere.
pub(crate) fn mount_overlay(lower: &[PathBuf], upper: Option<(&Path, &Path)>) -> Result<OwnedFd> {
    let what = Path::new("overlay");
    let name = |path: &Path| {
        let nul = |_| Error::io("mount", path)(std::io::Error::from(std::io::ErrorKind::InvalidInput));
        CString::new(path.as_os_str().as_bytes()).map_err(nul)
    };
    let lower = lower.iter().map(|path| name(path)).collect::<Result<Vec<_>>>()?;
    let upper = upper.map(|(upper, work)| Ok::<_, Error>((name(upper)?, name(work)?))).transpose()?;
    let mut options = Vec::new();
    if upper.is_some() {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        options.extend(OVERLAY_OPTIONS.iter().map(|(key, value)| (text(key), Some(text(value)))));
    }
    let upper = upper.as_ref().map(|(upper, work)| (upper.as_c_str(), work.as_c_str()));
    let overlay = wharf_sys::overlay::Overlay { source: c"overlay", lower: &lower, upper, options: &options };
    wharf_sys::overlay::mount(&overlay).map_err(Error::io("mount", what))
}
