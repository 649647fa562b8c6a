//! Containers as a client declares them: `POST /containers/create` and `POST /containers/{id}/update`.
//!
//! `inspect` gives these documents back field for field, so the engine stores them as they came (after its defaults).

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use crate::go::{GoValue, Null, WrongType, wrong};
pub use crate::mount::{BindOptions, Driver, ImageOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};
pub use crate::network::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};

/// Published ports: `"80/tcp"` to the host's side of it.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// A set written as a JSON object with empty objects as values (`ExposedPorts`, `Volumes`).
pub type Set = BTreeMap<String, Empty>;

/// A command line: read from a list or from one string (Docker's `StrSlice`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl serde::Serialize for Words {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(ser)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Self::decode(de)
    }
}

impl GoValue for Words {
    fn decode<'de, D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<String>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_unit<E>(self) -> Result<Vec<String>, E> {
                Ok(Vec::new())
            }
            fn visit_str<E>(self, word: &str) -> Result<Vec<String>, E> {
                Ok(vec![word.to_owned()])
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
                let mut words = Vec::new();
                while let Some(Null(word)) = seq.next_element()? {
                    words.push(word);
                }
                Ok(words)
            }
        }
        de.deserialize_any(Visitor).map(Words)
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    fn go_type() -> String {
        // the leading bracket makes `Option<Words>` a slice for omitempty
        "[]string".into()
    }
    fn check(value: &Value, path: &mut String) -> Result<(), WrongType> {
        match value {
            Value::String(_) | Value::Null => Ok(()),
            Value::Array(_) => Vec::<String>::check(value, path),
            // Docker's own decoder tries a plain string last, outside of any field
            _ => Err(wrong::<String>(value, "")),
        }
    }
}

object! {
    /// Go's `struct{}`.
    pub struct Empty = "struct {}" {}

    /// Body of `POST /containers/create`.
    pub struct CreateRequest = "container.CreateRequest" {
        /// The portable part, at the top level of the document; `None` when no key of it was there.
        config: Option<Config> = "" flat,
        /// The part that depends on the host.
        host_config: Option<HostConfig> = "HostConfig" omit,
        /// The networks to join.
        networking_config: Option<NetworkingConfig> = "NetworkingConfig" omit,
    }

    /// Body of `POST /containers/{id}/update`.
    pub struct UpdateConfig = "container.UpdateConfig" {
        /// New limits; a zero value leaves the old one.
        resources: Resources = "" flat,
        /// New restart policy; an empty name leaves the old one.
        restart_policy: RestartPolicy = "RestartPolicy",
    }

    /// The portable part of a container: what an image can say too.
    pub struct Config = "container.Config" {
        /// Host name; empty means the short ID.
        hostname: String = "Hostname",
        /// NIS domain name.
        domainname: String = "Domainname",
        /// `user[:group]`, names or numbers.
        user: String = "User",
        /// Whether `attach` includes standard input.
        attach_stdin: bool = "AttachStdin",
        /// Whether `attach` includes standard output.
        attach_stdout: bool = "AttachStdout",
        /// Whether `attach` includes standard error.
        attach_stderr: bool = "AttachStderr",
        /// `"80/tcp": {}` …
        exposed_ports: Option<Set> = "ExposedPorts" omit,
        /// A terminal as standard streams.
        tty: bool = "Tty",
        /// Keep standard input open without a client.
        open_stdin: bool = "OpenStdin",
        /// Close standard input when the first attached client leaves.
        stdin_once: bool = "StdinOnce",
        /// `NAME=value`; a name alone removes it.
        env: Option<Vec<String>> = "Env",
        /// Arguments (or command) when the container starts.
        cmd: Option<Words> = "Cmd",
        /// How to test that the container works.
        healthcheck: Option<HealthConfig> = "Healthcheck" omit,
        /// Windows only.
        args_escaped: bool = "ArgsEscaped" omit,
        /// Image reference as the client gave it.
        image: String = "Image",
        /// Mount points of anonymous volumes.
        volumes: Option<Set> = "Volumes",
        /// Working folder of the process.
        working_dir: String = "WorkingDir",
        /// The executable and its first arguments.
        entrypoint: Option<Words> = "Entrypoint",
        /// No network at all.
        network_disabled: bool = "NetworkDisabled" omit,
        /// Deprecated since v1.44: see [`EndpointSettings::mac_address`].
        mac_address: String = "MacAddress" omit,
        /// Instructions for images built from this one.
        on_build: Option<Vec<String>> = "OnBuild",
        /// User's metadata.
        labels: Option<BTreeMap<String, String>> = "Labels",
        /// Signal that `stop` sends.
        stop_signal: String = "StopSignal" omit,
        /// Seconds that `stop` waits.
        stop_timeout: Option<i32> = "StopTimeout" omit,
        /// Shell for the shell form of instructions.
        shell: Option<Words> = "Shell" omit,
    }

