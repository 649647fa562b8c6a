//! Where the layers here have been seen as blobs: what a push need not send, and where it can be mounted from.

use serde::{Deserialize, Serialize};
use wharf_spec::digest::Digest;
use wharf_spec::id::DiffId;
use wharf_spec::reference::Reference;
use wharf_state::{Db, Migrations, Table};

use crate::Result;

/// Our table.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    owner: "registries",
    steps: &["CREATE TABLE layer_origins (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;"],
};
/// By diff identifier: a list, the newest last.
const ORIGINS: Table = Table("layer_origins");
/// As many as Docker remembers of one layer.
const MOST: usize = 50;

/// A blob that holds a layer, and a repository that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) domain: String,
    pub(crate) path: String,
}

impl Origin {
    pub(crate) fn is_in(&self, name: &Reference) -> bool {
        self.domain == name.domain() && self.path == name.path()
    }
}

/// Where a layer has been seen, the newest first.
pub(crate) fn of(db: &Db, diff: &DiffId) -> Result<Vec<Origin>> {
    let key = diff.to_string();
    let doc = db.read(|tx| tx.get(ORIGINS, &key))?;
    // what cannot be read is a hint less
    let mut list: Vec<Origin> = doc.and_then(|doc| serde_json::from_slice(&doc).ok()).unwrap_or_default();
    list.reverse();
    Ok(list)
}

/// Notes where layers have been seen. Blocks until it is on the disk.
pub(crate) fn note(db: &Db, seen: Vec<(DiffId, Origin)>) -> Result<()> {
    db.write(move |tx| -> Result<()> {
        for (diff, origin) in seen {
            let key = diff.to_string();
            let old = tx.get(ORIGINS, &key)?;
            let mut list: Vec<Origin> = old.and_then(|doc| serde_json::from_slice(&doc).ok()).unwrap_or_default();
            if list.last() == Some(&origin) {
                continue;
            }
            list.retain(|one| *one != origin);
            list.push(origin);
            let surplus = list.len().saturating_sub(MOST);
            list.drain(..surplus);
            tx.put(ORIGINS, &key, &serde_json::to_vec(&list).unwrap_or_default())?;
        }
        Ok(())
    })
}

/// Forgets layers that are gone.
pub(crate) fn sweep(db: &Db, is_here: impl Fn(&DiffId) -> bool) -> Result<()> {
    let mut gone = Vec::new();
    db.read(|tx| {
        tx.scan(ORIGINS, |key, _| -> Result<()> {
            if !key.parse::<DiffId>().is_ok_and(|diff| is_here(&diff)) {
                gone.push(key.to_owned());
            }
            Ok(())
        })
    })?;
    if gone.is_empty() {
        return Ok(());
    }
    db.write(move |tx| -> Result<()> {
        for key in gone {
            tx.delete(ORIGINS, &key)?;
        }
        Ok(())
    })
}
