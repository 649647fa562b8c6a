//! `start`: from rows to a running process, as steps that are undone in reverse order when one fails.
//!
//! ```text
//!   ┌ namespace ─ endpoint ─ hosts file ┐
//!   │                                   ├─► document ─► plan ─► launch (template forks the keeper) ─► running
//!   └ volumes ─ /etc files ─ cgroup ────┘
//!                                     undo:  endpoint ◄─ cgroup ──► run folder
//! ```
//!
//! The two branches run side by side. Nothing is mounted on the host: the plan mounts inside the container's own namespace.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use wharf_api::container::{Config, HostConfig};
use wharf_cgroup::{Cgroup, CgroupPath};
use wharf_net::Netns;
use wharf_runtime::{CgroupView, Origin, Overlay, PlanOptions, Root, V1Controller};
use wharf_shim::client::{Error as ShimError, Events, LaunchRequest, encode_plan};
use wharf_shim::protocol::{Attach, Failure, FdRole};
use wharf_spec::id::ContainerId;
use wharf_spec::runtime::Spec;
use wharf_store::Rootfs;
use wharf_sys::failpoint;

use super::etc::{self, Resolver};
use super::handle::Live;
use super::mode::{self, Mode};
use super::network;
use super::record::Declared;
use super::snapshot::{Container, Files};
use super::{links, log, places, rootfs, sources};
use crate::oci::{self, Ground, Join};
use crate::{Error, Inner, Result, blocking, runtimes};

/// What `runc` says before its reason; clients look for parts of it.
const CREATE_FAILED: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init";

/// The part that containerd's shim says.
const FOREIGN_CREATE_FAILED: &str =
    "failed to create task for container: failed to create shim task: OCI runtime create failed";

/// Kernels from here on can do without syncing an overlay.
const VOLATILE: (u32, u32) = (5, 10);

/// A container that runs.
pub(crate) struct Started {
    pub(crate) live: Arc<Live>,
    pub(crate) events: Events,
    pub(crate) at: Timestamp,
}

/// What has to be taken back when a later step fails.
pub(crate) struct Undo {
    inner: Arc<Inner>,
    id: ContainerId,
    cgroup: Option<Arc<Cgroup>>,
}

impl Undo {
    /// Takes everything back; what does not work is logged and left for the next start of the daemon.
    pub(crate) async fn run(self) {
        let Undo { inner, id, cgroup } = self;
        blocking(move || {
            if let Some(cgroup) = cgroup {
                report(&id, "remove cgroup", cgroup.remove().map_err(|e| e.to_string()));
            }
            sources::give_back(&inner, &id);
            report(&id, "detach network", inner.networks.detach(&id).map_err(|e| e.to_string()));
            // last: when the row is gone already, this is what a next start finds the rest by
            report(&id, "remove run folder", remove_folder(&inner.run_folder(&id)));
            Ok(())
        })
        .await
        .unwrap_or_default();
    }
}

fn report(id: &ContainerId, what: &str, result: Result<(), String>) {
    if let Err(error) = result {
        tracing::error!(container = id.short(), %error, "{what}");
    }
}

fn remove_folder(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.to_string()),
        _ => Ok(()),
    }
}

/// The teardown after a run: the same as undoing its start.
pub(crate) fn teardown(inner: &Arc<Inner>, id: &ContainerId, cgroup: Option<Arc<Cgroup>>) -> Undo {
    Undo { inner: inner.clone(), id: id.clone(), cgroup }
}

/// Starts a container. After an error nothing is left of the try.
pub(crate) async fn start(
    inner: &Arc<Inner>,
    id: &ContainerId,
    declared: &Declared,
    attach: Vec<(Attach, OwnedFd)>,
) -> Result<Started> {
    let mut undo = teardown(inner, id, None);
    match steps(inner, id, declared, attach, &mut undo).await {
        Ok(started) => Ok(started),
        Err(error) => {
            undo.run().await;
            Err(error)
        }
    }
}

