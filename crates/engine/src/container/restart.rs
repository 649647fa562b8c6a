//! Restart policies: whether a container that ended is started again, and after how long.

use std::time::Duration;

use jiff::Timestamp;

/// First wait before a restart.
const FIRST: Duration = Duration::from_millis(100);
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// A run of this length resets the wait.
const STEADY: Duration = Duration::from_secs(10);

/// What the user declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    No,
    Always,
    UnlessStopped,
    /// At most so often; 0: for ever.
    OnFailure(u32),
}

impl Policy {
    /// Reads the declaration; `None` for an unknown name.
    pub(crate) fn parse(name: &str, max_retries: i64) -> Option<Policy> {
        Some(match name {
            "" | "no" => Policy::No,
            "always" => Policy::Always,
            "unless-stopped" => Policy::UnlessStopped,
            "on-failure" => Policy::OnFailure(u32::try_from(max_retries).unwrap_or(0)),
            _ => return None,
        })
    }

    /// Is a container that stands still to be started when the daemon starts?
    /// (One that was never started stays as it is.)
    pub(crate) fn at_daemon_start(self, stopped_by_user: bool, exit_code: i32) -> bool {
        match self {
            Policy::No => false,
            Policy::Always => true,
            Policy::UnlessStopped => !stopped_by_user,
            Policy::OnFailure(_) => !stopped_by_user && exit_code != 0,
        }
    }
}

/// The waits between restarts of one container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    wait: Duration,
    /// Starts by the policy since the user last started it.
    pub(crate) count: u32,
}

impl Backoff {
    /// The container ended by itself: the wait before it is started again, or `None`.
    pub(crate) fn next(&mut self, policy: Policy, exit_code: i32, ran_for: Duration) -> Option<Duration> {
        let again = match policy {
            Policy::No => false,
            Policy::Always | Policy::UnlessStopped => true,
            Policy::OnFailure(max) => exit_code != 0 && (max == 0 || self.count < max),
        };
        if !again {
            return None;
        }
        self.wait = if ran_for >= STEADY || self.wait.is_zero() { FIRST } else { (self.wait * 2).min(LONGEST) };
        self.count += 1;
        Some(self.wait)
    }

    /// The user started or stopped it.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

/// How long a run took.
pub(crate) fn ran_for(started: Option<Timestamp>, ended: Timestamp) -> Duration {
    started.and_then(|s| Duration::try_from(ended.duration_since(s)).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(policy: Policy, exits: &[(i32, u64)]) -> Vec<Option<u64>> {
        let mut backoff = Backoff::default();
        exits
            .iter()
            .map(|&(code, secs)| backoff.next(policy, code, Duration::from_secs(secs)).map(|w| w.as_millis() as u64))
            .collect()
    }

    #[test]
    fn r_ctr_05_the_wait_doubles_and_a_steady_run_resets_it() {
        assert_eq!(
            waits(Policy::Always, &[(0, 1), (0, 1), (1, 1), (0, 11), (0, 0)]),
            [Some(100), Some(200), Some(400), Some(100), Some(200)]
        );
        let many = waits(Policy::UnlessStopped, &[(0, 0); 20]);
        assert_eq!(many.last(), Some(&Some(60_000)));
    }

    #[test]
    fn r_ctr_05_on_failure_counts() {
        assert_eq!(waits(Policy::OnFailure(2), &[(1, 0), (1, 0), (1, 0)]), [Some(100), Some(200), None]);
        assert_eq!(waits(Policy::OnFailure(0), &[(1, 0), (0, 0)]), [Some(100), None]);
        assert_eq!(waits(Policy::No, &[(1, 0)]), [None]);
    }

    #[test]
    fn r_ctr_05_daemon_start() {
        assert!(Policy::Always.at_daemon_start(true, 0));
        assert!(!Policy::UnlessStopped.at_daemon_start(true, 0));
        assert!(Policy::UnlessStopped.at_daemon_start(false, 0));
        assert!(!Policy::OnFailure(0).at_daemon_start(false, 0));
        assert!(Policy::OnFailure(0).at_daemon_start(false, 137));
        assert!(!Policy::No.at_daemon_start(false, 1));
    }
}
