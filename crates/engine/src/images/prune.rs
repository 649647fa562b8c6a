//! `image prune`: images without users, and downloads that broke and were not taken up again.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::ImagesPruned;
use crate::{Engine, Filters, Result, blocking, list};

impl Engine {
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
            // a broken download has no labels
            let labelled = !filters.get("label").is_empty() || !filters.get("label!").is_empty();
            let since =
                until.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(at).ok()?)));
            let partial = if labelled { 0 } else { inner.registries.prune(since) };
            Ok(ImagesPruned { deleted: inner.removed(pruned.removed), space: pruned.reclaimed + partial })
        })
        .await
    }
}
