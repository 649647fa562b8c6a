//! `docker load`: archives of `docker save` (old and new) and OCI layouts, read in one pass.
//!
//! The documents that say what a member is come last in an archive, so every member is judged by its bytes: JSON is kept in
//! memory, anything else is unpacked at once as a layer into the staging folder. What no image refers to in the end is dropped.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use wharf_archive::{Decoder, Kind, Member, Reader};
use wharf_spec::{
    digest::Digest,
    id::{DiffId, ImageId},
    image::{Descriptor, ImageConfig, Index, Manifest, media_type},
    platform::Platform,
    reference::Reference,
};

use crate::{
    Error, Job, Loaded, Progress, Result,
    intake::{Ending, Intake},
    store::{NewImage, Pin, Staged, Store},
};

/// A document larger than this is none: Docker's registries refuse manifests above 4 MiB.
const MAX_DOCUMENT: u64 = 8 << 20;
/// All documents of one archive together.
const MAX_DOCUMENTS: u64 = 64 << 20;
/// Layers that are unpacked at the same time: the one being read, and those before it that are on their way to the disk.
const MAX_UNPACKING: usize = 4;
/// Reports of one layer are at least this far apart.
const REPORT_EVERY: u64 = 512 << 10;

impl Store {
    /// Takes in a `docker save` archive or an OCI layout (tar, plain or compressed), with all images in it or those for
    /// `platform`.
    pub fn load(&self, reader: &mut (dyn Read + Send), platform: Option<&Platform>, job: &Job) -> Result<Vec<Loaded>> {
        let mut contents = Contents::default();
        let input = Decoder::new(BufReader::with_capacity(256 << 10, reader))?;
        let mut tar = Reader::new(input);
        while let Some(member) = tar.next_member()? {
            job.check()?;
            self.take_member(&mut contents, &member, &mut tar, job)?;
        }
        contents.settle(0);
        let images = contents.images(platform)?;
        self.publish(contents, images)
    }

