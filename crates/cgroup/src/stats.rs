//! What a cgroup has used so far: one structure for v1, hybrid and v2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files::{Dir, parse_number, parse_table, table_value};

/// Everything measured at one moment. Files that a machine lacks leave zeros.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlkioStats,
    /// Huge pages by page size (`2MB`).
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// CPU time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuStats {
    /// All of it.
    pub usage: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// By CPU (v1 only; empty in v2).
    pub per_cpu: Vec<u64>,
    /// By CPU in the kernel (v1 only).
    pub per_cpu_system: Vec<u64>,
    /// By CPU in user mode (v1 only).
    pub per_cpu_user: Vec<u64>,
    /// What the quota did.
    pub throttling: Throttling,
    /// Stalls.
    pub pressure: Option<Pressure>,
}

/// What the CPU quota did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttling {
    /// Periods in which the group was runnable.
    pub periods: u64,
    /// Of these, periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Nanoseconds spent waiting for the next period.
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// Charged now, page cache included.
    pub usage: u64,
    /// The most ever charged (v2: since 5.19).
    pub max_usage: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
    /// The limit; `u64::MAX` is none (v1 shows its largest page-aligned number instead).
    pub limit: u64,
    /// Swap charged now (v1: memory **plus** swap).
    pub swap_usage: u64,
    /// Its limit, of the same kind.
    pub swap_limit: u64,
    /// Kernel memory (v1).
    pub kernel_usage: u64,
    /// `memory.stat` as the kernel names it.
    pub stats: BTreeMap<String, u64>,
    /// v2's names and meanings.
    pub unified: bool,
    /// Stalls.
    pub pressure: Option<Pressure>,
}

impl MemoryStats {
    /// Page cache.
    pub fn cache(&self) -> u64 {
        self.stat(if self.unified { "file" } else { "cache" })
    }

    /// Page cache that can be dropped first.
    pub fn inactive_file(&self) -> u64 {
        self.stat(if self.unified { "inactive_file" } else { "total_inactive_file" })
    }

    /// What `docker stats` calls usage: without the cache that can be dropped first.
    pub fn working_set(&self) -> u64 {
        let inactive = self.inactive_file();
        if inactive < self.usage { self.usage - inactive } else { self.usage }
    }

    fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).copied().unwrap_or(0)
    }
}

/// Number of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// The limit; `None` is none.
    pub limit: Option<u64>,
}

/// Block device traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BlkioStats {
    /// Bytes by device and operation (`Read`, `Write`, `Sync`, `Async`, `Discard`, `Total` in v1; `read`, `write` in v2).
    pub service_bytes: Vec<BlkioEntry>,
    /// Operations, likewise.
    pub serviced: Vec<BlkioEntry>,
    /// Stalls.
    pub pressure: Option<Pressure>,
}

/// One number of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlkioEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// Operation.
    pub op: String,
    /// The number.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugetlbStats {
    /// Now.
    pub usage: u64,
    /// The most ever (v1).
    pub max_usage: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Pressure stall information of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// Some task waited.
    pub some: PressureLine,
    /// All tasks waited at once.
    pub full: PressureLine,
}

/// One line of a pressure file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PressureLine {
    /// Percent of the last 10 seconds.
    pub avg10: f64,
    /// Percent of the last 60 seconds.
    pub avg60: f64,
    /// Percent of the last 300 seconds.
    pub avg300: f64,
    /// Microseconds in all.
    pub total: u64,
}

