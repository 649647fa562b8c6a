//! Published ports: what was asked for and what it became.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// A transport that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One port to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRequest {
    /// Port in the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Address on the host; `None` means every one, of both families.
    pub host_ip: Option<IpAddr>,
    /// Ports on the host to choose from; `None` means one of the daemon's range.
    pub host_port: Option<RangeInclusive<u16>>,
}

/// One published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// Port in the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Address on the host; unspecified for every one of its family.
    pub host_ip: IpAddr,
    /// Port on the host; 0 on networks that are routed, where the container's own port is open.
    pub host_port: u16,
}

impl PortBinding {
    /// Whether no port of the host stands for it.
    pub fn is_routed(&self) -> bool {
        self.host_port == 0
    }
}
