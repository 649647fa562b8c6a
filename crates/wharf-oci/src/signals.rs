//! Signals by name or number.

use crate::error::Error;

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

const SIGRTMIN: i32 = 34;
const SIGRTMAX: i32 = 64;

/// Reads `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`.
pub(crate) fn parse(text: &str) -> Result<i32, Error> {
    let unknown = || Error::Usage(format!("unknown signal {text:?}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=SIGRTMAX).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest.parse::<i32>().ok() };
    let realtime = if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest).map(|offset| SIGRTMIN + offset)
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest).map(|offset| SIGRTMAX + offset)
    } else {
        None
    };
    if let Some(number) = realtime {
        return if (SIGRTMIN..=SIGRTMAX).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let name = match name {
        "POLL" => "IO",
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        name => name,
    };
    NAMES.iter().position(|known| *known == name).map(|index| index as i32 + 1).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+3", 37), ("rtmax-1", 63), ("SYS", 31), ("0", 0)]
        {
            assert_eq!(parse(text).ok(), Some(number), "{text}");
        }
        for text in ["SIGNOPE", "65", "-1", "RTMIN+40", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
