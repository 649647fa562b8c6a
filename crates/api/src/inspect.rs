//! Containers as the engine shows them: `GET /containers/json`, `GET /containers/{id}/json` and the smaller answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::container::{Config, HostConfig, MountPoint, PortMap};
use crate::network::EndpointSettings;

object! {
    /// `GET /containers/{id}/json`.
    pub struct Inspect = "container.InspectResponse" {
        /// Full ID.
        id: String = "Id",
        /// RFC 3339.
        created: String = "Created",
        /// The program.
        path: String = "Path",
        /// Its arguments.
        args: Vec<String> = "Args",
        /// Where it is in its life.
        state: State = "State",
        /// Image ID with algorithm.
        image: String = "Image",
        /// File on the host.
        resolv_conf_path: String = "ResolvConfPath",
        /// File on the host.
        hostname_path: String = "HostnamePath",
        /// File on the host.
        hosts_path: String = "HostsPath",
        /// File on the host.
        log_path: String = "LogPath",
        /// With leading slash.
        name: String = "Name",
        /// By the restart policy.
        restart_count: i64 = "RestartCount",
        /// Storage driver.
        driver: String = "Driver",
        /// `linux`.
        platform: String = "Platform",
        /// SELinux label of the mounts.
        mount_label: String = "MountLabel",
        /// SELinux label of the process.
        process_label: String = "ProcessLabel",
        /// AppArmor profile.
        app_armor_profile: String = "AppArmorProfile",
        /// Execs that run or ran.
        exec_ids: Option<Vec<String>> = "ExecIDs",
        /// The declaration about the host's side.
        host_config: Arc<HostConfig> = "HostConfig",
        /// Storage.
        graph_driver: GraphDriver = "GraphDriver",
        /// Bytes of the container's own layer; only when asked for.
        size_rw: Option<i64> = "SizeRw" omit,
        /// Bytes of all layers; only when asked for.
        size_root_fs: Option<i64> = "SizeRootFs" omit,
        /// Mounts.
        mounts: Vec<MountPoint> = "Mounts",
        /// The portable declaration.
        config: Arc<Config> = "Config",
        /// Networks, addresses and ports.
        network_settings: NetworkSettings = "NetworkSettings",
    }

    /// `State` of an inspected container.
    pub struct State = "container.State" {
        /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
        status: String = "Status",
        /// True for paused and restarting, too.
        running: bool = "Running",
        /// Frozen.
        paused: bool = "Paused",
        /// Between two runs.
        restarting: bool = "Restarting",
        /// Ended by the memory limit.
        oom_killed: bool = "OOMKilled",
        /// Removal was incomplete.
        dead: bool = "Dead",
        /// PID on the host; 0 when there is none.
        pid: i64 = "Pid",
        /// Of the last run.
        exit_code: i64 = "ExitCode",
        /// Why the last start did not succeed.
        error: String = "Error",
        /// RFC 3339; year 1 when never.
        started_at: String = "StartedAt",
        /// RFC 3339; year 1 when never.
        finished_at: String = "FinishedAt",
        /// Where there is a health check.
        health: Option<Health> = "Health" omit,
    }

    /// State of a health check.
    pub struct Health = "container.Health" {
        /// `starting`, `healthy`, `unhealthy`.
        status: String = "Status",
        /// Failures in a row.
        failing_streak: i64 = "FailingStreak",
        /// The last five probes.
        log: Vec<HealthProbe> = "Log",
    }

    /// One run of a health check.
    pub struct HealthProbe = "container.HealthcheckResult" {
        /// RFC 3339.
        start: String = "Start",
        /// RFC 3339.
        end: String = "End",
        /// 0 is healthy.
        exit_code: i64 = "ExitCode",
        /// At most 4096 bytes.
        output: String = "Output",
    }

    /// Storage of a container or an image.
    pub struct GraphDriver = "storage.DriverData" {
        /// The driver's own words.
        data: Option<BTreeMap<String, String>> = "Data",
        /// `overlay2` …
        name: String = "Name",
    }

    /// Networks, addresses and ports of an inspected container; the fields of the default bridge are repeated on top.
    pub struct NetworkSettings = "container.NetworkSettings" {
        /// Always empty by now.
        bridge: String = "Bridge",
        /// The network namespace.
        sandbox_id: String = "SandboxID",
        /// Its path.
        sandbox_key: String = "SandboxKey",
        /// Published and exposed ports.
        ports: Option<PortMap> = "Ports",
        /// Unused.
        hairpin_mode: bool = "HairpinMode",
        /// Unused.
        link_local_ipv6_address: String = "LinkLocalIPv6Address",
        /// Unused.
        link_local_ipv6_prefix_len: i64 = "LinkLocalIPv6PrefixLen",
        /// Unused.
        secondary_ip_addresses: Option<Vec<Address>> = "SecondaryIPAddresses",
        /// Unused.
        secondary_ipv6_addresses: Option<Vec<Address>> = "SecondaryIPv6Addresses",
        /// On the default bridge.
        endpoint_id: String = "EndpointID",
        /// On the default bridge.
        gateway: String = "Gateway",
        /// On the default bridge.
        global_ipv6_address: String = "GlobalIPv6Address",
        /// On the default bridge.
        global_ipv6_prefix_len: i64 = "GlobalIPv6PrefixLen",
        /// On the default bridge.
        ip_address: String = "IPAddress",
        /// On the default bridge.
        ip_prefix_len: i64 = "IPPrefixLen",
        /// On the default bridge.
        ipv6_gateway: String = "IPv6Gateway",
        /// On the default bridge.
        mac_address: String = "MacAddress",
        /// All networks by name.
        networks: BTreeMap<String, EndpointSettings> = "Networks",
    }

