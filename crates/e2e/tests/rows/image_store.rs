//! IMG-01, 02, 08, 09, 10 and ARCH-10: what needs no registry.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use wharf_testkit::{Cli, Host};

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// A plain tar with these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    let packed = Command::new("tar")
        .arg("-C")
        .arg(dir.path())
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-c", "."])
        .output();
    packed.expect("tar runs").stdout
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("sha256sum runs");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
    let out = child.wait_with_output().expect("it ends").stdout;
    String::from_utf8_lossy(&out[..64]).into_owned()
}

fn packed_with(program: &str, bytes: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("a file");
    Command::new(program).arg("-c").arg(file.path()).output().expect("it runs").stdout
}

/// An OCI layout in the making.
#[derive(Default)]
struct Layout {
    blobs: Vec<(String, Vec<u8>)>,
}

impl Layout {
    fn blob(&mut self, kind: &str, bytes: Vec<u8>) -> serde_json::Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()});
        self.blobs.push((format!("blobs/sha256/{digest}"), bytes));
        descriptor
    }

    /// An image of one layer, `packer` ("" for none) telling its compression.
    fn image(&mut self, architecture: &str, files: &[(&str, &[u8])], packer: &str) -> serde_json::Value {
        let layer = tar(files);
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "by hand"}],
        });
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
        let (suffix, layer) = match packer {
            "" => ("", layer),
            "gzip" => ("+gzip", packed_with("gzip", &layer)),
            other => ("+zstd", packed_with(other, &layer)),
        };
        let layer = self.blob(&format!("application/vnd.oci.image.layer.v1.tar{suffix}"), layer);
        self.manifest(&config, &[layer], architecture)
    }

    fn manifest(
        &mut self,
        config: &serde_json::Value,
        layers: &[serde_json::Value],
        architecture: &str,
    ) -> serde_json::Value {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let mut descriptor = self.blob(kind, manifest.to_string().into_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    }

    fn index(&mut self, manifests: &[serde_json::Value], name: &str) -> serde_json::Value {
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        let mut descriptor = self.blob(kind, index.to_string().into_bytes());
        descriptor["annotations"] = json!({"io.containerd.image.name": name});
        descriptor
    }

    fn archive(mut self, top: &[serde_json::Value]) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": top});
        self.blobs.push(("index.json".into(), index.to_string().into_bytes()));
        self.blobs.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        let files: Vec<(&str, &[u8])> =
            self.blobs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        tar(&files)
    }
}

fn field(host: &Host, cli: Cli, name: &str, template: &str) -> String {
    host.cli(cli, &["image", "inspect", "-f", template, name]).ok()
}

fn extract(archive: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    assert!(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(to).status().expect("tar runs").success());
}

