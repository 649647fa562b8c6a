//! A container's declaration about networks, as the network world understands it, and what it got, as readers see it.

use std::net::IpAddr;
use std::sync::Arc;

use wharf_api::container::{Config, EndpointSettings};
use wharf_net::{Attach, EndpointRequest};
use wharf_spec::id::{ContainerId, SandboxId};

use super::mode::{Mode, is_user_defined, mode};
use super::record::{Declared, Lived};
use super::snapshot::{Endpoint, NetworkSettings};
use super::{links, ports};
use crate::{Error, Inner, Result};

/// What `host-gateway` stands for: as the daemon was told, else the addresses of the default bridge.
pub(crate) fn host_gateways(inner: &Inner) -> Vec<IpAddr> {
    if !inner.config.network.host_gateway_ips.is_empty() {
        return inner.config.network.host_gateway_ips.clone();
    }
    let bridge = inner.networks.find("bridge").ok();
    bridge.iter().flat_map(|b| &b.pools).filter_map(|p| p.gateway).collect()
}

/// `host.domain host`
pub(crate) fn host_names(declared: &Declared) -> String {
    let config = &declared.config;
    let full = match config.domainname.as_str() {
        "" => config.hostname.clone(),
        domain => format!("{}.{domain}", config.hostname),
    };
    match full.split_once('.') {
        Some((bare, _)) => format!("{full} {bare}"),
        None => full,
    }
}

/// What the container wants at its start.
pub(crate) fn wish(inner: &Inner, id: &ContainerId, declared: &Declared) -> Result<Attach> {
    let host = &declared.host_config;
    let mut attach = Attach { name: declared.name.clone(), ..Attach::default() };
    let names: Vec<String> = match mode(host) {
        Mode::Host => vec!["host".into()],
        Mode::Container(_) => return Ok(attach),
        Mode::Own(main) => {
            let main = if main == "default" { "bridge".to_owned() } else { main };
            let main = inner.networks.find(&main).map_or(main, |n| n.name.clone());
            let all = declared.networking.endpoints_config.as_ref();
            let mut names: Vec<_> = all.into_iter().flatten().map(|(name, _)| name.clone()).collect();
            // the main one has the first interface; the others follow by name
            names.sort_by_key(|name| *name != main);
            if names.is_empty() { vec![main] } else { names }
        }
    };
    for name in names {
        attach.endpoints.push(endpoint(id, declared, name)?);
    }
    attach.resolvers = resolvers(host.dns.as_deref().unwrap_or_default(), &inner.config.dns.servers)?;
    if host.network_mode != "host" && host.network_mode != "none" {
        attach.exposed = ports::exposed(&declared.config)?;
        attach.ports = ports::wanted(declared, &attach.exposed)?;
        attach.links = declared.links.iter().map(|l| wharf_net::Link { source: l.source.clone() }).collect();
    }
    Ok(attach)
}

/// Who answers what the embedded resolver does not know; nobody in particular when nothing was said.
fn resolvers(of_user: &[String], of_daemon: &[String]) -> Result<Vec<IpAddr>> {
    let chosen = if of_user.is_empty() { of_daemon } else { of_user };
    let parse = |text: &String| {
        text.parse().map_err(|_| Error::InvalidParameter(format!("invalid DNS server: bad nameserver address {text}")))
    };
    chosen.iter().map(parse).collect()
}

fn endpoint(id: &ContainerId, declared: &Declared, network: String) -> Result<EndpointRequest> {
    let settings = declared.networking.endpoints_config.as_ref();
    let settings =
        settings.and_then(|all| all.get(&network).or_else(|| all.get("default").filter(|_| network == "bridge")));
    let settings = settings.cloned().flatten().unwrap_or_default();
    endpoint_request(id, &declared.name, &declared.config, network, settings)
}

