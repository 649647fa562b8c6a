//! The `process` of the document: what runs, as whom, with which rights.

use std::path::PathBuf;

use wharf_api::container::{Config, HostConfig, Ulimit};
use wharf_spec::capability::CapabilitySet;
use wharf_spec::runtime::{ConsoleSize, LinuxCapabilities, Process, Rlimit, User};

use super::Ground;
use super::security::{Options, capabilities};
use crate::{Error, ExecConfig, Result};

/// `PATH` when neither the image nor the user says.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where `--init` puts the init.
pub(super) const INIT: &str = "/sbin/docker-init";

pub(super) fn process(config: &Config, host: &HostConfig, ground: &Ground, security: &Options) -> Result<Process> {
    let mut args = ground.args.clone();
    if ground.init.is_some() {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let [height, width] = host.console_size;
    Ok(Process {
        terminal: config.tty,
        console_size: (config.tty && height > 0 && width > 0).then_some(ConsoleSize { height, width }),
        user: user(&ground.user),
        args,
        env: environment(config, ground),
        cwd: PathBuf::from(if config.working_dir.is_empty() { "/" } else { &config.working_dir }),
        capabilities: Some(rights(capabilities(host)?.intersection(ground.available))),
        rlimits: rlimits(host, ground)?,
        no_new_privileges: security.no_new_privileges.unwrap_or(ground.no_new_privileges),
        apparmor_profile: None,
        oom_score_adj: Some(host.oom_score_adj),
        ..Process::default()
    })
}

/// A further process in a running container. `base` is that of its first process.
pub(crate) fn exec(base: &Process, exec: &ExecConfig, who: &crate::users::User, available: CapabilitySet) -> Process {
    let mut env = base.env.clone();
    if exec.tty && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    env.retain(|e| !e.starts_with("HOME="));
    merge(&mut env, &exec.env);
    with_home(&mut env, &who.home);
    Process {
        terminal: exec.tty,
        console_size: exec.console_size.map(|(h, w)| ConsoleSize { height: h.into(), width: w.into() }),
        user: user(who),
        args: exec.cmd.clone(),
        env,
        cwd: if exec.working_dir.is_empty() { base.cwd.clone() } else { PathBuf::from(&exec.working_dir) },
        capabilities: if exec.privileged { Some(rights(available)) } else { base.capabilities.clone() },
        ..base.clone()
    }
}

fn user(who: &crate::users::User) -> User {
    User { uid: who.uid, gid: who.gid, additional_gids: additional(who), ..User::default() }
}

/// Docker puts the primary group among the supplementary ones, too.
fn additional(who: &crate::users::User) -> Vec<u32> {
    let mut groups = who.groups.clone();
    if !groups.contains(&who.gid) {
        groups.insert(0, who.gid);
    }
    groups
}

/// The same capabilities as bounding, effective and permitted set, none inheritable, none ambient.
fn rights(set: CapabilitySet) -> LinuxCapabilities {
    let names = set.names();
    LinuxCapabilities {
        bounding: names.clone(),
        effective: names.clone(),
        permitted: names,
        ..LinuxCapabilities::default()
    }
}

/// `PATH`, `HOSTNAME`, `TERM`, what image and user say, `HOME`.
fn environment(config: &Config, ground: &Ground) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned()];
    if !ground.hostname.is_empty() {
        env.push(format!("HOSTNAME={}", ground.hostname));
    }
    if config.tty {
        env.push("TERM=xterm".into());
    }
    merge(&mut env, &ground.link_env);
    merge(&mut env, config.env.as_deref().unwrap_or_default());
    with_home(&mut env, &ground.user.home);
    env
}

/// `NAME=value` replaces or adds, a name alone removes.
pub(crate) fn merge(env: &mut Vec<String>, more: &[String]) {
    let name = |entry: &str| entry.split_once('=').map_or(entry.to_owned(), |(n, _)| n.to_owned());
    for entry in more {
        let wanted = name(entry);
        let place = env.iter().position(|e| name(e) == wanted);
        match (place, entry.contains('=')) {
            (Some(at), true) => entry.clone_into(&mut env[at]),
            (None, true) => env.push(entry.clone()),
            (Some(at), false) => drop(env.remove(at)),
            (None, false) => {}
        }
    }
}

fn with_home(env: &mut Vec<String>, home: &str) {
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={home}"));
    }
}

/// `--ulimit` over the daemon's defaults.
fn rlimits(host: &HostConfig, ground: &Ground) -> Result<Vec<Rlimit>> {
    let mut limits: Vec<(String, i64, i64)> = ground.ulimits.clone();
    for Ulimit { name, hard, soft } in host.resources.ulimits.iter().flatten().flatten() {
        limits.retain(|(n, ..)| n != name);
        limits.push((name.clone(), *soft, *hard));
    }
    limits.into_iter().map(|(name, soft, hard)| rlimit(&name, soft, hard)).collect()
}

/// Names that setrlimit(2) knows, as `--ulimit` spells them.
const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn rlimit(name: &str, soft: i64, hard: i64) -> Result<Rlimit> {
    if !ULIMITS.contains(&name) {
        return Err(Error::InvalidParameter(format!("invalid ulimit type: {name}")));
    }
    if hard != -1 && (soft == -1 || soft > hard) {
        let hint = format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}");
        return Err(Error::InvalidParameter(hint));
    }
    // -1 is the kernel's "no limit", all bits set
    Ok(Rlimit { kind: format!("RLIMIT_{}", name.to_ascii_uppercase()), hard: hard as u64, soft: soft as u64 })
}
