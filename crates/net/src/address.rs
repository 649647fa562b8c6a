//! Addresses: a subnet with its prefix length, and a MAC.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address with a prefix length. Either a network (`172.17.0.0/16`) or an address in one (`172.17.0.1/16`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    /// The address as written.
    pub address: IpAddr,
    /// Length of the prefix in bits; never longer than the address.
    pub prefix: u8,
}

impl Subnet {
    /// `None` when the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= width(address)).then_some(Self { address, prefix })
    }

    /// The first address, with the same prefix.
    pub fn network(&self) -> Self {
        Self { address: from_bits(self.address, to_bits(self.address) & self.mask()), prefix: self.prefix }
    }

    /// The last address (broadcast in IPv4).
    pub fn last(&self) -> IpAddr {
        let host = !self.mask() & all(self.address);
        from_bits(self.address, to_bits(self.address) | host)
    }

    /// Whether `address` is one of this subnet's.
    pub fn contains(&self, address: IpAddr) -> bool {
        same_family(self.address, address) && to_bits(address) & self.mask() == to_bits(self.address) & self.mask()
    }

    /// Whether both have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) && self.prefix <= other.prefix
            || other.contains(self.address) && other.prefix <= self.prefix
    }

    /// Whether all of `other` lies within.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// `true` for IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    fn mask(&self) -> u128 {
        let all = all(self.address);
        let host = u32::from(width(self.address) - self.prefix);
        all & all.checked_shl(host).unwrap_or(0)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn all(address: IpAddr) -> u128 {
    if address.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// The address as a number.
pub(crate) fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The number as an address of the same family as `like`.
pub(crate) fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        // the mask of an IPv4 subnet keeps the number below 2^32
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

/// A text that is not an address in CIDR notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct SubnetError(String);

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let bad = || SubnetError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|c| c.is_ascii_digit()) {
            return Err(bad());
        }
        let address = address.parse().map_err(|_| bad())?;
        Self::new(address, prefix.parse().map_err(|_| bad())?).ok_or_else(bad)
    }
}

impl TryFrom<String> for Subnet {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `02:42` and the four bytes of an address: the same address has the same MAC on every start, so no neighbour
    /// keeps a stale entry for it.
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The same for IPv6, from its last four bytes.
    pub fn of_v6(address: Ipv6Addr) -> Self {
        let o = address.octets();
        Self([0x02, 0x42, o[12], o[13], o[14], o[15]])
    }
}

/// A text that is not a MAC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid MAC address: {0}")]
pub struct MacError(String);

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let bad = || MacError(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|c| c.is_ascii_hexdigit()));
            *byte = u8::from_str_radix(part.ok_or_else(bad)?, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a literal of this test")
    }

    #[test]
    fn subnet_arithmetic() {
        let s = subnet("172.17.5.9/16");
        assert_eq!(s.network(), subnet("172.17.0.0/16"));
        assert_eq!(s.last().to_string(), "172.17.255.255");
        assert!(s.contains("172.17.255.255".parse().unwrap()));
        assert!(!s.contains("172.18.0.0".parse().unwrap()));
        assert!(!s.contains("::ac11:1".parse().unwrap()));
        assert!(subnet("10.0.0.0/8").overlaps(&subnet("10.9.0.0/16")));
        assert!(subnet("10.9.0.0/16").overlaps(&subnet("10.0.0.0/8")));
        assert!(!subnet("10.9.0.0/16").overlaps(&subnet("10.8.0.0/16")));
        assert!(subnet("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
        assert_eq!(subnet("fd00::1/64").last().to_string(), "fd00::ffff:ffff:ffff:ffff");
        assert_eq!(subnet("::/0").network(), subnet("::/0"));
    }

    #[test]
    fn subnet_refuses() {
        for text in ["", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/+8", "1.2.3/8", "::/129", "a/8", "1.2.3.4/8/8"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn mac_text() {
        assert_eq!(Mac::of(Ipv4Addr::new(172, 17, 0, 2)).to_string(), "02:42:ac:11:00:02");
        assert_eq!("02-42-AC-11-00-02".parse::<Mac>().unwrap(), Mac::of(Ipv4Addr::new(172, 17, 0, 2)));
        for text in ["", "02:42", "02:42:ac:11:00:02:03", "2:42:ac:11:00:02", "+2:42:ac:11:00:02", "zz:42:ac:11:00:02"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_never_panics(text in ".{0,40}") {
            let _ = text.parse::<Subnet>();
            let _ = text.parse::<Mac>();
        }

        #[test]
        fn overlap_is_symmetric(a: u32, p in 0u8..=32, b: u32, q in 0u8..=32) {
            let x = Subnet::new(Ipv4Addr::from_bits(a).into(), p).unwrap();
            let y = Subnet::new(Ipv4Addr::from_bits(b).into(), q).unwrap();
            prop_assert_eq!(x.overlaps(&y), y.overlaps(&x));
            prop_assert!(x.contains(x.last()) && x.contains(x.network().address));
        }
    }
}
