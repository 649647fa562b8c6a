//! Moments in nanoseconds since 1970, and the two ways that Docker writes them (RFC 3339, always UTC).

use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1678 to 2262, as Go's `UnixNano` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The wall clock.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Self(now.tv_sec.saturating_mul(SECOND).saturating_add(now.tv_nsec))
    }

    /// From nanoseconds since 1970.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// One nanosecond later.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Go's `RFC3339Nano`, the form in log files: trailing zeros of the fraction are left out.
    pub fn push_nano(self, out: &mut Vec<u8>) {
        let mut clock = Clock::new();
        clock.push_nano(self, out);
    }

    /// Docker's `RFC3339NanoFixed`, the form of `logs --timestamps`: always nine digits.
    pub fn push_fixed(self, out: &mut Vec<u8>) {
        let mut clock = Clock::new();
        clock.push_fixed(self, out);
    }

    /// Reads RFC 3339 with any number of fraction digits and any offset.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = text.get(range)?;
            digits
                .iter()
                .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
        };
        let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        if text.len() < 20 || separators.iter().any(|&(at, byte)| text[at] != byte) || !matches!(text[10], b'T' | b't')
        {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut at = 19;
        let mut nanos = 0;
        if text[at] == b'.' {
            at += 1;
            let mut scale = SECOND / 10;
            while let Some(digit) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
                nanos += i64::from(digit - b'0') * scale;
                scale /= 10;
                at += 1;
            }
        }
        let offset = match text.get(at..)? {
            b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let seconds = number(at + 1..at + 3)? * 3600 + number(at + 4..at + 6)? * 60;
                if *sign == b'+' { seconds } else { -seconds }
            }
            _ => return None,
        };
        let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
        Some(Self(seconds.checked_mul(SECOND)?.checked_add(nanos)?))
    }
}

/// Formats moments; the part down to the second is kept, as it is the same for many lines.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    second: i64,
    /// `2006-01-02T15:04:05`
    text: [u8; 19],
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { second: i64::MIN, text: [0; 19] }
    }

    pub(crate) fn push_nano(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let (text, nanos) = self.split(time);
        out.extend_from_slice(text);
        if nanos != 0 {
            let digits = fraction(nanos);
            let kept = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            out.extend_from_slice(&digits[..kept]);
        }
        out.push(b'Z');
    }

    pub(crate) fn push_fixed(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let (text, nanos) = self.split(time);
        out.extend_from_slice(text);
        out.extend_from_slice(&fraction(nanos));
        out.push(b'Z');
    }

    fn split(&mut self, time: Timestamp) -> (&[u8; 19], u32) {
        let second = time.0.div_euclid(SECOND);
        if second != self.second {
            self.second = second;
            self.text = civil_text(second);
        }
        (&self.text, time.0.rem_euclid(SECOND) as u32)
    }
}

/// `.` and nine digits.
fn fraction(nanos: u32) -> [u8; 10] {
    let mut text = *b".000000000";
    let mut rest = nanos;
    for digit in text[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

fn civil_text(second: i64) -> [u8; 19] {
    let (year, month, day) = civil_from_days(second.div_euclid(DAY));
    let of_day = second.rem_euclid(DAY);
    let mut text = *b"0000-00-00T00:00:00";
    let mut put = |at: usize, width: usize, value: i64| {
        let mut rest = value;
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, of_day / 3600);
    put(14, 2, of_day / 60 % 60);
    put(17, 2, of_day % 60);
    text
}

/// Days since 1970 of a date in the proleptic Gregorian calendar. Years begin in March here, so that the leap day is last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nanos: i64, nano: &str, fixed: &str) {
        let time = Timestamp::from_nanos(nanos);
        let mut out = Vec::new();
        time.push_nano(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), nano);
        assert_eq!(Timestamp::parse(&out), Some(time));
        out.clear();
        time.push_fixed(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), fixed);
        assert_eq!(Timestamp::parse(&out), Some(time));
    }

    #[test]
    fn both_forms() {
        check(0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z");
        check(1_709_210_096_500_000_000, "2024-02-29T12:34:56.5Z", "2024-02-29T12:34:56.500000000Z");
        check(1_709_251_199_000_000_001, "2024-02-29T23:59:59.000000001Z", "2024-02-29T23:59:59.000000001Z");
        check(-1, "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn offsets_and_rubbish() {
        let utc = Timestamp::parse(b"2024-02-29T12:34:56Z");
        assert_eq!(Timestamp::parse(b"2024-02-29T14:04:56+01:30"), utc);
        for bad in [
            "",
            "2024-02-29",
            "2024-13-29T12:34:56Z",
            "2024-02-29T12:34:56",
            "2024-02-29T12:34:56.Zx",
            "9999-99-99T99:99:99Z",
        ] {
            assert_eq!(Timestamp::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_four_centuries() {
        for days in -100_000..100_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
