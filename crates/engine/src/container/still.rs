//! Containers that stand still while the engine reads their files.
//!
//! The intent is in the row before anything is frozen, so that a daemon that is killed meanwhile leaves nobody paused: the next
//! one lets go of everybody who has it ([`super::reconcile`]).

use std::sync::Arc;

use wharf_sys::failpoint;

use super::handle::{Command, Handle};
use super::state::Status;
use crate::{Error, Result};

/// They stand still until [`Still::end`], which has to be reached: whoever makes one runs in a task of its own.
#[derive(Default)]
pub(crate) struct Still(Vec<Arc<Handle>>);

impl Still {
    /// Stops those that run; all or none.
    pub(crate) async fn all(handles: impl IntoIterator<Item = Arc<Handle>>) -> Result<Still> {
        let mut still = Still::default();
        for handle in handles {
            if handle.container().state.status != Status::Running {
                continue;
            }
            match handle.ask(Command::StandStill).await {
                Ok(()) => still.0.push(handle),
                // it has ended meanwhile
                Err(_) if handle.container().state.status != Status::Running => {}
                Err(error) => {
                    still.end().await;
                    return Err(error);
                }
            }
        }
        if let Err(errno) = failpoint::hit("engine.still.after_freeze") {
            still.end().await;
            return Err(Error::injected(errno));
        }
        Ok(still)
    }

    /// Lets them go on, unless a user has done so.
    pub(crate) async fn end(self) {
        for handle in self.0 {
            if handle.container().state.status != Status::Paused {
                continue;
            }
            if let Err(error) = handle.ask(Command::Unpause).await {
                tracing::error!(container = handle.id.short(), %error, "unpause after reading its files");
            }
        }
    }
}
