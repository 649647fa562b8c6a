//! What may stand where: the values of flags and the arguments of commands, as a table.

use crate::table::{Action, Command, Flag, ROOT};

/// Things that somebody has to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Containers of any state.
    Containers,
    /// Containers that run, paused ones included.
    Running,
    /// Those that run and are not paused.
    Active,
    Paused,
    /// Those that do not run.
    Stopped,
    Images,
    /// Images that are tagged, and their repositories.
    Repositories,
    Networks,
    /// Networks that can be removed.
    OwnNetworks,
    Volumes,
    Plugins,
    Contexts,
    Registries,
    Runtimes,
    LogDrivers,
    NetworkDrivers,
    VolumeDrivers,
    /// Variables of the environment.
    Environment,
    Capabilities,
    Signals,
}

/// What may stand in one place.
#[derive(Debug)]
pub(super) enum Offer {
    Nothing,
    Files,
    Folders,
    Words(&'static [&'static str]),
    /// Beginnings of words, which go on.
    Begun(&'static [&'static str]),
    /// Commands below this one, as the topics of help.
    Topics(&'static Command),
    Found(&'static [Kind]),
    /// Each followed by this, and it goes on.
    Prefixed(Kind, &'static str),
    /// A word, or a prefix and one of these.
    OneOf(&'static [&'static str], &'static str, Kind),
    Filter(&'static [Key]),
}

/// A filter's key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) values: Offer,
}

const fn key(name: &'static str, values: Offer) -> Key {
    Key { name, values }
}

const BOOL: Offer = Offer::Words(&["false", "true"]);
const CONTAINERS: Offer = Offer::Found(&[Kind::Containers]);
const IMAGES: Offer = Offer::Found(&[Kind::Images]);
const NETWORKS: Offer = Offer::Found(&[Kind::Networks]);
const VOLUMES: Offer = Offer::Found(&[Kind::Volumes]);

static PS: &[Key] = &[
    key("ancestor", IMAGES),
    key("before", CONTAINERS),
    key("exited", Offer::Nothing),
    key("expose", Offer::Nothing),
    key("health", Offer::Words(&["healthy", "none", "starting", "unhealthy"])),
    key("id", Offer::Nothing),
    key("is-task", BOOL),
    key("label", Offer::Nothing),
    key("name", CONTAINERS),
    key("network", NETWORKS),
    key("publish", Offer::Nothing),
    key("since", CONTAINERS),
    key("status", Offer::Words(&["created", "dead", "exited", "paused", "removing", "restarting", "running"])),
    key("volume", VOLUMES),
];
static IMAGE_LS: &[Key] = &[
    key("before", IMAGES),
    key("dangling", BOOL),
    key("label", Offer::Nothing),
    key("reference", IMAGES),
    key("since", IMAGES),
    key("until", Offer::Nothing),
];
static IMAGE_PRUNE: &[Key] = &[key("dangling", BOOL), key("label", Offer::Nothing), key("until", Offer::Nothing)];
static PRUNE: &[Key] = &[key("label", Offer::Nothing), key("label!", Offer::Nothing), key("until", Offer::Nothing)];
static NETWORK_LS: &[Key] = &[
    key("dangling", BOOL),
    key("driver", Offer::Found(&[Kind::NetworkDrivers])),
    key("id", Offer::Nothing),
    key("label", Offer::Nothing),
    key("name", NETWORKS),
    key("scope", Offer::Words(&["global", "local", "swarm"])),
    key("type", Offer::Words(&["builtin", "custom"])),
];
static VOLUME_LS: &[Key] = &[
    key("dangling", BOOL),
    key("driver", Offer::Found(&[Kind::VolumeDrivers])),
    key("label", Offer::Nothing),
    key("name", VOLUMES),
];
static VOLUME_PRUNE: &[Key] = &[key("all", BOOL), key("label", Offer::Nothing), key("label!", Offer::Nothing)];
static PLUGIN_LS: &[Key] = &[
    key("capability", Offer::Words(&["authz", "ipamdriver", "logdriver", "networkdriver", "volumedriver"])),
    key("enabled", BOOL),
];
static SEARCH: &[Key] = &[key("is-automated", BOOL), key("is-official", BOOL), key("stars", Offer::Nothing)];
static EVENTS: &[Key] = &[
    key("container", CONTAINERS),
    key("daemon", Offer::Nothing),
    key("event", Offer::Words(WHAT_HAPPENS)),
    key("image", IMAGES),
    key("label", Offer::Nothing),
    key("network", NETWORKS),
    key("scope", Offer::Words(&["local", "swarm"])),
    key("type", Offer::Words(&["container", "daemon", "image", "network", "plugin", "volume"])),
    key("volume", VOLUMES),
];
static WHAT_HAPPENS: &[&str] = &[
    "attach",
    "commit",
    "connect",
    "copy",
    "create",
    "delete",
    "destroy",
    "detach",
    "die",
    "disable",
    "disconnect",
    "enable",
    "exec_create",
    "exec_detach",
    "exec_die",
    "exec_start",
    "export",
    "health_status",
    "import",
    "install",
    "kill",
    "load",
    "mount",
    "oom",
    "pause",
    "prune",
    "pull",
    "push",
    "reload",
    "remove",
    "rename",
    "resize",
    "restart",
    "save",
    "start",
    "stop",
    "tag",
    "top",
    "unmount",
    "unpause",
    "untag",
    "update",
];
static PLATFORMS: &[&str] = &[
    "linux/386",
    "linux/amd64",
    "linux/arm",
    "linux/arm/v5",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/arm64/v8",
    "linux/loong64",
    "linux/mips64le",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];
static ULIMITS: &[&str] = &[
    "as=",
    "core=",
    "cpu=",
    "data=",
    "fsize=",
    "locks=",
    "memlock=",
    "msgqueue=",
    "nice=",
    "nofile=",
    "nproc=",
    "rss=",
    "rtprio=",
    "rttime=",
    "sigpending=",
    "stack=",
];

/// The values of a flag; `path` are the names of its command.
pub(super) fn value(path: &[&'static str], flag: &Flag) -> Offer {
    let command = path.last().copied().unwrap_or_default();
    let group = path.first().copied().unwrap_or_default();
    match flag.long {
        "network" | "net" => Offer::Found(&[Kind::Networks]),
        "volumes-from" => CONTAINERS,
        "link" => Offer::Prefixed(Kind::Containers, ":"),
        "ipc" => Offer::OneOf(&["host", "none", "private", "shareable"], "container:", Kind::Active),
        "pid" => Offer::OneOf(&["host"], "container:", Kind::Active),
        "userns" | "uts" => Offer::Words(&["host"]),
        "cgroupns" => Offer::Words(&["host", "private"]),
        "pull" if command != "build" => Offer::Words(&["always", "missing", "never"]),
        "restart" => Offer::Words(&["always", "no", "on-failure", "unless-stopped"]),
        "env" | "build-arg" => Offer::Found(&[Kind::Environment]),
        "platform" => Offer::Words(PLATFORMS),
        "log-driver" => Offer::Found(&[Kind::LogDrivers]),
        "cap-add" | "cap-drop" => Offer::Found(&[Kind::Capabilities]),
        "security-opt" => {
            Offer::Begun(&["apparmor=", "label=", "no-new-privileges", "seccomp=", "systempaths=unconfined"])
        }
        "stop-signal" => Offer::Found(&[Kind::Signals]),
        "signal" => Offer::Found(&[Kind::Signals]),
        "runtime" => Offer::Found(&[Kind::Runtimes]),
        "volume-driver" => Offer::Found(&[Kind::VolumeDrivers]),
        "driver" if group == "network" => Offer::Found(&[Kind::NetworkDrivers]),
        "driver" if group == "volume" => Offer::Found(&[Kind::VolumeDrivers]),
        "ipam-driver" => Offer::Words(&["default"]),
        "scope" if group == "network" => Offer::Words(&["local"]),
        "attach" => Offer::Words(&["stderr", "stdin", "stdout"]),
        "detach-keys" => Offer::Begun(&["ctrl-"]),
        "storage-opt" => Offer::Begun(&["size="]),
        "ulimit" => Offer::Begun(ULIMITS),
        "mount" => Offer::Begun(&["type=bind,", "type=image,", "type=tmpfs,", "type=volume,"]),
        "context" => Offer::Found(&[Kind::Contexts]),
        "from" if group == "context" => Offer::Found(&[Kind::Contexts]),
        "log-level" => Offer::Words(&["debug", "error", "fatal", "info", "panic", "warn"]),
        "type" => Offer::Words(&["container", "image", "network", "plugin", "volume"]),
        "format" => Offer::Begun(&["json", "table", "{{"]),
        "progress" => Offer::Words(&["auto", "plain", "tty"]),
        "filter" => filter(path),
        "env-file" | "label-file" | "cidfile" | "iidfile" | "file" | "output" | "input" | "config" | "tlscacert"
        | "tlscert" | "tlskey" | "volume" | "device" => Offer::Files,
        "workdir" | "checkpoint-dir" => Offer::Nothing,
        _ => Offer::Nothing,
    }
}

fn filter(path: &[&'static str]) -> Offer {
    Offer::Filter(match path {
        ["ps"] | ["container", "ls"] => PS,
        ["images"] | ["image", "ls"] => IMAGE_LS,
        ["image", "prune"] => IMAGE_PRUNE,
        ["network", "ls"] => NETWORK_LS,
        ["volume", "ls"] => VOLUME_LS,
        ["volume", "prune"] => VOLUME_PRUNE,
        ["plugin", "ls"] => PLUGIN_LS,
        ["search"] => SEARCH,
        ["events"] | ["system", "events"] => EVENTS,
        [.., "prune"] => PRUNE,
        _ => return Offer::Nothing,
    })
}

/// The next argument of a command, after those given.
pub(super) fn argument(action: Action, given: &[String]) -> Offer {
    let first = |offer: Offer| if given.is_empty() { offer } else { Offer::Nothing };
    match action {
        Action::ContainerStart => Offer::Found(&[Kind::Stopped]),
        Action::ContainerStop | Action::ContainerKill | Action::ContainerWait => Offer::Found(&[Kind::Running]),
        Action::ContainerPause => Offer::Found(&[Kind::Active]),
        Action::ContainerUnpause => Offer::Found(&[Kind::Paused]),
        Action::ContainerStats => Offer::Found(&[Kind::Running]),
        Action::ContainerRm | Action::ContainerRestart | Action::ContainerUpdate | Action::ContainerInspect => {
            CONTAINERS
        }
        Action::ContainerAttach | Action::ContainerExec => first(Offer::Found(&[Kind::Active])),
        Action::ContainerTop => first(Offer::Found(&[Kind::Running])),
        Action::ContainerPort
        | Action::ContainerRename
        | Action::ContainerLogs
        | Action::ContainerDiff
        | Action::ContainerExport => first(CONTAINERS),
        Action::ContainerCommit => match given {
            [] => CONTAINERS,
            [_] => Offer::Found(&[Kind::Repositories]),
            _ => Offer::Nothing,
        },
        // a path of ours, or one in a container
        Action::ContainerCp if given.len() < 2 => Offer::Prefixed(Kind::Containers, ":"),
        Action::ContainerRun | Action::ContainerCreate => first(IMAGES),
        Action::ImageRm | Action::ImageSave | Action::ImageInspect => IMAGES,
        Action::ImageHistory | Action::ImagePush => first(IMAGES),
        Action::ImagePull => first(Offer::Found(&[Kind::Repositories])),
        Action::ImageLs => first(Offer::Found(&[Kind::Repositories])),
        Action::ImageTag => match given {
            [] => IMAGES,
            [_] => Offer::Found(&[Kind::Repositories]),
            _ => Offer::Nothing,
        },
        Action::ImageImport => first(Offer::Files),
        Action::ImageBuild => first(Offer::Folders),
        Action::NetworkConnect | Action::NetworkDisconnect => match given {
            [] => NETWORKS,
            [_] => CONTAINERS,
            _ => Offer::Nothing,
        },
        Action::NetworkRm => Offer::Found(&[Kind::OwnNetworks]),
        Action::NetworkInspect => NETWORKS,
        Action::NetworkRules => first(NETWORKS),
        Action::VolumeInspect | Action::VolumeRm => VOLUMES,
        Action::VolumeUpdate
        | Action::VolumeClone
        | Action::VolumeExport
        | Action::VolumeRename
        | Action::VolumeRestore
        | Action::VolumeSnapshot
        | Action::VolumeSnapshots => first(VOLUMES),
        Action::ContextUse | Action::ContextUpdate | Action::ContextExport => first(Offer::Found(&[Kind::Contexts])),
        Action::ContextRm | Action::ContextInspect => Offer::Found(&[Kind::Contexts]),
        Action::ContextImport if given.len() == 1 => Offer::Files,
        Action::Inspect => {
            Offer::Found(&[Kind::Containers, Kind::Images, Kind::Networks, Kind::Volumes, Kind::Plugins])
        }
        Action::Login | Action::Logout => first(Offer::Found(&[Kind::Registries])),
        Action::PluginRm | Action::PluginInspect => Offer::Found(&[Kind::Plugins]),
        Action::PluginEnable | Action::PluginDisable | Action::PluginSet => first(Offer::Found(&[Kind::Plugins])),
        Action::Group => first(Offer::Topics(&ROOT)),
        _ => Offer::Nothing,
    }
}
