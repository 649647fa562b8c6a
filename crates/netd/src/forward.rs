//! Questions that others answer: asked in the machine's namespace, with hedging, and a cache of the answers.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::message::{answers, times_to_live};

/// A resolver that has not answered by then is asked once more, together with the next one.
pub(crate) const HEDGE: Duration = Duration::from_millis(600);
/// Then the asker is told that nobody answers, just before it gives up by itself (glibc: 5 s).
pub(crate) const PATIENCE: Duration = Duration::from_millis(4500);
/// More answers than this are not kept.
const CACHE_ENTRIES: usize = 1024;
/// No answer is kept longer, whatever it says.
const CACHE_SECONDS: u32 = 3600;

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Only for this question: its port is part of what an impostor would have to guess.
    pub(crate) socket: UdpSocket,
    /// The question under an identifier of our own.
    query: Vec<u8>,
    /// The asker's identifier.
    id: [u8; 2],
    resolvers: Vec<SocketAddr>,
    /// How many resolvers have been asked.
    asked: usize,
    pub(crate) next: Instant,
    pub(crate) deadline: Instant,
}

impl Pending {
    /// Asks the first resolver.
    pub(crate) fn start(query: &[u8], resolvers: &[SocketAddr], now: Instant) -> std::io::Result<Self> {
        let family = resolvers.first().map_or(SocketAddr::from(([0; 4], 0)), |r| match r {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        });
        let socket = UdpSocket::bind(family)?;
        socket.set_nonblocking(true)?;
        let mut own = [0; 2];
        rustix::rand::getrandom(&mut own, rustix::rand::GetRandomFlags::empty())?;
        let mut bytes = query.to_vec();
        let id = [bytes[0], bytes[1]];
        bytes[..2].copy_from_slice(&own);
        // one socket speaks one family
        let same = resolvers.iter().filter(|r| r.is_ipv4() == family.is_ipv4()).copied().collect();
        let mut pending =
            Self { socket, query: bytes, id, resolvers: same, asked: 0, next: now + HEDGE, deadline: now + PATIENCE };
        // one that cannot be reached is passed over
        if (0..pending.resolvers.len()).any(|_| pending.ask(now)) {
            return Ok(pending);
        }
        Err(std::io::ErrorKind::HostUnreachable.into())
    }

    /// Asks one more resolver (and, when all have been asked, each again in turn). Says whether the question went out.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let resolver = self.resolvers.get(self.asked % self.resolvers.len().max(1));
        let sent = resolver.is_some_and(|to| self.socket.send_to(&self.query, to).is_ok());
        self.asked += 1;
        self.next = now + HEDGE;
        sent
    }

    /// The question as it was asked.
    pub(crate) fn original(&self) -> Vec<u8> {
        let mut bytes = self.query.clone();
        bytes[..2].copy_from_slice(&self.id);
        bytes
    }

    /// Reads answers; gives the first that answers the question, under the asker's identifier.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<Vec<u8>> {
        while let Ok((length, from)) = self.socket.recv_from(buffer) {
            let bytes = &buffer[..length];
            if self.resolvers.contains(&from) && answers(&self.query, bytes) {
                let mut bytes = bytes.to_vec();
                bytes[..2].copy_from_slice(&self.id);
                return Some(bytes);
            }
        }
        None
    }
}

/// Answers of others for as long as they hold, by the whole question but its identifier.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<Vec<u8>, Kept>,
}

#[derive(Debug)]
struct Kept {
    answer: Vec<u8>,
    times: Vec<usize>,
    since: Instant,
    until: Instant,
}

impl Cache {
    /// Keeps an answer if it may be kept. `key` names who was asked: containers may have resolvers of their own.
    pub(crate) fn keep(&mut self, resolvers: &[SocketAddr], query: &[u8], answer: &[u8], now: Instant) {
        let Some((times, least)) = times_to_live(answer) else { return };
        let seconds = least.min(CACHE_SECONDS);
        if seconds == 0 {
            return;
        }
        if self.entries.len() >= CACHE_ENTRIES {
            self.entries.retain(|_, kept| kept.until > now);
            if self.entries.len() >= CACHE_ENTRIES {
                self.entries.clear();
            }
        }
        let until = now + Duration::from_secs(seconds.into());
        self.entries.insert(key(resolvers, query), Kept { answer: answer.to_vec(), times, since: now, until });
    }

    /// An answer that still holds, with what is left of its times.
    pub(crate) fn find(&self, resolvers: &[SocketAddr], query: &[u8], now: Instant) -> Option<Vec<u8>> {
        let kept = self.entries.get(&key(resolvers, query)).filter(|kept| kept.until > now)?;
        let age = u32::try_from(now.duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        let mut answer = kept.answer.clone();
        answer[..2].copy_from_slice(&query[..2]);
        for at in &kept.times {
            let ttl = u32::from_be_bytes(answer[*at..at + 4].try_into().expect("four bytes"));
            answer[*at..at + 4].copy_from_slice(&ttl.saturating_sub(age).to_be_bytes());
        }
        Some(answer)
    }
}

fn key(resolvers: &[SocketAddr], query: &[u8]) -> Vec<u8> {
    let mut key = query[2..].to_vec();
    for resolver in resolvers {
        key.extend_from_slice(resolver.to_string().as_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{A, Parsed, parse, query};

    #[test]
    fn kept_answers_grow_old() {
        let bytes = query("example.org", A);
        let Parsed::Query(q) = parse(&bytes) else { panic!("a query") };
        let answer = q.addresses(&["192.0.2.1".parse().unwrap()], 512);
        let to = [SocketAddr::from(([192, 0, 2, 53], 53))];
        let now = Instant::now();
        let mut cache = Cache::default();
        cache.keep(&to, &bytes, &answer, now);
        let mut other = bytes.clone();
        other[0] = 9;
        let found = cache.find(&to, &other, now + Duration::from_secs(100)).unwrap();
        assert_eq!(found[..2], other[..2]);
        assert_eq!(times_to_live(&found).unwrap().1, 500);
        assert!(cache.find(&to, &bytes, now + Duration::from_secs(601)).is_none());
        assert!(cache.find(&[], &bytes, now).is_none(), "other resolvers may say something else");
    }
}
