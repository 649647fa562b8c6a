//! `images`, `image inspect` and `history`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use wharf_spec::id::ImageId;
use wharf_spec::platform::Platform;
use wharf_spec::reference::Reference;

use super::{HistoryItem, Image, ImageSummary, timestamp};
use crate::{Engine, Filters, Result, list};

impl Engine {
    /// Lists images, newest first. `all`: intermediate ones, too.
    pub async fn image_list(&self, all: bool, filters: Filters) -> Result<Vec<ImageSummary>> {
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
        let parents: HashSet<ImageId> = catalog.images().filter_map(|image| image.parent).collect();
        let mut images = Vec::new();
        for image in catalog.images() {
            let intermediate = image.is_dangling() && parents.contains(&image.id);
            let label = |name: &str| image.labels.as_ref().and_then(|l| l.get(name)).map(String::as_str);
            let Some(image) = named(image, filters.get("reference")) else { continue };
            let keep = (all || !intermediate)
                && dangling.is_none_or(|wanted| wanted == image.is_dangling())
                && filters.labels("label", label)
                && before.is_none_or(|b| image.created < b)
                && since.is_none_or(|s| image.created > s)
                && until.is_none_or(|u| image.created < u);
            if keep {
                let count = counts.get(&image.id).copied().unwrap_or(0);
                images.push(ImageSummary { containers: count, image });
            }
        }
        let age = |image: &wharf_store::Image| (image.created, image.last_tagged);
        images.sort_by(|a, b| age(&b.image).cmp(&age(&a.image)).then_with(|| a.image.id.cmp(&b.image.id)));
        Ok(images)
    }

    /// Everything about one.
    pub async fn image_inspect(&self, name: &str, wanted: Option<Platform>) -> Result<Arc<Image>> {
        let image = self.inner.resolve_platform(name, wanted.as_ref())?;
        let containers = self.inner.users(&image.id).len();
        self.inner.picture(&image, containers)
    }

    /// Bytes that each image shares with others.
    pub async fn image_shared_sizes(&self) -> HashMap<ImageId, i64> {
        let sizes = self.inner.store.shared_sizes().into_iter();
        sizes.map(|(id, size)| (id, i64::try_from(size).unwrap_or(i64::MAX))).collect()
    }

    /// Its steps, newest first.
    pub async fn image_history(&self, name: &str, wanted: Option<Platform>) -> Result<Vec<HistoryItem>> {
        let image = self.inner.resolve_platform(name, wanted.as_ref())?;
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
}

/// The image with those of its names that `patterns` accept; `None` when there is none.
fn named(image: &Arc<wharf_store::Image>, patterns: &[String]) -> Option<Arc<wharf_store::Image>> {
    if patterns.is_empty() {
        return Some(image.clone());
    }
    let accepted = |name: &Reference| patterns.iter().any(|pattern| name_matches(pattern, name));
    let mut image = (**image).clone();
    image.tags.retain(accepted);
    image.digests.retain(accepted);
    (!image.is_dangling()).then(|| Arc::new(image))
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

#[cfg(test)]
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
