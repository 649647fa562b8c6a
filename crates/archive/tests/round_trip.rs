//! What is unpacked is what was in the archive, and the record gives the same bytes again, for every feature of tar.

use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

use wharf_archive::{
    Compression, Decoder, Error, Kind, LayerFiles, Member, Reader, Recorder, Source, Time, Unpack, Unpacked, Whiteouts,
    Writer, pack, replay, unpack,
};

struct Layer {
    dir: tempfile::TempDir,
    record: Vec<u8>,
    unpacked: Unpacked,
}

fn layer(bytes: &[u8]) -> Layer {
    let dir = tempfile::tempdir().unwrap();
    let root_path = dir.path().join("diff");
    std::fs::create_dir(&root_path).unwrap();
    let root = File::open(&root_path).unwrap();
    let aside = dir.path().join("aside");
    let options = Unpack { whiteouts: Whiteouts::Overlay, limit: u64::MAX, aside: Some(&aside) };
    let (unpacked, recorder) = unpack(root.as_fd(), bytes, &options, Recorder::new(Vec::new()).unwrap()).unwrap();
    let (record, total) = recorder.finish().unwrap();
    assert_eq!(total, bytes.len() as u64);
    let layer = Layer { dir, record, unpacked };
    assert!(layer.replayed() == bytes, "the record gives other bytes");
    layer
}

impl Layer {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("diff").join(name)
    }

    fn replayed(&self) -> Vec<u8> {
        let root = File::open(self.path("")).unwrap();
        let aside = File::open(self.dir.path().join("aside")).ok();
        let files = LayerFiles {
            root: root.as_fd(),
            moved_root: aside.as_ref().map(|a| a.as_fd()),
            moved: &self.unpacked.moved,
        };
        let mut out = Vec::new();
        replay(self.record.as_slice(), files, &mut out).unwrap();
        out
    }
}

fn with(path: &str, kind: Kind, change: impl FnOnce(&mut Member)) -> Member {
    let mut member = Member::new(path, kind, 0o644);
    change(&mut member);
    member
}

fn append(tar: &mut Writer<Vec<u8>>, mut member: Member, contents: &[u8]) {
    member.size = contents.len() as u64;
    let mut contents = contents;
    tar.append(&member, &mut contents).unwrap();
}

#[test]
fn r_img_04_every_feature() {
    let mut tar = Writer::new(Vec::new());
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(130));
    append(&mut tar, with("./", Kind::Dir, |m| m.mode = 0o1777), b"");
    append(&mut tar, with("a/", Kind::Dir, |m| (m.mode, m.mtime) = (0o2755, Time { seconds: 5, nanos: 6 })), b"");
    append(
        &mut tar,
        with("a/f", Kind::File, |m| {
            (m.mode, m.uid, m.gid, m.mtime) = (0o4755, 1000, 3_000_000_000, Time { seconds: -7, nanos: 123_456_789 });
            m.xattrs = vec![(b"user.k".to_vec(), b"v\0\n=w".to_vec())];
        }),
        b"contents",
    );
    append(&mut tar, with("a/hard", Kind::HardLink("a/f".into()), |_| {}), b"");
    append(&mut tar, with("a/soft", Kind::Symlink("../x".into()), |m| m.uid = 7), b"");
    append(&mut tar, with("a/longlink", Kind::Symlink("y".repeat(200).into()), |_| {}), b"");
    append(&mut tar, with("null", Kind::Char { major: 1, minor: 3 }, |m| m.mode = 0o666), b"");
    append(&mut tar, with("loop", Kind::Block { major: 7, minor: 260 }, |m| m.mode = 0o660), b"");
    append(&mut tar, with("pipe", Kind::Fifo, |m| m.mode = 0o600), b"");
    append(&mut tar, with(&long, Kind::File, |_| {}), &[7; 5000]);
    append(&mut tar, with("\u{fc}ml\u{e4}ut", Kind::File, |m| m.uname = "J\u{f6}rg".into()), b"");
    append(&mut tar, with("implied/parent/file", Kind::File, |_| {}), b"1");
    let layer = layer(&tar.finish().unwrap().0);

    let stat = |name: &str| layer.path(name).symlink_metadata().unwrap();
    assert_eq!(stat("").mode() & 0o7777, 0o1777);
    assert_eq!((stat("a").mode() & 0o7777, stat("a").mtime(), stat("a").mtime_nsec()), (0o2755, 5, 6));
    let f = stat("a/f");
    assert_eq!((f.mode() & 0o7777, f.uid(), f.gid(), f.size(), f.nlink()), (0o4755, 1000, 3_000_000_000, 8, 2));
    assert_eq!((f.mtime(), f.mtime_nsec()), (-7, 123_456_789));
    assert_eq!(stat("a/hard").ino(), f.ino());
    let mut value = [0; 16];
    let n = rustix::fs::getxattr(layer.path("a/f"), "user.k", &mut value[..]).unwrap();
    assert_eq!(&value[..n], b"v\0\n=w");
    assert_eq!(
        (std::fs::read_link(layer.path("a/soft")).unwrap().as_path(), stat("a/soft").uid()),
        (Path::new("../x"), 7)
    );
    assert_eq!(stat("null").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(stat("loop").rdev(), rustix::fs::makedev(7, 260));
    assert_eq!(std::fs::read(layer.path(&long)).unwrap(), [7; 5000]);
    assert_eq!(stat("implied").mode() & 0o7777, 0o755);
    // what Docker counts: contents and link targets, hard links once
    assert_eq!(layer.unpacked.size, 8 + 4 + 200 + 5000 + 1);
    let root = File::open(layer.path("")).unwrap();
    assert_eq!(wharf_archive::size(root.as_fd()).unwrap(), layer.unpacked.size);
}

