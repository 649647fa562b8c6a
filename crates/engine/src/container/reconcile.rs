//! The daemon's start: rows (what should be) against keepers, exit records and folders (what is).
//!
//! ```text
//!   row says         keeper answers            exit record   →
//!   removing         (killed)                  –               finish the removal
//!   any              running                   –               adopt it as it is: same PID, nothing restarted
//!   any              ended                     –               take the exit from it
//!   running, paused  no                        yes             take the exit from the record
//!   running, paused  no                        no              exit 255: the machine went down
//!   other            no                        –               as it was
//! ```
//!
//! Then: leftovers without a row go (snapshots, folders, keepers), the network world is told who lives, and restart policies
//! have their say. The same code runs after a crash, an upgrade and at every boot, any number of times.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use wharf_net::{Live as LiveNetwork, Netns};
use wharf_shim::client::Keeper;
use wharf_shim::protocol::{self, ExitRecord};
use wharf_spec::id::ContainerId;

use super::actor::{self, Running};
use super::handle::{Command, Handle, Live};
use super::record::{self, Declared, Lived, Outlives};
use super::snapshot::MountKind;
use super::state::{Exit, Status};
use super::{declare, places, remove, start};
use crate::{Error, Inner, Result, blocking};

/// Exit code of a container whose end nobody saw, as in Docker.
const UNSEEN: i32 = 255;

/// Reads the record that a keeper left; `None` when there is no complete one.
pub(crate) fn exit_record(path: &Path) -> Option<protocol::Exit> {
    let text = std::fs::read_to_string(path).ok()?;
    ExitRecord::decode(&text).map(|record| record.exit)
}

/// A container after reconciliation, and whether its restart policy is to be asked.
struct Found {
    id: ContainerId,
    declared: Declared,
    lived: Lived,
    running: Option<Running>,
    changed: bool,
}

/// Brings everything together.
pub(crate) async fn reconcile(inner: &Arc<Inner>) -> Result<()> {
    let rows = record::load(&inner.db)?;
    let known: HashSet<ContainerId> = rows.iter().map(|(id, ..)| id.clone()).collect();
    for (id, declared, _) in &rows {
        for point in declared.mounts.iter().filter(|m| m.kind == MountKind::Volume) {
            inner.volumes.acquire(&point.name, id.as_str());
        }
    }
    let mut found = Vec::new();
    for (id, declared, lived) in rows {
        if lived.removing {
            finish_removal(inner, &id, &declared, &lived).await;
            continue;
        }
        let taken = inner.index.reserve(Some(&declared.name), &id, || 0);
        if let Err(error) = taken {
            // two rows with one name: only possible when a row was edited by hand
            tracing::error!(container = id.short(), %error, "name");
        }
        found.push(look(inner, id, declared, lived).await?);
    }
    leftovers(inner, &known).await?;
    let volumes = inner.volumes.clone();
    blocking(move || {
        volumes.settle();
        Ok(())
    })
    .await?;
    let live = found.iter().filter_map(|f| live_network(&f.id, f.running.as_ref()?)).collect::<Vec<_>>();
    let world = inner.clone();
    blocking(move || Ok(world.networks.reconcile(&live)?)).await?;
    for one in &found {
        if let Some(running) = &one.running {
            let (world, id, declared, pid) = (inner.clone(), one.id.clone(), one.declared.clone(), running.live.pid);
            blocking(move || {
                places::agree(&world, &id, &declared, pid);
                Ok(())
            })
            .await?;
        }
    }
    let mut again = Vec::new();
    for Found { id, declared, lived, running, changed } in found {
        if changed {
            record::save_lived(&inner.db, &id, &lived, Outlives::of(&declared)).await?;
        }
        let policy = declare::restart_policy(&declared.host_config)?;
        let stands_still = running.is_none();
        let remove = stands_still && declared.host_config.auto_remove && lived.state.started_at.is_some();
        let start = stands_still
            && !remove
            && lived.state.started_at.is_some()
            && policy.at_daemon_start(lived.stopped_by_user, lived.state.exit_code);
        let handle = actor::adopt(inner, id, declared, lived, running);
        if remove || start {
            again.push((handle, remove));
        }
    }
    for (handle, remove) in again {
        tokio::spawn(follow_up(handle, remove));
    }
    Ok(())
}

/// What the policies say about a container that stands still.
async fn follow_up(handle: Arc<Handle>, remove: bool) {
    let done = if remove {
        let options = crate::RemoveOptions { volumes: true, ..crate::RemoveOptions::default() };
        handle.ask(|reply| Command::Remove(options, reply)).await
    } else {
        handle.ask(Command::Start).await
    };
    if let Err(error) = done {
        tracing::warn!(container = handle.id.short(), %error, "restart policy at the daemon's start");
    }
}

