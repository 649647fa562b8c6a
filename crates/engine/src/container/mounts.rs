//! The mounts of a container as declared (`-v`, `--mount`, `VOLUME`, `--volumes-from`), parsed into mount points.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use wharf_api::container::{Config, HostConfig, Mount};

use super::snapshot::{MountKind, MountPoint};
use crate::{Error, Result};

/// One mount that is to be: the mount point, and what has to be done for it at create.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) point: MountPoint,
    /// A fresh volume is filled from the image.
    pub(crate) copy: bool,
    /// A volume without a name: its point's name is still empty.
    pub(crate) anonymous: bool,
    /// Driver that was asked for; empty: any, `local` for a new one.
    pub(crate) driver: String,
    /// Labels of a volume that is made for it.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Options of a volume that is made for it.
    pub(crate) options: Option<BTreeMap<String, String>>,
}

/// All mounts by destination. `from`: those of the containers of `--volumes-from`, with whether they become read-only.
pub(crate) fn parse(config: &Config, host: &HostConfig, from: Vec<(MountPoint, bool)>) -> Result<Vec<Wanted>> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    for (point, read_only) in from {
        let rw = point.rw && !read_only;
        all.insert(point.destination.clone(), wanted(MountPoint { rw, ..point }));
    }
    let mut given = Vec::new();
    for (path, _) in host.tmpfs.iter().flatten() {
        check_destination(path).map_err(Error::InvalidParameter)?;
        given.push(clean(path));
    }
    for text in host.binds.iter().flatten() {
        let one = bind(text, &host.volume_driver)?;
        let shown = one.point.destination.clone();
        add(&mut all, &mut given, one, &shown)?;
    }
    for declared in host.mounts.iter().flatten() {
        let one = mount(declared, &host.volume_driver)?;
        add(&mut all, &mut given, one, &declared.target)?;
    }
    for path in config.volumes.iter().flatten().map(|(path, _)| path) {
        // Docker keeps relative ones, and means them from the root
        let mut destination = clean(path);
        if destination == "/" {
            return Err(Error::InvalidParameter("invalid specification: destination can't be '/'".into()));
        }
        if !path.starts_with('/') {
            destination.remove(0);
        }
        if all.contains_key(&destination) || given.contains(&destination) {
            continue;
        }
        let mut one = wanted(volume(String::new(), destination.clone(), &host.volume_driver));
        one.point.mode = String::new();
        one.driver.clone_from(&host.volume_driver);
        (one.copy, one.anonymous) = (true, true);
        all.insert(destination, one);
    }
    Ok(all.into_values().collect())
}

fn add(all: &mut BTreeMap<String, Wanted>, given: &mut Vec<String>, one: Wanted, shown: &str) -> Result<()> {
    let destination = one.point.destination.clone();
    if given.contains(&destination) {
        return Err(Error::InvalidParameter(format!("Duplicate mount point: {shown}")));
    }
    given.push(destination.clone());
    all.insert(destination, one);
    Ok(())
}

fn wanted(point: MountPoint) -> Wanted {
    Wanted { point, copy: false, anonymous: false, driver: String::new(), labels: None, options: None }
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
        image: None,
        declared: None,
    }
}

/// `source:destination[:mode]`. Docker does not class these mistakes as the caller's.
fn bind(text: &str, driver: &str) -> Result<Wanted> {
    let malformed = || Error::System(format!("invalid volume specification: '{text}'"));
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
    let wrong = |why: String| {
        Error::System(format!("invalid volume specification: '{text}': invalid mount config for type {kind:?}: {why}"))
    };
    let mode_given = mode;
    let mode = Mode::parse(mode).ok_or_else(|| Error::System(format!("invalid mode: {mode_given}")))?;
    check_destination(destination).map_err(&wrong)?;
    if is_path && mode.no_copy {
        return Err(wrong("field VolumeOptions must not be specified".into()));
    }
    if !is_path && !mode.propagation.is_empty() {
        return Err(wrong("field BindOptions must not be specified".into()));
    }
    let mut one = if is_path {
        wanted(host_path(source, clean(destination), &mode.propagation))
    } else {
        let mut one = wanted(volume(source.to_owned(), clean(destination), driver));
        driver.clone_into(&mut one.driver);
        one
    };
    if !mode_given.is_empty() {
        mode_given.clone_into(&mut one.point.mode);
    }
    one.point.rw = !mode.read_only;
    one.copy = !is_path && !mode.no_copy;
    one.anonymous = source.is_empty();
    Ok(one)
}

fn host_path(source: &str, destination: String, propagation: &str) -> MountPoint {
    MountPoint {
        kind: MountKind::Bind,
        name: String::new(),
        source: clean(source),
        destination,
        driver: String::new(),
        mode: String::new(),
        rw: true,
        propagation: if propagation.is_empty() { "rprivate" } else { propagation }.to_owned(),
        image: None,
        declared: None,
    }
}

const PROPAGATIONS: [&str; 6] = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];

/// The third part of `-v`.
#[derive(Default)]
struct Mode {
    read_only: bool,
    no_copy: bool,
    propagation: String,
}

