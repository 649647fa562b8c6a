//! The limits of one cgroup, in the words of the OCI runtime specification; `None` and empty lists leave things alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::DeviceRule;

/// All limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory.
    pub memory: Memory,
    /// CPU.
    pub cpu: Cpu,
    /// Number of tasks; zero or negative is unlimited.
    pub pids: Option<i64>,
    /// Block devices.
    pub block_io: BlockIo,
    /// Huge pages.
    pub hugetlb: Vec<HugetlbLimit>,
    /// RDMA.
    pub rdma: Vec<RdmaLimit>,
    /// Network classes (v1).
    pub network: Network,
    /// Device rules; for each kind of access the last matching rule decides. Empty: every device is allowed.
    pub devices: Vec<DeviceRule>,
    /// v2 files and the text written to them.
    pub unified: BTreeMap<String, String>,
}

/// Memory limits in bytes; −1 is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Hard limit.
    pub limit: Option<i64>,
    /// Memory **plus** swap (v1's view; converted for v2).
    pub swap: Option<i64>,
    /// Soft limit.
    pub reservation: Option<i64>,
    /// 0…100 (v1).
    pub swappiness: Option<u64>,
    /// No OOM kill (v1).
    pub oom_kill_disable: Option<bool>,
    /// Kernel TCP buffers (v1).
    pub kernel_tcp: Option<i64>,
    /// Refuse a limit below the present usage (v2; v1 refuses by itself).
    pub check_before_update: bool,
}

/// CPU limits; times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Relative weight, 2…262144 (v1's view; converted for v2). 0 leaves it alone.
    pub shares: Option<u64>,
    /// CPU time per period; −1 is unlimited. 0 leaves it alone.
    pub quota: Option<i64>,
    /// Length of a period. 0 leaves it alone.
    pub period: Option<u64>,
    /// Time that may accumulate beyond the quota.
    pub burst: Option<u64>,
    /// Realtime time per realtime period (v1).
    pub realtime_runtime: Option<i64>,
    /// Length of a realtime period (v1).
    pub realtime_period: Option<u64>,
    /// CPUs, list format. Empty leaves them alone.
    pub cpus: Option<String>,
    /// Memory nodes, list format. Empty leaves them alone.
    pub mems: Option<String>,
    /// 1 = idle scheduling for the whole group.
    pub idle: Option<i64>,
}

/// Block device limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIo {
    /// 10…1000. 0 leaves it alone.
    pub weight: Option<u16>,
    /// Weight against the group's children (v1).
    pub leaf_weight: Option<u16>,
    /// Weights by device.
    pub weight_device: Vec<WeightDevice>,
    /// Bytes per second.
    pub read_bps: Vec<ThrottleDevice>,
    /// Bytes per second.
    pub write_bps: Vec<ThrottleDevice>,
    /// Operations per second.
    pub read_iops: Vec<ThrottleDevice>,
    /// Operations per second.
    pub write_iops: Vec<ThrottleDevice>,
}

/// Weight of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// 10…1000.
    pub weight: Option<u16>,
    /// Weight against the group's children (v1).
    pub leaf_weight: Option<u16>,
}

/// Ceiling of one block device; a rate of 0 lifts it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Per second.
    pub rate: u64,
}

/// Limit of one huge page size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugetlbLimit {
    /// `2MB`, `1GB`, `64KB` …
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// RDMA limits of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdmaLimit {
    /// Device name.
    pub device: String,
    /// Handles.
    pub hca_handles: Option<u32>,
    /// Objects.
    pub hca_objects: Option<u32>,
}

/// Network classes (v1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Class of the group's packets.
    pub class_id: Option<u32>,
    /// Priorities by interface.
    pub priorities: Vec<InterfacePriority>,
}

/// Priority of one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePriority {
    /// Interface name.
    pub name: String,
    /// Its priority.
    pub priority: u32,
}
