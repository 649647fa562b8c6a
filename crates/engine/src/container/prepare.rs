//! What a start makes before there is a process: three branches that know nothing of each other.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wharf_api::container::{Config, HostConfig};
use wharf_cgroup::{Cgroup, CgroupPath};
use wharf_net::Netns;
use wharf_runtime::{CgroupView, Overlay, PlanOptions, Root};
use wharf_shim::client::{LaunchRequest, encode_plan};
use wharf_shim::protocol::{Attach, FdRole};
use wharf_spec::id::ContainerId;
use wharf_spec::runtime::Spec;
use wharf_store::Rootfs;
use wharf_sys::failpoint;

use super::etc::{self, Resolver};
use super::mode::{self, Mode};
use super::network;
use super::record::Declared;
use super::snapshot::{Container, Files};
use super::{links, log, places, rootfs, sources};
use crate::oci::{self, Ground, Join};
use crate::{Error, Inner, Result, runtimes};

/// What `runc` says before its reason; clients look for parts of it.
pub(super) const CREATE_FAILED: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init";

/// Kernels from here on can do without syncing an overlay.
const VOLATILE: (u32, u32) = (5, 10);

/// First branch: a namespace with everything in it, and the hosts file, which needs the addresses.
pub(super) fn connect(inner: &Inner, id: &ContainerId, declared: &Declared) -> Result<Option<Netns>> {
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
    failpoint::hit("engine.start.after_namespace").map_err(Error::injected)?;
    let wish = network::wish(inner, id, declared)?;
    if let Some(netns) = &netns {
        let sandbox = inner.networks.attach(id, netns, &wish).map_err(places::refused)?;
        failpoint::hit("engine.start.after_network").map_err(Error::injected)?;
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

/// Second branch: files, volumes, the document, and the request with all descriptors but those of the network and the cgroup.
pub(super) fn request(
    inner: &Inner,
    id: &ContainerId,
    declared: &Declared,
    join: Join,
    shm: Option<PathBuf>,
    attach: Vec<(Attach, OwnedFd)>,
) -> Result<LaunchRequest> {
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
    let sources::Sources { mounts, origins, owners } = sources::prepare(inner, id, &declared.mounts)?;
    let exit_file = inner.exit_file(id);
    match std::fs::remove_file(&exit_file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::system("remove exit record", e)),
        _ => {}
    }
    let run = inner.run_folder(id);
    std::fs::create_dir_all(&run).map_err(|e| Error::system(format!("mkdir `{}`", run.display()), e))?;
    failpoint::hit("engine.start.after_files").map_err(Error::injected)?;
    let path = inner.cgroup_path(id, &host.resources.cgroup_parent)?;
    let args = std::iter::once(declared.path.clone()).chain(declared.args.iter().cloned()).collect();
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
    let mut spec = oci::spec(config, host, &ground)?;
    let root = runtime_root(root)?;
    let mut fds = Vec::new();
    let (plan, foreign) = match runtimes::find(&inner.live().runtimes, &host.runtime)? {
        Some(runtime) => {
            sources::as_paths(&mut spec, &origins)?;
            let devices = runtimes::device_rules(host)?;
            let netns = !matches!(mode::mode(host), Mode::Host);
            (Vec::new(), Some(runtimes::bundle(runtime, &run, spec, &root, netns, &devices)?))
        }
        None => {
            let options = PlanOptions {
                id: id.to_string(),
                bundle: inner.container_folder(id),
                root: Some(root),
                origins,
                cgroup: CgroupView::of(&inner.hierarchy, &path),
                ..PlanOptions::default()
            };
            let plan =
                wharf_runtime::plan(&spec, &options).map_err(|e| Error::System(format!("{CREATE_FAILED}: {e}")))?;
            // by us, while others make the rest
            let root = plan.root.as_ref().map(wharf_runtime::open_root).transpose();
            let root = root.map_err(|e| Error::System(format!("{CREATE_FAILED}: {e}")))?;
            fds.extend(root.map(|root| (FdRole::Root, root)));
            (encode_plan(&plan), None)
        }
    };
    let own_pids = host.pid_mode.is_empty();
    Ok(LaunchRequest {
        id: id.to_string(),
        plan,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        shared_pid: !own_pids,
        log: log::config(&host.log_config, inner.log_file(id), id, &declared.name, config)?,
        run_dir: run,
        exit_file,
        attach,
        fds,
        foreign,
    })
}

/// What the third branch made.
pub(super) struct Group {
    pub(super) cgroup: Arc<Cgroup>,
    /// By which it is entered.
    pub(super) join: Vec<(FdRole, OwnedFd)>,
}

/// Third branch: the control group.
pub(super) fn cgroup(inner: &Inner, id: &ContainerId, declared: &Declared) -> Result<Group> {
    let host = &declared.host_config;
    let path = inner.cgroup_path(id, &host.resources.cgroup_parent)?;
    let mut limits = oci::limits::limits(&host.resources)?;
    limits.devices = oci::devices::rules(host)?;
    // a group that a crash left, with nobody in it, is taken over
    let cgroup = inner.hierarchy.create(&path, &limits).map_err(|e| Error::system("create cgroup", e))?;
    let opened = failpoint::hit("engine.start.after_cgroup")
        .map_err(Error::injected)
        .and_then(|()| cgroup.join_fds().map_err(|e| Error::system("open cgroup", e)));
    let join = opened.inspect_err(|_| {
        let _ = cgroup.remove();
    })?;
    let tasks = join.tasks.into_iter().map(|fd| (FdRole::CgroupTasks, fd));
    let join = tasks.chain(join.unified.map(|fd| (FdRole::CgroupDir, fd))).collect();
    Ok(Group { cgroup: Arc::new(cgroup), join })
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
