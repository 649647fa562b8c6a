//! The keeper of one container, and how to talk to it.
//!
//! ```text
//!  wharfd ─ client ─► template (one, single-threaded) ─ fork ─► keeper (one per container)
//!                                                                ├─ parent and subreaper of the container
//!                                                                ├─ pipes or terminal ─► log file, attached clients
//!                                                                ├─ shim.sock: attach, exec, resize, snapshot
//!                                                                └─ exit record
//! ```
//!
//! A keeper outlives the daemon: a connection that ends means nothing to it, and a new daemon finds everything in one
//! [`protocol::Snapshot`].

pub mod keeper;
pub mod protocol;
pub mod template;
mod wire;

#[cfg(feature = "client")]
pub mod client;
