//! Times as Docker's clients write and read them.

use jiff::Timestamp;

use crate::failure::Failure;

/// Go's zero time, which Docker shows for "never".
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with as many digits as needed.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// The same, and year 1 for never.
pub(crate) fn rfc3339_or_never(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), rfc3339)
}

/// Reads `seconds[.nanoseconds]` since 1970, as the arguments `since` and `until` carry it; empty and 0 are none.
pub(crate) fn parse(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number = |part: &str| {
        part.parse::<i64>()
            .map_err(|_| Failure::internal(format!("strconv.ParseInt: parsing \"{part}\": invalid syntax")))
    };
    let seconds = number(seconds)?;
    // "5.1" is a tenth of a second
    let nanos = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<9}")[..9.max(fraction.len())])? };
    if seconds == 0 && nanos == 0 {
        return Ok(None);
    }
    Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0))
        .map(Some)
        .map_err(|_| Failure::bad(format!("time out of range: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_client_sends() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(parse(Some(text)).expect(text).map(rfc3339).as_deref(), expect, "{text}");
        };
        check("", None);
        check("0", None);
        check("1", Some("1970-01-01T00:00:01Z"));
        check("1.5", Some("1970-01-01T00:00:01.5Z"));
        check("1795208531.000000001", Some("2026-11-20T21:02:11.000000001Z"));
        let error = parse(Some("x")).expect_err("no number");
        assert_eq!(error.message(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert!(parse(Some("99999999999999")).is_err());
    }

    #[test]
    fn writes_as_go_writes() {
        let time: Timestamp = "2026-11-20T21:43:55.630759330Z".parse().expect("a time");
        assert_eq!(rfc3339(time), "2026-11-20T21:43:55.63075933Z");
    }
}
