//! Resources as declared to the limits of a control group, with Docker's checks, warnings and sentences.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use wharf_api::container::{Resources, ThrottleDevice as Throttle, WeightDevice as Weight};
use wharf_cgroup::{BlockIo, Cpu, Hierarchy, Limits, Memory, ThrottleDevice, WeightDevice};

use crate::{Error, Result};

/// Smallest memory limit in bytes that a container can start with.
const LEAST_MEMORY: i64 = 6 * 1024 * 1024;
/// Length of a CPU period in microseconds where only a number of CPUs is given.
const PERIOD: u64 = 100_000;

/// What the kernel can limit here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) memory: bool,
    pub(crate) swap: bool,
    pub(crate) swappiness: bool,
    pub(crate) oom_kill_disable: bool,
    pub(crate) pids: bool,
    pub(crate) cpu_shares: bool,
    pub(crate) cpu_quota: bool,
    pub(crate) cpuset: bool,
    pub(crate) realtime: bool,
    pub(crate) blkio_weight: bool,
    pub(crate) cpus: usize,
}

impl Abilities {
    /// Looks once.
    pub(crate) fn probe(hierarchy: &Hierarchy) -> Abilities {
        let unified = hierarchy.kind() == wharf_cgroup::Kind::V2;
        let memory = hierarchy.has_controller("memory");
        Abilities {
            memory,
            swap: memory && (unified || hierarchy.has_file("memory", "memory.memsw.limit_in_bytes")),
            swappiness: memory && !unified,
            oom_kill_disable: memory && !unified,
            pids: hierarchy.has_controller("pids"),
            cpu_shares: hierarchy.has_controller("cpu"),
            cpu_quota: hierarchy.has_controller("cpu") && (unified || hierarchy.has_file("cpu", "cpu.cfs_quota_us")),
            cpuset: hierarchy.has_controller("cpuset"),
            realtime: !unified && hierarchy.has_file("cpu", "cpu.rt_period_us"),
            blkio_weight: unified && hierarchy.has_controller("io")
                || hierarchy.has_file("blkio", "blkio.bfq.weight")
                || hierarchy.has_file("blkio", "blkio.weight"),
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::InvalidParameter(message.into()))
}

/// Checks declared resources, takes back what the kernel cannot do, and says so. `update`: for a container that exists.
pub(crate) fn check(resources: &mut Resources, can: &Abilities, update: bool) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    check_memory(resources, can, update, &mut warnings)?;
    check_cpu(resources, can, &mut warnings)?;
    if resources.pids_limit.is_some_and(|n| n > 0) && !can.pids {
        warnings.push(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
                .into(),
        );
        resources.pids_limit = None;
    }
    if resources.blkio_weight != 0 && !(10..=1000).contains(&resources.blkio_weight) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    if resources.blkio_weight != 0 && !can.blkio_weight {
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.".into(),
        );
        resources.blkio_weight = 0;
    }
    let has_weights = resources.blkio_weight_device.as_ref().is_some_and(|d| !d.is_empty());
    if has_weights && !can.blkio_weight {
        warnings.push("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.".into());
        resources.blkio_weight_device = Some(Vec::new());
    }
    Ok(warnings)
}

