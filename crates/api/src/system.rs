//! The engine itself: version, info, disk usage, events, errors.

use std::collections::BTreeMap;

use crate::go::Any;

object! {
    /// Body of every error.
    pub struct ErrorResponse = "common.ErrorResponse" {
        /// A sentence.
        message: String = "message",
    }

    /// `GET /version`.
    pub struct Version = "types.Version" {
        /// Product.
        platform: Option<Platform> = "Platform" omit,
        /// Parts and their versions.
        components: Vec<Component> = "Components",
        /// Of the engine.
        version: String = "Version",
        /// Newest.
        api_version: String = "ApiVersion",
        /// Oldest.
        min_api_version: String = "MinAPIVersion" omit,
        /// Commit.
        git_commit: String = "GitCommit",
        /// Compiler (a Go version in Docker).
        go_version: String = "GoVersion",
        /// `linux`.
        os: String = "Os",
        /// `amd64` …
        arch: String = "Arch",
        /// `uname -r`.
        kernel_version: String = "KernelVersion" omit,
        /// Experimental features are on.
        experimental: bool = "Experimental" omit,
        /// RFC 3339.
        build_time: String = "BuildTime" omit,
    }

    /// Product name.
    pub struct Platform = "struct" {
        /// Often empty.
        name: String = "Name",
    }

    /// One part of the engine.
    pub struct Component = "types.ComponentVersion" {
        /// `Engine` …
        name: String = "Name",
        /// Its version.
        version: String = "Version",
        /// More.
        details: Option<BTreeMap<String, String>> = "Details" omit,
    }

    /// One line of `GET /events`. The first three repeat the others for old clients.
    pub struct Event = "events.Message" {
        /// The action, for containers and images.
        status: String = "status" omit,
        /// The actor, for containers and images.
        id: String = "id" omit,
        /// The image of a container.
        from: String = "from" omit,
        /// Kind of object.
        kind: String = "Type",
        /// What happened.
        action: String = "Action",
        /// To whom.
        actor: Actor = "Actor",
        /// `local`, `swarm`.
        scope: String = "scope" omit,
        /// Seconds since 1970.
        time: i64 = "time" omit,
        /// Nanoseconds since 1970.
        time_nano: i64 = "timeNano" omit,
    }

    /// To whom something happened.
    pub struct Actor = "events.Actor" {
        /// ID or name.
        id: String = "ID",
        /// Name, image, labels, exit code …
        attributes: BTreeMap<String, String> = "Attributes",
    }

    /// `GET /system/df`.
    pub struct DiskUsage = "types.DiskUsage" {
        /// Bytes of all layers, each counted once.
        layers_size: i64 = "LayersSize",
        /// Images.
        images: Option<Vec<crate::image::Summary>> = "Images",
        /// Containers with sizes.
        containers: Option<Vec<crate::inspect::Summary>> = "Containers",
        /// Volumes with use.
        volumes: Option<Vec<crate::volume::Volume>> = "Volumes",
        /// Build cache.
        build_cache: Option<Vec<Any>> = "BuildCache",
        /// Bytes of the build cache; until v1.41.
        builder_size: Option<i64> = "BuilderSize" omit,
    }

    /// `POST /auth`.
    pub struct AuthConfig = "registry.AuthConfig" {
        /// User.
        username: String = "username" omit,
        /// Password.
        password: String = "password" omit,
        /// Base64 of both.
        auth: String = "auth" omit,
        /// Obsolete.
        email: String = "email" omit,
        /// Registry.
        server_address: String = "serveraddress" omit,
        /// OAuth refresh token.
        identity_token: String = "identitytoken" omit,
        /// Bearer token.
        registry_token: String = "registrytoken" omit,
    }

