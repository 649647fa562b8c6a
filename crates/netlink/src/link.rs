//! Links: making, changing, removing and listing them (`RTM_*LINK`).

use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::attribute::{Message, Writer, attributes, ip_bytes, text, u32_at};
use crate::batch::CREATE_EXCLUSIVE;
use crate::{Batch, Result, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_LINK_NETNSID: u16 = 37;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

const UP: u32 = 1;

/// A link to make.
#[derive(Debug, Clone, Default)]
pub struct NewLink<'a> {
    /// Its name (at most 15 bytes).
    pub name: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
    /// Ethernet address; `None` lets the kernel choose one.
    pub mac: Option<[u8; 6]>,
    /// Bytes; `None` is the kind's default.
    pub mtu: Option<u32>,
    /// Bridge it becomes a port of. Not for the peer of a veth.
    pub master: Option<u32>,
    /// Switched on at once. Not for the peer of a veth: the kernel wants both ends to be there first.
    pub up: bool,
    /// Number; `None` lets the kernel choose one. The peer of a veth keeps its own only when the first end has one too.
    pub index: Option<u32>,
    /// Namespace it is made in; `None` is the socket's.
    pub netns: Option<BorrowedFd<'a>>,
}

/// What a link is.
#[derive(Debug, Clone, Default)]
pub enum Kind<'a> {
    /// A placeholder without traffic.
    #[default]
    Dummy,
    /// A switch.
    Bridge,
    /// One end of a pair; the other is described within.
    Veth(Box<NewLink<'a>>),
    /// Shares the wire of `parent` under a MAC of its own.
    Macvlan {
        /// Number of the parent.
        parent: u32,
        /// Who may talk to whom.
        mode: MacvlanMode,
    },
    /// Shares the wire of `parent` under its MAC.
    Ipvlan {
        /// Number of the parent.
        parent: u32,
        /// How frames find their way.
        mode: IpvlanMode,
        /// Who may talk to whom.
        flag: IpvlanFlag,
    },
    /// 802.1q sub-interface.
    Vlan {
        /// Number of the parent.
        parent: u32,
        /// 1–4094.
        id: u16,
    },
    /// Ethernet in UDP.
    Vxlan {
        /// 24 bits.
        id: u32,
        /// UDP port.
        port: u16,
        /// Source address.
        local: Option<IpAddr>,
        /// Learn where a MAC is from what comes in.
        learning: bool,
    },
}

impl Kind<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Dummy => "dummy",
            Self::Bridge => "bridge",
            Self::Veth(_) => "veth",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Vlan { .. } => "vlan",
            Self::Vxlan { .. } => "vxlan",
        }
    }
}

/// How ipvlan interfaces of one parent reach each other and the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpvlanMode {
    /// As ports of a switch.
    L2,
    /// By routing; no broadcasts.
    L3,
    /// By routing, seen by the firewall.
    L3s,
}

/// Which ipvlan interfaces of one parent may talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpvlanFlag {
    /// All of them.
    Bridge,
    /// None.
    Private,
    /// All, through an outer switch that sends back.
    Vepa,
}

/// Who may talk to whom on one parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Nobody with each other.
    Private,
    /// Through an outer switch that sends back.
    Vepa,
    /// Everybody directly.
    Bridge,
    /// One only, which has the parent.
    Passthru,
}

/// Which link is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkName<'a> {
    /// By number.
    Index(u32),
    /// By name.
    Name(&'a str),
}

impl fmt::Display for LinkName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

/// What to change about a link; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct SetLink<'a> {
    /// On or off.
    pub up: Option<bool>,
    /// New name (the link must be meant by number then: both are the same attribute).
    pub name: Option<&'a str>,
    /// Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Bridge; 0 for none.
    pub master: Option<u32>,
    /// Namespace to move it to.
    pub netns: Option<BorrowedFd<'a>>,
}

/// Settings of a bridge port; `None` leaves them.
#[derive(Debug, Clone, Copy, Default)]
pub struct BridgePort {
    /// Cannot talk to other isolated ports.
    pub isolated: Option<bool>,
    /// May receive what it sent.
    pub hairpin: Option<bool>,
}

/// A link as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Number.
    pub index: u32,
    /// Name.
    pub name: String,
    /// What it is (`veth`, `bridge` …); empty for hardware.
    pub kind: String,
    /// Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// Bytes.
    pub mtu: u32,
    /// Bridge it is a port of; 0 for none.
    pub master: u32,
    /// Parent or peer; 0 for none.
    pub link: u32,
    /// Namespace of the parent or peer as the kernel numbers it here, when it is another one.
    pub link_netns: Option<i32>,
    /// Switched on.
    pub up: bool,
}

