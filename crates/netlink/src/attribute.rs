//! Bytes of netlink messages: an appender for headers and attributes, and a reader that trusts no length.
//!
//! ```text
//!   nlmsghdr  u32 length · u16 type · u16 flags · u32 sequence · u32 port      (native byte order)
//!   nlattr    u16 length · u16 type · payload · padding to 4                   (length without the padding)
//! ```

/// Set in the type of an attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// Both flag bits of an attribute's type.
const TYPE_MASK: u16 = 0x3fff;

/// Appends messages to a buffer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    /// One message: header, then whatever `body` appends.
    pub(crate) fn message(&mut self, kind: u16, flags: u16, sequence: u32, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        body(self);
        // a message is bounded by what one datagram takes, far below 4 GiB
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An attribute. A payload above 64 KiB cannot be expressed: the kernel would read a truncated one and refuse it.
    pub(crate) fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.attribute(kind, &[value]);
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Big-endian, as netfilter wants its numbers.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Big-endian.
    pub(crate) fn be64(&mut self, kind: u16, value: u64) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// A text with its terminating zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let length = u16::try_from(value.len() + 5).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    /// An attribute that holds what `body` appends.
    pub(crate) fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// One received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// Socket of whoever asked for what the message tells of.
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

/// The messages in a datagram. Ends at the first that does not fit.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        if length < 16 || length > bytes.len() {
            return None;
        }
        let message = Message {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            port: u32_at(bytes, 12)?,
            body: &bytes[16..length],
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

/// The attributes in a payload: (type without flags, payload). Ends at the first that does not fit.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        if length < 4 || length > bytes.len() {
            return None;
        }
        let found = (u16_at(bytes, 2)? & TYPE_MASK, &bytes[4..length]);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(found)
    })
}

/// A number somewhere in a payload.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A number somewhere in a payload.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A text that may end with zeros.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An address of either family by the length of its bytes.
pub(crate) fn ip(bytes: &[u8]) -> Option<std::net::IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(std::net::IpAddr::from)
}

/// The bytes of an address.
pub(crate) fn ip_bytes(address: std::net::IpAddr) -> Vec<u8> {
    match address {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let mut w = Writer::default();
        w.message(20, 5, 77, |w| {
            w.raw(&[1, 2, 3, 4]);
            w.text(3, "veth1");
            w.nested(18, |w| w.u8(1, 9));
        });
        w.message(21, 0, 78, |_| {});
        let found: Vec<_> = messages(&w.bytes).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].flags, found[0].sequence), (20, 5, 77));
        let inner: Vec<_> = attributes(&found[0].body[4..]).collect();
        assert_eq!(inner[0], (3, &b"veth1\0"[..]));
        assert_eq!(inner[1].0, 18);
        assert_eq!(attributes(inner[1].1).next(), Some((1, &[9u8][..])));
        assert_eq!(found[1].body, &[] as &[u8]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for m in messages(&bytes) {
                for (_, payload) in attributes(m.body) {
                    let _ = (text(payload), ip(payload), attributes(payload).count());
                }
            }
        }

        #[test]
        fn lengths_that_lie_are_survived(mut length in 0u32..64, tail in proptest::collection::vec(any::<u8>(), 12..60)) {
            length ^= 0;
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(tail);
            prop_assert!(messages(&bytes).count() <= bytes.len() / 16);
        }
    }
}
