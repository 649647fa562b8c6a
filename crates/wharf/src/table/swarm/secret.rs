//! Commands and flags of secrets.

use crate::table::{Action, Args, Check, Command, Flag, Kind, Needs, Section};

pub(crate) static SECRET: Command = Command {
    name: "secret",
    usage: "COMMAND",
    about: "Manage Swarm secrets",
    commands: &[&CREATE, &INSPECT, &LS, &RM],
    section: Section::Swarm,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

static CREATE_FLAGS: &[Flag] = &[
    Flag::new("driver", Kind::Text, "Secret driver").short('d'),
    Flag::new("label", Kind::List(Check::Label), "Secret labels").short('l'),
    Flag::new("template-driver", Kind::Text, "Template driver"),
];

static INSPECT_FLAGS: &[Flag] =
    &[Flag::FORMAT.short('f'), Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format")];

static LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

/// `secret create`
static CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] SECRET [file|-]",
    about: "Create a secret from a file or STDIN as content",
    flags: &[CREATE_FLAGS],
    args: Args::Range(1, 2),
    action: Action::SecretCreate,
    ..Command::EMPTY
};

/// `secret inspect`
static INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] SECRET [SECRET...]",
    about: "Display detailed information on one or more secrets",
    flags: &[INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::SecretInspect,
    ..Command::EMPTY
};

/// `secret ls`
static LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List secrets",
    same_as: "{} secret ls, {} secret list",
    flags: &[LS_FLAGS],
    args: Args::Nothing,
    action: Action::SecretLs,
    ..Command::EMPTY
};

/// `secret rm`
static RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "SECRET [SECRET...]",
    about: "Remove one or more secrets",
    same_as: "{} secret rm, {} secret remove",
    flags: &[],
    args: Args::Min(1),
    action: Action::SecretRm,
    ..Command::EMPTY
};
