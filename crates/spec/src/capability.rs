//! Linux capabilities: names, bits and sets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One capability; the discriminant is the kernel's bit number (`linux/capability.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Capability {
    /// `CAP_CHOWN`.
    Chown = 0,
    /// `CAP_DAC_OVERRIDE`.
    DacOverride = 1,
    /// `CAP_DAC_READ_SEARCH`.
    DacReadSearch = 2,
    /// `CAP_FOWNER`.
    Fowner = 3,
    /// `CAP_FSETID`.
    Fsetid = 4,
    /// `CAP_KILL`.
    Kill = 5,
    /// `CAP_SETGID`.
    Setgid = 6,
    /// `CAP_SETUID`.
    Setuid = 7,
    /// `CAP_SETPCAP`.
    Setpcap = 8,
    /// `CAP_LINUX_IMMUTABLE`.
    LinuxImmutable = 9,
    /// `CAP_NET_BIND_SERVICE`.
    NetBindService = 10,
    /// `CAP_NET_BROADCAST`.
    NetBroadcast = 11,
    /// `CAP_NET_ADMIN`.
    NetAdmin = 12,
    /// `CAP_NET_RAW`.
    NetRaw = 13,
    /// `CAP_IPC_LOCK`.
    IpcLock = 14,
    /// `CAP_IPC_OWNER`.
    IpcOwner = 15,
    /// `CAP_SYS_MODULE`.
    SysModule = 16,
    /// `CAP_SYS_RAWIO`.
    SysRawio = 17,
    /// `CAP_SYS_CHROOT`.
    SysChroot = 18,
    /// `CAP_SYS_PTRACE`.
    SysPtrace = 19,
    /// `CAP_SYS_PACCT`.
    SysPacct = 20,
    /// `CAP_SYS_ADMIN`.
    SysAdmin = 21,
    /// `CAP_SYS_BOOT`.
    SysBoot = 22,
    /// `CAP_SYS_NICE`.
    SysNice = 23,
    /// `CAP_SYS_RESOURCE`.
    SysResource = 24,
    /// `CAP_SYS_TIME`.
    SysTime = 25,
    /// `CAP_SYS_TTY_CONFIG`.
    SysTtyConfig = 26,
    /// `CAP_MKNOD`.
    Mknod = 27,
    /// `CAP_LEASE`.
    Lease = 28,
    /// `CAP_AUDIT_WRITE`.
    AuditWrite = 29,
    /// `CAP_AUDIT_CONTROL`.
    AuditControl = 30,
    /// `CAP_SETFCAP`.
    Setfcap = 31,
    /// `CAP_MAC_OVERRIDE`.
    MacOverride = 32,
    /// `CAP_MAC_ADMIN`.
    MacAdmin = 33,
    /// `CAP_SYSLOG`.
    Syslog = 34,
    /// `CAP_WAKE_ALARM`.
    WakeAlarm = 35,
    /// `CAP_BLOCK_SUSPEND`.
    BlockSuspend = 36,
    /// `CAP_AUDIT_READ`.
    AuditRead = 37,
    /// `CAP_PERFMON`.
    Perfmon = 38,
    /// `CAP_BPF`.
    Bpf = 39,
    /// `CAP_CHECKPOINT_RESTORE`.
    CheckpointRestore = 40,
}

/// All capabilities with their names, by bit number.
const TABLE: [(Capability, &str); 41] = [
    (Capability::Chown, "CAP_CHOWN"),
    (Capability::DacOverride, "CAP_DAC_OVERRIDE"),
    (Capability::DacReadSearch, "CAP_DAC_READ_SEARCH"),
    (Capability::Fowner, "CAP_FOWNER"),
    (Capability::Fsetid, "CAP_FSETID"),
    (Capability::Kill, "CAP_KILL"),
    (Capability::Setgid, "CAP_SETGID"),
    (Capability::Setuid, "CAP_SETUID"),
    (Capability::Setpcap, "CAP_SETPCAP"),
    (Capability::LinuxImmutable, "CAP_LINUX_IMMUTABLE"),
    (Capability::NetBindService, "CAP_NET_BIND_SERVICE"),
    (Capability::NetBroadcast, "CAP_NET_BROADCAST"),
    (Capability::NetAdmin, "CAP_NET_ADMIN"),
    (Capability::NetRaw, "CAP_NET_RAW"),
    (Capability::IpcLock, "CAP_IPC_LOCK"),
    (Capability::IpcOwner, "CAP_IPC_OWNER"),
    (Capability::SysModule, "CAP_SYS_MODULE"),
    (Capability::SysRawio, "CAP_SYS_RAWIO"),
    (Capability::SysChroot, "CAP_SYS_CHROOT"),
    (Capability::SysPtrace, "CAP_SYS_PTRACE"),
    (Capability::SysPacct, "CAP_SYS_PACCT"),
    (Capability::SysAdmin, "CAP_SYS_ADMIN"),
    (Capability::SysBoot, "CAP_SYS_BOOT"),
    (Capability::SysNice, "CAP_SYS_NICE"),
    (Capability::SysResource, "CAP_SYS_RESOURCE"),
    (Capability::SysTime, "CAP_SYS_TIME"),
    (Capability::SysTtyConfig, "CAP_SYS_TTY_CONFIG"),
    (Capability::Mknod, "CAP_MKNOD"),
    (Capability::Lease, "CAP_LEASE"),
    (Capability::AuditWrite, "CAP_AUDIT_WRITE"),
    (Capability::AuditControl, "CAP_AUDIT_CONTROL"),
    (Capability::Setfcap, "CAP_SETFCAP"),
    (Capability::MacOverride, "CAP_MAC_OVERRIDE"),
    (Capability::MacAdmin, "CAP_MAC_ADMIN"),
    (Capability::Syslog, "CAP_SYSLOG"),
    (Capability::WakeAlarm, "CAP_WAKE_ALARM"),
    (Capability::BlockSuspend, "CAP_BLOCK_SUSPEND"),
    (Capability::AuditRead, "CAP_AUDIT_READ"),
    (Capability::Perfmon, "CAP_PERFMON"),
    (Capability::Bpf, "CAP_BPF"),
    (Capability::CheckpointRestore, "CAP_CHECKPOINT_RESTORE"),
];

