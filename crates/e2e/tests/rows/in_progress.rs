//! IMG-05, IMG-08, REG-01: what is under way keeps the layers it relies on, whatever is removed beside it.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;

use wharf_testkit::scripted::{Reply, ScriptedRegistry, ShelfImage, noise};
use wharf_testkit::{Cli, Host, eventually};

use crate::downloads::Gate;
use crate::registries::{REGISTRY, content, spawn, trusting};

/// A registry with `app:old` (one layer) and `app:new` (the same and one more, which waits for the gate).
fn registry(host: &Host, gate: &Arc<Gate>) -> ScriptedRegistry {
    let base = noise(3, 1 << 20);
    let old = ShelfImage::new(&[&[("base", &base)]]);
    let new = ShelfImage::new(&[&[("base", &base)], &[("top", b"top")]]);
    let (held, gate) = (new.layers[1].clone(), gate.clone());
    ScriptedRegistry::serve(host, 5000, move |asked| {
        if asked.path.ends_with(&held) {
            gate.pass();
        }
        let is_old = asked.path.ends_with("/manifests/old") || old.blobs.keys().any(|blob| asked.path.ends_with(blob));
        if is_old { old.answer(asked) } else { new.answer(asked) }
    })
}

/// Pulls `app:old`, begins to pull `app:new`, and removes `app:old` when that relies on its layer.
fn removed_beside_a_pull(host: &Host, cli: Cli, registry: &ScriptedRegistry) -> std::process::Child {
    let (old, new) = (format!("{REGISTRY}/app:old"), format!("{REGISTRY}/app:new"));
    host.cli(cli, &["pull", &old]).ok();
    let blobs = || registry.asked().iter().filter(|a| a.path.contains("/blobs/")).count();
    // the configuration and the layer of the old one; of the new one the same and the layer that waits
    let before = blobs();
    let pull = spawn(host, cli, &["pull", &new]);
    eventually("the pull waits for its last layer", || (blobs() == before + 2).then_some(()));
    host.cli(cli, &["rmi", &old]).ok();
    host.cli(cli, &["image", "prune", "-af"]).ok();
    pull
}

rows! {
    fn r_img_05_prune_takes_nothing_from_a_pull(host, cli) {
        let gate = Arc::new(Gate::default());
        let registry = registry(&host, &gate);
        trusting(&mut host, &[]);
        let pull = removed_beside_a_pull(&host, cli, &registry);
        gate.open();
        let out = pull.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let name = format!("{REGISTRY}/app:new");
        assert_eq!(content(&host, cli, &name, "/base")[..1 << 20], noise(3, 1 << 20)[..]);
        host.cli(cli, &["rmi", &name]).ok();
        crate::assert_layers(&host, 0);
    }

    fn r_img_08_a_killed_pull_keeps_nothing_from_being_removed(host, cli) {
        let gate = Arc::new(Gate::default());
        let registry = registry(&host, &gate);
        trusting(&mut host, &[]);
        let pull = removed_beside_a_pull(&host, cli, &registry);
        assert_eq!(host.api().get("/system/df").json()["LayersSize"], 1 << 20, "the pull relies on it");
        host.crash_and_restart();
        gate.open();
        assert!(!pull.wait_with_output().unwrap().status.success());
        crate::assert_layers(&host, 0);
        assert_eq!(host.api().get("/system/df").json()["LayersSize"], 0);
    }

    fn r_img_05_rmi_takes_nothing_from_a_save(host, cli) {
        let noise = noise(4, 8 << 20);
        let root = host.dir().join("noise.tar");
        std::fs::write(&root, wharf_testkit::scripted::tar(&[("noise", &noise)])).unwrap();
        host.cli(cli, &["import", root.to_str().unwrap(), "noise:1"]).ok();
        let mut command = host.command(cli);
        let mut save = command.args(["save", "noise:1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = save.stdout.take().unwrap();
        let mut archive = vec![0; 512];
        // it has begun, and most of it is still to come: nobody reads
        out.read_exact(&mut archive).unwrap();
        host.cli(cli, &["rmi", "noise:1"]).ok();
        out.read_to_end(&mut archive).unwrap();
        assert!(save.wait().unwrap().success());
        // and now it goes, without anybody asking
        crate::assert_layers(&host, 1); // only busybox stays
        let saved = host.dir().join("saved.tar");
        std::fs::write(&saved, archive).unwrap();
        host.cli(cli, &["load", "-i", saved.to_str().unwrap()]).ok();
        assert_eq!(content(&host, cli, "noise:1", "/noise")[..noise.len()], noise[..]);
    }

    fn r_reg_01_distribution_inspect_asks_the_registry(host, cli) {
        let image = ShelfImage::new(&[&[("f", b"1")]]);
        let (size, digest) = (image.manifest.len(), image.digest());
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| match asked.path.as_str() {
            "/v2/app/manifests/none" => Reply::refuse(404, "MANIFEST_UNKNOWN"),
            "/v2/secret/manifests/1" => Reply::refuse(401, "UNAUTHORIZED"),
            _ => image.answer(asked),
        });
        trusting(&mut host, &[]);
        let _ = cli;
        let found = host.api().get(&format!("/distribution/{REGISTRY}/app:1/json")).json();
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let descriptor = serde_json::json!({"mediaType": kind, "digest": digest, "size": size});
        assert_eq!(found["Descriptor"], descriptor);
        assert_eq!(found["Platforms"], serde_json::json!([{"architecture": "amd64", "os": "linux"}]));
        assert_eq!(host.api().get(&format!("/distribution/{REGISTRY}/app:none/json")).status, 404);
        assert_eq!(host.api().get(&format!("/distribution/{REGISTRY}/secret:1/json")).status, 401);
        assert_eq!(host.api().get("/distribution/UPPER/json").status, 400);
        // nothing of it is here
        assert_eq!(host.api().get("/images/json").json().as_array().map(Vec::len), Some(1));
    }
}
