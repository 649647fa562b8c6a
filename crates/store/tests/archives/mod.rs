//! Stores in temporary folders, and archives made by hand.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::json;
use wharf_archive::{Kind, Member, Writer};
use wharf_spec::{
    digest::Digest,
    id::{ContainerId, DiffId},
};
use wharf_state::Db;
use wharf_store::{Driver, Error, Job, Loaded, Store};

/// An open store in a folder of its own.
pub(crate) struct Open {
    driver: Driver,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Open {
    pub(crate) fn new() -> Self {
        Self::with(Driver::Overlay2)
    }

    pub(crate) fn with(driver: Driver) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open_driver(dir.path(), driver).unwrap();
        Self { driver, dir, store }
    }

    /// Closes it and opens it again, as a daemon that starts.
    pub(crate) fn reopen(&mut self) {
        let scratch = tempfile::tempdir().unwrap();
        // the old store must be gone before its files are opened again
        self.store = open_store(scratch.path());
        self.store = open_store(self.dir.path());
    }

    pub(crate) fn load(&self, mut bytes: &[u8]) -> Result<Vec<Loaded>, Error> {
        self.store.load(&mut bytes, None, &Job::default())
    }

    pub(crate) fn save(&self, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut out = Vec::new();
        self.store.save(&names, &mut out, &Job::default()).unwrap();
        out
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.dir.path().join(self.driver.name())
    }

    /// Folders with files of layers.
    pub(crate) fn layers_on_disk(&self) -> usize {
        let entries = std::fs::read_dir(self.base()).unwrap();
        entries.filter(|e| e.as_ref().unwrap().path().join("record").exists()).count()
    }

    /// Unfinished folders.
    pub(crate) fn staged(&self) -> usize {
        std::fs::read_dir(self.base().join("staging")).unwrap().count()
    }

    pub(crate) fn upper(&self, id: &ContainerId) -> PathBuf {
        self.base().join(id.as_str()).join("diff")
    }

    pub(crate) fn layer_file(&self, diff: &DiffId, name: &str) -> PathBuf {
        self.base().join(diff.hex()).join("diff").join(name)
    }
}

pub(crate) fn open_store(root: &Path) -> Store {
    open_driver(root, Driver::Overlay2).unwrap()
}

pub(crate) fn open_driver(root: &Path, driver: impl Into<Option<Driver>>) -> Result<Store, Error> {
    let db = Db::open(&root.join("state.db"), &[]).unwrap();
    Store::open(root, driver.into(), db)
}

/// An image to be put into archives.
pub(crate) struct TestImage {
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
}

impl TestImage {
    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.config)
    }

    pub(crate) fn diffs(&self) -> Vec<Digest> {
        self.layers.iter().map(|l| Digest::of(l)).collect()
    }
}

/// An image of these layers (tars).
pub(crate) fn image(layers: &[Vec<u8>]) -> TestImage {
    let diffs: Vec<Digest> = layers.iter().map(|l| Digest::of(l)).collect();
    let history: Vec<_> =
        layers.iter().map(|_| json!({"created": "2026-01-01T00:00:00Z", "created_by": "x"})).collect();
    // a member that nobody knows, and blanks, so that a configuration that is written anew is noticed
    let config = json!({
        "os": "linux", "future": {"x": 1}, "architecture": "amd64", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diffs}, "history": history,
    });
    TestImage { config: serde_json::to_vec_pretty(&config).unwrap(), layers: layers.to_vec() }
}

/// The tar of a layer.
pub(crate) fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    tar(&files)
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (path, contents) in files {
        let mut member = Member::new(*path, Kind::File, 0o644);
        member.size = contents.len() as u64;
        tar.append(&member, &mut &contents[..]).unwrap();
    }
    tar.finish().unwrap().0
}

/// What `docker save` writes, documents last.
pub(crate) fn archive(images: &[(&TestImage, &[&str])]) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut manifest = Vec::new();
    for (image, tags) in images {
        let layers: Vec<String> = image.diffs().iter().map(blob).collect();
        for (path, layer) in layers.iter().zip(&image.layers) {
            if !files.iter().any(|(p, _)| p == path) {
                files.push((path.clone(), layer.clone()));
            }
        }
        files.push((blob(&image.id()), image.config.clone()));
        manifest.push(json!({"Config": blob(&image.id()), "RepoTags": tags, "Layers": layers}));
    }
    files.push(("manifest.json".into(), serde_json::to_vec(&manifest).unwrap()));
    tar_of(&files)
}

/// What `docker save` wrote before version 25.
pub(crate) fn old_archive(image: &TestImage, tags: &[&str]) -> Vec<u8> {
    let layers: Vec<String> = (0..image.layers.len()).map(|n| format!("{n:064}/layer.tar")).collect();
    let mut files: Vec<(String, Vec<u8>)> = layers.iter().cloned().zip(image.layers.iter().cloned()).collect();
    let config = format!("{}.json", image.id().hex());
    files.push((config.clone(), image.config.clone()));
    let manifest = json!([{"Config": config, "RepoTags": tags, "Layers": layers}]);
    files.push(("manifest.json".into(), serde_json::to_vec(&manifest).unwrap()));
    tar_of(&files)
}

/// An archive whose second layer has the bytes of another one.
pub(crate) fn with_wrong_blob(image: &TestImage) -> Vec<u8> {
    let mut bytes = archive(&[(image, &["one:1"])]);
    let at = bytes.windows(512).position(|w| w.starts_with(b"2\0\0\0\0")).unwrap();
    bytes[at] = b'3';
    bytes
}

/// An OCI layout as other tools write it: no `manifest.json`, layers compressed.
pub(crate) fn oci_layout(image: &TestImage, name: &str, compress: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut layers = Vec::new();
    for layer in &image.layers {
        let bytes = compress(layer);
        let digest = Digest::of(&bytes);
        layers.push(
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": bytes.len()}),
        );
        files.push((blob(&digest), bytes));
    }
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": image.id(), "size": image.config.len()});
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let digest = Digest::of(&manifest);
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": manifest.len(),
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "v1"},
    }]});
    files.push((blob(&digest), manifest));
    files.push((blob(&image.id()), image.config.clone()));
    files.push(("index.json".into(), serde_json::to_vec(&index).unwrap()));
    tar_of(&files)
}

pub(crate) fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, b)| (p.as_str(), b.as_slice())).collect();
    tar(&files)
}
