//! Legacy links (`--link` on the default bridge): what the receiver is told about the source, and what it may reach there.
//!
//! ```text
//!   create   names become identifiers: a source may be renamed
//!   start    environment (once), /etc/hosts, holes in a bridge whose containers may not talk
//!   source starts again with another address: /etc/hosts of those that run is rewritten, the environment stays
//! ```
//!
//! On a user's network a link is a private name in DNS instead ([`wharf_net::EndpointRequest::links`]).

use std::collections::BTreeSet;
use std::net::IpAddr;

use wharf_api::container::{Config, HostConfig};
use wharf_net::Protocol;
use wharf_spec::id::ContainerId;

use super::mode::is_user_defined;
use super::record::Declared;
use super::snapshot::{Container, LinkTo};
use super::{etc, ports};
use crate::{Error, Inner, Result};

/// `SRC`, `SRC:ALIAS`, and what `inspect` shows (`/src:/receiver/alias`): the name of the source and the alias.
pub(crate) fn parse(text: &str) -> Result<(&str, &str)> {
    let wrong = |what: &str| Error::InvalidParameter(format!("{what}: {text}"));
    if text.is_empty() {
        return Err(Error::InvalidParameter("empty string specified for links".into()));
    }
    let mut parts = text.split(':');
    let (name, alias, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        return Err(wrong("bad format for links"));
    }
    let source = name.strip_prefix('/').unwrap_or(name);
    match alias {
        None | Some("") => Ok((source, source)),
        // the alias comes behind the receiver's name there
        Some(alias) if name.starts_with('/') => Ok((source, alias.rsplit('/').next().unwrap_or(alias))),
        Some(alias) => Ok((source, alias)),
    }
}

/// Finds the sources of a new container's links.
pub(crate) fn resolve(inner: &Inner, host: &HostConfig) -> Result<Vec<LinkTo>> {
    let mut links: Vec<LinkTo> = Vec::new();
    for text in host.links.iter().flatten().filter(|_| !is_user_defined(&host.network_mode)) {
        let (name, alias) = parse(text)?;
        let missing = |error| match error {
            Error::NotFound(why) => Error::InvalidParameter(format!("could not get container for {name}: {why}")),
            other => other,
        };
        let source = inner.index.resolve(name).map_err(missing)?;
        if source.container().host_config.network_mode == "host" {
            return Err(Error::InvalidParameter(
                "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
                    .into(),
            ));
        }
        if links.iter().any(|l| l.alias == alias && l.source != source.id) {
            return Err(Error::Conflict(format!(
                "Conflict. The link alias {alias:?} is used for more than one container"
            )));
        }
        links.push(LinkTo { source: source.id.clone(), alias: alias.to_owned() });
    }
    Ok(links)
}

/// A source as its receiver sees it at this moment.
pub(crate) struct Seen {
    alias: String,
    name: String,
    hostname: String,
    address: String,
    config: std::sync::Arc<Config>,
}

/// The sources of a container that starts; all of them must run. One that was removed is no link any more.
pub(crate) fn sources(inner: &Inner, declared: &Declared) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for link in &declared.links {
        let Some(handle) = inner.index.get(&link.source) else { continue };
        let source = handle.container();
        if !source.state.status.is_running() {
            return Err(Error::System(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                source.name, declared.name, link.alias
            )));
        }
        seen.push(Seen::of(link, &source));
    }
    Ok(seen)
}

/// What the sources of a running container say at this moment, for another process in it; those that do not run say nothing.
pub(crate) fn environment(inner: &Inner, receiver: &Container) -> Vec<String> {
    let running = |link: &LinkTo| {
        let source = inner.index.get(&link.source)?.container();
        source.state.status.is_running().then(|| Seen::of(link, &source).environment(&receiver.name))
    };
    receiver.links.iter().filter_map(running).flatten().collect()
}

/// Where the default bridge has it.
fn address(container: &Container) -> String {
    container.network.networks.get("bridge").map(|e| e.ip.clone()).unwrap_or_default()
}

impl Seen {
    fn of(link: &LinkTo, source: &Container) -> Self {
        Self {
            alias: link.alias.clone(),
            name: source.name.clone(),
            hostname: source.config.hostname.clone(),
            address: address(source),
            config: source.config.clone(),
        }
    }

    /// A line of `/etc/hosts`: address and names.
    pub(crate) fn host_line(&self) -> Option<(String, String)> {
        let mut names = format!("{} {}", self.alias, self.hostname);
        if self.alias != self.name {
            names = format!("{names} {}", self.name);
        }
        (!self.address.is_empty()).then(|| (self.address.clone(), names))
    }

