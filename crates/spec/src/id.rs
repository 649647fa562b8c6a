//! Identifiers of objects: 64 hexadecimal digits, as Docker makes them, one type per kind of object.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::{Digest, hex, unhex};

/// How many hexadecimal digits a short identifier has.
pub const SHORT: usize = 12;

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image ID or container ID must be 64 hexadecimal digits: {0:?}")]
pub struct IdError(pub String);

/// `true` for 64 lower-case hexadecimal digits.
pub fn is_full_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cheap to clone (the text is shared).
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier whose 32 bytes are given.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(hex(&bytes).into())
            }

            /// A fresh identifier from a source of random bytes. As in Docker the short form is never all digits,
            /// because other tools would take it for a number.
            pub fn generate(mut random: impl FnMut(&mut [u8; 32])) -> Self {
                let mut bytes = [0; 32];
                loop {
                    random(&mut bytes);
                    let id = Self::from_bytes(bytes);
                    if id.short().bytes().any(|c| c.is_ascii_alphabetic()) {
                        return id;
                    }
                }
            }

            /// All 64 digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits.
            pub fn short(&self) -> &str {
                &self.0[..SHORT]
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 32];
                unhex(text, &mut bytes).map_err(|_| IdError(text.to_owned()))?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// A container.
    ContainerId
}
id! {
    /// A network.
    NetworkId
}
id! {
    /// The attachment of a container to a network.
    EndpointId
}
id! {
    /// A network sandbox (the network namespace of a container).
    SandboxId
}
id! {
    /// A process started in a running container.
    ExecId
}

/// An image: the digest of its configuration document.
pub type ImageId = Digest;
/// An unpacked layer: the digest of its uncompressed tar stream.
pub type DiffId = Digest;
/// A layer together with everything below it (OCI image specification, "Layer ChainID").
pub type ChainId = Digest;

/// The chain identifier of `diff` on top of `parent`.
pub fn chain_id(parent: Option<&ChainId>, diff: &DiffId) -> ChainId {
    match parent {
        None => *diff,
        Some(parent) => Digest::of(format!("{parent} {diff}").as_bytes()),
    }
}

/// The chain identifiers of a whole stack, bottom first.
pub fn chain_ids(diffs: &[DiffId]) -> Vec<ChainId> {
    let mut chain: Vec<ChainId> = Vec::with_capacity(diffs.len());
    for diff in diffs {
        chain.push(chain_id(chain.last(), diff));
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_64_lower_case_hex() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(text.parse::<ContainerId>().unwrap().short(), "0123456789ab");
        for bad in ["", "abc", &text[1..], &text.to_uppercase(), &format!("{}/", &text[1..])] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_short_id_is_never_a_number() {
        let mut calls = 0;
        let id = ContainerId::generate(|b| {
            calls += 1;
            *b = if calls == 1 { [0x11; 32] } else { [0xab; 32] };
        });
        assert_eq!((calls, id.short()), (2, "abababababab"));
    }

    #[test]
    fn chain_of_the_specification() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let chain = chain_ids(&[a, b]);
        assert_eq!(chain[0], a);
        assert_eq!(chain[1], Digest::of(format!("{a} {b}").as_bytes()));
    }
}
