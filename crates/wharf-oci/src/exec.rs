//! `exec`: one more process in a running container.

use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use rustix::process::Pid;
use wharf_cgroup::Hierarchy;
use wharf_runtime::{CgroupFds, ExecFds, ExecTarget, PlanOptions, Start, Stdio};
use wharf_spec::runtime::{ContainerStatus, LinuxCapabilities, Process, Spec, validate_process};

use crate::args::{Flag, Parsed, switch, value};
use crate::container::{CGROUPS, check_terminal, preserved, send_descriptor, write_pid_file};
use crate::context::Context;
use crate::error::Error;
use crate::foreground;
use crate::state::{Folder, Saved, read_document};

pub(crate) const FLAGS: &[Flag] = &[
    value(
        "console-socket",
        "path to an AF_UNIX socket which will receive the master end of the console's pseudoterminal",
    ),
    value("pidfd-socket", "path to an AF_UNIX socket which will receive a file descriptor of the exec process"),
    value("cwd", "current working directory in the container"),
    value("env", "set environment variables").short('e'),
    switch("tty", "allocate a pseudo-TTY").short('t'),
    value("user", "UID (format: <uid>[:<gid>])").short('u'),
    value("additional-gids", "additional gids").short('g'),
    value("process", "path to the process.json").short('p'),
    switch("detach", "detach from the container's process").short('d'),
    value("pid-file", "specify the file to write the process id to"),
    value("process-label", "set the asm process label for the process commonly used with selinux"),
    value("apparmor", "set the apparmor profile for the process"),
    switch("no-new-privs", "set the no new privileges value for the process"),
    value("cap", "add a capability to the bounding set for the process").short('c'),
    value("preserve-fds", "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)"),
    value("cgroup", "run the process in an (existing) sub-cgroup"),
    switch("ignore-paused", "allow exec in a paused container"),
];

/// `exec`.
pub(crate) fn exec(context: &Context, args: &Parsed) -> Result<u8, Error> {
    let Some((id, command)) = args.rest.split_first() else {
        return Err(Error::Usage("wharf-oci: \"exec\" requires a minimum of 1 argument".to_owned()));
    };
    let folder = Folder::new(&context.root, id)?;
    let saved = folder.load()?;
    match folder.status(&saved)? {
        ContainerStatus::Stopped => return Err(Error::State("cannot exec in a stopped container".to_owned())),
        ContainerStatus::Paused if !args.is_set("ignore-paused") => {
            let sentence = "cannot exec in a paused container (use --ignore-paused to override)";
            return Err(Error::State(sentence.to_owned()));
        }
        _ => {}
    }
    let spec = folder.load_spec()?;
    let mut process = process(args, command, &spec)?;
    let detach = args.is_set("detach");
    check_terminal(process.terminal, args.value("console-socket").is_some(), detach)?;
    let preserve = preserved(args, Some(&mut process))?;
    validate_process(&process)?;

    let options = PlanOptions {
        id: saved.id.clone(),
        bundle: saved.bundle.clone(),
        no_new_keyring: saved.no_new_keyring,
        rootless: saved.rootless,
        ..PlanOptions::default()
    };
    let plan = wharf_runtime::plan_exec(&spec, &process, &options)?;
    let pidfd = saved.pidfd().ok_or(Error::NotRunning)?;
    let pid = Pid::from_raw(saved.pid).ok_or(Error::NotRunning)?;
    let stdio = if process.terminal { Stdio::Console } else { Stdio::Inherit };
    let fds = ExecFds { stdio, cgroup: join(args, &saved)?, preserve, start: Start::Now };
    let target = ExecTarget { pidfd: pidfd.as_fd(), pid };
    let signals = if detach { None } else { Some(foreground::signals()?) };
    let mut init = wharf_runtime::exec(&plan, target, fds).map_err(Error::Exec)?;
    let announced = announce(args, &mut init);
    if announced.is_err() {
        let _ = wharf_sys::pidfd::kill(&init.pidfd, 9);
        let _ = wharf_sys::pidfd::wait(&init.pidfd);
    }
    announced?;
    match signals {
        None => Ok(0),
        Some(signals) => foreground::attend(&init.pidfd, &signals, init.console.take()),
    }
}

