//! `events`: statistics and OOM notifications as one JSON object per line.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value, json};
use wharf_cgroup::{BlkioEntry, Cgroup, Pressure, Stats};
use wharf_spec::runtime::ContainerStatus;

use crate::args::{Flag, Parsed, switch, value};
use crate::context::Context;
use crate::error::Error;
use crate::lifecycle::cgroup_of;
use crate::output::print;
use crate::state::Folder;

pub(crate) const FLAGS: &[Flag] = &[
    value("interval", "set the stats collection interval (default: 5s)"),
    switch("stats", "display the container's stats then exit"),
];

/// `events`.
pub(crate) fn events(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let id = context.only_id(args, "events")?;
    let interval = match args.value("interval") {
        None => Duration::from_secs(5),
        Some(text) => duration(text)
            .filter(|time| !time.is_zero())
            .ok_or_else(|| Error::Usage("duration interval must be greater than 0".to_owned()))?,
    };
    let folder = Folder::new(&context.root, id)?;
    let saved = folder.load()?;
    if folder.status(&saved)? == ContainerStatus::Stopped {
        return Err(Error::State(format!("container with id {id} is not running")));
    }
    let cgroup = cgroup_of(&saved)?;
    if args.is_set("stats") {
        return stats_line(id, &cgroup).map(|()| 0);
    }
    let process = saved.pidfd().ok_or(Error::NotRunning)?;
    let oom = cgroup.watch_oom().ok();
    let mut kills = cgroup.oom_kills()?;
    let limit = Timespec { tv_sec: interval.as_secs() as i64, tv_nsec: i64::from(interval.subsec_nanos()) };
    loop {
        let mut fds = vec![PollFd::new(&process, PollFlags::IN)];
        fds.extend(oom.as_ref().map(|watch| PollFd::new(watch, PollFlags::IN)));
        let ready = poll(&mut fds, Some(&limit));
        let ended = !fds[0].revents().is_empty();
        let memory = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        drop(fds);
        if let Some(watch) = oom.as_ref().filter(|_| memory) {
            watch.drain();
        }
        if memory || ended {
            // the kill that ended the container may not have been announced yet
            let now = cgroup.oom_kills().unwrap_or(kills);
            if now > kills {
                print(&format!("{}\n", json!({"type": "oom", "id": id})))?;
            }
            kills = now;
        }
        if ended {
            return Ok(0);
        }
        if ready == Ok(0) {
            stats_line(id, &cgroup)?;
        }
    }
}

fn stats_line(id: &str, cgroup: &Cgroup) -> Result<(), Error> {
    let data = document(&cgroup.stats()?);
    print(&format!("{}\n", json!({"type": "stats", "id": id, "data": data})))
}

fn document(stats: &Stats) -> Value {
    let cpu = &stats.cpu;
    let memory = &stats.memory;
    let entry = |usage: u64, limit: u64, max: u64, failcnt: u64| json!({"limit": limit, "usage": usage, "max": max, "failcnt": failcnt});
    let huge: Map<String, Value> = stats
        .hugetlb
        .iter()
        .map(|(size, one)| (size.clone(), json!({"usage": one.usage, "max": one.max_usage, "failcnt": one.failcnt})))
        .collect();
    json!({
        "cpu": {
            "usage": {
                "total": cpu.usage, "percpu": cpu.per_cpu, "percpu_kernel": cpu.per_cpu_system,
                "percpu_user": cpu.per_cpu_user, "kernel": cpu.system, "user": cpu.user,
            },
            "throttling": {
                "periods": cpu.throttling.periods, "throttledPeriods": cpu.throttling.throttled_periods,
                "throttledTime": cpu.throttling.throttled_time,
            },
            "psi": pressure(cpu.pressure),
        },
        "memory": {
            "cache": memory.cache(),
            "usage": entry(memory.usage, memory.limit, memory.max_usage, memory.failcnt),
            "swap": entry(memory.swap_usage, memory.swap_limit, 0, 0),
            "kernel": entry(memory.kernel_usage, 0, 0, 0),
            "raw": memory.stats,
            "psi": pressure(memory.pressure),
        },
        "pids": {"current": stats.pids.current, "limit": stats.pids.limit.unwrap_or(0)},
        "blkio": {
            "ioServiceBytesRecursive": blkio(&stats.blkio.service_bytes),
            "ioServicedRecursive": blkio(&stats.blkio.serviced),
            "psi": pressure(stats.blkio.pressure),
        },
        "hugetlb": huge,
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

fn blkio(entries: &[BlkioEntry]) -> Value {
    let one =
        |entry: &BlkioEntry| json!({"major": entry.major, "minor": entry.minor, "op": entry.op, "value": entry.value});
    entries.iter().map(one).collect()
}

fn pressure(pressure: Option<Pressure>) -> Value {
    let line = |line: wharf_cgroup::PressureLine| json!({"avg10": line.avg10, "avg60": line.avg60, "avg300": line.avg300, "total": line.total});
    pressure.map_or(Value::Null, |pressure| json!({"some": line(pressure.some), "full": line(pressure.full)}))
}

/// Go's durations: `5s`, `1m30s`, `100ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_length = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..unit_length] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_length..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(duration("5"), None);
        assert_eq!(duration("x"), None);
    }
}
