//! Table of the commands and flags of clusters (the grammar; the commands answer that there is no cluster here).

use super::{Action, Args, Check, Command, Flag, Kind, Needs};

static CONFIG_CREATE_FLAGS: &[Flag] = &[
    Flag::new("label", Kind::List(Check::Label), "Config labels").short('l'),
    Flag::new("template-driver", Kind::Text, "Template driver"),
];

static CONFIG_INSPECT_FLAGS: &[Flag] = &[
    Flag::new("format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates").short('f'),
    Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format"),
];

static CONFIG_LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    ),
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static NODE_INSPECT_FLAGS: &[Flag] = &[
    Flag::new("format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates").short('f'),
    Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format"),
];

static NODE_LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    ),
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static NODE_PS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new("format", Kind::Text, "Pretty-print tasks using a Go template"),
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display task IDs").short('q'),
];

static NODE_RM_FLAGS: &[Flag] = &[Flag::new("force", Kind::Bool, "Force remove a node from the swarm").short('f')];

static NODE_UPDATE_FLAGS: &[Flag] = &[
    Flag::new("availability", Kind::Text, "Availability of the node (\"active\", \"pause\", \"drain\")"),
    Flag::new("label-add", Kind::List(Check::Nothing), "Add or update a node label (\"key=value\")"),
    Flag::new("label-rm", Kind::List(Check::Nothing), "Remove a node label if exists"),
    Flag::new("role", Kind::Text, "Role of the node (\"worker\", \"manager\")"),
];

static SECRET_CREATE_FLAGS: &[Flag] = &[
    Flag::new("driver", Kind::Text, "Secret driver").short('d'),
    Flag::new("label", Kind::List(Check::Label), "Secret labels").short('l'),
    Flag::new("template-driver", Kind::Text, "Template driver"),
];

static SECRET_INSPECT_FLAGS: &[Flag] = &[
    Flag::new("format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates").short('f'),
    Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format"),
];

static SECRET_LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    ),
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static SERVICE_CREATE_FLAGS: &[Flag] = &[
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

static SERVICE_INSPECT_FLAGS: &[Flag] = &[
    Flag::new("format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates").short('f'),
    Flag::new("pretty", Kind::Bool, "Print the information in a human friendly format"),
];

static SERVICE_LOGS_FLAGS: &[Flag] = &[
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

static SERVICE_LS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    ),
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static SERVICE_PS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new("format", Kind::Text, "Pretty-print tasks using a Go template"),
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display task IDs").short('q'),
];

static SERVICE_ROLLBACK_FLAGS: &[Flag] = &[
    Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the service to converge").short('d'),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
];

static SERVICE_SCALE_FLAGS: &[Flag] =
    &[Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the service to converge").short('d')];

static SERVICE_UPDATE_FLAGS: &[Flag] = &[
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

static STACK_CONFIG_FLAGS: &[Flag] = &[
    Flag::new("compose-file", Kind::Strings, "Path to a Compose file, or \"-\" to read from stdin").short('c'),
    Flag::new("skip-interpolation", Kind::Bool, "Skip interpolation and output only merged config"),
];

static STACK_DEPLOY_FLAGS: &[Flag] = &[
    Flag::new("compose-file", Kind::Strings, "Path to a Compose file, or \"-\" to read from stdin").short('c'),
    Flag::new(
        "detach",
        Kind::Bool,
        "Exit immediately instead of waiting for the stack services to converge (default true)",
    )
    .short('d'),
    Flag::new("prune", Kind::Bool, "Prune services that are no longer referenced"),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
    Flag::new(
        "resolve-image",
        Kind::Text,
        "Query the registry to resolve image digest and supported platforms (\"always\", \"changed\", \"never\") (default \"always\")",
    ),
    Flag::new("with-registry-auth", Kind::Bool, "Send registry authentication details to Swarm agents"),
];

static STACK_LS_FLAGS: &[Flag] = &[Flag::new(
    "format",
    Kind::Text,
    "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
)];

static STACK_PS_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    ),
    Flag::new("no-resolve", Kind::Bool, "Do not map IDs to Names"),
    Flag::new("no-trunc", Kind::Bool, "Do not truncate output"),
    Flag::new("quiet", Kind::Bool, "Only display task IDs").short('q'),
];