rows! {
    fn r_img_01_lists_and_their_filters(host, cli) {
        let bb = host.dir().join("bb.tar").display().to_string();
        host.cli(cli, &["export", "-o", &bb, &host.cli(cli, &["create", "busybox", "sh"]).ok()]).ok();
        host.cli(cli, &["import", "-c", "LABEL a=b c=\"d e\"", "-c", "ENV X=1", "-m", "the message", &bb, "app:1"]).ok();
        host.cli(cli, &["tag", "app:1", "app:2"]).ok();
        let list = |args: &[&str]| {
            let all = [&["images", "--format", "{{.Repository}}:{{.Tag}}"], args].concat();
            lines(&host.cli(cli, &all).ok())
        };
        assert_eq!(list(&[]), ["app:1", "app:2", "busybox:latest"]);
        assert_eq!(list(&["app"]), ["app:1", "app:2"]);
        assert_eq!(list(&["--filter", "reference=app:1"]), ["app:1"], "only the names that match");
        assert_eq!(list(&["--filter", "reference=a*:2", "--filter", "reference=busy*"]), ["app:2", "busybox:latest"]);
        assert_eq!(list(&["--filter", "label=c=d e"]), ["app:1", "app:2"]);
        assert_eq!(list(&["--filter", "label=a=x"]), Vec::<String>::new());
        assert_eq!(list(&["--filter", "until=2020-01-01T00:00:00Z"]), Vec::<String>::new());
        assert_eq!(list(&["--filter", "dangling=true"]), Vec::<String>::new());
        let refused = host.cli(cli, &["images", "--filter", "dangling=maybe"]).fails(1);
        assert!(refused.contains("invalid filter 'dangling=[maybe]'"), "{refused}");
        assert!(host.cli(cli, &["images", "--filter", "bogus=1"]).fails(1).contains("invalid filter 'bogus'"));
        let until = host.cli(cli, &["images", "--filter", "until=bogus"]).fails(1);
        assert!(until.contains("failed to parse value as time or duration: \"bogus\""), "{until}");
        let none = host.cli(cli, &["images", "--filter", "before=none"]).fails(1);
        assert!(none.contains("No such image: none:latest"), "{none}");
        let digests = host.cli(cli, &["images", "--digests", "app:1"]).ok();
        assert!(digests.contains("DIGEST") && digests.contains("<none>"), "{digests}");
        assert_eq!(host.cli(cli, &["images", "-q", "--no-trunc", "app:1"]).ok(), field(&host, cli, "app:1", "{{.Id}}"));
        let tree = host.cli(cli, &["images", "--tree"]).ok();
        assert!(tree.contains("Info ->  U In Use") && tree.contains("DISK USAGE") && tree.contains("\napp:1\napp:2 "), "{tree}");
        let history = host.cli(cli, &["history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Comment}}", "app:1"]).ok();
        assert_eq!(history, format!("{}||the message", field(&host, cli, "app:1", "{{.Id}}")));
        let shared = host.api().get("/v1.51/images/json?shared-size=1");
        let shared = String::from_utf8_lossy(&shared.body).into_owned();
        assert!(shared.contains("SharedSize") && !shared.contains("\"SharedSize\":-1"), "{shared}");
        let other = host.cli(cli, &["image", "inspect", "--platform", "linux/s390x", "app:1"]).fails(1);
        assert!(other.contains("was found but its platform (linux/amd64) does not match the specified platform (linux/s390x)"), "{other}");
    }

    fn r_img_01_prune_by_label_and_age(host, cli) {
        let bb = host.dir().join("bb.tar").display().to_string();
        host.cli(cli, &["export", "-o", &bb, &host.cli(cli, &["create", "--name", "c1", "busybox", "sh"]).ok()]).ok();
        host.cli(cli, &["import", "-c", "LABEL keep=1", &bb, "keep"]).ok();
        host.cli(cli, &["import", "-c", "LABEL drop=1", &bb, "drop"]).ok();
        assert!(host.cli(cli, &["image", "prune", "-af", "--filter", "bogus=1"]).fails(1).contains("invalid filter 'bogus'"));
        host.cli(cli, &["image", "prune", "-af", "--filter", "until=2020-01-01"]).ok();
        host.cli(cli, &["image", "prune", "-f"]).ok();
        let names = || lines(&host.cli(cli, &["images", "--format", "{{.Repository}}"]).ok());
        assert_eq!(names(), ["busybox", "drop", "keep"]);
        let pruned = host.cli(cli, &["image", "prune", "-af", "--filter", "label=drop"]).ok();
        assert!(pruned.contains("untagged: drop:latest") && pruned.contains("deleted: sha256:"), "{pruned}");
        host.cli(cli, &["image", "prune", "-af", "--filter", "label!=keep"]).ok();
        assert_eq!(names(), ["busybox", "keep"], "a container needs the first, the label keeps the second");
        host.cli(cli, &["rm", "c1"]).ok();
        let pruned = host.cli(cli, &["image", "prune", "-af"]).ok();
        assert!(!pruned.contains("Total reclaimed space: 0B"), "{pruned}");
        crate::assert_layers(&host, 0);
    }

    fn r_img_01_import_says_what_is_wrong(host, cli) {
        let bb = host.dir().join("bb.tar").display().to_string();
        host.cli(cli, &["export", "-o", &bb, &host.cli(cli, &["create", "--name", "c1", "busybox", "sh"]).ok()]).ok();
        let import = |args: &[&str]| host.cli(cli, &[&["import"], args].concat());
        // the refusal comes while the archive is still being sent
        for (change, sentence) in [
            ("RUN x", "RUN is not a valid change command"),
            ("SHELL [\"a\"]", "SHELL is not a valid change command"),
            ("ENV", "ENV requires at least one argument"),
            ("EXPOSE 80/xyz", "Invalid proto: xyz"),
        ] {
            let refused = import(&["-c", change, &bb, "bad"]).fails(1);
            assert!(refused.contains(sentence), "{change}: {refused}");
        }
        assert!(import(&["--platform", "windows/amd64", &bb, "bad"]).fails(1).contains("operating system is not supported"));
        assert!(import(&[&bb, "UPPER"]).fails(1).contains("must be lowercase"));
        let half = host.dir().join("half.tar");
        let bytes = std::fs::read(&bb).unwrap();
        std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
        assert!(import(&[&half.display().to_string(), "bad"]).fails(1).contains("unexpected EOF"));
        import(&["--platform", "linux/arm64/v8", &bb, "arm"]).ok();
        assert_eq!(field(&host, cli, "arm", "{{.Os}}/{{.Architecture}}/{{.Variant}}"), "linux/arm64/v8");
        assert_eq!(lines(&host.cli(cli, &["images", "--format", "{{.Repository}}"]).ok()), ["arm", "busybox"]);
        host.cli(cli, &["rmi", "arm"]).ok();
        crate::assert_layers(&host, 2); // busybox's layer and the container's own
    }

    fn r_img_02_a_layer_is_stored_once(host, cli) {
        for (name, file) in [("one", "/a"), ("two", "/b"), ("three", "/c")] {
            host.cli(cli, &["run", "--name", name, "busybox", "touch", file]).ok();
            host.cli(cli, &["commit", name, &format!("{name}:v1")]).ok();
            host.cli(cli, &["rm", name]).ok();
        }
        crate::assert_layers(&host, 4); // the base once and three changes
        let all = host.dir().join("all.tar").display().to_string();
        host.cli(cli, &["save", "-o", &all, "one:v1", "two:v1", "three:v1"]).ok();
        let listing = Command::new("tar").args(["-tf", &all]).output().unwrap().stdout;
        let blobs = String::from_utf8_lossy(&listing).lines().filter(|l| l.starts_with("blobs/sha256/") && l.len() > 20).count();
        assert_eq!(blobs, 4 + 3 + 3, "four layers, three configurations, three manifests");
        // what is here is not taken in again
        host.cli(cli, &["load", "-i", &all]).ok();
        crate::assert_layers(&host, 4);
        let table = host.cli(cli, &["system", "df", "-v"]).ok();
        let row = table.lines().find(|l| l.starts_with("one ")).unwrap_or_default();
        assert!(row.contains("SHARED") || row.matches("MB").count() >= 2, "{table}");
    }

    fn r_img_08_an_index_gives_the_wanted_platform(host, cli) {
        let mut layout = Layout::default();
        let amd = layout.image("amd64", &[("who", b"amd")], "gzip");
        let arm = layout.image("arm64", &[("who", b"arm")], "zstd");
        let index = layout.index(&[amd, arm], "example.net/multi:1");
        let file = host.dir().join("multi.tar").display().to_string();
        std::fs::write(&file, layout.archive(&[index])).unwrap();
        let said = host.cli(cli, &["load", "-i", &file]).ok();
        assert!(said.contains("Loaded image: example.net/multi:1"), "{said}");
        assert_eq!(field(&host, cli, "example.net/multi:1", "{{.Architecture}}"), "amd64");
        host.cli(cli, &["load", "--platform", "linux/arm64", "-i", &file]).ok();
        assert_eq!(field(&host, cli, "example.net/multi:1", "{{.Architecture}}"), "arm64");
        let none = host.cli(cli, &["load", "--platform", "linux/s390x", "-i", &file]).fails(1);
        assert!(none.contains("linux/s390x"), "{none}");
        let other = host.dir().join("no.tar").display().to_string();
        let none = host.cli(cli, &["save", "--platform", "linux/amd64", "-o", &other, "example.net/multi:1"]).fails(1);
        assert!(none.contains("no suitable export target found for platform linux/amd64"), "{none}");
        assert!(!Path::new(&other).exists(), "a refused save leaves no file");
        host.cli(cli, &["save", "--platform", "linux/arm64", "-o", &other, "example.net/multi:1"]).ok();
    }

    fn r_img_08_what_is_no_image_leaves_nothing(host, cli) {
        let load = |bytes: Vec<u8>| {
            let file = host.dir().join("bad.tar");
            std::fs::write(&file, bytes).unwrap();
            host.cli(cli, &["load", "-i", &file.display().to_string()]).fails(1)
        };
        // a blob that is not what its name says
        let mut layout = Layout::default();
        let image = layout.image("amd64", &[("f", b"1")], "gzip");
        for (name, bytes) in &mut layout.blobs {
            if bytes.starts_with(&[0x1f, 0x8b]) {
                *bytes = packed_with("gzip", &tar(&[("f", b"2")]));
                assert!(name.starts_with("blobs/"));
            }
        }
        let said = load(layout.archive(&[image]));
        assert!(said.contains("sha256:"), "{said}");
        // a layer that is elsewhere
        let mut layout = Layout::default();
        let config = layout.blob("application/vnd.oci.image.config.v1+json", br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec());
        let foreign = json!({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": format!("sha256:{}", sha256(b"x")), "size": 1, "urls": ["https://example.net/x"]});
        let manifest = layout.manifest(&config, &[foreign], "amd64");
        let said = load(layout.archive(&[manifest]));
        assert!(said.contains("foreign layer"), "{said}");
        for bytes in [b"garbage".to_vec(), Vec::new(), tar(&[("etc/passwd", b"x")])] {
            load(bytes);
        }
        let whole = {
            let file = host.dir().join("whole.tar").display().to_string();
            host.cli(cli, &["save", "-o", &file, "busybox"]).ok();
            std::fs::read(file).unwrap()
        };
        host.cli(cli, &["rmi", "busybox"]).ok();
        for cut in [700, whole.len() / 3, whole.len() - 9000] {
            let said = load(whole[..cut].to_vec());
            assert!(said.contains("EOF") || said.contains("archive"), "{said}");
        }
        assert_eq!(host.cli(cli, &["images", "-aq"]).ok(), "");
        crate::assert_layers(&host, 0);
    }

    fn r_img_08_exact_bytes_and_every_feature(host, cli) {
        // a layer with whiteouts, an opaque folder, hard links, attributes, devices, holes, long names and odd times
        let script = "set -e; cd /; mkdir -p d/deep o; echo 1 > d/f; ln d/f d/hard; ln -s ../d/f d/soft; mknod d/null c 1 3; \
            mknod d/blk b 7 0; mkfifo d/fifo; dd if=/dev/zero of=d/hole bs=1 count=1 seek=5000000 2>/dev/null; \
            n=$(printf 'x%.0s' $(seq 1 200)); mkdir -p long/$n; echo long > long/$n/$n; chown 70000:80000 d/f; chmod 4755 d/f; \
            touch -d '1999-01-02 03:04:05' d/deep; rm -r etc/group; echo ü > 'd/ü'";
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", script]).ok();
        host.cli(cli, &["commit", "c1", "all:1"]).ok();
        let first = host.dir().join("first.tar");
        host.cli(cli, &["save", "-o", &first.display().to_string(), "all:1"]).ok();
        let id = field(&host, cli, "all:1", "{{.Id}}");
        host.cli(cli, &["rm", "c1"]).ok();
        host.cli(cli, &["rmi", "all:1"]).ok();
        host.cli(cli, &["load", "-i", &first.display().to_string()]).ok();
        assert_eq!(field(&host, cli, "all:1", "{{.Id}}"), id);
        let second = host.dir().join("second.tar");
        host.cli(cli, &["save", "-o", &second.display().to_string(), "all:1"]).ok();
        extract(&first, &host.dir().join("one"));
        extract(&second, &host.dir().join("two"));
        let same = Command::new("diff").arg("-r").arg(host.dir().join("one")).arg(host.dir().join("two")).status().unwrap();
        assert!(same.success(), "save → load → save gives the same files");
        for blob in std::fs::read_dir(host.dir().join("one/blobs/sha256")).unwrap() {
            let blob = blob.unwrap();
            assert_eq!(sha256(&std::fs::read(blob.path()).unwrap()), blob.file_name().to_string_lossy());
        }
        let seen = host.cli(cli, &["run", "--rm", "all:1", "sh", "-c", "stat -c '%n %a %u:%g %h %F %Y' /d/f /d/hard /d/null /d/fifo /d/deep; stat -c %s /d/hole; ls /etc"]).ok();
        for line in ["/d/f 4755 70000:80000 2 regular file", "/d/null 644 0:0 1 character special file", "/d/fifo 644 0:0 1 fifo", "/d/deep 755 0:0 2 directory 915246245", "5000001"] {
            assert!(seen.contains(line), "{line}: {seen}");
        }
        assert!(!seen.lines().any(|l| l == "group"), "{seen}");
    }

    fn r_img_05_untag_keeps_what_has_children(host, cli) {
        host.cli(cli, &["tag", "busybox", "base"]).ok();
        host.cli(cli, &["rmi", "busybox"]).ok();
        host.cli(cli, &["create", "--name", "c1", "base", "sh"]).ok();
        host.cli(cli, &["commit", "c1", "child"]).ok();
        assert_eq!(host.cli(cli, &["rmi", "-f", "base"]).ok(), "Untagged: base:latest");
        host.cli(cli, &["rm", "c1"]).ok();
        let gone = host.cli(cli, &["rmi", "child"]).ok();
        assert_eq!(gone.matches("Deleted: ").count(), 3, "the image, its parent and the layer: {gone}");
    }
}

/// A host whose daemon has other arguments.
mod drivers {
    use wharf_testkit::Host;

    #[test]
    fn r_img_09_vfs_tells_the_same_story() {
        let host = Host::with_args(&["--storage-driver", "vfs"]);
        assert_eq!(host.docker(&["info", "-f", "{{.Driver}}"]).ok(), "vfs");
        host.docker(&[
            "run",
            "--name",
            "c1",
            "busybox",
            "sh",
            "-c",
            "echo a > /new; rm /etc/group; echo x >> /etc/passwd",
        ])
        .ok();
        assert_eq!(
            super::lines(&host.docker(&["diff", "c1"]).ok()),
            ["A /new", "C /etc", "C /etc/passwd", "D /etc/group"]
        );
        host.docker(&["commit", "c1", "made"]).ok();
        assert_eq!(
            host.docker(&["run", "--rm", "made", "sh", "-c", "cat /new; test ! -e /etc/group && echo gone"]).ok(),
            "a\ngone"
        );
        host.docker(&["rm", "c1"]).ok();
        host.docker(&["rmi", "made", "busybox"]).ok();
    }

    #[test]
    fn r_img_09_other_drivers_say_what_to_use() {
        let host = Host::bare();
        let root = host.dir().join("plain").display().to_string();
        let wharfd = wharf_testkit::program("wharfd").display().to_string();
        for name in ["devicemapper", "zfs", "aufs", "fuse-overlayfs", "windowsfilter"] {
            let said = host.run(&wharfd, &["--storage-driver", name, "--data-root", &root]).fails(1);
            assert!(said.contains(name), "{name}: {said}");
            assert!(name == "windowsfilter" || said.contains("overlay2"), "{name}: {said}");
        }
        let said = host.run(&wharfd, &["--storage-driver", "btrfs", "--data-root", &root]).fails(1);
        assert!(said.contains("not on btrfs"), "{said}");
    }

    #[test]
    fn r_img_10_r_arch_10_the_data_root_moves() {
        let mut host = Host::boot();
        host.docker(&["run", "--name", "c1", "busybox", "sh", "-c", "echo kept > /kept"]).ok();
        host.docker(&["commit", "c1", "made:1"]).ok();
        let id = host.docker(&["image", "inspect", "-f", "{{.Id}}", "made:1"]).ok();
        host.take_daemon().stop();
        let new = host.dir().join("elsewhere");
        std::fs::rename(host.data_root(), &new).unwrap();
        host.start_with(&["--data-root", &new.display().to_string()], "");
        assert_eq!(host.docker(&["info", "-f", "{{.DockerRootDir}}"]).ok(), new.display().to_string());
        assert_eq!(host.docker(&["image", "inspect", "-f", "{{.Id}}", "made:1"]).ok(), id);
        assert_eq!(host.docker(&["run", "--rm", "made:1", "cat", "/kept"]).ok(), "kept");
        assert_eq!(host.docker(&["start", "-a", "c1"]).ok(), "");
        assert_eq!(host.docker(&["diff", "c1"]).ok(), "A /kept");
        assert!(!host.data_root().join("overlay2").exists(), "nothing is written to the old place");
    }
}
