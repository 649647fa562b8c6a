//! What the global options say.

use std::path::PathBuf;

use crate::args::{Flag, Parsed, switch, value};
use crate::error::Error;
use crate::output::{Format, Log};

/// Where states lie unless `--root` says otherwise.
const DEFAULT_ROOT: &str = "/run/wharf-oci";

pub(crate) const GLOBAL_FLAGS: &[Flag] = &[
    switch("debug", "enable debug logging"),
    value("log", "set the log file to write logs to (default is '/dev/stderr')"),
    value("log-format", "set the log format ('text' (default), or 'json')"),
    value("root", "root directory for storage of container state (default: \"/run/wharf-oci\")"),
    switch(
        "systemd-cgroup",
        "expect cgroupsPath to be of form \"slice:prefix:name\", for e.g. \"system.slice:wharf:434234\"",
    ),
    value("rootless", "ignore cgroup permission errors ('true', 'false', or 'auto')"),
    value("criu", "accepted for compatibility"),
    switch("help", "show help").short('h'),
    switch("version", "print the version").short('v'),
];

/// The global options, decided.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) root: PathBuf,
    pub(crate) log: Log,
    pub(crate) systemd_cgroup: bool,
    pub(crate) rootless: bool,
}

impl Context {
    /// Sets `log` up first, so that errors about the rest go there already.
    pub(crate) fn new(args: &Parsed, log: &mut Log) -> Result<Self, Error> {
        log.debug = args.is_set("debug");
        log.format = match args.value("log-format") {
            None | Some("text" | "") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => return Err(Error::Usage(format!("invalid log-format: {other}"))),
        };
        log.open(args.value("log").unwrap_or_default())?;
        let unprivileged = !rustix::process::geteuid().is_root();
        let rootless = match args.value("rootless") {
            None | Some("auto" | "") => unprivileged,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => return Err(Error::Usage(format!("invalid value {other:?} for flag -rootless"))),
        };
        let root = match args.value("root").filter(|root| !root.is_empty()) {
            Some(root) => PathBuf::from(root),
            None => default_root(unprivileged),
        };
        let systemd_cgroup = args.is_set("systemd-cgroup");
        Ok(Self { root, log: std::mem::take(log), systemd_cgroup, rootless })
    }

    /// The container ID of a command that takes nothing else.
    pub(crate) fn only_id<'a>(&self, args: &'a Parsed, command: &str) -> Result<&'a str, Error> {
        match &args.rest[..] {
            [id] => Ok(id),
            _ => Err(Error::Usage(format!("wharf-oci: {command:?} requires exactly 1 argument(s)"))),
        }
    }
}

fn default_root(unprivileged: bool) -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| unprivileged && !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("wharf-oci"),
        None => PathBuf::from(DEFAULT_ROOT),
    }
}
