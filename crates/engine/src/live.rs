//! What can change while the engine runs, as dockerd's reload has it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::runtimes::{DEFAULT_RUNTIME, Runtime};
use crate::{Config, Engine, Inner, Result};

/// The settings that a reload changes, beside those of registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) debug: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) insecure_registries: Vec<String>,
    pub(crate) registry_mirrors: Vec<String>,
    pub(crate) runtimes: BTreeMap<String, Runtime>,
    pub(crate) default_runtime: String,
}

impl Live {
    pub(crate) fn of(config: &Config) -> Live {
        Live {
            debug: config.debug,
            labels: config.labels.clone(),
            insecure_registries: config.insecure_registries.clone(),
            registry_mirrors: config.registry_mirrors.clone(),
            runtimes: config.runtimes.clone(),
            default_runtime: config.default_runtime.clone(),
        }
    }
}

impl Inner {
    /// The settings as they are now.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Engine {
    /// Takes over what can change of a new configuration, tells it as the event `reload`, and gives back what holds now.
    /// Pulls and pushes that have begun go on as they began.
    ///
    /// # Errors
    /// A value of the new configuration is wrong: then nothing changes.
    pub fn reload(&self, config: &Config) -> Result<BTreeMap<String, String>> {
        self.inner.registries.reload(config)?;
        let live = Arc::new(Live::of(config));
        *self.inner.live.write().unwrap_or_else(PoisonError::into_inner) = live.clone();
        // a list of strings always has a JSON form
        let list = |items: &[String]| serde_json::to_string(items).unwrap_or_default();
        let now: BTreeMap<String, String> = [
            ("debug", live.debug.to_string()),
            ("default-runtime", live.default_runtime.clone()),
            ("insecure-registries", list(&live.insecure_registries)),
            ("labels", list(&live.labels)),
            ("max-concurrent-downloads", config.max_concurrent_downloads.to_string()),
            ("max-concurrent-uploads", config.max_concurrent_uploads.to_string()),
            ("max-download-attempts", config.max_download_attempts.to_string()),
            ("registry-mirrors", list(&live.registry_mirrors)),
            ("runtimes", runtimes(&live.runtimes)),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        let mut attributes = now.clone();
        attributes.insert("name".into(), crate::machine::host_name());
        self.inner.bus.publish("daemon", "reload", &self.inner.id, attributes);
        Ok(now)
    }
}

/// `name:path` of all of them, ours first.
fn runtimes(others: &BTreeMap<String, Runtime>) -> String {
    let others = others.iter().map(|(name, runtime)| format!(" {name}:{}", runtime.path.display()));
    std::iter::once(format!("{DEFAULT_RUNTIME}:wharf-oci")).chain(others).collect()
}
