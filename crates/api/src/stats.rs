//! `GET /containers/{id}/stats`. Times are in nanoseconds, sizes in bytes.

use std::collections::BTreeMap;

object! {
    /// Usage of a container at one moment, with the one before it.
    pub struct Stats = "container.StatsResponse" {
        /// With leading slash.
        name: String = "name" omit,
        /// Full ID.
        id: String = "id" omit,
        /// RFC 3339.
        read: String = "read",
        /// RFC 3339, of `precpu_stats`.
        preread: String = "preread",
        /// Processes.
        pids_stats: Pids = "pids_stats" omit,
        /// Block devices.
        blkio_stats: Blkio = "blkio_stats" omit,
        /// Windows only.
        num_procs: u32 = "num_procs",
        /// Windows only.
        storage_stats: Storage = "storage_stats" omit,
        /// Now.
        cpu_stats: Cpu = "cpu_stats" omit,
        /// At `preread`.
        precpu_stats: Cpu = "precpu_stats" omit,
        /// Memory.
        memory_stats: Memory = "memory_stats" omit,
        /// By interface.
        networks: Option<BTreeMap<String, Network>> = "networks" omit,
    }

    /// Processes.
    pub struct Pids = "container.PidsStats" {
        /// How many.
        current: u64 = "current" omit,
        /// How many are allowed; 0 is no limit.
        limit: u64 = "limit" omit,
    }

    /// Windows only.
    pub struct Storage = "container.StorageStats" {
        /// Unused.
        read_count_normalized: u64 = "read_count_normalized" omit,
        /// Unused.
        read_size_bytes: u64 = "read_size_bytes" omit,
        /// Unused.
        write_count_normalized: u64 = "write_count_normalized" omit,
        /// Unused.
        write_size_bytes: u64 = "write_size_bytes" omit,
    }

    /// Block devices. `null` when the container does not run.
    pub struct Blkio = "container.BlkioStats" {
        /// Bytes.
        io_service_bytes_recursive: Option<Vec<BlkioEntry>> = "io_service_bytes_recursive",
        /// Operations.
        io_serviced_recursive: Option<Vec<BlkioEntry>> = "io_serviced_recursive",
        /// v1 only.
        io_queue_recursive: Option<Vec<BlkioEntry>> = "io_queue_recursive",
        /// v1 only.
        io_service_time_recursive: Option<Vec<BlkioEntry>> = "io_service_time_recursive",
        /// v1 only.
        io_wait_time_recursive: Option<Vec<BlkioEntry>> = "io_wait_time_recursive",
        /// v1 only.
        io_merged_recursive: Option<Vec<BlkioEntry>> = "io_merged_recursive",
        /// v1 only.
        io_time_recursive: Option<Vec<BlkioEntry>> = "io_time_recursive",
        /// v1 only.
        sectors_recursive: Option<Vec<BlkioEntry>> = "sectors_recursive",
    }

    /// One counter of one device.
    pub struct BlkioEntry = "container.BlkioStatEntry" {
        /// Device.
        major: u64 = "major",
        /// Device.
        minor: u64 = "minor",
        /// `Read`, `Write` …
        op: String = "op",
        /// The counter.
        value: u64 = "value",
    }

    /// CPU time.
    pub struct Cpu = "container.CPUStats" {
        /// Of the container.
        cpu_usage: CpuUsage = "cpu_usage",
        /// Of the whole machine.
        system_usage: u64 = "system_cpu_usage" omit,
        /// CPUs.
        online_cpus: u32 = "online_cpus" omit,
        /// By the quota.
        throttling_data: Throttling = "throttling_data" omit,
    }

    /// CPU time of the container.
    pub struct CpuUsage = "container.CPUUsage" {
        /// All of it.
        total_usage: u64 = "total_usage",
        /// By CPU; v1 only.
        percpu_usage: Option<Vec<u64>> = "percpu_usage" omit,
        /// In the kernel.
        usage_in_kernelmode: u64 = "usage_in_kernelmode",
        /// In programs.
        usage_in_usermode: u64 = "usage_in_usermode",
    }

    /// What the quota did.
    pub struct Throttling = "container.ThrottlingData" {
        /// Periods with tasks to run.
        periods: u64 = "periods",
        /// Periods in which the quota was used up.
        throttled_periods: u64 = "throttled_periods",
        /// Time spent waiting for the next period.
        throttled_time: u64 = "throttled_time",
    }

    /// Memory.
    pub struct Memory = "container.MemoryStats" {
        /// Page cache included.
        usage: u64 = "usage" omit,
        /// v1 only.
        max_usage: u64 = "max_usage" omit,
        /// memory.stat.
        stats: Option<BTreeMap<String, u64>> = "stats" omit,
        /// v1 only.
        failcnt: u64 = "failcnt" omit,
        /// The machine's memory when there is no limit.
        limit: u64 = "limit" omit,
    }

    /// Counters of an interface.
    pub struct Network = "container.NetworkStats" {
        /// Received.
        rx_bytes: u64 = "rx_bytes",
        /// Received.
        rx_packets: u64 = "rx_packets",
        /// Received.
        rx_errors: u64 = "rx_errors",
        /// Received.
        rx_dropped: u64 = "rx_dropped",
        /// Sent.
        tx_bytes: u64 = "tx_bytes",
        /// Sent.
        tx_packets: u64 = "tx_packets",
        /// Sent.
        tx_errors: u64 = "tx_errors",
        /// Sent.
        tx_dropped: u64 = "tx_dropped",
    }
}
