//! `docker save`: one tar that is a docker-archive and an OCI layout at once, as Docker 28 writes it. Layers come out byte for byte as
//! they came in.
//!
//! ```text
//! blobs/sha256/<hex>   layers (plain tar), configurations, manifests; in the order of their names
//! index.json manifest.json oci-layout repositories
//! ```

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Write, empty},
    os::fd::AsFd,
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Map, Value, json};
use wharf_archive::{Kind, LayerFiles, Member, Moved, Sink, Time, Writer};
use wharf_spec::{
    digest::Digest,
    id::{DiffId, ImageId},
    image::media_type,
    reference::{AnyReference, Reference},
};

use crate::{
    Catalog, Error, Image, Job, Result,
    layout::{ASIDE, RECORD},
    rows::{self, LayerRow},
    store::{Store, decode},
};

/// One image to be written, with the tags that were asked for.
struct Chosen {
    image: Arc<Image>,
    tags: Vec<Reference>,
}

/// What stands under one digest.
enum Blob {
    Bytes { bytes: Vec<u8>, created: i64 },
    Layer { diff: DiffId, size: u64, created: i64 },
}

impl Store {
    /// Writes images (names, names without tag = all tags, or identifiers) in the form of Docker 28: docker-archive and
    /// OCI layout in one tar. Fails before the first byte when a name is unknown.
    pub fn save(&self, names: &[String], sink: &mut dyn Sink, job: &Job) -> Result<()> {
        let catalog = self.catalog();
        let chosen = choose(&catalog, names)?;
        let layers: Vec<DiffId> = chosen.iter().flat_map(|c| c.image.layers.iter().copied()).collect();
        let _pins = self.pin_all(&layers)?;
        let (blobs, documents) = describe(&catalog, &chosen);
        let mut tar = Writer::new(sink);
        for folder in ["blobs/", "blobs/sha256/"] {
            tar.append(&Member::new(folder, Kind::Dir, 0o755), &mut empty())?;
        }
        for (digest, blob) in &blobs {
            job.check()?;
            let path = format!("blobs/sha256/{}", digest.hex());
            match blob {
                Blob::Bytes { bytes, created } => append(&mut tar, &path, bytes, *created)?,
                Blob::Layer { diff, size, created } => {
                    tar.header(&file(&path, *size, *created))?;
                    let written = self.write_layer(diff, &mut LayerSink { tar: &mut tar, job })?;
                    if written != *size {
                        return Err(Error::Corrupt(format!("layer {diff} has {written} bytes, expected {size}")));
                    }
                    tar.finish_file(*size)?;
                }
            }
        }
        for (path, bytes) in &documents {
            append(&mut tar, path, bytes, 0)?;
        }
        tar.finish()?;
        Ok(())
    }

    /// Writes the tar stream of a layer, exactly as it came; answers its length.
    pub fn write_layer(&self, diff: &DiffId, out: &mut dyn Sink) -> Result<u64> {
        let key = diff.to_string();
        let row = self.inner.db.read(|tx| tx.get(rows::LAYERS, &key))?;
        let row: LayerRow = decode(&key, &row.ok_or_else(|| Error::Corrupt(format!("layer {diff} is gone")))?)?;
        let folder = self.layout().layer(diff);
        let open = |path: PathBuf| File::open(&path).map_err(Error::io("open", &path));
        let files = open(self.layout().layer_files(diff))?;
        let moved: Vec<Moved> = row.moved.iter().map(Into::into).collect();
        let aside = if moved.is_empty() { None } else { Some(open(folder.join(ASIDE))?) };
        let files = LayerFiles { root: files.as_fd(), moved_root: aside.as_ref().map(AsFd::as_fd), moved: &moved };
        Ok(wharf_archive::replay(open(folder.join(RECORD))?, files, out)?)
    }
}

/// A layer's bytes on their way into the archive.
struct LayerSink<'a, W: Write> {
    tar: &'a mut Writer<W>,
    job: &'a Job,
}

impl<W: Write> Write for LayerSink<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.job.check().map_err(std::io::Error::other)?;
        self.tar.put(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<W: Sink> Sink for LayerSink<'_, W> {
    fn room(&mut self) -> std::io::Result<&mut [u8]> {
        self.job.check().map_err(std::io::Error::other)?;
        self.tar.room()
    }

    fn advance(&mut self, n: usize) -> std::io::Result<()> {
        self.tar.advance(n)
    }
}

