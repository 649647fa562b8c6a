//! The files of whole volumes: archives, copies, snapshots. None of this is Docker's.
//!
//! Each operation is a task of its own, so that a client that goes away leaves a whole volume or none; where it asks for
//! consistency, the running containers that use the volume are paused for as long as its files are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use wharf_volume::Snapshot as VolumeSnapshot;

use super::{CreateVolume, Volume};
use crate::container::handle::Handle;
use crate::container::still::Still;
use crate::{ByteSink, ByteSource, ByteStream, Engine, Inner, Result, blocking, to_the_end};

/// Everybody who has the volume.
fn users(inner: &Inner, name: &str) -> Vec<Arc<Handle>> {
    let users = inner.volumes.users(name).into_iter();
    users.filter_map(|user| user.parse().ok()).filter_map(|id| inner.index.get(&id)).collect()
}

/// Stops the work when whoever asked for it is gone.
struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn asked() -> (Asked, impl Fn() -> wharf_volume::Result<()> + Send + 'static) {
    let gone = Arc::new(AtomicBool::new(false));
    let check = {
        let gone = gone.clone();
        move || match gone.load(Ordering::Relaxed) {
            true => Err(wharf_volume::Error::Conflict("cancelled: the client has gone".into())),
            false => Ok(()),
        }
    };
    (Asked(gone), check)
}

impl Engine {
    /// Runs `work` on the volume `name`, which containers do not change meanwhile when `pause` is set.
    async fn with_volume<T: Send + 'static>(
        &self,
        name: &str,
        pause: bool,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.inner.volumes.get(name)?;
        let (inner, name) = (self.inner.clone(), name.to_owned());
        to_the_end(async move {
            let still = if pause { Still::all(users(&inner, &name)).await? } else { Still::default() };
            let world = inner.clone();
            let done = blocking(move || work(&world)).await;
            still.end().await;
            done
        })
        .await
    }

    /// All files of a volume as a tar.
    pub async fn volume_export(&self, name: &str, pause: bool) -> Result<ByteStream> {
        let volume = self.inner.volumes.get(name)?;
        let (mut sink, stream) = ByteSink::channel();
        let engine = self.clone();
        tokio::spawn(async move {
            let of_work = volume.name.clone();
            let done = engine
                .with_volume(&volume.name, pause, move |inner| {
                    let result = inner.volumes.export(&of_work, &mut sink, &|| Ok(()));
                    if let Err(error) = result {
                        sink.fail(std::io::Error::other(error.to_string()));
                    }
                    Ok(())
                })
                .await;
            match done {
                Ok(()) => engine.inner.volume_event("export", &volume.name, &volume.driver),
                // dropping the sink without its end would look like a short archive, which clients notice
                Err(error) => tracing::error!(volume = volume.name, %error, "export"),
            }
        });
        Ok(stream)
    }

    /// Makes a volume of a tar (compressed or not). One that is there must be empty, unless `replace` is set.
    pub async fn volume_import(&self, request: CreateVolume, replace: bool, source: ByteSource) -> Result<Volume> {
        let (inner, request) = (self.inner.clone(), request.request());
        to_the_end(blocking(move || {
            let (volume, new) = inner.volumes.import(request, source, replace, &|| Ok(()))?;
            inner.volume_event(if new { "create" } else { "import" }, &volume.name, &volume.driver);
            inner.volume_in_full(&volume)
        }))
        .await
    }

    /// A new volume with the files of another.
    pub async fn volume_clone(&self, name: &str, request: CreateVolume, pause: bool) -> Result<Volume> {
        let (_asked, check) = asked();
        let (source, request) = (name.to_owned(), request.request());
        self.with_volume(name, pause, move |inner| {
            let volume = inner.volumes.clone_volume(&source, request, &check)?;
            inner.volume_event("create", &volume.name, &volume.driver);
            inner.volume_in_full(&volume)
        })
        .await
    }

    /// Another name for a volume that nobody uses.
    pub async fn volume_rename(&self, name: &str, new: &str) -> Result<Volume> {
        let (old, new) = (name.to_owned(), new.to_owned());
        self.with_volume(name, false, move |inner| {
            let volume = inner.volumes.rename(&old, &new)?;
            let attributes = [("driver".to_owned(), volume.driver.clone()), ("oldName".to_owned(), old)];
            inner.bus.publish("volume", "rename", &volume.name, attributes.into());
            inner.volume_in_full(&volume)
        })
        .await
    }

    /// Keeps a copy of the files as they are now; answers its name (the time, when none is given).
    pub async fn volume_snapshot(&self, name: &str, snapshot: &str, pause: bool) -> Result<String> {
        let (_asked, check) = asked();
        let snapshot = match snapshot {
            "" => jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S.%3fZ").to_string(),
            name => name.to_owned(),
        };
        let volume = name.to_owned();
        self.with_volume(name, pause, move |inner| {
            inner.volumes.snapshot(&volume, &snapshot, &check)?;
            Ok(snapshot)
        })
        .await
    }

    /// The copies that a volume has, by name.
    pub async fn volume_snapshots(&self, name: &str) -> Result<Vec<VolumeSnapshot>> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || Ok(inner.volumes.snapshots(&name)?)).await
    }

    /// Removes a copy.
    pub async fn volume_snapshot_remove(&self, name: &str, snapshot: &str) -> Result<()> {
        let (volume, snapshot) = (name.to_owned(), snapshot.to_owned());
        self.with_volume(name, false, move |inner| Ok(inner.volumes.snapshot_remove(&volume, &snapshot)?)).await
    }

    /// Makes the files what they were at a snapshot. No running container may use the volume.
    pub async fn volume_restore(&self, name: &str, snapshot: &str) -> Result<()> {
        let (_asked, check) = asked();
        let (volume, snapshot) = (name.to_owned(), snapshot.to_owned());
        self.with_volume(name, false, move |inner| Ok(inner.volumes.restore(&volume, &snapshot, &check)?)).await
    }
}
