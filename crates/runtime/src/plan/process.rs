//! Planning of process.
