//! The facade's container operations: find the container, send its actor a command or read its snapshot.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use wharf_api::container::{Config as ContainerConfig, HostConfig, NetworkingConfig, UpdateConfig};
use wharf_shim::protocol::Target;
use wharf_spec::id::ContainerId;

use crate::container::handle::{Command, Grant, Handle, Picture, Socket, Why};
use crate::container::snapshot::{Container, Size};
use crate::container::state::Status;
use crate::container::{create, declare, slots};
use crate::stats::Stats;
use crate::{ByteSink, ByteStream, Engine, Error, Filters, Result, blocking, list, logs, signals, stats, top};

/// How long `stop` waits when nobody says, in seconds.
const STOP_TIMEOUT: i64 = 10;
/// How long a container that was sent SIGKILL may take: beyond it hangs in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// `POST /containers/create`.
#[derive(Debug, Clone, Default)]
pub struct CreateContainer {
    /// The wanted name, with or without the leading slash; one is made up when absent.
    pub name: Option<String>,
    /// `linux/amd64` …; any when absent.
    pub platform: Option<String>,
    /// What runs.
    pub config: ContainerConfig,
    /// How it sits on the host.
    pub host_config: HostConfig,
    /// Networks to join at start.
    pub networking: NetworkingConfig,
}

/// The answer to a create.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new container.
    pub id: ContainerId,
    /// What was ignored or changed.
    pub warnings: Vec<String>,
}

/// Arguments of stop and restart.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// Signal name or number instead of the container's.
    pub signal: Option<String>,
    /// Seconds to wait before SIGKILL instead of the container's; -1 waits for ever.
    pub timeout: Option<i64>,
}

/// When a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitCondition {
    /// Not running now or later.
    #[default]
    NotRunning,
    /// At its next end.
    NextExit,
    /// When it has been removed.
    Removed,
}

/// A registered wait: the condition is being watched from now on.
#[derive(Debug)]
pub struct Wait {
    picture: watch::Receiver<Picture>,
    condition: WaitCondition,
    ends: u64,
}

/// What a wait gives.
#[derive(Debug, Clone, Default)]
pub struct WaitResult {
    /// Exit code.
    pub exit_code: i32,
    /// Why there is none in truth (for instance that removal did not succeed).
    pub error: Option<String>,
}

impl Wait {
    /// Ends when the condition is met.
    pub async fn finish(mut self) -> WaitResult {
        let Wait { condition, ends, .. } = self;
        let met = |p: &Picture| match condition {
            WaitCondition::NotRunning => !p.container.state.status.is_running() || p.removed.is_some(),
            WaitCondition::NextExit => p.ends > ends || p.removed.is_some(),
            WaitCondition::Removed => p.removed.is_some(),
        };
        match self.picture.wait_for(met).await {
            Ok(picture) => WaitResult {
                exit_code: picture.container.state.exit_code,
                error: picture.removed.clone().and_then(Result::err),
            },
            Err(_) => WaitResult { exit_code: 0, error: Some("the engine is closing".into()) },
        }
    }
}

/// Arguments of remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes, too.
    pub volumes: bool,
    /// Remove a legacy link instead of a container.
    pub link: bool,
}

/// Arguments of list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many of the newest, running or not; 0: no limit.
    pub limit: usize,
    /// Compute sizes.
    pub size: bool,
    /// Docker's filters.
    pub filters: Filters,
}

/// One row of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The container.
    pub container: Arc<Container>,
    /// When asked for.
    pub size: Option<Size>,
    /// What `ps` shows as image: the name while it points at the image, else the short ID.
    pub image: String,
    /// Names that links to it have given it (`web/db`).
    pub links: Vec<String>,
    /// What `ps` shows as status (`Up 2 minutes`, `Exited (0) 3 hours ago`).
    pub status: String,
}

/// `GET /containers/x/json`.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The container.
    pub container: Arc<Container>,
    /// When asked for.
    pub size: Option<Size>,
}

/// Processes of a container.
#[derive(Debug, Clone, Default)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row per process.
    pub processes: Vec<Vec<String>>,
}

