//! The facade's exec operations: another process in a running container.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UnixStream;
use wharf_runtime::PlanOptions;
use wharf_shim::client::{Error as ShimError, ExecRequest, Process, encode_plan};
use wharf_shim::protocol::{Attach, Failure, FdRole, ForeignExec, Target, Wire};
use wharf_spec::id::{ContainerId, ExecId};

use crate::container::handle::Live;
use crate::container::state::Status;
use crate::container::{declare, prepare, rootfs, start};
use crate::{Engine, Error, Inner, Result, blocking, fill, logs, oci, runtimes};

/// What `runc` says before its reason; clients look for parts of it.
const EXEC_FAILED: &str = "OCI runtime exec failed: exec failed: unable to start container process";
/// The part that another runtime does not say itself.
const FOREIGN_EXEC_FAILED: &str = "OCI runtime exec failed";

/// `POST /containers/x/exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// Feed standard input.
    pub attach_stdin: bool,
    /// Standard output.
    pub attach_stdout: bool,
    /// Standard error.
    pub attach_stderr: bool,
    /// Keys that detach, Docker's notation.
    pub detach_keys: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// Its first size (height, width) in cells.
    pub console_size: Option<(u16, u16)>,
    /// More environment, `NAME=value`.
    pub env: Vec<String>,
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// With all rights.
    pub privileged: bool,
    /// `user[:group]`; the container's when empty.
    pub user: String,
    /// Working directory; the container's when empty.
    pub working_dir: String,
}

/// `POST /exec/x/start`.
#[derive(Debug, Clone, Default)]
pub struct ExecStart {
    /// Answer when it runs, with no stream.
    pub detach: bool,
    /// The client expects a terminal's raw stream.
    pub tty: bool,
    /// First size of the terminal (height, width) in cells.
    pub console_size: Option<(u16, u16)>,
}

/// An exec as it is at one moment.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Its identifier.
    pub id: ExecId,
    /// Its container.
    pub container: ContainerId,
    /// The declaration.
    pub config: Arc<ExecConfig>,
    /// It runs.
    pub running: bool,
    /// Exit code; `None` until it has ended.
    pub exit_code: Option<i32>,
    /// The process as the host sees it; 0 until it runs.
    pub pid: u32,
    /// It may be removed.
    pub can_remove: bool,
}

/// A start that has been promised: send the response's headers, then [`ExecSession::run`].
#[derive(Debug)]
pub struct ExecSession {
    /// It has a terminal: the stream is raw.
    pub tty: bool,
    engine: Engine,
    exec: Exec,
    options: ExecStart,
}

impl ExecSession {
    /// Starts it with its stream on the client's socket and ends when nothing of ours has to be done with the socket any more.
    /// What goes wrong is written to the client, as Docker does. `early`: bytes that the client sent behind its request.
    pub async fn run(self, socket: OwnedFd, early: Bytes) -> Result<()> {
        let ExecSession { tty, engine, exec, options } = self;
        let spare = socket.try_clone().map_err(|e| Error::system("dup", e))?;
        let id = exec.id.clone();
        let attach = Attach {
            id: engine.inner.next_attach(),
            target: Target::Exec(id.to_string()),
            stdin: exec.config.attach_stdin,
            stdout: exec.config.attach_stdout,
            stderr: exec.config.attach_stderr,
            wire: if tty { Wire::Raw } else { Wire::Stdcopy },
            detach_keys: declare::keys(exec.config.detach_keys.as_deref())?,
            input: early.to_vec(),
        };
        match begin(&engine.inner, exec, &options, Some((attach, socket))).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = format!("{error}\r\n");
                blocking(move || logs::write_all(&mut File::from(spare), &message(text.as_bytes(), tty))).await?;
                Err(error)
            }
        }
    }
}

/// An exec of our own, to probe a container's health.
pub(crate) struct Probe {
    id: ExecId,
    process: Process,
}

impl Probe {
    /// Ends it, with what it has started in its process group.
    pub(crate) fn kill(&self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::process::{Pid, Signal, getpgid, kill_process_group, pidfd_send_signal};
        // a pidfd is readable once its process has ended
        let mut fds = [PollFd::new(&self.process.pidfd, PollFlags::IN)];
        let alive = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0);
        let pid = i32::try_from(self.process.started.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|pid| alive && getpgid(Some(*pid)) == Ok(*pid)) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = pidfd_send_signal(&self.process.pidfd, Signal::KILL);
    }

    /// Its exit code, once it has ended.
    pub(crate) async fn exit_code(&self, inner: &Arc<Inner>) -> Option<i32> {
        let pidfd = self.process.pidfd.try_clone().ok()?;
        let ended = move || {
            let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
            // interrupted: its end is asked for below anyway
            let _ = rustix::event::poll(&mut fds, None);
            Ok(())
        };
        blocking(ended).await.ok()?;
        let engine = Engine { inner: inner.clone() };
        engine.exec_inspect(self.id.as_str()).await.ok()?.exit_code
    }
}

