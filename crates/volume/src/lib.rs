//! Volumes: create, mount, fill, copy, limit, remove; the local driver and plugins; reference counts.
//!
//! ```text
//!   <root>/<name>/_data        the files, or where they are mounted while somebody uses them
//!   <root>/<name>/image        the file system of a volume with a limit (where the data root's has no quotas)
//!   <root>/<name>/snapshots/   copies of the files, by name
//!   <root>/.new-<n>-<name>     being prepared       (no volume's name begins with a dot)
//!   <root>/.gone-<n>-<name>    being removed
//!   table `volumes`            name → driver, labels, options, time of creation, backing (JSON)
//!   references                 in memory; whoever uses volumes says so again after a restart
//! ```
//!
//! A row is there before the folder has its name, and goes after the folder has lost it; so a folder with a volume's name but
//! without a row is somebody's data (a restored backup, a lost database), and becomes a volume rather than rubbish.

mod copy;
mod error;
mod fill;
mod life;
mod mount;
mod open;
mod options;
pub mod plugin;
mod row;
mod size;
mod snapshot;
mod transfer;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use wharf_archive::{Sizes, Writing};
use wharf_state::{Db, Migrations, Table};

pub use error::Error;
pub use options::bytes;
pub use row::{Backing, Foreign, Volume};
pub use snapshot::Snapshot;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Asked again and again during long work; an error ends it.
pub type Check<'a> = &'a dyn Fn() -> Result<()>;

/// The tables of this crate; give them to `Db::open`.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "volume",
    steps: &["CREATE TABLE volumes (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID"],
};
const TABLE: Table = Table("volumes");

/// The label that Docker puts on volumes without a name.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";
/// The driver that needs no plugin.
pub const LOCAL: &str = "local";

/// A wish for a volume.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// Driver; empty: `local`, or that of the volume that is there.
    pub driver: String,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Driver options.
    pub options: Option<BTreeMap<String, String>>,
    /// Nanoseconds since 1970.
    pub now: i64,
    /// Who uses it from the first moment on (a container).
    pub user: Option<String>,
}

/// All volumes of a data root; clones share it. Operations block for as long as the disk takes.
#[derive(Debug, Clone)]
pub struct Volumes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    db: Db,
    world: Mutex<World>,
    /// Told when a name becomes free.
    freed: Condvar,
    /// Of the volumes that are folders, by name.
    sizes: Sizes<String>,
    /// Old numbers are being renewed.
    renewing: AtomicBool,
    plugins: plugin::Plugins,
    number: AtomicU64,
}

#[derive(Debug, Default)]
struct World {
    volumes: BTreeMap<String, Arc<Volume>>,
    users: BTreeMap<String, BTreeSet<String>>,
    mounts: BTreeMap<String, Active>,
    /// Names that an operation works on.
    busy: BTreeSet<String>,
}

/// A volume that is mounted.
#[derive(Debug)]
struct Active {
    users: BTreeSet<String>,
    path: PathBuf,
    _writing: Writing<String>,
}

/// Names that nobody else works on as long as this lives.
struct Lock<'a> {
    shared: &'a Shared,
    names: Vec<String>,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        self.names.iter().for_each(|name| _ = world.busy.remove(name));
        drop(world);
        self.shared.freed.notify_all();
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        // nothing panics while holding it; and the maps would still be whole
        self.world.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits until nobody works on any of the names.
    fn lock(&self, names: &[&str]) -> Lock<'_> {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut world = self.world();
        while names.iter().any(|name| world.busy.contains(name)) {
            world = self.freed.wait(world).unwrap_or_else(|e| e.into_inner());
        }
        world.busy.extend(names.iter().cloned());
        Lock { shared: self, names: names.into_iter().collect() }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.root.join(name).join("_data")
    }

    /// A path in the root that no other operation has.
    fn fresh(&self, what: &str, name: &str) -> PathBuf {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!(".{what}-{}x{number}-{name}", std::process::id()))
    }

    fn put(&self, volume: &Volume, instead_of: Option<&str>) -> Result<()> {
        let key = volume.name.clone();
        let doc = serde_json::to_vec(volume).map_err(|e| Error::Corrupt(format!("volume row {key}: {e}")))?;
        let old = instead_of.map(str::to_owned);
        self.db.write(move |tx| {
            if let Some(old) = &old {
                tx.delete(TABLE, old)?;
            }
            tx.put(TABLE, &key, &doc).map_err(Error::from)
        })
    }

    fn delete(&self, name: &str) -> Result<()> {
        let key = name.to_owned();
        self.db.write(move |tx| tx.delete(TABLE, &key).map(drop).map_err(Error::from))
    }

    /// A volume with no users yet.
    fn active(&self, name: &str, path: PathBuf) -> Active {
        Active { users: BTreeSet::new(), path, _writing: self.sizes.writing(name.to_owned()) }
    }

    fn get(&self, name: &str) -> Result<Arc<Volume>> {
        self.world().volumes.get(name).cloned().ok_or_else(|| Error::NotFound(name.to_owned()))
    }
}

