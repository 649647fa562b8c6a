//! Planning of mounts.
