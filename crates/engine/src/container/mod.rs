//! A container: what readers see, its state machine, the task that owns it.
//!
//! | module | owns |
//! | --- | --- |
//! | `snapshot`, `picture` | what readers see, and how it is made of rows |
//! | `state` | the states and what leads from one to another |
//! | `actor`, `end`, `slots`, `handle` | the task that owns a container: commands, ends, clients of the next start; its handle |
//! | `declare`, `merge`, `mounts`, `log`, `network` | the declaration: checked, completed, parsed |
//! | `create`, `prepare`, `start`, `kill`, `update`, `remove` | what is done to it |
//! | `health` | probes at intervals and what they mean |
//! | `etc`, `rootfs`, `view` | files of its own, files in its root, all files as it sees them |
//! | `record`, `reconcile` | rows; rows against the real world at the daemon's start |

pub(crate) mod actor;
pub(crate) mod create;
pub(crate) mod declare;
mod end;
mod etc;
pub(crate) mod handle;
mod health;
mod kill;
pub(crate) mod links;
pub(crate) mod log;
mod merge;
mod mode;
pub(crate) mod mounts;
pub(crate) mod network;
mod picture;
pub(crate) mod places;
mod ports;
pub(crate) mod prepare;
pub(crate) mod reconcile;
pub(crate) mod record;
mod remove;
mod restart;
pub(crate) mod rootfs;
pub(crate) mod slots;
pub mod snapshot;
mod sources;
pub(crate) mod start;
pub mod state;
pub(crate) mod still;
mod update;
pub(crate) mod view;

pub(crate) use merge::merge_for_commit;

/// A path by which the calling thread can name what it has open.
pub(crate) fn proc_path(fd: &std::os::fd::OwnedFd) -> std::path::PathBuf {
    std::path::PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd)))
}
