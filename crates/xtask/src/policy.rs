//! `deny.toml`: licences, banned crates, and a reason for every direct dependency.
//!
//! The file has cargo-deny's format, so that tool reads it as well; this check needs neither it nor a network.

use crate::metadata::{Metadata, root};
use std::collections::BTreeSet;

/// Every breach of `deny.toml`, one per line.
pub fn check_policy(metadata: &Metadata) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    let policy: toml::Table = text.parse().expect("deny.toml is TOML");
    let allowed = strings(&policy["licenses"]["allow"]);
    let links = strings(&policy["wharf"]["links"]);
    let reasons = policy["wharf"]["reasons"].as_table().expect("wharf.reasons is a table");
    let banned: Vec<String> = policy["bans"]["deny"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|ban| ban.get("crate").and_then(|c| c.as_str()).map(str::to_owned))
        .collect();

    let mut found = Vec::new();
    for package in metadata.packages.iter().filter(|p| !p.member) {
        if !license_allowed(&package.license, &allowed) {
            found.push(format!("{} {}: licence {:?}", package.name, package.version, package.license));
        }
        if banned.contains(&package.name) {
            found.push(format!("{} is banned", package.name));
        }
        if let Some(library) = package.links.as_ref().filter(|l| !links.contains(l)) {
            found.push(format!("{} links the C library {library}", package.name));
        }
    }
    let direct: BTreeSet<&str> =
        metadata.packages.iter().filter(|p| p.member).flat_map(|p| &p.dependencies).map(String::as_str).collect();
    let ours: BTreeSet<&str> = metadata.packages.iter().filter(|p| p.member).map(|p| p.name.as_str()).collect();
    for name in direct.difference(&ours) {
        if !reasons.contains_key(*name) {
            found.push(format!("deny.toml gives no reason for {name}"));
        }
    }
    found
}

/// Whether an SPDX expression can be satisfied with `allowed` alone (`/` is the old spelling of OR).
fn license_allowed(expression: &str, allowed: &[String]) -> bool {
    let normal = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let choice = |words: &str| words.split(" AND ").all(|l| allowed.iter().any(|a| a == l.trim()));
    // "A AND (B OR C)" reads as "A AND B OR C" once the brackets are gone: strict enough, since A alone is checked too
    normal.split(" OR ").any(choice)
}

fn strings(value: &toml::Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::license_allowed;

    #[test]
    fn a_licence_expression_is_satisfied_by_one_of_its_choices() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned()];
        assert!(license_allowed("MIT OR GPL-3.0", &allowed));
        assert!(license_allowed("MIT/Apache-2.0", &allowed));
        assert!(license_allowed("(MIT OR BSD-3-Clause) AND Apache-2.0", &allowed));
        assert!(!license_allowed("GPL-3.0-or-later", &allowed));
        assert!(!license_allowed("MIT AND GPL-3.0", &allowed));
        assert!(!license_allowed("", &allowed));
    }
}