    /// How to test that a container works. Times are in nanoseconds; 0 means inherit.
    pub struct HealthConfig = "container.HealthConfig" {
        /// `[]` inherit, `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", line]`.
        test: Option<Vec<String>> = "Test" omit,
        /// Between two probes.
        interval: i64 = "Interval" omit,
        /// Limit of one probe.
        timeout: i64 = "Timeout" omit,
        /// Grace after the start.
        start_period: i64 = "StartPeriod" omit,
        /// Between two probes during the grace.
        start_interval: i64 = "StartInterval" omit,
        /// Failures in a row that make it unhealthy.
        retries: i32 = "Retries" omit,
    }

    /// The part of a container that depends on the host.
    pub struct HostConfig = "container.HostConfig" {
        /// `-v` in its three-part form.
        binds: Option<Vec<String>> = "Binds",
        /// `--cidfile`, kept for inspect only.
        container_id_file: String = "ContainerIDFile",
        /// Log driver and options.
        log_config: LogConfig = "LogConfig",
        /// `default`, `bridge`, `host`, `none`, `container:X` or a network.
        network_mode: String = "NetworkMode",
        /// Published ports.
        port_bindings: Option<PortMap> = "PortBindings",
        /// What to do when the container ends.
        restart_policy: RestartPolicy = "RestartPolicy",
        /// Remove the container when it ends.
        auto_remove: bool = "AutoRemove",
        /// Driver of the volumes made for this container.
        volume_driver: String = "VolumeDriver",
        /// `name[:ro]` of containers whose volumes are taken over.
        volumes_from: Option<Vec<String>> = "VolumesFrom",
        /// Height and width of the terminal at the start.
        console_size: [u32; 2] = "ConsoleSize",
        /// Annotations for the OCI runtime.
        annotations: Option<BTreeMap<String, String>> = "Annotations" omit,
        /// Capabilities on top of the default.
        cap_add: Option<Words> = "CapAdd",
        /// Capabilities taken away.
        cap_drop: Option<Words> = "CapDrop",
        /// `host` or `private`.
        cgroupns_mode: String = "CgroupnsMode",
        /// Name servers.
        dns: Option<Vec<String>> = "Dns",
        /// Resolver options.
        dns_options: Option<Vec<String>> = "DnsOptions",
        /// Search domains.
        dns_search: Option<Vec<String>> = "DnsSearch",
        /// `name:address` lines for `/etc/hosts`.
        extra_hosts: Option<Vec<String>> = "ExtraHosts",
        /// Supplementary groups.
        group_add: Option<Vec<String>> = "GroupAdd",
        /// `none`, `private`, `shareable`, `host`, `container:X`.
        ipc_mode: String = "IpcMode",
        /// cgroup to use (`container:X`), from v1.22.
        cgroup: String = "Cgroup",
        /// `name[:alias]` on the default bridge.
        links: Option<Vec<String>> = "Links",
        /// Preference of the OOM killer, -1000 … 1000.
        oom_score_adj: i32 = "OomScoreAdj",
        /// ``, `host`, `container:X`.
        pid_mode: String = "PidMode",
        /// All capabilities and devices.
        privileged: bool = "Privileged",
        /// Publish every exposed port.
        publish_all_ports: bool = "PublishAllPorts",
        /// Root file system read-only.
        readonly_rootfs: bool = "ReadonlyRootfs",
        /// seccomp, AppArmor, labels, `no-new-privileges`.
        security_opt: Option<Vec<String>> = "SecurityOpt",
        /// Options for the storage driver.
        storage_opt: Option<BTreeMap<String, String>> = "StorageOpt" omit,
        /// `--tmpfs`: path to options.
        tmpfs: Option<BTreeMap<String, String>> = "Tmpfs" omit,
        /// `` or `host`.
        uts_mode: String = "UTSMode",
        /// `` or `host`.
        userns_mode: String = "UsernsMode",
        /// Size of `/dev/shm` in bytes.
        shm_size: i64 = "ShmSize",
        /// Kernel parameters of the container's namespaces.
        sysctls: Option<BTreeMap<String, String>> = "Sysctls" omit,
        /// Name of the OCI runtime.
        runtime: String = "Runtime" omit,
        /// Windows only.
        isolation: String = "Isolation",
        /// Limits, at the same level of the document.
        resources: Resources = "" flat,
        /// `--mount`.
        mounts: Option<Vec<Mount>> = "Mounts" omit,
        /// Paths hidden from the container.
        masked_paths: Option<Vec<String>> = "MaskedPaths",
        /// Paths made read-only.
        readonly_paths: Option<Vec<String>> = "ReadonlyPaths",
        /// A small init as PID 1; `None` is the daemon's default.
        init: Option<bool> = "Init" omit,
    }