#[test]
fn r_img_03_whiteouts_in_overlay_form() {
    let mut tar = Writer::new(Vec::new());
    let file = |name: &str| with(name, Kind::File, |_| {});
    let dir = |name: &str| with(name, Kind::Dir, |m| m.mode = 0o755);
    append(&mut tar, dir("d/"), b"");
    append(&mut tar, file("d/.wh.gone"), b"");
    append(&mut tar, dir("opaque/"), b"");
    append(&mut tar, file("opaque/.wh..wh..opq"), b"");
    append(&mut tar, file("opaque/new"), b"new");
    append(&mut tar, file(".wh..wh.plnk"), b"aufs");
    // deleted below and made anew here, in both orders
    append(&mut tar, file(".wh.again"), b"");
    append(&mut tar, dir("again/"), b"");
    append(&mut tar, dir("first/"), b"");
    append(&mut tar, file(".wh.first"), b"");
    append(&mut tar, file(".wh.file"), b"");
    append(&mut tar, file("file"), b"here");
    append(&mut tar, file("kept"), b"here");
    append(&mut tar, file(".wh.kept"), b"");
    let layer = layer(&tar.finish().unwrap().0);
    let gone = layer.path("d/gone").symlink_metadata().unwrap();
    assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0));
    for name in ["opaque", "again", "first"] {
        let mut value = [0; 4];
        let n = rustix::fs::getxattr(layer.path(name), "trusted.overlay.opaque", &mut value[..]);
        assert_eq!(n, Ok(1), "{name}");
        assert_eq!(value[0], b'y');
    }
    assert_eq!(std::fs::read(layer.path("file")).unwrap(), b"here");
    assert_eq!(std::fs::read(layer.path("kept")).unwrap(), b"here");
    assert!(!layer.path(".wh..wh.plnk").exists());
    let bad = tar_of(&[with("a/.wh...", Kind::File, |_| {})]);
    assert!(matches!(try_unpack(&bad), Err(Error::Hostile { .. })));
}

fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    members.iter().for_each(|m| append(&mut tar, m.clone(), b""));
    tar.finish().unwrap().0
}

fn try_unpack(bytes: &[u8]) -> Result<Unpacked, Error> {
    let dir = tempfile::tempdir().unwrap();
    let root = File::open(dir.path()).unwrap();
    let options = Unpack { whiteouts: Whiteouts::Overlay, limit: u64::MAX, aside: None };
    unpack(root.as_fd(), bytes, &options, ()).map(|(done, ())| done)
}