/// Arguments of logs.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Stay for what comes.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// The time before each line.
    pub timestamps: bool,
    /// The labels and environment recorded with each line.
    pub details: bool,
    /// Only so many of the last lines; `None`: all.
    pub tail: Option<u64>,
}

/// A log being read.
#[derive(Debug)]
pub struct Logs {
    /// `true`: the bytes are raw (a terminal's); `false`: framed (`stdcopy`).
    pub tty: bool,
    /// The bytes.
    pub stream: ByteStream,
}

/// One changed path of a container's own layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute path in the container.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path; the numbers are Docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// 0, `C`
    Modified = 0,
    /// 1, `A`
    Added = 1,
    /// 2, `D`
    Deleted = 2,
}

/// Arguments of attach.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// Feed standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// What is in the log first.
    pub logs: bool,
    /// Stay for what comes.
    pub stream: bool,
    /// Keys that detach, Docker's notation; `None`: ctrl-p,ctrl-q.
    pub detach_keys: Option<String>,
}

/// An attach that has been promised: the container, when it starts now, waits for the socket.
#[derive(Debug)]
pub struct Attachment {
    /// The container has a terminal: the stream is raw.
    pub tty: bool,
    engine: Engine,
    container: Arc<Container>,
    options: AttachOptions,
    grant: Grant,
}

impl Attachment {
    /// Hands the client's socket over and ends when nothing of ours has to be done with it any more. `early`: bytes that the
    /// client sent behind its request.
    pub async fn run(self, socket: OwnedFd, early: Bytes) -> Result<()> {
        let Attachment { engine, container, options, grant, .. } = self;
        let again = |socket: &OwnedFd| socket.try_clone().map_err(|e| Error::system("dup", e));
        let refused = |e| Error::system("attach", e);
        let request = slots::attach_request(&engine.inner, &container.config, &options, &early);
        if let (Grant::Live(live), true, true) = (&grant, options.logs, options.stream)
            && let Some(held) = live.keeper.attach_held(&request, again(&socket)?).await.map_err(refused)?
        {
            // not a line is lost between the log and what comes, and none comes twice
            let told = logs::replay(&engine.inner, &container, &options, held, socket).await;
            return live.keeper.release(request.id).await.map_err(refused).and(told);
        }
        if options.logs {
            let history = logs::history(&options);
            logs::write(&engine.inner, &container, history, None, again(&socket)?).await?;
        }
        if !options.stream {
            return Ok(());
        }
        match grant {
            Grant::Live(live) => live.keeper.attach(&request, socket).await.map_err(refused),
            // the container's task may be gone with the container
            Grant::Slot(slot) => {
                slot.send(Socket { fd: socket, early }).map_err(|_| Error::no_such_container(container.id.as_str()))
            }
        }
    }
}

/// What a prune removed.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Names or identifiers.
    pub deleted: Vec<String>,
    /// Bytes.
    pub space: u64,
}

impl Engine {
    fn find(&self, name: &str) -> Result<Arc<Handle>> {
        self.inner.index.resolve(name)
    }

    /// Makes a container: rows and folders, no process.
    pub async fn container_create(&self, request: CreateContainer) -> Result<Created> {
        create::create(&self.inner, request).await
    }

    /// Starts it.
    pub async fn container_start(&self, name: &str) -> Result<()> {
        self.find(name)?.ask(Command::Start).await
    }

    /// Stops it: the stop signal, then SIGKILL.
    pub async fn container_stop(&self, name: &str, options: StopOptions) -> Result<()> {
        let handle = self.find(name)?;
        if !handle.container().state.may_stop()? {
            return Err(Error::NotModified);
        }
        let engine = self.clone();
        // a client that goes away does not leave it half stopped
        task(async move { engine.stop(&handle, options).await }).await
    }

