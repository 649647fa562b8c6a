//! Rules of a document as a table per kernel architecture: which interval of call numbers gets what.

use crate::Error;
use std::collections::BTreeMap;
use wharf_spec::seccomp::{Action, Arch, LinuxSeccomp, SeccompArg, SyscallRule, syscalls};

/// What a filter returns (`SECCOMP_RET_*` with its data).
pub(super) type Verdict = u32;

pub(super) const KILL_THREAD: Verdict = 0;
const KILL_PROCESS: Verdict = 0x8000_0000;
const TRAP: Verdict = 0x0003_0000;
const ERRNO: Verdict = 0x0005_0000;
const NOTIFY: Verdict = 0x7fc0_0000;
const TRACE: Verdict = 0x7ff0_0000;
const LOG: Verdict = 0x7ffc_0000;
const ALLOW: Verdict = 0x7fff_0000;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The bit that x32 calls carry.
const X32_BIT: u32 = 1 << 30;

/// What happens to one call number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaf {
    /// Always this.
    Always(Verdict),
    /// The first chain whose conditions all hold decides, else the last field.
    Chains(Vec<(Vec<SeccompArg>, Verdict)>, Verdict),
}

/// The calls that share one audit architecture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// `AUDIT_ARCH_*`
    pub(super) audit: u32,
    /// Whether arguments have 32 bits.
    pub(super) narrow: bool,
    /// First number of each interval (the first is 0) and what its calls get.
    pub(super) intervals: Vec<(u32, Leaf)>,
}

/// One block per audit architecture, the native one first.
pub(super) fn blocks(document: &LinuxSeccomp, architectures: &[Arch]) -> Result<Vec<Block>, Error> {
    let mut blocks: Vec<Block> = Vec::new();
    for arch in architectures.iter().filter(|arch| **arch != Arch::X32) {
        let audit = arch.audit().ok_or_else(|| Error::unsupported("linux.seccomp", format!("{arch:?}")))?;
        let mut intervals = intervals(&rules(document, *arch)?, document, 0)?;
        if *arch == Arch::X86_64 {
            if architectures.contains(&Arch::X32) {
                intervals.extend(self::intervals(&rules(document, Arch::X32)?, document, X32_BIT)?);
            } else {
                intervals.push((X32_BIT, Leaf::Always(KILL_THREAD)));
            }
            // a tracer that skips a call leaves −1 as its number
            intervals.push((u32::MAX, Leaf::Always(default_verdict(document)?)));
        }
        intervals.dedup_by(|later, earlier| later.1 == earlier.1);
        blocks.push(Block { audit, narrow: matches!(arch, Arch::X86 | Arch::Arm), intervals });
    }
    Ok(blocks)
}

/// What each named call of an architecture gets.
fn rules(document: &LinuxSeccomp, arch: Arch) -> Result<BTreeMap<u32, Leaf>, Error> {
    let default = default_verdict(document)?;
    let mut calls: BTreeMap<u32, Leaf> = BTreeMap::new();
    for rule in &document.syscalls {
        let verdict = verdict(rule.action, rule.errno_ret)?;
        for name in &rule.names {
            if let Some(number) = syscalls::number(arch, name) {
                for conditions in alternatives(rule)? {
                    add(&mut calls, number, conditions, verdict, default);
                }
            }
            if let (Arch::X86, true, Some((multiplexer, call))) = (arch, rule.args.is_empty(), multiplexed(name)) {
                // 32-bit programs reach sockets and System V IPC through one call with a selector as well
                let selector =
                    SeccompArg { index: 0, value: call, value_two: 0, op: wharf_spec::seccomp::Operator::Equal };
                if let Some(number) = syscalls::number(arch, multiplexer) {
                    add(&mut calls, number, vec![selector], verdict, default);
                }
            }
        }
    }
    Ok(calls)
}

