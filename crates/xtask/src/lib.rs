//! Checks of the repository itself: layers, licences, banned crates, file rules.
//!
//! They are ordinary tests (`tests/repository.rs`), so nothing but the test command decides what is green. All of them
//! work offline: `cargo metadata` and the files of the tree.

mod layers;
mod metadata;
mod policy;
mod source;

pub use layers::{check_layers, layer_of};
pub use metadata::{Metadata, Package, root};
pub use policy::check_policy;
pub use source::{check_no_names_of_machines, check_source_files};
