//! `state`, `kill`, `delete`, `pause`, `resume`: the container after it was made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use wharf_cgroup::Cgroup;
use wharf_runtime::{Moment, Plan, PlanOptions};
use wharf_spec::runtime::{ContainerStatus, Spec};

use crate::args::{Flag, Parsed, switch};
use crate::context::Context;
use crate::error::Error;
use crate::output::print_json;
use crate::signals;
use crate::state::{Folder, Saved};

const SIGKILL: i32 = 9;

pub(crate) const KILL_FLAGS: &[Flag] =
    &[switch("all", "send the specified signal to all processes inside the container").short('a')];
pub(crate) const DELETE_FLAGS: &[Flag] =
    &[switch("force", "forcibly deletes the container if it is still running (uses SIGKILL)").short('f')];

/// What `state` and `list` show.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    oci_version: String,
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) status: ContainerStatus,
    pub(crate) bundle: PathBuf,
    rootfs: PathBuf,
    pub(crate) created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    pub(crate) owner: String,
}

impl Shown {
    pub(crate) fn new(folder: &Folder, saved: Saved) -> Result<Self, Error> {
        let status = folder.status(&saved)?;
        let pid = if status == ContainerStatus::Stopped { 0 } else { saved.pid };
        Ok(Self {
            oci_version: saved.oci_version,
            id: saved.id,
            pid,
            status,
            bundle: saved.bundle,
            rootfs: saved.rootfs,
            created: saved.created,
            annotations: saved.annotations,
            owner: crate::query::user_name(saved.owner).unwrap_or_else(|| format!("#{}", saved.owner)),
        })
    }
}

/// `state`.
pub(crate) fn state(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let folder = Folder::new(&context.root, context.only_id(args, "state")?)?;
    print_json(&Shown::new(&folder, folder.load()?)?, "  ")?;
    Ok(0)
}

/// `kill`.
pub(crate) fn kill(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let (id, signal) = match &args.rest[..] {
        [id] => (id, 15),
        [id, signal] => (id, signals::parse(signal)?),
        _ => return Err(Error::Usage("wharf-oci: \"kill\" requires a container ID and at most a signal".to_owned())),
    };
    let saved = Folder::new(&context.root, id)?.load()?;
    let cgroup = saved.open_cgroup()?;
    // in a shared PID namespace the others would live on
    let all = args.is_set("all") || (signal == SIGKILL && !saved.private_pid_namespace);
    match (saved.pidfd(), cgroup) {
        (_, Some(cgroup)) if all => {
            if cgroup.processes()?.is_empty() && !args.is_set("all") {
                return Err(Error::NotRunning);
            }
            cgroup.signal_all(signal)?;
        }
        (None, _) => return Err(Error::NotRunning),
        (Some(pidfd), cgroup) => {
            match wharf_sys::pidfd::kill(&pidfd, signal) {
                Err(rustix::io::Errno::SRCH) => return Err(Error::NotRunning),
                other => other.map_err(|errno| Error::file("kill", format!("/proc/{}", saved.pid), errno))?,
            }
            // a frozen process would die only once it is thawed
            if let Some(cgroup) = cgroup.filter(|_| signal == SIGKILL)
                && cgroup.is_frozen()?
            {
                cgroup.thaw()?;
            }
        }
    }
    Ok(0)
}

/// `delete`.
pub(crate) fn delete(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let force = args.is_set("force");
    let id = context.only_id(args, "delete")?;
    let folder = Folder::new(&context.root, id)?;
    let saved = match folder.load() {
        Ok(saved) => saved,
        Err(Error::NotFound) if !folder.exists() => return if force { Ok(0) } else { Err(Error::NotFound) },
        // a creation that was killed before it had made anything
        Err(_) if force => return folder.remove().map(|()| 0),
        Err(error) => return Err(error),
    };
    match folder.status(&saved)? {
        ContainerStatus::Stopped | ContainerStatus::Created => {}
        _ if force => {}
        status => {
            let status = status.as_str();
            return Err(Error::State(format!("cannot delete container {id} that is not stopped: {status}")));
        }
    }
    end(&saved)?;
    destroy(context, &folder, &saved)?;
    Ok(0)
}

