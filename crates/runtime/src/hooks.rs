//! Hooks (OCI runtime spec, "POSIX-platform Hooks"): programs that get the container's state on standard input.

use crate::channel::{Done, Fail};
use crate::error::errno_text;
use crate::plan::{HookPlan, HooksPlan, Plan};
use crate::{LaunchError, Step};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use std::fmt::Write;
use wharf_spec::runtime::{ContainerStatus, OCI_VERSION};
use wharf_sys::pidfd::{Exit, kill, wait};

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
    errno: i32,
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

impl Moment {
    /// The property's name in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Moment::Prestart => "prestart",
            Moment::CreateRuntime => "createRuntime",
            Moment::CreateContainer => "createContainer",
            Moment::StartContainer => "startContainer",
            Moment::Poststart => "poststart",
            Moment::Poststop => "poststop",
        }
    }

    /// What the hooks are told: the specification fixes it for each moment.
    pub const fn status(self) -> ContainerStatus {
        match self {
            Moment::Prestart | Moment::CreateRuntime | Moment::CreateContainer => ContainerStatus::Creating,
            Moment::StartContainer => ContainerStatus::Created,
            Moment::Poststart => ContainerStatus::Running,
            Moment::Poststop => ContainerStatus::Stopped,
        }
    }

    /// After the fact nothing can be stopped any more: all hooks run.
    const fn goes_on(self) -> bool {
        matches!(self, Moment::Poststart | Moment::Poststop)
    }
}

impl HooksPlan {
    /// Whether the launch stops for hooks before `pivot_root`.
    pub(crate) fn need_the_child(&self) -> bool {
        let lists = [&self.prestart, &self.create_runtime, &self.create_container, &self.start_container];
        lists.iter().any(|list| !list.is_empty())
    }

    fn list(&self, moment: Moment) -> &[HookPlan] {
        match moment {
            Moment::Prestart => &self.prestart,
            Moment::CreateRuntime => &self.create_runtime,
            Moment::CreateContainer => &self.create_container,
            Moment::StartContainer => &self.start_container,
            Moment::Poststart => &self.poststart,
            Moment::Poststop => &self.poststop,
        }
    }
}

/// Runs the hooks of `moment` in order, each with the state on its input. Stops at the first failure (but for `poststart`
/// and `poststop`, where all run and the first failure is returned).
///
/// # Errors
/// The hook that failed, was ended by a signal, or ran into its timeout.
pub fn run(plan: &Plan, moment: Moment, status: ContainerStatus, pid: i32) -> Result<(), HookError> {
    let hooks = plan.hooks.list(moment);
    if hooks.is_empty() { Ok(()) } else { run_list(hooks, moment, &state(plan, status, pid)) }
}

/// [`run`] with a list and a state document of the caller's (the OCI command's `delete`, which has no plan any more).
///
/// # Errors
/// As [`run`].
pub fn run_list(hooks: &[HookPlan], moment: Moment, state: &str) -> Result<(), HookError> {
    let mut first = Ok(());
    for (index, hook) in hooks.iter().enumerate() {
        if let Err((errno, reason)) = one(hook, state) {
            let error = Err(HookError { moment: moment.as_str(), index, reason, errno });
            if !moment.goes_on() {
                return error;
            }
            first = first.and(error);
        }
    }
    first
}

/// Runs hooks inside the container's namespaces, in the child.
pub(crate) fn run_here(plan: &Plan, moment: Moment, pid: i32) -> Done<()> {
    run(plan, moment, moment.status(), pid).map_err(|error| Fail {
        step: if moment == Moment::StartContainer { Step::StartHook } else { Step::Hook },
        index: error.index as u16,
        errno: Errno::from_raw_os_error(error.errno),
    })
}

impl From<HookError> for LaunchError {
    fn from(error: HookError) -> LaunchError {
        LaunchError { step: Step::RuntimeHook, errno: error.errno, object: Some(error.to_string()) }
    }
}

