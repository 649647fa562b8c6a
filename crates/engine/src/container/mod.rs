//! A container: what readers see, its state machine, the task that owns it.

mod restart;
pub mod snapshot;
pub mod state;
