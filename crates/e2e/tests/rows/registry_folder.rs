//! The embedded registry's folder: shared with the stock registry, copied, crashed over, collected; and who is let in.

use crate::registry_protocol::{digest, manifest, push_blob, put_manifest, refused, registry};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use wharf_testkit::{Host, Output, Registry, eventually, program, read_response};

/// An image in skopeo's `dir:` form, with a gzip layer.
fn image_folder(host: &Host) -> PathBuf {
    let folder = host.dir().join("image");
    fs::create_dir(&folder).expect("a new folder");
    let tar = folder.join("layer.tar");
    fs::write(&tar, wharf_testkit::busybox_archive()).expect("written");
    let diff = digest(&fs::read(&tar).expect("read"));
    host.run("gzip", &["-n", "-1", &tar.to_string_lossy()]).ok();
    let layer = fs::read(folder.join("layer.tar.gz")).expect("gzip wrote it");
    fs::remove_file(folder.join("layer.tar.gz")).expect("ours");
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
                        "rootfs": {"type": "layers", "diff_ids": [diff]}});
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(&layer), "size": layer.len()}],
    });
    for (name, bytes) in [
        ("version".to_owned(), b"Directory Transport Version: 1.1\n".to_vec()),
        ("manifest.json".to_owned(), manifest.to_string().into_bytes()),
        (digest(&config)[7..].to_owned(), config),
        (digest(&layer)[7..].to_owned(), layer),
    ] {
        fs::write(folder.join(name), bytes).expect("written");
    }
    folder
}

fn skopeo(host: &Host, args: &[&str]) -> Output {
    let mut all = vec!["--insecure-policy"];
    all.extend(args);
    host.run("skopeo", &all)
}

fn push(host: &Host, folder: &Path, name: &str) {
    let (from, to) = (format!("dir:{}", folder.display()), format!("docker://{}/{name}", Registry::ADDRESS));
    skopeo(host, &["copy", "--preserve-digests", "--dest-tls-verify=false", &from, &to]).ok();
}

/// Pulls and compares with the folder it was pushed from, byte for byte.
#[track_caller]
fn pulls_identical(host: &Host, name: &str, folder: &Path) {
    let pulled = host.dir().join("pulled");
    let _ = fs::remove_dir_all(&pulled);
    let (from, to) = (format!("docker://{}/{name}", Registry::ADDRESS), format!("dir:{}", pulled.display()));
    skopeo(host, &["copy", "--preserve-digests", "--src-tls-verify=false", &from, &to]).ok();
    host.run("diff", &["-r", &folder.to_string_lossy(), &pulled.to_string_lossy()]).ok();
}

/// Debian's docker-registry over a folder, at the same address as ours.
fn stock_registry(host: &Host, root: &Path) -> Registry {
    stock_registry_at(host, root, Registry::ADDRESS, "")
}

/// `more`: further lines of its configuration, the first ones about `http`.
fn stock_registry_at(host: &Host, root: &Path, address: &str, more: &str) -> Registry {
    let config = host.dir().join("stock.yml");
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{more}\n",
        root.display(),
    );
    fs::write(&config, text).expect("written");
    let mut command = host.outside().command("docker-registry");
    command.arg("serve").arg(&config);
    Registry::start(host.outside(), command, root, "listening on")
}

#[test]
fn r_reg_03_the_folder_of_the_stock_registry_can_be_served_and_given_back() {
    let host = Host::bare();
    let (image, root) = (image_folder(&host), host.dir().join("registry"));
    let stock = stock_registry(&host, &root);
    push(&host, &image, "team/app:v1");
    stock.kill();

    let ours = Registry::serve(&host, &root, &[]);
    assert_eq!(ours.get("/v2/team/app/tags/list").json()["tags"], json!(["v1"]));
    pulls_identical(&host, "team/app:v1", &image);
    push(&host, &image, "team/app:v2");
    push(&host, &image, "new/app:v1");
    assert!(ours.stop().success());

    let stock = stock_registry(&host, &root);
    for name in ["team/app:v1", "team/app:v2", "new/app:v1"] {
        pulls_identical(&host, name, &image);
    }
    assert_eq!(stock.get("/v2/_catalog").json(), json!({"repositories": ["new/app", "team/app"]}));
}

