//! `start`: from rows to a running process, as steps that are undone in reverse order when one fails.
//!
//! ```text
//!   ┌ namespace ─ endpoint ─ hosts file ─────────┐
//!   ├ volumes ─ /etc files ─ document ─ plan ────┼─► launch (template forks the keeper) ─► running
//!   └ cgroup ────────────────────────────────────┘
//!                                     undo:  endpoint ◄─ cgroup ──► run folder
//! ```
//!
//! The branches ([`super::prepare`]) run side by side. Nothing is mounted on the host: the plan mounts inside the container's own
//! namespace.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use wharf_cgroup::Cgroup;
use wharf_net::Netns;
use wharf_shim::client::{Error as ShimError, Events};
use wharf_shim::protocol::{Attach, Failure, FdRole};
use wharf_spec::id::ContainerId;
use wharf_sys::failpoint;

use super::handle::Live;
use super::mode::{self, Mode};
use super::prepare::CREATE_FAILED;
use super::record::Declared;
use super::{prepare, sources};
use crate::oci::Join;
use crate::{Error, Inner, Result, blocking, runtimes};

/// The part that containerd's shim says.
const FOREIGN_CREATE_FAILED: &str =
    "failed to create task for container: failed to create shim task: OCI runtime create failed";

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
    let (network, request, group) = tokio::join!(
        blocking({
            let (inner, id, declared) = (inner.clone(), id.clone(), declared.clone());
            move || prepare::connect(&inner, &id, &declared)
        }),
        blocking({
            let (inner, id, declared) = (inner.clone(), id.clone(), declared.clone());
            let (join, shm) = (others.join.clone(), others.shm.clone());
            move || prepare::request(&inner, &id, &declared, join, shm, attach)
        }),
        blocking({
            let (inner, id, declared) = (inner.clone(), id.clone(), declared.clone());
            move || prepare::cgroup(&inner, &id, &declared)
        }),
    );
    // all branches have ended: what they made is undone by the caller
    undo.cgroup = group.as_ref().ok().map(|group| group.cgroup.clone());
    let (prepare::Group { cgroup, join }, network) = match (group, network) {
        (Ok(group), Ok(network)) => (group, network),
        (Err(error), _) | (_, Err(error)) => {
            // with it goes a root, which may wait for the disk
            blocking(move || request.map(drop)).await?;
            return Err(error);
        }
    };
    let mut request = request?;
    request.fds.extend(join);
    // kept until the container is there
    let netns = network.or(others.netns);
    failpoint::hit("engine.start.after_prepare").map_err(Error::injected)?;
    if let Some(netns) = &netns {
        request.fds.push((FdRole::Netns, netns.descriptor()?));
    }
    // another runtime says the second half itself
    let ours = runtimes::is_ours(&declared.host_config.runtime);
    let create_failed = if ours { CREATE_FAILED } else { FOREIGN_CREATE_FAILED };
    failpoint::hit("engine.start.before_launch").map_err(Error::injected)?;
    let writing = inner.store.snapshot_writing(id);
    let launched = inner.template.launch(request).await.map_err(|error| refused(error, create_failed))?;
    failpoint::hit("engine.start.after_launch").map_err(Error::injected)?;
    let started = launched.init.started;
    let live =
        Live { keeper: launched.keeper, pid: started.pid, pidfd: launched.init.pidfd, cgroup, _writing: writing };
    Ok(Started { live: Arc::new(live), events: launched.events, at: timestamp(started.at) })
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
