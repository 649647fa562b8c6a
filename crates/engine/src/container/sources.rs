//! The sources of a container's mounts at its start: folders that are made, volumes that are mounted, images that are looked up.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use wharf_runtime::{Origin, Overlay};
use wharf_spec::id::ContainerId;
use wharf_spec::runtime::Spec;

use super::snapshot::{MountKind, MountPoint};
use crate::{Error, Inner, Result};

/// What a start needs to know of them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The mounts with the paths that they have now.
    pub(crate) mounts: Vec<MountPoint>,
    /// What the document cannot say, by destination.
    pub(crate) origins: BTreeMap<PathBuf, Origin>,
    /// Owners of id-mapped sources, by destination.
    pub(crate) owners: BTreeMap<String, (u32, u32)>,
}

/// Makes everything ready. What was mounted is given back by [`give_back`], also after an error.
pub(crate) fn prepare(inner: &Inner, id: &ContainerId, points: &[MountPoint]) -> Result<Sources> {
    let mut sources = Sources::default();
    for point in points {
        let mut point = point.clone();
        match point.kind {
            MountKind::Bind => {
                host_path(&point, &mut sources)?;
                check_propagation(&point, &inner.config.data_root)?;
            }
            MountKind::Volume => {
                let path = inner.volumes.mount(&point.name, id.as_str())?;
                point.source = path.to_string_lossy().into_owned();
                tell(inner, id, &point);
                let options = point.declared.as_deref().and_then(|m| m.volume_options.as_ref());
                let subpath = options.map_or("", |o| o.subpath.as_str());
                if !subpath.is_empty() {
                    let subpath = check_subpath(&path, subpath)?;
                    let origin = Origin { subpath: Some(subpath), ..Origin::default() };
                    sources.origins.insert(PathBuf::from(&point.destination), origin);
                }
            }
            MountKind::Image => image(inner, &mut point, &mut sources)?,
            MountKind::Tmpfs => {}
        }
        sources.mounts.push(point);
    }
    Ok(sources)
}

/// Takes away what [`prepare`] has mounted.
pub(crate) fn give_back(inner: &Inner, id: &ContainerId) {
    for name in inner.volumes.mounted_by(id.as_str()) {
        if let Err(error) = inner.volumes.unmount(&name, id.as_str()) {
            tracing::error!(container = id.short(), volume = name, %error, "unmount volume");
        }
        let driver = inner.volumes.get(&name).map_or_else(|_| wharf_volume::LOCAL.to_owned(), |v| v.driver.clone());
        let attributes = [("container", id.to_string()), ("driver", driver)];
        inner.bus.publish("volume", "unmount", &name, attributes.map(|(k, v)| (k.to_owned(), v)).into());
    }
}

fn tell(inner: &Inner, id: &ContainerId, point: &MountPoint) {
    let attributes = [
        ("container", id.to_string()),
        ("destination", point.destination.clone()),
        ("driver", point.driver.clone()),
        ("propagation", point.propagation.clone()),
        ("read/write", point.rw.to_string()),
    ];
    inner.bus.publish("volume", "mount", &point.name, attributes.map(|(k, v)| (k.to_owned(), v)).into());
}

/// `-v` makes the folder that is missing on the host, `--mount` wants it to be there.
fn host_path(point: &MountPoint, sources: &mut Sources) -> Result<()> {
    let source = &point.source;
    let options = point.declared.as_deref().map(|m| m.bind_options.as_ref());
    if std::fs::symlink_metadata(source).is_err() {
        let strict = options.is_some_and(|o| !o.is_some_and(|o| o.create_mountpoint));
        if strict {
            return Err(Error::InvalidParameter(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {source}"
            )));
        }
        std::fs::create_dir_all(source).map_err(|e| {
            Error::system(format!("error while creating mount source path '{source}': mkdir {source}"), e)
        })?;
    }
    if options.flatten().is_some_and(|o| o.id_map.is_some()) {
        let stat = rustix::fs::stat(source.as_str()).map_err(|e| Error::system(format!("stat {source}"), e))?;
        sources.owners.insert(point.destination.clone(), (stat.st_uid, stat.st_gid));
    }
    Ok(())
}

