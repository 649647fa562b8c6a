//! DNS messages as far as we need them: the question of a query, answers of our own, and the times to live in answers of
//! others (RFC 1035 section 4).
//!
//! ```text
//!   header    u16 id · u16 flags · u16 questions · u16 answers · u16 authorities · u16 additionals
//!   question  labels · u16 type · u16 class
//!   record    name · u16 type · u16 class · u32 ttl · u16 length · data
//! ```

use std::net::IpAddr;

pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
pub(crate) const AAAA: u16 = 28;
const OPT: u16 = 41;
const INTERNET: u16 = 1;

/// Length of a header.
const HEADER: usize = 12;
/// Seconds that an answer of ours holds: short, because containers come back with other addresses.
const TTL: u32 = 600;
/// Longest name in text form.
const LONGEST_NAME: usize = 253;

/// No error.
pub(crate) const OK: u8 = 0;
/// The question is broken.
pub(crate) const FORMAT_ERROR: u8 = 1;
/// Nobody could be asked.
pub(crate) const SERVER_FAILURE: u8 = 2;
/// A kind of request that we do not know.
pub(crate) const NOT_IMPLEMENTED: u8 = 4;

/// A query with one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// The whole message.
    pub(crate) bytes: &'a [u8],
    /// The name, in lower case, without the final dot.
    pub(crate) name: String,
    /// The type of record asked for.
    pub(crate) kind: u16,
    /// Where the question ends.
    end: usize,
}

/// What a datagram is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A question for us.
    Query(Query<'a>),
    /// To be answered with this code.
    Error(u8),
    /// Not worth an answer.
    Nonsense,
}

/// Reads what somebody sent.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let (Some(flags), Some(questions)) = (u16_at(bytes, 2), u16_at(bytes, 4)) else { return Parsed::Nonsense };
    if bytes.len() < HEADER || flags & 0x8000 != 0 {
        // an answer to an answer would go on for ever
        return Parsed::Nonsense;
    }
    if flags & 0x7800 != 0 {
        return Parsed::Error(NOT_IMPLEMENTED);
    }
    if questions != 1 {
        return Parsed::Error(FORMAT_ERROR);
    }
    match question(bytes) {
        Some((name, kind, end)) => Parsed::Query(Query { bytes, name, kind, end }),
        None => Parsed::Error(FORMAT_ERROR),
    }
}

fn question(bytes: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = HEADER;
    let mut name = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // no pointers: there is nothing before the question that one could point to
        if length > 63 {
            return None;
        }
        let label = bytes.get(at..at + length)?;
        at += length;
        if !name.is_empty() {
            name.push('.');
        }
        // bytes that are no text are not our names; they stay distinct from ours
        name.extend(label.iter().map(|b| char::from(b.to_ascii_lowercase())));
        if name.chars().count() > LONGEST_NAME {
            return None;
        }
    }
    let kind = u16_at(bytes, at)?;
    u16_at(bytes, at + 2)?;
    Some((name, kind, at + 4))
}

/// Where a reverse question asks about.
pub(crate) fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(v4) = name.strip_suffix(".in-addr.arpa") {
        let mut parts: Vec<&str> = v4.split('.').collect();
        parts.reverse();
        return parts.join(".").parse().ok().map(IpAddr::V4);
    }
    let nibbles: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').collect();
    if nibbles.len() != 32 {
        return None;
    }
    let mut bits = 0u128;
    for nibble in nibbles.iter().rev() {
        let value = u128::from_str_radix(nibble, 16).ok().filter(|_| nibble.len() == 1)?;
        bits = bits << 4 | value;
    }
    Some(IpAddr::V6(bits.into()))
}

impl Query<'_> {
    /// Answers with addresses: those of the family asked for. None of it is still an answer: the name exists.
    pub(crate) fn addresses(&self, addresses: &[IpAddr], limit: usize) -> Vec<u8> {
        let fits = |a: &&IpAddr| matches!((self.kind, a), (A, IpAddr::V4(_)) | (AAAA, IpAddr::V6(_)));
        let datas = addresses.iter().filter(fits).map(|a| match a {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        });
        self.answer(datas, limit)
    }

    /// Answers a reverse question.
    pub(crate) fn names(&self, names: &[String], limit: usize) -> Vec<u8> {
        self.answer(names.iter().filter_map(|n| encode_name(n)), limit)
    }

    /// An answer without records.
    pub(crate) fn code(&self, code: u8) -> Vec<u8> {
        self.head(code, 0, false)
    }

    fn answer(&self, datas: impl Iterator<Item = Vec<u8>>, limit: usize) -> Vec<u8> {
        /// A pointer to the name in the question.
        const NAME: [u8; 2] = [0xc0, 12];
        let mut records = Vec::new();
        let (mut count, mut cut) = (0u16, false);
        for data in datas {
            let Ok(length) = u16::try_from(data.len()) else { continue };
            if self.end + records.len() + 12 + data.len() > limit {
                cut = true;
                break;
            }
            records.extend(NAME);
            records.extend(self.kind.to_be_bytes());
            records.extend(INTERNET.to_be_bytes());
            records.extend(TTL.to_be_bytes());
            records.extend(length.to_be_bytes());
            records.extend(data);
            count += 1;
        }
        let mut bytes = self.head(OK, count, cut);
        bytes.extend(records);
        bytes
    }

    fn head(&self, code: u8, answers: u16, cut: bool) -> Vec<u8> {
        let mut bytes = error(self.bytes, code);
        bytes[2] |= u8::from(cut) << 1;
        bytes[4..8].copy_from_slice(&[0, 1, 0, 0]);
        bytes[6..8].copy_from_slice(&answers.to_be_bytes());
        bytes.extend_from_slice(&self.bytes[HEADER..self.end]);
        bytes
    }

    /// How long a datagram may be that the asker takes.
    pub(crate) fn datagram_limit(&self) -> usize {
        const PLAIN: usize = 512;
        const OURS: usize = 4096;
        // EDNS: a record with an empty name whose class is the size (RFC 6891)
        let additionals = u16_at(self.bytes, 10).unwrap_or(0);
        let edns = self.bytes.get(self.end..).filter(|rest| additionals > 0 && rest.first() == Some(&0));
        let size = edns.filter(|rest| u16_at(rest, 1) == Some(OPT)).and_then(|rest| u16_at(rest, 3));
        size.map_or(PLAIN, |s| usize::from(s).clamp(PLAIN, OURS))
    }
}

