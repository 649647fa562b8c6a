//! Commands and flags of plugins, manifests, checkpoints and trust (the grammar).

use super::{Action, Args, Command, Flag, Kind, Needs};

static CHECKPOINT_CREATE_FLAGS: &[Flag] = &[
    Flag::new("checkpoint-dir", Kind::Text, "Use a custom checkpoint storage directory").needs(Needs::Experimental),
    Flag::new("leave-running", Kind::Bool, "Leave the container running after checkpoint"),
];

static CHECKPOINT_LS_FLAGS: &[Flag] =
    &[Flag::new("checkpoint-dir", Kind::Text, "Use a custom checkpoint storage directory").needs(Needs::Experimental)];

static CHECKPOINT_RM_FLAGS: &[Flag] =
    &[Flag::new("checkpoint-dir", Kind::Text, "Use a custom checkpoint storage directory").needs(Needs::Experimental)];

static MANIFEST_ANNOTATE_FLAGS: &[Flag] = &[
    Flag::new("arch", Kind::Text, "Set architecture"),
    Flag::new("os", Kind::Text, "Set operating system"),
    Flag::new("os-features", Kind::Strings, "Set operating system feature"),
    Flag::new("os-version", Kind::Text, "Set operating system version"),
    Flag::new("variant", Kind::Text, "Set architecture variant"),
];

static MANIFEST_CREATE_FLAGS: &[Flag] = &[
    Flag::new("amend", Kind::Bool, "Amend an existing manifest list").short('a'),
    Flag::new("insecure", Kind::Bool, "Allow communication with an insecure registry"),
];

static MANIFEST_INSPECT_FLAGS: &[Flag] = &[
    Flag::new("insecure", Kind::Bool, "Allow communication with an insecure registry"),
    Flag::new("verbose", Kind::Bool, "Output additional info including layers and platform").short('v'),
];

static MANIFEST_PUSH_FLAGS: &[Flag] = &[
    Flag::new("insecure", Kind::Bool, "Allow push to an insecure registry"),
    Flag::new("purge", Kind::Bool, "Remove the local manifest list after push").short('p'),
];

static PLUGIN_CREATE_FLAGS: &[Flag] = &[Flag::new("compress", Kind::Bool, "Compress the context using gzip")];

static PLUGIN_DISABLE_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Force the disable of an active plugin").short('f')];

static PLUGIN_ENABLE_FLAGS: &[Flag] =
    &[Flag::new("timeout", Kind::Int, "HTTP client timeout (in seconds) (default 30)")];

static PLUGIN_INSPECT_FLAGS: &[Flag] = &[Flag::FORMAT.short('f')];

static PLUGIN_INSTALL_FLAGS: &[Flag] = &[
    Flag::new("alias", Kind::Text, "Local name for plugin"),
    Flag::new("disable", Kind::Bool, "Do not enable the plugin on install"),
    Flag::new("disable-content-trust", Kind::Bool, "Skip image verification (default true)"),
    Flag::new("grant-all-permissions", Kind::Bool, "Grant all permissions necessary to run the plugin"),
];

static PLUGIN_LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"enabled=true\")").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("no-trunc", Kind::Bool, "Don't truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display plugin IDs").short('q'),
];

static PLUGIN_PUSH_FLAGS: &[Flag] =
    &[Flag::new("disable-content-trust", Kind::Bool, "Skip image signing (default true)")];

static PLUGIN_RM_FLAGS: &[Flag] = &[Flag::new("force", Kind::Bool, "Force the removal of an active plugin").short('f')];

static PLUGIN_UPGRADE_FLAGS: &[Flag] = &[
    Flag::new("disable-content-trust", Kind::Bool, "Skip image verification (default true)"),
    Flag::new("grant-all-permissions", Kind::Bool, "Grant all permissions necessary to run the plugin"),
    Flag::new("skip-remote-check", Kind::Bool, "Do not check if specified remote plugin matches existing plugin image"),
];

