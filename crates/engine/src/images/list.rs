//! `images`, `image inspect` and `history`.

use std::sync::Arc;

use jiff::Timestamp;
use wharf_spec::reference::Reference;

use super::{HistoryItem, Image, timestamp};
use crate::{Engine, Filters, Result, list};

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
