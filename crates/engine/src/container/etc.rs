//! The files of `/etc` that are a container's own: hosts, hostname, resolv.conf.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;

use wharf_api::container::HostConfig;

use crate::{Dns, Error, Result};

const LOCAL: &str = "127.0.0.1\tlocalhost\n";
const LOCAL_V6: &str = "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// `/etc/hosts`: the fixed part, `--add-host`, links, the container's own addresses.
pub(crate) fn hosts(
    host: &HostConfig,
    names: &str,
    addresses: &[IpAddr],
    links: &[(String, String)],
    gateways: &[IpAddr],
) -> Result<String> {
    let mut text = format!("{LOCAL}{LOCAL_V6}");
    for entry in host.extra_hosts.iter().flatten() {
        let Some((name, address)) = entry.split_once([':', '=']) else { continue };
        if address != "host-gateway" {
            text.push_str(&format!("{}\t{name}\n", address.trim_matches(['[', ']'])));
            continue;
        }
        if gateways.is_empty() {
            return Err(Error::InvalidParameter("unable to derive the IP value for host-gateway".into()));
        }
        for gateway in gateways {
            text.push_str(&format!("{gateway}\t{name}\n"));
        }
    }
    for (address, names) in links {
        text.push_str(&format!("{address}\t{names}\n"));
    }
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    Ok(joined(&text, &addresses, names))
}

/// The hosts file with lines for further addresses of the container.
pub(crate) fn joined(text: &str, addresses: &[String], names: &str) -> String {
    let mut text = text.to_owned();
    for address in addresses {
        text.push_str(&format!("{address}\t{names}\n"));
    }
    text
}

/// The hosts file without the lines of addresses that the container no longer has.
pub(crate) fn left(text: &str, addresses: &[String]) -> String {
    let gone = |line: &&str| line.split_once('\t').is_some_and(|(address, _)| addresses.iter().any(|a| a == address));
    text.split_inclusive('\n').filter(|line| !gone(line)).collect()
}

/// The hosts file after the container that is called `alias` there has moved to another address; `None` when nothing changes.
pub(crate) fn moved(text: &str, alias: &str, to: &str) -> Option<String> {
    let line = |line: &str| match line.split_once('\t') {
        Some((address, names)) if names.split_whitespace().next() == Some(alias) && address != to => {
            format!("{to}\t{names}")
        }
        _ => line.to_owned(),
    };
    let after: String = text.split_inclusive('\n').map(line).collect();
    (after != text).then_some(after)
}

/// Whom a container asks for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// The machine's resolvers, in the machine's own network.
    Host,
    /// The machine's resolvers, from a network of its own.
    Outside,
    /// The embedded resolver, which asks those of the machine for what it does not know.
    Embedded,
}

/// Nameservers for a machine that has none.
const DEFAULT_SERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// What the host's `resolv.conf` gives, with the daemon's and the user's settings over it.
pub(crate) fn resolv_conf(host_file: &str, daemon: &Dns, host: &HostConfig, resolver: Resolver) -> String {
    let words = |key: &str| -> Vec<Vec<&str>> {
        host_file
            .lines()
            .filter_map(|line| {
                let mut words = line.split(['#', ';']).next().unwrap_or_default().split_ascii_whitespace();
                (words.next() == Some(key)).then(|| words.collect())
            })
            .collect()
    };
    let pick = |user: &Option<Vec<String>>, daemon: &[String], file: Vec<String>| match user.as_deref() {
        Some(list) if !list.is_empty() => (list.to_vec(), true),
        _ if !daemon.is_empty() => (daemon.to_vec(), true),
        _ => (file, false),
    };
    let of_file = |server: &str| match server.split('%').next().unwrap_or_default().parse::<IpAddr>() {
        // the host's own resolver is out of reach from another network namespace; the embedded one asks it from ours
        Ok(address) => resolver != Resolver::Outside || !address.is_loopback(),
        Err(_) => false,
    };
    let servers = words("nameserver")
        .into_iter()
        .filter_map(|w| w.first().copied())
        .filter(|s| of_file(s))
        .map(str::to_owned)
        .collect();
    let (mut servers, servers_given) = pick(&host.dns, &daemon.servers, servers);
    let search = words("search").pop().or_else(|| words("domain").pop()).unwrap_or_default();
    let (mut search, search_given) =
        pick(&host.dns_search, &daemon.search, search.into_iter().map(str::to_owned).collect());
    let options = words("options").concat().into_iter().map(str::to_owned).collect();
    let (mut options, options_given) = pick(&host.dns_options, &daemon.options, options);
    let used_default = servers.is_empty();
    if used_default {
        servers = DEFAULT_SERVERS.map(str::to_owned).to_vec();
    }
    search.retain(|s| s != ".");
    let mut notes = Vec::new();
    let kind = match resolver {
        Resolver::Host => "",
        Resolver::Outside => " (legacy)",
        Resolver::Embedded => " (internal resolver)",
    };
    if resolver == Resolver::Embedded {
        // asked from the machine's network, where `host(…)` says that the address came from
        let from_host = |s: &String| if servers_given { s.clone() } else { format!("host({s})") };
        notes.push(format!("ExtServers: [{}]", servers.iter().map(from_host).collect::<Vec<_>>().join(" ")));
        servers = vec![wharf_net::DNS_ADDRESS.to_string()];
    }
    let given = [(servers_given, "nameservers"), (search_given, "search"), (options_given, "options")];
    let given: Vec<_> = given.into_iter().filter(|(yes, _)| *yes).map(|(_, what)| what).collect();
    notes.push(format!("Overrides: [{}]", given.join(" ")));
    if resolver == Resolver::Embedded {
        // one that is no number would make the library ask for every short name with a search domain first
        options.retain(|o| o.strip_prefix("ndots:").is_none_or(|n| n.parse::<u32>().is_ok()));
        let source = if !options.iter().any(|o| o.starts_with("ndots:")) {
            options.push("ndots:0".into());
            "internal"
        } else if options_given {
            "override"
        } else {
            "host"
        };
        notes.push(format!("Option ndots from: {source}"));
    } else if options.iter().any(|o| o.starts_with("ndots:")) {
        notes.push(format!("Option ndots from: {}", if options_given { "override" } else { "host" }));
    }
    let mut text = String::from(
        "# Generated by Docker Engine.\n# This file can be edited; Docker Engine will not make further changes once it\n# has been modified.\n\n",
    );
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text.push_str(&format!("\n# Based on host file: '/etc/resolv.conf'{kind}\n"));
    if used_default {
        text.push_str("# Used default nameservers.\n");
    }
    for note in notes {
        text.push_str(&format!("# {note}\n"));
    }
    text
}

