//! CTR-06 and VOL: `cp` both ways, over every kind of file and mount, and against those who want it to leave the container.

use crate::hostile::tar_entry;
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wharf_testkit::{Cli, Host, eventually};

/// A container that sleeps after `script`.
fn container(host: &Host, cli: Cli, args: &[&str], script: &str) {
    let script = format!("{script}; touch /ready; exec sleep 600");
    let mut all = vec!["run", "-d", "--name", "c1"];
    all.extend(args);
    all.extend(["busybox", "sh", "-c", &script]);
    host.cli(cli, &all).ok();
    eventually("the container's files are made", || {
        (host.cli(cli, &["exec", "c1", "test", "-e", "/ready"]).code == 0).then_some(())
    });
}

fn inside(host: &Host, cli: Cli, script: &str) -> String {
    host.cli(cli, &["exec", "c1", "sh", "-c", script]).ok()
}

/// A path in the host's own folder, as text.
fn local(host: &Host, name: &str) -> String {
    host.dir().join(name).display().to_string()
}

fn write(path: impl AsRef<Path>, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Names and contents below a folder.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut stack = vec![folder.to_owned()];
    while let Some(at) = stack.pop() {
        for entry in std::fs::read_dir(&at).unwrap().flatten() {
            let (path, data) = (entry.path(), entry.path().symlink_metadata().unwrap());
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if data.is_dir() {
                stack.push(path);
                found.push(format!("{name}/"));
            } else if data.is_symlink() {
                found.push(format!("{name} -> {}", std::fs::read_link(&path).unwrap().display()));
            } else {
                found.push(format!("{name}={}", std::fs::read_to_string(&path).unwrap_or_default().trim()));
            }
        }
    }
    found.sort();
    found
}

