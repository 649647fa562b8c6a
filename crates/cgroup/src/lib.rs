//! Control groups v1, hybrid and v2: limits, statistics, freeze, kill, OOM.
//!
//! ```text
//! Hierarchy::detect ── what is mounted, probed once
//!    ├─ create(path, limits) ─▶ Cgroup   folders made, limits written, nobody inside yet
//!    └─ open(path)           ─▶ Cgroup   after a restart
//! Cgroup ── join_fds (the process enters by itself) · update · stats · freeze · kill · oom · remove
//! ```
//!
//! Nothing is ever moved between cgroups: writing a pid into `cgroup.procs` waits for an RCU grace period (≈ 12 ms).
//! A v1 hierarchy is entered by the process itself writing `0` into an already open `tasks` file, which needs no such
//! wait; the v2 hierarchy is entered at birth by `clone3(CLONE_INTO_CGROUP)`.

mod alike;
mod apply;
mod blkio;
mod cgroup;
mod convert;
mod device;
mod devices;
mod error;
mod files;
mod hierarchy;
mod kill;
mod limits;
mod make;
mod oom;
mod path;
mod remove;
mod stats;
mod v1;
mod v2;

pub use cgroup::{Cgroup, JoinFds};
pub use convert::{blkio_weight_to_io_weight, cpu_shares_to_weight, memory_swap_to_swap_max};
pub use device::{Access, DeviceKind, DeviceRule, OCI_DEFAULT_DEVICES};
pub use error::Error;
pub use hierarchy::{Hierarchy, Kind};
pub use limits::{
    BlockIo, Cpu, HugetlbLimit, InterfacePriority, Limits, Memory, Network, RdmaLimit, ThrottleDevice, WeightDevice,
};
pub use oom::OomWatch;
pub use path::{CgroupPath, SystemdUnit};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, HugetlbStats, MemoryStats, PidsStats, Pressure, PressureLine, Stats, Throttling,
};