#[test]
fn r_img_04_replaced_members_keep_their_bytes() {
    let mut tar = Writer::new(Vec::new());
    let file = |name: &str| with(name, Kind::File, |_| {});
    let dir = |name: &str| with(name, Kind::Dir, |m| m.mode = 0o755);
    append(&mut tar, file("twice"), b"old contents");
    append(&mut tar, file("twice"), b"new");
    append(&mut tar, dir("d/"), b"");
    append(&mut tar, file("d/inner"), b"inside");
    append(&mut tar, file("d"), b"now a file");
    append(&mut tar, file("twice"), b"newest");
    append(&mut tar, file("x"), b"file first");
    append(&mut tar, with("x", Kind::Symlink("twice".into()), |_| {}), b"");
    let layer = layer(&tar.finish().unwrap().0);
    assert_eq!(std::fs::read(layer.path("twice")).unwrap(), b"newest");
    assert_eq!(std::fs::read(layer.path("d")).unwrap(), b"now a file");
    assert_eq!(layer.unpacked.moved.len(), 4);
    assert_eq!(layer.unpacked.size, 6 + 10 + 5);
}

/// A header block with all its fields, made by hand: what the writer never makes.
fn raw_header(name: &[u8], kind: u8, size: usize, magic: &[u8; 8], more: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000001 ");
    block[156] = kind;
    block[257..265].copy_from_slice(magic);
    more(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(512), 0);
    out
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let base = key.len() + value.len() + 3;
        let length = (base..).find(|n| base + n.to_string().len() == *n).unwrap();
        data.extend(format!("{length} {key}={value}\n").bytes());
    }
    [raw_header(b"PaxHeaders/x", b'x', data.len(), USTAR, |_| {}), padded(&data)].concat()
}

const USTAR: &[u8; 8] = b"ustar\x0000";
const GNU: &[u8; 8] = b"ustar  \0";
const V7: &[u8; 8] = &[0; 8];

/// 10 bytes at 0, 5 bytes at 1000, size 2000.
fn check_sparse(bytes: &[u8]) {
    let layer = layer(&[bytes, &[0; 1024]].concat());
    let mut expect = vec![0; 2000];
    expect[..10].copy_from_slice(b"0123456789");
    expect[1000..1005].copy_from_slice(b"abcde");
    assert_eq!(std::fs::read(layer.path("sparse")).unwrap(), expect);
}

#[test]
fn r_img_04_sparse_files_of_every_kind() {
    let data = padded(b"0123456789abcde");
    let map = "0,10,1000,5";
    let old_gnu = raw_header(b"sparse", b'S', 15, GNU, |block| {
        for (i, number) in [0, 10, 1000, 5].into_iter().enumerate() {
            block[386 + i * 12..][..12].copy_from_slice(format!("{number:011o}\0").as_bytes());
        }
        block[483..495].copy_from_slice(b"00000003720\0");
    });
    check_sparse(&[old_gnu, data.clone()].concat());
    let mut extension = vec![0; 512];
    for (i, number) in [1000, 5].into_iter().enumerate() {
        extension[i * 12..][..12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    }
    let extended = raw_header(b"sparse", b'S', 15, GNU, |block| {
        for (i, number) in [0, 10].into_iter().enumerate() {
            block[386 + i * 12..][..12].copy_from_slice(format!("{number:011o}\0").as_bytes());
        }
        block[482] = 1;
        block[483..495].copy_from_slice(b"00000003720\0");
    });
    check_sparse(&[extended, extension, data.clone()].concat());
    let plain = |size| raw_header(b"GNUSparseFile.0/sparse", b'0', size, USTAR, |_| {});
    let v00 = pax(&[
        ("GNU.sparse.size", "2000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "10"),
        ("GNU.sparse.offset", "1000"),
        ("GNU.sparse.numbytes", "5"),
        ("path", "sparse"),
    ]);
    check_sparse(&[v00, plain(15), data.clone()].concat());
    let v01 = pax(&[("GNU.sparse.size", "2000"), ("GNU.sparse.map", map), ("GNU.sparse.name", "sparse")]);
    check_sparse(&[v01, plain(15), data.clone()].concat());
    let v10 = pax(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "sparse"),
        ("GNU.sparse.realsize", "2000"),
    ]);
    check_sparse(&[v10, plain(512 + 15), padded(b"2\n0\n10\n1000\n5\n"), data].concat());
}

