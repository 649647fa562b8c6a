//! Limits of the v2 hierarchy.

use crate::cgroup::Cgroup;
use crate::convert::{cpu_shares_to_weight, memory_swap_to_swap_max, or_max};
use crate::error::Error;
use crate::files::Dir;
use crate::limits::{Cpu, Limits, Memory};
use crate::{alike, blkio, devices};

pub(crate) fn apply(cgroup: &Cgroup, dir: &Dir, limits: &Limits, fresh: bool) -> Result<(), Error> {
    memory(dir, &limits.memory, fresh)?;
    cpu(dir, &limits.cpu)?;
    alike::cpuset(cgroup, &limits.cpu)?;
    alike::pids(cgroup, limits, fresh)?;
    blkio::apply_v2(dir, &limits.block_io)?;
    alike::hugetlb(cgroup, limits)?;
    alike::rdma(cgroup, limits)?;
    if limits.network.class_id.is_some() || !limits.network.priorities.is_empty() {
        return Err(Error::Unsupported { what: "network classes and priorities (cgroup v1 settings)".to_owned() });
    }
    devices::apply_v2(dir, &limits.devices)?;
    for (file, text) in &limits.unified {
        if file.is_empty() || file.contains('/') || !file.contains('.') {
            return Err(Error::InvalidInput {
                field: "unified",
                reason: format!("`{file}` is no file name of a controller"),
            });
        }
        // several lines are several settings, one write each
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            dir.write_limit(file, line)?;
        }
    }
    Ok(())
}

fn memory(dir: &Dir, memory: &Memory, fresh: bool) -> Result<(), Error> {
    let asked = |value: Option<i64>| value.filter(|value| *value != 0 && !(fresh && *value == -1));
    let swap = memory_swap_to_swap_max(memory.swap, memory.limit)?.filter(|swap| !(fresh && *swap == -1));
    if memory.check_before_update {
        refuse_below_usage(dir, memory, swap)?;
    }
    // swap first: lowering memory then has somewhere to go
    if let Some(swap) = swap {
        match dir.write("memory.swap.max", &or_max(swap)) {
            // no swap accounting: nothing to forbid and nothing to lift
            Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) && swap <= 0 => {}
            Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) => {
                return Err(Error::Unsupported { what: "memory.swap.max".to_owned() });
            }
            other => other?,
        }
    }
    if let Some(limit) = asked(memory.limit) {
        dir.write_limit("memory.max", &or_max(limit))?;
    }
    if let Some(reservation) = asked(memory.reservation) {
        dir.write_limit("memory.low", &or_max(reservation))?;
    }
    Ok(())
}

/// v2 would take a limit below the usage and kill at once.
fn refuse_below_usage(dir: &Dir, memory: &Memory, swap: Option<i64>) -> Result<(), Error> {
    let limits = [("memory.current", memory.limit), ("memory.swap.current", swap)];
    for (file, limit) in limits {
        let Some(limit) = limit.filter(|limit| *limit > 0) else { continue };
        let usage = dir.number(file)?.unwrap_or(0);
        if (limit as u64) < usage {
            return Err(Error::InvalidInput {
                field: "memory limit",
                reason: format!("rejecting memory limit {limit} < usage {usage}"),
            });
        }
    }
    Ok(())
}

fn cpu(dir: &Dir, cpu: &Cpu) -> Result<(), Error> {
    if let Some(idle) = cpu.idle {
        dir.write_limit("cpu.idle", &idle.to_string())?;
    }
    // an idle group has no weight
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1)) {
        dir.write_limit("cpu.weight", &cpu_shares_to_weight(shares).to_string())?;
    }
    let mut burst = cpu.burst.map(|burst| burst.to_string());
    // a burst above the quota in force is refused before the quota, one below it after
    if let Some(value) = &burst
        && dir.write_limit("cpu.max.burst", value).is_ok()
    {
        burst = None;
    }
    if cpu.quota.unwrap_or(0) != 0 || cpu.period.unwrap_or(0) != 0 {
        dir.write_limit("cpu.max", &cpu_max(cpu, &dir.read_if_any("cpu.max")?.unwrap_or_default()))?;
    }
    match burst {
        Some(value) => dir.write_limit("cpu.max.burst", &value),
        None => Ok(()),
    }
}

/// `quota period`; what is not asked for stays as it is.
fn cpu_max(cpu: &Cpu, current: &str) -> String {
    let mut current = current.split_whitespace();
    let (old_quota, old_period) = (current.next().unwrap_or("max"), current.next().unwrap_or("100000"));
    let quota = match cpu.quota {
        None | Some(0) => old_quota.to_owned(),
        Some(quota) => or_max(quota),
    };
    match cpu.period.filter(|period| *period != 0) {
        Some(period) => format!("{quota} {period}"),
        None => format!("{quota} {old_period}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_max_keeps_what_is_not_asked_for() {
        let check = |quota, period, current, expect| {
            assert_eq!(cpu_max(&Cpu { quota, period, ..Cpu::default() }, current), expect);
        };
        check(Some(50_000), None, "max 100000\n", "50000 100000");
        check(None, Some(20_000), "5000 100000\n", "5000 20000");
        check(Some(-1), Some(20_000), "5000 100000\n", "max 20000");
        check(Some(0), Some(20_000), "", "max 20000");
    }
}
