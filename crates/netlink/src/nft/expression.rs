//! What a rule is made of: loads into registers, comparisons, lookups, and the decision.

use crate::attribute::Writer;
use crate::nft::compat::Extension;

/// A register. Words are 4 bytes each; a wide value takes the words that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// The verdict of the rule.
    pub const VERDICT: Self = Self(0);

    /// Word 0–15.
    pub const fn word(number: u32) -> Self {
        Self(8 + number)
    }
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No further rule of this hook of this chain.
    Accept,
    /// Gone without a word.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// To another chain, and back.
    Jump(&'a str),
    /// To another chain for good.
    Goto(&'a str),
}

impl Verdict<'_> {
    pub(crate) fn write(&self, w: &mut Writer) {
        const VERDICT: u16 = 2;
        const CODE: u16 = 1;
        const CHAIN: u16 = 2;
        let (code, chain): (i32, _) = match self {
            Self::Drop => (0, None),
            Self::Accept => (1, None),
            Self::Return => (-5, None),
            Self::Jump(chain) => (-3, Some(chain)),
            Self::Goto(chain) => (-4, Some(chain)),
        };
        w.nested(VERDICT, |w| {
            w.be32(CODE, code as u32);
            if let Some(chain) = chain {
                w.text(CHAIN, chain);
            }
        });
    }
}

/// Bytes of a value, in the order of the packet.
pub type Data<'a> = &'a [u8];

/// Facts about a packet that are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// Mark (4 bytes, native order).
    Mark,
    /// Number of the link it came in by (4 bytes, native order).
    InputLink,
    /// Number of the link it leaves by.
    OutputLink,
    /// Name of the link it came in by (16 bytes, zeros behind).
    InputName,
    /// Name of the link it leaves by.
    OutputName,
    /// Address family (1 byte, `NFPROTO_*`).
    Family,
    /// Transport protocol (1 byte).
    Protocol,
}

/// Facts of connection tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtKey {
    /// New, established, … (4 bytes of bits, native order): see [`CtKey::ESTABLISHED`].
    State,
    /// Bits of the connection (4 bytes, native order): see [`CtKey::DNAT`].
    Status,
    /// Original destination port (2 bytes).
    OriginalPort,
}

impl CtKey {
    /// State bit: neither established nor related to anything; broken.
    pub const INVALID: u32 = 1;
    /// State bit: answers have been seen.
    pub const ESTABLISHED: u32 = 2;
    /// State bit: belongs to another connection.
    pub const RELATED: u32 = 4;
    /// Status bit: source address is rewritten.
    pub const SNAT: u32 = 1 << 4;
    /// Status bit: destination address is rewritten.
    pub const DNAT: u32 = 1 << 5;
}

