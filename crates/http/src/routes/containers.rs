//! The life of a container, and questions about it that one document answers.

use hyper::StatusCode;
use wharf_api::container::{Config, CreateRequest, HostConfig, NetworkingConfig, UpdateConfig};
use wharf_api::inspect;
use wharf_engine::{CreateContainer, ListOptions, RemoveOptions, StopOptions};

use super::{Answer, Call, created, no_content, ok};
use crate::failure::Failure;
use crate::input::{self, Unread};
use crate::{body, json};

/// `docker ps`.
pub(super) async fn list(call: &Call<'_>) -> Answer {
    let limit = call.query.number("limit")?.unwrap_or(0);
    let options = ListOptions {
        all: call.query.flag("all"),
        limit: usize::try_from(limit).unwrap_or(0),
        size: call.query.flag("size"),
        filters: call.query.filters()?,
    };
    let rows = call.engine.container_list(options).await?;
    let documents: Vec<_> = rows.iter().map(json::container::summary).collect();
    ok(&documents)
}

/// `docker create`.
pub(super) async fn create(call: &Call<'_>, body: Unread) -> Answer {
    let request: CreateRequest = input::document(call.headers, body).await?;
    let Some(mut config) = request.config else {
        return Err(Failure::bad("config cannot be empty in order to create a container"));
    };
    let mut host_config = request.host_config.unwrap_or_default();
    let mut networking = request.networking_config.unwrap_or_default();
    older_clients(call, &mut host_config);
    let warning = container_wide_mac(call, &mut config, &host_config, &mut networking)?;
    let request = CreateContainer {
        name: call.query.text("name").map(str::to_owned),
        platform: if call.before(41) { None } else { call.query.text("platform").map(str::to_owned) },
        config,
        host_config,
        networking,
    };
    let made = call.engine.container_create(request).await?;
    let mut warnings = made.warnings;
    warnings.extend(warning);
    created(&inspect::Created { id: made.id.to_string(), warnings })
}

/// What a declaration meant before the default changed.
fn older_clients(call: &Call<'_>, host: &mut HostConfig) {
    if call.before(40) && host.ipc_mode.is_empty() {
        host.ipc_mode = "shareable".into();
    }
    if call.before(41) && host.cgroupns_mode.is_empty() {
        host.cgroupns_mode = "host".into();
    }
    if !call.before(42) {
        host.resources.kernel_memory = 0;
    }
    if call.before(42) {
        for mount in host.mounts.iter_mut().flatten() {
            // older daemons ignored the part of a mount that belongs to another type
            if mount.kind != "bind" {
                mount.bind_options = None;
            }
        }
    }
}

/// The MAC address of the whole container moved to the endpoints in v1.44; both forms end up there.
fn container_wide_mac(
    call: &Call<'_>,
    config: &mut Config,
    host: &HostConfig,
    networking: &mut NetworkingConfig,
) -> Result<Option<String>, Failure> {
    if config.mac_address.is_empty() {
        return Ok(None);
    }
    let mode = host.network_mode.as_str();
    let network = if matches!(mode, "" | "default") { "bridge" } else { mode };
    if matches!(network, "none" | "host") || network.starts_with("container:") {
        return Ok(None);
    }
    let endpoints = networking.endpoints_config.get_or_insert_default();
    let key = if endpoints.contains_key(mode) { mode } else { network };
    let endpoint = endpoints.entry(key.to_owned()).or_default().get_or_insert_default();
    if endpoint.mac_address.is_empty() {
        endpoint.mac_address.clone_from(&config.mac_address);
    } else if endpoint.mac_address != config.mac_address {
        return Err(Failure::bad(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or \
             should be left empty",
        ));
    }
    let warning =
        "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";
    Ok((!call.before(44)).then(|| warning.to_owned()))
}

/// `docker inspect`.
pub(super) async fn inspect(call: &Call<'_>, name: &str) -> Answer {
    let inspected = call.engine.container_inspect(name, call.query.flag("size")).await?;
    ok(&json::container::inspect(&inspected, call.version))
}

