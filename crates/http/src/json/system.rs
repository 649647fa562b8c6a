//! Info, disk usage, events.

use std::collections::BTreeMap;

use wharf_api::go::Any;
use wharf_api::system::{self, Actor, Commit, DiskUsage, Event, FirewallInfo, IndexInfo, RegistryConfig, Runtime};
use wharf_engine::DiskUsageTypes;

use super::{container, image};
use crate::time::rfc3339;
use crate::version::{ApiVersion, before};

/// `GET /info`.
pub(crate) fn info(info: wharf_engine::Info, version: ApiVersion) -> system::Info {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let v1 = info.cgroup_version == "1";
    system::Info {
        id: info.id,
        containers: count(info.containers),
        containers_running: count(info.running),
        containers_paused: count(info.paused),
        containers_stopped: count(info.stopped),
        images: count(info.images),
        driver: info.driver,
        driver_status: info.driver_status.into_iter().map(|(key, value)| vec![key, value]).collect(),
        system_status: None,
        plugins: system::Plugins {
            volume: info.volume_plugins,
            network: info.network_plugins,
            authorization: None,
            log: info.log_plugins,
        },
        memory_limit: info.memory_limit,
        swap_limit: info.swap_limit,
        kernel_memory: before(version, 42).then_some(v1),
        kernel_memory_tcp: v1,
        cpu_cfs_period: info.cpu_cfs_period,
        cpu_cfs_quota: info.cpu_cfs_quota,
        cpu_shares: info.cpu_shares,
        cpu_set: info.cpuset,
        pids_limit: info.pids_limit,
        ipv4_forwarding: info.ipv4_forwarding,
        bridge_nf_iptables: before(version, 50).then_some(false),
        bridge_nf_ip6tables: before(version, 50).then_some(false),
        debug: info.debug,
        n_fd: count(info.file_descriptors),
        oom_kill_disable: info.oom_kill_disable,
        n_goroutines: count(info.tasks),
        system_time: rfc3339(info.system_time),
        logging_driver: info.logging_driver,
        cgroup_driver: info.cgroup_driver,
        cgroup_version: info.cgroup_version,
        n_events_listener: count(info.event_listeners),
        kernel_version: info.kernel,
        operating_system: info.operating_system,
        os_version: info.os_version,
        os_type: info.os_type,
        architecture: info.architecture,
        index_server_address: "https://index.docker.io/v1/".into(),
        registry_config: registries(info.insecure_registries, info.registry_mirrors, version),
        ncpu: count(info.cpus),
        mem_total: i64::try_from(info.memory_total).unwrap_or(i64::MAX),
        generic_resources: None,
        docker_root_dir: info.data_root,
        http_proxy: info.http_proxy,
        https_proxy: info.https_proxy,
        no_proxy: info.no_proxy,
        name: info.name,
        labels: info.labels,
        experimental_build: info.experimental,
        server_version: info.version,
        runtimes: info
            .runtimes
            .into_iter()
            .map(|(name, runtime)| {
                let path = runtime.path.to_string_lossy().into_owned();
                let args = Some(runtime.args).filter(|args| !args.is_empty());
                (name, Runtime { path, args, ..Runtime::default() })
            })
            .collect(),
        default_runtime: info.default_runtime,
        swarm: system::Swarm { local_node_state: "inactive".into(), ..system::Swarm::default() },
        // containers always outlive the engine
        live_restore_enabled: true,
        isolation: String::new(),
        init_binary: info.init_binary,
        containerd_commit: Commit::default(),
        runc_commit: Commit::default(),
        init_commit: Commit::default(),
        security_options: info.security_options,
        product_license: String::new(),
        default_address_pools: None,
        firewall_backend: (!before(version, 49)).then_some(FirewallInfo { driver: info.firewall_driver, info: None }),
        discovered_devices: None,
        cdi_spec_dirs: info.cdi_spec_dirs,
        containerd: None,
        warnings: (!info.warnings.is_empty()).then_some(info.warnings),
    }
}

fn registries(insecure: Vec<String>, mirrors: Vec<String>, version: ApiVersion) -> RegistryConfig {
    let index = |name: &str, official: bool, secure: bool, mirrors: Vec<String>| {
        (name.to_owned(), IndexInfo { mirrors, name: name.to_owned(), official, secure })
    };
    let mut index_configs = BTreeMap::from([index("docker.io", true, true, mirrors.clone())]);
    let (networks, hosts): (Vec<_>, Vec<_>) = insecure.into_iter().partition(|entry| entry.contains('/'));
    index_configs.extend(hosts.iter().map(|host| index(host, false, false, Vec::new())));
    let mut cidrs = vec!["::1/128".to_owned(), "127.0.0.0/8".to_owned()];
    cidrs.extend(networks);
    RegistryConfig {
        allow_nondistributable_artifacts_cidrs: before(version, 47).then(Any::default),
        allow_nondistributable_artifacts_hostnames: before(version, 47).then(Any::default),
        index_configs,
        insecure_registry_cidrs: cidrs,
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
    }
}

/// `GET /system/df`: what was not asked for is `null`.
pub(crate) fn disk_usage(usage: wharf_engine::DiskUsage, types: DiskUsageTypes, version: ApiVersion) -> DiskUsage {
    let images = usage.images.iter().map(|(row, shared)| image::usage(row, *shared, version)).collect::<Vec<_>>();
    let containers = usage.containers.iter().map(container::summary).collect::<Vec<_>>();
    let volumes = usage.volumes.into_iter().map(super::volume).collect::<Vec<_>>();
    DiskUsage {
        layers_size: usage.layers,
        images: types.images.then_some(images),
        containers: types.containers.then_some(containers),
        volumes: types.volumes.then_some(volumes),
        build_cache: types.build_cache.then(Vec::<Any>::new),
        builder_size: before(version, 42).then_some(0),
    }
}

/// One line of `GET /events`; old clients read the first three fields.
pub(crate) fn event(event: wharf_engine::Event) -> Event {
    let legacy = matches!(event.kind, "container" | "image");
    let from = match event.kind {
        "container" => event.attributes.get("image").cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let nanos = i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX);
    Event {
        status: if legacy { event.action.clone() } else { String::new() },
        id: if legacy { event.actor.clone() } else { String::new() },
        from,
        kind: event.kind.into(),
        action: event.action,
        actor: Actor { id: event.actor, attributes: event.attributes },
        scope: "local".into(),
        time: event.time.as_second(),
        time_nano: nanos,
    }
}
