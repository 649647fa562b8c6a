//! A declaration, checked and completed with the engine's defaults: what `inspect` shows from then on.

use wharf_api::container::{Config, HealthConfig, HostConfig, LogConfig};

use super::restart::Policy;
use crate::live::Live;
use crate::oci::limits::{self, Abilities};
use crate::oci::security::{MASKED, Options, READONLY};
use crate::{Config as EngineConfig, Error, Result, detach_keys, signals};

/// Log drivers that there are.
pub(crate) const LOG_DRIVERS: &[&str] = &["json-file", "local", "none"];
/// Options of the json-file driver.
const JSON_FILE_OPTIONS: &[&str] = &[
    "max-file",
    "max-size",
    "compress",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
    "mode",
    "max-buffer-size",
];

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::InvalidParameter(message.into()))
}

/// Checks what does not depend on the image.
pub(crate) fn check(config: &Config, host: &HostConfig) -> Result<()> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        ));
    }
    if !config.stop_signal.is_empty() {
        signals::parse(&config.stop_signal).map_err(|e| Error::InvalidParameter(e.to_string()))?;
    }
    for entry in config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') {
            return invalid(format!("invalid environment variable: {entry}"));
        }
    }
    if let Some(health) = &config.healthcheck {
        check_health(health)?;
    }
    if config.network_disabled && !matches!(host.network_mode.as_str(), "" | "none" | "default") {
        return invalid("conflicting options: network disabled and a network mode");
    }
    check_borrowed_network(config, host)?;
    check_host(host)
}

/// What belongs to a network stack cannot be declared by a container that borrows somebody else's.
fn check_borrowed_network(config: &Config, host: &HostConfig) -> Result<()> {
    fn any<T>(list: &Option<Vec<T>>) -> bool {
        list.as_ref().is_some_and(|list| !list.is_empty())
    }
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return invalid("conflicting options: hostname and the UTS mode");
    }
    let undefined = "can't be used with links. This would result in undefined behavior";
    if host.network_mode == "host" && any(&host.links) {
        return invalid(format!("conflicting options: host type networking {undefined}"));
    }
    if !host.network_mode.starts_with("container:") {
        return Ok(());
    }
    let conflicts = [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (any(&host.links), "container type network can't be used with links. This would result in undefined behavior"),
        (any(&host.dns), "dns and the network mode"),
        (any(&host.extra_hosts), "custom host-to-IP mapping and the network mode"),
        (
            host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty()),
            "port publishing and the container type network mode",
        ),
        (
            config.exposed_ports.as_ref().is_some_and(|ports| !ports.is_empty()),
            "port exposing and the container type network mode",
        ),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        Some((_, what)) => invalid(format!("conflicting options: {what}")),
        None => Ok(()),
    }
}

