//! The embedded registry, byte by byte, section by section of the OCI distribution specification 1.1.

use serde_json::{Value, json};
use wharf_testkit::{Host, Registry, Response, read_response};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// SHA-256 of bytes, as a digest.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum starts");
    child.stdin.take().expect("piped").write_all(bytes).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    format!("sha256:{}", &String::from_utf8_lossy(&output.stdout)[..64])
}

/// A host without a daemon, and a registry in its outside world.
pub(crate) fn registry(args: &[&str]) -> (Host, Registry) {
    let host = Host::bare();
    let root = host.dir().join("registry");
    let registry = Registry::serve(&host, &root, args);
    (host, registry)
}

/// The code of a refusal, in the document of the specification.
#[track_caller]
pub(crate) fn refused(response: &Response, status: u16, code: &str) {
    let said = String::from_utf8_lossy(&response.body).into_owned();
    assert_eq!(response.status, status, "{said}");
    assert_eq!(response.json()["errors"][0]["code"], code, "{said}");
    assert!(response.json()["errors"][0]["message"].is_string(), "{said}");
}

/// Pushes a blob in one request.
#[track_caller]
pub(crate) fn push_blob(registry: &Registry, name: &str, bytes: &[u8]) -> String {
    let digest = digest(bytes);
    let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
    let answer = registry.send("POST", &path, &[("Content-Type", "application/octet-stream")], bytes);
    assert_eq!(answer.status, 201, "{}", answer.message());
    digest
}

/// A manifest of a configuration and one layer, which are pushed; further fields are added.
#[track_caller]
pub(crate) fn manifest(registry: &Registry, name: &str, layer: &[u8], more: Value) -> Vec<u8> {
    let config = push_blob(registry, name, b"{}");
    let blob = push_blob(registry, name, layer);
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob, "size": layer.len()}],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    document.to_string().into_bytes()
}

#[track_caller]
pub(crate) fn put_manifest(registry: &Registry, path: &str, bytes: &[u8]) -> Response {
    let kind = serde_json::from_slice::<Value>(bytes).ok().and_then(|v| Some(v["mediaType"].as_str()?.to_owned()));
    registry.send("PUT", path, &[("Content-Type", kind.as_deref().unwrap_or(OCI_MANIFEST))], bytes)
}

#[test]
fn r_reg_03_the_base_says_what_it_is() {
    let (_host, registry) = registry(&[]);
    for path in ["/v2/", "/v2"] {
        let answer = registry.get(path);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
    refused(&registry.get("/v1/_ping"), 404, "NOT_FOUND");
    refused(&registry.send("POST", "/v2/", &[], b""), 405, "UNSUPPORTED");
}

#[test]
fn r_reg_03_pull_blobs_whole_and_in_part() {
    let (_host, registry) = registry(&[]);
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let digest = push_blob(&registry, "a/b", &bytes);
    let path = format!("/v2/a/b/blobs/{digest}");

    let answer = registry.get(&path);
    assert_eq!((answer.status, answer.body == bytes), (200, true));
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()));
    let head = registry.send("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("2000000")));
    assert_eq!(head.header("docker-content-digest"), Some(digest.as_str()));

    let part = registry.send("GET", &path, &[("Range", "bytes=1000000-1000009")], b"");
    assert_eq!((part.status, &part.body[..]), (206, &bytes[1_000_000..1_000_010]));
    assert_eq!(part.header("content-range"), Some("bytes 1000000-1000009/2000000"));
    let end = registry.send("GET", &path, &[("Range", "bytes=1999998-")], b"");
    assert_eq!((end.status, &end.body[..]), (206, &bytes[1_999_998..]));
    let beyond = registry.send("GET", &path, &[("Range", "bytes=2000000-")], b"");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */2000000")));
    let etag = answer.header("etag").expect("an ETag").to_owned();
    assert_eq!(registry.send("GET", &path, &[("If-None-Match", &etag)], b"").status, 304);

    let missing = format!("/v2/a/b/blobs/sha256:{}", "0".repeat(64));
    refused(&registry.get(&missing), 404, "BLOB_UNKNOWN");
    assert_eq!(registry.send("HEAD", &missing, &[], b"").status, 404);
    // a repository sees only its own blobs
    refused(&registry.get(&format!("/v2/other/blobs/{digest}")), 404, "BLOB_UNKNOWN");
    refused(&registry.get("/v2/a/b/blobs/sha256:12"), 400, "DIGEST_INVALID");
}

