//! Volume plugins: programs that speak Docker's plugin protocol v1 over a socket.
//!
//! ```text
//!   <sockets>/<name>.sock, <sockets>/<name>/<name>.sock           where it listens
//!   <specs>/<name>.spec        unix:///path, tcp://host:port or https://host:port     or says so
//!   <specs>/<name>.json        {"Name": …, "Addr": …, "TLSConfig": {InsecureSkipVerify, CAFile, CertFile, KeyFile}}
//!
//!   POST /Plugin.Activate                  → {"Implements": ["VolumeDriver"]}
//!   POST /VolumeDriver.Create   {Name, Opts}
//!   POST /VolumeDriver.Remove   {Name}
//!   POST /VolumeDriver.Mount    {Name, ID} → {"Mountpoint": …}
//!   POST /VolumeDriver.Unmount  {Name, ID}
//!   POST /VolumeDriver.Path     {Name}     → {"Mountpoint": …}
//!   POST /VolumeDriver.Get      {Name}     → {"Volume": {Name, Mountpoint, CreatedAt, Status}}
//!   POST /VolumeDriver.List     {}         → {"Volumes": [{Name, Mountpoint}]}
//!   POST /VolumeDriver.Capabilities {}     → {"Capabilities": {"Scope": "local" | "global"}}
//! ```
//!
//! Every answer may have `Err`. Nothing is kept but what a plugin said when it was activated: it may be replaced at any time.

mod call;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{Error, Result};
use call::{Endpoint, Patience};
use wharf_tls::{Client, Trust};

/// What Docker gives a plugin for quick questions.
const SHORT: Duration = Duration::from_secs(60);
/// What Docker gives it to mount or make something.
const LONG: Duration = Duration::from_secs(120);
/// How long a plugin that is just being started is waited for.
const RETRY: Duration = Duration::from_secs(10);
/// Lists are asked of everybody, and one that hangs must not hold up the others for long.
const LISTING: Duration = Duration::from_secs(5);

/// Where plugins are looked for, and what those said that were activated.
#[derive(Debug, Clone)]
pub struct Plugins {
    sockets: PathBuf,
    specs: Vec<PathBuf>,
    active: Arc<Mutex<BTreeMap<String, Arc<Driver>>>>,
}

impl Default for Plugins {
    fn default() -> Self {
        Plugins::new("/run/docker/plugins".into(), vec!["/etc/docker/plugins".into(), "/usr/lib/docker/plugins".into()])
    }
}

/// An activated volume driver.
#[derive(Debug)]
pub struct Driver {
    name: String,
    endpoint: Endpoint,
    global: bool,
}

/// A volume as its plugin shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Where it is mounted; empty when it is not.
    pub mountpoint: String,
    /// RFC 3339, or empty.
    pub created: String,
    /// Whatever the plugin wants to tell.
    pub status: Map<String, Value>,
}

impl Plugins {
    /// Looks for sockets in one folder and for descriptions in others.
    pub fn new(sockets: PathBuf, specs: Vec<PathBuf>) -> Plugins {
        Plugins { sockets, specs, active: Arc::default() }
    }

    /// The volume driver `name`, activated.
    pub fn find(&self, name: &str) -> Result<Arc<Driver>> {
        self.find_patiently(name, Patience { answer: SHORT, connect: RETRY })
    }

    fn find_patiently(&self, name: &str, patience: Patience) -> Result<Arc<Driver>> {
        let lookup = |why: String| Error::NoDriver(format!("error looking up volume plugin {name}: {why}"));
        let endpoint = self.locate(name).ok_or_else(|| lookup(format!("plugin {name:?} not found")))?;
        let endpoint = endpoint.map_err(lookup)?;
        if let Some(driver) = self.active().get(name).filter(|driver| driver.endpoint == endpoint) {
            return Ok(driver.clone());
        }
        let answer = endpoint.call("/Plugin.Activate", &Value::Null, patience).map_err(|e| lookup(e.to_string()))?;
        let implements = answer["Implements"].as_array().is_some_and(|all| all.iter().any(|one| one == "VolumeDriver"));
        if !implements {
            return Err(lookup(format!("plugin {name:?} does not implement VolumeDriver")));
        }
        // older plugins do not know the question
        let capabilities = endpoint.call("/VolumeDriver.Capabilities", &json!({}), patience).unwrap_or_default();
        let global = capabilities["Capabilities"]["Scope"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("global"));
        let driver = Arc::new(Driver { name: name.to_owned(), endpoint, global });
        self.active().insert(name.to_owned(), driver.clone());
        Ok(driver)
    }

    /// All volume drivers that can be found, and a sentence about each that does not answer.
    pub fn all(&self) -> (Vec<Arc<Driver>>, Vec<String>) {
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        for name in self.names() {
            match self.find_patiently(&name, Patience { answer: LISTING, connect: Duration::ZERO }) {
                Ok(driver) => found.push(driver),
                // a plugin of another kind
                Err(Error::NoDriver(text)) if text.ends_with("does not implement VolumeDriver") => {}
                Err(error) => warnings.push(error.to_string()),
            }
        }
        (found, warnings)
    }

