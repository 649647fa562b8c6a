//! `--network`, short and long, and the end points it asks for.

use serde_json::{Map, Value, json};

use crate::go;

/// One `--network` flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) target: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) links: Vec<String>,
    pub(crate) driver_options: Vec<(String, String)>,
    pub(crate) ip: String,
    pub(crate) ip6: String,
    pub(crate) link_local: Vec<String>,
    pub(crate) mac: String,
    pub(crate) priority: i64,
}

/// Reads one flag.
pub(crate) fn parse(text: &str) -> Result<Attachment, String> {
    let long = text.split(',').any(|field| field.contains('='));
    let mut attachment = Attachment::default();
    if !long {
        attachment.target = text.to_owned();
        return Ok(attachment);
    }
    for field in go::csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) if !value.is_empty() => (key.trim().to_lowercase(), value.trim().to_owned()),
            _ => return Err(format!("invalid field {field}")),
        };
        match key.as_str() {
            "name" => attachment.target = value,
            "alias" => attachment.aliases.push(value),
            "ip" => attachment.ip = value,
            "ip6" => attachment.ip6 = value,
            "mac-address" => {
                check_mac(&value)?;
                attachment.mac = value;
            }
            "link-local-ip" => attachment.link_local.push(value),
            "driver-opt" => {
                let Some((key, value)) = value.split_once('=') else {
                    return Err("invalid key value pair format in driver options".into());
                };
                attachment.driver_options.push((key.trim().into(), value.trim().into()));
            }
            "gw-priority" => {
                attachment.priority = value
                    .parse()
                    .map_err(|_| format!("invalid gw-priority ({}): value must be an integer", go::quote(&value)))?;
            }
            _ => return Err(format!("invalid field key {key}")),
        }
    }
    if attachment.target.is_empty() {
        return Err("network name/id is not specified".into());
    }
    Ok(attachment)
}

/// Whether `text` is six pairs of hexadecimal digits.
pub(crate) fn check_mac(text: &str) -> Result<(), String> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(separator).collect();
    let pair = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    if matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(pair) {
        return Ok(());
    }
    Err(format!("{text} is not a valid mac address"))
}

/// Whether a mode names a network that somebody made.
pub(crate) fn is_user_defined(mode: &str) -> bool {
    !matches!(mode, "" | "default" | "bridge" | "host" | "none" | "nat") && !mode.starts_with("container:")
}

/// What the flags beside `--network` ask of the first network.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) aliases: Vec<String>,
    pub(crate) links: Vec<String>,
    pub(crate) ip: String,
    pub(crate) ip6: String,
    pub(crate) mac: String,
    pub(crate) link_local: Vec<String>,
}

impl Attachment {
    /// Takes over what the flags of the container say; both saying something is an error.
    fn apply(&mut self, wishes: &Wishes) -> Result<(), String> {
        let conflict = |what: &str| Err(format!("conflicting options: cannot specify both {what}"));
        let both = |a: bool, b: bool| a && b;
        if both(!self.aliases.is_empty(), !wishes.aliases.is_empty()) {
            return conflict("--network-alias and per-network alias");
        }
        if both(!self.links.is_empty(), !wishes.links.is_empty()) {
            return conflict("--link and per-network links");
        }
        if both(!self.ip.is_empty(), !wishes.ip.is_empty()) {
            return conflict("--ip and per-network IPv4 address");
        }
        if both(!self.ip6.is_empty(), !wishes.ip6.is_empty()) {
            return conflict("--ip6 and per-network IPv6 address");
        }
        if both(!self.mac.is_empty(), !wishes.mac.is_empty()) {
            return conflict("--mac-address and per-network MAC address");
        }
        if both(!self.link_local.is_empty(), !wishes.link_local.is_empty()) {
            return conflict("--link-local-ip and per-network link-local IP addresses");
        }
        self.aliases.extend(wishes.aliases.iter().cloned());
        if is_user_defined(&self.target) {
            self.links.extend(wishes.links.iter().cloned());
        }
        self.ip.push_str(&wishes.ip);
        self.ip6.push_str(&wishes.ip6);
        self.mac.push_str(&wishes.mac);
        self.link_local.extend(wishes.link_local.iter().cloned());
        Ok(())
    }

    fn is_plain(&self) -> bool {
        *self == Self { target: self.target.clone(), ..Self::default() }
    }

    /// The API's end point settings.
    pub(crate) fn document(&self) -> Value {
        let list = |items: &[String]| if items.is_empty() { Value::Null } else { json!(items) };
        let mut ipam = Map::new();
        if !self.ip.is_empty() {
            ipam.insert("IPv4Address".into(), json!(self.ip));
        }
        if !self.ip6.is_empty() {
            ipam.insert("IPv6Address".into(), json!(self.ip6));
        }
        if !self.link_local.is_empty() {
            ipam.insert("LinkLocalIPs".into(), json!(self.link_local));
        }
        let ipam = if ipam.is_empty() { Value::Null } else { Value::Object(ipam) };
        let options = if self.driver_options.is_empty() {
            Value::Null
        } else {
            let sorted: std::collections::BTreeMap<_, _> = self.driver_options.iter().cloned().collect();
            json!(sorted)
        };
        json!({
            "IPAMConfig": ipam, "Links": list(&self.links), "Aliases": list(&self.aliases), "MacAddress": self.mac,
            "DriverOpts": options, "GwPriority": self.priority, "NetworkID": "", "EndpointID": "", "Gateway": "",
            "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
            "DNSNames": null,
        })
    }
}

/// `EndpointsConfig` for all networks given.
pub(crate) fn endpoints(networks: &[Attachment], wishes: &Wishes) -> Result<Value, String> {
    let mut out: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
    if networks.is_empty() {
        let mut network = Attachment { target: "default".into(), ..Attachment::default() };
        network.apply(wishes)?;
        out.insert(network.target.clone(), network.document());
        return Ok(json!(out));
    }
    let (mut user, mut builtin) = (false, false);
    let mut seen = Vec::new();
    for (index, network) in networks.iter().enumerate() {
        let mut network = network.clone();
        if is_user_defined(&network.target) {
            user = true
        } else {
            builtin = true
        }
        if index == 0 {
            network.apply(wishes)?;
        }
        if network.target.trim().is_empty() {
            return Err("no name set for network".into());
        }
        let scoped = !network.aliases.is_empty() || !network.links.is_empty();
        if scoped && !user {
            return Err("network-scoped aliases are only supported for user-defined networks".into());
        }
        if seen.contains(&network.target) {
            return Err(format!("network {} is specified multiple times", go::quote(&network.target)));
        }
        seen.push(network.target.clone());
        // a single network without wishes is the engine's to set up
        if networks.len() == 1 && network.is_plain() {
            continue;
        }
        out.insert(network.target.clone(), network.document());
    }
    if user && builtin {
        return Err("conflicting options: cannot attach both user-defined and non-user-defined network-modes".into());
    }
    Ok(json!(out))
}
