//! OCI spec to [`Plan`] (pure) and [`Plan`] to process (system calls only).
//!
//! ```text
//! Spec ──plan()──▶ Plan ──launch()──▶ Init { pid, pidfd, console }
//!                  (serialisable:      one clone3; the child in `child/` mounts, pivots, drops rights, executes;
//!                   ordered steps,     8-byte messages over one socket say where it stands, end of file means
//!                   C strings, BPF)    that the program runs)
//! Process ──plan_exec()──▶ ExecPlan ──exec()──▶ Init        the same into a running container
//! ```
//!
//! [`launch()`] and [`exec()`] want a caller with a single thread (the keeper, or the OCI command).

mod channel;
mod child;
mod error;
mod exec;
mod hooks;
mod launch;
mod limits;
mod plan;
mod root;
pub mod seccomp;

pub use error::{Error, LaunchError, LaunchErrorKind, Step};
pub use exec::{ExecFds, ExecTarget, exec};
pub use hooks::{HookError, Moment, run as run_hooks, run_list as run_hook_list};
pub use launch::{CgroupFds, Init, LaunchFds, Launching, Start, Stdio, begin, launch};
pub use limits::{limits, limits_without_devices};
pub use plan::options::KNOWN as MOUNT_OPTIONS;
pub use plan::{
    Capabilities, CgroupView, DeviceNode, ExecPlan, HookPlan, HooksPlan, IdMaps, JoinNamespace, MountSource, MountStep,
    Namespaces, Origin, Overlay, Plan, PlanOptions, ProcessPlan, Propagation, Root, SchedulerPlan, SeccompPlan,
    V1Controller, plan, plan_exec,
};
pub use root::{attach_root, open_named as open_root};