impl Batch {
    /// Makes a link.
    pub fn add_link(&mut self, link: &NewLink<'_>) -> &mut Self {
        self.push(RTM_NEWLINK, CREATE_EXCLUSIVE, format_args!("add link `{}`", link.name), |w| new_link(w, link))
    }

    /// Changes a link.
    pub fn set_link(&mut self, link: LinkName<'_>, change: &SetLink<'_>) -> &mut Self {
        self.push(RTM_NEWLINK, 0, format_args!("set link `{link}`"), |w| {
            let flags = change.up.map_or((0, 0), |up| (if up { UP } else { 0 }, UP));
            target(w, link, flags);
            let attributes = Attributes { name: change.name, mac: change.mac, mtu: change.mtu };
            attributes.write(w);
            if let Some(master) = change.master {
                w.u32(IFLA_MASTER, master);
            }
            if let Some(netns) = change.netns {
                w.u32(IFLA_NET_NS_FD, netns.as_raw_fd() as u32);
            }
        })
    }

    /// Lets the kernel hand IPv4 packets of up to so many bytes down to a link in one piece. It may refuse, and an old one
    /// ignores it.
    pub fn set_largest_packet(&mut self, link: LinkName<'_>, bytes: u32) -> &mut Self {
        const GSO_IPV4_MAX_SIZE: u16 = 63;
        self.push(RTM_NEWLINK, 0, format_args!("set largest packet of link `{link}`"), |w| {
            target(w, link, (0, 0));
            w.u32(GSO_IPV4_MAX_SIZE, bytes);
        })
    }

    /// Removes a link.
    pub fn del_link(&mut self, link: LinkName<'_>) -> &mut Self {
        self.push(RTM_DELLINK, 0, format_args!("delete link `{link}`"), |w| target(w, link, (0, 0)))
    }

    /// Asks for a link and forgets the answer: the kernel first catches up with what it owes to a change of its carrier
    /// (it sends nothing and a bridge forwards nothing to it before that, which else happens a little later by itself).
    pub fn settle_link(&mut self, link: LinkName<'_>) -> &mut Self {
        self.push(RTM_GETLINK, 0, format_args!("get link `{link}`"), |w| target(w, link, (0, 0)))
    }

    /// Changes what a link may do as a port of its bridge.
    pub fn set_bridge_port(&mut self, link: LinkName<'_>, port: BridgePort) -> &mut Self {
        const HAIRPIN: u16 = 4;
        const ISOLATED: u16 = 33;
        self.push(RTM_NEWLINK, 0, format_args!("set bridge port `{link}`"), |w| {
            target(w, link, (0, 0));
            w.nested(IFLA_LINKINFO, |w| {
                w.text(IFLA_INFO_SLAVE_KIND, "bridge");
                w.nested(IFLA_INFO_SLAVE_DATA, |w| {
                    if let Some(on) = port.hairpin {
                        w.u8(HAIRPIN, u8::from(on));
                    }
                    if let Some(on) = port.isolated {
                        w.u8(ISOLATED, u8::from(on));
                    }
                });
            });
        })
    }
}

impl Socket {
    /// All links.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let mut w = Writer::default();
        header(&mut w, 0, (0, 0));
        self.list("list links", RTM_GETLINK, &w.bytes, parse)
    }

    /// One link; `None` if there is none of that name or number.
    pub fn link(&mut self, name: LinkName<'_>) -> Result<Option<Link>> {
        let mut w = Writer::default();
        target(&mut w, name, (0, 0));
        self.get("get link", RTM_GETLINK, &w.bytes, &[Errno::NODEV], parse)
    }
}

fn header(w: &mut Writer, index: u32, (flags, change): (u32, u32)) {
    w.raw(&[0; 4]);
    w.raw(&index.to_ne_bytes());
    w.raw(&flags.to_ne_bytes());
    w.raw(&change.to_ne_bytes());
}

fn target(w: &mut Writer, link: LinkName<'_>, flags: (u32, u32)) {
    match link {
        LinkName::Index(index) => header(w, index, flags),
        LinkName::Name(name) => {
            header(w, 0, flags);
            w.text(IFLA_IFNAME, name);
        }
    }
}

/// Attributes that making and changing have in common.
struct Attributes<'a> {
    name: Option<&'a str>,
    mac: Option<[u8; 6]>,
    mtu: Option<u32>,
}

