//! What happens, told to whoever listens: a bounded memory for `since`, and a live channel.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, watch};

use crate::{Event, EventsOptions, Filters, Result};

/// Events that are remembered, as in Docker.
const HISTORY: usize = 256;
/// Events that a slow listener may be behind before it loses some.
const BEHIND: usize = 1024;

/// The bus; clones share it.
#[derive(Clone)]
pub(crate) struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    history: Mutex<VecDeque<Arc<Event>>>,
    live: broadcast::Sender<Arc<Event>>,
    /// How many there have been.
    count: watch::Sender<u64>,
}

impl Bus {
    pub(crate) fn new() -> Bus {
        let (live, _) = broadcast::channel(BEHIND);
        Bus { shared: Arc::new(Shared { history: Mutex::new(VecDeque::new()), live, count: watch::Sender::new(0) }) }
    }

    /// Tells everybody.
    pub(crate) fn publish(
        &self,
        kind: &'static str,
        action: impl Into<String>,
        actor: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let event = Arc::new(Event {
            kind,
            action: action.into(),
            actor: actor.to_owned(),
            attributes,
            time: Timestamp::now(),
        });
        self.shared.count.send_modify(|count| *count += 1);
        let mut history = self.history();
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(event.clone());
        // under the lock: a listener that joins sees each event exactly once, in the history or live
        let _ = self.shared.live.send(event);
    }

    /// How many events there have been.
    pub(crate) fn count(&self) -> watch::Receiver<u64> {
        self.shared.count.subscribe()
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.shared.live.receiver_count()
    }

    /// Joins: the remembered events that match, then live ones until `until`.
    pub(crate) fn listen(&self, options: EventsOptions) -> Result<mpsc::Receiver<Event>> {
        let (past, mut live) = {
            let history = self.history();
            let from = options.since.or(options.until);
            let past: Vec<_> = match from {
                Some(_) => {
                    history.iter().filter(|e| in_time(e, &options) && matches(e, &options.filters)).cloned().collect()
                }
                None => Vec::new(),
            };
            (past, self.shared.live.subscribe())
        };
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            for event in past {
                if sender.send(Event::clone(&event)).await.is_err() {
                    return;
                }
            }
            let deadline = options.until.map(|until| {
                let left = until.duration_since(Timestamp::now());
                tokio::time::Instant::now() + std::time::Duration::try_from(left).unwrap_or_default()
            });
            loop {
                let next = tokio::select! {
                    next = live.recv() => next,
                    () = sender.closed() => return,
                    () = sleep_until(deadline) => return,
                };
                match next {
                    Ok(event) if matches(&event, &options.filters) => {
                        if sender.send(Event::clone(&event)).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(lost)) => {
                        tracing::warn!(lost, "a listener is too slow for the events")
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Ok(receiver)
    }

    fn history(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.shared.history.lock().unwrap_or_else(|e| e.into_inner())
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn in_time(event: &Event, options: &EventsOptions) -> bool {
    options.since.is_none_or(|since| event.time >= since) && options.until.is_none_or(|until| event.time <= until)
}

/// Does an event pass? Docker: keys that it does not know filter nothing, keys are joined by and, values of a key by or; an object is meant by ID, ID prefix or name.
fn matches(event: &Event, filters: &Filters) -> bool {
    let verb = event.action.split(':').next().unwrap_or_default();
    let object = |key: &str, kind: &str| {
        let wanted = filters.get(key);
        let name = event.attributes.get("name").map(String::as_str);
        wanted.is_empty()
            || event.kind == kind
                && wanted.iter().any(|w| event.actor == *w || name == Some(w) || event.actor.starts_with(w.as_str()))
    };
    let image = |wanted: &[String]| {
        let bare = |name: &str| {
            name.rsplit_once(':')
                .map_or(name.to_owned(), |(n, t)| if t.contains('/') { name.to_owned() } else { n.to_owned() })
        };
        let names = [
            Some(event.actor.as_str()),
            event.attributes.get(if event.kind == "image" { "name" } else { "image" }).map(String::as_str),
        ];
        wanted.is_empty() || names.iter().flatten().any(|n| wanted.iter().any(|w| w == n || *w == bare(n)))
    };
    // `exec_create` matches `exec_create: sh`, and `health_status` matches `health_status: healthy`
    let action = filters.get("event").is_empty()
        || filters
            .get("event")
            .iter()
            .any(|w| *w == event.action || *w == verb || verb == "health_status" && w == "health_status");
    action
        && filters.exact("type", event.kind)
        && filters.exact("scope", "local")
        && filters.labels("label", |name| event.attributes.get(name).map(String::as_str))
        && object("container", "container")
        && object("volume", "volume")
        && object("network", "network")
        && object("plugin", "plugin")
        && object("daemon", "daemon")
        && image(filters.get("image"))
        && ["config", "node", "secret", "service"].iter().all(|key| filters.get(key).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &'static str, action: &str, actor: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Event { kind, action: action.into(), actor: actor.into(), attributes, time: Timestamp::now() }
    }

    #[test]
    fn filters_follow_docker() {
        let start = event("container", "start", "abc123", &[("name", "web"), ("image", "nginx:1"), ("tier", "front")]);
        let exec = event("container", "exec_create: sh -c x", "abc123", &[("name", "web"), ("image", "nginx:1")]);
        let check = |event: &Event, filters: &[(&str, &str)], expect: bool| {
            let mut all = Filters::default();
            for (k, v) in filters {
                all.0.entry((*k).into()).or_default().push((*v).into());
            }
            assert_eq!(matches(event, &all), expect, "{filters:?}");
        };
        check(&start, &[], true);
        check(&start, &[("container", "web")], true);
        check(&start, &[("container", "abc")], true);
        check(&start, &[("container", "db")], false);
        check(&start, &[("event", "start"), ("event", "die")], true);
        check(&start, &[("event", "die")], false);
        check(&exec, &[("event", "exec_create")], true);
        check(&start, &[("image", "nginx")], true);
        check(&start, &[("image", "nginx:1")], true);
        check(&start, &[("type", "image")], false);
        check(&start, &[("label", "tier=front")], true);
        check(&start, &[("label", "tier=back")], false);
        check(&start, &[("volume", "web")], false);
    }

    #[tokio::test]
    async fn the_past_and_the_present_come_in_order() {
        let bus = Bus::new();
        bus.publish("container", "create", "a", BTreeMap::new());
        let mut events = bus
            .listen(EventsOptions { since: Some(Timestamp::UNIX_EPOCH), ..EventsOptions::default() })
            .expect("listen");
        bus.publish("container", "start", "a", BTreeMap::new());
        assert_eq!(events.recv().await.expect("past").action, "create");
        assert_eq!(events.recv().await.expect("live").action, "start");
        let until = EventsOptions {
            since: Some(Timestamp::UNIX_EPOCH),
            until: Some(Timestamp::now()),
            ..EventsOptions::default()
        };
        let mut bounded = bus.listen(until).expect("listen");
        let mut seen = 0;
        while bounded.recv().await.is_some() {
            seen += 1;
        }
        assert_eq!(seen, 2);
    }
}
