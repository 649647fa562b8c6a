//! Table of dockerd's flags: how each is written on the command line, which key of `daemon.json` it is, and what it means here.

/// How a flag's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `--flag`, `--flag=false`.
    Switch,
    /// `--flag value`; the last one counts.
    Value,
    /// `--flag a --flag b`; a list, or an object of `key=value` in the file.
    List,
}

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It works.
    Works,
    /// Accepted with a warning that says why it changes nothing.
    Harmless(&'static str),
    /// Refused with the reason, because silence would mislead.
    Refused(&'static str),
}

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// `-D`.
    pub(crate) short: Option<char>,
    /// `--debug`.
    pub(crate) long: &'static str,
    /// Its key in `daemon.json`; empty when it cannot stand there.
    pub(crate) key: &'static str,
    /// How its value is written.
    pub(crate) form: Form,
    /// What help calls the value.
    pub(crate) kind: &'static str,
    /// Help.
    pub(crate) help: &'static str,
    /// What becomes of it.
    pub(crate) meaning: Use,
}

const fn flag(
    short: Option<char>,
    long: &'static str,
    key: &'static str,
    form: Form,
    kind: &'static str,
    help: &'static str,
    meaning: Use,
) -> Flag {
    Flag { short, long, key, form, kind, help, meaning }
}

use Form::{List, Switch, Value};
use Use::{Harmless, Refused, Works};