#[test]
fn r_reg_03_push_a_blob_in_two_requests_or_in_chunks() {
    let (_host, registry) = registry(&[]);
    let session = || {
        let answer = registry.send("POST", "/v2/a/blobs/uploads/", &[], b"");
        assert_eq!(answer.status, 202);
        assert!(answer.header("docker-upload-uuid").is_some());
        answer.header("location").expect("a location").to_owned()
    };
    // POST, then PUT with everything
    let place = session();
    let answer = registry.send("PUT", &format!("{place}?digest={}", digest(b"whole")), &[], b"whole");
    assert_eq!(answer.status, 201);
    assert_eq!(registry.get(answer.header("location").expect("a location")).body, b"whole");

    // POST, PATCHes in order, PUT with the last chunk
    let place = session();
    let chunk = |range: &str, bytes: &[u8]| registry.send("PATCH", &place, &[("Content-Range", range)], bytes);
    let first = chunk("0-3", b"once");
    assert_eq!((first.status, first.header("range")), (202, Some("0-3")));
    assert_eq!(first.header("location"), Some(place.as_str()));
    // out of order: refused, and told where to go on
    let wrong = chunk("8-9", b"xx");
    refused(&wrong, 416, "RANGE_INVALID");
    assert_eq!((wrong.header("range"), wrong.header("location")), (Some("0-3"), Some(place.as_str())));
    refused(&chunk("0-3", b"once"), 416, "RANGE_INVALID");
    refused(&chunk("nonsense", b"once"), 416, "RANGE_INVALID");
    let status = registry.get(&place);
    assert_eq!((status.status, status.header("range")), (204, Some("0-3")));
    assert_eq!(chunk("4-5", b" u").status, 202);
    let end =
        registry.send("PUT", &format!("{place}?digest={}", digest(b"once upon")), &[("Content-Range", "6-8")], b"pon");
    assert_eq!(end.status, 201, "{}", end.message());
    refused(&registry.get(&place), 404, "BLOB_UPLOAD_UNKNOWN");

    // a chunk that is not as long as it says
    let place = session();
    refused(&registry.send("PATCH", &place, &[("Content-Range", "0-9")], b"short"), 400, "SIZE_INVALID");
    refused(&registry.send("PATCH", &place, &[("Content-Range", "5-6")], b"much longer"), 400, "SIZE_INVALID");

    // a stream without a range, as docker sends it; then given up
    let place = session();
    assert_eq!(registry.send("PATCH", &place, &[], b"streamed").header("range"), Some("0-7"));
    assert_eq!(registry.send("DELETE", &place, &[], b"").status, 204);
    refused(
        &registry.send("PUT", &format!("{place}?digest={}", digest(b"streamed")), &[], b""),
        404,
        "BLOB_UPLOAD_UNKNOWN",
    );

    // a digest that lies leaves nothing; the session can still be finished honestly
    let place = session();
    let lie = format!("{place}?digest={}", digest(b"other"));
    refused(&registry.send("PUT", &lie, &[], b"this"), 400, "DIGEST_INVALID");
    refused(&registry.get(&format!("/v2/a/blobs/{}", digest(b"other"))), 404, "BLOB_UNKNOWN");
    assert_eq!(registry.send("PUT", &format!("{place}?digest={}", digest(b"this")), &[], b"").status, 201);
    refused(&registry.send("PUT", &session(), &[], b"x"), 400, "DIGEST_INVALID");

    // one request; a lie leaves no session behind
    let lie = format!("/v2/once/blobs/uploads/?digest={}", digest(b"x"));
    refused(&registry.send("POST", &lie, &[], b"y"), 400, "DIGEST_INVALID");
    let uploads = registry.root().join("docker/registry/v2/repositories/once/_uploads");
    assert_eq!(std::fs::read_dir(uploads).expect("the folder").count(), 0);

    // SHA-512 is a registered algorithm, too
    let empty512 = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    let answer = registry.send("PUT", &format!("{}?digest={empty512}", session()), &[], b"");
    assert_eq!(answer.status, 201, "{}", answer.message());
}

