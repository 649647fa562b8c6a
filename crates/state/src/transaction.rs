//! What a closure can do inside a transaction: documents by table and key, or plain SQL.

use rusqlite::{Connection, OptionalExtension};

use crate::{Error, Migrations, Result};

/// A table of documents: `key TEXT PRIMARY KEY, doc BLOB NOT NULL`. The name is part of the program, never of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(pub &'static str);

impl Table {
    /// The SQL that creates it, for a migration step.
    pub fn create_sql(self) -> String {
        format!("CREATE TABLE IF NOT EXISTS {} (key TEXT PRIMARY KEY, doc BLOB NOT NULL) WITHOUT ROWID;", self.0)
    }
}

/// One transaction (of a reader) or one savepoint (of the writer).
pub struct Transaction<'a> {
    connection: &'a Connection,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transaction")
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Transaction { connection }
    }

    /// The document under `key`.
    pub fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>> {
        let mut statement = self.connection.prepare_cached(&format!("SELECT doc FROM {} WHERE key = ?1", table.0))?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Writes a document, new or instead of the old one.
    pub fn put(&self, table: Table, key: &str, doc: &[u8]) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (key, doc) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET doc = excluded.doc",
            table.0
        );
        self.connection.prepare_cached(&sql)?.execute((key, doc))?;
        Ok(())
    }

    /// Writes a document only when the key is free; says whether it did.
    pub fn insert(&self, table: Table, key: &str, doc: &[u8]) -> Result<bool> {
        let sql = format!("INSERT INTO {} (key, doc) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING", table.0);
        Ok(self.connection.prepare_cached(&sql)?.execute((key, doc))? == 1)
    }

    /// Removes a document; says whether it was there.
    pub fn delete(&self, table: Table, key: &str) -> Result<bool> {
        let sql = format!("DELETE FROM {} WHERE key = ?1", table.0);
        Ok(self.connection.prepare_cached(&sql)?.execute([key])? == 1)
    }

    /// Calls `f` with each key and document in key order.
    pub fn scan<E: From<Error>>(&self, table: Table, mut f: impl FnMut(&str, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let sql = format!("SELECT key, doc FROM {} ORDER BY key", table.0);
        let mut statement = self.connection.prepare_cached(&sql).map_err(Error::from)?;
        let mut rows = statement.query([]).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            let key = row.get_ref(0).map_err(Error::from)?.as_str().map_err(|e| Error::Sql(e.into()))?;
            let doc = row.get_ref(1).map_err(Error::from)?.as_blob().map_err(|e| Error::Sql(e.into()))?;
            f(key, doc)?;
        }
        Ok(())
    }

    /// The connection, for tables that are not documents. `BEGIN`, `COMMIT` and savepoints belong to this crate.
    pub fn sql(&self) -> &Connection {
        self.connection
    }
}

/// Whether there is nothing to do for [`migrate`].
pub(crate) fn is_current(tx: &Transaction<'_>, set: &Migrations) -> Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'";
    let known = tx.sql().query_row(tables, [], |row| row.get::<_, i64>(0))? > 0;
    Ok(known && version(tx, set)? == set.steps.len())
}

/// How far the tables of one owner are.
fn version(tx: &Transaction<'_>, set: &Migrations) -> Result<usize> {
    let select = "SELECT version FROM migrations WHERE owner = ?1";
    let found: Option<i64> = tx.sql().query_row(select, [set.owner], |row| row.get(0)).optional()?;
    Ok(usize::try_from(found.unwrap_or(0)).unwrap_or(usize::MAX))
}

/// Brings the tables of one owner up to date.
pub(crate) fn migrate(tx: &Transaction<'_>, set: &Migrations) -> Result<()> {
    let sql = tx.sql();
    sql.execute_batch("CREATE TABLE IF NOT EXISTS migrations (owner TEXT PRIMARY KEY, version INTEGER NOT NULL)")?;
    let found = version(tx, set)?;
    if found > set.steps.len() {
        return Err(Error::Newer { owner: set.owner.into(), found, known: set.steps.len() });
    }
    for step in &set.steps[found..] {
        sql.execute_batch(step)?;
    }
    let version = i64::try_from(set.steps.len()).unwrap_or(i64::MAX);
    sql.execute("INSERT INTO migrations (owner, version) VALUES (?1, ?2) ON CONFLICT (owner) DO UPDATE SET version = excluded.version", (set.owner, version))?;
    Ok(())
}