    /// `GET /info`.
    pub struct Info = "system.Info" {
        /// UUID of the engine.
        id: String = "ID",
        /// All.
        containers: i64 = "Containers",
        /// Running.
        containers_running: i64 = "ContainersRunning",
        /// Paused.
        containers_paused: i64 = "ContainersPaused",
        /// Not running.
        containers_stopped: i64 = "ContainersStopped",
        /// All.
        images: i64 = "Images",
        /// Storage driver.
        driver: String = "Driver",
        /// Its words.
        driver_status: Vec<Vec<String>> = "DriverStatus",
        /// Obsolete.
        system_status: Option<Vec<Vec<String>>> = "SystemStatus" omit,
        /// Built-in drivers.
        plugins: Plugins = "Plugins",
        /// Limit can be set.
        memory_limit: bool = "MemoryLimit",
        /// Limit can be set.
        swap_limit: bool = "SwapLimit",
        /// Until v1.41.
        kernel_memory: Option<bool> = "KernelMemory" omit,
        /// v1 only.
        kernel_memory_tcp: bool = "KernelMemoryTCP" omit,
        /// Limit can be set.
        cpu_cfs_period: bool = "CpuCfsPeriod",
        /// Limit can be set.
        cpu_cfs_quota: bool = "CpuCfsQuota",
        /// Weight can be set.
        cpu_shares: bool = "CPUShares",
        /// CPUs can be chosen.
        cpu_set: bool = "CPUSet",
        /// Limit can be set.
        pids_limit: bool = "PidsLimit",
        /// The host forwards.
        ipv4_forwarding: bool = "IPv4Forwarding",
        /// Until v1.49.
        bridge_nf_iptables: Option<bool> = "BridgeNfIptables" omit,
        /// Until v1.49.
        bridge_nf_ip6tables: Option<bool> = "BridgeNfIp6tables" omit,
        /// Debug mode.
        debug: bool = "Debug",
        /// Open files of the engine.
        n_fd: i64 = "NFd",
        /// Can be set.
        oom_kill_disable: bool = "OomKillDisable",
        /// Tasks of the engine.
        n_goroutines: i64 = "NGoroutines",
        /// RFC 3339.
        system_time: String = "SystemTime",
        /// Default.
        logging_driver: String = "LoggingDriver",
        /// `cgroupfs`, `systemd`.
        cgroup_driver: String = "CgroupDriver",
        /// `1`, `2`.
        cgroup_version: String = "CgroupVersion" omit,
        /// Clients that listen.
        n_events_listener: i64 = "NEventsListener",
        /// `uname -r`.
        kernel_version: String = "KernelVersion",
        /// `PRETTY_NAME` of os-release.
        operating_system: String = "OperatingSystem",
        /// `VERSION_ID` of os-release.
        os_version: String = "OSVersion",
        /// `linux`.
        os_type: String = "OSType",
        /// `x86_64` …
        architecture: String = "Architecture",
        /// Docker Hub's index.
        index_server_address: String = "IndexServerAddress",
        /// Registries.
        registry_config: RegistryConfig = "RegistryConfig",
        /// CPUs.
        ncpu: i64 = "NCPU",
        /// Bytes.
        mem_total: i64 = "MemTotal",
        /// Swarm only.
        generic_resources: Option<Vec<Any>> = "GenericResources",
        /// Data root.
        docker_root_dir: String = "DockerRootDir",
        /// Proxy.
        http_proxy: String = "HttpProxy",
        /// Proxy.
        https_proxy: String = "HttpsProxy",
        /// Proxy.
        no_proxy: String = "NoProxy",
        /// Host name.
        name: String = "Name",
        /// Of the engine.
        labels: Vec<String> = "Labels",
        /// Experimental features are on.
        experimental_build: bool = "ExperimentalBuild",
        /// Version.
        server_version: String = "ServerVersion",
        /// By name.
        runtimes: BTreeMap<String, Runtime> = "Runtimes",
        /// One of them.
        default_runtime: String = "DefaultRuntime",
        /// Swarm.
        swarm: Swarm = "Swarm",
        /// Containers outlive the engine.
        live_restore_enabled: bool = "LiveRestoreEnabled",
        /// Windows only.
        isolation: String = "Isolation",
        /// `--init`.
        init_binary: String = "InitBinary",
        /// Unused.
        containerd_commit: Commit = "ContainerdCommit",
        /// Unused.
        runc_commit: Commit = "RuncCommit",
        /// Unused.
        init_commit: Commit = "InitCommit",
        /// `name=seccomp,profile=builtin` …
        security_options: Vec<String> = "SecurityOptions",
        /// Product licence.
        product_license: String = "ProductLicense" omit,
        /// `--default-address-pool`.
        default_address_pools: Option<Vec<AddressPool>> = "DefaultAddressPools" omit,
        /// From v1.49.
        firewall_backend: Option<FirewallInfo> = "FirewallBackend" omit,
        /// From v1.50.
        discovered_devices: Option<Vec<Any>> = "DiscoveredDevices" omit,
        /// Folders of CDI files.
        cdi_spec_dirs: Vec<String> = "CDISpecDirs",
        /// From v1.46.
        containerd: Option<Any> = "Containerd" omit,
        /// What the kernel lacks.
        warnings: Option<Vec<String>> = "Warnings",
    }

