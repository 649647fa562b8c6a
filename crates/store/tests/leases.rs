//! What runs keeps what it relies on; what nothing relies on any more goes, at once or with the next start. And sizes, which are
//! walked only after a change.

mod archives;

use std::{process::Command, time::Duration};

use archives::{Open, archive, image, layer, open_store};
use wharf_spec::{digest::Digest, id::ContainerId};
use wharf_store::{Commit, Distribution, Error, Incoming, Job, Store, Use};

fn nobody(_: &Digest) -> Vec<Use> {
    Vec::new()
}

/// Waits for the thread that cleans up.
#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{what}");
}

#[test]
fn r_img_05_what_a_pull_relies_on_outlives_its_image() {
    let open = Open::new();
    let old = image(&[layer(&[("base", "1")]), layer(&[("a", "2")])]);
    open.load(&archive(&[(&old, &["app:1"])])).unwrap();
    let [base, top] = old.diffs()[..] else { panic!("two layers") };
    let pull = open.store.ingest();
    assert!(pull.has_layer(&base));
    open.store.prune(true, &nobody, &|_| true).unwrap();
    assert_eq!(open.store.catalog().images().len(), 0);
    let layers = |store: &Store| (store.catalog().layer(&base).is_some(), store.catalog().layer(&top).is_some());
    assert_eq!(layers(&open.store), (true, false), "only what is relied on stays");
    // another change meanwhile does not take it either
    open.load(&archive(&[(&image(&[layer(&[("c", "3")])]), &["other:1"])])).unwrap();
    let new = image(&[layer(&[("base", "1")])]);
    let config = new.config.as_slice().into();
    let incoming = Incoming { config, names: Vec::new(), parent: None, distribution: Distribution::default() };
    assert_eq!(pull.publish(&[incoming]).unwrap(), [new.id()]);
    let mut bytes = Vec::new();
    open.store.write_layer(&base, &mut bytes).unwrap();
    assert_eq!(Digest::of(&bytes), base);
}

#[test]
fn r_img_05_what_a_broken_pull_relied_on_goes_with_it() {
    let open = Open::new();
    let old = image(&[layer(&[("base", "1")])]);
    open.load(&archive(&[(&old, &["app:1"])])).unwrap();
    let (one, two) = (open.store.ingest(), open.store.ingest());
    assert!(one.has_layer(&old.diffs()[0]) && two.has_layer(&old.diffs()[0]));
    open.store.remove("app:1", false, true, &nobody).unwrap();
    drop(one);
    assert!(open.store.catalog().layer(&old.diffs()[0]).is_some(), "the other one is still at it");
    drop(two);
    eventually("the layer goes without another change", || open.layers_on_disk() == 0);
    assert_eq!(open.store.usage().layers, 0);
}

/// Set in the child process: the data root.
const ROOT: &str = "WHARF_TEST_STORE_LEASES";

/// Not a test of its own: the process that is killed while it relies on layers of an image that is gone.
#[test]
fn child() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let store = open_store(root.as_ref());
    let old = image(&[layer(&[("base", "1")])]);
    store.load(&mut archive(&[(&old, &["app:1"])]).as_slice(), None, &Job::default()).unwrap();
    let pull = store.ingest();
    assert!(pull.has_layer(&old.diffs()[0]));
    store.remove("app:1", false, true, &nobody).unwrap();
    assert!(store.catalog().layer(&old.diffs()[0]).is_some());
    Command::new("kill").args(["-9", &std::process::id().to_string()]).status().unwrap();
    panic!("not killed");
}

#[test]
fn r_img_08_a_restart_sweeps_what_a_killed_pull_relied_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    let status = child.args(["child", "--exact"]).env(ROOT, dir.path()).output().unwrap().status;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    let base = dir.path().join("overlay2");
    let layers =
        || std::fs::read_dir(&base).unwrap().filter(|e| e.as_ref().unwrap().path().join("record").exists()).count();
    assert_eq!(layers(), 1, "left by the killed one");
    let store = open_store(dir.path());
    assert_eq!((layers(), store.usage().layers), (0, 0));
    eventually("its files go", || std::fs::read_dir(base.join("staging")).unwrap().count() == 0);
}

#[test]
fn r_img_04_a_commit_keeps_the_layers_below_it() {
    let open = Open::new();
    let old = image(&[layer(&[("base", "1")])]);
    open.load(&archive(&[(&old, &["app:1"])])).unwrap();
    let id = ContainerId::from_bytes([3; 32]);
    open.store.snapshot_create(&id, Some(&old.id()), None).unwrap();
    std::fs::write(open.upper(&id).join("new"), "n").unwrap();
    // many at once, while the container and its image are removed under them
    let commits: Vec<_> = std::thread::scope(|scope| {
        let commit = || open.store.snapshot_commit(&id, &Commit::default(), &Job::default());
        let running: Vec<_> = (0..8).map(|_| scope.spawn(commit)).collect();
        open.store.remove("app:1", true, true, &nobody).unwrap();
        open.store.snapshot_remove(&id).unwrap();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for made in commits {
        let image = match made {
            Ok(image) => image,
            // the container was gone before it began, or its files went while they were read
            Err(Error::NoSuchSnapshot(_) | Error::Io { .. } | Error::Archive(_)) => continue,
            Err(error) => panic!("{error}: {error:?}"),
        };
        let image = open.store.catalog().get(&image).unwrap().clone();
        for diff in &image.layers {
            let mut bytes = Vec::new();
            open.store.write_layer(diff, &mut bytes).unwrap();
            assert_eq!(Digest::of(&bytes), *diff);
        }
    }
    open.store.prune(true, &nobody, &|_| true).unwrap();
    eventually("nothing stays", || open.layers_on_disk() == 0);
}

#[test]
fn r_arch_05_a_container_at_rest_is_measured_once() {
    let open = Open::new();
    open.load(&archive(&[(&image(&[layer(&[("base", "12345")])]), &["app:1"])])).unwrap();
    let id = ContainerId::from_bytes([4; 32]);
    let made_from = open.store.resolve("app:1").unwrap().id;
    open.store.snapshot_create(&id, Some(&made_from), None).unwrap();
    let size = || open.store.snapshot_size(&id).unwrap();
    assert_eq!((size().rw, size().root), (0, 5));
    // behind its back: that the number stays shows that nobody looks
    std::fs::write(open.upper(&id).join("new"), "1234567").unwrap();
    assert_eq!(size().rw, 0);
    let writing = open.store.snapshot_writing(&id);
    assert_eq!((size().rw, size().root), (7, 12));
    std::fs::write(open.upper(&id).join("new"), "1").unwrap();
    assert_eq!(size().rw, 1, "looked at whenever somebody asks");
    std::fs::write(open.upper(&id).join("new"), "12").unwrap();
    drop(writing);
    assert_eq!(size().rw, 2, "and once more after the last write");
}
