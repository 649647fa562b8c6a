//! IMG-02, IMG-08: blobs on their way in: shared, broken, resumed, lied about.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use wharf_testkit::eventually;
use wharf_testkit::scripted::{MANIFEST, Reply, ScriptedRegistry, ShelfImage, noise, tar};

use crate::registries::{REGISTRY, content, inspect, kept, nothing_came, spawn, trusting};

/// A gate that a test opens for its registry.
#[derive(Default)]
pub(crate) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
    pub(crate) fn pass(&self) {
        let closed = self.0.lock().unwrap();
        drop(self.1.wait_while(closed, |open| !*open).unwrap());
    }
}

rows! {
    fn r_img_08_prune_takes_what_broke(host, cli) {
        let big = noise(12, 5 << 20);
        let image = ShelfImage::new(&[&[("big", &big)]]);
        let large = format!("/v2/app/blobs/{}", image.layers[0]);
        let cut = large.clone();
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply = image.answer(asked);
            if asked.path == cut {
                reply.only = Some(2 << 20);
            }
            reply
        });
        trusting(&mut host, &["--max-download-attempts", "1"]);
        let name = format!("{REGISTRY}/app:1");
        host.cli(cli, &["pull", &name]).fails(1);
        assert_eq!(kept(&host).len(), 1, "kept to go on with");
        host.cli(cli, &["image", "prune", "-f", "--filter", "label=x"]).ok();
        host.cli(cli, &["image", "prune", "-f", "--filter", "until=24h"]).ok();
        assert_eq!(kept(&host).len(), 1, "neither labelled nor old");
        // nobody may be at it any more: the failed pull is about to let go
        eventually("the part goes", || {
            host.cli(cli, &["image", "prune", "-f"]).ok();
            kept(&host).is_empty().then_some(())
        });
        host.cli(cli, &["pull", &name]).fails(1);
        let ranges: Vec<_> = registry.asked().iter().filter(|a| a.path == large).map(wharf_testkit::scripted::Asked::range).collect();
        assert_eq!(ranges, [None, None], "from the first byte");
        // the docker client shows the bytes only of images
        eventually("the bytes are counted", || {
            let pruned = host.api().send("POST", "/images/prune", None, &[]).json();
            (pruned["SpaceReclaimed"] == 2 << 20).then_some(())
        });
    }

    fn r_img_02_sixteen_pulls_fetch_each_blob_once(host, cli) {
        let big = noise(7, 3 << 20);
        let tops: Vec<Vec<u8>> = (0..16).map(|n| noise(100 + 2 * n, 1000)).collect();
        let images: Vec<ShelfImage> = tops.iter().map(|top| ShelfImage::new(&[&[("base", &big)], &[("top", top)]])).collect();
        let base = images[0].layers[0].clone();
        let gate = Arc::new(Gate::default());
        let (closed, held) = (gate.clone(), base.clone());
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            if asked.path.ends_with(&held) {
                closed.pass();
            }
            match asked.path.strip_prefix("/v2/app/manifests/").and_then(|tag| tag.parse::<usize>().ok()) {
                Some(n) => images[n].answer(asked),
                None => images.iter().map(|image| image.answer(asked)).find(|reply| reply.status < 400).unwrap_or_else(|| Reply::refuse(404, "BLOB_UNKNOWN")),
            }
        });
        trusting(&mut host, &[]);
        let pulls: Vec<Child> = (0..16).map(|n| spawn(&host, cli, &["pull", &format!("{REGISTRY}/app:{n}")])).collect();
        // all of them are there before the shared layer comes
        eventually("sixteen pulls ask", || {
            let asked: BTreeSet<String> = registry.asked().into_iter().map(|a| a.path).filter(|p| p.contains("/manifests/")).collect();
            (asked.len() == 16).then_some(())
        });
        gate.open();
        for pull in pulls {
            let out = pull.wait_with_output().unwrap();
            assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        }
        let mut blobs: Vec<String> = registry.asked().into_iter().filter(|a| a.method == "GET" && a.path.contains("/blobs/")).map(|a| a.path).collect();
        let all = blobs.len();
        blobs.sort();
        blobs.dedup();
        assert_eq!((all, blobs.len()), (1 + 16 + 16, 1 + 16 + 16), "each blob once");
        assert_eq!(content(&host, cli, &format!("{REGISTRY}/app:9"), "/base")[..big.len()], big[..]);
    }

    fn r_img_08_a_broken_download_goes_on_where_it_broke(host, cli) {
        let big = noise(1, 5 << 20);
        let image = ShelfImage::new(&[&[("big", &big)]]);
        let blob = format!("/v2/app/blobs/{}", image.layers[0]);
        let (breaks, at) = (Arc::new(AtomicUsize::new(0)), blob.clone());
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply = image.answer(asked);
            if asked.path == at {
                match breaks.fetch_add(1, Ordering::SeqCst) {
                    // cut, cut again, told to wait, out of order for a moment, then all the rest
                    0 => reply.only = Some(2 << 20),
                    1 => reply.only = Some(1),
                    2 => return Reply::refuse(429, "TOOMANYREQUESTS").with("Retry-After", "1"),
                    3 => return Reply::new(503, "text/plain", "later"),
                    _ => {}
                }
            }
            reply
        });
        trusting(&mut host, &["--max-download-attempts", "6"]);
        let name = format!("{REGISTRY}/app:1");
        let said = host.cli(cli, &["pull", &name]).ok();
        assert!(said.contains("Retrying in 1 second"), "{said}");
        let ranges: Vec<_> = registry.asked().iter().filter(|a| a.path == blob).map(wharf_testkit::scripted::Asked::range).collect();
        assert_eq!(ranges[..2], [None, Some(2 << 20)], "{ranges:?}");
        assert_eq!(ranges[4], Some((2 << 20) + 1), "{ranges:?}");
        assert_eq!(content(&host, cli, &name, "/big")[..big.len()], big[..]);
    }

    fn r_img_08_a_cancelled_or_killed_pull_resumes(host, cli) {
        let big = noise(2, 5 << 20);
        let image = ShelfImage::new(&[&[("small", b"small")], &[("big", &big)]]);
        let (small, large) = (format!("/v2/app/blobs/{}", image.layers[0]), format!("/v2/app/blobs/{}", image.layers[1]));
        let whole = Arc::new(Gate::default());
        let (gate, at) = (whole.clone(), large.clone());
        let registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let mut reply = image.answer(asked);
            if asked.path == at && !*gate.0.lock().unwrap() {
                (reply.only, reply.hold) = (Some(2 << 20), true);
            }
            reply
        });
        trusting(&mut host, &[]);
        let name = format!("{REGISTRY}/app:1");
        let here = |least: u64| kept(&host).iter().any(|file| file.metadata().is_ok_and(|m| m.len() >= least));
        // the client goes: the download ends with it
        let mut pull = spawn(&host, cli, &["pull", &name]);
        eventually("two MiB are here", || here(2 << 20).then_some(()));
        let client = format!("/proc/{0}/task/{0}/children", pull.id());
        let client = std::fs::read_to_string(client).unwrap();
        assert!(Command::new("kill").arg("-9").arg(client.trim()).status().unwrap().success());
        pull.wait().unwrap();
        nothing_came(&host, cli);
        // the next one goes on; the daemon is killed under it
        let mut pull = spawn(&host, cli, &["pull", &name]);
        eventually("four MiB are here", || here(4 << 20).then_some(()));
        host.crash_and_restart();
        pull.wait().unwrap();
        nothing_came(&host, cli);
        trusting(&mut host, &[]);
        whole.open();
        host.cli(cli, &["pull", &name]).ok();
        let ranges: Vec<_> = registry.asked().iter().filter(|a| a.path == large).map(wharf_testkit::scripted::Asked::range).collect();
        assert_eq!(ranges, [None, Some(2 << 20), Some(4 << 20)]);
        assert!(registry.count("GET", &small) >= 1);
        assert_eq!(content(&host, cli, &name, "/big")[..big.len()], big[..]);
        assert_eq!(kept(&host), Vec::<PathBuf>::new());
    }

    fn r_img_08_lies_are_refused_and_leave_nothing(host, cli) {
        let good = ShelfImage::new(&[&[("f", &noise(3, 2 << 20))]]);
        let lying = good.clone();
        let layer = good.layers[0].clone();
        let gz = |bytes: &[u8]| {
            let mut child = Command::new("gzip").arg("-nc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let bytes = bytes.to_vec();
            let feed = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
            let out = child.wait_with_output().unwrap().stdout;
            feed.join().unwrap();
            out
        };
        const GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let plain = tar(&[("f", b"x")]);
        let packed = gz(&plain);
        let cut = packed[..packed.len() - 9].to_vec();
        let other = tar(&[("f", b"y")]);
        let evil = tar(&[("../../../../evil", b"x")]);
        let cases: Vec<(&str, ShelfImage)> = vec![
            ("truncated", ShelfImage::of_blobs(vec![(cut, Some((plain.clone(), GZIP)))])),
            ("otherdiff", ShelfImage::of_blobs(vec![(packed, Some((other, GZIP)))])),
            ("traversal", ShelfImage::new(&[&[("../../../../evil", b"x")]])),
            ("notar", ShelfImage::of_blobs(vec![(b"this is no archive at all".repeat(50), None)])),
        ];
        assert!(!evil.is_empty());
        let edit = |image: &ShelfImage, from: &str, to: &str| String::from_utf8(image.manifest.clone()).unwrap().replace(from, to).into_bytes();
        let size = format!("\"size\":{}", good.blobs[&layer].len());
        let manifests: Vec<(&str, Vec<u8>)> = vec![
            ("short", edit(&good, &size, "\"size\":1000")),
            ("long", edit(&good, &size, &format!("\"size\":{}", good.blobs[&layer].len() + 1000))),
            ("foreign", edit(&good, "rootfs.diff.tar\"", "rootfs.foreign.diff.tar.gzip\"")),
            ("kind", edit(&good, "application/vnd.docker.image.rootfs.diff.tar", "text/html")),
            ("artifact", edit(&good, "application/vnd.docker.container.image.v1+json", "application/vnd.example.thing")),
            ("nolayers", edit(&good, "\"layers\":[{", "\"layers\":[],\"x\":[{")),
            ("schema1", br#"{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]}"#.to_vec()),
            ("html", b"<html>".to_vec()),
        ];
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let tag = asked.path.rsplit('/').next().unwrap_or_default().to_owned();
            if asked.path.contains("/manifests/") {
                if let Some((_, image)) = cases.iter().find(|(name, _)| *name == tag) {
                    return image.answer(asked);
                }
                if let Some((_, manifest)) = manifests.iter().find(|(name, _)| *name == tag) {
                    return Reply::new(200, MANIFEST, manifest.clone());
                }
                return match tag.as_str() {
                    "header" => Reply::new(200, MANIFEST, lying.manifest.clone()).with("Docker-Content-Digest", &lying.layers[0]),
                    "broken" => Reply::new(500, "text/html", "<h1>oops</h1>"),
                    "denied" => Reply::refuse(403, "DENIED"),
                    "huge" => Reply::new(200, MANIFEST, vec![b' '; 5 << 20]),
                    "good" => lying.answer(asked),
                    "digest" => Reply::new(200, MANIFEST, String::from_utf8(lying.manifest.clone()).unwrap()),
                    _ => Reply::refuse(404, "MANIFEST_UNKNOWN"),
                };
            }
            if asked.path.starts_with("/v2/liar/") && asked.path.ends_with(&layer) {
                let mut bytes = lying.blobs[&layer].clone();
                bytes[600] ^= 1;
                return Reply::new(200, "application/octet-stream", bytes);
            }
            let all = cases.iter().map(|(_, image)| image).chain([&lying]);
            all.map(|image| image.answer(asked)).find(|reply| reply.status < 400).unwrap_or_else(|| Reply::refuse(404, "BLOB_UNKNOWN"))
        });
        trusting(&mut host, &["--max-download-attempts", "2"]);
        for (name, expect) in [
            ("app:truncated", "unexpected"),
            ("app:otherdiff", "diff ID"),
            ("app:traversal", ""),
            ("app:notar", ""),
            ("liar:good", "filesystem layer verification failed for digest sha256:"),
            ("app:short", "longer than the 1000 bytes promised"),
            ("app:long", ""),
            ("app:foreign", "is a foreign layer"),
            ("app:kind", "of the unknown kind text/html"),
            ("app:artifact", "is no container image"),
            ("app:nolayers", "layers from manifest don't match image configuration"),
            ("app:schema1", "schema 1"),
            ("app:html", ""),
            ("app:header", "manifest verification failed for digest"),
            ("app:broken", "500"),
            ("app:denied", "pull access denied for 203.0.113.1:5000/app, repository does not exist or may require 'docker login': denied"),
            ("app:huge", "longer than"),
            ("app:none", "not found: manifest unknown"),
        ] {
            let refused = host.cli(cli, &["pull", &format!("{REGISTRY}/{name}")]).fails(1);
            let refused = refused.to_lowercase();
            assert!(!refused.is_empty() && refused.contains(&expect.to_lowercase()), "{name}: {refused}");
            nothing_came(&host, cli);
        }
        assert!(!std::path::Path::new("/evil").exists());
        // and the honest one comes, although its layer has been lied about before
        host.cli(cli, &["pull", &format!("{REGISTRY}/app:good")]).ok();
    }

    fn r_img_08_an_endless_list_of_tags_ends(host, cli) {
        let count = Arc::new(AtomicUsize::new(0));
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let path = asked.path.split('?').next().unwrap_or_default().to_owned();
            if !path.ends_with("/tags/list") {
                return Reply::new(200, "application/json", "{}");
            }
            let n = count.fetch_add(1, Ordering::SeqCst);
            let next = if path.contains("/loop/") { "</v2/loop/tags/list?last=t>; rel=\"next\"".to_owned() } else { format!("<{path}?last={n}>; rel=\"next\"") };
            let tags: Vec<String> = (0..2000).map(|i| format!("\"t{n}-{i}\"")).collect();
            Reply::new(200, "application/json", format!("{{\"tags\":[{}]}}", tags.join(","))).with("Link", &next)
        });
        trusting(&mut host, &[]);
        for name in ["loop", "endless"] {
            let refused = host.cli(cli, &["pull", "-a", &format!("{REGISTRY}/{name}")]).fails(1);
            assert!(refused.contains("does not end"), "{refused}");
        }
        nothing_came(&host, cli);
    }

    fn r_img_08_platforms_are_chosen_from_an_index(host, cli) {
        let here = ShelfImage::new(&[&[("f", b"here")]]);
        let there = {
            let mut image = ShelfImage::new(&[&[("f", b"there")]]);
            let id = image.blobs.iter().find(|(_, b)| b.starts_with(b"{")).map(|(id, _)| id.clone()).unwrap();
            let config = String::from_utf8(image.blobs.remove(&id).unwrap()).unwrap().replace("amd64", "arm64");
            let new = wharf_testkit::scripted::digest(config.as_bytes());
            image.manifest = String::from_utf8(image.manifest).unwrap().replace(&id, &new).into_bytes();
            image.blobs.insert(new, config.into_bytes());
            image
        };
        let digest = wharf_testkit::scripted::digest;
        let entry = |image: &ShelfImage, arch: &str| format!(r#"{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"platform":{{"os":"linux","architecture":"{arch}"}}}}"#, digest(&image.manifest), image.manifest.len());
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{}]}}"#, entry(&there, "arm64"), entry(&here, "amd64"));
        let index_digest = digest(index.as_bytes());
        let _registry = ScriptedRegistry::serve(&host, 5000, move |asked| {
            let last = asked.path.rsplit('/').next().unwrap_or_default();
            if asked.path.contains("/manifests/") {
                let chosen = [&here, &there].into_iter().find(|image| digest(&image.manifest) == last);
                return match chosen {
                    Some(image) => image.answer(asked),
                    None => Reply::new(200, "application/vnd.oci.image.index.v1+json", index.clone()).with("Docker-Content-Digest", &digest(index.as_bytes())),
                };
            }
            let first = here.answer(asked);
            if first.status < 400 { first } else { there.answer(asked) }
        });
        trusting(&mut host, &[]);
        let name = format!("{REGISTRY}/app:1");
        host.cli(cli, &["pull", &name]).ok();
        assert_eq!(inspect(&host, cli, &name, "{{.Architecture}} {{.RepoDigests}}"), format!("amd64 [{REGISTRY}/app@{index_digest}]"));
        host.cli(cli, &["pull", "--platform", "linux/arm64", &name]).ok();
        assert_eq!(inspect(&host, cli, &name, "{{.Architecture}}"), "arm64");
        let none = host.cli(cli, &["pull", "--platform", "linux/s390x", &name]).fails(1);
        assert!(none.contains("no matching manifest for linux/s390x in the manifest list entries"), "{none}");
        host.cli(cli, &["pull", "--platform", "a/b/c/d", &name]).fails(1);
    }
}
