//! Container file systems on real overlay mounts. The mounts are detached: they are in no mount namespace and vanish with their
//! descriptors, so the machine sees nothing of them. Needs root.

mod archives;

use std::{
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::PathBuf,
};

use archives::{Open, archive, image, layer};
use wharf_spec::id::ContainerId;
use wharf_store::{ChangeKind, Commit, Driver, Error, Job, Rootfs};

fn id(n: u8) -> ContainerId {
    ContainerId::from_bytes([n; 32])
}

/// The root of a detached mount as a path.
fn path(root: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", root.as_raw_fd()).into()
}

/// Set in the child process whose temporary folders are on btrfs.
const ON_BTRFS: &str = "WHARF_TEST_ON_BTRFS";

/// One suite for all drivers: what works the same must look the same.
fn drivers() -> Vec<Driver> {
    match std::env::var_os(ON_BTRFS) {
        Some(_) => vec![Driver::Btrfs],
        None => vec![Driver::Overlay2, Driver::Vfs],
    }
}

/// The same suite on a btrfs of its own, in a mount namespace of its own.
#[test]
fn r_img_09_btrfs_passes_the_suite() {
    if std::env::var_os(ON_BTRFS).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"set -e
        truncate -s 256M "$0/disk"; mkfs.btrfs -q "$0/disk"; mkdir "$0/mnt"; mount -o loop "$0/disk" "$0/mnt"
        TMPDIR="$0/mnt" "$1" --test-threads=1 r_img_03 r_img_04 all_drivers; df --output=fstype "$0/mnt" | tail -1"#;
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .env(ON_BTRFS, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed; 0 failed") && !said.contains(" 0 passed"), "{said}");
    assert!(said.trim_end().ends_with("btrfs"), "{said}");
}

fn prepared(driver: Driver) -> Open {
    let open = Open::with(driver);
    let base = layer(&[
        ("etc/passwd", "root"),
        ("etc/hosts", "image's own"),
        ("bin/a", "a"),
        ("bin/b", "b"),
        ("var/x/y", "y"),
    ]);
    let top = layer(&[("bin/.wh.b", ""), ("top", "t")]);
    let image = image(&[base, top]);
    open.load(&archive(&[(&image, &["app:1"])])).unwrap();
    for n in 1..=2 {
        open.store.snapshot_create(&id(n), Some(&image.id()), None).unwrap();
    }
    open
}

fn changes(open: &Open, n: u8) -> Vec<String> {
    let letter = |kind| match kind {
        ChangeKind::Modified => 'C',
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
    };
    let changes = open.store.snapshot_changes(&id(n)).unwrap();
    changes.iter().map(|c| format!("{} {}", letter(c.kind), c.path.display())).collect()
}

#[test]
fn r_img_03_the_root_is_the_image_with_its_mount_points() {
    drivers().into_iter().for_each(the_root_is_the_image_with_its_mount_points);
}

fn the_root_is_the_image_with_its_mount_points(driver: Driver) {
    let open = prepared(driver);
    let root = open.store.snapshot_open(&id(1)).unwrap();
    let root = path(&root);
    assert_eq!(std::fs::read_to_string(root.join("etc/passwd")).unwrap(), "root");
    assert_eq!(std::fs::read_to_string(root.join("top")).unwrap(), "t");
    assert!(!root.join("bin/b").exists(), "deleted by the upper layer");
    // what the image has wins over the common mount points
    assert_eq!(std::fs::read_to_string(root.join("etc/hosts")).unwrap(), "image's own");
    for name in ["dev/pts", "dev/shm", "proc", "sys"] {
        assert!(root.join(name).is_dir(), "{name}");
    }
    for name in ["dev/console", "etc/hostname", "etc/resolv.conf", ".dockerenv"] {
        assert!(root.join(name).is_file(), "{name}");
    }
    assert_eq!(std::fs::read_link(root.join("etc/mtab")).unwrap(), PathBuf::from("/proc/mounts"));
    assert!(changes(&open, 1).is_empty());
}

#[test]
fn r_img_03_changes_touch_only_the_own_layer() {
    drivers().into_iter().for_each(changes_touch_only_the_own_layer);
}

fn changes_touch_only_the_own_layer(driver: Driver) {
    let open = prepared(driver);
    {
        let root = open.store.snapshot_open(&id(1)).unwrap();
        let root = path(&root);
        std::fs::write(root.join("new"), "new").unwrap();
        std::fs::write(root.join("etc/passwd"), "root2").unwrap();
        std::fs::remove_file(root.join("bin/a")).unwrap();
        std::fs::remove_dir_all(root.join("var")).unwrap();
        std::fs::create_dir(root.join("var")).unwrap();
        std::fs::write(root.join("var/z"), "z").unwrap();
        symlink("nowhere", root.join("link")).unwrap();
        std::fs::set_permissions(root.join("top"), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let mut found = changes(&open, 1);
    if driver == Driver::Overlay2 {
        // a folder made anew is one opaque folder there, as Docker shows it; a copy knows what is missing
        assert!(!found.contains(&"D /var/x".to_owned()));
    } else {
        found.retain(|line| line != "D /var/x");
    }
    assert_eq!(
        found,
        ["C /bin", "D /bin/a", "C /etc", "C /etc/passwd", "A /link", "A /new", "C /top", "C /var", "A /var/z"]
    );
    assert!(changes(&open, 2).is_empty());
    let other = open.store.snapshot_open(&id(2)).unwrap();
    assert_eq!(std::fs::read_to_string(path(&other).join("etc/passwd")).unwrap(), "root");
    assert!(path(&other).join("bin/a").exists());
    let size = open.store.snapshot_size(&id(1)).unwrap();
    assert_eq!(size.rw, 3 + 5 + 1 + 7 + 1);
    assert_eq!(size.root, size.rw + open.store.resolve("app:1").unwrap().size);
}

#[test]
fn r_img_04_commit_gives_the_same_tree() {
    drivers().into_iter().for_each(commit_gives_the_same_tree);
}

fn commit_gives_the_same_tree(driver: Driver) {
    let open = prepared(driver);
    {
        let root = open.store.snapshot_open(&id(1)).unwrap();
        let root = path(&root);
        std::fs::remove_dir_all(root.join("var")).unwrap();
        std::fs::create_dir(root.join("var")).unwrap();
        std::fs::remove_file(root.join("bin/a")).unwrap();
        std::fs::write(root.join("f"), "f").unwrap();
        std::fs::hard_link(root.join("f"), root.join("g")).unwrap();
        std::os::unix::fs::chown(root.join("f"), Some(7), Some(8)).unwrap();
    }
    let made = open.store.snapshot_commit(&id(1), &Commit::default(), &Job::default()).unwrap();
    open.store.snapshot_create(&id(3), Some(&made), None).unwrap();
    let root = open.store.snapshot_open(&id(3)).unwrap();
    let root = path(&root);
    assert!(!root.join("bin/a").exists() && !root.join("var/x").exists() && root.join("var").is_dir());
    let (f, g) = (root.join("f").metadata().unwrap(), root.join("g").metadata().unwrap());
    assert_eq!((f.ino(), f.uid(), f.gid(), f.nlink()), (g.ino(), 7, 8, 2));
    let export = |n| {
        let mut out = Vec::new();
        open.store.snapshot_export(&id(n), &mut out, &Job::default()).unwrap();
        out
    };
    assert_eq!(export(1), export(3), "the tree of the new image is that of the container");
}

#[test]
fn r_img_03_metadata_of_the_root_folder() {
    let open = Open::new();
    let mut tar = wharf_archive::Writer::new(Vec::new());
    let mut root = wharf_archive::Member::new("./", wharf_archive::Kind::Dir, 0o1700);
    (root.uid, root.gid) = (5, 6);
    tar.append(&root, &mut std::io::empty()).unwrap();
    let image = image(&[tar.finish().unwrap().0]);
    open.load(&archive(&[(&image, &["app:1"])])).unwrap();
    open.store.snapshot_create(&id(1), Some(&image.id()), None).unwrap();
    let root = open.store.snapshot_open(&id(1)).unwrap();
    let stat = path(&root).join(".").metadata().unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.gid()), (0o1700, 5, 6));
}

#[test]
fn r_img_03_many_layers() {
    let open = Open::new();
    let layers: Vec<_> = (0..127).map(|n| layer(&[("n", &n.to_string()), (&format!("f{n}"), "")])).collect();
    let image = image(&layers);
    open.load(&archive(&[(&image, &["deep:1"])])).unwrap();
    open.store.snapshot_create(&id(1), Some(&image.id()), None).unwrap();
    let root = open.store.snapshot_open(&id(1)).unwrap();
    assert_eq!(std::fs::read_to_string(path(&root).join("n")).unwrap(), "126");
    assert!(path(&root).join("f0").exists());
    let Rootfs::Overlay { lower, .. } = open.store.snapshot_rootfs(&id(1)).unwrap() else { panic!("overlay") };
    assert_eq!(lower.len(), 128);
}

#[test]
fn r_img_07_an_image_without_layers() {
    let open = Open::new();
    open.store.snapshot_create(&id(1), None, None).unwrap();
    let root = open.store.snapshot_open(&id(1)).unwrap();
    std::fs::write(path(&root).join("x"), "x").unwrap();
    drop(root);
    assert_eq!(changes(&open, 1), ["A /x"]);
    open.store.snapshot_remove(&id(1)).unwrap();
    open.store.snapshot_remove(&id(1)).unwrap();
    assert!(matches!(open.store.snapshot_rootfs(&id(1)), Err(Error::NoSuchSnapshot(_))));
}

#[test]
fn r_img_03_nothing_stays_mounted() {
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let open = prepared(Driver::Overlay2);
    let root = open.store.snapshot_open(&id(1)).unwrap();
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    drop(root);
    open.store.snapshot_remove(&id(1)).unwrap();
}

#[test]
fn r_img_09_all_drivers_show_the_same_tree() {
    let export = |driver| {
        let open = prepared(driver);
        let mut out = Vec::new();
        open.store.snapshot_export(&id(1), &mut out, &Job::default()).unwrap();
        let mut tar = wharf_archive::Reader::new(out.as_slice());
        let mut members = Vec::new();
        while let Some(mut member) = tar.next_member().unwrap() {
            // the mount points were made when the store was opened
            member.mtime = wharf_archive::Time::default();
            members.push(member);
        }
        members
    };
    let copied = if std::env::var_os(ON_BTRFS).is_some() { Driver::Btrfs } else { Driver::Vfs };
    assert_eq!(export(Driver::Overlay2), export(copied));
}

#[test]
fn r_img_09_drivers_that_cannot_work_say_why() {
    for name in ["devicemapper", "zfs", "aufs", "fuse-overlayfs"] {
        let error = name.parse::<Driver>().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("use overlay2"), "{error}");
    }
    assert_eq!("x".parse::<Driver>().unwrap_err().to_string(), "driver not supported: x");
    // not on btrfs: refused; on btrfs: the same tree
    let dir = tempfile::tempdir().unwrap();
    match archives::open_driver(dir.path(), Driver::Btrfs) {
        Ok(store) => assert_eq!(store.driver(), Driver::Btrfs),
        Err(error) => assert!(error.to_string().contains("is not on btrfs"), "{error}"),
    }
}