static TRUST_INSPECT_FLAGS: &[Flag] =
    &[Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format")];

static TRUST_REVOKE_FLAGS: &[Flag] = &[Flag::new("yes", Kind::Bool, "Do not prompt for confirmation").short('y')];

static TRUST_SIGN_FLAGS: &[Flag] = &[Flag::new("local", Kind::Bool, "Sign a locally tagged image")];

/// `checkpoint create`
pub(super) static CHECKPOINT_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER CHECKPOINT",
    about: "Create a checkpoint from a running container",
    flags: &[CHECKPOINT_CREATE_FLAGS],
    args: Args::Exact(2),
    action: Action::CheckpointCreate,
    ..Command::EMPTY
};

/// `checkpoint ls`
pub(super) static CHECKPOINT_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS] CONTAINER",
    about: "List checkpoints for a container",
    same_as: "{} checkpoint ls, {} checkpoint list",
    flags: &[CHECKPOINT_LS_FLAGS],
    args: Args::Exact(1),
    action: Action::CheckpointLs,
    ..Command::EMPTY
};

/// `checkpoint rm`
pub(super) static CHECKPOINT_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] CONTAINER CHECKPOINT",
    about: "Remove a checkpoint",
    same_as: "{} checkpoint rm, {} checkpoint remove",
    flags: &[CHECKPOINT_RM_FLAGS],
    args: Args::Exact(2),
    action: Action::CheckpointRm,
    ..Command::EMPTY
};

/// `manifest annotate`
pub(super) static MANIFEST_ANNOTATE: Command = Command {
    name: "annotate",
    aliases: &[],
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    about: "Add additional information to a local image manifest\n\nEXPERIMENTAL:\n  docker manifest annotate is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/",
    flags: &[MANIFEST_ANNOTATE_FLAGS],
    args: Args::Exact(2),
    action: Action::ManifestAnnotate,
    ..Command::EMPTY
};

/// `manifest create`
pub(super) static MANIFEST_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    about: "Create a local manifest list for annotating and pushing to a registry\n\nEXPERIMENTAL:\n  docker manifest create is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/",
    flags: &[MANIFEST_CREATE_FLAGS],
    args: Args::Min(2),
    action: Action::ManifestCreate,
    ..Command::EMPTY
};

/// `manifest inspect`
pub(super) static MANIFEST_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    about: "Display an image manifest, or manifest list\n\nEXPERIMENTAL:\n  docker manifest inspect is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/",
    flags: &[MANIFEST_INSPECT_FLAGS],
    args: Args::Range(1, 2),
    action: Action::ManifestInspect,
    ..Command::EMPTY
};

/// `manifest push`
pub(super) static MANIFEST_PUSH: Command = Command {
    name: "push",
    aliases: &[],
    usage: "[OPTIONS] MANIFEST_LIST",
    about: "Push a manifest list to a repository\n\nEXPERIMENTAL:\n  docker manifest push is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/",
    flags: &[MANIFEST_PUSH_FLAGS],
    args: Args::Exact(1),
    action: Action::ManifestPush,
    ..Command::EMPTY
};

/// `manifest rm`
pub(super) static MANIFEST_RM: Command = Command {
    name: "rm",
    aliases: &[],
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    about: "Delete one or more manifest lists from local storage\n\nEXPERIMENTAL:\n  docker manifest rm is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/",
    flags: &[],
    args: Args::Min(1),
    action: Action::ManifestRm,
    ..Command::EMPTY
};

/// `plugin create`
pub(super) static PLUGIN_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN PLUGIN-DATA-DIR",
    about: "Create a plugin from a rootfs and configuration. Plugin data directory must contain config.json and rootfs directory.",
    flags: &[PLUGIN_CREATE_FLAGS],
    args: Args::Exact(2),
    action: Action::PluginCreate,
    ..Command::EMPTY
};

/// `plugin disable`
pub(super) static PLUGIN_DISABLE: Command = Command {
    name: "disable",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN",
    about: "Disable a plugin",
    flags: &[PLUGIN_DISABLE_FLAGS],
    args: Args::Exact(1),
    action: Action::PluginDisable,
    ..Command::EMPTY
};

/// `plugin enable`
pub(super) static PLUGIN_ENABLE: Command = Command {
    name: "enable",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN",
    about: "Enable a plugin",
    flags: &[PLUGIN_ENABLE_FLAGS],
    args: Args::Exact(1),
    action: Action::PluginEnable,
    ..Command::EMPTY
};