fn add(calls: &mut BTreeMap<u32, Leaf>, number: u32, conditions: Vec<SeccompArg>, verdict: Verdict, default: Verdict) {
    let leaf = calls.entry(number).or_insert_with(|| Leaf::Chains(Vec::new(), default));
    match leaf {
        Leaf::Always(_) => {}
        Leaf::Chains(..) if conditions.is_empty() => *leaf = Leaf::Always(verdict),
        Leaf::Chains(chains, _) => chains.push((conditions, verdict)),
    }
}

/// The conditions of a rule as alternatives: several conditions on one argument are one alternative each.
fn alternatives(rule: &SyscallRule) -> Result<Vec<Vec<SeccompArg>>, Error> {
    for arg in &rule.args {
        if arg.index > 5 {
            return Err(Error::invalid("linux.seccomp", format!("argument index {} is above 5", arg.index)));
        }
    }
    let count = |index: u32| rule.args.iter().filter(|arg| arg.index == index).count();
    if rule.args.iter().any(|arg| count(arg.index) > 1) {
        return Ok(rule.args.iter().map(|arg| vec![*arg]).collect());
    }
    Ok(vec![rule.args.clone()])
}

/// The named calls and the gaps between them, from `base` up.
fn intervals(calls: &BTreeMap<u32, Leaf>, document: &LinuxSeccomp, base: u32) -> Result<Vec<(u32, Leaf)>, Error> {
    let default = Leaf::Always(default_verdict(document)?);
    let mut out: Vec<(u32, Leaf)> = Vec::with_capacity(calls.len() * 2 + 2);
    let mut next = Some(base);
    for (number, leaf) in calls {
        if let Some(gap) = next.filter(|gap| gap < number) {
            push(&mut out, gap, default.clone());
        }
        push(&mut out, *number, leaf.clone());
        next = number.checked_add(1);
    }
    if let Some(rest) = next {
        push(&mut out, rest, beyond(document, calls.is_empty())?);
    }
    Ok(out)
}

fn push(out: &mut Vec<(u32, Leaf)>, start: u32, leaf: Leaf) {
    if out.last().is_none_or(|last| last.1 != leaf) {
        out.push((start, leaf));
    }
}

/// What calls beyond the last named one get.
fn beyond(document: &LinuxSeccomp, nothing_named: bool) -> Result<Leaf, Error> {
    let refuses = matches!(
        document.default_action,
        Action::Kill | Action::KillProcess | Action::KillThread | Action::Trap | Action::Errno
    );
    let verdict = if refuses && !nothing_named { ERRNO | ENOSYS } else { default_verdict(document)? };
    Ok(Leaf::Always(verdict))
}

pub(super) fn default_verdict(document: &LinuxSeccomp) -> Result<Verdict, Error> {
    verdict(document.default_action, document.default_errno_ret)
}

fn verdict(action: Action, data: Option<u32>) -> Result<Verdict, Error> {
    let data = data.unwrap_or(EPERM);
    if data > 0xffff {
        return Err(Error::invalid("linux.seccomp", format!("errnoRet {data} does not fit 16 bits")));
    }
    Ok(match action {
        Action::Kill | Action::KillThread => KILL_THREAD,
        Action::KillProcess => KILL_PROCESS,
        Action::Trap => TRAP,
        // the kernel cuts larger numbers to its own maximum
        Action::Errno => ERRNO | data.min(4095),
        Action::Trace => TRACE | data,
        Action::Allow => ALLOW,
        Action::Log => LOG,
        Action::Notify => NOTIFY,
    })
}

/// `socketcall` and `ipc` of 32-bit x86 with the selector of a call.
fn multiplexed(name: &str) -> Option<(&'static str, u64)> {
    const SOCKET: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    if let Some(at) = SOCKET.iter().position(|call| *call == name) {
        return Some(("socketcall", at as u64 + 1));
    }
    IPC.iter().find(|entry| entry.0 == name).map(|entry| ("ipc", entry.1))
}
