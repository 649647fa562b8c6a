//! `create`: rows and folders, no process.
//!
//! ```text
//!   check → image → merge → name ─► [row "creating", when volumes are made] ─► snapshot ─► volumes ─► folder ─► rows ─► task
//!            (undo, last first: ◄─ row ◄─ snapshot ◄─ anonymous volumes ◄─ folder ◄─ name)
//! ```

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use wharf_api::container::HostConfig;
use wharf_spec::id::{ContainerId, ImageId};
use wharf_sys::failpoint;

use super::mounts::{self, Wanted};
use super::record::{self, Declared, Lived};
use super::snapshot::{MountKind, MountPoint};
use super::{actor, declare, links, merge, places};
use crate::{CreateContainer, Created, Error, Inner, Result, blocking};

pub(crate) async fn create(inner: &Arc<Inner>, request: CreateContainer) -> Result<Created> {
    let CreateContainer { name, platform, mut config, mut host_config, mut networking } = request;
    declare::check(&config, &host_config)?;
    super::ports::check(&host_config)?;
    let image = inner.store.resolve(&config.image)?;
    let document = image.config()?;
    check_platform(&document.platform(), platform.as_deref(), &config.image)?;
    merge::merge(&mut config, &document.config.clone().unwrap_or_default());
    declare::check(&config, &host_config)?;
    let (path, args) = merge::command(&config).ok_or_else(|| Error::InvalidParameter("no command specified".into()))?;
    let unified = inner.hierarchy.kind() == wharf_cgroup::Kind::V2;
    let mut warnings = declare::complete(&mut host_config, &inner.config, &inner.live(), &inner.abilities, unified)?;
    let joined = |mode: &str| match mode.strip_prefix("container:") {
        // not "not found": for clients that would be the image
        Some(other) => inner.index.resolve(other).map(Some).map_err(|e| Error::InvalidParameter(e.to_string())),
        None => Ok(None),
    };
    if let Some(other) = joined(&host_config.ipc_mode)? {
        host_config.ipc_mode = format!("container:{}", other.id);
    }
    if let Some(other) = joined(&host_config.pid_mode)? {
        host_config.pid_mode = format!("container:{}", other.id);
    }
    if let Some(other) = host_config.network_mode.strip_prefix("container:") {
        // one that is not there yet may be when this one starts
        if let Ok(other) = inner.index.resolve(other) {
            host_config.network_mode = format!("container:{}", other.id);
            let other = other.container();
            config.hostname.clone_from(&other.config.hostname);
            config.domainname.clone_from(&other.config.domainname);
        }
    }
    places::complete(inner, &config, &host_config, &mut networking)?;
    let links = links::resolve(inner, &host_config)?;
    host_config.links = None;
    let mut wanted = mounts::parse(&config, &host_config, volumes_from(inner, &host_config)?)?;
    for one in wanted.iter_mut().filter(|one| one.point.kind == MountKind::Image && one.point.image.is_none()) {
        one.point.image = Some(inner.store.resolve(&one.point.name)?.id);
        warnings.push("Image mount is an experimental feature".into());
    }
    if image.platform_differs() {
        warnings.push(platform_warning(&document.platform()));
    }

    let id = inner.fresh_container_id();
    config.labels.get_or_insert_default();
    if config.hostname.is_empty() {
        let of_host = host_config.network_mode == "host" || host_config.uts_mode == "host";
        config.hostname = if of_host { crate::machine::host_name() } else { id.short().to_owned() };
    }
    let limit = limit(inner, &host_config)?;
    for one in wanted.iter_mut().filter(|w| w.anonymous && w.point.kind == MountKind::Volume) {
        one.point.name = inner.fresh_container_id().to_string();
    }
    let name = inner.index.reserve(name.as_deref(), &id, || inner.random())?;
    let declared = Declared {
        name,
        created: Timestamp::now(),
        path,
        args,
        image_name: config.image.clone(),
        config: Arc::new(config),
        host_config: Arc::new(host_config),
        networking: Arc::new(networking),
        image: image.id,
        platform: "linux".into(),
        driver: inner.store.driver().name().into(),
        graph: BTreeMap::new(),
        mounts: Arc::default(),
        links,
    };
    // a thread of its own to the end: a client that goes away in the middle leaves a whole container or none
    let (inner, id_of_work) = (inner.clone(), id.clone());
    blocking(move || make(&inner, &id_of_work, declared, &wanted, limit)).await?;
    Ok(Created { id, warnings })
}

