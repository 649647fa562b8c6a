//! Several requests that travel to the kernel together.

use std::fmt::Display;

use rustix::io::Errno;

use crate::attribute::Writer;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
/// Create, and refuse if it is there.
pub(crate) const CREATE_EXCLUSIVE: u16 = 0x400 | 0x200;
/// Create, or replace what is there.
pub(crate) const CREATE_REPLACE: u16 = 0x400 | 0x100;

/// Requests in order. The kernel carries them out one by one and goes on after one that it refuses: what belongs together
/// must be undone by the caller (or be a [`crate::nft::Transaction`], which is atomic).
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) requests: Vec<Request>,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) bytes: Writer,
    /// Operation and object, for errors.
    pub(crate) label: String,
    /// Refusals that mean the world already is as wanted.
    pub(crate) tolerate: &'static [Errno],
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The last request may be answered with one of `errnos`: then the world already is as wanted.
    pub fn tolerate(&mut self, errnos: &'static [Errno]) -> &mut Self {
        if let Some(last) = self.requests.last_mut() {
            last.tolerate = errnos;
        }
        self
    }

    pub(crate) fn push(
        &mut self,
        kind: u16,
        flags: u16,
        label: impl Display,
        body: impl FnOnce(&mut Writer),
    ) -> &mut Self {
        let mut bytes = Writer::default();
        // the sequence number is written when it is sent
        bytes.message(kind, flags | REQUEST | ACK, 0, body);
        self.requests.push(Request { bytes, label: label.to_string(), tolerate: &[] });
        self
    }
}
