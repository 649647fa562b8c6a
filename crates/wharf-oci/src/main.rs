//! The `wharf-oci` executable.

fn main() {}
