//! Names, removal, history and sizes of images. The rules and sentences of removal are Docker's.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use wharf_spec::{
    digest::Digest,
    id::{ImageId, chain_ids},
    reference::{AnyReference, Reference},
};

use crate::{
    Catalog, Error, HistoryRow, Image, Pruned, Removed, Result, Usage, Use,
    catalog::unix_seconds,
    store::{Change, Store},
};

/// Tells which containers use an image.
type Users<'a> = &'a dyn Fn(&ImageId) -> Vec<Use>;

impl Store {
    /// One row per instruction, newest first.
    pub fn history(&self, image: &Image) -> Result<Vec<HistoryRow>> {
        let catalog = self.catalog();
        let config = image.config()?;
        let mut layers = image.layers.iter();
        let mut rows = Vec::with_capacity(config.history.len());
        for step in &config.history {
            let mut size = 0;
            if !step.empty_layer && !image.layers.is_empty() {
                let diff = layers.next().ok_or_else(|| {
                    Error::Corrupt(format!("too many non-empty layers in History section of image {}", image.id))
                })?;
                size = catalog.layer(diff).map_or(0, |l| l.size);
            }
            rows.push(HistoryRow {
                id: None,
                created: step.created.as_deref().map_or(0, unix_seconds),
                created_by: step.created_by.clone().unwrap_or_default(),
                tags: Vec::new(),
                size,
                comment: step.comment.clone().unwrap_or_default(),
            });
        }
        rows.reverse();
        let mut step = Some(image.id);
        for row in &mut rows {
            let Some(here) = step.and_then(|id| catalog.get(&id)) else { break };
            row.id = Some(here.id);
            row.tags = here.tags.iter().map(Reference::familiar).collect();
            step = here.parent;
        }
        Ok(rows)
    }

