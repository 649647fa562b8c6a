//! Local volumes: create, copy-up, reference counts.
//!
//! ```text
//!   <root>/<name>/_data     the files
//!   table `volumes`         name → driver, labels, options, time of creation (JSON)
//!   references              in memory; whoever uses volumes says so again after a restart
//! ```
//!
//! A row is written before its folder is used and removed after the folder is gone, so that whatever happens in between is
//! finished by doing it again.

mod copy;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use wharf_state::{Db, Migrations, Table};

pub use error::Error;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The tables of this crate; give them to `Db::open`.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "volume",
    steps: &["CREATE TABLE volumes (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID"],
};
const TABLE: Table = Table("volumes");

/// The label that Docker puts on volumes without a name.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";
/// The only driver.
pub const LOCAL: &str = "local";

/// A volume as its row describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// `local`.
    pub driver: String,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// Labels; `None`: never given.
    pub labels: Option<BTreeMap<String, String>>,
    /// Driver options; `None`: never given.
    pub options: Option<BTreeMap<String, String>>,
}

impl Volume {
    /// Made for `-v /path` without a name.
    pub fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS_LABEL))
    }
}

/// A wish for a volume.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// Driver; empty: `local`.
    pub driver: String,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Driver options.
    pub options: Option<BTreeMap<String, String>>,
    /// Nanoseconds since 1970.
    pub now: i64,
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
}

#[derive(Debug, Default)]
struct World {
    volumes: BTreeMap<String, Arc<Volume>>,
    users: BTreeMap<String, BTreeSet<String>>,
}

impl Volumes {
    /// Reads the rows; finishes removals that were interrupted.
    pub fn open(root: &Path, db: Db) -> Result<Volumes> {
        fs::create_dir_all(root).map_err(Error::io("mkdir", root))?;
        let mut volumes = BTreeMap::new();
        db.read(|tx| {
            tx.scan(TABLE, |key, doc| {
                let volume: Volume =
                    serde_json::from_slice(doc).map_err(|e| Error::Corrupt(format!("volume row {key}: {e}")))?;
                volumes.insert(key.to_owned(), Arc::new(volume));
                Ok::<_, Error>(())
            })
        })?;
        for name in volumes.keys() {
            let data = root.join(name).join("_data");
            fs::create_dir_all(&data).map_err(Error::io("mkdir", &data))?;
        }
        for entry in fs::read_dir(root).map_err(Error::io("read", root))?.flatten() {
            let orphan = !entry.file_name().to_str().is_some_and(|name| volumes.contains_key(name));
            if orphan && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                tracing::info!(folder = %entry.path().display(), "removing what is left of a volume");
                fs::remove_dir_all(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        let world = Mutex::new(World { volumes, users: BTreeMap::new() });
        Ok(Volumes { shared: Arc::new(Shared { root: root.to_owned(), db, world }) })
    }

    /// The folder that a container sees.
    pub fn data(&self, name: &str) -> PathBuf {
        self.shared.root.join(name).join("_data")
    }

    /// All, by name.
    pub fn list(&self) -> Vec<Arc<Volume>> {
        self.world().volumes.values().cloned().collect()
    }

    /// One, by its full name.
    pub fn get(&self, name: &str) -> Result<Arc<Volume>> {
        self.world().volumes.get(name).cloned().ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    /// Makes a volume, or gives the one that is there with the same driver.
    pub fn create(&self, request: Request) -> Result<Arc<Volume>> {
        let Request { name, driver, labels, options, now } = request;
        let driver = if driver.is_empty() { LOCAL.to_owned() } else { driver };
        if let Some(volume) = self.world().volumes.get(&name) {
            if volume.driver != driver {
                return Err(Error::Conflict(format!("create {name}: conflict: volume name must be unique")));
            }
            return Ok(volume.clone());
        }
        if driver != LOCAL {
            return Err(Error::NoDriver(format!(
                "error looking up volume plugin {driver}: plugin \"{driver}\" not found"
            )));
        }
        check_name(&name)?;
        if let Some(key) = options.iter().flatten().map(|(key, _)| key).next() {
            return Err(Error::Invalid(format!("create {name}: invalid option: {key:?}")));
        }
        let volume = Arc::new(Volume { name: name.clone(), driver, created: now, labels, options });
        let doc = serde_json::to_vec(&*volume).map_err(|e| Error::Corrupt(format!("volume row {name}: {e}")))?;
        let key = name.clone();
        self.shared.db.write(move |tx| tx.put(TABLE, &key, &doc).map_err(Error::from))?;
        let data = self.data(&name);
        fs::create_dir_all(&data).map_err(Error::io("mkdir", &data))?;
        self.world().volumes.insert(name, volume.clone());
        Ok(volume)
    }

    /// Says that `user` (a container) uses the volume.
    pub fn acquire(&self, name: &str, user: &str) {
        self.world().users.entry(name.to_owned()).or_default().insert(user.to_owned());
    }

    /// Says that `user` does not use it any more.
    pub fn release(&self, name: &str, user: &str) {
        let mut world = self.world();
        if let Some(users) = world.users.get_mut(name) {
            users.remove(user);
            if users.is_empty() {
                world.users.remove(name);
            }
        }
    }

    /// Who uses it.
    pub fn users(&self, name: &str) -> Vec<String> {
        self.world().users.get(name).map(|users| users.iter().cloned().collect()).unwrap_or_default()
    }

    /// Removes a volume that nobody uses. With `force` one that does not exist is no error.
    pub fn remove(&self, name: &str, force: bool) -> Result<()> {
        {
            let mut world = self.world();
            if !world.volumes.contains_key(name) {
                return if force { Ok(()) } else { Err(Error::NotFound(name.to_owned())) };
            }
            if let Some(users) = world.users.get(name) {
                let users = users.iter().cloned().collect::<Vec<_>>().join(", ");
                return Err(Error::Conflict(format!("remove {name}: volume is in use - [{users}]")));
            }
            // from here on nobody can acquire it: a container that wants it makes a new one
            world.volumes.remove(name);
        }
        let key = name.to_owned();
        self.shared.db.write(move |tx| tx.delete(TABLE, &key).map(drop).map_err(Error::from))?;
        let folder = self.shared.root.join(name);
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &folder)(e)),
            _ => Ok(()),
        }
    }

    /// Bytes of its files.
    pub fn size(&self, name: &str) -> u64 {
        copy::size(&self.data(name))
    }

    /// Fills an empty volume with what the container's root file system has at `path` (an absolute path, resolved inside
    /// `root` and never outside): contents, owners, modes, times, extended attributes. Does nothing when the volume has files
    /// already, or the path is no folder.
    pub fn copy_up(&self, name: &str, root: BorrowedFd<'_>, path: &Path) -> Result<()> {
        copy::copy_up(root, path, &self.data(name))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // nothing panics while holding it; and the maps would still be whole
        self.shared.world.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`
fn check_name(name: &str) -> Result<()> {
    let bytes = name.as_bytes();
    if bytes.len() == 1 {
        return Err(Error::Invalid(
            "create : volume name is too short, names should be at least two alphanumeric characters"
                .replace(" :", &format!(" {name}:")),
        ));
    }
    let good = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(c))
        && bytes.len() <= 255;
    if good {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
         allowed. If you intended to pass a host directory, use absolute path"
    )))
}

#[cfg(test)]
mod tests;
