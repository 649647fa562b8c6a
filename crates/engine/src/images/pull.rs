//! `pull`.

use tokio::sync::mpsc;
use wharf_spec::reference::Reference;

use super::{Progress, progress};
use crate::{Engine, Error, Result};

impl Engine {
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
}