static STACK_RM_FLAGS: &[Flag] =
    &[Flag::new("detach", Kind::Bool, "Do not wait for stack removal (default true)").short('d')];

static STACK_SERVICES_FLAGS: &[Flag] = &[
    Flag::new("filter", Kind::Filter, "Filter output based on conditions provided").short('f'),
    Flag::new(
        "format",
        Kind::Text,
        "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates",
    ),
    Flag::new("quiet", Kind::Bool, "Only display IDs").short('q'),
];

static SWARM_CA_FLAGS: &[Flag] = &[
    Flag::new(
        "ca-cert",
        Kind::Other("pem-file"),
        "Path to the PEM-formatted root CA certificate to use for the new cluster",
    ),
    Flag::new("ca-key", Kind::Other("pem-file"), "Path to the PEM-formatted root CA key to use for the new cluster"),
    Flag::new(
        "cert-expiry",
        Kind::Duration,
        "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)",
    ),
    Flag::new("detach", Kind::Bool, "Exit immediately instead of waiting for the root rotation to converge").short('d'),
    Flag::new("external-ca", Kind::Other("external-ca"), "Specifications of one or more certificate signing endpoints"),
    Flag::new("quiet", Kind::Bool, "Suppress progress output").short('q'),
    Flag::new(
        "rotate",
        Kind::Bool,
        "Rotate the swarm CA - if no certificate or key are provided, new ones will be generated",
    ),
];

static SWARM_INIT_FLAGS: &[Flag] = &[
    Flag::new("advertise-addr", Kind::Text, "Advertised address (format: \"<ip|interface>[:port]\")"),
    Flag::new(
        "autolock",
        Kind::Bool,
        "Enable manager autolocking (requiring an unlock key to start a stopped manager)",
    ),
    Flag::new(
        "availability",
        Kind::Text,
        "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")",
    ),
    Flag::new(
        "cert-expiry",
        Kind::Duration,
        "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)",
    ),
    Flag::new(
        "data-path-addr",
        Kind::Text,
        "Address or interface to use for data path traffic (format: \"<ip|interface>\")",
    ),
    Flag::new(
        "data-path-port",
        Kind::Uint(32),
        "Port number to use for data path traffic (1024 - 49151). If no value is set or is set to 0, the default port (4789) is used.",
    ),
    Flag::new("default-addr-pool", Kind::Other("ipNetSlice"), "default address pool in CIDR format (default [])"),
    Flag::new("default-addr-pool-mask-length", Kind::Uint(32), "default address pool subnet mask length (default 24)"),
    Flag::new("dispatcher-heartbeat", Kind::Duration, "Dispatcher heartbeat period (ns|us|ms|s|m|h) (default 5s)"),
    Flag::new("external-ca", Kind::Other("external-ca"), "Specifications of one or more certificate signing endpoints"),
    Flag::new("force-new-cluster", Kind::Bool, "Force create a new cluster from current state"),
    Flag::new(
        "listen-addr",
        Kind::Other("node-addr"),
        "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)",
    ),
    Flag::new("max-snapshots", Kind::Uint(64), "Number of additional Raft snapshots to retain"),
    Flag::new("snapshot-interval", Kind::Uint(64), "Number of log entries between Raft snapshots (default 10000)"),
    Flag::new("task-history-limit", Kind::Int, "Task history retention limit (default 5)"),
];

static SWARM_JOIN_TOKEN_FLAGS: &[Flag] = &[
    Flag::new("quiet", Kind::Bool, "Only display token").short('q'),
    Flag::new("rotate", Kind::Bool, "Rotate join token"),
];

static SWARM_JOIN_FLAGS: &[Flag] = &[
    Flag::new("advertise-addr", Kind::Text, "Advertised address (format: \"<ip|interface>[:port]\")"),
    Flag::new(
        "availability",
        Kind::Text,
        "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")",
    ),
    Flag::new(
        "data-path-addr",
        Kind::Text,
        "Address or interface to use for data path traffic (format: \"<ip|interface>\")",
    ),
    Flag::new(
        "listen-addr",
        Kind::Other("node-addr"),
        "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)",
    ),
    Flag::new("token", Kind::Text, "Token for entry into the swarm"),
];

static SWARM_LEAVE_FLAGS: &[Flag] =
    &[Flag::new("force", Kind::Bool, "Force this node to leave the swarm, ignoring warnings").short('f')];