/// Where an offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadBase {
    /// Ethernet header.
    Link,
    /// IP header.
    Network,
    /// TCP, UDP … header.
    Transport,
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, in byte order.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// Which end is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatKind {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// One step of a rule. A rule ends at the first step that does not hold.
#[derive(Debug, Clone, Copy)]
pub enum Expression<'a> {
    /// Loads a fact.
    Meta(MetaKey, Register),
    /// Loads a fact of connection tracking.
    Ct(CtKey, Register),
    /// Loads bytes of the packet.
    Payload {
        /// From where the offset counts.
        base: PayloadBase,
        /// Bytes.
        offset: u32,
        /// Bytes.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Holds if the comparison does.
    Compare(Register, Operator, Data<'a>),
    /// `to = from & mask ^ xor`.
    Bitwise {
        /// Register that is read.
        from: Register,
        /// Register that is written.
        to: Register,
        /// Which bits stay.
        mask: Data<'a>,
        /// Which bits turn; as long as the mask.
        xor: Data<'a>,
    },
    /// Holds if the key is in the set.
    InSet(Register, &'a str),
    /// Holds if the key is not in the set.
    NotInSet(Register, &'a str),
    /// Holds if the key is in the map; loads its value.
    Map {
        /// Register of the key.
        key: Register,
        /// Map.
        map: &'a str,
        /// Register of the value ([`Register::VERDICT`] for a map of verdicts).
        to: Register,
    },
    /// Loads a constant.
    Immediate(Register, Data<'a>),
    /// What kind of address the destination is (4 bytes, native order; 2 is an address of this machine).
    DestinationType(Register),
    /// Rewrites an end of the connection to what the registers say.
    Nat {
        /// Which end.
        kind: NatKind,
        /// `NFPROTO_*` of the address.
        family: u8,
        /// Address; `None` keeps it.
        address: Option<Register>,
        /// Port; `None` keeps it.
        port: Option<Register>,
        /// Last port of a range.
        last_port: Option<Register>,
    },
    /// Rewrites the source to the address of the link it leaves by.
    Masquerade {
        /// Choose a port at random.
        random: bool,
    },
    /// Rewrites the destination to this machine, at the port in the register.
    Redirect(Register),
    /// Counts packets and bytes.
    Counter,
    /// Answers that there is nobody.
    Reject,
    /// Decides.
    Verdict(Verdict<'a>),
    /// Holds if an extension of the old packet filter does.
    Match(&'a Extension),
    /// An extension of the old packet filter decides.
    Target(&'a Extension),
}

impl Expression<'_> {
    pub(crate) fn write(&self, w: &mut Writer) {
        match *self {
            Self::Meta(key, to) => named(w, "meta", |w| {
                w.be32(1, to.0);
                w.be32(2, meta_key(key));
            }),
            Self::Ct(key, to) => named(w, "ct", |w| {
                w.be32(1, to.0);
                w.be32(2, ct_key(key));
                if key == CtKey::OriginalPort {
                    w.u8(3, 0);
                }
            }),
            Self::Payload { base, offset, length, to } => named(w, "payload", |w| {
                w.be32(1, to.0);
                let base = match base {
                    PayloadBase::Link => 0,
                    PayloadBase::Network => 1,
                    PayloadBase::Transport => 2,
                };
                w.be32(2, base);
                w.be32(3, offset);
                w.be32(4, length);
            }),
            Self::Compare(from, operator, data) => named(w, "cmp", |w| {
                w.be32(1, from.0);
                w.be32(2, operator as u32);
                w.nested(3, |w| value(w, data));
            }),
            Self::Bitwise { from, to, mask, xor } => named(w, "bitwise", |w| {
                w.be32(1, from.0);
                w.be32(2, to.0);
                w.be32(3, u32::try_from(mask.len()).unwrap_or(0));
                w.nested(4, |w| value(w, mask));
                w.nested(5, |w| value(w, xor));
            }),
            Self::InSet(key, set) => named(w, "lookup", |w| lookup(w, set, key)),
            Self::NotInSet(key, set) => named(w, "lookup", |w| {
                lookup(w, set, key);
                w.be32(5, 1);
            }),
            Self::Map { key, map, to } => named(w, "lookup", |w| {
                lookup(w, map, key);
                w.be32(3, to.0);
            }),
            Self::Immediate(to, data) => named(w, "immediate", |w| {
                w.be32(1, to.0);
                w.nested(2, |w| value(w, data));
            }),
            Self::DestinationType(to) => named(w, "fib", |w| {
                const ADDRTYPE: u32 = 3;
                const DADDR: u32 = 2;
                w.be32(1, to.0);
                w.be32(2, ADDRTYPE);
                w.be32(3, DADDR);
            }),
            Self::Nat { kind, family, address, port, last_port } => named(w, "nat", |w| {
                w.be32(1, u32::from(kind == NatKind::Destination));
                w.be32(2, u32::from(family));
                for (attribute, register) in [(3, address), (4, address), (5, port), (6, last_port.or(port))] {
                    if let Some(register) = register {
                        w.be32(attribute, register.0);
                    }
                }
            }),
            Self::Masquerade { random } => named(w, "masq", |w| {
                const FULLY_RANDOM: u32 = 16;
                if random {
                    w.be32(1, FULLY_RANDOM);
                }
            }),
            Self::Redirect(port) => named(w, "redir", |w| {
                w.be32(1, port.0);
                w.be32(2, port.0);
            }),
            Self::Counter => named(w, "counter", |w| {
                w.be64(1, 0);
                w.be64(2, 0);
            }),
            Self::Reject => named(w, "reject", |w| {
                // ICMP port unreachable of either family
                w.be32(1, 2);
                w.u8(2, 1);
            }),
            Self::Verdict(verdict) => named(w, "immediate", |w| {
                w.be32(1, Register::VERDICT.0);
                w.nested(2, |w| verdict.write(w));
            }),
            Self::Match(extension) => named(w, "match", |w| foreign(w, extension)),
            Self::Target(extension) => named(w, "target", |w| foreign(w, extension)),
        }
    }
}

fn foreign(w: &mut Writer, extension: &Extension) {
    w.text(1, extension.name);
    w.be32(2, extension.revision);
    w.attribute(3, &extension.info);
}

fn named(w: &mut Writer, name: &str, body: impl FnOnce(&mut Writer)) {
    w.text(1, name);
    w.nested(2, body);
}

/// A value inside `NFTA_*_DATA`.
pub(crate) fn value(w: &mut Writer, data: &[u8]) {
    w.attribute(1, data);
}

fn lookup(w: &mut Writer, set: &str, key: Register) {
    w.text(1, set);
    w.be32(2, key.0);
}

fn meta_key(key: MetaKey) -> u32 {
    match key {
        MetaKey::Mark => 3,
        MetaKey::InputLink => 4,
        MetaKey::OutputLink => 5,
        MetaKey::InputName => 6,
        MetaKey::OutputName => 7,
        MetaKey::Family => 15,
        MetaKey::Protocol => 16,
    }
}

fn ct_key(key: CtKey) -> u32 {
    match key {
        CtKey::State => 0,
        CtKey::Status => 2,
        CtKey::OriginalPort => 12,
    }
}
