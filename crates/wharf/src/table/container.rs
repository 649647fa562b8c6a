//! Commands and flags of the life of containers.

use super::{Action, Args, Check, Command, Flag, Kind, Needs};

static CONTAINER_ATTACH_FLAGS: &[Flag] = &[
    Flag::new("detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    Flag::new("no-stdin", Kind::Bool, "Do not attach STDIN"),
    Flag::new("sig-proxy", Kind::Bool, "Proxy all received signals to the process (default true)"),
];

static CONTAINER_COMMIT_FLAGS: &[Flag] = &[
    Flag::new("author", Kind::Text, "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")").short('a'),
    Flag::new("change", Kind::List(Check::Nothing), "Apply Dockerfile instruction to the created image").short('c'),
    Flag::new("message", Kind::Text, "Commit message").short('m'),
    Flag::new("pause", Kind::Bool, "Pause container during commit (default true)").short('p'),
];

static CONTAINER_CP_FLAGS: &[Flag] = &[
    Flag::new("archive", Kind::Bool, "Archive mode (copy all uid/gid information)").short('a'),
    Flag::new("follow-link", Kind::Bool, "Always follow symbol link in SRC_PATH").short('L'),
    Flag::new(
        "quiet",
        Kind::Bool,
        "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
    )
    .short('q'),
];

static CONTAINER_CREATE_FLAGS: &[Flag] = &[
    Flag::new("add-host", Kind::List(Check::AddHost), "Add a custom host-to-IP mapping (host:ip)"),
    Flag::new(
        "annotation",
        Kind::Map,
        "Add an annotation to the container (passed through to the OCI runtime) (default map[])",
    ),
    Flag::new("attach", Kind::List(Check::Attach), "Attach to STDIN, STDOUT or STDERR").short('a'),
    Flag::new(
        "blkio-weight",
        Kind::Uint(16),
        "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
    ),
    Flag::new(
        "blkio-weight-device",
        Kind::List(Check::Weight),
        "Block IO weight (relative device weight) (default [])",
    ),
    Flag::new("cap-add", Kind::List(Check::Nothing), "Add Linux capabilities"),
    Flag::new("cap-drop", Kind::List(Check::Nothing), "Drop Linux capabilities"),
    Flag::new("cgroup-parent", Kind::Text, "Optional parent cgroup for the container"),
    Flag::new(
        "cgroupns",
        Kind::Text,
        "Cgroup namespace to use (host|private)\n'host':    Run the container in the Docker host's cgroup namespace\n'private': Run the container in its own private cgroup namespace\n'':        Use the cgroup namespace as configured by the\n           default-cgroupns-mode option on the daemon (default)",
    ),
    Flag::new("cidfile", Kind::Text, "Write the container ID to the file"),
    Flag::new("cpu-count", Kind::Int, "CPU count (Windows only)").needs(Needs::Windows),
    Flag::new("cpu-percent", Kind::Int, "CPU percent (Windows only)").needs(Needs::Windows),
    Flag::new("cpu-period", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag::new("cpu-quota", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag::new("cpu-rt-period", Kind::Int, "Limit CPU real-time period in microseconds"),
    Flag::new("cpu-rt-runtime", Kind::Int, "Limit CPU real-time runtime in microseconds"),
    Flag::new("cpu-shares", Kind::Int, "CPU shares (relative weight)").short('c'),
    Flag::new("cpus", Kind::Decimal, "Number of CPUs"),
    Flag::new("cpuset-cpus", Kind::Text, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag::new("cpuset-mems", Kind::Text, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag::new("device", Kind::List(Check::Nothing), "Add a host device to the container"),
    Flag::new("device-cgroup-rule", Kind::List(Check::DeviceRule), "Add a rule to the cgroup allowed devices list"),
    Flag::new(
        "device-read-bps",
        Kind::List(Check::Rate),
        "Limit read rate (bytes per second) from a device (default [])",
    ),
    Flag::new(
        "device-read-iops",
        Kind::List(Check::Rate),
        "Limit read rate (IO per second) from a device (default [])",
    ),
    Flag::new(
        "device-write-bps",
        Kind::List(Check::Rate),
        "Limit write rate (bytes per second) to a device (default [])",
    ),
    Flag::new(
        "device-write-iops",
        Kind::List(Check::Rate),
        "Limit write rate (IO per second) to a device (default [])",
    ),
    Flag::new("disable-content-trust", Kind::Bool, "Skip image verification (default true)"),
    Flag::new("dns", Kind::List(Check::Ip), "Set custom DNS servers"),
    Flag::new("dns-option", Kind::List(Check::Nothing), "Set DNS options"),
    Flag::new("dns-search", Kind::List(Check::DnsSearch), "Set custom DNS search domains"),
    Flag::new("domainname", Kind::Text, "Container NIS domain name"),
    Flag::new("entrypoint", Kind::Text, "Overwrite the default ENTRYPOINT of the image"),
    Flag::new("env", Kind::List(Check::Env), "Set environment variables").short('e'),
    Flag::new("env-file", Kind::List(Check::Nothing), "Read in a file of environment variables"),
    Flag::new("expose", Kind::List(Check::Nothing), "Expose a port or a range of ports"),
    Flag::new("gpus", Kind::Other("gpu-request"), "GPU devices to add to the container ('all' to pass all GPUs)"),
    Flag::new("group-add", Kind::List(Check::Nothing), "Add additional groups to join"),
    Flag::new("health-cmd", Kind::Text, "Command to run to check health"),
    Flag::new("health-interval", Kind::Duration, "Time between running the check (ms|s|m|h) (default 0s)"),
    Flag::new("health-retries", Kind::Int, "Consecutive failures needed to report unhealthy"),
    Flag::new(
        "health-start-interval",
        Kind::Duration,
        "Time between running the check during the start period (ms|s|m|h) (default 0s)",
    ),
    Flag::new(
        "health-start-period",
        Kind::Duration,
        "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)",
    ),
    Flag::new("health-timeout", Kind::Duration, "Maximum time to allow one check to run (ms|s|m|h) (default 0s)"),
    Flag::new("hostname", Kind::Text, "Container host name").short('h'),
    Flag::new("init", Kind::Bool, "Run an init inside the container that forwards signals and reaps processes"),
    Flag::new("interactive", Kind::Bool, "Keep STDIN open even if not attached").short('i'),
    Flag::new("io-maxbandwidth", Kind::Bytes, "Maximum IO bandwidth limit for the system drive (Windows only)")
        .needs(Needs::Windows),
    Flag::new("io-maxiops", Kind::Uint(64), "Maximum IOps limit for the system drive (Windows only)")
        .needs(Needs::Windows),
    Flag::new("ip", Kind::Text, "IPv4 address (e.g., 172.30.100.104)"),
    Flag::new("ip6", Kind::Text, "IPv6 address (e.g., 2001:db8::33)"),
    Flag::new("ipc", Kind::Text, "IPC mode to use"),
    Flag::new("isolation", Kind::Text, "Container isolation technology"),
    Flag::new("kernel-memory", Kind::Bytes, "Kernel memory limit"),
    Flag::new("label", Kind::List(Check::Label), "Set meta data on a container").short('l'),
    Flag::new("label-file", Kind::List(Check::Nothing), "Read in a line delimited file of labels"),
    Flag::new("link", Kind::List(Check::Link), "Add link to another container"),
    Flag::new("link-local-ip", Kind::List(Check::Nothing), "Container IPv4/IPv6 link-local addresses"),
    Flag::new("log-driver", Kind::Text, "Logging driver for the container"),
    Flag::new("log-opt", Kind::List(Check::Nothing), "Log driver options"),
    Flag::new("mac-address", Kind::Text, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag::new("memory", Kind::Bytes, "Memory limit").short('m'),
    Flag::new("memory-reservation", Kind::Bytes, "Memory soft limit"),
    Flag::new("memory-swap", Kind::Bytes, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Flag::new("memory-swappiness", Kind::Int, "Tune container memory swappiness (0 to 100) (default -1)"),
    Flag::new("mount", Kind::Mount, "Attach a filesystem mount to the container"),
    Flag::new("name", Kind::Text, "Assign a name to the container"),
    Flag::new("network", Kind::Network, "Connect a container to a network"),
    Flag::new("network-alias", Kind::List(Check::Nothing), "Add network-scoped alias for the container"),
    Flag::new("no-healthcheck", Kind::Bool, "Disable any container-specified HEALTHCHECK"),
    Flag::new("oom-kill-disable", Kind::Bool, "Disable OOM Killer"),
    Flag::new("oom-score-adj", Kind::Int, "Tune host's OOM preferences (-1000 to 1000)"),
    Flag::new("pid", Kind::Text, "PID namespace to use"),
    Flag::new("pids-limit", Kind::Int, "Tune container pids limit (set -1 for unlimited)"),
    Flag::new("platform", Kind::Text, "Set platform if server is multi-platform capable"),
    Flag::new("privileged", Kind::Bool, "Give extended privileges to this container"),
    Flag::new("publish", Kind::List(Check::Nothing), "Publish a container's port(s) to the host").short('p'),
    Flag::new("publish-all", Kind::Bool, "Publish all exposed ports to random ports").short('P'),
    Flag::new("quiet", Kind::Bool, "Suppress the pull output").short('q'),
    Flag::new("read-only", Kind::Bool, "Mount the container's root filesystem as read only"),
    Flag::new("restart", Kind::Text, "Restart policy to apply when a container exits (default \"no\")"),
    Flag::new(
        "rm",
        Kind::Bool,
        "Automatically remove the container and its associated anonymous volumes when it exits",
    ),
    Flag::new("runtime", Kind::Text, "Runtime to use for this container"),
    Flag::new("security-opt", Kind::List(Check::Nothing), "Security Options"),
    Flag::new("shm-size", Kind::Bytes, "Size of /dev/shm"),
    Flag::new("stop-signal", Kind::Text, "Signal to stop the container"),
    Flag::new("stop-timeout", Kind::Int, "Timeout (in seconds) to stop a container"),
    Flag::new("storage-opt", Kind::List(Check::Nothing), "Storage driver options for the container"),
    Flag::new("sysctl", Kind::Map, "Sysctl options (default map[])"),
    Flag::new("tmpfs", Kind::List(Check::Nothing), "Mount a tmpfs directory"),
    Flag::new("tty", Kind::Bool, "Allocate a pseudo-TTY").short('t'),
    Flag::new("ulimit", Kind::Ulimit, "Ulimit options (default [])"),
    Flag::new("use-api-socket", Kind::Bool, "Bind mount Docker API socket and required auth"),
    Flag::new("user", Kind::Text, "Username or UID (format: <name|uid>[:<group|gid>])").short('u'),
    Flag::new("userns", Kind::Text, "User namespace to use"),
    Flag::new("uts", Kind::Text, "UTS namespace to use"),
    Flag::new("volume", Kind::List(Check::Nothing), "Bind mount a volume").short('v'),
    Flag::new("volume-driver", Kind::Text, "Optional volume driver for the container"),
    Flag::new("volumes-from", Kind::List(Check::Nothing), "Mount volumes from the specified container(s)"),
    Flag::new("workdir", Kind::Text, "Working directory inside the container").short('w'),
    Flag::new("net", Kind::Network, "Connect a container to a network").hidden(),
    Flag::new("net-alias", Kind::List(Check::Nothing), "Add network-scoped alias for the container").hidden(),
    Flag::new("dns-opt", Kind::List(Check::Nothing), "Set DNS options").hidden(),
];

static CONTAINER_EXEC_FLAGS: &[Flag] = &[
    Flag::new("detach", Kind::Bool, "Detached mode: run command in the background").short('d'),
    Flag::new("detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    Flag::new("env", Kind::List(Check::Env), "Set environment variables").short('e'),
    Flag::new("env-file", Kind::List(Check::Nothing), "Read in a file of environment variables"),
    Flag::new("interactive", Kind::Bool, "Keep STDIN open even if not attached").short('i'),
    Flag::new("privileged", Kind::Bool, "Give extended privileges to the command"),
    Flag::new("tty", Kind::Bool, "Allocate a pseudo-TTY").short('t'),
    Flag::new("user", Kind::Text, "Username or UID (format: \"<name|uid>[:<group|gid>]\")").short('u'),
    Flag::new("workdir", Kind::Text, "Working directory inside the container").short('w'),
];

static CONTAINER_EXPORT_FLAGS: &[Flag] =
    &[Flag::new("output", Kind::Text, "Write to a file, instead of STDOUT").short('o')];

static CONTAINER_INSPECT_FLAGS: &[Flag] =
    &[Flag::FORMAT.short('f'), Flag::new("size", Kind::Bool, "Display total file sizes").short('s')];

static CONTAINER_KILL_FLAGS: &[Flag] = &[Flag::new("signal", Kind::Text, "Signal to send to the container").short('s')];

static CONTAINER_LOGS_FLAGS: &[Flag] = &[
    Flag::new("details", Kind::Bool, "Show extra details provided to logs"),
    Flag::new("follow", Kind::Bool, "Follow log output").short('f'),
    Flag::new(
        "since",
        Kind::Text,
        "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)",
    ),
    Flag::new("tail", Kind::Text, "Number of lines to show from the end of the logs (default \"all\")").short('n'),
    Flag::new("timestamps", Kind::Bool, "Show timestamps").short('t'),
    Flag::new(
        "until",
        Kind::Text,
        "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)",
    ),
];

static CONTAINER_LS_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Show all containers (default shows just running)").short('a'),
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("last", Kind::Int, "Show n last created containers (includes all states) (default -1)").short('n'),
    Flag::new("latest", Kind::Bool, "Show the latest created container (includes all states)").short('l'),
    Flag::new("no-trunc", Kind::Bool, "Don't truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display container IDs").short('q'),
    Flag::new("size", Kind::Bool, "Display total file sizes").short('s'),
];

static CONTAINER_PRUNE_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    Flag::new("force", Kind::Bool, "Do not prompt for confirmation").short('f'),
];

static CONTAINER_RESTART_FLAGS: &[Flag] = &[
    Flag::new("signal", Kind::Text, "Signal to send to the container").short('s'),
    Flag::new("timeout", Kind::Int, "Seconds to wait before killing the container").short('t'),
    Flag::new("time", Kind::Int, "Seconds to wait before killing the container").deprecated("use --timeout instead"),
];

static CONTAINER_RM_FLAGS: &[Flag] = &[
    Flag::new("force", Kind::Bool, "Force the removal of a running container (uses SIGKILL)").short('f'),
    Flag::new("link", Kind::Bool, "Remove the specified link").short('l'),
    Flag::new("volumes", Kind::Bool, "Remove anonymous volumes associated with the container").short('v'),
];

static CONTAINER_START_FLAGS: &[Flag] = &[
    Flag::new("attach", Kind::Bool, "Attach STDOUT/STDERR and forward signals").short('a'),
    Flag::new("checkpoint", Kind::Text, "Restore from this checkpoint").needs(Needs::Experimental),
    Flag::new("checkpoint-dir", Kind::Text, "Use a custom checkpoint storage directory").needs(Needs::Experimental),
    Flag::new("detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    Flag::new("interactive", Kind::Bool, "Attach container's STDIN").short('i'),
];

static CONTAINER_STATS_FLAGS: &[Flag] = &[
    Flag::new("all", Kind::Bool, "Show all containers (default shows just running)").short('a'),
    Flag::FORMAT_TABLE,
    Flag::new("no-stream", Kind::Bool, "Disable streaming stats and only pull the first result"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
];

static CONTAINER_STOP_FLAGS: &[Flag] = &[
    Flag::new("signal", Kind::Text, "Signal to send to the container").short('s'),
    Flag::new("timeout", Kind::Int, "Seconds to wait before killing the container").short('t'),
    Flag::new("time", Kind::Int, "Seconds to wait before killing the container").deprecated("use --timeout instead"),
];

static CONTAINER_UPDATE_FLAGS: &[Flag] = &[
    Flag::new(
        "blkio-weight",
        Kind::Uint(16),
        "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
    ),
    Flag::new("cpu-period", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag::new("cpu-quota", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag::new("cpu-rt-period", Kind::Int, "Limit the CPU real-time period in microseconds"),
    Flag::new("cpu-rt-runtime", Kind::Int, "Limit the CPU real-time runtime in microseconds"),
    Flag::new("cpu-shares", Kind::Int, "CPU shares (relative weight)").short('c'),
    Flag::new("cpus", Kind::Decimal, "Number of CPUs"),
    Flag::new("cpuset-cpus", Kind::Text, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag::new("cpuset-mems", Kind::Text, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag::new("memory", Kind::Bytes, "Memory limit").short('m'),
    Flag::new("memory-reservation", Kind::Bytes, "Memory soft limit"),
    Flag::new("memory-swap", Kind::Bytes, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    Flag::new("pids-limit", Kind::Int, "Tune container pids limit (set -1 for unlimited)"),
    Flag::new("restart", Kind::Text, "Restart policy to apply when a container exits"),
];

static CONTAINER_CREATE_ONLY_FLAGS: &[Flag] = &[Flag::new(
    "pull",
    Kind::Text,
    "Pull image before creating (\"always\", \"|missing\", \"never\") (default \"missing\")",
)];

static CONTAINER_RUN_FLAGS: &[Flag] = &[
    Flag::new(
        "pull",
        Kind::Text,
        "Pull image before running (\"always\", \"missing\", \"never\") (default \"missing\")",
    ),
    Flag::new("detach", Kind::Bool, "Run container in background and print container ID").short('d'),
    Flag::new("detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    Flag::new("sig-proxy", Kind::Bool, "Proxy received signals to the process (default true)"),
];

/// `container attach`
pub(super) static CONTAINER_ATTACH: Command = Command {
    name: "attach",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER",
    about: "Attach local standard input, output, and error streams to a running container",
    same_as: "{} container attach, {} attach",
    flags: &[CONTAINER_ATTACH_FLAGS],
    args: Args::Exact(1),
    action: Action::ContainerAttach,
    ..Command::EMPTY
};

/// `container commit`
pub(super) static CONTAINER_COMMIT: Command = Command {
    name: "commit",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    about: "Create a new image from a container's changes",
    same_as: "{} container commit, {} commit",
    flags: &[CONTAINER_COMMIT_FLAGS],
    args: Args::Range(1, 2),
    action: Action::ContainerCommit,
    ..Command::EMPTY
};

/// `container cp`
pub(super) static CONTAINER_CP: Command = Command {
    name: "cp",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files/folders between a container and the local filesystem\n\nUse '-' as the source to read a tar archive from stdin\nand extract it to a directory destination in a container.\nUse '-' as the destination to stream a tar archive of a\ncontainer source to stdout.",
    same_as: "{} container cp, {} cp",
    flags: &[CONTAINER_CP_FLAGS],
    args: Args::Exact(2),
    action: Action::ContainerCp,
    ..Command::EMPTY
};

/// `container create`
pub(super) static CONTAINER_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new container",
    same_as: "{} container create, {} create",
    flags: &[CONTAINER_CREATE_FLAGS, CONTAINER_CREATE_ONLY_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerCreate,
    interspersed: false,
    ..Command::EMPTY
};

/// `container diff`
pub(super) static CONTAINER_DIFF: Command = Command {
    name: "diff",
    aliases: &[],
    usage: "CONTAINER",
    about: "Inspect changes to files or directories on a container's filesystem",
    same_as: "{} container diff, {} diff",
    flags: &[],
    args: Args::Exact(1),
    action: Action::ContainerDiff,
    ..Command::EMPTY
};

/// `container exec`
pub(super) static CONTAINER_EXEC: Command = Command {
    name: "exec",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Execute a command in a running container",
    same_as: "{} container exec, {} exec",
    flags: &[CONTAINER_EXEC_FLAGS],
    args: Args::Min(2),
    action: Action::ContainerExec,
    interspersed: false,
    ..Command::EMPTY
};

/// `container export`
pub(super) static CONTAINER_EXPORT: Command = Command {
    name: "export",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER",
    about: "Export a container's filesystem as a tar archive",
    same_as: "{} container export, {} export",
    flags: &[CONTAINER_EXPORT_FLAGS],
    args: Args::Exact(1),
    action: Action::ContainerExport,
    ..Command::EMPTY
};

/// `container inspect`
pub(super) static CONTAINER_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Display detailed information on one or more containers",
    flags: &[CONTAINER_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerInspect,
    ..Command::EMPTY
};

/// `container kill`
pub(super) static CONTAINER_KILL: Command = Command {
    name: "kill",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    same_as: "{} container kill, {} kill",
    flags: &[CONTAINER_KILL_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerKill,
    ..Command::EMPTY
};

/// `container logs`
pub(super) static CONTAINER_LOGS: Command = Command {
    name: "logs",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER",
    about: "Fetch the logs of a container",
    same_as: "{} container logs, {} logs",
    flags: &[CONTAINER_LOGS_FLAGS],
    args: Args::Exact(1),
    action: Action::ContainerLogs,
    ..Command::EMPTY
};

/// `container ls`
pub(super) static CONTAINER_LS: Command = Command {
    name: "ls",
    aliases: &["ps", "list"],
    usage: "[OPTIONS]",
    about: "List containers",
    same_as: "{} container ls, {} container list, {} container ps, {} ps",
    flags: &[CONTAINER_LS_FLAGS],
    args: Args::Nothing,
    action: Action::ContainerLs,
    ..Command::EMPTY
};

/// `container pause`
pub(super) static CONTAINER_PAUSE: Command = Command {
    name: "pause",
    aliases: &[],
    usage: "CONTAINER [CONTAINER...]",
    about: "Pause all processes within one or more containers",
    same_as: "{} container pause, {} pause",
    flags: &[],
    args: Args::Min(1),
    action: Action::ContainerPause,
    ..Command::EMPTY
};

/// `container port`
pub(super) static CONTAINER_PORT: Command = Command {
    name: "port",
    aliases: &[],
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "List port mappings or a specific mapping for the container",
    same_as: "{} container port, {} port",
    flags: &[],
    args: Args::Range(1, 2),
    action: Action::ContainerPort,
    ..Command::EMPTY
};

/// `container prune`
pub(super) static CONTAINER_PRUNE: Command = Command {
    name: "prune",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Remove all stopped containers",
    flags: &[CONTAINER_PRUNE_FLAGS],
    args: Args::Nothing,
    action: Action::ContainerPrune,
    ..Command::EMPTY
};

/// `container rename`
pub(super) static CONTAINER_RENAME: Command = Command {
    name: "rename",
    aliases: &[],
    usage: "CONTAINER NEW_NAME",
    about: "Rename a container",
    same_as: "{} container rename, {} rename",
    flags: &[],
    args: Args::Exact(2),
    action: Action::ContainerRename,
    ..Command::EMPTY
};

/// `container restart`
pub(super) static CONTAINER_RESTART: Command = Command {
    name: "restart",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Restart one or more containers",
    same_as: "{} container restart, {} restart",
    flags: &[CONTAINER_RESTART_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerRestart,
    ..Command::EMPTY
};

/// `container rm`
pub(super) static CONTAINER_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    same_as: "{} container rm, {} container remove, {} rm",
    flags: &[CONTAINER_RM_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerRm,
    ..Command::EMPTY
};

/// `container run`
pub(super) static CONTAINER_RUN: Command = Command {
    name: "run",
    aliases: &[],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create and run a new container from an image",
    same_as: "{} container run, {} run",
    flags: &[CONTAINER_CREATE_FLAGS, CONTAINER_RUN_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerRun,
    interspersed: false,
    ..Command::EMPTY
};

/// `container start`
pub(super) static CONTAINER_START: Command = Command {
    name: "start",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    same_as: "{} container start, {} start",
    flags: &[CONTAINER_START_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerStart,
    ..Command::EMPTY
};

/// `container stats`
pub(super) static CONTAINER_STATS: Command = Command {
    name: "stats",
    aliases: &[],
    usage: "[OPTIONS] [CONTAINER...]",
    about: "Display a live stream of container(s) resource usage statistics",
    same_as: "{} container stats, {} stats",
    flags: &[CONTAINER_STATS_FLAGS],
    args: Args::Any,
    action: Action::ContainerStats,
    ..Command::EMPTY
};

/// `container stop`
pub(super) static CONTAINER_STOP: Command = Command {
    name: "stop",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop one or more running containers",
    same_as: "{} container stop, {} stop",
    flags: &[CONTAINER_STOP_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerStop,
    ..Command::EMPTY
};

/// `container top`
pub(super) static CONTAINER_TOP: Command = Command {
    name: "top",
    aliases: &[],
    usage: "CONTAINER [ps OPTIONS]",
    about: "Display the running processes of a container",
    same_as: "{} container top, {} top",
    flags: &[],
    args: Args::Min(1),
    action: Action::ContainerTop,
    interspersed: false,
    ..Command::EMPTY
};

/// `container unpause`
pub(super) static CONTAINER_UNPAUSE: Command = Command {
    name: "unpause",
    aliases: &[],
    usage: "CONTAINER [CONTAINER...]",
    about: "Unpause all processes within one or more containers",
    same_as: "{} container unpause, {} unpause",
    flags: &[],
    args: Args::Min(1),
    action: Action::ContainerUnpause,
    ..Command::EMPTY
};

/// `container update`
pub(super) static CONTAINER_UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Update configuration of one or more containers",
    same_as: "{} container update, {} update",
    flags: &[CONTAINER_UPDATE_FLAGS],
    args: Args::Min(1),
    action: Action::ContainerUpdate,
    ..Command::EMPTY
};

/// `container wait`
pub(super) static CONTAINER_WAIT: Command = Command {
    name: "wait",
    aliases: &[],
    usage: "CONTAINER [CONTAINER...]",
    about: "Block until one or more containers stop, then print their exit codes",
    same_as: "{} container wait, {} wait",
    flags: &[],
    args: Args::Min(1),
    action: Action::ContainerWait,
    ..Command::EMPTY
};
