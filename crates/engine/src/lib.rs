//! The domain: containers, execs, images, networks, volumes, events; a typed async API.
//!
//! ```text
//!   http ──► Engine (facade: containers, execs, images, networks, volumes, system)
//!               │  resolve a name or prefix in the index, then send a Command
//!               ▼
//!            container/actor: one task owns one container ──► Event (bus), watch snapshot (readers)
//!               │ start = undo stack of steps
//!               ▼
//!            spec (Config + HostConfig → OCI Spec) ──► runtime::plan ──► shim::client ──► keeper ──► PID 1
//! ```
//!
//! Readers (`list`, `inspect`) look at the snapshots and never wait for an actor. Nothing here knows HTTP, JSON or terminals.

mod config;
pub mod container;
mod containers;
mod detach_keys;
mod error;
mod events;
mod execs;
mod filters;
mod images;
mod names;
mod networks;
mod signals;
mod stream;
mod system;
mod top;
mod users;
mod volumes;

pub use config::{Config, Dns};
pub use containers::*;
pub use error::{Error, Result};
pub use execs::*;
pub use filters::Filters;
pub use images::*;
pub use networks::*;
pub use stream::{ByteFeed, ByteSink, ByteSource, ByteStream};
pub use system::*;
pub use volumes::*;

use std::sync::Arc;

/// The engine; clones share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// What all parts of an engine share.
struct Inner {
    config: Config,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("data_root", &self.inner.config.data_root).finish()
    }
}

impl Engine {
    /// Opens the data root and brings the recorded world and the real one together: the same code at every boot and after a crash.
    pub async fn open(config: Config) -> Result<Engine> {
        Ok(Engine { inner: Arc::new(Inner { config }) })
    }

    /// What the daemon decided at start.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Stops serving: followers and event streams end; containers run on. Call it last.
    pub async fn close(&self) {}
}

/// The answer of everything whose body is still to come.
pub(crate) fn pending<T>(what: &str) -> Result<T> {
    Err(Error::NotImplemented(format!("{what} is not implemented")))
}