/// Runs a probe; its output comes framed from the stream, which ends with it.
pub(crate) async fn probe(inner: &Arc<Inner>, id: &ContainerId, config: ExecConfig) -> Result<(Probe, UnixStream)> {
    let engine = Engine { inner: inner.clone() };
    let id = engine.exec_create(id.as_str(), config).await?;
    let exec = engine.ready(id.as_str())?;
    let (ours, theirs) = UnixStream::pair().map_err(|e| Error::system("socket pair", e))?;
    let theirs = theirs.into_std().map_err(|e| Error::system("socket pair", e))?;
    let attach = Attach {
        id: inner.next_attach(),
        target: Target::Exec(id.to_string()),
        stdin: false,
        stdout: true,
        stderr: true,
        wire: Wire::Stdcopy,
        detach_keys: Vec::new(),
        input: Vec::new(),
    };
    let process = begin(inner, exec, &ExecStart::default(), Some((attach, theirs.into()))).await?;
    Ok((Probe { id, process }, ours))
}

/// A message for the client, framed like standard output unless it has a terminal.
fn message(text: &[u8], tty: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 8);
    if !tty {
        bytes.extend_from_slice(&[1, 0, 0, 0]);
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    bytes.extend_from_slice(text);
    bytes
}

/// Starts a declared exec.
async fn begin(
    inner: &Arc<Inner>,
    exec: Exec,
    options: &ExecStart,
    attach: Option<(Attach, OwnedFd)>,
) -> Result<Process> {
    let id = exec.id.to_string();
    let started = async {
        let handle =
            inner.index.get(&exec.container).ok_or_else(|| Error::no_such_container(exec.container.as_str()))?;
        let container = handle.container();
        container.state.may_exec(handle.id.as_str())?;
        let live = handle.live().ok_or_else(|| Error::not_running(&handle.id))?;
        let mut config = (*exec.config).clone();
        config.console_size = options.console_size.or(config.console_size);
        let (world, keeper, exec_id) = (inner.clone(), live.keeper.clone(), id.clone());
        let request = blocking(move || request(&world, &container, &live, &exec_id, &config, attach)).await?;
        let failed = if request.foreign.is_some() { FOREIGN_EXEC_FAILED } else { EXEC_FAILED };
        keeper.exec(request).await.map_err(|error| refused(error, failed))
    }
    .await;
    match started {
        Ok(process) => {
            inner.execs.started(&id, process.started.pid);
            let action = format!("exec_start: {}", exec.config.cmd.join(" "));
            inner.container_event(&exec.container, action, &[("execID", &id)]);
            Ok(process)
        }
        Err(error) => {
            let code = if let Error::Program { exit_code, .. } = error { exit_code } else { 126 };
            inner.execs.ended(&id, code);
            Err(error)
        }
    }
}

fn refused(error: ShimError, failed: &str) -> Error {
    match error {
        ShimError::Refused(Failure::NotFound(why)) => {
            Error::Program { exit_code: 127, message: format!("{failed}: {why}") }
        }
        ShimError::Refused(Failure::NotExecutable(why)) => {
            let why = if why.ends_with("is a directory") { format!("{why}: permission denied") } else { why };
            Error::Program { exit_code: 126, message: format!("{failed}: {why}") }
        }
        ShimError::Refused(failure) => Error::System(format!("{failed}: {failure}")),
        other => Error::System(format!("{failed}: {}", start::chain(&other))),
    }
}

/// The plan and the descriptors for the keeper.
fn request(
    inner: &Inner,
    container: &crate::container::snapshot::Container,
    live: &Live,
    id: &str,
    config: &ExecConfig,
    attach: Option<(Attach, OwnedFd)>,
) -> Result<ExecRequest> {
    let root = inner.store.snapshot_rootfs(&container.id)?;
    let accounts = rootfs::accounts(&inner.store, &container.id, &root)?;
    let host = &container.host_config;
    let groups = host.group_add.as_deref().unwrap_or_default();
    let own = accounts.resolve(&container.config.user, groups)?;
    let who = if config.user.is_empty() { own.clone() } else { accounts.resolve(&config.user, groups)? };
    let path = inner.cgroup_path(&container.id, &host.resources.cgroup_parent)?;
    let mut spec = prepare::document(inner, container, own, &path)?;
    if let Some(process) = &mut spec.process {
        *process = oci::process::exec(process, config, &who, inner.capabilities);
    }
    if config.privileged
        && let Some(linux) = &mut spec.linux
    {
        linux.seccomp = None;
    }
    let process = spec.process.clone().unwrap_or_default();
    let (plan, foreign) = match runtimes::is_ours(&host.runtime) {
        false => (Vec::new(), Some(ForeignExec { process: runtimes::process(&process)? })),
        true => {
            let id = container.id.to_string();
            let options = PlanOptions { id, bundle: PathBuf::from("/"), ..PlanOptions::default() };
            let plan = wharf_runtime::plan_exec(&spec, &process, &options);
            (encode_plan(&plan.map_err(|e| Error::InvalidParameter(e.to_string()))?), None)
        }
    };
    let join = live.cgroup.join_fds().map_err(|e| Error::system("open cgroup", e))?;
    let mut fds: Vec<(FdRole, OwnedFd)> = join.tasks.into_iter().map(|fd| (FdRole::CgroupTasks, fd)).collect();
    fds.extend(join.unified.map(|fd| (FdRole::CgroupDir, fd)));
    Ok(ExecRequest { id: id.to_owned(), plan, tty: config.tty, stdin: config.attach_stdin, attach, fds, foreign })
}