    /// Names of everything that looks like a plugin.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for folder in std::iter::once(&self.sockets).chain(&self.specs) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
                let Some(name) = name.and_then(|name| name.to_str()) else { continue };
                if self.locate(name).is_some() {
                    names.insert(name.to_owned());
                }
            }
        }
        names
    }

    /// Where the plugin is, or why its description is no use.
    fn locate(&self, name: &str) -> Option<Result<Endpoint, String>> {
        // a name is a file's name, nothing else
        let plain = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            && !name.starts_with('.');
        if !plain {
            return None;
        }
        let places = |folder: &Path, end: &str| {
            [folder.join(format!("{name}.{end}")), folder.join(name).join(format!("{name}.{end}"))]
        };
        let is_socket = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        if let Some(path) = places(&self.sockets, "sock").into_iter().find(is_socket) {
            return Some(Ok(Endpoint::Unix(path)));
        }
        for folder in &self.specs {
            for path in places(folder, "spec") {
                if let Ok(text) = fs::read_to_string(&path) {
                    return Some(from_spec(&text));
                }
            }
            for path in places(folder, "json") {
                if let Ok(text) = fs::read_to_string(&path) {
                    return Some(from_json(&path, &text));
                }
            }
        }
        None
    }

    fn active(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Driver>>> {
        // nothing panics while holding it
        self.active.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// `TLSConfig` of a description.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tls {
    insecure_skip_verify: bool,
    #[serde(rename = "CAFile")]
    ca: PathBuf,
    #[serde(rename = "CertFile")]
    certificate: PathBuf,
    #[serde(rename = "KeyFile")]
    key: PathBuf,
}

/// A description in a word: nobody said whom to trust, and Docker trusts anybody then.
fn from_spec(text: &str) -> Result<Endpoint, String> {
    Endpoint::parse(text.trim(), Client { trust: Trust::Anybody, identity: None })
}

fn from_json(path: &Path, text: &str) -> Result<Endpoint, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Description {
        #[serde(default)]
        addr: String,
        #[serde(rename = "TLSConfig")]
        tls: Option<Tls>,
    }
    let said: Description = serde_json::from_str(text).map_err(|e| format!("{}: {e}", path.display()))?;
    if said.tls.is_some() && ["tcp://", "http://"].iter().any(|plain| said.addr.starts_with(plain)) {
        return Err(format!("{}: TLSConfig needs an address with https://", path.display()));
    }
    let files = match said.tls {
        None => Client { trust: Trust::machine(), identity: None },
        Some(tls) => {
            let given = |path: PathBuf| Some(path).filter(|path| !path.as_os_str().is_empty());
            let trust = match given(tls.ca) {
                Some(ca) if !tls.insecure_skip_verify => Trust::Machine { and: vec![ca] },
                _ => Trust::Anybody,
            };
            Client { trust, identity: given(tls.certificate).zip(given(tls.key)) }
        }
    };
    Endpoint::parse(&said.addr, files)
}

impl Driver {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `local` or `global`.
    pub fn scope(&self) -> &'static str {
        if self.global { "global" } else { "local" }
    }

    fn ask(&self, method: &str, body: &Value, answer: Duration) -> Result<Value> {
        self.endpoint.call(&format!("/VolumeDriver.{method}"), body, Patience { answer, connect: RETRY })
    }

    /// Makes a volume.
    pub fn create(&self, name: &str, options: Option<&BTreeMap<String, String>>) -> Result<()> {
        self.ask("Create", &json!({"Name": name, "Opts": options.cloned().unwrap_or_default()}), LONG).map(drop)
    }

    /// Removes one.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.ask("Remove", &json!({"Name": name}), LONG).map(drop)
    }

    /// Mounts it for `id` and says where.
    pub fn mount(&self, name: &str, id: &str) -> Result<PathBuf> {
        let answer = self.ask("Mount", &json!({"Name": name, "ID": id}), LONG)?;
        let path = answer["Mountpoint"].as_str().unwrap_or_default();
        if path.starts_with('/') {
            return Ok(path.into());
        }
        Err(Error::Plugin(format!(
            "VolumeDriver.Mount: plugin {:?} gives no absolute mount point: {path:?}",
            self.name
        )))
    }

    /// `id` needs it no more.
    pub fn unmount(&self, name: &str, id: &str) -> Result<()> {
        self.ask("Unmount", &json!({"Name": name, "ID": id}), SHORT).map(drop)
    }

    /// Where it is mounted, if it is.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let answer = self.ask("Path", &json!({"Name": name}), SHORT)?;
        Ok(answer["Mountpoint"].as_str().unwrap_or_default().into())
    }

    /// What the plugin knows about a volume; `None`: it has none of that name.
    pub fn get(&self, name: &str) -> Result<Option<Shown>> {
        match self.ask("Get", &json!({"Name": name}), SHORT) {
            Ok(answer) => Ok(shown(&answer["Volume"])),
            // plugins have no other way to say that there is none
            Err(Error::Plugin(text)) if text.starts_with("VolumeDriver.Get: ") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All volumes of the plugin.
    pub fn list(&self) -> Result<Vec<Shown>> {
        let patience = Patience { answer: LISTING, connect: Duration::ZERO };
        let answer = self.endpoint.call("/VolumeDriver.List", &json!({}), patience)?;
        Ok(answer["Volumes"].as_array().into_iter().flatten().filter_map(shown).collect())
    }
}

fn shown(volume: &Value) -> Option<Shown> {
    let text = |key: &str| volume[key].as_str().unwrap_or_default().to_owned();
    let name = text("Name");
    let status = volume["Status"].as_object().cloned().unwrap_or_default();
    (!name.is_empty()).then(|| Shown { name, mountpoint: text("Mountpoint"), created: text("CreatedAt"), status })
}