#[test]
fn r_reg_03_backed_up_and_restored_by_copying_the_folder() {
    let (host, registry) = registry(&[]);
    let image = image_folder(&host);
    push(&host, &image, "app:v1");
    let (root, copy) = (registry.root().to_owned(), host.dir().join("copy"));
    // while it is being served
    host.run("cp", &["-a", &root.to_string_lossy(), &copy.to_string_lossy()]).ok();
    registry.kill();
    fs::remove_dir_all(&root).expect("lost");
    let _restored = Registry::serve(&host, &copy, &[]);
    pulls_identical(&host, "app:v1", &image);
    push(&host, &image, "app:v2");
}

#[test]
fn r_reg_03_an_upload_survives_kill_9_and_goes_on() {
    let (host, registry) = registry(&[]);
    let bytes: Vec<u8> = (0..12_000_000_u32).flat_map(|n| [(n >> 3) as u8]).collect();
    let place = registry.send("POST", "/v2/a/blobs/uploads/", &[], b"").header("location").expect("a place").to_owned();
    let mut stream = registry.connect();
    let head =
        format!("PATCH {place} HTTP/1.1\r\nHost: r\r\nContent-Range: 0-11999999\r\nContent-Length: 12000000\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&bytes[..8_000_000]).expect("sent");
    let range = eventually("some of it is on disk", || {
        let range = registry.get(&place).header("range").expect("a range").to_owned();
        (range != "0-0").then_some(range)
    });
    let root = registry.root().to_owned();
    registry.kill();

    let registry = Registry::serve(&host, &root, &[]);
    let status = registry.get(&place);
    assert_eq!(status.status, 204);
    let last = |range: &str| range.strip_prefix("0-").and_then(|n| n.parse::<usize>().ok()).expect("0-LAST");
    let have = last(status.header("range").expect("a range")) + 1;
    assert!(have > last(&range) && have <= 8_000_000, "{have}");
    let range = format!("{have}-11999999");
    assert_eq!(registry.send("PATCH", &place, &[("Content-Range", &range)], &bytes[have..]).status, 202);
    let done = registry.send("PUT", &format!("{place}?digest={}", digest(&bytes)), &[], b"");
    assert_eq!(done.status, 201, "{}", done.message());
    assert!(registry.get(done.header("location").expect("a location")).body == bytes);
}

#[test]
fn r_reg_03_a_crash_at_any_step_leaves_nothing_half() {
    let host = Host::bare();
    for (number, point) in [
        "registry.blob.after_sync",
        "registry.blob.after_rename",
        "registry.write.after_sync#1",
        "registry.write.after_sync#2",
        "registry.write.after_sync#3",
        "registry.write.after_sync#4",
        "registry.manifest.after_blob",
        "registry.manifest.after_revision",
    ]
    .into_iter()
    .enumerate()
    {
        let root = host.dir().join(format!("registry-{number}"));
        let layer = b"one layer";
        let blob = format!("/v2/app/blobs/{}", digest(layer));
        let registry = Registry::serve_with(&host, &root, &[], &format!("{point}=kill"));
        let sent = (|| -> std::io::Result<()> {
            for bytes in [&b"{}"[..], layer] {
                let path = format!("/v2/app/blobs/uploads/?digest={}", digest(bytes));
                registry.try_send("POST", &path, &[], bytes)?;
            }
            let document = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "x", "digest": digest(b"{}"), "size": 2},
                "layers": [{"mediaType": "y", "digest": digest(layer), "size": layer.len()}]});
            registry.try_send("PUT", "/v2/app/manifests/v1", &[], document.to_string().as_bytes()).map(drop)
        })();
        assert!(sent.is_err(), "{point} was not reached");
        registry.wait_dead();

        let registry = Registry::serve(&host, &root, &[]);
        let there = registry.get(&blob);
        assert!(there.status == 404 || there.body == layer, "{point}: {}", there.status);
        let tag = registry.get("/v2/app/manifests/v1");
        assert!(tag.status == 404 || tag.header("docker-content-digest") == Some(&digest(&tag.body)), "{point}");
        // nothing is in the way of the next push
        let bytes = manifest(&registry, "app", layer, json!({}));
        assert_eq!(put_manifest(&registry, "/v2/app/manifests/v1", &bytes).status, 201, "{point}");
        assert_eq!(registry.get("/v2/app/manifests/v1").body, bytes, "{point}");
        assert_eq!(registry.get(&blob).body, layer, "{point}");
        assert!(registry.stop().success());
    }
}

