//! Commands and flags of services.

use crate::table::{Action, Args, Check, Command, Flag, Kind, Needs, Section};

pub(crate) static SERVICE: Command = Command {
    name: "service",
    usage: "COMMAND",
    about: "Manage Swarm services",
    commands: &[&CREATE, &INSPECT, &LOGS, &LS, &PS, &RM, &ROLLBACK, &SCALE, &UPDATE],
    section: Section::Swarm,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

static CREATE_FLAGS: &[Flag] = &[
    Flag::new("cap-add", Kind::List(Check::Nothing), "Add Linux capabilities"),
    Flag::new("cap-drop", Kind::List(Check::Nothing), "Drop Linux capabilities"),
    Flag::new("config", Kind::Other("config"), "Specify configurations to expose to the service"),
    Flag::new("constraint", Kind::List(Check::Nothing), "Placement constraints"),
    Flag::new("container-label", Kind::List(Check::Nothing), "Container labels"),
    Flag::new(
        "credential-spec",
        Kind::Other("credential-spec"),
        "Credential spec for managed service account (Windows only)",
    ),
    Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the service to converge").short('d'),
    Flag::new("dns", Kind::List(Check::Ip), "Set custom DNS servers"),
    Flag::new("dns-option", Kind::List(Check::Nothing), "Set DNS options"),
    Flag::new("dns-search", Kind::List(Check::DnsSearch), "Set custom DNS search domains"),
    Flag::new("endpoint-mode", Kind::Text, "Endpoint mode (vip or dnsrr) (default \"vip\")"),
    Flag::new("entrypoint", Kind::Other("command"), "Overwrite the default ENTRYPOINT of the image"),
    Flag::new("env", Kind::List(Check::Env), "Set environment variables").short('e'),
    Flag::new("env-file", Kind::List(Check::Nothing), "Read in a file of environment variables"),
    Flag::new("generic-resource", Kind::List(Check::Nothing), "User defined resources"),
    Flag::new("group", Kind::List(Check::Nothing), "Set one or more supplementary user groups for the container"),
    Flag::new("health-cmd", Kind::Text, "Command to run to check health"),
    Flag::new("health-interval", Kind::Duration, "Time between running the check (ms|s|m|h)"),
    Flag::new("health-retries", Kind::Int, "Consecutive failures needed to report unhealthy"),
    Flag::new(
        "health-start-interval",
        Kind::Duration,
        "Time between running the check during the start period (ms|s|m|h)",
    ),
    Flag::new(
        "health-start-period",
        Kind::Duration,
        "Start period for the container to initialize before counting retries towards unstable (ms|s|m|h)",
    ),
    Flag::new("health-timeout", Kind::Duration, "Maximum time to allow one check to run (ms|s|m|h)"),
    Flag::new("host", Kind::List(Check::Host), "Set one or more custom host-to-IP mappings (host:ip)"),
    Flag::new("hostname", Kind::Text, "Container hostname"),
    Flag::new("init", Kind::Bool, "Use an init inside each service container to forward signals and reap processes"),
    Flag::new("isolation", Kind::Text, "Service container isolation mode"),
    Flag::new("label", Kind::List(Check::Label), "Service labels").short('l'),
    Flag::new("limit-cpu", Kind::Decimal, "Limit CPUs"),
    Flag::new("limit-memory", Kind::Bytes, "Limit Memory"),
    Flag::new("limit-pids", Kind::Int, "Limit maximum number of processes (default 0 = unlimited)"),
    Flag::new("log-driver", Kind::Text, "Logging driver for service"),
    Flag::new("log-opt", Kind::List(Check::Nothing), "Logging driver options"),
    Flag::new(
        "max-concurrent",
        Kind::Uint(64),
        "Number of job tasks to run concurrently (default equal to --replicas)",
    ),
    Flag::new(
        "mode",
        Kind::Text,
        "Service mode (\"replicated\", \"global\", \"replicated-job\", \"global-job\") (default \"replicated\")",
    ),
    Flag::new("mount", Kind::Mount, "Attach a filesystem mount to the service"),
    Flag::new("name", Kind::Text, "Service name"),
    Flag::new("network", Kind::Network, "Network attachments"),
    Flag::new("no-healthcheck", Kind::Bool, "Disable any container-specified HEALTHCHECK"),
    Flag::new(
        "no-resolve-image",
        Kind::Bool,
        "Do not query the registry to resolve image digest and supported platforms",
    ),
    Flag::new("oom-score-adj", Kind::Int, "Tune host's OOM preferences (-1000 to 1000) "),
    Flag::new("placement-pref", Kind::Other("pref"), "Add a placement preference"),
    Flag::new("publish", Kind::Other("port"), "Publish a port as a node port").short('p'),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
    Flag::new("read-only", Kind::Bool, "Mount the container's root filesystem as read only"),
    Flag::new("replicas", Kind::Uint(64), "Number of tasks"),
    Flag::new("replicas-max-per-node", Kind::Uint(64), "Maximum number of tasks per node (default 0 = unlimited)"),
    Flag::new("reserve-cpu", Kind::Decimal, "Reserve CPUs"),
    Flag::new("reserve-memory", Kind::Bytes, "Reserve Memory"),
    Flag::new(
        "restart-condition",
        Kind::Text,
        "Restart when condition is met (\"none\", \"on-failure\", \"any\") (default \"any\")",
    ),
    Flag::new("restart-delay", Kind::Duration, "Delay between restart attempts (ns|us|ms|s|m|h) (default 5s)"),
    Flag::new("restart-max-attempts", Kind::Uint(64), "Maximum number of restarts before giving up"),
    Flag::new("restart-window", Kind::Duration, "Window used to evaluate the restart policy (ns|us|ms|s|m|h)"),
    Flag::new("rollback-delay", Kind::Duration, "Delay between task rollbacks (ns|us|ms|s|m|h) (default 0s)"),
    Flag::new(
        "rollback-failure-action",
        Kind::Text,
        "Action on rollback failure (\"pause\", \"continue\") (default \"pause\")",
    ),
    Flag::new("rollback-max-failure-ratio", Kind::Float, "Failure rate to tolerate during a rollback (default 0)"),
    Flag::new(
        "rollback-monitor",
        Kind::Duration,
        "Duration after each task rollback to monitor for failure (ns|us|ms|s|m|h) (default 5s)",
    ),
    Flag::new(
        "rollback-order",
        Kind::Text,
        "Rollback order (\"start-first\", \"stop-first\") (default \"stop-first\")",
    ),
    Flag::new(
        "rollback-parallelism",
        Kind::Uint(64),
        "Maximum number of tasks rolled back simultaneously (0 to roll back all at once) (default 1)",
    ),
    Flag::new("secret", Kind::Other("secret"), "Specify secrets to expose to the service"),
    Flag::new(
        "stop-grace-period",
        Kind::Duration,
        "Time to wait before force killing a container (ns|us|ms|s|m|h) (default 10s)",
    ),
    Flag::new("stop-signal", Kind::Text, "Signal to stop the container"),
    Flag::new("sysctl", Kind::List(Check::Nothing), "Sysctl options"),
    Flag::new("tty", Kind::Bool, "Allocate a pseudo-TTY").short('t'),
    Flag::new("ulimit", Kind::Ulimit, "Ulimit options (default [])"),
    Flag::new("update-delay", Kind::Duration, "Delay between updates (ns|us|ms|s|m|h) (default 0s)"),
    Flag::new(
        "update-failure-action",
        Kind::Text,
        "Action on update failure (\"pause\", \"continue\", \"rollback\") (default \"pause\")",
    ),
    Flag::new("update-max-failure-ratio", Kind::Float, "Failure rate to tolerate during an update (default 0)"),
    Flag::new(
        "update-monitor",
        Kind::Duration,
        "Duration after each task update to monitor for failure (ns|us|ms|s|m|h) (default 5s)",
    ),
    Flag::new("update-order", Kind::Text, "Update order (\"start-first\", \"stop-first\") (default \"stop-first\")"),
    Flag::new(
        "update-parallelism",
        Kind::Uint(64),
        "Maximum number of tasks updated simultaneously (0 to update all at once) (default 1)",
    ),
    Flag::new("user", Kind::Text, "Username or UID (format: <name|uid>[:<group|gid>])").short('u'),
    Flag::new("with-registry-auth", Kind::Bool, "Send registry authentication details to swarm agents"),
    Flag::new("workdir", Kind::Text, "Working directory inside the container").short('w'),
];

static INSPECT_FLAGS: &[Flag] =
    &[Flag::FORMAT.short('f'), Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format")];

static LOGS_FLAGS: &[Flag] = &[
    Flag::new("details", Kind::Bool, "Show extra details provided to logs"),
    Flag::new("follow", Kind::Bool, "Follow log output").short('f'),
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names in output"),
    Flag::new("no-task-ids", Kind::Bool, "Do not include task IDs in output"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("raw", Kind::Bool, "Do not neatly format logs"),
    Flag::new(
        "since",
        Kind::Text,
        "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)",
    ),
    Flag::new("tail", Kind::Text, "Number of lines to show from the end of the logs (default \"all\")").short('n'),
    Flag::new("timestamps", Kind::Bool, "Show timestamps").short('t'),
];

static LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::FORMAT_TABLE,
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static PS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new("format", Kind::Text, "Pretty-print tasks using a Go template"),
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display task IDs").short('q'),
];

static ROLLBACK_FLAGS: &[Flag] = &[
    Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the service to converge").short('d'),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
];

static SCALE_FLAGS: &[Flag] =
    &[Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the service to converge").short('d')];

static UPDATE_FLAGS: &[Flag] = &[
    Flag::new("args", Kind::Other("command"), "Service command args"),
    Flag::new("cap-add", Kind::List(Check::Nothing), "Add Linux capabilities"),
    Flag::new("cap-drop", Kind::List(Check::Nothing), "Drop Linux capabilities"),
    Flag::new("config-add", Kind::Other("config"), "Add or update a config file on a service"),
    Flag::new("config-rm", Kind::List(Check::Nothing), "Remove a configuration file"),
    Flag::new("constraint-add", Kind::List(Check::Nothing), "Add or update a placement constraint"),
    Flag::new("constraint-rm", Kind::List(Check::Nothing), "Remove a constraint"),
    Flag::new("container-label-add", Kind::List(Check::Nothing), "Add or update a container label"),
    Flag::new("container-label-rm", Kind::List(Check::Nothing), "Remove a container label by its key"),
    Flag::new(
        "credential-spec",
        Kind::Other("credential-spec"),
        "Credential spec for managed service account (Windows only)",
    ),
    Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the service to converge").short('d'),
    Flag::new("dns-add", Kind::List(Check::Nothing), "Add or update a custom DNS server"),
    Flag::new("dns-option-add", Kind::List(Check::Nothing), "Add or update a DNS option"),
    Flag::new("dns-option-rm", Kind::List(Check::Nothing), "Remove a DNS option"),
    Flag::new("dns-rm", Kind::List(Check::Nothing), "Remove a custom DNS server"),
    Flag::new("dns-search-add", Kind::List(Check::Nothing), "Add or update a custom DNS search domain"),
    Flag::new("dns-search-rm", Kind::List(Check::Nothing), "Remove a DNS search domain"),
    Flag::new("endpoint-mode", Kind::Text, "Endpoint mode (vip or dnsrr)"),
    Flag::new("entrypoint", Kind::Other("command"), "Overwrite the default ENTRYPOINT of the image"),
    Flag::new("env-add", Kind::List(Check::Nothing), "Add or update an environment variable"),
    Flag::new("env-rm", Kind::List(Check::Nothing), "Remove an environment variable"),
    Flag::new("force", Kind::Bool, "Force update even if no changes require it"),
    Flag::new("generic-resource-add", Kind::List(Check::Nothing), "Add a Generic resource"),
    Flag::new("generic-resource-rm", Kind::List(Check::Nothing), "Remove a Generic resource"),
    Flag::new("group-add", Kind::List(Check::Nothing), "Add an additional supplementary user group to the container"),
    Flag::new(
        "group-rm",
        Kind::List(Check::Nothing),
        "Remove a previously added supplementary user group from the container",
    ),
    Flag::new("health-cmd", Kind::Text, "Command to run to check health"),
    Flag::new("health-interval", Kind::Duration, "Time between running the check (ms|s|m|h)"),
    Flag::new("health-retries", Kind::Int, "Consecutive failures needed to report unhealthy"),
    Flag::new(
        "health-start-interval",
        Kind::Duration,
        "Time between running the check during the start period (ms|s|m|h)",
    ),
    Flag::new(
        "health-start-period",
        Kind::Duration,
        "Start period for the container to initialize before counting retries towards unstable (ms|s|m|h)",
    ),
    Flag::new("health-timeout", Kind::Duration, "Maximum time to allow one check to run (ms|s|m|h)"),
    Flag::new("host-add", Kind::List(Check::Nothing), "Add a custom host-to-IP mapping (\"host:ip\")"),
    Flag::new("host-rm", Kind::List(Check::Nothing), "Remove a custom host-to-IP mapping (\"host:ip\")"),
    Flag::new("hostname", Kind::Text, "Container hostname"),
    Flag::new("image", Kind::Text, "Service image tag"),
    Flag::new("init", Kind::Bool, "Use an init inside each service container to forward signals and reap processes"),
    Flag::new("isolation", Kind::Text, "Service container isolation mode"),
    Flag::new("label-add", Kind::List(Check::Nothing), "Add or update a service label"),
    Flag::new("label-rm", Kind::List(Check::Nothing), "Remove a label by its key"),
    Flag::new("limit-cpu", Kind::Decimal, "Limit CPUs"),
    Flag::new("limit-memory", Kind::Bytes, "Limit Memory"),
    Flag::new("limit-pids", Kind::Int, "Limit maximum number of processes (default 0 = unlimited)"),
    Flag::new("log-driver", Kind::Text, "Logging driver for service"),
    Flag::new("log-opt", Kind::List(Check::Nothing), "Logging driver options"),
    Flag::new(
        "max-concurrent",
        Kind::Uint(64),
        "Number of job tasks to run concurrently (default equal to --replicas)",
    ),
    Flag::new("mount-add", Kind::Mount, "Add or update a mount on a service"),
    Flag::new("mount-rm", Kind::List(Check::Nothing), "Remove a mount by its target path"),
    Flag::new("network-add", Kind::Network, "Add a network"),
    Flag::new("network-rm", Kind::List(Check::Nothing), "Remove a network"),
    Flag::new("no-healthcheck", Kind::Bool, "Disable any container-specified HEALTHCHECK"),
    Flag::new(
        "no-resolve-image",
        Kind::Bool,
        "Do not query the registry to resolve image digest and supported platforms",
    ),
    Flag::new("oom-score-adj", Kind::Int, "Tune host's OOM preferences (-1000 to 1000) "),
    Flag::new("placement-pref-add", Kind::Other("pref"), "Add a placement preference"),
    Flag::new("placement-pref-rm", Kind::Other("pref"), "Remove a placement preference"),
    Flag::new("publish-add", Kind::Other("port"), "Add or update a published port"),
    Flag::new("publish-rm", Kind::Other("port"), "Remove a published port by its target port"),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
    Flag::new("read-only", Kind::Bool, "Mount the container's root filesystem as read only"),
    Flag::new("replicas", Kind::Uint(64), "Number of tasks"),
    Flag::new("replicas-max-per-node", Kind::Uint(64), "Maximum number of tasks per node (default 0 = unlimited)"),
    Flag::new("reserve-cpu", Kind::Decimal, "Reserve CPUs"),
    Flag::new("reserve-memory", Kind::Bytes, "Reserve Memory"),
    Flag::new("restart-condition", Kind::Text, "Restart when condition is met (\"none\", \"on-failure\", \"any\")"),
    Flag::new("restart-delay", Kind::Duration, "Delay between restart attempts (ns|us|ms|s|m|h)"),
    Flag::new("restart-max-attempts", Kind::Uint(64), "Maximum number of restarts before giving up"),
    Flag::new("restart-window", Kind::Duration, "Window used to evaluate the restart policy (ns|us|ms|s|m|h)"),
    Flag::new("rollback", Kind::Bool, "Rollback to previous specification"),
    Flag::new("rollback-delay", Kind::Duration, "Delay between task rollbacks (ns|us|ms|s|m|h)"),
    Flag::new("rollback-failure-action", Kind::Text, "Action on rollback failure (\"pause\", \"continue\")"),
    Flag::new("rollback-max-failure-ratio", Kind::Float, "Failure rate to tolerate during a rollback"),
    Flag::new(
        "rollback-monitor",
        Kind::Duration,
        "Duration after each task rollback to monitor for failure (ns|us|ms|s|m|h)",
    ),
    Flag::new("rollback-order", Kind::Text, "Rollback order (\"start-first\", \"stop-first\")"),
    Flag::new(
        "rollback-parallelism",
        Kind::Uint(64),
        "Maximum number of tasks rolled back simultaneously (0 to roll back all at once)",
    ),
    Flag::new("secret-add", Kind::Other("secret"), "Add or update a secret on a service"),
    Flag::new("secret-rm", Kind::List(Check::Nothing), "Remove a secret"),
    Flag::new("stop-grace-period", Kind::Duration, "Time to wait before force killing a container (ns|us|ms|s|m|h)"),
    Flag::new("stop-signal", Kind::Text, "Signal to stop the container"),
    Flag::new("sysctl-add", Kind::List(Check::Nothing), "Add or update a Sysctl option"),
    Flag::new("sysctl-rm", Kind::List(Check::Nothing), "Remove a Sysctl option"),
    Flag::new("tty", Kind::Bool, "Allocate a pseudo-TTY").short('t'),
    Flag::new("ulimit-add", Kind::Ulimit, "Add or update a ulimit option (default [])"),
    Flag::new("ulimit-rm", Kind::List(Check::Nothing), "Remove a ulimit option"),
    Flag::new("update-delay", Kind::Duration, "Delay between updates (ns|us|ms|s|m|h)"),
    Flag::new("update-failure-action", Kind::Text, "Action on update failure (\"pause\", \"continue\", \"rollback\")"),
    Flag::new("update-max-failure-ratio", Kind::Float, "Failure rate to tolerate during an update"),
    Flag::new(
        "update-monitor",
        Kind::Duration,
        "Duration after each task update to monitor for failure (ns|us|ms|s|m|h)",
    ),
    Flag::new("update-order", Kind::Text, "Update order (\"start-first\", \"stop-first\")"),
    Flag::new(
        "update-parallelism",
        Kind::Uint(64),
        "Maximum number of tasks updated simultaneously (0 to update all at once)",
    ),
    Flag::new("user", Kind::Text, "Username or UID (format: <name|uid>[:<group|gid>])").short('u'),
    Flag::new("with-registry-auth", Kind::Bool, "Send registry authentication details to swarm agents"),
    Flag::new("workdir", Kind::Text, "Working directory inside the container").short('w'),
];

/// `service create`
static CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new service",
    flags: &[CREATE_FLAGS],
    args: Args::Min(1),
    action: Action::ServiceCreate,
    ..Command::EMPTY
};

/// `service inspect`
static INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    about: "Display detailed information on one or more services",
    flags: &[INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::ServiceInspect,
    ..Command::EMPTY
};

/// `service logs`
static LOGS: Command = Command {
    name: "logs",
    aliases: &[],
    usage: "[OPTIONS] SERVICE|TASK",
    about: "Fetch the logs of a service or task",
    flags: &[LOGS_FLAGS],
    args: Args::Exact(1),
    action: Action::ServiceLogs,
    ..Command::EMPTY
};

/// `service ls`
static LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List services",
    same_as: "{} service ls, {} service list",
    flags: &[LS_FLAGS],
    args: Args::Nothing,
    action: Action::ServiceLs,
    ..Command::EMPTY
};

/// `service ps`
static PS: Command = Command {
    name: "ps",
    aliases: &[],
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    about: "List the tasks of one or more services",
    flags: &[PS_FLAGS],
    args: Args::Min(1),
    action: Action::ServicePs,
    ..Command::EMPTY
};

/// `service rm`
static RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "SERVICE [SERVICE...]",
    about: "Remove one or more services",
    same_as: "{} service rm, {} service remove",
    flags: &[],
    args: Args::Min(1),
    action: Action::ServiceRm,
    ..Command::EMPTY
};

/// `service rollback`
static ROLLBACK: Command = Command {
    name: "rollback",
    aliases: &[],
    usage: "[OPTIONS] SERVICE",
    about: "Revert changes to a service's configuration",
    flags: &[ROLLBACK_FLAGS],
    args: Args::Exact(1),
    action: Action::ServiceRollback,
    ..Command::EMPTY
};

/// `service scale`
static SCALE: Command = Command {
    name: "scale",
    aliases: &[],
    usage: "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
    about: "Scale one or multiple replicated services",
    flags: &[SCALE_FLAGS],
    args: Args::Min(1),
    action: Action::ServiceScale,
    ..Command::EMPTY
};

/// `service update`
static UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] SERVICE",
    about: "Update a service",
    flags: &[UPDATE_FLAGS],
    args: Args::Exact(1),
    action: Action::ServiceUpdate,
    ..Command::EMPTY
};
