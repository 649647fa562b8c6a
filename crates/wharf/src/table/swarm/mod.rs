//! Commands and flags of clusters (the grammar; the commands answer that there is no cluster here).

mod cluster;
mod config;
mod node;
mod secret;
mod service;
mod stack;

pub(super) use cluster::SWARM;
pub(super) use config::CONFIG;
pub(super) use node::NODE;
pub(super) use secret::SECRET;
pub(super) use service::SERVICE;
pub(super) use stack::STACK;
