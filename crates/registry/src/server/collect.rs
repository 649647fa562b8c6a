//! The collector: removes what nothing refers to, while others pull and push.
//!
//! It marks without a lock what manifests need, then removes in small steps under the exclusive gate. Whoever counts on a blob
//! (a push that found it there, a mount, a manifest) makes it young under the shared gate; what is younger than the grace
//! period stays. So no upload is lost, also when collector and server are two processes.

use crate::server::disk;
use crate::server::document::Document;
use crate::server::name::Repository;
use crate::server::storage::{Storage, read_link};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};
use wharf_spec::digest::Digest;

/// What is collected.
#[derive(Debug, Clone)]
pub struct Collection {
    /// What was written (or counted on) in this time stays: longer than any push takes from its first blob to its manifest.
    pub grace: Duration,
    /// Manifests without a tag go too, unless an index or subject with a tag leads to them.
    pub untagged: bool,
    /// Unfinished uploads this old go.
    pub uploads: Duration,
    /// Only count.
    pub dry_run: bool,
}

impl Default for Collection {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { grace: hour, untagged: false, uploads: 7 * 24 * hour, dry_run: false }
    }
}

/// What was collected.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Blobs that stay.
    pub kept: usize,
    /// Blobs that went.
    pub blobs: usize,
    /// Bytes of blobs and uploads that went.
    pub bytes: u64,
    /// Manifests without a tag that went.
    pub manifests: usize,
    /// Unfinished uploads that went.
    pub uploads: usize,
}

/// Blobs that are removed between two breaths: writers wait no longer than that.
const STEP: usize = 64;
/// File times come from a clock that ticks a few milliseconds late.
const TICK: Duration = Duration::from_secs(1);

/// Collects the data folder `root`.
///
/// # Errors
/// Something cannot be read or removed. A manifest that cannot be read ends the collection: what it needs is not known.
pub fn collect(root: &Path, what: &Collection) -> io::Result<Report> {
    let storage = Storage::new(root);
    if !storage.blobs().exists() {
        return Err(io::Error::other(format!("{} holds no registry", root.display())));
    }
    let now = SystemTime::now();
    let before = |age: Duration| now.checked_sub(age + TICK).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut sweep = Sweep { storage, what, cutoff: before(what.grace), report: Report::default() };
    let mut marked = HashSet::new();
    let mut linked: HashMap<Digest, Vec<Repository>> = HashMap::new();
    for name in sweep.storage.repositories()? {
        sweep.uploads(&name, before(what.uploads.max(what.grace)))?;
        if what.untagged {
            sweep.untagged(&name)?;
        }
        sweep.mark(&name, &mut marked)?;
        for digest in Storage::linked(&sweep.storage.repository(&name).join("_layers"))? {
            linked.entry(digest).or_default().push(name.clone());
        }
    }
    sweep.blobs(&marked, &linked)?;
    Ok(sweep.report)
}

struct Sweep<'a> {
    storage: Storage,
    what: &'a Collection,
    cutoff: SystemTime,
    report: Report,
}