/// Every flag of dockerd 28, in the order of its help.
#[rustfmt::skip]
pub(crate) const FLAGS: &[Flag] = &[
    flag(None, "add-runtime", "runtimes", List, "runtime", "Register an additional OCI compatible runtime", Works),
    flag(None, "allow-direct-routing", "allow-direct-routing", Switch, "", "Allow remote access to published ports on container IP addresses", Refused("this network setting is not supported yet")),
    flag(None, "authorization-plugin", "authorization-plugins", List, "list", "Authorization plugins to load", Refused("authorization plugins are not supported")),
    flag(None, "bip", "bip", Value, "string", "IPv4 address for the default bridge", Works),
    flag(None, "bip6", "bip6", Value, "string", "IPv6 address for the default bridge", Works),
    flag(Some('b'), "bridge", "bridge", Value, "string", "Attach containers to a network bridge", Works),
    flag(None, "cdi-spec-dir", "cdi-spec-dirs", List, "list", "CDI specification directories to use", Harmless("CDI is not supported yet")),
    flag(None, "cgroup-parent", "cgroup-parent", Value, "string", "Set parent cgroup for all containers", Works),
    flag(None, "config-file", "", Value, "string", "Daemon configuration file", Works),
    flag(None, "containerd", "containerd", Value, "string", "containerd grpc address", Harmless("there is no containerd here")),
    flag(None, "containerd-namespace", "containerd-namespace", Value, "string", "Containerd namespace to use", Harmless("there is no containerd here")),
    flag(None, "containerd-plugins-namespace", "containerd-plugins-namespace", Value, "string", "Containerd namespace to use for plugins", Harmless("there is no containerd here")),
    flag(None, "cpu-rt-period", "cpu-rt-period", Value, "int", "Limit the CPU real-time period in microseconds for the parent cgroup for all containers (not supported with cgroups v2)", Refused("realtime limits of the parent cgroup are not supported")),
    flag(None, "cpu-rt-runtime", "cpu-rt-runtime", Value, "int", "Limit the CPU real-time runtime in microseconds for the parent cgroup for all containers (not supported with cgroups v2)", Refused("realtime limits of the parent cgroup are not supported")),
    flag(None, "cri-containerd", "cri-containerd", Switch, "", "start containerd with cri", Harmless("there is no containerd here")),
    flag(None, "data-root", "data-root", Value, "string", "Root directory of persistent state", Works),
    flag(Some('D'), "debug", "debug", Switch, "", "Enable debug mode", Works),
    flag(None, "default-address-pool", "default-address-pools", List, "pool-options", "Default address pools for node specific local networks", Works),
    flag(None, "default-cgroupns-mode", "default-cgroupns-mode", Value, "string", "Default mode for containers cgroup namespace (\"host\" | \"private\")", Works),
    flag(None, "default-gateway", "default-gateway", Value, "ip", "Default gateway IPv4 address for the default bridge network", Works),
    flag(None, "default-gateway-v6", "default-gateway-v6", Value, "ip", "Default gateway IPv6 address for the default bridge network", Works),
    flag(None, "default-ipc-mode", "default-ipc-mode", Value, "string", "Default mode for containers ipc (\"shareable\" | \"private\")", Works),
    flag(None, "default-network-opt", "default-network-opts", List, "mapmap", "Default network options", Works),
    flag(None, "default-runtime", "default-runtime", Value, "string", "Default OCI runtime for containers", Works),
    flag(None, "default-registry", "default-registry", Value, "string", "Registry that short image names mean, instead of Docker Hub", Works),
    flag(None, "default-shm-size", "default-shm-size", Value, "bytes", "Default shm size for containers", Works),
    flag(None, "default-ulimit", "default-ulimits", List, "ulimit", "Default ulimits for containers", Works),
    flag(None, "dns", "dns", List, "ipSlice", "DNS server to use", Works),
    flag(None, "dns-opt", "dns-opts", List, "list", "DNS options to use", Works),
    flag(None, "dns-search", "dns-search", List, "list", "DNS search domains to use", Works),
    flag(None, "exec-opt", "exec-opts", List, "list", "Runtime execution options", Works),
    flag(None, "exec-root", "exec-root", Value, "string", "Root directory for execution state files", Works),
    flag(None, "experimental", "experimental", Switch, "", "Enable experimental features", Works),
    flag(None, "feature", "features", List, "map", "Enable feature in the daemon", Harmless("no feature is optional")),
    flag(None, "firewall-backend", "firewall-backend", Value, "string", "Firewall backend to use (\"nftables\" | \"iptables\")", Works),
    flag(None, "fixed-cidr", "fixed-cidr", Value, "string", "IPv4 subnet for the default bridge network", Works),
    flag(None, "fixed-cidr-v6", "fixed-cidr-v6", Value, "string", "IPv6 subnet for the default bridge network", Works),
    flag(Some('G'), "group", "group", Value, "string", "Group for the unix socket", Works),
    flag(None, "help", "", Switch, "", "Print usage", Works),
    flag(Some('H'), "host", "hosts", List, "list", "Daemon socket(s) to connect to", Works),
    flag(None, "host-gateway-ip", "host-gateway-ips", List, "list", "IP addresses that the special 'host-gateway' string in --add-host resolves to. Defaults to the IP addresses of the default bridge", Works),
    flag(None, "http-proxy", "http-proxy", Value, "string", "HTTP proxy URL to use for outgoing traffic", Works),
    flag(None, "https-proxy", "https-proxy", Value, "string", "HTTPS proxy URL to use for outgoing traffic", Works),
    flag(None, "icc", "icc", Switch, "", "Enable inter-container communication for the default bridge network", Works),
    flag(None, "init", "init", Switch, "", "Run an init in the container to forward signals and reap processes", Works),
    flag(None, "init-path", "init-path", Value, "string", "Path to the docker-init binary", Harmless("the init is built in")),
    flag(None, "insecure-registry", "insecure-registries", List, "list", "Enable insecure registry communication", Works),
    flag(None, "ip", "ip", Value, "ip", "Host IP for port publishing from the default bridge network", Works),
    flag(None, "ip-forward", "ip-forward", Switch, "", "Enable IP forwarding in system configuration", Works),
    flag(None, "ip-forward-no-drop", "ip-forward-no-drop", Switch, "", "Do not set the filter-FORWARD policy to DROP when enabling IP forwarding", Harmless("no policy of yours is changed")),
    flag(None, "ip-masq", "ip-masq", Switch, "", "Enable IP masquerading for the default bridge network", Works),
    flag(None, "ip6tables", "ip6tables", Switch, "", "Enable addition of ip6tables rules", Works),
    flag(None, "iptables", "iptables", Switch, "", "Enable addition of iptables rules", Works),
    flag(None, "ipv6", "ipv6", Switch, "", "Enable IPv6 networking for the default bridge network", Works),
    flag(None, "label", "labels", List, "list", "Set key=value labels to the daemon", Works),
    flag(None, "live-restore", "live-restore", Switch, "", "Enable live restore of the engine when containers are still running", Harmless("containers always survive the daemon")),
    flag(None, "log-driver", "log-driver", Value, "string", "Default driver for container logs", Works),
    flag(None, "log-format", "log-format", Value, "string", "Set the logging format (\"text\"|\"json\")", Works),
    flag(Some('l'), "log-level", "log-level", Value, "string", "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\")", Works),
    flag(None, "log-opt", "log-opts", List, "map", "Default log driver options for containers", Works),
    flag(None, "max-concurrent-downloads", "max-concurrent-downloads", Value, "int", "Set the max concurrent downloads", Works),
    flag(None, "max-concurrent-uploads", "max-concurrent-uploads", Value, "int", "Set the max concurrent uploads", Works),
    flag(None, "max-download-attempts", "max-download-attempts", Value, "int", "Set the max download attempts for each pull", Works),
    flag(None, "metrics-addr", "metrics-addr", Value, "string", "Set default address and port to serve the metrics api on", Refused("metrics are not served yet")),
    flag(None, "mtu", "mtu", Value, "int", "Set the MTU for the default \"bridge\" network", Works),
    flag(None, "network-control-plane-mtu", "network-control-plane-mtu", Value, "int", "Network Control plane MTU", Harmless("there is no overlay network yet")),
    flag(None, "no-new-privileges", "no-new-privileges", Switch, "", "Set no-new-privileges by default for new containers", Works),
    flag(None, "no-proxy", "no-proxy", Value, "string", "Comma-separated list of hosts or IP addresses for which the proxy is skipped", Works),
    flag(None, "node-generic-resource", "node-generic-resources", List, "list", "Advertise user-defined resource", Harmless("there is no swarm")),
    flag(Some('p'), "pidfile", "pidfile", Value, "string", "Path to use for daemon PID file", Works),
    flag(None, "publish-range", "publish-range", Value, "ports", "Host ports for containers that publish on any (FIRST-LAST)", Works),
    flag(None, "raw-logs", "raw-logs", Switch, "", "Full timestamps without ANSI coloring", Harmless("the log is never coloured")),
    flag(None, "registry-mirror", "registry-mirrors", List, "list", "Preferred Docker registry mirror", Works),
    flag(None, "rootless", "", Switch, "", "Enable rootless mode; typically used with RootlessKit", Refused("rootless mode is not supported yet")),
    flag(None, "seccomp-profile", "seccomp-profile", Value, "string", "Path to seccomp profile. Set to \"unconfined\" to disable the default seccomp profile", Works),
    flag(None, "selinux-enabled", "selinux-enabled", Switch, "", "Enable selinux support", Refused("SELinux labelling is not supported")),
    flag(None, "shutdown-timeout", "shutdown-timeout", Value, "int", "Set the default shutdown timeout", Harmless("containers run on when the daemon stops")),
    flag(Some('s'), "storage-driver", "storage-driver", Value, "string", "Storage driver to use", Works),
    flag(None, "storage-opt", "storage-opts", List, "list", "Storage driver options", Harmless("the drivers have no options")),
    flag(None, "swarm-default-advertise-addr", "swarm-default-advertise-addr", Value, "string", "Set default address or interface for swarm advertised address", Harmless("there is no swarm")),
    flag(None, "tls", "tls", Switch, "", "Use TLS; implied by --tlsverify", Works),
    flag(None, "tlscacert", "tlscacert", Value, "string", "Trust certs signed only by this CA", Works),
    flag(None, "tlscert", "tlscert", Value, "string", "Path to TLS certificate file", Works),
    flag(None, "tlskey", "tlskey", Value, "string", "Path to TLS key file", Works),
    flag(None, "tlsverify", "tlsverify", Switch, "", "Use TLS and verify the remote", Works),
    flag(None, "userland-proxy", "userland-proxy", Switch, "", "Use userland proxy for loopback traffic", Works),
    flag(None, "userland-proxy-path", "userland-proxy-path", Value, "string", "Path to the userland proxy binary", Harmless("there is no proxy program")),
    flag(None, "userns-remap", "userns-remap", Value, "string", "User/Group setting for user namespaces", Refused("daemon-wide user namespaces are not supported yet")),
    flag(None, "validate", "", Switch, "", "Validate daemon configuration and exit", Works),
    flag(Some('v'), "version", "", Switch, "", "Print version information and quit", Works),
];

/// Keys of `daemon.json` that are objects of settings rather than one flag.
pub(crate) const OBJECT_KEYS: &[(&str, Use)] = &[("proxies", Works), ("builder", Harmless("there is no builder yet"))];

/// The flag that `--long` names.
pub(crate) fn by_name(long: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|f| f.long == long)
}

/// The flag that `-s` names.
pub(crate) fn by_short(short: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|f| f.short == Some(short))
}

/// The flag whose key in `daemon.json` this is.
pub(crate) fn by_key(key: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|f| !f.key.is_empty() && f.key == key)
}
