//! Tests of volumes on a real folder.

use super::*;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const MIGRATIONS_OF_TEST: &[Migrations] = &[MIGRATIONS];

fn open(dir: &Path) -> Volumes {
    let db = Db::open(&dir.join("state.db"), MIGRATIONS_OF_TEST).expect("a database");
    let plugins = plugin::Plugins::new(dir.join("plugins"), Vec::new());
    Volumes::open(&dir.join("volumes"), db, plugins).expect("volumes")
}

fn request(name: &str) -> Request {
    Request { name: name.into(), ..Request::default() }
}

#[test]
fn r_vol_01_rows_and_folders_survive() {
    let dir = tempfile::tempdir().expect("a folder");
    let volumes = open(dir.path());
    volumes.create(request("data")).expect("create");
    volumes.create(request("data")).expect("again");
    drop(volumes);
    let orphan = dir.path().join("volumes/orphan/_data");
    std::fs::create_dir_all(&orphan).expect("mkdir");
    std::fs::write(orphan.join("precious"), "data").expect("write");
    std::fs::create_dir_all(dir.path().join("volumes/.new-1x1-half/_data")).expect("mkdir");
    let volumes = open(dir.path());
    // somebody's data without a row is a volume, never rubbish
    let names: Vec<String> = volumes.list().iter().map(|v| v.name.clone()).collect();
    assert_eq!(names, ["data", "orphan"]);
    assert!(volumes.data("data").is_dir());
    assert_eq!(std::fs::read_to_string(volumes.data("orphan").join("precious")).expect("read"), "data");
    // what was never finished goes, in the background
    let half = dir.path().join("volumes/.new-1x1-half");
    while half.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn r_vol_01_in_use_is_not_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let volumes = open(dir.path());
    volumes.create(request("data")).expect("create");
    volumes.acquire("data", "c1");
    let refused = volumes.remove("data", true).expect_err("in use");
    assert_eq!(refused.to_string(), "remove data: volume is in use - [c1]");
    volumes.release("data", "c1");
    volumes.remove("data", false).expect("remove");
    assert_eq!(volumes.remove("data", false).expect_err("gone").to_string(), "get data: no such volume");
    volumes.remove("data", true).expect("force");
    assert!(!dir.path().join("volumes/data").exists());
}

#[test]
fn names_are_checked() {
    let dir = tempfile::tempdir().expect("a folder");
    let volumes = open(dir.path());
    for bad in ["", "a", "../x", "a/b", ".x", "x y", &"x".repeat(300)] {
        assert!(volumes.create(request(bad)).is_err(), "{bad}");
    }
}

#[test]
fn r_vol_03_copy_up_keeps_what_makes_a_tree() {
    let dir = tempfile::tempdir().expect("a folder");
    let volumes = open(dir.path());
    volumes.create(request("data")).expect("create");
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("srv/www/sub")).expect("mkdir");
    std::fs::write(root.join("srv/www/index"), "hello").expect("write");
    std::fs::set_permissions(root.join("srv/www/index"), PermissionsExt::from_mode(0o4711)).expect("chmod");
    std::fs::hard_link(root.join("srv/www/index"), root.join("srv/www/sub/again")).expect("link");
    symlink("../../../etc/passwd", root.join("srv/www/link")).expect("symlink");
    // an absolute link stays inside the root
    symlink("/srv/www", root.join("data")).expect("symlink");
    let fd = std::fs::File::open(&root).expect("open");
    volumes.copy_up("data", fd.as_fd(), Path::new("/data")).expect("copy");
    let data = volumes.data("data");
    let meta = std::fs::metadata(data.join("index")).expect("stat");
    assert_eq!((meta.mode() & 0o7777, meta.len(), meta.nlink()), (0o4711, 5, 2));
    assert_eq!(std::fs::metadata(data.join("sub/again")).expect("stat").ino(), meta.ino());
    assert_eq!(std::fs::read_link(data.join("link")).expect("readlink"), Path::new("../../../etc/passwd"));
    assert_eq!(volumes.size("data"), 5 + 19);

    // a second time, and from elsewhere: the volume has files, nothing happens
    std::fs::write(root.join("srv/www/more"), "").expect("write");
    volumes.copy_up("data", fd.as_fd(), Path::new("/srv/www")).expect("copy");
    assert!(!data.join("more").exists());
    // no folder there: Docker refuses; nothing there: nothing happens
    volumes.create(request("other")).expect("create");
    let refused = volumes.copy_up("other", fd.as_fd(), Path::new("/srv/www/index")).expect_err("a file");
    assert_eq!(refused.to_string(), "source /srv/www/index is not directory");
    volumes.copy_up("other", fd.as_fd(), Path::new("/nowhere")).expect("nothing");
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("mkdir");
    std::fs::write(path, text).expect("write");
}

