//! The facade's volume operations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::{Engine, Error, Filters, Inner, Pruned, Result, blocking, fill};

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

impl Inner {
    /// A volume as readers see it. `usage`: count its bytes, too.
    fn volume(&self, volume: &wharf_volume::Volume, usage: bool) -> Volume {
        let count = || {
            let bytes = i64::try_from(self.volumes.size(&volume.name)).unwrap_or(i64::MAX);
            (bytes, self.volumes.users(&volume.name).len())
        };
        Volume {
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            mountpoint: self.volumes.data(&volume.name),
            created: Timestamp::from_nanosecond(volume.created.into()).unwrap_or_default(),
            labels: volume.labels.clone(),
            options: volume.options.clone(),
            usage: usage.then(count),
        }
    }

    fn volume_event(&self, action: &str, name: &str, driver: &str) {
        self.bus.publish("volume", action, name, [("driver".to_owned(), driver.to_owned())].into());
    }
}

impl Engine {
    /// Lists volumes by name; warnings beside.
    pub async fn volume_list(&self, filters: Filters) -> Result<(Vec<Volume>, Vec<String>)> {
        filters.only(&["dangling", "driver", "label", "name"])?;
        let inner = &self.inner;
        let dangling = filters.boolean("dangling")?;
        let keep = |v: &wharf_volume::Volume| {
            let label = |name: &str| v.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
            filters.matches("name", &v.name)
                && filters.exact("driver", &v.driver)
                && filters.labels("label", label)
                && dangling.is_none_or(|wanted| wanted == inner.volumes.users(&v.name).is_empty())
        };
        Ok((inner.volumes.list().iter().filter(|v| keep(v)).map(|v| inner.volume(v, false)).collect(), Vec::new()))
    }

    /// All with their sizes (`df`).
    pub(crate) async fn volumes_with_usage(&self) -> Result<Vec<Volume>> {
        let inner = self.inner.clone();
        blocking(move || Ok(inner.volumes.list().iter().map(|v| inner.volume(v, true)).collect())).await
    }

    /// Everything about one.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        Ok(self.inner.volume(&*self.inner.volumes.get(name)?, false))
    }

    /// Makes one; an existing one of the same driver is given back.
    pub async fn volume_create(&self, request: CreateVolume) -> Result<Volume> {
        let CreateVolume { mut name, driver, options, mut labels } = request;
        if name.is_empty() {
            let mut bytes = [0; 32];
            fill(&mut bytes);
            name = bytes.iter().map(|b| format!("{b:02x}")).collect();
            labels.get_or_insert_default().insert(wharf_volume::ANONYMOUS_LABEL.into(), String::new());
        }
        let inner = self.inner.clone();
        blocking(move || {
            let exists = inner.volumes.get(&name).is_ok();
            let options = options.filter(|o| !o.is_empty());
            let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
            let volume = inner.volumes.create(wharf_volume::Request { name, driver, labels, options, now })?;
            if !exists {
                inner.volume_event("create", &volume.name, &volume.driver);
            }
            Ok(inner.volume(&volume, false))
        })
        .await
    }

    /// Removes one that nobody uses.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || {
            let driver = inner.volumes.get(&name).map_or(String::new(), |v| v.driver.clone());
            inner.volumes.remove(&name, force)?;
            if !driver.is_empty() {
                inner.volume_event("destroy", &name, &driver);
            }
            Ok(())
        })
        .await
    }

    /// Removes all anonymous ones (with `all=true` all) that nobody uses.
    pub async fn volume_prune(&self, filters: Filters) -> Result<Pruned> {
        filters.only(&["all", "label", "label!"])?;
        let all = filters.boolean("all")? == Some(true);
        let inner = self.inner.clone();
        blocking(move || {
            let mut pruned = Pruned::default();
            for volume in inner.volumes.list() {
                let label = |name: &str| volume.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
                let wanted = (all || volume.is_anonymous())
                    && inner.volumes.users(&volume.name).is_empty()
                    && filters.labels("label", label)
                    && (filters.get("label!").is_empty() || !filters.labels("label!", label));
                if !wanted {
                    continue;
                }
                let size = inner.volumes.size(&volume.name);
                match inner.volumes.remove(&volume.name, false) {
                    Ok(()) => {
                        pruned.space += size;
                        inner.volume_event("destroy", &volume.name, &volume.driver);
                        pruned.deleted.push(volume.name.clone());
                    }
                    // somebody has just taken it into use
                    Err(wharf_volume::Error::Conflict(_)) => {}
                    Err(error) => return Err(Error::from(error)),
                }
            }
            Ok(pruned)
        })
        .await
    }
}
