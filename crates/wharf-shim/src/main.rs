//! The `wharf-shim` executable.

fn main() {}
