//! Volumes.

use std::collections::BTreeMap;

use hyper::StatusCode;
use wharf_api::volume;
use wharf_engine::CreateVolume;

use super::{Answer, Call, created, no_content, ok};
use crate::body::{self, Body};
use crate::failure::Failure;
use crate::input::{self, Unread};
use crate::json;
use crate::route::VolumeVerb;

/// All.
pub(super) async fn list(call: &Call<'_>) -> Answer {
    let (volumes, warnings) = call.engine.volume_list(call.query.filters()?).await?;
    let warnings = (!warnings.is_empty()).then_some(warnings);
    ok(&volume::List { volumes: volumes.into_iter().map(json::volume).collect(), warnings })
}

/// One.
pub(super) async fn inspect(call: &Call<'_>, name: &str) -> Answer {
    ok(&json::volume(call.engine.volume_inspect(name).await?))
}

/// A new one.
pub(super) async fn create(call: &Call<'_>, body: Unread) -> Answer {
    let request: volume::CreateRequest = input::optional(call.headers, body).await?;
    if request.cluster_spec.is_some() {
        return Err(no_swarm(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
        ));
    }
    created(&json::volume(call.engine.volume_create(wish(request)).await?))
}

fn wish(request: volume::CreateRequest) -> CreateVolume {
    CreateVolume { name: request.name, driver: request.driver, options: request.driver_opts, labels: request.labels }
}

fn no_swarm(why: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// Only volumes of a cluster can be changed.
pub(super) fn update() -> Answer {
    Err(no_swarm("volume update only valid for cluster volumes, but swarm is unavailable"))
}

/// Away with one.
pub(super) async fn remove(call: &Call<'_>, name: &str) -> Answer {
    call.engine.volume_remove(name, call.query.flag("force")).await?;
    no_content()
}

/// Away with all that nobody uses.
pub(super) async fn prune(call: &Call<'_>) -> Answer {
    let mut filters = call.query.filters()?;
    if call.before(42) {
        // older clients mean named ones, too
        filters.0.entry("all".into()).or_insert_with(|| vec!["true".into()]);
    }
    let pruned = call.engine.volume_prune(filters).await?;
    ok(&volume::Pruned { volumes_deleted: pruned.deleted, space_reclaimed: pruned.space })
}

/// The files of a whole volume.
pub(super) async fn files(call: &Call<'_>, name: &str, verb: VolumeVerb<'_>, body: Unread) -> Answer {
    use VolumeVerb as V;
    let (engine, query) = (call.engine, &call.query);
    let pause = query.flag("pause");
    match verb {
        V::Export => {
            let stream = engine.volume_export(name, pause).await?;
            Ok(body::typed(StatusCode::OK, "application/x-tar", Body::items(stream, |chunk| chunk)))
        }
        V::Import => {
            let request = CreateVolume {
                name: name.to_owned(),
                driver: query.string("driver"),
                options: map(call, "options")?,
                labels: map(call, "labels")?,
            };
            let import = |source| engine.volume_import(request, query.flag("replace"), source);
            let volume = input::upload(&call.peer, body, import).await?;
            created(&json::volume(volume))
        }
        V::Clone => {
            let request: volume::CreateRequest = input::document(call.headers, body).await?;
            created(&json::volume(engine.volume_clone(name, wish(request), pause).await?))
        }
        V::Rename => ok(&json::volume(engine.volume_rename(name, &query.string("name")).await?)),
        V::Snapshots => {
            let list = engine.volume_snapshots(name).await?;
            ok(&list.into_iter().map(json::snapshot).collect::<Vec<_>>())
        }
        V::Snapshot => {
            let made = engine.volume_snapshot(name, &query.string("name"), pause).await?;
            created(&volume::Snapshot { name: made, ..volume::Snapshot::default() })
        }
        V::SnapshotRemove(snapshot) => {
            engine.volume_snapshot_remove(name, snapshot).await?;
            no_content()
        }
        V::Restore => {
            engine.volume_restore(name, &query.string("snapshot")).await?;
            no_content()
        }
    }
}

/// A JSON object of texts in the query.
fn map(call: &Call<'_>, key: &str) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let Some(text) = call.query.text(key).filter(|text| !text.is_empty()) else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|e| Failure::bad(format!("invalid {key}: {e}")))
}
