//! `--mount` and `-v`.

use serde_json::{Map, Value, json};

use super::units::parse_bytes;
use crate::go;

/// The mount of a `--mount` flag as the API wants it.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let fields = go::csv(text)?;
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    for field in &fields {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        mount.set(field, &key, value)?;
    }
    mount.finish()
}

#[derive(Default)]
struct Mount {
    kind: String,
    source: String,
    target: String,
    read_only: bool,
    consistency: String,
    bind: Map<String, Value>,
    recursive: String,
    volume: Option<Volume>,
    image: Map<String, Value>,
    tmpfs: Map<String, Value>,
}

#[derive(Default)]
struct Volume {
    no_copy: bool,
    subpath: String,
    driver: String,
    labels: Map<String, Value>,
    options: Map<String, Value>,
}

impl Mount {
    fn set(&mut self, field: &str, key: &str, value: Option<&str>) -> Result<(), String> {
        let Some(value) = value else {
            match key {
                "readonly" | "ro" => self.read_only = true,
                "volume-nocopy" => self.volume().no_copy = true,
                "bind-nonrecursive" => _ = self.bind.insert("NonRecursive".into(), Value::Bool(true)),
                _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
            }
            return Ok(());
        };
        match key {
            "type" => self.kind = value.to_lowercase(),
            "source" | "src" => {
                self.source = value.to_owned();
                if value == "." || value.starts_with("./") || value == ".." || value.starts_with("../") {
                    self.source = absolute(value);
                }
            }
            "target" | "dst" | "destination" => self.target = value.to_owned(),
            "readonly" | "ro" => self.read_only = truth(key, value)?,
            "consistency" => self.consistency = value.to_lowercase(),
            "bind-propagation" => {
                _ = self.bind.insert("Propagation".into(), Value::String(value.to_lowercase()));
            }
            "bind-nonrecursive" => {
                let value = truth(key, value)?;
                self.bind.insert("NonRecursive".into(), Value::Bool(value));
            }
            "bind-recursive" => self.recursive = value.to_owned(),
            "uid" | "gid" => {
                let id: u32 = value.parse().map_err(|_| format!("invalid value for {key}: {value}"))?;
                let map = self.bind.entry("IdMap").or_insert_with(|| json!({}));
                map[if key == "uid" { "Uid" } else { "Gid" }] = id.into();
            }
            "volume-subpath" => self.volume().subpath = value.to_owned(),
            "volume-nocopy" => {
                let value = value.parse_go_bool().ok_or_else(|| format!("invalid value for volume-nocopy: {value}"))?;
                self.volume().no_copy = value;
            }
            "volume-label" => pair(&mut self.volume().labels, value),
            "volume-driver" => self.volume().driver = value.to_owned(),
            "volume-opt" => pair(&mut self.volume().options, value),
            "image-subpath" => _ = self.image.insert("Subpath".into(), value.into()),
            "tmpfs-size" => {
                let size = parse_bytes(value).map_err(|_| format!("invalid value for {key}: {value}"))?;
                self.tmpfs.insert("SizeBytes".into(), size.into());
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8).map_err(|_| format!("invalid value for {key}: {value}"))?;
                self.tmpfs.insert("Mode".into(), mode.into());
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn volume(&mut self) -> &mut Volume {
        self.volume.get_or_insert_default()
    }

    fn finish(mut self) -> Result<Value, String> {
        if self.kind.is_empty() {
            return Err("type is required".into());
        }
        if self.target.is_empty() {
            return Err("target is required".into());
        }
        let mix = |what: &str, kind: &str| Err(format!("cannot mix '{what}-*' options with mount type '{kind}'"));
        if self.volume.is_some() && self.kind != "volume" {
            return mix("volume", &self.kind);
        }
        if !self.image.is_empty() && self.kind != "image" {
            return mix("image", &self.kind);
        }
        if !(self.bind.is_empty() && self.recursive.is_empty()) && self.kind != "bind" {
            return mix("bind", &self.kind);
        }
        if !self.tmpfs.is_empty() && self.kind != "tmpfs" {
            return mix("tmpfs", &self.kind);
        }
        self.recursion()?;
        let mut out = Map::new();
        out.insert("Type".into(), self.kind.into());
        let mut text = |key: &str, value: String| {
            if !value.is_empty() {
                out.insert(key.into(), value.into());
            }
        };
        text("Source", self.source);
        text("Target", self.target);
        if self.read_only {
            out.insert("ReadOnly".into(), true.into());
        }
        if !self.consistency.is_empty() {
            out.insert("Consistency".into(), self.consistency.into());
        }
        self.bind.retain(|_, value| *value != Value::Bool(false));
        if !self.bind.is_empty() {
            let mut bind = Map::new();
            for key in ["Propagation", "NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive", "IdMap"] {
                if let Some(value) = self.bind.remove(key) {
                    bind.insert(key.into(), value);
                }
            }
            out.insert("BindOptions".into(), bind.into());
        }
        if let Some(volume) = self.volume {
            out.insert("VolumeOptions".into(), volume.document());
        }
        if !self.image.is_empty() {
            out.insert("ImageOptions".into(), self.image.into());
        }
        if !self.tmpfs.is_empty() {
            let mut tmpfs = Map::new();
            for key in ["SizeBytes", "Mode"] {
                if let Some(value) = self.tmpfs.remove(key) {
                    tmpfs.insert(key.into(), value);
                }
            }
            out.insert("TmpfsOptions".into(), tmpfs.into());
        }
        Ok(Value::Object(out))
    }

    /// `bind-recursive` and the flags that must go with it.
    fn recursion(&mut self) -> Result<(), String> {
        let propagation = self.bind.get("Propagation").and_then(Value::as_str).unwrap_or_default().to_owned();
        match self.recursive.as_str() {
            "" | "enabled" => {}
            "disabled" => _ = self.bind.insert("NonRecursive".into(), Value::Bool(true)),
            "writable" => _ = self.bind.insert("ReadOnlyNonRecursive".into(), Value::Bool(true)),
            "readonly" => _ = self.bind.insert("ReadOnlyForceRecursive".into(), Value::Bool(true)),
            other => {
                return Err(format!(
                    "invalid value for bind-recursive: {other} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        }
        match self.recursive.as_str() {
            "writable" if !self.read_only => {
                Err("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction".into())
            }
            "readonly" if !self.read_only => {
                Err("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction".into())
            }
            "readonly" if propagation != "rprivate" => Err(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                    .into(),
            ),
            _ => Ok(()),
        }
    }
}

impl Volume {
    fn document(self) -> Value {
        let mut out = Map::new();
        if self.no_copy {
            out.insert("NoCopy".into(), true.into());
        }
        if !self.labels.is_empty() {
            out.insert("Labels".into(), self.labels.into());
        }
        if !self.subpath.is_empty() {
            out.insert("Subpath".into(), self.subpath.into());
        }
        let mut driver = Map::new();
        if !self.driver.is_empty() {
            driver.insert("Name".into(), self.driver.into());
        }
        if !self.options.is_empty() {
            driver.insert("Options".into(), self.options.into());
        }
        out.insert("DriverConfig".into(), driver.into());
        Value::Object(out)
    }
}

trait GoBool {
    fn parse_go_bool(&self) -> Option<bool>;
}

impl GoBool for str {
    fn parse_go_bool(&self) -> Option<bool> {
        go::parse_bool(self).ok()
    }
}

fn truth(key: &str, value: &str) -> Result<bool, String> {
    value.parse_go_bool().ok_or_else(|| format!("invalid value for {key}: {value}"))
}

fn pair(into: &mut Map<String, Value>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    into.insert(key.to_owned(), value.into());
}

/// The path below the current folder, with `.` and `..` taken out as Go's `filepath.Abs` does.
pub(crate) fn absolute(path: &str) -> String {
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        let here = std::env::current_dir().unwrap_or_default();
        format!("{}/{path}", here.display())
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What a `-v` flag means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum VolumeFlag {
    /// A bind mount or named volume, as the API's `Binds` has it.
    Bind(String),
    /// A place for an anonymous volume.
    Anonymous(String),
}

/// Reads a `-v` flag.
pub(crate) fn parse_volume(text: &str) -> Result<VolumeFlag, String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".into());
    }
    let mut parts: Vec<String> = vec![String::new()];
    for c in text.chars() {
        let last = parts.last_mut().expect("starts with one element and only grows");
        // a drive letter of Windows keeps its colon
        let drive = last.len() == 1 && last.starts_with(|c: char| c.is_ascii_alphabetic());
        if c == ':' && !(drive && text.len() > 2) {
            parts.push(String::new());
        } else {
            last.push(c);
        }
    }
    if parts.iter().any(String::is_empty) {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    if parts.len() > 3 {
        return Err(format!("invalid spec: {text}: too many colons"));
    }
    if parts.len() == 1 {
        return Ok(VolumeFlag::Anonymous(text.to_owned()));
    }
    match text.split_once(':') {
        Some((host, rest)) if host.starts_with('.') => Ok(VolumeFlag::Bind(format!("{}:{rest}", absolute(host)))),
        _ => Ok(VolumeFlag::Bind(text.to_owned())),
    }
}

/// `--tmpfs path[:options]` as key and value.
pub(crate) fn parse_tmpfs(text: &str) -> (String, Value) {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    (path.to_owned(), json!(options))
}
