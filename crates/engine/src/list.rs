//! Lists of containers: filters, order, and the words of the status column.

use std::sync::Arc;

use jiff::Timestamp;

use crate::container::snapshot::{Container, HealthStatus};
use crate::container::state::{State, Status};
use crate::filters::Patterns;
use crate::{Engine, Error, Filters, Inner, ListOptions, Listed, Result};

const KEYS: &[&str] = &[
    "ancestor",
    "annotation",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// The list, newest first.
pub(crate) async fn list(inner: &Arc<Inner>, options: ListOptions) -> Result<Vec<Listed>> {
    let ListOptions { all, limit, size, filters } = options;
    let wanted = Wanted::parse(inner, &filters)?;
    let mut containers: Vec<Arc<Container>> = inner.index.all().iter().map(|handle| handle.container()).collect();
    containers.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.id.cmp(&a.id)));
    let everything =
        all || limit > 0 || !filters.get("status").is_empty() || wanted.since.is_some() || wanted.before.is_some();
    containers.retain(|c| (everything || c.state.status.is_running()) && wanted.accepts(c, &filters));
    if limit > 0 {
        containers.truncate(limit);
    }
    let mut links: std::collections::HashMap<_, Vec<String>> = std::collections::HashMap::new();
    for receiver in inner.index.all().iter().map(|handle| handle.container()).filter(|c| !c.links.is_empty()) {
        for link in &receiver.links {
            links.entry(link.source.clone()).or_default().push(format!("{}/{}", receiver.name, link.alias));
        }
    }
    links.values_mut().for_each(|names| names.sort());
    let engine = Engine { inner: inner.clone() };
    let mut rows = Vec::with_capacity(containers.len());
    for container in containers {
        let size = if size { engine.size(&container.id).await.ok() } else { None };
        rows.push(Listed {
            image: image(inner, &container),
            status: status(&container, Timestamp::now()),
            links: links.remove(&container.id).unwrap_or_default(),
            container,
            size,
        });
    }
    Ok(rows)
}

/// Filters that mean other objects, looked up.
struct Wanted {
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    ancestors: Option<Vec<wharf_spec::id::ImageId>>,
    exit_codes: Vec<i32>,
    names: Patterns,
}

impl Wanted {
    fn parse(inner: &Inner, filters: &Filters) -> Result<Wanted> {
        filters.only(KEYS)?;
        for status in filters.get("status") {
            let known = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
            if !known.contains(&status.as_str()) {
                return Err(Error::InvalidParameter(format!(
                    "invalid filter 'status={status}': invalid value for state ({status}): must be one of {}",
                    known.join(", ")
                )));
            }
        }
        for health in filters.get("health") {
            if !["none", "starting", "healthy", "unhealthy"].contains(&health.as_str()) {
                return Err(Error::InvalidParameter(format!(
                    "invalid filter 'health={health}': invalid value for health ({health}): must be one of none, starting, healthy, unhealthy"
                )));
            }
        }
        let exit_code = |code: &String| {
            code.parse().map_err(|_| {
                let why = format!("strconv.Atoi: parsing {code:?}: invalid syntax");
                Error::InvalidParameter(format!("invalid filter 'exited={code}': {why}"))
            })
        };
        let exit_codes = filters.get("exited").iter().map(exit_code).collect::<Result<_>>()?;
        let created = |key: &str| -> Result<Option<Timestamp>> {
            filters
                .get(key)
                .iter()
                .map(|name| Ok(inner.index.resolve(name)?.container().created))
                .next_back()
                .transpose()
        };
        let names = filters.get("ancestor");
        let ancestors =
            (!names.is_empty()).then(|| names.iter().filter_map(|n| Some(inner.store.resolve(n).ok()?.id)).collect());
        Ok(Wanted {
            since: created("since")?,
            before: created("before")?,
            ancestors,
            exit_codes,
            names: filters.patterns("name"),
        })
    }

    fn accepts(&self, c: &Container, filters: &Filters) -> bool {
        let state = &c.state;
        let networks = || {
            c.network.networks.iter().any(|(name, e)| {
                filters
                    .get("network")
                    .iter()
                    .any(|w| w == name || e.network.as_ref().is_some_and(|id| id.as_str().starts_with(w.as_str())))
            })
        };
        let volumes = || {
            c.mounts
                .iter()
                .any(|m| filters.get("volume").iter().any(|w| *w == m.name || *w == m.destination || *w == m.source))
        };
        let any = |key: &str, port: &str| filters.get(key).iter().any(|wanted| port_matches(wanted, port));
        let exposed = || c.network.ports.keys().any(|port| any("expose", port));
        // that of the host, with the protocol of the container's
        let published = || {
            c.network.ports.iter().any(|(port, to)| {
                let protocol = port.rsplit('/').next().unwrap_or_default();
                to.iter().any(|binding| any("publish", &format!("{}/{protocol}", binding.host_port)))
            })
        };
        let exited =
            || state.finished_at.is_some() && !state.status.is_running() && self.exit_codes.contains(&state.exit_code);
        let health = c.health.as_ref().map_or("none", |h| h.status.as_str());
        filters.exact("status", state.status.as_str())
            && filters.exact("health", health)
            && (filters.get("id").is_empty() || filters.get("id").iter().any(|w| c.id.as_str().starts_with(w.as_str())))
            && (self.names.accept(&c.name) || self.names.accept(&format!("/{}", c.name)))
            && labels(filters, c)
            && (filters.get("network").is_empty() || networks())
            && (filters.get("volume").is_empty() || volumes())
            && (filters.get("publish").is_empty() || published())
            && (filters.get("expose").is_empty() || exposed())
            && (self.exit_codes.is_empty() || exited())
            && self.since.is_none_or(|since| c.created > since)
            && self.before.is_none_or(|before| c.created < before)
            && self.ancestors.as_ref().is_none_or(|list| list.contains(&c.image))
            && filters.exact("is-task", "false")
    }
}

