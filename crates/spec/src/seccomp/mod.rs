//! System call filters as documents: the OCI form that a runtime compiles, Docker's profile form with its conditions, the
//! default profile, and the system call numbers of the architectures that we compile for.
//!
//! ```text
//! Profile (Docker's JSON or the built-in default) ──resolve(Conditions)──▶ LinuxSeccomp (OCI) ──▶ BPF (wharf-runtime)
//! ```

mod default;
mod profile;
pub mod syscalls;

use serde::{Deserialize, Serialize};

use crate::runtime::or_default;

pub use profile::{ArchMap, Conditions, Filter, Profile, ProfileError, ProfileRule};

/// A filter in the OCI form (`linux.seccomp`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxSeccomp {
    /// What happens to calls that no rule names.
    pub default_action: Action,
    /// `errno` of the default action when that is [`Action::Errno`] or [`Action::Trace`]; `EPERM` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Architectures that the filter is for, beside the native one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub architectures: Vec<Arch>,
    /// `SECCOMP_FILTER_FLAG_…` names.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub flags: Vec<String>,
    /// UNIX socket of the agent that gets the notification descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<std::path::PathBuf>,
    /// Text handed to the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub syscalls: Vec<SyscallRule>,
}

/// One rule: what happens to these calls when all arguments match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyscallRule {
    /// System call names; those that an architecture lacks are skipped.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// `errno` of [`Action::Errno`] and [`Action::Trace`]; `EPERM` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions on arguments; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub args: Vec<SeccompArg>,
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompArg {
    /// Which argument, 0…5.
    pub index: u32,
    /// Compared with this; the mask of [`Operator::MaskedEqual`].
    pub value: u64,
    /// The value of [`Operator::MaskedEqual`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_two: u64,
    /// How it is compared.
    pub op: Operator,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Same as [`Self::KillThread`].
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    /// The whole process dies by SIGSYS.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// The thread dies by SIGSYS.
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// SIGSYS that can be handled.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails with an `errno`.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A tracer is asked.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// The call is made.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// The call is made and logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// An agent is asked.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// How an argument is compared (unsigned, 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// `!=`
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// `<`
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// `<=`
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// `==`
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// `>=`
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// `>`
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// `argument & value == value_two`
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

/// An architecture as libseccomp names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Arch {
    #[serde(rename = "SCMP_ARCH_NATIVE")]
    Native,
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X86_64,
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    #[serde(rename = "SCMP_ARCH_MIPS")]
    Mips,
    #[serde(rename = "SCMP_ARCH_MIPS64")]
    Mips64,
    #[serde(rename = "SCMP_ARCH_MIPS64N32")]
    Mips64N32,
    #[serde(rename = "SCMP_ARCH_MIPSEL")]
    Mipsel,
    #[serde(rename = "SCMP_ARCH_MIPSEL64")]
    Mipsel64,
    #[serde(rename = "SCMP_ARCH_MIPSEL64N32")]
    Mipsel64N32,
    #[serde(rename = "SCMP_ARCH_PPC")]
    Ppc,
    #[serde(rename = "SCMP_ARCH_PPC64")]
    Ppc64,
    #[serde(rename = "SCMP_ARCH_PPC64LE")]
    Ppc64le,
    #[serde(rename = "SCMP_ARCH_S390")]
    S390,
    #[serde(rename = "SCMP_ARCH_S390X")]
    S390x,
    #[serde(rename = "SCMP_ARCH_PARISC")]
    Parisc,
    #[serde(rename = "SCMP_ARCH_PARISC64")]
    Parisc64,
    #[serde(rename = "SCMP_ARCH_RISCV64")]
    Riscv64,
    #[serde(rename = "SCMP_ARCH_LOONGARCH64")]
    Loongarch64,
    #[serde(rename = "SCMP_ARCH_M68K")]
    M68k,
    #[serde(rename = "SCMP_ARCH_SH")]
    Sh,
    #[serde(rename = "SCMP_ARCH_SHEB")]
    Sheb,
}

impl Arch {
    /// The architecture that this program was compiled for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// The kernel's `AUDIT_ARCH_…` value, for the architectures with a system call table here.
    /// x32 shares x86-64's; its calls carry bit 30.
    pub const fn audit(self) -> Option<u32> {
        match self {
            Self::Native => Self::NATIVE.audit(),
            Self::X86_64 | Self::X32 => Some(0xc000_003e),
            Self::X86 => Some(0x4000_0003),
            Self::Aarch64 => Some(0xc000_00b7),
            Self::Arm => Some(0x4000_0028),
            _ => None,
        }
    }
}
