//! Somebody flushed our rules: a thread hears of it and puts them back as declared.

use std::sync::{Arc, Weak};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use wharf_netlink::{Change, Monitor};

use crate::inner::Inner;
use crate::netns::lock;
use crate::{Error, Result};

/// How often the thread looks whether its world is still there (nobody wakes it when that goes).
const LOOK: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Starts the thread; it ends with the world.
pub(crate) fn start(inner: &Arc<Inner>) -> Result<()> {
    let monitor = Monitor::rules()?;
    let port = lock(&inner.wall).port()?;
    let inner = Arc::downgrade(inner);
    std::thread::Builder::new()
        .name("wharf-rules".into())
        .spawn(move || watch(monitor, &inner, port))
        .map_err(|source| Error::System { op: "spawn a thread".into(), source })?;
    Ok(())
}

fn watch(mut monitor: Monitor, inner: &Weak<Inner>, port: u32) {
    loop {
        let mut fds = [PollFd::new(&monitor, PollFlags::IN)];
        match poll(&mut fds, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "rules are no longer watched");
                return;
            }
        }
        let Some(inner) = inner.upgrade() else { return };
        match monitor.changes() {
            Ok(changes) if changes.iter().any(|c| concerns_us(&inner, c, port)) => heal(&inner),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "rules are no longer watched");
                return;
            }
        }
    }
}

/// Our own removals are heard too.
fn concerns_us(inner: &Inner, change: &Change, ours: u32) -> bool {
    match change {
        Change::RulesGone { table, port } => *port != ours && lock(&inner.wall).concerns(table),
        Change::Unknown => true,
        Change::Link(_) | Change::LinkGone(_) => false,
    }
}

fn heal(inner: &Inner) {
    let mut wall = lock(&inner.wall);
    let declared = inner.world().declared();
    match wall.replace(&declared) {
        // only rules of others went
        Ok(false) => {}
        Ok(true) => tracing::warn!("somebody removed firewall rules of ours; they are back"),
        Err(error) => tracing::error!(%error, "firewall rules of ours are gone"),
    }
}
