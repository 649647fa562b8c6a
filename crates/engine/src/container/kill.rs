//! Signals to a container: what they mean for its restart policy, and what a frozen one needs to notice them.

use super::actor::Actor;
use super::handle::Why;
use super::state::Status;
use crate::{Error, Result, blocking, signals};

/// Sends a signal to the first process.
pub(super) async fn send(actor: &mut Actor, signal: i32, why: Why) -> Result<()> {
    let config = &actor.declared.config;
    let stop_signal = (!config.stop_signal.is_empty()).then(|| signals::parse(&config.stop_signal).ok()).flatten();
    // Docker: with a stop signal of its own only that one (and SIGKILL) means "it shall end"
    let ends = match stop_signal {
        Some(stop) => signal == stop || signal == signals::KILL,
        None => true,
    } || why != Why::Kill;
    if ends {
        actor.no_restart = true;
    }
    actor.lived.stopped_by_user = true;
    if actor.lived.state.status == Status::Restarting {
        actor.give_up_restart().await;
        return Ok(());
    }
    let Some(live) = actor.live.clone() else { return Err(Error::not_running(&actor.id)) };
    actor.save().await;
    match wharf_sys::pidfd::kill(&live.pidfd, signal) {
        // it has ended and the news is on its way
        Ok(()) | Err(wharf_sys::Errno::SRCH) => {}
        Err(errno) => return Err(Error::system("kill container", errno)),
    }
    if ends && actor.lived.state.status == Status::Paused {
        let cgroup = live.cgroup.clone();
        blocking(move || cgroup.thaw().map_err(|e| Error::system("unpause container", e))).await?;
        actor.lived.state.status = Status::Running;
        actor.show();
    }
    actor.inner.container_event(&actor.id, "kill", &[("signal", &signal.to_string())]);
    Ok(())
}
