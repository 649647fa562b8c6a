//! Routes whose work does not exist yet: a clear answer each.

use hyper::header::UPGRADE;
use hyper::{Response, StatusCode};

use super::{Answer, Call};
use crate::body::{self, Body};
use crate::failure::Failure;

fn not_yet(what: &str) -> Answer {
    Err(Failure::new(StatusCode::NOT_IMPLEMENTED, format!("{what} is not implemented by this engine yet")))
}

/// `docker build`.
pub(super) fn build(verb: &str) -> Answer {
    match verb {
        // nothing is cached, nothing is running
        "prune" => super::ok(&serde_json::json!({ "CachesDeleted": null, "SpaceReclaimed": 0 })),
        "cancel" => super::no_content(),
        _ => not_yet("building images"),
    }
}

/// `docker checkpoint`: Docker has it in its experimental mode only, and then needs CRIU.
pub(super) fn checkpoint(call: &Call<'_>) -> Answer {
    if call.engine.config().experimental {
        return not_yet("checkpoint and restore (CRIU)");
    }
    Err(Failure::new(
        StatusCode::NOT_IMPLEMENTED,
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
    ))
}

/// `BuildKit`'s transport.
pub(super) fn session(call: &Call<'_>) -> Answer {
    if call.headers.contains_key(UPGRADE) {
        return not_yet("building images");
    }
    Err(Failure::bad("no upgrade proto in request"))
}

/// An empty list.
pub(super) fn no_plugins() -> Response<Body> {
    body::json(StatusCode::OK, &[(); 0])
}

/// One of them: `docker inspect` asks here, too, and must hear that it does not exist.
pub(super) fn plugin(name: &str) -> Answer {
    Err(Failure::new(StatusCode::NOT_FOUND, format!("plugin \"{name}\" not found")))
}

/// A new one.
pub(super) fn plugin_install() -> Answer {
    not_yet("installing plugins")
}

/// Docker's sentence outside of a swarm.
pub(super) fn swarm() -> Answer {
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to \
         swarm and try again.",
    ))
}