    /// Built-in drivers.
    pub struct Plugins = "system.PluginsInfo" {
        /// Volume drivers.
        volume: Vec<String> = "Volume",
        /// Network drivers.
        network: Vec<String> = "Network",
        /// Authorisation plugins.
        authorization: Option<Vec<String>> = "Authorization",
        /// Log drivers.
        log: Vec<String> = "Log",
    }

    /// Registries.
    pub struct RegistryConfig = "registry.ServiceConfig" {
        /// `null` until v1.46.
        allow_nondistributable_artifacts_cidrs: Option<Any> = "AllowNondistributableArtifactsCIDRs" omit,
        /// `null` until v1.46.
        allow_nondistributable_artifacts_hostnames: Option<Any> = "AllowNondistributableArtifactsHostnames" omit,
        /// By name.
        index_configs: BTreeMap<String, IndexInfo> = "IndexConfigs",
        /// Networks whose registries need no TLS.
        insecure_registry_cidrs: Vec<String> = "InsecureRegistryCIDRs",
        /// Of Docker Hub.
        mirrors: Option<Vec<String>> = "Mirrors",
    }

    /// One registry.
    pub struct IndexInfo = "registry.IndexInfo" {
        /// Mirrors.
        mirrors: Vec<String> = "Mirrors",
        /// Its name.
        name: String = "Name",
        /// Docker Hub.
        official: bool = "Official",
        /// With TLS.
        secure: bool = "Secure",
    }

    /// An OCI runtime.
    pub struct Runtime = "system.RuntimeWithStatus" {
        /// Executable.
        path: String = "path" omit,
        /// Arguments.
        args: Option<Vec<String>> = "runtimeArgs" omit,
        /// Its features, from v1.44.
        status: Option<BTreeMap<String, String>> = "status" omit,
    }

    /// Swarm state.
    pub struct Swarm = "swarm.Info" {
        /// Node.
        node_id: String = "NodeID",
        /// Address.
        node_addr: String = "NodeAddr",
        /// `inactive`.
        local_node_state: String = "LocalNodeState",
        /// Manager.
        control_available: bool = "ControlAvailable",
        /// Sentence.
        error: String = "Error",
        /// Managers.
        remote_managers: Option<Vec<Any>> = "RemoteManagers",
    }

    /// A commit of a part.
    pub struct Commit = "system.Commit" {
        /// Hash.
        id: String = "ID",
        /// Until v1.48.
        expected: Option<String> = "Expected" omit,
    }

    /// A pool for new networks.
    pub struct AddressPool = "system.NetworkAddressPool" {
        /// CIDR.
        base: String = "Base",
        /// Prefix length of each network.
        size: i64 = "Size",
    }

    /// Firewall.
    pub struct FirewallInfo = "system.FirewallInfo" {
        /// `nftables` …
        driver: String = "Driver",
        /// More.
        info: Option<Vec<Vec<String>>> = "Info" omit,
    }
}
