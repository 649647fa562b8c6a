//! OCI documents, digests, image references, platforms, capability and syscall tables: pure data.

pub mod capability;
pub mod digest;
pub mod id;
pub mod image;
pub mod platform;
pub mod reference;
pub mod runtime;
pub mod seccomp;
