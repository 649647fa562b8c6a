//! Containers: `inspect`, the rows of `ps`, the end of a wait.

use std::path::Path;
use std::sync::Arc;

use wharf_api::container::{Config, MountPoint, PortBinding, PortMap};
use wharf_api::inspect::{self, GraphDriver, NetworkSettings, Summary};
use wharf_api::network::EndpointSettings;
use wharf_engine::container::snapshot::{self, Container, Endpoint};
use wharf_engine::container::state::Status;
use wharf_engine::{Inspected, Listed, WaitResult};

use crate::time::{rfc3339, rfc3339_or_never};
use crate::version::{ApiVersion, before};

/// `GET /containers/{id}/json`.
pub(crate) fn inspect(inspected: &Inspected, version: ApiVersion) -> inspect::Inspect {
    let container = &*inspected.container;
    inspect::Inspect {
        id: container.id.to_string(),
        created: rfc3339(container.created),
        path: container.path.clone(),
        args: container.args.clone(),
        state: state(container),
        image: image_id(container),
        resolv_conf_path: text(&container.files.resolv_conf),
        hostname_path: text(&container.files.hostname),
        hosts_path: text(&container.files.hosts),
        log_path: text(&container.files.log),
        name: format!("/{}", container.name),
        restart_count: i64::from(container.restart_count),
        driver: container.driver.clone(),
        platform: container.platform.clone(),
        mount_label: String::new(),
        process_label: String::new(),
        app_armor_profile: container.apparmor_profile.clone(),
        exec_ids: (!container.execs.is_empty()).then(|| container.execs.clone()),
        host_config: container.host_config.clone(),
        graph_driver: graph_driver(container),
        size_rw: inspected.size.map(|size| size.rw),
        size_root_fs: inspected.size.map(|size| size.root_fs),
        mounts: mounts(container),
        config: config(container, version),
        network_settings: network_settings(container, version),
    }
}

