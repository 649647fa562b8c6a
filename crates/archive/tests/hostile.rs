//! Archives made to escape, to confuse or to exhaust: each is refused with a clear error, or lands inside the root.

use std::{
    fs::File,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, symlink},
    },
    path::Path,
};

use wharf_archive::{Error, Kind, Member, Result, Unpack, Unpacked, Whiteouts, Writer, clean, unpack};

/// A tar of members; files get their name as contents.
fn tar(members: &[Member]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for member in members {
        let mut member = member.clone();
        let contents = member.path.to_string_lossy().into_owned();
        if member.kind == Kind::File {
            member.size = contents.len() as u64;
        }
        tar.append(&member, &mut contents.as_bytes()).unwrap();
    }
    tar.finish().unwrap().0
}

fn file(path: &str) -> Member {
    Member::new(path, Kind::File, 0o644)
}

fn link(path: &str, target: &str) -> Member {
    Member::new(path, Kind::Symlink(target.into()), 0o777)
}

fn hard(path: &str, target: &str) -> Member {
    Member::new(path, Kind::HardLink(target.into()), 0o644)
}

fn dir(path: &str) -> Member {
    Member::new(path, Kind::Dir, 0o755)
}

/// A root with a neighbour that must stay as it is.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        Self { dir }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Unpacked> {
        self.unpack_limited(bytes, u64::MAX)
    }

    fn unpack_limited(&self, bytes: &[u8], limit: u64) -> Result<Unpacked> {
        let root = File::open(self.root()).unwrap();
        let options = Unpack { whiteouts: Whiteouts::Overlay, limit, aside: None };
        let done = unpack(root.as_fd(), bytes, &options, ()).map(|(done, ())| done);
        self.assert_outside_untouched();
        done
    }

    fn assert_outside_untouched(&self) {
        let names: Vec<_> = std::fs::read_dir(self.dir.path().join("outside")).unwrap().collect();
        assert_eq!(names.len(), 1);
        let secret = self.dir.path().join("outside/secret");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
        assert_eq!(secret.metadata().unwrap().nlink(), 1);
        assert_eq!(std::fs::read_dir(self.dir.path()).unwrap().count(), 2);
    }
}

#[test]
fn r_arch_08_names_that_climb_out_are_refused() {
    for name in ["../x", "a/../../x", "./../x", "../outside/secret", "a/../../outside/new"] {
        let place = Place::new();
        let error = place.unpack(&tar(&[file(name)])).unwrap_err();
        assert!(matches!(error, Error::Hostile { .. }), "{name}: {error}");
    }
}

#[test]
fn r_arch_08_absolute_names_land_in_the_root() {
    let place = Place::new();
    place.unpack(&tar(&[file("/etc/x"), file("/../../y"), file("a/./b//c"), file("d/../e")])).unwrap();
    for name in ["etc/x", "y", "a/b/c", "e"] {
        assert!(place.root().join(name).is_file(), "{name}");
    }
}

#[test]
fn r_arch_08_links_never_lead_out() {
    let outside = |place: &Place| place.dir.path().join("outside").display().to_string();
    let place = Place::new();
    // through an absolute link, a climbing link, and a chain of both
    let members = [link("abs", &outside(&place)), link("up", "../outside"), link("chain", "up/../abs")];
    for name in ["abs/new", "up/new", "chain/new"] {
        let place = Place::new();
        // either the link leads to a place inside of the root or it leads nowhere
        let mut all = members.to_vec();
        all.push(file(name));
        let _ = place.unpack(&tar(&all));
    }
    // a link that exists before the unpacking
    symlink(place.dir.path().join("outside"), place.root().join("planted")).unwrap();
    let _ = place.unpack(&tar(&[file("planted/secret"), file("planted/new")]));
}