    async fn stop(&self, handle: &Handle, options: StopOptions) -> Result<()> {
        let container = handle.container();
        let config = &container.config;
        let name = options.signal.as_deref().filter(|s| !s.is_empty()).unwrap_or(&config.stop_signal);
        let signal = if name.is_empty() {
            signals::TERM
        } else {
            signals::parse(name).map_err(|e| Error::InvalidParameter(e.to_string()))?
        };
        let timeout = options.timeout.or(config.stop_timeout.map(i64::from)).unwrap_or(STOP_TIMEOUT);
        let stopped = match handle.ask(|reply| Command::Signal(signal, Why::Stop, reply)).await {
            // it has just ended by itself
            Err(Error::Conflict(_)) => true,
            Err(error) => return Err(error),
            Ok(()) => ended(handle, u64::try_from(timeout).ok().map(Duration::from_secs)).await,
        };
        if !stopped {
            match handle.ask(|reply| Command::Signal(signals::KILL, Why::Stop, reply)).await {
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            if !ended(handle, Some(KILL_PATIENCE)).await {
                return Err(Error::System(format!(
                    "cannot stop container: {}: tried to kill container, but did not receive an exit event",
                    container.name
                )));
            }
        }
        self.inner.event_of(&container, "stop", &[]);
        Ok(())
    }

    /// Stops it when it runs, then starts it.
    pub async fn container_restart(&self, name: &str, options: StopOptions) -> Result<()> {
        let handle = self.find(name)?;
        let engine = self.clone();
        task(async move {
            handle.ask(|reply| Command::Hold(true, reply)).await?;
            let done = async {
                if handle.container().state.status.is_running() {
                    engine.stop(&handle, options).await?;
                }
                match handle.ask(Command::Start).await {
                    Err(Error::NotModified) => Ok(()),
                    other => other,
                }
            }
            .await;
            handle.ask(|reply| Command::Hold(false, reply)).await?;
            done?;
            engine.inner.container_event(&handle.id, "restart", &[]);
            Ok(())
        })
        .await
    }

    /// Sends a signal (name or number); SIGKILL when absent.
    pub async fn container_kill(&self, name: &str, signal: Option<&str>) -> Result<()> {
        let wrapped = |error: Error| error.map(|why| format!("cannot kill container: {name}: {why}"));
        let number = match signal.filter(|s| !s.is_empty()) {
            None => signals::KILL,
            Some(text) => signals::parse(text).map_err(|e| wrapped(Error::InvalidParameter(e.to_string())))?,
        };
        let handle = self.find(name).map_err(wrapped)?;
        handle.ask(|reply| Command::Signal(number, Why::Kill, reply)).await.map_err(wrapped)?;
        if number == signals::KILL {
            ended(&handle, Some(KILL_PATIENCE)).await;
        }
        Ok(())
    }

    /// Freezes it.
    pub async fn container_pause(&self, name: &str) -> Result<()> {
        self.find(name)?.ask(Command::Pause).await
    }

    /// Thaws it.
    pub async fn container_unpause(&self, name: &str) -> Result<()> {
        self.find(name)?.ask(Command::Unpause).await
    }

    /// Registers a wait: send the response's headers after this, its body after [`Wait::finish`].
    pub async fn container_wait(&self, name: &str, condition: WaitCondition) -> Result<Wait> {
        let picture = self.find(name)?.picture.clone();
        let ends = picture.borrow().ends;
        Ok(Wait { picture, condition, ends })
    }

    /// Removes it.
    pub async fn container_remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.remove_link(name).await;
        }
        let handle = self.find(name)?;
        task(async move {
            let status = handle.container().state.status;
            if options.force && status.is_running() {
                match handle.ask(|reply| Command::Signal(signals::KILL, Why::Remove, reply)).await {
                    Ok(()) | Err(Error::Conflict(_) | Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
                ended(&handle, Some(KILL_PATIENCE)).await;
            }
            match handle.ask(|reply| Command::Remove(options, reply)).await {
                // its own policy was faster
                Err(Error::NotFound(_)) if handle.picture.borrow().removed.is_some() => Ok(()),
                Err(Error::Conflict(_)) if options.force && handle.container().state.status == Status::Removing => {
                    Ok(())
                }
                other => other,
            }
        })
        .await
    }

    /// Takes a legacy link away (`receiver/alias`).
    async fn remove_link(&self, name: &str) -> Result<()> {
        let name = name.trim_start_matches('/');
        let (receiver, alias) = name.rsplit_once('/').ok_or_else(|| {
            Error::InvalidParameter(format!("Conflict, cannot remove the default link name of the container: /{name}"))
        })?;
        let handle = self.find(receiver)?;
        handle.ask(|reply| Command::Unlink(alias.to_owned(), reply)).await
    }

    /// Gives it another name.
    pub async fn container_rename(&self, name: &str, new_name: &str) -> Result<()> {
        let handle = self.find(name)?;
        if new_name.is_empty() {
            return Err(Error::InvalidParameter("Neither old nor new names may be empty".into()));
        }
        let plain = new_name.strip_prefix('/').unwrap_or(new_name);
        if handle.container().name == plain {
            return Err(Error::InvalidParameter("Renaming a container with the same name as its current name".into()));
        }
        let wanted = format!("/{plain}");
        let taken = self.inner.index.reserve(Some(&wanted), &handle.id, || 0);
        let taken = taken.map_err(|e| e.map(|why| format!("Error when allocating new name: {why}")))?;
        let renamed = handle.ask(|reply| Command::Rename(taken.clone(), reply)).await;
        if renamed.is_err() {
            self.inner.index.release(&taken, &handle.id);
        }
        renamed
    }

    /// Changes limits and the restart policy; answers warnings.
    pub async fn container_update(&self, name: &str, update: UpdateConfig) -> Result<Vec<String>> {
        self.find(name)?.ask(|reply| Command::Update(Box::new(update), reply)).await
    }

    /// Tells its terminal its size in cells.
    pub async fn container_resize(&self, name: &str, height: u16, width: u16) -> Result<()> {
        let handle = self.find(name)?;
        let live = handle.live().ok_or_else(|| Error::not_running(&handle.id))?;
        live.keeper.resize(Target::Init, width, height).await.map_err(|e| Error::system("resize", e))?;
        let (height, width) = (height.to_string(), width.to_string());
        self.inner.container_event(&handle.id, "resize", &[("height", &height), ("width", &width)]);
        Ok(())
    }

    /// Lists containers, newest first. Never waits for a container.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<Listed>> {
        list::list(&self.inner, options).await
    }

