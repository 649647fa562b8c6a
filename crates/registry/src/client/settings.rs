//! What the administrator decided about registries, and the endpoints that follow from it for one domain.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use wharf_spec::reference::DEFAULT_DOMAIN;

use super::{Address, Error, Proxies, Result, resolve};

/// Where Docker Hub's registry is.
const HUB: &str = "https://registry-1.docker.io/";

/// Settings of the client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Registries that may be spoken to without TLS or with any certificate, besides loopback addresses.
    pub insecure: Vec<Insecure>,
    /// Mirrors of Docker Hub, in order.
    pub mirrors: Vec<Address>,
    /// Proxies for outgoing connections.
    pub proxies: Proxies,
    /// Folders with one folder of certificates per registry (`/etc/docker/certs.d`).
    pub certificates: Vec<PathBuf>,
    /// `User-Agent`.
    pub agent: String,
    /// How long to wait for what.
    pub patience: Patience,
    /// How often the same is tried.
    pub attempts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            proxies: Proxies::default(),
            certificates: vec!["/etc/docker/certs.d".into(), "/etc/wharf/certs.d".into()],
            agent: concat!("wharf/", env!("CARGO_PKG_VERSION")).into(),
            patience: Patience::default(),
            attempts: 5,
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until a connection with TLS stands. Longer than three lost SYN packets take.
    pub connect: Duration,
    /// Until an answer begins: registries that verify an upload or fetch from elsewhere take their time.
    pub answer: Duration,
    /// Between two pieces of a body.
    pub stall: Duration,
    /// Before the second attempt; doubled each time.
    pub pause: Duration,
    /// The longest wait that a registry may ask for (`Retry-After`).
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            pause: Duration::from_millis(500),
            longest: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// The wait before attempt `n` (the first is 0), or what the registry asked for.
    pub(crate) fn before(&self, n: u32, asked: Option<Duration>) -> Duration {
        let own = self.pause.saturating_mul(1 << n.saturating_sub(1).min(5));
        asked.unwrap_or(own).min(self.longest)
    }
}

/// One `--insecure-registry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Insecure {
    /// `host` or `host:port`.
    Host(String),
    /// Addresses.
    Network(IpAddr, u8),
}

impl FromStr for Insecure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::Settings(format!("insecure registry {text} is not valid: {why}"));
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>())
        {
            let most = if address.is_ipv4() { 32 } else { 128 };
            return if bits <= most { Ok(Self::Network(address, bits)) } else { Err(bad("invalid CIDR")) };
        }
        if text.contains("://") {
            return Err(bad("it must not contain a scheme"));
        }
        let fine = !text.is_empty() && !text.starts_with('-') && !text.contains('/');
        if !fine || Address::of_domain(text, true).is_err() {
            return Err(bad(&format!("invalid host \"{text}\"")));
        }
        Ok(Self::Host(text.to_owned()))
    }
}

/// A mirror of Docker Hub, as the administrator writes it; refused with dockerd's sentences.
///
/// # Errors
/// [`Error::Settings`].
pub fn mirror(text: &str) -> Result<Address> {
    let invalid = |why: String| Error::Settings(format!("invalid mirror: {why}"));
    let schemes = "must use either 'https://' or 'http://'";
    match text.split_once("://") {
        Some(("http" | "https", _)) => {}
        Some((scheme, _)) => return Err(invalid(format!("unsupported scheme {scheme:?} in {text:?}: {schemes}"))),
        None => return Err(invalid(format!("no scheme specified for {text:?}: {schemes}"))),
    }
    let address = Address::parse(text).map_err(|_| invalid(format!("{text:?} is not a valid URI")))?;
    if address.login.is_some() {
        // the password is not told again
        return Err(invalid(format!("username/password not allowed in URI \"{address}\"")));
    }
    if text.contains(['#', '?']) {
        return Err(invalid(format!("query or fragment at end of the URI {text:?}")));
    }
    Ok(address)
}

impl Insecure {
    fn covers(&self, address: IpAddr) -> bool {
        match self {
            Self::Host(_) => false,
            Self::Network(net, bits) => in_network(address, *net, *bits),
        }
    }
}

/// Whether `address` is in `net/bits`.
pub(crate) fn in_network(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let keep = u32::from(bits).min(width);
        keep == 0 || a >> (width - keep) == b >> (width - keep)
    };
    match (address.to_canonical(), net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same(a.to_bits().into(), n.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.to_bits(), n.to_bits(), 128),
        _ => false,
    }
}

