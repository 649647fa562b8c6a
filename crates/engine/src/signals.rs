//! Names of signals.

/// Name without `SIG` to number, Linux on all architectures that we run on (signal(7)), with Docker's real-time forms.
const NAMES: &[(&str, i32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];

/// First and last real-time signal that programs can use (glibc keeps two for itself).
const REALTIME: (i32, i32) = (34, 64);

/// SIGKILL.
pub(crate) const KILL: i32 = 9;
/// SIGTERM.
pub(crate) const TERM: i32 = 15;

/// Why a text is no signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Not a name.
    Name(String),
    /// A number that no signal has.
    Number(i64),
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unknown::Name(name) => write!(f, "invalid signal: {name}"),
            Unknown::Number(number) => write!(f, "the linux daemon does not support signal {number}"),
        }
    }
}

/// A name (with or without `SIG`, any case), `RTMIN+n`, `RTMAX-n` or a number.
pub(crate) fn parse(text: &str) -> Result<i32, Unknown> {
    if let Ok(number) = text.parse::<i64>() {
        return match i32::try_from(number) {
            Ok(0) => Err(Unknown::Name(text.into())),
            Ok(n) if is_known(n) => Ok(n),
            _ => Err(Unknown::Number(number)),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(n, _)| *n == name) {
        return Ok(*number);
    }
    realtime(name).ok_or_else(|| Unknown::Name(text.into()))
}

fn is_known(number: i32) -> bool {
    NAMES.iter().any(|(_, n)| *n == number) || (REALTIME.0..=REALTIME.1).contains(&number)
}

fn realtime(name: &str) -> Option<i32> {
    let (from, rest, sign) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => (REALTIME.0, rest, '+'),
        (_, Some(rest)) => (REALTIME.1, rest, '-'),
        _ => return None,
    };
    if rest.is_empty() {
        return Some(from);
    }
    let n: i32 = rest.strip_prefix(sign)?.parse().ok()?;
    (1..=15).contains(&n).then_some(if sign == '+' { from + n } else { from - n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let check = |text: &str, expect: Result<i32, &str>| {
            assert_eq!(parse(text).map_err(|e| e.to_string()), expect.map_err(str::to_owned), "{text}");
        };
        check("TERM", Ok(15));
        check("sigterm", Ok(15));
        check("9", Ok(9));
        check("RTMIN+3", Ok(37));
        check("SIGRTMAX-1", Ok(63));
        check("RTMIN", Ok(34));
        check("FOO", Err("invalid signal: FOO"));
        check("", Err("invalid signal: "));
        check("0", Err("invalid signal: 0"));
        check("99", Err("the linux daemon does not support signal 99"));
        check("RTMIN-1", Err("invalid signal: RTMIN-1"));
    }
}
