//! The facade's volume operations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::{Engine, Filters, Pruned, Result, pending};

/// A volume as it is at one moment.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// `local`.
    pub driver: String,
    /// Folder on the host.
    pub mountpoint: PathBuf,
    /// When.
    pub created: Timestamp,
    /// Labels; `None`: never given.
    pub labels: Option<BTreeMap<String, String>>,
    /// Driver options; `None`: never given.
    pub options: Option<BTreeMap<String, String>>,
    /// Bytes and how many containers use it; only in `df`.
    pub usage: Option<(i64, usize)>,
}

/// `POST /volumes/create`.
#[derive(Debug, Clone, Default)]
pub struct CreateVolume {
    /// Name; a random one when empty.
    pub name: String,
    /// Driver; `local` when empty.
    pub driver: String,
    /// Driver options.
    pub options: Option<BTreeMap<String, String>>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
}

impl Engine {
    /// Lists volumes by name; warnings beside.
    pub async fn volume_list(&self, filters: Filters) -> Result<(Vec<Volume>, Vec<String>)> {
        drop(filters);
        pending("volumes")
    }

    /// Everything about one.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        pending(name)
    }

    /// Makes one; an existing one of the same driver is given back.
    pub async fn volume_create(&self, request: CreateVolume) -> Result<Volume> {
        drop(request);
        pending("volume create")
    }

    /// Removes one that nobody uses.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let _ = force;
        pending(name)
    }

    /// Removes all anonymous ones (with `all=true` all) that nobody uses.
    pub async fn volume_prune(&self, filters: Filters) -> Result<Pruned> {
        drop(filters);
        pending("prune")
    }
}