static SWARM_UNLOCK_KEY_FLAGS: &[Flag] = &[
    Flag::new("quiet", Kind::Bool, "Only display token").short('q'),
    Flag::new("rotate", Kind::Bool, "Rotate unlock key"),
];

static SWARM_UPDATE_FLAGS: &[Flag] = &[
    Flag::new("autolock", Kind::Bool, "Change manager autolocking setting (true|false)"),
    Flag::new(
        "cert-expiry",
        Kind::Duration,
        "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)",
    ),
    Flag::new("dispatcher-heartbeat", Kind::Duration, "Dispatcher heartbeat period (ns|us|ms|s|m|h) (default 5s)"),
    Flag::new("external-ca", Kind::Other("external-ca"), "Specifications of one or more certificate signing endpoints"),
    Flag::new("max-snapshots", Kind::Uint(64), "Number of additional Raft snapshots to retain"),
    Flag::new("snapshot-interval", Kind::Uint(64), "Number of log entries between Raft snapshots (default 10000)"),
    Flag::new("task-history-limit", Kind::Int, "Task history retention limit (default 5)"),
];

/// `config create`
pub(super) static CONFIG_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] CONFIG file|-",
    about: "Create a config from a file or STDIN",
    flags: &[CONFIG_CREATE_FLAGS],
    args: Args::Exact(2),
    action: Action::ConfigCreate,
    ..Command::EMPTY
};

/// `config inspect`
pub(super) static CONFIG_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] CONFIG [CONFIG...]",
    about: "Display detailed information on one or more configs",
    flags: &[CONFIG_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::ConfigInspect,
    ..Command::EMPTY
};

/// `config ls`
pub(super) static CONFIG_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List configs",
    same_as: "{} config ls, {} config list",
    flags: &[CONFIG_LS_FLAGS],
    args: Args::Nothing,
    action: Action::ConfigLs,
    ..Command::EMPTY
};

/// `config rm`
pub(super) static CONFIG_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "CONFIG [CONFIG...]",
    about: "Remove one or more configs",
    same_as: "{} config rm, {} config remove",
    flags: &[],
    args: Args::Min(1),
    action: Action::ConfigRm,
    ..Command::EMPTY
};

/// `node demote`
pub(super) static NODE_DEMOTE: Command = Command {
    name: "demote",
    aliases: &[],
    usage: "NODE [NODE...]",
    about: "Demote one or more nodes from manager in the swarm",
    flags: &[],
    args: Args::Min(1),
    action: Action::NodeDemote,
    ..Command::EMPTY
};

/// `node inspect`
pub(super) static NODE_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] self|NODE [NODE...]",
    about: "Display detailed information on one or more nodes",
    flags: &[NODE_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::NodeInspect,
    ..Command::EMPTY
};

/// `node ls`
pub(super) static NODE_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List nodes in the swarm",
    same_as: "{} node ls, {} node list",
    flags: &[NODE_LS_FLAGS],
    args: Args::Nothing,
    action: Action::NodeLs,
    ..Command::EMPTY
};

/// `node promote`
pub(super) static NODE_PROMOTE: Command = Command {
    name: "promote",
    aliases: &[],
    usage: "NODE [NODE...]",
    about: "Promote one or more nodes to manager in the swarm",
    flags: &[],
    args: Args::Min(1),
    action: Action::NodePromote,
    ..Command::EMPTY
};

/// `node ps`
pub(super) static NODE_PS: Command = Command {
    name: "ps",
    aliases: &[],
    usage: "[OPTIONS] [NODE...]",
    about: "List tasks running on one or more nodes, defaults to current node",
    flags: &[NODE_PS_FLAGS],
    args: Args::Any,
    action: Action::NodePs,
    ..Command::EMPTY
};

/// `node rm`
pub(super) static NODE_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "[OPTIONS] NODE [NODE...]",
    about: "Remove one or more nodes from the swarm",
    same_as: "{} node rm, {} node remove",
    flags: &[NODE_RM_FLAGS],
    args: Args::Min(1),
    action: Action::NodeRm,
    ..Command::EMPTY
};

/// `node update`
pub(super) static NODE_UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] NODE",
    about: "Update a node",
    flags: &[NODE_UPDATE_FLAGS],
    args: Args::Exact(1),
    action: Action::NodeUpdate,
    ..Command::EMPTY
};

