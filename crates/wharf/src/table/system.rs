//! Commands and flags of the engine as a whole, registries and the plain top-level commands.

use super::{Action, Args, Check, Command, Flag, Kind, Needs};

static SYSTEM_DF_FLAGS: &[Flag] =
    &[Flag::FORMAT_TABLE, Flag::new("verbose", Kind::Bool, "Show detailed information on space usage").short('v')];

static SYSTEM_EVENTS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT,
    Flag::new("since", Kind::Text, "Show all events created since timestamp"),
    Flag::new("until", Kind::Text, "Stream events until this timestamp"),
];

static SYSTEM_INFO_FLAGS: &[Flag] = &[Flag::FORMAT.short('f')];

static SYSTEM_PRUNE_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Remove all unused images not just dangling ones").short('a'),
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"label=<key>=<value>\")"),
    Flag::new("force", Kind::Bool, "Do not prompt for confirmation").short('f'),
    Flag::new("volumes", Kind::Bool, "Prune anonymous volumes"),
];

static INSPECT_FLAGS: &[Flag] = &[
    Flag::FORMAT.short('f'),
    Flag::new("size", Kind::Bool, "Display total file sizes if the type is container").short('s'),
    Flag::new("type", Kind::Text, "Only inspect objects of the given type"),
];

static LOGIN_FLAGS: &[Flag] = &[
    Flag::new("password", Kind::Text, "Password or Personal Access Token (PAT)").short('p'),
    Flag::new("password-stdin", Kind::Bool, "Take the Password or Personal Access Token (PAT) from stdin"),
    Flag::new("username", Kind::Text, "Username").short('u'),
];

static SEARCH_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new("format", Kind::Text, "Pretty-print search using a Go template"),
    Flag::new("limit", Kind::Int, "Max number of search results"),
    Flag::new("no-trunc", Kind::Bool, "Don't truncate output"),
];

static VERSION_FLAGS: &[Flag] = &[Flag::FORMAT.short('f')];

