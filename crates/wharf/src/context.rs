//! Contexts: named engines, in docker's store.
//!
//! ```text
//! contexts/meta/<sha256 of the name>/meta.json
//! contexts/tls/<sha256 of the name>/docker/{ca,cert,key}.pem
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{config, go};

/// The context that is not stored: flags and environment.
pub(crate) const DEFAULT: &str = "default";

/// The folder of all contexts.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// One context's `meta.json`.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) document: Value,
}

impl Context {
    /// A new context.
    pub(crate) fn new(name: &str, description: Option<&str>, host: &str, skip_verify: bool) -> Self {
        let mut metadata = Map::new();
        if let Some(description) = description.filter(|text| !text.is_empty()) {
            metadata.insert("Description".into(), json!(description));
        }
        let endpoint = json!({"Host": host, "SkipTLSVerify": skip_verify});
        Self { document: json!({"Name": name, "Metadata": metadata, "Endpoints": {"docker": endpoint}}) }
    }

    pub(crate) fn name(&self) -> &str {
        self.document["Name"].as_str().unwrap_or_default()
    }

    pub(crate) fn description(&self) -> &str {
        self.document["Metadata"]["Description"].as_str().unwrap_or_default()
    }

    /// Whether the engine's certificate is taken as it is.
    pub(crate) fn skip_verify(&self) -> bool {
        self.document["Endpoints"]["docker"]["SkipTLSVerify"].as_bool().unwrap_or_default()
    }

    pub(crate) fn host(&self) -> &str {
        self.document["Endpoints"]["docker"]["Host"].as_str().unwrap_or_default()
    }
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder with a context's `meta.json`.
    pub(crate) fn meta(&self, name: &str) -> PathBuf {
        self.folder.join("meta").join(id(name))
    }

    /// The folder with a context's certificates.
    pub(crate) fn tls(&self, name: &str) -> PathBuf {
        self.folder.join("tls").join(id(name))
    }

    /// One context.
    pub(crate) fn load(&self, name: &str) -> Result<Context, String> {
        let path = self.meta(name).join("meta.json");
        let bytes = fs::read(&path).map_err(|error| {
            format!("context {}: context not found: {}", go::quote(name), go::path_error("open", &path, &error))
        })?;
        let document =
            serde_json::from_slice(&bytes).map_err(|error| format!("parsing {}: {error}", path.display()))?;
        Ok(Context { document })
    }

    /// All stored contexts, by name.
    pub(crate) fn list(&self) -> Vec<Context> {
        let folders = fs::read_dir(self.folder.join("meta")).into_iter().flatten().flatten();
        let mut contexts: Vec<Context> = folders
            .filter_map(|folder| fs::read(folder.path().join("meta.json")).ok())
            .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
            .map(|document| Context { document })
            .collect();
        contexts.sort_by(|a, b| natural(a.name(), b.name()));
        contexts
    }

    /// Whether `name` is stored.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.meta(name).join("meta.json").exists()
    }

    /// Writes a context.
    pub(crate) fn save(&self, context: &Context) -> io::Result<()> {
        let folder = self.meta(context.name());
        fs::create_dir_all(&folder)?;
        config::replace(&folder.join("meta.json"), context.document.to_string().as_bytes(), 0o644)
    }

    /// Removes a context with its certificates.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        for folder in [self.meta(name), self.tls(name)] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The certificate files of a context: name inside `docker/` and content.
    pub(crate) fn certificates(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let folder = self.tls(name).join("docker");
        let mut files: Vec<_> = ["ca.pem", "cert.pem", "key.pem"]
            .into_iter()
            .filter_map(|file| Some((file.to_owned(), fs::read(folder.join(file)).ok()?)))
            .collect();
        files.sort();
        files
    }

    /// Writes certificate files of a context.
    pub(crate) fn save_certificate(&self, name: &str, file: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.tls(name).join("docker");
        fs::create_dir_all(&folder)?;
        config::replace(&folder.join(Path::new(file).file_name().unwrap_or_default()), bytes, 0o600)
    }
}

/// The folder name of a context.
fn id(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names a context may have.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    if name.is_empty() {
        return Err("context name cannot be empty".into());
    }
    if name == DEFAULT {
        return Err("\"default\" is a reserved context name".into());
    }
    if name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inner) {
        return Ok(());
    }
    Err(format!(
        "context name {} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\"",
        go::quote(name)
    ))
}

/// Orders names so that digits count as numbers.
pub(crate) fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else { return a.len().cmp(&b.len()) };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let split = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (left, right) = (&a[..split(a)], &b[..split(b)]);
            let (m, n) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            let order = m.len().cmp(&n.len()).then(m.cmp(n)).then(left.len().cmp(&right.len()));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[left.len()..], &b[right.len()..]);
            continue;
        }
        if x != y {
            return x.cmp(&y);
        }
        (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_order() {
        assert!(check_name("my-ctx_1.x+y").is_ok());
        for bad in ["", "default", "x", "-x", "a/b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        let mut names = vec!["net10", "net2", "net", "a", "net02"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "net", "net2", "net02", "net10"]);
    }

    #[test]
    fn stored_and_found_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(folder.path().join("contexts"));
        store.save(&Context::new("one", Some("d"), "ssh://h", false)).expect("it is written");
        store.save_certificate("one", "../ca.pem", b"x").expect("it is written, inside");
        let found = store.load("one").expect("it is there");
        assert_eq!((found.name(), found.description(), found.host()), ("one", "d", "ssh://h"));
        assert_eq!(store.certificates("one"), [("ca.pem".to_owned(), b"x".to_vec())]);
        assert!(store.load("two").is_err_and(|why| why.starts_with("context \"two\": context not found: open ")));
        store.remove("one").expect("it can go");
        assert!(store.list().is_empty());
    }
}
