//! The facade's image operations, over the store: one module per operation, what they share here.

mod archive;
mod commit;
mod list;
mod names;
mod prune;
mod pull;
mod push;
mod remote;

pub use pull::PullOptions;
pub use push::PushOptions;
pub use remote::{Distribution, Login, RegistryAccess, RemoteDocument};

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use wharf_spec::digest::Digest;
use wharf_spec::id::{DiffId, ImageId};
use wharf_spec::image::ImageConfig;
use wharf_spec::platform::Platform;
use wharf_spec::reference::Reference;
use wharf_store::{Job, Removed, Use};

use crate::{Error, Inner, Result};

/// An image as it is at one moment.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of its configuration.
    pub id: ImageId,
    /// The configuration.
    pub config: Arc<ImageConfig>,
    /// `repo:tag` names, familiar form, sorted.
    pub tags: Vec<String>,
    /// `repo@digest` names, familiar form.
    pub digests: Vec<String>,
    /// Bytes of all layers, unpacked.
    pub size: i64,
    /// Image that it was committed from.
    pub parent: Option<ImageId>,
    /// When a tag was last put on it.
    pub last_tagged: Option<Timestamp>,
    /// Containers made of it, running or not.
    pub containers: usize,
    /// Storage driver.
    pub driver: String,
    /// Docker's `GraphDriver.Data`.
    pub graph: std::collections::BTreeMap<String, String>,
    /// Layers, bottom first.
    pub layers: Vec<DiffId>,
}

/// One row of `docker images`: nothing in it has to be parsed or looked up.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// The image; of its names the familiar forms are shown.
    pub image: Arc<wharf_store::Image>,
    /// Containers made of it, running or not.
    pub containers: usize,
}

/// One row of `docker history`.
#[derive(Debug, Clone)]
pub struct HistoryItem {
    /// The image at this step; `None` shows `<missing>`.
    pub id: Option<ImageId>,
    /// When.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// Names.
    pub tags: Vec<String>,
    /// Bytes of the step's layer.
    pub size: i64,
    /// Comment.
    pub comment: String,
}

/// One line of `DELETE /images/x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageDeleted {
    /// A name is gone.
    Untagged(String),
    /// An image or a layer is gone.
    Deleted(String),
}

/// One item of a progress stream (load, import, pull).
#[derive(Debug)]
pub enum Progress {
    /// `{"stream": …}`
    Stream(String),
    /// `{"status": …, "id": …, "progressDetail": {…}}`
    Status {
        /// What happens.
        status: String,
        /// To what.
        id: Option<String>,
        /// Bytes done and all.
        detail: Option<(u64, Option<u64>)>,
    },
    /// `{"status": …, "id": …}`: what a group of lines is about.
    Heading {
        /// What happens.
        status: String,
        /// To what.
        id: String,
    },
    /// `{"aux": {"Tag": …, "Digest": …, "Size": …}}`: a tag was pushed.
    Pushed {
        /// The tag.
        tag: String,
        /// Digest of its manifest.
        digest: Digest,
        /// Length of its manifest.
        size: usize,
    },
    /// `{"error": …, "errorDetail": …}`; the last item.
    Error(Error),
}

/// `POST /images/create?fromSrc=…`.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name.
    pub repo: String,
    /// Tag.
    pub tag: String,
    /// Commit message.
    pub message: String,
    /// Dockerfile instructions to apply (`CMD …`, `ENV …`).
    pub changes: Vec<String>,
    /// Platform.
    pub platform: Option<String>,
}

/// `POST /commit`.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Container name or ID.
    pub container: String,
    /// Name.
    pub repo: String,
    /// Tag.
    pub tag: String,
    /// Comment.
    pub comment: String,
    /// Author.
    pub author: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// Configuration instead of the container's.
    pub config: Option<wharf_api::container::Config>,
}

/// What a prune of images removed.
#[derive(Debug, Clone, Default)]
pub struct ImagesPruned {
    /// Names and images.
    pub deleted: Vec<ImageDeleted>,
    /// Bytes.
    pub space: u64,
}

/// What `docker system df` shows.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Bytes of all layers, each counted once.
    pub layers: i64,
    /// Images with the bytes that they share with others.
    pub images: Vec<(ImageSummary, i64)>,
    /// Containers with their sizes.
    pub containers: Vec<crate::Listed>,
    /// Volumes with their bytes and reference counts.
    pub volumes: Vec<crate::Volume>,
}

/// Chunks of progress on their way to one client.
const PROGRESS: usize = 64;

fn timestamp(seconds: i64) -> Option<Timestamp> {
    if seconds == 0 { None } else { Timestamp::from_second(seconds).ok() }
}

/// A name and a tag as the API gives them apart.
fn reference(repo: &str, tag: &str) -> Result<Option<Reference>> {
    if repo.is_empty() {
        return Ok(None);
    }
    let invalid = |e: wharf_spec::reference::ReferenceError| Error::InvalidParameter(e.to_string());
    let mut reference = Reference::parse(repo).map_err(invalid)?;
    if reference.digest().is_some() {
        return Err(Error::InvalidParameter("cannot import digest reference".into()));
    }
    if !tag.is_empty() {
        reference = reference.with_tag(tag).map_err(|_| Error::InvalidParameter("invalid tag format".into()))?;
    }
    Ok(Some(reference.with_default_tag()))
}

fn platform(text: Option<&str>) -> Result<Option<Platform>> {
    let parse = |text: &str| text.parse::<Platform>().map_err(|e| Error::InvalidParameter(e.to_string()));
    text.filter(|t| !t.is_empty()).map(parse).transpose()
}

