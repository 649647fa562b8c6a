//! The top level: groups, shorthands and global flags.

use super::{Action, Args, Check, Command, Flag, Kind, Needs, Section};
use super::{completion, container, context, image, network, plugin, swarm, system, volume, volume_files};

static RUN: Command = container::CONTAINER_RUN.called("run", "[OPTIONS] IMAGE [COMMAND] [ARG...]", Section::Common(0));

static EXEC: Command =
    container::CONTAINER_EXEC.called("exec", "[OPTIONS] CONTAINER COMMAND [ARG...]", Section::Common(1));

static PS: Command = container::CONTAINER_LS.called("ps", "[OPTIONS]", Section::Common(2));

static BUILD: Command = image::IMAGE_BUILD.called("build", "[OPTIONS] PATH | URL | -", Section::Common(3));

static PULL: Command = image::IMAGE_PULL.called("pull", "[OPTIONS] NAME[:TAG|@DIGEST]", Section::Common(4));

static PUSH: Command = image::IMAGE_PUSH.called("push", "[OPTIONS] NAME[:TAG]", Section::Common(5));

static IMAGES: Command = image::IMAGE_LS.called("images", "[OPTIONS] [REPOSITORY[:TAG]]", Section::Common(6));

static LOGIN: Command = system::LOGIN.called("login", "[OPTIONS] [SERVER]", Section::Common(7));

static LOGOUT: Command = system::LOGOUT.called("logout", "[SERVER]", Section::Common(8));

static SEARCH: Command = system::SEARCH.called("search", "[OPTIONS] TERM", Section::Common(9));

static VERSION: Command = system::VERSION.called("version", "[OPTIONS]", Section::Common(10));

static INFO: Command = system::SYSTEM_INFO.called("info", "[OPTIONS]", Section::Common(11));

static BUILDER: Command = Command {
    name: "builder",
    usage: "COMMAND",
    about: "Manage builds",
    commands: &[&system::BUILDER_BUILD, &system::BUILDER_PRUNE],
    section: Section::Management,
    ..Command::EMPTY
};

static CHECKPOINT: Command = Command {
    name: "checkpoint",
    usage: "COMMAND",
    about: "Manage checkpoints",
    commands: &[&plugin::CHECKPOINT_CREATE, &plugin::CHECKPOINT_LS, &plugin::CHECKPOINT_RM],
    section: Section::Management,
    needs: Needs::Experimental,
    ..Command::EMPTY
};

