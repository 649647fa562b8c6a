//! The ports of a container in one line: ranges put together, as `ps` shows them.

use serde_json::Value;

use crate::json;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    private: u64,
    public: u64,
    ip: String,
    protocol: String,
}

/// `0.0.0.0:80->80/tcp, 443/tcp`
pub(crate) fn display(ports: &[Value]) -> String {
    let mut ports: Vec<Port> = ports
        .iter()
        .map(|port| Port {
            private: json::uint(port, "PrivatePort"),
            public: json::uint(port, "PublicPort"),
            ip: json::text(port, "IP").to_owned(),
            protocol: json::text(port, "Type").to_owned(),
        })
        .collect();
    ports.sort_by(|a, b| (a.private, &a.ip, a.public, &a.protocol).cmp(&(b.private, &b.ip, b.public, &b.protocol)));
    // (address, protocol) → the range that is being put together
    let mut groups: Vec<((String, String), (u64, u64))> = Vec::new();
    let (mut singles, mut ranges) = (Vec::new(), Vec::new());
    for port in &ports {
        let mut key = port.protocol.clone();
        if !port.ip.is_empty() {
            if port.public != port.private {
                singles.push(format!("{}:{}->{}/{}", host(&port.ip), port.public, port.private, port.protocol));
                continue;
            }
            key = format!("{}/{}", port.ip, port.protocol);
        }
        let key = (key, port.protocol.clone());
        match groups.iter_mut().find(|(known, _)| *known == key) {
            None => groups.push((key, (port.private, port.private))),
            Some((_, range)) if port.private == range.1 + 1 => range.1 = port.private,
            Some((_, range)) => {
                ranges.push(form(&key.0, &key.1, *range));
                *range = (port.private, port.private);
            }
        }
    }
    groups.sort();
    ranges.extend(groups.iter().map(|((key, protocol), range)| form(key, protocol, *range)));
    ranges.extend(singles);
    ranges.join(", ")
}

fn host(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }
}

fn form(key: &str, protocol: &str, (first, last): (u64, u64)) -> String {
    let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
    match key.split_once('/') {
        Some((ip, _)) => format!("{}:{range}->{range}/{protocol}", host(ip)),
        None => format!("{range}/{protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ranges_and_addresses() {
        let port = |private: u64, public: u64, ip: &str| json!({"PrivatePort": private, "PublicPort": public, "IP": ip, "Type": "tcp"});
        assert_eq!(
            display(&[port(80, 8080, "0.0.0.0"), port(80, 8080, "::")]),
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
        );
        let same = [port(80, 80, "0.0.0.0"), port(81, 81, "0.0.0.0"), port(90, 0, "")];
        assert_eq!(display(&same), "0.0.0.0:80-81->80-81/tcp, 90/tcp");
    }
}