async fn steps(
    inner: &Arc<Inner>,
    id: &ContainerId,
    declared: &Declared,
    attach: Vec<(Attach, OwnedFd)>,
    undo: &mut Undo,
) -> Result<Started> {
    let others = Others::find(inner, declared)?;
    let (network, prepared) = tokio::join!(
        blocking({
            let (inner, id, declared) = (inner.clone(), id.clone(), declared.clone());
            move || connect(&inner, &id, &declared)
        }),
        blocking({
            let (inner, id, declared) = (inner.clone(), id.clone(), declared.clone());
            let (join, shm) = (others.join.clone(), others.shm.clone());
            move || {
                let prepared = prepare(&inner, &id, &declared, join, shm)?;
                let cgroup = prepared.cgroup.clone();
                Ok((cgroup, request(&inner, &id, &declared, prepared, attach)))
            }
        }),
    );
    // the other branch has ended, too: its part is undone by the caller
    let (cgroup, request) = prepared?;
    undo.cgroup = Some(cgroup.clone());
    let mut request = request?;
    // kept until the container is there
    let netns = network?.or(others.netns);
    failpoint::hit("engine.start.after_prepare").map_err(injected)?;
    if let Some(netns) = &netns {
        request.fds.push((FdRole::Netns, netns.descriptor()?));
    }
    // another runtime says the second half itself
    let ours = runtimes::is_ours(&declared.host_config.runtime);
    let create_failed = if ours { CREATE_FAILED } else { FOREIGN_CREATE_FAILED };
    failpoint::hit("engine.start.before_launch").map_err(injected)?;
    let writing = inner.store.snapshot_writing(id);
    let launched = inner.template.launch(request).await.map_err(|error| refused(error, create_failed))?;
    failpoint::hit("engine.start.after_launch").map_err(injected)?;
    let started = launched.init.started;
    let live =
        Live { keeper: launched.keeper, pid: started.pid, pidfd: launched.init.pidfd, cgroup, _writing: writing };
    Ok(Started { live: Arc::new(live), events: launched.events, at: timestamp(started.at) })
}

fn injected(errno: wharf_sys::Errno) -> Error {
    Error::system("fail point", errno)
}

