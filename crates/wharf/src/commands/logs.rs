//! `logs`

use std::io;

use super::Call;
use super::container::path;
use crate::engine::Query;
use crate::exit::{Exit, Outcome};
use crate::{go, json, streams};

/// A moment as the API wants it: seconds since the epoch with nanoseconds; durations count back from now, in whole seconds.
pub(crate) fn moment(text: &str) -> Result<String, Exit> {
    // 0 is the epoch, not now
    if text != "0"
        && let Ok(back) = go::parse_duration(text)
    {
        let moment = jiff::Timestamp::now().as_nanosecond() - i128::from(back);
        return Ok(moment.div_euclid(1_000_000_000).to_string());
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(format!("{}.{:09}", moment.as_second(), moment.subsec_nanosecond()));
    }
    // without a zone it is local time; without a time, the beginning of the day
    let civil = text
        .trim_end_matches('Z')
        .parse::<jiff::civil::DateTime>()
        .ok()
        .or_else(|| text.parse::<jiff::civil::Date>().ok().map(jiff::civil::DateTime::from));
    if text.contains('-')
        && let Some(civil) = civil
    {
        let zone = if text.ends_with('Z') { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
        if let Ok(zoned) = civil.to_zoned(zone) {
            let moment = zoned.timestamp();
            return Ok(format!("{}.{:09}", moment.as_second(), moment.subsec_nanosecond()));
        }
    }
    let plain = text.split_once('.').unwrap_or((text, "0"));
    if !plain.0.is_empty() && [plain.0, plain.1].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit())) {
        return Ok(text.to_owned());
    }
    Err(Exit::error(format!("failed to parse value as time or duration: {}", go::quote(text))))
}

/// `logs`
pub(crate) fn logs(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let client = call.client()?;
    let name = &call.args[0];
    let document = client.get(&path(name, "json"), &Query::new())?;
    let id = json::text(&document, "Id");
    let mut query = Query::new()
        .with("stdout", "1")
        .with("stderr", "1")
        .when(flags.on("timestamps"), "timestamps", "1")
        .when(flags.on("details"), "details", "1")
        .when(flags.on("follow"), "follow", "1")
        .with("tail", flags.text("tail").unwrap_or("all"));
    for key in ["since", "until"] {
        if let Some(text) = flags.filled(key) {
            let why = |_| {
                Exit::error(format!(
                    "invalid value for {}: failed to parse value as time or duration: {}",
                    go::quote(key),
                    go::quote(text)
                ))
            };
            query = query.with(key, moment(text).map_err(why)?);
        }
    }
    let (_, body) = client.open(&path(id, "logs"), &query)?;
    let result = if json::truth(&document["Config"], "Tty") {
        streams::copy(body, &mut io::stdout().lock())
    } else {
        streams::split(body)
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