/// Kills the first process, if it still runs, and waits for its end.
fn end(saved: &Saved) -> Result<(), Error> {
    let Some(pidfd) = saved.pidfd() else { return Ok(()) };
    // ESRCH: it has just ended
    let _ = wharf_sys::pidfd::kill(&pidfd, SIGKILL);
    if let Some(cgroup) = saved.open_cgroup()?
        && cgroup.is_frozen()?
    {
        cgroup.thaw()?;
    }
    let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    // what keeps a killed process alive this long is broken hardware or a dead network file system
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    match rustix::event::poll(&mut fds, Some(&limit)) {
        Ok(0) => Err(Error::State("container init still running".to_owned())),
        _ => Ok(()),
    }
}

/// Removes what `create` has made, then runs the hooks for that moment.
pub(crate) fn destroy(context: &Context, folder: &Folder, saved: &Saved) -> Result<(), Error> {
    let cgroup = saved.open_cgroup()?;
    let plan = folder.load_spec().and_then(|spec| {
        let any = spec.hooks.as_ref().is_some_and(|hooks| !hooks.poststop.is_empty());
        if any { plan_of(saved, &spec).map(Some) } else { Ok(None) }
    });
    let plan = plan.unwrap_or_else(|error| {
        context.log.warn(&error.to_string());
        None
    });
    tear_down(context, folder, cgroup.as_ref(), plan.as_ref())
}

/// The same for whoever has made the container himself.
pub(crate) fn tear_down(
    context: &Context,
    folder: &Folder,
    cgroup: Option<&Cgroup>,
    plan: Option<&Plan>,
) -> Result<(), Error> {
    if let Some(cgroup) = cgroup {
        // those that share our PID namespace, and those joined by exec, may still be there
        if !cgroup.processes()?.is_empty() {
            cgroup.kill()?;
        }
        cgroup.remove()?;
    }
    folder.remove()?;
    // "must log a warning, but the remaining hooks and lifecycle continue as if the hook had succeeded"
    if let Some(plan) = plan.filter(|plan| !plan.hooks.poststop.is_empty())
        && let Err(error) = wharf_runtime::run_hooks(plan, Moment::Poststop, ContainerStatus::Stopped, 0)
    {
        context.log.warn(&error.to_string());
    }
    Ok(())
}

/// The plan of a container made earlier, for its hooks.
pub(crate) fn plan_of(saved: &Saved, spec: &Spec) -> Result<Plan, Error> {
    let options = PlanOptions {
        id: saved.id.clone(),
        bundle: saved.bundle.clone(),
        no_new_keyring: saved.no_new_keyring,
        rootless: saved.rootless,
        ..PlanOptions::default()
    };
    Ok(wharf_runtime::plan(spec, &options)?)
}

/// `pause`.
pub(crate) fn pause(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let folder = Folder::new(&context.root, context.only_id(args, "pause")?)?;
    let saved = folder.load()?;
    match folder.status(&saved)? {
        ContainerStatus::Running | ContainerStatus::Created => {}
        ContainerStatus::Paused => return Err(Error::State("container already paused".to_owned())),
        _ => return Err(Error::State("container not running or created".to_owned())),
    }
    cgroup_of(&saved)?.freeze()?;
    Ok(0)
}

/// `resume`.
pub(crate) fn resume(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let folder = Folder::new(&context.root, context.only_id(args, "resume")?)?;
    let saved = folder.load()?;
    let cgroup = cgroup_of(&saved)?;
    if folder.status(&saved)? == ContainerStatus::Stopped || !cgroup.is_frozen()? {
        return Err(Error::State("container not paused".to_owned()));
    }
    cgroup.thaw()?;
    Ok(0)
}

/// Its cgroup, which the operation needs.
pub(crate) fn cgroup_of(saved: &Saved) -> Result<wharf_cgroup::Cgroup, Error> {
    saved.open_cgroup()?.ok_or(Error::Unsupported("this operation on a container without cgroup"))
}
