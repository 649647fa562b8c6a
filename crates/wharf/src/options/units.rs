//! Sizes and shares: `64m`, `1.5` processors.

/// A size with an optional binary suffix (`k`, `mb`, `GiB` …), in bytes; `-1` is let through for limits.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let bad = || format!("invalid size: '{text}'");
    let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.').ok_or_else(bad)? + 1;
    let number = text[..split].strip_suffix(' ').unwrap_or(&text[..split]);
    let (number, suffix) = (number.trim_end(), text[split..].trim_start_matches(' ').to_ascii_lowercase());
    if number.starts_with(['+', '-']) || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(bad());
    }
    let size: f64 = number.parse().map_err(|_| bad())?;
    let (unit, rest) = match suffix.chars().next() {
        None => return Ok(size as i64),
        Some(unit) => (unit, &suffix[1..]),
    };
    let power = match unit {
        'b' if rest.is_empty() => return Ok(size as i64),
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        'p' => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    if !matches!(rest, "" | "b" | "ib") {
        return Err(format!("invalid suffix: '{suffix}'"));
    }
    Ok((size * 1024f64.powi(power)) as i64)
}

/// A number of processors as billionths of one.
pub(crate) fn parse_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let decimal = |text: &str| -> Option<(i128, i128)> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = body.split_once('.').unwrap_or((body, ""));
        if whole.is_empty() && part.is_empty() || part.len() > 30 || whole.len() > 7 {
            return None;
        }
        let digits = format!("{whole}{part}");
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: i128 = digits.parse().ok()?;
        Some((if negative { -value } else { value }, 10i128.pow(part.len() as u32)))
    };
    let (numerator, denominator) = match text.split_once('/') {
        Some((top, bottom)) => {
            let (top, top_scale) = decimal(top).ok_or_else(bad)?;
            let (bottom, bottom_scale) = decimal(bottom).filter(|(value, _)| *value > 0).ok_or_else(bad)?;
            (top * bottom_scale, bottom * top_scale)
        }
        None => decimal(text).ok_or_else(bad)?,
    };
    let scaled = numerator.checked_mul(1_000_000_000).ok_or_else(bad)?;
    if scaled % denominator != 0 {
        return Err("value is too precise".into());
    }
    i64::try_from(scaled / denominator).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expect) in
            [("1", 1), ("5.5m", 5_767_168), ("1kib", 1024), ("64MB", 64 << 20), ("2 g", 2 << 30), ("-1", -1), ("3b", 3)]
        {
            assert_eq!(parse_bytes(text), Ok(expect), "{text}");
        }
        for text in ["", "x", "-2", "1.2.3"] {
            assert_eq!(parse_bytes(text), Err(format!("invalid size: '{text}'")));
        }
    }

    #[test]
    fn processors() {
        assert_eq!(parse_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_cpus("1/2"), Ok(500_000_000));
        assert_eq!(parse_cpus("1/3"), Err("value is too precise".into()));
        assert!(parse_cpus("x").is_err());
    }
}
