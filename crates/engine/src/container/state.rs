//! The life of a container.
//!
//! ```text
//!                        start
//!   created ───────────────────────────► running ◄──────────► paused
//!      │                                  │   ▲     pause        │
//!      │                            exit  │   │     unpause      │ exit (killed while frozen)
//!      │                                  ▼   │ start            ▼
//!      │            policy says no ┌── exited ┘ ◄──────────────────
//!      │                           │      │ policy says again: restarting ──(back-off over)──► running
//!      │ remove                    │      │                        └─(stop)──► exited
//!      ▼                           ▼      ▼
//!   removing ◄─────────────────────────────   ── clean-up incomplete ──► dead ──(remove again)──► removing
//! ```
//!
//! Every transition is one function here; a wrong one is Docker's sentence or its 304.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where a container is in its life, with what belongs to that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Made and never started.
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended and the restart policy will start it again after the back-off.
    Restarting,
    /// It ended.
    Exited,
    /// It is being removed.
    Removing,
    /// Removing it did not succeed.
    Dead,
}

impl Status {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
            Status::Removing => "removing",
            Status::Dead => "dead",
        }
    }

    /// `true` while there is a process (Docker's `State.Running`, which is true for paused and restarting, too).
    pub fn is_running(self) -> bool {
        matches!(self, Status::Running | Status::Paused | Status::Restarting)
    }

    /// `true` while there is a process in truth.
    pub fn is_alive(self) -> bool {
        matches!(self, Status::Running | Status::Paused)
    }
}