/// `secret create`
pub(super) static SECRET_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] SECRET [file|-]",
    about: "Create a secret from a file or STDIN as content",
    flags: &[SECRET_CREATE_FLAGS],
    args: Args::Range(1, 2),
    action: Action::SecretCreate,
    ..Command::EMPTY
};

/// `secret inspect`
pub(super) static SECRET_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] SECRET [SECRET...]",
    about: "Display detailed information on one or more secrets",
    flags: &[SECRET_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::SecretInspect,
    ..Command::EMPTY
};

/// `secret ls`
pub(super) static SECRET_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List secrets",
    same_as: "{} secret ls, {} secret list",
    flags: &[SECRET_LS_FLAGS],
    args: Args::Nothing,
    action: Action::SecretLs,
    ..Command::EMPTY
};

/// `secret rm`
pub(super) static SECRET_RM: Command = Command {
    name: "rm",
    aliases: &["remove"],
    usage: "SECRET [SECRET...]",
    about: "Remove one or more secrets",
    same_as: "{} secret rm, {} secret remove",
    flags: &[],
    args: Args::Min(1),
    action: Action::SecretRm,
    ..Command::EMPTY
};

/// `service create`
pub(super) static SERVICE_CREATE: Command = Command {
    name: "create",
    aliases: &[],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new service",
    flags: &[SERVICE_CREATE_FLAGS],
    args: Args::Min(1),
    action: Action::ServiceCreate,
    ..Command::EMPTY
};

/// `service inspect`
pub(super) static SERVICE_INSPECT: Command = Command {
    name: "inspect",
    aliases: &[],
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    about: "Display detailed information on one or more services",
    flags: &[SERVICE_INSPECT_FLAGS],
    args: Args::Min(1),
    action: Action::ServiceInspect,
    ..Command::EMPTY
};

/// `service logs`
pub(super) static SERVICE_LOGS: Command = Command {
    name: "logs",
    aliases: &[],
    usage: "[OPTIONS] SERVICE|TASK",
    about: "Fetch the logs of a service or task",
    flags: &[SERVICE_LOGS_FLAGS],
    args: Args::Exact(1),
    action: Action::ServiceLogs,
    ..Command::EMPTY
};

/// `service ls`
pub(super) static SERVICE_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List services",
    same_as: "{} service ls, {} service list",
    flags: &[SERVICE_LS_FLAGS],
    args: Args::Nothing,
    action: Action::ServiceLs,
    ..Command::EMPTY
};

/// `service ps`
pub(super) static SERVICE_PS: Command = Command {
    name: "ps",
    aliases: &[],
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    about: "List the tasks of one or more services",
    flags: &[SERVICE_PS_FLAGS],
    args: Args::Min(1),
    action: Action::ServicePs,
    ..Command::EMPTY
};

/// `service rm`
pub(super) static SERVICE_RM: Command = Command {
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
pub(super) static SERVICE_ROLLBACK: Command = Command {
    name: "rollback",
    aliases: &[],
    usage: "[OPTIONS] SERVICE",
    about: "Revert changes to a service's configuration",
    flags: &[SERVICE_ROLLBACK_FLAGS],
    args: Args::Exact(1),
    action: Action::ServiceRollback,
    ..Command::EMPTY
};

/// `service scale`
pub(super) static SERVICE_SCALE: Command = Command {
    name: "scale",
    aliases: &[],
    usage: "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
    about: "Scale one or multiple replicated services",
    flags: &[SERVICE_SCALE_FLAGS],
    args: Args::Min(1),
    action: Action::ServiceScale,
    ..Command::EMPTY
};

/// `service update`
pub(super) static SERVICE_UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS] SERVICE",
    about: "Update a service",
    flags: &[SERVICE_UPDATE_FLAGS],
    args: Args::Exact(1),
    action: Action::ServiceUpdate,
    ..Command::EMPTY
};

/// `stack config`
pub(super) static STACK_CONFIG: Command = Command {
    name: "config",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Outputs the final config file, after doing merges and interpolations",
    flags: &[STACK_CONFIG_FLAGS],
    args: Args::Nothing,
    action: Action::StackConfig,
    ..Command::EMPTY
};

