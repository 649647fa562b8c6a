//! The domain: containers, execs, images, networks, volumes, events; a typed async API.
//!
//! ```text
//!   http ──► Engine (facade: containers, execs, images, networks, volumes, system)
//!               │  resolve a name or prefix in the index, then send a Command
//!               ▼
//!            container/actor: one task owns one container ──► Event (bus), watch snapshot (readers)
//!               │ start = undo stack of steps
//!               ▼
//!            oci (Config + HostConfig → OCI Spec) ──► runtime::plan ──► shim::client ──► keeper ──► PID 1
//! ```
//!
//! Readers (`list`, `inspect`) look at the snapshots and never wait for an actor. Nothing here knows HTTP, JSON or terminals.

mod archive;
mod asked;
mod config;
pub mod container;
mod containers;
mod detach_keys;
mod error;
mod events;
mod exec_registry;
mod execs;
mod filters;
mod images;
mod index;
mod list;
mod live;
mod logs;
mod machine;
mod names;
mod networks;
mod oci;
mod open;
mod pattern;
mod registries;
mod runtimes;
mod signals;
mod stats;
mod stream;
mod system;
mod top;
mod users;
mod volumes;

pub use archive::{ExtractOptions, PathStat};
pub use asked::*;
pub use config::{Config, Dns, Firewall, Gate, NetworkConfig};
pub use error::{Error, Result};
pub use execs::*;
pub use filters::Filters;
pub use images::*;
pub use networks::*;
pub use runtimes::{RESERVED as RESERVED_RUNTIMES, Runtime};
pub use stats::{LinkStats, Stats};
pub use stream::{ByteFeed, ByteSink, ByteSource, ByteStream};
pub use system::*;
pub use volumes::*;
pub use wharf_net::Subnet;
pub use wharf_registry::client::{Credentials, Found};
pub use wharf_spec::platform::Platform;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use wharf_cgroup::{CgroupPath, Hierarchy};
use wharf_net::Networks;
use wharf_shim::client::Template;
use wharf_spec::capability::CapabilitySet;
use wharf_spec::id::ContainerId;
use wharf_state::Db;
use wharf_store::Store;
use wharf_volume::Volumes;

/// The engine; clones share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// What all parts of an engine share.
struct Inner {
    config: Config,
    db: Db,
    index: index::Index,
    bus: events::Bus,
    execs: exec_registry::Execs,
    store: Store,
    networks: Networks,
    volumes: Volumes,
    registries: registries::Registries,
    /// What a reload changes.
    live: std::sync::RwLock<Arc<live::Live>>,
    hierarchy: Hierarchy,
    abilities: oci::limits::Abilities,
    template: Template,
    /// Kernel release: major, minor.
    kernel: (u32, u32),
    /// Capabilities that this process has and can give to containers.
    capabilities: CapabilitySet,
    /// A UUID, kept in the data root.
    id: String,
    closing: watch::Sender<bool>,
    /// Removed containers whose folders are still to go.
    cleaning: watch::Sender<usize>,
    attach_number: AtomicU64,
    /// Held as long as the engine lives: one engine per data root.
    _lock: std::fs::File,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("data_root", &self.inner.config.data_root).finish()
    }
}

impl Engine {
    /// Opens the data root and brings the recorded world and the real one together: the same code at every boot and after a crash.
    pub async fn open(config: Config) -> Result<Engine> {
        let inner = Arc::new(open::open(config).await?);
        container::reconcile::reconcile(&inner).await?;
        tokio::spawn(return_memory(inner.bus.count(), inner.closing.subscribe()));
        Ok(Engine { inner })
    }

    /// What the daemon decided at start.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Stops serving: followers and event streams end; containers run on. Call it last.
    pub async fn close(&self) {
        /// For what was removed in the last moment; the next start finishes what takes longer.
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
        self.inner.closing.send_replace(true);
        let mut cleaning = self.inner.cleaning.subscribe();
        let _ = tokio::time::timeout(PATIENCE, cleaning.wait_for(|number| *number == 0)).await;
    }
}