/// `docker top`.
pub(super) async fn top(call: &Call<'_>, name: &str) -> Answer {
    let arguments = call.query.text("ps_args").unwrap_or("-ef");
    let top = call.engine.container_top(name, arguments).await?;
    ok(&inspect::Top { processes: top.processes, titles: top.titles })
}

/// `docker diff`.
pub(super) async fn changes(call: &Call<'_>, name: &str) -> Answer {
    let changes = call.engine.container_changes(name).await?;
    let documents: Vec<_> =
        changes.into_iter().map(|change| inspect::Change { kind: change.kind as u32, path: change.path }).collect();
    // Go's nil slice
    ok(&(!documents.is_empty()).then_some(documents))
}

/// `docker start`.
pub(super) async fn start(call: &Call<'_>, name: &str) -> Answer {
    if call.query.text("checkpoint").is_some_and(|checkpoint| !checkpoint.is_empty()) {
        return Err(match call.engine.config().experimental {
            false => Failure::bad("checkpoint is only supported in experimental mode"),
            true => Failure::new(
                StatusCode::NOT_IMPLEMENTED,
                "checkpoint and restore (CRIU) is not implemented by this engine yet",
            ),
        });
    }
    call.engine.container_start(name).await?;
    no_content()
}

fn stop_options(call: &Call<'_>) -> Result<StopOptions, Failure> {
    let signal = if call.before(42) { None } else { call.query.text("signal").map(str::to_owned) };
    Ok(StopOptions { signal, timeout: call.query.number("t")? })
}

/// `docker stop`.
pub(super) async fn stop(call: &Call<'_>, name: &str) -> Answer {
    call.engine.container_stop(name, stop_options(call)?).await?;
    no_content()
}

/// `docker restart`.
pub(super) async fn restart(call: &Call<'_>, name: &str) -> Answer {
    call.engine.container_restart(name, stop_options(call)?).await?;
    no_content()
}

/// `docker kill`.
pub(super) async fn kill(call: &Call<'_>, name: &str) -> Answer {
    call.engine.container_kill(name, call.query.text("signal")).await?;
    no_content()
}

/// `docker pause`.
pub(super) async fn pause(call: &Call<'_>, name: &str) -> Answer {
    call.engine.container_pause(name).await?;
    no_content()
}

/// `docker unpause`.
pub(super) async fn unpause(call: &Call<'_>, name: &str) -> Answer {
    call.engine.container_unpause(name).await?;
    no_content()
}

/// The size of its terminal.
pub(super) async fn resize(call: &Call<'_>, name: &str) -> Answer {
    let (height, width) = call.size()?;
    call.engine.container_resize(name, height, width).await?;
    Ok(body::empty(StatusCode::OK))
}

/// `docker rename`.
pub(super) async fn rename(call: &Call<'_>, name: &str) -> Answer {
    let new_name = call.query.get("name").unwrap_or_default();
    if new_name.trim_matches('/').is_empty() || name.is_empty() {
        return Err(Failure::bad("Neither old nor new names may be empty"));
    }
    call.engine.container_rename(name, new_name).await?;
    no_content()
}

/// `docker update`.
pub(super) async fn update(call: &Call<'_>, name: &str, body: Unread) -> Answer {
    let mut request: UpdateConfig = input::optional(call.headers, body).await?;
    if call.before(40) {
        request.resources.pids_limit = None;
    }
    if !call.before(42) {
        request.resources.kernel_memory = 0;
    }
    let warnings = call.engine.container_update(name, request).await?;
    ok(&inspect::Updated { warnings: (!warnings.is_empty()).then_some(warnings) })
}

/// `docker rm`.
pub(super) async fn remove(call: &Call<'_>, name: &str) -> Answer {
    let options =
        RemoveOptions { force: call.query.flag("force"), volumes: call.query.flag("v"), link: call.query.flag("link") };
    call.engine.container_remove(name, options).await?;
    no_content()
}

/// `docker container prune`.
pub(super) async fn prune(call: &Call<'_>) -> Answer {
    let pruned = call.engine.container_prune(call.query.filters()?).await?;
    ok(&inspect::Pruned {
        containers_deleted: (!pruned.deleted.is_empty()).then_some(pruned.deleted),
        space_reclaimed: pruned.space,
    })
}
