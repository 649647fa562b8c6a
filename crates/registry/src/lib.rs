//! Registries of images, as the OCI distribution specification 1.1 has them.
//!
//! `client` reaches the registries of others; it knows neither the store nor the engine: blobs go through it as streams.
//! `server` is a registry of one's own, in one folder.

pub mod client;
pub mod server;
