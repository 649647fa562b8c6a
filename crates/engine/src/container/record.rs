//! Rows of containers: what was declared (changes rarely) and what was lived through (changes at every start and end).
//!
//! ```text
//!   containers        <id> → Declared (JSON)
//!   container_states  <id> → Lived (JSON)
//!   engine            key  → text (the engine's own identity …)
//! ```
//!
//! Both rows are written and removed in one transaction. Fields may be added (with `default`), never renamed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wharf_api::container::{Config, HostConfig, NetworkingConfig};
use wharf_spec::id::{ContainerId, ImageId};
use wharf_state::{Db, Migrations, Reach, Table, Transaction};

use super::snapshot::{Health, LinkTo, MountPoint};
use super::state::State;
use crate::{Error, Result, blocking};

pub(crate) const CONTAINERS: Table = Table("containers");
pub(crate) const STATES: Table = Table("container_states");
pub(crate) const ENGINE: Table = Table("engine");

/// The engine's tables.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    owner: "engine",
    steps: &["CREATE TABLE containers (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
              CREATE TABLE container_states (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
              CREATE TABLE engine (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID"],
};

/// What the user declared, with what the engine and the image added at create.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    pub(crate) config: Arc<Config>,
    pub(crate) host_config: Arc<HostConfig>,
    pub(crate) networking: Arc<NetworkingConfig>,
    pub(crate) image: ImageId,
    pub(crate) image_name: String,
    pub(crate) platform: String,
    pub(crate) driver: String,
    pub(crate) graph: BTreeMap<String, String>,
    pub(crate) mounts: Arc<Vec<MountPoint>>,
    /// Legacy links.
    #[serde(default)]
    pub(crate) links: Vec<LinkTo>,
}

/// What happened to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lived {
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) restart_count: u32,
    /// What its health check found; `None` without one, or before the first start.
    #[serde(default)]
    pub(crate) health: Option<Arc<Health>>,
    /// The user stopped or killed it: `unless-stopped` leaves it alone.
    #[serde(default)]
    pub(crate) stopped_by_user: bool,
    /// It is being removed: a daemon that finds this finishes the removal.
    #[serde(default)]
    pub(crate) removing: bool,
    /// With the removal, its anonymous volumes go.
    #[serde(default)]
    pub(crate) removing_volumes: bool,
    /// The engine itself has paused it, or is about to, to read its files: a daemon that finds this lets it go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stands_still: bool,
}

/// What a row has to outlive before somebody is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlives {
    /// `kill -9` of every process, at any moment. It reaches the disk a moment later.
    Processes,
    /// A failure of the machine.
    Machine,
}

impl Outlives {
    /// A container that goes at its end does not outlive the machine: what its rows say is nobody's business after that.
    pub(crate) fn of(declared: &Declared) -> Outlives {
        if declared.host_config.auto_remove { Outlives::Processes } else { Outlives::Machine }
    }
}

/// Runs `f` in a transaction, off the reactor, and waits until its effects are safe.
pub(crate) async fn commit<T: Send + 'static>(
    db: &Db,
    outlives: Outlives,
    f: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    if outlives == Outlives::Machine {
        // one thread for the commit and for the disk: handing it on would cost as much as the commit
        let db = db.clone();
        return blocking(move || db.write_until(Reach::Disk, f)).await;
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let done = move |result| {
        // nobody waits any more: the effect stays all the same
        let _ = sender.send(result);
    };
    db.submit(Reach::Processes, f, done);
    receiver.await.unwrap_or_else(|_| Err(wharf_state::Error::Closed.into()))
}

fn encode<T: Serialize>(what: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(what).map_err(|e| Error::system("encode a row", e))
}

/// Writes both rows.
pub(crate) async fn save(db: &Db, id: &ContainerId, declared: &Declared, lived: &Lived) -> Result<()> {
    let f = both(id, declared, lived)?;
    commit(db, Outlives::of(declared), f).await
}

/// Writes both rows of something that is about to be done: on the disk before anything that is written after it.
pub(crate) async fn save_intent(db: &Db, id: &ContainerId, declared: &Declared, lived: &Lived) -> Result<()> {
    let f = both(id, declared, lived)?;
    commit(db, Outlives::Processes, f).await
}