/// Makes everything in a registry's folder two hours old.
fn age(host: &Host, root: &Path) {
    let root = root.to_string_lossy();
    host.run("find", &[&root, "-type", "f", "-exec", "touch", "-d", "2 hours ago", "{}", "+"]).ok();
}

fn gc(host: &Host, root: &Path, args: &[&str]) -> String {
    let root = root.to_string_lossy();
    let mut all = vec!["registry", "gc", "--root", &root];
    all.extend(args);
    host.wharf(&all).ok()
}

#[test]
fn r_reg_03_garbage_goes_while_the_registry_serves() {
    let (host, registry) = registry(&[]);
    let kept = manifest(&registry, "app", b"kept", json!({}));
    assert_eq!(put_manifest(&registry, "/v2/app/manifests/v1", &kept).status, 201);
    let untagged = manifest(&registry, "app", b"untagged", json!({}));
    assert_eq!(put_manifest(&registry, &format!("/v2/app/manifests/{}", digest(&untagged)), &untagged).status, 201);
    let path = |bytes: &[u8]| format!("/v2/app/blobs/{}", digest(bytes));
    for bytes in [&b"garbage"[..], b"asked for", b"to be mounted"] {
        push_blob(&registry, "app", bytes);
    }
    registry.send("POST", "/v2/app/blobs/uploads/", &[], b"");
    age(&host, registry.root());
    push_blob(&registry, "app", b"young");
    // a pusher that finds a blob counts on it
    assert_eq!(registry.send("HEAD", &path(b"asked for"), &[], b"").status, 200);
    let mount = format!("/v2/other/blobs/uploads/?mount={}&from=app", digest(b"to be mounted"));
    assert_eq!(registry.send("POST", &mount, &[], b"").status, 201);

    let said = gc(&host, registry.root(), &["--dry-run", "--upload-age", "1h"]);
    assert!(said.starts_with("Would remove 1 blobs, 0 untagged manifests and 1 unfinished uploads"), "{said}");
    assert_eq!(registry.get(&path(b"garbage")).status, 200);
    let said = gc(&host, registry.root(), &["--upload-age", "1h"]);
    assert!(said.starts_with("Removed 1 blobs, 0 untagged manifests and 1 unfinished uploads"), "{said}");
    refused(&registry.get(&path(b"garbage")), 404, "BLOB_UNKNOWN");
    for bytes in [&b"kept"[..], b"untagged", b"young", b"asked for", b"to be mounted"] {
        assert_eq!(registry.get(&path(bytes)).status, 200, "{}", String::from_utf8_lossy(bytes));
    }
    // what went can come again
    push_blob(&registry, "app", b"garbage");
    assert_eq!(registry.get(&path(b"garbage")).body, b"garbage");

    let said = gc(&host, registry.root(), &["--delete-untagged"]);
    assert!(said.starts_with("Removed 2 blobs, 1 untagged manifests"), "{said}");
    refused(&registry.get(&path(b"untagged")), 404, "BLOB_UNKNOWN");
    assert_eq!(registry.get("/v2/app/manifests/v1").body, kept);
    assert_eq!(registry.get(&path(b"kept")).status, 200);
}

