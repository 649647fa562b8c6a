//! `events`

use serde_json::{Deserializer, Value};
use wharf_template::{Functions, Template};

use super::Call;
use super::logs::moment;
use crate::engine::Query;
use crate::exit::{Exit, Outcome};
use crate::format::schema::typed;
use crate::{json, output};

/// `events`
pub(crate) fn events(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let template = match flags.filled("format") {
        None => None,
        Some("json") => Some("{{json .}}"),
        Some(source) => Some(source),
    };
    let template = match template {
        Some(source) => Some(
            Template::parse(source, Functions::Docker)
                .map_err(|error| Exit::with(64, format!("Error parsing format: template parsing error: {error}")))?,
        ),
        None => None,
    };
    let mut query = call.filters(Query::new());
    for key in ["since", "until"] {
        if let Some(text) = flags.filled(key) {
            query = query.with(key, moment(text)?);
        }
    }
    let (_, body) = call.client()?.open("/events", &query)?;
    for event in Deserializer::from_reader(body).into_iter::<Value>() {
        let Ok(event) = event else { break };
        match &template {
            None => output::line(&plain(&event)),
            Some(template) => {
                let text = template.execute(&typed("events.Message", &event));
                output::line(&text.map_err(|error| Exit::error(error.to_string()))?);
            }
        }
    }
    Ok(())
}

/// `2026-11-20T21:00:00.000000000Z container start ID (image=…, name=…)`
fn plain(event: &Value) -> String {
    let moment = match json::int(event, "timeNano") {
        0 => jiff::Timestamp::from_second(json::int(event, "time")),
        nanoseconds => jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)),
    };
    let zone = jiff::tz::TimeZone::system();
    let moment = moment.map(|moment| moment.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string());
    let moment = moment.unwrap_or_default();
    let moment = moment.strip_suffix("+00:00").map_or(moment.clone(), |utc| format!("{utc}Z"));
    let actor = &event["Actor"];
    let mut attributes: Vec<String> = json::entries(actor, "Attributes")
        .into_iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    attributes.sort();
    let mut out =
        format!("{moment} {} {} {}", json::text(event, "Type"), json::text(event, "Action"), json::text(actor, "ID"));
    if !attributes.is_empty() {
        out.push_str(&format!(" ({})", attributes.join(", ")));
    }
    out
}
