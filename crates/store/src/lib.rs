//! Blobs, layers, snapshots, images and tags, with one garbage collector.
//!
//! ```text
//!   load, import, ingest ──► intake ──► staging ──sync, rename──► layers ◄── lower folders ── snapshots (one per container)
//!                                              │            ▲
//!                                            rows ──► catalog (immutable picture for every reader)
//! ```

mod catalog;
mod changes;
mod diff;
mod distribution;
mod driver;
mod embedded;
mod error;
mod images;
mod ingest;
mod intake;
mod job;
mod layout;
mod load;
mod make;
mod model;
mod rows;
mod save;
mod snapshot;
mod store;

pub use catalog::{Catalog, Image, LayerInfo};
pub use distribution::{Distribution, LayerBlob, ManifestDocument, ManifestInfo};
pub use driver::{Driver, Rootfs};
pub use error::{Error, Result};
pub use ingest::{Incoming, Ingest, Unpacked};
pub use job::{Job, Progress};
pub use model::{Change, ChangeKind, Commit, HistoryRow, Import, Loaded, Pruned, Removed, SnapshotSize, Usage, Use};
pub use rows::MIGRATIONS;
pub use store::Store;
