//! [`Program`]: classic BPF that can be stored and sent.

use serde::{Deserialize, Serialize};
use wharf_sys::seccomp::Instruction;

/// A classic BPF program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Instruction>);

/// Eight bytes per instruction, as the kernel lays them out.
impl Serialize for Program {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        for i in &self.0 {
            bytes.extend(i.code.to_le_bytes());
            bytes.extend([i.jt, i.jf]);
            bytes.extend(i.k.to_le_bytes());
        }
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Program, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl<'de> serde::de::Visitor<'de> for Bytes {
    type Value = Program;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BPF instructions of eight bytes each")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Program, E> {
        if !bytes.len().is_multiple_of(8) {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        let one = |b: &[u8]| Instruction {
            code: u16::from_le_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        };
        Ok(Program(bytes.chunks_exact(8).map(one).collect()))
    }

    /// Formats without a bytes type (JSON) give a list of numbers.
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Program, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element::<u8>()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}
