//! The client: one registry, one repository, its manifests and blobs.
