//! Tests of volumes on a real folder.

use super::*;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const MIGRATIONS_OF_TEST: &[Migrations] = &[MIGRATIONS];

fn open(dir: &Path) -> Volumes {
    let db = Db::open(&dir.join("state.db"), MIGRATIONS_OF_TEST).expect("a database");
    Volumes::open(&dir.join("volumes"), db).expect("volumes")
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
    std::fs::create_dir(dir.path().join("volumes/orphan")).expect("mkdir");
    let volumes = open(dir.path());
    assert_eq!(volumes.list().len(), 1);
    assert!(volumes.data("data").is_dir());
    assert!(!dir.path().join("volumes/orphan").exists());
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
    assert_eq!(volumes.size("data"), 5 + 5 + 19);

    // a second time, and from elsewhere: the volume has files, nothing happens
    std::fs::write(root.join("srv/www/more"), "").expect("write");
    volumes.copy_up("data", fd.as_fd(), Path::new("/srv/www")).expect("copy");
    assert!(!data.join("more").exists());
    // no folder there: nothing happens
    volumes.create(request("other")).expect("create");
    volumes.copy_up("other", fd.as_fd(), Path::new("/srv/www/index")).expect("no folder");
    volumes.copy_up("other", fd.as_fd(), Path::new("/nowhere")).expect("nothing");
}
