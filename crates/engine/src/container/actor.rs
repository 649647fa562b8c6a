//! The task that owns one container: takes commands and its keeper's notices one after the other, and publishes a picture
//! after every change. The states and what leads from one to another are drawn in [`super::state`].

use std::sync::Arc;

use tokio::sync::{RwLock, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wharf_shim::client::{Events, Notice};
use wharf_spec::id::ContainerId;
use wharf_sys::failpoint;

use super::handle::{Command, Handle, Live, Picture, QUEUE, Reply, Why};
use super::health::{self, Check, Monitor};
use super::record::{self, Declared, Lived, Outlives};
use super::restart::Backoff;
use super::slots::Slot;
use super::snapshot::{Health, HealthProbe, HealthStatus};
use super::state::Status;
use super::{kill, picture, places, remove, start, update};
use crate::{Error, Inner, RemoveOptions, Result, blocking};

/// How long a start or a removal waits for those who copy files from or to the container: most copies are over by then, and a
/// client that has stopped reading must not hold the container up for ever.
const FILES: std::time::Duration = std::time::Duration::from_secs(10);

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
    pub(super) events: Option<Events>,
    /// Ends when the keeper of the run before is gone.
    pub(super) leaving: Option<JoinHandle<()>>,
    pub(super) ends: u64,
    /// `restart` is at work: no policy has a say.
    pub(super) hold: bool,
    /// The user ended it: the restart policy has no say at the next end.
    pub(super) no_restart: bool,
    pub(super) backoff: Backoff,
    pub(super) restart_at: Option<Instant>,
    pub(super) slots: Vec<Slot>,
    pub(super) removed: Option<Result<(), String>>,
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
        leaving: None,
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
            Command::StandStill(reply) => {
                let result = self.stand_still().await;
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
            Command::Probed(run, probe) => self.probed(run, probe).await,
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
    pub(super) fn network_events(&self, action: &str) {
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

    pub(super) async fn start(&mut self) -> Result<()> {
        self.restart_at = None;
        self.keeper_left().await;
        let alone = self.files_alone().await?;
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
                failpoint::hit("engine.start.after_rows").map_err(Error::injected)?;
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
                // its removal waits for the files, too
                drop(alone);
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
        self.lived.stands_still &= on;
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

    async fn stand_still(&mut self) -> Result<()> {
        self.lived.state.may_pause(self.id.as_str())?;
        self.lived.stands_still = true;
        self.save().await;
        let done = self.freeze(true).await;
        if done.is_err() {
            self.lived.stands_still = false;
            self.save().await;
        }
        done
    }

    /// Waits until nobody is at its files.
    async fn files_alone(&self) -> Result<tokio::sync::OwnedRwLockWriteGuard<()>> {
        tokio::time::timeout(FILES, self.files.clone().write_owned()).await.map_err(|_| {
            Error::Conflict(format!(
                "files are being copied from or to container {}: try again when that is over",
                self.id
            ))
        })
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
    pub(super) fn end_health(&mut self) {
        self.monitor = None;
        if let Some(health) = &mut self.lived.health {
            Arc::make_mut(health).status = HealthStatus::Unhealthy;
        }
    }

    pub(super) async fn probed(&mut self, run: u64, probe: HealthProbe) {
        let current = self.monitor.as_ref().is_some_and(|monitor| monitor.run == run);
        let (Some(check), Some(before), true) = (Check::of(&self.declared.config), &self.lived.health, current) else {
            return;
        };
        let now = check.judge(before, probe, self.lived.state.started_at);
        let changed = (now.status != before.status).then(|| now.status.as_str());
        self.lived.health = Some(Arc::new(now));
        if changed.is_some() {
            // the log of each probe is not worth a write; a new status is, before anybody sees it
            let saved = record::save_lived(&self.inner.db, &self.id, &self.lived, Outlives::Processes).await;
            if let Err(error) = saved {
                tracing::error!(container = self.id.short(), %error, "write health");
            }
        }
        self.show();
        if let Some(status) = changed {
            self.inner.container_event(&self.id, format!("health_status: {status}"), &[]);
        }
    }

    /// Remembers that it is on a network now, or no more.
    /// Joins or leaves a network: first the row, then the world. When the world refuses, the row is as it was.
    async fn networks(&mut self, name: String, settings: Option<wharf_api::container::EndpointSettings>) -> Result<()> {
        let before = self.declared.networking.clone();
        self.declared.networking = Arc::new(places::changed(&before, &name, settings));
        // no process can lose the row when the world begins to follow it; the disk takes it meanwhile
        let mut done = record::save_intent(&self.inner.db, &self.id, &self.declared, &self.lived).await;
        if done.is_ok() {
            let (followed, synced) = tokio::join!(
                places::follow(&self.inner, &self.id, &self.declared, self.live.clone(), &name),
                record::safe(&self.inner.db, Outlives::of(&self.declared)),
            );
            done = followed.and(synced);
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
    pub(super) async fn remove(&mut self, options: RemoveOptions, teardown: Option<JoinHandle<()>>) -> Result<()> {
        self.lived.state.may_remove(&self.declared.name)?;
        let before = std::mem::replace(&mut self.lived.state.status, Status::Removing);
        self.restart_at = None;
        self.slots.clear();
        self.show();
        // a client that does not read on may not hold up a removal: what it still has open goes with it
        let _alone = self.files_alone().await.ok();
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