/// Makes it; undoes all of it when something fails.
fn make(
    inner: &Arc<Inner>,
    id: &ContainerId,
    mut declared: Declared,
    wanted: &[Wanted],
    limit: Option<u64>,
) -> Result<()> {
    let made = steps(inner, id, &mut declared, wanted, limit);
    if let Err(error) = made {
        super::remove::clean_now(inner, id, &declared.mounts, true);
        if let Err(e) = record::delete_here(&inner.db, id) {
            tracing::error!(container = id.short(), error = %e, "row of a container that could not be made stays until the next start");
        }
        inner.index.release(&declared.name, id);
        return Err(error);
    }
    actor::adopt(inner, id.clone(), declared, Lived::default(), None);
    inner.container_event(id, "create", &[]);
    Ok(())
}

fn steps(
    inner: &Inner,
    id: &ContainerId,
    declared: &mut Declared,
    wanted: &[Wanted],
    limit: Option<u64>,
) -> Result<()> {
    failpoint::hit("engine.create.after_name").map_err(Error::injected)?;
    // so that whoever undoes this knows what it may have taken
    declared.mounts = Arc::new(points(inner, wanted));
    if wanted.iter().any(|w| w.anonymous) {
        let lived = Lived { removing: true, removing_volumes: true, ..Lived::default() };
        record::save_intent_here(&inner.db, id, declared, &lived)?;
        failpoint::hit("engine.create.after_intent").map_err(Error::injected)?;
    }
    declared.graph = folders(inner, id, declared.image, limit, wanted)?;
    // now that the volumes are there
    declared.mounts = Arc::new(points(inner, wanted));
    places::reserve(inner, id, declared)?;
    record::save_new(&inner.db, id, declared, &Lived::default())?;
    failpoint::hit("engine.create.after_rows").map_err(Error::injected)
}

/// Most bytes that the container may write (`--storage-opt size=`).
fn limit(inner: &Inner, host: &HostConfig) -> Result<Option<u64>> {
    let options = || host.storage_opt.iter().flatten();
    let is_size = |key: &str| key.eq_ignore_ascii_case("size");
    let size = options().find(|(key, _)| is_size(key)).map(|(_, value)| value);
    if size.is_some() && !inner.store.can_limit_snapshots() {
        let sentence = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
        return Err(Error::System(sentence.into()));
    }
    if let Some((key, _)) = options().find(|(key, _)| !is_size(key)) {
        return Err(Error::System(format!("Unknown option {key}")));
    }
    let Some(limit) = size else { return Ok(None) };
    match wharf_volume::bytes(limit) {
        Some(bytes) => Ok((bytes > 0).then_some(bytes)),
        None => Err(Error::System(format!("invalid size: '{limit}'"))),
    }
}

/// The snapshot, the volumes and the container's folder.
fn folders(
    inner: &Inner,
    id: &ContainerId,
    image: ImageId,
    limit: Option<u64>,
    wanted: &[Wanted],
) -> Result<BTreeMap<String, String>> {
    inner.store.snapshot_create(id, Some(&image), limit)?;
    failpoint::hit("engine.create.after_snapshot").map_err(Error::injected)?;
    let mut root = None;
    for one in wanted.iter().filter(|w| w.point.kind == MountKind::Volume) {
        volume(inner, id, one, &mut root)?;
    }
    drop(root);
    failpoint::hit("engine.create.after_volumes").map_err(Error::injected)?;
    let folder = inner.container_folder(id);
    std::fs::create_dir(&folder).map_err(|e| Error::system(format!("mkdir `{}`", folder.display()), e))?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o710);
    std::fs::set_permissions(&folder, private)
        .map_err(|e| Error::system(format!("chmod `{}`", folder.display()), e))?;
    failpoint::hit("engine.create.after_folder").map_err(Error::injected)?;
    let mut graph: BTreeMap<_, _> =
        inner.store.snapshot_data(id)?.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    graph.insert("ID".into(), id.to_string());
    Ok(graph)
}