    /// Everything about one. Never waits for it.
    pub async fn container_inspect(&self, name: &str, size: bool) -> Result<Inspected> {
        let handle = self.find(name)?;
        let mut container = handle.container();
        let shown = Arc::make_mut(&mut container);
        shown.execs = self.inner.execs.of(&handle.id);
        if !shown.links.is_empty() {
            let links = crate::container::links::shown(&self.inner, shown);
            Arc::make_mut(&mut shown.host_config).links = Some(links).filter(|l| !l.is_empty());
        }
        let size = if size { Some(self.size(&handle.id).await?) } else { None };
        Ok(Inspected { container, size })
    }

    pub(crate) async fn size(&self, id: &ContainerId) -> Result<Size> {
        let (store, id) = (self.inner.store.clone(), id.clone());
        let size = blocking(move || Ok(store.snapshot_size(&id)?)).await?;
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Ok(Size { rw: signed(size.rw), root_fs: signed(size.root) })
    }

    /// Its processes, as `ps` with these arguments would show them (`-ef` when empty).
    pub async fn container_top(&self, name: &str, ps_args: &str) -> Result<Top> {
        let handle = self.find(name)?;
        handle.container().state.may_kill(handle.id.as_str())?;
        let live = handle.live().ok_or_else(|| {
            Error::Conflict(format!("Container {} is restarting, wait until the container is running", handle.id))
        })?;
        let args = ps_args.to_owned();
        let table = blocking(move || {
            let pids = live.cgroup.processes().map_err(|e| Error::system("list processes", e))?;
            let pids: Vec<u32> = pids.into_iter().filter_map(|p| u32::try_from(p).ok()).collect();
            top::top(&pids, &args)
        })
        .await?;
        self.inner.container_event(&handle.id, "top", &[]);
        Ok(table)
    }

