//! Links of networks that are gone: removed by a thread of its own, because the kernel takes tens of milliseconds for a bridge.
//!
//! A row remembers each until it is done, so that a crash in between leaves nothing behind.

use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::io::Errno;
use wharf_netlink::{Batch, LinkName, Socket};
use wharf_state::Db;

use crate::{Error, Result, rows};

/// Takes names of links to remove.
#[derive(Debug)]
pub(crate) struct Graves {
    names: Sender<String>,
}

impl Graves {
    /// Starts the thread with what was left over; it ends with the world, when it has done everything.
    pub(crate) fn start(db: Db, left_over: Vec<String>) -> Result<Self> {
        let (names, todo) = channel();
        for name in left_over {
            let _ = names.send(name);
        }
        std::thread::Builder::new()
            .name("wharf-links".into())
            .spawn(move || dig(&db, &todo))
            .map_err(|source| Error::System { op: "spawn a thread".into(), source })?;
        Ok(Self { names })
    }

    /// Removes a link soon. Its row must be there already.
    pub(crate) fn bury(&self, name: &str) {
        if self.names.send(name.to_owned()).is_err() {
            tracing::error!(name, "nobody removes links any more");
        }
    }
}

fn dig(db: &Db, todo: &Receiver<String>) {
    let mut socket = match Socket::route() {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "links of removed networks stay");
            return;
        }
    };
    for name in todo {
        let mut batch = Batch::new();
        batch.del_link(LinkName::Name(&name)).tolerate(&[Errno::NODEV]);
        match socket.run(&batch) {
            Ok(()) => rows::delete_grave(db, &name),
            Err(error) => tracing::error!(%error, "link of a removed network stays"),
        }
    }
}
