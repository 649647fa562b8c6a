//! The pseudo terminal: made in the container's own devpts, its slave bound to `/dev/console`, its master sent to the parent.

use super::mounts::{attach, clone_mount};
use super::paths::{self, Make};
use crate::Step;
use crate::channel::{At, Done, Event, tell};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::pty::OpenptFlags;

/// Opens the pair, sends the master, returns the slave. With `bind` the slave becomes `/dev/console`.
pub(super) fn open(root: BorrowedFd<'_>, channel: BorrowedFd<'_>, bind: bool) -> Done<OwnedFd> {
    let master = master(root).at(Step::Console, 0)?;
    rustix::pty::unlockpt(&master).at(Step::Console, 1)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).at(Step::Console, 2)?;
    if bind {
        let console = paths::find_plain(root, c"/dev/console");
        let console = match console {
            Err(Errno::NOENT) => paths::find_or_make(root, c"/dev/console", Make::File),
            other => other,
        };
        let console = console.at(Step::Console, 3)?;
        let tree = clone_mount(&slave).at(Step::Console, 4)?;
        attach(&tree, &console).at(Step::Console, 5)?;
    }
    tell(channel, Event::Console, 0, Some(master.as_fd())).at(Step::Console, 6)?;
    Ok(slave)
}

/// A new master from the container's devpts instance; from the host's when the container mounts none.
fn master(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
    let found = paths::find_plain(root, c"/dev/pts").and_then(|pts| {
        // an image could offer something else under this name
        if rustix::fs::fstatfs(&pts)?.f_type as i64 != DEVPTS_SUPER_MAGIC {
            return Err(Errno::NOENT);
        }
        rustix::fs::openat(&pts, c"ptmx", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
    });
    match found {
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        }
        other => other,
    }
}
