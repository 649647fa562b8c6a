//! Which firewall stands, and how it is changed: our own nftables table, Docker's chains in the tables of `iptables`, or none.

use rustix::io::Errno;
use wharf_netlink::Socket;
use wharf_netlink::nft::Transaction;

use crate::port::Protocol;
use crate::{Firewall, Result};

mod declared;
mod iptables;
mod nftables;

pub(crate) use declared::{Bridge, Hole, Published, Settings, State};

/// A change of what is declared. The declaration itself has it already.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    pub(crate) bridge_comes: Option<&'a Bridge>,
    pub(crate) bridge_goes: Option<&'a Bridge>,
    pub(crate) ports_go: &'a [Published],
    pub(crate) ports_come: &'a [Published],
    pub(crate) holes_go: &'a [Hole],
    pub(crate) holes_come: &'a [Hole],
}

/// The firewall of this machine, as far as it is ours.
#[derive(Debug)]
pub(crate) struct Wall {
    socket: Socket,
    kind: Firewall,
    settings: Settings,
    /// With Docker's chains: what stands; nothing is known of it while it is being changed.
    standing: iptables::Standing,
}

impl Wall {
    /// Puts up what is declared, and takes down what another choice left behind.
    pub(crate) fn open(kind: Firewall, settings: Settings, declared: &State) -> Result<Self> {
        let standing = iptables::Standing::default();
        let mut wall = Self { socket: Socket::netfilter()?, kind, settings, standing };
        wall.replace(declared)?;
        if kind != Firewall::Nftables {
            let gone = wall.socket.commit(Transaction::new().add_table(nftables::TABLE).del_table(nftables::TABLE));
            // a machine without nftables has nothing to take down
            if let Err(error) = gone
                && kind == Firewall::Iptables
            {
                return Err(error.into());
            }
        }
        if kind != Firewall::Iptables {
            iptables::clean(&mut wall.socket)?;
        }
        Ok(wall)
    }

    /// Everything as declared, whatever is there. Says whether something may have been missing.
    pub(crate) fn replace(&mut self, declared: &State) -> Result<bool> {
        match self.kind {
            Firewall::Nftables => self.socket.commit(&nftables::replace(declared, self.settings))?,
            Firewall::Iptables => {
                let (changed, standing) = iptables::replace(&mut self.socket, declared, self.settings)?;
                self.standing = standing;
                return Ok(changed);
            }
            Firewall::Off => return Ok(false),
        }
        Ok(true)
    }

    /// Carries out a change; when our rules are not (wholly) there any more, puts them back as declared instead.
    pub(crate) fn change(&mut self, change: &Change<'_>, declared: impl FnOnce() -> State) -> Result<()> {
        self.carry_out(change, declared)?;
        // whoever talks already would not notice
        let changed = change.ports_go.iter().chain(change.ports_come);
        let datagrams = changed.filter(|p| p.binding.protocol == Protocol::Udp && !p.binding.is_routed());
        let ports: Vec<_> = datagrams.map(|p| (Protocol::Udp.number(), p.binding.host_port)).collect();
        if !ports.is_empty()
            && let Err(error) = self.socket.forget_conversations(&ports)
        {
            tracing::warn!(%error, "who talked to a published port before is led where he was");
        }
        Ok(())
    }

    fn carry_out(&mut self, change: &Change<'_>, declared: impl FnOnce() -> State) -> Result<()> {
        match self.kind {
            Firewall::Off => Ok(()),
            Firewall::Iptables => {
                let before = std::mem::take(&mut self.standing);
                self.standing = iptables::change(&mut self.socket, &before, &declared(), self.settings)?;
                Ok(())
            }
            Firewall::Nftables => match self.socket.commit(&transaction(change, self.settings)) {
                Err(error) if error.errno() == Some(Errno::NOENT) => {
                    Ok(self.socket.commit(&nftables::replace(&declared(), self.settings))?)
                }
                other => Ok(other?),
            },
        }
    }

    /// Whether a table is one in which rules of ours stand.
    pub(crate) fn concerns(&self, table: &str) -> bool {
        match self.kind {
            Firewall::Nftables => table == nftables::TABLE.name,
            Firewall::Iptables => iptables::is_ours(table),
            Firewall::Off => false,
        }
    }

    /// The number by which broadcasts name what we did.
    pub(crate) fn port(&self) -> Result<u32> {
        Ok(self.socket.port()?)
    }

    /// The rules that stand for a part of what is declared, as an administrator would write them.
    pub(crate) fn written(&self, part: &State) -> Vec<String> {
        match self.kind {
            Firewall::Nftables => nftables::written(part, self.settings),
            Firewall::Iptables => iptables::written(part, self.settings),
            Firewall::Off => Vec::new(),
        }
    }
}

fn transaction(change: &Change<'_>, settings: Settings) -> Transaction {
    let mut t = Transaction::new();
    if let Some(bridge) = change.bridge_goes {
        nftables::del_bridge(&mut t, bridge);
    }
    if let Some(bridge) = change.bridge_comes {
        nftables::add_bridge(&mut t, bridge);
    }
    nftables::del_ports(&mut t, change.ports_go, settings);
    nftables::add_ports(&mut t, change.ports_come, settings);
    nftables::del_holes(&mut t, change.holes_go);
    nftables::add_holes(&mut t, change.holes_come);
    t
}

/// Tables of the old packet filter that are in use beside nftables: packets see both, and so may lose what we accept.
pub(crate) fn legacy_tables() -> Vec<String> {
    let files = [("iptables-legacy", "/proc/net/ip_tables_names"), ("ip6tables-legacy", "/proc/net/ip6_tables_names")];
    let tables = files.iter().flat_map(|(command, file)| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(|table| format!("{command} -t {table}")).collect::<Vec<_>>()
    });
    tables.collect()
}
