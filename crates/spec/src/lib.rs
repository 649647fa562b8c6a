//! OCI documents, digests, image references, platforms, capability and syscall tables: pure data.