impl Sweep<'_> {
    /// Whether a file is older than the grace period. One that is gone is not.
    fn is_old(&self, path: &Path) -> bool {
        older(path, self.cutoff)
    }

    /// Removes uploads that nobody goes on with.
    fn uploads(&mut self, name: &Repository, cutoff: SystemTime) -> io::Result<()> {
        let folder = self.storage.repository(name).join("_uploads");
        for id in disk::names(&folder)? {
            let upload = folder.join(&id);
            let data = upload.join("data");
            let abandoned = if data.exists() { older(&data, cutoff) } else { older(&upload, cutoff) };
            if !abandoned {
                continue;
            }
            self.report.uploads += 1;
            self.report.bytes += fs::metadata(&data).map_or(0, |m| m.len());
            if !self.what.dry_run {
                disk::remove_folder(&upload)?;
            }
        }
        Ok(())
    }

    /// Removes manifests that no tag leads to.
    fn untagged(&mut self, name: &Repository) -> io::Result<()> {
        let revisions = self.storage.revisions(name)?;
        let mut children: HashMap<Digest, Vec<Digest>> = HashMap::new();
        for digest in &revisions {
            let Some(bytes) = self.storage.manifest(name, digest)? else { continue };
            let Ok(document) = Document::parse(&bytes, None) else { continue };
            children.entry(*digest).or_default().extend(document.manifests.iter().map(|m| m.digest));
            // a signature stays with what it signs
            if let Some(subject) = document.subject {
                children.entry(subject).or_default().push(*digest);
            }
        }
        let mut reached = HashSet::new();
        let mut ways: Vec<Digest> = Vec::new();
        for tag in self.storage.tags(name)?.unwrap_or_default() {
            ways.extend(self.storage.tag(name, &tag)?);
        }
        while let Some(digest) = ways.pop() {
            if reached.insert(digest) {
                ways.extend(children.get(&digest).into_iter().flatten());
            }
        }
        for digest in revisions.iter().filter(|digest| !reached.contains(digest)) {
            let link = self.storage.revision_link(name, digest);
            if !self.is_old(&link) {
                continue;
            }
            if !self.what.dry_run {
                let _gate = self.storage.exclude()?;
                if !self.is_old(&link) {
                    continue;
                }
                self.storage.forget(name, digest)?;
            }
            self.report.manifests += 1;
        }
        Ok(())
    }

    /// Marks what the manifests of a repository need: every digest that stands in them, so that documents we do not know keep
    /// their blobs too.
    fn mark(&self, name: &Repository, marked: &mut HashSet<Digest>) -> io::Result<()> {
        for digest in self.storage.revisions(name)? {
            let Some(bytes) = self.storage.manifest(name, &digest)? else { continue };
            marked.insert(digest);
            let document = serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("manifest {digest} of {name}: {e}")))?;
            digests(&document, marked);
        }
        for tag in self.storage.tags(name)?.unwrap_or_default() {
            marked.extend(self.storage.tag(name, &tag)?);
        }
        Ok(())
    }

    /// Removes blobs that are not marked.
    fn blobs(&mut self, marked: &HashSet<Digest>, linked: &HashMap<Digest, Vec<Repository>>) -> io::Result<()> {
        let mut doomed = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let folder = self.storage.blobs().join(algorithm);
            for prefix in disk::names(&folder)? {
                for hex in disk::names(&folder.join(&prefix))? {
                    let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else { continue };
                    let path = self.storage.blob(&digest);
                    if marked.contains(&digest) || !path.exists() || !self.is_old(&path) {
                        self.report.kept += usize::from(path.exists());
                        self.temporaries(path.parent().unwrap_or(&path))?;
                        continue;
                    }
                    doomed.push(digest);
                }
            }
        }
        for step in doomed.chunks(STEP) {
            let _gate = if self.what.dry_run { None } else { Some(self.storage.exclude()?) };
            for digest in step {
                self.blob(digest, linked.get(digest).map_or(&[], Vec::as_slice))?;
            }
        }
        Ok(())
    }

    fn blob(&mut self, digest: &Digest, linked: &[Repository]) -> io::Result<()> {
        let path = self.storage.blob(digest);
        if !self.is_old(&path) {
            self.report.kept += 1;
            return Ok(());
        }
        self.report.blobs += 1;
        self.report.bytes += fs::metadata(&path)?.len();
        if self.what.dry_run {
            return Ok(());
        }
        // links first: after a crash in between the blob is found again
        for name in linked {
            let link = self.storage.layer_link(name, digest);
            if read_link(&link)?.is_some() {
                disk::remove_folder(link.parent().unwrap_or(&link))?;
            }
        }
        wharf_sys::failpoint::hit("registry.collect.after_links")?;
        disk::remove_folder(path.parent().unwrap_or(&path))
    }

    /// Removes what a crash left of files that were never renamed into place.
    fn temporaries(&self, folder: &Path) -> io::Result<()> {
        for name in disk::names(folder)?.iter().filter(|name| name.starts_with('.') && name.ends_with(".tmp")) {
            let path = folder.join(name);
            if self.is_old(&path) && !self.what.dry_run {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn older(path: &Path, cutoff: SystemTime) -> bool {
    fs::metadata(path).and_then(|m| m.modified()).is_ok_and(|written| written < cutoff)
}

fn digests(value: &serde_json::Value, found: &mut HashSet<Digest>) {
    match value {
        serde_json::Value::String(text) => found.extend(text.parse::<Digest>()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| digests(item, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| digests(field, found)),
        _ => {}
    }
}
