//! Connections that the kernel remembers (`nfnetlink_conntrack`), as far as they must be forgotten.
//!
//! ```text
//!   CTA_TUPLE_ORIG { CTA_TUPLE_IP {…} · CTA_TUPLE_PROTO { number, source port, destination port } }
//! ```
//!
//! A datagram that belongs to a remembered conversation passes no rule again: without forgetting, a client that never stops
//! talking would be led where the rules of its first datagram led.

use rustix::io::Errno;

use crate::attribute::{Message, Writer, attributes};
use crate::{Result, Socket};

const SUBSYSTEM: u16 = 1;
const NEW: u16 = 0;
const GET: u16 = 1;
const DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const NESTED: u16 = 0x8000;

impl Socket {
    /// Forgets every conversation to one of these (transport protocol, port), whichever address it was sent to. Says how many.
    ///
    /// # Errors
    /// The kernel's; one that remembers nothing at all is none.
    pub fn forget_conversations(&mut self, to: &[(u8, u16)]) -> Result<usize> {
        let any_family = [0; 4];
        let found = self.list("list connections", SUBSYSTEM << 8 | GET, &any_family, |m| conversation(m, to));
        let found = match found {
            Err(error) if matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::INVAL)) => return Ok(0),
            other => other?,
        };
        for (family, tuple) in &found {
            let mut w = Writer::default();
            w.raw(&[*family, 0, 0, 0]);
            w.attribute(TUPLE_ORIGINAL | NESTED, tuple);
            // it may have ended by itself
            self.get("forget connection", SUBSYSTEM << 8 | DELETE, &w.bytes, &[Errno::NOENT], |_| Some(()))?;
        }
        Ok(found.len())
    }
}

/// Family and original direction of a conversation to one of the ports.
fn conversation(message: &Message<'_>, to: &[(u8, u16)]) -> Option<(u8, Vec<u8>)> {
    const PROTOCOL: u16 = 2;
    const NUMBER: u16 = 1;
    const DESTINATION: u16 = 3;
    if message.kind != SUBSYSTEM << 8 | NEW {
        return None;
    }
    let find = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload);
    let tuple = find(message.body.get(4..)?, TUPLE_ORIGINAL)?;
    let protocol = find(tuple, PROTOCOL)?;
    let number = *find(protocol, NUMBER)?.first()?;
    let port = u16::from_be_bytes(find(protocol, DESTINATION)?.try_into().ok()?);
    to.contains(&(number, port)).then(|| (message.body[0], tuple.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_listing_is_survived(body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let message = Message { kind: SUBSYSTEM << 8, flags: 0, sequence: 0, port: 0, body: &body };
            let _ = conversation(&message, &[(17, 53)]);
        }
    }
}
