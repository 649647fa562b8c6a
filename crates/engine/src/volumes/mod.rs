//! The facade's volume operations.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wharf_volume::plugin::Shown;

use crate::{Engine, Error, Filters, Inner, Pruned, Result, blocking, fill};

pub use files::VolumeSnapshot;

/// A volume as it is at one moment.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// `local`, or a plugin's name.
    pub driver: String,
    /// `local` or `global`.
    pub scope: &'static str,
    /// Folder on the host.
    pub mountpoint: PathBuf,
    /// When; `None`: its plugin does not tell.
    pub created: Option<Timestamp>,
    /// Labels; `None`: never given.
    pub labels: Option<BTreeMap<String, String>>,
    /// Driver options; `None`: never given.
    pub options: Option<BTreeMap<String, String>>,
    /// What its driver tells: limits, snapshots. Only of one that is inspected.
    pub status: Map<String, Value>,
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

impl CreateVolume {
    /// With a name, if it had none, and the label of such volumes.
    fn named(mut self) -> CreateVolume {
        if self.name.is_empty() {
            let mut bytes = [0; 32];
            fill(&mut bytes);
            self.name = bytes.iter().map(|b| format!("{b:02x}")).collect();
            self.labels.get_or_insert_default().insert(wharf_volume::ANONYMOUS_LABEL.into(), String::new());
        }
        self
    }

    fn request(self) -> wharf_volume::Request {
        let CreateVolume { name, driver, options, labels } = self.named();
        // Docker's client always sends a map
        let options = options.filter(|o| !o.is_empty());
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
        wharf_volume::Request { name, driver, labels, options, now, user: None }
    }
}

impl Inner {
    /// A volume as readers see it. `usage`: count its bytes, too.
    fn volume(&self, volume: &wharf_volume::Volume, usage: bool) -> Volume {
        Volume {
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            scope: "local",
            mountpoint: self.volumes.data(&volume.name),
            created: Timestamp::from_nanosecond(volume.created.into()).ok(),
            labels: volume.labels.clone(),
            options: volume.options.clone(),
            status: Map::new(),
            usage: usage.then(|| (self.volumes.size(&volume.name), self.volumes.user_count(&volume.name))),
        }
    }

    /// The same with what takes a question: to the folder, or to its plugin.
    fn volume_in_full(&self, volume: &wharf_volume::Volume) -> Result<Volume> {
        let mut full = self.volume(volume, false);
        if volume.backing == wharf_volume::Backing::Plugin {
            let driver = self.volumes.plugins().find(&volume.driver)?;
            full.scope = driver.scope();
            let shown = driver.get(&volume.name)?.unwrap_or_default();
            full.mountpoint = shown.mountpoint.into();
            full.status = shown.status;
            return Ok(full);
        }
        if let Some((limit, by)) = volume.backing.limit() {
            full.status.insert("Limit".into(), json!(limit));
            full.status.insert("LimitedBy".into(), json!(by));
        }
        let snapshots = self.volumes.snapshots(&volume.name)?;
        if !snapshots.is_empty() {
            full.status.insert("Snapshots".into(), snapshots.into_iter().map(|s| s.name).collect());
        }
        Ok(full)
    }

    /// The volumes that plugins have, by name, and a sentence about each plugin that does not answer.
    fn volumes_of_plugins(&self) -> (BTreeMap<String, Volume>, Vec<String>) {
        let (drivers, mut warnings) = self.volumes.plugins().all();
        let mut found = BTreeMap::new();
        for driver in drivers {
            match driver.list() {
                Ok(list) => {
                    let all = list
                        .into_iter()
                        .map(|shown| (shown.name.clone(), of_plugin(shown, driver.name(), driver.scope())));
                    found.extend(all);
                }
                Err(error) => warnings.push(error.to_string()),
            }
        }
        (found, warnings)
    }

    fn volume_event(&self, action: &str, name: &str, driver: &str) {
        self.bus.publish("volume", action, name, [("driver".to_owned(), driver.to_owned())].into());
    }
}

/// A volume that only its plugin knows.
fn of_plugin(shown: Shown, driver: &str, scope: &'static str) -> Volume {
    Volume {
        name: shown.name,
        driver: driver.to_owned(),
        scope,
        mountpoint: shown.mountpoint.into(),
        created: shown.created.parse().ok(),
        labels: None,
        options: None,
        status: shown.status,
        usage: None,
    }
}

