//! VOL-01, VOL-08 and VOL-09: file systems, limits and drivers behind volumes and containers.

use crate::registry_folder::certificates;
use crate::volumes::{Plugin, data, inside, said_no, volume};
use serde_json::json;
use wharf_testkit::{Cli, Host};

/// `/etc/docker/plugins`, the host's own.
fn descriptions(host: &Host) -> &'static str {
    let [upper, work] = ["etc-upper", "etc-work"].map(|name| {
        let folder = host.dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder.display().to_string()
    });
    let options = format!("lowerdir=/etc,upperdir={upper},workdir={work}");
    host.run("mount", &["-t", "overlay", "overlay", "-o", &options, "/etc"]).ok();
    host.run("mkdir", &["-p", "/etc/docker/plugins"]).ok();
    "/etc/docker/plugins"
}

/// Writes a file inside the host.
fn put(host: &Host, path: &str, text: &str) {
    host.run("sh", &["-c", "printf %s \"$2\" >\"$1\"", "sh", path, text]).ok();
}

rows! {
    fn r_vol_01_file_systems_of_other_machines(host, cli) {
        host.cli(cli, &["volume", "create", "-o", "type=nfs", "-o", "o=addr=127.0.0.1,rw", "-o", "device=:/x", "nfs"]).ok();
        host.cli(cli, &["volume", "create", "-o", "type=cifs", "-o", "o=addr=127.0.0.1,username=ann", "-o", "device=//127.0.0.1/x", "cifs"]).ok();
        let known = std::fs::read_to_string("/proc/filesystems").unwrap();
        for (name, mount, words) in [("nfs", ":/x", "addr=127.0.0.1"), ("cifs", "//127.0.0.1/x", "addr=127.0.0.1,username=ann")] {
            let place = data(&host, name);
            let said = said_no(host.cli(cli, &["run", "--rm", "-v", &format!("{name}:/x"), "busybox", "true"]));
            let start = format!("error while mounting volume '{0}': failed to mount local volume: mount {mount}:{0}, data: {words}: ", place.display());
            assert!(said.contains(&start), "{said}");
            if !known.contains(name) {
                assert!(said.contains(&format!("{start}no such device")), "{said}");
            }
            assert_eq!(host.cli(cli, &["ps", "-aq"]).ok(), "");
        }
        host.cli(cli, &["volume", "rm", "nfs", "cifs"]).ok();
        host.assert_no_leaks();
    }

    fn r_vol_01_images_of_file_systems(host, cli) {
        let image = host.dir().join("disk.img").display().to_string();
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        host.run_outside("mkfs.ext4", &["-q", "-F", &image]).ok();
        let device = format!("device={image}");
        host.cli(cli, &["volume", "create", "-o", "type=ext4", "-o", "o=loop", "-o", &device, "disk"]).ok();
        assert_eq!(inside(&host, cli, &["-v", "disk:/d"], "ls /d; echo kept >/d/f"), "lost+found");
        host.assert_no_leaks();
        for name in ["c1", "c2"] {
            host.cli(cli, &["run", "-d", "--name", name, "-v", "disk:/d", "busybox", "sleep", "600"]).ok();
        }
        // one file system for both, as large as the image; it outlives the daemon
        let full = host.cli(cli, &["exec", "c1", "sh", "-c", "dd if=/dev/zero of=/d/big bs=1M count=32; ls /d"]);
        assert!(full.stderr.contains("No space left on device") && full.stdout.contains("big"), "{full:?}");
        host.crash_and_restart();
        assert_eq!(host.cli(cli, &["exec", "c2", "sh", "-c", "rm /d/big; cat /d/f"]).ok(), "kept");
        host.cli(cli, &["rm", "-f", "c1", "c2"]).ok();
        host.assert_no_leaks();
        host.cli(cli, &["volume", "rm", "disk"]).ok();
        assert!(std::path::Path::new(&image).exists(), "the image is the user's");
    }

    fn r_vol_08_limits_of_containers(host, cli) {
        let refused = |option: &str| host.cli(cli, &["create", "--storage-opt", option, "busybox"]).fails(1);
        let sentence = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
        assert!(refused("size=10M").contains(sentence));
        assert!(refused("size=many").contains(sentence));
        assert!(refused("fast=1").contains("Unknown option fast"));
        let told = host.api().call("POST", "/containers/create", json!({"Image": "busybox", "HostConfig": {"StorageOpt": {"size": "1"}}}));
        assert_eq!(told.status, 500);
        host.api().call("POST", "/containers/create?name=c1", json!({"Image": "busybox", "HostConfig": {"StorageOpt": {}}}));
        assert_eq!(host.cli(cli, &["ps", "-a", "--format", "{{.Names}}"]).ok(), "c1");
        host.cli(cli, &["rm", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_vol_08_r_vol_09_files_of_containers_that_do_not_run(host, cli) {
        let plugin = Plugin::start_at(&host, "/run/docker/plugins/folders.sock");
        host.cli(cli, &["volume", "create", "-o", "size=16m", "small"]).ok();
        host.cli(cli, &["volume", "create", "-d", "folders", "remote"]).ok();
        host.cli(cli, &["create", "--name", "c1", "-v", "small:/s", "-v", "remote:/r", "busybox", "cat", "/s/x", "/r/x"]).ok();
        let x = host.dir().join("x").display().to_string();
        std::fs::write(&x, "copied\n").unwrap();
        for place in ["/s/x", "/r/x"] {
            host.cli(cli, &["cp", &x, &format!("c1:{place}")]).ok();
            assert!(host.cli(cli, &["cp", &format!("c1:{place}"), "-"]).ok().contains("copied"));
        }
        assert_eq!(std::fs::read_to_string(plugin.root.join("volumes/remote/x")).unwrap(), "copied\n");
        assert_eq!(plugin.count("VolumeDriver.Mount"), plugin.count("VolumeDriver.Unmount"));
        assert!(!host.run("cat", &["/proc/self/mountinfo"]).ok().contains("/volumes/small/"), "mounted for nobody");
        // more than the volume holds: the client hears of it, nothing half is there
        let big = host.dir().join("big").display().to_string();
        std::fs::write(&big, vec![b'x'; 32 << 20]).unwrap();
        let said = host.cli(cli, &["cp", &big, "c1:/s/big"]).fails(1);
        assert!(said.contains("no space left on device") || said.contains("No space left on device"), "{said}");
        assert_eq!(host.cli(cli, &["start", "-a", "c1"]).ok(), "copied\ncopied");
        assert_eq!(inside(&host, cli, &["-v", "small:/s"], "ls -A /s"), "x");
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.cli(cli, &["volume", "rm", "small", "remote"]).ok();
        drop(plugin);
        host.assert_no_leaks();
    }

    fn r_vol_09_described_plugins(host, cli) {
        assert!(host.cli(cli, &["volume", "create", "-d", "../../etc/passwd", "v1"]).fails(1).contains("not found"));
        let folder = descriptions(&host);
        let plugin = Plugin::start_at(&host, "/run/elsewhere/here.sock");
        put(&host, &format!("{folder}/spec.spec"), "unix:///run/elsewhere/here.sock\n");
        put(&host, &format!("{folder}/doc.json"), r#"{"Name": "doc", "Addr": "unix:///run/elsewhere/here.sock"}"#);
        for driver in ["spec", "doc"] {
            assert_eq!(host.cli(cli, &["volume", "create", "-d", driver, driver]).ok(), driver);
            assert_eq!(volume(&host, driver)["Driver"], json!(driver));
            assert_eq!(inside(&host, cli, &["-v", &format!("{driver}:/r")], "echo hello >/r/f; cat /r/f"), "hello");
            host.cli(cli, &["volume", "rm", driver]).ok();
        }
        let shown = host.api().get("/info").json()["Plugins"]["Volume"].clone();
        for driver in ["local", "spec", "doc"] {
            assert!(shown.as_array().unwrap().contains(&json!(driver)), "{shown}");
        }
        drop(plugin);
        for (name, text) in [("empty.spec", ""), ("odd.spec", "ftp://x"), ("broken.json", "{"), ("plain.json", r#"{"Addr": "tcp://127.0.0.1:1", "TLSConfig": {}}"#)] {
            put(&host, &format!("{folder}/{name}"), text);
            let driver = name.split('.').next().unwrap();
            let said = host.cli(cli, &["volume", "create", "-d", driver, "v1"]).fails(1);
            assert!(said.contains(&format!("error looking up volume plugin {driver}")), "{said}");
        }
        assert_eq!(host.cli(cli, &["volume", "ls", "-q"]).ok(), "");
        host.assert_no_leaks();
    }

    fn r_vol_09_plugins_behind_tls(host, cli) {
        let folder = descriptions(&host);
        let (ours, theirs) = (certificates(&host, "ours"), certificates(&host, "theirs"));
        let plugin = Plugin::start_at(&host, &format!("tls:9443:{}", ours.display()));
        let describe = |name: &str, ca: &std::path::Path, identity: &std::path::Path| {
            let document = json!({"Name": name, "Addr": "https://127.0.0.1:9443/any/path", "TLSConfig": {
                "InsecureSkipVerify": false, "CAFile": ca.join("ca.crt"), "CertFile": identity.join("cert.pem"), "KeyFile": identity.join("key.pem"),
            }});
            put(&host, &format!("{folder}/{name}.json"), &document.to_string());
        };
        describe("right", &ours, &ours);
        assert_eq!(host.cli(cli, &["volume", "create", "-d", "right", "v1"]).ok(), "v1");
        assert_eq!(inside(&host, cli, &["-v", "v1:/r"], "echo hello >/r/f; cat /r/f"), "hello");
        assert_eq!(std::fs::read_to_string(plugin.root.join("volumes/v1/f")).unwrap(), "hello\n");
        host.cli(cli, &["volume", "rm", "v1"]).ok();
        // whom we do not trust, and who does not trust us
        describe("impostor", &theirs, &ours);
        describe("stranger", &ours, &theirs);
        for driver in ["impostor", "stranger"] {
            let said = host.cli(cli, &["volume", "create", "-d", driver, "v2"]).fails(1);
            assert!(said.contains(&format!("error looking up volume plugin {driver}")), "{said}");
        }
        drop(plugin);
        assert_eq!(host.cli(cli, &["volume", "ls", "-q"]).ok(), "");
        host.assert_no_leaks();
    }

    fn r_vol_09_managed_plugins_are_refused_clearly(host, cli) {
        assert_eq!(host.cli(cli, &["plugin", "ls"]).ok(), "ID        NAME      DESCRIPTION   ENABLED");
        assert_eq!(host.cli(cli, &["plugin", "ls", "-q"]).ok(), "");
        for verb in ["enable", "disable", "rm", "inspect"] {
            let said = host.cli(cli, &["plugin", verb, "nope"]).fails(1);
            assert!(said.contains("plugin \"nope\" not found"), "{verb}: {said}");
        }
        assert!(host.cli(cli, &["plugin", "set", "nope", "a=b"]).fails(1).contains("plugin \"nope\" not found"));
        let said = host.cli(cli, &["plugin", "install", "--grant-all-permissions", "vieux/sshfs"]).fails(1);
        assert!(said.contains("installing plugins is not implemented") || said.contains("is not available yet"), "{said}");
    }
}

/// A host whose data root is a btrfs of its own.
fn on_btrfs() -> Host {
    let mut host = Host::bare();
    let image = host.dir().join("disk.img").display().to_string();
    std::fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
    host.run_outside("mkfs.btrfs", &["-q", &image]).ok();
    host.run("mkdir", &["-p", &host.data_root().display().to_string()]).ok();
    host.run("mount", &["-o", "loop", &image, &host.data_root().display().to_string()]).ok();
    host.start();
    host.import_busybox();
    host
}

#[test]
fn r_vol_08_subvolumes_of_btrfs() {
    for cli in [Cli::Docker, Cli::Wharf] {
        let mut host = on_btrfs();
        assert_eq!(host.docker(&["info", "-f", "{{index (index .DriverStatus 0) 1}}"]).ok(), "btrfs");
        let limit = |host: &Host, name: &str| volume(host, name)["Status"].clone();
        let groups =
            |host: &Host| host.run("btrfs", &["qgroup", "show", "--sync", &host.data_root().display().to_string()]);
        assert!(groups(&host).code != 0, "nothing is counted as long as nobody asks for a limit");
        host.cli(cli, &["volume", "create", "-o", "size=16m", "small"]).ok();
        host.cli(cli, &["volume", "create", "other"]).ok();
        assert_eq!(limit(&host, "small"), json!({"Limit": 16 << 20, "LimitedBy": "btrfs quota"}));
        let fill = "dd if=/dev/urandom of=/s/big bs=1M count=32";
        let said = said_no(host.cli(cli, &["run", "--rm", "-v", "small:/s", "busybox", "sh", "-c", fill]));
        assert!(said.contains("Disk quota exceeded"), "{said}");
        inside(&host, cli, &["-v", "other:/s"], fill);
        inside(&host, cli, &["-v", "small:/s"], "rm /s/big; mkdir /s/d; echo kept >/s/d/f; chown 5:6 /s/d/f");
        host.crash_and_restart();
        // what replaces the files stays in the subvolume
        host.api().call("POST", "/volumes/small/snapshots?name=s1", json!({}));
        inside(&host, cli, &["-v", "small:/s"], "rm -r /s/d; echo lost >/s/new");
        assert_eq!(host.api().call("POST", "/volumes/small/restore?snapshot=s1", json!({})).status, 204);
        assert_eq!(
            inside(&host, cli, &["-v", "small:/s"], "ls -A /s; cat /s/d/f; stat -c %u:%g /s/d/f"),
            "d\nkept\n5:6"
        );
        said_no(host.cli(cli, &["run", "--rm", "-v", "small:/s", "busybox", "sh", "-c", fill]));
        // a copy shares its blocks, and has a limit of its own
        inside(&host, cli, &["-v", "small:/s"], "rm /s/big");
        assert_eq!(
            host.api().call("POST", "/volumes/small/clone", json!({"Name": "copy"})).json()["Status"]["LimitedBy"],
            json!("btrfs quota")
        );
        assert_eq!(inside(&host, cli, &["-v", "copy:/s"], "cat /s/d/f"), "kept");
        // a subvolume that somebody has made inside goes with it in the end
        let nested = data(&host, "copy").join("nested").display().to_string();
        host.run("btrfs", &["subvolume", "create", &nested]).ok();
        said_no(host.cli(cli, &["run", "--rm", "-v", "copy:/s", "busybox", "sh", "-c", fill]));
        assert!(host.cli(cli, &["volume", "create", "-o", "size=1k", "tiny"]).fails(1).contains("too small"));
        host.cli(cli, &["volume", "rm", "small", "copy", "other"]).ok();
        let root = host.data_root().display().to_string();
        assert_eq!(host.run("btrfs", &["subvolume", "list", &root]).ok(), "");
        assert_eq!(host.run("ls", &["-A", &format!("{root}/volumes")]).ok(), "");
        // a crash at any step leaves a volume or none
        for point in [
            "volume.create.after_size",
            "volume.create.after_intent",
            "volume.create.after_rename",
            "volume.remove.after_rename",
            "volume.remove.after_row",
        ] {
            host.take_daemon().stop();
            host.start_with(&[], &format!("{point}=kill"));
            host.cli(cli, &["volume", "create", "-o", "size=16m", "v1"]);
            host.cli(cli, &["volume", "rm", "v1"]);
            host.take_daemon().wait_dead();
            host.start();
            let there = host.cli(cli, &["volume", "ls", "-q"]).ok();
            if there == "v1" {
                assert_eq!(limit(&host, "v1")["LimitedBy"], json!("btrfs quota"), "{point}");
                said_no(host.cli(cli, &["run", "--rm", "-v", "v1:/s", "busybox", "sh", "-c", fill]));
                host.cli(cli, &["volume", "rm", "v1"]).ok();
            }
            wharf_testkit::eventually(point, || {
                host.run("btrfs", &["subvolume", "list", &root]).ok().is_empty().then_some(())
            });
        }
    }
}
