//! Which address of a pool is free, and which subnet.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::address::{from_bits, to_bits};
use crate::{ContainerId, Error, IpamConfig, Network, Result, Subnet};

/// Who has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holder {
    /// Gateway, auxiliary address, network or broadcast address.
    Nobody,
    /// An endpoint of it, or a reservation for it.
    Container(ContainerId),
}

/// The addresses of one subnet.
#[derive(Debug)]
pub(crate) struct Pool {
    subnet: Subnet,
    first: u128,
    last: u128,
    used: BTreeMap<u128, Holder>,
    /// Who had an address that is free now: it is given to the same one again, for as long as nobody else needs it. As many as
    /// were ever in use at once.
    left: BTreeMap<u128, ContainerId>,
    /// Nothing below is free.
    hint: u128,
}

impl Pool {
    pub(crate) fn new(config: &IpamConfig) -> Self {
        let subnet = config.subnet.network();
        let range = config.range.unwrap_or(subnet).network();
        let mut used = BTreeMap::new();
        let (low, high) = (to_bits(subnet.address), to_bits(subnet.last()));
        // a /31 and a /32 have no address to spare (RFC 3021)
        if high - low > 1 {
            used.insert(low, Holder::Nobody);
            if subnet.is_ipv4() {
                used.insert(high, Holder::Nobody);
            }
        }
        for address in config.gateway.iter().chain(config.aux.values()) {
            used.insert(to_bits(*address), Holder::Nobody);
        }
        let (first, last) = (to_bits(range.address), to_bits(range.last()));
        Self { subnet, first, last, used, left: BTreeMap::new(), hint: first }
    }

    pub(crate) fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The address that the container had before, else the lowest free one; `None` when there is none.
    pub(crate) fn take(&mut self, container: &ContainerId) -> Option<Subnet> {
        let before = self.left.iter().find(|(_, of)| *of == container).map(|(address, _)| *address);
        let address = match before {
            Some(address) => address,
            None => self.lowest()?,
        };
        self.hold(address, container);
        Subnet::new(from_bits(self.subnet.address, address), self.subnet.prefix)
    }

    fn lowest(&mut self) -> Option<u128> {
        let mut candidate = self.hint;
        for (used, _) in self.used.range(self.hint..) {
            if *used != candidate {
                break;
            }
            candidate = candidate.checked_add(1)?;
        }
        self.hint = candidate;
        (candidate <= self.last).then_some(candidate)
    }

    fn hold(&mut self, address: u128, container: &ContainerId) {
        self.used.insert(address, Holder::Container(container.clone()));
        self.left.remove(&address);
    }

    /// This address, if it is free or reserved for this very container.
    pub(crate) fn take_static(&mut self, address: IpAddr, container: &ContainerId) -> Result<Subnet> {
        let bits = to_bits(address);
        match self.used.get(&bits) {
            Some(Holder::Container(holder)) if holder == container => {}
            Some(_) => return Err(Error::AddressInUse(address)),
            None => self.hold(bits, container),
        }
        Subnet::new(address, self.subnet.prefix).ok_or(Error::AddressInUse(address))
    }

    /// Gives an address back; what is not this container's stays.
    pub(crate) fn give_back(&mut self, address: IpAddr, container: &ContainerId) {
        let bits = to_bits(address);
        if self.used.get(&bits) == Some(&Holder::Container(container.clone())) {
            self.used.remove(&bits);
            if (self.first..=self.last).contains(&bits) {
                self.left.retain(|_, of| of != container);
                self.left.insert(bits, container.clone());
                self.hint = self.hint.min(bits);
            }
        }
    }
}

/// Whether a request for a static address is one that the network can meet, as Docker says it.
pub(crate) fn check_static(network: &Network, address: IpAddr) -> Result<(), String> {
    let mut family = network.pools.iter().filter(|p| p.subnet.is_ipv4() == address.is_ipv4()).peekable();
    if family.peek().is_none() || network.pools.iter().all(|p| !p.given) {
        return Err(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
                .into(),
        );
    }
    if family.any(|p| p.subnet.contains(address)) {
        return Ok(());
    }
    Err(format!("no configured subnet or ip-range contain the IP address {address}"))
}

/// Docker's pools: 172.17–172.31 as /16, then 192.168 as /20.
pub(crate) fn default_pools() -> Vec<(Subnet, u8)> {
    let v4 =
        |a, b, c, d, prefix, size| Subnet::new(Ipv4Addr::new(a, b, c, d).into(), prefix).map(|subnet| (subnet, size));
    (17..=31).map(|n| v4(172, n, 0, 0, 16, 16)).chain([v4(192, 168, 0, 0, 16, 20)]).flatten().collect()
}