/// A header that answers `query` (at least a header long) with a code and nothing else.
pub(crate) fn error(query: &[u8], code: u8) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..2].copy_from_slice(&query[..2]);
    // an answer, recursion available; opcode and "recursion desired" as asked
    bytes[2] = 0x80 | query[2] & 0x79;
    bytes[3] = 0x80 | code & 0x0f;
    bytes
}

fn encode_name(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|l| (1..=63).contains(l))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= 255).then_some(bytes)
}

/// Whether `answer` answers `query`: same identifier, an answer, same question.
pub(crate) fn answers(query: &[u8], answer: &[u8]) -> bool {
    let end = |bytes| question(bytes).map(|(name, kind, _)| (name, kind));
    answer.len() >= HEADER && answer[..2] == query[..2] && answer[2] & 0x80 != 0 && end(query) == end(answer)
}

/// Offsets of the times to live in an answer that may be kept, and the least of them. `None` for one that may not.
pub(crate) fn times_to_live(bytes: &[u8]) -> Option<(Vec<usize>, u32)> {
    const CUT: u8 = 2;
    let code = bytes.get(3)? & 0x0f;
    if bytes[2] & CUT != 0 || !matches!(code, 0 | 3) || u16_at(bytes, 4)? != 1 {
        return None;
    }
    let records = usize::from(u16_at(bytes, 6)?) + usize::from(u16_at(bytes, 8)?) + usize::from(u16_at(bytes, 10)?);
    let (_, _, mut at) = question(bytes)?;
    let (mut offsets, mut least) = (Vec::new(), u32::MAX);
    for _ in 0..records {
        at = skip_name(bytes, at)?;
        let kind = u16_at(bytes, at)?;
        let ttl = u32::from_be_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
        if kind != OPT {
            offsets.push(at + 4);
            least = least.min(ttl);
        }
        at += 10 + usize::from(u16_at(bytes, at + 8)?);
    }
    (at <= bytes.len() && !offsets.is_empty()).then_some((offsets, least))
}

fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + length,
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A query, for tests and nobody else.
#[cfg(test)]
pub(crate) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend(encode_name(name).expect("a name of this test"));
    bytes.extend(kind.to_be_bytes());
    bytes.extend(INTERNET.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_is_read_and_answered() {
        let bytes = query("Web.My_Net", A);
        let Parsed::Query(q) = parse(&bytes) else { panic!("a query") };
        assert_eq!((q.name.as_str(), q.kind), ("web.my_net", A));
        let answer = q.addresses(&["172.18.0.2".parse().unwrap(), "fd00::2".parse().unwrap()], 512);
        assert_eq!(&answer[..12], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert!(answer.ends_with(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 172, 18, 0, 2]));
        assert!(answers(&bytes, &answer));
        let (offsets, least) = times_to_live(&answer).unwrap();
        assert_eq!((offsets.len(), least), (1, 600));
    }

    #[test]
    fn a_thousand_addresses_are_cut_and_say_so() {
        let bytes = query("a", A);
        let Parsed::Query(q) = parse(&bytes) else { panic!("a query") };
        let many = vec!["10.0.0.1".parse().unwrap(); 1000];
        let answer = q.addresses(&many, q.datagram_limit());
        assert!(answer.len() <= 512 && answer[2] & 2 != 0);
        assert!(q.addresses(&many, 65535).len() > 16_000);
    }

    #[test]
    fn reverse_names() {
        assert_eq!(reverse_address("5.0.77.10.in-addr.arpa").unwrap().to_string(), "10.77.0.5");
        let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reverse_address(six).unwrap().to_string(), "fd00::2");
        for bad in ["1.2.3.in-addr.arpa", "in-addr.arpa", "1.2.ip6.arpa", "256.1.1.1.in-addr.arpa", "x"] {
            assert_eq!(reverse_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn long_names() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert!(matches!(parse(&query(&longest, A)), Parsed::Query(_)));
        let mut bytes = query(&longest, A);
        bytes[12] = 64;
        assert_eq!(parse(&bytes), Parsed::Error(FORMAT_ERROR));
        bytes[12] = 0xc0;
        assert_eq!(parse(&bytes), Parsed::Error(FORMAT_ERROR));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Parsed::Query(q) = parse(&bytes) {
                let answer = q.addresses(&["10.0.0.1".parse().unwrap()], q.datagram_limit());
                prop_assert!(answers(&bytes, &answer));
                let _ = (q.names(&["a.b".into()], 512), reverse_address(&q.name));
            }
            let _ = times_to_live(&bytes);
        }

        #[test]
        fn broken_queries_are_survived(at in 0usize..40, value: u8, cut in 0usize..40) {
            let mut bytes = query("some.name.example", AAAA);
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(cut.max(1));
            let _ = parse(&bytes);
            let _ = times_to_live(&bytes);
        }

        #[test]
        fn names_of_any_text_are_survived(text in ".{0,300}") {
            let _ = (encode_name(&text), reverse_address(&text));
        }
    }
}
