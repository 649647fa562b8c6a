//! Device rules.

use serde::{Deserialize, Serialize};

/// Kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

impl DeviceKind {
    pub(crate) const fn as_char(self) -> char {
        match self {
            Self::All => 'a',
            Self::Block => 'b',
            Self::Char => 'c',
        }
    }
}

/// Kinds of access, as the kernel's bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access(u8);

impl Access {
    /// Make a node.
    pub const MKNOD: Self = Self(1);
    /// Open for reading.
    pub const READ: Self = Self(2);
    /// Open for writing.
    pub const WRITE: Self = Self(4);
    /// Everything.
    pub const ALL: Self = Self(7);

    /// The kernel's bits (`BPF_DEVCG_ACC_…`).
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Reads letters of `rwm`; the empty text is everything. `None`: another letter.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::ALL);
        }
        text.chars().try_fold(Self::default(), |access, letter| {
            Some(access.union(match letter {
                'r' => Self::READ,
                'w' => Self::WRITE,
                'm' => Self::MKNOD,
                _ => return None,
            }))
        })
    }

    /// Its letters of `rwm`.
    pub fn letters(self) -> String {
        [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::MKNOD, 'm')]
            .into_iter()
            .filter(|(access, _)| self.0 & access.0 != 0)
            .map(|(_, letter)| letter)
            .collect()
    }
}

/// One device rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allowed or denied.
    pub allow: bool,
    /// Kind of device.
    pub kind: DeviceKind,
    /// Major number; all when `None`.
    pub major: Option<u32>,
    /// Minor number; all when `None`.
    pub minor: Option<u32>,
    /// Kinds of access.
    pub access: Access,
}

const fn char_device(major: Option<u32>, minor: Option<u32>, access: Access) -> DeviceRule {
    DeviceRule { allow: true, kind: DeviceKind::Char, major, minor, access }
}

/// What every OCI container may use whatever its rules say: making nodes, and the default devices of the specification.
pub const OCI_DEFAULT_DEVICES: &[DeviceRule] = &[
    char_device(None, None, Access::MKNOD),
    DeviceRule { allow: true, kind: DeviceKind::Block, major: None, minor: None, access: Access::MKNOD },
    char_device(Some(1), Some(3), Access::ALL), // null
    char_device(Some(1), Some(5), Access::ALL), // zero
    char_device(Some(1), Some(7), Access::ALL), // full
    char_device(Some(1), Some(8), Access::ALL), // random
    char_device(Some(1), Some(9), Access::ALL), // urandom
    char_device(Some(5), Some(0), Access::ALL), // tty
    char_device(Some(5), Some(1), Access::ALL), // console
    char_device(Some(136), None, Access::ALL),  // pts/*
    char_device(Some(5), Some(2), Access::ALL), // ptmx
];