#[test]
fn r_arch_08_bad_sparse_maps() {
    let check = |size: &str, map: &str| {
        let records = pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map), ("GNU.sparse.name", "s")]);
        let file = raw_header(b"s", b'0', 15, USTAR, |_| {});
        let bytes = [records, file, padded(&[1; 15]), vec![0; 1024]].concat();
        assert!(matches!(try_unpack(&bytes), Err(Error::Corrupt(_))), "{size} {map}");
    };
    check("2000", "0,10,1000");
    check("2000", "0,10,5,5");
    check("2000", "0,10,1999,5");
    check("2000", "0,10,1000,6");
    check("2000", "x");
    check("2000", "0,18446744073709551615,0,16");
    check("18446744073709551615", "0,10,1000,5");
}

#[test]
fn r_img_04_old_dialects() {
    let long = "l".repeat(150);
    let bytes = [
        raw_header(b"v7", 0, 2, V7, |_| {}),
        padded(b"v7"),
        raw_header(b"old-dir/", 0, 0, V7, |_| {}),
        raw_header(b"././@LongLink", b'L', 151, GNU, |_| {}),
        padded(format!("{long}\0").as_bytes()),
        raw_header(b"short", b'0', 1, GNU, |_| {}),
        padded(b"x"),
        raw_header(b"././@LongLink", b'K', 151, GNU, |_| {}),
        padded(format!("{long}\0").as_bytes()),
        raw_header(b"link", b'2', 0, GNU, |_| {}),
        raw_header(b"name", b'0', 3, USTAR, |block| block[345..351].copy_from_slice(b"prefix")),
        padded(b"abc"),
        pax(&[("comment", "global")]).iter().enumerate().map(|(i, b)| if i == 156 { b'g' } else { *b }).collect(),
        raw_header(b"contiguous", b'7', 0, USTAR, |_| {}),
        vec![0; 1024],
        // what some writers leave after the end
        vec![0; 7 * 512],
        b"trailing bytes".to_vec(),
    ];
    // the changed type of the global header needs its checksum again
    let mut bytes = bytes.to_vec();
    let data = bytes[12].split_off(512);
    bytes[12] = raw_header(b"PaxHeaders/x", b'g', data.iter().position(|b| *b == 0).unwrap_or(0), USTAR, |_| {});
    bytes[12].extend(data);
    let layer = layer(&bytes.concat());
    assert_eq!(std::fs::read(layer.path("v7")).unwrap(), b"v7");
    assert!(layer.path("old-dir").is_dir());
    assert_eq!(std::fs::read(layer.path(&long)).unwrap(), b"x");
    assert_eq!(std::fs::read_link(layer.path("link")).unwrap(), Path::new(&long));
    assert_eq!(std::fs::read(layer.path("prefix/name")).unwrap(), b"abc");
    assert!(layer.path("contiguous").is_file());
}

