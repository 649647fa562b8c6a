//! `tag` and `rmi`.

use super::{ImageDeleted, reference};
use crate::{Engine, Error, Result, blocking};

impl Engine {
    /// Puts another name on it.
    pub async fn image_tag(&self, name: &str, repo: &str, tag: &str) -> Result<()> {
        let reference = reference(repo, tag)?
            .ok_or_else(|| Error::InvalidParameter("repository name must have at least one component".into()))?;
        if reference.familiar_name() == "sha256" {
            return Err(Error::InvalidParameter(
                "refusing to create an ambiguous tag using digest algorithm as name".into(),
            ));
        }
        let image = self.inner.store.resolve(name)?;
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
}
