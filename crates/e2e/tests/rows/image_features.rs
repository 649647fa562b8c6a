//! IMG-04, IMG-08: everything that a tar can hold goes round byte for byte, and other tools count the same digests.

use crate::registry_protocol::digest;
use wharf_testkit::scripted::PeerRegistry;
use wharf_testkit::{Cli, Host};

const NAME: &str = "203.0.113.1:5000/team/app:1";

/// Writes a tar with everything in it: `make.py FILE`.
const MAKE: &str = r#"
import io, struct, sys, tarfile
acl = lambda *entries: struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
ANY = 0xffffffff
XATTRS = {
    "bin/tool": {"security.capability": struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)},
    "acl": {"system.posix_acl_access": acl((1, 6, ANY), (2, 4, 1000), (4, 4, ANY), (16, 4, ANY), (32, 0, ANY)), "user.mark": b"kept \xff\x00 whole"},
    "acldir": {"system.posix_acl_default": acl((1, 7, ANY), (2, 5, 1000), (4, 5, ANY), (16, 5, ANY), (32, 5, ANY))},
}
T = tarfile
with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
    def add(name, kind=T.REGTYPE, data=b"", **more):
        m = T.TarInfo(name); m.type, m.size, m.mtime = kind, len(data), 1600000000.123456789
        m.mode = 0o755 if kind == T.DIRTYPE else 0o644
        for k, v in more.items(): setattr(m, k, v)
        for key, value in XATTRS.get(name, {}).items():
            m.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape")
        m.pax_headers["mtime"] = "1600000000.123456789"
        tar.addfile(m, io.BytesIO(data))
    add("bin", T.DIRTYPE); add("bin/tool", data=b"a tool\n", mode=0o4755, uid=1, gid=50)
    add("bin/hard", T.LNKTYPE, linkname="bin/tool", mode=0o4755, uid=1, gid=50); add("soft", T.SYMTYPE, linkname="../bin/tool")
    add("acl", data=b"for one more", mode=0o640); add("acldir", T.DIRTYPE, mode=0o1777)
    add("null", T.CHRTYPE, devmajor=1, devminor=3); add("loop", T.BLKTYPE, devmajor=7, devminor=0); add("fifo", T.FIFOTYPE, mode=0o600)
    add("long/" + "n" * 200, data=b"long"); add("umlaut-\u00fc", data=b"u"); add("large", data=bytes(range(256)) * 4096, uid=3000000)
"#;