    /// `<ALIAS>_NAME`, `<ALIAS>_PORT…`, `<ALIAS>_ENV_…`
    pub(crate) fn environment(&self, receiver: &str) -> Vec<String> {
        let alias = self.alias.to_uppercase().replace('-', "_");
        let mut env = Vec::new();
        let url = |port: u16, protocol: Protocol| format!("{}://{}:{port}", protocol.as_str(), self.address);
        let ports: BTreeSet<(Protocol, u16)> = ports::exposed(&self.config)
            .unwrap_or_default()
            .into_iter()
            .map(|(port, protocol)| (protocol, port))
            .collect();
        // TCP is the first of the protocols, so this is the lowest TCP port where there is one
        if let Some((protocol, port)) = ports.first() {
            env.push(format!("{alias}_PORT={}", url(*port, *protocol)));
        }
        for run in runs(&ports) {
            let (protocol, first, last) = run;
            let upper = protocol.as_str().to_uppercase();
            let base = format!("{alias}_PORT_{first}_{upper}");
            if last > first {
                env.push(format!("{base}_START={}", url(first, protocol)));
                env.push(format!("{base}_PORT_START={first}"));
                env.push(format!("{base}_END={}", url(last, protocol)));
                env.push(format!("{base}_PORT_END={last}"));
            }
            for port in first..=last {
                let base = format!("{alias}_PORT_{port}_{upper}");
                env.push(format!("{base}={}", url(port, protocol)));
                env.push(format!("{base}_ADDR={}", self.address));
                env.push(format!("{base}_PORT={port}"));
                env.push(format!("{base}_PROTO={}", protocol.as_str()));
            }
        }
        env.push(format!("{alias}_NAME=/{receiver}/{}", self.alias));
        let own = self.config.env.iter().flatten().filter_map(|e| e.split_once('='));
        env.extend(own.filter(|(n, _)| !matches!(*n, "HOME" | "PATH")).map(|(n, v)| format!("{alias}_ENV_{n}={v}")));
        env
    }
}

/// Ports that follow each other: protocol, first, last.
fn runs(ports: &BTreeSet<(Protocol, u16)>) -> Vec<(Protocol, u16, u16)> {
    let mut runs: Vec<(Protocol, u16, u16)> = Vec::new();
    for (protocol, port) in ports {
        match runs.last_mut() {
            Some((of, _, last)) if of == protocol && last.checked_add(1) == Some(*port) => *last = *port,
            _ => runs.push((*protocol, *port, *port)),
        }
    }
    runs
}

/// A container has (another) address: those that run and have a link to it find it there.
pub(crate) fn tell_receivers(inner: &Inner, id: &ContainerId, addresses: &[IpAddr]) {
    let Some(address) = addresses.iter().find(|a| a.is_ipv4()) else { return };
    for handle in inner.index.all() {
        let receiver = handle.container();
        if !receiver.state.status.is_running() {
            continue;
        }
        for link in receiver.links.iter().filter(|l| l.source == *id) {
            let path = inner.container_folder(&handle.id).join("hosts");
            let done = std::fs::read_to_string(&path)
                .map_err(|e| Error::system(format!("read `{}`", path.display()), e))
                .and_then(|text| match etc::moved(&text, &link.alias, &address.to_string()) {
                    Some(text) => etc::rewrite(&path, &text),
                    None => Ok(()),
                });
            if let Err(error) = done {
                tracing::error!(container = handle.id.short(), %error, "the address of {} there is an old one", link.alias);
            }
        }
    }
}

/// As `inspect` shows them: `/db:/web/webdb`.
pub(crate) fn shown(inner: &Inner, container: &Container) -> Vec<String> {
    let name = |link: &LinkTo| inner.index.get(&link.source).map(|h| h.container().name.clone());
    let line = |link: &LinkTo| Some(format!("/{}:/{}/{}", name(link)?, container.name, link.alias));
    container.links.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(alias: &str, ports: &[&str], env: &[&str]) -> Seen {
        let config = Config {
            exposed_ports: Some(ports.iter().map(|p| ((*p).to_owned(), Default::default())).collect()),
            env: Some(env.iter().map(|e| (*e).to_owned()).collect()),
            ..Config::default()
        };
        Seen {
            alias: alias.into(),
            name: "db".into(),
            hostname: "h".into(),
            address: "172.17.0.4".into(),
            config: config.into(),
        }
    }

    #[test]
    fn r_net_07_forms() {
        assert_eq!(parse("db:webdb").unwrap(), ("db", "webdb"));
        assert_eq!(parse("db").unwrap(), ("db", "db"));
        assert_eq!(parse("/db:/web/webdb").unwrap(), ("db", "webdb"));
        assert_eq!(parse("a:b:c").unwrap_err().to_string(), "bad format for links: a:b:c");
        assert!(parse("").is_err());
    }

    #[test]
    fn r_net_07_environment_is_dockers() {
        let env = seen("red-is", &["6380/tcp", "6379/tcp", "53/udp", "80/tcp"], &["A=b", "PATH=/x"]).environment("web");
        assert_eq!(env[0], "RED_IS_PORT=tcp://172.17.0.4:80");
        for line in [
            "RED_IS_NAME=/web/red-is",
            "RED_IS_ENV_A=b",
            "RED_IS_PORT_53_UDP=udp://172.17.0.4:53",
            "RED_IS_PORT_6379_TCP_START=tcp://172.17.0.4:6379",
            "RED_IS_PORT_6379_TCP_END=tcp://172.17.0.4:6380",
            "RED_IS_PORT_6379_TCP_PORT_START=6379",
            "RED_IS_PORT_6379_TCP_PORT_END=6380",
            "RED_IS_PORT_6380_TCP_ADDR=172.17.0.4",
            "RED_IS_PORT_80_TCP_PROTO=tcp",
        ] {
            assert!(env.iter().any(|e| e == line), "{line} in {env:?}");
        }
        assert!(!env.iter().any(|e| e.contains("_ENV_PATH")));
    }

    #[test]
    fn r_net_07_hosts_line() {
        let line = seen("webdb", &[], &[]).host_line();
        assert_eq!(line, Some(("172.17.0.4".into(), "webdb h db".into())));
        assert_eq!(seen("db", &[], &[]).host_line().unwrap().1, "db h");
    }
}
