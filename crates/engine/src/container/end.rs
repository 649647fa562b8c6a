//! What a container's keeper tells, above all its end: recorded, told, and answered by the restart policy.
//!
//! ```text
//!   exit ─► row on the disk ─┬─► picture, events ─┬─► back-off ─► start again
//!      └──► teardown ────────┘   (nobody hears    ├─► removed (`--rm`: its rows wait for no disk)
//!           (beside)              of it before)   └─► stands still
//! ```

use std::time::Duration;

use tokio::time::Instant;
use wharf_shim::client::Notice;
use wharf_shim::protocol::{self, AttachEnd, Event};
use wharf_sys::failpoint;

use super::actor::Actor;
use super::restart::ran_for;
use super::state::{Exit, Status};
use super::{declare, start};
use crate::{Error, RemoveOptions, blocking};

impl Actor {
    pub(super) async fn notice(&mut self, notice: Option<Notice>) {
        match notice {
            Some(Notice::Event(Event::Exited(exit))) => self.ended(exit).await,
            Some(Notice::Event(Event::ExecExited { id, exit })) => self.exec_ended(&id, exit),
            Some(Notice::Event(Event::AttachEnded { reason: AttachEnd::Detached, .. })) => {
                self.inner.container_event(&self.id, "detach", &[]);
            }
            Some(Notice::Event(Event::AttachEnded { .. })) => {}
            Some(Notice::Resync(snapshot)) => {
                for exec in snapshot.execs {
                    if let Some(exit) = exec.exit {
                        self.exec_ended(&exec.id, exit);
                    }
                }
                if let Some(exit) = snapshot.exit {
                    self.ended(exit).await;
                }
            }
            None => self.keeper_gone().await,
        }
    }

    fn exec_ended(&self, exec: &str, exit: protocol::Exit) {
        self.inner.exec_ended(&self.id, exec, exit.code);
    }

    /// The connection ended: the keeper told of the end before and is gone, or it was killed.
    async fn keeper_gone(&mut self) {
        self.events = None;
        let Some(live) = self.live.clone() else { return };
        let record = super::reconcile::exit_record(&self.inner.exit_file(&self.id));
        let exit = match record {
            Some(exit) => exit,
            None => {
                // nobody reads its output and nobody will know its exit code: it cannot go on
                tracing::error!(container = self.id.short(), "its keeper is gone; killing the container");
                let cgroup = live.cgroup.clone();
                let killed = blocking(move || cgroup.kill().map_err(|e| Error::system("kill cgroup", e))).await;
                if let Err(error) = killed {
                    tracing::error!(container = self.id.short(), %error, "kill");
                }
                let now = wharf_logs::Timestamp::now();
                protocol::Exit { code: 137, signal: Some(9), at: now }
            }
        };
        self.ended(exit).await;
    }

    /// The first process has ended, and everything that it wrote is in the log.
    async fn ended(&mut self, exit: protocol::Exit) {
        self.keeper_leaves();
        let Some(live) = self.live.take() else { return };
        let cgroup = live.cgroup.clone();
        let killed = cgroup.oom_kills().unwrap_or(0) > 0;
        let exit = Exit { code: exit.code, oom_killed: killed, at: start::timestamp(exit.at) };
        let ran = ran_for(self.lived.state.started_at, exit.at);
        let policy = declare::restart_policy(&self.declared.host_config);
        let again = match policy {
            Ok(policy) if !self.hold && !self.no_restart => self.backoff.next(policy, exit.code, ran),
            _ => None,
        };
        self.lived.state.exited(exit, again.is_some());
        self.end_health();
        self.ends += 1;
        for exec in self.inner.execs.running_in(&self.id) {
            self.inner.execs.ended(&exec, 137);
        }
        drop(live);
        self.network_events("disconnect");
        let teardown = tokio::spawn(start::teardown(&self.inner, &self.id, Some(cgroup)).run());
        let goes = again.is_none() && self.declared.host_config.auto_remove && !self.hold;
        if !goes {
            // whoever is told how it ended must be told the same after a failure of the machine
            self.save().await;
            let _ = failpoint::hit("engine.exit.after_rows");
        }
        self.show();
        let _ = failpoint::hit("engine.exit.after_state");
        if killed {
            self.inner.container_event(&self.id, "oom", &[]);
        }
        let seconds = ran.as_secs().to_string();
        self.inner.container_event(
            &self.id,
            "die",
            &[("exitCode", &exit.code.to_string()), ("execDuration", &seconds)],
        );
        if goes {
            let options = RemoveOptions { volumes: true, ..RemoveOptions::default() };
            if let Err(error) = self.remove(options, Some(teardown)).await {
                tracing::error!(container = self.id.short(), %error, "remove at its end");
                self.removed = None;
            }
            return;
        }
        let _ = teardown.await;
        let _ = failpoint::hit("engine.exit.after_teardown");
        self.restart_at = again.map(|wait| Instant::now() + wait);
        // addresses are free now
        self.show();
    }

    /// The keeper has told of the end and goes, with the container's root as the last thing.
    fn keeper_leaves(&mut self) {
        let Some(mut events) = self.events.take() else { return };
        self.leaving = Some(tokio::spawn(async move { while events.next().await.is_some() {} }));
    }

    /// Waits until the keeper of the run before has let go of the container's root: two mounts of it at once are none of
    /// overlayfs's strengths, and the kernel's log says so.
    pub(super) async fn keeper_left(&mut self) {
        /// Usually it is a matter of a millisecond. A keeper that still serves a client which does not read may stay for long, with
        /// a root that nobody writes to any more.
        const PATIENCE: Duration = Duration::from_secs(1);
        if let Some(leaving) = self.leaving.take() {
            let _ = tokio::time::timeout(PATIENCE, leaving).await;
        }
    }

    /// The back-off is over.
    pub(super) async fn restart(&mut self) {
        self.restart_at = None;
        if self.lived.state.status != Status::Restarting {
            return;
        }
        self.lived.restart_count += 1;
        if let Err(error) = self.start().await {
            tracing::warn!(container = self.id.short(), %error, "restart");
            let policy = declare::restart_policy(&self.declared.host_config);
            let code = self.lived.state.exit_code;
            let again = policy.ok().and_then(|policy| self.backoff.next(policy, code, Duration::ZERO));
            if let Some(wait) = again {
                self.lived.state.status = Status::Restarting;
                self.restart_at = Some(Instant::now() + wait);
            }
            self.save().await;
            self.show();
        }
    }

    /// The user does not want it to be started again: what is waiting for its turn stands still.
    pub(super) async fn give_up_restart(&mut self) {
        if self.lived.state.status == Status::Restarting {
            self.restart_at = None;
            self.lived.state.status = Status::Exited;
            self.save().await;
            self.show();
        }
    }
}
