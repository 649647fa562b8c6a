//! nftables: transactions of tables, chains, sets, elements and rules, in our own encoding.
//!
//! ```text
//!   nlmsghdr(BATCH_BEGIN) nfgenmsg
//!     nlmsghdr(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_*) nfgenmsg attributes …
//!   nlmsghdr(BATCH_END)   nfgenmsg
//!   nfgenmsg: u8 family · u8 version 0 · u16 resource (big-endian)
//! ```
//!
//! The kernel applies all of a transaction or nothing of it; other processors see either the old rules or the new ones.

pub mod compat;
mod expression;
mod set;

pub use expression::{CtKey, Data, Expression, MetaKey, NatKind, Operator, PayloadBase, Register, Verdict};
pub use set::{DataType, Element, ElementData, ElementKind, Set, SetFlags};

use std::fmt::Display;

use rustix::io::Errno;

use crate::attribute::{Message, Writer, attributes, text};
use crate::{Error, Result, Socket};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NEWTABLE: u16 = 0;
const GETTABLE: u16 = 1;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const GETCHAIN: u16 = 4;
const DELCHAIN: u16 = 5;
const NEWRULE: u16 = 6;
const GETRULE: u16 = 7;
const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const DELSET: u16 = 11;
const NEWSETELEM: u16 = 12;
const GETSETELEM: u16 = 13;
const DELSETELEM: u16 = 14;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// Elements per message: the list is one attribute, whose length has 16 bits.
const ELEMENTS_AT_ONCE: usize = 256;

/// Address family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames that cross a bridge.
    Bridge,
}

impl Family {
    /// The number (`NFPROTO_*`).
    pub fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Ip6 => 10,
            Self::Bridge => 7,
        }
    }
}

/// A table, by family and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// Family.
    pub family: Family,
    /// Name.
    pub name: &'a str,
}

/// Where a base chain is hooked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// When.
    pub hook: Hook,
    /// Lower is earlier.
    pub priority: i32,
    /// Drop what no rule decides.
    pub drop_by_default: bool,
}

/// Moments in a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Just came in.
    Prerouting,
    /// For this machine.
    Input,
    /// Through this machine.
    Forward,
    /// From this machine.
    Output,
    /// About to leave.
    Postrouting,
}

/// A chain to make.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// Name.
    pub name: &'a str,
    /// `None` for one that is only jumped to.
    pub base: Option<Base>,
}

/// A rule somebody else's program must be able to read, so that it carries no comment of ours but a mark that only we see.
#[derive(Debug, Clone, Copy)]
pub struct MarkedRule<'a> {
    /// Its steps.
    pub steps: &'a [Expression<'a>],
    /// Up to 253 bytes.
    pub mark: &'a str,
    /// Transport protocol that it is about, for extensions that must know.
    pub protocol: Option<u8>,
}

/// Where a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// A marked rule as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRule {
    /// Its chain.
    pub chain: String,
    /// The kernel's name for it.
    pub handle: u64,
    /// Its mark; `None` for a rule that is not ours.
    pub mark: Option<String>,
}

/// Type of our mark among the user data of a rule: far from those that `nft` and `iptables` know, which skip it.
const MARK: u8 = 0x57;

/// What is done atomically.
#[derive(Debug, Default)]
pub struct Transaction {
    writer: Writer,
    /// Where each message starts, and its label.
    messages: Vec<(usize, String)>,
    sets: u32,
}

impl Transaction {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Makes a table; does nothing if it is there.
    pub fn add_table(&mut self, table: Table<'_>) -> &mut Self {
        self.push(NEWTABLE, CREATE, table, format_args!("add table `{}`", table.name), |w| w.text(1, table.name))
    }

    /// Makes a table. Refused with `EEXIST` when it is there.
    pub fn create_table(&mut self, table: Table<'_>) -> &mut Self {
        let label = format_args!("create table `{}`", table.name);
        self.push(NEWTABLE, CREATE | EXCLUSIVE, table, label, |w| w.text(1, table.name))
    }

    /// Removes a table with all that is in it.
    pub fn del_table(&mut self, table: Table<'_>) -> &mut Self {
        self.push(DELTABLE, 0, table, format_args!("delete table `{}`", table.name), |w| w.text(1, table.name))
    }