/// Writes one of these files. Not synced: it is written anew at every start.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| Error::system(format!("write `{}`", path.display()), e))
}

/// Writes one that a running container has mounted: in its place, and never empty for whoever reads it at this moment.
pub(crate) fn rewrite(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let mut file = fs::File::options().write(true).open(path)?;
        file.write_all(text.as_bytes())?;
        let (old, new) = (file.metadata()?.len(), text.len() as u64);
        // cutting a file off takes the file system longer than writing it
        if old > new { file.set_len(new) } else { Ok(()) }
    };
    write().map_err(|e| Error::system(format!("write `{}`", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ctr_08_hosts() {
        let host = HostConfig {
            extra_hosts: Some(vec!["db:10.0.0.5".into(), "gw:host-gateway".into(), "six:[::5]".into()]),
            ..HostConfig::default()
        };
        let [own, gateway] = ["172.17.0.2", "172.17.0.1"].map(|a| a.parse().unwrap());
        let links = [("172.17.0.3".to_owned(), "webdb h db".to_owned())];
        let text = hosts(&host, "web.example web", &[own], &links, &[gateway]).unwrap();
        let lines: Vec<_> = text.lines().skip(6).collect();
        let expect =
            ["10.0.0.5\tdb", "172.17.0.1\tgw", "::5\tsix", "172.17.0.3\twebdb h db", "172.17.0.2\tweb.example web"];
        assert_eq!(lines, expect);
        let after = moved(&text, "webdb", "172.17.0.9").unwrap();
        assert!(after.contains("\n172.17.0.9\twebdb h db\n"), "{after}");
        assert_eq!(moved(&after, "webdb", "172.17.0.9"), None);
        let more = joined(&text, &["10.0.0.9".into()], "web");
        assert!(more.ends_with("10.0.0.9\tweb\n"));
        assert_eq!(left(&more, &["10.0.0.9".into()]), text);
        assert!(hosts(&host, "web", &[], &[], &[]).is_err(), "host-gateway is not known");
    }

    #[test]
    fn r_ctr_08_resolv_conf() {
        let file =
            "# x\nnameserver 127.0.0.53\nnameserver 10.0.0.1 # main\nsearch a.example b.example\noptions ndots:2\n";
        let lines =
            |text: String| text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect::<Vec<_>>().join("; ");
        let plain = resolv_conf(file, &Dns::default(), &HostConfig::default(), Resolver::Outside);
        assert_eq!(lines(plain), "nameserver 10.0.0.1; search a.example b.example; options ndots:2");
        let on_host = resolv_conf(file, &Dns::default(), &HostConfig::default(), Resolver::Host);
        assert!(on_host.contains("127.0.0.53"));
        let user = HostConfig {
            dns: Some(vec!["1.1.1.1".into()]),
            dns_search: Some(vec![".".into()]),
            ..HostConfig::default()
        };
        assert_eq!(
            lines(resolv_conf(file, &Dns::default(), &user, Resolver::Outside)),
            "nameserver 1.1.1.1; options ndots:2"
        );
        assert_eq!(
            lines(resolv_conf("", &Dns::default(), &HostConfig::default(), Resolver::Outside)),
            "nameserver 8.8.8.8; nameserver 8.8.4.4"
        );
    }

    #[test]
    fn r_net_06_resolv_conf_of_the_embedded_resolver() {
        let text = resolv_conf(
            "nameserver 127.0.0.53\nsearch corp\n",
            &Dns::default(),
            &HostConfig::default(),
            Resolver::Embedded,
        );
        let own = text.split_once("modified.\n\n").unwrap().1;
        assert_eq!(
            own,
            "nameserver 127.0.0.11\nsearch corp\noptions ndots:0\n\n# Based on host file: '/etc/resolv.conf' (internal resolver)\n\
             # ExtServers: [host(127.0.0.53)]\n# Overrides: []\n# Option ndots from: internal\n"
        );
        let user = HostConfig {
            dns: Some(vec!["1.2.3.4".into(), "2.3.4.5".into()]),
            dns_search: Some(vec!["ex.com".into()]),
            dns_options: Some(vec!["ndots:3".into(), "timeout:2".into()]),
            ..HostConfig::default()
        };
        let text = resolv_conf("", &Dns::default(), &user, Resolver::Embedded);
        let own = text.split_once("modified.\n\n").unwrap().1;
        assert_eq!(
            own,
            "nameserver 127.0.0.11\nsearch ex.com\noptions ndots:3 timeout:2\n\n# Based on host file: '/etc/resolv.conf' (internal resolver)\n\
             # ExtServers: [1.2.3.4 2.3.4.5]\n# Overrides: [nameservers search options]\n# Option ndots from: override\n"
        );
    }
}
