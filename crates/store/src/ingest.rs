//! Bringing in images piece by piece, as a pull or a build does: layers from several threads at once, then everything visible in
//! one step. What is not published is dropped.
//!
//! A layer that several of them want is unpacked once ([`Store::unpack`]) and adopted by each ([`Ingest::adopt`]).

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use wharf_spec::{
    digest::Digest,
    id::{DiffId, ImageId},
    reference::Reference,
};

use crate::{
    Distribution, Error, Job, Progress, Result, intake,
    store::{NewImage, Pin, Staged, Store},
};

/// A layer that is unpacked and waits to be published. Clones are the same layer; with the last one it is dropped.
#[derive(Debug, Clone)]
pub struct Unpacked {
    inner: Arc<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    diff: DiffId,
    /// Digest of the bytes as they came.
    blob: Digest,
    /// Until somebody publishes it.
    staged: Mutex<Option<Staged>>,
    /// From then on: the others who adopted it rely on it.
    _pin: Pin,
}

impl Unpacked {
    /// The layer's own digest.
    pub fn diff(&self) -> DiffId {
        self.inner.diff
    }
}

/// A set of layers on its way in. Layers that are kept or brought in stay at least as long as this lives.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    layers: BTreeMap<DiffId, Unpacked>,
    pins: Vec<Pin>,
    /// Distribution digest of what was brought in, where it differs from the layer's own.
    blobs: BTreeMap<Digest, DiffId>,
}

/// An image to be published.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The configuration, byte for byte.
    pub config: Arc<[u8]>,
    /// Tags and digests that shall mean it.
    pub names: Vec<Reference>,
    /// The image that it was made from, when that is here.
    pub parent: Option<ImageId>,
    /// What the registry it comes from knows of it.
    pub distribution: Distribution,
}

impl Store {
    /// Begins to bring in images.
    pub fn ingest(&self) -> Ingest {
        Ingest { store: self.clone(), held: Mutex::default() }
    }

    /// Takes in one layer (plain or compressed), verified against `expected`, the digest of the bytes as they come. Nobody sees it
    /// before an [`Ingest`] that adopted it is published.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] when the bytes are others than promised: then nothing of them stays.
    pub fn unpack(&self, reader: &mut dyn Read, expected: &Digest, total: u64, job: &Job) -> Result<Unpacked> {
        let Digest::Sha256(_) = expected else {
            return Err(Error::Unsupported(format!("layers with {} digests", expected.algorithm())));
        };
        let id = expected.short();
        let progress = |current| job.report(|| Progress::Layer { id: id.clone(), current, total });
        let blob = intake::take(self.layout(), reader, job, progress)?;
        if blob.digest != *expected {
            // told first: bytes that are not what was promised are usually no tar either
            let (expected, found) = (Box::new(*expected), Box::new(blob.digest));
            return Err(Error::DigestMismatch { what: format!("layer {id}"), expected, found });
        }
        let staged = blob.layer?;
        let (diff, pin) = (staged.diff, self.pin_ahead(&staged.diff));
        let inner = Waiting { diff, blob: *expected, staged: Mutex::new(Some(staged)), _pin: pin };
        Ok(Unpacked { inner: Arc::new(inner) })
    }
}

impl Ingest {
    /// Whether the layer is here, or was brought in by this.
    pub fn has_layer(&self, diff: &DiffId) -> bool {
        let pin = self.store.pin(diff);
        let mut held = self.held();
        let here = pin.is_some();
        held.pins.extend(pin);
        here || held.layers.contains_key(diff)
    }

    /// The layer that came from the blob with this distribution digest before, if it is still here: nothing need be fetched.
    pub fn layer_of_blob(&self, blob: &Digest) -> Option<DiffId> {
        let known = self.held().blobs.get(blob).copied();
        let diff = known.or_else(|| self.store.catalog().blobs.get(blob).map(|b| b.diff)).unwrap_or(*blob);
        self.has_layer(&diff).then_some(diff)
    }

    /// Takes in one layer: [`Store::unpack`] for this alone. Call it from several threads for several layers.
    ///
    /// # Errors
    /// As [`Store::unpack`].
    pub fn layer(&self, reader: &mut dyn Read, expected: &Digest, total: u64, job: &Job) -> Result<DiffId> {
        let layer = self.store.unpack(reader, expected, total, job)?;
        self.adopt(&layer);
        Ok(layer.diff())
    }

    /// Makes a layer that was unpacked, perhaps for several, one of this.
    pub fn adopt(&self, layer: &Unpacked) {
        let Waiting { diff, blob, .. } = *layer.inner;
        let mut held = self.held();
        held.layers.entry(diff).or_insert_with(|| layer.clone());
        if diff != blob {
            held.blobs.insert(blob, diff);
        }
    }

    /// Makes the layers durable, then the images visible, all in one step.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when an image has a layer that was not brought in.
    pub fn publish(self, images: &[Incoming]) -> Result<Vec<ImageId>> {
        let Held { layers, pins, blobs } = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        let some_new = !layers.is_empty();
        wharf_sys::failpoint::hit("store.ingest.synced").map_err(Error::io("publish", self.store.layout().base()))?;
        let mut change = self.store.change();
        for layer in layers.values() {
            // taken: another one has published it, and it is pinned
            let staged = layer.inner.staged.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(staged) = staged {
                change.add_layer(staged)?;
            }
        }
        if some_new {
            self.store.layout().sync_names()?;
        }
        for (blob, diff) in blobs {
            change.note_blob(blob, diff);
        }
        let mut ids = Vec::with_capacity(images.len());
        for image in images {
            let parent = image.parent.filter(|p| change.catalog.get(p).is_some());
            let names = image.names.clone();
            let id = change.add_image(&NewImage { config: image.config.clone(), parent, names })?;
            change.note_distribution(&id, &image.distribution);
            ids.push(id);
        }
        change.commit()?;
        drop((layers, pins));
        Ok(ids)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