fn one(hook: &HookPlan, state: &str) -> Result<(), (i32, String)> {
    let system = |errno: Errno| (errno.raw_os_error(), errno_text(errno.raw_os_error()));
    // a file as input: the hook need not read it, and nobody waits for a full pipe
    let input = wharf_sys::memfd::sealed_bytes(c"state", state.as_bytes()).map_err(system)?;
    rustix::fs::seek(&input, rustix::fs::SeekFrom::Start(0)).map_err(system)?;
    let output = memfd_create(c"output", MemfdFlags::CLOEXEC).map_err(system)?;
    let fds = [(0, input.as_fd()), (1, output.as_fd()), (2, output.as_fd())];
    let command =
        wharf_sys::spawn::Command { path: &hook.path, argv: &hook.argv, env: &hook.env, fds: &fds, new_session: true };
    let child = wharf_sys::spawn::spawn(&command).map_err(system)?;
    if !ended_in_time(&child.pidfd, hook.timeout).map_err(system)? {
        let _ = kill(&child.pidfd, 9);
        let _ = wait(&child.pidfd);
        let ms = hook.timeout.unwrap_or_default();
        return Err((Errno::TIMEDOUT.raw_os_error(), format!("hook ran past specified timeout of {}s", ms / 1000)));
    }
    match wait(&child.pidfd).map_err(system)? {
        Exit::Code(0) => Ok(()),
        exit => Err((Errno::CANCELED.raw_os_error(), failure(exit, &output))),
    }
}

fn failure(exit: Exit, output: &OwnedFd) -> String {
    let mut text = match exit {
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal { number, .. } => format!("signal {number}"),
    };
    // enough for a sentence; a hook may print a book
    let mut said = [0; 1024];
    let n = rustix::io::pread(output, &mut said, 0).unwrap_or(0);
    // writing to a String cannot fail
    let _ = write!(text, ", output: {}", String::from_utf8_lossy(&said[..n]).trim_end());
    text
}

fn ended_in_time(pidfd: &OwnedFd, timeout: Option<u64>) -> rustix::io::Result<bool> {
    let limit = timeout.map(|ms| Timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as i64 });
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut fds, limit.as_ref()))? > 0)
}

/// The state document (OCI runtime spec, "State").
pub(crate) fn state(plan: &Plan, status: ContainerStatus, pid: i32) -> String {
    let mut text = String::from("{\"ociVersion\":");
    quote(&mut text, OCI_VERSION);
    text.push_str(",\"id\":");
    quote(&mut text, &plan.id.to_string_lossy());
    text.push_str(",\"status\":");
    quote(&mut text, status.as_str());
    if pid > 0 {
        // writing to a String cannot fail
        let _ = write!(text, ",\"pid\":{pid}");
    }
    text.push_str(",\"bundle\":");
    quote(&mut text, &plan.bundle.to_string_lossy());
    if !plan.annotations.is_empty() {
        text.push_str(",\"annotations\":{");
        for (i, (key, value)) in plan.annotations.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            quote(&mut text, key);
            text.push(':');
            quote(&mut text, value);
        }
        text.push('}');
    }
    text.push('}');
    text
}

/// A JSON string. This crate is part of the keeper, which carries no JSON library.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                // writing to a String cannot fail
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted() {
        let mut out = String::new();
        quote(&mut out, "a\"b\\c\n\u{1}ü");
        assert_eq!(out, "\"a\\\"b\\\\c\\u000a\\u0001ü\"");
    }

    fn hook(script: &str, timeout: Option<u64>) -> HookPlan {
        let argv = vec![c"sh".into(), c"-c".into(), std::ffi::CString::new(script).expect("no NUL")];
        HookPlan { path: c"/bin/sh".into(), argv, env: vec![], timeout }
    }

    #[test]
    fn the_state_is_on_the_input() {
        assert_eq!(one(&hook("read line; test \"$line\" = '{\"id\":1}'", None), "{\"id\":1}\n"), Ok(()));
    }

    #[test]
    fn failures_and_timeouts_are_told() {
        let error = one(&hook("echo oh no >&2; exit 3", None), "{}").expect_err("exit 3");
        assert_eq!(error.1, "exit status 3, output: oh no");
        let error = one(&hook("read forever < /dev/zero", Some(20)), "{}").expect_err("never ends");
        assert_eq!(error.0, Errno::TIMEDOUT.raw_os_error());
    }
}
