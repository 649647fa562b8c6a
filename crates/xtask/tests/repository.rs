//! The repository keeps its own rules.

use xtask::{Metadata, check_layers, check_no_names_of_machines, check_policy, check_source_files};

#[track_caller]
fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn crates_depend_on_lower_layers_only() {
    none(check_layers(&Metadata::read()));
}

#[test]
fn licences_and_banned_crates() {
    none(check_policy(&Metadata::read()));
}

#[test]
fn source_files_keep_the_rules() {
    none(check_source_files());
}

#[test]
fn nothing_names_a_machine() {
    none(check_no_names_of_machines());
}
