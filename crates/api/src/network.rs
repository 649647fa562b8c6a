//! Networks: what a container declares about its endpoints, and the network documents themselves.

use std::collections::BTreeMap;

object! {
    /// The networks a container joins when it is created.
    pub struct NetworkingConfig = "network.NetworkingConfig" {
        /// Settings by network name.
        endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>> = "EndpointsConfig",
    }

    /// A container's place in one network: declared by the client, completed by the engine.
    pub struct EndpointSettings = "network.EndpointSettings" {
        /// Addresses the client asked for.
        ipam_config: Option<EndpointIpamConfig> = "IPAMConfig",
        /// Links valid in this network only.
        links: Option<Vec<String>> = "Links",
        /// Further names in this network.
        aliases: Option<Vec<String>> = "Aliases",
        /// MAC address, wished for or given.
        mac_address: String = "MacAddress",
        /// Options for the network driver.
        driver_opts: Option<BTreeMap<String, String>> = "DriverOpts",
        /// Priority of this endpoint as default gateway.
        gw_priority: i64 = "GwPriority",
        /// ID of the network.
        network_id: String = "NetworkID",
        /// ID of the endpoint; empty while the container does not run.
        endpoint_id: String = "EndpointID",
        /// IPv4 gateway.
        gateway: String = "Gateway",
        /// IPv4 address.
        ip_address: String = "IPAddress",
        /// IPv4 prefix length.
        ip_prefix_len: i64 = "IPPrefixLen",
        /// IPv6 gateway.
        ipv6_gateway: String = "IPv6Gateway",
        /// IPv6 address.
        global_ipv6_address: String = "GlobalIPv6Address",
        /// IPv6 prefix length.
        global_ipv6_prefix_len: i64 = "GlobalIPv6PrefixLen",
        /// All names by which others on a user-defined network resolve this endpoint.
        dns_names: Option<Vec<String>> = "DNSNames",
    }

    /// Addresses that a client asks for.
    pub struct EndpointIpamConfig = "network.EndpointIPAMConfig" {
        /// `--ip`.
        ipv4_address: String = "IPv4Address" omit,
        /// `--ip6`.
        ipv6_address: String = "IPv6Address" omit,
        /// `--link-local-ip`.
        link_local_ips: Option<Vec<String>> = "LinkLocalIPs" omit,
    }
}