/// The first subnet of the pools that overlaps nothing in `taken`.
pub(crate) fn free_subnet(pools: &[(Subnet, u8)], taken: &[Subnet]) -> Option<Subnet> {
    pools.iter().find_map(|(pool, size)| {
        let pool = pool.network();
        let width: u8 = if pool.is_ipv4() { 32 } else { 128 };
        let step = 1u128.checked_shl(u32::from(width.checked_sub(*size)?))?;
        let (mut at, end) = (to_bits(pool.address), to_bits(pool.last()));
        while at <= end {
            let candidate = Subnet::new(from_bits(pool.address, at), *size)?;
            let Some(hit) = taken.iter().find(|t| t.overlaps(&candidate)) else { return Some(candidate) };
            // behind whatever is in the way, at the next multiple of the step
            let behind = to_bits(hit.network().last()).max(to_bits(candidate.last())).checked_add(1)?;
            at = behind.checked_next_multiple_of(step)?;
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> ContainerId {
        ContainerId::from_bytes([n; 32])
    }

    fn pool(subnet: &str, range: Option<&str>, gateway: &str) -> Pool {
        Pool::new(&IpamConfig {
            subnet: subnet.parse().unwrap(),
            range: range.map(|r| r.parse().unwrap()),
            gateway: Some(gateway.parse().unwrap()),
            aux: BTreeMap::new(),
            given: true,
            gateway_given: false,
        })
    }

    #[test]
    fn lowest_first_and_again_after_return() {
        let mut p = pool("10.0.0.0/29", None, "10.0.0.1");
        let got: Vec<_> = std::iter::from_fn(|| p.take(&id(1))).map(|s| s.to_string()).collect();
        assert_eq!(got, ["10.0.0.2/29", "10.0.0.3/29", "10.0.0.4/29", "10.0.0.5/29", "10.0.0.6/29"]);
        p.give_back("10.0.0.4".parse().unwrap(), &id(2));
        assert!(p.take(&id(2)).is_none(), "only the holder gives back");
        p.give_back("10.0.0.4".parse().unwrap(), &id(1));
        assert_eq!(p.take(&id(2)).unwrap().to_string(), "10.0.0.4/29");
    }

    #[test]
    fn the_same_address_again_unless_somebody_needs_it() {
        let mut p = pool("10.0.0.0/29", None, "10.0.0.1");
        let take = |p: &mut Pool, n| p.take(&id(n)).map(|s| s.address.to_string());
        let back = |p: &mut Pool, address: &str, n| p.give_back(address.parse().unwrap(), &id(n));
        let first: Vec<_> = (1..=3).map(|n| take(&mut p, n).unwrap()).collect();
        assert_eq!(first, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        back(&mut p, "10.0.0.2", 1);
        back(&mut p, "10.0.0.3", 2);
        assert_eq!(take(&mut p, 2).unwrap(), "10.0.0.3", "not the lowest");
        assert_eq!(take(&mut p, 4).unwrap(), "10.0.0.2", "free is free");
        assert_eq!(take(&mut p, 1).unwrap(), "10.0.0.5");
    }

    #[test]
    fn range_bounds_the_choice_but_not_static_addresses() {
        let mut p = pool("10.0.0.0/24", Some("10.0.0.128/30"), "10.0.0.1");
        assert_eq!(p.take_static("10.0.0.9".parse().unwrap(), &id(1)).unwrap().to_string(), "10.0.0.9/24");
        let got: Vec<_> = std::iter::from_fn(|| p.take(&id(1))).map(|s| s.address.to_string()).collect();
        assert_eq!(got, ["10.0.0.128", "10.0.0.129", "10.0.0.130", "10.0.0.131"]);
    }

    #[test]
    fn a_static_address_belongs_to_one() {
        let mut p = pool("10.0.0.0/24", None, "10.0.0.1");
        let a = "10.0.0.5".parse().unwrap();
        p.take_static(a, &id(1)).unwrap();
        p.take_static(a, &id(1)).unwrap();
        assert!(matches!(p.take_static(a, &id(2)), Err(Error::AddressInUse(_))));
        assert!(p.take_static("10.0.0.1".parse().unwrap(), &id(1)).is_err());
        assert!(p.take_static("10.0.0.0".parse().unwrap(), &id(1)).is_err());
        assert!(p.take_static("10.0.0.255".parse().unwrap(), &id(1)).is_err());
    }

    #[test]
    fn subnets_avoid_what_is_taken() {
        let pools = default_pools();
        let taken: Vec<Subnet> = ["172.17.0.0/16", "172.18.5.0/24"].iter().map(|s| s.parse().unwrap()).collect();
        assert_eq!(free_subnet(&pools, &taken).unwrap().to_string(), "172.19.0.0/16");
        let all: Vec<Subnet> = ["172.16.0.0/12", "192.168.0.0/17"].iter().map(|s| s.parse().unwrap()).collect();
        assert_eq!(free_subnet(&pools, &all).unwrap().to_string(), "192.168.128.0/20");
        assert!(free_subnet(&pools, &["0.0.0.0/0".parse().unwrap()]).is_none());
    }

    proptest! {
        #[test]
        fn never_twice_never_outside(steps in proptest::collection::vec((any::<bool>(), 0u8..20), 0..200)) {
            let mut p = pool("10.1.2.0/28", None, "10.1.2.1");
            let mut held: Vec<IpAddr> = Vec::new();
            for (take, n) in steps {
                if take {
                    if let Some(s) = p.take(&id(1)) {
                        prop_assert!(!held.contains(&s.address) && p.subnet().contains(s.address));
                        held.push(s.address);
                    } else {
                        prop_assert_eq!(held.len(), 13);
                    }
                } else if let Some(a) = held.get(usize::from(n)).copied() {
                    held.retain(|h| *h != a);
                    p.give_back(a, &id(1));
                }
            }
        }
    }
}
