//! The mounts of a container as declared (`-v`, `--mount`, `VOLUME`, `--volumes-from`), parsed into mount points.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use wharf_api::container::{Config, HostConfig, Mount};

use super::snapshot::{MountKind, MountPoint};
use crate::{Error, Result};

/// One mount that is to be: the mount point, and what has to be done for it at create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) point: MountPoint,
    /// A fresh volume is filled from the image.
    pub(crate) copy: bool,
    /// A volume without a name: its point's name is still empty.
    pub(crate) anonymous: bool,
    /// Labels of a volume that is made for it.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Options of a volume that is made for it.
    pub(crate) options: Option<BTreeMap<String, String>>,
    /// Folder inside the volume.
    pub(crate) subpath: String,
}

/// All mounts by destination. `from`: those of the containers of `--volumes-from`, with whether they become read-only.
pub(crate) fn parse(config: &Config, host: &HostConfig, from: Vec<(MountPoint, bool)>) -> Result<Vec<Wanted>> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    for (point, read_only) in from {
        let rw = point.rw && !read_only;
        all.insert(point.destination.clone(), wanted(MountPoint { rw, ..point }));
    }
    let mut given: Vec<String> = host.tmpfs.iter().flatten().map(|(path, _)| path.clone()).collect();
    for text in host.binds.iter().flatten() {
        let one = bind(text, &host.volume_driver)?;
        add(&mut all, &mut given, one)?;
    }
    for declared in host.mounts.iter().flatten() {
        let one = mount(declared, &host.volume_driver)?;
        add(&mut all, &mut given, one)?;
    }
    for path in config.volumes.iter().flatten().map(|(path, _)| path) {
        let destination = clean(path);
        if !path.starts_with('/') {
            return Err(Error::InvalidParameter(format!("invalid mount path: '{path}' mount path must be absolute")));
        }
        if destination == "/" {
            return Err(Error::InvalidParameter("invalid specification: destination can't be '/'".into()));
        }
        if all.contains_key(&destination) || given.contains(&destination) {
            continue;
        }
        let mut one = wanted(volume(String::new(), destination.clone(), &host.volume_driver));
        one.point.mode = String::new();
        (one.copy, one.anonymous) = (true, true);
        all.insert(destination, one);
    }
    Ok(all.into_values().collect())
}

fn add(all: &mut BTreeMap<String, Wanted>, given: &mut Vec<String>, one: Wanted) -> Result<()> {
    let destination = one.point.destination.clone();
    if given.contains(&destination) {
        return Err(Error::InvalidParameter(format!("Duplicate mount point: {destination}")));
    }
    given.push(destination.clone());
    all.insert(destination, one);
    Ok(())
}

fn wanted(point: MountPoint) -> Wanted {
    Wanted { point, copy: false, anonymous: false, labels: None, options: None, subpath: String::new() }
}

fn volume(name: String, destination: String, driver: &str) -> MountPoint {
    MountPoint {
        kind: MountKind::Volume,
        name,
        source: String::new(),
        destination,
        driver: if driver.is_empty() { "local" } else { driver }.to_owned(),
        mode: "z".into(),
        rw: true,
        propagation: String::new(),
    }
}

/// `source:destination[:mode]`
fn bind(text: &str, driver: &str) -> Result<Wanted> {
    let malformed = || Error::InvalidParameter(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [destination] => ("", destination, ""),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(malformed()),
    };
    if destination.is_empty() || parts.len() > 1 && source.is_empty() {
        return Err(malformed());
    }
    let is_path = source.starts_with('/');
    let kind = if is_path { "bind" } else { "volume" };
    check_destination(destination).map_err(|why| {
        Error::InvalidParameter(format!(
            "invalid volume specification: '{text}': invalid mount config for type {kind:?}: {why}"
        ))
    })?;
    let mode_given = mode;
    let mode =
        Mode::parse(mode, is_path).ok_or_else(|| Error::InvalidParameter(format!("invalid mode: {mode_given}")))?;
    let mut one = if is_path {
        let propagation = if mode.propagation.is_empty() { "rprivate".into() } else { mode.propagation };
        wanted(MountPoint {
            kind: MountKind::Bind,
            name: String::new(),
            source: clean(source),
            destination: clean(destination),
            driver: String::new(),
            mode: String::new(),
            rw: true,
            propagation,
        })
    } else {
        wanted(volume(source.to_owned(), clean(destination), driver))
    };
    if !mode_given.is_empty() {
        mode_given.clone_into(&mut one.point.mode);
    }
    one.point.rw = !mode.read_only;
    one.copy = !is_path && !mode.no_copy;
    one.anonymous = source.is_empty();
    Ok(one)
}

/// The third part of `-v`.
#[derive(Default)]
struct Mode {
    read_only: bool,
    no_copy: bool,
    propagation: String,
}

impl Mode {
    fn parse(text: &str, is_path: bool) -> Option<Mode> {
        let mut mode = Mode::default();
        let (mut access, mut label, mut copy, mut consistency) = (0, 0, 0, 0);
        for word in text.split(',').filter(|_| !text.is_empty()) {
            match word {
                "ro" | "rw" => {
                    access += 1;
                    mode.read_only = word == "ro";
                }
                "z" | "Z" => label += 1,
                "nocopy" if !is_path => {
                    copy += 1;
                    mode.no_copy = true;
                }
                "consistent" | "cached" | "delegated" | "default" => consistency += 1,
                "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate"
                    if is_path && mode.propagation.is_empty() =>
                {
                    word.clone_into(&mut mode.propagation);
                }
                _ => return None,
            }
        }
        [access, label, copy, consistency].iter().all(|n| *n <= 1).then_some(mode)
    }
}

