//! Images that come piece by piece, as a pull brings them.

mod archives;

use archives::{Open, gzip, image, layer};
use wharf_spec::{digest::Digest, reference::Reference};
use wharf_store::{Distribution, Error, Incoming, Ingest, Job, LayerBlob, ManifestDocument};

fn take(ingest: &Ingest, bytes: &[u8], expected: &Digest) -> Result<Digest, Error> {
    let mut reader = bytes;
    ingest.layer(&mut reader, expected, bytes.len() as u64, &Job::default())
}

#[test]
fn r_img_02_layers_from_several_threads_become_visible_at_once() {
    let mut open = Open::new();
    let a = image(&[layer(&[("a", "1")]), layer(&[("b", "2")]), layer(&[("c", "3")])]);
    let blobs: Vec<Vec<u8>> = a.layers.iter().map(|l| gzip(l)).collect();
    let ingest = open.store.ingest();
    std::thread::scope(|scope| {
        for blob in &blobs {
            scope.spawn(|| take(&ingest, blob, &Digest::of(blob)).unwrap());
        }
    });
    assert_eq!(open.store.catalog().images().len(), 0);
    assert!(ingest.has_layer(&a.diffs()[0]));
    let names: Vec<Reference> =
        vec!["r.example/app:1".parse().unwrap(), format!("r.example/app@{}", Digest::of(b"m")).parse().unwrap()];
    let config = a.config.as_slice().into();
    assert_eq!(
        ingest.publish(&[Incoming { config, names, parent: None, distribution: Distribution::default() }]).unwrap(),
        [a.id()]
    );
    let found = open.store.resolve("r.example/app:1").unwrap();
    assert_eq!((found.tags.len(), found.digests.len()), (1, 1));

    // the same blobs need not be fetched again, not even after a restart
    open.reopen();
    let again = open.store.ingest();
    for (blob, diff) in blobs.iter().zip(a.diffs()) {
        assert_eq!(again.layer_of_blob(&Digest::of(blob)), Some(diff));
    }
    drop(again);
    open.store.remove("r.example/app:1", false, true, &|_| Vec::new()).unwrap();
    assert_eq!(open.layers_on_disk(), 0);
    assert_eq!(open.store.ingest().layer_of_blob(&Digest::of(&blobs[0])), None);
}

#[test]
fn r_img_08_lying_and_damaged_blobs_leave_nothing() {
    let open = Open::new();
    let plain = layer(&[("a", "1")]);
    let blob = gzip(&plain);
    let ingest = open.store.ingest();
    let lie = take(&ingest, &blob, &Digest::of(b"something else")).unwrap_err();
    assert!(matches!(lie, Error::DigestMismatch { .. }), "{lie}");
    for length in [0, 1, 9, blob.len() / 2, blob.len() - 1] {
        let cut = &blob[..length];
        assert!(matches!(take(&ingest, cut, &Digest::of(&blob)), Err(Error::DigestMismatch { .. })), "{length}");
        // even with the right digest for the wrong bytes
        if length > 0 {
            assert!(take(&ingest, cut, &Digest::of(cut)).is_err(), "{length}");
        }
    }
    let evil = archives::tar(&[("../../x", b"x")]);
    assert!(take(&ingest, &evil, &Digest::of(&evil)).is_err());
    assert_eq!((open.staged(), open.layers_on_disk()), (0, 0));
    // an image whose layers did not come
    let a = image(&[plain]);
    let config = a.config.as_slice().into();
    assert!(
        ingest
            .publish(&[Incoming { config, names: Vec::new(), parent: None, distribution: Distribution::default() }])
            .is_err()
    );
    assert_eq!(open.store.catalog().images().len(), 0);
}

#[test]
fn r_img_02_what_is_not_published_is_dropped() {
    let open = Open::new();
    let plain = layer(&[("a", "1")]);
    let ingest = open.store.ingest();
    take(&ingest, &plain, &Digest::of(&plain)).unwrap();
    assert_eq!(open.staged(), 1);
    drop(ingest);
    assert_eq!((open.staged(), open.layers_on_disk()), (0, 0));
}

#[test]
fn r_img_02_a_layer_that_two_want_is_unpacked_once() {
    let open = Open::new();
    let plain = layer(&[("a", "1")]);
    let a = image(std::slice::from_ref(&plain));
    let digest = Digest::of(&plain);
    let (first, second) = (open.store.ingest(), open.store.ingest());
    let once = open.store.unpack(&mut &plain[..], &digest, plain.len() as u64, &Job::default()).unwrap();
    first.adopt(&once);
    second.adopt(&once);
    drop(once);
    assert_eq!(open.staged(), 1);
    let incoming = |tag: &str| Incoming {
        distribution: Distribution::default(),
        config: a.config.as_slice().into(),
        names: vec![format!("r.example/app:{tag}").parse().unwrap()],
        parent: None,
    };
    first.publish(&[incoming("1")]).unwrap();
    // gone again before the second one is ready: it must not lose its layer
    open.store.remove("r.example/app:1", false, true, &|_| Vec::new()).unwrap();
    second.publish(&[incoming("2")]).unwrap();
    assert!(open.store.resolve("r.example/app:2").is_ok());
    assert_eq!((open.staged(), open.layers_on_disk()), (0, 1));
    open.store.remove("r.example/app:2", false, true, &|_| Vec::new()).unwrap();
    assert_eq!(open.layers_on_disk(), 0);
}

#[test]
fn r_img_08_manifests_and_blobs_stay_as_long_as_their_image() {
    let mut open = Open::new();
    let a = image(&[layer(&[("a", "1")])]);
    let packed = gzip(&a.layers[0]);
    let ingest = open.store.ingest();
    let diff = take(&ingest, &packed, &Digest::of(&packed)).unwrap();
    let blob = LayerBlob {
        diff,
        digest: Digest::of(&packed),
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
        size: packed.len() as u64,
        repositories: ["example.net/app".to_owned()].into(),
    };
    let bytes = b"{ \"schemaVersion\": 2 }".to_vec();
    let manifest = ManifestDocument { digest: Digest::of(&bytes), media_type: "m".into(), bytes };
    let known = Distribution { manifests: vec![manifest.clone()], blobs: vec![blob.clone()] };
    let name: Reference = "example.net/app:1".parse().unwrap();
    let config = a.config.as_slice().into();
    let incoming = Incoming { config, names: vec![name], parent: None, distribution: known };
    let id = ingest.publish(&[incoming]).unwrap()[0];
    // a second repository adds to what is known
    let elsewhere = LayerBlob { repositories: ["other.net/app".to_owned()].into(), ..blob.clone() };
    open.store.note_distribution(&id, &Distribution { manifests: Vec::new(), blobs: vec![elsewhere] }).unwrap();
    for _ in 0..2 {
        assert_eq!(open.store.manifest(&manifest.digest).unwrap(), Some(manifest.clone()));
        assert_eq!(open.store.catalog().manifests_of(&id).count(), 1);
        let known = open.store.catalog().blobs_of(&diff);
        assert_eq!(known.len(), 1);
        let repositories = ["example.net/app".to_owned(), "other.net/app".to_owned()].into();
        assert_eq!(known[0], LayerBlob { repositories, ..blob.clone() });
        open.reopen();
    }
    open.store.remove("example.net/app:1", false, true, &|_| Vec::new()).unwrap();
    assert_eq!(open.store.manifest(&manifest.digest).unwrap(), None);
    assert_eq!(open.store.catalog().blob(&blob.digest), None);
}
