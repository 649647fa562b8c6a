//! `create`, `run` and `start`: from a bundle to a container.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use wharf_cgroup::{Cgroup, CgroupPath, Hierarchy};
use wharf_runtime::{CgroupFds, CgroupView, Init, LaunchFds, Moment, Plan, PlanOptions, Start, Stdio};
use wharf_spec::runtime::{ContainerStatus, Process, Spec, validate};

use crate::args::{Flag, Parsed, switch, value};
use crate::context::Context;
use crate::error::Error;
use crate::state::{Facts, Folder, Saved, parse_spec, read_document, write_atomically};
use crate::undo::Undo;
use crate::{foreground, lifecycle};

/// Options that `create` and `run` share.
macro_rules! launch_flags {
    ($($more:expr),*) => {
        &[
            value("bundle", "path to the root of the bundle directory, defaults to the current directory").short('b'),
            value("console-socket", "path to an AF_UNIX socket which will receive the master end of the console's pseudoterminal"),
            value("pidfd-socket", "path to an AF_UNIX socket which will receive a file descriptor of the init process"),
            value("pid-file", "specify the file to write the process id to"),
            switch("no-pivot", "accepted for compatibility; pivot_root works on ramdisks here"),
            switch("no-new-keyring", "do not create a new session keyring for the container"),
            value("preserve-fds", "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)"),
            $($more),*
        ]
    };
}

pub(crate) const CREATE_FLAGS: &[Flag] = launch_flags!();
pub(crate) const RUN_FLAGS: &[Flag] = launch_flags!(
    switch("detach", "detach from the container's process").short('d'),
    switch("keep", "do not delete the container after it exits"),
    switch("no-subreaper", "disable the use of the subreaper used to reap reparented processes")
);

/// `create`.
pub(crate) fn create(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let id = context.only_id(args, "create")?;
    Made::new(context, id, args, How::Create).map(|_| 0)
}

/// `run`.
pub(crate) fn run(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let id = context.only_id(args, "run")?;
    let detach = args.is_set("detach");
    if !detach && !args.is_set("no-subreaper") {
        // processes that the container leaves behind in our PID namespace (it may share it) come to us, and end with us
        let _ = wharf_sys::prctl::set_child_subreaper(true);
    }
    let mut made = Made::new(context, id, args, if detach { How::RunDetached } else { How::Run })?;
    let signals = if detach { None } else { Some(foreground::signals()?) };
    let started = made.init.proceed().map_err(Error::Launch);
    if let Err(error) = started {
        // the program could not be executed: what was made for it goes again
        made.tear_down(context)?;
        return Err(error);
    }
    if !made.plan.hooks.poststart.is_empty() {
        poststart(context, &made.plan, &made.saved);
    }
    let Some(signals) = signals else { return Ok(0) };
    let exit = foreground::attend(&made.init.pidfd, &signals, made.init.console.take())?;
    if !args.is_set("keep") {
        made.tear_down(context)?;
    }
    Ok(exit)
}

/// `start`.
pub(crate) fn start(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let id = context.only_id(args, "start")?;
    let folder = Folder::new(&context.root, id)?;
    let saved = folder.load()?;
    match folder.status(&saved)? {
        ContainerStatus::Created => {}
        ContainerStatus::Stopped => {
            return Err(Error::State("cannot start a container that has stopped".to_owned()));
        }
        _ => return Err(Error::State("cannot start an already running container".to_owned())),
    }
    if !folder.open_gate()? {
        return Err(Error::State("cannot start an already running container".to_owned()));
    }
    let spec = folder.load_spec()?;
    if spec.hooks.as_ref().is_some_and(|hooks| !hooks.poststart.is_empty()) {
        poststart(context, &lifecycle::plan_of(&saved, &spec)?, &saved);
    }
    Ok(0)
}