impl Inner {
    /// Which containers use an image.
    fn users(&self, image: &ImageId) -> Vec<Use> {
        let uses = |container: Arc<crate::container::snapshot::Container>| {
            let mounts = container.mounts.iter().any(|point| point.image == Some(*image));
            (container.image == *image || mounts)
                .then(|| Use { container: container.id.clone(), running: container.state.status.is_running() })
        };
        self.index.all().iter().filter_map(|handle| uses(handle.container())).collect()
    }

    /// How many containers each image has.
    fn container_counts(&self) -> HashMap<ImageId, usize> {
        let mut counts = HashMap::new();
        for handle in self.index.all() {
            *counts.entry(handle.container().image).or_default() += 1;
        }
        counts
    }

    fn picture(&self, image: &wharf_store::Image, containers: usize) -> Result<Arc<Image>> {
        let graph = self.store.image_data(image).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Arc::new(Image {
            id: image.id,
            config: Arc::new(image.config()?),
            tags: image.tags.iter().map(Reference::familiar).collect(),
            digests: image.digests.iter().map(Reference::familiar).collect(),
            size: i64::try_from(image.size).unwrap_or(i64::MAX),
            parent: image.parent,
            last_tagged: image.last_tagged.and_then(|at| Timestamp::from_nanosecond(at).ok()),
            containers,
            driver: self.store.driver().name().into(),
            graph,
            layers: image.layers.clone(),
        }))
    }

    /// The image that `name` means, which must be for `wanted`.
    pub(crate) fn resolve_platform(&self, name: &str, wanted: Option<&Platform>) -> Result<Arc<wharf_store::Image>> {
        let image = self.store.resolve(name)?;
        let Some(wanted) = wanted else { return Ok(image) };
        let have = image.config()?.platform();
        if have.satisfies(wanted) {
            return Ok(image);
        }
        Err(Error::NotFound(format!(
            "image with reference {name} was found but its platform ({have}) does not match the specified platform ({wanted})"
        )))
    }

    fn image_event(&self, action: &str, id: &str, name: &str) {
        let mut attributes = std::collections::BTreeMap::new();
        if let Ok(image) = self.store.resolve(id) {
            attributes.extend(image.labels.clone().unwrap_or_default());
        }
        attributes.insert("name".to_owned(), name.to_owned());
        self.bus.publish("image", action, id, attributes);
    }

    fn removed(&self, list: Vec<Removed>) -> Vec<ImageDeleted> {
        let tell = |one: Removed| match one {
            Removed::Untagged(name) => {
                self.image_event("untag", &name, &name);
                ImageDeleted::Untagged(name)
            }
            Removed::Deleted(id) => {
                self.image_event("delete", &id.to_string(), &id.to_string());
                ImageDeleted::Deleted(id.to_string())
            }
        };
        list.into_iter().map(tell).collect()
    }
}

/// Where the messages of an operation go that waits for others: nothing is lost, and it ends when the client goes.
#[derive(Clone)]
struct Messages(mpsc::Sender<Progress>);

impl Messages {
    /// Runs `work` until it or its client ends; its error is the last item.
    fn run<F>(work: impl FnOnce(Messages) -> F) -> mpsc::Receiver<Progress>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(PROGRESS);
        let work = work(Messages(sender.clone()));
        tokio::spawn(async move {
            tokio::select! {
                done = work => if let Err(error) = done {
                    // the client may have gone at this moment
                    let _ = sender.send(Progress::Error(error)).await;
                },
                () = sender.closed() => {}
            }
        });
        receiver
    }

    async fn send(&self, item: Progress) {
        // without a client the operation is about to be cancelled
        let _ = self.0.send(item).await;
    }

    /// A line of its own.
    async fn line(&self, status: impl Into<String>) {
        self.send(Progress::Status { status: status.into(), id: None, detail: None }).await;
    }

    /// The line of one layer.
    async fn layer(&self, id: &str, status: impl Into<String>) {
        self.send(Progress::Status { status: status.into(), id: Some(id.to_owned()), detail: None }).await;
    }

    /// A bar, of a layer or (no `id`) of all; left out when the client does not take it in time. `total` 0: nobody knows.
    fn bar(&self, id: &str, status: &str, current: u64, total: u64) {
        let detail = Some((current, (total > 0).then_some(total)));
        let id = (!id.is_empty()).then(|| id.to_owned());
        let _ = self.0.try_send(Progress::Status { status: status.into(), id, detail });
    }
}

/// Runs a long operation on a blocking thread; its error is the last item.
fn progress(work: impl FnOnce(&mpsc::Sender<Progress>) -> Result<()> + Send + 'static) -> mpsc::Receiver<Progress> {
    let (sender, receiver) = mpsc::channel(PROGRESS);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = work(&sender) {
            let _ = sender.blocking_send(Progress::Error(error));
        }
    });
    receiver
}

/// A job whose progress goes to the client; what it does not take in time is left out.
fn job(sender: &mpsc::Sender<Progress>) -> Job {
    let sender = sender.clone();
    Job::reporting(move |step| {
        let item = match step {
            wharf_store::Progress::Layer { id, current, total } => Progress::Status {
                status: "Loading layer".into(),
                id: Some(id),
                detail: Some((current, (total > 0).then_some(total))),
            },
            wharf_store::Progress::Exists { .. } => return,
        };
        let _ = sender.try_send(item);
    })
}