/// `stack deploy`
pub(super) static STACK_DEPLOY: Command = Command {
    name: "deploy",
    aliases: &["up"],
    usage: "[OPTIONS] STACK",
    about: "Deploy a new stack or update an existing stack",
    same_as: "{} stack deploy, {} stack up",
    flags: &[STACK_DEPLOY_FLAGS],
    args: Args::Exact(1),
    action: Action::StackDeploy,
    ..Command::EMPTY
};

/// `stack ls`
pub(super) static STACK_LS: Command = Command {
    name: "ls",
    aliases: &["list"],
    usage: "[OPTIONS]",
    about: "List stacks",
    same_as: "{} stack ls, {} stack list",
    flags: &[STACK_LS_FLAGS],
    args: Args::Nothing,
    action: Action::StackLs,
    ..Command::EMPTY
};

/// `stack ps`
pub(super) static STACK_PS: Command = Command {
    name: "ps",
    aliases: &[],
    usage: "[OPTIONS] STACK",
    about: "List the tasks in the stack",
    flags: &[STACK_PS_FLAGS],
    args: Args::Exact(1),
    action: Action::StackPs,
    ..Command::EMPTY
};

/// `stack rm`
pub(super) static STACK_RM: Command = Command {
    name: "rm",
    aliases: &["remove", "down"],
    usage: "[OPTIONS] STACK [STACK...]",
    about: "Remove one or more stacks",
    same_as: "{} stack rm, {} stack remove, {} stack down",
    flags: &[STACK_RM_FLAGS],
    args: Args::Min(1),
    action: Action::StackRm,
    ..Command::EMPTY
};

/// `stack services`
pub(super) static STACK_SERVICES: Command = Command {
    name: "services",
    aliases: &[],
    usage: "[OPTIONS] STACK",
    about: "List the services in the stack",
    flags: &[STACK_SERVICES_FLAGS],
    args: Args::Exact(1),
    action: Action::StackServices,
    ..Command::EMPTY
};

/// `swarm ca`
pub(super) static SWARM_CA: Command = Command {
    name: "ca",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Display and rotate the root CA",
    flags: &[SWARM_CA_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmCa,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

/// `swarm init`
pub(super) static SWARM_INIT: Command = Command {
    name: "init",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Initialize a swarm",
    flags: &[SWARM_INIT_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmInit,
    ..Command::EMPTY
};

/// `swarm join-token`
pub(super) static SWARM_JOIN_TOKEN: Command = Command {
    name: "join-token",
    aliases: &[],
    usage: "[OPTIONS] (worker|manager)",
    about: "Manage join tokens",
    flags: &[SWARM_JOIN_TOKEN_FLAGS],
    args: Args::Exact(1),
    action: Action::SwarmJoinToken,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

/// `swarm join`
pub(super) static SWARM_JOIN: Command = Command {
    name: "join",
    aliases: &[],
    usage: "[OPTIONS] HOST:PORT",
    about: "Join a swarm as a node and/or manager",
    flags: &[SWARM_JOIN_FLAGS],
    args: Args::Exact(1),
    action: Action::SwarmJoin,
    ..Command::EMPTY
};

/// `swarm leave`
pub(super) static SWARM_LEAVE: Command = Command {
    name: "leave",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Leave the swarm",
    flags: &[SWARM_LEAVE_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmLeave,
    needs: Needs::SwarmActive,
    ..Command::EMPTY
};

/// `swarm unlock-key`
pub(super) static SWARM_UNLOCK_KEY: Command = Command {
    name: "unlock-key",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Manage the unlock key",
    flags: &[SWARM_UNLOCK_KEY_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmUnlockKey,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};

/// `swarm unlock`
pub(super) static SWARM_UNLOCK: Command = Command {
    name: "unlock",
    aliases: &[],
    usage: "",
    about: "Unlock swarm",
    flags: &[],
    args: Args::Nothing,
    action: Action::SwarmUnlock,
    needs: Needs::SwarmActive,
    ..Command::EMPTY
};

/// `swarm update`
pub(super) static SWARM_UPDATE: Command = Command {
    name: "update",
    aliases: &[],
    usage: "[OPTIONS]",
    about: "Update the swarm",
    flags: &[SWARM_UPDATE_FLAGS],
    args: Args::Nothing,
    action: Action::SwarmUpdate,
    needs: Needs::SwarmManager,
    ..Command::EMPTY
};
