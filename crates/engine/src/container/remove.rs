//! `rm`: everything that a container has on the disk goes, then its rows and its name.
//!
//! Rows go first: what is left of the folders after a crash has no row and is removed at the next start. Only where anonymous
//! volumes go as well is the intent written before, because a volume without a container is nothing unusual.

use std::sync::Arc;

use wharf_spec::id::ContainerId;
use wharf_sys::failpoint;

use super::record::{self, Declared, Lived};
use super::snapshot::{MountKind, MountPoint};
use crate::{Error, Inner, Result, blocking};

/// Removes a container that does not run.
pub(crate) async fn remove(
    inner: &Arc<Inner>,
    id: &ContainerId,
    declared: &Declared,
    lived: &mut Lived,
    volumes: bool,
) -> Result<()> {
    let injected = |errno| Error::system("fail point", errno);
    let anonymous = volumes && declared.mounts.iter().any(|m| m.kind == MountKind::Volume);
    if anonymous {
        (lived.removing, lived.removing_volumes) = (true, true);
        record::save_lived(&inner.db, id, lived).await?;
        failpoint::hit("engine.remove.after_intent").map_err(injected)?;
        clean(inner, id, &declared.mounts, true).await;
        failpoint::hit("engine.remove.after_clean").map_err(injected)?;
        record::delete(&inner.db, id).await?;
        failpoint::hit("engine.remove.after_rows").map_err(injected)
    } else {
        record::delete(&inner.db, id).await?;
        failpoint::hit("engine.remove.after_rows").map_err(injected)?;
        clean(inner, id, &declared.mounts, false).await;
        failpoint::hit("engine.remove.after_clean").map_err(injected)
    }
}

/// Removes what lies on the disk; what does not work is logged and tried again at the next start.
pub(crate) async fn clean(inner: &Arc<Inner>, id: &ContainerId, mounts: &Arc<Vec<MountPoint>>, volumes: bool) {
    let (inner, id, mounts) = (inner.clone(), id.clone(), mounts.clone());
    let done = blocking(move || {
        clean_now(&inner, &id, &mounts, volumes);
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
