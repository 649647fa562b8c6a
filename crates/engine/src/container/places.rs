//! A container's places on networks: the client's declaration made whole and checked, and changes while the container lives.
//!
//! `NetworkingConfig.EndpointsConfig` of the row names every network the container is on; what the kernel has follows it:
//! a change is written first, then done, and the start of the daemon ([`agree`]) finishes what a crash left.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use wharf_api::container::{Config, EndpointSettings, HostConfig, NetworkingConfig};
use wharf_net::{Driver, Netns, Network, NetworkRole};
use wharf_spec::id::ContainerId;
use wharf_sys::failpoint;

use super::etc::{self, Resolver};
use super::handle::Live;
use super::mode::{self, Mode};
use super::network::{self, endpoint_request};
use super::record::Declared;
use crate::{Error, Inner, Result, blocking};

/// The name of a network as the world knows it; one that is not there keeps what it was called.
fn canonical(inner: &Inner, name: &str) -> String {
    let name = if name == "default" { "bridge" } else { name };
    inner.networks.find(name).map_or_else(|_| name.to_owned(), |n| n.name.clone())
}

/// Completes the declaration of a new container: every network under its name, the main one among them, and all of it possible.
pub(crate) fn complete(
    inner: &Inner,
    config: &Config,
    host: &HostConfig,
    networking: &mut NetworkingConfig,
) -> Result<()> {
    let mut all = networking.endpoints_config.take().unwrap_or_default();
    let main = match mode::mode(host) {
        Mode::Container(_) => return Ok(()),
        Mode::Host => "host".to_owned(),
        Mode::Own(name) => canonical(inner, &name),
    };
    all = all.into_iter().map(|(name, settings)| (canonical(inner, &name), settings)).collect();
    let settings = all.entry(main.clone()).or_default().get_or_insert_default();
    if settings.mac_address.is_empty() {
        settings.mac_address.clone_from(&config.mac_address);
    }
    if mode::is_user_defined(&main) && settings.links.is_none() {
        settings.links = host.links.clone().filter(|links| !links.is_empty());
    }
    if all.len() > 1 && matches!(main.as_str(), "host" | "none") {
        let text = match main.as_str() {
            "none" => ALONE,
            _ => SHARED,
        };
        return Err(Error::InvalidParameter(text.into()));
    }
    for (name, settings) in &all {
        if let (Ok(network), Some(settings)) = (inner.networks.find(name), settings) {
            check(&network, settings)
                .map_err(|text| Error::InvalidParameter(format!("invalid config for network {name}: {text}")))?;
        }
    }
    networking.endpoints_config = Some(all);
    Ok(())
}

const ALONE: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";
const SHARED: &str =
    "container sharing network namespace with another container or host cannot be connected to any other network";

/// Whether the network can give what was asked for, in Docker's words.
fn check(network: &Network, settings: &EndpointSettings) -> Result<(), String> {
    let mac = &settings.mac_address;
    if !mac.is_empty() && mac.parse::<wharf_net::Mac>().is_err() {
        return Err(format!("invalid MAC address {mac}"));
    }
    let user_defined = network.role == NetworkRole::User;
    let mut wrong = Vec::new();
    if !user_defined && settings.aliases.as_ref().is_some_and(|a| !a.is_empty()) {
        wrong.push("network-scoped alias is supported only for containers in user defined networks".to_owned());
    }
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let asks = !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty();
    if asks && !user_defined {
        wrong.push("user specified IP address is supported on user defined networks only".to_owned());
    }
    for (text, v4, family) in [(&ipam.ipv4_address, true, "IPv4"), (&ipam.ipv6_address, false, "IPv6")] {
        if text.is_empty() {
            continue;
        }
        let address = text.parse::<IpAddr>().ok().filter(|a| a.is_ipv4() == v4);
        if address.is_none() {
            wrong.push(format!("invalid {family} address: {text}"));
        }
        let mut pools = network.pools.iter().filter(|p| p.subnet.is_ipv4() == v4).peekable();
        if pools.peek().is_none() || (user_defined && network.pools.iter().all(|p| !p.given)) {
            wrong.push(
                "user specified IP address is supported only when connecting to networks with user configured subnets"
                    .to_owned(),
            );
        } else if !pools.any(|p| address.is_some_and(|a| p.subnet.contains(a))) && user_defined {
            wrong.push(format!("no configured subnet or ip-range contain the IP address {text}"));
        }
    }
    for text in ipam.link_local_ips.iter().flatten() {
        if text.parse::<IpAddr>().is_err() {
            wrong.push(format!("invalid link-local IP address: {text}"));
        }
    }
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("invalid endpoint settings:\n{one}")),
        more => Err(format!("invalid endpoint settings:\n* {}", more.join("\n* "))),
    }
}

