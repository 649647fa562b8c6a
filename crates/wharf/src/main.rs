//! The `wharf` executable.

fn main() {}
