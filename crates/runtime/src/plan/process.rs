//! Planning of the process: names become the kernel's numbers.

use super::options::{c_path, c_text, c_texts};
use super::{Capabilities, ProcessPlan, SchedulerPlan};
use crate::Error;
use std::ffi::CString;
use wharf_spec::capability::CapabilitySet;
use wharf_spec::runtime::{
    IoPriority, LinuxCapabilities, LinuxSeccomp, MemoryPolicy, Personality, Process, Rlimit, Scheduler,
};

/// execvp's when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Everything but the filter's place in the document.
pub(super) fn process(
    process: &Process,
    seccomp: Option<&LinuxSeccomp>,
    set_groups: bool,
) -> Result<ProcessPlan, Error> {
    if process.args.is_empty() {
        return Err(Error::invalid("process.args", "must not be empty"));
    }
    if !process.cwd.is_absolute() {
        return Err(Error::invalid("process.cwd", "Cwd must be an absolute path"));
    }
    let seccomp = seccomp.map(crate::seccomp::compile).transpose()?;
    Ok(ProcessPlan {
        argv: c_texts("process.args", &process.args)?,
        env: environment(process)?,
        path: search_path(process)?,
        set_home: !process.env.iter().any(|entry| entry.starts_with("HOME=")),
        cwd: c_path(&process.cwd)?,
        make_cwd: true,
        terminal: terminal(process),
        uid: process.user.uid,
        gid: process.user.gid,
        groups: process.user.additional_gids.clone(),
        set_groups,
        umask: process.user.umask.unwrap_or(0o022),
        capabilities: process.capabilities.as_ref().map(capabilities).unwrap_or_default(),
        no_new_privs: process.no_new_privileges,
        rlimits: rlimits(&process.rlimits)?,
        oom_score_adj: oom_score(process.oom_score_adj)?,
        scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
        io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
        apparmor: label("process.apparmorProfile", process.apparmor_profile.as_deref())?,
        selinux: label("process.selinuxLabel", process.selinux_label.as_deref())?,
        seccomp,
    })
}

fn environment(process: &Process) -> Result<Vec<CString>, Error> {
    let mut env: Vec<CString> = Vec::with_capacity(process.env.len() + 1);
    for entry in &process.env {
        let Some((name, _)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Error::invalid("process.env", format!("{entry:?} is not of the form KEY=value")));
        };
        // of several entries with one name the last counts; the program must not see two
        let same =
            |other: &CString| other.to_bytes().strip_prefix(name.as_bytes()).is_some_and(|r| r.starts_with(b"="));
        env.retain(|other| !same(other));
        env.push(c_text("process.env", entry.as_str())?);
    }
    Ok(env)
}

fn search_path(process: &Process) -> Result<Vec<CString>, Error> {
    let path = process.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    // an empty element means the working directory; nobody is served by running programs from there
    path.split(':').filter(|dir| !dir.is_empty()).map(|dir| c_text("process.env", dir)).collect()
}

fn terminal(process: &Process) -> Option<Option<(u16, u16)>> {
    let cell = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let size = process.console_size.filter(|size| size.width > 0 && size.height > 0);
    process.terminal.then(|| size.map(|size| (cell(size.width), cell(size.height))))
}

fn capabilities(document: &LinuxCapabilities) -> Capabilities {
    // unknown names are left out: the document may be newer than this table or the kernel
    let bits = |names: &[String]| CapabilitySet::parse(names).0.bits();
    Capabilities {
        bounding: bits(&document.bounding),
        effective: bits(&document.effective),
        inheritable: bits(&document.inheritable),
        permitted: bits(&document.permitted),
        ambient: bits(&document.ambient),
    }
}

fn rlimits(list: &[Rlimit]) -> Result<Vec<(u32, u64, u64)>, Error> {
    const NAMES: [&str; 16] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let mut out: Vec<(u32, u64, u64)> = Vec::with_capacity(list.len());
    for limit in list {
        let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or_default();
        let number = NAMES.iter().position(|known| *known == name);
        let number =
            number.ok_or_else(|| Error::invalid("process.rlimits", format!("wrong rlimit value: {}", limit.kind)))?;
        if out.iter().any(|(other, ..)| *other == number as u32) {
            return Err(Error::invalid("process.rlimits", format!("{} appears twice", limit.kind)));
        }
        if limit.soft > limit.hard {
            return Err(Error::invalid("process.rlimits", format!("{}: soft limit above the hard one", limit.kind)));
        }
        out.push((number as u32, limit.soft, limit.hard));
    }
    Ok(out)
}

