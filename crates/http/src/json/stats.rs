//! Usage of a container: one picture beside the one before it.

use wharf_api::stats::{self, Blkio, BlkioEntry, Cpu, CpuUsage, Memory, Network, Pids, Throttling};
use wharf_engine::Stats;

use crate::time::{NEVER, rfc3339};

/// The document of a picture; everything is zero for a container that does not run.
pub(crate) fn stats(now: &Stats, before: Option<&Stats>) -> stats::Stats {
    let mut document = stats::Stats {
        name: format!("/{}", now.name),
        id: now.id.to_string(),
        read: NEVER.into(),
        preread: NEVER.into(),
        ..stats::Stats::default()
    };
    let Some(usage) = &now.cgroup else { return document };
    document.read = rfc3339(now.read);
    document.pids_stats = Pids { current: usage.pids.current, limit: usage.pids.limit.unwrap_or(0) };
    document.blkio_stats = blkio(&usage.blkio, now.unified);
    document.cpu_stats = cpu(now);
    document.memory_stats = memory(now, &usage.memory);
    if let Some(before) = before.filter(|before| before.cgroup.is_some()) {
        document.preread = rfc3339(before.read);
        document.precpu_stats = cpu(before);
    }
    let network = |links: &wharf_engine::LinkStats| Network {
        rx_bytes: links.rx_bytes,
        rx_packets: links.rx_packets,
        rx_errors: links.rx_errors,
        rx_dropped: links.rx_dropped,
        tx_bytes: links.tx_bytes,
        tx_packets: links.tx_packets,
        tx_errors: links.tx_errors,
        tx_dropped: links.tx_dropped,
    };
    let networks: std::collections::BTreeMap<_, _> =
        now.networks.iter().map(|(name, links)| (name.clone(), network(links))).collect();
    document.networks = (!networks.is_empty()).then_some(networks);
    document
}

fn cpu(picture: &Stats) -> Cpu {
    let Some(usage) = picture.cgroup.as_ref().map(|usage| &usage.cpu) else { return Cpu::default() };
    Cpu {
        cpu_usage: CpuUsage {
            total_usage: usage.usage,
            percpu_usage: (!usage.per_cpu.is_empty()).then(|| usage.per_cpu.clone()),
            usage_in_kernelmode: usage.system,
            usage_in_usermode: usage.user,
        },
        system_usage: picture.system_cpu,
        online_cpus: picture.online_cpus,
        throttling_data: Throttling {
            periods: usage.throttling.periods,
            throttled_periods: usage.throttling.throttled_periods,
            throttled_time: usage.throttling.throttled_time,
        },
    }
}

fn memory(picture: &Stats, usage: &wharf_cgroup::MemoryStats) -> Memory {
    // "no limit" is a huge number on v1 and none on v2: the machine's memory is the limit then
    let limit = if usage.limit == 0 { picture.memory_total } else { usage.limit.min(picture.memory_total) };
    Memory {
        usage: usage.usage,
        max_usage: if picture.unified { 0 } else { usage.max_usage },
        stats: Some(usage.stats.clone()),
        failcnt: if picture.unified { 0 } else { usage.failcnt },
        limit,
    }
}

/// v1 lists every counter (empty ones, too), v2 has only bytes and operations.
fn blkio(usage: &wharf_cgroup::BlkioStats, unified: bool) -> Blkio {
    let entries = |list: &[wharf_cgroup::BlkioEntry]| -> Vec<BlkioEntry> {
        let entry = |e: &wharf_cgroup::BlkioEntry| BlkioEntry {
            major: e.major,
            minor: e.minor,
            op: e.op.clone(),
            value: e.value,
        };
        list.iter().map(entry).collect()
    };
    let (bytes, operations) = (entries(&usage.service_bytes), entries(&usage.serviced));
    let some = |list: Vec<BlkioEntry>| (!unified || !list.is_empty()).then_some(list);
    let rest = || (!unified).then(Vec::new);
    Blkio {
        io_service_bytes_recursive: some(bytes),
        io_serviced_recursive: if unified { None } else { Some(operations) },
        io_queue_recursive: rest(),
        io_service_time_recursive: rest(),
        io_wait_time_recursive: rest(),
        io_merged_recursive: rest(),
        io_time_recursive: rest(),
        sectors_recursive: rest(),
    }
}
