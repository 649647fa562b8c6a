//! Sets and maps: their declaration and their elements.

use crate::attribute::{Writer, attributes};
use crate::nft::expression::value;
use crate::nft::{Table, Verdict};

/// A type of values; only `nft list` cares about more than the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// Transport protocol.
    Protocol,
    /// Port.
    Port,
    /// Name of a link.
    LinkName,
    /// Mark.
    Mark,
}

impl DataType {
    fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mark => 19,
            Self::LinkName => 41,
        }
    }

    /// Bytes in registers: every part of a concatenation fills whole words.
    fn length(self) -> u32 {
        match self {
            Self::Ipv4 | Self::Protocol | Self::Port | Self::Mark => 4,
            Self::Ipv6 | Self::LinkName => 16,
        }
    }

    /// Bytes of a value that stands alone.
    fn alone(self) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            _ => self.length(),
        }
    }
}

fn number_and_length(types: &[DataType]) -> (u32, u32) {
    if let [only] = types {
        return (only.number(), only.alone());
    }
    types.iter().fold((0, 0), |(number, length), t| (number << 6 | t.number(), length + t.length()))
}

/// Properties of a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetFlags {
    /// Keys may be ranges.
    pub interval: bool,
}

/// A set or map to make.
#[derive(Debug, Clone, Copy)]
pub struct Set<'a> {
    /// Name.
    pub name: &'a str,
    /// Key: one type, or several one behind the other.
    pub key: &'a [DataType],
    /// Value.
    pub data: ElementKind<'a>,
    /// Properties.
    pub flags: SetFlags,
}

/// What an element has beside its key.
#[derive(Debug, Clone, Copy)]
pub enum ElementKind<'a> {
    /// Nothing: a set.
    Set,
    /// A value: a map.
    Map(&'a [DataType]),
    /// A verdict: a map too.
    Verdicts,
}

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Bytes of the key; in a concatenation every part is padded to 4 bytes.
    pub key: Vec<u8>,
    /// What it has beside.
    pub data: ElementData,
}

/// Value of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementData {
    /// None (sets, and removal).
    None,
    /// Bytes.
    Value(Vec<u8>),
    /// Accept (`true`) or drop.
    Accept(bool),
    /// To a chain and back.
    Jump(String),
    /// The key is the first that is no longer in the range which the element before began.
    EndOfRange,
}

impl Set<'_> {
    pub(crate) fn write(&self, w: &mut Writer, table: Table<'_>, id: u32) {
        const TABLE: u16 = 1;
        const NAME: u16 = 2;
        const FLAGS: u16 = 3;
        const KEY_TYPE: u16 = 4;
        const KEY_LENGTH: u16 = 5;
        const DATA_TYPE: u16 = 6;
        const DATA_LENGTH: u16 = 7;
        const DESCRIPTION: u16 = 9;
        const ID: u16 = 10;
        const INTERVAL: u32 = 4;
        const MAP: u32 = 8;
        const CONCAT: u32 = 0x80;
        const VERDICT: u32 = 0xffff_ff00;
        let concat = self.flags.interval && self.key.len() > 1;
        let mut flags = if self.flags.interval { INTERVAL } else { 0 } | if concat { CONCAT } else { 0 };
        if !matches!(self.data, ElementKind::Set) {
            flags |= MAP;
        }
        w.text(TABLE, table.name);
        w.text(NAME, self.name);
        w.be32(FLAGS, flags);
        let (number, length) = number_and_length(self.key);
        w.be32(KEY_TYPE, number);
        w.be32(KEY_LENGTH, length);
        match self.data {
            ElementKind::Set => {}
            ElementKind::Map(types) => {
                let (number, length) = number_and_length(types);
                w.be32(DATA_TYPE, number);
                w.be32(DATA_LENGTH, length);
            }
            ElementKind::Verdicts => w.be32(DATA_TYPE, VERDICT),
        }
        if concat {
            const FIELDS: u16 = 2;
            const FIELD: u16 = 1;
            const LENGTH: u16 = 1;
            w.nested(DESCRIPTION, |w| {
                w.nested(FIELDS, |w| {
                    for part in self.key {
                        w.nested(FIELD, |w| w.be32(LENGTH, part.length()));
                    }
                });
            });
        }
        w.be32(ID, id);
    }
}

impl Element {
    pub(crate) fn write(&self, w: &mut Writer, with_data: bool) {
        const KEY: u16 = 1;
        const DATA: u16 = 2;
        const FLAGS: u16 = 3;
        const INTERVAL_END: u32 = 1;
        w.nested(KEY, |w| value(w, &self.key));
        if self.data == ElementData::EndOfRange {
            w.be32(FLAGS, INTERVAL_END);
        }
        if !with_data {
            return;
        }
        match &self.data {
            ElementData::None | ElementData::EndOfRange => {}
            ElementData::Value(bytes) => w.nested(DATA, |w| value(w, bytes)),
            ElementData::Accept(true) => w.nested(DATA, |w| Verdict::Accept.write(w)),
            ElementData::Accept(false) => w.nested(DATA, |w| Verdict::Drop.write(w)),
            ElementData::Jump(chain) => w.nested(DATA, |w| Verdict::Jump(chain).write(w)),
        }
    }
}

/// The keys in one message of a listing.
pub(crate) fn keys(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    const ELEMENTS: u16 = 3;
    let (_, list) = attributes(body.get(4..)?).find(|(kind, _)| *kind == ELEMENTS)?;
    let first = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, payload)| payload);
    Some(attributes(list).filter_map(|(_, e)| first(first(e, 1)?, 1).map(<[u8]>::to_vec)).collect())
}