    /// Makes a chain; does nothing if it is there.
    pub fn add_chain(&mut self, table: Table<'_>, chain: &Chain<'_>) -> &mut Self {
        const TABLE: u16 = 1;
        const NAME: u16 = 3;
        const HOOK: u16 = 4;
        const POLICY: u16 = 5;
        const KIND: u16 = 7;
        self.push(NEWCHAIN, CREATE, table, format_args!("add chain `{}`", chain.name), |w| {
            w.text(TABLE, table.name);
            w.text(NAME, chain.name);
            let Some(base) = chain.base else { return };
            w.nested(HOOK, |w| {
                let number = match base.hook {
                    Hook::Prerouting => 0,
                    Hook::Input => 1,
                    Hook::Forward => 2,
                    Hook::Output => 3,
                    Hook::Postrouting => 4,
                };
                w.be32(1, number);
                w.be32(2, base.priority as u32);
            });
            w.text(KIND, base.kind);
            w.be32(POLICY, u32::from(!base.drop_by_default));
        })
    }

    /// Removes an empty chain.
    pub fn del_chain(&mut self, table: Table<'_>, name: &str) -> &mut Self {
        self.push(DELCHAIN, 0, table, format_args!("delete chain `{name}`"), |w| {
            w.text(1, table.name);
            w.text(3, name);
        })
    }

    /// Appends a rule. The comment is what `nft list` shows behind it.
    pub fn add_rule(&mut self, table: Table<'_>, chain: &str, comment: &str, rule: &[Expression<'_>]) -> &mut Self {
        const TABLE: u16 = 1;
        const CHAIN: u16 = 2;
        const EXPRESSIONS: u16 = 4;
        const USERDATA: u16 = 7;
        const ELEMENT: u16 = 1;
        self.push(NEWRULE, CREATE | APPEND, table, format_args!("add rule to `{chain}`: {comment}"), |w| {
            w.text(TABLE, table.name);
            w.text(CHAIN, chain);
            w.nested(EXPRESSIONS, |w| {
                for expression in rule {
                    w.nested(ELEMENT, |w| expression.write(w));
                }
            });
            if let Ok(length) = u8::try_from(comment.len() + 1) {
                // type 0 (comment), length, text with its zero: the layout that nft reads
                let mut data = vec![0, length];
                data.extend_from_slice(comment.as_bytes());
                data.push(0);
                w.attribute(USERDATA, &data);
            }
        })
    }

    /// Adds a rule with a mark.
    pub fn add_marked(&mut self, table: Table<'_>, chain: &str, place: Place, rule: &MarkedRule<'_>) -> &mut Self {
        let flags = if place == Place::Last { CREATE | APPEND } else { CREATE };
        self.push(NEWRULE, flags, table, format_args!("add rule `{chain} {}`", rule.mark), |w| {
            w.text(1, table.name);
            w.text(2, chain);
            w.nested(4, |w| {
                for step in rule.steps {
                    w.nested(1, |w| step.write(w));
                }
            });
            if let Some(protocol) = rule.protocol {
                w.nested(5, |w| {
                    w.be32(1, u32::from(protocol));
                    w.be32(2, 0);
                });
            }
            let mark = &rule.mark.as_bytes()[..rule.mark.len().min(253)];
            let mut data = vec![MARK, u8::try_from(mark.len() + 1).unwrap_or(u8::MAX)];
            data.extend_from_slice(mark);
            data.push(0);
            w.attribute(7, &data);
        })
    }

    /// Removes one rule.
    pub fn del_rule(&mut self, table: Table<'_>, chain: &str, handle: u64) -> &mut Self {
        self.push(DELRULE, 0, table, format_args!("delete rule {handle} of `{chain}`"), |w| {
            w.text(1, table.name);
            w.text(2, chain);
            w.be64(3, handle);
        })
    }

    /// Removes all rules of a chain.
    pub fn flush_chain(&mut self, table: Table<'_>, name: &str) -> &mut Self {
        self.push(DELRULE, 0, table, format_args!("flush chain `{name}`"), |w| {
            w.text(1, table.name);
            w.text(2, name);
        })
    }

    /// Makes a set or map; does nothing if it is there.
    pub fn add_set(&mut self, table: Table<'_>, set: &Set<'_>) -> &mut Self {
        self.sets += 1;
        let id = self.sets;
        self.push(NEWSET, CREATE, table, format_args!("add set `{}`", set.name), |w| set.write(w, table, id))
    }

    /// Removes a set that no rule uses.
    pub fn del_set(&mut self, table: Table<'_>, name: &str) -> &mut Self {
        self.push(DELSET, 0, table, format_args!("delete set `{name}`"), |w| {
            w.text(1, table.name);
            w.text(2, name);
        })
    }

    /// Adds elements. Refused with `EEXIST` when one is there (with other data, for a map).
    pub fn add_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) -> &mut Self {
        self.elements(NEWSETELEM, CREATE, table, set, elements)
    }

    /// Adds elements. Refused with `EEXIST` when one is there at all.
    pub fn insert_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) -> &mut Self {
        self.elements(NEWSETELEM, CREATE | EXCLUSIVE, table, set, elements)
    }

    /// Removes elements by key. Refused with `ENOENT` when one is not there.
    pub fn del_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) -> &mut Self {
        self.elements(DELSETELEM, 0, table, set, elements)
    }

    fn elements(&mut self, kind: u16, flags: u16, table: Table<'_>, set: &str, elements: &[Element]) -> &mut Self {
        const TABLE: u16 = 1;
        const SET: u16 = 2;
        const ELEMENTS: u16 = 3;
        const ELEMENT: u16 = 1;
        for chunk in elements.chunks(ELEMENTS_AT_ONCE) {
            let verb = if kind == NEWSETELEM { "add" } else { "delete" };
            self.push(kind, flags, table, format_args!("{verb} elements of `{set}`"), |w| {
                w.text(TABLE, table.name);
                w.text(SET, set);
                w.nested(ELEMENTS, |w| {
                    for element in chunk {
                        w.nested(ELEMENT, |w| element.write(w, kind == NEWSETELEM));
                    }
                });
            });
        }
        self
    }

    fn push(
        &mut self,
        kind: u16,
        flags: u16,
        table: Table<'_>,
        label: impl Display,
        body: impl FnOnce(&mut Writer),
    ) -> &mut Self {
        self.messages.push((self.writer.bytes.len(), label.to_string()));
        self.writer.message(SUBSYSTEM << 8 | kind, flags | REQUEST, 0, |w| {
            w.raw(&[table.family.number(), 0, 0, 0]);
            body(w);
        });
        self
    }
}