static BUILDER_BUILD_FLAGS: &[Flag] = &[
    Flag::new("add-host", Kind::List(Check::AddHost), "Add a custom host-to-IP mapping (\"host:ip\")"),
    Flag::new("build-arg", Kind::List(Check::Nothing), "Set build-time variables"),
    Flag::new("cache-from", Kind::Strings, "Images to consider as cache sources"),
    Flag::new("cgroup-parent", Kind::Text, "Set the parent cgroup for the \"RUN\" instructions during build"),
    Flag::new("compress", Kind::Bool, "Compress the build context using gzip"),
    Flag::new("cpu-period", Kind::Int, "Limit the CPU CFS (Completely Fair Scheduler) period"),
    Flag::new("cpu-quota", Kind::Int, "Limit the CPU CFS (Completely Fair Scheduler) quota"),
    Flag::new("cpu-shares", Kind::Int, "CPU shares (relative weight)").short('c'),
    Flag::new("cpuset-cpus", Kind::Text, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag::new("cpuset-mems", Kind::Text, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag::new("disable-content-trust", Kind::Bool, "Skip image verification (default true)"),
    Flag::new("file", Kind::Text, "Name of the Dockerfile (Default is \"PATH/Dockerfile\")").short('f'),
    Flag::new("force-rm", Kind::Bool, "Always remove intermediate containers"),
    Flag::new("iidfile", Kind::Text, "Write the image ID to the file"),
    Flag::new("isolation", Kind::Text, "Container isolation technology"),
    Flag::new("label", Kind::List(Check::Label), "Set metadata for an image"),
    Flag::new("memory", Kind::Bytes, "Memory limit").short('m'),
    Flag::new("memory-swap", Kind::Bytes, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    Flag::new(
        "network",
        Kind::Text,
        "Set the networking mode for the RUN instructions during build (default \"default\")",
    ),
    Flag::new("no-cache", Kind::Bool, "Do not use cache when building the image"),
    Flag::new("platform", Kind::Text, "Set platform if server is multi-platform capable"),
    Flag::new("pull", Kind::Bool, "Always attempt to pull a newer version of the image"),
    Flag::new("quiet", Kind::Bool, "Suppress the build output and print image ID on success").short('q'),
    Flag::new("rm", Kind::Bool, "Remove intermediate containers after a successful build (default true)"),
    Flag::new("security-opt", Kind::Strings, "Security options"),
    Flag::new("shm-size", Kind::Bytes, "Size of \"/dev/shm\""),
    Flag::new("squash", Kind::Bool, "Squash newly built layers into a single new layer").needs(Needs::Experimental),
    Flag::new("tag", Kind::List(Check::Nothing), "Name and optionally a tag in the \"name:tag\" format").short('t'),
    Flag::new("target", Kind::Text, "Set the target build stage to build."),
    Flag::new("ulimit", Kind::Ulimit, "Ulimit options (default [])"),
];

static BUILDER_PRUNE_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Remove all unused build cache, not just dangling ones").short('a'),
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"until=24h\")"),
    Flag::new("force", Kind::Bool, "Do not prompt for confirmation").short('f'),
    Flag::new("keep-storage", Kind::Bytes, "Amount of disk space to keep for cache"),
];

/// `system df`
pub(super) static SYSTEM_DF: Command = Command {
    name: "df",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Show docker disk usage",
    flags: &[SYSTEM_DF_FLAGS],
    args: Args::Nothing,
    action: Action::SystemDf,
    ..Command::EMPTY
};

/// `system events`
pub(super) static SYSTEM_EVENTS: Command = Command {
    name: "events",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Get real time events from the server",
    same_as: "{} system events, {} events",
    flags: &[SYSTEM_EVENTS_FLAGS],
    args: Args::Nothing,
    action: Action::SystemEvents,
    ..Command::EMPTY
};

/// `system info`
pub(super) static SYSTEM_INFO: Command = Command {
    name: "info",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Display system-wide information",
    same_as: "{} system info, {} info",
    flags: &[SYSTEM_INFO_FLAGS],
    args: Args::Nothing,
    action: Action::SystemInfo,
    ..Command::EMPTY
};

/// `system prune`
pub(super) static SYSTEM_PRUNE: Command = Command {
    name: "prune",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Remove unused data",
    flags: &[SYSTEM_PRUNE_FLAGS],
    args: Args::Nothing,
    action: Action::SystemPrune,
    ..Command::EMPTY
};

/// `inspect`
pub(super) static INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Return low-level information on Docker objects",
    flags: &[INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::Inspect,
    ..Command::EMPTY
};

/// `login`
pub(super) static LOGIN: Command = Command {
    name: "login",
    aliases: &[],
    usage: "[OPTIONS] [SERVER]",
    about: "Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
    flags: &[LOGIN_FLAGS],
    args: Args::Max(1),
    action: Action::Login,
    ..Command::EMPTY
};

/// `logout`
pub(super) static LOGOUT: Command = Command {
    name: "logout",
    aliases: &[],
    usage: "[SERVER]",
    about: "Log out from a registry.\nIf no server is specified, the default is defined by the daemon.",
    flags: &[],
    args: Args::Max(1),
    action: Action::Logout,
    ..Command::EMPTY
};

/// `search`
pub(super) static SEARCH: Command = Command {
    name: "search",
    aliases: &[],
    usage: "[OPTIONS] TERM",
    about: "Search Docker Hub for images",
    flags: &[SEARCH_FLAGS],
    args: Args::Exact(1),
    action: Action::Search,
    ..Command::EMPTY
};

/// `version`
pub(super) static VERSION: Command = Command {
    name: "version",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Show the Docker version information",
    flags: &[VERSION_FLAGS],
    args: Args::Nothing,
    action: Action::Version,
    ..Command::EMPTY
};

/// `builder build`
pub(super) static BUILDER_BUILD: Command = Command {
    name: "build",
    aliases: &[],
    usage: "[OPTIONS] PATH | URL | -",
    about: "Build an image from a Dockerfile",
    same_as: "{} image build, {} build, {} builder build",
    flags: &[BUILDER_BUILD_FLAGS],
    args: Args::Exact(1),
    action: Action::BuilderBuild,
    ..Command::EMPTY
};

/// `builder prune`
pub(super) static BUILDER_PRUNE: Command = Command {
    name: "prune",
    aliases: &[],
    usage: "",
    about: "Remove build cache",
    flags: &[BUILDER_PRUNE_FLAGS],
    args: Args::Nothing,
    action: Action::BuilderPrune,
    ..Command::EMPTY
};
