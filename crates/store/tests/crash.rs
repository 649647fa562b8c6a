//! `kill -9` at every step: what is left opens, repairs itself, and is either the old or the new state.

mod archives;

use std::process::Command;

use archives::{archive, image, layer, open_store};
use wharf_spec::{digest::Digest, id::ContainerId};
use wharf_store::{Commit, Import, Job, Store, Use};

/// Set in the child process: the data root and what to do there.
const ROOT: &str = "WHARF_TEST_STORE_ROOT";
const STEP: &str = "WHARF_TEST_STORE_STEP";

fn nobody(_: &Digest) -> Vec<Use> {
    Vec::new()
}

fn first() -> Vec<u8> {
    archive(&[(&image(&[layer(&[("base", "1")]), layer(&[("a", "2")])]), &["app:1"])])
}

fn second() -> Vec<u8> {
    archive(&[(&image(&[layer(&[("base", "1")]), layer(&[("b", "3")])]), &["app:2"])])
}

fn load(store: &Store, bytes: &[u8]) {
    let mut reader = bytes;
    store.load(&mut reader, None, &Job::default()).unwrap();
}

fn container() -> ContainerId {
    ContainerId::from_bytes([9; 32])
}

/// What the child does before it dies.
fn act(store: &Store, step: &str) {
    match step {
        "load" => load(store, &second()),
        "remove" => drop(store.remove("app:1", false, true, &nobody).unwrap()),
        "tag" => store.tag(&store.resolve("app:1").unwrap().id, &"app:x".parse().unwrap()).unwrap(),
        "commit" => {
            let commit = Commit { reference: Some("app:3".parse().unwrap()), ..Commit::default() };
            store.snapshot_commit(&container(), &commit, &Job::default()).unwrap();
        }
        "import" => {
            let import = Import { reference: Some("app:3".parse().unwrap()), ..Import::default() };
            store.import(&mut layer(&[("imported", "4")]).as_slice(), &import, &Job::default()).unwrap();
        }
        "prune" => drop(store.prune(true, &nobody, &|_| true).unwrap()),
        other => panic!("{other}"),
    }
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let (Ok(root), Ok(step)) = (std::env::var(ROOT), std::env::var(STEP)) else { return };
    act(&open_store(root.as_ref()), &step);
}

fn killed_at(point: &str, step: &str) {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open_store(dir.path());
        load(&store, &first());
        let image = store.resolve("app:1").unwrap().id;
        store.snapshot_create(&container(), Some(&image), None).unwrap();
        std::fs::write(dir.path().join("overlay2").join(container().as_str()).join("diff/new"), "new").unwrap();
        // a write that is waited for: the one before is on the disk too
        store.tag(&image, &"app:waited".parse().unwrap()).unwrap();
        store.remove("app:waited", false, true, &nobody).unwrap();
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact"])
        .env(ROOT, dir.path())
        .env(STEP, step)
        .env("WHARF_FAILPOINTS", format!("{point}=kill"))
        .output()
        .unwrap()
        .status;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(9), "{point} {step}: the fail point was not reached: {status}");

    let store = open_store(dir.path());
    let catalog = store.catalog();
    for image in catalog.images() {
        for diff in &image.layers {
            let mut out = Vec::new();
            store.write_layer(diff, &mut out).unwrap();
            assert_eq!(Digest::of(&out), *diff, "{point} {step}");
        }
    }
    assert_eq!(store.snapshots(), [container()], "{point} {step}");
    let on_disk = || {
        let entries = std::fs::read_dir(dir.path().join("overlay2")).unwrap();
        entries.filter(|e| e.as_ref().unwrap().path().join("record").exists()).count()
    };
    let rows: std::collections::BTreeSet<Digest> = catalog.images().flat_map(|i| i.layers.clone()).collect();
    let kept = if catalog.resolve("app:1").is_ok() { 0 } else { 2 };
    assert_eq!(on_disk(), rows.len().max(kept), "{point} {step}: folders without rows");
    // and everything works
    load(&store, &second());
    load(&store, &first());
    store.snapshot_remove(&container()).unwrap();
    for name in ["app:3", "app:2", "app:1", "app:x"] {
        let _ = store.remove(name, true, true, &nobody);
    }
    assert_eq!(on_disk(), 0, "{point} {step}");
}

#[test]
fn r_img_08_killed_while_loading() {
    for point in ["store.load.synced", "store.load.renamed", "store.commit", "store.commit.after_rows"] {
        killed_at(point, "load");
    }
}

#[test]
fn r_img_04_killed_while_making() {
    for point in ["store.make.synced", "store.make.renamed", "store.commit", "store.commit.after_rows"] {
        killed_at(point, "import");
        killed_at(point, "commit");
    }
}

#[test]
fn r_img_01_killed_while_pruning() {
    for point in ["store.commit", "store.commit.after_rows"] {
        killed_at(point, "prune");
    }
}

#[test]
fn r_img_05_killed_while_removing() {
    for point in ["store.commit", "store.commit.after_rows"] {
        killed_at(point, "remove");
        killed_at(point, "tag");
    }
}

#[test]
fn r_img_04_killed_while_committing() {
    for point in ["store.commit", "store.commit.after_rows"] {
        killed_at(point, "commit");
    }
}
