//! Snapshots of the engine as the documents that Docker answers, field for field, at the negotiated version.

pub(crate) mod container;
pub(crate) mod image;
pub(crate) mod stats;
pub(crate) mod system;

use base64::Engine as _;
use wharf_api::go::Any;
use wharf_api::{exec, network, volume};
use wharf_engine::{Exec, Network, Volume};

use crate::time::rfc3339;

/// A volume.
pub(crate) fn volume(volume: Volume) -> volume::Volume {
    volume::Volume {
        // whole seconds
        created_at: volume.created.map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        driver: volume.driver,
        labels: volume.labels,
        mountpoint: volume.mountpoint.to_string_lossy().into_owned(),
        name: volume.name,
        options: volume.options,
        scope: volume.scope.into(),
        status: (!volume.status.is_empty())
            .then(|| volume.status.into_iter().map(|(key, value)| (key, Any(value))).collect()),
        usage_data: volume.usage.map(|(size, containers)| volume::UsageData {
            ref_count: i64::try_from(containers).unwrap_or(i64::MAX),
            size,
        }),
    }
}

/// A snapshot of a volume.
pub(crate) fn snapshot(snapshot: wharf_engine::VolumeSnapshot) -> volume::Snapshot {
    let at = jiff::Timestamp::from_nanosecond(snapshot.created.into()).unwrap_or_default();
    volume::Snapshot { name: snapshot.name, created_at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() }
}

/// A network.
pub(crate) fn network(network: Network) -> network::Network {
    let pools: Vec<_> = network
        .pools
        .into_iter()
        .map(|pool| network::IpamConfig {
            subnet: pool.subnet,
            ip_range: pool.range,
            gateway: pool.gateway,
            auxiliary_addresses: Some(pool.auxiliary),
        })
        .collect();
    let containers = network
        .containers
        .into_iter()
        .map(|(id, place)| {
            let resource = network::EndpointResource {
                name: place.name,
                endpoint_id: place.endpoint.to_string(),
                mac_address: place.mac,
                ipv4_address: place.ipv4,
                ipv6_address: place.ipv6,
            };
            (id.to_string(), resource)
        })
        .collect();
    network::Network {
        name: network.name,
        id: network.id.to_string(),
        created: rfc3339(network.created),
        scope: network.scope,
        driver: network.driver,
        enable_ipv4: network.ipv4,
        enable_ipv6: network.ipv6,
        ipam: network::Ipam {
            driver: network.ipam_driver,
            options: network.ipam_options,
            config: (!pools.is_empty()).then_some(pools),
        },
        internal: network.internal,
        attachable: network.attachable,
        ingress: network.ingress,
        config_from: network::ConfigReference { network: network.config_from.clone() },
        config_only: network.config_only,
        containers,
        options: network.options,
        labels: network.labels,
    }
}

/// An exec.
pub(crate) fn exec(exec: &Exec) -> exec::Inspect {
    let config = &exec.config;
    let (entrypoint, arguments) = config
        .cmd
        .split_first()
        .map_or_else(Default::default, |(program, arguments)| (program.clone(), arguments.to_vec()));
    exec::Inspect {
        id: exec.id.to_string(),
        running: exec.running,
        exit_code: exec.exit_code.map(i64::from),
        process_config: exec::ProcessConfig {
            tty: config.tty,
            entrypoint,
            arguments,
            privileged: Some(config.privileged),
            user: config.user.clone(),
        },
        open_stdin: config.attach_stdin,
        open_stderr: config.attach_stderr,
        open_stdout: config.attach_stdout,
        can_remove: exec.can_remove,
        container_id: exec.container.to_string(),
        detach_keys: config.detach_keys.as_deref().map(detach_keys).unwrap_or_default(),
        pid: i64::from(exec.pid),
    }
}

/// Detach keys as bytes, in base64 as Go writes bytes: `ctrl-a` is 1, a letter is itself.
fn detach_keys(keys: &str) -> String {
    let byte = |key: &str| match key.strip_prefix("ctrl-").map(str::as_bytes) {
        Some([letter @ b'a'..=b'z']) => Some(letter - b'a' + 1),
        Some(b"@") => Some(0),
        Some(b"[") => Some(27),
        Some(b"\\") => Some(28),
        Some(b"]") => Some(29),
        Some(b"^") => Some(30),
        Some(b"_") => Some(31),
        Some(_) => None,
        None => key.bytes().next(),
    };
    let bytes: Vec<u8> = keys.split(',').filter_map(byte).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_bytes() {
        assert_eq!(detach_keys("ctrl-a"), "AQ==");
        assert_eq!(detach_keys("ctrl-p,ctrl-q"), "EBE=");
        assert_eq!(detach_keys("a,b"), "YWI=");
    }
}