/// Finds out how one container is.
async fn look(inner: &Arc<Inner>, id: ContainerId, declared: Declared, mut lived: Lived) -> Result<Found> {
    let folder = inner.run_folder(&id);
    let mut exit = None;
    if let Ok((keeper, events)) = Keeper::connect(&folder).await {
        match keeper.snapshot().await {
            Ok((snapshot, Some(pidfd))) if snapshot.exit.is_none() => {
                let path = inner.cgroup_path(&id, &declared.host_config.resources.cgroup_parent)?;
                let cgroup = inner.hierarchy.open(&path).map_err(|e| Error::system("open cgroup", e))?;
                let still = std::mem::take(&mut lived.stands_still);
                if still {
                    cgroup.thaw().map_err(|e| Error::system("thaw a container that stood still", e))?;
                    lived.state.status = Status::Running;
                }
                let paused = lived.state.status == Status::Paused;
                let changed = still || !lived.state.status.is_alive() || lived.state.pid != snapshot.init.pid;
                if changed {
                    lived.state.started(snapshot.init.pid, start::timestamp(snapshot.init.at));
                }
                if paused {
                    lived.state.status = Status::Paused;
                }
                for point in declared.mounts.iter().filter(|m| m.kind == MountKind::Volume) {
                    inner.volumes.adopt_mount(&point.name, id.as_str());
                }
                let writing = inner.store.snapshot_writing(&id);
                let cgroup = Arc::new(cgroup);
                let live = Live { keeper, pid: snapshot.init.pid, pidfd, cgroup, _writing: writing };
                let live = Arc::new(live);
                return Ok(Found { id, declared, lived, running: Some(Running { live, events }), changed });
            }
            Ok((snapshot, _)) => exit = snapshot.exit,
            // it went away while we asked: its record tells
            Err(_) => {}
        }
    }
    let believed = lived.state.status.is_running();
    // a start that was under way when the daemon died may have left a record beside a row that knows nothing of it
    let exit = exit.or_else(|| exit_record(&inner.exit_file(&id)).filter(|e| is_news(e, &lived)));
    let changed = believed || exit.is_some();
    if changed {
        let at = exit.map_or_else(Timestamp::now, |e| start::timestamp(e.at));
        let code = exit.map_or(UNSEEN, |e| e.code);
        let world = inner.clone();
        let path = inner.cgroup_path(&id, &declared.host_config.resources.cgroup_parent)?;
        let oom_killed =
            blocking(move || Ok(world.hierarchy.open(&path).is_ok_and(|c| c.oom_kills().unwrap_or(0) > 0))).await?;
        lived.state.started_at.get_or_insert(at);
        lived.state.exited(Exit { code, oom_killed, at }, false);
    }
    clear_away(inner, &id, &declared).await?;
    Ok(Found { id, declared, lived, running: None, changed })
}

/// Does the record tell of a run that ended after the last one we know of?
fn is_news(exit: &protocol::Exit, lived: &Lived) -> bool {
    lived.state.finished_at.is_none_or(|known| start::timestamp(exit.at) > known)
}

/// What a container that does not run may have left: processes, cgroup, run folder. (Its endpoints go with `reconcile` of the
/// network world.)
async fn clear_away(inner: &Arc<Inner>, id: &ContainerId, declared: &Declared) -> Result<()> {
    let path = inner.cgroup_path(id, &declared.host_config.resources.cgroup_parent)?;
    let (world, id) = (inner.clone(), id.clone());
    blocking(move || {
        let folder = world.run_folder(&id);
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(container = id.short(), error = %e, "remove run folder");
            }
            _ => {}
        }
        if let Ok(cgroup) = world.hierarchy.open(&path) {
            let gone = cgroup.kill().and_then(|()| cgroup.remove());
            if let Err(error) = gone {
                tracing::error!(container = id.short(), %error, "remove cgroup");
            }
        }
        Ok(())
    })
    .await
}

/// A removal (or an undone create) that was under way goes on.
async fn finish_removal(inner: &Arc<Inner>, id: &ContainerId, declared: &Declared, lived: &Lived) {
    let done = async {
        clear_away(inner, id, declared).await?;
        remove::clean(inner, id, &declared.mounts, lived.removing_volumes).await;
        record::delete(&inner.db, id).await
    };
    if let Err(error) = done.await {
        tracing::error!(container = id.short(), %error, "finish removal");
    }
}

fn live_network(id: &ContainerId, running: &Running) -> Option<LiveNetwork> {
    let netns = Netns::of_process(i32::try_from(running.live.pid).ok()?).ok()?;
    Some(LiveNetwork { container: id.clone(), netns })
}

/// Snapshots, folders and keepers of containers that no row knows.
async fn leftovers(inner: &Arc<Inner>, known: &HashSet<ContainerId>) -> Result<()> {
    let (world, known) = (inner.clone(), known.clone());
    blocking(move || {
        for id in world.store.snapshots().into_iter().filter(|id| !known.contains(id)) {
            tracing::info!(container = id.short(), "removing what is left of a container");
            remove::clean_now(&world, &id, &[], false);
        }
        for parent in [world.containers_folder(), world.config.exec_root.clone()] {
            for entry in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
                let id = entry.file_name().to_str().and_then(|name| name.parse::<ContainerId>().ok());
                let Some(id) = id.filter(|id| !known.contains(id)) else { continue };
                tracing::info!(container = id.short(), "removing what is left of a container");
                if let Ok(cgroup) = world
                    .cgroup_path(&id, "")
                    .and_then(|p| world.hierarchy.open(&p).map_err(|e| Error::system("open", e)))
                {
                    let gone = cgroup.kill().and_then(|()| cgroup.remove());
                    if let Err(error) = gone {
                        tracing::error!(container = id.short(), %error, "remove cgroup");
                    }
                }
                remove::clean_now(&world, &id, &[], false);
            }
        }
        Ok(())
    })
    .await
}
