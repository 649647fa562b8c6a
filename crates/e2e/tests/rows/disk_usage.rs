//! ARCH-05, IMG-10: `system df` tells what takes the disk, and nothing stays that nobody has.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use wharf_testkit::scripted::{Reply, ScriptedRegistry, ShelfImage, noise};
use wharf_testkit::{Cli, Host, eventually};

use crate::registries::{REGISTRY, kept, trusting};

const MB: i64 = 1 << 20;

fn df(host: &Host) -> Value {
    host.api().get("/system/df").json()
}

/// Bytes in a container's own layer, as `df` and `ps -s` say alike.
#[track_caller]
fn written(host: &Host, name: &str) -> i64 {
    let of = |list: &Value| {
        let named = |c: &&Value| c["Names"][0] == format!("/{name}");
        list.as_array().unwrap().iter().find(named).map_or(0, |c| c["SizeRw"].as_i64().unwrap_or(0))
    };
    let bytes = of(&df(host)["Containers"]);
    assert_eq!(of(&host.api().get("/containers/json?all=1&size=1").json()), bytes);
    bytes
}

#[track_caller]
fn volume(host: &Host, name: &str) -> i64 {
    let usage = df(host);
    let list = usage["Volumes"].as_array().unwrap();
    list.iter().find(|v| v["Name"] == name).expect("the volume is listed")["UsageData"]["Size"].as_i64().unwrap()
}

fn write(host: &Host, cli: Cli, container: &str, path: &str, megabytes: u32) {
    let count = format!("count={megabytes}");
    host.cli(cli, &["exec", container, "dd", "if=/dev/zero", &format!("of={path}"), "bs=1048576", &count]).ok();
}

/// Everything below the data root but the database, which has files of its own accord.
fn files(host: &Host) -> BTreeSet<String> {
    fn visit(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                visit(root, &path, found);
            }
            if !name.contains(".db") {
                found.insert(name);
            }
        }
    }
    let (root, mut found) = (host.data_root(), BTreeSet::new());
    visit(&root, &root, &mut found);
    found
}