impl Socket {
    /// Carries out a transaction: all of it or, with an error, nothing.
    pub fn commit(&mut self, transaction: &Transaction) -> Result<()> {
        const LENGTH: usize = 4;
        const FLAGS: usize = 6;
        const SEQUENCE: usize = 8;
        let Some(count) = u32::try_from(transaction.messages.len()).ok().filter(|n| *n > 0) else { return Ok(()) };
        let base = self.sequences(count + 2);
        let mut all = Writer::default();
        // the resource of a batch is the subsystem, big-endian
        let resource = [0, 0, 0, SUBSYSTEM.to_be_bytes()[1]];
        all.message(BATCH_BEGIN, REQUEST, base, |w| w.raw(&resource));
        let start = all.bytes.len();
        all.raw(&transaction.writer.bytes);
        let mut sequence = base;
        for (at, _) in &transaction.messages {
            sequence = sequence.wrapping_add(1);
            let header = start + at;
            all.bytes[header + SEQUENCE..header + SEQUENCE + LENGTH].copy_from_slice(&sequence.to_ne_bytes());
        }
        // one acknowledgement says that all went well; refusals are always reported
        if let Some((at, _)) = transaction.messages.last() {
            let flags = start + at + FLAGS;
            let old = u16::from_ne_bytes([all.bytes[flags], all.bytes[flags + 1]]);
            all.bytes[flags..flags + 2].copy_from_slice(&(old | ACK).to_ne_bytes());
        }
        all.message(BATCH_END, REQUEST, base.wrapping_add(count + 1), |w| w.raw(&resource));
        self.transact(&all.bytes, base.wrapping_add(count), |number| {
            let index = usize::try_from(number.wrapping_sub(base.wrapping_add(1))).ok();
            let label = index.and_then(|i| transaction.messages.get(i)).map(|(_, label)| label.clone());
            label.unwrap_or_else(|| "nftables transaction".to_owned())
        })
    }

    /// Whether a table is there.
    pub fn has_table(&mut self, table: Table<'_>) -> Result<bool> {
        let mut w = Writer::default();
        w.raw(&[table.family.number(), 0, 0, 0]);
        w.text(1, table.name);
        let found = self.get("get table", SUBSYSTEM << 8 | GETTABLE, &w.bytes, &[Errno::NOENT], |m| {
            (m.kind == SUBSYSTEM << 8 | NEWTABLE).then_some(())
        })?;
        Ok(found.is_some())
    }

