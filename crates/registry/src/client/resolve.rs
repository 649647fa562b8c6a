//! Names to addresses without the C library: `/etc/hosts`, then the servers of `/etc/resolv.conf`.
//!
//! A static executable must not load the C library's name service modules, and a question that is dropped must end at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Before the same server is asked again, and at last the next one.
const ANSWER: Duration = Duration::from_secs(3);
/// Questions to each server.
const ROUNDS: usize = 2;
const A: u16 = 1;
const AAAA: u16 = 28;

/// What `resolv.conf` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

/// The addresses of a host. IPv4 first: it is what most registries and most networks have.
///
/// # Errors
/// Docker's sentence: `lookup NAME on SERVER: no such host`.
pub(crate) async fn lookup(host: &str, patience: Duration) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = in_hosts(&hosts, &name);
    if !listed.is_empty() {
        return Ok(listed);
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let resolver = parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    match timeout(patience, ask_all(&resolver, &name, host.ends_with('.'))).await {
        Ok(answer) => answer.map_err(|why| format!("lookup {host}{}: {why}", resolver.shown())),
        Err(_) => Err(format!("lookup {host}{}: i/o timeout", resolver.shown())),
    }
}

impl Resolver {
    fn shown(&self) -> String {
        self.servers.first().map(|s| format!(" on {}", SocketAddr::new(*s, 53))).unwrap_or_default()
    }

    /// The names to ask for, in order.
    fn candidates(&self, name: &str, absolute: bool) -> Vec<String> {
        if absolute {
            return vec![name.to_owned()];
        }
        let mut list: Vec<String> = self.search.iter().map(|s| format!("{name}.{s}")).collect();
        let dots = name.bytes().filter(|c| *c == b'.').count();
        let at = if dots >= self.ndots { 0 } else { list.len() };
        list.insert(at, name.to_owned());
        list
    }
}

fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    text.lines().filter_map(line).collect()
}

fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver { ndots: 1, ..Resolver::default() };
    for line in text.lines() {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("nameserver") => {
                // a scope (`fe80::1%eth0`) is not understood: such a server is left out
                resolver.servers.extend(words.next().and_then(|a| a.parse::<IpAddr>().ok()));
            }
            Some("search" | "domain") => {
                resolver.search = words.map(|d| d.trim_end_matches('.').to_ascii_lowercase()).collect();
            }
            Some("options") => {
                for option in words {
                    if let Some(n) = option.strip_prefix("ndots:").and_then(|n| n.parse().ok()) {
                        resolver.ndots = n;
                    }
                }
            }
            _ => {}
        }
    }
    resolver.search.retain(|d| !d.is_empty());
    resolver.servers.truncate(3);
    if resolver.servers.is_empty() {
        resolver.servers.push(Ipv4Addr::LOCALHOST.into());
    }
    resolver
}

async fn ask_all(resolver: &Resolver, name: &str, absolute: bool) -> Result<Vec<IpAddr>, String> {
    let mut last = "no such host".to_owned();
    for candidate in resolver.candidates(name, absolute) {
        let (v4, v6) = tokio::join!(ask(resolver, &candidate, A), ask(resolver, &candidate, AAAA));
        match (v4, v6) {
            (Err(why), Err(_)) => last = why,
            (v4, v6) => {
                let all: Vec<IpAddr> = v4.unwrap_or_default().into_iter().chain(v6.unwrap_or_default()).collect();
                if !all.is_empty() {
                    return Ok(all);
                }
            }
        }
    }
    Err(last)
}

/// Asks the servers in turn until one answers; an empty list is an answer, too.
async fn ask(resolver: &Resolver, name: &str, kind: u16) -> Result<Vec<IpAddr>, String> {
    let Some(question) = question(name, kind) else { return Err("no such host".into()) };
    let mut last = "server misbehaving".to_owned();
    for _ in 0..ROUNDS {
        for server in &resolver.servers {
            match timeout(ANSWER, exchange(SocketAddr::new(*server, 53), &question, kind)).await {
                Ok(Ok(Some(list))) => return Ok(list),
                Ok(Ok(None)) => "server misbehaving".clone_into(&mut last),
                Ok(Err(error)) => {
                    last = format!("dial udp {}:53: connect: {}", server, super::sentence::reason(&error))
                }
                Err(_) => "i/o timeout".clone_into(&mut last),
            }
        }
    }
    Err(last)
}