rows! {
    fn r_arch_05_df_counts_what_is_written(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "c1", "-v", "v1:/data", "busybox", "sleep", "600"]).ok();
        let before = written(&host, "c1");
        assert_eq!(volume(&host, "v1"), 0);
        write(&host, cli, "c1", "/f", 10);
        write(&host, cli, "c1", "/data/f", 5);
        assert_eq!((written(&host, "c1"), volume(&host, "v1")), (before + 10 * MB, 5 * MB), "while it runs");
        host.cli(cli, &["exec", "c1", "rm", "/f", "/data/f"]).ok();
        assert_eq!((written(&host, "c1"), volume(&host, "v1")), (before, 0));
        write(&host, cli, "c1", "/f", 3);
        write(&host, cli, "c1", "/data/f", 2);
        host.cli(cli, &["kill", "c1"]).ok();
        for _ in 0..2 {
            assert_eq!((written(&host, "c1"), volume(&host, "v1")), (before + 3 * MB, 2 * MB), "after its end");
        }
        let table = host.cli(cli, &["system", "df", "--format", "{{.Type}}|{{.Size}}|{{.Reclaimable}}"]).ok();
        assert!(table.contains("Local Volumes|2.097MB|0B (0%)") && table.contains("Containers|3.1"), "{table}");

        // copies into a stopped container, and into its volume
        std::fs::write(host.dir().join("more"), noise(1, MB as usize)).unwrap();
        let more = host.dir().join("more");
        host.cli(cli, &["cp", more.to_str().unwrap(), "c1:/more"]).ok();
        host.cli(cli, &["cp", more.to_str().unwrap(), "c1:/data/more"]).ok();
        assert_eq!((written(&host, "c1"), volume(&host, "v1")), (before + 4 * MB, 3 * MB));
        // a second run
        host.cli(cli, &["start", "c1"]).ok();
        write(&host, cli, "c1", "/g", 1);
        assert_eq!(written(&host, "c1"), before + 5 * MB);
        // a daemon that was killed knows neither number; the container goes on writing
        host.crash_and_restart();
        write(&host, cli, "c1", "/data/g", 1);
        assert_eq!((written(&host, "c1"), volume(&host, "v1")), (before + 5 * MB, 4 * MB));
        // another container in the same volume
        host.cli(cli, &["kill", "c1"]).ok();
        assert_eq!(volume(&host, "v1"), 4 * MB);
        host.cli(cli, &["run", "--rm", "-v", "v1:/v", "busybox", "rm", "/v/f"]).ok();
        assert_eq!(volume(&host, "v1"), 2 * MB);
        // another volume of the same name
        host.cli(cli, &["rm", "c1"]).ok();
        host.cli(cli, &["volume", "rm", "v1"]).ok();
        host.cli(cli, &["volume", "create", "v1"]).ok();
        assert_eq!(volume(&host, "v1"), 0);
    }

    fn r_arch_05_df_counts_broken_downloads(host, cli) {
        let before = df(&host)["LayersSize"].as_i64().unwrap();
        let big = noise(12, 5 << 20);
        let image = ShelfImage::new(&[&[("big", &big)]]);
        let cut = format!("/v2/app/blobs/{}", image.layers[0]);
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply: Reply = image.answer(asked);
            if asked.path == cut {
                reply.only = Some(2 << 20);
            }
            reply
        });
        trusting(&mut host, &["--max-download-attempts", "1"]);
        host.cli(cli, &["pull", &format!("{REGISTRY}/app:1")]).fails(1);
        assert_eq!(kept(&host).len(), 1);
        assert_eq!(df(&host)["LayersSize"].as_i64().unwrap(), before + 2 * MB);
        eventually("it can be had back", || {
            host.cli(cli, &["image", "prune", "-f"]).ok();
            (df(&host)["LayersSize"] == before).then_some(())
        });
    }

    fn r_img_10_nothing_stays_that_nobody_has(host, cli) {
        let fresh = files(&host);
        let archive = host.dir().join("busybox.tar");
        host.cli(cli, &["save", "-o", archive.to_str().unwrap(), "busybox"]).ok();
        host.cli(cli, &["run", "--name", "c1", "-v", "v1:/data", "-v", "/anonymous", "busybox", "sh", "-c", "echo 1 > /f; echo 2 > /data/g"]).ok();
        host.cli(cli, &["commit", "c1", "made:1"]).ok();
        host.cli(cli, &["run", "-d", "--name", "c2", "made:1", "sleep", "600"]).ok();
        let exported = host.dir().join("exported.tar");
        host.cli(cli, &["export", "-o", exported.to_str().unwrap(), "c1"]).ok();
        host.cli(cli, &["import", exported.to_str().unwrap(), "imported:1"]).ok();
        host.cli(cli, &["network", "create", "n1"]).ok();
        host.crash_and_restart();
        // what nobody has made, where the engine keeps its own
        std::fs::create_dir_all(host.data_root().join("overlay2/0123456789abcdef/diff/x")).unwrap();
        std::fs::create_dir_all(host.data_root().join("overlay2/staging/7-7/x")).unwrap();
        host.crash_and_restart();
        host.cli(cli, &["rm", "-f", "c1", "c2"]).ok();
        host.cli(cli, &["network", "rm", "n1"]).ok();
        host.cli(cli, &["system", "prune", "-af"]).ok();
        host.cli(cli, &["volume", "prune", "-af"]).ok();
        let usage = df(&host);
        for list in ["Images", "Containers", "Volumes"] {
            assert_eq!(usage[list].as_array().map(Vec::len), Some(0), "{list}");
        }
        assert_eq!(usage["LayersSize"], 0);
        host.cli(cli, &["load", "-i", archive.to_str().unwrap()]).ok();
        // what is removed goes behind the answer
        eventually("the files are those of the beginning", || (files(&host) == fresh).then_some(()));
    }
}
