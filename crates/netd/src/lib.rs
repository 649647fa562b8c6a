//! Embedded DNS and published ports of all containers: one small single-threaded process that outlives the daemon.
//!
//! ```text
//!   container ── 127.0.0.11:53 ──(nat in its namespace)──► socket, made there by the daemon, held here
//!                                                            │ own names, by network
//!                                                            └ everything else ──► the machine's resolvers
//!   client ── published port ──► socket, bound by the daemon, held here ── copied ──► container, in its namespace
//!   daemon ── SEQPACKET ── Put / Drop / List / Publish / Unpublish (protocol)
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | `message` | the wire format of questions and answers, as far as we need it |
//! | `names` | who is called what on which network |
//! | `protocol` | what the daemon says |
//! | `server` | the loop: sockets, questions, control |
//! | `forward` | questions that others answer, and a cache of the answers |
//! | `proxy` | published ports that the kernel does not translate: streams and datagrams |
//! | `client` | the daemon's end |

mod client;
mod forward;
mod message;
mod names;
mod protocol;
mod proxy;
mod server;

pub use client::{Client, Error};
pub use protocol::{Alias, Forward, Place, Sandbox, Transport};
pub use server::run;