impl Volumes {
    /// The folder that a local volume's files are in, or are mounted on.
    pub fn data(&self, name: &str) -> PathBuf {
        self.shared.data(name)
    }

    /// All that have a row, by name.
    pub fn list(&self) -> Vec<Arc<Volume>> {
        self.shared.world().volumes.values().cloned().collect()
    }

    /// One, by its full name.
    pub fn get(&self, name: &str) -> Result<Arc<Volume>> {
        self.shared.get(name)
    }

    /// The drivers outside of the daemon.
    pub fn plugins(&self) -> &plugin::Plugins {
        &self.shared.plugins
    }

    /// Says that `user` (a container) uses the volume.
    pub fn acquire(&self, name: &str, user: &str) {
        self.shared.world().users.entry(name.to_owned()).or_default().insert(user.to_owned());
    }

    /// Says that `user` does not use it any more.
    pub fn release(&self, name: &str, user: &str) {
        let mut world = self.shared.world();
        if let Some(users) = world.users.get_mut(name) {
            users.remove(user);
            if users.is_empty() {
                world.users.remove(name);
            }
        }
    }

    /// Says that `user` uses none any more.
    pub fn release_all(&self, user: &str) {
        self.shared.world().users.retain(|_, users| {
            users.remove(user);
            !users.is_empty()
        });
    }

    /// Who uses it.
    pub fn users(&self, name: &str) -> Vec<String> {
        self.shared.world().users.get(name).map(|users| users.iter().cloned().collect()).unwrap_or_default()
    }

    /// How many use it.
    pub fn user_count(&self, name: &str) -> usize {
        self.shared.world().users.get(name).map_or(0, BTreeSet::len)
    }

    /// Makes the files reachable for `user`, and says where: the first one mounts what is to be mounted.
    pub fn mount(&self, name: &str, user: &str) -> Result<PathBuf> {
        let _lock = self.shared.lock(&[name]);
        self.mount_locked(name, user)
    }

