//! The folder of the registry, in the layout of the stock registry (`registry:2`), so that either can serve it.
//!
//! ```text
//! <root>/docker/registry/v2/
//!   .gate                                                     lock between writers (shared) and the collector (exclusive)
//!   blobs/<algorithm>/<2 digits>/<hex>/data                   every blob and manifest, once
//!   repositories/<name>/
//!     _layers/<algorithm>/<hex>/link                          "this repository has that blob"; the content is the digest
//!     _manifests/revisions/<algorithm>/<hex>/link             "… that manifest"
//!     _manifests/tags/<tag>/current/link                      what the tag means
//!     _manifests/tags/<tag>/index/<algorithm>/<hex>/link      what it ever meant
//!     _uploads/<uuid>/{data,startedat}                        uploads that are not finished
//!     _referrers/<algorithm>/<hex>/<algorithm>/<hex>/link     ours: "the second manifest refers to the first"
//! ```
//!
//! Blobs come before the links to them, and all of it is renamed into place after it was synced: a crash leaves at most
//! things that nothing refers to, which the collector takes.

use crate::server::disk;
use crate::server::name::{Repository, Tag, UploadId, is_component};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use wharf_spec::digest::Digest;

/// Largest manifest: what the specification asks a registry to take at least.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;
/// How old a blob's time may be before a question for it makes it young again; much less than the collector's grace.
const TOUCH_AFTER: std::time::Duration = std::time::Duration::from_secs(60);

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    root: PathBuf,
}

/// Held shared by whoever relies on blobs that are there, exclusively by the collector while it removes. Works between
/// processes, so that `registry gc` can run beside `registry serve`.
#[derive(Debug)]
pub(crate) struct Gate {
    _file: File,
}

