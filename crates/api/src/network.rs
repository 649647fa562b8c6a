//! Networks: what a container declares about its endpoints, and the network documents themselves.

use std::collections::BTreeMap;

object! {
    /// What is open on a network and why. Our own: no other engine answers with it.
    pub struct Rules = "wharf.NetworkRules" {
        /// Name of the network.
        network: String = "Network",
        /// `nftables`, `iptables` or `none`.
        firewall: String = "Firewall",
        /// One thing after the other.
        facts: Vec<Fact> = "Facts",
    }

    /// One thing that is open or closed.
    pub struct Fact = "wharf.NetworkFact" {
        /// In words.
        words: String = "Words",
        /// The rules that stand for it.
        rules: Vec<String> = "Rules",
    }
}

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

object! {
    /// `GET /networks/{id}` and one row of `GET /networks`.
    pub struct Network = "network.Inspect" {
        /// Its name.
        name: String = "Name",
        /// Full ID.
        id: String = "Id",
        /// RFC 3339.
        created: String = "Created",
        /// `local`, `swarm`.
        scope: String = "Scope",
        /// `bridge` …
        driver: String = "Driver",
        /// IPv4 is on.
        enable_ipv4: bool = "EnableIPv4",
        /// IPv6 is on.
        enable_ipv6: bool = "EnableIPv6",
        /// Address management.
        ipam: Ipam = "IPAM",
        /// No way out.
        internal: bool = "Internal",
        /// Swarm only.
        attachable: bool = "Attachable",
        /// Swarm only.
        ingress: bool = "Ingress",
        /// Swarm only.
        config_from: ConfigReference = "ConfigFrom",
        /// Swarm only.
        config_only: bool = "ConfigOnly",
        /// By ID.
        containers: BTreeMap<String, EndpointResource> = "Containers",
        /// Of the driver.
        options: BTreeMap<String, String> = "Options",
        /// Labels.
        labels: BTreeMap<String, String> = "Labels",
    }

    /// Address management of a network.
    pub struct Ipam = "network.IPAM" {
        /// `default`.
        driver: String = "Driver",
        /// Of the driver.
        options: Option<BTreeMap<String, String>> = "Options",
        /// Pools.
        config: Option<Vec<IpamConfig>> = "Config",
    }

    /// A pool of addresses.
    pub struct IpamConfig = "network.IPAMConfig" {
        /// CIDR.
        subnet: String = "Subnet" omit,
        /// CIDR to take addresses from.
        ip_range: String = "IPRange" omit,
        /// Gateway.
        gateway: String = "Gateway" omit,
        /// Reserved addresses by name.
        auxiliary_addresses: Option<BTreeMap<String, String>> = "AuxiliaryAddresses" omit,
    }

    /// Swarm only.
    pub struct ConfigReference = "network.ConfigReference" {
        /// A network.
        network: String = "Network",
    }

    /// A container on a network.
    pub struct EndpointResource = "network.EndpointResource" {
        /// Name of the container.
        name: String = "Name",
        /// The endpoint.
        endpoint_id: String = "EndpointID",
        /// MAC address.
        mac_address: String = "MacAddress",
        /// With prefix length.
        ipv4_address: String = "IPv4Address",
        /// With prefix length.
        ipv6_address: String = "IPv6Address",
    }

    /// Body of `POST /networks/create`.
    pub struct CreateRequest = "network.CreateRequest" {
        /// Its name.
        name: String = "Name",
        /// `bridge` when empty.
        driver: String = "Driver",
        /// `local` when empty.
        scope: String = "Scope",
        /// Unset: on.
        enable_ipv4: Option<bool> = "EnableIPv4" omit,
        /// Unset: off.
        enable_ipv6: Option<bool> = "EnableIPv6" omit,
        /// Address management.
        ipam: Option<Ipam> = "IPAM",
        /// No way out.
        internal: bool = "Internal",
        /// Swarm only.
        attachable: bool = "Attachable",
        /// Swarm only.
        ingress: bool = "Ingress",
        /// Swarm only.
        config_only: bool = "ConfigOnly",
        /// Swarm only.
        config_from: Option<ConfigReference> = "ConfigFrom",
        /// Of the driver.
        options: Option<BTreeMap<String, String>> = "Options",
        /// Labels.
        labels: Option<BTreeMap<String, String>> = "Labels",
        /// Ignored since v1.44.
        check_duplicate: Option<bool> = "CheckDuplicate" omit,
    }

    /// Answer of `POST /networks/create`.
    pub struct Created = "network.CreateResponse" {
        /// Full ID.
        id: String = "Id",
        /// Often empty.
        warning: String = "Warning",
    }

    /// Body of `POST /networks/{id}/connect`.
    pub struct ConnectRequest = "network.ConnectOptions" {
        /// Name or ID.
        container: String = "Container",
        /// What the endpoint shall be.
        endpoint_config: Option<EndpointSettings> = "EndpointConfig" omit,
    }

    /// Body of `POST /networks/{id}/disconnect`.
    pub struct DisconnectRequest = "network.DisconnectOptions" {
        /// Name or ID.
        container: String = "Container",
        /// Even when it is in a bad state.
        force: bool = "Force",
    }

    /// Answer of `POST /networks/prune`.
    pub struct Pruned = "network.PruneReport" {
        /// Names.
        networks_deleted: Option<Vec<String>> = "NetworksDeleted",
    }
}
