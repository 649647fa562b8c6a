//! What all operations share.
//!
//! Locks, in the order in which they are taken: `topology` (networks come and go) → `wall` → `world` (rows in memory,
//! never held across a call of the kernel). Route sockets are taken from a pool for one batch each.

use std::os::fd::OwnedFd;
use std::sync::Mutex;

use wharf_netlink::Socket;
use wharf_state::Db;

use crate::firewall::Wall;
use crate::graves::Graves;
use crate::netns::{self, lock};
use crate::world::World;
use crate::{Config, Error, Result};

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) db: Db,
    /// The machine's own namespace.
    pub(crate) home: OwnedFd,
    pub(crate) mtu: u32,
    pub(crate) ipv6: bool,
    pub(crate) names: Option<wharf_netd::Client>,
    pub(crate) namespaces: netns::Pool,
    pub(crate) graves: Graves,
    pub(crate) routes: Mutex<Vec<Socket>>,
    pub(crate) topology: Mutex<()>,
    pub(crate) wall: Mutex<Wall>,
    pub(crate) world: Mutex<World>,
}

impl Inner {
    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Runs `f` with a route socket of the machine's namespace.
    pub(crate) fn with_route<T>(&self, f: impl FnOnce(&mut Socket) -> Result<T>) -> Result<T> {
        let ready = lock(&self.routes).pop();
        let mut socket = match ready {
            Some(socket) => socket,
            None => Socket::route()?,
        };
        let result = f(&mut socket);
        lock(&self.routes).push(socket);
        result
    }
}

/// A boundary between steps, where tests let the daemon fail or die.
pub(crate) fn step(name: &str) -> Result<()> {
    wharf_sys::failpoint::hit(name).map_err(Error::system(name))
}