/// `plugin inspect`
pub(super) static PLUGIN_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN [PLUGIN...]",
    about: "Display detailed information on one or more plugins",
    flags: &[PLUGIN_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::PluginInspect,
    ..Command::EMPTY
};

/// `plugin install`
pub(super) static PLUGIN_INSTALL: Command = Command {
    name: "install",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN [KEY=VALUE...]",
    about: "Install a plugin",
    flags: &[PLUGIN_INSTALL_FLAGS],
    args: Args::Min(1),
    action: Action::PluginInstall,
    ..Command::EMPTY
};

/// `plugin ls`
pub(super) static PLUGIN_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List plugins",
    same_as: "{} plugin ls, {} plugin list",
    flags: &[PLUGIN_LS_FLAGS],
    args: Args::Nothing,
    action: Action::PluginLs,
    ..Command::EMPTY
};

/// `plugin push`
pub(super) static PLUGIN_PUSH: Command = Command {
    name: "push",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN[:TAG]",
    about: "Push a plugin to a registry",
    flags: &[PLUGIN_PUSH_FLAGS],
    args: Args::Exact(1),
    action: Action::PluginPush,
    ..Command::EMPTY
};

/// `plugin rm`
pub(super) static PLUGIN_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] PLUGIN [PLUGIN...]",
    about: "Remove one or more plugins",
    same_as: "{} plugin rm, {} plugin remove",
    flags: &[PLUGIN_RM_FLAGS],
    args: Args::Min(1),
    action: Action::PluginRm,
    ..Command::EMPTY
};

/// `plugin set`
pub(super) static PLUGIN_SET: Command = Command {
    name: "set",
    aliases: &[],
    usage: "PLUGIN KEY=VALUE [KEY=VALUE...]",
    about: "Change settings for a plugin",
    flags: &[],
    args: Args::Min(2),
    action: Action::PluginSet,
    ..Command::EMPTY
};

/// `plugin upgrade`
pub(super) static PLUGIN_UPGRADE: Command = Command {
    name: "upgrade",
    aliases: &[],
    usage: "[OPTIONS] PLUGIN [REMOTE]",
    about: "Upgrade an existing plugin",
    flags: &[PLUGIN_UPGRADE_FLAGS],
    args: Args::Range(1, 2),
    action: Action::PluginUpgrade,
    ..Command::EMPTY
};

/// `trust inspect`
pub(super) static TRUST_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "IMAGE[:TAG] [IMAGE[:TAG]...]",
    about: "Return low-level information about keys and signatures",
    flags: &[TRUST_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::TrustInspect,
    ..Command::EMPTY
};

/// `trust key`
pub(super) static TRUST_KEY: Command = Command {
    name: "key",
    aliases: &[],
    usage: "COMMAND",
    about: "Manage keys for signing Docker images",
    flags: &[],
    args: Args::Exact(1),
    action: Action::TrustKey,
    ..Command::EMPTY
};

/// `trust revoke`
pub(super) static TRUST_REVOKE: Command = Command {
    name: "revoke",
    aliases: &[],
    usage: "[OPTIONS] IMAGE[:TAG]",
    about: "Remove trust for an image",
    flags: &[TRUST_REVOKE_FLAGS],
    args: Args::Exact(1),
    action: Action::TrustRevoke,
    ..Command::EMPTY
};

/// `trust sign`
pub(super) static TRUST_SIGN: Command = Command {
    name: "sign",
    aliases: &[],
    usage: "IMAGE:TAG",
    about: "Sign an image",
    flags: &[TRUST_SIGN_FLAGS],
    args: Args::Exact(1),
    action: Action::TrustSign,
    ..Command::EMPTY
};

/// `trust signer`
pub(super) static TRUST_SIGNER: Command = Command {
    name: "signer",
    aliases: &[],
    usage: "COMMAND",
    about: "Manage entities who can sign Docker images",
    flags: &[],
    args: Args::Exact(1),
    action: Action::TrustSigner,
    ..Command::EMPTY
};
