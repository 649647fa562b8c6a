//! Layer tar apply and diff: whiteouts, xattrs, sparse files, compression.
//!
//! ```text
//!   bytes ──► compression ──► Reader ──► unpack ──► files in a layer's folder
//!                                │ raw bytes          │ which file, which range
//!                                └──────► Recorder ◄──┘        ──► replay: the same bytes again
//! ```

mod compression;
mod deflate;
mod encoder;
mod error;
mod extract;
mod header;
mod member;
mod merge;
mod pack;
mod pax;
mod reader;
mod record;
mod resource;
mod sink;
mod sizes;
mod tree;
mod unpack;
mod writer;

pub use compression::{Compression, Decoder};
pub use encoder::{Encoder, Gzip, Written};
pub use error::{Error, Result};
pub use extract::{Extract, Links, Owner, Replace, extract};
pub use member::{Extent, Kind, Member, Time};
pub use merge::{Merged, MergedFolder, copy_merged};
pub use pack::{Changed, Source, pack, pack_changes, pack_volume};
pub use reader::{Observer, Payload, Reader};
pub use record::{LayerFiles, Moved, Recorder, replay};
pub use resource::{is_kernel_interface, pack_resource};
pub use sink::{Pieces, Sink};
pub use sizes::{Sizes, Writing};
pub use tree::{remove, size, sync};
pub use unpack::{Record, Unpack, Unpacked, Whiteouts, clean, unpack};
pub use writer::Writer;
