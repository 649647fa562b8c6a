//! Somebody deleted a bridge of ours: a thread hears of it, makes it again as declared and plugs everybody back in.

use std::sync::{Arc, Weak};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use wharf_netlink::{Change, Monitor};

use crate::netns::lock;
use crate::networks::Inner;
use crate::{Endpoint, Error, Network, Result, bridge};

/// How often the thread looks whether its world is still there (nobody wakes it when that goes).
const LOOK: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

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