impl Cgroup {
    /// Reads everything.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = Stats {
            cpu: self.cpu_stats()?,
            memory: self.memory_stats()?,
            pids: self.pids_stats()?,
            blkio: self.blkio_stats()?,
            hugetlb: self.hugetlb_stats()?,
        };
        if let Some(dir) = self.unified_dir() {
            stats.cpu.pressure = pressure(dir, "cpu.pressure")?;
            stats.memory.pressure = pressure(dir, "memory.pressure")?;
            stats.blkio.pressure = pressure(dir, "io.pressure")?;
        }
        Ok(stats)
    }

    /// CPU alone.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn cpu_stats(&self) -> Result<CpuStats, Error> {
        let mut cpu = CpuStats::default();
        if let Some(dir) = self.v1_dir("cpuacct") {
            cpu.usage = dir.number("cpuacct.usage")?.unwrap_or(0);
            cpu.user = dir.number("cpuacct.usage_user")?.unwrap_or(0);
            cpu.system = dir.number("cpuacct.usage_sys")?.unwrap_or(0);
            let list = |file: &str| -> Result<Vec<u64>, Error> {
                let text = dir.read_if_any(file)?.unwrap_or_default();
                Ok(text.split_whitespace().map(parse_number).collect())
            };
            cpu.per_cpu = list("cpuacct.usage_percpu")?;
            cpu.per_cpu_system = list("cpuacct.usage_percpu_sys")?;
            cpu.per_cpu_user = list("cpuacct.usage_percpu_user")?;
        }
        if let Some(dir) = self.v1_dir("cpu") {
            let text = dir.read_if_any("cpu.stat")?.unwrap_or_default();
            cpu.throttling = throttling(&text, "throttled_time", 1);
        } else if let Some(dir) = self.unified_dir() {
            let text = dir.read_if_any("cpu.stat")?.unwrap_or_default();
            let nanos = |key| table_value(&text, key).unwrap_or(0) * 1000;
            (cpu.usage, cpu.user, cpu.system) = (nanos("usage_usec"), nanos("user_usec"), nanos("system_usec"));
            cpu.throttling = throttling(&text, "throttled_usec", 1000);
        }
        Ok(cpu)
    }

    /// Memory alone.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn memory_stats(&self) -> Result<MemoryStats, Error> {
        if let Some(dir) = self.v1_dir("memory") {
            let number = |file: &str| -> Result<u64, Error> { Ok(dir.number(file)?.unwrap_or(0)) };
            return Ok(MemoryStats {
                usage: number("memory.usage_in_bytes")?,
                max_usage: number("memory.max_usage_in_bytes")?,
                failcnt: number("memory.failcnt")?,
                limit: number("memory.limit_in_bytes")?,
                swap_usage: number("memory.memsw.usage_in_bytes")?,
                swap_limit: number("memory.memsw.limit_in_bytes")?,
                kernel_usage: number("memory.kmem.usage_in_bytes")?,
                stats: table(dir, "memory.stat")?,
                unified: false,
                pressure: None,
            });
        }
        let Some(dir) = self.unified_dir() else { return Ok(MemoryStats::default()) };
        let number = |file: &str| -> Result<u64, Error> { Ok(dir.number(file)?.unwrap_or(0)) };
        let events = dir.read_if_any("memory.events")?.unwrap_or_default();
        Ok(MemoryStats {
            usage: number("memory.current")?,
            max_usage: number("memory.peak")?,
            failcnt: table_value(&events, "max").unwrap_or(0),
            limit: number("memory.max")?,
            swap_usage: number("memory.swap.current")?,
            swap_limit: number("memory.swap.max")?,
            kernel_usage: 0,
            stats: table(dir, "memory.stat")?,
            unified: true,
            pressure: None,
        })
    }

    fn pids_stats(&self) -> Result<PidsStats, Error> {
        let Some(dir) = self.dir("pids") else { return Ok(PidsStats::default()) };
        let limit = dir.number("pids.max")?.filter(|limit| *limit != u64::MAX);
        Ok(PidsStats { current: dir.number("pids.current")?.unwrap_or(0), limit })
    }

    fn blkio_stats(&self) -> Result<BlkioStats, Error> {
        if let Some(dir) = self.v1_dir("blkio") {
            return Ok(BlkioStats {
                service_bytes: v1_entries(dir, "io_service_bytes_recursive")?,
                serviced: v1_entries(dir, "io_serviced_recursive")?,
                pressure: None,
            });
        }
        let text = match self.dir("io") {
            Some(dir) => dir.read_if_any("io.stat")?.unwrap_or_default(),
            None => String::new(),
        };
        Ok(parse_io_stat(&text))
    }

    fn hugetlb_stats(&self) -> Result<BTreeMap<String, HugetlbStats>, Error> {
        let mut sizes = BTreeMap::new();
        let Some(dir) = self.dir("hugetlb") else { return Ok(sizes) };
        let v1 = self.v1_dir("hugetlb").is_some();
        for size in ["64KB", "1MB", "2MB", "16MB", "32MB", "512MB", "1GB", "2GB", "16GB"] {
            let usage = if v1 { "usage_in_bytes" } else { "current" };
            let Some(usage) = dir.number(&format!("hugetlb.{size}.{usage}"))? else { continue };
            let mut entry = HugetlbStats { usage, ..HugetlbStats::default() };
            if v1 {
                entry.max_usage = dir.number(&format!("hugetlb.{size}.max_usage_in_bytes"))?.unwrap_or(0);
                entry.failcnt = dir.number(&format!("hugetlb.{size}.failcnt"))?.unwrap_or(0);
            } else {
                let events = dir.read_if_any(&format!("hugetlb.{size}.events"))?.unwrap_or_default();
                entry.failcnt = table_value(&events, "max").unwrap_or(0);
            }
            sizes.insert(size.to_owned(), entry);
        }
        Ok(sizes)
    }
}

