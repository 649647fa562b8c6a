//! rtnetlink and nftables sockets: typed messages, batches, transactions.
//!
//! ```text
//!   Batch (links, addresses, routes, neighbours) ── Socket::run ──► one sendmsg, every acknowledgement read
//!   nft::Transaction (tables, chains, sets, rules) ── Socket::commit ──► one sendmsg, all or nothing
//! ```
//!
//! Synchronous. A [`Socket`] belongs to the network namespace of the thread that opened it and may then be used from
//! any. Answers are parsed without trust in their lengths; attributes nobody asked for are skipped.

mod address;
mod attribute;
mod batch;
mod conntrack;
mod error;
mod link;
mod monitor;
mod neighbour;
pub mod nft;
mod route;
mod rule;
mod socket;

pub use address::{Address, NewAddress};
pub use batch::Batch;
pub use error::{Error, Result};
pub use link::{BridgePort, IpvlanFlag, IpvlanMode, Kind, Link, LinkName, MacvlanMode, NewLink, SetLink};
pub use monitor::{Change, Monitor};
pub use neighbour::Neighbour;
pub use route::{NewRoute, Route};
pub use socket::Socket;