impl Mode {
    fn parse(text: &str) -> Option<Mode> {
        let mut mode = Mode::default();
        let (mut access, mut label, mut copy, mut consistency) = (0, 0, 0, 0);
        for word in text.split(',').filter(|_| !text.is_empty()) {
            match word {
                "ro" | "rw" => {
                    access += 1;
                    mode.read_only = word == "ro";
                }
                "z" | "Z" => label += 1,
                "nocopy" => {
                    copy += 1;
                    mode.no_copy = true;
                }
                "consistent" | "cached" | "delegated" | "default" => consistency += 1,
                word if PROPAGATIONS.contains(&word) && mode.propagation.is_empty() => {
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
    if !matches!(kind.as_str(), "bind" | "volume" | "tmpfs" | "image") {
        return Err(invalid("mount type unknown".to_owned()));
    }
    check_options(declared)?;
    if target.is_empty() {
        return Err(invalid("field Target must not be empty".into()));
    }
    check_destination(target).map_err(&invalid)?;
    let destination = clean(target);
    if source.is_empty() && matches!(kind.as_str(), "bind" | "image") {
        return Err(invalid("field Source must not be empty".into()));
    }
    let mut one = match kind.as_str() {
        "bind" => {
            if !source.starts_with('/') {
                return Err(invalid(format!("invalid mount path: '{source}' mount path must be absolute")));
            }
            let options = declared.bind_options.as_ref();
            let propagation = options.map_or("", |o| o.propagation.as_str());
            if !propagation.is_empty() && !PROPAGATIONS.contains(&propagation) {
                return Err(invalid(format!("invalid propagation mode: {propagation}")));
            }
            let create = options.is_some_and(|o| o.create_mountpoint);
            if !create && std::fs::symlink_metadata(source).is_err() {
                return Err(invalid(format!("bind source path does not exist: {source}")));
            }
            wanted(host_path(source, destination, propagation))
        }
        "volume" => {
            let options = declared.volume_options.as_ref();
            let config = options.and_then(|o| o.driver_config.as_ref());
            let driver = config.map(|d| d.name.as_str()).filter(|d| !d.is_empty()).unwrap_or(driver);
            let mut one = wanted(volume(source.clone(), destination, driver));
            driver.clone_into(&mut one.driver);
            one.copy = !options.is_some_and(|o| o.no_copy);
            one.anonymous = source.is_empty();
            one.labels = options.and_then(|o| o.labels.clone());
            one.options = config.and_then(|d| d.options.clone());
            let subpath = options.map_or("", |o| o.subpath.as_str());
            if one.anonymous && *read_only {
                return Err(invalid("must not set ReadOnly mode when using anonymous volumes".into()));
            }
            if one.anonymous && !subpath.is_empty() {
                return Err(invalid("must not set Subpath when using anonymous volumes".into()));
            }
            check_subpath(subpath).map_err(&invalid)?;
            one
        }
        "image" => {
            check_subpath(declared.image_options.as_ref().map_or("", |o| o.subpath.as_str())).map_err(&invalid)?;
            let mut one = wanted(host_path("/", destination, ""));
            (one.point.kind, one.point.name, one.point.rw) = (MountKind::Image, source.clone(), false);
            one
        }
        _ => {
            if !source.is_empty() {
                return Err(invalid("field Source must not be specified".into()));
            }
            check_tmpfs(declared).map_err(&invalid)?;
            let mut one = wanted(volume(String::new(), destination, ""));
            (one.point.kind, one.point.driver, one.point.mode) = (MountKind::Tmpfs, String::new(), String::new());
            one
        }
    };
    one.point.rw &= !read_only;
    one.point.declared = Some(std::sync::Arc::new(declared.clone()));
    Ok(one)
}

/// Options of one kind of mount mean nothing on another.
fn check_options(declared: &Mount) -> Result<()> {
    let kind = declared.kind.as_str();
    let wrong =
        |what: &str| Err(Error::InvalidParameter(format!("{what} must not be specified on mount type {kind:?}")));
    if declared.bind_options.is_some() && kind != "bind" {
        return wrong("BindOptions");
    }
    if declared.volume_options.is_some() && kind != "volume" {
        return wrong("VolumeOptions");
    }
    if declared.tmpfs_options.is_some() && kind != "tmpfs" {
        return wrong("TmpfsOptions");
    }
    if declared.image_options.is_some() && kind != "image" {
        return Err(Error::InvalidParameter(format!(
            "invalid mount config for type {kind:?}: field ImageOptions must not be specified"
        )));
    }
    Ok(())
}

fn check_subpath(subpath: &str) -> Result<(), String> {
    let path = Path::new(subpath);
    if path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
        return Err("subpath must be a relative path within the volume".into());
    }
    Ok(())
}

fn check_tmpfs(declared: &Mount) -> Result<(), String> {
    for option in declared.tmpfs_options.iter().flat_map(|o| o.options.iter().flatten()) {
        match option.as_slice() {
            [word] if matches!(word.as_str(), "exec" | "noexec") => {}
            [word] | [word, _] => return Err(format!("invalid option: {word}")),
            _ => return Err("invalid option array length".into()),
        }
    }
    Ok(())
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
        check(&[], &["v/w"], "volume >v/w rw [] copy");
        check(&["/h:/v"], &["/v"], "bind /h>/v rw []");
        check(&["/h:/c:rshared"], &[], "bind /h>/c rw [rshared]");
    }

    #[test]
    fn r_vol_02_mistakes() {
        check(&["/a:/b:zz"], &[], "invalid mode: zz");
        check(&["/a:/b:ro,rw"], &[], "invalid mode: ro,rw");
        check(
            &["/a:/b:nocopy"],
            &[],
            "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
        );
        check(
            &["xx:/b:rshared"],
            &[],
            "invalid volume specification: 'xx:/b:rshared': invalid mount config for type \"volume\": field BindOptions must not be specified",
        );
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
