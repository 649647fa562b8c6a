//! `rm`: everything that a container has on the disk goes, then its rows and its name.
//!
//! Rows go first: what is left of the folders after a crash has no row and is removed at the next start. Nobody waits for the
//! disk, so a failure of the machine may bring a container back that was just removed; it comes back whole, as its folders go
//! only when its rows are gone from the disk, too. Only where anonymous volumes go as well is the intent written before,
//! because a volume without a container is nothing unusual.

use std::sync::Arc;

use tokio::task::JoinHandle;
use wharf_spec::id::ContainerId;
use wharf_sys::failpoint;

use super::record::{self, Declared, Lived, Outlives};
use super::snapshot::{MountKind, MountPoint};
use crate::{Error, Inner, Result, blocking};

/// Removes a container that does not run. `teardown`: of its last run, which may go on beside.
pub(crate) async fn remove(
    inner: &Arc<Inner>,
    id: &ContainerId,
    declared: &Declared,
    lived: &mut Lived,
    volumes: bool,
    teardown: Option<JoinHandle<()>>,
) -> Result<()> {
    inner.store.snapshot_forget(id);
    let anonymous = volumes && declared.mounts.iter().any(|m| m.kind == MountKind::Volume);
    // whoever finds no row looks for cgroups in the usual place only
    let elsewhere = !declared.host_config.resources.cgroup_parent.is_empty();
    let teardown = match teardown {
        Some(teardown) if anonymous || elsewhere => {
            torn_down(teardown).await;
            None
        }
        other => other,
    };
    if anonymous {
        (lived.removing, lived.removing_volumes) = (true, true);
        record::save_lived(&inner.db, id, lived, Outlives::of(declared)).await?;
        failpoint::hit("engine.remove.after_intent").map_err(Error::injected)?;
        clean(inner, id, &declared.mounts, true).await;
        failpoint::hit("engine.remove.after_clean").map_err(Error::injected)?;
        record::delete(&inner.db, id).await?;
        failpoint::hit("engine.remove.after_rows").map_err(Error::injected)
    } else {
        let released = async {
            if let Some(teardown) = teardown {
                torn_down(teardown).await;
            }
            release(inner, id, &declared.mounts).await;
        };
        let (deleted, ()) = tokio::join!(record::delete(&inner.db, id), released);
        deleted?;
        failpoint::hit("engine.remove.after_rows").map_err(Error::injected)?;
        clean_later(inner, id);
        Ok(())
    }
}

async fn torn_down(teardown: JoinHandle<()>) {
    let _ = teardown.await;
    let _ = failpoint::hit("engine.exit.after_teardown");
}

/// Lets go of what it shares with others: addresses and volumes can be somebody else's, or go, as soon as it is answered.
async fn release(inner: &Arc<Inner>, id: &ContainerId, mounts: &Arc<Vec<MountPoint>>) {
    let (inner, id, mounts) = (inner.clone(), id.clone(), mounts.clone());
    let done = blocking(move || {
        if let Err(error) = inner.networks.forget(&id) {
            tracing::error!(container = id.short(), %error, "forget addresses");
        }
        for point in mounts.iter().filter(|m| m.kind == MountKind::Volume) {
            inner.volumes.release(&point.name, id.as_str());
        }
        Ok(())
    });
    done.await.unwrap_or_default();
}

/// Removes its folders once its rows are gone from the disk. What the daemon does not get to, its next start does.
fn clean_later(inner: &Arc<Inner>, id: &ContainerId) {
    let (world, id) = (inner.clone(), id.clone());
    let runtime = tokio::runtime::Handle::current();
    inner.cleaning.send_modify(|number| *number += 1);
    inner.db.when_synced(move |synced| {
        let clean = move || {
            match synced {
                Ok(()) => clean_now(&world, &id, &[], false),
                Err(error) => tracing::error!(container = id.short(), %error, "its folders stay until the next start"),
            }
            let _ = failpoint::hit("engine.remove.after_clean");
            world.cleaning.send_modify(|number| *number -= 1);
        };
        drop(runtime.spawn_blocking(clean));
    });
}

/// Removes what lies on the disk; what does not work is logged and tried again at the next start.
pub(crate) async fn clean(inner: &Arc<Inner>, id: &ContainerId, mounts: &Arc<Vec<MountPoint>>, volumes: bool) {
    let (inner, id, mounts) = (inner.clone(), id.clone(), mounts.clone());
    let done = blocking(move || {
        clean_now(&inner, &id, &mounts, volumes);
        // also those that it had taken into use before it was known what it would have
        inner.volumes.release_all(id.as_str());
        Ok(())
    });
    done.await.unwrap_or_default();
}

/// The same on the calling thread.
pub(crate) fn clean_now(inner: &Inner, id: &ContainerId, mounts: &[MountPoint], volumes: bool) {
    let report = |what: &str, error: &dyn std::fmt::Display| tracing::error!(container = id.short(), %error, "{what}");
    if let Err(error) = inner.networks.forget(id) {
        report("forget addresses", &error);
    }
    if let Err(error) = inner.store.snapshot_remove(id) {
        report("remove snapshot", &error);
    }
    let _ = failpoint::hit("engine.remove.after_snapshot");
    for point in mounts.iter().filter(|m| m.kind == MountKind::Volume) {
        inner.volumes.release(&point.name, id.as_str());
        let ours = || inner.volumes.get(&point.name).is_ok_and(|v| v.is_anonymous());
        if volumes && ours() && inner.volumes.users(&point.name).is_empty() {
            match inner.volumes.remove(&point.name, true) {
                Ok(()) => {
                    inner.bus.publish(
                        "volume",
                        "destroy",
                        &point.name,
                        [("driver".to_owned(), point.driver.clone())].into(),
                    );
                }
                Err(error) => report("remove volume", &error),
            }
        }
    }
    let _ = failpoint::hit("engine.remove.after_volumes");
    for folder in [inner.container_folder(id), inner.run_folder(id)] {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => report("remove folder", &error),
            _ => {}
        }
    }
}