    fn take_member<R: std::io::BufRead>(
        &self,
        contents: &mut Contents,
        member: &Member,
        tar: &mut Reader<R>,
        job: &Job,
    ) -> Result<()> {
        let path = wharf_archive::clean(&member.path)?;
        match &member.kind {
            Kind::File => {}
            Kind::Symlink(target) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                contents.links.insert(path.clone(), wharf_archive::clean(&folder.join(target))?);
                return Ok(());
            }
            Kind::HardLink(target) => {
                contents.links.insert(path, wharf_archive::clean(target)?);
                return Ok(());
            }
            _ => return Ok(()),
        }
        if looks_like_document(&path, member.size, tar)? {
            contents.documents_size += member.size;
            if contents.documents_size > MAX_DOCUMENTS {
                return Err(Error::Document("too many documents".into()));
            }
            let mut bytes = Vec::new();
            tar.payload().read_to_end(&mut bytes).map_err(Error::read)?;
            contents.documents.insert(path, bytes);
            return Ok(());
        }
        // a member named after its own digest that is here already need not be looked at
        let named = path.file_name().and_then(|n| n.to_str()).and_then(|n| Digest::from_sha256_hex(n).ok());
        if let Some(pin) = named.and_then(|diff| self.pin(&diff)) {
            let diff = named.unwrap_or_else(|| Digest::of(b""));
            job.report(|| Progress::Exists { id: diff.short() });
            contents.layers.insert(path, Layer::Here(diff, pin));
            return Ok(());
        }
        contents.settle(MAX_UNPACKING - 1);
        let ending = self.take_layer(&path, member.size, tar, job)?;
        let promised = named.filter(|_| path.starts_with("blobs/sha256"));
        if let Some(expected) = promised.filter(|p| *p != ending.digest()) {
            return Err(mismatch(path.display().to_string(), expected, ending.digest()));
        }
        contents.coming.push_back((path, ending));
        Ok(())
    }

    fn take_layer<R: std::io::BufRead>(
        &self,
        path: &Path,
        size: u64,
        tar: &mut Reader<R>,
        job: &Job,
    ) -> Result<Ending> {
        let id = layer_name(path);
        let mut reported = 0;
        let progress = |current| {
            if job.is_watched() && (current - reported >= REPORT_EVERY || current == size) {
                reported = current;
                job.report(|| Progress::Layer { id: id.clone(), current, total: size });
            }
        };
        let mut intake = Intake::start(self.layout())?;
        let fed = intake.feed(&mut tar.payload(), job, progress);
        let ending = intake.end();
        fed.map(|()| ending)
    }

    /// Makes everything visible, in one step for all images.
    fn publish(&self, contents: Contents, images: Vec<Found>) -> Result<Vec<Loaded>> {
        let mut layers: HashMap<PathBuf, Layer> = contents.layers;
        let mut staged: BTreeMap<DiffId, Staged> = BTreeMap::new();
        let mut pins: Vec<Pin> = Vec::new();
        for image in &images {
            for (n, (path, expected)) in image.layers.iter().enumerate() {
                let found = match layers.remove(path) {
                    Some(Layer::Here(diff, pin)) => {
                        pins.push(pin);
                        diff
                    }
                    Some(Layer::New(layer)) => {
                        let layer = layer?;
                        let diff = layer.diff;
                        staged.entry(diff).or_insert(layer);
                        diff
                    }
                    // used before, by another image or twice by this one
                    None if staged.contains_key(expected) => *expected,
                    None => match self.pin(expected) {
                        Some(pin) => {
                            pins.push(pin);
                            *expected
                        }
                        None => return Err(Error::Document(format!("layer {} is missing", path.display()))),
                    },
                };
                if found != *expected {
                    return Err(Error::Document(format!(
                        "invalid diffID for layer {n}: expected \"{expected}\", got \"{found}\""
                    )));
                }
            }
        }
        wharf_sys::failpoint::hit("store.load.synced").map_err(Error::io("publish", self.layout().base()))?;
        let mut change = self.change();
        let some_new = !staged.is_empty();
        for (_, layer) in staged {
            change.add_layer(layer)?;
        }
        if some_new {
            self.layout().sync_names()?;
        }
        wharf_sys::failpoint::hit("store.load.renamed").map_err(Error::io("publish", self.layout().base()))?;
        let mut loaded = Vec::new();
        for image in &images {
            let new =
                NewImage { config: image.config.as_slice().into(), parent: image.parent, names: image.names.clone() };
            let parent_is_here = new.parent.is_none_or(|p| change.catalog.get(&p).is_some());
            let id = change.add_image(&NewImage { parent: new.parent.filter(|_| parent_is_here), ..new })?;
            match image.names.is_empty() {
                true => loaded.push(Loaded { id, reference: None }),
                false => loaded.extend(image.names.iter().map(|r| Loaded { id, reference: Some(r.clone()) })),
            }
        }
        change.commit()?;
        drop(pins);
        Ok(loaded)
    }
}

/// What an archive holds.
#[derive(Default)]
struct Contents {
    /// Layers whose last bytes are still being unpacked while the next one is read, oldest first.
    coming: VecDeque<(PathBuf, Ending)>,
    documents: HashMap<PathBuf, Vec<u8>>,
    documents_size: u64,
    layers: HashMap<PathBuf, Layer>,
    links: HashMap<PathBuf, PathBuf>,
}

enum Layer {
    /// Was in the store before.
    Here(DiffId, Pin),
    /// Is in the staging folder, or is no layer.
    New(Result<Staged>),
}

/// An image described by an archive.
struct Found {
    config: Vec<u8>,
    parent: Option<ImageId>,
    names: Vec<Reference>,
    /// Member and expected digest, bottom first.
    layers: Vec<(PathBuf, DiffId)>,
}

/// One element of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: PathBuf,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<PathBuf>>,
    #[serde(default)]
    parent: Option<String>,
}

impl Contents {
    /// Waits until at most `left` layers are being unpacked.
    fn settle(&mut self, left: usize) {
        while self.coming.len() > left
            && let Some((path, ending)) = self.coming.pop_front()
        {
            self.layers.insert(path, Layer::New(ending.wait().layer));
        }
    }

