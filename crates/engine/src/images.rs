//! The facade's image operations, over the store.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use wharf_spec::id::{DiffId, ImageId};
use wharf_spec::image::{ImageConfig, RunConfig};
use wharf_spec::platform::Platform;
use wharf_spec::reference::Reference;
use wharf_store::{Commit, Import, Job, Removed, Use};

use crate::container::handle::Command;
use crate::{ByteSink, ByteSource, ByteStream, Engine, Error, Filters, Inner, Result, blocking, list};

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
            (container.image == *image)
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

impl Engine {
    /// Lists images, newest first. `all`: intermediate ones, too.
    pub async fn image_list(&self, all: bool, filters: Filters) -> Result<Vec<Arc<Image>>> {
        filters.only(&["before", "dangling", "label", "reference", "since", "until"])?;
        let inner = &self.inner;
        let catalog = inner.store.catalog();
        let created = |key: &str| -> Result<Option<i64>> {
            filters.get(key).iter().map(|name| Ok(inner.store.resolve(name)?.created)).next_back().transpose()
        };
        let (before, since) = (created("before")?, created("since")?);
        let until = list::until(&filters)?.map(Timestamp::as_second);
        let dangling = filters.boolean("dangling")?;
        let counts = inner.container_counts();
        let mut images = Vec::new();
        for image in catalog.images() {
            let intermediate = image.is_dangling() && catalog.images().any(|other| other.parent == Some(image.id));
            let label = |name: &str| image.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
            let names = filters.get("reference");
            let named = names.is_empty()
                || image.tags.iter().chain(&image.digests).any(|r| names.iter().any(|n| name_matches(n, r)));
            let keep = (all || !intermediate)
                && dangling.is_none_or(|wanted| wanted == image.is_dangling())
                && named
                && filters.labels("label", label)
                && before.is_none_or(|b| image.created < b)
                && since.is_none_or(|s| image.created > s)
                && until.is_none_or(|u| image.created < u);
            if keep {
                let count = counts.get(&image.id).copied().unwrap_or(0);
                images.push((image.created, inner.picture(image, count)?));
            }
        }
        images.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.id.cmp(&y.id)));
        Ok(images.into_iter().map(|(_, image)| image).collect())
    }

    /// Everything about one.
    pub async fn image_inspect(&self, name: &str) -> Result<Arc<Image>> {
        let image = self.inner.store.resolve(name)?;
        let containers = self.inner.users(&image.id).len();
        self.inner.picture(&image, containers)
    }

    /// Its steps, newest first.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let image = self.inner.store.resolve(name)?;
        let rows = self.inner.store.history(&image)?;
        let item = |row: wharf_store::HistoryRow| HistoryItem {
            id: row.id,
            created: timestamp(row.created),
            created_by: row.created_by,
            tags: row.tags,
            size: i64::try_from(row.size).unwrap_or(i64::MAX),
            comment: row.comment,
        };
        Ok(rows.into_iter().map(item).collect())
    }

    /// Puts another name on it.
    pub async fn image_tag(&self, name: &str, repo: &str, tag: &str) -> Result<()> {
        let image = self.inner.store.resolve(name)?;
        let reference = reference(repo, tag)?
            .ok_or_else(|| Error::InvalidParameter("repository name must have at least one component".into()))?;
        let (store, id, new) = (self.inner.store.clone(), image.id, reference.clone());
        blocking(move || Ok(store.tag(&id, &new)?)).await?;
        self.inner.image_event("tag", &image.id.to_string(), &reference.familiar());
        Ok(())
    }

    /// Takes a name off it, and with the last name removes it. `prune`: its nameless parents, too.
    pub async fn image_remove(&self, name: &str, force: bool, prune: bool) -> Result<Vec<ImageDeleted>> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || {
            let list = inner.store.remove(&name, force, prune, &|id| inner.users(id))?;
            Ok(inner.removed(list))
        })
        .await
    }

    /// Brings an image here. So far only the one that is built in; registries come with their own crate.
    pub async fn image_pull(&self, name: &str, tag: &str) -> Result<mpsc::Receiver<Progress>> {
        let invalid = |e: wharf_spec::reference::ReferenceError| Error::InvalidParameter(e.to_string());
        let mut wanted = Reference::parse(name).map_err(invalid)?;
        if !tag.is_empty() {
            wanted = match tag.parse() {
                Ok(digest) => wanted.with_digest(digest),
                Err(_) => wanted.with_tag(tag).map_err(invalid)?,
            };
        }
        if !wharf_store::Store::is_embedded(&wanted) {
            return Err(Error::NotImplemented("access to registries is not implemented by this engine yet".into()));
        }
        let (inner, wanted) = (self.inner.clone(), wanted.with_default_tag());
        Ok(progress(move |sender| {
            let status = |status: String, id: Option<String>| {
                // nobody listens any more: the image is installed all the same
                let _ = sender.blocking_send(Progress::Status { status, id, detail: None });
            };
            status(format!("Pulling from {}", wanted.path()), wanted.tag().map(str::to_owned));
            let old = inner.store.catalog().by_reference(&wanted).map(|image| image.id);
            let image = inner.store.install_hello_world()?;
            inner.image_event("pull", &wanted.familiar(), &wanted.familiar_name());
            status(
                match old == Some(image.id) {
                    true => format!("Status: Image is up to date for {}", wanted.familiar()),
                    false => format!("Status: Downloaded newer image for {}", wanted.familiar()),
                },
                None,
            );
            Ok(())
        }))
    }

    /// Makes an image of a tar of a root file system.
    pub async fn image_import(
        &self,
        mut source: ByteSource,
        options: ImportOptions,
    ) -> Result<mpsc::Receiver<Progress>> {
        let import = Import {
            reference: reference(&options.repo, &options.tag)?,
            changes: options.changes,
            message: options.message,
            platform: platform(options.platform.as_deref())?,
        };
        let inner = self.inner.clone();
        Ok(progress(move |sender| {
            let id = inner.store.import(&mut source, &import, &job(sender))?;
            inner.image_event("import", &id.to_string(), &id.to_string());
            let _ = sender.blocking_send(Progress::Status { status: id.to_string(), id: None, detail: None });
            Ok(())
        }))
    }

    /// Takes the images of an archive (docker-archive or OCI layout, compressed or not).
    pub async fn image_load(
        &self,
        mut source: ByteSource,
        quiet: bool,
        wanted: Option<String>,
    ) -> Result<mpsc::Receiver<Progress>> {
        let wanted = platform(wanted.as_deref())?;
        let inner = self.inner.clone();
        Ok(progress(move |sender| {
            let job = if quiet { Job::default() } else { job(sender) };
            for loaded in inner.store.load(&mut source, wanted.as_ref(), &job)? {
                let name = loaded.reference.as_ref().map(Reference::familiar);
                let line = match &name {
                    Some(name) => format!("Loaded image: {name}\n"),
                    None => format!("Loaded image ID: {}\n", loaded.id),
                };
                inner.image_event("load", &loaded.id.to_string(), &name.unwrap_or_else(|| loaded.id.to_string()));
                let _ = sender.blocking_send(Progress::Stream(line));
            }
            Ok(())
        }))
    }

    /// Writes images to an archive.
    pub async fn image_save(&self, names: &[String], wanted: Option<String>) -> Result<ByteStream> {
        platform(wanted.as_deref())?;
        for name in names {
            if let Err(error) = self.inner.store.resolve(name) {
                // a name without a tag means all tags, `latest` among them or not
                if !Reference::parse(name).is_ok_and(|r| r.is_name_only() && self.has_repository(&r)) {
                    return Err(error.into());
                }
            }
        }
        let (mut sink, stream) = ByteSink::channel();
        let (inner, names) = (self.inner.clone(), names.to_vec());
        let work = move || match inner.store.save(&names, &mut sink, &Job::default()) {
            Ok(()) => {
                for name in names {
                    if let Ok(image) = inner.store.resolve(&name) {
                        inner.image_event("save", &image.id.to_string(), &image.id.to_string());
                    }
                }
            }
            Err(error) => sink.fail(std::io::Error::other(error.to_string())),
        };
        tokio::task::spawn_blocking(work);
        Ok(stream)
    }

    /// Makes an image of a container.
    pub async fn image_commit(&self, options: CommitOptions) -> Result<ImageId> {
        let handle = self.inner.index.resolve(&options.container)?;
        let container = handle.container();
        let target = reference(&options.repo, &options.tag)?;
        let mut config = options.config.unwrap_or_default();
        crate::container::merge_for_commit(&mut config, &container.config);
        let run: RunConfig = run_config(&config)?;
        let words: Vec<&str> =
            std::iter::once(container.path.as_str()).chain(container.args.iter().map(String::as_str)).collect();
        let commit = Commit {
            reference: target.clone(),
            author: options.author,
            message: options.comment,
            config: run,
            changes: options.changes,
            container_config: serde_json::to_value(&*container.config).ok(),
            created_by: words.join(" "),
        };
        let freeze = options.pause && container.state.status == crate::container::state::Status::Running;
        if freeze {
            handle.ask(Command::Pause).await?;
        }
        let (store, id) = (self.inner.store.clone(), handle.id.clone());
        let done = blocking(move || Ok(store.snapshot_commit(&id, &commit, &Job::default())?)).await;
        if freeze {
            handle.ask(Command::Unpause).await?;
        }
        let image = done?;
        let name = target.map(|r| r.familiar()).unwrap_or_default();
        self.inner.container_event(
            &handle.id,
            "commit",
            &[("comment", ""), ("imageID", &image.to_string()), ("imageRef", &name)],
        );
        Ok(image)
    }

    /// Removes images that nobody needs: without names, or (`dangling=false`) all without containers.
    pub async fn image_prune(&self, filters: Filters) -> Result<ImagesPruned> {
        filters.only(&["dangling", "label", "label!", "until"])?;
        let all = filters.boolean("dangling")? == Some(false);
        let until = list::until(&filters)?.map(Timestamp::as_second);
        let inner = self.inner.clone();
        blocking(move || {
            let select = |image: &wharf_store::Image| {
                let label = |name: &str| image.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
                filters.labels("label", label)
                    && (filters.get("label!").is_empty() || !filters.labels("label!", label))
                    && until.is_none_or(|u| image.created < u)
            };
            let pruned = inner.store.prune(all, &|id| inner.users(id), &select)?;
            Ok(ImagesPruned { deleted: inner.removed(pruned.removed), space: pruned.reclaimed })
        })
        .await
    }

    /// Is there any tag in this repository?
    fn has_repository(&self, wanted: &Reference) -> bool {
        self.inner.store.catalog().names().any(|(name, _)| name.name() == wanted.name())
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

/// A container's declaration as an image's: the names are the same.
fn run_config(config: &wharf_api::container::Config) -> Result<RunConfig> {
    let mut document = serde_json::to_value(config).map_err(|e| Error::system("encode configuration", e))?;
    if let Some(fields) = document.as_object_mut() {
        for host_only in [
            "Hostname",
            "Domainname",
            "AttachStdin",
            "AttachStdout",
            "AttachStderr",
            "Tty",
            "OpenStdin",
            "StdinOnce",
            "Image",
            "MacAddress",
            "NetworkDisabled",
        ] {
            fields.remove(host_only);
        }
    }
    serde_json::from_value(document).map_err(|e| Error::system("image configuration", e))
}

/// `reference=` patterns: `*` within a component, a name without tag means every tag.
fn name_matches(pattern: &str, reference: &Reference) -> bool {
    let (full, name) = (reference.familiar(), reference.familiar_name());
    glob(pattern.as_bytes(), full.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            let longest = text.iter().position(|&c| c == b'/').unwrap_or(text.len());
            (0..=longest).any(|n| glob(&pattern[1..], &text[n..]))
        }
        (Some(b'?'), Some(c)) if *c != b'/' => glob(&pattern[1..], &text[1..]),
        (Some(p), Some(c)) if p == c => glob(&pattern[1..], &text[1..]),
        _ => false,
    }
}

/// What `docker system df` shows.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Bytes of all layers, each counted once.
    pub layers: i64,
    /// Images with the bytes that they share with others.
    pub images: Vec<(Arc<Image>, i64)>,
    /// Containers with their sizes.
    pub containers: Vec<crate::Listed>,
    /// Volumes with their bytes and reference counts.
    pub volumes: Vec<crate::Volume>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        let check = |pattern: &str, name: &str, expect: bool| {
            let reference = Reference::parse(name).expect("a name").with_default_tag();
            assert_eq!(name_matches(pattern, &reference), expect, "{pattern} {name}");
        };
        check("busybox", "busybox:1", true);
        check("busybox:1", "busybox:1", true);
        check("busy*", "busybox", true);
        check("busy*:latest", "busybox", true);
        check("*", "a/b", false);
        check("*/b", "a/b", true);
        check("box", "busybox", false);
    }
}
