//! `~/.docker/config.json`: read when something asks for it, written back with everything it had.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::go;

/// The folder and the document in it.
#[derive(Debug)]
pub(crate) struct Config {
    folder: PathBuf,
    document: Map<String, Value>,
    /// What was wrong with the file, if it could not be used.
    pub(crate) warning: Option<String>,
}

/// The folder that `--config`, `DOCKER_CONFIG` or the home folder name.
pub(crate) fn folder(flag: Option<&str>) -> PathBuf {
    if let Some(folder) = flag.filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder);
    }
    match std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => home().join(".docker"),
    }
}

fn home() -> PathBuf {
    // the environment first, as Go does; without it the password file knows
    if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        return PathBuf::from(home);
    }
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f.len() > 5 && f[2] == uid);
    line.map_or_else(|| PathBuf::from("/"), |fields| PathBuf::from(fields[5]))
}

impl Config {
    /// Reads the file; a missing one is an empty one.
    pub(crate) fn load(folder: PathBuf) -> Self {
        let path = folder.join("config.json");
        let mut config = Self { folder, document: Map::new(), warning: None };
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(Value::Object(document)) => config.document = document,
                Ok(_) => config.warning = Some(format!("{}: not a JSON object", path.display())),
                Err(error) => {
                    let reason = if error.is_eof() && bytes.is_empty() { "EOF".into() } else { error.to_string() };
                    config.warning = Some(format!("parsing config file ({}): {reason}", path.display()));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => config.warning = Some(go::path_error("open", &path, &error)),
        }
        config
    }

    /// The file itself.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    /// A string; empty counts as absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// An object.
    pub(crate) fn object(&self, key: &str) -> Option<&Map<String, Value>> {
        self.document.get(key).and_then(Value::as_object)
    }

    /// An object, made when missing.
    pub(crate) fn object_mut(&mut self, key: &str) -> &mut Map<String, Value> {
        let slot = self.document.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot.as_object_mut().expect("made an object one line above")
    }

    /// Sets or (with `None`) removes a string.
    pub(crate) fn set(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => _ = self.document.insert(key.to_owned(), Value::String(value.to_owned())),
            None => _ = self.document.shift_remove(key),
        }
    }

    /// The headers every request carries.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let headers = self.object("HttpHeaders").into_iter().flatten();
        headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// Writes the file: a new one beside it, then renamed over it.
    pub(crate) fn save(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut text = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, tabs);
        serde::Serialize::serialize(&self.document, &mut serializer)?;
        // a link to a file elsewhere stays a link
        let path = fs::canonicalize(self.file()).unwrap_or_else(|_| self.file());
        replace(&path, &text, 0o600)
    }
}

/// Writes a file under another name, makes it durable and renames it into place.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mode = fs::metadata(path).map_or(mode, |existing| existing.permissions().mode() & 0o777);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
