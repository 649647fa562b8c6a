//! Durable rows with transactions and migrations over SQLite.
//!
//! A [`Db`] is one file in WAL mode. A caller says how far what it writes has to get before it hears of it ([`Reach`]). The order
//! of commits is kept in any case: after a power cut the database is as it was after one of them, and all before that one are in it.
//! It knows tables of documents (`key TEXT PRIMARY KEY, doc BLOB`) and nothing about what a row means.
//!
//! ```text
//!   write  ─┐           ┌─ SAVEPOINT, closure, RELEASE ─┐             ┌─► answers (Reach::Processes)
//!   submit ─┼─► queue ──┼─ SAVEPOINT, closure, RELEASE ─┼─► COMMIT ───┤
//!   submit ─┘           └─ SAVEPOINT, closure, RELEASE ─┘  (no sync)  └─► disk: one sync ─► answers
//!            whoever writes next, or the writer's thread                  whoever waits, or the syncer's thread
//!   readers ──────────► own connection, never waits for the writer (WAL)
//! ```
//!
//! Everything that is queued while a commit runs shares the next one, and all commits made while the disk is busy share its
//! next turn: parallel callers do not pay one sync each. A caller that may block ([`Db::write`]) does its part on its own thread:
//! between threads nothing is faster than the work itself.
//!
//! On disk: an ordinary SQLite database. Migrations are counted in the table `migrations(owner, version)`, per owner, so that
//! several crates keep their own tables in one file.

mod disk;
mod error;
mod syncer;
mod transaction;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{Connection, OpenFlags};

use disk::Disk;
use syncer::{Message, Syncer};
use writer::Writer;

pub use error::Error;
pub use transaction::{Table, Transaction};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How far a commit has to get before its caller hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// It is committed: no process can lose it any more. It reaches the disk with the next commit that somebody waits for, or a
    /// moment later.
    Processes,
    /// It is on the disk: the machine cannot lose it any more.
    Disk,
    /// And with it, on most file systems, the folders that were made before.
    DiskWithFolders,
}

/// The schema history of one owner (a crate): step `n` (counted from 1) is applied exactly once, in order, each in a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// Who owns these tables; never changes.
    pub owner: &'static str,
    /// SQL of each step; append only.
    pub steps: &'static [&'static str],
}

/// Kibibytes of page cache per connection: the data is small and the engine has to be small when idle.
const CACHE_KIB: i32 = 256;
/// Pages in the log beyond which a commit moves them into the database by itself: only when the syncer does not get to it.
const CHECKPOINT_PAGES: i32 = 8000;

/// One open database; clones share it. The last clone to go closes it after the queue has been written.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    // in this order: dropping the writer commits what is queued and joins its thread, then the syncer brings the rest to the disk
    writer: Writer,
    syncer: Syncer,
    reader: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

impl Db {
    /// Opens or creates the file, then applies what is missing of each owner's migrations.
    pub fn open(path: &Path, migrations: &[Migrations]) -> Result<Db> {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        for set in migrations {
            migrate(&mut connection, set)?;
        }
        let reader = Arc::new(Mutex::new(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?));
        // the log stays the same file as long as a connection is open
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        let cannot = |error: std::io::Error| Error::Log { path: log.clone(), source: error };
        let disk = Arc::new(Disk::new(File::open(&log).map_err(cannot)?));
        let syncer = Syncer::start(disk.clone(), reader.clone())?;
        let sender = syncer.sender().ok_or(Error::Closed)?;
        Ok(Db { shared: Arc::new(Shared { writer: Writer::start(connection, disk, sender)?, syncer, reader }) })
    }

    /// Applies an owner's migrations to an open database (for a crate that joins later).
    pub fn migrate(&self, set: Migrations) -> Result<()> {
        if self.read(|tx| transaction::is_current(tx, &set))? {
            return Ok(());
        }
        self.write(move |tx| transaction::migrate(tx, &set))
    }

    /// Runs `f` on this thread and returns when its effects, and the folders made before, are on the disk. An `Err` from `f` undoes
    /// what `f` did and nothing else.
    ///
    /// Blocks the calling thread; from async code use [`Db::submit`].
    pub fn write<T, E>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write_until(Reach::DiskWithFolders, f)
    }

    /// As [`Db::write`], but returns when the effects have got so far.
    pub fn write_until<T, E>(
        &self,
        reach: Reach,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.shared.writer.write(reach, f)
    }

    /// Queues `f` and returns at once; `done` is called on another thread when the effects have got so far (or have failed to).
    /// It must not block.
    pub fn submit<T, E>(
        &self,
        reach: Reach,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.shared.writer.submit(reach, f, done);
    }

    /// Keeps `f` to be committed together with whatever is submitted next: for a row that belongs to another one, whose writing
    /// follows. `done` is called when it is committed ([`Reach::Processes`]).
    pub fn submit_with_next<T, E>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.shared.writer.ride(f, done);
    }

    /// Calls `done` when everything that was answered so far is on the disk, without hurrying it there.
    pub fn when_synced(&self, done: impl FnOnce(Result<()>) + Send + 'static) {
        let answer =
            |failed: Option<&Error>| done(failed.map_or(Ok(()), |error| Err(Error::Commit(error.to_string()))));
        self.shared.syncer.send(Message::Watching(Box::new(answer)));
    }

    /// Runs `f` on a consistent view of what has been committed.
    pub fn read<T, E: From<Error>>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let connection = self.reader();
        // a deferred transaction: its first read fixes the view
        let tx = connection.unchecked_transaction().map_err(|e| E::from(Error::from(e)))?;
        f(&Transaction::new(&tx))
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        // a panic in a closure of a reader leaves nothing half done: the connection is still good
        self.shared.reader.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let open = |source| Error::Open { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    // checkpoints are synced, commits are not: that is the syncer's work
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(open)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(open)?;
    connection.pragma_update(None, "foreign_keys", "ON").map_err(open)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(open)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn migrate(connection: &mut Connection, set: &Migrations) -> Result<()> {
    let tx = connection.transaction()?;
    transaction::migrate(&Transaction::new(&tx), set)?;
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests;