#[test]
fn r_reg_03_mount_a_blob_of_another_repository() {
    let (_host, registry) = registry(&[]);
    let digest = push_blob(&registry, "from/here", b"shared");
    let mount =
        |into: &str, query: &str| registry.send("POST", &format!("/v2/{into}/blobs/uploads/?{query}"), &[], b"");
    let mounted = mount("to/there", &format!("mount={digest}&from=from/here"));
    assert_eq!(mounted.status, 201);
    let place = mounted.header("location").expect("a location");
    assert_eq!(
        (place, registry.get(place).body.as_slice()),
        (format!("/v2/to/there/blobs/{digest}").as_str(), &b"shared"[..])
    );
    // without `from` the registry looks itself
    assert_eq!(mount("elsewhere", &format!("mount={digest}")).status, 201);
    // what cannot be mounted is an ordinary upload
    assert_eq!(mount("x", &format!("mount={digest}&from=not/here")).status, 202);
    assert_eq!(mount("x", &format!("mount=sha256:{}", "1".repeat(64))).status, 202);
    refused(&mount("x", "mount=rubbish"), 400, "DIGEST_INVALID");
    refused(&mount("x", &format!("mount={digest}&from=../..")), 400, "NAME_INVALID");
}

#[test]
fn r_reg_03_manifests_by_tag_and_digest() {
    let (_host, registry) = registry(&[]);
    let bytes = manifest(&registry, "app", b"layer", json!({"annotations": {"spaces": "are   kept"}}));
    let own = digest(&bytes);
    let put = put_manifest(&registry, "/v2/app/manifests/v1", &bytes);
    assert_eq!((put.status, put.header("docker-content-digest")), (201, Some(own.as_str())));
    assert_eq!(put.header("location"), Some(format!("/v2/app/manifests/{own}").as_str()));
    for which in ["v1", &own] {
        let got = registry.get(&format!("/v2/app/manifests/{which}"));
        assert_eq!((got.status, &got.body), (200, &bytes));
        assert_eq!(got.header("content-type"), Some(OCI_MANIFEST));
        assert_eq!(got.header("docker-content-digest"), Some(own.as_str()));
        let head = registry.send("HEAD", &format!("/v2/app/manifests/{which}"), &[], b"");
        assert_eq!((head.status, head.header("content-length")), (200, Some(bytes.len().to_string().as_str())));
    }
    assert_eq!(put_manifest(&registry, &format!("/v2/app/manifests/{own}"), &bytes).status, 201);
    // an index of it; who can read only manifests is told so
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
                       "manifests": [{"mediaType": OCI_MANIFEST, "digest": own, "size": bytes.len()}]});
    assert_eq!(put_manifest(&registry, "/v2/app/manifests/all", index.to_string().as_bytes()).status, 201);
    assert_eq!(registry.send("GET", "/v2/app/manifests/all", &[("Accept", OCI_INDEX)], b"").status, 200);
    let narrow = registry.send("GET", "/v2/app/manifests/all", &[("Accept", OCI_MANIFEST)], b"");
    refused(&narrow, 404, "MANIFEST_UNKNOWN");
    assert!(narrow.message().contains("Accept header"), "{}", narrow.message());

    refused(&registry.get("/v2/app/manifests/none"), 404, "MANIFEST_UNKNOWN");
    refused(&registry.get("/v2/none/manifests/v1"), 404, "MANIFEST_UNKNOWN");
}

