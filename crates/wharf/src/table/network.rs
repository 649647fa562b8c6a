//! Commands and flags of networks.

use super::{Action, Args, Check, Command, Flag, Kind};

static NETWORK_CONNECT_FLAGS: &[Flag] = &[
    Flag::new("alias", Kind::Strings, "Add network-scoped alias for the container"),
    Flag::new("driver-opt", Kind::Strings, "driver options for the network"),
    Flag::new(
        "gw-priority",
        Kind::Int,
        "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
    ),
    Flag::new("ip", Kind::Text, "IPv4 address (e.g., \"172.30.100.104\")"),
    Flag::new("ip6", Kind::Text, "IPv6 address (e.g., \"2001:db8::33\")"),
    Flag::new("link", Kind::List(Check::Link), "Add link to another container"),
    Flag::new("link-local-ip", Kind::Strings, "Add a link-local address for the container"),
];

static NETWORK_CREATE_FLAGS: &[Flag] = &[
    Flag::new("attachable", Kind::Bool, "Enable manual container attachment"),
    Flag::new("aux-address", Kind::Map, "Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])"),
    Flag::new("config-from", Kind::Text, "The network from which to copy the configuration"),
    Flag::new("config-only", Kind::Bool, "Create a configuration only network"),
    Flag::new("driver", Kind::Text, "Driver to manage the Network (default \"bridge\")").short('d'),
    Flag::new("gateway", Kind::Strings, "IPv4 or IPv6 Gateway for the master subnet"),
    Flag::new("ingress", Kind::Bool, "Create swarm routing-mesh network"),
    Flag::new("internal", Kind::Bool, "Restrict external access to the network"),
    Flag::new("ip-range", Kind::Strings, "Allocate container ip from a sub-range"),
    Flag::new("ipam-driver", Kind::Text, "IP Address Management Driver (default \"default\")"),
    Flag::new("ipam-opt", Kind::Map, "Set IPAM driver specific options (default map[])"),
    Flag::new("ipv4", Kind::Bool, "Enable or disable IPv4 address assignment (default true)"),
    Flag::new("ipv6", Kind::Bool, "Enable or disable IPv6 address assignment"),
    Flag::new("label", Kind::List(Check::Label), "Set metadata on a network"),
    Flag::new("opt", Kind::Map, "Set driver specific options (default map[])").short('o'),
    Flag::new("scope", Kind::Text, "Control the network's scope"),
    Flag::new("subnet", Kind::Strings, "Subnet in CIDR format that represents a network segment"),
];

static NETWORK_DISCONNECT_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Force the container to disconnect from a network").short('f')];

static NETWORK_INSPECT_FLAGS: &[Flag] =
    &[Flag::FORMAT.short('f'), Flag::new("verbose", Kind::Bool, "Verbose output for diagnostics").short('v')];

static NETWORK_LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"driver=bridge\")").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("no-trunc", Kind::Bool, "Do not truncate the output"),
    Flag::new("quiet", Kind::Bool, "Only display network IDs").short('q'),
];

static NETWORK_PRUNE_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    Flag::new("force", Kind::Bool, "Do not prompt for confirmation").short('f'),
];

static NETWORK_RM_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Do not error if the network does not exist").short('f')];

/// `network connect`
pub(super) static NETWORK_CONNECT: Command = Command {
    name: "connect",
    aliases: &[],
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    flags: &[NETWORK_CONNECT_FLAGS],
    args: Args::Exact(2),
    action: Action::NetworkConnect,
    ..Command::EMPTY
};

/// `network create`
pub(super) static NETWORK_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] NETWORK",
    about: "Create a network",
    flags: &[NETWORK_CREATE_FLAGS],
    args: Args::Exact(1),
    action: Action::NetworkCreate,
    ..Command::EMPTY
};

/// `network disconnect`
pub(super) static NETWORK_DISCONNECT: Command = Command {
    name: "disconnect",
    aliases: &[],
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    flags: &[NETWORK_DISCONNECT_FLAGS],
    args: Args::Exact(2),
    action: Action::NetworkDisconnect,
    ..Command::EMPTY
};

/// `network inspect`
pub(super) static NETWORK_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Display detailed information on one or more networks",
    flags: &[NETWORK_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::NetworkInspect,
    ..Command::EMPTY
};

/// `network ls`
pub(super) static NETWORK_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List networks",
    same_as: "{} network ls, {} network list",
    flags: &[NETWORK_LS_FLAGS],
    args: Args::Nothing,
    action: Action::NetworkLs,
    ..Command::EMPTY
};

/// `network prune`
pub(super) static NETWORK_PRUNE: Command = Command {
    name: "prune",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Remove all unused networks",
    flags: &[NETWORK_PRUNE_FLAGS],
    args: Args::Nothing,
    action: Action::NetworkPrune,
    ..Command::EMPTY
};

/// `network rm`
pub(super) static NETWORK_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    same_as: "{} network rm, {} network remove",
    flags: &[NETWORK_RM_FLAGS],
    args: Args::Min(1),
    action: Action::NetworkRm,
    ..Command::EMPTY
};

/// `network rules`
pub(super) static NETWORK_RULES: Command = Command {
    name: "rules",
    aliases: &[],
    usage: "[OPTIONS] [NETWORK...]",
    about: "Explain what is open on networks, and by which firewall rules",
    flags: &[NETWORK_RULES_FLAGS],
    args: Args::Any,
    action: Action::NetworkRules,
    ..Command::EMPTY
};

static NETWORK_RULES_FLAGS: &[Flag] = &[Flag::new("words", Kind::Bool, "Only the words, without the rules")];