/// One `--mount`.
fn mount(declared: &Mount, driver: &str) -> Result<Wanted> {
    let Mount { kind, source, target, read_only, .. } = declared;
    let invalid = |why: String| Error::InvalidParameter(format!("invalid mount config for type {kind:?}: {why}"));
    if target.is_empty() {
        return Err(invalid("field Target must not be empty".into()));
    }
    check_destination(target).map_err(&invalid)?;
    let destination = clean(target);
    let mut one = match kind.as_str() {
        "bind" => {
            if source.is_empty() {
                return Err(invalid("field Source must not be empty".into()));
            }
            if !source.starts_with('/') {
                return Err(invalid(format!("invalid mount path: '{source}' mount path must be absolute")));
            }
            let options = declared.bind_options.as_ref();
            let create = options.is_some_and(|o| o.create_mountpoint);
            if !create && std::fs::symlink_metadata(source).is_err() {
                return Err(invalid(format!("bind source path does not exist: {source}")));
            }
            let propagation = options.map(|o| o.propagation.clone()).filter(|p| !p.is_empty());
            wanted(MountPoint {
                kind: MountKind::Bind,
                name: String::new(),
                source: clean(source),
                destination,
                driver: String::new(),
                mode: String::new(),
                rw: true,
                propagation: propagation.unwrap_or_else(|| "rprivate".into()),
            })
        }
        "volume" => {
            let options = declared.volume_options.as_ref();
            let config = options.and_then(|o| o.driver_config.as_ref());
            let driver = config.map(|d| d.name.as_str()).filter(|d| !d.is_empty()).unwrap_or(driver);
            let mut one = wanted(volume(source.clone(), destination, driver));
            one.copy = !options.is_some_and(|o| o.no_copy);
            one.anonymous = source.is_empty();
            one.labels = options.and_then(|o| o.labels.clone());
            one.options = config.and_then(|d| d.options.clone());
            one.subpath = options.map(|o| o.subpath.clone()).unwrap_or_default();
            let subpath = Path::new(&one.subpath);
            if subpath.is_absolute() || subpath.components().any(|c| c == Component::ParentDir) {
                return Err(invalid("subpath must be a relative path within the volume".into()));
            }
            one
        }
        "tmpfs" => {
            if !source.is_empty() {
                return Err(invalid("field Source must not be specified".into()));
            }
            let mut one = wanted(volume(String::new(), destination, ""));
            (one.point.kind, one.point.driver, one.point.mode) = (MountKind::Tmpfs, String::new(), String::new());
            one
        }
        "" => {
            return Err(Error::InvalidParameter("invalid mount config for type \"\": mount type unknown".into()));
        }
        "image" | "npipe" | "cluster" => return Err(invalid(format!("mount type {kind} is not supported"))),
        _ => return Err(invalid("mount type unknown".to_owned())),
    };
    one.point.rw = !read_only;
    Ok(one)
}

fn check_destination(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("invalid mount path: '{path}' mount path must be absolute"));
    }
    if clean(path) == "/" {
        return Err("invalid specification: destination can't be '/'".into());
    }
    Ok(())
}

/// Go's `filepath.Clean` for absolute paths.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(binds: &[&str], volumes: &[&str], expect: &str) {
        let host = HostConfig { binds: Some(binds.iter().map(|b| (*b).to_owned()).collect()), ..HostConfig::default() };
        let volumes = volumes.iter().map(|v| ((*v).to_owned(), Default::default())).collect();
        let config = Config { volumes: Some(volumes), ..Config::default() };
        let got = match parse(&config, &host, Vec::new()) {
            Ok(list) => list
                .iter()
                .map(|w| {
                    let p = &w.point;
                    let rw = if p.rw { "rw" } else { "ro" };
                    let copy = if w.copy { " copy" } else { "" };
                    format!("{} {}{}>{} {rw} [{}]{copy}", p.kind.as_str(), p.name, p.source, p.destination, p.mode)
                })
                .collect::<Vec<_>>()
                .join("; "),
            Err(e) => e.to_string(),
        };
        assert_eq!(got, expect, "{binds:?}");
    }

    #[test]
    fn r_vol_02_forms_of_v() {
        check(&["/h:/c"], &[], "bind /h>/c rw []");
        check(&["/h/../x:/c/:ro,z"], &[], "bind /x>/c ro [ro,z]");
        check(&["data:/c"], &[], "volume data>/c rw [z] copy");
        check(&["data:/c:ro"], &[], "volume data>/c ro [ro] copy");
        check(&["data:/c:nocopy"], &[], "volume data>/c rw [nocopy]");
        check(&[], &["/v"], "volume >/v rw [] copy");
        check(&["/h:/v"], &["/v"], "bind /h>/v rw []");
        check(&["/h:/c:rshared"], &[], "bind /h>/c rw [rshared]");
    }

    #[test]
    fn r_vol_02_mistakes() {
        check(&["/a:/b:zz"], &[], "invalid mode: zz");
        check(&["/a:/b:ro,rw"], &[], "invalid mode: ro,rw");
        check(&["/a:/b:nocopy"], &[], "invalid mode: nocopy");
        check(&["a:/b:/c:d"], &[], "invalid volume specification: 'a:/b:/c:d'");
        check(
            &["/a:/"],
            &[],
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        );
        check(
            &["a:rel"],
            &[],
            "invalid volume specification: 'a:rel': invalid mount config for type \"volume\": invalid mount path: 'rel' mount path must be absolute",
        );
        check(&["/a:/b", "/c:/b/"], &[], "Duplicate mount point: /b");
    }
}
