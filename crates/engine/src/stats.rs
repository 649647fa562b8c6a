//! Usage of containers, read from their control group and network namespace when somebody asks: nothing is polled otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use wharf_spec::id::ContainerId;

use crate::container::handle::{Handle, Live};
use crate::{Error, Inner, Result, blocking};

/// Between two pictures of a stream, as in Docker.
const INTERVAL: Duration = Duration::from_secs(1);

/// Usage of a container at one moment (`GET /containers/x/stats`).
#[derive(Debug, Clone)]
pub struct Stats {
    /// Its identifier.
    pub id: ContainerId,
    /// Its name without slash.
    pub name: String,
    /// When.
    pub read: Timestamp,
    /// The control group's figures; `None`: it does not run.
    pub cgroup: Option<wharf_cgroup::Stats>,
    /// Nanoseconds of CPU time of the whole machine since boot (Docker's `system_cpu_usage`).
    pub system_cpu: u64,
    /// Online CPUs.
    pub online_cpus: u32,
    /// Bytes of memory of the machine, which is the limit where none is set.
    pub memory_total: u64,
    /// Interface name to counters.
    pub networks: BTreeMap<String, LinkStats>,
    /// Version 2 of the control groups (the JSON differs).
    pub unified: bool,
}

/// Counters of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LinkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// Pictures, one a second, until nobody listens or the container is gone; see the facade.
pub(crate) fn stats(inner: &Arc<Inner>, handle: Arc<Handle>, stream: bool, one_shot: bool) -> mpsc::Receiver<Stats> {
    let (sender, receiver) = mpsc::channel(1);
    let inner = inner.clone();
    tokio::spawn(async move {
        let pictures = match (stream, one_shot) {
            (true, _) => usize::MAX,
            (false, true) => 1,
            (false, false) => 2,
        };
        let mut clock = tokio::time::interval(INTERVAL);
        for _ in 0..pictures {
            tokio::select! {
                _ = clock.tick() => {}
                () = sender.closed() => return,
            }
            let picture = match one(&inner, &handle).await {
                Ok(picture) => picture,
                Err(error) => return tracing::warn!(container = handle.id.short(), %error, "stats"),
            };
            let stands_still = picture.cgroup.is_none();
            if sender.send(picture).await.is_err()
                || stands_still && !stream
                || handle.picture.borrow().removed.is_some()
            {
                return;
            }
        }
    });
    receiver
}

async fn one(inner: &Arc<Inner>, handle: &Arc<Handle>) -> Result<Stats> {
    let (container, live) = (handle.container(), handle.live());
    let own_network = !matches!(container.host_config.network_mode.as_str(), "host" | "none");
    let unified = inner.hierarchy.kind() == wharf_cgroup::Kind::V2;
    blocking(move || {
        let (cgroup, networks) = match &live {
            Some(live) => (usage(live)?, if own_network { links(live.pid) } else { BTreeMap::new() }),
            None => (None, BTreeMap::new()),
        };
        Ok(Stats {
            id: container.id.clone(),
            name: container.name.clone(),
            read: Timestamp::now(),
            cgroup,
            system_cpu: system_cpu(),
            online_cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
            memory_total: memory_total(),
            networks,
            unified,
        })
    })
    .await
}

/// `None` when it has just ended.
fn usage(live: &Live) -> Result<Option<wharf_cgroup::Stats>> {
    match live.cgroup.stats() {
        Ok(stats) => Ok(Some(stats)),
        Err(wharf_cgroup::Error::NotFound(_)) => Ok(None),
        Err(e) if matches!(e.errno(), Some(rustix::io::Errno::NODEV | rustix::io::Errno::NOENT)) => Ok(None),
        Err(e) => Err(Error::system("read statistics", e)),
    }
}

/// `/proc/<pid>/net/dev` shows the process's network namespace.
fn links(pid: u32) -> BTreeMap<String, LinkStats> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let line = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let n: Vec<u64> = counters.split_ascii_whitespace().filter_map(|c| c.parse().ok()).collect();
        let [rx_bytes, rx_packets, rx_errors, rx_dropped, _, _, _, _, tx_bytes, tx_packets, tx_errors, tx_dropped, ..] =
            n[..]
        else {
            return None;
        };
        let stats =
            LinkStats { rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped };
        Some((name.trim().to_owned(), stats))
    };
    text.lines().skip(2).filter_map(line).filter(|(name, _)| name != "lo").collect()
}

/// Sum of the first line of `/proc/stat` without guest times, in nanoseconds.
fn system_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: u64 = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    ticks.saturating_mul(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// Bytes of memory.
pub(crate) fn memory_total() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.split_ascii_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}
