//! New images: from a tar of a file system (`import`) and from a container (`commit`). Configurations are written as Docker writes
//! them: members of the document in alphabetical order, those of `config` in Docker's own.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::fd::AsFd,
};

use serde_json::{Map, Value, json};
use wharf_archive::{Changed, Source};
use wharf_spec::{
    digest::Digest,
    id::{ContainerId, DiffId, ImageId},
    image::{ImageConfig, RunConfig},
    platform::Platform,
    reference::Reference,
};

use crate::{
    Change, ChangeKind, Commit, Driver, Error, Import, Job, Progress, Result, changes, intake,
    intake::Intake,
    layout::DIFF,
    store::{NewImage, Staged, Store},
};

/// SHA-256 of a tar without members: the layer of a step that changed nothing is not kept.
const EMPTY_LAYER: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

impl Store {
    /// Makes an image of one layer from a tar (plain or gzip, bzip2, xz, zstd).
    pub fn import(&self, reader: &mut dyn Read, import: &Import, job: &Job) -> Result<ImageId> {
        let mut run = RunConfig::default();
        changes::apply(&mut run, &import.changes)?;
        let progress = |current| job.report(|| Progress::Layer { id: String::new(), current, total: 0 });
        let layer = intake::take(self.layout(), reader, job, progress)?.layer?;
        let platform = import.platform.clone().unwrap_or_else(Platform::host);
        let created = now();
        let mut step = Map::new();
        step.insert("created".into(), created.clone().into());
        let message = if import.message.is_empty() { "Imported from -" } else { &import.message };
        step.insert("comment".into(), message.into());
        let document = Document {
            platform: &platform,
            created,
            author: "",
            comment: message,
            container: None,
            container_config: docker_config(&RunConfig::default()),
            run: &run,
            history: vec![step.into()],
            layers: vec![layer.diff],
        };
        self.add_made(document.bytes(), Some(layer), None, import.reference.as_ref())
    }

    /// Makes an image from the container's changes (`docker commit`). The caller pauses the container.
    pub fn snapshot_commit(&self, id: &ContainerId, commit: &Commit, job: &Job) -> Result<ImageId> {
        let mut run = commit.config.clone();
        changes::apply(&mut run, &commit.changes)?;
        let row = self.snapshot_row(id)?;
        // the container may be removed meanwhile, and its image with it
        let _pins = self.pin_all(&row.layers)?;
        let layer = self.snapshot_layer(id, job)?;
        let parent = row.image.and_then(|image| self.catalog().get(&image).cloned());
        let parent_config = match &parent {
            Some(image) => image.config()?,
            None => ImageConfig::default(),
        };
        let created = now();
        let is_empty = is_empty_layer(&layer.diff);
        let mut step = Map::new();
        step.insert("created".into(), created.clone().into());
        for (key, value) in
            [("author", &commit.author), ("created_by", &commit.created_by), ("comment", &commit.message)]
        {
            if !value.is_empty() {
                step.insert(key.into(), value.clone().into());
            }
        }
        if is_empty {
            step.insert("empty_layer".into(), true.into());
        }
        let mut history: Vec<Value> = parent_config.history.iter().map(|h| json!(h)).collect();
        history.push(step.into());
        let mut layers = row.layers.clone();
        layers.extend((!is_empty).then_some(layer.diff));
        let platform = if parent.is_some() { parent_config.platform() } else { Platform::host() };
        let document = Document {
            platform: &platform,
            created,
            author: &commit.author,
            comment: &commit.message,
            container: Some(id),
            container_config: commit.container_config.clone().unwrap_or_else(|| docker_config(&commit.config)),
            run: &run,
            history,
            layers,
        };
        let layer = (!is_empty).then_some(layer);
        self.add_made(document.bytes(), layer, parent.map(|p| p.id), commit.reference.as_ref())
    }

    /// The container's changes as a layer of their own: packed and unpacked again, so that the stored layer is exactly what
    /// its digest says.
    fn snapshot_layer(&self, id: &ContainerId, job: &Job) -> Result<Staged> {
        let upper = self.layout().snapshot(id).join(DIFF);
        let root = std::fs::File::open(&upper).map_err(Error::io("open", &upper))?;
        let changed = match self.driver() {
            Driver::Overlay2 => Vec::new(),
            Driver::Vfs | Driver::Btrfs => self.snapshot_changes(id)?.iter().map(as_changed).collect(),
        };
        let mut intake = Intake::start(self.layout())?;
        let check = || stop_if_cancelled(job);
        let packed = match self.driver() {
            Driver::Overlay2 => wharf_archive::pack(root.as_fd(), Source::OverlayUpper, &mut intake, &check),
            Driver::Vfs | Driver::Btrfs => wharf_archive::pack_changes(root.as_fd(), &changed, &mut intake, &check),
        };
        let flushed = intake.flush();
        let blob = intake.finish();
        job.check()?;
        packed?;
        flushed.map_err(|source| Error::Stream { op: "pack layer", source })?;
        blob.layer
    }

