//! Commands and flags of images.

use super::{Action, Args, Check, Command, Flag, Kind, Needs};

static IMAGE_BUILD_FLAGS: &[Flag] = &[
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

static IMAGE_HISTORY_FLAGS: &[Flag] = &[
    Flag::FORMAT_TABLE,
    Flag::new("human", Kind::Bool, "Print sizes and dates in human readable format (default true)").short('H'),
    Flag::new("no-trunc", Kind::Bool, "Don't truncate output"),
    Flag::new(
        "platform",
        Kind::Text,
        "Show history for the given platform. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")",
    ),
    Flag::new("quiet", Kind::Bool, "Only show image IDs").short('q'),
];

static IMAGE_IMPORT_FLAGS: &[Flag] = &[
    Flag::new("change", Kind::List(Check::Nothing), "Apply Dockerfile instruction to the created image").short('c'),
    Flag::new("message", Kind::Text, "Set commit message for imported image").short('m'),
    Flag::new("platform", Kind::Text, "Set platform if server is multi-platform capable"),
];

static IMAGE_INSPECT_FLAGS: &[Flag] = &[
    Flag::FORMAT.short('f'),
    Flag::new(
        "platform",
        Kind::Text,
        "Inspect a specific platform of the multi-platform image.\nIf the image or the server is not multi-platform capable, the command will error out if the platform does not match.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
    ),
];

static IMAGE_LOAD_FLAGS: &[Flag] = &[
    Flag::new("input", Kind::Text, "Read from tar archive file, instead of STDIN").short('i'),
    Flag::new(
        "platform",
        Kind::Text,
        "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")",
    ),
    Flag::new("quiet", Kind::Bool, "Suppress the load output").short('q'),
];

static IMAGE_LS_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Show all images (default hides intermediate images)").short('a'),
    Flag::new("digests", Kind::Bool, "Show digests"),
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("no-trunc", Kind::Bool, "Don't truncate output"),
    Flag::new("quiet", Kind::Bool, "Only show image IDs").short('q'),
    Flag::new("tree", Kind::Bool, "List multi-platform images as a tree (EXPERIMENTAL)"),
];

static IMAGE_PRUNE_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Remove all unused images, not just dangling ones").short('a'),
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    Flag::new("force", Kind::Bool, "Do not prompt for confirmation").short('f'),
];

static IMAGE_PULL_FLAGS: &[Flag] = &[
    Flag::new("all-tags", Kind::Bool, "Download all tagged images in the repository").short('a'),
    Flag::new("disable-content-trust", Kind::Bool, "Skip image verification (default true)"),
    Flag::new("platform", Kind::Text, "Set platform if server is multi-platform capable"),
    Flag::new("quiet", Kind::Bool, "Suppress verbose output").short('q'),
];

static IMAGE_PUSH_FLAGS: &[Flag] = &[
    Flag::new("all-tags", Kind::Bool, "Push all tags of an image to the repository").short('a'),
    Flag::new("disable-content-trust", Kind::Bool, "Skip image signing (default true)"),
    Flag::new(
        "platform",
        Kind::Text,
        "Push a platform-specific manifest as a single-platform image to the registry.\nImage index won't be pushed, meaning that other manifests, including attestations won't be preserved.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
    ),
    Flag::new("quiet", Kind::Bool, "Suppress verbose output").short('q'),
];

static IMAGE_RM_FLAGS: &[Flag] = &[
    Flag::new("force", Kind::Bool, "Force removal of the image").short('f'),
    Flag::new("no-prune", Kind::Bool, "Do not delete untagged parents"),
    Flag::new(
        "platform",
        Kind::Strings,
        "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")",
    ),
];

static IMAGE_SAVE_FLAGS: &[Flag] = &[
    Flag::new("output", Kind::Text, "Write to a file, instead of STDOUT").short('o'),
    Flag::new(
        "platform",
        Kind::Text,
        "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")",
    ),
];