static CONTAINER: Command = Command {
    name: "container",
    usage: "COMMAND",
    about: "Manage containers",
    commands: &[
        &container::CONTAINER_ATTACH,
        &container::CONTAINER_COMMIT,
        &container::CONTAINER_CP,
        &container::CONTAINER_CREATE,
        &container::CONTAINER_DIFF,
        &container::CONTAINER_EXEC,
        &container::CONTAINER_EXPORT,
        &container::CONTAINER_INSPECT,
        &container::CONTAINER_KILL,
        &container::CONTAINER_LOGS,
        &container::CONTAINER_LS,
        &container::CONTAINER_PAUSE,
        &container::CONTAINER_PORT,
        &container::CONTAINER_PRUNE,
        &container::CONTAINER_RENAME,
        &container::CONTAINER_RESTART,
        &container::CONTAINER_RM,
        &container::CONTAINER_RUN,
        &container::CONTAINER_START,
        &container::CONTAINER_STATS,
        &container::CONTAINER_STOP,
        &container::CONTAINER_TOP,
        &container::CONTAINER_UNPAUSE,
        &container::CONTAINER_UPDATE,
        &container::CONTAINER_WAIT,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static CONTEXT: Command = Command {
    name: "context",
    usage: "COMMAND",
    about: "Manage contexts",
    commands: &[
        &context::CONTEXT_CREATE,
        &context::CONTEXT_EXPORT,
        &context::CONTEXT_IMPORT,
        &context::CONTEXT_INSPECT,
        &context::CONTEXT_LS,
        &context::CONTEXT_RM,
        &context::CONTEXT_SHOW,
        &context::CONTEXT_UPDATE,
        &context::CONTEXT_USE,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static IMAGE: Command = Command {
    name: "image",
    usage: "COMMAND",
    about: "Manage images",
    commands: &[
        &image::IMAGE_BUILD,
        &image::IMAGE_HISTORY,
        &image::IMAGE_IMPORT,
        &image::IMAGE_INSPECT,
        &image::IMAGE_LOAD,
        &image::IMAGE_LS,
        &image::IMAGE_PRUNE,
        &image::IMAGE_PULL,
        &image::IMAGE_PUSH,
        &image::IMAGE_RM,
        &image::IMAGE_SAVE,
        &image::IMAGE_TAG,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static MANIFEST: Command = Command {
    name: "manifest",
    usage: "COMMAND",
    about: "The **docker manifest** command has subcommands for managing image manifests and\nmanifest lists. A manifest list allows you to use one name to refer to the same image\nbuilt for multiple architectures.\n\nTo see help for a subcommand, use:\n\n    docker manifest CMD --help\n\nFor full details on using docker manifest lists, see the registry v2 specification.\n\nEXPERIMENTAL:\n  docker manifest is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/",
    brief: "Manage Docker image manifests and manifest lists",
    commands: &[
        &plugin::MANIFEST_ANNOTATE,
        &plugin::MANIFEST_CREATE,
        &plugin::MANIFEST_INSPECT,
        &plugin::MANIFEST_PUSH,
        &plugin::MANIFEST_RM,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static NETWORK: Command = Command {
    name: "network",
    usage: "COMMAND",
    about: "Manage networks",
    commands: &[
        &network::NETWORK_CONNECT,
        &network::NETWORK_CREATE,
        &network::NETWORK_DISCONNECT,
        &network::NETWORK_INSPECT,
        &network::NETWORK_LS,
        &network::NETWORK_PRUNE,
        &network::NETWORK_RM,
        &network::NETWORK_RULES,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static PLUGIN: Command = Command {
    name: "plugin",
    usage: "COMMAND",
    about: "Manage plugins",
    commands: &[
        &plugin::PLUGIN_CREATE,
        &plugin::PLUGIN_DISABLE,
        &plugin::PLUGIN_ENABLE,
        &plugin::PLUGIN_INSPECT,
        &plugin::PLUGIN_INSTALL,
        &plugin::PLUGIN_LS,
        &plugin::PLUGIN_PUSH,
        &plugin::PLUGIN_RM,
        &plugin::PLUGIN_SET,
        &plugin::PLUGIN_UPGRADE,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static REGISTRY: Command = Command {
    name: "registry",
    usage: "serve|gc [OPTIONS]",
    about: "Serve a registry of images from a folder (serve), or clean that folder up (gc)",
    args: Args::Min(1),
    action: Action::Registry,
    interspersed: false,
    section: Section::Management,
    ..Command::EMPTY
};

static SYSTEM: Command = Command {
    name: "system",
    usage: "COMMAND",
    about: "Manage Docker",
    commands: &[&system::SYSTEM_DF, &system::SYSTEM_EVENTS, &system::SYSTEM_INFO, &system::SYSTEM_PRUNE, &DIAL_STDIO],
    section: Section::Management,
    ..Command::EMPTY
};

static TRUST: Command = Command {
    name: "trust",
    usage: "COMMAND",
    about: "Manage trust on Docker images",
    commands: &[
        &plugin::TRUST_KEY,
        &plugin::TRUST_SIGNER,
        &plugin::TRUST_INSPECT,
        &plugin::TRUST_REVOKE,
        &plugin::TRUST_SIGN,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static VOLUME: Command = Command {
    name: "volume",
    usage: "COMMAND",
    about: "Manage volumes",
    commands: &[
        &volume_files::VOLUME_CLONE,
        &volume::VOLUME_CREATE,
        &volume_files::VOLUME_EXPORT,
        &volume_files::VOLUME_IMPORT,
        &volume::VOLUME_INSPECT,
        &volume::VOLUME_LS,
        &volume::VOLUME_PRUNE,
        &volume_files::VOLUME_RENAME,
        &volume_files::VOLUME_RESTORE,
        &volume::VOLUME_RM,
        &volume_files::VOLUME_SNAPSHOT,
        &volume_files::VOLUME_SNAPSHOTS,
        &volume::VOLUME_UPDATE,
    ],
    section: Section::Management,
    ..Command::EMPTY
};

static ATTACH: Command = container::CONTAINER_ATTACH.called("attach", "[OPTIONS] CONTAINER", Section::Plain);

static COMMIT: Command =
    container::CONTAINER_COMMIT.called("commit", "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", Section::Plain);

static CP: Command = container::CONTAINER_CP.called(
    "cp",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    Section::Plain,
);

static CREATE: Command =
    container::CONTAINER_CREATE.called("create", "[OPTIONS] IMAGE [COMMAND] [ARG...]", Section::Plain);

static DIFF: Command = container::CONTAINER_DIFF.called("diff", "CONTAINER", Section::Plain);

static EVENTS: Command = system::SYSTEM_EVENTS.called("events", "[OPTIONS]", Section::Plain);

static EXPORT: Command = container::CONTAINER_EXPORT.called("export", "[OPTIONS] CONTAINER", Section::Plain);

static HISTORY: Command = image::IMAGE_HISTORY.called("history", "[OPTIONS] IMAGE", Section::Plain);

static IMPORT: Command =
    image::IMAGE_IMPORT.called("import", "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]", Section::Plain);

static INSPECT: Command = system::INSPECT.called("inspect", "[OPTIONS] NAME|ID [NAME|ID...]", Section::Plain);

static KILL: Command = container::CONTAINER_KILL.called("kill", "[OPTIONS] CONTAINER [CONTAINER...]", Section::Plain);

static LOAD: Command = image::IMAGE_LOAD.called("load", "[OPTIONS]", Section::Plain);

static LOGS: Command = container::CONTAINER_LOGS.called("logs", "[OPTIONS] CONTAINER", Section::Plain);

static PAUSE: Command = container::CONTAINER_PAUSE.called("pause", "CONTAINER [CONTAINER...]", Section::Plain);

static PORT: Command = container::CONTAINER_PORT.called("port", "CONTAINER [PRIVATE_PORT[/PROTO]]", Section::Plain);

static RENAME: Command = container::CONTAINER_RENAME.called("rename", "CONTAINER NEW_NAME", Section::Plain);

static RESTART: Command =
    container::CONTAINER_RESTART.called("restart", "[OPTIONS] CONTAINER [CONTAINER...]", Section::Plain);

static RM: Command = container::CONTAINER_RM.called("rm", "[OPTIONS] CONTAINER [CONTAINER...]", Section::Plain);

static RMI: Command = image::IMAGE_RM.called("rmi", "[OPTIONS] IMAGE [IMAGE...]", Section::Plain);

static SAVE: Command = image::IMAGE_SAVE.called("save", "[OPTIONS] IMAGE [IMAGE...]", Section::Plain);

static START: Command =
    container::CONTAINER_START.called("start", "[OPTIONS] CONTAINER [CONTAINER...]", Section::Plain);

static STATS: Command = container::CONTAINER_STATS.called("stats", "[OPTIONS] [CONTAINER...]", Section::Plain);

static STOP: Command = container::CONTAINER_STOP.called("stop", "[OPTIONS] CONTAINER [CONTAINER...]", Section::Plain);

static TAG: Command = image::IMAGE_TAG.called("tag", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", Section::Plain);

static TOP: Command = container::CONTAINER_TOP.called("top", "CONTAINER [ps OPTIONS]", Section::Plain);

static UNPAUSE: Command = container::CONTAINER_UNPAUSE.called("unpause", "CONTAINER [CONTAINER...]", Section::Plain);

static UPDATE: Command =
    container::CONTAINER_UPDATE.called("update", "[OPTIONS] CONTAINER [CONTAINER...]", Section::Plain);

static WAIT: Command = container::CONTAINER_WAIT.called("wait", "CONTAINER [CONTAINER...]", Section::Plain);

static DIAL_STDIO: Command = Command {
    name: "dial-stdio",
    usage: "",
    about: "Proxy the stdio stream to the daemon connection. Should not be invoked manually.",
    args: Args::Nothing,
    action: Action::SystemDialStdio,
    hidden: true,
    ..Command::EMPTY
};

static GLOBAL_FLAGS: &[Flag] = &[
    Flag::new("config", Kind::Text, "Location of client config files (default \"{config}\")"),
    Flag::new("context", Kind::Text, "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with \"docker context use\")").short('c'),
    Flag::new("debug", Kind::Bool, "Enable debug mode").short('D'),
    Flag::new("host", Kind::List(Check::Host), "Daemon socket to connect to").short('H'),
    Flag::new("log-level", Kind::Text, "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\") (default \"info\")").short('l'),
    Flag::new("tls", Kind::Bool, "Use TLS; implied by --tlsverify"),
    Flag::new("tlscacert", Kind::Text, "Trust certs signed only by this CA (default \"{config}/ca.pem\")"),
    Flag::new("tlscert", Kind::Text, "Path to TLS certificate file (default \"{config}/cert.pem\")"),
    Flag::new("tlskey", Kind::Text, "Path to TLS key file (default \"{config}/key.pem\")"),
    Flag::new("tlsverify", Kind::Bool, "Use TLS and verify the remote"),
    Flag::new("version", Kind::Bool, "Print version information and quit").short('v'),
];

/// The program itself.
pub(crate) static ROOT: Command = Command {
    usage: "[OPTIONS] COMMAND",
    about: "A self-sufficient runtime for containers",
    flags: &[GLOBAL_FLAGS],
    interspersed: false,
    commands: &[
        &RUN,
        &EXEC,
        &PS,
        &BUILD,
        &PULL,
        &PUSH,
        &IMAGES,
        &LOGIN,
        &LOGOUT,
        &SEARCH,
        &VERSION,
        &INFO,
        &BUILDER,
        &CHECKPOINT,
        &CONTAINER,
        &CONTEXT,
        &IMAGE,
        &MANIFEST,
        &NETWORK,
        &PLUGIN,
        &REGISTRY,
        &SYSTEM,
        &TRUST,
        &VOLUME,
        &swarm::CONFIG,
        &swarm::NODE,
        &swarm::SECRET,
        &swarm::SERVICE,
        &swarm::STACK,
        &swarm::SWARM,
        &ATTACH,
        &COMMIT,
        &completion::COMPLETION,
        &CP,
        &CREATE,
        &DIFF,
        &EVENTS,
        &EXPORT,
        &HISTORY,
        &IMPORT,
        &INSPECT,
        &KILL,
        &LOAD,
        &LOGS,
        &PAUSE,
        &PORT,
        &RENAME,
        &RESTART,
        &RM,
        &RMI,
        &SAVE,
        &START,
        &STATS,
        &STOP,
        &TAG,
        &TOP,
        &UNPAUSE,
        &UPDATE,
        &WAIT,
    ],
    ..Command::EMPTY
};
