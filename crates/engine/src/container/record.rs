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
use wharf_state::{Db, Migrations, Table, Transaction};

use super::snapshot::MountPoint;
use super::state::State;
use crate::{Error, Result};

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
}

/// What happened to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lived {
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) restart_count: u32,
    /// The user stopped or killed it: `unless-stopped` leaves it alone.
    #[serde(default)]
    pub(crate) stopped_by_user: bool,
    /// It is being removed: a daemon that finds this finishes the removal.
    #[serde(default)]
    pub(crate) removing: bool,
    /// With the removal, its anonymous volumes go.
    #[serde(default)]
    pub(crate) removing_volumes: bool,
}

/// Runs `f` in a transaction, off the reactor, and waits for the disk.
pub(crate) async fn commit<T: Send + 'static>(
    db: &Db,
    f: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    db.submit(f, move |result| {
        // nobody waits any more: the effect stays all the same
        let _ = sender.send(result);
    });
    receiver.await.unwrap_or_else(|_| Err(wharf_state::Error::Closed.into()))
}

fn encode<T: Serialize>(what: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(what).map_err(|e| Error::system("encode a row", e))
}

/// Writes both rows.
pub(crate) async fn save(db: &Db, id: &ContainerId, declared: &Declared, lived: &Lived) -> Result<()> {
    let (key, declared, lived) = (id.clone(), encode(declared)?, encode(lived)?);
    commit(db, move |tx| {
        tx.put(CONTAINERS, key.as_str(), &declared)?;
        Ok(tx.put(STATES, key.as_str(), &lived)?)
    })
    .await
}

/// Writes what was lived through.
pub(crate) async fn save_lived(db: &Db, id: &ContainerId, lived: &Lived) -> Result<()> {
    let (key, lived) = (id.clone(), encode(lived)?);
    commit(db, move |tx| Ok(tx.put(STATES, key.as_str(), &lived)?)).await
}

/// Queues what was lived through: it is on the disk before anything that is written after it.
pub(crate) fn queue_lived(db: &Db, id: &ContainerId, lived: &Lived) {
    let key = id.clone();
    let Ok(doc) = encode(lived) else { return };
    let short = id.short().to_owned();
    db.submit(
        move |tx| tx.put(STATES, key.as_str(), &doc),
        move |result: Result<(), wharf_state::Error>| {
            if let Err(error) = result {
                tracing::error!(container = short, %error, "write state");
            }
        },
    );
}

/// Removes both rows.
pub(crate) async fn delete(db: &Db, id: &ContainerId) -> Result<()> {
    let key = id.clone();
    commit(db, move |tx| {
        tx.delete(CONTAINERS, key.as_str())?;
        tx.delete(STATES, key.as_str())?;
        Ok(())
    })
    .await
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