/// A tar of members, ended.
pub(crate) fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// Source with flags, destination, what is there then or why not.
type OutCase<'a> = (&'a [&'a str], &'a str, Result<&'a [&'a str], &'a str>);
/// Flags, source, destination, one file that is there then or why not.
type InCase<'a> = (&'a [&'a str], &'a str, &'a str, Result<&'a str, &'a str>);

rows! {
    fn r_ctr_06_cp_out_lands_where_docker_puts_it(host, cli) {
        container(&host, cli, &[], "mkdir -p /a/dir; echo hi >/a/f; ln -s f /a/l; ln -s dir /a/ld; echo d >/a/dir/d");
        let out = host.dir().join("out");
        std::fs::create_dir(&out).unwrap();
        write(out.join("file"), "old");
        let cases: &[OutCase<'_>] = &[
            (&["c1:/a/f"], "", Ok(&["f=hi"])),
            (&["c1:a/f"], "/x", Ok(&["x=hi"])),
            (&["c1:/a/f"], "/file", Ok(&["file=hi"])),
            (&["c1:/a/dir"], "", Ok(&["dir/", "dir/d=d"])),
            (&["c1:/a/dir"], "/d2", Ok(&["d2/", "d2/d=d"])),
            (&["c1:/a/dir/."], "", Ok(&["d=d"])),
            (&["c1:/a/dir/."], "/d3", Ok(&["d3/", "d3/d=d"])),
            (&["c1:/a/l"], "", Ok(&["l -> f"])),
            (&["-L", "c1:/a/l"], "", Ok(&["l=hi"])),
            (&["-L", "c1:/a/ld"], "", Ok(&["ld/", "ld/d=d"])),
            (&["c1:/a/ld"], "", Ok(&["ld -> dir"])),
            (&["c1:/a/ld/"], "", Ok(&["ld/", "ld/d=d"])),
            (&["c1:/a/f"], "/new/", Err("no such directory")),
            (&["c1:/a/f"], "/no/x", Err("does not exist")),
            (&["c1:/a/dir"], "/file", Err("cannot copy directory")),
            (&["c1:/nope"], "", Err("Could not find the file /nope in container c1")),
            (&["nobody:/a"], "", Err("No such container: nobody")),
        ];
        for (args, to, expect) in cases {
            std::fs::remove_dir_all(&out).unwrap();
            std::fs::create_dir(&out).unwrap();
            write(out.join("file"), "old");
            let to = format!("{}{to}", out.display());
            let mut all = vec!["cp"];
            all.extend(*args);
            all.push(&to);
            let done = host.cli(cli, &all);
            match expect {
                Ok(expect) => {
                    done.ok();
                    let mut want: Vec<String> = expect.iter().map(|s| (*s).to_owned()).collect();
                    if !want.iter().any(|w| w.starts_with("file=")) {
                        want.push("file=old".into());
                    }
                    want.sort();
                    assert_eq!(tree(&out), want, "{all:?}");
                }
                Err(sentence) => {
                    let told = done.fails(1);
                    assert!(told.contains(sentence), "{all:?}: {told}");
                    assert_eq!(tree(&out), ["file=old"], "{all:?}");
                }
            }
        }
        let device = host.cli(cli, &["cp", "c1:/a/f", "/dev/null"]).fails(1);
        assert_eq!(device, "invalid output path: \"/dev/null\" must be a directory or a regular file: got a device");
        let both = host.cli(cli, &["cp", "c1:/a", "c1:/b"]).fails(1);
        assert_eq!(both, "copying between containers is not supported");
        assert_eq!(host.cli(cli, &["cp", "a", "b"]).fails(1), "must specify at least one container source");
    }

    fn r_ctr_06_cp_in_lands_where_docker_puts_it(host, cli) {
        container(&host, cli, &[], "true");
        let from = host.dir().join("from");
        std::fs::create_dir_all(from.join("dir")).unwrap();
        write(from.join("f"), "new");
        write(from.join("dir/d"), "d");
        symlink("f", from.join("l")).unwrap();
        symlink("dir", from.join("ld")).unwrap();
        let cases: &[InCase<'_>] = &[
            (&[], "f", "/a", Ok("f=new")),
            (&[], "f", "/a/x", Ok("x=new")),
            (&[], "f", "/a/old", Ok("old=new")),
            (&[], "f", "/a/olink", Ok("old=new")),
            (&[], "f", "/a/broken", Ok("gone=new")),
            (&[], "dir", "/a", Ok("dir/d=d")),
            (&[], "dir", "/a/n", Ok("n/d=d")),
            (&[], "dir/.", "/a", Ok("d=d")),
            (&[], "dir/.", "/a/n", Ok("n/d=d")),
            (&[], "l", "/a", Ok("l->f")),
            (&["-L"], "l", "/a", Ok("l=new")),
            (&["-L"], "ld", "/a", Ok("ld/d=d")),
            (&[], "ld/", "/a", Ok("ld/d=d")),
            (&[], "f", "/a/n/", Err("no such directory")),
            (&[], "f", "/a/no/x", Err("Could not find the file /a/no in container c1")),
            (&[], "dir", "/a/old", Err("cannot copy directory")),
            (&[], "nope", "/a", Err("no such file or directory")),
        ];
        for (flags, what, to, expect) in cases {
            inside(&host, cli, "rm -rf /a; mkdir /a; echo old >/a/old; ln -s old /a/olink; ln -s gone /a/broken");
            let (source, to) = (format!("{}/{what}", from.display()), format!("c1:{to}"));
            let mut all = vec!["cp"];
            all.extend(*flags);
            all.extend([source.as_str(), to.as_str()]);
            let done = host.cli(cli, &all);
            match expect {
                Ok(expect) => {
                    done.ok();
                    let list = "cd /a; for f in $(find . ! -type d | sort); do \
                        if [ -L $f ]; then echo ${f#./}-\\>$(readlink $f); else echo ${f#./}=$(cat $f); fi; done";
                    let seen = inside(&host, cli, list);
                    assert!(seen.lines().any(|line| line == *expect), "{all:?}: {seen}");
                }
                Err(sentence) => {
                    let told = done.fails(1);
                    assert!(told.contains(sentence), "{all:?}: {told}");
                }
            }
        }
    }

    fn r_ctr_06_cp_keeps_what_files_are(host, cli) {
        let from = host.dir().join("from");
        std::fs::create_dir_all(from.join("sub")).unwrap();
        write(from.join("one"), "1");
        std::fs::hard_link(from.join("one"), from.join("sub/two")).unwrap();
        std::fs::set_permissions(from.join("one"), PermissionsExt::from_mode(0o4751)).unwrap();
        rustix::fs::setxattr(from.join("one"), "user.mark", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
        host.run("mkfifo", &[&local(&host, "from/pipe")]).ok();
        host.run("mknod", &[&local(&host, "from/null"), "c", "1", "3"]).ok();
        host.run("touch", &["-d", "2001-02-03 04:05:06", &local(&host, "from/one"), &local(&host, "from/sub")]).ok();
        host.run("chown", &["1234:567", &local(&host, "from/one")]).ok();
        host.run("chmod", &["4751", &local(&host, "from/one")]).ok();
        container(&host, cli, &[], "true");
        host.cli(cli, &["cp", &local(&host, "from"), "c1:/to"]).ok();
        let seen = inside(&host, cli, "cd /to; stat -c '%n %u:%g %a %Y %h %F %t:%T' one sub/two sub pipe null | sort");
        let time = 981_173_106;
        let want = [
            "null 0:0 644 - 1 character special file 1:3".to_owned(),
            format!("one 1234:567 4751 {time} 2 regular file 0:0"),
            "pipe 0:0 644 - 1 fifo 0:0".to_owned(),
            format!("sub 0:0 755 {time} 2 directory 0:0"),
            format!("sub/two 1234:567 4751 {time} 2 regular file 0:0"),
        ];
        for (line, want) in seen.lines().zip(want) {
            let (line, want): (Vec<_>, Vec<_>) = (line.split(' ').collect(), want.split(' ').collect());
            let same = line.len() == want.len() && line.iter().zip(&want).all(|(a, b)| *b == "-" || a == b);
            assert!(same, "{line:?} is not {want:?}");
        }
        host.cli(cli, &["cp", "c1:/to", &local(&host, "back")]).ok();
        let data = host.dir().join("back/one").metadata().unwrap();
        assert_eq!((data.mode() & 0o7777, data.nlink(), data.mtime()), (0o4751, 2, time));
        assert_eq!((data.uid(), data.gid()), (0, 0), "what is copied out belongs to whoever copies");
        if cli == Cli::Wharf {
            // docker's client leaves these behind
            let mut value = [0; 16];
            let n = rustix::fs::getxattr(host.dir().join("back/one"), "user.mark", &mut value[..]).unwrap();
            assert_eq!(&value[..n], b"kept");
            host.cli(cli, &["cp", "-a", "c1:/to/one", &local(&host, "own")]).ok();
            let data = host.dir().join("own").metadata().unwrap();
            assert_eq!((data.uid(), data.gid()), (1234, 567));
        }
        host.cli(cli, &["create", "--name", "user", "-u", "1000:50", "busybox"]).ok();
        host.cli(cli, &["cp", "-a", &local(&host, "from/one"), "user:/tmp/mine"]).ok();
        let listed = host.cli(cli, &["cp", "user:/tmp/mine", "-"]).ok();
        assert!(listed.contains("0001750\0") && listed.contains("0000062\0"), "owned by 1000:50");
    }

    fn r_ctr_06_cp_streams_of_tar(host, cli) {
        container(&host, cli, &[], "mkdir /in; echo f >/f");
        let bytes = tar(&[tar_entry("d", b'5', "", b""), tar_entry("d/x", b'0', "", b"streamed")]);
        host.cli_with(cli, &["cp", "-", "c1:/in"], &bytes).ok();
        assert_eq!(inside(&host, cli, "cat /in/d/x"), "streamed");
        let out = host.cli(cli, &["cp", "c1:/in/d", "-"]);
        assert!(out.stdout.starts_with("d/\0") && out.stdout.contains("streamed"), "{:?}", out.stderr);
        let told = host.cli_with(cli, &["cp", "-", "c1:/f"], &bytes).fails(1);
        assert_eq!(told, "destination \"c1:/f\" must be a directory");
        assert_eq!(host.cli_with(cli, &["cp", "-", "c1:/in"], &vec![0xa5; 4096]).code, 1, "no tar");
        assert_eq!(host.cli_with(cli, &["cp", "-", "c1:/in"], &bytes[..bytes.len() - 1500]).code, 1, "half a tar");
        assert_eq!(inside(&host, cli, "ls /in /in/d"), "/in:\nd\n\n/in/d:\nx");
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.assert_no_leaks();
    }

    fn r_vol_cp_sees_mounts_as_the_container_does(host, cli) {
        let bound = host.dir().join("bound");
        std::fs::create_dir(&bound).unwrap();
        write(bound.join("b"), "bound");
        let bind = format!("{}:/bound", bound.display());
        let frozen = format!("{}:/frozen:ro", bound.display());
        let args = ["-v", "data:/data", "-v", &bind, "-v", &frozen, "--tmpfs", "/mem", "-h", "web"];
        container(&host, cli, &args, "echo v >/data/v; echo m >/mem/m");
        write(host.dir().join("x"), "x");
        let x = local(&host, "x");
        let read = |path: &str| {
            let to = local(&host, "got");
            let _ = std::fs::remove_file(&to);
            host.cli(cli, &["cp", &format!("c1:{path}"), &to]).ok();
            std::fs::read_to_string(to).unwrap().trim().to_owned()
        };
        assert_eq!((read("/data/v"), read("/bound/b"), read("/mem/m")), ("v".into(), "bound".into(), "m".into()));
        assert_eq!(read("/etc/hostname"), "web");
        for place in ["/data", "/bound", "/mem"] {
            host.cli(cli, &["cp", &x, &format!("c1:{place}/x")]).ok();
            assert_eq!(inside(&host, cli, &format!("cat {place}/x")), "x");
        }
        assert_eq!(std::fs::read_to_string(bound.join("x")).unwrap(), "x");
        let told = host.cli(cli, &["cp", &x, "c1:/frozen"]).fails(1);
        assert_eq!(told, "Error response from daemon: mounted volume is marked read-only");
        // a file that is mounted by itself gets new contents
        host.cli(cli, &["cp", &x, "c1:/etc/hostname"]).ok();
        assert_eq!(inside(&host, cli, "cat /etc/hostname"), "x");
        // /proc of a container is no place for files, and nothing of the kernel's is copied
        assert!(host.cli(cli, &["cp", "c1:/proc/1/environ", "-"]).fails(1).contains("Could not find the file"));
        host.cli(cli, &["cp", "c1:/", &local(&host, "all")]).ok();
        assert!(!host.dir().join("all/proc/1").exists() && !host.dir().join("all/sys/kernel").exists());
        assert_eq!(std::fs::read_to_string(host.dir().join("all/data/v")).unwrap(), "v\n");

        host.cli(cli, &["stop", "-t", "0", "c1"]).ok();
        assert_eq!((read("/data/v"), read("/bound/b")), ("v".into(), "bound".into()));
        host.cli(cli, &["cp", &x, "c1:/data/y"]).ok();
        let told = host.cli(cli, &["cp", &x, "c1:/frozen"]).fails(1);
        assert_eq!(told, "Error response from daemon: mounted volume is marked read-only");
        host.cli(cli, &["cp", &x, "c1:/own"]).ok();
        host.cli(cli, &["start", "c1"]).ok();
        assert_eq!(inside(&host, cli, "cat /data/y /own"), "x\nx".replace('\n', ""));

        host.cli(cli, &["create", "--name", "ro", "--read-only", "-v", "data:/data", "busybox"]).ok();
        let told = host.cli(cli, &["cp", &x, "ro:/tmp"]).fails(1);
        assert_eq!(told, "Error response from daemon: container rootfs is marked read-only");
        host.cli(cli, &["cp", &x, "ro:/data/z"]).ok();
        assert_eq!(inside(&host, cli, "cat /data/z"), "x");
        host.cli(cli, &["rm", "-f", "c1", "ro"]).ok();
        host.cli(cli, &["volume", "rm", "data"]).ok();
        host.assert_no_leaks();
    }
}

/// CVE-2018-15664: a container exchanges a folder for a link to a path of the host, 10,000 times, while files are copied out of
/// and into it. What is read is always the container's, and nothing outside is written.
#[test]
fn r_ctr_06_cp_against_a_container_that_exchanges_folders_for_links() {
    const EXCHANGES: u32 = 10_000;
    let host = Host::boot();
    let outside = host.dir().join("outside");
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    write(outside.join("sub/secret"), "HOST SECRET");
    write(outside.join("secret"), "HOST SECRET");
    let script = format!(
        "mkdir -p /w/d/sub; echo mine >/w/d/secret; echo mine >/w/d/sub/secret; ln -s {} /w/link",
        outside.display()
    );
    container(&host, Cli::Docker, &[], &script);
    let pid = host.api().get("/containers/c1/json").json()["State"]["Pid"].as_u64().unwrap();
    // the machine's number of the container's process: seen through the host's own /proc
    let root = PathBuf::from(format!("/proc/{}/root/proc/{pid}/root/w", host.init_pid()));
    let folder = rustix::fs::open(&root, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    let (swaps, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let mut copies = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&folder, "d", &folder, "link", exchange).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let api = host.api();
        let bytes = tar(&[tar_entry("planted", b'0', "", b"x"), tar_entry("sub/planted", b'0', "", b"x")]);
        while swaps.load(Ordering::Relaxed) < EXCHANGES || copies < 200 {
            for path in ["/w/d/secret", "/w/d/", "/w/d/sub", "/w"] {
                let answer = api.get(&format!("/containers/c1/archive?path={path}"));
                assert!(matches!(answer.status, 200 | 404 | 500), "{}", answer.message());
                assert!(!String::from_utf8_lossy(&answer.body).contains("HOST SECRET"), "{path}");
            }
            for path in ["/w/d", "/w/d/sub", "/w"] {
                let path = format!("/containers/c1/archive?path={path}");
                let answer = api.send("PUT", &path, Some("application/x-tar"), &bytes);
                assert!(answer.status != 0);
            }
            copies += 7;
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(tree(&outside), ["secret=HOST SECRET", "sub/", "sub/secret=HOST SECRET"]);
    host.docker(&["rm", "-f", "c1"]).ok();
    host.assert_no_leaks();
}

#[test]
fn r_ctr_06_cp_hostile_paths_and_archives() {
    let host = Host::boot();
    container(
        &host,
        Cli::Docker,
        &[],
        "mkdir -p /a/d; ln -s l2 /a/l1; ln -s l1 /a/l2; ln -s ../../../../../../etc /a/up",
    );
    write(host.dir().join("canary"), "untouched");
    let api = host.api();
    let stat = |path: &str| api.send("GET", &format!("/containers/c1/archive?path={path}"), None, b"").status;
    assert_eq!(stat("/../../../a/d"), 200);
    assert_eq!(stat("//a//d//"), 200);
    assert_eq!(stat("/a/l1/x"), 500, "links in circles");
    assert_eq!(stat("/a/l1"), 500);
    assert_eq!(stat(&format!("/{}", "x/".repeat(2048))), 500, "4,096 bytes and more");
    assert_eq!(stat(&"y".repeat(300)), 500, "a name that no file system has");
    assert_eq!(stat("/a%00b"), 400);
    assert_eq!(stat(""), 400);
    assert_eq!(stat("/proc/self/root/etc"), 404);
    assert_eq!(stat("/proc/1/root"), 404);
    assert_eq!(stat("/a/up/passwd"), 200, "the container's own");
    let put = |path: &str, members: &[Vec<u8>]| {
        let path = format!("/containers/c1/archive?path={path}");
        api.send("PUT", &path, Some("application/x-tar"), &tar(members))
    };
    let canary = host.dir().join("canary").display().to_string();
    let up = format!("{}{canary}", "../".repeat(20));
    assert_eq!(put("/a", &[tar_entry(&up, b'0', "", b"x")]).status, 400);
    assert_eq!(
        put("/a", &[tar_entry(&canary, b'0', "", b"x")]).status,
        200,
        "absolute names lie below the destination"
    );
    let through = [tar_entry("esc", b'2', host.dir().to_str().unwrap(), b""), tar_entry("esc/canary", b'0', "", b"x")];
    put("/a", &through);
    assert_ne!(put("/a", &[tar_entry("hard", b'1', &up, b"")]).status, 200);
    assert_ne!(put("/a", &[tar_entry("hard", b'1', "/etc/hostname", b"")]).status, 200, "no such file below /a");
    assert_eq!(put("/a/up", &[tar_entry("in-etc", b'0', "", b"x")]).status, 200);
    assert_eq!(inside(&host, Cli::Docker, "cat /etc/in-etc; ls /a/hard 2>/dev/null || true"), "x");
    assert_ne!(put("/a", &[tar_entry("white", b'3', "", b"")]).status, 200, "a deletion of overlayfs is no device");
    let mut short = tar_entry("short", b'0', "", &[b'x'; 5000]);
    short.truncate(2048);
    let answer = api.send("PUT", "/containers/c1/archive?path=/a", Some("application/x-tar"), &short);
    assert_eq!(answer.status, 400, "{}", answer.message());
    assert_eq!(inside(&host, Cli::Docker, "ls -A /a | grep -e short -e wharf || true"), "", "only whole files");
    assert_eq!(std::fs::read_to_string(host.dir().join("canary")).unwrap(), "untouched");
    let told = put("/a", &[tar_entry("d", b'0', "", b"x")]);
    assert_eq!(told.status, 200, "{}", told.message());
    let keep = "/containers/c1/archive?path=/&noOverwriteDirNonDir=1";
    let told = api.send("PUT", keep, Some("application/x-tar"), &tar(&[tar_entry("a", b'0', "", b"x")]));
    assert_eq!(told.message(), "cannot overwrite directory \"a\" with non-directory \"/\"");
    host.docker(&["rm", "-f", "c1"]).ok();
    host.assert_no_leaks();
}

/// A client that goes away in the middle leaves what was whole; so does the death of the daemon.
#[test]
fn r_ctr_06_cp_interrupted_leaves_whole_files_only() {
    let mut host = Host::boot();
    host.docker(&["create", "--name", "c1", "busybox", "sleep", "600"]).ok();
    let mut half = tar_entry("whole", b'0', "", b"whole");
    half.extend(&tar_entry("half", b'0', "", &vec![b'x'; 3_000_000])[..1_000_000]);
    let begin = |host: &Host| {
        let mut stream = host.api().connect().unwrap();
        let head = "PUT /containers/c1/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&half).unwrap();
        stream
    };
    let listed = |host: &Host| host.docker(&["cp", "c1:/tmp", "-"]).ok();
    let stream = begin(&host);
    eventually("the first file is there", || listed(&host).contains("tmp/whole").then_some(()));
    drop(stream);
    // a start waits until nobody is at the files any more
    host.docker(&["start", "c1"]).ok();
    assert!(!listed(&host).contains("tmp/half"));
    assert!(!listed(&host).contains("wharf-"));

    let stream = begin(&host);
    eventually("the first file is there", || listed(&host).contains("tmp/whole").then_some(()));
    host.crash_and_restart();
    drop(stream);
    assert!(!listed(&host).contains("tmp/half"));
    host.docker(&["stop", "-t", "0", "c1"]).ok();
    host.take_daemon().kill();
    host.start_with(&[], "engine.view.after_mount=kill");
    assert_ne!(host.docker(&["cp", "c1:/tmp", "-"]).code, 0);
    host.take_daemon().wait_dead();
    host.start();
    assert!(listed(&host).contains("tmp/whole"));
    host.docker(&["start", "c1"]).ok();
    assert_eq!(host.api().get("/containers/c1/json").json()["State"]["Running"], json!(true));
    host.docker(&["rm", "-f", "c1"]).ok();
    host.assert_no_leaks();
}

/// Several clients at a container that does not run: nobody takes away what another one writes through.
#[test]
fn r_ctr_06_cp_at_the_same_time() {
    let host = Host::boot();
    host.docker(&["create", "--name", "c1", "busybox", "sleep", "600"]).ok();
    let begin = |n: usize| {
        let mut stream = host.api().connect().unwrap();
        // a folder of the image is copied up by the first file in it
        let head =
            format!("PUT /containers/c1/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n", 1024 + 1024);
        stream.write_all(head.as_bytes()).unwrap();
        let folder = ["tmp", "etc", "root", "bin"][n];
        (stream, tar_entry(&format!("{folder}/f{n}"), b'0', "", b"x"))
    };
    let uploads: Vec<_> = (0..4).map(begin).collect();
    // each of them has the files in view already, and more come
    assert!(host.docker(&["cp", "c1:/etc/passwd", "-"]).ok().contains("root"));
    for (mut stream, entry) in uploads {
        host.docker(&["cp", "c1:/etc/group", "-"]).ok();
        stream.write_all(&entry).unwrap();
        stream.write_all(&[0; 1024]).unwrap();
        let mut answer = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 200");
    }
    for path in ["tmp/f0", "etc/f1", "root/f2", "bin/f3"] {
        assert!(host.docker(&["cp", &format!("c1:/{path}"), "-"]).ok().contains('x'), "{path}");
    }
    host.docker(&["start", "c1"]).ok();
    assert_eq!(host.docker(&["exec", "c1", "cat", "/tmp/f0", "/etc/f1"]).ok(), "xx");
    host.docker(&["rm", "-f", "c1"]).ok();
    host.assert_no_leaks();
}
