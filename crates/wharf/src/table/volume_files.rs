//! Commands on the files of whole volumes: not Docker's.

use super::{Action, Args, Check, Command, Flag, Kind, Needs};

static PAUSE: &[Flag] =
    &[Flag::new("pause", Kind::Bool, "Pause the containers that use the volume while its files are read")];

static MAKE: &[Flag] = &[
    Flag::new("label", Kind::List(Check::Label), "Set metadata for the new volume"),
    Flag::new("opt", Kind::Map, "Set driver specific options of the new volume (default map[])").short('o'),
];

static EXPORT: &[Flag] = &[Flag::new("output", Kind::Text, "Write to a file, instead of STDOUT").short('o')];

static IMPORT: &[Flag] = &[Flag::new("replace", Kind::Bool, "Replace the files of a volume that has some")];

static SNAPSHOT: &[Flag] = &[Flag::new("rm", Kind::Bool, "Remove the snapshot instead")];

static SNAPSHOTS: &[Flag] = &[Flag::new("quiet", Kind::Bool, "Only display names").short('q')];

/// `volume clone`
pub(super) static VOLUME_CLONE: Command = Command {
    name: "clone",
    usage: "[OPTIONS] VOLUME NEW_VOLUME",
    about: "Copy a volume to a new one",
    flags: &[MAKE, PAUSE],
    args: Args::Exact(2),
    action: Action::VolumeClone,
    needs: Needs::Wharf,
    ..Command::EMPTY
};

/// `volume export`
pub(super) static VOLUME_EXPORT: Command = Command {
    name: "export",
    usage: "[OPTIONS] VOLUME",
    about: "Export a volume's files as a tar archive",
    flags: &[EXPORT, PAUSE],
    args: Args::Exact(1),
    action: Action::VolumeExport,
    needs: Needs::Wharf,
    ..Command::EMPTY
};

/// `volume import`
pub(super) static VOLUME_IMPORT: Command = Command {
    name: "import",
    usage: "[OPTIONS] VOLUME [FILE|-]",
    about: "Create a volume from a tar archive",
    flags: &[IMPORT, MAKE],
    args: Args::Range(1, 2),
    action: Action::VolumeImport,
    needs: Needs::Wharf,
    ..Command::EMPTY
};

/// `volume rename`
pub(super) static VOLUME_RENAME: Command = Command {
    name: "rename",
    usage: "VOLUME NEW_NAME",
    about: "Rename a volume that no container uses",
    flags: &[],
    args: Args::Exact(2),
    action: Action::VolumeRename,
    needs: Needs::Wharf,
    ..Command::EMPTY
};

/// `volume restore`
pub(super) static VOLUME_RESTORE: Command = Command {
    name: "restore",
    usage: "VOLUME SNAPSHOT",
    about: "Make a volume's files what they were at a snapshot",
    flags: &[],
    args: Args::Exact(2),
    action: Action::VolumeRestore,
    needs: Needs::Wharf,
    ..Command::EMPTY
};

/// `volume snapshot`
pub(super) static VOLUME_SNAPSHOT: Command = Command {
    name: "snapshot",
    usage: "[OPTIONS] VOLUME [NAME]",
    about: "Keep a copy of a volume's files as they are now",
    flags: &[PAUSE, SNAPSHOT],
    args: Args::Range(1, 2),
    action: Action::VolumeSnapshot,
    needs: Needs::Wharf,
    ..Command::EMPTY
};

/// `volume snapshots`
pub(super) static VOLUME_SNAPSHOTS: Command = Command {
    name: "snapshots",
    usage: "[OPTIONS] VOLUME",
    about: "List the snapshots of a volume",
    flags: &[SNAPSHOTS],
    args: Args::Exact(1),
    action: Action::VolumeSnapshots,
    needs: Needs::Wharf,
    ..Command::EMPTY
};
