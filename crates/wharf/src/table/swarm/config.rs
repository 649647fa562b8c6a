//! Commands and flags of configs.

use crate::table::{Action, Args, Check, Command, Flag, Kind, Needs, Section};

pub(crate) static CONFIG: Command = Command {
    name: "config",
    usage: "COMMAND",
    about: "Manage Swarm configs",
    commands: &[&CREATE, &INSPECT, &LS, &RM],
    section: Section::Swarm,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

static CREATE_FLAGS: &[Flag] = &[
    Flag::new("label", Kind::List(Check::Label), "Config labels").short('l'),
    Flag::new("template-driver", Kind::Text, "Template driver"),
];

static INSPECT_FLAGS: &[Flag] =
    &[Flag::FORMAT.short('f'), Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format")];

static LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

/// `config create`
static CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] CONFIG file|-",
    about: "Create a config from a file or STDIN",
    flags: &[CREATE_FLAGS],
    args: Args::Exact(2),
    action: Action::ConfigCreate,
    ..Command::EMPTY
};

/// `config inspect`
static INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] CONFIG [CONFIG...]",
    about: "Display detailed information on one or more configs",
    flags: &[INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::ConfigInspect,
    ..Command::EMPTY
};

/// `config ls`
static LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List configs",
    same_as: "{} config ls, {} config list",
    flags: &[LS_FLAGS],
    args: Args::Nothing,
    action: Action::ConfigLs,
    ..Command::EMPTY
};

/// `config rm`
static RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "CONFIG [CONFIG...]",
    about: "Remove one or more configs",
    same_as: "{} config rm, {} config remove",
    flags: &[],
    args: Args::Min(1),
    action: Action::ConfigRm,
    ..Command::EMPTY
};