    fn images(&self, platform: Option<&Platform>) -> Result<Vec<Found>> {
        let images = match (self.document("manifest.json"), self.document("index.json")) {
            (Some(manifest), _) => self.saved_images(manifest)?,
            (None, Some(index)) => self.layout_images(index, platform)?,
            (None, None) => {
                return Err(Error::Document(
                    "neither manifest.json nor index.json: this is no archive of docker save and no OCI layout".into(),
                ));
            }
        };
        let Some(wanted) = platform else { return Ok(images) };
        let mut fitting = Vec::new();
        for image in images {
            if parse::<ImageConfig>("image configuration", &image.config)?.platform().satisfies(wanted) {
                fitting.push(image);
            }
        }
        if fitting.is_empty() {
            return Err(Error::Invalid(format!(
                "requested platform ({wanted}) not found: the archive has other platforms"
            )));
        }
        Ok(fitting)
    }

    fn saved_images(&self, manifest: &[u8]) -> Result<Vec<Found>> {
        let saved: Vec<SavedImage> = parse("manifest.json", manifest)?;
        saved.iter().map(|image| self.saved_image(image)).collect()
    }

    fn saved_image(&self, image: &SavedImage) -> Result<Found> {
        let config = self.document(&image.config);
        let config = config.ok_or_else(|| Error::Document(format!("{} is missing", image.config.display())))?;
        let members = image.layers.iter().flatten().map(|p| self.resolve(p)).collect::<Result<_>>()?;
        let mut names = Vec::new();
        for tag in image.repo_tags.iter().flatten() {
            let name = Reference::parse(tag)?;
            if name.tag().is_none() {
                return Err(Error::Invalid(format!("invalid tag \"{tag}\"")));
            }
            names.push(name);
        }
        let parent = image.parent.as_deref().and_then(|p| p.parse().ok());
        self.found(config, members, names, parent)
    }

    fn found(
        &self,
        config: &[u8],
        members: Vec<PathBuf>,
        names: Vec<Reference>,
        parent: Option<ImageId>,
    ) -> Result<Found> {
        let parsed: ImageConfig = parse("image configuration", config)?;
        let diffs = parsed.rootfs.diff_ids;
        if diffs.len() != members.len() {
            return Err(Error::Document(format!(
                "invalid manifest, layers length mismatch: expected {}, got {}",
                members.len(),
                diffs.len()
            )));
        }
        if !parsed.os.is_empty() && parsed.os != "linux" {
            return Err(Error::Unsupported(format!("cannot load {} image on linux", parsed.os)));
        }
        Ok(Found { config: config.to_vec(), parent, names, layers: members.into_iter().zip(diffs).collect() })
    }

    /// An OCI layout without Docker's `manifest.json`.
    fn layout_images(&self, index: &[u8], platform: Option<&Platform>) -> Result<Vec<Found>> {
        let index: Index = parse("index.json", index)?;
        let mut images = Vec::new();
        for descriptor in &index.manifests {
            let names = layout_names(descriptor)?;
            self.layout_image(descriptor, &names, platform, &mut images, 0)?;
        }
        if images.is_empty() {
            return Err(Error::Document("index.json names no image".into()));
        }
        Ok(images)
    }

