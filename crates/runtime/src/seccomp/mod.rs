//! From a seccomp document to a finished filter.
//!
//! ```text
//! LinuxSeccomp ─rules─▶ per architecture: number ─▶ Leaf ─table─▶ intervals ─assemble─▶ Program (classic BPF)
//!                                                                        (binary search over numbers)
//! ```
//!
//! How rules combine (as libseccomp and runc do it): a rule without conditions decides its calls, whatever conditional
//! rules say; among conditional ones the first that matches decides; calls that no rule matches get the default action.
//! Several conditions on one argument are alternatives, conditions on different arguments must all hold. Calls newer than
//! everything the document names get `ENOSYS` rather than a refusing default, so that C libraries fall back. Foreign
//! architectures kill.

mod assemble;
mod program;
mod table;
#[cfg(test)]
mod tests;

pub use program::Program;

use crate::Error;
use crate::plan::SeccompPlan;
use std::sync::Mutex;
use wharf_spec::seccomp::{Action, Arch, LinuxSeccomp};
use wharf_sys::seccomp::flag;

/// How many compiled filters are kept: a daemon meets a handful (one per set of capabilities).
const CACHED: usize = 16;

/// Compiles a document, or takes the result of an equal one compiled before.
///
/// # Errors
/// What of the document is wrong or not supported.
pub fn compile(document: &LinuxSeccomp) -> Result<SeccompPlan, Error> {
    static CACHE: Mutex<Vec<(LinuxSeccomp, SeccompPlan)>> = Mutex::new(Vec::new());
    let cached =
        |cache: &[(LinuxSeccomp, SeccompPlan)]| cache.iter().find(|entry| entry.0 == *document).map(|e| e.1.clone());
    if let Some(hit) = CACHE.lock().ok().and_then(|cache| cached(&cache)) {
        return Ok(hit);
    }
    let plan = compile_uncached(document)?;
    if let Ok(mut cache) = CACHE.lock() {
        cache.truncate(CACHED - 1);
        cache.insert(0, (document.clone(), plan.clone()));
    }
    Ok(plan)
}

/// [`compile`] without the cache.
///
/// # Errors
/// As [`compile`].
pub fn compile_uncached(document: &LinuxSeccomp) -> Result<SeccompPlan, Error> {
    let listener = listener(document)?;
    let mut flags = flags(&document.flags)?;
    if listener.is_some() {
        flags |= flag::NEW_LISTENER;
    } else {
        // about waiting for an agent; the kernel refuses it without one
        flags &= !flag::WAIT_KILLABLE_RECV;
    }
    let architectures = architectures(document)?;
    let blocks = table::blocks(document, &architectures)?;
    let program = assemble::program(&blocks);
    if program.0.len() > 4096 {
        return Err(Error::unsupported("linux.seccomp", "the filter is longer than the kernel's 4096 instructions"));
    }
    Ok(SeccompPlan { program, flags, listener })
}

/// Names of the flags that this runtime knows, for the `features` document.
pub const KNOWN_FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

fn flags(names: &[String]) -> Result<u32, Error> {
    if names.is_empty() {
        // without it, kernels before 5.16 switch speculation off for the process, at a high price
        return Ok(flag::SPEC_ALLOW);
    }
    let mut bits = 0;
    for name in names {
        bits |= match name.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => 0, // one thread: nothing to synchronise, and it excludes a listener
            "SECCOMP_FILTER_FLAG_LOG" => flag::LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => flag::SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => flag::WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_NEW_LISTENER" => 0, // follows from the rules
            other => return Err(Error::invalid("linux.seccomp.flags", format!("unknown flag {other:?}"))),
        };
    }
    Ok(bits)
}

fn listener(document: &LinuxSeccomp) -> Result<Option<(std::ffi::CString, String)>, Error> {
    const FIELD: &str = "linux.seccomp";
    if document.default_action == Action::Notify {
        return Err(Error::invalid(FIELD, "SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    let notifies = document.syscalls.iter().filter(|rule| rule.action == Action::Notify);
    for rule in notifies.clone() {
        // the call that hands the listener over must not wait for the listener
        if rule.names.iter().any(|name| name == "sendmsg") {
            return Err(Error::invalid(FIELD, "SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall"));
        }
    }
    if notifies.count() == 0 {
        return Ok(None);
    }
    let path = document.listener_path.as_ref().filter(|path| !path.as_os_str().is_empty());
    let path = path.ok_or_else(|| Error::invalid(FIELD, "SCMP_ACT_NOTIFY needs listenerPath"))?;
    let metadata = document.listener_metadata.clone().unwrap_or_default();
    Ok(Some((crate::plan::options::c_path(path)?, metadata)))
}

/// The native architecture and the listed ones, each once.
fn architectures(document: &LinuxSeccomp) -> Result<Vec<Arch>, Error> {
    let mut out = vec![Arch::NATIVE];
    for arch in &document.architectures {
        let arch = if *arch == Arch::Native { Arch::NATIVE } else { *arch };
        // the kernel of one machine family never runs programs of another, so their rules would be dead code
        if foreign(arch) {
            continue;
        }
        if arch.audit().is_none() {
            return Err(Error::unsupported("linux.seccomp.architectures", format!("{arch:?}: no system call table")));
        }
        if !out.contains(&arch) {
            out.push(arch);
        }
    }
    Ok(out)
}

fn foreign(arch: Arch) -> bool {
    match Arch::NATIVE {
        Arch::Aarch64 => !matches!(arch, Arch::Aarch64 | Arch::Arm),
        _ => !matches!(arch, Arch::X86_64 | Arch::X86 | Arch::X32),
    }
}