fn oom_score(value: Option<i32>) -> Result<Option<i32>, Error> {
    match value {
        Some(score) if !(-1000..=1000).contains(&score) => {
            Err(Error::invalid("process.oomScoreAdj", format!("{score} is not between -1000 and 1000")))
        }
        other => Ok(other),
    }
}

fn scheduler(document: &Scheduler) -> Result<SchedulerPlan, Error> {
    const FIELD: &str = "process.scheduler";
    let policy = match document.policy.as_str() {
        "SCHED_OTHER" | "" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_ISO" => 4,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        other => return Err(Error::invalid(FIELD, format!("unknown policy {other:?}"))),
    };
    let mut flags = 0;
    for flag in &document.flags {
        flags |= match flag.as_str() {
            "SCHED_FLAG_RESET_ON_FORK" => 0x01,
            "SCHED_FLAG_RECLAIM" => 0x02,
            "SCHED_FLAG_DL_OVERRUN" => 0x04,
            "SCHED_FLAG_KEEP_POLICY" => 0x08,
            "SCHED_FLAG_KEEP_PARAMS" => 0x10,
            "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
            "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
            other => return Err(Error::invalid(FIELD, format!("unknown flag {other:?}"))),
        };
    }
    let priority =
        u32::try_from(document.priority.unwrap_or(0)).map_err(|_| Error::invalid(FIELD, "negative priority"))?;
    Ok(SchedulerPlan {
        policy,
        flags,
        nice: document.nice.unwrap_or(0),
        priority,
        runtime: document.runtime.unwrap_or(0),
        deadline: document.deadline.unwrap_or(0),
        period: document.period.unwrap_or(0),
    })
}

fn io_priority(document: &IoPriority) -> Result<(u32, u32), Error> {
    const FIELD: &str = "process.ioPriority";
    let class = match document.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(Error::invalid(FIELD, format!("unknown class {other:?}"))),
    };
    let priority = u32::try_from(document.priority).ok().filter(|p| *p < 8);
    Ok((class, priority.ok_or_else(|| Error::invalid(FIELD, "priority is not between 0 and 7"))?))
}

fn label(field: &str, text: Option<&str>) -> Result<Option<CString>, Error> {
    text.filter(|text| !text.is_empty()).map(|text| c_text(field, text)).transpose()
}

/// `personality(2)`'s number.
pub(super) fn personality(document: &Personality) -> Result<u32, Error> {
    if !document.flags.is_empty() {
        return Err(Error::unsupported("linux.personality.flags", "no flag is specified"));
    }
    match document.domain.as_str() {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(8),
        other => Err(Error::invalid("linux.personality.domain", format!("unknown domain {other:?}"))),
    }
}

/// Mode with its flags, and node bits.
pub(super) fn memory_policy(document: &MemoryPolicy) -> Result<(u32, Vec<u64>), Error> {
    const FIELD: &str = "linux.memoryPolicy";
    let mut mode = match document.mode.as_str() {
        "MPOL_DEFAULT" => 0,
        "MPOL_PREFERRED" => 1,
        "MPOL_BIND" => 2,
        "MPOL_INTERLEAVE" => 3,
        "MPOL_LOCAL" => 4,
        "MPOL_PREFERRED_MANY" => 5,
        "MPOL_WEIGHTED_INTERLEAVE" => 6,
        other => return Err(Error::invalid(FIELD, format!("unknown mode {other:?}"))),
    };
    for flag in &document.flags {
        mode |= match flag.as_str() {
            "MPOL_F_NUMA_BALANCING" => 1 << 13,
            "MPOL_F_RELATIVE_NODES" => 1 << 14,
            "MPOL_F_STATIC_NODES" => 1 << 15,
            other => return Err(Error::invalid(FIELD, format!("unknown flag {other:?}"))),
        };
    }
    let nodes = if document.nodes.is_empty() { Vec::new() } else { list_bits(FIELD, &document.nodes)? };
    Ok((mode, nodes))
}

/// Bits of a list like `0-3,7`.
pub(super) fn list_bits(field: &str, text: &str) -> Result<Vec<u64>, Error> {
    let wrong = || Error::invalid(field, format!("{text:?} is not a list like 0-3,7"));
    let mut bits = vec![0u64];
    for part in text.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last): (usize, usize) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if last < first || last >= 8192 {
            return Err(wrong());
        }
        for bit in first..=last {
            if bits.len() <= bit / 64 {
                bits.resize(bit / 64 + 1, 0);
            }
            bits[bit / 64] |= 1 << (bit % 64);
        }
    }
    Ok(bits)
}
