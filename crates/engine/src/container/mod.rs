//! A container: what readers see, its state machine, the task that owns it.

pub mod snapshot;
pub mod state;
