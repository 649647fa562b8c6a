//! From a request to an answer: find the route, check the version, read the arguments, ask the engine, write the JSON.

mod absent;
mod archive;
mod containers;
mod execs;
mod images;
mod networks;
mod progress;
mod registry;
mod streams;
mod system;
mod volumes;

use std::sync::LazyLock;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, LOCATION, SERVER};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version as HttpVersion};
use wharf_engine::Engine;

use crate::body::{self, Body};
use crate::connection::Peer;
use crate::failure::Failure;
use crate::input::Unread;
use crate::query::{self, Query};
use crate::route::{self, ContainerVerb, Route};
use crate::version::{ApiVersion, MAXIMUM};

type Answer = Result<Response<Body>, Failure>;

/// The `Api-Version` header.
static API_VERSION: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_str(&MAXIMUM.to_string()).expect("digits and a dot"));

/// What every handler gets.
struct Call<'a> {
    engine: &'a Engine,
    peer: Peer,
    version: ApiVersion,
    query: Query<'a>,
    headers: &'a HeaderMap,
    method: &'a Method,
}

/// Answers one request; never fails.
pub(crate) async fn answer(engine: Engine, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(body);
    if parts.version == HttpVersion::HTTP_11 && !parts.headers.contains_key(HOST) {
        return plain(StatusCode::BAD_REQUEST, "400 Bad Request: missing required Host header");
    }
    let Ok(path) = query::unescape(parts.uri.path(), false) else {
        return plain(StatusCode::BAD_REQUEST, "400 Bad Request");
    };
    if let Some(target) = route::clean(&path) {
        let mut response = body::empty(StatusCode::MOVED_PERMANENTLY);
        if let Ok(target) = HeaderValue::from_str(&target) {
            response.headers_mut().insert(LOCATION, target);
        }
        return response;
    }
    let (version_text, rest) = route::split_version(&path);
    let Some(route) = route::find(&parts.method, rest) else {
        return Failure::no_such_page().into_response();
    };
    let mut response = match routed(&engine, peer, &parts, body, version_text, route).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    };
    if response.status() == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::Empty;
        response.headers_mut().clear();
    }
    stamp(&engine, response.headers_mut());
    response
}

