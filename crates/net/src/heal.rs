//! Somebody deleted a link of ours: a thread hears of it and makes it again as declared.
//!
//! A bridge comes back with everybody plugged in, an endpoint's pair with its addresses and routes. A container that is ending
//! is not declared any more when its pair goes with its namespace.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use wharf_netlink::{Change, Monitor};

use crate::inner::Inner;
use crate::netns::lock;
use crate::{ContainerId, Endpoint, EndpointId, Error, Network, Result, bridge};

/// How often the thread looks whether its world is still there (nobody wakes it when that goes).
const LOOK: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Whoever deletes the same interface again before this means it: a container may do that to its own.
const INSISTS: Duration = Duration::from_secs(2);

/// Starts the thread; it ends with the world.
pub(crate) fn start(inner: &Arc<Inner>) -> Result<()> {
    let monitor = Monitor::links()?;
    let inner = Arc::downgrade(inner);
    std::thread::Builder::new()
        .name("wharf-bridges".into())
        .spawn(move || watch(monitor, &inner))
        .map_err(|source| Error::System { op: "spawn a thread".into(), source })?;
    Ok(())
}

fn watch(mut monitor: Monitor, inner: &Weak<Inner>) {
    let mut mended = HashMap::new();
    loop {
        let mut fds = [PollFd::new(&monitor, PollFlags::IN)];
        match poll(&mut fds, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "bridges are no longer watched");
                return;
            }
        }
        let Some(inner) = inner.upgrade() else { return };
        let changes = match monitor.changes() {
            Ok(changes) => changes,
            Err(error) => {
                tracing::error!(%error, "bridges are no longer watched");
                return;
            }
        };
        // broadcasts that were lost may have told of any of them
        let lost = changes.contains(&Change::Unknown);
        let gone: Vec<&str> = changes
            .iter()
            .filter_map(|c| match c {
                Change::LinkGone(link) => Some(link.name.as_str()),
                _ => None,
            })
            .collect();
        if lost || !gone.is_empty() {
            mend(&inner, |link| lost || gone.contains(&link));
            pairs(&inner, |link| lost || gone.contains(&link), &mut mended);
        }
    }
}

/// Makes every bridge again that is declared, concerned and not there.
fn mend(inner: &Inner, concerned: impl Fn(&str) -> bool) {
    let of_ours = |n: &Network| n.bridge.as_ref().is_some_and(|b| !b.foreign && concerned(&b.link));
    if !inner.world().networks.values().any(|n| of_ours(n)) {
        return;
    }
    // whoever makes or removes a network has its link in hand
    let _alone = lock(&inner.topology);
    let networks: Vec<(Arc<Network>, Vec<Endpoint>)> = {
        let world = inner.world();
        let mine = world.networks.values().filter(|n| of_ours(n));
        mine.map(|n| (n.clone(), world.on(&n.id).cloned().collect())).collect()
    };
    for (network, endpoints) in networks {
        match again(inner, &network, &endpoints) {
            Ok(true) => tracing::warn!(network = network.name, "somebody removed the bridge of a network; it is back"),
            Ok(false) => {}
            Err(error) => tracing::error!(network = network.name, %error, "bridge of a network is gone"),
        }
    }
}

/// Makes every endpoint's pair again that is declared, concerned and not there.
fn pairs(inner: &Inner, concerned: impl Fn(&str) -> bool, mended: &mut HashMap<EndpointId, Instant>) {
    mended.retain(|_, at| at.elapsed() < INSISTS);
    let found: Vec<(ContainerId, Endpoint)> = {
        let world = inner.world();
        let all = world.sandboxes.iter().flat_map(|(id, sandbox)| sandbox.endpoints.iter().map(move |e| (id, e)));
        let mine = all.filter(|(_, e)| !e.host_interface.is_empty() && concerned(&e.host_interface));
        mine.map(|(id, e)| (id.clone(), e.clone())).collect()
    };
    for (container, endpoint) in found {
        let name = endpoint.container_name.as_str();
        if mended.contains_key(&endpoint.id) {
            tracing::warn!(container = name, "somebody removed an interface of it again: it stays away");
            continue;
        }
        match pair_again(inner, &container, &endpoint) {
            Ok(true) => {
                mended.insert(endpoint.id, Instant::now());
                tracing::warn!(container = name, "somebody removed an interface of it; it is back");
            }
            Ok(false) => {}
            Err(error) => tracing::error!(container = name, %error, "an interface of it is gone"),
        }
    }
}

/// Says whether it was gone.
fn pair_again(inner: &Inner, container: &ContainerId, endpoint: &Endpoint) -> Result<bool> {
    // whoever connects and disconnects a running container decides so behind this
    let _alone = lock(&inner.wall);
    let (sandbox, network, room) = {
        let world = inner.world();
        let sandbox = world.sandboxes.get(container).filter(|s| s.endpoints.iter().any(|e| e.id == endpoint.id));
        // one that is only starting or ending has no room: its interfaces are in other hands
        let (Some(sandbox), Some(room)) = (sandbox, world.rooms.get(container)) else { return Ok(false) };
        let Some(network) = world.networks.get(&endpoint.network) else { return Ok(false) };
        (sandbox.clone(), network.clone(), room.again()?)
    };
    let repaired = inner.repair(&room, endpoint, &network)?;
    if repaired {
        inner.reroute(&room, &sandbox)?;
    }
    Ok(repaired)
}

/// Says whether it was gone.
fn again(inner: &Inner, network: &Network, endpoints: &[Endpoint]) -> Result<bool> {
    let Some(options) = &network.bridge else { return Ok(false) };
    inner.with_route(|route| {
        if route.link(wharf_netlink::LinkName::Name(&options.link))?.is_some() {
            return Ok(false);
        }
        bridge::ensure(route, network, options)?;
        for endpoint in endpoints.iter().filter(|e| !e.host_interface.is_empty()) {
            if let Err(error) = bridge::join(route, &endpoint.host_interface, endpoint.mac, options) {
                // one that ends at this moment must not keep the others away
                tracing::debug!(interface = endpoint.host_interface, %error, "not plugged back in");
            }
        }
        Ok(true)
    })
}