    /// Adds an image that was made here, and its new layer.
    pub(crate) fn add_made(
        &self,
        config: Vec<u8>,
        layer: Option<Staged>,
        parent: Option<ImageId>,
        reference: Option<&Reference>,
    ) -> Result<ImageId> {
        wharf_sys::failpoint::hit("store.make.synced").map_err(Error::io("publish", self.layout().base()))?;
        let mut change = self.change();
        if let Some(layer) = layer {
            change.add_layer(layer)?;
            self.layout().sync_names()?;
        }
        wharf_sys::failpoint::hit("store.make.renamed").map_err(Error::io("publish", self.layout().base()))?;
        let names = reference.map(|r| r.clone().with_default_tag()).into_iter().collect();
        let parent = parent.filter(|p| change.catalog.get(p).is_some());
        let id = change.add_image(&NewImage { config: config.into(), parent, names })?;
        change.commit()?;
        Ok(id)
    }
}

fn as_changed(change: &Change) -> Changed {
    let path = change.path.strip_prefix("/").unwrap_or(&change.path).to_owned();
    Changed { path, deleted: change.kind == ChangeKind::Deleted }
}

pub(crate) fn stop_if_cancelled(job: &Job) -> wharf_archive::Result<()> {
    job.check().map_err(|_| wharf_archive::Error::Stream {
        op: "archive",
        source: std::io::Error::new(std::io::ErrorKind::Interrupted, "cancelled"),
    })
}

/// A configuration in the making.
struct Document<'a> {
    platform: &'a Platform,
    created: String,
    author: &'a str,
    comment: &'a str,
    container: Option<&'a ContainerId>,
    container_config: Value,
    run: &'a RunConfig,
    history: Vec<Value>,
    layers: Vec<DiffId>,
}

impl Document<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut members: BTreeMap<&str, Value> = BTreeMap::new();
        members.insert("architecture", self.platform.architecture.clone().into());
        members.insert("os", self.platform.os.clone().into());
        if !self.platform.variant.is_empty() {
            members.insert("variant", self.platform.variant.clone().into());
        }
        for (key, value) in [("author", self.author), ("comment", self.comment)] {
            if !value.is_empty() {
                members.insert(key, value.into());
            }
        }
        if let Some(container) = self.container {
            members.insert("container", container.as_str().into());
        }
        members.insert("created", self.created.clone().into());
        members.insert("config", docker_config(self.run));
        members.insert("container_config", self.container_config.clone());
        members.insert("docker_version", env!("CARGO_PKG_VERSION").into());
        members.insert("history", self.history.clone().into());
        members.insert("rootfs", json!({"type": "layers", "diff_ids": self.layers}));
        crate::rows::encode(&members)
    }
}

/// Makes the value of a member that is always there.
type Default = fn() -> Value;

/// Members of Docker's `container.Config` in its order; those with `None` are left out when they are empty.
const DOCKER_CONFIG: &[(&str, Option<Default>)] = &[
    ("Hostname", Some(text)),
    ("Domainname", Some(text)),
    ("User", Some(text)),
    ("AttachStdin", Some(no)),
    ("AttachStdout", Some(no)),
    ("AttachStderr", Some(no)),
    ("ExposedPorts", None),
    ("Tty", Some(no)),
    ("OpenStdin", Some(no)),
    ("StdinOnce", Some(no)),
    ("Env", Some(null)),
    ("Cmd", Some(null)),
    ("Healthcheck", None),
    ("ArgsEscaped", None),
    ("Image", Some(text)),
    ("Volumes", Some(null)),
    ("WorkingDir", Some(text)),
    ("Entrypoint", Some(null)),
    ("NetworkDisabled", None),
    ("MacAddress", None),
    ("OnBuild", Some(null)),
    ("Labels", Some(null)),
    ("StopSignal", None),
    ("StopTimeout", None),
    ("Shell", None),
];

fn text() -> Value {
    "".into()
}

fn no() -> Value {
    false.into()
}

fn null() -> Value {
    Value::Null
}

/// A run configuration as Docker writes it into an image.
pub(crate) fn docker_config(run: &RunConfig) -> Value {
    let Ok(Value::Object(mut have)) = serde_json::to_value(run) else { return Value::Null };
    let mut out = Map::new();
    for (key, default) in DOCKER_CONFIG {
        match (have.shift_remove(*key), default) {
            (Some(value), _) => drop(out.insert((*key).into(), value)),
            (None, Some(default)) => drop(out.insert((*key).into(), default())),
            (None, None) => {}
        }
    }
    out.extend(have);
    Value::Object(out)
}

/// Now, as Go's `RFC3339Nano` writes it.
fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Whether `diff` is the layer without members.
fn is_empty_layer(diff: &Digest) -> bool {
    diff.hex() == EMPTY_LAYER
}
