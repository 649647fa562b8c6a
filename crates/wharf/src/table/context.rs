//! Commands and flags of contexts.

use super::{Action, Args, Command, Flag, Kind};

static CONTEXT_CREATE_FLAGS: &[Flag] = &[
    Flag::new("description", Kind::Text, "Description of the context"),
    Flag::new("docker", Kind::Other("stringToString"), "set the docker endpoint (default [])"),
    Flag::new("from", Kind::Text, "create context from a named context"),
];

static CONTEXT_INSPECT_FLAGS: &[Flag] = &[Flag::FORMAT.short('f')];

static CONTEXT_LS_FLAGS: &[Flag] =
    &[Flag::FORMAT_TABLE, Flag::new("quiet", Kind::Bool, "Only show context names").short('q')];

static CONTEXT_RM_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Force the removal of a context in use").short('f')];

static CONTEXT_UPDATE_FLAGS: &[Flag] = &[
    Flag::new("description", Kind::Text, "Description of the context"),
    Flag::new("docker", Kind::Other("stringToString"), "set the docker endpoint (default [])"),
];

/// `context create`
pub(super) static CONTEXT_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] CONTEXT",
    about: "Create a context\n\nDocker endpoint config:\n\nNAME                DESCRIPTION\nfrom                Copy named context's Docker endpoint configuration\nhost                Docker endpoint on which to connect\nca                  Trust certs signed only by this CA\ncert                Path to TLS certificate file\nkey                 Path to TLS key file\nskip-tls-verify     Skip TLS certificate validation\n\nExample:\n\n$ docker context create my-context --description \"some description\" --docker \"host=tcp://myserver:2376,ca=~/ca-file,cert=~/cert-file,key=~/key-file\"",
    flags: &[CONTEXT_CREATE_FLAGS],
    args: Args::Exact(1),
    action: Action::ContextCreate,
    ..Command::EMPTY
};

/// `context export`
pub(super) static CONTEXT_EXPORT: Command = Command {
    name: "export",
    aliases: &[],
    usage: "[OPTIONS] CONTEXT [FILE|-]",
    about: "Export a context to a tar archive FILE or a tar stream on STDOUT.",
    flags: &[],
    args: Args::Range(1, 2),
    action: Action::ContextExport,
    ..Command::EMPTY
};

/// `context import`
pub(super) static CONTEXT_IMPORT: Command = Command {
    name: "import",
    aliases: &[],
    usage: "CONTEXT FILE|-",
    about: "Import a context from a tar or zip file",
    flags: &[],
    args: Args::Exact(2),
    action: Action::ContextImport,
    ..Command::EMPTY
};

/// `context inspect`
pub(super) static CONTEXT_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
    about: "Display detailed information on one or more contexts",
    flags: &[CONTEXT_INSPECT_FLAGS],
    args: Args::Any,
    action: Action::ContextInspect,
    ..Command::EMPTY
};

/// `context ls`
pub(super) static CONTEXT_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List contexts",
    same_as: "{} context ls, {} context list",
    flags: &[CONTEXT_LS_FLAGS],
    args: Args::Nothing,
    action: Action::ContextLs,
    ..Command::EMPTY
};

/// `context rm`
pub(super) static CONTEXT_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "CONTEXT [CONTEXT...]",
    about: "Remove one or more contexts",
    same_as: "{} context rm, {} context remove",
    flags: &[CONTEXT_RM_FLAGS],
    args: Args::Min(1),
    action: Action::ContextRm,
    ..Command::EMPTY
};

/// `context show`
pub(super) static CONTEXT_SHOW: Command = Command {
    name: "show",
    aliases: &[],
    usage: "",
    about: "Print the name of the current context",
    flags: &[],
    args: Args::Nothing,
    action: Action::ContextShow,
    ..Command::EMPTY
};

/// `context update`
pub(super) static CONTEXT_UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] CONTEXT",
    about: "Update a context\n\nDocker endpoint config:\n\nNAME                DESCRIPTION\nfrom                Copy named context's Docker endpoint configuration\nhost                Docker endpoint on which to connect\nca                  Trust certs signed only by this CA\ncert                Path to TLS certificate file\nkey                 Path to TLS key file\nskip-tls-verify     Skip TLS certificate validation\n\nExample:\n\n$ docker context update my-context --description \"some description\" --docker \"host=tcp://myserver:2376,ca=~/ca-file,cert=~/cert-file,key=~/key-file\"",
    flags: &[CONTEXT_UPDATE_FLAGS],
    args: Args::Exact(1),
    action: Action::ContextUpdate,
    ..Command::EMPTY
};

/// `context use`
pub(super) static CONTEXT_USE: Command = Command {
    name: "use",
    aliases: &[],
    usage: "CONTEXT",
    about: "Set the current docker context",
    flags: &[],
    args: Args::Plain(1),
    action: Action::ContextUse,
    ..Command::EMPTY
};