/// A question with a random identifier (the kernel's random hash keys make it).
fn question(name: &str, kind: u16) -> Option<Vec<u8>> {
    use std::hash::{BuildHasher, Hasher};
    let id = std::collections::hash_map::RandomState::new().build_hasher().finish().to_ne_bytes();
    let mut message = vec![id[0], id[1], 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|n| (1..=63).contains(n))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&1u16.to_be_bytes());
    (message.len() <= 12 + 255 + 4).then_some(message)
}

/// One question to one server. `None`: it cannot say.
async fn exchange(server: SocketAddr, question: &[u8], kind: u16) -> std::io::Result<Option<Vec<IpAddr>>> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    // connected: datagrams of others do not come in
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let n = socket.recv(&mut buffer).await?;
        let message = &buffer[..n];
        // the same identifier and the same question, or somebody guesses
        if n < question.len() || message[..2] != question[..2] || message[12..question.len()] != question[12..] {
            continue;
        }
        let cut = message[2] & 0x02 != 0;
        if !cut {
            return Ok(answer(message, question.len(), kind));
        }
        return over_tcp(server, question, kind).await;
    }
}

async fn over_tcp(server: SocketAddr, question: &[u8], kind: u16) -> std::io::Result<Option<Vec<IpAddr>>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(answer(&message, question.len(), kind))
}

/// The addresses in an answer; empty when the name has none (or does not exist), `None` when the server failed.
fn answer(message: &[u8], mut at: usize, kind: u16) -> Option<Vec<IpAddr>> {
    const NO_SUCH_NAME: u8 = 3;
    match message.get(3)? & 0x0f {
        0 => {}
        NO_SUCH_NAME => return Some(Vec::new()),
        _ => return None,
    }
    let u16_at = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let mut found = Vec::new();
    for _ in 0..u16_at(6)? {
        at = skip_name(message, at)?;
        let (this, length) = (u16_at(at)?, usize::from(u16_at(at + 8)?));
        let data = message.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        if this != kind {
            // the names on the way (CNAME)
            continue;
        }
        match *data {
            [a, b, c, d] => found.push(IpAddr::from([a, b, c, d])),
            _ => found.extend(<[u8; 16]>::try_from(data).map(IpAddr::from)),
        }
    }
    Some(found)
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            n if n & 0xc0 == 0xc0 => return Some(at + 2),
            n => at += 1 + usize::from(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_files() {
        let text =
            "127.0.0.1 localhost # x\n192.0.2.1 r.example R2.example\n2001:db8::1 r.example\n#192.0.2.9 r.example\n";
        let check = |name: &str, expect: &[&str]| {
            let expect: Vec<IpAddr> = expect.iter().map(|a| a.parse().unwrap()).collect();
            assert_eq!(in_hosts(text, name), expect);
        };
        check("r.example", &["192.0.2.1", "2001:db8::1"]);
        check("r2.example", &["192.0.2.1"]);
        check("other", &[]);
    }

    #[test]
    fn resolver_files_and_candidates() {
        let resolver =
            parse("nameserver 192.0.2.53 # c\nnameserver x\nsearch a.example b.example.\noptions ndots:2 rotate\n");
        assert_eq!(resolver.servers, ["192.0.2.53".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolver.candidates("r", false), ["r.a.example", "r.b.example", "r"]);
        assert_eq!(resolver.candidates("r.x.y", false)[0], "r.x.y");
        assert_eq!(resolver.candidates("r", true), ["r"]);
        assert_eq!(parse("").servers, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn answers_are_read_and_nonsense_is_not() {
        let q = question("r.example", A).unwrap();
        let mut message = q.clone();
        message[2] = 0x81;
        message[7] = 2;
        // a CNAME, then an address
        message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        assert_eq!(answer(&message, q.len(), A), Some(vec![[192, 0, 2, 1].into()]));
        for cut in q.len()..message.len() {
            assert_eq!(answer(&message[..cut], q.len(), A), None, "{cut}");
        }
        assert!(question("a..b", A).is_none() && question(&"x".repeat(64), A).is_none());
    }
}