/// Makes a volume that is not there yet and fills it from the image. `root` is opened once for all.
fn volume(inner: &Inner, id: &ContainerId, one: &Wanted, root: &mut Option<OwnedFd>) -> Result<()> {
    let Wanted { point, copy, anonymous, driver, labels, options } = one;
    let mut labels = labels.clone();
    if *anonymous {
        labels.get_or_insert_default().insert(wharf_volume::ANONYMOUS_LABEL.into(), String::new());
    }
    let (volume, new) = inner.volumes.create(wharf_volume::Request {
        name: point.name.clone(),
        driver: driver.clone(),
        labels,
        options: options.clone(),
        now: i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0),
        user: Some(id.to_string()),
    })?;
    if new {
        inner.bus.publish("volume", "create", &point.name, [("driver".to_owned(), volume.driver.clone())].into());
    }
    if *copy {
        if root.is_none() {
            *root = Some(inner.store.snapshot_open(id)?);
        }
        if let Some(root) = root {
            inner.volumes.copy_up(&point.name, root.as_fd(), Path::new(&point.destination))?;
        }
    }
    Ok(())
}

/// The mount points with their sources on the host.
fn points(inner: &Inner, wanted: &[Wanted]) -> Vec<MountPoint> {
    let source = |one: &Wanted| match one.point.kind {
        MountKind::Volume => {
            let path = inner.volumes.mountpoint(&one.point.name).unwrap_or_default();
            path.to_string_lossy().into_owned()
        }
        MountKind::Image => {
            let layers = one.point.image.and_then(|image| inner.store.image_layers(&image).ok()).unwrap_or_default();
            layers.first().map(|top| top.to_string_lossy().into_owned()).unwrap_or_default()
        }
        MountKind::Bind | MountKind::Tmpfs => one.point.source.clone(),
    };
    let driver = |one: &Wanted| match one.point.kind {
        MountKind::Volume => inner.volumes.get(&one.point.name).map_or(one.driver.clone(), |v| v.driver.clone()),
        _ => one.point.driver.clone(),
    };
    wanted.iter().map(|one| MountPoint { source: source(one), driver: driver(one), ..one.point.clone() }).collect()
}

/// Mounts of the containers that `--volumes-from` names, with whether they become read-only.
fn volumes_from(inner: &Inner, host: &wharf_api::container::HostConfig) -> Result<Vec<(MountPoint, bool)>> {
    let mut all = Vec::new();
    for text in host.volumes_from.iter().flatten() {
        if text.is_empty() {
            return Err(Error::InvalidParameter("volumes-from specification cannot be an empty string".into()));
        }
        let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
        let read_only = match mode {
            "ro" => true,
            "rw" | "z" | "Z" | "" => false,
            _ => return Err(Error::InvalidParameter(format!("invalid mode: {mode}"))),
        };
        // Docker takes it for a mistake in the declaration, not for a missing object
        let other = inner.index.resolve(name).map_err(|e| Error::InvalidParameter(e.to_string()))?.container();
        all.extend(other.mounts.iter().map(|point| (point.clone(), read_only)));
    }
    Ok(all)
}

fn check_platform(image: &wharf_spec::platform::Platform, wanted: Option<&str>, name: &str) -> Result<()> {
    let Some(wanted) = wanted.filter(|w| !w.is_empty()) else { return Ok(()) };
    let wanted: wharf_spec::platform::Platform = wanted.parse().map_err(|e| Error::InvalidParameter(format!("{e}")))?;
    if image.satisfies(&wanted) {
        return Ok(());
    }
    Err(Error::NotFound(format!(
        "image with reference {name} was found but does not provide the specified platform ({wanted})"
    )))
}

fn platform_warning(platform: &wharf_spec::platform::Platform) -> String {
    format!(
        "The requested image's platform ({platform}) does not match the detected host platform ({}) and no specific platform was requested",
        wharf_spec::platform::Platform::host()
    )
}

/// Does an image want another machine?
trait PlatformDiffers {
    fn platform_differs(&self) -> bool;
}

impl PlatformDiffers for wharf_store::Image {
    fn platform_differs(&self) -> bool {
        let host = wharf_spec::platform::Platform::host();
        self.config().is_ok_and(|c| !c.architecture.is_empty() && c.architecture != host.architecture)
    }
}
