//! Images.

use hyper::StatusCode;
use wharf_api::container::Config;
use wharf_api::image;
use wharf_engine::{CommitOptions, ImportOptions};

use super::progress::{messages, progressing};
use super::{Answer, Call, created, ok};
use crate::body::{self, Body};
use crate::failure::Failure;
use crate::input::{self, Unread};
use crate::json;

/// `docker images`.
pub(super) async fn list(call: &Call<'_>) -> Answer {
    let images = call.engine.image_list(call.query.flag("all"), call.query.filters()?).await?;
    let shared = match call.query.flag("shared-size") {
        true => Some(call.engine.image_shared_sizes().await),
        false => None,
    };
    let of = |row: &wharf_engine::ImageSummary| {
        shared.as_ref().map_or(-1, |sizes| sizes.get(&row.image.id).copied().unwrap_or(0))
    };
    let documents: Vec<_> = images.iter().map(|row| json::image::summary(row, of(row), call.version)).collect();
    ok(&documents)
}

/// `docker image inspect`.
pub(super) async fn inspect(call: &Call<'_>, name: &str) -> Answer {
    let image = call.engine.image_inspect(name, call.query.platform()?).await?;
    ok(&json::image::inspect(&image, call.version))
}

/// `docker history`.
pub(super) async fn history(call: &Call<'_>, name: &str) -> Answer {
    let steps = call.engine.image_history(name, call.query.platform()?).await?;
    let documents: Vec<_> = steps.into_iter().map(json::image::step).collect();
    ok(&documents)
}

/// `docker tag`.
pub(super) async fn tag(call: &Call<'_>, name: &str) -> Answer {
    call.engine.image_tag(name, &call.query.string("repo"), &call.query.string("tag")).await?;
    Ok(body::empty(StatusCode::CREATED))
}

/// `docker rmi`.
pub(super) async fn remove(call: &Call<'_>, name: &str) -> Answer {
    if name.trim().is_empty() {
        return Err(Failure::bad("image name cannot be blank"));
    }
    let gone = call.engine.image_remove(name, call.query.flag("force"), !call.query.flag("noprune")).await?;
    let documents: Vec<_> = gone.into_iter().map(json::image::deleted).collect();
    ok(&documents)
}

/// `docker image prune`.
pub(super) async fn prune(call: &Call<'_>) -> Answer {
    let pruned = call.engine.image_prune(call.query.filters()?).await?;
    let deleted: Vec<_> = pruned.deleted.into_iter().map(json::image::deleted).collect();
    ok(&image::Pruned { images_deleted: (!deleted.is_empty()).then_some(deleted), space_reclaimed: pruned.space })
}

/// `docker import`; `docker pull` comes here, too.
pub(super) async fn create(call: &Call<'_>, body: Unread) -> Answer {
    let query = &call.query;
    let from = query.string("fromSrc");
    if from.is_empty() {
        return super::registry::pull(call).await;
    }
    let options = ImportOptions {
        repo: query.string("repo"),
        tag: query.string("tag"),
        message: query.string("message"),
        changes: query.all("changes"),
        platform: query.text("platform").map(str::to_owned),
    };
    let progress = match &*from {
        // a refusal reads what the client is still sending
        "-" => call.engine.image_import(input::source(body), options).await?,
        url => call.engine.image_import_url(url, options).await?,
    };
    progressing(call, progress).await
}

/// `docker load`.
pub(super) async fn load(call: &Call<'_>, body: Unread) -> Answer {
    let source = input::source(body);
    let platform = call.query.platform()?;
    let progress = call.engine.image_load(source, call.query.flag_or("quiet", true), platform).await?;
    // a broken archive is a message, too
    Ok(messages(call, None, progress))
}

/// `docker save`.
pub(super) async fn save(call: &Call<'_>, names: Vec<String>) -> Answer {
    if names.is_empty() {
        return Err(Failure::bad("no images to save"));
    }
    let platform = call.query.platform()?;
    let stream = call.engine.image_save(&names, platform).await?;
    Ok(body::typed(StatusCode::OK, "application/x-tar", Body::items(stream, |chunk| chunk)))
}

/// `docker commit`.
pub(super) async fn commit(call: &Call<'_>, body: Unread) -> Answer {
    let query = &call.query;
    let config: Config = input::optional(call.headers, body).await?;
    let options = CommitOptions {
        container: query.string("container"),
        repo: query.string("repo"),
        tag: query.string("tag"),
        comment: query.string("comment"),
        author: query.string("author"),
        pause: query.flag_or("pause", true),
        changes: query.all("changes"),
        config: (config != Config::default()).then_some(config),
    };
    let id = call.engine.image_commit(options).await?;
    created(&image::Committed { id: id.to_string() })
}
