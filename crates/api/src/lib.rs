//! Docker REST API JSON types, v1.24 to v1.51, with Go's JSON semantics.
//!
//! Pure data: what a client declares ([`container::CreateRequest`]) and what an answer says, field for field and in
//! Docker's order. See [`go`] for the rules of reading and writing.

#[macro_use]
pub mod go;
pub mod container;
pub mod exec;
pub mod image;
pub mod inspect;
pub mod mount;
pub mod network;
pub mod stats;
pub mod system;
pub mod volume;