impl Capability {
    /// How many capabilities are known.
    pub const COUNT: usize = TABLE.len();

    /// All of them, by bit number.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.0)
    }

    /// The name, `CAP_…`.
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The kernel's bit number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The capability of a bit number.
    pub fn from_number(number: u8) -> Option<Self> {
        TABLE.get(usize::from(number)).map(|entry| entry.0)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// Takes any case, with or without `CAP_`, as the command lines do.
    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let upper = text.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        TABLE
            .iter()
            .find(|(_, name)| &name[4..] == bare)
            .map(|entry| entry.0)
            .ok_or_else(|| UnknownCapability(text.to_owned()))
    }
}

/// A set of capabilities as the kernel's 64-bit mask.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: Self = Self(0);
    /// Every known capability.
    pub const ALL: Self = Self((1 << Capability::COUNT) - 1);

    /// From the kernel's mask; unknown bits are kept.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kernel's mask.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// With one more capability.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// Without one capability.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// Whether it holds the capability.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Whether it holds every capability of the other set.
    pub const fn is_superset(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In one of the sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In this set but not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its capabilities by bit number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::all().filter(move |capability| self.contains(*capability))
    }

    /// Its names, as an OCI document lists them.
    pub fn names(self) -> Vec<String> {
        self.iter().map(|capability| capability.name().to_owned()).collect()
    }

    /// Reads an OCI list; names that are unknown come back apart, for the caller to warn about (the specification
    /// asks for a warning, not for an error).
    pub fn parse<S: AsRef<str>>(names: &[S]) -> (Self, Vec<String>) {
        let mut set = Self::EMPTY;
        let mut unknown = Vec::new();
        for name in names {
            match name.as_ref().parse() {
                Ok(capability) => set = set.with(capability),
                Err(UnknownCapability(name)) => unknown.push(name),
            }
        }
        (set, unknown)
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a Docker container holds when nothing is added or dropped (14 capabilities).
pub const DOCKER_DEFAULT: CapabilitySet = CapabilitySet::EMPTY
    .with(Capability::Chown)
    .with(Capability::DacOverride)
    .with(Capability::Fsetid)
    .with(Capability::Fowner)
    .with(Capability::Mknod)
    .with(Capability::NetRaw)
    .with(Capability::Setgid)
    .with(Capability::Setuid)
    .with(Capability::Setfcap)
    .with(Capability::Setpcap)
    .with(Capability::NetBindService)
    .with(Capability::SysChroot)
    .with(Capability::Kill)
    .with(Capability::AuditWrite);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_bit_order() {
        for (number, (capability, name)) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(capability.number()), number);
            assert_eq!(capability.name(), *name);
            assert_eq!(name.parse::<Capability>(), Ok(*capability));
            assert_eq!(name[4..].to_lowercase().parse::<Capability>(), Ok(*capability));
        }
    }

    #[test]
    fn docker_default_is_the_mask_that_docker_containers_show() {
        assert_eq!(DOCKER_DEFAULT.bits(), 0xa804_25fb);
        assert_eq!(DOCKER_DEFAULT.iter().count(), 14);
    }

    #[test]
    fn unknown_names_come_back_apart() {
        let (set, unknown) = CapabilitySet::parse(&["CAP_KILL", "CAP_NONSENSE"]);
        assert_eq!(set, CapabilitySet::EMPTY.with(Capability::Kill));
        assert_eq!(unknown, ["CAP_NONSENSE"]);
    }
}
