//! rtnetlink and nftables sockets: typed messages, batches, transactions.
//!
//! Synchronous. A [`Socket`] belongs to the network namespace of the thread that opened it and may then be used from any.

mod error;

pub use error::{Error, Result};