/// `image build`
pub(super) static IMAGE_BUILD: Command = Command {
    name: "build",
    aliases: &[],
    usage: "[OPTIONS] PATH | URL | -",
    about: "Build an image from a Dockerfile",
    same_as: "{} image build, {} build, {} builder build",
    flags: &[IMAGE_BUILD_FLAGS],
    args: Args::Exact(1),
    action: Action::ImageBuild,
    ..Command::EMPTY
};

/// `image history`
pub(super) static IMAGE_HISTORY: Command = Command {
    name: "history",
    aliases: &[],
    usage: "[OPTIONS] IMAGE",
    about: "Show the history of an image",
    same_as: "{} image history, {} history",
    flags: &[IMAGE_HISTORY_FLAGS],
    args: Args::Exact(1),
    action: Action::ImageHistory,
    ..Command::EMPTY
};

/// `image import`
pub(super) static IMAGE_IMPORT: Command = Command {
    name: "import",
    aliases: &[],
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    about: "Import the contents from a tarball to create a filesystem image",
    same_as: "{} image import, {} import",
    flags: &[IMAGE_IMPORT_FLAGS],
    args: Args::Min(1),
    action: Action::ImageImport,
    ..Command::EMPTY
};

/// `image inspect`
pub(super) static IMAGE_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Display detailed information on one or more images",
    flags: &[IMAGE_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::ImageInspect,
    ..Command::EMPTY
};

/// `image load`
pub(super) static IMAGE_LOAD: Command = Command {
    name: "load",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Load an image from a tar archive or STDIN",
    same_as: "{} image load, {} load",
    flags: &[IMAGE_LOAD_FLAGS],
    args: Args::Nothing,
    action: Action::ImageLoad,
    ..Command::EMPTY
};

/// `image ls`
pub(super) static IMAGE_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    same_as: "{} image ls, {} image list, {} images",
    flags: &[IMAGE_LS_FLAGS],
    args: Args::Max(1),
    action: Action::ImageLs,
    ..Command::EMPTY
};

/// `image prune`
pub(super) static IMAGE_PRUNE: Command = Command {
    name: "prune",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Remove unused images",
    flags: &[IMAGE_PRUNE_FLAGS],
    args: Args::Nothing,
    action: Action::ImagePrune,
    ..Command::EMPTY
};

/// `image pull`
pub(super) static IMAGE_PULL: Command = Command {
    name: "pull",
    aliases: &[],
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    same_as: "{} image pull, {} pull",
    flags: &[IMAGE_PULL_FLAGS],
    args: Args::Exact(1),
    action: Action::ImagePull,
    ..Command::EMPTY
};

/// `image push`
pub(super) static IMAGE_PUSH: Command = Command {
    name: "push",
    aliases: &[],
    usage: "[OPTIONS] NAME[:TAG]",
    about: "Upload an image to a registry",
    same_as: "{} image push, {} push",
    flags: &[IMAGE_PUSH_FLAGS],
    args: Args::Exact(1),
    action: Action::ImagePush,
    ..Command::EMPTY
};

/// `image rm`
pub(super) static IMAGE_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove one or more images",
    same_as: "{} image rm, {} image remove, {} rmi",
    flags: &[IMAGE_RM_FLAGS],
    args: Args::Min(1),
    action: Action::ImageRm,
    ..Command::EMPTY
};

/// `image save`
pub(super) static IMAGE_SAVE: Command = Command {
    name: "save",
    aliases: &[],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    same_as: "{} image save, {} save",
    flags: &[IMAGE_SAVE_FLAGS],
    args: Args::Min(1),
    action: Action::ImageSave,
    ..Command::EMPTY
};

/// `image tag`
pub(super) static IMAGE_TAG: Command = Command {
    name: "tag",
    aliases: &[],
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    same_as: "{} image tag, {} tag",
    flags: &[],
    args: Args::Exact(2),
    action: Action::ImageTag,
    ..Command::EMPTY
};
