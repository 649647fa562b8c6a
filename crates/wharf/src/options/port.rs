//! `-p` and `--expose`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::go;

/// Ports and where they are published.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) exposed: BTreeSet<String>,
    pub(crate) bindings: BTreeMap<String, Vec<Value>>,
}

impl Ports {
    /// Reads one `-p` flag.
    pub(crate) fn publish(&mut self, text: &str) -> Result<(), String> {
        if text.contains('=') {
            let short = long_form(text)?;
            return self.publish(&short);
        }
        let (ip, host, container) = split(text);
        let (protocol, container) = match container.split_once('/') {
            Some((port, protocol)) if !protocol.is_empty() => (protocol.to_owned(), port.to_owned()),
            Some((port, _)) => ("tcp".into(), port.to_owned()),
            None => ("tcp".into(), container),
        };
        if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("invalid IP address: {ip}"));
        }
        if container.is_empty() {
            return Err(format!("no port specified: {text}<empty>"));
        }
        let (first, last) = range(&container).map_err(|_| format!("invalid containerPort: {container}"))?;
        let hosts = match host.as_str() {
            "" => None,
            host => Some(range(host).map_err(|_| format!("invalid hostPort: {host}"))?),
        };
        let mut spread = false;
        if let Some((from, to)) = hosts
            && to - from != last - first
        {
            // one port of the container may get any of a range of the host's
            if first != last {
                return Err(format!("invalid ranges specified for container and host Ports: {container} and {host}"));
            }
            spread = true;
        }
        let lower = protocol.to_lowercase();
        if !matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
            return Err(format!("invalid proto: {protocol}"));
        }
        for offset in 0..=last - first {
            let port = format!("{}/{lower}", first + offset);
            let published = match hosts {
                None => String::new(),
                Some((from, to)) if spread => format!("{from}-{to}"),
                Some((from, _)) => (from + offset).to_string(),
            };
            self.exposed.insert(port.clone());
            self.bindings.entry(port).or_default().push(json!({"HostIp": ip, "HostPort": published}));
        }
        Ok(())
    }

    /// Reads one `--expose` flag.
    pub(crate) fn expose(&mut self, text: &str) -> Result<(), String> {
        if text.contains(':') {
            return Err(format!("invalid port format for --expose: {text}"));
        }
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) =
            range(port).map_err(|why| format!("invalid range format for --expose: {text}, error: {why}"))?;
        let protocol = protocol.to_lowercase();
        self.exposed.extend((first..=last).map(|port| format!("{port}/{protocol}")));
        Ok(())
    }
}

/// Address, host port, container port.
fn split(text: &str) -> (String, String, String) {
    let (front, container) = match text.rsplit_once(':') {
        Some((front, container)) => (Some(front), container),
        None => (None, text),
    };
    let Some(front) = front else { return (String::new(), String::new(), container.to_owned()) };
    let (ip, host) = match front.rsplit_once(':') {
        Some((ip, host)) => (ip, host),
        None => ("", front),
    };
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    (ip.to_owned(), host.to_owned(), container.to_owned())
}

fn range(text: &str) -> Result<(u32, u32), String> {
    let port = |text: &str| {
        let value = text.parse::<u16>().map_err(|_| {
            let why = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
                "value out of range"
            } else {
                "invalid syntax"
            };
            format!("strconv.ParseUint: parsing {}: {why}", go::quote(text))
        });
        value.map(u32::from)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if last < first {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((first, last))
}

/// `published=8080,target=80,protocol=tcp` in the short form.
fn long_form(text: &str) -> Result<String, String> {
    let (mut target, mut published, mut protocol) = (String::new(), String::new(), "tcp".to_owned());
    for field in go::csv(text)? {
        let Some((key, value)) = field.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(format!("invalid field: {field}"));
        };
        match key.trim().to_lowercase().as_str() {
            "protocol" if matches!(value, "tcp" | "udp" | "sctp") => protocol = value.to_owned(),
            "protocol" => return Err(format!("invalid protocol value '{value}'")),
            "mode" if matches!(value, "ingress" | "host") => {}
            "mode" => return Err(format!("invalid publish mode value ({value}): must be either 'ingress' or 'host'")),
            "target" | "published" => {
                let valid = value.parse::<u16>().is_ok();
                let range = key == "published" && range(value).is_ok();
                if !valid && !range {
                    return Err(format!("invalid {key} port ({value}): value must be an integer"));
                }
                if key == "target" { target = value.to_owned() } else { published = value.to_owned() }
            }
            other => return Err(format!("invalid field key: {other}")),
        }
    }
    if target.is_empty() {
        return Err("invalid target port (0): value must be an integer".into());
    }
    Ok(if published.is_empty() { format!("{target}/{protocol}") } else { format!("{published}:{target}/{protocol}") })
}