/// Says what is in a tar, without its own way to write it: `tell.py FILE`.
const TELL: &str = r#"
import sys, tarfile
def told(m, data):
    xattrs = sorted((k, v.encode("utf-8", "surrogateescape").hex()) for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr."))
    time = int(m.mtime) if not m.isdir() else 0  # export has seconds, as Docker's
    return (m.name.removeprefix("./").strip("/"), m.type, "" if m.issym() else oct(m.mode & 0o7777), m.uid, m.gid, m.size, m.linkname.removeprefix("/"), m.devmajor, m.devminor, time, xattrs, sum(data))
with tarfile.open(sys.argv[1]) as tar:
    rows = [told(m, tar.extractfile(m).read() if m.isreg() else b"") for m in tar]
# what every container has besides, and folders that were only implied
rows = [r for r in rows if r[0].split("/")[0] in ("bin", "soft", "acl", "acldir", "null", "loop", "fifo", "long", "umlaut-\u00fc", "large") and r[0] != "long"]
# either name of a file may come first
links = {r[6]: r for r in rows if r[1] == tarfile.LNKTYPE}
for r in sorted(rows): print(r if r[1] != tarfile.LNKTYPE and r[0] not in links else (sorted((r[0], "bin/tool", "bin/hard"))[:2], r[2:5]))
"#;

fn python(host: &Host, script: &str, file: &str) -> String {
    host.run("python3", &["-c", script, file]).ok()
}

fn path(host: &Host, name: &str) -> String {
    host.dir().join(name).display().to_string()
}

/// The one layer of an image, as `save` writes it.
fn layer(host: &Host, cli: Cli, image: &str) -> Vec<u8> {
    let (archive, out) = (path(host, "saved.tar"), path(host, "saved"));
    host.cli(cli, &["save", "-o", &archive, image]).ok();
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir(&out).expect("a new folder");
    host.run("tar", &["-xf", &archive, "-C", &out]).ok();
    let diff = host.cli(cli, &["image", "inspect", "-f", "{{index .RootFS.Layers 0}}", image]).ok();
    std::fs::read(format!("{out}/blobs/sha256/{}", &diff[7..])).expect("the layer is in the archive")
}

fn id(host: &Host, cli: Cli, image: &str) -> String {
    host.cli(cli, &["image", "inspect", "-f", "{{.Id}}", image]).ok()
}

rows! {
    fn r_img_04_everything_goes_round_byte_for_byte(host, cli) {
        host.take_daemon().stop();
        host.start_with(&["--insecure-registry", "203.0.113.0/24"], "");
        let (tar, saved) = (path(&host, "features.tar"), path(&host, "saved.tar"));
        python(&host, MAKE, &tar);
        let original = std::fs::read(&tar).unwrap();
        host.cli(cli, &["import", "-c", "CMD [\"/bin/tool\"]", &tar, NAME]).ok();
        let first = id(&host, cli, NAME);
        assert!(layer(&host, cli, NAME) == original, "the layer is what was imported");
        // what is on the disk has them, too
        let diff = digest(&original);
        let file = host.data_root().join("overlay2").join(&diff[7..]).join("diff/bin/tool");
        let mut value = [0; 64];
        let n = rustix::fs::lgetxattr(&file, "security.capability", &mut value[..]).expect("the capability is set");
        assert_eq!((n, value[5]), (20, 4), "cap_net_bind_service");

        // load → save
        let archive = std::fs::read(&saved).unwrap();
        host.cli(cli, &["rmi", NAME]).ok();
        host.cli(cli, &["load", "-i", &saved]).ok();
        assert!(layer(&host, cli, NAME) == original && std::fs::read(&saved).unwrap() == archive);

        // push → pull; skopeo counts the same digests
        let _registry = PeerRegistry::start(&host, 5000, "");
        let pushed = host.cli(cli, &["push", NAME]).ok();
        let told = pushed.split("1: digest: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
        let remote = format!("docker://{NAME}");
        let seen = host.run("skopeo", &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &remote]).ok();
        assert_eq!(seen, told);
        let config = host.run("skopeo", &["inspect", "--tls-verify=false", "--raw", "--config", &remote]).stdout;
        assert_eq!(digest(config.as_bytes()), first);
        let copied = path(&host, "copied.tar");
        host.run("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &remote, &format!("docker-archive:{copied}:copied:1")]).ok();
        host.cli(cli, &["rmi", NAME]).ok();
        host.cli(cli, &["load", "-i", &copied]).ok();
        assert_eq!(id(&host, cli, "copied:1"), first);
        host.cli(cli, &["rmi", "copied:1"]).ok();
        host.cli(cli, &["pull", NAME]).ok();
        assert_eq!(id(&host, cli, NAME), first);
        assert!(layer(&host, cli, NAME) == original);

        // export → import
        let expect = python(&host, TELL, &tar);
        let (out, again) = (path(&host, "exported.tar"), path(&host, "again.tar"));
        let container = host.cli(cli, &["create", NAME]).ok();
        host.cli(cli, &["export", "-o", &out, &container]).ok();
        assert_eq!(python(&host, TELL, &out), expect);
        host.cli(cli, &["import", &out, "again:1"]).ok();
        let container = host.cli(cli, &["create", "again:1", "x"]).ok();
        host.cli(cli, &["export", "-o", &again, &container]).ok();
        assert_eq!(python(&host, TELL, &again), expect);
    }
}
