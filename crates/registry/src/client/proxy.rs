//! Which connections go through a proxy: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` as Go programs read them.

use std::net::IpAddr;

use super::settings::in_network;
use super::{Address, Result};

/// Proxies for outgoing connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Address>,
    https: Option<Address>,
    no: Vec<String>,
}

impl Proxies {
    /// From the three texts; empty ones mean none. A proxy without scheme speaks HTTP.
    ///
    /// # Errors
    /// A proxy that is no address.
    pub fn new(http: &str, https: &str, no: &str) -> Result<Self> {
        let proxy = |text: &str| {
            let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
            (!text.is_empty()).then(|| Address::parse(&full)).transpose()
        };
        let no =
            no.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).collect();
        Ok(Self { http: proxy(http)?, https: proxy(https)?, no })
    }

    /// The proxy for a connection to `address`; loopback addresses never have one.
    pub(crate) fn of(&self, address: &Address) -> Option<&Address> {
        let proxy = if address.tls { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = address.host.trim_end_matches('.').to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
            return None;
        }
        let skipped = self.no.iter().any(|entry| matches(entry, &host, ip, address.port));
        (!skipped).then_some(proxy)
    }
}

fn matches(entry: &str, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let (Some((net, bits)), Some(ip)) = (entry.split_once('/'), ip)
        && let (Ok(net), Ok(bits)) = (net.parse(), bits.parse())
    {
        return in_network(ip, net, bits);
    }
    if let Ok(only) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return ip == Some(only);
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, text)) if text.parse::<u16>().is_ok() => (name.trim_matches(['[', ']']), text.parse().ok()),
        _ => (entry, None),
    };
    if wanted.is_some_and(|wanted: u16| wanted != port) {
        return false;
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|front| front.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|front| front.ends_with('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_reg_01_proxies_are_chosen_as_go_does() {
        let no = "example.org, .dots.example,192.0.2.0/24,198.51.100.1,with.port:8080,*.star.example";
        let proxies = Proxies::new("proxy.example:3128", "http://u:p@tls.example", no).unwrap();
        let check = |address: &str, expect: Option<&str>| {
            let address = Address::parse(address).unwrap();
            assert_eq!(proxies.of(&address).map(|p| p.host.as_str()), expect, "{address}");
        };
        check("http://r.example/", Some("proxy.example"));
        check("https://r.example/", Some("tls.example"));
        for skipped in [
            "https://example.org/",
            "https://a.example.org/",
            "https://a.dots.example/",
            "https://192.0.2.9/",
            "https://198.51.100.1:5000/",
            "http://with.port:8080/",
            "https://a.star.example/",
            "http://localhost/",
            "http://127.0.0.9:5000/",
        ] {
            check(skipped, None);
        }
        check("https://dots.example/", Some("tls.example"));
        check("https://notexample.org/", Some("tls.example"));
        check("http://with.port:81/", Some("proxy.example"));
        assert!(Proxies::new("ftp://x", "", "").is_err());
        assert_eq!(Proxies::new("", "", "*").unwrap().of(&Address::parse("http://x/").unwrap()), None);
    }
}
