//! Typed safe Linux calls that no other crate offers; the only crate with unsafe code.
