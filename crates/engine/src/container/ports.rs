//! A container's ports: what its declaration exposes and publishes, and what became of that.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use wharf_api::container::{Config, HostConfig, PortBinding as Asked};
use wharf_net::{PortRequest, Protocol, Sandbox};

use super::record::Declared;
use super::snapshot::PortBinding;
use crate::{Error, Result};

/// `80/tcp`, `80`, `7000-8000/udp`
fn port_range(text: &str) -> Result<(RangeInclusive<u16>, Protocol)> {
    let invalid = || Error::InvalidParameter(format!("invalid port specification: {text:?}"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(invalid()),
    };
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    let (low, high): (u16, u16) = (low.parse().map_err(|_| invalid())?, high.parse().map_err(|_| invalid())?);
    if low > high {
        return Err(invalid());
    }
    Ok((low..=high, protocol))
}

/// Ports that the image and the user declare.
pub(crate) fn exposed(config: &Config) -> Result<Vec<(u16, Protocol)>> {
    let mut list = Vec::new();
    for key in config.exposed_ports.iter().flatten().map(|(key, _)| key) {
        let (range, protocol) = port_range(key)?;
        list.extend(range.map(|port| (port, protocol)));
    }
    Ok(list)
}

/// Published ports must be written right, even where nothing is bound to them.
pub(crate) fn check(host: &HostConfig) -> Result<()> {
    for (key, bindings) in host.port_bindings.iter().flatten() {
        port_range(key)?;
        for binding in bindings.iter().flatten() {
            host_side(binding)?;
        }
    }
    Ok(())
}

/// Address and ports of the host; `None` is any.
fn host_side(binding: &Asked) -> Result<(Option<IpAddr>, Option<RangeInclusive<u16>>)> {
    let address = match binding.host_ip.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::InvalidParameter(format!("invalid IP address: {text}")))?),
    };
    let ports = match binding.host_port.as_str() {
        "" | "0" => None,
        text => Some(port_range(text)?.0),
    };
    Ok((address, ports))
}

/// What the host is asked for.
pub(crate) fn wanted(declared: &Declared, exposed: &[(u16, Protocol)]) -> Result<Vec<PortRequest>> {
    let mut list = Vec::new();
    for (key, bindings) in declared.host_config.port_bindings.iter().flatten() {
        let (range, protocol) = port_range(key)?;
        for binding in bindings.iter().flatten() {
            let (host_ip, host_port) = host_side(binding)?;
            for port in range.clone() {
                list.push(PortRequest { container_port: port, protocol, host_ip, host_port: host_port.clone() });
            }
        }
    }
    if declared.host_config.publish_all_ports {
        for &(container_port, protocol) in exposed {
            if !list.iter().any(|p: &PortRequest| p.container_port == container_port && p.protocol == protocol) {
                list.push(PortRequest { container_port, protocol, host_ip: None, host_port: None });
            }
        }
    }
    Ok(list)
}

/// As `inspect` shows them: what is exposed, and where it is published.
pub(crate) fn published(declared: &Declared, sandbox: &Sandbox) -> BTreeMap<String, Vec<PortBinding>> {
    let mut ports: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
    if matches!(declared.host_config.network_mode.as_str(), "host" | "none") {
        return ports;
    }
    for (port, protocol) in exposed(&declared.config).unwrap_or_default() {
        ports.entry(format!("{port}/{}", protocol.as_str())).or_default();
    }
    for p in &sandbox.ports {
        let list = ports.entry(format!("{}/{}", p.container_port, p.protocol.as_str())).or_default();
        let host_port = if p.is_routed() { String::new() } else { p.host_port.to_string() };
        list.push(PortBinding { host_ip: p.host_ip.to_string(), host_port });
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_net_11_forms_of_ports() {
        let check = |text: &str, expect: Option<(u16, u16, Protocol)>| {
            let got = port_range(text).ok().map(|(r, p)| (*r.start(), *r.end(), p));
            assert_eq!(got, expect, "{text}");
        };
        check("80", Some((80, 80, Protocol::Tcp)));
        check("80/tcp", Some((80, 80, Protocol::Tcp)));
        check("53/UDP", Some((53, 53, Protocol::Udp)));
        check("7000-7002/sctp", Some((7000, 7002, Protocol::Sctp)));
        for bad in ["", "x", "80/xyz", "9-8", "65536", "-1", "80-/tcp"] {
            check(bad, None);
        }
    }
}