fn check_memory(r: &mut Resources, can: &Abilities, update: bool, warnings: &mut Vec<String>) -> Result<()> {
    if r.memory != 0 && r.memory < LEAST_MEMORY {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if r.memory > 0 && !can.memory {
        warnings.push("Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.".into());
        r.memory = 0;
        r.memory_swap = -1;
    }
    if r.memory > 0 && r.memory_swap != -1 && !can.swap {
        warnings.push("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.".into());
        r.memory_swap = -1;
    }
    if r.memory > 0 && r.memory_swap > 0 && r.memory_swap < r.memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if r.memory == 0 && r.memory_swap > 0 && !update {
        return invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if let Some(swappiness) = r.memory_swappiness {
        if swappiness == -1 {
            r.memory_swappiness = None;
        } else if !(0..=100).contains(&swappiness) {
            return invalid(format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100"));
        } else if !can.swappiness {
            warnings.push("Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.".into());
            r.memory_swappiness = None;
        }
    }
    if r.memory_reservation > 0 && r.memory_reservation < LEAST_MEMORY {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if r.memory > 0 && r.memory_reservation > 0 && r.memory < r.memory_reservation {
        return invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if r.kernel_memory > 0 {
        warnings.push("Specifying a kernel memory limit is deprecated and will be removed in a future release.".into());
    }
    if r.oom_kill_disable == Some(true) {
        if !can.oom_kill_disable {
            warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".into());
            r.oom_kill_disable = None;
        } else if r.memory == 0 {
            warnings.push("OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.".into());
        }
    }
    Ok(())
}

fn check_cpu(r: &mut Resources, can: &Abilities, warnings: &mut Vec<String>) -> Result<()> {
    if r.nano_cpus > 0 && r.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if r.nano_cpus > 0 && r.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let most = i64::try_from(can.cpus).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    if r.nano_cpus < 0 || r.nano_cpus > most {
        let cpus = can.cpus;
        return invalid(format!("range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"));
    }
    if r.cpu_shares > 0 && !can.cpu_shares {
        warnings.push("Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.".into());
        r.cpu_shares = 0;
    }
    if (r.cpu_period != 0 || r.cpu_quota != 0 || r.nano_cpus != 0) && !can.cpu_quota {
        warnings.push("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.".into());
        (r.cpu_period, r.cpu_quota, r.nano_cpus) = (0, 0, 0);
    }
    if r.cpu_period != 0 && !(1000..=1_000_000).contains(&r.cpu_period) {
        return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    }
    if r.cpu_quota > 0 && r.cpu_quota < 1000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if (r.cpu_realtime_period != 0 || r.cpu_realtime_runtime != 0) && !can.realtime {
        return invalid("Your kernel does not support CPU real-time scheduler");
    }
    let sets = !r.cpuset_cpus.is_empty() || !r.cpuset_mems.is_empty();
    if sets && !can.cpuset {
        warnings.push("Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.".into());
        r.cpuset_cpus.clear();
        r.cpuset_mems.clear();
    }
    if !r.cpuset_cpus.is_empty() {
        let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
        check_set(&r.cpuset_cpus, &online, "cpuset cpus", "CPUs")?;
    }
    if !r.cpuset_mems.is_empty() {
        let nodes = fs::read_to_string("/sys/devices/system/node/online").unwrap_or_else(|_| "0".into());
        check_set(&r.cpuset_mems, &nodes, "cpuset mems", "memory nodes")?;
    }
    Ok(())
}

fn check_set(wanted: &str, online: &str, name: &str, things: &str) -> Result<()> {
    let online = online.trim();
    let Some(list) = set(wanted) else {
        return invalid(format!("Invalid value {wanted} for {name}: invalid format: {wanted}"));
    };
    let there = set(online).unwrap_or_default();
    if list.iter().any(|n| !there.contains(n)) {
        return invalid(format!("Requested {things} are not available - requested {wanted}, available: {online}"));
    }
    Ok(())
}

/// `0-2,4` as numbers; `None` when malformed.
fn set(text: &str) -> Option<Vec<u32>> {
    /// More CPUs than any kernel can be built for.
    const MOST: u32 = 8192;
    let mut list = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
        if low > high || high >= MOST {
            return None;
        }
        list.extend(low..=high);
    }
    Some(list)
}

/// The limits of the control group; devices are added by the caller.
pub(crate) fn limits(r: &Resources) -> Result<Limits> {
    let some = |n: i64| (n != 0).then_some(n);
    let unsigned = |n: i64| u64::try_from(n).ok().filter(|n| *n != 0);
    let (quota, period) = if r.nano_cpus > 0 {
        (Some(r.nano_cpus / 10_000), Some(PERIOD))
    } else {
        (some(r.cpu_quota), unsigned(r.cpu_period))
    };
    let text = |s: &String| (!s.is_empty()).then(|| s.clone());
    Ok(Limits {
        memory: Memory {
            limit: some(r.memory),
            swap: some(r.memory_swap),
            reservation: some(r.memory_reservation),
            swappiness: r.memory_swappiness.and_then(|n| u64::try_from(n).ok()),
            oom_kill_disable: r.oom_kill_disable.filter(|off| *off),
            ..Memory::default()
        },
        cpu: Cpu {
            shares: unsigned(r.cpu_shares),
            quota,
            period,
            realtime_runtime: some(r.cpu_realtime_runtime),
            realtime_period: unsigned(r.cpu_realtime_period),
            cpus: text(&r.cpuset_cpus),
            mems: text(&r.cpuset_mems),
            ..Cpu::default()
        },
        pids: r.pids_limit,
        block_io: BlockIo {
            weight: (r.blkio_weight != 0).then_some(r.blkio_weight),
            weight_device: weights(r.blkio_weight_device.iter().flatten().flatten())?,
            read_bps: throttles(r.blkio_device_read_bps.iter().flatten().flatten())?,
            write_bps: throttles(r.blkio_device_write_bps.iter().flatten().flatten())?,
            read_iops: throttles(r.blkio_device_read_iops.iter().flatten().flatten())?,
            write_iops: throttles(r.blkio_device_write_iops.iter().flatten().flatten())?,
            ..BlockIo::default()
        },
        ..Limits::default()
    })
}

fn weights<'a>(list: impl Iterator<Item = &'a Weight>) -> Result<Vec<WeightDevice>> {
    list.map(|Weight { path, weight }| {
        let (major, minor) = device(path)?;
        Ok(WeightDevice { major, minor, weight: Some(*weight), leaf_weight: None })
    })
    .collect()
}

fn throttles<'a>(list: impl Iterator<Item = &'a Throttle>) -> Result<Vec<ThrottleDevice>> {
    list.map(|Throttle { path, rate }| {
        let (major, minor) = device(path)?;
        Ok(ThrottleDevice { major, minor, rate: *rate })
    })
    .collect()
}

fn device(path: &str) -> Result<(i64, i64)> {
    let meta =
        fs::metadata(path).map_err(|_| Error::InvalidParameter(format!("stat {path}: no such file or directory")))?;
    if !meta.file_type().is_block_device() {
        return invalid(format!("{path} is not a block device"));
    }
    Ok((rustix::fs::major(meta.rdev()).into(), rustix::fs::minor(meta.rdev()).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAN: Abilities = Abilities {
        memory: true,
        swap: true,
        swappiness: true,
        oom_kill_disable: true,
        pids: true,
        cpu_shares: true,
        cpu_quota: true,
        cpuset: true,
        realtime: false,
        blkio_weight: false,
        cpus: 2,
    };
    const MB: i64 = 1024 * 1024;

    fn verdict(resources: Resources) -> String {
        let mut resources = resources;
        match check(&mut resources, &CAN, false) {
            Ok(warnings) => warnings.join("\n"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn r_iso_04_memory_rules() {
        let with = |memory, memory_swap, memory_reservation| {
            verdict(Resources { memory, memory_swap, memory_reservation, ..Resources::default() })
        };
        assert_eq!(with(0, 0, 0), "");
        assert_eq!(with(MB, 0, 0), "Minimum memory limit allowed is 6MB");
        assert_eq!(with(64 * MB, 32 * MB, 0), "Minimum memoryswap limit should be larger than memory limit, see usage");
        assert_eq!(
            with(0, 32 * MB, 0),
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        );
        assert_eq!(
            with(64 * MB, -1, 65 * MB),
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        );
        let swappiness = |n| verdict(Resources { memory_swappiness: Some(n), ..Resources::default() });
        assert_eq!(swappiness(-1), "");
        assert_eq!(swappiness(101), "Invalid value: 101, valid memory swappiness range is 0-100");
    }

    #[test]
    fn r_iso_05_cpu_rules() {
        let cpus = |nano_cpus, cpu_period| verdict(Resources { nano_cpus, cpu_period, ..Resources::default() });
        assert_eq!(cpus(1_500_000_000, 0), "");
        assert_eq!(cpus(3_000_000_000, 0), "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available");
        assert_eq!(cpus(1, 1000), "Conflicting options: Nano CPUs and CPU Period cannot both be set");
        assert_eq!(cpus(0, 10), "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
        let set = |cpus: &str| verdict(Resources { cpuset_cpus: cpus.into(), ..Resources::default() });
        assert_eq!(set("0"), "");
        assert_eq!(set("0-"), "Invalid value 0- for cpuset cpus: invalid format: 0-");
        assert!(set("8000").starts_with("Requested CPUs are not available - requested 8000, available: 0"));
    }

    #[test]
    fn r_iso_06_weights_that_the_kernel_has_not_are_taken_back() {
        assert_eq!(
            verdict(Resources { blkio_weight: 5, ..Resources::default() }),
            "Range of blkio weight is from 10 to 1000"
        );
        let weight = verdict(Resources { blkio_weight: 500, ..Resources::default() });
        assert_eq!(
            weight,
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
        );
    }

    #[test]
    fn cpus_become_a_quota() {
        let limits =
            limits(&Resources { nano_cpus: 500_000_000, memory: 64 * MB, memory_swap: -1, ..Resources::default() })
                .expect("limits");
        assert_eq!((limits.cpu.quota, limits.cpu.period), (Some(50_000), Some(100_000)));
        assert_eq!((limits.memory.limit, limits.memory.swap), (Some(64 * MB), Some(-1)));
    }
}