    fn layout_image(
        &self,
        descriptor: &Descriptor,
        names: &[Reference],
        platform: Option<&Platform>,
        images: &mut Vec<Found>,
        depth: usize,
    ) -> Result<()> {
        /// An index may name indexes; the specification gives no limit, an endless chain needs one.
        const MAX_DEPTH: usize = 4;
        let bytes = self.blob(descriptor)?;
        if media_type::is_index(&descriptor.media_type) && depth < MAX_DEPTH {
            let index: Index = parse("image index", bytes)?;
            let wanted = platform.cloned().unwrap_or_else(Platform::host);
            let fits = |d: &&Descriptor| d.platform.as_ref().is_none_or(|p| p.satisfies(&wanted));
            let chosen = index
                .manifests
                .iter()
                .find(fits)
                .ok_or_else(|| Error::Invalid(format!("no image for platform {wanted} in the archive")))?;
            return self.layout_image(chosen, names, platform, images, depth + 1);
        }
        if !media_type::is_manifest(&descriptor.media_type) {
            return Err(Error::Unsupported(format!("media type {} in index.json", descriptor.media_type)));
        }
        let manifest: Manifest = parse("image manifest", bytes)?;
        if let Some(foreign) = manifest.layers.iter().find(|l| media_type::is_foreign_layer(&l.media_type)) {
            return Err(Error::Unsupported(format!(
                "foreign layer {}: its bytes are not in the archive",
                foreign.digest
            )));
        }
        let members = manifest.layers.iter().map(|l| self.resolve(&blob_path(&l.digest))).collect::<Result<_>>()?;
        images.push(self.found(self.blob(&manifest.config)?, members, names.to_vec(), None)?);
        Ok(())
    }

    /// A document by its digest, verified.
    fn blob(&self, descriptor: &Descriptor) -> Result<&[u8]> {
        let what = || format!("blob {}", descriptor.digest);
        let bytes = self.document(blob_path(&descriptor.digest));
        let bytes = bytes.ok_or_else(|| Error::Document(format!("{} is missing", what())))?;
        let found = descriptor.digest.same_algorithm(bytes);
        if found != descriptor.digest {
            return Err(mismatch(what(), descriptor.digest, found));
        }
        Ok(bytes)
    }

    fn document(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        let path = self.resolve(path.as_ref()).ok()?;
        self.documents.get(&path).map(Vec::as_slice)
    }

    /// Follows the links that old versions of `docker save` write for a layer that occurs twice.
    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        const MAX_LINKS: usize = 16;
        let mut path = wharf_archive::clean(path)?;
        for _ in 0..MAX_LINKS {
            match self.links.get(&path) {
                Some(target) => path = target.clone(),
                None => return Ok(path),
            }
        }
        Err(Error::Document(format!("{}: too many links", path.display())))
    }
}

/// Whether the member is a document. Looks at its first bytes without taking them.
fn looks_like_document<R: std::io::BufRead>(path: &Path, size: u64, tar: &mut Reader<R>) -> Result<bool> {
    if size > MAX_DOCUMENT {
        return Ok(false);
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if matches!(name, "VERSION" | "repositories" | "oci-layout") || name.ends_with(".json") {
        return Ok(true);
    }
    let start = tar.fill_payload()?;
    let first = start.iter().find(|b| !b.is_ascii_whitespace());
    // a tar whose first member has such a name has NULs after it, a document never has
    Ok(matches!(first, Some(b'{' | b'[')) && !start.iter().take(512).any(|b| *b == 0))
}

/// How progress names a layer: by its blob, or by its folder in old archives.
fn layer_name(path: &Path) -> String {
    let name = match path.file_name().and_then(|n| n.to_str()) {
        Some("layer.tar") | None => path.parent().unwrap_or(path).to_string_lossy().into_owned(),
        Some(name) => name.to_owned(),
    };
    name.chars().take(12).collect()
}

fn layout_names(descriptor: &Descriptor) -> Result<Vec<Reference>> {
    let full = descriptor.annotations.get("io.containerd.image.name");
    let short = descriptor.annotations.get("org.opencontainers.image.ref.name");
    // the short one is a bare tag (as skopeo writes it) or a whole name; a bare tag names no repository
    let name = full.or(short.filter(|s| s.contains([':', '/'])));
    match name {
        Some(name) => Ok(vec![Reference::parse(name)?.with_default_tag()]),
        None => Ok(Vec::new()),
    }
}

fn blob_path(digest: &Digest) -> PathBuf {
    PathBuf::from(format!("blobs/{}/{}", digest.algorithm(), digest.hex()))
}

fn parse<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::Document(format!("{what}: {e}")))
}

fn mismatch(what: String, expected: Digest, found: Digest) -> Error {
    Error::DigestMismatch { what, expected: Box::new(expected), found: Box::new(found) }
}
