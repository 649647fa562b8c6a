//! The facade's container operations: find the container, send its actor a command or read its snapshot.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use wharf_api::container::UpdateConfig;
use wharf_shim::protocol::Target;
use wharf_spec::id::ContainerId;

use crate::asked::{
    AttachOptions, Attachment, Change, ChangeKind, CreateContainer, Created, Inspected, ListOptions, Listed,
    LogOptions, Logs, Pruned, RemoveOptions, StopOptions, Top, Wait, WaitCondition,
};
use crate::container::handle::{Command, Handle, Why};
use crate::container::snapshot::Size;
use crate::container::state::Status;
use crate::container::{create, declare};
use crate::stats::Stats;
use crate::{ByteSink, ByteStream, Engine, Error, Filters, Result, blocking, list, logs, signals, stats, top};

/// How long `stop` waits when nobody says, in seconds.
const STOP_TIMEOUT: i64 = 10;
/// How long a container that was sent SIGKILL may take: beyond it hangs in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

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
        // what has no terminal has no size: for Docker's clients that is no mistake
        if handle.container().config.tty {
            live.keeper.resize(Target::Init, width, height).await.map_err(|e| Error::system("resize", e))?;
        }
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
