//! From rows to what readers see.

use std::sync::Arc;

use wharf_spec::id::ContainerId;

use super::network;
use super::record::{Declared, Lived};
use super::snapshot::{Container, Files};
use crate::Inner;

/// The container as it is now.
pub(crate) fn container(
    inner: &Inner,
    id: &ContainerId,
    declared: &Declared,
    lived: &Lived,
    running: bool,
) -> Container {
    let folder = inner.container_folder(id);
    let started = lived.state.started_at.is_some();
    let file = |name: &str| if started { folder.join(name) } else { std::path::PathBuf::new() };
    Container {
        id: id.clone(),
        name: declared.name.clone(),
        created: declared.created,
        path: declared.path.clone(),
        args: declared.args.clone(),
        config: declared.config.clone(),
        host_config: declared.host_config.clone(),
        state: lived.state.clone(),
        image: declared.image,
        image_name: declared.image_name.clone(),
        platform: declared.platform.clone(),
        driver: declared.driver.clone(),
        graph: declared.graph.clone(),
        restart_count: lived.restart_count,
        mounts: declared.mounts.clone(),
        files: Files {
            resolv_conf: file("resolv.conf"),
            hostname: file("hostname"),
            hosts: file("hosts"),
            log: if started && !matches!(declared.host_config.log_config.kind.as_str(), "none" | "local") {
                inner.log_file(id)
            } else {
                Default::default()
            },
        },
        network: Arc::new(network::settings(inner, id, declared, lived, running)),
        execs: Vec::new(),
        apparmor_profile: String::new(),
        links: declared.links.clone(),
        health: lived.health.clone(),
    }
}