/// One place where a repository can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host, port; a mirror may have a path before the registry's own.
    pub base: Address,
    /// Certificates are verified.
    pub verify: bool,
    /// Of somebody else: only for pulls, and never told credentials.
    pub mirror: bool,
}

impl Settings {
    /// Where a domain can be reached, in the order to try.
    ///
    /// # Errors
    /// [`Error::Settings`] when the domain is none.
    pub async fn endpoints(&self, domain: &str, mirrors: bool) -> Result<Vec<Endpoint>> {
        let plain = |base: Address, verify| Endpoint { base, verify, mirror: false };
        if domain == DEFAULT_DOMAIN {
            let mirror = |base: &Address| {
                let verify = !self.names(&base.authority());
                Endpoint { base: base.clone(), verify, mirror: true }
            };
            let mut list: Vec<_> = self.mirrors.iter().filter(|_| mirrors).map(mirror).collect();
            list.push(plain(Address::parse(HUB)?, true));
            return Ok(list);
        }
        let secure = Address::of_domain(domain, true)?;
        if !self.is_insecure(domain, &secure.host).await {
            return Ok(vec![plain(secure, true)]);
        }
        Ok(vec![plain(secure, false), plain(Address::of_domain(domain, false)?, false)])
    }

    fn names(&self, authority: &str) -> bool {
        self.insecure.iter().any(|i| matches!(i, Insecure::Host(host) if host.eq_ignore_ascii_case(authority)))
    }

    /// Named, or with an address in one of the networks: 127.0.0.0/8 and ::1 always are.
    async fn is_insecure(&self, domain: &str, host: &str) -> bool {
        if self.names(domain) {
            return true;
        }
        let addresses = resolve::lookup(host, self.patience.connect).await.unwrap_or_default();
        addresses.iter().any(|a| a.is_loopback() || self.insecure.iter().any(|i| i.covers(*a)))
    }

    /// Whether credentials may go to this address: over TLS, or where the administrator allows plain text.
    pub(crate) async fn may_tell(&self, address: &Address) -> bool {
        address.tls || self.is_insecure(&address.authority(), &address.host).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_registries_are_hosts_or_networks() {
        assert_eq!("10.0.0.0/8".parse::<Insecure>().unwrap(), Insecure::Network([10, 0, 0, 0].into(), 8));
        assert_eq!("r.example:5000".parse::<Insecure>().unwrap(), Insecure::Host("r.example:5000".into()));
        for bad in ["", "http://x", "10.0.0.0/33", "-x", "a b", "a/b"] {
            assert!(bad.parse::<Insecure>().is_err(), "{bad}");
        }
        let net: Insecure = "10.1.0.0/16".parse().unwrap();
        assert!(net.covers([10, 1, 2, 3].into()) && !net.covers([10, 2, 0, 0].into()) && !net.covers([0u16; 8].into()));
    }

    #[tokio::test]
    async fn r_reg_01_loopback_is_insecure_and_others_are_not() {
        let settings = Settings { insecure: vec!["192.0.2.0/24".parse().unwrap()], ..Settings::default() };
        let check = async |domain: &str, expect: &[(&str, bool)]| {
            let list = settings.endpoints(domain, true).await.unwrap();
            let list: Vec<_> = list.iter().map(|e| (e.base.origin(), e.verify)).collect();
            let expect: Vec<_> = expect.iter().map(|(o, v)| ((*o).to_owned(), *v)).collect();
            assert_eq!(list, expect);
        };
        check("127.0.0.1:5000", &[("https://127.0.0.1:5000", false), ("http://127.0.0.1:5000", false)]).await;
        check("192.0.2.7", &[("https://192.0.2.7", false), ("http://192.0.2.7", false)]).await;
        check("198.51.100.7:5000", &[("https://198.51.100.7:5000", true)]).await;
        check("docker.io", &[("https://registry-1.docker.io", true)]).await;
    }

    #[tokio::test]
    async fn mirrors_come_first_and_only_for_the_hub() {
        let mirrors = vec![Address::parse("https://m.example/").unwrap()];
        let settings = Settings { mirrors, ..Settings::default() };
        let list = settings.endpoints("docker.io", true).await.unwrap();
        assert_eq!(list.len(), 2);
        assert!(list[0].mirror && list[0].base.host == "m.example" && !list[1].mirror);
        assert_eq!(settings.endpoints("docker.io", false).await.unwrap().len(), 1);
        assert_eq!(settings.endpoints("198.51.100.7", true).await.unwrap().len(), 1);
    }
}