/// `80`, `80/tcp`, `8000-9000/tcp`
fn port_matches(wanted: &str, port: &str) -> bool {
    let (range, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    let (number, own) = port.split_once('/').unwrap_or((port, "tcp"));
    match (low.parse::<u16>(), high.parse::<u16>(), number.parse::<u16>()) {
        (Ok(low), Ok(high), Ok(number)) => protocol == own && (low..=high).contains(&number),
        _ => false,
    }
}

/// The filters `label` and `label!`.
pub(crate) fn labels(filters: &Filters, c: &Container) -> bool {
    let label = |name: &str| c.config.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
    filters.labels("label", label) && (filters.get("label!").is_empty() || !filters.labels("label!", label))
}

/// The filter `until` of prunes: a moment, or how long ago.
pub(crate) fn until(filters: &Filters) -> Result<Option<Timestamp>> {
    let texts = filters.get("until");
    let [text] = texts else {
        return if texts.is_empty() {
            Ok(None)
        } else {
            Err(Error::InvalidParameter("more than one until filter specified".into()))
        };
    };
    let invalid = || Error::InvalidParameter(format!("failed to parse value as time or duration: {text:?}"));
    if let Ok(seconds) = text.parse::<f64>() {
        let nanoseconds = (seconds * 1e9) as i128;
        return Timestamp::from_nanosecond(nanoseconds).map(Some).map_err(|_| invalid());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    // without a zone it is the daemon's: `2006-01-02`, `2006-01-02T15:04:05`
    if let Ok(local) = text.parse::<jiff::civil::DateTime>() {
        let at = local.to_zoned(jiff::tz::TimeZone::system()).map_err(|_| invalid())?;
        return Ok(Some(at.timestamp()));
    }
    let ago = duration(text).ok_or_else(invalid)?;
    Timestamp::now().checked_sub(ago).map(Some).map_err(|_| invalid())
}

/// Go's durations: `1h30m`, `10s`, `500ms`.
fn duration(text: &str) -> Option<jiff::SignedDuration> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    if text.is_empty() { None } else { jiff::SignedDuration::try_from_secs_f64(sum).ok() }
}

/// The image's name while it still means the container's image, else its short identifier.
fn image(inner: &Inner, c: &Container) -> String {
    match inner.store.resolve(&c.image_name) {
        Ok(image) if image.id == c.image => c.image_name.clone(),
        _ => c.image.to_string(),
    }
}

/// `Up 2 minutes (Paused)`, `Exited (0) 3 hours ago` …
pub(crate) fn status(container: &Container, now: Timestamp) -> String {
    let text = state_text(&container.state, now);
    match container.health.as_ref().filter(|_| container.state.status == Status::Running).map(|h| h.status) {
        Some(HealthStatus::Starting) => format!("{text} (health: starting)"),
        Some(known) => format!("{text} ({})", known.as_str()),
        None => text,
    }
}

fn state_text(state: &State, now: Timestamp) -> String {
    let since = |at: Option<Timestamp>| at.map_or(0, |at| now.duration_since(at).as_secs().max(0));
    match state.status {
        Status::Running => format!("Up {}", human(since(state.started_at))),
        Status::Paused => format!("Up {} (Paused)", human(since(state.started_at))),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, human(since(state.finished_at))),
        Status::Removing => "Removal In Progress".into(),
        Status::Dead => "Dead".into(),
        Status::Created => "Created".into(),
        Status::Exited => match state.finished_at {
            Some(at) => format!("Exited ({}) {} ago", state.exit_code, human(since(Some(at)))),
            None => String::new(),
        },
    }
}

/// Docker's rough durations.
fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3600.0).round() as i64);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_img_01_until_takes_times_with_and_without_a_zone() {
        let check = |text: &str, expect: bool| {
            let filters = Filters([("until".to_owned(), vec![text.to_owned()])].into());
            assert_eq!(until(&filters).is_ok(), expect, "{text}");
        };
        for good in
            ["2020-01-01", "2020-01-01T10:11", "2020-01-01T10:11:12", "2020-01-01T10:11:12Z", "1577836800.5", "24h"]
        {
            check(good, true);
        }
        for bad in ["bogus", "12x", "2020-13-01"] {
            check(bad, false);
        }
    }

    #[test]
    fn r_ctr_07_words_of_the_status() {
        let check = |seconds: i64, expect: &str| assert_eq!(human(seconds), expect, "{seconds}");
        check(0, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(119, "About a minute");
        check(120, "2 minutes");
        check(3600, "About an hour");
        check(5399, "About an hour");
        check(7200, "2 hours");
        check(86400 * 3, "3 days");
        check(86400 * 21, "3 weeks");
        check(86400 * 90, "3 months");
        check(86400 * 365 * 3, "3 years");
    }

    #[test]
    fn ports_and_durations() {
        assert!(port_matches("80", "80/tcp") && port_matches("70-90/udp", "80/udp"));
        assert!(!port_matches("80", "80/udp") && !port_matches("x", "80/tcp"));
        assert_eq!(duration("1h30m").map(|d| d.as_secs()), Some(5400));
        assert_eq!(duration("1.5s").map(|d| d.as_millis()), Some(1500));
        assert!(duration("").is_none() && duration("5").is_none() && duration("1x").is_none());
    }
}