#[test]
fn r_img_04_pack_is_the_inverse() {
    let mut tar = Writer::new(Vec::new());
    append(&mut tar, with("a/", Kind::Dir, |m| m.mode = 0o700), b"");
    append(&mut tar, with("a/f", Kind::File, |m| m.xattrs = vec![(b"user.a".to_vec(), b"1".to_vec())]), b"data");
    append(&mut tar, with("a/g", Kind::HardLink("a/f".into()), |_| {}), b"");
    // in the order of the names without their prefix, as Docker
    append(&mut tar, with("a/.wh.gone", Kind::File, |m| m.mode = 0o600), b"");
    append(&mut tar, with("a.b", Kind::File, |m| m.mtime.seconds = 9), &[1; 1025]);
    append(&mut tar, with("link", Kind::Symlink("a/f".into()), |m| m.mode = 0o777), b"");
    append(&mut tar, with("o/", Kind::Dir, |m| (m.mode, m.uid) = (0o1775, 5)), b"");
    append(&mut tar, with("o/.wh..wh..opq", Kind::File, |m| (m.mode, m.uid) = (0o775, 5)), b"");
    append(&mut tar, with("pipe", Kind::Fifo, |_| {}), b"");
    let bytes = tar.finish().unwrap().0;
    // times of whiteouts are those of their making
    let layer = layer(&bytes);
    let whiteout = Time { seconds: layer.path("a/gone").symlink_metadata().unwrap().mtime(), nanos: 0 };
    let root = File::open(layer.path("")).unwrap();
    let mut packed = Vec::new();
    pack(root.as_fd(), Source::OverlayUpper, &mut packed, &|| Ok(())).unwrap();
    let members = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes);
        let mut all = Vec::new();
        while let Some(mut member) = reader.next_member().unwrap() {
            if member.path.ends_with(".wh.gone") {
                member.mtime = Time::default();
            }
            // a hard link carries the metadata of its file
            if matches!(member.kind, Kind::HardLink(_)) {
                member.xattrs.clear();
            }
            all.push(member);
        }
        all
    };
    assert_ne!(whiteout, Time::default());
    assert_eq!(members(&packed), members(&bytes));
}

#[test]
fn r_img_08_compressed_streams() {
    use std::io::{Read, Write};
    let plain = tar_of(&[with("a", Kind::Dir, |_| {})]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&plain).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    let all = [
        (&gzip, Compression::Gzip),
        (&zstd, Compression::Zstd),
        (&bzip2, Compression::Bzip2),
        (&plain, Compression::None),
    ];
    for (bytes, kind) in all {
        assert_eq!(Compression::detect(bytes), kind);
        let mut out = Vec::new();
        Decoder::new(bytes.as_slice()).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, plain);
        if kind != Compression::None {
            let cut = &bytes[..bytes.len() - 1];
            assert!(Decoder::new(cut).unwrap().read_to_end(&mut Vec::new()).is_err(), "{kind:?}");
        }
    }
    // `xz -9` of 1536 zero bytes: there is no encoder here
    let xz = b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x1c\x00\x00\x00\x10\xcfX\xcc\xe0\x05\xff\x00\x0e]\x00\x00o\xfd\xff\xff\xa3\xb7\xffG=\
        \xc5D\xad\x00\x00\x00\x00\xe4kF\xe5\x03o\xe6\x8b\x00\x01*\x80\x0c\x00\x00\x00\xa7\xfdR\x9e\xb1\xc4g\xfb\x02\x00\x00\x00\x00\x04YZ";
    let mut out = Vec::new();
    Decoder::new(xz.as_slice()).unwrap().read_to_end(&mut out).unwrap();
    assert_eq!((Compression::detect(xz), out), (Compression::Xz, vec![0; 1536]));
    assert!(Decoder::new(&xz[..xz.len() - 1]).unwrap().read_to_end(&mut Vec::new()).is_err());
    // two streams one after the other are one, as gzip says
    let mut out = Vec::new();
    Decoder::new([gzip.as_slice(), &gzip].concat().as_slice()).unwrap().read_to_end(&mut out).unwrap();
    assert_eq!(out.len(), 2 * plain.len());
}

#[test]
fn r_arch_08_damaged_records() {
    let mut tar = Writer::new(Vec::new());
    append(&mut tar, with("f", Kind::File, |_| {}), b"contents");
    let layer = layer(&tar.finish().unwrap().0);
    let root = File::open(layer.path("")).unwrap();
    let files = LayerFiles { root: root.as_fd(), moved_root: None, moved: &[] };
    for length in 0..layer.record.len() {
        assert!(replay(&layer.record[..length], files, &mut Vec::new()).is_err());
    }
    std::fs::write(layer.path("f"), b"short").unwrap();
    assert!(matches!(replay(layer.record.as_slice(), files, &mut Vec::new()), Err(Error::Corrupt(_))));
}