#[test]
fn r_arch_08_an_absolute_link_is_followed_inside_the_root() {
    let place = Place::new();
    place.unpack(&tar(&[dir("usr/"), dir("usr/bin/"), link("bin", "/usr/bin"), file("bin/sh")])).unwrap();
    assert!(place.root().join("usr/bin/sh").is_file());
    let place = Place::new();
    place.unpack(&tar(&[dir("real/"), link("a", "../../../real"), file("a/x")])).unwrap();
    assert!(place.root().join("real/x").is_file());
}

#[test]
fn r_arch_08_a_file_replaces_a_link_instead_of_following_it() {
    let place = Place::new();
    let secret = place.dir.path().join("outside/secret").display().to_string();
    place.unpack(&tar(&[link("x", &secret), file("x")])).unwrap();
    assert!(place.root().join("x").symlink_metadata().unwrap().is_file());
    // metadata of a folder is never set through a link
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    let before = outside.metadata().unwrap().mode();
    place.unpack(&tar(&[link("d", &outside.display().to_string()), Member::new("d/", Kind::Dir, 0o777)])).unwrap();
    assert_eq!(outside.metadata().unwrap().mode(), before);
    assert!(place.root().join("d").symlink_metadata().unwrap().is_dir());
}

#[test]
fn r_arch_08_hard_links_stay_inside() {
    for target in ["../outside/secret", "up/secret", "nothing"] {
        let place = Place::new();
        let result = place.unpack(&tar(&[link("up", "../outside"), hard("h", target)]));
        assert!(result.is_err(), "{target}");
    }
    // a hard link to a symbolic link is a second name of the link, not of what it points to
    let place = Place::new();
    let secret = place.dir.path().join("outside/secret").display().to_string();
    place.unpack(&tar(&[link("l", &secret), hard("h", "l")])).unwrap();
    assert!(place.root().join("h").symlink_metadata().unwrap().is_symlink());
    let place = Place::new();
    assert!(matches!(place.unpack(&tar(&[file("f"), hard("f", "f")])), Err(Error::Hostile { .. })));
    assert!(matches!(place.unpack(&tar(&[hard("f", "/")])), Err(Error::Hostile { .. })));
}

#[test]
fn r_arch_08_parents_that_are_no_folders() {
    let place = Place::new();
    assert!(place.unpack(&tar(&[file("f"), file("f/x")])).is_err());
    let place = Place::new();
    assert!(matches!(place.unpack(&tar(&[link("l", "nowhere"), file("l/x")])), Err(Error::Hostile { .. })));
    let place = Place::new();
    assert!(place.unpack(&tar(&[link("l", "l"), file("l/x")])).is_err());
}

