//! Images from end to end through the store's interface: in, named, out again, gone.

mod archives;

use archives::{Open, archive, image, layer, oci_layout};
use wharf_spec::{digest::Digest, id::ContainerId, reference::Reference};
use wharf_store::{Commit, Error, Import, Job, Progress, Removed, Use};

fn nobody(_: &Digest) -> Vec<Use> {
    Vec::new()
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

#[test]
fn r_img_04_load_and_save_give_the_same_bytes() {
    let open = Open::new();
    let a = image(&[layer(&[("a", "1")]), layer(&[("b", "22"), ("c/d", "333")])]);
    let b = image(&[layer(&[("a", "1")]), layer(&[("z", "z")])]);
    let bytes = archive(&[(&a, &["one:1", "one:2"]), (&b, &["two:latest"])]);
    let loaded = open.load(&bytes).unwrap();
    let names: Vec<_> = loaded.iter().map(|l| l.reference.as_ref().unwrap().familiar()).collect();
    assert_eq!(names, ["one:1", "one:2", "two:latest"]);
    assert_eq!(loaded[0].id, a.id());
    assert_eq!(open.layers_on_disk(), 3, "the common layer is stored once");

    let saved = open.save(&["one", "two"]);
    let again = Open::new();
    let reloaded = again.load(&saved).unwrap();
    assert_eq!(reloaded, loaded);
    assert_eq!(again.save(&["one", "two"]), saved);
    for layer in a.layers.iter().chain(&b.layers) {
        let mut out = Vec::new();
        again.store.write_layer(&Digest::of(layer), &mut out).unwrap();
        assert!(out == *layer, "a layer changed");
    }
    // the configuration is kept byte for byte
    let image = again.store.resolve("two").unwrap();
    assert_eq!(&*image.config_bytes, b.config.as_slice());
}

#[test]
fn r_img_04_compressed_archives_and_layouts() {
    let a = image(&[layer(&[("a", "1")])]);
    let plain = archive(&[(&a, &["one:1"])]);
    let gzip = archives::gzip(&plain);
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    for bytes in [plain, gzip, zstd] {
        let open = Open::new();
        assert_eq!(open.load(&bytes).unwrap()[0].id, a.id());
    }
    for compress in [archives::plain, archives::gzip, archives::zstd] {
        let open = Open::new();
        let loaded = open.load(&oci_layout(&a, "docker.io/me/app:v1", compress)).unwrap();
        assert_eq!((loaded[0].id, loaded[0].reference.clone()), (a.id(), Some(name("me/app:v1"))));
        let mut out = Vec::new();
        open.store.write_layer(&Digest::of(&a.layers[0]), &mut out).unwrap();
        assert!(out == a.layers[0]);
    }
}

#[test]
fn r_arch_08_bad_archives_leave_nothing() {
    let a = image(&[layer(&[("a", "1")]), layer(&[("b", "2")])]);
    let whole = archive(&[(&a, &["one:1"])]);
    let check = |bytes: &[u8], expect: &str| {
        let open = Open::new();
        let error = open.load(bytes).unwrap_err().to_string();
        assert!(error.contains(expect), "{error:?} does not say {expect:?}");
        assert_eq!(open.layers_on_disk(), 0, "{expect}");
        assert_eq!(open.staged(), 0, "{expect}");
        assert_eq!(open.store.catalog().images().len(), 0);
    };
    check(&whole[..whole.len() / 2 / 512 * 512], "in the middle of a file");
    check(&whole[..700], "unexpected EOF");
    check(b"no tar at all", "unexpected EOF");
    check(&archives::tar(&[("x", b"y")]), "neither manifest.json nor index.json");
    check(&archives::tar(&[("manifest.json", b"[{")]), "manifest.json");
    check(&archives::tar(&[("manifest.json", br#"[{"Config":"c.json"}]"#)]), "c.json is missing");
    check(&archives::tar(&[("manifest.json", br#"[{"Config":"../../etc/passwd"}]"#)]), "../../etc/passwd");
    // a layer whose bytes are others than the configuration says
    let mut lying = image(&[layer(&[("a", "1")]), layer(&[("b", "2")])]);
    lying.layers[1] = layer(&[("evil", "2")]);
    check(&archives::old_archive(&lying, &["one:1"]), "invalid diffID for layer 1");
    // a blob under a name that is not its digest
    check(&archives::with_wrong_blob(&a), "digest is");
    let mut short = image(&[layer(&[("a", "1")]), layer(&[("b", "2")])]);
    short.layers.pop();
    check(&archives::old_archive(&short, &["one:1"]), "layers length mismatch: expected 1, got 2");
    check(&archives::old_archive(&a, &["Bad:Name"]), "invalid reference format");
    // a layer that climbs out
    let evil = archives::tar(&[("../../../evil", b"x")]);
    check(&archive(&[(&image(&[evil]), &["one:1"])]), "outside of the root");
    let gzip = archives::gzip(&whole);
    check(&gzip[..gzip.len() - 5], "unexpected EOF");
}

#[test]
fn r_arch_08_cancelled_load_leaves_nothing() {
    let open = Open::new();
    let big = "x".repeat(4 << 20);
    let a = image(&[layer(&[("a", &big)])]);
    let bytes = archive(&[(&a, &["one:1"])]);
    let slot = std::sync::Arc::new(std::sync::OnceLock::<Job>::new());
    let inner = slot.clone();
    let job = Job::reporting(move |progress| {
        if matches!(progress, Progress::Layer { .. }) {
            inner.get().unwrap().cancel();
        }
    });
    slot.set(job.clone()).unwrap();
    assert!(matches!(open.store.load(&mut bytes.as_slice(), None, &job), Err(Error::Cancelled)));
    assert_eq!((open.staged(), open.layers_on_disk()), (0, 0));
}

#[test]
fn r_img_02_a_layer_that_is_there_is_not_taken_again() {
    let open = Open::new();
    let a = image(&[layer(&[("a", "1")])]);
    let bytes = archive(&[(&a, &["one:1"])]);
    open.load(&bytes).unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = seen.clone();
    let job = Job::reporting(move |progress| list.lock().unwrap().push(progress));
    open.store.load(&mut bytes.as_slice(), None, &job).unwrap();
    assert_eq!(*seen.lock().unwrap(), [Progress::Exists { id: Digest::of(&a.layers[0]).short() }]);
}

#[test]
fn r_img_05_tags_and_removal() {
    let open = Open::new();
    let a = image(&[layer(&[("base", "1")]), layer(&[("a", "2")])]);
    let b = image(&[layer(&[("base", "1")]), layer(&[("b", "3")])]);
    open.load(&archive(&[(&a, &["app:1"]), (&b, &["app:2"])])).unwrap();
    let store = &open.store;
    for tag in ["app:1.9", "app:1.9.1", "app"] {
        store.tag(&a.id(), &name(tag)).unwrap();
    }
    assert_eq!(store.resolve("app").unwrap().id, a.id());
    assert_eq!(store.resolve("app").unwrap().tags.len(), 4);
    // a name moves
    store.tag(&b.id(), &name("app:latest")).unwrap();
    assert_eq!(store.resolve("app").unwrap().id, b.id());
    assert_eq!(store.resolve(&a.id().hex()).unwrap().tags.len(), 3);

    let remove = |what: &str, force| store.remove(what, force, true, &nobody);
    assert_eq!(remove("app:1.9", false).unwrap(), [Removed::Untagged("app:1.9".into())]);
    let short = a.id().short();
    assert_eq!(
        remove(&short, false).unwrap_err().to_string(),
        format!("conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories")
    );
    remove("app:1.9.1", false).unwrap();
    let chain = wharf_spec::id::chain_ids(&a.diffs());
    assert_eq!(
        remove(&short, false).unwrap(),
        [Removed::Untagged("app:1".into()), Removed::Deleted(a.id()), Removed::Deleted(chain[1])],
        "the common layer stays"
    );
    assert_eq!(open.layers_on_disk(), 2);
    assert!(matches!(remove("app:1", false), Err(Error::NoSuchImage(n)) if n == "app:1"));
    let gone = remove(&b.id().to_string(), true).unwrap();
    assert_eq!(gone.len(), 2 + 1 + 2, "{gone:?}");
    assert_eq!(open.layers_on_disk(), 0);
}

#[test]
fn r_img_05_images_in_use() {
    let open = Open::new();
    let a = image(&[layer(&[("a", "1")])]);
    open.load(&archive(&[(&a, &["app:1"])])).unwrap();
    let container = ContainerId::from_bytes([0xab; 32]);
    let short = a.id().short();
    let used = |running| {
        let container = container.clone();
        move |_: &Digest| vec![Use { container: container.clone(), running }]
    };
    let check = |what: &str, force, running, expect: &str| {
        let error = open.store.remove(what, force, true, &used(running)).unwrap_err();
        assert!(matches!(error, Error::Conflict(_)));
        assert_eq!(error.to_string(), expect);
    };
    check(
        "app:1",
        false,
        false,
        &format!(
            "conflict: unable to remove repository reference \"app:1\" (must force) - container abababababab is using its \
             referenced image {short}"
        ),
    );
    check(
        &short,
        false,
        false,
        &format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container abababababab"
        ),
    );
    check(
        &short,
        true,
        true,
        &format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container abababababab"
        ),
    );
    // by name and with force: only the name goes while a container runs
    assert_eq!(open.store.remove("app:1", true, true, &used(true)).unwrap(), [Removed::Untagged("app:1".into())]);
    assert!(open.store.resolve(&short).is_ok());
    // a container keeps the layers of an image that is removed by force
    open.store.snapshot_create(&container, Some(&a.id()), None).unwrap();
    let removed = open.store.remove(&short, true, true, &used(false)).unwrap();
    assert_eq!(removed, [Removed::Deleted(a.id())]);
    assert_eq!(open.layers_on_disk(), 1);
    open.store.snapshot_remove(&container).unwrap();
    assert_eq!(open.layers_on_disk(), 0);
}

#[test]
fn r_img_06_resolution() {
    let open = Open::new();
    let images: Vec<_> = (0..40).map(|n| image(&[layer(&[("n", &n.to_string())])])).collect();
    for (n, image) in images.iter().enumerate() {
        open.load(&archive(&[(image, &[format!("i{n}:1").as_str()])])).unwrap();
    }
    let catalog = open.store.catalog();
    for image in &images {
        assert_eq!(catalog.resolve(&image.id().to_string()).unwrap().id, image.id());
        assert_eq!(catalog.resolve(&image.id().short()).unwrap().id, image.id());
    }
    // 40 identifiers share first digits
    let ambiguous = "0123456789abcdef"
        .chars()
        .map(String::from)
        .find(|c| images.iter().filter(|i| i.id().hex().starts_with(c)).count() > 1);
    let ambiguous = ambiguous.unwrap();
    assert!(matches!(catalog.resolve(&ambiguous), Err(Error::Ambiguous(p)) if p == ambiguous));
    let check = |text: &str, expect: &str| assert_eq!(catalog.resolve(text).unwrap_err().to_string(), expect);
    check("nope", "No such image: nope:latest");
    check("nope:1", "No such image: nope:1");
    check("Nope", "invalid reference format: repository name (library/Nope) must be lowercase");
    check(&"0".repeat(64), &format!("No such image: {}", "0".repeat(64)));
}

#[test]
fn r_img_04_import_and_history() {
    let open = Open::new();
    let tar = layer(&[("etc/passwd", "root"), ("bin/sh", "#!")]);
    let import = Import {
        reference: Some(name("base")),
        changes: vec!["CMD [\"/bin/sh\"]".into(), "ENV A=b".into()],
        message: "from a tar".into(),
        platform: Some("linux/arm64".parse().unwrap()),
    };
    let id = open.store.import(&mut archives::gzip(&tar).as_slice(), &import, &Job::default()).unwrap();
    let image = open.store.resolve("base").unwrap();
    assert_eq!((image.id, image.layers.clone(), image.size), (id, vec![Digest::of(&tar)], 6));
    let config = image.config().unwrap();
    assert_eq!((config.architecture.as_str(), config.comment.as_deref()), ("arm64", Some("from a tar")));
    assert_eq!(config.config.unwrap().cmd.unwrap(), ["/bin/sh"]);
    let keys: Vec<String> =
        serde_json::from_slice::<serde_json::Map<_, _>>(&image.config_bytes).unwrap().keys().cloned().collect();
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(keys, sorted, "members of the document are in Docker's order");
    let history = open.store.history(&image).unwrap();
    assert_eq!((history.len(), history[0].id, history[0].size), (1, Some(id), 6));
    assert!(open.store.import(&mut &b"garbage"[..], &import, &Job::default()).is_err());
    let bad = Import { changes: vec!["RUN x".into()], ..Import::default() };
    assert!(matches!(open.store.import(&mut tar.as_slice(), &bad, &Job::default()), Err(Error::Invalid(_))));
    assert_eq!(open.staged(), 0);
}

#[test]
fn r_img_04_commit() {
    let open = Open::new();
    let a = image(&[layer(&[("a", "1")])]);
    open.load(&archive(&[(&a, &["app:1"])])).unwrap();
    let id = ContainerId::from_bytes([1; 32]);
    open.store.snapshot_create(&id, Some(&a.id()), None).unwrap();
    std::fs::write(open.upper(&id).join("new"), "new file").unwrap();
    let commit = Commit {
        reference: Some(name("app:2")),
        author: "me".into(),
        message: "changed".into(),
        created_by: "sh -c x".into(),
        changes: vec!["LABEL a=b".into()],
        ..Commit::default()
    };
    let made = open.store.snapshot_commit(&id, &commit, &Job::default()).unwrap();
    let image = open.store.resolve("app:2").unwrap();
    assert_eq!((image.id, image.parent, image.layers.len(), image.size), (made, Some(a.id()), 2, 9));
    assert_eq!(image.layers[0], a.diffs()[0]);
    assert_eq!(image.labels.as_ref().unwrap()["a"], "b");
    let history = open.store.history(&image).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(
        (history[0].created_by.as_str(), history[0].comment.as_str(), history[0].size),
        ("sh -c x", "changed", 8)
    );
    assert_eq!(history[1].id, Some(a.id()), "the parent is known here");
    // the same changes again, saved: what is stored is what the digest says
    let mut out = Vec::new();
    open.store.write_layer(&image.layers[1], &mut out).unwrap();
    assert_eq!(Digest::of(&out), image.layers[1]);
    // a parent cannot go before its child
    let error = open.store.remove(&a.id().hex(), true, true, &nobody).unwrap_err().to_string();
    assert!(error.ends_with("(cannot be forced) - image has dependent child images"), "{error}");
    // nothing changed: no layer
    let empty = ContainerId::from_bytes([2; 32]);
    open.store.snapshot_create(&empty, Some(&a.id()), None).unwrap();
    let made = open.store.snapshot_commit(&empty, &Commit::default(), &Job::default()).unwrap();
    let image = open.store.resolve(&made.hex()).unwrap();
    assert_eq!(image.layers, a.diffs());
    assert!(image.config().unwrap().history.last().unwrap().empty_layer);
}

#[test]
fn r_img_01_prune() {
    let open = Open::new();
    let images: Vec<_> = (0..3).map(|n| image(&[layer(&[("n", &n.to_string())])])).collect();
    open.load(&archive(&[(&images[0], &["kept:1"]), (&images[1], &[]), (&images[2], &["old:1"])])).unwrap();
    let pruned = open.store.prune(false, &nobody, &|_| true).unwrap();
    assert_eq!((pruned.removed.len(), pruned.reclaimed), (2, 1));
    let in_use = images[0].id();
    let users = |id: &Digest| match *id == in_use {
        true => vec![Use { container: ContainerId::from_bytes([1; 32]), running: false }],
        false => Vec::new(),
    };
    let pruned = open.store.prune(true, &users, &|_| true).unwrap();
    assert_eq!(pruned.removed[0], Removed::Untagged("old:1".into()));
    assert_eq!(open.store.catalog().images().len(), 1);
}

#[test]
fn r_img_07_hello_world_is_built_in() {
    let open = Open::new();
    let image = open.store.install_hello_world().unwrap();
    assert_eq!(image.tags, [name("hello-world:latest")]);
    assert_eq!(open.store.install_hello_world().unwrap().id, image.id);
    assert!(wharf_store::Store::is_embedded(&name("hello-world")));
    assert!(!wharf_store::Store::is_embedded(&name("hello-world:2")));
    let program = open.layer_file(&image.layers[0], "hello");
    let out = std::process::Command::new(program).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("Hello from Wharf!") && text.contains("namespaces"), "{text}");
}

#[test]
fn r_img_10_everything_is_there_after_reopening() {
    let mut open = Open::new();
    let a = image(&[layer(&[("a", "1")]), layer(&[("b", "2")])]);
    open.load(&archive(&[(&a, &["one:1", "two:2"])])).unwrap();
    let before = open.store.catalog();
    let id = ContainerId::from_bytes([3; 32]);
    open.store.snapshot_create(&id, Some(&a.id()), None).unwrap();
    open.reopen();
    assert!(open.store.catalog() == before);
    assert_eq!(open.store.snapshots(), [id]);
    assert_eq!(open.save(&["one"]).len() % 512, 0);
}
