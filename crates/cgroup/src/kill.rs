//! Freezing, thawing and ending everything inside a cgroup.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::files::{Dir, table_value};

const SIGKILL: i32 = 9;

/// How long a freeze may take. A process in an uninterruptible call cannot be frozen before that returns, so a bound is
/// needed; a healthy group freezes within a millisecond.
const FREEZE_SECONDS: u64 = 10;

/// How long the processes of a killed group may take to vanish: a core dump or a dying network file system.
const KILL_SECONDS: u64 = 10;

impl Cgroup {
    /// Stops every process inside; returns when all have stopped.
    ///
    /// # Errors
    /// [`Error::TimedOut`] (the group is thawed again then), [`Error::Unsupported`], [`Error::Kernel`].
    pub fn freeze(&self) -> Result<(), Error> {
        let frozen = match (self.v1_dir("freezer"), self.unified_dir()) {
            (Some(dir), _) => freeze_v1(dir),
            (None, Some(dir)) => freeze_v2(dir, true),
            (None, None) => return Err(Error::Unsupported { what: "freezing".to_owned() }),
        };
        if frozen.is_err() {
            // the first error is the one to tell
            let _ = self.thaw();
        }
        frozen
    }

    /// Lets the processes run again.
    ///
    /// # Errors
    /// [`Error::Unsupported`], [`Error::Kernel`].
    pub fn thaw(&self) -> Result<(), Error> {
        match (self.v1_dir("freezer"), self.unified_dir()) {
            (Some(dir), _) => dir.write(FREEZER, "THAWED"),
            (None, Some(dir)) => freeze_v2(dir, false),
            (None, None) => Err(Error::Unsupported { what: "thawing".to_owned() }),
        }
    }

    /// Whether the group is frozen by its own switch.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        let (dir, file, thawed) = match (self.v1_dir("freezer"), self.unified_dir()) {
            (Some(dir), _) => (dir, FREEZER, "THAWED"),
            (None, Some(dir)) => (dir, "cgroup.freeze", "0"),
            (None, None) => return Ok(false),
        };
        Ok(dir.read_if_any(file)?.is_some_and(|text| text.trim() != thawed))
    }

    /// Sends a signal to every process inside. Those that are forked meanwhile are not missed: the group is frozen while
    /// the signals go out (where that is possible).
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn signal_all(&self, signal: i32) -> Result<(), Error> {
        let was_frozen = self.is_frozen()?;
        let frozen = !was_frozen && self.freeze().is_ok();
        let sent = self.send(signal);
        if frozen || (was_frozen && signal == SIGKILL) {
            self.thaw()?;
        }
        sent.map(drop)
    }

    /// Kills every process inside and returns when none is left (zombies that nobody has waited for count as gone).
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Kernel`].
    pub fn kill(&self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(KILL_SECONDS);
        if let Some(dir) = self.unified_dir() {
            match dir.write("cgroup.kill", "1") {
                Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => {}
                other => other?,
            }
        }
        // a v1-frozen process does not even notice SIGKILL
        if self.v1_dir("freezer").is_some() && self.is_frozen()? {
            self.send(SIGKILL)?;
            self.thaw()?;
        }
        loop {
            let dying = self.send(SIGKILL)?;
            if dying.is_empty() {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let path = self.path().as_path().to_owned();
                return Err(Error::TimedOut { op: "kill", path, seconds: KILL_SECONDS });
            }
            await_one(&dying, left);
        }
    }

    /// Signals each process once; returns the pidfds of those that were alive.
    fn send(&self, signal: i32) -> Result<Vec<OwnedFd>, Error> {
        let mut alive = Vec::new();
        for number in self.processes()? {
            let Some(pid) = Pid::from_raw(number) else { continue };
            let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // between reading the list and opening the pidfd the number may have got a new owner
            if !self.holds(number) {
                continue;
            }
            match wharf_sys::pidfd::kill(&pidfd, signal) {
                Ok(()) if !has_ended(&pidfd) => alive.push(pidfd),
                _ => {}
            }
        }
        Ok(alive)
    }

    /// Whether the process is (still) in this cgroup or one below.
    fn holds(&self, pid: i32) -> bool {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return false };
        // in our own view the paths may be longer (a container's cgroup namespace) but end alike
        let suffix = format!("/{}", self.path().as_path().display());
        text.lines().any(|line| {
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            path.ends_with(&suffix) || path.contains(&format!("{suffix}/"))
        })
    }
}

const FREEZER: &str = "freezer.state";

/// v1 has no event for "frozen", and a process that forks while the state spreads can leave it at FREEZING for good
/// until the state is written again.
fn freeze_v1(dir: &Dir) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(FREEZE_SECONDS);
    let mut pause = Duration::from_micros(20);
    let mut round = 0u32;
    loop {
        dir.write(FREEZER, "FROZEN")?;
        if dir.read(FREEZER)?.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::TimedOut { op: "freeze", path: dir.path().to_owned(), seconds: FREEZE_SECONDS });
        }
        round += 1;
        if round % 50 == 49 {
            // a half-frozen group can block itself (a vfork parent frozen, its child not): let it make progress
            dir.write(FREEZER, "THAWED")?;
        }
        pause_for(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

fn freeze_v2(dir: &Dir, freeze: bool) -> Result<(), Error> {
    let events = dir.open_file("cgroup.events", OFlags::RDONLY)?;
    dir.write("cgroup.freeze", if freeze { "1" } else { "0" })?;
    let wanted = u64::from(freeze);
    let deadline = Instant::now() + Duration::from_secs(FREEZE_SECONDS);
    while table_value(&dir.read("cgroup.events")?, "frozen") != Some(wanted) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TimedOut { op: "freeze", path: dir.path().to_owned(), seconds: FREEZE_SECONDS });
        }
        await_event(&events, left);
    }
    Ok(())
}

/// Waits for a change of a v2 events file; the file must be read anew afterwards.
pub(crate) fn await_event(events: &OwnedFd, left: Duration) {
    // a change between the last reading and this poll must not be lost: kernfs reports one on the first poll after
    // opening, and the bound lets the caller look again in any case
    let bound = left.min(Duration::from_millis(50));
    let _ = rustix::event::poll(&mut [PollFd::new(events, PollFlags::PRI)], Some(&timespec(bound)));
}

/// Waits until one of the processes has ended.
pub(crate) fn await_one(processes: &[OwnedFd], left: Duration) {
    let mut fds: Vec<PollFd<'_>> = processes.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)).collect();
    // new ones may have been forked: the caller looks again
    let bound = left.min(Duration::from_millis(50));
    let _ = rustix::event::poll(&mut fds, Some(&timespec(bound)));
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(rustix::event::poll(&mut fds, Some(&timespec(Duration::ZERO))), Ok(ready) if ready > 0)
}

/// For the one state of the kernel that nothing announces.
pub(crate) fn pause_for(time: Duration) {
    let _ = rustix::event::poll(&mut [], Some(&timespec(time)));
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) }
}
