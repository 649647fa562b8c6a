//! Opening the data root: finishes what a crash has interrupted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex};
use std::time::UNIX_EPOCH;

use wharf_archive::Sizes;
use wharf_state::Db;

use crate::row::{Backing, Volume};
use crate::{Error, LOCAL, Result, Shared, TABLE, Volumes, World, fill, mount, options, plugin, size};

impl Volumes {
    /// Reads the rows and brings folders and rows together. `plugins`: where to look for volume plugins.
    pub fn open(root: &Path, db: Db, plugins: plugin::Plugins) -> Result<Volumes> {
        fs::create_dir_all(root).map_err(Error::io("mkdir", root))?;
        let mut rows = BTreeMap::new();
        db.read(|tx| {
            tx.scan(TABLE, |key, doc| {
                let volume: Volume =
                    serde_json::from_slice(doc).map_err(|e| Error::Corrupt(format!("volume row {key}: {e}")))?;
                rows.insert(key.to_owned(), Arc::new(volume));
                Ok::<_, Error>(())
            })
        })?;
        let world = Mutex::new(World { volumes: rows, ..World::default() });
        let number = AtomicU64::new(0);
        let root = root.canonicalize().map_err(Error::io("resolve", root))?;
        let shared = Arc::new(Shared {
            root,
            db,
            world,
            freed: Condvar::new(),
            sizes: Sizes::default(),
            renewing: AtomicBool::new(false),
            plugins,
            number,
        });
        recover(&shared)?;
        Ok(Volumes { shared })
    }
}

fn recover(shared: &Arc<Shared>) -> Result<()> {
    let entries = fs::read_dir(&shared.root).map_err(Error::io("read", &shared.root))?;
    let mut names: Vec<String> = Vec::new();
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        names.extend(entry.file_name().into_string());
    }
    let is_there = |name: &str| shared.folder(name).is_dir();
    // what had lost its name was to be removed, and its row with it
    for gone in names.iter().filter_map(|name| staged(name, "gone")) {
        if shared.world().volumes.contains_key(gone) && !is_there(gone) {
            shared.delete(gone)?;
            shared.world().volumes.remove(gone);
        }
    }
    let rows: Vec<Arc<Volume>> = shared.world().volumes.values().cloned().collect();
    for volume in &rows {
        if let Some(from) = &volume.comes_from {
            if !is_there(&volume.name) && is_there(from) {
                let (from, to) = (shared.folder(from), shared.folder(&volume.name));
                fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
            }
            let settled = Volume { comes_from: None, ..(**volume).clone() };
            shared.put(&settled, None)?;
            shared.world().volumes.insert(volume.name.clone(), Arc::new(settled));
        }
        if volume.backing != Backing::Plugin {
            let data = shared.data(&volume.name);
            fs::create_dir_all(&data).map_err(Error::io("mkdir", &data))?;
        }
        if volume.backing.is_folder() {
            let folder = shared.folder(&volume.name);
            fill::Place::open(&shared.data(&volume.name), Some(&folder))?.recover()?;
        }
    }
    let rubbish = names.iter().filter(|name| staged(name, "new").is_some() || staged(name, "gone").is_some());
    let rubbish: Vec<PathBuf> = rubbish.map(|name| shared.root.join(name)).filter(|path| path.is_dir()).collect();
    for name in &names {
        if !shared.world().volumes.contains_key(name) && options::is_name(name) && shared.data(name).is_dir() {
            adopt(shared, name)?;
        }
        discard_unfinished_snapshots(&shared.folder(name));
    }
    if !rubbish.is_empty() {
        // nobody waits for it
        let shared = shared.clone();
        std::thread::spawn(move || {
            for folder in rubbish {
                tracing::info!(folder = %folder.display(), "removing what is left of a volume");
                let gone = mount::release(&folder.join("_data")).and_then(|()| shared.remove_folder(&folder));
                if let Err(error) = gone {
                    tracing::error!(folder = %folder.display(), %error, "remove");
                }
            }
        });
    }
    Ok(())
}

/// The volume's name in `.<what>-<number>-<name>`.
fn staged<'a>(name: &'a str, what: &str) -> Option<&'a str> {
    let rest = name.strip_prefix('.')?.strip_prefix(what)?.strip_prefix('-')?;
    rest.split_once('-').map(|(_, name)| name)
}

/// A folder that no row knows: somebody's data.
fn adopt(shared: &Shared, name: &str) -> Result<()> {
    tracing::warn!(volume = name, "a volume's folder without a row: taken as a volume");
    let modified = fs::metadata(shared.data(name)).and_then(|meta| meta.modified()).ok();
    let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let backing = size::found(&shared.folder(name));
    let volume = Volume {
        name: name.to_owned(),
        driver: LOCAL.into(),
        created: i64::try_from(age.as_nanos()).unwrap_or(0),
        labels: None,
        options: None,
        backing,
        comes_from: None,
    };
    shared.put(&volume, None)?;
    shared.world().volumes.insert(name.to_owned(), Arc::new(volume));
    Ok(())
}

fn discard_unfinished_snapshots(folder: &Path) {
    let entries = fs::read_dir(folder.join(crate::snapshot::FOLDER)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".")) {
        if let Err(error) = remove_tree(&entry.path()) {
            tracing::error!(folder = %entry.path().display(), %error, "remove");
        }
    }
}

/// Removes a folder and everything in it; what is not there is no error.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    use std::os::fd::AsFd;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    match fs::File::open(parent) {
        Ok(parent) => Ok(wharf_archive::remove(parent.as_fd(), name)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("open", parent)(e)),
    }
}