/// The keeper's clock as ours.
pub(crate) fn timestamp(at: wharf_logs::Timestamp) -> Timestamp {
    Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Docker's sentence for a launch that did not work.
fn refused(error: ShimError, create_failed: &str) -> Error {
    match error {
        ShimError::Refused(Failure::NotFound(why)) => {
            Error::Program { exit_code: 127, message: format!("{create_failed}: {why}") }
        }
        ShimError::Refused(Failure::NotExecutable(why)) => {
            // Docker's client knows 126 by these words
            let why = if why.ends_with("is a directory") { format!("{why}: permission denied") } else { why };
            Error::Program { exit_code: 126, message: format!("{create_failed}: {why}") }
        }
        ShimError::Refused(failure) => Error::System(format!("{create_failed}: {failure}")),
        other => Error::System(format!("failed to create task for container: {}", chain(&other))),
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What comes from other containers.
struct Others {
    join: Join,
    shm: Option<PathBuf>,
    netns: Option<Netns>,
}

impl Others {
    fn find(inner: &Inner, declared: &Declared) -> Result<Others> {
        let host = &declared.host_config;
        let live = |name: &str, what: &str| -> Result<Arc<Live>> {
            let other = inner.index.resolve(name)?;
            let container = other.container();
            other.live().ok_or_else(|| {
                let status = container.state.status.as_str();
                Error::Conflict(format!(
                    "cannot join {what} of a non running container: container {} is {status}",
                    other.id
                ))
            })
        };
        let path = |live: &Live, kind: &str| PathBuf::from(format!("/proc/{}/ns/{kind}", live.pid));
        let mut join = Join::default();
        let mut shm = None;
        if let Some(name) = host.pid_mode.strip_prefix("container:") {
            join.pid = Some(path(&*live(name, "PID")?, "pid"));
        }
        if let Some(name) = host.ipc_mode.strip_prefix("container:") {
            let donor = inner.index.resolve(name)?;
            if donor.container().host_config.ipc_mode != "shareable" {
                return Err(Error::Conflict(format!(
                    "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                    donor.id
                )));
            }
            join.ipc = Some(path(&*live(name, "IPC namespace")?, "ipc"));
            shm = Some(inner.shm_folder(&donor.id));
        }
        let mut netns = None;
        if let Mode::Container(name) = mode::mode(host) {
            if let Err(error) = inner.index.resolve(&name) {
                return Err(Error::System(format!("joining network namespace of container: {error}")));
            }
            let other = live(&name, "network namespace")?;
            join.net = Some(path(&other, "net"));
            netns = Some(Netns::of_process(i32::try_from(other.pid).unwrap_or(0))?);
        }
        Ok(Others { join, shm, netns })
    }
}

/// First branch: a namespace with everything in it, and the hosts file, which needs the addresses.
fn connect(inner: &Inner, id: &ContainerId, declared: &Declared) -> Result<Option<Netns>> {
    let host = &declared.host_config;
    let path = inner.container_folder(id).join("hosts");
    let names = network::host_names(declared);
    let netns = match mode::mode(host) {
        Mode::Container(_) => return Ok(None),
        Mode::Host => {
            let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
            // with names of the user's it is a file like any other container's
            let plain = own.is_empty() || host.extra_hosts.as_ref().is_some_and(|extra| !extra.is_empty());
            let gateways = network::host_gateways(inner);
            etc::write(&path, &if plain { etc::hosts(host, &names, &[], &[], &gateways)? } else { own })?;
            None
        }
        Mode::Own(_) => Some(inner.networks.namespace()?),
    };
    let linked = links::sources(inner, declared)?;
    failpoint::hit("engine.start.after_namespace").map_err(injected)?;
    let wish = network::wish(inner, id, declared)?;
    if let Some(netns) = &netns {
        let sandbox = inner.networks.attach(id, netns, &wish).map_err(places::refused)?;
        failpoint::hit("engine.start.after_network").map_err(injected)?;
        let mut addresses = Vec::new();
        for endpoint in &sandbox.endpoints {
            addresses.extend(endpoint.ipv4.iter().chain(&endpoint.ipv6).map(|subnet| subnet.address));
        }
        let links: Vec<_> = linked.iter().filter_map(links::Seen::host_line).collect();
        etc::write(&path, &etc::hosts(host, &names, &addresses, &links, &network::host_gateways(inner))?)?;
        links::tell_receivers(inner, id, &addresses);
    }
    Ok(netns)
}

/// The files that a container has in `/etc`: its own, or those of the one whose network it shares.
fn etc_folder(inner: &Inner, id: &ContainerId, host: &HostConfig) -> Result<PathBuf> {
    match mode::mode(host) {
        Mode::Container(other) => Ok(inner.container_folder(&inner.index.resolve(&other)?.id)),
        _ => Ok(inner.container_folder(id)),
    }
}

/// What the second branch made.
struct Prepared {
    cgroup: Arc<Cgroup>,
    spec: Spec,
    root: Rootfs,
    origins: BTreeMap<PathBuf, Origin>,
}

/// Second branch: files, volumes, the document, the control group.
fn prepare(inner: &Inner, id: &ContainerId, declared: &Declared, join: Join, shm: Option<PathBuf>) -> Result<Prepared> {
    let (config, host) = (&declared.config, &declared.host_config);
    let mut root = inner.store.snapshot_rootfs(id)?;
    if host.auto_remove && inner.kernel >= VOLATILE {
        // nothing of it outlives the machine: so nothing of it has to be on the disk
        inner.store.snapshot_volatile(id, &mut root)?;
    }
    let accounts = rootfs::accounts(&inner.store, id, &root)?;
    let user = accounts.resolve(&config.user, host.group_add.as_deref().unwrap_or_default())?;
    if !matches!(config.working_dir.as_str(), "" | "/") {
        rootfs::make_folder(&inner.store, id, &root, Path::new(&config.working_dir))?;
    }
    let files = write_files(inner, id, declared)?;
    let sources = sources::prepare(inner, id, &declared.mounts)?;
    let exit_file = inner.exit_file(id);
    match std::fs::remove_file(&exit_file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::system("remove exit record", e)),
        _ => {}
    }
    let run = inner.run_folder(id);
    std::fs::create_dir_all(&run).map_err(|e| Error::system(format!("mkdir `{}`", run.display()), e))?;
    failpoint::hit("engine.start.after_files").map_err(injected)?;
    let path = inner.cgroup_path(id, &host.resources.cgroup_parent)?;
    let args = std::iter::once(declared.path.clone()).chain(declared.args.iter().cloned()).collect();
    let sources::Sources { mounts, origins, owners } = sources;
    let linked = links::sources(inner, declared)?;
    let link_env = linked.iter().flat_map(|source| source.environment(&declared.name)).collect();
    let own = ground(inner, id, (config, host), args, user, &path);
    let mut ground = Ground { files, mounts, owners, join, link_env, ..own };
    if let Some(own) = &ground.shm {
        std::fs::DirBuilder::new().recursive(true).create(own).map_err(|e| Error::system("mkdir shared memory", e))?;
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        std::fs::set_permissions(own, everybody).map_err(|e| Error::system("chmod shared memory", e))?;
    }
    ground.shm = shm.or(ground.shm);
    if let Mode::Container(other) = mode::mode(host) {
        // it goes by the name of the one whose addresses it has
        ground.hostname.clone_from(&inner.index.resolve(&other)?.container().config.hostname);
    }
    let spec = oci::spec(config, host, &ground)?;
    let mut limits = oci::limits::limits(&host.resources)?;
    limits.devices = oci::devices::rules(host)?;
    // a group that a crash left, with nobody in it, is taken over
    let cgroup = inner.hierarchy.create(&path, &limits).map_err(|e| Error::system("create cgroup", e))?;
    let prepared = Prepared { cgroup: Arc::new(cgroup), spec, root, origins };
    if let Err(errno) = failpoint::hit("engine.start.after_cgroup") {
        let _ = prepared.cgroup.remove();
        return Err(injected(errno));
    }
    Ok(prepared)
}

/// The document of a container that runs, to make another process in it.
pub(crate) fn document(
    inner: &Inner,
    container: &Container,
    user: crate::users::User,
    cgroup: &CgroupPath,
) -> Result<Spec> {
    let (config, host) = (&container.config, &container.host_config);
    let args = std::iter::once(container.path.clone()).chain(container.args.iter().cloned()).collect();
    let link_env = links::environment(inner, container);
    let ground = Ground { link_env, ..ground(inner, &container.id, (config, host), args, user, cgroup) };
    oci::spec(config, host, &ground)
}

fn ground(
    inner: &Inner,
    id: &ContainerId,
    (config, host): (&Config, &HostConfig),
    args: Vec<String>,
    user: crate::users::User,
    cgroup: &CgroupPath,
) -> Ground {
    let engine = &inner.config;
    Ground {
        hostname: if host.uts_mode == "host" { String::new() } else { config.hostname.clone() },
        args,
        user,
        files: Files::default(),
        mounts: Vec::new(),
        link_env: Vec::new(),
        cgroup: cgroup.to_string(),
        join: Join::default(),
        shm: (host.ipc_mode == "shareable").then(|| inner.shm_folder(id)),
        available: inner.capabilities,
        kernel: inner.kernel,
        seccomp_profile: engine.seccomp_profile.clone().unwrap_or_default(),
        no_new_privileges: engine.no_new_privileges,
        ulimits: engine.default_ulimits.iter().map(|(name, (soft, hard))| (name.clone(), *soft, *hard)).collect(),
        shm_size: engine.default_shm_size,
        init: host.init.unwrap_or(engine.init).then(|| engine.shim.clone()),
        owners: BTreeMap::new(),
    }
}

fn write_files(inner: &Inner, id: &ContainerId, declared: &Declared) -> Result<Files> {
    let folder = etc_folder(inner, id, &declared.host_config)?;
    let files = Files {
        resolv_conf: folder.join("resolv.conf"),
        hostname: folder.join("hostname"),
        hosts: folder.join("hosts"),
        log: PathBuf::new(),
    };
    if folder != inner.container_folder(id) {
        return Ok(files);
    }
    etc::write(&files.hostname, &format!("{}\n", declared.config.hostname))?;
    if let Mode::Container(other) = mode::mode(&declared.host_config) {
        let other = inner.container_folder(&inner.index.resolve(&other)?.id).join("resolv.conf");
        std::fs::copy(other, &files.resolv_conf).map_err(|e| Error::system("copy resolv.conf", e))?;
        return Ok(files);
    }
    let of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let host = &declared.host_config;
    let resolver = match mode::mode(host) {
        Mode::Host => Resolver::Host,
        _ if inner.networks.answers_names(&network::wish(inner, id, declared)?) => Resolver::Embedded,
        _ => Resolver::Outside,
    };
    etc::write(&files.resolv_conf, &etc::resolv_conf(&of_host, &inner.config.dns, host, resolver))?;
    Ok(files)
}

/// The plan and all descriptors but that of the network namespace, for the template.
fn request(
    inner: &Inner,
    id: &ContainerId,
    declared: &Declared,
    prepared: Prepared,
    attach: Vec<(Attach, OwnedFd)>,
) -> Result<LaunchRequest> {
    let Prepared { cgroup, mut spec, root, origins } = prepared;
    let root = runtime_root(root)?;
    let (plan, foreign) = match runtimes::find(&inner.live().runtimes, &declared.host_config.runtime)? {
        Some(runtime) => {
            sources::as_paths(&mut spec, &origins)?;
            let devices = runtimes::device_rules(&declared.host_config)?;
            let dir = inner.run_folder(id);
            let netns = !matches!(mode::mode(&declared.host_config), Mode::Host);
            (Vec::new(), Some(runtimes::bundle(runtime, &dir, spec, &root, netns, &devices)?))
        }
        None => {
            let options = PlanOptions {
                id: id.to_string(),
                bundle: inner.container_folder(id),
                root: Some(root),
                origins,
                cgroup: view(&cgroup),
                ..PlanOptions::default()
            };
            let plan =
                wharf_runtime::plan(&spec, &options).map_err(|e| Error::System(format!("{CREATE_FAILED}: {e}")))?;
            (encode_plan(&plan), None)
        }
    };
    let join = cgroup.join_fds().map_err(|e| Error::system("open cgroup", e))?;
    let mut fds: Vec<(FdRole, OwnedFd)> = join.tasks.into_iter().map(|fd| (FdRole::CgroupTasks, fd)).collect();
    fds.extend(join.unified.map(|fd| (FdRole::CgroupDir, fd)));
    let (config, host) = (&declared.config, &declared.host_config);
    let own_pids = host.pid_mode.is_empty();
    Ok(LaunchRequest {
        id: id.to_string(),
        plan,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        shared_pid: !own_pids,
        log: log::config(&host.log_config, inner.log_file(id), id, &declared.name, config)?,
        run_dir: inner.run_folder(id),
        exit_file: inner.exit_file(id),
        attach,
        fds,
        foreign,
    })
}

fn runtime_root(root: Rootfs) -> Result<Root> {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|e| Error::system("root file system", e));
    Ok(match root {
        Rootfs::Dir(path) => Root::Dir(c_string(path.as_os_str().as_bytes())?),
        Rootfs::Overlay { lower, upper, work, options } => {
            let mut overlay = Overlay::new(&lower, upper, work).map_err(|e| Error::system("root file system", e))?;
            for option in options {
                let (name, value) = option.split_once('=').map_or((option.as_str(), None), |(n, v)| (n, Some(v)));
                overlay.options.push((c_string(name.as_bytes())?, value.map(|v| c_string(v.as_bytes())).transpose()?));
            }
            Root::Overlay(overlay)
        }
    })
}

/// The container's own cgroup folders by the name of the hierarchy's mount point.
fn view(cgroup: &Cgroup) -> CgroupView {
    let depth = cgroup.path().as_path().components().count();
    let mut view = CgroupView::default();
    let unified_only = cgroup.kind() == wharf_cgroup::Kind::V2;
    for (controller, dir) in cgroup.folders() {
        if controller.is_empty() {
            view.v2 = Some(dir).filter(|_| unified_only);
            continue;
        }
        let mount_point = dir.ancestors().nth(depth).and_then(Path::file_name);
        let Some(name) = mount_point.map(|n| n.to_string_lossy().into_owned()) else { continue };
        if !view.v1.iter().any(|c| c.dir == dir) {
            view.v1.push(V1Controller { name, dir });
        }
    }
    view
}