impl Engine {
    /// Lists volumes by name; warnings beside.
    pub async fn volume_list(&self, filters: Filters) -> Result<(Vec<Volume>, Vec<String>)> {
        filters.only(&["dangling", "driver", "label", "name"])?;
        let dangling = filters.boolean("dangling")?;
        let inner = self.inner.clone();
        blocking(move || {
            let (mut foreign, warnings) = inner.volumes_of_plugins();
            let mut all: Vec<Volume> = Vec::new();
            for volume in inner.volumes.list() {
                let mut one = inner.volume(&volume, false);
                if let Some(shown) = foreign.remove(&volume.name).filter(|shown| shown.driver == volume.driver) {
                    (one.scope, one.mountpoint) = (shown.scope, shown.mountpoint);
                }
                all.push(one);
            }
            all.extend(foreign.into_values());
            let names = filters.patterns("name");
            all.retain(|v| {
                let label = |name: &str| v.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
                names.accept(&v.name)
                    && filters.exact("driver", &v.driver)
                    && filters.labels("label", label)
                    && dangling.is_none_or(|wanted| wanted == (inner.volumes.user_count(&v.name) == 0))
            });
            all.sort_by(|a, b| a.name.cmp(&b.name));
            Ok((all, warnings))
        })
        .await
    }

    /// All with their sizes (`df`).
    pub(crate) async fn volumes_with_usage(&self) -> Result<Vec<Volume>> {
        let inner = self.inner.clone();
        blocking(move || Ok(inner.volumes.list().iter().map(|v| inner.volume(v, true)).collect())).await
    }

    /// Everything about one.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || match inner.volumes.get(&name) {
            Ok(volume) => inner.volume_in_full(&volume),
            // a plugin may have one that we have not made
            Err(error) => inner.volumes_of_plugins().0.remove(&name).ok_or(error.into()),
        })
        .await
    }

    /// Makes one; an existing one of the same driver is given back.
    pub async fn volume_create(&self, request: CreateVolume) -> Result<Volume> {
        let inner = self.inner.clone();
        let request = request.request();
        blocking(move || {
            let (volume, new) = inner.volumes.create(request)?;
            if new {
                inner.volume_event("create", &volume.name, &volume.driver);
            }
            inner.volume_in_full(&volume)
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

    /// Removes all anonymous ones (with `all=true` all) that nobody uses. As with Docker, plugins' volumes and those with
    /// driver options stay: what is in them is not in the volume alone.
    pub async fn volume_prune(&self, filters: Filters) -> Result<Pruned> {
        filters.only(&["all", "label", "label!"])?;
        let all = filters.boolean("all")? == Some(true);
        let inner = self.inner.clone();
        blocking(move || {
            let mut pruned = Pruned::default();
            for volume in inner.volumes.list() {
                let label = |name: &str| volume.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
                let wanted = (all || volume.is_anonymous())
                    && volume.driver == wharf_volume::LOCAL
                    && volume.options.as_ref().is_none_or(BTreeMap::is_empty)
                    && inner.volumes.user_count(&volume.name) == 0
                    && filters.labels("label", label)
                    && (filters.get("label!").is_empty() || !filters.labels("label!", label));
                if !wanted {
                    continue;
                }
                let size = u64::try_from(inner.volumes.size(&volume.name)).unwrap_or(0);
                match inner.volumes.remove(&volume.name, false) {
                    Ok(()) => {
                        pruned.space += size;
                        inner.volume_event("destroy", &volume.name, &volume.driver);
                        pruned.deleted.push(volume.name.clone());
                    }
                    // somebody has just taken it into use, or removed it
                    Err(wharf_volume::Error::Conflict(_) | wharf_volume::Error::NotFound(_)) => {}
                    Err(error) => return Err(Error::from(error)),
                }
            }
            Ok(pruned)
        })
        .await
    }

    /// Names of the volume drivers that there are.
    pub fn volume_drivers(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = [wharf_volume::LOCAL.to_owned()].into();
        names.extend(self.inner.volumes.plugins().names());
        names.into_iter().collect()
    }
}