#[test]
fn r_reg_03_manifests_that_cannot_be_are_refused() {
    let (_host, registry) = registry(&[]);
    let good = manifest(&registry, "app", b"layer", json!({}));
    let put = |bytes: &[u8]| put_manifest(&registry, "/v2/app/manifests/v1", bytes);
    let changed = |change: fn(&mut Value)| {
        let mut document: Value = serde_json::from_slice(&good).expect("our own JSON");
        change(&mut document);
        document.to_string().into_bytes()
    };
    let absent = changed(|d| d["layers"][0]["digest"] = json!(format!("sha256:{}", "a".repeat(64))));
    refused(&put(&absent), 404, "MANIFEST_BLOB_UNKNOWN");
    // what lies elsewhere by design need not be here
    let foreign = changed(|d| {
        d["layers"][0] = json!({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": format!("sha256:{}", "a".repeat(64)), "size": 5, "urls": ["https://example.com/x"]});
    });
    assert_eq!(put(&foreign).status, 201);
    refused(&put(&changed(|d| d["layers"][0]["size"] = json!(4))), 400, "MANIFEST_INVALID");
    refused(&put(&changed(|d| d["manifests"] = json!([]))), 400, "MANIFEST_INVALID");
    refused(&put(&changed(|d| d["schemaVersion"] = json!(1))), 400, "MANIFEST_INVALID");
    refused(&put(b"no json"), 400, "MANIFEST_INVALID");
    refused(&put(&vec![b' '; (4 << 20) + 1]), 413, "SIZE_INVALID");
    let other = format!("/v2/app/manifests/{}", digest(b"other"));
    refused(&put_manifest(&registry, &other, &good), 400, "DIGEST_INVALID");
    refused(&put_manifest(&registry, "/v2/app/manifests/.hidden", &good), 400, "TAG_INVALID");
    let child = json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
                       "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest(b"absent"), "size": 6}]});
    refused(&put(child.to_string().as_bytes()), 404, "MANIFEST_BLOB_UNKNOWN");
    // none of them became the tag
    assert_eq!(registry.get("/v2/app/manifests/v1").body, foreign);
}

#[test]
fn r_reg_03_lists_come_in_pages() {
    let (_host, registry) = registry(&[]);
    let bytes = manifest(&registry, "app", b"layer", json!({}));
    for tag in ["v2", "v10", "latest", "v1"] {
        assert_eq!(put_manifest(&registry, &format!("/v2/app/manifests/{tag}"), &bytes).status, 201);
    }
    assert_eq!(registry.get("/v2/app/tags/list").json(), json!({"name": "app", "tags": ["latest", "v1", "v10", "v2"]}));
    let mut path = "/v2/app/tags/list?n=3".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = registry.get(&path);
        pages.push(page.json()["tags"].clone());
        let Some(link) = page.header("link") else { break };
        path = link.strip_prefix('<').and_then(|l| l.split_once(">; rel=\"next\"")).expect("RFC 5988").0.to_owned();
    }
    assert_eq!(pages, [json!(["latest", "v1", "v10"]), json!(["v2"])]);
    assert_eq!(registry.get("/v2/app/tags/list?n=0").json()["tags"], json!([]));
    assert_eq!(registry.get("/v2/app/tags/list?last=v1").json()["tags"], json!(["v10", "v2"]));
    refused(&registry.get("/v2/app/tags/list?n=x"), 400, "PAGINATION_NUMBER_INVALID");
    refused(&registry.get("/v2/none/tags/list"), 404, "NAME_UNKNOWN");

    for name in ["b", "a/b", "a-b"] {
        let bytes = manifest(&registry, name, b"layer", json!({}));
        assert_eq!(put_manifest(&registry, &format!("/v2/{name}/manifests/x"), &bytes).status, 201);
    }
    // a repository that has only blobs is none yet
    push_blob(&registry, "zzz", b"x");
    assert_eq!(registry.get("/v2/_catalog").json(), json!({"repositories": ["a-b", "a/b", "app", "b"]}));
    let page = registry.get("/v2/_catalog?n=2");
    assert_eq!(page.json(), json!({"repositories": ["a-b", "a/b"]}));
    assert_eq!(page.header("link"), Some("</v2/_catalog?n=2&last=a/b>; rel=\"next\""));
}

#[test]
fn r_reg_03_referrers() {
    let (_host, registry) = registry(&[]);
    let image = manifest(&registry, "app", b"layer", json!({}));
    let subject = digest(&image);
    let refers = |kind: &str| {
        json!({"subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": image.len()},
               "artifactType": kind, "annotations": {"of": kind}})
    };
    // a referrer may come before its subject
    let signature = manifest(&registry, "app", b"signature", refers("x/signature"));
    let put = put_manifest(&registry, &format!("/v2/app/manifests/{}", digest(&signature)), &signature);
    assert_eq!((put.status, put.header("oci-subject")), (201, Some(subject.as_str())));
    assert_eq!(put_manifest(&registry, "/v2/app/manifests/v1", &image).header("oci-subject"), None);
    let bill = manifest(&registry, "app", b"bill", refers("x/bill"));
    assert_eq!(put_manifest(&registry, "/v2/app/manifests/bill", &bill).status, 201);

    let path = format!("/v2/app/referrers/{subject}");
    let all = registry.get(&path);
    assert_eq!((all.status, all.header("content-type")), (200, Some(OCI_INDEX)));
    assert_eq!(all.json()["manifests"].as_array().map(Vec::len), Some(2));
    let one = registry.get(&format!("{path}?artifactType=x/bill"));
    assert_eq!(one.header("oci-filters-applied"), Some("artifactType"));
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": digest(&bill), "size": bill.len(),
                       "artifactType": "x/bill", "annotations": {"of": "x/bill"}});
    assert_eq!(one.json()["manifests"], json!([entry]));
    // nothing known is an empty list, not an error
    let none = registry.get(&format!("/v2/app/referrers/{}", digest(b"?")));
    assert_eq!((none.status, &none.json()["manifests"]), (200, &json!([])));
    refused(&registry.get("/v2/app/referrers/x"), 400, "DIGEST_INVALID");

    // a folder that another registry wrote has no index of referrers: it is made
    std::fs::remove_dir_all(registry.root().join("docker/registry/v2/repositories/app/_referrers")).expect("ours");
    assert_eq!(registry.get(&path).json()["manifests"].as_array().map(Vec::len), Some(2));
    // a referrer that is deleted is listed no more
    assert_eq!(registry.send("DELETE", &format!("/v2/app/manifests/{}", digest(&bill)), &[], b"").status, 202);
    assert_eq!(registry.get(&path).json()["manifests"][0]["digest"], json!(digest(&signature)));
}