#[test]
fn r_img_10_a_data_root_with_a_long_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("long-".repeat(40)).join("names-".repeat(30));
    std::fs::create_dir_all(&root).unwrap();
    let store = archives::open_store(&root);
    let image = image(&[layer(&[("a", "1")])]);
    store.load(&mut archive(&[(&image, &["app:1"])]).as_slice(), None, &Job::default()).unwrap();
    store.snapshot_create(&id(1), Some(&image.id()), None).unwrap();
    std::fs::write(path(&store.snapshot_open(&id(1)).unwrap()).join("b"), "2").unwrap();
    assert_eq!(store.snapshot_changes(&id(1)).unwrap().len(), 1);
}

#[test]
fn r_img_09_what_one_driver_made_is_not_hidden_by_another() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = archives::open_driver(dir.path(), Driver::Vfs).unwrap();
        let image = image(&[layer(&[("a", "1")])]);
        store.load(&mut archive(&[(&image, &["app:1"])]).as_slice(), None, &Job::default()).unwrap();
    }
    let error = archives::open_driver(dir.path(), Driver::Overlay2).unwrap_err().to_string();
    assert!(error.contains("were made with vfs") && error.contains("--data-root"), "{error}");
    assert!(!dir.path().join("overlay2").exists());
    let store = archives::open_driver(dir.path(), None).unwrap();
    assert_eq!(store.driver(), Driver::Vfs, "nobody asked for another one");
    assert!(store.resolve("app:1").is_ok());
}