/// After work is done, gives back what the allocator keeps of it and the program text that it needed: an idle engine is to be
/// small, also one whose containers run.
async fn return_memory(mut events: watch::Receiver<u64>, mut closing: watch::Receiver<bool>) {
    /// Silence after which work is taken to be over. What is given back costs the next work a few tenths of a millisecond, so not
    /// between the steps of a script.
    const QUIET: std::time::Duration = std::time::Duration::from_millis(500);
    loop {
        tokio::select! {
            () = quiet(&mut events, QUIET) => {}
            _ = async { closing.wait_for(|closing| *closing).await.is_ok() } => return,
        }
        let _ = tokio::task::spawn_blocking(|| {
            wharf_sys::memory::trim();
            wharf_sys::memory::release_text();
        })
        .await;
        if events.changed().await.is_err() {
            return;
        }
    }
}

/// Returns when nothing has happened for `pause`.
async fn quiet(events: &mut watch::Receiver<u64>, pause: std::time::Duration) {
    while let Ok(Ok(())) = tokio::time::timeout(pause, events.changed()).await {}
}

/// Runs blocking work off the reactor. The work goes on to its end even when nobody waits any more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::system("worker", error)),
    }
}

/// Runs `work` to its end whether or not anybody waits.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(Error::system("worker", e)))
}

impl Inner {
    /// The folder with all containers' folders.
    fn containers_folder(&self) -> PathBuf {
        self.config.data_root.join("containers")
    }

    /// What a container keeps over restarts.
    fn container_folder(&self, id: &ContainerId) -> PathBuf {
        self.containers_folder().join(id.as_str())
    }

    /// What it has only while it runs.
    fn run_folder(&self, id: &ContainerId) -> PathBuf {
        self.config.exec_root.join(id.as_str())
    }

    /// Where its keeper records how it ended.
    fn exit_file(&self, id: &ContainerId) -> PathBuf {
        self.container_folder(id).join("exit")
    }

    /// Its log.
    fn log_file(&self, id: &ContainerId) -> PathBuf {
        self.container_folder(id).join(format!("{id}-json.log"))
    }

    /// Memory that a container shares with those that join its IPC namespace: the run folder lies in memory already.
    fn shm_folder(&self, id: &ContainerId) -> PathBuf {
        self.run_folder(id).join("shm")
    }

    /// Its control group below every hierarchy's mount point.
    fn cgroup_path(&self, id: &ContainerId, parent: &str) -> Result<CgroupPath> {
        let parent = if parent.is_empty() { &self.config.cgroup_parent } else { parent };
        let path = if parent.ends_with(".slice") {
            CgroupPath::from_systemd(&format!("{parent}:docker:{id}"))
        } else {
            CgroupPath::new(parent).and_then(|p| p.join(id.as_str()))
        };
        path.map_err(|e| Error::InvalidParameter(e.to_string()))
    }

    /// 32 random bits.
    fn random(&self) -> u32 {
        let mut bytes = [0; 4];
        fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn fresh_container_id(&self) -> ContainerId {
        loop {
            let id = ContainerId::generate(|bytes| fill(bytes));
            if self.index.get(&id).is_none() {
                return id;
            }
        }
    }

    /// A number that no attach of this daemon has had.
    fn next_attach(&self) -> u64 {
        self.attach_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells everybody what happened to a container, with its name, image and labels.
    fn container_event(&self, id: &ContainerId, action: impl Into<String>, more: &[(&str, &str)]) {
        if let Some(handle) = self.index.get(id) {
            self.event_of(&handle.container(), action, more);
        }
    }

    /// The same where the picture is at hand (the container may be gone).
    fn event_of(&self, container: &container::snapshot::Container, action: impl Into<String>, more: &[(&str, &str)]) {
        let mut attributes: BTreeMap<String, String> = container.config.labels.clone().unwrap_or_default();
        attributes.insert("image".into(), container.image_name.clone());
        attributes.insert("name".into(), container.name.clone());
        attributes.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        self.bus.publish("container", action, container.id.as_str(), attributes);
    }
}

/// Random bytes from the kernel.
fn fill(bytes: &mut [u8]) {
    let mut at = 0;
    while at < bytes.len() {
        // blocks only before the kernel's pool is first filled, and is then only interrupted by signals
        if let Ok(n) = rustix::rand::getrandom(&mut bytes[at..], rustix::rand::GetRandomFlags::empty()) {
            at += n;
        }
    }
}
