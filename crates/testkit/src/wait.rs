//! Waiting on conditions: a bounded wait that names what never came true.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long a condition may take on a busy two-core machine before the test is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Evaluates `condition` until it gives a value; fails the test with `what` after [`PATIENCE`].
///
/// For conditions that offer nothing to block on (another program's files, a kernel table).
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "never came true: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Whether `fd` became readable (or hung up) within `limit`.
pub fn wait_readable(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    matches!(poll(&mut fds, Some(&timeout)), Ok(n) if n > 0)
}

/// Gives the processor away between two looks at a condition.
pub(crate) fn pause(time: Duration) {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
    let _ = poll(&mut [], Some(&timeout));
}