/// "If any poststart hook fails, the runtime must log a warning, but the remaining hooks and lifecycle continue."
fn poststart(context: &Context, plan: &Plan, saved: &Saved) {
    if let Err(error) = wharf_runtime::run_hooks(plan, Moment::Poststart, ContainerStatus::Running, saved.pid) {
        context.log.warn(&error.to_string());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The program waits for `start`; this command goes away.
    Create,
    /// The program runs, this command goes away.
    RunDetached,
    /// The program runs, this command stays.
    Run,
}

/// A container whose first process stands before its exec.
struct Made {
    folder: Folder,
    saved: Saved,
    plan: Plan,
    init: Init,
    cgroup: Option<Cgroup>,
}

impl Made {
    fn new(context: &Context, id: &str, args: &Parsed, how: How) -> Result<Self, Error> {
        let bundle = bundle(args)?;
        let config = bundle.join("config.json");
        let text = read_document(&config)?;
        let mut spec = parse_spec(&config, &text)?;
        validate(&spec)?;
        let preserve = preserved(args, spec.process.as_mut())?;
        let console = terminal(args, &spec, how)?;

        let mut undo = Undo::default();
        let folder = Folder::new(&context.root, id)?;
        folder.make()?;
        let made = folder.clone();
        undo.push(move || drop(made.remove()));
        step("oci.create.folder")?;

        // intent before effect: whatever happens from here on, `delete --force` finds what there is
        let path = cgroup_path(context, id, spec.linux.as_ref().and_then(|linux| linux.cgroups_path.as_deref()))?;
        let no_new_keyring = args.is_set("no-new-keyring");
        let facts = Facts {
            id,
            spec: &spec,
            bundle: &bundle,
            cgroup: Some(path.clone()),
            no_new_keyring,
            rootless: context.rootless,
        };
        let mut saved = Saved::new(facts);
        folder.keep_spec(&text)?;
        folder.save(&saved)?;
        step("oci.create.intent")?;

        let cgroup = make_cgroup(context, &path, &spec)?;
        let mut fds = LaunchFds { preserve, stdio: console, ..LaunchFds::default() };
        match &cgroup {
            None => saved.cgroup = None,
            Some(cgroup) => {
                fds.cgroup = CgroupFds::from(cgroup.join_fds()?);
                let log = &context.log;
                undo.push(move || {
                    let removed = Hierarchy::detect(Path::new(CGROUPS)).and_then(|all| all.open(&path)?.remove());
                    if let Err(error) = removed {
                        log.debug(|| error.to_string());
                    }
                });
            }
        }
        step("oci.create.cgroup")?;

        let options = PlanOptions {
            id: id.to_owned(),
            bundle: bundle.clone(),
            root: None,
            cgroup: cgroup.as_ref().map(CgroupView::from).unwrap_or_default(),
            no_new_keyring,
            rootless: context.rootless,
            ..PlanOptions::default()
        };
        let plan = wharf_runtime::plan(&spec, &options)?;
        fds.start = match how {
            How::Create => Start::Gate(folder.make_gate()?),
            How::Run | How::RunDetached => Start::Held,
        };
        // the specification: a failed creation goes on with the steps of a deletion
        let poststop = || {
            if let Err(error) = wharf_runtime::run_hooks(&plan, Moment::Poststop, ContainerStatus::Stopped, 0) {
                context.log.warn(&error.to_string());
            }
        };
        let mut init = wharf_runtime::launch(&plan, fds).map_err(|error| {
            poststop();
            Error::Launch(error)
        })?;
        saved.set_process(init.pid.as_raw_nonzero().get());
        if let Err(error) = announce(&folder, &saved, &mut init, args, how) {
            let _ = wharf_sys::pidfd::kill(&init.pidfd, 9);
            let _ = wharf_sys::pidfd::wait(&init.pidfd);
            poststop();
            return Err(error);
        }
        undo.disarm();
        Ok(Self { folder, saved, plan, init, cgroup })
    }

    fn tear_down(&self, context: &Context) -> Result<(), Error> {
        lifecycle::tear_down(context, &self.folder, self.cgroup.as_ref(), Some(&self.plan))
    }
}

/// Tells everybody who has asked: the console's and the pidfd's receivers, the state folder, and last the pid file,
/// whose appearance callers wait for.
fn announce(folder: &Folder, saved: &Saved, init: &mut Init, args: &Parsed, how: How) -> Result<(), Error> {
    step("oci.create.launched")?;
    if how != How::Run
        && let (Some(socket), Some(master)) = (args.value("console-socket"), init.console.take())
    {
        send_descriptor(Path::new(socket), "/dev/ptmx", &master)?;
    }
    if let Some(socket) = args.value("pidfd-socket") {
        send_descriptor(Path::new(socket), "pidfd", &init.pidfd)?;
    }
    folder.save(saved)?;
    step("oci.create.saved")?;
    write_pid_file(args, saved.pid)
}

/// A fail point of debug builds.
fn step(name: &'static str) -> Result<(), Error> {
    wharf_sys::failpoint::hit(name).map_err(|errno| Error::file("pass fail point", name, errno))
}

/// Where v1, hybrid and v2 hierarchies are mounted on every system.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";

/// `--pid-file`: the number without a newline, as runtimes have always written it.
pub(crate) fn write_pid_file(args: &Parsed, pid: i32) -> Result<(), Error> {
    match args.value("pid-file") {
        Some(path) => write_atomically(Path::new(path), pid.to_string().as_bytes(), 0o644),
        None => Ok(()),
    }
}

/// Sends a descriptor over a UNIX stream socket, with a text that says what it is.
pub(crate) fn send_descriptor(socket: &Path, name: &str, fd: &OwnedFd) -> Result<(), Error> {
    let stream = UnixStream::connect(socket).map_err(|source| Error::file("connect to", socket, source))?;
    wharf_sys::fd::send(&stream, name.as_bytes(), &[fd.as_fd()])
        .map_err(|errno| Error::file("send to", socket, errno))?;
    Ok(())
}

fn bundle(args: &Parsed) -> Result<PathBuf, Error> {
    let given = Path::new(args.value("bundle").filter(|path| !path.is_empty()).unwrap_or("."));
    std::fs::canonicalize(given).map_err(|source| Error::file("open bundle", given, source))
}

/// Descriptors 3… that the program gets: those of `LISTEN_FDS`, then those of `--preserve-fds`.
pub(crate) fn preserved(args: &Parsed, process: Option<&mut Process>) -> Result<Vec<OwnedFd>, Error> {
    let listen: u32 = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let count = args.number::<u32>("preserve-fds")?.unwrap_or(0);
    if let Some(process) = process.filter(|_| listen > 0) {
        process.env.extend([format!("LISTEN_FDS={listen}"), "LISTEN_PID=1".to_owned()]);
    }
    let end = listen.checked_add(count).and_then(|total| total.checked_add(3)).unwrap_or(0);
    let take = |number: u32| {
        wharf_sys::fd::inherited(number as i32)
            .map_err(|_| Error::Usage(format!("please check that preserved-fd {number} (of {count}) is present")))
    };
    // an impossible count ends at the first descriptor that is not there
    (3..end.max(3)).map(take).collect()
}

fn terminal(args: &Parsed, spec: &Spec, how: How) -> Result<Stdio, Error> {
    let wanted = spec.process.as_ref().is_some_and(|process| process.terminal);
    let socket = args.value("console-socket").is_some();
    check_terminal(wanted, socket, how != How::Run)?;
    Ok(if wanted { Stdio::Console } else { Stdio::Inherit })
}

/// A terminal needs somebody who holds its other end.
pub(crate) fn check_terminal(wanted: bool, socket: bool, detached: bool) -> Result<(), Error> {
    if detached && wanted && !socket {
        let sentence = "cannot allocate tty if runc will detach without setting console socket";
        return Err(Error::Usage(sentence.replace("runc", "wharf-oci")));
    }
    if socket && !(detached && wanted) {
        let sentence = "cannot use console socket if runc will not detach or allocate tty";
        return Err(Error::Usage(sentence.replace("runc", "wharf-oci")));
    }
    Ok(())
}

/// The cgroup of a new container; `None` only where an unprivileged caller cannot have one.
fn make_cgroup(context: &Context, path: &CgroupPath, spec: &Spec) -> Result<Option<Cgroup>, Error> {
    let resources = spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
    let limits = resources.map(wharf_runtime::limits).transpose()?.unwrap_or_default();
    let created = Hierarchy::detect(Path::new(CGROUPS)).and_then(|hierarchy| hierarchy.create(path, &limits));
    match created {
        Ok(cgroup) => Ok(Some(cgroup)),
        Err(error) if context.rootless && !matches!(error, wharf_cgroup::Error::InvalidInput { .. }) => {
            context.log.debug(|| format!("no cgroup: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn cgroup_path(context: &Context, id: &str, given: Option<&str>) -> Result<CgroupPath, Error> {
    let given = given.filter(|path| !path.is_empty());
    let path = match given {
        Some(text) if context.systemd_cgroup => CgroupPath::from_systemd(text)?,
        None if context.systemd_cgroup => CgroupPath::from_systemd(&format!("system.slice:wharf:{id}"))?,
        Some(text) => CgroupPath::new(text)?,
        None => CgroupPath::new(id)?,
    };
    Ok(path)
}