    /// Limits of a container.
    pub struct Resources = "container.Resources" {
        /// Relative weight under contention; 0 is the default (1024).
        cpu_shares: i64 = "CpuShares",
        /// Bytes.
        memory: i64 = "Memory",
        /// Billionths of a CPU (`--cpus`).
        nano_cpus: i64 = "NanoCpus",
        /// cgroup below which the container's is made.
        cgroup_parent: String = "CgroupParent",
        /// 10 … 1000.
        blkio_weight: u16 = "BlkioWeight",
        /// Weight by device.
        blkio_weight_device: Option<Vec<Option<WeightDevice>>> = "BlkioWeightDevice",
        /// Bytes per second by device.
        blkio_device_read_bps: Option<Vec<Option<ThrottleDevice>>> = "BlkioDeviceReadBps",
        /// Bytes per second by device.
        blkio_device_write_bps: Option<Vec<Option<ThrottleDevice>>> = "BlkioDeviceWriteBps",
        /// Operations per second by device.
        blkio_device_read_iops: Option<Vec<Option<ThrottleDevice>>> = "BlkioDeviceReadIOps",
        /// Operations per second by device.
        blkio_device_write_iops: Option<Vec<Option<ThrottleDevice>>> = "BlkioDeviceWriteIOps",
        /// Microseconds.
        cpu_period: i64 = "CpuPeriod",
        /// Microseconds of run time in each period.
        cpu_quota: i64 = "CpuQuota",
        /// Microseconds.
        cpu_realtime_period: i64 = "CpuRealtimePeriod",
        /// Microseconds.
        cpu_realtime_runtime: i64 = "CpuRealtimeRuntime",
        /// `0-2,4`.
        cpuset_cpus: String = "CpusetCpus",
        /// Memory nodes.
        cpuset_mems: String = "CpusetMems",
        /// `--device`.
        devices: Option<Vec<DeviceMapping>> = "Devices",
        /// `--device-cgroup-rule`.
        device_cgroup_rules: Option<Vec<String>> = "DeviceCgroupRules",
        /// `--gpus` and CDI.
        device_requests: Option<Vec<DeviceRequest>> = "DeviceRequests",
        /// Ignored with a warning since v1.42.
        kernel_memory: i64 = "KernelMemory" omit,
        /// Ignored with a warning.
        kernel_memory_tcp: i64 = "KernelMemoryTCP" omit,
        /// Soft limit in bytes.
        memory_reservation: i64 = "MemoryReservation",
        /// Memory plus swap in bytes; -1 is unlimited.
        memory_swap: i64 = "MemorySwap",
        /// 0 … 100.
        memory_swappiness: Option<i64> = "MemorySwappiness",
        /// Do not kill when out of memory.
        oom_kill_disable: Option<bool> = "OomKillDisable",
        /// Number of processes; 0 or -1 is unlimited.
        pids_limit: Option<i64> = "PidsLimit",
        /// `--ulimit`.
        ulimits: Option<Vec<Option<Ulimit>>> = "Ulimits",
        /// Windows only.
        cpu_count: i64 = "CpuCount",
        /// Windows only.
        cpu_percent: i64 = "CpuPercent",
        /// Windows only.
        io_maximum_iops: u64 = "IOMaximumIOps",
        /// Windows only.
        io_maximum_bandwidth: u64 = "IOMaximumBandwidth",
    }

