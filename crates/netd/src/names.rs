//! Who is called what on which network.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::protocol::Sandbox;

/// Everything the daemon told us.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sandboxes: HashMap<String, Sandbox>,
    networks: HashMap<String, Zone>,
    /// Moves on with every answer: a name of several containers is answered by each first in turn.
    turn: usize,
}

/// The names on one network.
#[derive(Debug, Default)]
struct Zone {
    /// Name in lower case → (container, address).
    forward: HashMap<String, Vec<(String, IpAddr)>>,
    /// Address → (container, name).
    reverse: HashMap<IpAddr, (String, String)>,
}

impl Names {
    /// A container comes, or has other names now.
    pub(crate) fn put(&mut self, sandbox: Sandbox) {
        self.drop(&sandbox.container);
        for place in &sandbox.places {
            let zone = self.networks.entry(place.network.clone()).or_default();
            for address in &place.addresses {
                for name in &place.names {
                    let entry = (sandbox.container.clone(), *address);
                    zone.forward.entry(name.to_ascii_lowercase()).or_default().push(entry);
                }
                if let Some(first) = place.names.first() {
                    zone.reverse.insert(*address, (sandbox.container.clone(), first.clone()));
                }
            }
        }
        self.sandboxes.insert(sandbox.container.clone(), sandbox);
    }

    /// A container goes.
    pub(crate) fn drop(&mut self, container: &str) {
        let Some(sandbox) = self.sandboxes.remove(container) else { return };
        for place in &sandbox.places {
            let Some(zone) = self.networks.get_mut(&place.network) else { continue };
            for name in &place.names {
                let name = name.to_ascii_lowercase();
                if let Some(entries) = zone.forward.get_mut(&name) {
                    entries.retain(|(owner, _)| owner != container);
                    if entries.is_empty() {
                        zone.forward.remove(&name);
                    }
                }
            }
            zone.reverse.retain(|_, (owner, _)| owner != container);
            if zone.forward.is_empty() && zone.reverse.is_empty() {
                self.networks.remove(&place.network);
            }
        }
    }

    /// What a container may know.
    pub(crate) fn sandbox(&self, container: &str) -> Option<&Sandbox> {
        self.sandboxes.get(container)
    }

    /// Everybody.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &String> {
        self.sandboxes.keys()
    }

    /// Whether there is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.sandboxes.is_empty()
    }

    /// The addresses behind a name as `asker` sees it; empty if it is not one of ours. The name is in lower case.
    pub(crate) fn lookup(&mut self, asker: &str, name: &str) -> Vec<IpAddr> {
        self.turn = self.turn.wrapping_add(1);
        let Some(sandbox) = self.sandboxes.get(asker) else { return Vec::new() };
        for place in &sandbox.places {
            let Some(zone) = self.networks.get(&place.network) else { continue };
            // `web.my_net` is `web` on my_net
            let suffix = place.network_name.to_ascii_lowercase();
            let short = name.strip_suffix(&suffix).and_then(|n| n.strip_suffix('.'));
            let alias = place.aliases.iter().find(|a| a.alias.eq_ignore_ascii_case(name));
            let target = alias.map(|a| a.target.to_ascii_lowercase());
            let name = target.as_deref().unwrap_or(name);
            let found = zone.forward.get(name).or_else(|| zone.forward.get(short?));
            if let Some(found) = found {
                let mut addresses: Vec<IpAddr> = found.iter().map(|(_, address)| *address).collect();
                let turn = self.turn % addresses.len();
                addresses.rotate_left(turn);
                return addresses;
            }
        }
        Vec::new()
    }

    /// The name of an address as `asker` sees it (`web.my_net`).
    pub(crate) fn reverse(&self, asker: &str, address: IpAddr) -> Option<String> {
        let sandbox = self.sandboxes.get(asker)?;
        sandbox.places.iter().find_map(|place| {
            let (_, name) = self.networks.get(&place.network)?.reverse.get(&address)?;
            Some(format!("{name}.{}", place.network_name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Alias, Place};

    fn sandbox(container: &str, network: &str, address: &str, names: &[&str]) -> Sandbox {
        Sandbox {
            container: container.into(),
            places: vec![Place {
                network: format!("id-{network}"),
                network_name: network.into(),
                addresses: vec![address.parse().unwrap()],
                names: names.iter().map(|n| (*n).to_owned()).collect(),
                aliases: Vec::new(),
            }],
            ..Sandbox::default()
        }
    }

    #[test]
    fn r_net_06_names_are_per_network() {
        let mut names = Names::default();
        names.put(sandbox("1", "a", "10.0.0.2", &["Web", "short1"]));
        names.put(sandbox("2", "a", "10.0.0.3", &["db"]));
        names.put(sandbox("3", "b", "10.1.0.2", &["other"]));
        assert_eq!(names.lookup("2", "web"), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(names.lookup("2", "web.a"), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert!(names.lookup("2", "web.b").is_empty());
        assert!(names.lookup("3", "web").is_empty());
        assert!(names.lookup("nobody", "web").is_empty());
        assert_eq!(names.reverse("2", "10.0.0.2".parse().unwrap()).unwrap(), "Web.a");
        assert_eq!(names.reverse("3", "10.0.0.2".parse().unwrap()), None);
        names.drop("1");
        assert!(names.lookup("2", "web").is_empty());
        assert_eq!(names.reverse("2", "10.0.0.2".parse().unwrap()), None);
    }

    #[test]
    fn r_net_06_a_shared_name_goes_round() {
        let mut names = Names::default();
        for n in 2..5 {
            names.put(sandbox(&n.to_string(), "a", &format!("10.0.0.{n}"), &["pool"]));
        }
        let mut first: Vec<_> = (0..3).map(|_| names.lookup("2", "pool")[0]).collect();
        first.sort();
        first.dedup();
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn r_net_08_an_alias_is_private_and_may_come_before_its_target() {
        let mut names = Names::default();
        let alias = Alias { alias: "webdb".into(), target: "db".into() };
        let mut web = sandbox("1", "a", "10.0.0.2", &["web"]);
        web.places[0].aliases.push(alias);
        names.put(web);
        assert!(names.lookup("1", "webdb").is_empty());
        names.put(sandbox("2", "a", "10.0.0.3", &["db"]));
        assert_eq!(names.lookup("1", "webdb"), ["10.0.0.3".parse::<IpAddr>().unwrap()]);
        assert!(names.lookup("2", "webdb").is_empty());
    }

    #[test]
    fn put_again_replaces() {
        let mut names = Names::default();
        names.put(sandbox("1", "a", "10.0.0.2", &["web"]));
        names.put(sandbox("1", "b", "10.1.0.2", &["web"]));
        assert_eq!(names.lookup("1", "web"), ["10.1.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(names.networks.len(), 1);
    }
}