/// Whether a container was taken off every network.
pub(crate) fn is_nowhere(declared: &Declared) -> bool {
    let own = matches!(mode::mode(&declared.host_config), Mode::Own(_));
    own && declared.networking.endpoints_config.as_ref().is_none_or(|all| all.is_empty())
}

/// Keeps the static addresses of a new container for it.
pub(crate) fn reserve(inner: &Inner, id: &ContainerId, declared: &Declared) -> Result<()> {
    if matches!(mode::mode(&declared.host_config), Mode::Container(_)) {
        return Ok(());
    }
    for (name, settings) in declared.networking.endpoints_config.iter().flatten() {
        let wants = |s: &EndpointSettings| {
            s.ipam_config.as_ref().is_some_and(|i| !(i.ipv4_address.is_empty() && i.ipv6_address.is_empty()))
        };
        let Some(settings) = settings.as_ref().filter(|s| wants(s) && inner.networks.find(name).is_ok()) else {
            continue;
        };
        let wish = endpoint_request(id, &declared.name, &declared.config, name.clone(), settings.clone())?;
        inner.networks.reserve(id, &wish).map_err(refused)?;
    }
    Ok(())
}

/// Docker's introduction to whatever goes wrong with a starting container's network.
pub(crate) fn refused(error: wharf_net::Error) -> Error {
    Error::from(error).map(|text| format!("failed to set up container networking: {text}"))
}

/// Whether a container that is there can get a place on a network.
pub(crate) fn may_join(network: &Network, host: &HostConfig, settings: &EndpointSettings) -> Result<()> {
    let forbidden = |text: &str| Err(Error::Forbidden(text.into()));
    match (network.driver, mode::mode(host)) {
        // told to whoever starts it
        _ if network.config_only => Ok(()),
        (Driver::Host, _) => {
            forbidden("cannot connect container to host network - container must be created in host network mode")
        }
        (_, Mode::Host | Mode::Container(_)) => forbidden(SHARED),
        (Driver::None, _) => forbidden(ALONE),
        (_, Mode::Own(main)) if main == "none" => forbidden(ALONE),
        _ => check(network, settings).map_err(Error::InvalidParameter),
    }
}

/// The declaration with a network more, or less.
pub(crate) fn changed(before: &NetworkingConfig, name: &str, settings: Option<EndpointSettings>) -> NetworkingConfig {
    let mut after = before.clone();
    let all = after.endpoints_config.get_or_insert_default();
    match settings {
        Some(settings) => drop(all.insert(name.to_owned(), Some(settings))),
        None => drop(all.remove(name)),
    }
    after
}

/// Makes the world follow the declaration about one network: the container runs (`live`) or does not.
pub(crate) async fn follow(
    inner: &Arc<Inner>,
    id: &ContainerId,
    declared: &Declared,
    live: Option<Arc<Live>>,
    name: &str,
) -> Result<()> {
    let (inner, id, declared, name) = (inner.clone(), id.clone(), declared.clone(), name.to_owned());
    blocking(move || {
        failpoint::hit("network.change.after_row").map_err(Error::injected)?;
        match live {
            Some(live) => {
                let netns = Netns::of_process(i32::try_from(live.pid).unwrap_or(0))?;
                one(&inner, &id, &declared, &netns, &name)?;
            }
            None => stopped(&inner, &id, &declared, &name)?,
        }
        failpoint::hit("network.change.after_link").map_err(Error::injected)
    })
    .await
}