/// All names by which others on a user's network find a container.
fn dns_names(id: &ContainerId, name: &str, config: &Config, aliases: Option<&[String]>) -> Vec<String> {
    let own = std::iter::once(name.to_owned()).chain(aliases.into_iter().flatten().cloned());
    let mut names: Vec<_> = own.chain([id.short().to_owned(), config.hostname.clone()]).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// A place on a network with the user's settings for it.
pub(crate) fn endpoint_request(
    id: &ContainerId,
    name: &str,
    config: &Config,
    network: String,
    settings: EndpointSettings,
) -> Result<EndpointRequest> {
    let ipam = settings.ipam_config.unwrap_or_default();
    let address = |text: &str| match text {
        "" => Ok(None),
        text => {
            text.parse::<IpAddr>().map(Some).map_err(|_| Error::InvalidParameter(format!("invalid IP address: {text}")))
        }
    };
    let mac = match settings.mac_address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|e| Error::InvalidParameter(format!("{e}")))?),
    };
    let mut dns_names = Vec::new();
    let mut links = Vec::new();
    if is_user_defined(&network) {
        for text in settings.links.iter().flatten() {
            let (source, alias) = links::parse(text)?;
            links.push((source.to_owned(), alias.to_owned()));
        }
        dns_names = self::dns_names(id, name, config, settings.aliases.as_deref());
    }
    Ok(EndpointRequest {
        network,
        ipv4: match address(&ipam.ipv4_address)? {
            Some(IpAddr::V4(v4)) => Some(v4),
            None => None,
            Some(IpAddr::V6(_)) => {
                return Err(Error::InvalidParameter(format!("invalid IPv4 address: {}", ipam.ipv4_address)));
            }
        },
        ipv6: match address(&ipam.ipv6_address)? {
            Some(IpAddr::V6(v6)) => Some(v6),
            None => None,
            Some(IpAddr::V4(_)) => {
                return Err(Error::InvalidParameter(format!("invalid IPv6 address: {}", ipam.ipv6_address)));
            }
        },
        mac,
        dns_names,
        links,
        link_local: ipam.link_local_ips.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
        options: settings.driver_opts.unwrap_or_default(),
        gw_priority: settings.gw_priority,
    })
}

/// What readers see: the declared networks, with addresses where the container runs.
pub(crate) fn settings(
    inner: &Inner,
    id: &ContainerId,
    declared: &Declared,
    lived: &Lived,
    running: bool,
) -> NetworkSettings {
    let mut settings = NetworkSettings::default();
    let declared_for = |name: &str| {
        let all = declared.networking.endpoints_config.as_ref();
        all.and_then(|all| all.get(name)).cloned().flatten()
    };
    let sandbox = inner.networks.sandbox(id).unwrap_or_default();
    let names: Vec<_> = match mode(&declared.host_config) {
        Mode::Container(_) => Vec::new(),
        _ => declared.networking.endpoints_config.iter().flatten().map(|(name, _)| name.clone()).collect(),
    };
    for name in names {
        let own = declared_for(&name);
        let aliases = own.as_ref().and_then(|e| e.aliases.clone()).unwrap_or_default();
        // nothing is said about a network that the container has never been on
        let known = lived.state.started_at.is_some();
        let network = inner.networks.find(&name).ok().map(|n| n.id.clone()).filter(|_| known);
        let dns_names = match (&own, known && is_user_defined(&name)) {
            (Some(own), true) => dns_names(id, &declared.name, &declared.config, own.aliases.as_deref()),
            _ => Vec::new(),
        };
        // shown under the network's name also where it was declared by its identifier
        let shown = inner.networks.find(&name).map_or(name, |n| n.name.clone());
        settings.networks.insert(
            shown,
            Endpoint { network, aliases, dns_names, declared: own.map(Arc::new), ..Endpoint::default() },
        );
    }
    if !running {
        return settings;
    }
    for endpoint in &sandbox.endpoints {
        let place = settings.networks.entry(endpoint.network_name.clone()).or_default();
        place.network = Some(endpoint.network.clone());
        place.endpoint = Some(endpoint.id.clone());
        place.mac = endpoint.mac.map(|m| m.to_string()).unwrap_or_default();
        if let Some(v4) = endpoint.ipv4 {
            (place.ip, place.ip_prefix) = (v4.address.to_string(), v4.prefix);
        }
        if let Some(v6) = endpoint.ipv6 {
            (place.ip6, place.ip6_prefix) = (v6.address.to_string(), v6.prefix);
        }
        place.gateway = endpoint.gateway.map(|g| g.to_string()).unwrap_or_default();
        place.gateway6 = endpoint.gateway6.map(|g| g.to_string()).unwrap_or_default();
        place.dns_names.clone_from(&endpoint.dns_names);
    }
    if !settings.networks.is_empty() {
        settings.ports = ports::published(declared, &sandbox);
    }
    settings.sandbox_key = format!("/proc/{}/ns/net", lived.state.pid);
    if !matches!(mode(&declared.host_config), Mode::Container(_)) {
        // one sandbox per container: its identifier needs no row of its own
        settings.sandbox = id.as_str().parse::<SandboxId>().ok();
    }
    settings
}