#[test]
fn r_reg_03_a_collection_takes_nothing_from_a_push_beside_it() {
    let (host, registry) = registry(&[]);
    let layers: Vec<Vec<u8>> = (0..40).map(|n| format!("layer {n}").into_bytes()).collect();
    push_blob(&registry, "app", b"{}");
    for layer in &layers {
        push_blob(&registry, "app", layer);
    }
    // old and without a manifest: the collector may take each of them until somebody counts on it
    age(&host, registry.root());
    std::thread::scope(|scope| {
        let pusher = scope.spawn(|| {
            for (number, layer) in layers.iter().enumerate() {
                let blob = digest(layer);
                for (bytes, blob) in [(&b"{}"[..], digest(b"{}")), (layer, blob.clone())] {
                    if registry.send("HEAD", &format!("/v2/app/blobs/{blob}"), &[], b"").status == 404 {
                        push_blob(&registry, "app", bytes);
                    }
                }
                let document = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "x", "digest": digest(b"{}"), "size": 2},
                    "layers": [{"mediaType": "y", "digest": blob, "size": layer.len()}]});
                let put =
                    put_manifest(&registry, &format!("/v2/app/manifests/v{number}"), document.to_string().as_bytes());
                assert_eq!(put.status, 201, "{}", put.message());
            }
        });
        while !pusher.is_finished() {
            gc(&host, registry.root(), &[]);
        }
    });
    for layer in &layers {
        assert_eq!(&registry.get(&format!("/v2/app/blobs/{}", digest(layer))).body, layer);
    }
}

#[test]
fn r_reg_03_sigterm_lets_open_requests_finish() {
    let (_host, registry) = registry(&[]);
    let place = registry.send("POST", "/v2/a/blobs/uploads/", &[], b"").header("location").expect("a place").to_owned();
    let mut stream = registry.connect();
    let head = format!(
        "PUT {place}?digest={} HTTP/1.1\r\nHost: r\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n",
        digest(b"halfhalf")
    );
    stream.write_all(head.as_bytes()).expect("sent");
    // with this the request has begun
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).expect("an interim answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"half").expect("sent");
    registry.ask_to_stop();
    eventually("new connections are refused", || registry.try_send("GET", "/v2/", &[], &[]).is_err().then_some(()));
    stream.write_all(b"half").expect("the connection is still served");
    assert_eq!(read_response(stream).expect("an answer").status, 201);
    assert!(registry.wait_dead().success());
}

/// `ann:secret`, bcrypt.
const USERS: &str = "ann:$2y$05$wLcTU7zg9jxISarDrWUvNeCCkiF/rqhIPD8nuHAIxCUYzBTpsxsj2\n";