async fn routed(
    engine: &Engine,
    peer: Peer,
    parts: &Parts,
    body: Unread,
    version_text: Option<&str>,
    route: Route<'_>,
) -> Answer {
    let version = match version_text {
        Some(text) => ApiVersion::parse(text).ok_or_else(Failure::no_such_page)?.supported(text)?,
        None => MAXIMUM,
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let call = Call { engine, peer, version, query, headers: &parts.headers, method: &parts.method };
    dispatch(call, body, route).await
}

async fn dispatch(call: Call<'_>, body: Unread, route: Route<'_>) -> Answer {
    match route {
        Route::Options => Ok(body::empty(StatusCode::OK)),
        Route::Ping => Ok(system::ping(&call)),
        Route::Version => Ok(system::version(&call)),
        Route::Info => system::info(&call).await,
        Route::Events => system::events(&call).await,
        Route::DiskUsage => system::disk_usage(&call).await,
        Route::Auth => registry::login(&call, body).await,
        Route::Commit => images::commit(&call, body).await,
        Route::ContainerList => containers::list(&call).await,
        Route::ContainerCreate => containers::create(&call, body).await,
        Route::ContainerPrune => containers::prune(&call).await,
        Route::Container(name, verb) => container(call, body, name, verb).await,
        Route::Checkpoint => absent::checkpoint(&call),
        Route::ExecCreate(name) => execs::create(&call, name, body).await,
        Route::ExecStart(id) => execs::start(&call, id, body).await,
        Route::ExecResize(id) => execs::resize(&call, id).await,
        Route::ExecInspect(id) => execs::inspect(&call, id).await,
        Route::ImageList => images::list(&call).await,
        Route::ImageSearch => registry::search(&call).await,
        Route::ImagePush(name) => registry::push(&call, name, body).await,
        Route::Distribution(name) => registry::inspect(&call, name).await,
        Route::DistributionManifest(name) => registry::manifest(&call, name, body).await,
        Route::DistributionMount(name) => registry::mount(&call, name).await,
        Route::ImagesSave => images::save(&call, call.query.all("names")).await,
        Route::ImageSave(name) => images::save(&call, vec![name.to_owned()]).await,
        Route::ImageCreate => images::create(&call, body).await,
        Route::ImageLoad => images::load(&call, body).await,
        Route::ImagePrune => images::prune(&call).await,
        Route::ImageInspect(name) => images::inspect(&call, name).await,
        Route::ImageHistory(name) => images::history(&call, name).await,
        Route::ImageTag(name) => images::tag(&call, name).await,
        Route::ImageRemove(name) => images::remove(&call, name).await,
        Route::VolumeList => volumes::list(&call).await,
        Route::VolumeCreate => volumes::create(&call, body).await,
        Route::VolumePrune => volumes::prune(&call).await,
        Route::VolumeInspect(name) => volumes::inspect(&call, name).await,
        Route::VolumeRemove(name) => volumes::remove(&call, name).await,
        Route::VolumeUpdate => volumes::update(),
        Route::VolumeFiles(name, verb) => volumes::files(&call, name, verb, body).await,
        Route::NetworkList => networks::list(&call).await,
        Route::NetworkCreate => networks::create(&call, body).await,
        Route::NetworkPrune => networks::prune(&call).await,
        Route::NetworkInspect(id) => networks::inspect(&call, id).await,
        Route::NetworkRules(id) => networks::rules(&call, id).await,
        Route::NetworkRemove(id) => networks::remove(&call, id).await,
        Route::NetworkConnect(id) => networks::connect(&call, id, body).await,
        Route::NetworkDisconnect(id) => networks::disconnect(&call, id, body).await,
        Route::PluginList => Ok(absent::no_plugins()),
        Route::Plugin(name) => absent::plugin(name),
        Route::PluginInstall => absent::plugin_install(),
        Route::Build(verb) => absent::build(verb),
        Route::Session => absent::session(&call),
        Route::Swarm => absent::swarm(),
    }
}

async fn container(call: Call<'_>, body: Unread, name: &str, verb: ContainerVerb) -> Answer {
    use ContainerVerb as V;
    match verb {
        V::Inspect => containers::inspect(&call, name).await,
        V::Top => containers::top(&call, name).await,
        V::Logs => streams::logs(&call, name).await,
        V::Stats => streams::stats(&call, name).await,
        V::Changes => containers::changes(&call, name).await,
        V::Export => streams::export(&call, name).await,
        V::Attach => streams::attach(&call, name, body).await,
        V::AttachWebSocket => streams::attach_websocket(&call, name).await,
        V::Start => containers::start(&call, name).await,
        V::Stop => containers::stop(&call, name).await,
        V::Restart => containers::restart(&call, name).await,
        V::Kill => containers::kill(&call, name).await,
        V::Pause => containers::pause(&call, name).await,
        V::Unpause => containers::unpause(&call, name).await,
        V::Wait => streams::wait(&call, name).await,
        V::Resize => containers::resize(&call, name).await,
        V::Rename => containers::rename(&call, name).await,
        V::Update => containers::update(&call, name, body).await,
        V::Remove => containers::remove(&call, name).await,
        V::ArchiveStat => archive::stat(&call, name).await,
        V::ArchiveGet => archive::get(&call, name).await,
        V::ArchivePut => archive::put(&call, name, body).await,
    }
}

/// The headers of every answer of a route.
fn stamp(engine: &Engine, headers: &mut HeaderMap) {
    headers.insert("api-version", API_VERSION.clone());
    headers.insert("ostype", HeaderValue::from_static("linux"));
    let experimental = if engine.config().experimental { "true" } else { "false" };
    headers.insert("docker-experimental", HeaderValue::from_static(experimental));
    headers.insert(SERVER, server(engine));
}

fn server(engine: &Engine) -> HeaderValue {
    static VALUE: std::sync::OnceLock<HeaderValue> = std::sync::OnceLock::new();
    let value = VALUE.get_or_init(|| {
        let text = format!("Wharf/{} (linux)", engine.config().version);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Wharf"))
    });
    value.clone()
}

/// Refusals below the API, as Go's server writes them.
fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Body::from(bytes::Bytes::from_static(text.as_bytes()));
    let mut response = body::typed(status, "text/plain; charset=utf-8", body);
    response.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    response
}

impl Call<'_> {
    /// `true` when the client's version is older than `1.minor`.
    fn before(&self, minor: u16) -> bool {
        crate::version::before(self.version, minor)
    }

    /// Height and width of a terminal.
    fn size(&self) -> Result<(u16, u16), Failure> {
        let cells = |key: &str, what: &str| {
            let text = self.query.get(key).unwrap_or_default();
            text.parse::<u32>()
                .map(|n| u16::try_from(n).unwrap_or(u16::MAX))
                .map_err(|_| Failure::bad(format!("invalid resize {what} \"{text}\": invalid syntax")))
        };
        Ok((cells("h", "height")?, cells("w", "width")?))
    }
}

/// 204.
fn no_content() -> Answer {
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// 200 with a document.
fn ok(document: &impl serde::Serialize) -> Answer {
    Ok(body::json(StatusCode::OK, document))
}

/// 201 with a document.
fn created(document: &impl serde::Serialize) -> Answer {
    Ok(body::json(StatusCode::CREATED, document))
}
