//! A container: what readers see, its state machine, the task that owns it.
//!
//! | module | owns |
//! | --- | --- |
//! | `snapshot`, `picture` | what readers see, and how it is made of rows |
//! | `state` | the states and what leads from one to another |
//! | `actor`, `handle` | the task that owns a container; commands to it |
//! | `declare`, `merge`, `mounts`, `log`, `network` | the declaration: checked, completed, parsed |
//! | `create`, `start`, `kill`, `update`, `remove` | what is done to it |
//! | `etc`, `rootfs` | files of its own, files in its root |
//! | `record`, `reconcile` | rows; rows against the real world at the daemon's start |

pub(crate) mod actor;
pub(crate) mod create;
pub(crate) mod declare;
mod etc;
pub(crate) mod handle;
mod kill;
pub(crate) mod log;
mod merge;
mod mounts;
pub(crate) mod network;
mod picture;
pub(crate) mod reconcile;
pub(crate) mod record;
mod remove;
mod restart;
pub(crate) mod rootfs;
pub mod snapshot;
pub(crate) mod start;
pub mod state;
mod update;

pub(crate) use merge::merge_for_commit;
