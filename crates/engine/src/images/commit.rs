//! `commit`.

use wharf_spec::id::ImageId;
use wharf_spec::image::RunConfig;
use wharf_store::{Commit, Job};

use super::{CommitOptions, reference};
use crate::container::still::Still;
use crate::{Engine, Error, Result, blocking, to_the_end};

impl Engine {
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
        let (store, of_task) = (self.inner.store.clone(), handle.clone());
        let image = to_the_end(async move {
            let still = if options.pause { Still::all([of_task.clone()]).await? } else { Still::default() };
            let done = blocking(move || Ok(store.snapshot_commit(&of_task.id, &commit, &Job::default())?)).await;
            still.end().await;
            done
        })
        .await?;
        let name = target.map(|r| r.familiar()).unwrap_or_default();
        self.inner.container_event(
            &handle.id,
            "commit",
            &[("comment", ""), ("imageID", &image.to_string()), ("imageRef", &name)],
        );
        Ok(image)
    }
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