/// Docker names the container among the driver's words.
fn graph_driver(container: &Container) -> GraphDriver {
    let mut data = container.graph.clone();
    data.entry("ID".into()).or_insert_with(|| container.id.to_string());
    GraphDriver { data: Some(data), name: container.driver.clone() }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Image IDs carry their algorithm.
fn image_id(container: &Container) -> String {
    container.image.to_string()
}

fn state(container: &Container) -> inspect::State {
    let state = &container.state;
    inspect::State {
        status: state.status.as_str().into(),
        running: state.status.is_running(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: i64::from(state.pid),
        exit_code: i64::from(state.exit_code),
        error: state.error.clone(),
        started_at: rfc3339_or_never(state.started_at),
        finished_at: rfc3339_or_never(state.finished_at),
        health: container.health.as_deref().map(health),
    }
}

fn health(health: &snapshot::Health) -> inspect::Health {
    let probe = |probe: &snapshot::HealthProbe| inspect::HealthProbe {
        start: rfc3339(probe.start),
        end: rfc3339(probe.end),
        exit_code: i64::from(probe.exit_code),
        output: probe.output.clone(),
    };
    inspect::Health {
        status: health.status.as_str().into(),
        failing_streak: i64::from(health.failing_streak),
        log: health.log.iter().map(probe).collect(),
    }
}

fn mounts(container: &Container) -> Vec<MountPoint> {
    let point = |mount: &snapshot::MountPoint| MountPoint {
        kind: mount.kind.as_str().into(),
        name: mount.name.clone(),
        source: mount.source.clone(),
        destination: mount.destination.clone(),
        driver: mount.driver.clone(),
        mode: mount.mode.clone(),
        rw: mount.rw,
        propagation: mount.propagation.clone(),
    };
    container.mounts.iter().map(point).collect()
}

/// Before v1.44 the MAC address that was asked for belonged to the container, not to its main network.
fn config(container: &Container, version: ApiVersion) -> Arc<Config> {
    if before(version, 44) && container.config.mac_address.is_empty() {
        let endpoint = container.network.networks.get(main_network(container));
        let wanted = endpoint.and_then(|endpoint| endpoint.declared.as_deref()).map(|d| d.mac_address.as_str());
        if let Some(wanted) = wanted.filter(|mac| !mac.is_empty()) {
            return Arc::new(Config { mac_address: wanted.to_owned(), ..Config::clone(&container.config) });
        }
    }
    container.config.clone()
}

fn main_network(container: &Container) -> &str {
    match container.host_config.network_mode.as_str() {
        "" | "default" => "bridge",
        mode => mode,
    }
}

fn network_settings(container: &Container, version: ApiVersion) -> NetworkSettings {
    let network = &*container.network;
    let networks = network
        .networks
        .iter()
        .map(|(name, endpoint)| {
            let mut settings = endpoint_settings(endpoint);
            if before(version, 45) && !matches!(name.as_str(), "bridge" | "host" | "none" | "default") {
                generated_aliases(container, &mut settings);
            }
            (name.clone(), settings)
        })
        .collect();
    let bridge = network.networks.get("bridge").map(endpoint_settings).unwrap_or_default();
    NetworkSettings {
        bridge: String::new(),
        sandbox_id: network.sandbox.as_ref().map(ToString::to_string).unwrap_or_default(),
        sandbox_key: network.sandbox_key.clone(),
        ports: Some(ports(network)),
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        global_ipv6_address: bridge.global_ipv6_address,
        global_ipv6_prefix_len: bridge.global_ipv6_prefix_len,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        ipv6_gateway: bridge.ipv6_gateway,
        mac_address: bridge.mac_address,
        networks,
        ..NetworkSettings::default()
    }
}

/// Before v1.45 the aliases held what the engine adds: the short ID and the host name.
fn generated_aliases(container: &Container, settings: &mut EndpointSettings) {
    let aliases = settings.aliases.get_or_insert_default();
    for name in [container.id.short(), container.config.hostname.as_str()] {
        if !name.is_empty() && !aliases.iter().any(|alias| alias == name) {
            aliases.push(name.to_owned());
        }
    }
}

fn ports(network: &snapshot::NetworkSettings) -> PortMap {
    let binding = |binding: &snapshot::PortBinding| PortBinding {
        host_ip: binding.host_ip.clone(),
        host_port: binding.host_port.clone(),
    };
    let entry = |(port, bindings): (&String, &Vec<snapshot::PortBinding>)| {
        let bindings: Vec<_> = bindings.iter().map(binding).collect();
        (port.clone(), (!bindings.is_empty()).then_some(bindings))
    };
    network.ports.iter().map(entry).collect()
}

fn endpoint_settings(endpoint: &Endpoint) -> EndpointSettings {
    let declared = endpoint.declared.as_deref();
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    let wanted_mac = || declared.map(|d| d.mac_address.clone()).unwrap_or_default();
    EndpointSettings {
        ipam_config: declared.and_then(|d| d.ipam_config.clone()),
        links: declared.and_then(|d| d.links.clone()),
        aliases: list(&endpoint.aliases).or_else(|| declared.and_then(|d| d.aliases.clone())),
        mac_address: if endpoint.mac.is_empty() { wanted_mac() } else { endpoint.mac.clone() },
        driver_opts: declared.and_then(|d| d.driver_opts.clone()),
        gw_priority: declared.map_or(0, |d| d.gw_priority),
        network_id: endpoint.network.as_ref().map(ToString::to_string).unwrap_or_default(),
        endpoint_id: endpoint.endpoint.as_ref().map(ToString::to_string).unwrap_or_default(),
        gateway: endpoint.gateway.clone(),
        ip_address: endpoint.ip.clone(),
        ip_prefix_len: i64::from(endpoint.ip_prefix),
        ipv6_gateway: endpoint.gateway6.clone(),
        global_ipv6_address: endpoint.ip6.clone(),
        global_ipv6_prefix_len: i64::from(endpoint.ip6_prefix),
        dns_names: list(&endpoint.dns_names),
    }
}

/// One row of `GET /containers/json`.
pub(crate) fn summary(row: &Listed) -> Summary {
    let container = &*row.container;
    let network = &*container.network;
    Summary {
        id: container.id.to_string(),
        names: std::iter::once(&container.name).chain(&row.links).map(|name| format!("/{name}")).collect(),
        image: row.image.clone(),
        image_id: image_id(container),
        command: command(&container.path, &container.args),
        created: container.created.as_second(),
        ports: port_list(network),
        size_rw: row.size.map_or(0, |size| size.rw),
        size_root_fs: row.size.map_or(0, |size| size.root_fs),
        labels: container.config.labels.clone().unwrap_or_default(),
        state: container.state.status.as_str().into(),
        status: row.status.clone(),
        host_config: inspect::SummaryHostConfig {
            network_mode: container.host_config.network_mode.clone(),
            annotations: container.host_config.annotations.clone(),
        },
        network_settings: inspect::SummaryNetworkSettings {
            networks: network.networks.iter().map(|(name, e)| (name.clone(), endpoint_settings(e))).collect(),
        },
        mounts: mounts(container),
    }
}

/// Arguments with a space are quoted, nothing is escaped.
fn command(path: &str, args: &[String]) -> String {
    let mut text = path.to_owned();
    for arg in args {
        text.push(' ');
        if arg.contains(' ') {
            text.push('\'');
            text.push_str(arg);
            text.push('\'');
        } else {
            text.push_str(arg);
        }
    }
    text
}

fn port_list(network: &snapshot::NetworkSettings) -> Vec<inspect::Port> {
    let mut list = Vec::new();
    for (port, bindings) in &network.ports {
        let (number, kind) = port.split_once('/').unwrap_or((port, "tcp"));
        let Ok(private_port) = number.parse() else { continue };
        if bindings.is_empty() {
            list.push(inspect::Port { private_port, kind: kind.into(), ..inspect::Port::default() });
        }
        for binding in bindings {
            let public_port = binding.host_port.parse().unwrap_or(0);
            let ip = binding.host_ip.clone();
            list.push(inspect::Port { ip, private_port, public_port, kind: kind.into() });
        }
    }
    list
}

/// The body of a wait.
pub(crate) fn waited(result: WaitResult) -> inspect::WaitResponse {
    inspect::WaitResponse {
        error: result.error.map(|message| inspect::WaitError { message }),
        status_code: i64::from(result.exit_code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_as_docker_quotes() {
        let check = |args: &[&str], expect: &str| {
            let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
            assert_eq!(command("sh", &args), expect);
        };
        check(&[], "sh");
        check(&["-c", "echo 'x' y"], "sh -c 'echo 'x' y'");
        check(&["a", ""], "sh a ");
    }
}