impl Storage {
    /// The storage in the data folder `root`, which need not exist.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.join("docker/registry/v2") }
    }

    /// Makes the folders.
    pub(crate) fn create(&self) -> io::Result<()> {
        for folder in ["blobs", "repositories"] {
            fs::create_dir_all(self.root.join(folder))?;
        }
        File::options().create(true).append(true).open(self.root.join(".gate")).map(drop)
    }

    fn gate(&self, how: rustix::fs::FlockOperation) -> io::Result<Gate> {
        let file = File::options().create(true).append(true).open(self.root.join(".gate"))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, how))?;
        Ok(Gate { _file: file })
    }

    /// Keeps the collector from removing anything meanwhile.
    pub(crate) fn rely(&self) -> io::Result<Gate> {
        self.gate(rustix::fs::FlockOperation::LockShared)
    }

    /// Keeps everybody from relying on anything meanwhile. Not for long.
    pub(crate) fn exclude(&self) -> io::Result<Gate> {
        self.gate(rustix::fs::FlockOperation::LockExclusive)
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.blobs().join(digest.algorithm()).join(&hex[..2]).join(hex).join("data")
    }

    pub(crate) fn repository(&self, name: &Repository) -> PathBuf {
        self.root.join("repositories").join(name.as_str())
    }

    fn link(folder: PathBuf, digest: &Digest) -> PathBuf {
        folder.join(digest.algorithm()).join(digest.hex()).join("link")
    }

    pub(crate) fn layer_link(&self, name: &Repository, digest: &Digest) -> PathBuf {
        Self::link(self.repository(name).join("_layers"), digest)
    }

    pub(crate) fn revision_link(&self, name: &Repository, digest: &Digest) -> PathBuf {
        Self::link(self.repository(name).join("_manifests/revisions"), digest)
    }

    pub(crate) fn tags_folder(&self, name: &Repository) -> PathBuf {
        self.repository(name).join("_manifests/tags")
    }

    pub(crate) fn tag_folder(&self, name: &Repository, tag: &Tag) -> PathBuf {
        self.tags_folder(name).join(tag.as_str())
    }

    pub(crate) fn referrers_folder(&self, name: &Repository, subject: &Digest) -> PathBuf {
        self.repository(name).join("_referrers").join(subject.algorithm()).join(subject.hex())
    }

    pub(crate) fn referrer_link(&self, name: &Repository, subject: &Digest, referrer: &Digest) -> PathBuf {
        Self::link(self.referrers_folder(name, subject), referrer)
    }

    pub(crate) fn upload(&self, name: &Repository, id: &UploadId) -> PathBuf {
        self.repository(name).join("_uploads").join(id.as_str())
    }

    /// Opens a blob that the repository has.
    pub(crate) fn open_blob(&self, name: &Repository, digest: &Digest) -> io::Result<Option<(File, u64)>> {
        if !self.layer_link(name, digest).exists() && !self.revision_link(name, digest).exists() {
            return Ok(None);
        }
        self.open_any(digest)
    }

    /// Opens a blob, whoever has it.
    pub(crate) fn open_any(&self, digest: &Digest) -> io::Result<Option<(File, u64)>> {
        match File::open(self.blob(digest)) {
            Ok(file) => {
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a blob look young, because somebody counts on it. The caller holds the gate.
    pub(crate) fn keep(&self, digest: &Digest) -> io::Result<()> {
        disk::touch(&self.blob(digest))
    }

    /// Size of a blob that somebody asks for before it pushes; the blob will stay a while.
    pub(crate) fn size_for_pusher(&self, name: &Repository, digest: &Digest) -> io::Result<Option<u64>> {
        let Some((file, size)) = self.open_blob(name, digest)? else { return Ok(None) };
        let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
        if age < TOUCH_AFTER {
            return Ok(Some(size));
        }
        let _gate = self.rely()?;
        match self.keep(digest) {
            Ok(()) => Ok(Some(size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole manifest; one that is too large to be one counts as corrupt.
    pub(crate) fn manifest(&self, name: &Repository, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        if !self.revision_link(name, digest).exists() {
            return Ok(None);
        }
        let Some((file, size)) = self.open_any(digest)? else { return Ok(None) };
        if size > MAX_MANIFEST {
            return Err(io::Error::other(format!("manifest {digest} has {size} bytes")));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.take(MAX_MANIFEST).read_to_end(&mut bytes)?;
        if digest.same_algorithm(&bytes) != *digest {
            return Err(io::Error::other(format!("manifest {digest} is corrupt on disk")));
        }
        Ok(Some(bytes))
    }

    /// What a tag means.
    pub(crate) fn tag(&self, name: &Repository, tag: &Tag) -> io::Result<Option<Digest>> {
        read_link(&self.tag_folder(name, tag).join("current/link"))
    }

    /// How long ago a tag was last found to mean what it means.
    pub(crate) fn tag_age(&self, name: &Repository, tag: &Tag) -> Option<std::time::Duration> {
        let link = self.tag_folder(name, tag).join("current/link");
        fs::metadata(link).and_then(|m| m.modified()).ok().map(|at| at.elapsed().unwrap_or_default())
    }

    /// Sets a tag.
    pub(crate) fn set_tag(&self, name: &Repository, tag: &Tag, digest: &Digest) -> io::Result<()> {
        let folder = self.tag_folder(name, tag);
        write_link(&Self::link(folder.join("index"), digest), digest)?;
        write_link(&folder.join("current/link"), digest)
    }

    /// All tags, sorted; `None` when the repository has never had a manifest.
    pub(crate) fn tags(&self, name: &Repository) -> io::Result<Option<Vec<Tag>>> {
        if !self.repository(name).join("_manifests").exists() {
            return Ok(None);
        }
        let mut tags: Vec<Tag> =
            disk::names(&self.tags_folder(name))?.iter().filter_map(|name| Tag::parse(name)).collect();
        tags.retain(|tag| self.tag_folder(name, tag).join("current/link").exists());
        tags.sort();
        Ok(Some(tags))
    }

    /// Digests that have a link in `<folder>/<algorithm>/<hex>/`.
    pub(crate) fn linked(folder: &Path) -> io::Result<Vec<Digest>> {
        let mut found = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            for hex in disk::names(&folder.join(algorithm))? {
                let Ok(digest) = format!("{algorithm}:{hex}").parse() else { continue };
                if folder.join(algorithm).join(&hex).join("link").exists() {
                    found.push(digest);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Manifests of a repository.
    pub(crate) fn revisions(&self, name: &Repository) -> io::Result<Vec<Digest>> {
        Self::linked(&self.repository(name).join("_manifests/revisions"))
    }

    /// Every repository folder, sorted by name, with or without manifests.
    pub(crate) fn repositories(&self) -> io::Result<Vec<Repository>> {
        let mut found = Vec::new();
        walk(&self.root.join("repositories"), "", &mut found)?;
        found.sort();
        Ok(found)
    }
}

/// Collects repositories below `folder`, whose name is `prefix`.
fn walk(folder: &Path, prefix: &str, found: &mut Vec<Repository>) -> io::Result<()> {
    let names = disk::names(folder)?;
    if names.iter().any(|n| matches!(n.as_str(), "_manifests" | "_layers" | "_uploads")) {
        found.extend(Repository::parse(prefix));
    }
    for name in names.iter().filter(|name| is_component(name)) {
        let inner = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        match walk(&folder.join(name), &inner, found) {
            // a stray file is no repository
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            other => other?,
        }
    }
    Ok(())
}

/// The digest that a link names; `None` when there is none.
pub(crate) fn read_link(path: &Path) -> io::Result<Option<Digest>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(256).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let digest = text.trim().parse();
    digest.map(Some).map_err(|_| io::Error::other(format!("{} holds no digest", path.display())))
}

/// Writes a link; one that is there already is made young.
pub(crate) fn write_link(path: &Path, digest: &Digest) -> io::Result<()> {
    if read_link(path).is_ok_and(|found| found == Some(*digest)) {
        return disk::touch(path);
    }
    disk::write(path, digest.to_string().as_bytes())
}
