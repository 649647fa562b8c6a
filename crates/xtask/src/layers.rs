//! The layer rule: a crate depends only on crates of a strictly lower layer.

use crate::metadata::Metadata;

/// The map of ARCHITECTURE.md, lowest layer first.
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["wharf-sys", "wharf-spec", "wharf-api", "wharf-template", "wharf-tls", "wharf-hello"]),
    (1, &["wharf-cgroup", "wharf-netlink", "wharf-archive", "wharf-state"]),
    (2, &["wharf-runtime", "wharf-store", "wharf-logs", "wharf-netd"]),
    (3, &["wharf-shim", "wharf-registry", "wharf-build", "wharf-net", "wharf-volume"]),
    (4, &["wharf-engine"]),
    (5, &["wharf-http"]),
    (6, &["wharfd", "wharf", "wharf-shim-exe", "wharf-oci"]),
];

/// Crates that only tests use; no crate of a layer may depend on them outside its tests.
const TEST_CRATES: &[&str] = &["wharf-testkit", "wharf-e2e", "xtask"];

/// Foreign crates that belong to some layers only: (crate, lowest layer that may use it).
const FOREIGN: &[(&str, u8)] = &[("tokio", 3), ("hyper", 3), ("rusqlite", 1)];

/// The layer of one of our crates.
pub fn layer_of(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, names)| names.contains(&name)).map(|(layer, _)| *layer)
}

/// Every breach of the rule, one per line.
pub fn check_layers(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata.packages.iter().filter(|p| p.member && !TEST_CRATES.contains(&p.name.as_str())) {
        let Some(layer) = layer_of(&package.name) else {
            found.push(format!("{} stands in no layer", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            match layer_of(dependency) {
                Some(below) if below < layer => {}
                Some(_) => found.push(format!("{} (layer {layer}) depends on {dependency}", package.name)),
                None if TEST_CRATES.contains(&dependency.as_str()) => {
                    found.push(format!("{} depends on the test crate {dependency}", package.name));
                }
                None => found.extend(foreign(&package.name, layer, dependency)),
            }
            // the command line talks HTTP only: no crate of the engine, so that it works against any engine; tar is what `cp`
            // sends and gets
            let tar = dependency == "wharf-archive";
            if package.name == "wharf" && !tar && layer_of(dependency).is_some_and(|below| below > 0) {
                found.push(format!("wharf depends on {dependency}, which is neither of layer 0 nor tar"));
            }
        }
    }
    found
}

fn foreign(name: &str, layer: u8, dependency: &str) -> Option<String> {
    let (_, lowest) = FOREIGN.iter().find(|(foreign, _)| *foreign == dependency)?;
    (layer < *lowest).then(|| format!("{name} (layer {layer}) depends on {dependency}, which starts at {lowest}"))
}