/// What cannot travel is not promised: `shared` needs a source on a shared mount, `slave` one on a shared mount or a slave.
fn check_propagation(point: &MountPoint, data_root: &Path) -> Result<()> {
    let (wanted, words): (&[&str], _) = match point.propagation.as_str() {
        "shared" | "rshared" => (&["shared:"], "a shared"),
        "slave" | "rslave" => (&["shared:", "master:"], "a shared or slave"),
        _ => return Ok(()),
    };
    let failed = |op: &str, e| Error::system(format!("{op} `{}`", point.source), e);
    let source = std::fs::canonicalize(&point.source).map_err(|e| failed("resolve", e))?;
    // as in Docker: whoever looks at the whole host sees the data root, too, whatever it is on
    if wanted.len() > 1 && (source.starts_with(data_root) || data_root.starts_with(&source)) {
        return Ok(());
    }
    let table = std::fs::read_to_string("/proc/self/mountinfo").map_err(|e| failed("find the mount of", e))?;
    // proc_pid_mountinfo(5): the fifth field is the place, from the seventh on there are marks up to a dash; later lines lie above
    let mounts = table.lines().map(|line| line.split(' ').skip(4).collect::<Vec<_>>());
    let place = |fields: &[&str]| fields.first().map(|f| f.replace("\\040", " ")).unwrap_or_default();
    let over = mounts.filter(|fields| source.starts_with(place(fields))).max_by_key(|fields| place(fields).len());
    let fields = over.unwrap_or_default();
    let mut marks = fields.iter().skip(2).take_while(|field| **field != "-");
    if marks.any(|mark| wanted.iter().any(|wanted| mark.starts_with(wanted))) {
        return Ok(());
    }
    let place = place(&fields);
    Err(Error::System(format!("path {} is mounted on {place} but it is not {words} mount", point.source)))
}

/// Says early and clearly what the runtime would only say late: it resolves the path again, by descriptor.
fn check_subpath(volume: &Path, subpath: &str) -> Result<CString> {
    let shown = volume.join(subpath);
    let refused = |why: &str| Error::NotFound(format!("cannot access path {0}: lstat {0}: {why}", shown.display()));
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let folder = rustix::fs::open(volume, flags | OFlags::DIRECTORY, Mode::empty())
        .map_err(|e| Error::system(format!("open {}", volume.display()), e))?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&folder, subpath, flags, Mode::empty(), resolve) {
        Ok(_) => {}
        Err(Errno::XDEV) => {
            return Err(Error::InvalidParameter(format!(
                "cannot access path {}: it leads out of the volume",
                shown.display()
            )));
        }
        Err(Errno::NOENT) => return Err(refused("no such file or directory")),
        Err(errno) => return Err(refused(&errno.to_string())),
    }
    c_path(Path::new(subpath))
}

fn image(inner: &Inner, point: &mut MountPoint, sources: &mut Sources) -> Result<()> {
    let image = point.image.ok_or_else(|| Error::no_such_image(&point.name))?;
    let layers = inner.store.image_layers(&image)?;
    let subpath = point.declared.as_deref().and_then(|m| m.image_options.as_ref()).map(|o| o.subpath.as_str());
    let subpath = subpath.filter(|path| !path.is_empty()).map(|path| c_path(Path::new(path))).transpose()?;
    let overlay = match layers.as_slice() {
        // an overlay needs two folders
        [only] => {
            point.source = only.to_string_lossy().into_owned();
            None
        }
        layers => Some(Overlay {
            lower: layers.iter().map(|path| c_path(path)).collect::<Result<_>>()?,
            upper: None,
            options: Vec::new(),
            source: c_path(Path::new(&point.name))?,
        }),
    };
    sources.origins.insert(PathBuf::from(&point.destination), Origin { overlay, subpath });
    Ok(())
}

/// For a runtime that only knows paths.
pub(crate) fn as_paths(spec: &mut Spec, origins: &BTreeMap<PathBuf, Origin>) -> Result<()> {
    for mount in &mut spec.mounts {
        let Some(origin) = origins.get(&mount.destination) else { continue };
        if origin.overlay.is_some() {
            let place = mount.destination.display();
            return Err(Error::NotImplemented(format!("mount an image at {place}: only the built-in runtime can")));
        }
        if let (Some(source), Some(subpath)) = (&mount.source, &origin.subpath) {
            mount.source = Some(source.join(std::ffi::OsStr::from_bytes(subpath.to_bytes())));
        }
    }
    Ok(())
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|e| Error::system(format!("mount {}", path.display()), e))
}
