//! Docker REST API JSON types, v1.24 to v1.51, with Go's JSON semantics.
