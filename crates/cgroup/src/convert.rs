//! The OCI specification speaks cgroup v1; these are its values in v2.

use crate::error::Error;

/// CPU shares (2…262144, default 1024) as a v2 weight (1…10000, default 100). 0 stays 0, "unset".
///
/// The curve is a quadratic in log₂ that meets minimum, default and maximum of both scales; the linear formula of old
/// made 39 of the default 1024, so that containers lost against everything else on the machine.
pub fn cpu_shares_to_weight(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// Block IO weight (10…1000) as a v2 `io.weight` (1…10000). 0 stays 0, "unset".
pub fn blkio_weight_to_io_weight(weight: u16) -> u64 {
    match u64::from(weight) {
        0 => 0,
        weight => 1 + (weight.max(10) - 10) * 9999 / 990,
    }
}

/// Memory-plus-swap as a v2 `memory.swap.max`, which is swap alone. `None` leaves it alone, −1 is unlimited.
///
/// # Errors
/// [`Error::InvalidInput`] when swap is limited without memory, or below it.
pub fn memory_swap_to_swap_max(swap: Option<i64>, memory: Option<i64>) -> Result<Option<i64>, Error> {
    let invalid = |reason: String| Error::InvalidInput { field: "memory swap", reason };
    match (swap.unwrap_or(0), memory.unwrap_or(0)) {
        // memory set to unlimited and swap unset: unlimited too
        (0, -1) => Ok(Some(-1)),
        (0, _) => Ok(None),
        (-1, _) => Ok(Some(-1)),
        (_, 0) => Err(invalid("unable to set swap limit without memory limit".to_owned())),
        (_, memory) if memory < 0 => Err(invalid(format!("invalid memory value: {memory}"))),
        (swap, memory) if swap < memory => Err(invalid("memory+swap limit should be >= memory limit".to_owned())),
        (swap, memory) => Ok(Some(swap - memory)),
    }
}

/// `max` for anything negative.
pub(crate) fn or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_meet_minimum_default_and_maximum() {
        for (shares, weight) in [(0, 0), (1, 1), (2, 1), (1024, 100), (262_144, 10_000), (1 << 40, 10_000)] {
            assert_eq!(cpu_shares_to_weight(shares), weight, "{shares}");
        }
        assert!(
            (2..262_144u64).step_by(97).all(|shares| cpu_shares_to_weight(shares) <= cpu_shares_to_weight(shares + 97))
        );
    }

    #[test]
    fn io_weights_meet_both_ends() {
        for (weight, io) in [(0, 0), (10, 1), (500, 4950), (1000, 10_000)] {
            assert_eq!(blkio_weight_to_io_weight(weight), io, "{weight}");
        }
    }

    #[test]
    fn swap_is_what_exceeds_memory() {
        let check = |swap, memory, expect: Result<Option<i64>, &str>| {
            let got = memory_swap_to_swap_max(swap, memory).map_err(|error| error.to_string());
            assert_eq!(got, expect.map_err(|reason| format!("memory swap: {reason}")));
        };
        check(None, None, Ok(None));
        check(None, Some(-1), Ok(Some(-1)));
        check(None, Some(100), Ok(None));
        check(Some(-1), Some(100), Ok(Some(-1)));
        check(Some(300), Some(100), Ok(Some(200)));
        check(Some(100), Some(100), Ok(Some(0)));
        check(Some(50), Some(100), Err("memory+swap limit should be >= memory limit"));
        check(Some(50), None, Err("unable to set swap limit without memory limit"));
        check(Some(50), Some(-2), Err("invalid memory value: -2"));
    }
}