#[test]
fn r_reg_03_delete() {
    let (host, registry) = registry(&[]);
    let bytes = manifest(&registry, "app", b"layer", json!({}));
    for tag in ["one", "two", "three"] {
        put_manifest(&registry, &format!("/v2/app/manifests/{tag}"), &bytes);
    }
    let delete = |path: &str| registry.send("DELETE", path, &[], b"");
    // a tag alone
    assert_eq!(delete("/v2/app/manifests/one").status, 202);
    refused(&registry.get("/v2/app/manifests/one"), 404, "MANIFEST_UNKNOWN");
    assert_eq!(registry.get("/v2/app/manifests/two").status, 200);
    refused(&delete("/v2/app/manifests/one"), 404, "MANIFEST_UNKNOWN");
    // a manifest with all its tags
    let path = format!("/v2/app/manifests/{}", digest(&bytes));
    assert_eq!(delete(&path).status, 202);
    refused(&registry.get("/v2/app/manifests/two"), 404, "MANIFEST_UNKNOWN");
    refused(&delete(&path), 404, "MANIFEST_UNKNOWN");
    assert_eq!(registry.get("/v2/app/tags/list").json()["tags"], json!([]));
    // a blob
    let blob = format!("/v2/app/blobs/{}", digest(b"layer"));
    assert_eq!(delete(&blob).status, 202);
    refused(&registry.get(&blob), 404, "BLOB_UNKNOWN");
    refused(&delete(&blob), 404, "BLOB_UNKNOWN");

    let bytes = manifest(&registry, "app", b"layer", json!({}));
    put_manifest(&registry, "/v2/app/manifests/v1", &bytes);
    let root = registry.root().to_owned();
    assert!(registry.stop().success());
    let registry = Registry::serve(&host, &root, &["--no-delete"]);
    refused(&registry.send("DELETE", "/v2/app/manifests/v1", &[], b""), 405, "UNSUPPORTED");
    push_blob(&registry, "app", b"more");
    assert!(registry.stop().success());
    let registry = Registry::serve(&host, &root, &["--read-only"]);
    assert_eq!(registry.get("/v2/app/manifests/v1").status, 200);
    refused(&registry.send("DELETE", "/v2/app/manifests/v1", &[], b""), 405, "UNSUPPORTED");
    refused(&registry.send("POST", "/v2/app/blobs/uploads/", &[], b""), 405, "UNSUPPORTED");
    refused(&put_manifest(&registry, "/v2/app/manifests/v2", &bytes), 405, "UNSUPPORTED");
}

