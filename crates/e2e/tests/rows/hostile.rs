//! ARCH-08: bad input gets Docker's status and sentence and leaves nothing behind.

use serde_json::{Value, json};
use std::io::{Read, Write};
use wharf_testkit::{Host, Response};

#[track_caller]
fn refused(response: &Response, status: u16, sentence: &str) {
    assert_eq!(response.status, status, "{}", response.message());
    assert!(response.json()["message"].is_string(), "no message: {}", response.message());
    assert!(response.message().contains(sentence), "{}", response.message());
}

#[test]
fn r_arch_08_malformed_requests() {
    let host = Host::boot();
    let api = host.api();
    let post = |body: &str| api.send("POST", "/v1.51/containers/create", Some("application/json"), body.as_bytes());
    refused(&post("{"), 400, "unexpected EOF");
    refused(&post("{\"Image\": 5}"), 400, "");
    refused(&post("{\"Image\":\"busybox\"} {}"), 400, "unexpected content after JSON");
    refused(&post(""), 400, "");
    refused(&api.send("POST", "/v1.51/containers/create", Some("text/plain"), b"{}"), 400, "");
    refused(&post("{\"Image\":\"nothing\"}"), 404, "No such image: nothing:latest");
    refused(&api.get("/no/such/path"), 404, "page not found");
    refused(&api.get("/v1.51/containers/none/json"), 404, "No such container: none");
    refused(
        &api.call("POST", "/v1.51/containers/create?name=b%20ad", json!({"Image": "busybox"})),
        400,
        "Invalid container name (b ad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    );
    refused(
        &api.call("POST", "/v1.51/containers/create?name=..%2Fx", json!({"Image": "busybox"})),
        400,
        "Invalid container name",
    );
    refused(&api.get("/v1.51/containers/json?filters=%7Bbad"), 400, "invalid filter");
    refused(&api.get("/v1.51/containers/json?filters=%7B%22nope%22:[%22x%22]%7D"), 400, "invalid filter 'nope'");
    // fields nobody knows are ignored, as Docker ignores them
    let made = api.call("POST", "/v1.51/containers/create", json!({"Image": "busybox", "Bogus": {"x": [1]}}));
    assert_eq!(made.status, 201, "{}", made.message());
    let id = made.json()["Id"].as_str().unwrap().to_owned();
    assert_eq!(api.call("DELETE", &format!("/containers/{id}"), Value::Null).status, 204);
    host.assert_no_leaks();
}

#[test]
fn r_arch_08_bad_host_configs_leave_nothing() {
    let host = Host::boot();
    let api = host.api();
    let create = |config: Value| {
        api.call("POST", "/v1.51/containers/create", json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": config}))
    };
    refused(&create(json!({"Memory": 1000})), 400, "Minimum memory limit allowed is 6MB");
    refused(
        &create(json!({"Binds": ["/a:relative"]})),
        500,
        "invalid mount path: 'relative' mount path must be absolute",
    );
    refused(&create(json!({"Binds": ["/a:/"]})), 500, "destination can't be '/'");
    refused(&create(json!({"RestartPolicy": {"Name": "sometimes"}})), 400, "invalid restart policy");
    refused(
        &create(json!({"AutoRemove": true, "RestartPolicy": {"Name": "always"}})),
        400,
        "can't create 'AutoRemove' container with restart policy",
    );
    refused(
        &create(json!({"Mounts": [{"Type": "bind", "Source": "/no/such/source", "Target": "/x"}]})),
        400,
        "bind source path does not exist: /no/such/source",
    );
    refused(&create(json!({"Mounts": [{"Type": "wat", "Target": "/x"}]})), 400, "mount type unknown");
    refused(
        &create(json!({"LogConfig": {"Type": "nope"}})),
        400,
        "error looking up logging plugin nope: plugin \"nope\" not found",
    );
    // 404 would be the image for clients, and they would pull it
    for mode in ["IpcMode", "PidMode"] {
        refused(&create(json!({mode: "container:none"})), 400, "No such container: none");
    }
    refused(&create(json!({"CpusetCpus": "x"})), 400, "Invalid value x for cpuset cpus: invalid format: x");
    let ports = json!({"PortBindings": {"80/tcp": [{"HostPort": "x"}]}});
    refused(&create(ports), 400, "invalid port specification: \"x\"");
    let odd = json!({"Image": "busybox", "MacAddress": "x"});
    refused(
        &api.call("POST", "/containers/create", odd),
        400,
        "invalid config for network bridge: invalid MAC address x",
    );
    // as people type it
    assert_eq!(api.get("/containers/json?filters={\"status\":[\"created\"]}").json(), json!([]));
    refused(&api.get("/containers/x/stats?one-shot=1"), 400, "cannot have stream=true and one-shot=true");
    refused(&create(json!({"Isolation": "x"})), 400, "invalid isolation (x): linux only supports 'default'");
    assert_eq!(api.get("/containers/json?all=1").json().as_array().map(Vec::len), Some(0));
    // whose network it borrows is looked up at start, as Docker does
    let id = create(json!({"NetworkMode": "container:none"})).json()["Id"].as_str().unwrap().to_owned();
    let started = api.call("POST", &format!("/containers/{id}/start"), Value::Null);
    refused(&started, 500, "joining network namespace of container: No such container: none");
    assert_eq!(api.call("DELETE", &format!("/containers/{id}"), Value::Null).status, 204);
    host.assert_no_leaks();
}

#[test]
fn r_arch_08_a_failed_start_leaves_the_container_and_nothing_else() {
    let host = Host::boot();
    let api = host.api();
    let made = api.call("POST", "/containers/create?name=c1", json!({"Image": "busybox", "Cmd": ["/none"]}));
    assert_eq!(made.status, 201);
    refused(&api.call("POST", "/containers/c1/start", Value::Null), 400, "no such file or directory");
    let state = api.get("/containers/c1/json").json();
    assert_eq!((state["State"]["Status"].as_str(), state["State"]["ExitCode"].as_i64()), (Some("created"), Some(127)));
    assert!(state["State"]["Error"].as_str().unwrap().contains("no such file or directory"));
    assert_eq!(api.call("DELETE", "/containers/c1", Value::Null).status, 204);
    // a size for what has no terminal is no mistake
    host.cli(wharf_testkit::Cli::Docker, &["run", "-d", "--name", "c2", "busybox", "sleep", "600"]).ok();
    assert_eq!(api.call("POST", "/containers/c2/resize?h=5&w=5", Value::Null).status, 200);
    assert_eq!(api.call("DELETE", "/containers/c2?force=1", Value::Null).status, 204);
    host.assert_no_leaks();
}

#[test]
fn r_arch_08_broken_connections_do_no_harm() {
    let host = Host::boot();
    let api = host.api();
    let requests: [&[u8]; 8] = [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET",
        b"GET /_ping HTTP/9.9\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: -5\r\n\r\n",
        b"GET /containers/%00%ff/json HTTP/1.1\r\nHost: d\r\n\r\n",
        b"POST /containers/none/attach?stream=1 HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
    ];
    for request in requests {
        let mut stream = api.connect().unwrap();
        stream.write_all(request).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.take(100_000).read_to_end(&mut answer);
        assert_eq!(api.get("/_ping").status, 200, "after {:?}", String::from_utf8_lossy(request));
    }
    // one enormous header and one enormous body
    let mut stream = api.connect().unwrap();
    let _ = stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: ");
    let _ = stream.write_all(&vec![b'a'; 4 << 20]);
    let huge = format!("{{\"Image\":\"busybox\",\"Env\":[\"{}\"]}}", "a1".repeat(64 << 20));
    let answer = api.send("POST", "/containers/create", Some("application/json"), huge.as_bytes());
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert_eq!(api.get("/_ping").status, 200);
    host.assert_no_leaks();
}

/// A refusal may come before the client has sent its body: it must find the connection open, and the answer on it.
#[test]
fn r_arch_08_a_body_that_nobody_wants_is_read_on() {
    let host = Host::boot();
    let mut stream = host.api().connect().unwrap();
    let answer = |stream: &mut std::os::unix::net::UnixStream, expect: &str| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        assert!(head.starts_with(expect), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        stream.read_exact(&mut vec![0; length.parse().expect("a number")]).expect("its body");
    };
    // of a route that wants no body, and of one that refuses before it reads it
    for (target, status) in
        [("POST /plugins/nope/set", "http/1.1 404 "), ("PUT /containers/nope/archive", "http/1.1 400 ")]
    {
        stream.write_all(format!("{target} HTTP/1.1\r\nHost: d\r\nContent-Length: 7\r\n\r\n").as_bytes()).unwrap();
        answer(&mut stream, status);
        stream.write_all(b"[\"a=b\"]").unwrap();
    }
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    answer(&mut stream, "http/1.1 200 ");
}

/// Makes the checksum of a tar header right.
fn seal(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header[..512].iter().map(|b| u32::from(*b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// A tar archive of one entry, as hostile as its header says.
pub(crate) fn tar_entry(name: &str, kind: u8, link: &str, data: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut header);
    let mut entry = header.to_vec();
    entry.extend_from_slice(data);
    entry.resize(entry.len().div_ceil(512) * 512, 0);
    entry
}

#[test]
fn r_arch_08_hostile_archives_never_leave_their_root() {
    let host = Host::boot();
    let api = host.api();
    let mark = host.dir().join("pwned");
    let up = format!("{}{}", "../".repeat(20), mark.strip_prefix("/").unwrap().display());
    let traversal = tar_entry(&up, b'0', "", b"x");
    let absolute = tar_entry(mark.to_str().unwrap(), b'0', "", b"x");
    let mut through_link = tar_entry("link", b'2', host.dir().to_str().unwrap(), b"");
    through_link.extend(tar_entry("link/pwned", b'0', "", b"x"));
    let mut hard = tar_entry("hard", b'1', "/etc/shadow", b"");
    hard.extend(tar_entry("after", b'0', "", b"x"));
    for (name, mut bytes) in [("traversal", traversal), ("absolute", absolute), ("link", through_link), ("hard", hard)]
    {
        bytes.resize(bytes.len() + 1024, 0);
        let answer =
            api.send("POST", &format!("/images/create?fromSrc=-&repo={name}"), Some("application/x-tar"), &bytes);
        assert!(!mark.exists(), "{name} wrote outside: {}", answer.message());
    }
    for (what, bytes) in [
        ("truncated", tar_entry("f1", b'0', "", &[b'x'; 5000])[..2000].to_vec()),
        ("garbage", vec![0xa5; 10_000]),
        ("gzip", b"\x1f\x8b\x08\x00garbage".to_vec()),
    ] {
        let answer = api.send("POST", "/images/load", Some("application/x-tar"), &bytes);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status >= 400 || text.contains("errorDetail"), "{what}: {} {text}", answer.status);
    }
    for image in api.get("/images/json").json().as_array().unwrap() {
        let tag = image["RepoTags"][0].as_str().unwrap_or_default().to_owned();
        assert_eq!(api.call("DELETE", &format!("/images/{tag}?force=1"), Value::Null).status, 200);
    }
    crate::assert_layers(&host, 0);
    host.assert_no_leaks();
}

#[test]
fn r_arch_08_sizes_that_lie_and_devices() {
    let host = Host::boot();
    let api = host.api();
    let tar = Some("application/x-tar");
    // more than comes, more than anything can have, less than nothing
    let sizes: [&[u8; 12]; 3] = [b"77777777777\0", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", &[0xff; 12]];
    for size in sizes {
        let mut entry = tar_entry("bomb", b'0', "", &[b'x'; 512]);
        entry[124..136].copy_from_slice(size);
        seal(&mut entry);
        for place in ["/images/create?fromSrc=-&repo=bomb", "/images/load"] {
            let answer = api.send("POST", place, tar, &entry);
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(
                answer.status >= 400 || text.contains("errorDetail"),
                "{place} {size:x?}: {} {text}",
                answer.status
            );
        }
        let answer = api.send("PUT", "/containers/none/archive?path=/", tar, &entry);
        refused(&answer, 404, "No such container: none");
    }
    assert_eq!(api.get("/images/json").json().as_array().map(Vec::len), Some(1));
    crate::assert_layers(&host, 1);
    // a device of the machine is a file like others, which nobody in a container may open
    let mut device = tar_entry("disk", b'4', "", b"");
    device[329..337].copy_from_slice(b"0000007\0");
    device[337..345].copy_from_slice(b"0000000\0");
    seal(&mut device);
    device.resize(device.len() + 1024, 0);
    let command = json!(["sh", "-c", "stat -c '%F %t:%T' /disk; cat /disk"]);
    let made = api.call("POST", "/containers/create?name=c1", json!({"Image": "busybox", "Cmd": command}));
    assert_eq!(made.status, 201, "{}", made.message());
    let put = api.send("PUT", "/containers/c1/archive?path=/", tar, &device);
    assert_eq!(put.status, 200, "{}", put.message());
    let ran = host.cli(wharf_testkit::Cli::Docker, &["start", "-a", "c1"]);
    assert_eq!((ran.code, ran.stdout.trim()), (1, "block special file 7:0"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Operation not permitted"), "{}", ran.stderr);
    assert_eq!(api.call("DELETE", "/containers/c1", Value::Null).status, 204);
    host.assert_no_leaks();
}
