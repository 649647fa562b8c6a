//! The `wharfd` executable.

fn main() {}