fn table(dir: &Dir, file: &str) -> Result<BTreeMap<String, u64>, Error> {
    let text = dir.read_if_any(file)?.unwrap_or_default();
    Ok(parse_table(&text).map(|(key, value)| (key.to_owned(), value)).collect())
}

fn throttling(text: &str, time: &str, unit: u64) -> Throttling {
    let number = |key| table_value(text, key).unwrap_or(0);
    Throttling {
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled_time: number(time) * unit,
    }
}

/// BFQ counts only what it schedules; the throttle layer counts everything but is empty on some schedulers.
fn v1_entries(dir: &Dir, name: &str) -> Result<Vec<BlkioEntry>, Error> {
    let bfq = parse_blkio(&dir.read_if_any(&format!("blkio.bfq.{name}"))?.unwrap_or_default());
    if !bfq.is_empty() {
        return Ok(bfq);
    }
    Ok(parse_blkio(&dir.read_if_any(&format!("blkio.throttle.{name}"))?.unwrap_or_default()))
}

/// Lines of `8:0 Read 4096`; the last line is a total without device.
fn parse_blkio(text: &str) -> Vec<BlkioEntry> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let (op, value) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some(BlkioEntry { major: major.parse().ok()?, minor: minor.parse().ok()?, op, value })
    };
    text.lines().filter_map(line).collect()
}

/// Lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn parse_io_stat(text: &str) -> BlkioStats {
    let mut stats = BlkioStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (op, list) = match key {
                "rbytes" => ("read", &mut stats.service_bytes),
                "wbytes" => ("write", &mut stats.service_bytes),
                "rios" => ("read", &mut stats.serviced),
                "wios" => ("write", &mut stats.serviced),
                _ => continue,
            };
            list.push(BlkioEntry { major, minor, op: op.to_owned(), value: parse_number(value) });
        }
    }
    stats
}

/// `None` when the kernel does not account pressure.
fn pressure(dir: &Dir, file: &str) -> Result<Option<Pressure>, Error> {
    Ok(dir.read_if_any(file)?.map(|text| parse_pressure(&text)))
}

fn parse_pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let into = match words.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "avg10" => into.avg10 = value.parse().unwrap_or(0.0),
                "avg60" => into.avg60 = value.parse().unwrap_or(0.0),
                "avg300" => into.avg300 = value.parse().unwrap_or(0.0),
                "total" => into.total = parse_number(value),
                _ => {}
            }
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_stat_lines() {
        let stats = parse_io_stat("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\nbroken\n");
        let entry = |op: &str, value| BlkioEntry { major: 8, minor: 0, op: op.to_owned(), value };
        assert_eq!(stats.service_bytes, [entry("read", 1), entry("write", 2)]);
        assert_eq!(stats.serviced, [entry("read", 3), entry("write", 4)]);
    }

    #[test]
    fn blkio_lines_without_a_device_are_left_out() {
        let entries = parse_blkio("253:0 Read 4096\n253:0 Total 4096\nTotal 4096\n");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1], BlkioEntry { major: 253, minor: 0, op: "Total".to_owned(), value: 4096 });
    }

    #[test]
    fn pressure_lines() {
        let text = "some avg10=0.12 avg60=1.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        let pressure = parse_pressure(text);
        assert_eq!((pressure.some.avg10, pressure.some.total, pressure.full.total), (0.12, 77, 5));
    }
}