fn check_health(health: &HealthConfig) -> Result<()> {
    let times = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    for (name, nanoseconds) in times {
        if nanoseconds != 0 && nanoseconds < 1_000_000 {
            return invalid(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
    }
    if health.retries < 0 {
        return invalid("Retries in Healthcheck cannot be negative");
    }
    Ok(())
}

fn check_host(host: &HostConfig) -> Result<()> {
    restart_policy(host)?;
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return invalid("can't create 'AutoRemove' container with restart policy");
    }
    for (name, value, known) in [
        ("PID", &host.pid_mode, &["", "host"][..]),
        ("IPC", &host.ipc_mode, &["", "none", "private", "shareable", "host"]),
    ] {
        let joins = value.strip_prefix("container:").is_some_and(|other| !other.is_empty());
        if !joins && !known.contains(&value.as_str()) {
            return invalid(format!("invalid {name} mode: {value}"));
        }
    }
    for (name, value) in [("UTS", &host.uts_mode), ("user namespace", &host.userns_mode)] {
        if !["", "host"].contains(&value.as_str()) {
            return invalid(format!("invalid {name} mode: {value}"));
        }
    }
    if !["", "host", "private"].contains(&host.cgroupns_mode.as_str()) {
        return invalid(format!("invalid cgroup namespace mode: {}", host.cgroupns_mode));
    }
    if host.network_mode.strip_prefix("container:").is_some_and(str::is_empty) {
        return invalid("invalid network mode: invalid container format container:<name|id>");
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return invalid(format!("Invalid value {}, range for oom score adj is [-1000, 1000]", host.oom_score_adj));
    }
    if host.shm_size < 0 {
        return invalid("SHM size can not be less than 0");
    }
    if !host.isolation.is_empty() && host.isolation != "default" {
        return invalid(format!("invalid isolation ({}): linux only supports 'default'", host.isolation));
    }
    if host.resources.device_requests.as_ref().is_some_and(|r| !r.is_empty()) {
        return invalid("could not select device driver \"\" with capabilities: [[gpu]]");
    }
    Options::parse(host.security_opt.as_deref().unwrap_or_default())?;
    crate::oci::security::capabilities(host)?;
    for entry in host.extra_hosts.iter().flatten() {
        let good = entry.split_once([':', '=']).is_some_and(|(name, address)| !name.is_empty() && !address.is_empty());
        if !good {
            return invalid(format!("bad format for add-host: {entry:?}"));
        }
    }
    check_log(&host.log_config)
}

fn check_log(log: &LogConfig) -> Result<()> {
    if !log.kind.is_empty() && !LOG_DRIVERS.contains(&log.kind.as_str()) {
        return invalid(format!("error looking up logging plugin {0}: plugin \"{0}\" not found", log.kind));
    }
    let unknown = |key: &&String| match key.as_str() {
        "mode" | "max-buffer-size" | "cache-disabled" | "cache-max-size" | "cache-max-file" | "cache-compress" => false,
        "max-size" | "max-file" | "compress" => false,
        key => log.kind == "local" || (log.kind != "none" && !JSON_FILE_OPTIONS.contains(&key)),
    };
    match log.config.iter().flatten().map(|(key, _)| key).find(unknown) {
        Some(key) if log.kind == "local" => invalid(format!("unknown log opt '{key}' for log driver local")),
        Some(key) => invalid(format!("unknown log opt '{key}' for json-file log driver")),
        None => Ok(()),
    }
}

/// The declared restart policy.
pub(crate) fn restart_policy(host: &HostConfig) -> Result<Policy> {
    let declared = &host.restart_policy;
    let policy = Policy::parse(&declared.name, declared.maximum_retry_count.into()).ok_or_else(|| {
        Error::InvalidParameter(format!(
            "invalid restart policy: unknown policy '{}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
            declared.name
        ))
    })?;
    if declared.maximum_retry_count < 0 {
        return invalid("invalid restart policy: maximum retry count cannot be negative");
    }
    if declared.maximum_retry_count != 0 && !matches!(policy, Policy::OnFailure(_)) {
        return invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
    }
    Ok(policy)
}

/// Fills in the engine's defaults and takes back what the kernel cannot do; answers warnings.
pub(crate) fn complete(
    host: &mut HostConfig,
    engine: &EngineConfig,
    live: &Live,
    can: &Abilities,
    unified: bool,
) -> Result<Vec<String>> {
    if matches!(host.network_mode.as_str(), "" | "default") {
        host.network_mode = if engine.bridge == "none" { "none" } else { "bridge" }.into();
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode.clone_from(&engine.ipc_mode);
    }
    if host.cgroupns_mode.is_empty() {
        let default = engine.cgroupns_mode.as_deref().unwrap_or(if unified { "private" } else { "host" });
        host.cgroupns_mode = if host.privileged { "host" } else { default }.into();
    }
    if host.shm_size == 0 {
        host.shm_size = i64::try_from(engine.default_shm_size).unwrap_or(i64::MAX);
    }
    crate::runtimes::find(&live.runtimes, &host.runtime)?;
    if host.runtime.is_empty() {
        host.runtime.clone_from(&live.default_runtime);
    }
    if host.log_config.kind.is_empty() {
        host.log_config.kind.clone_from(&engine.log_driver);
        if host.log_config.config.as_ref().is_none_or(|c| c.is_empty()) {
            host.log_config.config = Some(engine.log_opts.clone());
        }
    }
    host.log_config.config.get_or_insert_default();
    let unlabelled = host.privileged || host.ipc_mode == "host" || host.pid_mode == "host";
    if unlabelled && host.security_opt.as_ref().is_none_or(Vec::is_empty) {
        host.security_opt = Some(vec!["label=disable".into()]);
    }
    let options = Options::parse(host.security_opt.as_deref().unwrap_or_default())?;
    if host.privileged || options.system_paths_unconfined {
        (host.masked_paths, host.readonly_paths) = (None, None);
    } else {
        let list = |paths: &[&str]| Some(paths.iter().map(|p| (*p).to_owned()).collect());
        host.masked_paths = host.masked_paths.take().or_else(|| list(MASKED));
        host.readonly_paths = host.readonly_paths.take().or_else(|| list(READONLY));
    }
    let resources = &mut host.resources;
    if resources.memory > 0 && resources.memory_swap == 0 {
        resources.memory_swap = resources.memory.saturating_mul(2);
    }
    resources.pids_limit = resources.pids_limit.filter(|n| *n > 0);
    resources.oom_kill_disable.get_or_insert(false);
    resources.cpu_shares = resources.cpu_shares.clamp(0, 262_144);
    let mut warnings = limits::check(resources, can, false)?;
    // looked at here so that a mistake is an answer to create, not to start
    limits::limits(resources)?;
    if host.port_bindings.as_ref().is_some_and(|p| !p.is_empty()) && host.network_mode == "host" {
        warnings.push("Published ports are discarded when using host network mode".into());
    }
    Ok(warnings)
}

/// Checks Docker's notation of detach keys.
pub(crate) fn keys(text: Option<&str>) -> Result<Vec<u8>> {
    detach_keys::parse(text.unwrap_or_default())
}
