//! Volumes.

use hyper::body::Incoming;
use wharf_api::volume;
use wharf_engine::CreateVolume;

use super::{Answer, Call, created, no_content, ok};
use crate::{input, json};

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
pub(super) async fn create(call: &Call<'_>, body: Incoming) -> Answer {
    let request: volume::CreateRequest = input::optional(call.headers, body).await?;
    let request = CreateVolume {
        name: request.name,
        driver: request.driver,
        options: request.driver_opts,
        labels: request.labels,
    };
    created(&json::volume(call.engine.volume_create(request).await?))
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
