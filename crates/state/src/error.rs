//! What can go wrong with durable rows.

use std::path::PathBuf;

/// Errors of the database, by what the caller can do about them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or is not a database.
    #[error("open database `{}`: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The write-ahead log beside the file cannot be opened.
    #[error("open database log `{}`: {source}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The file was written by a newer program.
    #[error("database has schema {found} of {owner}, this program knows {known}")]
    Newer {
        /// Whose tables.
        owner: String,
        /// Version in the file.
        found: usize,
        /// Version of the program.
        known: usize,
    },
    /// A statement was refused.
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The commit did not succeed: nothing of its group has happened.
    #[error("database commit: {0}")]
    Commit(String),
    /// The writer thread cannot be started.
    #[error("start database writer: {0}")]
    Thread(std::io::Error),
    /// The database is being closed.
    #[error("database is closed")]
    Closed,
}
