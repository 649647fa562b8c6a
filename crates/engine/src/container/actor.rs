//! The task that owns one container: takes commands and its keeper's notices one after the other, and publishes a picture
//! after every change. The states and what leads from one to another are drawn in [`super::state`].

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{RwLock, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wharf_shim::client::{Events, Notice};
use wharf_shim::protocol::{self, Attach, AttachEnd, Event, Target, Wire};
use wharf_spec::id::ContainerId;
use wharf_sys::failpoint;

use super::handle::{Command, Grant, Handle, Live, Picture, QUEUE, Reply, Socket, Why};
use super::health::{self, Check, Monitor};
use super::record::{self, Declared, Lived, Outlives};
use super::restart::{Backoff, ran_for};
use super::snapshot::{Health, HealthProbe, HealthStatus};
use super::state::{Exit, Status};
use super::{declare, kill, picture, places, remove, start, update};
use crate::{AttachOptions, Error, Inner, RemoveOptions, Result, blocking};

/// How long a start waits for the sockets of clients that were promised an attach: they come as soon as the answer to their
/// request has left, which a client that reads nothing could hold up.
const SOCKETS: Duration = Duration::from_secs(5);

/// A client that waits for the next start.
struct Slot {
    options: AttachOptions,
    coming: oneshot::Receiver<Socket>,
    here: Option<Socket>,
}

impl Slot {
    /// Looks whether the socket has come; `false` when the client has gone.
    fn check(&mut self) -> bool {
        match (&self.here, self.coming.try_recv()) {
            (None, Ok(socket)) => self.here = Some(socket),
            (None, Err(oneshot::error::TryRecvError::Closed)) => return false,
            _ => {}
        }
        self.here.as_ref().is_none_or(|socket| is_open(&socket.fd))
    }
}

/// Is the other end of a client's socket still there?
fn is_open(fd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// What a container that runs brings along when its task begins.
pub(crate) struct Running {
    pub(crate) live: Arc<Live>,
    pub(crate) events: Events,
}

pub(crate) struct Actor {
    pub(super) inner: Arc<Inner>,
    pub(super) id: ContainerId,
    pub(super) declared: Declared,
    pub(super) lived: Lived,
    publish: watch::Sender<Picture>,
    pub(super) live: Option<Arc<Live>>,
    events: Option<Events>,
    ends: u64,
    /// `restart` is at work: no policy has a say.
    hold: bool,
    /// The user ended it: the restart policy has no say at the next end.
    pub(super) no_restart: bool,
    backoff: Backoff,
    restart_at: Option<Instant>,
    slots: Vec<Slot>,
    removed: Option<Result<(), String>>,
    /// Probes its health while it runs.
    monitor: Option<Monitor>,
    /// How many monitors there have been.
    monitors: u64,
    /// See [`Handle::files`].
    files: Arc<RwLock<()>>,
}

/// Begins the task of a container and makes it known.
pub(crate) fn adopt(
    inner: &Arc<Inner>,
    id: ContainerId,
    declared: Declared,
    lived: Lived,
    running: Option<Running>,
) -> Arc<Handle> {
    let (live, events) = running.map_or((None, None), |r| (Some(r.live), Some(r.events)));
    let container = picture::container(inner, &id, &declared, &lived, live.is_some());
    let first = Picture { container: Arc::new(container), live: live.clone(), ends: 0, removed: None };
    let (publish, watched) = watch::channel(first);
    let (sender, commands) = mpsc::channel(QUEUE);
    let files = Arc::new(RwLock::new(()));
    let handle = Arc::new(Handle::new(id.clone(), sender, watched, files.clone()));
    inner.index.insert(handle.clone());
    let mut actor = Actor {
        inner: inner.clone(),
        id,
        declared,
        lived,
        publish,
        live,
        events,
        ends: 0,
        hold: false,
        no_restart: false,
        backoff: Backoff::default(),
        restart_at: None,
        slots: Vec::new(),
        removed: None,
        monitor: None,
        monitors: 0,
        files,
    };
    actor.watch_health();
    tokio::spawn(actor.run(commands));
    handle
}

enum Wake {
    Command(Command),
    Notice(Option<Notice>),
    Restart,
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut closing = self.inner.closing.subscribe();
        while self.removed.is_none() {
            let wake = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => Wake::Command(command),
                    None => return,
                },
                notice = next(&mut self.events) => Wake::Notice(notice),
                () = until(self.restart_at) => Wake::Restart,
                _ = async { closing.wait_for(|closing| *closing).await.is_ok() } => return,
            };
            match wake {
                Wake::Command(command) => self.command(command).await,
                Wake::Notice(notice) => self.notice(notice).await,
                Wake::Restart => self.restart().await,
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Start(reply) => {
                let result = self.start_by_user().await;
                answer(reply, result);
            }
            Command::Signal(signal, why, reply) => {
                let result = self.signal(signal, why).await;
                answer(reply, result);
            }
            Command::Pause(reply) => {
                let result = self.freeze(true).await;
                answer(reply, result);
            }
            Command::Unpause(reply) => {
                let result = self.freeze(false).await;
                answer(reply, result);
            }
            Command::Remove(options, reply) => {
                let result = self.remove(options, None).await;
                answer(reply, result);
            }
            Command::Rename(name, reply) => {
                let result = self.rename(name).await;
                answer(reply, result);
            }
            Command::Update(changes, reply) => {
                let result = update::update(self, *changes).await;
                self.show();
                answer(reply, result);
            }
            Command::Hold(hold, reply) => {
                self.hold = hold;
                answer(reply, Ok(()));
            }
            Command::Attach(options, reply) => {
                let result = self.attach(options);
                answer(reply, result);
            }
            Command::Probed(run, probe) => self.probed(run, probe),
            Command::Unlink(alias, reply) => {
                let result = self.unlink(&alias).await;
                answer(reply, result);
            }
            Command::Networks(name, settings, reply) => {
                let result = self.networks(name, settings.map(|s| *s)).await;
                answer(reply, result);
            }
        }
    }

    /// Tells of its networks, as the picture shows them.
    fn network_events(&self, action: &str) {
        let container = self.publish.borrow().container.clone();
        for (name, endpoint) in &container.network.networks {
            if let Some(id) = &endpoint.network {
                let driver = self.inner.networks.find(id.as_str()).map_or("", |n| n.driver.as_str());
                self.inner.network_event(action, id, name, driver, Some(&self.id));
            }
        }
    }

    /// Publishes how it looks now.
    pub(super) fn show(&mut self) {
        let running = self.live.is_some();
        let container = picture::container(&self.inner, &self.id, &self.declared, &self.lived, running);
        let picture = Picture {
            container: Arc::new(container),
            live: self.live.clone(),
            ends: self.ends,
            removed: self.removed.clone(),
        };
        self.publish.send_replace(picture);
    }

    /// Writes what was lived through; when the disk refuses, the world goes on and the log tells.
    pub(super) async fn save(&self) {
        let outlives = Outlives::of(&self.declared);
        if let Err(error) = record::save_lived(&self.inner.db, &self.id, &self.lived, outlives).await {
            tracing::error!(container = self.id.short(), %error, "write state");
        }
    }

    async fn start_by_user(&mut self) -> Result<()> {
        if !self.lived.state.may_start()? {
            return Err(Error::NotModified);
        }
        self.backoff.reset();
        self.lived.restart_count = 0;
        (self.lived.stopped_by_user, self.no_restart) = (false, false);
        self.start().await
    }

    async fn start(&mut self) -> Result<()> {
        self.restart_at = None;
        let _alone = self.files.clone().write_owned().await;
        if places::is_nowhere(&self.declared) {
            // taken off every network while it ran: it begins again on its main one
            let mut networking = (*self.declared.networking).clone();
            places::complete(&self.inner, &self.declared.config, &self.declared.host_config, &mut networking)?;
            self.declared.networking = Arc::new(networking);
            record::save(&self.inner.db, &self.id, &self.declared, &self.lived).await?;
        }
        let attach = self.sockets().await;
        // what is about to be goes to the disk while it is being done
        let mut intent = self.lived.clone();
        intent.state.started(0, jiff::Timestamp::now());
        let (started, written) = tokio::join!(
            start::start(&self.inner, &self.id, &self.declared, attach),
            record::save_lived(&self.inner.db, &self.id, &intent, Outlives::of(&self.declared)),
        );
        match started {
            Ok(started) => {
                self.lived.state.started(started.live.pid, started.at);
                self.live = Some(started.live);
                self.events = Some(started.events);
                self.begin_health();
                record::queue_lived(&self.inner.db, &self.id, &self.lived);
                self.show();
                written?;
                failpoint::hit("engine.start.after_rows").map_err(|e| Error::system("fail point", e))?;
                self.network_events("connect");
                self.inner.container_event(&self.id, "start", &[]);
                Ok(())
            }
            Err(error) => {
                let code = if let Error::Program { exit_code, .. } = error { exit_code } else { 128 };
                self.lived.state.start_failed(code, error.to_string());
                self.save().await;
                self.ends += 1;
                self.show();
                if self.declared.host_config.auto_remove {
                    let options = RemoveOptions { volumes: true, ..RemoveOptions::default() };
                    let gone = self.remove(options, None).await;
                    if let Err(error) = gone {
                        tracing::error!(container = self.id.short(), %error, "remove after a start that did not work");
                    }
                }
                Err(error)
            }
        }
    }

    /// The sockets of all clients that were promised an attach.
    async fn sockets(&mut self) -> Vec<(Attach, OwnedFd)> {
        let deadline = Instant::now() + SOCKETS;
        let mut sockets = Vec::new();
        for mut slot in std::mem::take(&mut self.slots) {
            let socket = match slot.here.take() {
                Some(socket) => socket,
                None => match tokio::time::timeout_at(deadline, slot.coming).await {
                    Ok(Ok(socket)) => socket,
                    // the client went away before its answer
                    Ok(Err(_)) => continue,
                    Err(_) => {
                        tracing::warn!(container = self.id.short(), "a client does not take the answer to its attach");
                        continue;
                    }
                },
            };
            let attach = attach_request(&self.inner, &self.declared.config, &slot.options, &socket.early);
            sockets.push((attach, socket.fd));
        }
        sockets
    }

    fn attach(&mut self, options: AttachOptions) -> Result<Grant> {
        let id = &self.id;
        match self.lived.state.status {
            Status::Paused => {
                return Err(Error::Conflict(format!("container {id} is paused, unpause the container before attach")));
            }
            Status::Restarting => {
                return Err(Error::Conflict(format!(
                    "container {id} is restarting, wait until the container is running"
                )));
            }
            Status::Removing | Status::Dead => return Err(Error::no_such_container(id.as_str())),
            Status::Created | Status::Running | Status::Exited => {}
        }
        if let Some(live) = &self.live {
            return Ok(Grant::Live(live.clone()));
        }
        self.slots.retain_mut(Slot::check);
        let (sender, coming) = oneshot::channel();
        self.slots.push(Slot { options, coming, here: None });
        Ok(Grant::Slot(sender))
    }

    async fn signal(&mut self, signal: i32, why: Why) -> Result<()> {
        self.lived.state.may_kill(self.id.as_str())?;
        kill::send(self, signal, why).await
    }

    async fn freeze(&mut self, on: bool) -> Result<()> {
        let id = self.id.as_str();
        if on {
            self.lived.state.may_pause(id)?
        } else {
            self.lived.state.may_unpause(id)?
        }
        let Some(live) = &self.live else { return Err(Error::not_running(id)) };
        let cgroup = live.cgroup.clone();
        let what = if on { "pause" } else { "unpause" };
        blocking(move || {
            let done = if on { cgroup.freeze() } else { cgroup.thaw() };
            done.map_err(|e| Error::system(format!("{what} container"), e))
        })
        .await?;
        self.lived.state.status = if on { Status::Paused } else { Status::Running };
        if on {
            self.end_health();
        } else {
            self.watch_health();
        }
        self.save().await;
        self.show();
        self.inner.container_event(&self.id, what, &[]);
        Ok(())
    }

    /// A new run: nothing is known of its health.
    fn begin_health(&mut self) {
        let checked = Check::of(&self.declared.config).is_some();
        let log = self.lived.health.take().map(|known| known.log.clone()).unwrap_or_default();
        self.lived.health = checked.then(|| Arc::new(Health { log, ..Health::default() }));
        self.watch_health();
    }

    /// Probes from now on, when there is a check and it runs.
    fn watch_health(&mut self) {
        self.monitor = None;
        if self.live.is_none() || self.lived.state.status != Status::Running {
            return;
        }
        let Some(check) = Check::of(&self.declared.config) else { return };
        self.lived.health.get_or_insert_default();
        self.monitors += 1;
        let started = self.lived.state.started_at;
        self.monitor = Some(health::watch(&self.inner, &self.id, check, started, self.monitors));
    }

    /// Nobody looks any more: Docker calls that unhealthy.
    fn end_health(&mut self) {
        self.monitor = None;
        if let Some(health) = &mut self.lived.health {
            Arc::make_mut(health).status = HealthStatus::Unhealthy;
        }
    }

    fn probed(&mut self, run: u64, probe: HealthProbe) {
        let current = self.monitor.as_ref().is_some_and(|monitor| monitor.run == run);
        let (Some(check), Some(before), true) = (Check::of(&self.declared.config), &self.lived.health, current) else {
            return;
        };
        let now = check.judge(before, probe, self.lived.state.started_at);
        let changed = (now.status != before.status).then(|| now.status.as_str());
        self.lived.health = Some(Arc::new(now));
        self.show();
        if let Some(status) = changed {
            // the log of each probe is not worth a write; a new status is
            record::queue_lived(&self.inner.db, &self.id, &self.lived);
            self.inner.container_event(&self.id, format!("health_status: {status}"), &[]);
        }
    }

    /// Remembers that it is on a network now, or no more.
    /// Joins or leaves a network: first the row, then the world. When the world refuses, the row is as it was.
    async fn networks(&mut self, name: String, settings: Option<wharf_api::container::EndpointSettings>) -> Result<()> {
        let before = self.declared.networking.clone();
        self.declared.networking = Arc::new(places::changed(&before, &name, settings));
        let mut done = record::save(&self.inner.db, &self.id, &self.declared, &self.lived).await;
        if done.is_ok() {
            done = places::follow(&self.inner, &self.id, &self.declared, self.live.clone(), &name).await;
            if done.is_err() {
                self.declared.networking = before;
                if let Err(error) = record::save(&self.inner.db, &self.id, &self.declared, &self.lived).await {
                    tracing::error!(container = self.id.short(), %error, "write networks");
                }
            }
        } else {
            self.declared.networking = before;
        }
        self.show();
        done
    }

    /// Forgets a link; what it told a running container stays until its next start.
    async fn unlink(&mut self, alias: &str) -> Result<()> {
        let before = self.declared.links.clone();
        self.declared.links.retain(|link| link.alias != alias);
        if self.declared.links.len() == before.len() {
            return Err(Error::NotFound(format!("Cannot get child /{alias} of /{}", self.declared.name)));
        }
        let saved = record::save(&self.inner.db, &self.id, &self.declared, &self.lived).await;
        if saved.is_err() {
            self.declared.links = before;
        }
        self.show();
        saved
    }

    async fn rename(&mut self, name: String) -> Result<()> {
        let old = std::mem::replace(&mut self.declared.name, name);
        if let Err(error) = record::save(&self.inner.db, &self.id, &self.declared, &self.lived).await {
            self.declared.name = old;
            return Err(error);
        }
        self.inner.index.release(&old, &self.id);
        self.inner.networks.rename(&self.id, &old, &self.declared.name);
        self.show();
        self.inner.container_event(&self.id, "rename", &[("oldName", &format!("/{old}"))]);
        Ok(())
    }

    /// `teardown`: of the run before, which goes on beside it.
    async fn remove(&mut self, options: RemoveOptions, teardown: Option<JoinHandle<()>>) -> Result<()> {
        self.lived.state.may_remove(&self.declared.name)?;
        let before = std::mem::replace(&mut self.lived.state.status, Status::Removing);
        self.restart_at = None;
        self.slots.clear();
        self.show();
        let _alone = self.files.clone().write_owned().await;
        let volumes = options.volumes;
        let done = remove::remove(&self.inner, &self.id, &self.declared, &mut self.lived, volumes, teardown).await;
        if let Err(error) = done {
            self.lived.state.status = if before == Status::Created { before } else { Status::Dead };
            self.show();
            return Err(error);
        }
        self.inner.container_event(&self.id, "destroy", &[]);
        self.inner.execs.forget_container(&self.id);
        self.inner.index.remove(&self.id);
        self.inner.index.release(&self.declared.name, &self.id);
        self.removed = Some(Ok(()));
        self.show();
        Ok(())
    }

    async fn notice(&mut self, notice: Option<Notice>) {
        match notice {
            Some(Notice::Event(Event::Exited(exit))) => self.ended(exit).await,
            Some(Notice::Event(Event::ExecExited { id, exit })) => self.exec_ended(&id, exit),
            Some(Notice::Event(Event::AttachEnded { reason: AttachEnd::Detached, .. })) => {
                self.inner.container_event(&self.id, "detach", &[]);
            }
            Some(Notice::Event(Event::AttachEnded { .. })) => {}
            Some(Notice::Resync(snapshot)) => {
                for exec in snapshot.execs {
                    if let Some(exit) = exec.exit {
                        self.exec_ended(&exec.id, exit);
                    }
                }
                if let Some(exit) = snapshot.exit {
                    self.ended(exit).await;
                }
            }
            None => self.keeper_gone().await,
        }
    }

    fn exec_ended(&self, exec: &str, exit: protocol::Exit) {
        self.inner.exec_ended(&self.id, exec, exit.code);
    }

    /// The connection ended: the keeper told of the end before and is gone, or it was killed.
    async fn keeper_gone(&mut self) {
        self.events = None;
        let Some(live) = self.live.clone() else { return };
        let record = super::reconcile::exit_record(&self.inner.exit_file(&self.id));
        let exit = match record {
            Some(exit) => exit,
            None => {
                // nobody reads its output and nobody will know its exit code: it cannot go on
                tracing::error!(container = self.id.short(), "its keeper is gone; killing the container");
                let cgroup = live.cgroup.clone();
                let killed = blocking(move || cgroup.kill().map_err(|e| Error::system("kill cgroup", e))).await;
                if let Err(error) = killed {
                    tracing::error!(container = self.id.short(), %error, "kill");
                }
                let now = wharf_logs::Timestamp::now();
                protocol::Exit { code: 137, signal: Some(9), at: now }
            }
        };
        self.ended(exit).await;
    }

    /// The first process has ended, and everything that it wrote is in the log.
    async fn ended(&mut self, exit: protocol::Exit) {
        self.events = None;
        let Some(live) = self.live.take() else { return };
        let cgroup = live.cgroup.clone();
        let killed = cgroup.oom_kills().unwrap_or(0) > 0;
        let exit = Exit { code: exit.code, oom_killed: killed, at: start::timestamp(exit.at) };
        let ran = ran_for(self.lived.state.started_at, exit.at);
        let policy = declare::restart_policy(&self.declared.host_config);
        let again = match policy {
            Ok(policy) if !self.hold && !self.no_restart => self.backoff.next(policy, exit.code, ran),
            _ => None,
        };
        self.lived.state.exited(exit, again.is_some());
        self.end_health();
        self.ends += 1;
        for exec in self.inner.execs.running_in(&self.id) {
            self.inner.execs.ended(&exec, 137);
        }
        drop(live);
        self.network_events("disconnect");
        let teardown = tokio::spawn(start::teardown(&self.inner, &self.id, Some(cgroup)).run());
        let goes = again.is_none() && self.declared.host_config.auto_remove && !self.hold;
        if !goes {
            // whoever is told how it ended must be told the same after a failure of the machine
            self.save().await;
            let _ = failpoint::hit("engine.exit.after_rows");
        }
        self.show();
        let _ = failpoint::hit("engine.exit.after_state");
        if killed {
            self.inner.container_event(&self.id, "oom", &[]);
        }
        let seconds = ran.as_secs().to_string();
        self.inner.container_event(
            &self.id,
            "die",
            &[("exitCode", &exit.code.to_string()), ("execDuration", &seconds)],
        );
        if goes {
            let options = RemoveOptions { volumes: true, ..RemoveOptions::default() };
            if let Err(error) = self.remove(options, Some(teardown)).await {
                tracing::error!(container = self.id.short(), %error, "remove at its end");
                self.removed = None;
            }
            return;
        }
        let _ = teardown.await;
        let _ = failpoint::hit("engine.exit.after_teardown");
        self.restart_at = again.map(|wait| Instant::now() + wait);
        // addresses are free now
        self.show();
    }

    /// The back-off is over.
    async fn restart(&mut self) {
        self.restart_at = None;
        if self.lived.state.status != Status::Restarting {
            return;
        }
        self.lived.restart_count += 1;
        if let Err(error) = self.start().await {
            tracing::warn!(container = self.id.short(), %error, "restart");
            let policy = declare::restart_policy(&self.declared.host_config);
            let code = self.lived.state.exit_code;
            let again = policy.ok().and_then(|policy| self.backoff.next(policy, code, Duration::ZERO));
            if let Some(wait) = again {
                self.lived.state.status = Status::Restarting;
                self.restart_at = Some(Instant::now() + wait);
            }
            self.save().await;
            self.show();
        }
    }

    /// The user does not want it to be started again: what is waiting for its turn stands still.
    pub(super) async fn give_up_restart(&mut self) {
        if self.lived.state.status == Status::Restarting {
            self.restart_at = None;
            self.lived.state.status = Status::Exited;
            self.save().await;
            self.show();
        }
    }
}

/// How the keeper is asked to serve a client.
pub(crate) fn attach_request(
    inner: &Inner,
    config: &wharf_api::container::Config,
    options: &AttachOptions,
    early: &[u8],
) -> Attach {
    Attach {
        id: inner.next_attach(),
        target: Target::Init,
        stdin: options.stdin && config.open_stdin,
        stdout: options.stdout,
        stderr: options.stderr,
        wire: if config.tty { Wire::Raw } else { Wire::Stdcopy },
        detach_keys: declare::keys(options.detach_keys.as_deref()).unwrap_or_default(),
        input: early.to_vec(),
    }
}

/// Whoever asked may have gone: the effect stays.
fn answer<T>(reply: Reply<T>, result: Result<T>) {
    let _ = reply.send(result);
}

async fn next(events: &mut Option<Events>) -> Option<Notice> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