#[test]
fn r_reg_03_hostile_requests_change_nothing() {
    use std::io::Write;
    let (host, registry) = registry(&["--max-connections", "8"]);
    for path in [
        "/v2/../../etc/passwd/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/a%2f..%2f..%2fb/tags/list",
        "/v2/A/tags/list",
        "/v2/_uploads/tags/list",
    ] {
        refused(&registry.get(path), 400, "NAME_INVALID");
    }
    let long = format!("/v2/{}/tags/list", "a".repeat(256));
    refused(&registry.get(&long), 400, "NAME_INVALID");
    refused(&registry.send("PUT", "/v2/a/blobs/uploads/../../x?digest=sha256:0", &[], b"x"), 404, "NOT_FOUND");

    // a head without end, a head of rubbish, a request line without end: each is answered or cut, none is served
    let raw = |bytes: &[u8]| {
        let mut stream = registry.connect();
        let _ = stream.write_all(bytes);
        read_response(stream).map(|answer| answer.status).unwrap_or(0)
    };
    let many: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    assert!(matches!(raw(format!("GET /v2/ HTTP/1.1\r\nHost: r\r\n{many}\r\n").as_bytes()), 431 | 0));
    let wide = "x".repeat(1 << 20);
    assert!(matches!(raw(format!("GET /v2/ HTTP/1.1\r\nHost: r\r\nX: {wide}\r\n\r\n").as_bytes()), 431 | 0));
    assert!(matches!(raw(format!("GET /{wide} HTTP/1.1\r\nHost: r\r\n\r\n").as_bytes()), 414 | 431 | 400 | 0));
    assert!(matches!(raw(b"\0\xff\r\n\r\n"), 400 | 0));
    assert!(matches!(raw(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: r\r\nContent-Length: -1\r\n\r\n"), 400 | 0));

    // more connections than there are places: the others wait, and are served when places are free
    let idle: Vec<_> = (0..8).map(|_| registry.connect()).collect();
    let mut waiting = registry.connect();
    waiting.write_all(b"GET /v2/ HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n").expect("the kernel takes it");
    drop(idle);
    assert_eq!(read_response(waiting).expect("an answer").status, 200);
    let inside: Vec<_> = std::fs::read_dir(host.dir().join("registry")).expect("the folder").flatten().collect();
    assert_eq!(inside.len(), 1, "{inside:?}");
}