/// Which images with which tags, each image once, in the order of the names.
fn choose(catalog: &Catalog, names: &[String]) -> Result<Vec<Chosen>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut add = |image: &Arc<Image>, tag: Option<&Reference>| {
        let at = chosen.iter().position(|c| c.image.id == image.id).unwrap_or_else(|| {
            chosen.push(Chosen { image: image.clone(), tags: Vec::new() });
            chosen.len() - 1
        });
        let tags = &mut chosen[at].tags;
        tags.extend(tag.filter(|t| t.tag().is_some() && !tags.contains(t)).cloned());
    };
    for name in names {
        if let AnyReference::Named(reference) = AnyReference::parse(name)? {
            let all: Vec<_> = catalog.names().filter(|(r, _)| r.name() == reference.name()).collect();
            if reference.is_name_only() && !all.is_empty() {
                for (tag, id) in all {
                    let image = catalog.get(id).ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
                    add(image, Some(tag));
                }
                continue;
            }
            if let Some(image) = catalog.by_reference(&reference) {
                add(image, Some(&reference));
                continue;
            }
        }
        // Docker names here what was asked for, without the default tag
        let image = catalog.resolve(name).map_err(|e| match e {
            Error::NoSuchImage(_) => Error::NoSuchImage(name.clone()),
            other => other,
        })?;
        add(image, None);
    }
    Ok(chosen)
}

type Documents = Vec<(&'static str, Vec<u8>)>;

fn describe(catalog: &Catalog, chosen: &[Chosen]) -> (BTreeMap<Digest, Blob>, Documents) {
    let mut blobs = BTreeMap::new();
    let mut index = Vec::new();
    let mut manifest = Vec::new();
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let saved: Vec<ImageId> = chosen.iter().map(|c| c.image.id).collect();
    for Chosen { image, tags } in chosen {
        let created = image.created;
        let descriptors: Vec<Value> = image.layers.iter().map(|diff| layer_descriptor(catalog, diff)).collect();
        for diff in &image.layers {
            let size = catalog.layer(diff).map_or(0, |l| l.tar_size);
            blobs.entry(*diff).or_insert(Blob::Layer { diff: *diff, size, created });
        }
        let oci = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": {"mediaType": media_type::OCI_CONFIG, "digest": image.id, "size": image.config_bytes.len()},
            "layers": descriptors,
        });
        let oci = rows::encode(&oci);
        let oci_digest = Digest::of(&oci);
        index.extend(index_entries(oci_digest, oci.len(), tags));
        manifest.push(archive_entry(image, tags, &descriptors, &saved));
        if let Some(top) = image.layers.last() {
            for tag in tags {
                let versions = repositories.entry(tag.familiar_name()).or_default();
                versions.insert(tag.tag().unwrap_or_default().to_owned(), top.hex());
            }
        }
        blobs.insert(image.id, Blob::Bytes { bytes: image.config_bytes.to_vec(), created });
        blobs.insert(oci_digest, Blob::Bytes { bytes: oci, created: 0 });
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": index});
    let line = |value: &Value| [rows::encode(value), b"\n".to_vec()].concat();
    let mut documents = vec![
        ("index.json", rows::encode(&index)),
        ("manifest.json", line(&manifest.into())),
        ("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec()),
    ];
    if !repositories.is_empty() {
        documents.push(("repositories", line(&json!(repositories))));
    }
    (blobs, documents)
}

fn layer_descriptor(catalog: &Catalog, diff: &DiffId) -> Value {
    let size = catalog.layer(diff).map_or(0, |l| l.tar_size);
    json!({"mediaType": media_type::OCI_LAYER, "digest": diff, "size": size})
}

fn index_entries(digest: Digest, size: usize, tags: &[Reference]) -> Vec<Value> {
    let plain = json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": size});
    if tags.is_empty() {
        return vec![plain];
    }
    let named = |tag: &Reference| {
        let mut entry = plain.clone();
        entry["annotations"] = json!({
            "io.containerd.image.name": tag.to_string(),
            "org.opencontainers.image.ref.name": tag.tag(),
        });
        entry
    };
    tags.iter().map(named).collect()
}

/// One element of `manifest.json`.
fn archive_entry(image: &Image, tags: &[Reference], descriptors: &[Value], saved: &[ImageId]) -> Value {
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let mut entry = Map::new();
    entry.insert("Config".into(), path(&image.id).into());
    let tags: Vec<String> = tags.iter().map(Reference::familiar).collect();
    entry.insert("RepoTags".into(), if tags.is_empty() { Value::Null } else { tags.into() });
    entry.insert("Layers".into(), image.layers.iter().map(path).collect::<Vec<_>>().into());
    if let Some(parent) = image.parent.filter(|p| saved.contains(p)) {
        entry.insert("Parent".into(), parent.to_string().into());
    }
    // the members of these descriptors in Docker's order, which is another one than in the manifest
    let source = |d: &Value| json!({"mediaType": d["mediaType"], "size": d["size"], "digest": d["digest"]});
    let sources: BTreeMap<String, Value> =
        image.layers.iter().map(Digest::to_string).zip(descriptors.iter().map(source)).collect();
    entry.insert("LayerSources".into(), json!(sources));
    entry.into()
}

fn file(path: &str, size: u64, created: i64) -> Member {
    let mut member = Member::new(path, Kind::File, 0o644);
    member.size = size;
    member.mtime = Time { seconds: created, nanos: 0 };
    member
}

fn append<W: Write>(tar: &mut Writer<W>, path: &str, mut bytes: &[u8], created: i64) -> Result<()> {
    Ok(tar.append(&file(path, bytes.len() as u64, created), &mut bytes)?)
}
