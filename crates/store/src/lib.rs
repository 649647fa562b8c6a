//! Blobs, layers, snapshots, images and tags, with one garbage collector.

mod driver;
mod error;
mod image;
mod job;
mod model;
mod store;

pub use driver::{Driver, Rootfs};
pub use error::{Error, Result};
pub use image::{Catalog, Image, LayerInfo};
pub use job::{Job, Progress};
pub use model::{Change, ChangeKind, Commit, HistoryRow, Import, Loaded, Pruned, Removed, SnapshotSize, Usage, Use};
pub use store::{MIGRATIONS, Store};
