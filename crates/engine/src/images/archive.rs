//! `load`, `save` and `import`.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wharf_registry::client::Fetched;
use wharf_spec::platform::Platform;
use wharf_spec::reference::Reference;
use wharf_store::{Import, Job};

use super::{ImportOptions, Messages, Progress, job, platform, progress, reference};
use crate::{ByteFeed, ByteSink, ByteSource, ByteStream, Engine, Error, Result};

/// The client sees the bar move this often.
const TELL: Duration = Duration::from_millis(100);

impl Engine {
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
            platform: import_platform(options.platform.as_deref())?,
        };
        let inner = self.inner.clone();
        Ok(progress(move |sender| {
            let id = inner.store.import(&mut source, &import, &job(sender))?;
            inner.image_event("import", &id.to_string(), &id.to_string());
            let _ = sender.blocking_send(Progress::Status { status: id.to_string(), id: None, detail: None });
            Ok(())
        }))
    }

    /// Makes an image of a tar of a root file system that a web server has.
    pub async fn image_import_url(&self, url: &str, options: ImportOptions) -> Result<mpsc::Receiver<Progress>> {
        let mut import = Import {
            reference: reference(&options.repo, &options.tag)?,
            changes: options.changes,
            message: options.message,
            platform: import_platform(options.platform.as_deref())?,
        };
        let fetched = wharf_registry::client::fetch(&self.inner.registries.settings(), url).await?;
        if import.message.is_empty() {
            // without the password that may stand in the address
            import.message = format!("Imported from {}", fetched.address);
        }
        let inner = self.inner.clone();
        Ok(Messages::run(move |messages| async move {
            messages.line(format!("Downloading from {}", fetched.address)).await;
            let job = Job::default();
            // when the client goes this future is dropped, and nothing is left behind
            let _cancel = Cancel(job.clone());
            let (feed, mut source) = ByteSource::channel();
            let (store, working) = (inner.store.clone(), job.clone());
            let work = tokio::task::spawn_blocking(move || store.import(&mut source, &import, &working));
            let told = receive(fetched, feed, &messages).await;
            let made = work.await.map_err(|e| Error::system("import", e))?;
            told?;
            let id = made?;
            inner.image_event("import", &id.to_string(), &id.to_string());
            messages.line(id.to_string()).await;
            Ok(())
        }))
    }

    /// Takes the images of an archive (docker-archive or OCI layout, compressed or not).
    pub async fn image_load(
        &self,
        mut source: ByteSource,
        quiet: bool,
        wanted: Option<Platform>,
    ) -> Result<mpsc::Receiver<Progress>> {
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
    pub async fn image_save(&self, names: &[String], wanted: Option<Platform>) -> Result<ByteStream> {
        for name in names {
            // a name without a tag means all tags, `latest` among them or not
            if Reference::parse(name).is_ok_and(|r| r.is_name_only() && self.has_repository(&r)) {
                continue;
            }
            let found = self.inner.store.resolve(name).map_err(|error| match error {
                // Docker names what was asked for, without the default tag
                wharf_store::Error::NoSuchImage(_) => wharf_store::Error::NoSuchImage(name.clone()),
                other => other,
            })?;
            if let Some(wanted) = &wanted
                && !found.config()?.platform().satisfies(wanted)
            {
                return Err(Error::NotFound(format!("no suitable export target found for platform {wanted}")));
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

    /// Is there any tag in this repository?
    fn has_repository(&self, wanted: &Reference) -> bool {
        self.inner.store.catalog().names().any(|(name, _)| name.name() == wanted.name())
    }
}

/// Stops a job with whoever wanted it.
struct Cancel(Job);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Feeds a document to the unpacker. An archive that is refused ends it early: the unpacker tells why.
async fn receive(mut document: Fetched, feed: ByteFeed, messages: &Messages) -> Result<()> {
    let (mut at, mut told) = (0u64, Instant::now());
    let bar = |at: u64, total: u64| messages.bar("", "Importing", at, total);
    loop {
        let piece = match document.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => {
                // the same for the unpacker: a stream without an end
                let _ = feed.send(Err(std::io::Error::other(error.to_string()))).await;
                return Err(error.into());
            }
        };
        if piece.is_empty() {
            continue;
        }
        at += piece.len() as u64;
        if feed.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            bar(at, document.length.unwrap_or(0));
        }
    }
    feed.finish();
    bar(at, document.length.unwrap_or(0));
    Ok(())
}

/// The platform of an imported image: only Linux runs here. An explicit `v8` is kept as it was said.
fn import_platform(text: Option<&str>) -> Result<Option<Platform>> {
    let Some(mut found) = platform(text)? else { return Ok(None) };
    if found.os != "linux" {
        return Err(Error::InvalidParameter("operating system is not supported".into()));
    }
    let parts: Vec<&str> = text.unwrap_or_default().split('/').collect();
    match (found.architecture.as_str(), parts.as_slice()) {
        ("arm64", [_, _, _]) if found.variant.is_empty() => found.variant = "v8".into(),
        ("arm", [_] | [_, _]) if found.variant == "v7" => found.variant.clear(),
        _ => {}
    }
    Ok(Some(found))
}