    /// Puts a name on an image; the name leaves the image that had it. A reference without a tag means `latest`.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<()> {
        let mut change = self.change();
        change.set_name(&reference.clone().with_default_tag(), id)?;
        change.commit()
    }

    /// `rmi`: removes a name, and with the last one the image and the layers that nobody else uses. `users` tells which
    /// containers use an image.
    ///
    /// # Errors
    /// [`Error::Conflict`] with Docker's sentence when containers or several repositories use it and `force` does not help.
    pub fn remove(&self, name: &str, force: bool, prune_parents: bool, users: Users<'_>) -> Result<Vec<Removed>> {
        let mut removal = Removal { change: self.change(), users, records: Vec::new() };
        removal.remove(name, force, prune_parents)?;
        let Removal { change, records, .. } = removal;
        change.commit()?;
        Ok(records)
    }

    /// Removes images that no container uses and that `select` accepts: those without a name, or with `all` named ones too.
    pub fn prune(&self, all: bool, users: Users<'_>, select: &dyn Fn(&Image) -> bool) -> Result<Pruned> {
        let catalog = self.catalog();
        let parents: BTreeSet<ImageId> = catalog.images().filter_map(|i| i.parent).collect();
        let mut pruned = Pruned::default();
        for image in catalog.images() {
            let intermediate = image.is_dangling() && parents.contains(&image.id);
            if intermediate || (!all && !image.tags.is_empty()) || !select(image) {
                continue;
            }
            let names: Vec<String> = match image.is_dangling() {
                true => vec![image.id.hex()],
                false => image.tags.iter().chain(&image.digests).map(Reference::to_string).collect(),
            };
            for name in names {
                match self.remove(&name, false, true, users) {
                    Ok(removed) => pruned.removed.extend(removed),
                    // in use, or gone since: not an error of the prune
                    Err(Error::Conflict(_) | Error::NoSuchImage(_)) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        let left = self.catalog();
        let gone = catalog.layers.iter().filter(|(diff, _)| !left.layers.contains_key(*diff));
        pruned.reclaimed = gone.map(|(_, layer)| layer.size).sum();
        Ok(pruned)
    }

    /// Bytes of layers of `image` that other images have too (`SharedSize`).
    pub fn shared_size(&self, image: &Image) -> u64 {
        let catalog = self.catalog();
        let shared = |diff| catalog.images().any(|other| other.id != image.id && other.layers.contains(diff));
        image.layers.iter().filter(|d| shared(d)).filter_map(|d| catalog.layer(d)).map(|l| l.size).sum()
    }

    /// [`Store::shared_size`] of every image, in one pass.
    pub fn shared_sizes(&self) -> HashMap<ImageId, u64> {
        let catalog = self.catalog();
        let mut users: HashMap<&Digest, u32> = HashMap::new();
        for diff in catalog.images().flat_map(|i| i.layers.iter().collect::<BTreeSet<_>>()) {
            *users.entry(diff).or_default() += 1;
        }
        let shared = |image: &Arc<Image>| {
            let layers = image.layers.iter().filter(|d| users.get(d).is_some_and(|n| *n > 1));
            layers.filter_map(|d| catalog.layer(d)).map(|l| l.size).sum()
        };
        catalog.images().map(|image| (image.id, shared(image))).collect()
    }

    /// What the images take on disk.
    pub fn usage(&self) -> Usage {
        Usage { layers: self.catalog().layers.values().map(|l| l.size).sum() }
    }
}

/// Kinds of conflicts that a removal looks for.
#[derive(Clone, Copy)]
struct Conflicts {
    /// A name still means the image.
    names: bool,
    /// A stopped container was made from it.
    stopped: bool,
}

struct Found {
    sentence: String,
    used: bool,
}

/// A removal in the making.
struct Removal<'a> {
    change: Change<'a>,
    users: Users<'a>,
    records: Vec<Removed>,
}

impl Removal<'_> {
    fn catalog(&self) -> &Catalog {
        &self.change.catalog
    }

    fn remove(&mut self, name: &str, force: bool, prune: bool) -> Result<()> {
        let image = self.catalog().resolve(name)?.clone();
        if is_id_prefix(&image.id, name) {
            if is_single_name(&image) {
                let which = Conflicts { names: false, stopped: !force };
                if let Some(conflict) = self.conflict(&image, which) {
                    return Err(Error::Conflict(conflict.sentence));
                }
                self.untag_all(&image);
            }
            return self.delete(&image.id, force, prune, false);
        }
        if !force
            && is_single_name(&image)
            && let Some(user) = (self.users)(&image.id).first()
        {
            return Err(Error::Conflict(format!(
                "unable to remove repository reference \"{name}\" (must force) - container {} is using its referenced \
                     image {}",
                user.container.short(),
                image.id.short()
            )));
        }
        let AnyReference::Named(reference) = AnyReference::parse(name)? else {
            return Err(Error::NoSuchImage(name.into()));
        };
        self.untag(&reference, &image)?;
        let left = self.catalog().get(&image.id).is_some_and(|i| !i.is_dangling());
        if left { Ok(()) } else { self.delete(&image.id, force, prune, true) }
    }

    /// Removes one name; with the last tag of a repository its digests go too.
    fn untag(&mut self, reference: &Reference, image: &Image) -> Result<()> {
        let name = match reference.digest() {
            Some(digest) => reference.with_digest(*digest),
            None => reference.clone().with_default_tag(),
        };
        if self.change.remove_name(&name).is_none() {
            return Err(Error::NoSuchImage(name.familiar()));
        }
        self.records.push(Removed::Untagged(name.familiar()));
        let Some(now) = self.catalog().get(&image.id).cloned() else { return Ok(()) };
        let same = |other: &&Reference| other.domain() == name.domain() && other.path() == name.path();
        if name.digest().is_none() && !now.tags.iter().any(|t| same(&t)) {
            for digest in now.digests.iter().filter(same) {
                self.change.remove_name(digest);
                self.records.push(Removed::Untagged(digest.familiar()));
            }
        }
        Ok(())
    }

    fn untag_all(&mut self, image: &Image) {
        for name in image.tags.iter().chain(&image.digests) {
            self.change.remove_name(name);
            self.records.push(Removed::Untagged(name.familiar()));
        }
    }

    /// Removes the image itself, then (with `prune`) parents that nobody needs. `quiet`: a name was removed already, so
    /// that a conflict only means that the image stays.
    fn delete(&mut self, id: &ImageId, force: bool, prune: bool, quiet: bool) -> Result<()> {
        let Some(image) = self.catalog().get(id).cloned() else { return Ok(()) };
        if let Some(conflict) = self.conflict(&image, Conflicts { names: !force, stopped: !force }) {
            if quiet && (!image.is_dangling() || self.has_children(id) || conflict.used) {
                return Ok(());
            }
            return Err(Error::Conflict(conflict.sentence));
        }
        self.untag_all(&image);
        let before = self.chains();
        self.change.remove_image(id);
        let after = self.chains();
        self.records.push(Removed::Deleted(*id));
        let gone = chain_ids(&image.layers).into_iter().rev().filter(|c| before.contains(c) && !after.contains(c));
        self.records.extend(gone.map(Removed::Deleted));
        match image.parent {
            Some(parent) if prune => self.delete(&parent, false, true, true),
            _ => Ok(()),
        }
    }

    fn has_children(&self, id: &ImageId) -> bool {
        self.catalog().images().any(|i| i.parent == Some(*id))
    }

    /// All chain identifiers that images and containers need.
    fn chains(&self) -> BTreeSet<Digest> {
        let images = self.catalog().images().flat_map(|i| chain_ids(&i.layers));
        images.chain(self.change.snapshot_chains()).collect()
    }

    fn conflict(&self, image: &Image, which: Conflicts) -> Option<Found> {
        let sentence =
            |kind: &str, reason: String| format!("unable to delete {} ({kind}) - {reason}", image.id.short());
        let hard = |reason| sentence("cannot be forced", reason);
        let soft = |reason| sentence("must be forced", reason);
        if self.has_children(&image.id) {
            return Some(Found { sentence: hard("image has dependent child images".into()), used: false });
        }
        let users = (self.users)(&image.id);
        if let Some(user) = users.iter().find(|u| u.running) {
            let reason = format!("image is being used by running container {}", user.container.short());
            return Some(Found { sentence: hard(reason), used: true });
        }
        if which.names && !image.is_dangling() {
            return Some(Found { sentence: soft("image is referenced in multiple repositories".into()), used: false });
        }
        let user = users.first().filter(|_| which.stopped)?;
        let reason = format!("image is being used by stopped container {}", user.container.short());
        Some(Found { sentence: soft(reason), used: true })
    }
}

/// Whether the user named the image by (a part of) its identifier.
fn is_id_prefix(id: &ImageId, name: &str) -> bool {
    id.to_string().starts_with(name) || id.hex().starts_with(name)
}

/// At most one tag, and all names in one repository: removal by identifier may then take the names with it.
fn is_single_name(image: &Image) -> bool {
    if image.tags.len() + image.digests.len() <= 1 {
        return true;
    }
    let Some(first) = image.tags.first().or(image.digests.first()) else { return true };
    image.tags.len() <= 1 && image.digests.iter().all(|d| d.name() == first.name())
}
