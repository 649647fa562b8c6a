//! Commands and flags of stacks.

use crate::table::{Action, Args, Command, Flag, Kind, Needs, Section};

pub(crate) static STACK: Command = Command {
    name: "stack",
    usage: "COMMAND",
    about: "Manage Swarm stacks",
    commands: &[&CONFIG, &DEPLOY, &LS, &PS, &RM, &SERVICES],
    section: Section::Swarm,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

static CONFIG_FLAGS: &[Flag] = &[
    Flag::new("compose-file", Kind::Strings, "Path to a Compose file, or \"-\" to read from stdin").short('c'),
    Flag::new("skip-interpolation", Kind::Bool, "Skip interpolation and output only merged config"),
];

static DEPLOY_FLAGS: &[Flag] = &[
    Flag::new("compose-file", Kind::Strings, "Path to a Compose file, or \"-\" to read from stdin").short('c'),
    Flag::new(
        "detach",
        Kind::Bool,
        "Exit immediately instead of waiting for the stack services to converge (default true)",
    )
    .short('d'),
    Flag::new("prune", Kind::Bool, "Prune services that are no longer referenced"),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
    Flag::new(
        "resolve-image",
        Kind::Text,
        "Query the registry to resolve image digest and supported platforms (\"always\", \"changed\", \"never\") (default \"always\")",
    ),
    Flag::new("with-registry-auth", Kind::Bool, "Send registry authentication details to Swarm agents"),
];

static LS_FLAGS: &[Flag] = &[Flag::FORMAT_TABLE];

static PS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display task IDs").short('q'),
];

static RM_FLAGS: &[Flag] =
    &[Flag::new("detach", Kind::Bool, "Do not wait for stack removal (default true)").short('d')];

static SERVICES_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

/// `stack config`
static CONFIG: Command = Command {
    name: "config",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Outputs the final config file, after doing merges and interpolations",
    flags: &[CONFIG_FLAGS],
    args: Args::Nothing,
    action: Action::StackConfig,
    ..Command::EMPTY
};

/// `stack deploy`
static DEPLOY: Command = Command {
    name: "deploy",
    aliases: &["up"],
    usage: "[OPTIONS] STACK",
    about: "Deploy a new stack or update an existing stack",
    same_as: "{} stack deploy, {} stack up",
    flags: &[DEPLOY_FLAGS],
    args: Args::Exact(1),
    action: Action::StackDeploy,
    ..Command::EMPTY
};

/// `stack ls`
static LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List stacks",
    same_as: "{} stack ls, {} stack list",
    flags: &[LS_FLAGS],
    args: Args::Nothing,
    action: Action::StackLs,
    ..Command::EMPTY
};

/// `stack ps`
static PS: Command = Command {
    name: "ps",
    aliases: &[],
    usage: "[OPTIONS] STACK",
    about: "List the tasks in the stack",
    flags: &[PS_FLAGS],
    args: Args::Exact(1),
    action: Action::StackPs,
    ..Command::EMPTY
};

/// `stack rm`
static RM: Command = Command {
    name: "rm",
    aliases: &["remove", "down"],
    usage: "[OPTIONS] STACK [STACK...]",
    about: "Remove one or more stacks",
    same_as: "{} stack rm, {} stack remove, {} stack down",
    flags: &[RM_FLAGS],
    args: Args::Min(1),
    action: Action::StackRm,
    ..Command::EMPTY
};

/// `stack services`
static SERVICES: Command = Command {
    name: "services",
    aliases: &[],
    usage: "[OPTIONS] STACK",
    about: "List the services in the stack",
    flags: &[SERVICES_FLAGS],
    args: Args::Exact(1),
    action: Action::StackServices,
    ..Command::EMPTY
};