    /// Log driver and its options.
    pub struct LogConfig = "container.LogConfig" {
        /// Name of the driver; empty is the daemon's default.
        kind: String = "Type",
        /// Options of the driver.
        config: Option<BTreeMap<String, String>> = "Config",
    }

    /// What to do when a container ends.
    pub struct RestartPolicy = "container.RestartPolicy" {
        /// ``, `no`, `always`, `unless-stopped`, `on-failure`.
        name: String = "Name",
        /// Tries of `on-failure`; 0 is unlimited.
        maximum_retry_count: i32 = "MaximumRetryCount",
    }

    /// The host's side of a published port.
    pub struct PortBinding = "nat.PortBinding" {
        /// Address; empty is all.
        host_ip: String = "HostIp",
        /// Port or range; empty is any free one.
        host_port: String = "HostPort",
    }

    /// Block IO weight of one device.
    pub struct WeightDevice = "blkiodev.WeightDevice" {
        /// Device node on the host.
        path: String = "Path",
        /// 10 … 1000.
        weight: u16 = "Weight",
    }

    /// Block IO limit of one device.
    pub struct ThrottleDevice = "blkiodev.ThrottleDevice" {
        /// Device node on the host.
        path: String = "Path",
        /// Bytes or operations per second.
        rate: u64 = "Rate",
    }

    /// One `--device`.
    pub struct DeviceMapping = "container.DeviceMapping" {
        /// Device node (or folder of them) on the host.
        path_on_host: String = "PathOnHost",
        /// Its name in the container.
        path_in_container: String = "PathInContainer",
        /// Any of `rwm`.
        cgroup_permissions: String = "CgroupPermissions",
    }

    /// A request to a device driver (GPUs, CDI).
    pub struct DeviceRequest = "container.DeviceRequest" {
        /// Name of the driver.
        driver: String = "Driver",
        /// How many; -1 is all.
        count: i32 = "Count",
        /// Or which.
        device_ids: Option<Vec<String>> = "DeviceIDs",
        /// Any of these sets of capabilities.
        capabilities: Option<Vec<Option<Vec<String>>>> = "Capabilities",
        /// Options for the driver.
        options: Option<BTreeMap<String, String>> = "Options",
    }

    /// One `--ulimit`.
    pub struct Ulimit = "units.Ulimit" {
        /// `nofile` …
        name: String = "Name",
        /// Hard limit; -1 is unlimited.
        hard: i64 = "Hard",
        /// Soft limit; -1 is unlimited.
        soft: i64 = "Soft",
    }
}
