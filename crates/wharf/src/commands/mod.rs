//! What each command does: a request or a few, and how the answer is shown.

mod checkpoint;
mod container;
mod context;
mod copy;
mod events;
mod image;
mod inspect;
mod list;
mod logs;
mod manifest;
mod network;
mod plugin;
mod prune;
mod registry;
mod run;
mod serve;
mod stats;
mod system;
mod volume;

use serde_json::Value;

use crate::engine::{Client, Query};
use crate::exit::{Exit, Outcome};
use crate::flags::Flags;
use crate::session::Session;
use crate::table::Action;
use crate::{options, output};

/// What `--version` and `version` say of this client.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, when the build was told.
pub(crate) const COMMIT: &str = match option_env!("WHARF_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// One command line, taken apart and checked.
pub(crate) struct Call<'a> {
    pub(crate) session: &'a Session,
    /// Program and path: `docker container run`.
    pub(crate) full: String,
    /// The path alone.
    pub(crate) path: String,
    pub(crate) flags: Flags,
    pub(crate) args: Vec<String>,
}

impl Call<'_> {
    fn client(&self) -> Result<&Client, Exit> {
        self.session.client()
    }

    /// `name`'s filters, added to a query.
    fn filters(&self, query: Query) -> Query {
        match options::filters(&self.flags.all("filter")) {
            Some(filters) => query.with("filters", filters),
            None => query,
        }
    }

    /// The format given, or the one of the configuration, or a table.
    fn format(&self, key: &str) -> String {
        if let Some(format) = self.flags.filled("format") {
            return format.to_owned();
        }
        match self.session.config().text(key).filter(|_| !key.is_empty() && !self.flags.on("quiet")) {
            Some(format) => format.to_owned(),
            None => "table".into(),
        }
    }

    /// Does `each` for all arguments: what works is printed, what fails is told at the end.
    fn for_each(&self, mut each: impl FnMut(&str) -> Result<Option<String>, Exit>) -> Outcome {
        let mut errors = Vec::new();
        for arg in &self.args {
            match each(arg) {
                Ok(Some(line)) => output::line(&line),
                Ok(None) => {}
                Err(exit) => errors.push(exit.message),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Exit::error(errors.join("\n"))) }
    }
}

/// Asks a question; only `y` is a yes.
fn confirm(question: &str) -> bool {
    output::out(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && answer.trim().eq_ignore_ascii_case("y")
}

/// The value of a top-level key that must be there.
fn id_of(answer: &Value) -> String {
    let id = answer.get("Id").or_else(|| answer.get("ID"));
    id.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The one place that knows which function a command is.
pub(crate) fn perform(action: Action, call: &Call<'_>) -> Outcome {
    match action {
        Action::Registry => serve::hand_over(call),
        Action::Completion => system::completion(call),
        Action::ContainerRun => run::run(call),
        Action::ContainerCreate => run::create(call),
        Action::ContainerStart => run::start(call),
        Action::ContainerAttach => run::attach(call),
        Action::ContainerExec => run::exec(call),
        Action::ContainerStop => container::stop(call, "stop"),
        Action::ContainerRestart => container::stop(call, "restart"),
        Action::ContainerKill => container::kill(call),
        Action::ContainerPause => container::simple(call, "pause"),
        Action::ContainerUnpause => container::simple(call, "unpause"),
        Action::ContainerWait => container::wait(call),
        Action::ContainerRm => container::remove(call),
        Action::ContainerRename => container::rename(call),
        Action::ContainerUpdate => container::update(call),
        Action::ContainerTop => container::top(call),
        Action::ContainerPort => container::port(call),
        Action::ContainerDiff => container::diff(call),
        Action::ContainerExport => container::export(call),
        Action::ContainerCommit => container::commit(call),
        Action::ContainerCp => copy::copy(call),
        Action::ContainerLs => list::containers(call),
        Action::ContainerLogs => logs::logs(call),
        Action::ContainerStats => stats::stats(call),
        Action::ContainerPrune => prune::containers(call),
        Action::ContainerInspect => inspect::containers(call),
        Action::ImageInspect => inspect::images(call),
        Action::NetworkInspect => inspect::networks(call),
        Action::VolumeInspect => inspect::volumes(call),
        Action::ContextInspect => context::inspect(call),
        Action::Inspect => inspect::anything(call),
        Action::ImageLs => list::images(call),
        Action::ImageHistory => image::history(call),
        Action::ImageTag => image::tag(call),
        Action::ImageRm => image::remove(call),
        Action::ImageSave => image::save(call),
        Action::ImageLoad => image::load(call),
        Action::ImageImport => image::import(call),
        Action::ImagePull => registry::pull(call),
        Action::ImagePush => registry::push(call),
        Action::ImagePrune => prune::images(call),
        Action::NetworkLs => list::networks(call),
        Action::NetworkCreate => network::create(call),
        Action::NetworkRm => network::remove(call),
        Action::NetworkRules => network::rules(call),
        Action::NetworkConnect => network::connect(call),
        Action::NetworkDisconnect => network::disconnect(call),
        Action::NetworkPrune => prune::networks(call),
        Action::VolumeLs => list::volumes(call),
        Action::VolumeCreate => volume::create(call),
        Action::VolumeRm => volume::remove(call),
        Action::VolumeClone => volume::clone(call),
        Action::VolumeExport => volume::export(call),
        Action::VolumeImport => volume::import(call),
        Action::VolumeRename => volume::rename(call),
        Action::VolumeRestore => volume::restore(call),
        Action::VolumeSnapshot => volume::snapshot(call),
        Action::VolumeSnapshots => volume::snapshots(call),
        Action::VolumePrune => prune::volumes(call),
        Action::ContextLs => context::list(call),
        Action::ContextCreate => context::create(call),
        Action::ContextUse => context::select(call),
        Action::ContextRm => context::remove(call),
        Action::ContextShow => context::show(call),
        Action::ContextExport => context::export(call),
        Action::ContextImport => context::import(call),
        Action::ContextUpdate => context::update(call),
        Action::Version => system::version(call),
        Action::SystemInfo => system::info(call),
        Action::SystemEvents => events::events(call),
        Action::SystemDf => system::usage(call),
        Action::SystemPrune => prune::everything(call),
        Action::SystemDialStdio => system::dial(call),
        Action::Login => registry::login(call),
        Action::Logout => registry::logout(call),
        Action::Search => registry::search(call),
        Action::ManifestAnnotate => manifest::annotate(call),
        Action::ManifestCreate => manifest::create(call),
        Action::ManifestInspect => manifest::inspect(call),
        Action::ManifestPush => manifest::push(call),
        Action::ManifestRm => manifest::remove(call),
        Action::CheckpointCreate => checkpoint::create(call),
        Action::CheckpointLs => checkpoint::list(call),
        Action::CheckpointRm => checkpoint::remove(call),
        Action::PluginLs => list::plugins(call),
        Action::PluginInspect => inspect::plugins(call),
        Action::PluginEnable => plugin::enable(call),
        Action::PluginDisable => plugin::disable(call),
        Action::PluginRm => plugin::remove(call),
        Action::PluginSet => plugin::set(call),
        _ => Err(Exit::error(format!("{}: '{}' is not available yet", call.session.program, call.full))),
    }
}
