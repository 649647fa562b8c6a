//! `_ping`, version, info, disk usage, events.

use std::collections::BTreeMap;

use hyper::header::{CACHE_CONTROL, HeaderValue, PRAGMA};
use hyper::{Method, Response, StatusCode};
use wharf_api::system;
use wharf_engine::{DiskUsageTypes, EventsOptions};

use super::{Answer, Call, ok};
use crate::body::{self, Body};
use crate::failure::Failure;
use crate::version::{MAXIMUM, MINIMUM};
use crate::{json, time};

/// Whether the engine lives, and what it speaks.
pub(super) fn ping(call: &Call<'_>) -> Response<Body> {
    let body = if call.method == Method::HEAD { Body::Empty } else { Body::from(bytes::Bytes::from_static(b"OK")) };
    let mut response = body::typed(StatusCode::OK, "text/plain; charset=utf-8", body);
    let headers = response.headers_mut();
    // 1: the classic builder; clients ask BuildKit's transport when it is 2
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    response
}

/// Versions of the engine and its parts.
pub(super) fn version(call: &Call<'_>) -> Response<Body> {
    let engine = call.engine.version();
    let details = BTreeMap::from(
        [
            ("ApiVersion", MAXIMUM.to_string()),
            ("Arch", engine.arch.clone()),
            ("BuildTime", engine.build_time.clone()),
            ("Experimental", engine.experimental.to_string()),
            ("GitCommit", engine.commit.clone()),
            ("GoVersion", String::new()),
            ("KernelVersion", engine.kernel.clone()),
            ("MinAPIVersion", MINIMUM.to_string()),
            ("Os", engine.os.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let component =
        system::Component { name: "Engine".into(), version: engine.version.clone(), details: Some(details) };
    let document = system::Version {
        platform: Some(system::Platform { name: "Wharf".into() }),
        components: vec![component],
        version: engine.version,
        api_version: MAXIMUM.to_string(),
        min_api_version: MINIMUM.to_string(),
        git_commit: engine.commit,
        go_version: String::new(),
        os: engine.os,
        arch: engine.arch,
        kernel_version: engine.kernel,
        experimental: engine.experimental,
        build_time: engine.build_time,
    };
    body::json(StatusCode::OK, &document)
}

/// The engine and its machine.
pub(super) async fn info(call: &Call<'_>) -> Answer {
    let info = call.engine.info().await?;
    ok(&json::system::info(info, call.version))
}

/// What takes how much of the disk.
pub(super) async fn disk_usage(call: &Call<'_>) -> Answer {
    let kinds = call.query.all("type");
    let wanted = |kind: &str| kinds.is_empty() || kinds.iter().any(|k| k == kind);
    if let Some(unknown) =
        kinds.iter().find(|kind| !["container", "image", "volume", "build-cache"].contains(&kind.as_str()))
    {
        return Err(Failure::bad(format!("unknown object type: {unknown}")));
    }
    let types = DiskUsageTypes {
        images: wanted("image"),
        containers: wanted("container"),
        volumes: wanted("volume"),
        build_cache: wanted("build-cache"),
    };
    let usage = call.engine.disk_usage(types).await?;
    ok(&json::system::disk_usage(usage, types, call.version))
}

/// What happened and happens, one line each.
pub(super) async fn events(call: &Call<'_>) -> Answer {
    let options = EventsOptions {
        since: time::parse(call.query.get("since"))?,
        until: time::parse(call.query.get("until"))?,
        filters: call.query.filters()?,
    };
    if let (Some(since), Some(until)) = (options.since, options.until)
        && until < since
    {
        return Err(Failure::bad(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            call.query.string("since"),
            call.query.string("until")
        )));
    }
    let events = call.engine.events(options).await?;
    let peer = call.peer.clone();
    let body = Body::items(events, |event| Ok(body::line(&json::system::event(event))));
    Ok(body::typed(StatusCode::OK, "application/json", body.until(async move { peer.gone().await })))
}
