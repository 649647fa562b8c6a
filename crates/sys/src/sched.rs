//! Scheduling, I/O priority, personality and memory policy of the calling process (OCI runtime spec, "Process" and "Linux").

use crate::{Result, check};

/// Arguments of sched_setattr(2), in the kernel's units (nanoseconds for the deadline class).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scheduler {
    /// `SCHED_*` number.
    pub policy: u32,
    /// `SCHED_FLAG_*` bits.
    pub flags: u64,
    /// Nice value of the normal classes.
    pub nice: i32,
    /// Priority of the real-time classes.
    pub priority: u32,
    /// Deadline class: run time.
    pub runtime: u64,
    /// Deadline class: deadline.
    pub deadline: u64,
    /// Deadline class: period.
    pub period: u64,
}

/// sched_setattr(2) of the calling process.
///
/// # Errors
/// The kernel's.
pub fn set_scheduler(scheduler: &Scheduler) -> Result<()> {
    #[repr(C)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: scheduler.policy,
        flags: scheduler.flags,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    };
    // SAFETY: attr is the kernel's first version of sched_attr and says its own size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) }).map(drop)
}

/// ioprio_set(2) of the calling process: class 1 real time, 2 best effort, 3 idle; priority 0 (first) to 7.
///
/// # Errors
/// `EPERM` for real time without CAP_SYS_NICE.
pub fn set_io_priority(class: u32, priority: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, (class << 13) | priority) }).map(drop)
}

/// personality(2): `0` Linux, `8` 32-bit Linux.
///
/// # Errors
/// `EINVAL`.
pub fn set_personality(persona: u32) -> Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_personality, persona) }).map(drop)
}

/// set_mempolicy(2): `mode` with its flags, and the bits of the nodes.
///
/// # Errors
/// `EINVAL` for nodes that do not exist.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    let bits = nodes.len() * 64;
    let pointer = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // the kernel reads one bit fewer than it is told
    let max_node = if nodes.is_empty() { 0 } else { bits + 1 };
    // SAFETY: pointer is valid for `bits` bits, or NULL with length 0.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, max_node) }).map(drop)
}
