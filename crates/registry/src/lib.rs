//! Registries of images, as the OCI distribution specification 1.1 has them.
//!
//! `client` reaches the registries of others; it knows neither the store nor the engine: blobs go through it as streams.

pub mod client;
