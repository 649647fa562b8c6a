//! Where a container's network comes from, as its `NetworkMode` says.

use wharf_api::container::HostConfig;

/// Where the container's network comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The host's.
    Host,
    /// That of another container.
    Container(String),
    /// A namespace of its own, on these networks (`none` among them).
    Own(String),
}

pub(crate) fn mode(host: &HostConfig) -> Mode {
    match host.network_mode.as_str() {
        "host" => Mode::Host,
        "" | "default" => Mode::Own("bridge".into()),
        other => match other.strip_prefix("container:") {
            Some(id) => Mode::Container(id.into()),
            None => Mode::Own(other.into()),
        },
    }
}

/// Whether a network is one that a user made.
pub(crate) fn is_user_defined(network: &str) -> bool {
    !matches!(network, "" | "default" | "bridge" | "host" | "none") && !network.starts_with("container:")
}
