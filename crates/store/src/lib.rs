//! Blobs, layers, snapshots, images and tags, with one garbage collector.
