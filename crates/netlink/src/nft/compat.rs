//! Extensions of the old packet filter inside nftables (`nft_compat`): what `iptables` writes, and only so reads again.
//!
//! ```text
//!   expression "match" | "target":  name · revision · info      info: the extension's C structure, padded to 8 bytes
//! ```
//!
//! The layouts are those of `linux/netfilter/xt_addrtype.h`, `xt_conntrack.h` and `nf_nat.h`.

use std::net::{IpAddr, SocketAddr};

use crate::attribute::ip_bytes;

/// Bits of `--ctstate`.
pub mod state {
    /// Answers have been seen.
    pub const ESTABLISHED: u16 = 1 << 1;
    /// Belongs to another connection.
    pub const RELATED: u16 = 1 << 2;
    /// The destination was rewritten.
    pub const DNAT: u16 = 1 << 7;
}

/// An extension with its structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: &'static str,
    /// Which layout.
    pub revision: u32,
    /// The structure.
    pub info: Vec<u8>,
}

const LOCAL: u16 = 1 << 2;

/// `-m addrtype --dst-type LOCAL`
pub fn destination_local() -> Extension {
    // nothing about the source
    let mut info = vec![0, 0];
    info.extend(LOCAL.to_ne_bytes());
    Extension { name: "addrtype", revision: 1, info: padded(info) }
}

/// `-m conntrack --ctstate`: any of the bits of [`state`].
pub fn connection(states: u16) -> Extension {
    const FLAG_STATE: u16 = 1;
    // four addresses with masks, two times, four ports and the protocol: none of them asked for
    const BEFORE_FLAGS: usize = 8 * 16 + 2 * 4 + 5 * 2;
    const WHOLE: usize = 164;
    let mut info = vec![0; BEFORE_FLAGS];
    info.extend(FLAG_STATE.to_ne_bytes());
    // inverted: nothing
    info.extend([0, 0]);
    info.extend(states.to_ne_bytes());
    info.resize(WHOLE, 0);
    Extension { name: "conntrack", revision: 3, info: padded(info) }
}

/// `-j MASQUERADE`, for either family.
pub fn masquerade(ipv4: bool) -> Extension {
    let info = if ipv4 {
        // one range, of which nothing is said
        let mut info = 1u32.to_ne_bytes().to_vec();
        info.resize(20, 0);
        info
    } else {
        vec![0; 40]
    };
    Extension { name: "MASQUERADE", revision: 0, info: padded(info) }
}

/// `-j DNAT --to-destination`
pub fn dnat(to: SocketAddr) -> Extension {
    const MAP_ADDRESS: u32 = 1;
    const PORT_GIVEN: u32 = 2;
    let mut info = (MAP_ADDRESS | PORT_GIVEN).to_ne_bytes().to_vec();
    for _ in ["first", "last"] {
        info.extend(address(to.ip()));
    }
    for _ in ["first", "last"] {
        info.extend(to.port().to_be_bytes());
    }
    // base port, and the end of the structure
    info.extend([0; 4]);
    Extension { name: "DNAT", revision: 2, info: padded(info) }
}

fn address(ip: IpAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    let given = ip_bytes(ip);
    bytes[..given.len()].copy_from_slice(&given);
    bytes
}

fn padded(mut info: Vec<u8>) -> Vec<u8> {
    info.resize(info.len().next_multiple_of(8), 0);
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_the_kernels_headers() {
        let check = |e: Extension, length: usize| assert_eq!(e.info.len(), length, "{}", e.name);
        check(destination_local(), 8);
        check(connection(state::RELATED), 168);
        check(masquerade(true), 24);
        check(masquerade(false), 40);
        check(dnat("1.2.3.4:80".parse().unwrap()), 48);
        let info = dnat("172.17.0.2:80".parse().unwrap()).info;
        assert_eq!(info[4..8], [172, 17, 0, 2]);
        assert_eq!(info[36..40], [0, 80, 0, 80]);
    }
}