fn announce(args: &Parsed, init: &mut wharf_runtime::Init) -> Result<(), Error> {
    if let Some(socket) = args.value("console-socket")
        && let Some(master) = init.console.take()
    {
        send_descriptor(Path::new(socket), "/dev/ptmx", &master)?;
    }
    if let Some(socket) = args.value("pidfd-socket") {
        send_descriptor(Path::new(socket), "pidfd", &init.pidfd)?;
    }
    write_pid_file(args, init.pid.as_raw_nonzero().get())
}

/// The container's cgroup, or the one below it that `--cgroup` names.
fn join(args: &Parsed, saved: &Saved) -> Result<CgroupFds, Error> {
    let Some(path) = &saved.cgroup else { return Ok(CgroupFds::default()) };
    let path = match args.value("cgroup").filter(|sub| !sub.is_empty()) {
        None => path.clone(),
        Some(sub) if sub.split('/').any(|part| part == "..") => {
            return Err(Error::Usage(format!("{sub} is not a sub cgroup path")));
        }
        Some(sub) => path.join(sub.trim_start_matches('/'))?,
    };
    Ok(Hierarchy::detect(Path::new(CGROUPS))?.open(&path)?.join_fds()?.into())
}

/// The process: from a document, or the container's own with the options applied.
fn process(args: &Parsed, command: &[String], spec: &Spec) -> Result<Process, Error> {
    let own = spec.process.clone().unwrap_or_default();
    if let Some(path) = args.value("process") {
        let path = PathBuf::from(path);
        let text = read_document(&path)?;
        let mut process: Process =
            serde_json::from_slice(&text).map_err(|error| Error::Json { path, reason: error.to_string() })?;
        // what the document leaves open is as in the container
        process.capabilities = process.capabilities.or(own.capabilities);
        process.apparmor_profile = process.apparmor_profile.or(own.apparmor_profile);
        process.selinux_label = process.selinux_label.or(own.selinux_label);
        process.oom_score_adj = process.oom_score_adj.or(own.oom_score_adj);
        process.exec_cpu_affinity = process.exec_cpu_affinity.or(own.exec_cpu_affinity);
        if process.rlimits.is_empty() {
            process.rlimits = own.rlimits;
        }
        return Ok(process);
    }
    if command.is_empty() {
        return Err(Error::Usage("process args cannot be empty".to_owned()));
    }
    let mut process = Process { args: command.to_vec(), terminal: args.is_set("tty"), console_size: None, ..own };
    process.env.extend(args.values("env").map(str::to_owned));
    if let Some(cwd) = args.value("cwd") {
        process.cwd = PathBuf::from(cwd);
    }
    if let Some(user) = args.value("user") {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = id_number(uid)?;
        if let Some(gid) = gid {
            process.user.gid = id_number(gid)?;
        }
    }
    for group in args.values("additional-gids") {
        process.user.additional_gids.push(id_number(group)?);
    }
    if let Some(profile) = args.value("apparmor") {
        process.apparmor_profile = Some(profile.to_owned());
    }
    if let Some(label) = args.value("process-label") {
        process.selinux_label = Some(label.to_owned());
    }
    process.no_new_privileges |= args.is_set("no-new-privs");
    if args.value("cap").is_some() {
        let sets = process.capabilities.get_or_insert_with(LinuxCapabilities::default);
        for name in args.values("cap") {
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.push(name.to_owned());
            }
        }
    }
    Ok(process)
}

fn id_number(text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::Usage(format!("parsing {text} as int for uid or gid failed")))
}