/// Writes both rows of a new container on the calling thread: on the disk with the folders that were made for it.
pub(crate) fn save_new(db: &Db, id: &ContainerId, declared: &Declared, lived: &Lived) -> Result<()> {
    let reach = match Outlives::of(declared) {
        Outlives::Processes => Reach::Processes,
        Outlives::Machine => Reach::DiskWithFolders,
    };
    db.write_until(reach, both(id, declared, lived)?)
}

/// [`save_intent`] on the calling thread.
pub(crate) fn save_intent_here(db: &Db, id: &ContainerId, declared: &Declared, lived: &Lived) -> Result<()> {
    db.write_until(Reach::Processes, both(id, declared, lived)?)
}

/// Waits until everything that was written so far is safe.
pub(crate) async fn safe(db: &Db, outlives: Outlives) -> Result<()> {
    commit(db, outlives, |_| Ok(())).await
}

fn both(
    id: &ContainerId,
    declared: &Declared,
    lived: &Lived,
) -> Result<impl FnOnce(&Transaction<'_>) -> Result<()> + Send + 'static> {
    let (key, declared, lived) = (id.clone(), encode(declared)?, encode(lived)?);
    Ok(move |tx: &Transaction<'_>| {
        tx.put(CONTAINERS, key.as_str(), &declared)?;
        Ok(tx.put(STATES, key.as_str(), &lived)?)
    })
}

/// Writes what was lived through.
pub(crate) async fn save_lived(db: &Db, id: &ContainerId, lived: &Lived, outlives: Outlives) -> Result<()> {
    let (key, lived) = (id.clone(), encode(lived)?);
    commit(db, outlives, move |tx| Ok(tx.put(STATES, key.as_str(), &lived)?)).await
}

/// Queues what was lived through: it is on the disk before anything that is written after it.
pub(crate) fn queue_lived(db: &Db, id: &ContainerId, lived: &Lived) {
    let key = id.clone();
    let Ok(doc) = encode(lived) else { return };
    let short = id.short().to_owned();
    db.submit(
        Reach::Processes,
        move |tx| tx.put(STATES, key.as_str(), &doc),
        move |result: Result<(), wharf_state::Error>| {
            if let Err(error) = result {
                tracing::error!(container = short, %error, "write state");
            }
        },
    );
}

/// Removes both rows. A failure of the machine may bring them back, so what they speak of must not go before they are gone
/// from the disk, too.
pub(crate) async fn delete(db: &Db, id: &ContainerId) -> Result<()> {
    commit(db, Outlives::Processes, neither(id)).await
}

/// [`delete`] on the calling thread.
pub(crate) fn delete_here(db: &Db, id: &ContainerId) -> Result<()> {
    db.write_until(Reach::Processes, neither(id))
}

fn neither(id: &ContainerId) -> impl FnOnce(&Transaction<'_>) -> Result<()> + Send + 'static {
    let key = id.clone();
    move |tx: &Transaction<'_>| {
        tx.delete(CONTAINERS, key.as_str())?;
        tx.delete(STATES, key.as_str())?;
        Ok(())
    }
}

/// All containers.
pub(crate) fn load(db: &Db) -> Result<Vec<(ContainerId, Declared, Lived)>> {
    let mut all = Vec::new();
    db.read(|tx| {
        tx.scan(CONTAINERS, |key, doc| {
            let corrupt = |e: &dyn std::fmt::Display| Error::System(format!("row of container {key}: {e}"));
            let id: ContainerId = key.parse().map_err(|e| corrupt(&e))?;
            let declared: Declared = serde_json::from_slice(doc).map_err(|e| corrupt(&e))?;
            let lived = match tx.get(STATES, key)? {
                Some(doc) => serde_json::from_slice(&doc).map_err(|e| corrupt(&e))?,
                None => Lived::default(),
            };
            all.push((id, declared, lived));
            Ok::<_, Error>(())
        })
    })?;
    Ok(all)
}
