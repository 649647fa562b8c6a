//! Sizes and times for people, as docker words them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Four significant digits as `%.4g` gives them.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let exponent: i32 =
        format!("{value:.*e}", digits - 1).split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let text = format!("{value:.*e}", digits - 1);
        let (mantissa, _) = text.split_once('e').unwrap_or((&text, ""));
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        return format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn scaled(mut value: f64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= base && unit < units.len() - 1 {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// `1.98MB`
pub(crate) fn size(bytes: f64) -> String {
    scaled(bytes, 1000.0, 4, &DECIMAL)
}

/// `1.98MB` with three digits, as `images` shows it.
pub(crate) fn size3(bytes: f64) -> String {
    scaled(bytes, 1000.0, 3, &DECIMAL)
}

/// `1.89MiB`
pub(crate) fn binary_size(bytes: f64) -> String {
    scaled(bytes, 1024.0, 4, &BINARY)
}

/// `About an hour`
pub(crate) fn duration(seconds: i64) -> String {
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

/// Seconds since the epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as i64)
}

/// How long ago a moment (seconds since the epoch) was: `2 minutes ago`; nothing for no moment.
pub(crate) fn ago(seconds: i64) -> String {
    if seconds <= 0 {
        return String::new();
    }
    format!("{} ago", duration(now() - seconds))
}

/// A moment as Go's `time.Time.String` in local time.
pub(crate) fn local_time(seconds: i64) -> String {
    let Ok(moment) = Timestamp::from_second(seconds) else { return String::new() };
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// An RFC 3339 moment in seconds since the epoch.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(|moment| moment.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expect) in [(0.0, "0B"), (999.0, "999B"), (1000.0, "1kB"), (1_984_512.0, "1.985MB"), (1e10, "10GB")]
        {
            assert_eq!(size(bytes), expect);
        }
        assert_eq!(size3(1_984_512.0), "1.98MB");
        assert_eq!(size3(99_999_999.0), "100MB");
        assert_eq!(binary_size(1536.0), "1.5KiB");
        assert_eq!(binary_size(25_231_360_000.0), "23.5GiB");
    }

    #[test]
    fn durations() {
        for (seconds, expect) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (3000, "50 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (3 * 86400, "3 days"),
            (20 * 86400, "2 weeks"),
            (90 * 86400, "3 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(duration(seconds), expect);
        }
    }
}