#[test]
fn r_vol_07_archives_clones_and_names() {
    let dir = tempfile::tempdir().expect("a folder");
    let volumes = open(dir.path());
    volumes.create(request("data")).expect("create");
    let data = volumes.data("data");
    write(&data.join("a/file"), "hello");
    std::fs::hard_link(data.join("a/file"), data.join("again")).expect("link");
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o1777)).expect("chmod");
    let sparse = std::fs::File::create(data.join("sparse")).expect("create");
    sparse.set_len(64 << 20).expect("truncate");
    let mut archive = Vec::new();
    volumes.export("data", &mut archive, &|| Ok(())).expect("export");
    let (copy, new) = volumes.import(request("copy"), &archive[..], false, &|| Ok(())).expect("import");
    assert!(new && copy.name == "copy");
    let refused = volumes.import(request("copy"), &archive[..], false, &|| Ok(())).expect_err("has files");
    assert_eq!(refused.to_string(), "import copy: the volume exists and has files");
    volumes.clone_volume("copy", request("third"), &|| Ok(())).expect("clone");
    volumes.rename("third", "fourth").expect("rename");
    assert!(volumes.get("third").is_err() && !dir.path().join("volumes/third").exists());
    for name in ["copy", "fourth"] {
        let at = volumes.data(name);
        let file = std::fs::metadata(at.join("a/file")).expect("stat");
        let original = std::fs::metadata(data.join("a/file")).expect("stat");
        assert_eq!(
            (file.nlink(), file.mtime(), file.mtime_nsec()),
            (2, original.mtime(), original.mtime_nsec()),
            "{name}"
        );
        assert_eq!(std::fs::metadata(&at).expect("stat").mode() & 0o7777, 0o1777, "{name}");
    }
    let blocks = std::fs::metadata(volumes.data("fourth").join("sparse")).expect("stat").blocks();
    let of_copy = std::fs::metadata(volumes.data("copy").join("sparse")).expect("stat").blocks();
    assert_eq!((blocks, of_copy), (0, 0), "holes stay holes");
    // half an archive makes no volume
    volumes.import(request("half"), &archive[..archive.len() / 2], false, &|| Ok(())).expect_err("truncated");
    assert!(volumes.get("half").is_err());
    let left: Vec<_> =
        std::fs::read_dir(dir.path().join("volumes")).expect("read").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    // names that are taken, the own name, names in use
    for (old, new) in [("copy", "data"), ("copy", "copy"), ("copy", "../x"), ("nosuch", "x1")] {
        volumes.rename(old, new).expect_err(new);
    }
    volumes.acquire("copy", "c1");
    assert_eq!(
        volumes.rename("copy", "other").expect_err("in use").to_string(),
        "rename copy: volume is in use - [c1]"
    );
}

#[test]
fn r_vol_07_snapshots_and_restores() {
    let dir = tempfile::tempdir().expect("a folder");
    let volumes = open(dir.path());
    volumes.create(request("data")).expect("create");
    let data = volumes.data("data");
    write(&data.join("kept/x"), "one");
    volumes.snapshot("data", "s1", &|| Ok(())).expect("snapshot");
    volumes.snapshot("data", "s1", &|| Ok(())).expect_err("taken");
    volumes.snapshot("data", "../s", &|| Ok(())).expect_err("name");
    write(&data.join("kept/x"), "two");
    write(&data.join("more"), "more");
    volumes.mount("data", "c1").expect("mount");
    let refused = volumes.restore("data", "s1", &|| Ok(())).expect_err("in use").to_string();
    assert_eq!(refused, "restore data: volume is in use - [c1]");
    volumes.unmount("data", "c1").expect("unmount");
    volumes.restore("data", "s1", &|| Ok(())).expect("restore");
    assert_eq!(std::fs::read_to_string(data.join("kept/x")).expect("read"), "one");
    assert!(!data.join("more").exists());
    let names: Vec<String> = volumes.snapshots("data").expect("list").into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["s1"]);
    volumes.snapshot_remove("data", "s1").expect("remove");
    assert_eq!(
        volumes.restore("data", "s1", &|| Ok(())).expect_err("gone").to_string(),
        "volume data: no such snapshot: s1"
    );
}