/// Docker's `State`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The place.
    pub status: Status,
    /// The first process as the host sees it; 0 when there is none.
    pub pid: u32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// The last run was ended by the kernel's memory limit.
    pub oom_killed: bool,
    /// Why the last start did not succeed.
    pub error: String,
    /// Begin of the last run; `None`: never.
    pub started_at: Option<Timestamp>,
    /// End of the last run; `None`: never.
    pub finished_at: Option<Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        State {
            status: Status::Created,
            pid: 0,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            started_at: None,
            finished_at: None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, 128 + n for a signal.
    pub code: i32,
    /// The memory limit killed something in it.
    pub oom_killed: bool,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// May it be started? `Ok(false)`: it runs already (304).
    pub fn may_start(&self) -> Result<bool> {
        match self.status {
            Status::Created | Status::Exited | Status::Restarting => Ok(true),
            Status::Running => Ok(false),
            Status::Paused => Err(Error::Conflict("cannot start a paused container, try unpause instead".into())),
            Status::Removing | Status::Dead => {
                Err(Error::Conflict("container is marked for removal and cannot be started".into()))
            }
        }
    }

    /// May it be stopped? `Ok(false)`: it does not run (304).
    pub fn may_stop(&self) -> Result<bool> {
        Ok(self.status.is_running())
    }

    /// May it be frozen?
    pub fn may_pause(&self, id: &str) -> Result<()> {
        match self.status {
            Status::Running => Ok(()),
            Status::Paused => Err(Error::Conflict(format!("Container {id} is already paused"))),
            Status::Restarting => {
                Err(Error::Conflict(format!("Container {id} is restarting, wait until the container is running")))
            }
            _ => Err(Error::not_running(id)),
        }
    }

    /// May it be thawed?
    pub fn may_unpause(&self, id: &str) -> Result<()> {
        match self.status {
            Status::Paused => Ok(()),
            // Docker does not classify this one
            _ => Err(Error::System(format!("Container {id} is not paused"))),
        }
    }

    /// May a signal be sent to it?
    pub fn may_kill(&self, id: &str) -> Result<()> {
        match self.status {
            Status::Running | Status::Paused | Status::Restarting => Ok(()),
            _ => Err(Error::not_running(id)),
        }
    }

    /// May an exec be made in it?
    pub fn may_exec(&self, id: &str) -> Result<()> {
        match self.status {
            Status::Running => Ok(()),
            Status::Paused => {
                Err(Error::Conflict(format!("Container {id} is paused, unpause the container before exec")))
            }
            Status::Restarting => {
                Err(Error::Conflict(format!("Container {id} is restarting, wait until the container is running")))
            }
            _ => Err(Error::not_running(id)),
        }
    }

    /// May it be removed without force?
    pub fn may_remove(&self, name: &str) -> Result<()> {
        match self.status {
            Status::Created | Status::Exited | Status::Dead => Ok(()),
            Status::Removing => Err(Error::Conflict(format!("removal of container {name} is already in progress"))),
            Status::Running => Err(Error::Conflict(format!(
                "cannot remove container {name:?}: container is running: stop the container before removing or force remove"
            ))),
            Status::Paused => Err(Error::Conflict(format!(
                "cannot remove container {name:?}: container is paused and must be unpaused first"
            ))),
            Status::Restarting => Err(Error::Conflict(format!(
                "cannot remove container {name:?}: container is restarting: stop the container before removing or force remove"
            ))),
        }
    }

    /// The first process runs.
    pub fn started(&mut self, pid: u32, at: Timestamp) {
        *self = State {
            status: Status::Running,
            pid,
            started_at: Some(at),
            finished_at: self.finished_at,
            ..State::default()
        };
    }

    /// The start did not succeed.
    pub fn start_failed(&mut self, exit_code: i32, error: String) {
        self.status = match self.status {
            Status::Created => Status::Created,
            _ => Status::Exited,
        };
        self.pid = 0;
        self.exit_code = exit_code;
        self.error = error;
    }

    /// The first process ended.
    pub fn exited(&mut self, exit: Exit, restarting: bool) {
        self.status = if restarting { Status::Restarting } else { Status::Exited };
        self.pid = 0;
        self.exit_code = exit.code;
        self.oom_killed = exit.oom_killed;
        self.finished_at = Some(exit.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Status; 7] = [
        Status::Created,
        Status::Running,
        Status::Paused,
        Status::Restarting,
        Status::Exited,
        Status::Removing,
        Status::Dead,
    ];

    /// One letter per state: `+` may, `=` is so already (304), `-` refused.
    fn table(check: impl Fn(&State) -> Result<bool>) -> String {
        let letter = |status| match check(&State { status, ..State::default() }) {
            Ok(true) => '+',
            Ok(false) => '=',
            Err(_) => '-',
        };
        ALL.into_iter().map(letter).collect()
    }

    #[test]
    fn r_ctr_03_what_may_be_done_in_which_state() {
        // created, running, paused, restarting, exited, removing, dead
        assert_eq!(table(State::may_start), "+=-++--");
        assert_eq!(table(State::may_stop), "=+++===");
        assert_eq!(table(|s| s.may_pause("x").map(|()| true)), "-+-----");
        assert_eq!(table(|s| s.may_unpause("x").map(|()| true)), "--+----");
        assert_eq!(table(|s| s.may_kill("x").map(|()| true)), "-+++---");
        assert_eq!(table(|s| s.may_exec("x").map(|()| true)), "-+-----");
        assert_eq!(table(|s| s.may_remove("x").map(|()| true)), "+---+-+");
    }

    #[test]
    fn r_ctr_03_sentences() {
        let paused = State { status: Status::Paused, ..State::default() };
        let check = |result: Result<()>, expect: &str| assert_eq!(result.expect_err("refused").to_string(), expect);
        check(paused.may_start().map(drop), "cannot start a paused container, try unpause instead");
        check(paused.may_pause("x"), "Container x is already paused");
        check(paused.may_exec("x"), "Container x is paused, unpause the container before exec");
        check(paused.may_remove("x"), "cannot remove container \"x\": container is paused and must be unpaused first");
        check(State::default().may_unpause("x"), "Container x is not paused");
        check(State::default().may_kill("x"), "container x is not running");
    }

    #[test]
    fn a_life() {
        let at = |s| Timestamp::from_second(s).expect("a moment");
        let mut state = State::default();
        state.start_failed(127, "why".into());
        assert_eq!((state.status, state.exit_code, state.error.as_str()), (Status::Created, 127, "why"));
        state.started(7, at(1));
        assert_eq!((state.status, state.pid, state.exit_code, state.error.as_str()), (Status::Running, 7, 0, ""));
        state.exited(Exit { code: 137, oom_killed: true, at: at(2) }, true);
        assert_eq!((state.status, state.pid, state.oom_killed), (Status::Restarting, 0, true));
        state.started(8, at(3));
        assert!(!state.oom_killed);
        assert_eq!((state.started_at, state.finished_at), (Some(at(3)), Some(at(2))));
        state.exited(Exit { code: 0, oom_killed: false, at: at(4) }, false);
        assert_eq!((state.status, state.finished_at), (Status::Exited, Some(at(4))));
    }
}
