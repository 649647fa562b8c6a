//! Docker's profile form: OCI rules under conditions (architecture, capabilities, kernel), resolved into an OCI filter.

use serde::{Deserialize, Serialize};

use super::{Action, Arch, LinuxSeccomp, SeccompArg, SyscallRule};
use crate::capability::CapabilitySet;
use crate::runtime::or_default;

/// A profile as `--security-opt seccomp=FILE` takes it; a plain OCI filter is one without conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to calls that no rule names.
    pub default_action: Action,
    /// `errno` of the default action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Architectures of the OCI form; excludes [`Self::arch_map`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub architectures: Vec<Arch>,
    /// Architectures with the further ones that each brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub arch_map: Vec<ArchMap>,
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
    pub syscalls: Vec<ProfileRule>,
}

/// An architecture and the further ones that a filter for it covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchMap {
    /// The native architecture.
    pub architecture: Arch,
    /// Covered beside it.
    #[serde(default, deserialize_with = "or_default")]
    pub sub_architectures: Vec<Arch>,
}

/// A rule that is taken when its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileRule {
    /// One system call; the old form of [`Self::names`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// System calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// `errno` of the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions on arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub args: Vec<SeccompArg>,
    /// For the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// All of these must hold.
    #[serde(default, skip_serializing_if = "Filter::is_empty", deserialize_with = "or_default")]
    pub includes: Filter,
    /// None of these may hold.
    #[serde(default, skip_serializing_if = "Filter::is_empty", deserialize_with = "or_default")]
    pub excludes: Filter,
}

/// Conditions of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Capability names of the container's bounding set.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub caps: Vec<String>,
    /// Go names of architectures (`amd64`, `arm64` …).
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub arches: Vec<String>,
    /// Lowest kernel, `major.minor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the conditions are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Native architecture.
    pub arch: Arch,
    /// The container's bounding set.
    pub capabilities: CapabilitySet,
    /// Kernel, major and minor.
    pub kernel: (u32, u32),
}

/// A profile that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Both lists of architectures are given.
    #[error(
        "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'"
    )]
    ArchitecturesAndMap,
    /// Both forms of naming calls are given.
    #[error("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'")]
    NameAndNames,
    /// Not `major.minor`.
    #[error("invalid kernel version {0:?} in the seccomp profile, expected 'major.minor'")]
    Kernel(String),
}

impl Profile {
    /// Docker's default profile.
    pub fn docker_default() -> Self {
        super::default::profile()
    }

    /// The OCI filter under these conditions. Errors: [`ProfileError`], a profile that contradicts itself.
    pub fn resolve(&self, conditions: &Conditions) -> Result<LinuxSeccomp, ProfileError> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(ProfileError::ArchitecturesAndMap);
        }
        let mut architectures = self.architectures.clone();
        for entry in self.arch_map.iter().filter(|entry| entry.architecture == conditions.arch) {
            architectures.push(entry.architecture);
            architectures.extend(&entry.sub_architectures);
        }
        let mut syscalls = Vec::with_capacity(self.syscalls.len());
        for rule in &self.syscalls {
            if rule.applies(conditions)? {
                syscalls.push(rule.to_oci()?);
            }
        }
        Ok(LinuxSeccomp {
            default_action: self.default_action,
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls,
        })
    }
}

impl ProfileRule {
    fn applies(&self, conditions: &Conditions) -> Result<bool, ProfileError> {
        let includes = &self.includes;
        let excludes = &self.excludes;
        let arch = go_arch(conditions.arch);
        let holds = |name: &String| name.parse().is_ok_and(|capability| conditions.capabilities.contains(capability));
        if !excludes.arches.is_empty() && excludes.arches.iter().any(|name| name == arch)
            || excludes.caps.iter().any(holds)
            || excludes.min_kernel.as_deref().map(kernel).transpose()?.is_some_and(|least| conditions.kernel >= least)
        {
            return Ok(false);
        }
        let arch_fits = includes.arches.is_empty() || includes.arches.iter().any(|name| name == arch);
        let kernel_fits =
            includes.min_kernel.as_deref().map(kernel).transpose()?.is_none_or(|least| conditions.kernel >= least);
        Ok(arch_fits && kernel_fits && includes.caps.iter().all(holds))
    }

    fn to_oci(&self) -> Result<SyscallRule, ProfileError> {
        let names = match &self.name {
            Some(_) if !self.names.is_empty() => return Err(ProfileError::NameAndNames),
            Some(name) => vec![name.clone()],
            None => self.names.clone(),
        };
        Ok(SyscallRule { names, action: self.action, errno_ret: self.errno_ret, args: self.args.clone() })
    }
}

fn kernel(text: &str) -> Result<(u32, u32), ProfileError> {
    let invalid = || ProfileError::Kernel(text.to_owned());
    let (major, minor) = text.split_once('.').ok_or_else(invalid)?;
    let (major, minor) = (major.parse().map_err(|_| invalid())?, minor.parse().map_err(|_| invalid())?);
    if (major, minor) == (0, 0) { Err(invalid()) } else { Ok((major, minor)) }
}

fn go_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::Native => go_arch(Arch::NATIVE),
        Arch::X86 => "x86",
        Arch::X86_64 => "amd64",
        Arch::X32 => "x32",
        Arch::Arm => "arm",
        Arch::Aarch64 => "arm64",
        Arch::Mips64 => "mips64",
        Arch::Mips64N32 => "mips64n32",
        Arch::Mipsel64 => "mipsel64",
        Arch::Mipsel64N32 => "mips3l64n32",
        Arch::Ppc64le => "ppc64le",
        Arch::S390 => "s390",
        Arch::S390x => "s390x",
        Arch::Riscv64 => "riscv64",
        _ => "",
    }
}
