//! Commands and flags of nodes.

use crate::table::{Action, Args, Check, Command, Flag, Kind, Needs, Section};

pub(crate) static NODE: Command = Command {
    name: "node",
    usage: "COMMAND",
    about: "Manage Swarm nodes",
    commands: &[&DEMOTE, &INSPECT, &LS, &PROMOTE, &PS, &RM, &UPDATE],
    section: Section::Swarm,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

static INSPECT_FLAGS: &[Flag] =
    &[Flag::FORMAT.short('f'), Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format")];

static LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static PS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new("format", Kind::Text, "Pretty-print tasks using a Go template"),
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display task IDs").short('q'),
];

static RM_FLAGS: &[Flag] = &[Flag::new("force", Kind::Bool, "Force remove a node from the swarm").short('f')];

static UPDATE_FLAGS: &[Flag] = &[
    Flag::new("availability", Kind::Text, "Availability of the node (\"active\", \"pause\", \"drain\")"),
    Flag::new("label-add", Kind::List(Check::Nothing), "Add or update a node label (\"key=value\")"),
    Flag::new("label-rm", Kind::List(Check::Nothing), "Remove a node label if exists"),
    Flag::new("role", Kind::Text, "Role of the node (\"worker\", \"manager\")"),
];

/// `node demote`
static DEMOTE: Command = Command {
    name: "demote",
    aliases: &[],
    usage: "NODE [NODE...]",
    about: "Demote one or more nodes from manager in the swarm",
    flags: &[],
    args: Args::Min(1),
    action: Action::NodeDemote,
    ..Command::EMPTY
};

/// `node inspect`
static INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] self|NODE [NODE...]",
    about: "Display detailed information on one or more nodes",
    flags: &[INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::NodeInspect,
    ..Command::EMPTY
};

/// `node ls`
static LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List nodes in the swarm",
    same_as: "{} node ls, {} node list",
    flags: &[LS_FLAGS],
    args: Args::Nothing,
    action: Action::NodeLs,
    ..Command::EMPTY
};

/// `node promote`
static PROMOTE: Command = Command {
    name: "promote",
    aliases: &[],
    usage: "NODE [NODE...]",
    about: "Promote one or more nodes to manager in the swarm",
    flags: &[],
    args: Args::Min(1),
    action: Action::NodePromote,
    ..Command::EMPTY
};

/// `node ps`
static PS: Command = Command {
    name: "ps",
    aliases: &[],
    usage: "[OPTIONS] [NODE...]",
    about: "List tasks running on one or more nodes, defaults to current node",
    flags: &[PS_FLAGS],
    args: Args::Any,
    action: Action::NodePs,
    ..Command::EMPTY
};

/// `node rm`
static RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] NODE [NODE...]",
    about: "Remove one or more nodes from the swarm",
    same_as: "{} node rm, {} node remove",
    flags: &[RM_FLAGS],
    args: Args::Min(1),
    action: Action::NodeRm,
    ..Command::EMPTY
};

/// `node update`
static UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] NODE",
    about: "Update a node",
    flags: &[UPDATE_FLAGS],
    args: Args::Exact(1),
    action: Action::NodeUpdate,
    ..Command::EMPTY
};
