//! The table of routes: method and path to what is asked for.
//!
//! Names may contain slashes (`/images/library/busybox/json`), so a path is read from both ends: the collection in
//! front, the verb behind, the name between.

use hyper::Method;

/// What a request asks for. Names are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Answers any path, for browsers.
    Options,
    /// `/_ping`
    Ping,
    /// `/version`
    Version,
    /// `/info`
    Info,
    /// `/events`
    Events,
    /// `/system/df`
    DiskUsage,
    /// `/auth`
    Auth,
    /// `/commit`
    Commit,
    /// `/containers/json`
    ContainerList,
    /// `/containers/create`
    ContainerCreate,
    /// `/containers/prune`
    ContainerPrune,
    /// `/containers/{name}/{verb}`
    Container(&'a str, ContainerVerb),
    /// `/containers/{name}/checkpoints`, and one of them
    Checkpoint,
    /// `/containers/{name}/exec`
    ExecCreate(&'a str),
    /// `/exec/{id}/start`
    ExecStart(&'a str),
    /// `/exec/{id}/resize`
    ExecResize(&'a str),
    /// `/exec/{id}/json`
    ExecInspect(&'a str),
    /// `/images/json`
    ImageList,
    /// `/images/search`
    ImageSearch,
    /// `/images/get`
    ImagesSave,
    /// `/images/create`
    ImageCreate,
    /// `/images/load`
    ImageLoad,
    /// `/images/prune`
    ImagePrune,
    /// `/images/{name}/get`
    ImageSave(&'a str),
    /// `/images/{name}/json`
    ImageInspect(&'a str),
    /// `/images/{name}/history`
    ImageHistory(&'a str),
    /// `/images/{name}/push`
    ImagePush(&'a str),
    /// `/images/{name}/tag`
    ImageTag(&'a str),
    /// `DELETE /images/{name}`
    ImageRemove(&'a str),
    /// `/distribution/{name}/json`
    Distribution(&'a str),
    /// `/distribution/{name}/manifest`, ours: the document itself, to read and to put
    DistributionManifest(&'a str),
    /// `POST /distribution/{name}/mount`, ours: a blob of another repository
    DistributionMount(&'a str),
    /// `/volumes`
    VolumeList,
    /// `/volumes/create`
    VolumeCreate,
    /// `/volumes/prune`
    VolumePrune,
    /// `/volumes/{name}`
    VolumeInspect(&'a str),
    /// `DELETE /volumes/{name}`
    VolumeRemove(&'a str),
    /// `PUT /volumes/{name}`
    VolumeUpdate,
    /// `/volumes/{name}/{verb}`: not Docker's.
    VolumeFiles(&'a str, VolumeVerb<'a>),
    /// `/networks`
    NetworkList,
    /// `/networks/create`
    NetworkCreate,
    /// `/networks/prune`
    NetworkPrune,
    /// `/networks/{id}`
    NetworkInspect(&'a str),
    /// `/networks/{id}/rules`: ours alone, no other engine has it.
    NetworkRules(&'a str),
    /// `DELETE /networks/{id}`
    NetworkRemove(&'a str),
    /// `/networks/{id}/connect`
    NetworkConnect(&'a str),
    /// `/networks/{id}/disconnect`
    NetworkDisconnect(&'a str),
    /// `/plugins`
    PluginList,
    /// `/plugins/{name}/{verb}`: there is none of any name.
    Plugin(&'a str),
    /// `/plugins/pull`, `/plugins/create`
    PluginInstall,
    /// `/build`, `/build/prune`, `/build/cancel`
    Build(&'a str),
    /// `/session`, `/grpc`
    Session,
    /// Swarm: services, nodes, tasks, secrets, configs.
    Swarm,
}

/// Verbs on one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum ContainerVerb {
    Inspect,
    Top,
    Logs,
    Stats,
    Changes,
    Export,
    Attach,
    AttachWebSocket,
    Start,
    Stop,
    Restart,
    Kill,
    Pause,
    Unpause,
    Wait,
    Resize,
    Rename,
    Update,
    Remove,
    ArchiveStat,
    ArchiveGet,
    ArchivePut,
}

/// What is done with the files of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VolumeVerb<'a> {
    /// `GET export`
    Export,
    /// `POST import`
    Import,
    /// `POST clone`
    Clone,
    /// `POST rename`
    Rename,
    /// `GET snapshots`
    Snapshots,
    /// `POST snapshots`
    Snapshot,
    /// `DELETE snapshots/{snapshot}`
    SnapshotRemove(&'a str),
    /// `POST restore`
    Restore,
}

/// Splits off `/vX.Y`: the version's text and the rest. Without one the rest is everything.
pub(crate) fn split_version(path: &str) -> (Option<&str>, &str) {
    let Some(tail) = path.strip_prefix("/v") else { return (None, path) };
    let Some(slash) = tail.find('/') else { return (None, path) };
    let (text, rest) = tail.split_at(slash);
    let is_version = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_version { (Some(text), rest) } else { (None, path) }
}

/// Where a path with empty or dotted parts leads; `None` when it is clean.
pub(crate) fn clean(path: &str) -> Option<String> {
    let dirty = |part: &str| part == "." || part == "..";
    if !path.contains("//") && !path.split('/').any(dirty) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    Some(format!("/{}{slash}", parts.join("/")))
}

/// Finds what `method` on `path` (without version) asks for.
pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Option<Route<'a>> {
    if method == Method::OPTIONS {
        return Some(Route::Options);
    }
    let path = path.strip_prefix('/')?;
    let (collection, rest) = path.split_once('/').unwrap_or((path, ""));
    let alone = !path.contains('/');
    match collection {
        "containers" if !alone => container(method, rest),
        "images" if !alone => image(method, rest),
        "exec" if !alone => exec(method, rest),
        "volumes" => volume(method, rest, alone),
        "networks" => network(method, rest),
        "distribution" if !alone => distribution(method, rest),
        "plugins" if alone && method == Method::GET => Some(Route::PluginList),
        "plugins" if !alone => plugin(method, rest),
        "swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs" => Some(Route::Swarm),
        "system" if rest == "df" && method == Method::GET => Some(Route::DiskUsage),
        "build" if method == Method::POST && matches!(rest, "" | "prune" | "cancel") => Some(Route::Build(rest)),
        _ if alone => single(method, collection),
        _ => None,
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn some(name: &&str) -> bool {
    !name.is_empty()
}

fn single<'a>(method: &Method, word: &str) -> Option<Route<'a>> {
    match (method.as_str(), word) {
        ("GET" | "HEAD", "_ping") => Some(Route::Ping),
        ("GET", "version") => Some(Route::Version),
        ("GET", "info") => Some(Route::Info),
        ("GET", "events") => Some(Route::Events),
        ("POST", "auth") => Some(Route::Auth),
        ("POST", "commit") => Some(Route::Commit),
        ("POST", "session" | "grpc") => Some(Route::Session),
        _ => None,
    }
}

fn container<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    use ContainerVerb as V;
    if is_checkpoint(method, rest) {
        return Some(Route::Checkpoint);
    }
    match (method.as_str(), rest) {
        ("GET", "json") => return Some(Route::ContainerList),
        ("POST", "create") => return Some(Route::ContainerCreate),
        ("POST", "prune") => return Some(Route::ContainerPrune),
        ("DELETE", name) => return Some(name).filter(some).map(|name| Route::Container(name, V::Remove)),
        _ => {}
    }
    let (name, verb) = rest.rsplit_once('/').filter(|(name, _)| !name.is_empty())?;
    let verb = match (method.as_str(), verb) {
        ("GET", "json") => V::Inspect,
        ("GET", "top") => V::Top,
        ("GET", "logs") => V::Logs,
        ("GET", "stats") => V::Stats,
        ("GET", "changes") => V::Changes,
        ("GET", "export") => V::Export,
        ("GET", "ws") => {
            let name = name.strip_suffix("/attach").filter(some)?;
            return Some(Route::Container(name, V::AttachWebSocket));
        }
        ("POST", "attach") => V::Attach,
        ("POST", "start") => V::Start,
        ("POST", "stop") => V::Stop,
        ("POST", "restart") => V::Restart,
        ("POST", "kill") => V::Kill,
        ("POST", "pause") => V::Pause,
        ("POST", "unpause") => V::Unpause,
        ("POST", "wait") => V::Wait,
        ("POST", "resize") => V::Resize,
        ("POST", "rename") => V::Rename,
        ("POST", "update") => V::Update,
        ("HEAD", "archive") => V::ArchiveStat,
        ("GET", "archive") => V::ArchiveGet,
        ("PUT", "archive") => V::ArchivePut,
        ("POST", "exec") => return Some(Route::ExecCreate(name)),
        _ => return None,
    };
    Some(Route::Container(name, verb))
}

/// `GET` and `POST {name}/checkpoints`, `DELETE {name}/checkpoints/{checkpoint}`
fn is_checkpoint(method: &Method, rest: &str) -> bool {
    let mut parts = rest.split('/');
    let (name, word, checkpoint, end) = (parts.next(), parts.next(), parts.next(), parts.next());
    name.is_some_and(|name| !name.is_empty())
        && word == Some("checkpoints")
        && end.is_none()
        && match method.as_str() {
            "GET" | "POST" => checkpoint.is_none(),
            "DELETE" => checkpoint.is_some_and(|checkpoint| !checkpoint.is_empty()),
            _ => false,
        }
}

fn exec<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    let (id, verb) = rest.rsplit_once('/').filter(|(id, _)| !id.is_empty())?;
    match (method.as_str(), verb) {
        ("POST", "start") => Some(Route::ExecStart(id)),
        ("POST", "resize") => Some(Route::ExecResize(id)),
        ("GET", "json") => Some(Route::ExecInspect(id)),
        _ => None,
    }
}

fn image<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    match (method.as_str(), rest) {
        ("GET", "json") => return Some(Route::ImageList),
        ("GET", "search") => return Some(Route::ImageSearch),
        ("GET", "get") => return Some(Route::ImagesSave),
        ("POST", "create") => return Some(Route::ImageCreate),
        ("POST", "load") => return Some(Route::ImageLoad),
        ("POST", "prune") => return Some(Route::ImagePrune),
        ("DELETE", name) => return Some(name).filter(some).map(Route::ImageRemove),
        _ => {}
    }
    let (name, verb) = rest.rsplit_once('/').filter(|(name, _)| !name.is_empty())?;
    match (method.as_str(), verb) {
        ("GET", "json") => Some(Route::ImageInspect(name)),
        ("GET", "history") => Some(Route::ImageHistory(name)),
        ("GET", "get") => Some(Route::ImageSave(name)),
        ("POST", "push") => Some(Route::ImagePush(name)),
        ("POST", "tag") => Some(Route::ImageTag(name)),
        _ => None,
    }
}

fn distribution<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    let (name, verb) = rest.rsplit_once('/').filter(|(name, _)| !name.is_empty())?;
    match (method.as_str(), verb) {
        ("GET", "json") => Some(Route::Distribution(name)),
        ("GET" | "PUT", "manifest") => Some(Route::DistributionManifest(name)),
        ("POST", "mount") => Some(Route::DistributionMount(name)),
        _ => None,
    }
}

fn plugin<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    match (method.as_str(), rest) {
        ("GET", "privileges") | ("POST", "pull" | "create") => return Some(Route::PluginInstall),
        ("DELETE", name) => return Some(name).filter(some).map(Route::Plugin),
        _ => {}
    }
    let (name, verb) = rest.rsplit_once('/').filter(|(name, _)| !name.is_empty())?;
    match (method.as_str(), verb) {
        ("GET", "json") | ("POST", "enable" | "disable" | "push" | "set" | "upgrade") => Some(Route::Plugin(name)),
        _ => None,
    }
}

fn volume<'a>(method: &Method, rest: &'a str, alone: bool) -> Option<Route<'a>> {
    match (method.as_str(), rest) {
        ("GET", "") if alone => Some(Route::VolumeList),
        (_, "") => None,
        ("POST", "create") => Some(Route::VolumeCreate),
        ("POST", "prune") => Some(Route::VolumePrune),
        (verb, rest) => volume_files(method, rest).or(match verb {
            "GET" => Some(Route::VolumeInspect(rest)),
            "DELETE" => Some(Route::VolumeRemove(rest)),
            "PUT" => Some(Route::VolumeUpdate),
            _ => None,
        }),
    }
}

/// A volume's name has no slash, so what stands behind one is ours.
fn volume_files<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    use VolumeVerb as V;
    let (name, verb) = rest.split_once('/').filter(|(name, _)| !name.is_empty())?;
    let verb = match (method.as_str(), verb) {
        ("GET", "export") => V::Export,
        ("POST", "import") => V::Import,
        ("POST", "clone") => V::Clone,
        ("POST", "rename") => V::Rename,
        ("GET", "snapshots") => V::Snapshots,
        ("POST", "snapshots") => V::Snapshot,
        ("POST", "restore") => V::Restore,
        ("DELETE", verb) => V::SnapshotRemove(verb.strip_prefix("snapshots/").filter(some)?),
        _ => return None,
    };
    Some(Route::VolumeFiles(name, verb))
}

fn network<'a>(method: &Method, rest: &'a str) -> Option<Route<'a>> {
    match (method.as_str(), rest) {
        // Docker answers with and without the slash
        ("GET", "") => Some(Route::NetworkList),
        (_, "") => None,
        ("GET", id) => Some(id.strip_suffix("/rules").map_or(Route::NetworkInspect(id), Route::NetworkRules)),
        ("DELETE", id) => Some(Route::NetworkRemove(id)),
        ("POST", "create") => Some(Route::NetworkCreate),
        ("POST", "prune") => Some(Route::NetworkPrune),
        ("POST", rest) => match rest.rsplit_once('/')? {
            (id, "connect") => Some(Route::NetworkConnect(id)),
            (id, "disconnect") => Some(Route::NetworkDisconnect(id)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let check = |method: &str, path: &str, expect: Option<Route<'_>>| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(find(&method, path), expect, "{method} {path}");
        };
        use ContainerVerb as V;
        check("GET", "/_ping", Some(Route::Ping));
        check("HEAD", "/_ping", Some(Route::Ping));
        check("HEAD", "/version", None);
        check("GET", "/version/", None);
        check("GET", "/", None);
        check("OPTIONS", "/whatever", Some(Route::Options));
        check("GET", "/containers/json", Some(Route::ContainerList));
        check("POST", "/containers/json", None);
        check("GET", "/containers", None);
        check("GET", "/containers/web/json", Some(Route::Container("web", V::Inspect)));
        check("GET", "/containers/a/b/json", Some(Route::Container("a/b", V::Inspect)));
        check("GET", "/containers//json", None);
        check("GET", "/containers/web/attach/ws", Some(Route::Container("web", V::AttachWebSocket)));
        check("DELETE", "/containers/web", Some(Route::Container("web", V::Remove)));
        check("DELETE", "/containers/", None);
        check("POST", "/containers/web/exec", Some(Route::ExecCreate("web")));
        check("POST", "/containers/web/nosuch", None);
        check("GET", "/images/a/b/c:d/json", Some(Route::ImageInspect("a/b/c:d")));
        check("GET", "/images/json", Some(Route::ImageList));
        check("GET", "/images/get", Some(Route::ImagesSave));
        check("GET", "/images/a/get", Some(Route::ImageSave("a")));
        check("DELETE", "/images/a/b@sha256:0", Some(Route::ImageRemove("a/b@sha256:0")));
        check("GET", "/networks", Some(Route::NetworkList));
        check("GET", "/networks/", Some(Route::NetworkList));
        check("GET", "/networks/n/rules", Some(Route::NetworkRules("n")));
        check("POST", "/networks/n/connect", Some(Route::NetworkConnect("n")));
        check("GET", "/volumes", Some(Route::VolumeList));
        check("GET", "/volumes/a", Some(Route::VolumeInspect("a")));
        check("GET", "/volumes/a/export", Some(Route::VolumeFiles("a", VolumeVerb::Export)));
        check("DELETE", "/volumes/a/snapshots/s", Some(Route::VolumeFiles("a", VolumeVerb::SnapshotRemove("s"))));
        check("GET", "/volumes/a/b", Some(Route::VolumeInspect("a/b")));
        check("POST", "/volumes/a/b", None);
        check("GET", "/system/df", Some(Route::DiskUsage));
        check("POST", "/build", Some(Route::Build("")));
        check("GET", "/plugins/a/json", Some(Route::Plugin("a")));
        check("POST", "/plugins/pull", Some(Route::PluginInstall));
        check("GET", "/swarm", Some(Route::Swarm));
        check("PUT", "/version", None);
    }

    #[test]
    fn version_prefix() {
        let check = |path: &str, expect: (Option<&str>, &str)| assert_eq!(split_version(path), expect, "{path}");
        check("/v1.51/version", (Some("1.51"), "/version"));
        check("/version", (None, "/version"));
        check("/v1.5x/version", (None, "/v1.5x/version"));
        check("/v1.51", (None, "/v1.51"));
        check("/volumes/a", (None, "/volumes/a"));
        check("/v/a", (None, "/v/a"));
    }

    #[test]
    fn unclean_paths() {
        let check = |path: &str, expect: Option<&str>| assert_eq!(clean(path).as_deref(), expect, "{path}");
        check("/version", None);
        check("//version", Some("/version"));
        check("/v1.51/containers/../version", Some("/v1.51/version"));
        check("/../../etc", Some("/etc"));
        check("/a/./b/", Some("/a/b/"));
        check("/..a/b", None);
    }
}
