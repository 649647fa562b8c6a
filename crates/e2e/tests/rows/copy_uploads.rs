//! CTR-06: how archives come to the engine in `cp`: in how many pieces, with holes, cut off; and that reading files stops nobody
//! for longer than the daemon lives.

use crate::copy::{tar, tree};
use crate::hostile::tar_entry;
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use wharf_testkit::{Host, eventually};

/// The head of a request with a chunked body.
fn chunked(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// `bytes` in chunks of `size` bytes, without an end.
fn pieces(bytes: &[u8], size: usize) -> Vec<u8> {
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    bytes.chunks(size).flat_map(chunk).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new("/bin/busybox").arg("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(bytes).unwrap();
    drop(input);
    let mut packed = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut packed).unwrap();
    assert!(child.wait().unwrap().success());
    packed
}

fn is_paused(host: &Host) -> bool {
    let state = &host.api().get("/containers/c1/json").json()["State"];
    assert_eq!(state["Running"], json!(true), "{state}");
    state["Paused"] == json!(true)
}

rows! {
    fn r_ctr_06_cp_of_many_small_files(host, cli) {
        let from = host.dir().join("from");
        for folder in 0..20 {
            let at = from.join(folder.to_string());
            std::fs::create_dir_all(&at).unwrap();
            for file in 0..100 {
                let path = at.join(format!("f{file}"));
                std::fs::write(&path, format!("{folder}.{file}").repeat(file)).unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(if file % 2 == 0 { 0o640 } else { 0o4755 })).unwrap();
            }
        }
        host.cli(cli, &["run", "-d", "--name", "c1", "busybox", "sleep", "600"]).ok();
        host.cli(cli, &["cp", &from.display().to_string(), "c1:/to"]).ok();
        assert_eq!(host.cli(cli, &["exec", "c1", "sh", "-c", "find /to -type f | wc -l; stat -c %a /to/7/f8 /to/7/f9"]).ok(), "2000\n640\n4755");
        let back = host.dir().join("back");
        host.cli(cli, &["cp", "c1:/to", &back.display().to_string()]).ok();
        assert!(tree(&back) == tree(&from), "every file came back as it was");
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_ctr_06_cp_keeps_holes(host, cli) {
        let from = host.dir().join("sparse");
        let file = std::fs::File::create(&from).unwrap();
        file.set_len(8 << 20).unwrap();
        // in the middle of a block, over its end, and a hole at the end of the file
        file.write_all_at(&[b'x'; 5000], (4 << 20) + 100).unwrap();
        host.cli(cli, &["create", "--name", "c1", "-v", "data:/data", "busybox"]).ok();
        for place in ["/tmp/sparse", "/data/sparse"] {
            host.cli(cli, &["cp", &from.display().to_string(), &format!("c1:{place}")]).ok();
            let back = host.dir().join("back");
            let _ = std::fs::remove_file(&back);
            host.cli(cli, &["cp", &format!("c1:{place}"), &back.display().to_string()]).ok();
            assert!(std::fs::read(&back).unwrap() == std::fs::read(&from).unwrap(), "{place}");
            // the stock client writes zeros on its own side
            if cli == wharf_testkit::Cli::Wharf {
                assert!(std::fs::metadata(&back).unwrap().blocks() < 200, "{place}");
            }
        }
        let inside = crate::volumes::data(&host, "data").join("sparse").metadata().unwrap();
        assert_eq!(inside.size(), 8 << 20);
        assert!(inside.blocks() < 200, "{} blocks", inside.blocks());
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.cli(cli, &["volume", "rm", "data"]).ok();
        host.assert_no_leaks();
    }
}

/// The kind of an archive is told by its first bytes, however few come at once; and a body that has no end is no archive.
#[test]
fn r_ctr_06_cp_archives_in_small_pieces_and_cut_off() {
    let host = Host::boot();
    host.docker(&["create", "--name", "c1", "busybox"]).ok();
    let put = "/containers/c1/archive?path=/tmp";
    let members = [tar_entry("d", b'5', "", b""), tar_entry("d/x", b'0', "", b"in pieces")];
    for (number, bytes) in [tar(&members), gzip(&tar(&members))].iter().enumerate() {
        let mut stream = host.api().connect().unwrap();
        let renamed = format!("{put}&n={number}");
        stream.write_all(chunked("PUT", &renamed).as_bytes()).unwrap();
        stream.write_all(&[pieces(bytes, 3), b"0\r\n\r\n".to_vec()].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(host.docker(&["cp", "c1:/tmp/d/x", "-"]).ok().contains("in pieces"));
    }
    // everything came, only the end of the body did not
    let mut stream = host.api().connect().unwrap();
    stream.write_all(chunked("POST", "/volumes/cut/import").as_bytes()).unwrap();
    stream.write_all(&pieces(&tar(&members), 700)).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 201"));
    eventually("nothing is left of it", || {
        let left = std::fs::read_dir(host.data_root().join("volumes")).unwrap().flatten().count();
        (left == 0 && host.api().get("/volumes/cut").status == 404).then_some(())
    });
    // many uploads on one connection, each read by a thread of its own
    let mut stream = host.api().connect().unwrap();
    for _ in 0..3 {
        let head = chunked("PUT", put).replace("Connection: close\r\n", "");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[pieces(&tar(&members), 512), b"0\r\n\r\n".to_vec()].concat()).unwrap();
        let answer = wharf_testkit::read_response(&stream).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.message());
    }
    host.docker(&["rm", "-f", "c1"]).ok();
    host.assert_no_leaks();
}

/// A container that stands still for `commit` or for the export of its volume goes on when the daemon is killed meanwhile, and when
/// the client goes away.
#[test]
fn r_img_04_commit_and_r_vol_07_export_leave_nobody_paused() {
    let mut host = Host::boot();
    host.docker(&["run", "-d", "--name", "c1", "-v", "data:/data", "busybox", "sleep", "600"]).ok();
    for request in ["/commit?container=c1&pause=1&repo=never", "/volumes/data/export?pause=1"] {
        host.take_daemon().kill();
        host.start_with(&[], "engine.still.after_freeze=kill");
        let method = if request.starts_with("/commit") { "POST" } else { "GET" };
        let answer = host.api().try_send(method, request, None, &[]);
        assert!(answer.is_err() || !answer.is_ok_and(|answer| answer.status == 201), "{request}");
        host.take_daemon().wait_dead();
        host.start();
        assert!(!is_paused(&host), "{request}");
        host.docker(&["exec", "c1", "true"]).ok();
    }
    assert_eq!(host.docker(&["images", "-q", "never"]).ok(), "");
    // what the user has paused stays paused
    host.docker(&["pause", "c1"]).ok();
    host.crash_and_restart();
    assert!(is_paused(&host));
    host.docker(&["commit", "c1", "still"]).ok();
    assert!(is_paused(&host), "commit does not wake it");
    host.docker(&["unpause", "c1"]).ok();
    host.take_daemon().stop();
    host.start_with(&[], "engine.still.after_freeze=delay:500");
    let mut stream = host.api().connect().unwrap();
    stream
        .write_all(b"POST /commit?container=c1&pause=1&repo=gone HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    eventually("it stands still", || is_paused(&host).then_some(()));
    drop(stream);
    eventually("it goes on", || (!is_paused(&host)).then_some(()));
    host.docker(&["rm", "-f", "c1"]).ok();
    host.docker(&["volume", "rm", "data"]).ok();
    host.assert_no_leaks();
}
