//! What the engine, the configuration and the environment have, by name. Nobody who completes a word wants to read an error, or to
//! have an engine started: what cannot be asked has nothing.

use serde_json::Value;

use crate::engine::{Client, Query};
use crate::session::Session;

use super::Candidate;
use super::offer::Kind;

/// With this set, containers are offered by their IDs, too.
const SHOW_IDS: &str = "DOCKER_COMPLETION_SHOW_CONTAINER_IDS";

/// Log drivers of Docker; what an engine has beyond them it says.
const LOG_DRIVERS: [&str; 10] =
    ["awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "none", "splunk", "syslog"];

/// Signals by the names that `kill` knows.
const SIGNALS: [&str; 31] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "KILL", "PIPE", "PROF", "PWR", "QUIT",
    "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH",
    "XCPU", "XFSZ",
];

/// All of one kind.
pub(super) fn list(session: &Session, kind: Kind) -> Vec<Candidate> {
    let mut all = match kind {
        Kind::Environment => plain(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())),
        Kind::Capabilities => plain(
            std::iter::once("ALL".to_owned())
                .chain(wharf_spec::capability::Capability::all().map(|capability| capability.name().to_owned())),
        ),
        Kind::Signals => plain(SIGNALS.iter().map(|name| (*name).to_owned())),
        Kind::Contexts => contexts(session),
        Kind::Registries => registries(session),
        _ => session.client_if_there().ok().map(|client| of_engine(client, kind)).unwrap_or_default(),
    };
    all.sort_by(|a, b| a.word.cmp(&b.word));
    all.dedup_by(|a, b| a.word == b.word);
    all
}

fn plain(words: impl Iterator<Item = String>) -> Vec<Candidate> {
    words.map(|word| Candidate::new(word, "")).collect()
}

fn contexts(session: &Session) -> Vec<Candidate> {
    let current = session.context_name().unwrap_or_default();
    let named = session.contexts().list();
    let names = named.iter().map(|context| context.name().to_owned());
    let all = std::iter::once(crate::context::DEFAULT.to_owned()).chain(names);
    all.map(|name| Candidate::new(name.clone(), if name == current { "current" } else { "" })).collect()
}

/// Those that somebody has logged in to.
fn registries(session: &Session) -> Vec<Candidate> {
    let known = session.config().object("auths").map(|auths| auths.keys().cloned().collect::<Vec<_>>());
    plain(known.unwrap_or_default().into_iter())
}

fn of_engine(client: &Client, kind: Kind) -> Vec<Candidate> {
    let get = |path: &str, query: &Query| client.get(path, query).unwrap_or(Value::Null);
    match kind {
        Kind::Containers => containers(&get("/containers/json", &Query::new().with("all", "1")), |_| true),
        Kind::Running => containers(&get("/containers/json", &Query::new()), |_| true),
        Kind::Active => containers(&get("/containers/json", &Query::new()), |state| state == "running"),
        Kind::Paused => containers(&get("/containers/json", &Query::new()), |state| state == "paused"),
        Kind::Stopped => containers(&get("/containers/json", &Query::new().with("all", "1")), |state| {
            !matches!(state, "running" | "paused" | "restarting" | "removing")
        }),
        Kind::Images => tags(&get("/images/json", &Query::new())),
        Kind::Repositories => {
            let mut all = tags(&get("/images/json", &Query::new()));
            let bare = |c: &Candidate| c.word.rsplit_once(':').map(|(name, _)| Candidate::new(name, ""));
            let names: Vec<_> = all.iter().filter_map(bare).collect();
            all.extend(names);
            all
        }
        Kind::Networks => networks(&get("/networks", &Query::new()), |_| true),
        Kind::OwnNetworks => {
            networks(&get("/networks", &Query::new()), |name| !matches!(name, "bridge" | "host" | "none"))
        }
        Kind::Volumes => named(get("/volumes", &Query::new()).get("Volumes"), "Name"),
        Kind::Plugins => named(Some(&get("/plugins", &Query::new())), "Name"),
        Kind::Runtimes => {
            let info = get("/info", &Query::new());
            let names =
                info.get("Runtimes").and_then(Value::as_object).map(|all| all.keys().cloned().collect::<Vec<_>>());
            plain(names.unwrap_or_default().into_iter())
        }
        Kind::LogDrivers => {
            let mut all = drivers(&get("/info", &Query::new()), "Log");
            all.extend(LOG_DRIVERS.iter().map(|name| Candidate::new(*name, "")));
            all
        }
        Kind::NetworkDrivers => drivers(&get("/info", &Query::new()), "Network"),
        Kind::VolumeDrivers => drivers(&get("/info", &Query::new()), "Volume"),
        Kind::Environment | Kind::Capabilities | Kind::Signals | Kind::Contexts | Kind::Registries => Vec::new(),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn containers(all: &Value, wanted: impl Fn(&str) -> bool) -> Vec<Candidate> {
    let ids = std::env::var(SHOW_IDS).is_ok_and(|value| value == "yes");
    let mut words = Vec::new();
    for container in all.as_array().into_iter().flatten().filter(|c| wanted(text(c, "State"))) {
        let about = format!("{} ({})", text(container, "Image"), text(container, "Status"));
        if ids {
            words.push(Candidate::new(text(container, "Id").get(..12).unwrap_or_default(), &about));
        }
        let names = container.get("Names").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        // `/other/alias` is a link of another container's
        let own = names.filter_map(|name| name.strip_prefix('/')).filter(|name| !name.contains('/'));
        words.extend(own.map(|name| Candidate::new(name, &about)));
    }
    words
}

fn tags(all: &Value) -> Vec<Candidate> {
    let images = all.as_array().into_iter().flatten();
    let tags = images.filter_map(|image| image.get("RepoTags")?.as_array()).flatten().filter_map(Value::as_str);
    plain(tags.filter(|tag| !tag.contains("<none>")).map(str::to_owned))
}

fn networks(all: &Value, wanted: impl Fn(&str) -> bool) -> Vec<Candidate> {
    let all = all.as_array().into_iter().flatten().filter(|network| wanted(text(network, "Name")));
    all.map(|network| Candidate::new(text(network, "Name"), text(network, "Driver"))).collect()
}

fn named(all: Option<&Value>, key: &str) -> Vec<Candidate> {
    let all = all.and_then(Value::as_array).into_iter().flatten();
    plain(all.map(|one| text(one, key).to_owned()).filter(|name| !name.is_empty()))
}

fn drivers(info: &Value, kind: &str) -> Vec<Candidate> {
    let all = info.pointer(&format!("/Plugins/{kind}")).and_then(Value::as_array).into_iter().flatten();
    plain(all.filter_map(Value::as_str).map(str::to_owned))
}
