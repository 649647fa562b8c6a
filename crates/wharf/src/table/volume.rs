//! Commands and flags of volumes.

use super::{Action, Args, Check, Command, Flag, Kind, Needs};

static VOLUME_CREATE_FLAGS: &[Flag] = &[
    Flag::new(
        "availability",
        Kind::Text,
        "Cluster Volume availability (\"active\", \"pause\", \"drain\") (default \"active\")",
    )
    .needs(Needs::SwarmManager),
    Flag::new("driver", Kind::Text, "Specify volume driver name (default \"local\")").short('d'),
    Flag::new("group", Kind::Text, "Cluster Volume group (cluster volumes)").needs(Needs::SwarmManager),
    Flag::new("label", Kind::List(Check::Label), "Set metadata for a volume"),
    Flag::new("limit-bytes", Kind::Bytes, "Minimum size of the Cluster Volume in bytes").needs(Needs::SwarmManager),
    Flag::new("opt", Kind::Map, "Set driver specific options (default map[])").short('o'),
    Flag::new("required-bytes", Kind::Bytes, "Maximum size of the Cluster Volume in bytes").needs(Needs::SwarmManager),
    Flag::new("scope", Kind::Text, "Cluster Volume access scope (\"single\", \"multi\") (default \"single\")")
        .needs(Needs::SwarmManager),
    Flag::new("secret", Kind::Map, "Cluster Volume secrets (default map[])").needs(Needs::SwarmManager),
    Flag::new(
        "sharing",
        Kind::Text,
        "Cluster Volume access sharing (\"none\", \"readonly\", \"onewriter\", \"all\") (default \"none\")",
    )
    .needs(Needs::SwarmManager),
    Flag::new(
        "topology-preferred",
        Kind::List(Check::Nothing),
        "A topology that the Cluster Volume would be preferred in",
    )
    .needs(Needs::SwarmManager),
    Flag::new(
        "topology-required",
        Kind::List(Check::Nothing),
        "A topology that the Cluster Volume must be accessible from",
    )
    .needs(Needs::SwarmManager),
    Flag::new("type", Kind::Text, "Cluster Volume access type (\"mount\", \"block\") (default \"block\")")
        .needs(Needs::SwarmManager),
];

static VOLUME_INSPECT_FLAGS: &[Flag] = &[Flag::FORMAT.short('f')];

static VOLUME_LS_FLAGS: &[Flag] = &[
    Flag::new("cluster", Kind::Bool, "Display only cluster volumes, and use cluster volume list formatting")
        .needs(Needs::SwarmManager),
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"dangling=true\")").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("quiet", Kind::Bool, "Only display volume names").short('q'),
];

static VOLUME_PRUNE_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Remove all unused volumes, not just anonymous ones").short('a'),
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"label=<label>\")"),
    Flag::new("force", Kind::Bool, "Do not prompt for confirmation").short('f'),
];

static VOLUME_RM_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Force the removal of one or more volumes").short('f')];

static VOLUME_UPDATE_FLAGS: &[Flag] = &[Flag::new(
    "availability",
    Kind::Text,
    "Cluster Volume availability (\"active\", \"pause\", \"drain\") (default \"active\")",
)
.needs(Needs::SwarmManager)];

/// `volume create`
pub(super) static VOLUME_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] [VOLUME]",
    about: "Create a volume",
    flags: &[VOLUME_CREATE_FLAGS],
    args: Args::Max(1),
    action: Action::VolumeCreate,
    ..Command::EMPTY
};

/// `volume inspect`
pub(super) static VOLUME_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Display detailed information on one or more volumes",
    flags: &[VOLUME_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::VolumeInspect,
    ..Command::EMPTY
};

/// `volume ls`
pub(super) static VOLUME_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List volumes",
    same_as: "{} volume ls, {} volume list",
    flags: &[VOLUME_LS_FLAGS],
    args: Args::Nothing,
    action: Action::VolumeLs,
    ..Command::EMPTY
};

/// `volume prune`
pub(super) static VOLUME_PRUNE: Command = Command {
    name: "prune",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Remove unused local volumes",
    flags: &[VOLUME_PRUNE_FLAGS],
    args: Args::Nothing,
    action: Action::VolumePrune,
    ..Command::EMPTY
};

/// `volume rm`
pub(super) static VOLUME_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    brief: "Remove one or more volumes",
    same_as: "{} volume rm, {} volume remove",
    flags: &[VOLUME_RM_FLAGS],
    args: Args::Min(1),
    action: Action::VolumeRm,
    ..Command::EMPTY
};

/// `volume update`
pub(super) static VOLUME_UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] [VOLUME]",
    about: "Update a volume (cluster volumes only)",
    flags: &[VOLUME_UPDATE_FLAGS],
    args: Args::Max(1),
    action: Action::VolumeUpdate,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};
