//! Commands and flags of the cluster itself.

use crate::table::{Action, Args, Command, Flag, Kind, Needs, Section};

pub(crate) static SWARM: Command = Command {
    name: "swarm",
    usage: "COMMAND",
    about: "Manage Swarm",
    commands: &[&CA, &INIT, &JOIN, &JOIN_TOKEN, &LEAVE, &UNLOCK, &UNLOCK_KEY, &UPDATE],
    section: Section::Swarm,
    ..Command::EMPTY
};

static CA_FLAGS: &[Flag] = &[
    Flag::new(
        "ca-cert",
        Kind::Other("pem-file"),
        "Path to the PEM-formatted root CA certificate to use for the new cluster",
    ),
    Flag::new("ca-key", Kind::Other("pem-file"), "Path to the PEM-formatted root CA key to use for the new cluster"),
    Flag::new(
        "cert-expiry",
        Kind::Duration,
        "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)",
    ),
    Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the root rotation to converge").short('d'),
    Flag::new("external-ca", Kind::Other("external-ca"), "Specifications of one or more certificate signing endpoints"),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
    Flag::new(
        "rotate",
        Kind::Bool,
        "Rotate the swarm CA - if no certificate or key are provided, new ones will be generated",
    ),
];

static INIT_FLAGS: &[Flag] = &[
    Flag::new("advertise-addr", Kind::Text, "Advertised address (format: \"<ip|interface>[:port]\")"),
    Flag::new(
        "autolock",
        Kind::Bool,
        "Enable manager autolocking (requiring an unlock key to start a stopped manager)",
    ),
    Flag::new(
        "availability",
        Kind::Text,
        "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")",
    ),
    Flag::new(
        "cert-expiry",
        Kind::Duration,
        "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)",
    ),
    Flag::new(
        "data-path-addr",
        Kind::Text,
        "Address or interface to use for data path traffic (format: \"<ip|interface>\")",
    ),
    Flag::new(
        "data-path-port",
        Kind::Uint(32),
        "Port number to use for data path traffic (1024 - 49151). If no value is set or is set to 0, the default port (4789) is used.",
    ),
    Flag::new("default-addr-pool", Kind::Other("ipNetSlice"), "default address pool in CIDR format (default [])"),
    Flag::new("default-addr-pool-mask-length", Kind::Uint(32), "default address pool subnet mask length (default 24)"),
    Flag::new("dispatcher-heartbeat", Kind::Duration, "Dispatcher heartbeat period (ns|us|ms|s|m|h) (default 5s)"),
    Flag::new("external-ca", Kind::Other("external-ca"), "Specifications of one or more certificate signing endpoints"),
    Flag::new("force-new-cluster", Kind::Bool, "Force create a new cluster from current state"),
    Flag::new(
        "listen-addr",
        Kind::Other("node-addr"),
        "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)",
    ),
    Flag::new("max-snapshots", Kind::Uint(64), "Number of additional Raft snapshots to retain"),
    Flag::new("snapshot-interval", Kind::Uint(64), "Number of log entries between Raft snapshots (default 10000)"),
    Flag::new("task-history-limit", Kind::Int, "Task history retention limit (default 5)"),
];

static JOIN_TOKEN_FLAGS: &[Flag] = &[
    Flag::new("quiet", Kind::Bool, "Only display token").short('q'),
    Flag::new("rotate", Kind::Bool, "Rotate join token"),
];

static JOIN_FLAGS: &[Flag] = &[
    Flag::new("advertise-addr", Kind::Text, "Advertised address (format: \"<ip|interface>[:port]\")"),
    Flag::new(
        "availability",
        Kind::Text,
        "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")",
    ),
    Flag::new(
        "data-path-addr",
        Kind::Text,
        "Address or interface to use for data path traffic (format: \"<ip|interface>\")",
    ),
    Flag::new(
        "listen-addr",
        Kind::Other("node-addr"),
        "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)",
    ),
    Flag::new("token", Kind::Text, "Token for entry into the swarm"),
];

static LEAVE_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Force this node to leave the swarm, ignoring warnings").short('f')];

static UNLOCK_KEY_FLAGS: &[Flag] = &[
    Flag::new("quiet", Kind::Bool, "Only display token").short('q'),
    Flag::new("rotate", Kind::Bool, "Rotate unlock key"),
];

static UPDATE_FLAGS: &[Flag] = &[
    Flag::new("autolock", Kind::Bool, "Change manager autolocking setting (true|false)"),
    Flag::new(
        "cert-expiry",
        Kind::Duration,
        "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)",
    ),
    Flag::new("dispatcher-heartbeat", Kind::Duration, "Dispatcher heartbeat period (ns|us|ms|s|m|h) (default 5s)"),
    Flag::new("external-ca", Kind::Other("external-ca"), "Specifications of one or more certificate signing endpoints"),
    Flag::new("max-snapshots", Kind::Uint(64), "Number of additional Raft snapshots to retain"),
    Flag::new("snapshot-interval", Kind::Uint(64), "Number of log entries between Raft snapshots (default 10000)"),
    Flag::new("task-history-limit", Kind::Int, "Task history retention limit (default 5)"),
];

/// `swarm ca`
static CA: Command = Command {
    name: "ca",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Display and rotate the root CA",
    flags: &[CA_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmCa,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

/// `swarm init`
static INIT: Command = Command {
    name: "init",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Initialize a swarm",
    flags: &[INIT_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmInit,
    ..Command::EMPTY
};

/// `swarm join-token`
static JOIN_TOKEN: Command = Command {
    name: "join-token",
    aliases: &[],
    usage: "[OPTIONS] (worker|manager)",
    about: "Manage join tokens",
    flags: &[JOIN_TOKEN_FLAGS],
    args: Args::Exact(1),
    action: Action::SwarmJoinToken,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

/// `swarm join`
static JOIN: Command = Command {
    name: "join",
    aliases: &[],
    usage: "[OPTIONS] HOST:PORT",
    about: "Join a swarm as a node and/or manager",
    flags: &[JOIN_FLAGS],
    args: Args::Exact(1),
    action: Action::SwarmJoin,
    ..Command::EMPTY
};

/// `swarm leave`
static LEAVE: Command = Command {
    name: "leave",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Leave the swarm",
    flags: &[LEAVE_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmLeave,
    needs: Needs::SwarmActive,
    ..Command::EMPTY
};

/// `swarm unlock-key`
static UNLOCK_KEY: Command = Command {
    name: "unlock-key",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Manage the unlock key",
    flags: &[UNLOCK_KEY_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmUnlockKey,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

/// `swarm unlock`
static UNLOCK: Command = Command {
    name: "unlock",
    aliases: &[],
    usage: "",
    about: "Unlock swarm",
    flags: &[],
    args: Args::Nothing,
    action: Action::SwarmUnlock,
    needs: Needs::SwarmActive,
    ..Command::EMPTY
};

/// `swarm update`
static UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Update the swarm",
    flags: &[UPDATE_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmUpdate,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};