impl Attributes<'_> {
    fn write(&self, w: &mut Writer) {
        if let Some(name) = self.name {
            w.text(IFLA_IFNAME, name);
        }
        if let Some(mac) = self.mac {
            w.attribute(IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = self.mtu {
            w.u32(IFLA_MTU, mtu);
        }
    }
}

fn new_link(w: &mut Writer, link: &NewLink<'_>) {
    let flags = if link.up { (UP, UP) } else { (0, 0) };
    header(w, link.index.unwrap_or(0), flags);
    Attributes { name: Some(link.name), mac: link.mac, mtu: link.mtu }.write(w);
    if let Some(master) = link.master {
        w.u32(IFLA_MASTER, master);
    }
    if let Some(netns) = link.netns {
        w.u32(IFLA_NET_NS_FD, netns.as_raw_fd() as u32);
    }
    match link.kind {
        Kind::Macvlan { parent, .. } | Kind::Ipvlan { parent, .. } | Kind::Vlan { parent, .. } => {
            w.u32(IFLA_LINK, parent);
        }
        Kind::Veth(_) => {
            // a pair is lockless: more queues only cost a kernel object each
            w.u32(IFLA_NUM_TX_QUEUES, 1);
            w.u32(IFLA_NUM_RX_QUEUES, 1);
        }
        _ => {}
    }
    w.nested(IFLA_LINKINFO, |w| {
        w.text(IFLA_INFO_KIND, link.kind.name());
        info(w, &link.kind);
    });
}

fn info(w: &mut Writer, kind: &Kind<'_>) {
    const VETH_INFO_PEER: u16 = 1;
    const IFLA_MACVLAN_MODE: u16 = 1;
    const IFLA_VLAN_ID: u16 = 1;
    match kind {
        Kind::Dummy | Kind::Bridge => {}
        Kind::Veth(peer) => w.nested(IFLA_INFO_DATA, |w| w.nested(VETH_INFO_PEER, |w| new_link_peer(w, peer))),
        Kind::Macvlan { mode, .. } => {
            let mode = match mode {
                MacvlanMode::Private => 1,
                MacvlanMode::Vepa => 2,
                MacvlanMode::Bridge => 4,
                MacvlanMode::Passthru => 8,
            };
            w.nested(IFLA_INFO_DATA, |w| w.u32(IFLA_MACVLAN_MODE, mode));
        }
        Kind::Ipvlan { mode, flag, .. } => {
            const IFLA_IPVLAN_MODE: u16 = 1;
            const IFLA_IPVLAN_FLAGS: u16 = 2;
            let mode = match mode {
                IpvlanMode::L2 => 0,
                IpvlanMode::L3 => 1,
                IpvlanMode::L3s => 2,
            };
            let flag = match flag {
                IpvlanFlag::Bridge => 0,
                IpvlanFlag::Private => 1,
                IpvlanFlag::Vepa => 2,
            };
            w.nested(IFLA_INFO_DATA, |w| {
                w.u16(IFLA_IPVLAN_MODE, mode);
                w.u16(IFLA_IPVLAN_FLAGS, flag);
            });
        }
        Kind::Vlan { id, .. } => w.nested(IFLA_INFO_DATA, |w| w.u16(IFLA_VLAN_ID, *id)),
        Kind::Vxlan { id, port, local, learning } => w.nested(IFLA_INFO_DATA, |w| {
            const ID: u16 = 1;
            const LOCAL: u16 = 4;
            const LEARNING: u16 = 7;
            const PORT: u16 = 15;
            const LOCAL6: u16 = 17;
            w.u32(ID, *id);
            w.u8(LEARNING, u8::from(*learning));
            w.attribute(PORT, &port.to_be_bytes());
            if let Some(local) = local {
                w.attribute(if local.is_ipv4() { LOCAL } else { LOCAL6 }, &ip_bytes(*local));
            }
        }),
    }
}

/// The other end of a pair: header and attributes, without a kind.
fn new_link_peer(w: &mut Writer, peer: &NewLink<'_>) {
    header(w, peer.index.unwrap_or(0), (0, 0));
    Attributes { name: Some(peer.name), mac: peer.mac, mtu: peer.mtu }.write(w);
    w.u32(IFLA_NUM_TX_QUEUES, 1);
    w.u32(IFLA_NUM_RX_QUEUES, 1);
    if let Some(netns) = peer.netns {
        w.u32(IFLA_NET_NS_FD, netns.as_raw_fd() as u32);
    }
}

fn parse(message: &Message<'_>) -> Option<Link> {
    if message.kind != RTM_NEWLINK {
        return None;
    }
    parse_body(message.body)
}

/// A link from the body of its message.
pub(crate) fn parse_body(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: u32_at(body, 4)?, up: u32_at(body, 8)? & UP != 0, ..Link::default() };
    for (kind, payload) in attributes(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(payload),
            IFLA_ADDRESS => link.mac = payload.try_into().ok(),
            IFLA_MTU => link.mtu = u32_at(payload, 0)?,
            IFLA_MASTER => link.master = u32_at(payload, 0)?,
            IFLA_LINK => link.link = u32_at(payload, 0)?,
            IFLA_LINK_NETNSID => link.link_netns = Some(u32_at(payload, 0)? as i32),
            IFLA_LINKINFO => {
                let name = attributes(payload).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = name.map(|(_, name)| text(name)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}