    /// Its log.
    pub async fn container_logs(&self, name: &str, options: LogOptions) -> Result<Logs> {
        logs::logs(&self.inner, &self.find(name)?, options).await
    }

    /// Usage. `stream`: one picture a second until the receiver is dropped; else one. The edge computes `precpu_stats` from
    /// consecutive pictures; with `one_shot` false and no stream, two pictures a second apart are sent.
    pub async fn container_stats(&self, name: &str, stream: bool, one_shot: bool) -> Result<mpsc::Receiver<Stats>> {
        Ok(stats::stats(&self.inner, self.find(name)?, stream, one_shot))
    }

    /// What it changed in its file system.
    pub async fn container_changes(&self, name: &str) -> Result<Vec<Change>> {
        let (store, id) = (self.inner.store.clone(), self.find(name)?.id.clone());
        blocking(move || {
            let changes = store.snapshot_changes(&id)?;
            let kind = |kind| match kind {
                wharf_store::ChangeKind::Modified => ChangeKind::Modified,
                wharf_store::ChangeKind::Added => ChangeKind::Added,
                wharf_store::ChangeKind::Deleted => ChangeKind::Deleted,
            };
            Ok(changes
                .into_iter()
                .map(|c| Change { path: c.path.to_string_lossy().into_owned(), kind: kind(c.kind) })
                .collect())
        })
        .await
    }

    /// Its file system as one tar stream.
    pub async fn container_export(&self, name: &str) -> Result<ByteStream> {
        let handle = self.find(name)?;
        let (mut sink, stream) = ByteSink::channel();
        let (store, id) = (self.inner.store.clone(), handle.id.clone());
        let work = move || {
            if let Err(error) = store.snapshot_export(&id, &mut sink, &wharf_store::Job::default()) {
                sink.fail(std::io::Error::other(error.to_string()));
            }
        };
        tokio::task::spawn_blocking(work);
        self.inner.container_event(&handle.id, "export", &[]);
        Ok(stream)
    }

    /// Promises an attach: send the response's headers after this, then hand over the socket with [`Attachment::run`].
    pub async fn container_attach(&self, name: &str, options: AttachOptions) -> Result<Attachment> {
        declare::keys(options.detach_keys.as_deref())?;
        let handle = self.find(name)?;
        let wanted = options.clone();
        let grant = handle.ask(|reply| Command::Attach(wanted, reply)).await?;
        let container = handle.container();
        self.inner.event_of(&container, "attach", &[]);
        Ok(Attachment { tty: container.config.tty, engine: self.clone(), container, options, grant })
    }

    /// Removes all that do not run.
    pub async fn container_prune(&self, filters: Filters) -> Result<Pruned> {
        filters.only(&["label", "label!", "until"])?;
        let until = list::until(&filters)?;
        let mut pruned = Pruned::default();
        for handle in self.inner.index.all() {
            let container = handle.container();
            let status = container.state.status;
            let old = until.is_none_or(|until| container.created < until);
            if !matches!(status, Status::Created | Status::Exited | Status::Dead)
                || !old
                || !list::labels(&filters, &container)
            {
                continue;
            }
            let size = self.size(&handle.id).await.map_or(0, |s| s.rw);
            match handle.ask(|reply| Command::Remove(RemoveOptions::default(), reply)).await {
                Ok(()) => {
                    pruned.space += u64::try_from(size).unwrap_or(0);
                    pruned.deleted.push(handle.id.to_string());
                }
                Err(error) => tracing::warn!(container = handle.id.short(), %error, "prune"),
            }
        }
        Ok(pruned)
    }
}

/// Runs work in a task of its own: it goes on when the client that asked has gone.
async fn task<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(Error::system("task", e)))
}

/// Waits until it does not run any more; `false` when that takes too long.
async fn ended(handle: &Handle, patience: Option<Duration>) -> bool {
    let mut picture = handle.picture.clone();
    let over = picture.wait_for(|p| !p.container.state.status.is_running() || p.removed.is_some());
    match patience {
        // an error: its task is gone, and so is the container
        Some(limit) => tokio::time::timeout(limit, over).await.is_ok(),
        None => {
            let _ = over.await;
            true
        }
    }
}
