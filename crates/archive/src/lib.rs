//! Layer tar apply and diff: whiteouts, xattrs, sparse files, compression.

mod error;

pub use error::{Error, Result};
