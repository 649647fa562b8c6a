//! Layer tar apply and diff: whiteouts, xattrs, sparse files, compression.
