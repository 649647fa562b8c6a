//! The rows of this crate, as JSON documents.
//!
//! ```text
//!   networks      key = network ID              doc = Network
//!   sandboxes     key = container ID            doc = Sandbox (of a container that runs)
//!   reservations  key = container ID/address    doc = {network, address}
//!   graves        key = name of a link         doc = empty (its network is gone, the link perhaps not yet)
//!   settings      key = "unique_local"          doc = the prefix of our IPv6 networks
//! ```

use std::net::{IpAddr, Ipv6Addr};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wharf_state::{Db, Migrations, Table, Transaction};

use crate::{ContainerId, Error, Network, NetworkId, Result, Sandbox};

const NETWORKS: Table = Table("net_networks");
const SANDBOXES: Table = Table("net_sandboxes");
const RESERVATIONS: Table = Table("net_reservations");
const GRAVES: Table = Table("net_graves");
const SETTINGS: Table = Table("net_settings");

const MIGRATIONS: Migrations = Migrations {
    owner: "net",
    steps: &["CREATE TABLE net_networks (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE net_sandboxes (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE net_reservations (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE net_graves (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE net_settings (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;"],
};

/// A static address kept for a container that may not be running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) container: ContainerId,
    pub(crate) network: NetworkId,
    pub(crate) address: IpAddr,
}

/// Everything that was kept.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) networks: Vec<Network>,
    pub(crate) sandboxes: Vec<(ContainerId, Sandbox)>,
    pub(crate) reservations: Vec<Reservation>,
    pub(crate) unique_local: Option<Ipv6Addr>,
    pub(crate) graves: Vec<String>,
}

/// Reads everything.
pub(crate) fn load(db: &Db) -> Result<Rows> {
    db.migrate(MIGRATIONS)?;
    db.read(|tx| {
        let mut rows = Rows::default();
        scan(tx, NETWORKS, |_, network| rows.networks.push(network))?;
        scan(tx, SANDBOXES, |key, sandbox| {
            rows.sandboxes.extend(key.parse().ok().map(|id: ContainerId| (id, sandbox)));
        })?;
        scan(tx, RESERVATIONS, |_, reservation| rows.reservations.push(reservation))?;
        scan(tx, SETTINGS, |_, address| rows.unique_local = Some(address))?;
        tx.scan(GRAVES, |name, _| {
            rows.graves.push(name.to_owned());
            Ok::<_, Error>(())
        })?;
        Ok(rows)
    })
}

fn scan<T: DeserializeOwned>(tx: &Transaction<'_>, table: Table, mut each: impl FnMut(&str, T)) -> Result<()> {
    tx.scan(table, |key, doc| {
        let row = serde_json::from_slice(doc).map_err(|source| Error::Corrupt { key: key.to_owned(), source })?;
        each(key, row);
        Ok(())
    })
}

/// Writes a network and waits until it is on the disk.
pub(crate) fn put_network(db: &Db, network: &Network) -> Result<()> {
    let (key, doc) = (network.id.to_string(), document(network));
    db.write(move |tx| Ok(tx.put(NETWORKS, &key, &doc)?))
}

/// Removes a network.
pub(crate) fn delete_network(db: &Db, id: &NetworkId) -> Result<()> {
    let key = id.to_string();
    db.write(move |tx| Ok(tx.delete(NETWORKS, &key).map(drop)?))
}

/// Removes a network; its link is to follow.
pub(crate) fn bury_network(db: &Db, id: &NetworkId, link: Option<&str>) -> Result<()> {
    let (key, link) = (id.to_string(), link.map(str::to_owned));
    db.write(move |tx| {
        tx.delete(NETWORKS, &key)?;
        if let Some(link) = &link {
            tx.put(GRAVES, link, &[])?;
        }
        Ok(())
    })
}

/// A link is gone.
pub(crate) fn delete_grave(db: &Db, link: &str) {
    let key = link.to_owned();
    submit(db, move |tx| tx.delete(GRAVES, &key).map(drop));
}

/// Queues a sandbox: it is on the disk before anything that is written after it, and outlives our processes at once.
pub(crate) fn put_sandbox(db: &Db, container: &ContainerId, sandbox: &Sandbox) {
    let (key, doc) = (container.to_string(), document(sandbox));
    submit(db, move |tx| tx.put(SANDBOXES, &key, &doc));
}

/// Queues the removal of a sandbox.
pub(crate) fn delete_sandbox(db: &Db, container: &ContainerId) {
    let key = container.to_string();
    submit(db, move |tx| tx.delete(SANDBOXES, &key).map(drop));
}

/// Writes a reservation.
pub(crate) fn put_reservation(db: &Db, reservation: &Reservation) -> Result<()> {
    let (key, doc) = (reservation_key(reservation), document(reservation));
    db.write(move |tx| Ok(tx.put(RESERVATIONS, &key, &doc)?))
}

/// Removes reservations.
pub(crate) fn delete_reservations(db: &Db, reservations: &[Reservation]) -> Result<()> {
    if reservations.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = reservations.iter().map(reservation_key).collect();
    db.write(move |tx| {
        for key in &keys {
            tx.delete(RESERVATIONS, key)?;
        }
        Ok(())
    })
}

/// Writes the prefix of our IPv6 networks.
pub(crate) fn put_unique_local(db: &Db, prefix: Ipv6Addr) -> Result<()> {
    let doc = document(&prefix);
    db.write(move |tx| Ok(tx.put(SETTINGS, "unique_local", &doc)?))
}

fn reservation_key(reservation: &Reservation) -> String {
    format!("{}/{}", reservation.container, reservation.address)
}

fn document(row: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(row).expect("our rows have text keys and no failing serializer")
}

fn submit(db: &Db, f: impl FnOnce(&Transaction<'_>) -> Result<(), wharf_state::Error> + Send + 'static) {
    db.submit(wharf_state::Reach::Processes, f, |result: Result<(), wharf_state::Error>| {
        if let Err(error) = result {
            tracing::error!(%error, "a row was not written");
        }
    });
}