    /// The comments of a table's rules, in order: (chain, comment).
    pub fn rules(&mut self, table: Table<'_>) -> Result<Vec<(String, String)>> {
        let mut w = Writer::default();
        w.raw(&[table.family.number(), 0, 0, 0]);
        w.text(1, table.name);
        self.list("list rules", SUBSYSTEM << 8 | GETRULE, &w.bytes, |m| rule(m, table))
    }

    /// The chains of a table; none without the table.
    pub fn chains(&mut self, table: Table<'_>) -> Result<Vec<String>> {
        let header = [table.family.number(), 0, 0, 0];
        let name = |bytes: &[u8], wanted: u16| {
            attributes(bytes.get(4..)?).find(|(kind, _)| *kind == wanted).map(|(_, payload)| text(payload))
        };
        self.list("list chains", SUBSYSTEM << 8 | GETCHAIN, &header, |m| {
            let ours = m.kind == SUBSYSTEM << 8 | NEWCHAIN && name(m.body, 1)? == table.name;
            ours.then(|| name(m.body, 3)).flatten()
        })
    }

    /// The rules of a table in their order, with our marks; none without the table.
    pub fn marked(&mut self, table: Table<'_>) -> Result<Vec<FoundRule>> {
        let mut w = Writer::default();
        w.raw(&[table.family.number(), 0, 0, 0]);
        w.text(1, table.name);
        self.list("list rules", SUBSYSTEM << 8 | GETRULE, &w.bytes, |m| marked(m, table))
    }

    /// The rules of one chain in their order, with our marks; none without the chain.
    pub fn marked_in(&mut self, table: Table<'_>, chain: &str) -> Result<Vec<FoundRule>> {
        let mut w = Writer::default();
        w.raw(&[table.family.number(), 0, 0, 0]);
        w.text(1, table.name);
        w.text(2, chain);
        let found = self.list("list rules", SUBSYSTEM << 8 | GETRULE, &w.bytes, |m| marked(m, table))?;
        // an older kernel lists the whole table
        Ok(found.into_iter().filter(|rule| rule.chain == chain).collect())
    }

    /// The keys of a set's elements, as bytes.
    pub fn elements(&mut self, table: Table<'_>, set: &str) -> Result<Vec<Vec<u8>>> {
        let mut w = Writer::default();
        w.raw(&[table.family.number(), 0, 0, 0]);
        w.text(1, table.name);
        w.text(2, set);
        let found = self.list("list elements", SUBSYSTEM << 8 | GETSETELEM, &w.bytes, |m| set::keys(m.body));
        match found {
            Ok(lists) => Ok(lists.into_iter().flatten().collect()),
            Err(Error::Refused { errno: Errno::NOENT, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Whether a message of the subsystem says that something went.
pub(crate) fn is_removal(kind: u16) -> bool {
    matches!(kind, DELTABLE | DELCHAIN | DELRULE | DELSET | DELSETELEM)
}

fn marked(message: &Message<'_>, table: Table<'_>) -> Option<FoundRule> {
    if message.kind != SUBSYSTEM << 8 | NEWRULE {
        return None;
    }
    let (mut name, mut found) = (String::new(), FoundRule { chain: String::new(), handle: 0, mark: None });
    for (kind, payload) in attributes(message.body.get(4..)?) {
        match kind {
            1 => name = text(payload),
            2 => found.chain = text(payload),
            3 => found.handle = u64::from_be_bytes(payload.try_into().ok()?),
            7 if payload.first() == Some(&MARK) => found.mark = payload.get(2..).map(text),
            _ => {}
        }
    }
    (name == table.name).then_some(found)
}

fn rule(message: &Message<'_>, table: Table<'_>) -> Option<(String, String)> {
    if message.kind != SUBSYSTEM << 8 | NEWRULE {
        return None;
    }
    let (mut name, mut chain, mut comment) = (String::new(), String::new(), String::new());
    for (kind, payload) in attributes(message.body.get(4..)?) {
        match kind {
            1 => name = text(payload),
            2 => chain = text(payload),
            7 => comment = payload.get(2..).map(text).unwrap_or_default(),
            _ => {}
        }
    }
    (name == table.name).then_some((chain, comment))
}