/// A container that does not run only keeps its static address.
fn stopped(inner: &Inner, id: &ContainerId, declared: &Declared, name: &str) -> Result<()> {
    let settings = declared.networking.endpoints_config.as_ref().and_then(|all| all.get(name));
    match settings {
        Some(settings) => {
            let settings = settings.clone().unwrap_or_default();
            let wish = endpoint_request(id, &declared.name, &declared.config, name.to_owned(), settings)?;
            Ok(inner.networks.reserve(id, &wish)?)
        }
        None => match inner.networks.find(name) {
            Ok(network) => Ok(inner.networks.release_on(id, &network)?),
            Err(_) => Ok(()),
        },
    }
}

/// A running container joins or leaves a network, as declared; nothing happens where it is so already.
fn one(inner: &Inner, id: &ContainerId, declared: &Declared, netns: &Netns, name: &str) -> Result<()> {
    let settings = declared.networking.endpoints_config.as_ref().and_then(|all| all.get(name));
    let sandbox = inner.networks.sandbox(id).unwrap_or_default();
    let place = sandbox.endpoints.iter().find(|e| e.network_name == name);
    match (settings, place) {
        (Some(settings), None) => {
            let settings = settings.clone().unwrap_or_default();
            let wish = endpoint_request(id, &declared.name, &declared.config, name.to_owned(), settings)?;
            let endpoint = inner.networks.connect(id, netns, &wish)?;
            let addresses = [endpoint.ipv4, endpoint.ipv6].into_iter().flatten().map(|a| a.address.to_string());
            let addresses: Vec<_> = addresses.collect();
            edit(inner, id, |text| etc::joined(text, &addresses, &network::host_names(declared)));
            ask_embedded(inner, id, declared);
        }
        (None, Some(place)) => {
            let network = inner.networks.find(name)?;
            let addresses = [place.ipv4, place.ipv6].into_iter().flatten().map(|a| a.address.to_string());
            let addresses: Vec<_> = addresses.collect();
            inner.networks.disconnect(id, netns, name)?;
            inner.networks.release_on(id, &network)?;
            edit(inner, id, |text| etc::left(text, &addresses));
        }
        _ => {}
    }
    Ok(())
}

/// Changes the hosts file of a running container in its place: it is mounted there.
fn edit(inner: &Inner, id: &ContainerId, change: impl FnOnce(&str) -> String) {
    let path = inner.container_folder(id).join("hosts");
    let done = std::fs::read_to_string(&path)
        .map_err(|e| Error::system(format!("read `{}`", path.display()), e))
        .and_then(|text| etc::rewrite(&path, &change(&text)));
    if let Err(error) = done {
        // the network is as declared; only a name of the container's own is not
        tracing::error!(container = id.short(), %error, "hosts file is not as declared");
    }
}

/// There is an embedded resolver now: a container that has not changed its file asks it.
fn ask_embedded(inner: &Inner, id: &ContainerId, declared: &Declared) {
    if !inner.networks.sandbox(id).is_some_and(|s| s.dns) {
        return;
    }
    let path = inner.container_folder(id).join("resolv.conf");
    let of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let text = |resolver| etc::resolv_conf(&of_host, &inner.config.dns, &declared.host_config, resolver);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if before == text(Resolver::Outside)
        && let Err(error) = etc::rewrite(&path, &text(Resolver::Embedded))
    {
        tracing::error!(container = id.short(), %error, "its resolver is the one it had");
    }
}

/// At the start of the daemon: finishes changes that a crash cut off.
pub(crate) fn agree(inner: &Inner, id: &ContainerId, declared: &Declared, pid: u32) {
    if !matches!(mode::mode(&declared.host_config), Mode::Own(_)) {
        return;
    }
    let Some(sandbox) = inner.networks.sandbox(id) else { return };
    let has: BTreeSet<&str> = sandbox.endpoints.iter().map(|e| e.network_name.as_str()).collect();
    let Some(all) = declared.networking.endpoints_config.as_ref() else { return };
    let should: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    for name in has.symmetric_difference(&should) {
        let done = Netns::of_process(i32::try_from(pid).unwrap_or(0))
            .map_err(Error::from)
            .and_then(|netns| one(inner, id, declared, &netns, name));
        if let Err(error) = done {
            tracing::error!(container = id.short(), network = name, %error, "place on a network is not as declared");
        }
    }
}
