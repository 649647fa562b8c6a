//! Durable rows with transactions and migrations over SQLite.
