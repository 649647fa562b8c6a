//! Limits of the v1 hierarchies (and, in hybrid mode, of the controllers that the v2 one has).

use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files::Dir;
use crate::limits::{Cpu, Limits, Memory, Network};
use crate::{alike, blkio, devices};

pub(crate) fn apply(cgroup: &Cgroup, limits: &Limits, fresh: bool) -> Result<(), Error> {
    if !limits.unified.is_empty() {
        return Err(Error::Unsupported { what: "unified (a cgroup v2 setting)".to_owned() });
    }
    memory(cgroup, &limits.memory, fresh)?;
    cpu(cgroup, &limits.cpu)?;
    alike::cpuset(cgroup, &limits.cpu)?;
    alike::pids(cgroup, limits, fresh)?;
    blkio::apply_v1(cgroup, &limits.block_io)?;
    alike::hugetlb(cgroup, limits)?;
    alike::rdma(cgroup, limits)?;
    network(cgroup, &limits.network)?;
    devices::apply_v1(cgroup, &limits.devices)
}

fn memory(cgroup: &Cgroup, memory: &Memory, fresh: bool) -> Result<(), Error> {
    // "unlimited" is what a new folder has
    let asked = |value: Option<i64>| value.filter(|value| *value != 0 && !(fresh && *value == -1));
    let (limit, mut swap) = (asked(memory.limit), asked(memory.swap));
    if *memory == Memory::default() {
        return Ok(());
    }
    let dir = cgroup.folder("memory")?;
    if memory.limit == Some(-1) && memory.swap.unwrap_or(0) == 0 && !fresh && dir.exists(SWAP) {
        swap = Some(-1);
    }
    if let (Some(limit), Some(swap)) = (memory.limit, memory.swap)
        && limit > 0
        && swap > 0
        && swap < limit
    {
        return Err(Error::InvalidInput {
            field: "memory swap",
            reason: "memory+swap limit should be >= memory limit".to_owned(),
        });
    }
    // the kernel insists on memory ≤ memory+swap at every moment
    let swap_first = match swap {
        None => false,
        Some(-1) => true,
        Some(swap) => dir.number(LIMIT)?.is_some_and(|current| current < swap as u64) && !fresh,
    };
    if swap_first {
        write_swap(dir, swap)?;
    }
    if let Some(limit) = limit {
        dir.write_limit(LIMIT, &limit.to_string()).map_err(|error| too_small(dir, limit, error))?;
    }
    if !swap_first {
        write_swap(dir, swap)?;
    }
    if let Some(reservation) = asked(memory.reservation) {
        dir.write_limit("memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if let Some(limit) = asked(memory.kernel_tcp) {
        dir.write_limit("memory.kmem.tcp.limit_in_bytes", &limit.to_string())?;
    }
    if memory.oom_kill_disable == Some(true) || memory.oom_kill_disable == Some(false) && !fresh {
        let value = if memory.oom_kill_disable == Some(true) { "1" } else { "0" };
        dir.write_limit("memory.oom_control", value)?;
    }
    match memory.swappiness {
        Some(swappiness @ 0..=100) => dir.write_limit("memory.swappiness", &swappiness.to_string()),
        // −1 in an unsigned field: "leave it", older Docker versions send that
        None | Some(u64::MAX) => Ok(()),
        Some(swappiness) => Err(Error::InvalidInput {
            field: "memory swappiness",
            reason: format!("invalid memory swappiness value: {swappiness} (valid range is 0-100)"),
        }),
    }
}

const LIMIT: &str = "memory.limit_in_bytes";
const SWAP: &str = "memory.memsw.limit_in_bytes";

fn write_swap(dir: &Dir, swap: Option<i64>) -> Result<(), Error> {
    match swap {
        None => Ok(()),
        Some(-1) if !dir.exists(SWAP) => Ok(()),
        Some(swap) => dir.write_limit(SWAP, &swap.to_string()),
    }
}

/// The kernel's `EBUSY` as the sentence that tells why.
fn too_small(dir: &Dir, limit: i64, error: Error) -> Error {
    if error.errno() != Some(Errno::BUSY) {
        return error;
    }
    let number = |file| dir.number(file).ok().flatten().unwrap_or(0);
    let (usage, peak) = (number("memory.usage_in_bytes"), number("memory.max_usage_in_bytes"));
    Error::InvalidInput {
        field: "memory limit",
        reason: format!("unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})"),
    }
}

fn cpu(cgroup: &Cgroup, cpu: &Cpu) -> Result<(), Error> {
    let any = cpu.shares.or(cpu.period).or(cpu.burst).or(cpu.realtime_period).is_some()
        || cpu.quota.or(cpu.realtime_runtime).or(cpu.idle).is_some();
    if !any {
        return Ok(());
    }
    let dir = cgroup.folder("cpu")?;
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        dir.write_limit("cpu.shares", &shares.to_string())?;
        // out of range is clamped by the kernel without a word
        let read = dir.number("cpu.shares")?.unwrap_or(shares);
        let invalid = |reason: String| Err(Error::InvalidInput { field: "cpu shares", reason });
        if shares > read {
            return invalid(format!("the maximum allowed cpu-shares is {read}"));
        }
        if shares < read {
            return invalid(format!("the minimum allowed cpu-shares is {read}"));
        }
    }
    bandwidth(dir, cpu)?;
    if let Some(period) = cpu.realtime_period.filter(|period| *period != 0) {
        dir.write_limit("cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|runtime| *runtime != 0) {
        dir.write_limit("cpu.rt_runtime_us", &runtime.to_string())?;
    }
    if let Some(idle) = cpu.idle {
        dir.write_limit("cpu.idle", &idle.to_string())?;
    }
    Ok(())
}

/// Period, quota and burst constrain each other, and which write the kernel refuses depends on what is in force.
fn bandwidth(dir: &Dir, cpu: &Cpu) -> Result<(), Error> {
    let period = cpu.period.filter(|period| *period != 0).map(|period| period.to_string());
    let quota = cpu.quota.filter(|quota| *quota != 0).map(|quota| quota.to_string());
    let mut burst = cpu.burst.map(|burst| burst.to_string());
    let write = |file: &str, value: &Option<String>| match value {
        Some(value) => dir.write_limit(file, value),
        None => Ok(()),
    };
    if burst.is_some() && write("cpu.cfs_burst_us", &burst).is_ok() {
        burst = None;
    }
    let retry_period = match write("cpu.cfs_period_us", &period) {
        // a shorter period may need the smaller quota first
        Err(error) if error.errno() == Some(Errno::INVAL) && quota.is_some() => true,
        other => other.map(|()| false)?,
    };
    write("cpu.cfs_quota_us", &quota)?;
    if retry_period {
        write("cpu.cfs_period_us", &period)?;
    }
    write("cpu.cfs_burst_us", &burst)
}

fn network(cgroup: &Cgroup, network: &Network) -> Result<(), Error> {
    if let Some(class) = network.class_id {
        cgroup.folder("net_cls")?.write_limit("net_cls.classid", &class.to_string())?;
    }
    for entry in &network.priorities {
        cgroup.folder("net_prio")?.write_limit("net_prio.ifpriomap", &format!("{} {}", entry.name, entry.priority))?;
    }
    Ok(())
}