    /// An address with its prefix length.
    pub struct Address = "network.Address" {
        /// The address.
        addr: String = "Addr",
        /// Length of the prefix.
        prefix_len: i64 = "PrefixLen",
    }

    /// One row of `GET /containers/json`.
    pub struct Summary = "container.Summary" {
        /// Full ID.
        id: String = "Id",
        /// With leading slashes.
        names: Vec<String> = "Names",
        /// As the user said it, or the ID when that name points elsewhere by now.
        image: String = "Image",
        /// Image ID with algorithm.
        image_id: String = "ImageID",
        /// Program and arguments, quoted.
        command: String = "Command",
        /// Seconds since 1970.
        created: i64 = "Created",
        /// Published and exposed ports.
        ports: Vec<Port> = "Ports",
        /// Bytes of the container's own layer; only when asked for.
        size_rw: i64 = "SizeRw" omit,
        /// Bytes of all layers; only when asked for.
        size_root_fs: i64 = "SizeRootFs" omit,
        /// Labels.
        labels: BTreeMap<String, String> = "Labels",
        /// `running` …
        state: String = "State",
        /// `Up 2 minutes` …
        status: String = "Status",
        /// Two fields of the declaration.
        host_config: SummaryHostConfig = "HostConfig",
        /// The networks only.
        network_settings: SummaryNetworkSettings = "NetworkSettings",
        /// Mounts.
        mounts: Vec<MountPoint> = "Mounts",
    }

    /// What a list shows of the host's side.
    pub struct SummaryHostConfig = "struct" {
        /// Network mode.
        network_mode: String = "NetworkMode" omit,
        /// Annotations for the OCI runtime.
        annotations: Option<BTreeMap<String, String>> = "Annotations" omit,
    }

    /// What a list shows of the networks.
    pub struct SummaryNetworkSettings = "container.NetworkSettingsSummary" {
        /// By name.
        networks: BTreeMap<String, EndpointSettings> = "Networks",
    }

    /// One port of a list.
    pub struct Port = "container.Port" {
        /// Host address.
        ip: String = "IP" omit,
        /// In the container.
        private_port: u16 = "PrivatePort",
        /// On the host; 0 when not published.
        public_port: u16 = "PublicPort" omit,
        /// `tcp`, `udp`, `sctp`.
        kind: String = "Type",
    }

    /// Answer of `POST /containers/create`.
    pub struct Created = "container.CreateResponse" {
        /// Full ID.
        id: String = "Id",
        /// What was ignored or changed.
        warnings: Vec<String> = "Warnings",
    }

    /// Answer of `POST /containers/{id}/wait`.
    pub struct WaitResponse = "container.WaitResponse" {
        /// Why there is no exit code in truth.
        error: Option<WaitError> = "Error" omit,
        /// Exit code.
        status_code: i64 = "StatusCode",
    }

    /// Why a wait gave no exit code.
    pub struct WaitError = "container.WaitExitError" {
        /// A sentence.
        message: String = "Message" omit,
    }

    /// Answer of `GET /containers/{id}/top`.
    pub struct Top = "container.TopResponse" {
        /// One row per process.
        processes: Vec<Vec<String>> = "Processes",
        /// Column titles.
        titles: Vec<String> = "Titles",
    }

    /// One row of `GET /containers/{id}/changes`.
    pub struct Change = "container.FilesystemChange" {
        /// Absolute path.
        path: String = "Path",
        /// 0 modified, 1 added, 2 deleted.
        kind: u32 = "Kind",
    }

    /// Answer of `POST /containers/{id}/update`.
    pub struct Updated = "container.UpdateResponse" {
        /// What was ignored.
        warnings: Option<Vec<String>> = "Warnings",
    }

    /// Answer of `POST /containers/prune`.
    pub struct Pruned = "container.PruneReport" {
        /// IDs.
        containers_deleted: Option<Vec<String>> = "ContainersDeleted",
        /// Bytes.
        space_reclaimed: u64 = "SpaceReclaimed",
    }

    /// The `X-Docker-Container-Path-Stat` header of `archive`, before base64.
    pub struct PathStat = "container.PathStat" {
        /// Last part of the path.
        name: String = "name",
        /// Bytes.
        size: i64 = "size",
        /// Go's `os.FileMode`.
        mode: u32 = "mode",
        /// RFC 3339.
        mtime: String = "mtime",
        /// Where a symbolic link leads.
        link_target: String = "linkTarget",
    }
}