/// A CA with a certificate for the registry's address: `ca.crt`, `tls.crt`, `tls.key` in a new folder.
pub(crate) fn certificates(host: &Host, name: &str) -> PathBuf {
    let folder = host.dir().join(name);
    fs::create_dir(&folder).expect("a new folder");
    let script = "set -e; cd \"$1\"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout tls.key -out tls.csr
        printf 'subjectAltName=IP:203.0.113.1,IP:203.0.113.2,IP:127.0.0.1,DNS:localhost\\nextendedKeyUsage=serverAuth' >server.ext
        openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out tls.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=client -keyout key.pem -out client.csr
        printf 'extendedKeyUsage=clientAuth' >client.ext
        openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile client.ext -out cert.pem
        cp ca.crt ca.pem";
    let done = Command::new("sh").args(["-c", script, "sh"]).arg(&folder).output().expect("sh starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

#[test]
fn r_reg_03_tls_and_passwords() {
    let host = Host::bare();
    let (image, first, second) = (image_folder(&host), certificates(&host, "first"), certificates(&host, "second"));
    let users = host.dir().join("htpasswd");
    fs::write(&users, USERS).expect("written");
    let used = host.dir().join("used");
    fs::create_dir(&used).expect("a new folder");
    let install = |from: &Path| {
        for file in ["tls.crt", "tls.key"] {
            fs::copy(from.join(file), used.join("new")).expect("copied");
            fs::rename(used.join("new"), used.join(file)).expect("renamed");
        }
    };
    install(&first);
    let (cert, key) = (used.join("tls.crt"), used.join("tls.key"));
    let (cert, key, users) = (cert.to_string_lossy(), key.to_string_lossy(), users.to_string_lossy());
    let args = ["--tls-cert", &cert, "--tls-key", &key, "--htpasswd", &users, "--realm", "Harbour"];
    let _registry = Registry::serve(&host, &host.dir().join("registry"), &args);

    let from = format!("dir:{}", image.display());
    let to = format!("docker://{}/app:v1", Registry::ADDRESS);
    // only the CA: a certificate of a client in the folder would be taken for one to show
    let trust = |of: &Path| {
        let folder = of.join("trust");
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(of.join("ca.crt"), folder.join("ca.crt")).expect("copied");
        folder.to_string_lossy().into_owned()
    };
    let copy = |ca: &Path, creds: &str| {
        skopeo(&host, &["copy", "--dest-cert-dir", &trust(ca), "--dest-creds", creds, &from, &to])
    };
    copy(&first, "ann:secret").ok();
    let said = copy(&first, "ann:wrong").fails(1);
    assert!(said.contains("unauthorized") || said.contains("invalid username/password"), "{said}");
    let said = copy(&second, "ann:secret").fails(1);
    assert!(said.contains("certificate signed by unknown authority"), "{said}");
    let url = format!("https://{}/v2/", Registry::ADDRESS);
    let said = host.run("curl", &["-sik", &url]).ok();
    assert!(said.starts_with("HTTP/1.1 401") && said.contains("Basic realm=\"Harbour\""), "{said}");
    assert!(said.contains("UNAUTHORIZED"), "{said}");

    // a renewed certificate counts without a restart
    install(&second);
    eventually("the new certificate is served", || (copy(&second, "ann:secret").code == 0).then_some(()));
}

#[test]
fn r_reg_03_what_cannot_be_served_is_said_at_once() {
    let host = Host::bare();
    let missing = host.dir().join("missing");
    let missing = missing.to_string_lossy();
    let serve = |args: &[&str]| {
        let mut all = vec!["registry", "serve", "--root", "/run/registry", "--addr", "127.0.0.1:0"];
        all.extend(args);
        host.wharf(&all).fails(1)
    };
    assert!(serve(&["--htpasswd", &missing]).starts_with("registry serve: htpasswd file "));
    assert!(serve(&["--tls-cert", &missing, "--tls-key", &missing]).starts_with("registry serve: open "));
    assert_eq!(serve(&["--tls-cert", &missing]), "registry serve: --tls-cert and --tls-key go together");
    assert!(serve(&["--addr", "192.0.2.7:1"]).starts_with("registry serve: listen on 192.0.2.7:1: "));
    let said = host.wharf(&["registry", "serve", "--bogus"]).fails(125);
    assert!(said.starts_with("unknown flag: --bogus"), "{said}");
    let said = host.wharf(&["registry", "gc", "--root", &missing]).fails(1);
    assert_eq!(said, format!("registry gc: {missing} holds no registry"));
    let said = host.wharf(&["registry", "serve", "--help"]).ok();
    assert!(said.contains("Usage:  wharf registry serve [OPTIONS]") && said.contains("--htpasswd file"), "{said}");
}

/// Where the registry behind a cache listens.
const BEHIND: &str = "203.0.113.1:5001";

#[test]
fn r_reg_03_a_cache_of_another_registry() {
    let host = Host::bare();
    let (image, behind) = (image_folder(&host), host.dir().join("behind"));
    let stock = stock_registry_at(&host, &behind, BEHIND, "");
    let (from, to) = (format!("dir:{}", image.display()), format!("docker://{BEHIND}/team/app:v1"));
    skopeo(&host, &["copy", "--preserve-digests", "--dest-tls-verify=false", &from, &to]).ok();

    let url = format!("http://{BEHIND}");
    // a tag is asked for every time, so that it is seen what happens when nobody answers
    let cache = Registry::serve(&host, &host.dir().join("cache"), &["--proxy", &url, "--proxy-ttl", "0s"]);
    refused(&cache.get("/v2/team/app/manifests/none"), 404, "MANIFEST_UNKNOWN");
    refused(&cache.get("/v2/none/manifests/v1"), 404, "MANIFEST_UNKNOWN");
    refused(&cache.get(&format!("/v2/team/app/blobs/{}", digest(b"none"))), 404, "BLOB_UNKNOWN");
    pulls_identical(&host, "team/app:v1", &image);
    assert_eq!(cache.get("/v2/team/app/tags/list").json()["tags"], json!(["v1"]));
    refused(&cache.send("POST", "/v2/team/app/blobs/uploads/", &[], b""), 405, "UNSUPPORTED");
    refused(&put_manifest(&cache, "/v2/team/app/manifests/v2", b"{}"), 405, "UNSUPPORTED");

    // the registry behind is gone: what is here is served, by the same cache and by one that starts afresh
    stock.kill();
    pulls_identical(&host, "team/app:v1", &image);
    let root = cache.root().to_owned();
    assert!(cache.stop().success());
    let cache = Registry::serve(&host, &root, &["--proxy", &url, "--proxy-ttl", "0s"]);
    pulls_identical(&host, "team/app:v1", &image);
    assert_eq!(cache.get("/v2/team/app/tags/list").json()["tags"], json!(["v1"]));
    refused(&cache.get("/v2/team/app/manifests/v2"), 502, "UNAVAILABLE");
}

#[test]
fn r_reg_03_a_cache_logs_in_over_tls() {
    let host = Host::bare();
    let (image, certs) = (image_folder(&host), certificates(&host, "behind"));
    let users = host.dir().join("htpasswd");
    fs::write(&users, USERS).expect("written");
    let (cert, key) = (certs.join("tls.crt"), certs.join("tls.key"));
    let more = format!(
        "  tls:\n    certificate: {}\n    key: {}\nauth:\n  htpasswd:\n    realm: Behind\n    path: {}\n",
        cert.display(),
        key.display(),
        users.display()
    );
    let _stock = stock_registry_at(&host, &host.dir().join("behind-data"), BEHIND, &more);
    let trust = host.dir().join("trust");
    fs::create_dir(&trust).expect("a new folder");
    fs::copy(certs.join("ca.crt"), trust.join("ca.crt")).expect("copied");
    let (from, to) = (format!("dir:{}", image.display()), format!("docker://{BEHIND}/team/app:v1"));
    let trusted = trust.to_string_lossy();
    skopeo(
        &host,
        &["copy", "--preserve-digests", "--dest-cert-dir", &trusted, "--dest-creds", "ann:secret", &from, &to],
    )
    .ok();

    let url = format!("https://{BEHIND}");
    let cache = |name: &str, password: &str, ca: &str| {
        let file = host.dir().join(format!("{name}-password"));
        fs::write(&file, format!("{password}\n")).expect("written");
        let root = host.dir().join(name);
        let mut command = host.outside().command(program("wharf"));
        command.args(["registry", "serve", "--addr", Registry::ADDRESS, "--proxy", &url, "--proxy-user", "ann"]);
        command.arg("--proxy-password-file").arg(&file).arg("--root").arg(&root).env("SSL_CERT_FILE", trust.join(ca));
        Registry::start(host.outside(), command, &root, "serving ")
    };
    // a certificate of nobody that is known
    let stranger = cache("stranger", "secret", "none");
    refused(&stranger.get("/v2/team/app/manifests/v1"), 502, "UNAVAILABLE");
    assert!(stranger.stop().success());
    let wrong = cache("wrong", "wrong", "ca.crt");
    let said = wrong.get("/v2/team/app/manifests/v1");
    assert!(!matches!(said.status, 200 | 404), "{said:?}");
    assert!(wrong.stop().success());
    let right = cache("right", "secret", "ca.crt");
    pulls_identical(&host, "team/app:v1", &image);
    assert!(right.stop().success());
}

#[test]
fn r_reg_03_a_cache_keeps_no_lies() {
    let host = Host::bare();
    let (image, behind) = (image_folder(&host), host.dir().join("behind"));
    let _stock = stock_registry_at(&host, &behind, BEHIND, "");
    let (from, to) = (format!("dir:{}", image.display()), format!("docker://{BEHIND}/app:v1"));
    skopeo(&host, &["copy", "--preserve-digests", "--dest-tls-verify=false", &from, &to]).ok();
    let document: serde_json::Value =
        serde_json::from_slice(&fs::read(image.join("manifest.json")).expect("read")).expect("JSON");
    let layer = document["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    let hex = &layer[7..];
    let data = behind.join(format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
    let honest = fs::read(&data).expect("the stock registry's file");
    let mut lie = honest.clone();
    let middle = lie.len() / 2;
    lie[middle] ^= 1;
    fs::write(&data, &lie).expect("written");

    let cache = Registry::serve(&host, &host.dir().join("cache"), &["--proxy", &format!("http://{BEHIND}")]);
    let path = format!("/v2/app/blobs/{layer}");
    // the client is never given the last byte of it
    let got = cache.get(&path);
    assert!(got.body.len() < lie.len(), "{} of {}", got.body.len(), lie.len());
    // once the registry behind is honest again, so is the cache
    fs::write(&data, &honest).expect("written");
    assert_eq!(cache.get(&path).body.len(), honest.len());
    pulls_identical(&host, "app:v1", &image);
}

rows! {
    fn r_reg_03_push_and_pull_with_the_engine(host, cli) {
        let registry = Registry::serve(&host, &host.dir().join("registry"), &[]);
        host.take_daemon().kill();
        host.start_with(&["--insecure-registry", Registry::ADDRESS], "");
        let name = |tag: &str| format!("{}/team/app:{tag}", Registry::ADDRESS);
        host.cli(cli, &["tag", "busybox", &name("v1")]).ok();
        let pushed = host.cli(cli, &["push", &name("v1")]).ok();
        assert!(pushed.contains("v1: digest: sha256:"), "{pushed}");
        let digests = |tag: &str| host.cli(cli, &["image", "inspect", "-f", "{{.Id}} {{json .RepoDigests}}", &name(tag)]).ok();
        let before = digests("v1");

        // a second image on the same base sends only what is new
        host.cli(cli, &["run", "--name", "c1", "busybox", "sh", "-c", "echo new >/new"]).ok();
        host.cli(cli, &["commit", "c1", &name("v2")]).ok();
        let pushed = host.cli(cli, &["push", &name("v2")]).ok();
        assert!(pushed.contains("Layer already exists"), "{pushed}");
        assert_eq!(registry.get("/v2/team/app/tags/list").json()["tags"], json!(["v1", "v2"]));

        host.cli(cli, &["rm", "c1"]).ok();
        host.cli(cli, &["rmi", "busybox", &name("v1"), &name("v2")]).ok();
        let pulled = host.cli(cli, &["pull", &name("v1")]).ok();
        assert!(pulled.contains("Status: Downloaded newer image for"), "{pulled}");
        assert_eq!(digests("v1"), before);
        assert_eq!(host.cli(cli, &["run", "--rm", &name("v2"), "cat", "/new"]).ok(), "new");
    }
}