impl Engine {
    /// Declares a process in a running container.
    pub async fn exec_create(&self, container: &str, config: ExecConfig) -> Result<ExecId> {
        let handle = self.inner.index.resolve(container)?;
        let state = &handle.container().state;
        // a paused one is called by the name that was asked for, any other by its identifier
        state.may_exec(if state.status == Status::Paused { container } else { handle.id.as_str() })?;
        if config.cmd.is_empty() {
            return Err(Error::InvalidParameter("no exec command specified".into()));
        }
        declare::keys(config.detach_keys.as_deref())?;
        if !config.user.is_empty() {
            let (inner, container, user) = (self.inner.clone(), handle.container(), config.user.clone());
            blocking(move || {
                let root = inner.store.snapshot_rootfs(&container.id)?;
                rootfs::accounts(&inner.store, &container.id, &root)?.resolve(&user, &[]).map(drop)
            })
            .await?;
        }
        let id = ExecId::generate(|bytes| fill(bytes));
        let action = format!("exec_create: {}", config.cmd.join(" "));
        self.inner.execs.insert(id.clone(), handle.id.clone(), config);
        self.inner.container_event(&handle.id, action, &[("execID", id.as_str())]);
        Ok(id)
    }

    /// Starts it in the background and answers when it runs.
    pub async fn exec_start_detached(&self, id: &str, options: ExecStart) -> Result<()> {
        let exec = self.ready(id)?;
        begin(&self.inner, exec, &options, None).await.map(drop)
    }

    /// Promises a start with a stream.
    pub async fn exec_start(&self, id: &str, options: ExecStart) -> Result<ExecSession> {
        let exec = self.ready(id)?;
        Ok(ExecSession { tty: exec.config.tty, engine: self.clone(), exec, options })
    }

    /// Marks an exec of a running container as started.
    fn ready(&self, id: &str) -> Result<Exec> {
        let exec = self.inner.execs.get(id)?;
        let handle = self.inner.index.get(&exec.container).ok_or_else(|| Error::no_such_exec(id))?;
        handle.container().state.may_exec(handle.id.as_str())?;
        self.inner.execs.begin(id)
    }

    /// Everything about one.
    ///
    /// A client asks as soon as its stream has ended, which may be before the keeper's word of the exit was read here. So while an exec
    /// counts as running, its keeper is asked, and what it says of the end is taken over.
    pub async fn exec_inspect(&self, id: &str) -> Result<Exec> {
        let exec = self.inner.execs.get(id)?;
        let live = self.inner.index.get(&exec.container).and_then(|handle| handle.live()).filter(|_| exec.running);
        let Some(live) = live else { return Ok(exec) };
        if let Ok((snapshot, _)) = live.keeper.snapshot().await {
            let end = snapshot.execs.iter().find(|known| known.id == exec.id.as_str()).and_then(|known| known.exit);
            if let Some(exit) = end {
                self.inner.exec_ended(&exec.container, exec.id.as_str(), exit.code);
            }
        }
        self.inner.execs.get(id)
    }

    /// Tells its terminal its size in cells.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let exec = self.inner.execs.get(id)?;
        let live = self.inner.index.get(&exec.container).and_then(|handle| handle.live());
        let live = live.filter(|_| exec.running).ok_or_else(|| Error::Conflict(format!("Exec {id} is not running")))?;
        if !exec.config.tty {
            // as with containers: nothing to do
            return Ok(());
        }
        live.keeper.resize(Target::Exec(id.to_owned()), width, height).await.map_err(|e| Error::system("resize", e))
    }
}

impl crate::Inner {
    /// Notes the end of an exec, once, and tells of it.
    pub(crate) fn exec_ended(&self, container: &wharf_spec::id::ContainerId, exec: &str, code: i32) {
        if self.execs.ended(exec, code) {
            self.container_event(container, "exec_die", &[("execID", exec), ("exitCode", &code.to_string())]);
        }
    }
}