#[test]
fn r_arch_08_attributes_of_overlayfs_are_not_taken() {
    let place = Place::new();
    let mut evil = dir("d/");
    evil.xattrs = vec![
        (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
        (b"trusted.overlay.redirect".to_vec(), b"/../../outside".to_vec()),
        (b"user.mine".to_vec(), b"1".to_vec()),
    ];
    place.unpack(&tar(&[evil])).unwrap();
    let mut names = [0; 256];
    let n = rustix::fs::listxattr(place.root().join("d"), &mut names[..]).unwrap();
    assert_eq!(&names[..n], b"user.mine\0");
}

#[test]
fn r_arch_08_size_bombs() {
    let place = Place::new();
    let error = place.unpack_limited(&tar(&[file("a"), file("bb")]), 2).unwrap_err();
    assert_eq!(error.to_string(), "archive is larger than the limit of 2 bytes");
    // a header that promises more than the stream has
    let mut huge = file("huge");
    huge.size = 1 << 60;
    let mut writer = Writer::new(Vec::new());
    writer.header(&huge).unwrap();
    let bytes = writer.get_mut().clone();
    assert!(matches!(Place::new().unpack(&bytes), Err(Error::Truncated(_))));
    assert!(matches!(Place::new().unpack_limited(&bytes, 1 << 30), Err(Error::TooLarge { .. })));
}

#[test]
fn r_arch_08_an_endless_end() {
    use std::io::{BufReader, Read};
    let place = Place::new();
    let root = File::open(place.root()).unwrap();
    let options = Unpack { whiteouts: Whiteouts::Overlay, limit: u64::MAX, aside: None };
    let endless = BufReader::with_capacity(1 << 20, std::io::repeat(0).take(1 << 40));
    let error = unpack(root.as_fd(), endless, &options, ()).unwrap_err();
    assert!(error.to_string().contains("endless bytes after the end"), "{error}");
}

#[test]
fn r_arch_08_truncated_at_any_byte() {
    let mut long = file(&"long/".repeat(40));
    long.path = long.path.join("name");
    let bytes = tar(&[dir("d/"), file("d/f"), long, link("l", "d"), hard("h", "d/f")]);
    let whole = bytes.len() - 1024;
    // every length near the boundaries of blocks, and a sample of the others
    for length in (0..whole).filter(|n| n % 512 < 2 || n % 512 > 509 || n % 41 == 0) {
        let result = Place::new().unpack(&bytes[..length]);
        // between two members the end marker alone is missing, which is accepted
        if length % 512 != 0 {
            assert!(matches!(result, Err(Error::Truncated(_))), "{length}: {result:?}");
        }
    }
}

#[test]
fn r_arch_08_bytes_that_are_no_tar() {
    let check = |bytes: &[u8]| assert!(Place::new().unpack(bytes).is_err());
    check(&[b'x'; 512]);
    check(&[0xff; 2048]);
    check(b"short");
    // a zero block with something after it
    let mut middle = vec![0; 512];
    middle.extend(tar(&[file("a")]));
    check(&middle);
    let mut bad_type = tar(&[file("a")]);
    bad_type[156] = b'Q';
    fix_checksum(&mut bad_type);
    check(&bad_type);
    let mut negative = tar(&[file("a")]);
    negative[124..136].fill(0xff);
    fix_checksum(&mut negative);
    check(&negative);
    // a PAX header of 2 GiB
    let mut pax = tar(&[file("a")]);
    pax[156] = b'x';
    pax[124..136].copy_from_slice(b"17777777777\0");
    fix_checksum(&mut pax);
    check(&pax);
}

fn fix_checksum(bytes: &mut [u8]) {
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|b| u32::from(*b)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn r_arch_08_device_nodes_and_odd_names() {
    let place = Place::new();
    let null = Member::new("null", Kind::Char { major: 1, minor: 3 }, 0o666);
    place.unpack(&tar(&[null, Member::new("fifo", Kind::Fifo, 0o600), file("new\nline"), file("\u{fc}")])).unwrap();
    let stat = place.root().join("null").symlink_metadata().unwrap();
    assert!(stat.file_type().is_char_device());
    assert_eq!(stat.rdev(), rustix::fs::makedev(1, 3));
    assert!(place.root().join("new\nline").is_file());
    // longer than a name may be
    assert!(Place::new().unpack(&tar(&[file(&"n".repeat(300))])).is_err());
}

#[test]
fn names_are_cleaned() {
    let check = |text: &str, expect: &str| assert_eq!(clean(Path::new(text)).unwrap(), Path::new(expect), "{text}");
    check("./a/b/", "a/b");
    check("/", "");
    check(".", "");
    check("//a///b", "a/b");
    check("/../a", "a");
    check("a/..", "");
    assert!(clean(Path::new("..")).is_err());
}

mod any_bytes {
    //! Whatever the bytes: no panic, nothing outside.

    use super::{Place, dir, file, fix_checksum, hard, link, tar};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn r_arch_08_damaged_archives(at in 0usize..4000, value: u8, sealed: bool) {
            let mut bytes = tar(&[dir("d/"), file("d/f"), link("l", "/d"), file("l/x"), hard("h", "d/f"), file(".wh.y")]);
            let at = at % bytes.len();
            bytes[at] = value;
            if sealed {
                let block = at / 512 * 512;
                fix_checksum(&mut bytes[block..]);
            }
            let _ = Place::new().unpack(&bytes);
        }
    }
}