    fn mount_locked(&self, name: &str, user: &str) -> Result<PathBuf> {
        let shared = &*self.shared;
        let volume = shared.get(name)?;
        if let Some(active) = shared.world().mounts.get_mut(name)
            // a plugin counts its users itself
            && volume.backing != Backing::Plugin
        {
            active.users.insert(user.to_owned());
            return Ok(active.path.clone());
        }
        let data = shared.data(name);
        let path = match &volume.backing {
            Backing::Plugin => shared.plugins.find(&volume.driver)?.mount(name, user)?,
            Backing::Folder | Backing::Project { .. } | Backing::Subvolume { .. } => {
                match fs::create_dir(&data) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        fs::create_dir_all(&data).map_err(Error::io("mkdir", &data))?;
                    }
                    Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                        return Err(Error::io("mkdir", &data)(e));
                    }
                    _ => {}
                }
                data
            }
            Backing::Foreign(what) => {
                mount::foreign(what, &data)?;
                data
            }
            Backing::Image { .. } => {
                mount::image(&shared.folder(name).join(size::IMAGE), &data)?;
                let recovered = fill::Place::open(&data, None).and_then(|place| place.recover());
                if let Err(error) = recovered {
                    mount::release(&data)?;
                    return Err(error);
                }
                data
            }
        };
        let mut world = shared.world();
        let active = world.mounts.entry(name.to_owned()).or_insert_with(|| shared.active(name, path.clone()));
        active.users.insert(user.to_owned());
        Ok(path)
    }

    /// Says that `user` does not need the files any more: the last one unmounts. Doing it twice does no harm.
    pub fn unmount(&self, name: &str, user: &str) -> Result<()> {
        let _lock = self.shared.lock(&[name]);
        self.unmount_locked(name, user)
    }

    fn unmount_locked(&self, name: &str, user: &str) -> Result<()> {
        let shared = &*self.shared;
        let backing = shared.get(name).map(|volume| (volume.backing.clone(), volume.driver.clone())).ok();
        {
            let mut world = shared.world();
            let Some(active) = world.mounts.get_mut(name) else { return Ok(()) };
            if !active.users.remove(user) {
                return Ok(());
            }
            let last = active.users.is_empty();
            if last {
                world.mounts.remove(name);
            }
            if !last && !matches!(backing, Some((Backing::Plugin, _))) {
                return Ok(());
            }
        }
        match backing {
            Some((Backing::Plugin, driver)) => shared.plugins.find(&driver)?.unmount(name, user),
            Some((backing, _)) if backing.is_folder() => Ok(()),
            _ => mount::release(&shared.data(name)),
        }
    }

    /// What `user` has mounted.
    pub fn mounted_by(&self, user: &str) -> Vec<String> {
        let world = self.shared.world();
        let has = world.mounts.iter().filter(|(_, active)| active.users.contains(user));
        has.map(|(name, _)| name.clone()).collect()
    }

    /// Where users find the files on the host; of a plugin's volume, where it is mounted, if it is.
    pub fn mountpoint(&self, name: &str) -> Result<PathBuf> {
        let volume = self.get(name)?;
        match volume.backing {
            Backing::Plugin => self.shared.plugins.find(&volume.driver)?.path(name),
            _ => Ok(self.data(name)),
        }
    }

    /// After a restart: `user` has the volume mounted already.
    pub fn adopt_mount(&self, name: &str, user: &str) {
        let path = self.shared.data(name);
        let mut world = self.shared.world();
        let active = world.mounts.entry(name.to_owned()).or_insert_with(|| self.shared.active(name, path));
        active.users.insert(user.to_owned());
    }

    /// After a restart, when all users have said so: takes away mounts that nobody needs any more.
    pub fn settle(&self) {
        let root = &self.shared.root;
        for name in mount::mounted(root) {
            if self.shared.world().mounts.contains_key(&name) {
                continue;
            }
            tracing::info!(volume = name, "unmounting what was left mounted");
            if let Err(error) = mount::release(&self.shared.data(&name)) {
                tracing::error!(volume = name, %error, "unmount");
            }
        }
    }

    /// Fills an empty volume with what the container's root file system has at `path` (an absolute path, resolved inside
    /// `root` and never outside): contents, owners, modes, times, extended attributes. Does nothing when the volume has files
    /// already, or there is nothing at the path. All of it appears, or nothing.
    pub fn copy_up(&self, name: &str, root: BorrowedFd<'_>, path: &Path) -> Result<()> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let source = match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR) => return Err(Error::Mount(format!("source {} is not directory", path.display()))),
            Err(errno) => return Err(Error::io("open", path)(errno)),
        };
        let _lock = self.shared.lock(&[name]);
        let user = "copy-up";
        let base = self.mount_locked(name, user)?;
        let filled = self.fill_empty(name, &base, path, |base_fd, place| {
            if copy::is_empty(&source).map_err(Error::io("read", path))? {
                return copy::folder_attributes(&source, base_fd, path);
            }
            let project = self.project(name);
            place.fill(fill::Existing::Keep, project, |into| copy::copy(source.as_fd(), into, path, &|| Ok(())))
        });
        let unmounted = self.unmount_locked(name, user);
        filled.and(unmounted)
    }

    fn fill_empty(
        &self,
        name: &str,
        base: &Path,
        shown: &Path,
        work: impl FnOnce(&std::os::fd::OwnedFd, &fill::Place) -> Result<()>,
    ) -> Result<()> {
        let place = self.place(name, base)?;
        if !copy::is_empty(&place.base).map_err(Error::io("read", shown))? {
            return Ok(());
        }
        work(&place.base, &place)
    }

    /// Where files for a volume that is mounted at `base` are prepared.
    fn place(&self, name: &str, base: &Path) -> Result<fill::Place> {
        let folder = self.shared.folder(name);
        let beside = self.get(name)?.backing.is_folder().then_some(folder.as_path());
        fill::Place::open(base, beside)
    }

    fn project(&self, name: &str) -> Option<u32> {
        self.get(name).ok()?.backing.project()
    }
}

#[cfg(test)]
mod tests;
