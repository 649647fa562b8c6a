//! What `cargo metadata` says of the workspace and of everything it depends on.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root folder of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/xtask lies two folders below the root").to_owned()
}

/// One package of the dependency graph.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SPDX expression of its manifest; empty when there is none.
    pub license: String,
    /// The C library it links, when its manifest names one.
    pub links: Option<String>,
    /// Whether it is ours.
    pub member: bool,
    /// Names of the packages it depends on at run or build time (development dependencies left out).
    pub dependencies: Vec<String>,
}

/// The resolved graph.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Every package, ours and foreign.
    pub packages: Vec<Package>,
}

impl Metadata {
    /// Asks cargo, offline.
    pub fn read() -> Self {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform"])
            .arg("x86_64-unknown-linux-gnu")
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
        let members = array(&document["workspace_members"]);
        let nodes = array(&document["resolve"]["nodes"]);
        let used = |id: &Value| nodes.iter().any(|n| n["id"] == *id);
        let packages = array(&document["packages"]).iter().filter(|p| used(&p["id"])).map(|p| Package {
            name: text(&p["name"]),
            version: text(&p["version"]),
            license: text(&p["license"]),
            links: p["links"].as_str().map(str::to_owned),
            member: members.contains(&p["id"]),
            dependencies: array(&p["dependencies"])
                .iter()
                .filter(|d| d["kind"] != "dev")
                .map(|d| text(&d["name"]))
                .collect(),
        });
        Self { packages: packages.collect() }
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
