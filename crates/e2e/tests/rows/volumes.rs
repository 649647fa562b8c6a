//! VOL-01 … VOL-10: where users' data lives.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use wharf_testkit::{Cli, Host, eventually};

/// What a short-lived container with `options` prints.
pub(crate) fn inside(host: &Host, cli: Cli, options: &[&str], script: &str) -> String {
    let mut args = vec!["run", "--rm"];
    args.extend(options);
    args.extend(["busybox", "sh", "-c", script]);
    host.cli(cli, &args).ok()
}

/// A volume's folder on the host.
pub(crate) fn data(host: &Host, name: &str) -> PathBuf {
    host.data_root().join("volumes").join(name).join("_data")
}

pub(crate) fn volume(host: &Host, name: &str) -> Value {
    host.api().get(&format!("/volumes/{name}")).json()
}

/// Names of all volumes, and what else lies in their folder.
fn folders(host: &Host) -> Vec<String> {
    let entries = std::fs::read_dir(host.data_root().join("volumes")).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// An image with files and a `VOLUME`.
fn data_image(host: &Host, cli: Cli, name: &str, script: &str) {
    host.cli(cli, &["run", "--name", "maker", "busybox", "sh", "-c", script]).ok();
    host.cli(cli, &["commit", "-c", "VOLUME /data", "maker", name]).ok();
    host.cli(cli, &["rm", "maker"]).ok();
}

/// What a run that must fail says. (Clients make different codes of the words in it.)
pub(crate) fn said_no(output: wharf_testkit::Output) -> String {
    assert_ne!(output.code, 0, "{}", output.stdout);
    output.stderr
}

/// The plugin program, listening as `folders`.
pub(crate) struct Plugin {
    child: Child,
    pub(crate) root: PathBuf,
}

impl Plugin {
    fn start(host: &Host) -> Plugin {
        Plugin::start_at(host, "/run/docker/plugins/folders.sock")
    }

    /// Listening at a socket, or at what else the program knows.
    pub(crate) fn start_at(host: &Host, place: &str) -> Plugin {
        let root = host.dir().join("plugin");
        std::fs::create_dir_all(&root).unwrap();
        let program = root.join("plugin.py");
        std::fs::write(&program, include_str!("plugin.py")).unwrap();
        let mut command = host.enter("python3");
        command.arg(&program).arg(place).arg(&root);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Plugin { child, root }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.log().lines().filter(|line| line.starts_with(method)).count()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // it ends with its input; the child is nsenter, which waits for it
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

rows! {
    fn r_vol_01_create_list_inspect_remove(host, cli) {
        assert_eq!(host.cli(cli, &["volume", "create", "--label", "a=b", "one"]).ok(), "one");
        let anonymous = host.cli(cli, &["volume", "create"]).ok();
        assert_eq!(anonymous.len(), 64);
        host.cli(cli, &["create", "--name", "c1", "-v", "two:/x", "-v", "/y", "busybox"]).ok();
        let names = |args: &[&str]| {
            let mut all = vec!["volume", "ls", "-q"];
            all.extend(args);
            host.cli(cli, &all).ok()
        };
        assert_eq!(names(&["--filter", "name=o"]).split_whitespace().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(names(&["-f", "label=a=b"]), "one");
        assert_eq!(names(&["-f", "dangling=true", "-f", "label=a"]), "one");
        assert_eq!(names(&["-f", "dangling=false", "-f", "name=two"]), "two");
        assert_eq!(names(&["-f", "driver=nosuch"]), "");
        assert!(host.cli(cli, &["volume", "ls", "-f", "bogus=1"]).fails(1).contains("invalid filter 'bogus'"));
        assert_eq!(host.cli(cli, &["volume", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}", "-f", "name=one"]).ok(), "one local local");
        let shown = volume(&host, "one");
        assert_eq!(shown["Mountpoint"], json!(data(&host, "one")));
        assert_eq!((&shown["Options"], &shown["Labels"], &shown["Scope"]), (&json!(null), &json!({"a": "b"}), &json!("local")));
        // in use is not removed, whatever is asked
        let id = host.cli(cli, &["inspect", "-f", "{{.Id}}", "c1"]).ok();
        let refused = host.cli(cli, &["volume", "rm", "-f", "two"]).fails(1);
        assert!(refused.contains(&format!("remove two: volume is in use - [{id}]")), "{refused}");
        assert!(host.cli(cli, &["volume", "rm", "nosuch"]).fails(1).contains("get nosuch: no such volume"));
        host.cli(cli, &["volume", "rm", "-f", "nosuch"]).ok();
        // prune: the anonymous ones; with -a all; those with options never
        host.cli(cli, &["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).ok();
        let pruned = host.cli(cli, &["volume", "prune", "-f"]).ok();
        assert!(pruned.contains(&anonymous) && !pruned.contains("one"), "{pruned}");
        assert!(host.cli(cli, &["volume", "prune", "-af", "--filter", "label!=a"]).ok().contains("Total reclaimed space: 0B"));
        assert!(host.cli(cli, &["volume", "prune", "-af"]).ok().contains("one\n"));
        assert_eq!(names(&["-f", "name=two", "-f", "name=memory"]), "memory\ntwo");
        // an old client means the named ones, too
        host.cli(cli, &["volume", "create", "old"]).ok();
        let api = host.api().call("POST", "/v1.41/volumes/prune", Value::Null);
        assert_eq!(api.json()["VolumesDeleted"], json!(["old"]));
        host.cli(cli, &["rm", "-v", "c1"]).ok();
        assert_eq!(names(&["-f", "dangling=true"]), "memory\ntwo");
        host.cli(cli, &["volume", "rm", "memory", "two"]).ok();
        assert_eq!(folders(&host), [""; 0]);
    }

    fn r_vol_01_mistakes(host, cli) {
        let refused = |args: &[&str], why: &str| {
            let mut all = vec!["volume", "create"];
            all.extend(args);
            let said = host.cli(cli, &all).fails(1);
            assert!(said.contains(why), "{args:?}: {said}");
        };
        refused(&["-o", "foo=x", "v1"], "create v1: invalid option: \"foo\"");
        refused(&["-o", "type=tmpfs", "v1"], "create v1: missing required option: \"device\"");
        refused(&["-o", "o=bind", "v1"], "create v1: missing required option: \"device\"");
        refused(&["-o", "size=xx", "v1"], "create v1: invalid size: 'xx'");
        refused(&["-d", "nosuch", "v1"], "create v1: error looking up volume plugin nosuch: plugin \"nosuch\" not found");
        refused(&["a"], "create a: volume name is too short, names should be at least two alphanumeric characters");
        for name in ["../x", "a/b", ".x", "x y", "a\u{e9}", "a%2fb", "a\\b", "-x\u{7}"] {
            refused(&["--", name], "includes invalid characters for a local volume name");
        }
        refused(&[&"x".repeat(256)], "");
        let gone = host.api().call("PUT", "/volumes/v1?version=1", json!({}));
        assert_eq!((gone.status, gone.message().as_str()), (503, "volume update only valid for cluster volumes, but swarm is unavailable"));
        assert_eq!(folders(&host), [""; 0]);
    }

    fn r_vol_01_driver_options_are_mounts(host, cli) {
        host.cli(cli, &["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7", "memory"]).ok();
        let shared = host.dir().join("shared");
        std::fs::create_dir(&shared).unwrap();
        let device = format!("device={}", shared.display());
        host.cli(cli, &["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "bound"]).ok();
        host.cli(cli, &["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/nowhere", "broken"]).ok();
        let said = said_no(host.cli(cli, &["run", "--rm", "-v", "broken:/x", "busybox", "true"]));
        assert!(said.contains("failed to mount local volume: mount /nowhere:"), "{said}");
        assert!(said.contains("flags: 0x1000: no such file or directory"), "{said}");
        for name in ["c1", "c2"] {
            host.cli(cli, &["run", "-d", "--name", name, "-v", "memory:/m", "-v", "bound:/b", "busybox", "sleep", "600"]).ok();
        }
        // one file system for both, with the options given
        host.cli(cli, &["exec", "c1", "sh", "-c", "echo hello > /m/f; echo there > /b/f"]).ok();
        assert_eq!(host.cli(cli, &["exec", "c2", "cat", "/m/f", "/b/f"]).ok(), "hello\nthere");
        assert_eq!(std::fs::read_to_string(shared.join("f")).unwrap(), "there\n");
        assert!(host.cli(cli, &["exec", "c2", "sh", "-c", "dd if=/dev/zero of=/m/big bs=64k count=32"]).code == 1, "limited to 1 MiB");
        assert_eq!(host.cli(cli, &["exec", "c2", "stat", "-c", "%u", "/m"]).ok(), "7");
        // a daemon that comes back knows what is mounted for whom
        host.crash_and_restart();
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        assert_eq!(host.cli(cli, &["exec", "c2", "cat", "/m/f"]).ok(), "hello");
        host.cli(cli, &["rm", "-f", "c2"]).ok();
        host.assert_no_leaks();
        // memory is gone with its last user, the folder is not
        assert_eq!(inside(&host, cli, &["-v", "memory:/m", "-v", "bound:/b"], "ls /m; cat /b/f"), "there");
        // a mount whose user vanished with the daemon goes when it comes back
        host.cli(cli, &["run", "-d", "--name", "c3", "-v", "memory:/m", "busybox", "sleep", "600"]).ok();
        let pid = host.cli(cli, &["inspect", "-f", "{{.State.Pid}}", "c3"]).ok();
        host.take_daemon().kill();
        host.run("kill", &["-9", &pid]).ok();
        eventually("it is gone", || (host.run("test", &["-e", &format!("/proc/{pid}")]).code == 1).then_some(()));
        host.start();
        host.cli(cli, &["rm", "-f", "c3"]).ok();
        host.assert_no_leaks();
    }

    fn r_vol_02_forms_and_refusals(host, cli) {
        let refused = |args: &[&str], why: &str| {
            let mut all = vec!["create"];
            all.extend(args);
            all.push("busybox");
            let said = host.cli(cli, &all);
            assert_ne!(said.code, 0, "{args:?}");
            assert!(said.stderr.contains(why), "{args:?}: {}", said.stderr);
        };
        refused(&["-v", "/a:/b:zz"], "invalid mode: zz");
        refused(&["-v", "/a:/"], "invalid specification: destination can't be '/'");
        refused(&["--mount", "type=bind,source=/nowhere,target=/c"], "bind source path does not exist: /nowhere");
        refused(&["--mount", "type=tmpfs,source=x,target=/c"], "field Source must not be specified");
        refused(&["--mount", "type=volume,source=v1,target=/c,volume-subpath=../x"], "subpath must be a relative path within the volume");
        refused(&["--mount", "type=volume,target=/c,readonly"], "must not set ReadOnly mode when using anonymous volumes");
        refused(&["--tmpfs", "/"], "invalid specification: destination can't be '/'");
        refused(&["--volumes-from", "nosuch"], "No such container: nosuch");
        let api = |body: Value| {
            let answer = host.api().call("POST", "/containers/create", json!({"Image": "busybox", "HostConfig": body}));
            (answer.status, answer.message())
        };
        // Docker's own status codes
        assert_eq!(api(json!({"Binds": ["/a:/b:zz"]})).0, 500);
        assert_eq!(api(json!({"Binds": ["a:/b"]})).0, 400);
        assert_eq!(api(json!({"VolumesFrom": ["nosuch"]})).0, 400);
        // through the API: clients take it for the container's own image, and pull that
        let image = api(json!({"Mounts": [{"Type": "image", "Source": "nosuch", "Target": "/c"}]}));
        assert!(image.0 == 404 && image.1.starts_with("No such image: nosuch"), "{image:?}");
        assert_eq!(api(json!({"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/c", "VolumeOptions": {"NoCopy": true}}]})),
            (400, "VolumeOptions must not be specified on mount type \"bind\"".into()));
        assert_eq!(api(json!({"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/c"}]})),
            (400, "invalid mount config for type \"npipe\": mount type unknown".into()));
        assert_eq!(api(json!({"Mounts": [{"Type": "tmpfs", "Target": "/c", "TmpfsOptions": {"Options": [["uid", "3"]]}}]})),
            (400, "invalid mount config for type \"tmpfs\": invalid option: uid".into()));
        // what works
        let all = inside(&host, cli, &["--mount", "type=volume,source=v1,target=/v,volume-label=x=y", "--mount", "type=tmpfs,target=/t,tmpfs-size=64k,tmpfs-mode=700",
            "--tmpfs", "/t2:size=32k,exec", "-v", "/w"], "for m in /v /t /t2 /w; do grep -c \" $m \" /proc/mounts; done; stat -c %a /t; grep -E ' /t2? ' /proc/mounts | grep -o 'size=[0-9k]*' | sort");
        assert_eq!(all, "1\n1\n1\n1\n700\nsize=32k\nsize=64k");
        assert_eq!(volume(&host, "v1")["Labels"], json!({"x": "y"}));
        // nested ones in the right order, whatever order they are given in
        let nested = inside(&host, cli, &["-v", "v2:/a/b/c", "--tmpfs", "/a", "-v", "v1:/a/b"], "grep -o ' /a[/abc]* ' /proc/mounts");
        assert_eq!(nested.split_whitespace().collect::<Vec<_>>(), ["/a", "/a/b", "/a/b/c"]);
        // odd paths
        assert_eq!(inside(&host, cli, &["-v", "v1://x//y/../z/"], "grep -o '/x/[^ ]*' /proc/mounts"), "/x/z");
        let long = format!("/{}", vec!["d".repeat(200); 20].join("/"));
        let said = host.cli(cli, &["run", "--rm", "-v", &format!("v1:{long}"), "busybox", "true"]);
        assert!(said.code == 0 || said.stderr.contains("name too long"), "{}", said.stderr);
        let longer = format!("{long}/{}", "x".repeat(300));
        said_no(host.cli(cli, &["run", "--rm", "-v", &format!("v1:{longer}"), "busybox", "true"]));
        assert!(said_no(host.cli(cli, &["run", "--rm", "-v", "v1:/proc", "busybox", "true"])).contains("proc"));
        said_no(host.cli(cli, &["run", "--rm", "-v", "v1:/proc/sys", "busybox", "true"]));
        assert_eq!(inside(&host, cli, &["-v", "fresh:/sys"], "ls /sys | wc -l"), "0");
        host.assert_no_leaks();
    }

    fn r_vol_02_links_stay_inside(host, cli) {
        let target = host.dir().join("outside");
        std::fs::create_dir(&target).unwrap();
        // an image whose /data is a link to the host's folder, and to /proc
        host.cli(cli, &["run", "--name", "maker", "busybox", "sh", "-c",
            &format!("ln -s {} /data; ln -s /proc /p; ln -s ../../../../etc /up; ln -s loop /loop", target.display())]).ok();
        host.cli(cli, &["commit", "maker", "linked"]).ok();
        host.cli(cli, &["rm", "maker"]).ok();
        let run = |mount: &str, script: &str| host.cli(cli, &["run", "--rm", "-v", mount, "linked", "sh", "-c", script]);
        run("v1:/data", "echo x > /data/f").ok();
        assert!(!target.join("f").exists());
        assert_eq!(std::fs::read_to_string(data(&host, "v1").join("f")).unwrap(), "x\n");
        assert_eq!(run("v1:/up", "cat /etc/f").ok(), "x");
        assert_ne!(run("v1:/p", "true").code, 0);
        assert_ne!(run("v1:/loop", "true").code, 0);
        host.assert_no_leaks();
    }

    fn r_vol_02_subpaths(host, cli) {
        inside(&host, cli, &["-v", "v1:/v"], "mkdir -p /v/a/b; echo deep > /v/a/b/f; ln -s /etc /v/out; ln -s a/b /v/in; ln -s ../../../.. /v/up");
        let with = |subpath: &str| {
            let mount = format!("type=volume,source=v1,target=/x,volume-subpath={subpath}");
            host.cli(cli, &["run", "--rm", "--mount", &mount, "busybox", "sh", "-c", "cat /x/f 2>/dev/null || cat /x"])
        };
        assert_eq!(with("a/b").ok(), "deep");
        assert_eq!(with("in").ok(), "deep");
        assert_eq!(with("a/b/f").ok(), "deep");
        assert!(said_no(with("nosuch")).contains("cannot access path"));
        for out in ["out", "up"] {
            assert!(said_no(with(out)).contains("leads out of the volume"), "{out}");
        }
        host.assert_no_leaks();
    }

    fn r_vol_02_image_mounts(host, cli) {
        data_image(&host, cli, "packed", "mkdir /data; echo one > /data/f; rm /bin/vi");
        let mount = |options: &str| format!("type=image,source=packed,target=/img{options}");
        let said = inside(&host, cli, &["--mount", &mount("")], "cat /img/data/f; ls /img/bin/vi 2>&1; touch /img/x 2>&1; true");
        assert_eq!(said, "one\nls: /img/bin/vi: No such file or directory\ntouch: /img/x: Read-only file system");
        assert_eq!(inside(&host, cli, &["--mount", &mount(",image-subpath=data")], "cat /img/f"), "one");
        host.cli(cli, &["create", "--name", "c1", "--mount", "type=image,source=busybox,target=/img", "--mount", "type=image,source=packed,target=/p", "busybox"]).ok();
        let shown = host.cli(cli, &["inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}};{{end}}", "c1"]).ok();
        assert_eq!(shown, "image busybox /img false;image packed /p false;");
        // a mounted image is in use
        assert_ne!(host.cli(cli, &["rmi", "packed"]).code, 0);
        host.cli(cli, &["rm", "c1"]).ok();
        host.cli(cli, &["rmi", "packed"]).ok();
        host.assert_no_leaks();
    }

    fn r_vol_02_id_mapped_binds(host, cli) {
        let shared = host.dir().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::os::unix::fs::chown(&shared, Some(1234), Some(1235)).unwrap();
        let body = json!({"Image": "busybox", "User": "1000:1001", "Cmd": ["sh", "-c", "stat -c '%u %g' /x; echo hi > /x/f; stat -c '%u %g' /x/f"],
            "HostConfig": {"Mounts": [{"Type": "bind", "Source": shared, "Target": "/x", "BindOptions": {"IdMap": {"Uid": 1000, "Gid": 1001}}}]}});
        assert_eq!(host.api().call("POST", "/containers/create?name=c1", body).status, 201);
        assert_eq!(host.cli(cli, &["start", "-a", "c1"]).ok(), "1000 1001\n1000 1001");
        let made = std::fs::metadata(shared.join("f")).unwrap();
        assert_eq!((made.uid(), made.gid()), (1234, 1235));
        if cli == Cli::Wharf {
            let mount = format!("type=bind,source={},target=/x,uid=77", shared.display());
            assert_eq!(inside(&host, cli, &["-u", "77", "--mount", &mount], "stat -c %u /x /x/f"), "77\n77");
        }
        host.cli(cli, &["rm", "c1"]).ok();
    }

    fn r_vol_02_propagation(host, cli) {
        let there = host.dir().join("there").display().to_string();
        for line in [format!("mkdir -p {there}/later {there}/inner"), format!("mount --bind {there} {there}")] {
            let (program, rest) = line.split_once(' ').unwrap();
            host.run(program, &rest.split(' ').collect::<Vec<_>>()).ok();
        }
        // what nobody shares cannot be shared on
        host.run("mount", &["--make-private", &there]).ok();
        for (mode, why) in [("rshared", "is not a shared mount"), ("rslave", "is not a shared or slave mount")] {
            let said = said_no(host.cli(cli, &["run", "--rm", "-v", &format!("{there}:/m:{mode}"), "busybox", "true"]));
            assert!(said.contains(why), "{said}");
        }
        host.run("mount", &["--make-shared", &there]).ok();
        for mode in ["rprivate", "rslave", "rshared"] {
            host.cli(cli, &["run", "-d", "--name", mode, "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "-v", &format!("{there}:/m:{mode},delegated"), "busybox", "sleep", "600"]).ok();
        }
        host.run("mount", &["-t", "tmpfs", "later", &format!("{there}/later")]).ok();
        host.run("touch", &[&format!("{there}/later/seen")]).ok();
        for (mode, sees) in [("rprivate", ""), ("rslave", "seen"), ("rshared", "seen")] {
            assert_eq!(host.cli(cli, &["exec", mode, "ls", "/m/later"]).ok(), sees, "{mode}");
        }
        // the other way only where it is shared
        for (mode, sees) in [("rprivate", ""), ("rslave", ""), ("rshared", "made")] {
            host.cli(cli, &["exec", mode, "sh", "-c", "mount -t tmpfs inner /m/inner && touch /m/inner/made"]).ok();
            assert_eq!(host.run("ls", &[&format!("{there}/inner")]).ok(), sees, "{mode}");
        }
        host.cli(cli, &["rm", "-f", "rprivate", "rslave", "rshared"]).ok();
        for place in ["later", "inner", ""] {
            host.run("umount", &[&format!("{there}/{place}")]).ok();
        }
        host.assert_no_leaks();
    }

    fn r_vol_03_copy_up(host, cli) {
        data_image(&host, cli, "packed", "mkdir -p /data/sub; echo one > /data/f; chown 3:4 /data/f; chmod 4711 /data/f; ln /data/f /data/sub/again; ln -s /etc/passwd /data/link; chown 5:6 /data; chmod 1770 /data; mkfifo /data/pipe");
        let check = "stat -c '%u %g %a' /data /data/f; stat -c %h /data/sub/again; readlink /data/link; test -p /data/pipe && cat /data/f";
        let expect = "5 6 1770\n3 4 4711\n2\n/etc/passwd\none";
        let run = |options: &[&str], script: &str| {
            let mut args = vec!["run", "--rm"];
            args.extend(options);
            args.extend(["packed", "sh", "-c", script]);
            host.cli(cli, &args).ok()
        };
        assert_eq!(run(&[], check), expect);
        assert_eq!(run(&["-v", "v1:/data"], check), expect);
        // never twice, and not where there is something
        assert_eq!(run(&["-v", "v1:/data"], "rm -r /data/*; echo two > /data/mine"), "");
        assert_eq!(run(&["-v", "v1:/data"], "ls /data"), "mine");
        assert_eq!(run(&["-v", "v2:/data:nocopy"], "ls /data"), "");
        assert_eq!(run(&["-v", "v2:/data:ro"], "cat /data/f; rm /data/f 2>&1; true"), "one\nrm: can't remove '/data/f': Read-only file system");
        // a bind hides what is there
        let shared = host.dir().join("shared");
        std::fs::create_dir(&shared).unwrap();
        assert_eq!(run(&["-v", &format!("{}:/data", shared.display())], "ls /data"), "");
        host.assert_no_leaks();
    }

    fn r_vol_04_sources(host, cli) {
        let base = host.dir().join("base");
        let missing = base.join("a/b");
        inside(&host, cli, &["-v", &format!("{}:/x", missing.display())], "echo hi > /x/f");
        assert_eq!(std::fs::read_to_string(missing.join("f")).unwrap(), "hi\n");
        // a single file, and the error for a file on a folder
        let file = missing.join("f");
        assert_eq!(inside(&host, cli, &["-v", &format!("{}:/etc/one", file.display())], "cat /etc/one; echo more >> /etc/one"), "hi");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "hi\nmore\n");
        let said = host.cli(cli, &["run", "--rm", "-v", &format!("{}:/etc", file.display()), "busybox", "true"]);
        assert!(said.code != 0 && said.stderr.contains("not a directory"), "{}", said.stderr);
        // read-only means what is mounted below, too
        let inner = base.join("inner");
        std::fs::create_dir(&inner).unwrap();
        host.run("mount", &["-t", "tmpfs", "tmpfs", inner.to_str().unwrap()]).ok();
        let script = "touch /x/f 2>/dev/null || echo no; touch /x/inner/f 2>/dev/null || echo no";
        assert_eq!(inside(&host, cli, &["-v", &format!("{}:/x:ro", base.display())], script), "no\nno");
        let mount = |options: &str| format!("type=bind,source={},target=/x,readonly,{options}", base.display());
        assert_eq!(inside(&host, cli, &["--mount", &mount("bind-recursive=writable")], script), "no");
        assert_eq!(inside(&host, cli, &["--mount", &mount("bind-recursive=readonly,bind-propagation=rprivate")], script), "no\nno");
        assert_eq!(inside(&host, cli, &["--mount", &mount("bind-recursive=disabled")], "grep -c ' /x/inner ' /proc/mounts || true"), "0");
        host.run("umount", &[inner.to_str().unwrap()]).ok();
        host.assert_no_leaks();
    }

    fn r_vol_05_volumes_from(host, cli) {
        host.cli(cli, &["run", "--name", "src", "-v", "named:/n", "-v", "/anon", "--tmpfs", "/t", "busybox", "sh", "-c", "echo n > /n/f; echo a > /anon/f"]).ok();
        host.cli(cli, &["create", "--name", "other", "-v", "second:/n:ro", "busybox"]).ok();
        // a stopped source will do; its anonymous volume comes along
        assert_eq!(inside(&host, cli, &["--volumes-from", "src"], "cat /n/f /anon/f"), "n\na");
        assert_eq!(inside(&host, cli, &["--volumes-from", "src:ro"], "touch /n/x 2>/dev/null || echo no"), "no");
        // several sources: the last wins on the same path, with its mode
        assert_eq!(inside(&host, cli, &["--volumes-from", "src", "--volumes-from", "other"], "ls /n; cat /anon/f; touch /n/x 2>/dev/null || echo no"), "a\nno");
        // an own one wins over both
        assert_eq!(inside(&host, cli, &["--volumes-from", "src", "-v", "third:/n"], "ls /n"), "");
        let anonymous = host.cli(cli, &["inspect", "-f", "{{range .Mounts}}{{if eq .Destination \"/anon\"}}{{.Name}}{{end}}{{end}}", "src"]).ok();
        host.cli(cli, &["run", "-d", "--name", "user", "--volumes-from", "src", "busybox", "sleep", "600"]).ok();
        // rm -v of the first does not take what the second uses
        host.cli(cli, &["rm", "-v", "src"]).ok();
        assert_eq!(host.cli(cli, &["exec", "user", "cat", "/n/f", "/anon/f"]).ok(), "n\na");
        assert!(host.cli(cli, &["volume", "rm", &anonymous]).fails(1).contains("volume is in use"));
        host.cli(cli, &["rm", "-f", "-v", "user"]).ok();
        let left = host.cli(cli, &["volume", "ls", "-q"]).ok();
        assert_eq!(left.lines().collect::<Vec<_>>(), ["named", "second", "third"]);
        // without -v an anonymous one stays, as an orphan
        host.cli(cli, &["run", "--name", "c1", "-v", "/anon", "busybox", "true"]).ok();
        host.cli(cli, &["rm", "c1"]).ok();
        assert_eq!(host.cli(cli, &["volume", "ls", "-qf", "dangling=true"]).ok().lines().count(), 3);
        assert!(host.cli(cli, &["run", "--rm", "--volumes-from", "c1", "busybox", "true"]).fails(125).contains("No such container: c1"));
    }

    fn r_vol_06_data_packed_containers(host, cli) {
        data_image(&host, cli, "packed", "mkdir /data; echo page > /data/index.html");
        host.cli(cli, &["create", "--name", "pack", "packed", "true"]).ok();
        for name in ["w1", "w2"] {
            host.cli(cli, &["run", "-d", "--name", name, "--volumes-from", "pack", "busybox", "httpd", "-f", "-h", "/data"]).ok();
        }
        let fetch = "until wget -q -O - http://127.0.0.1/index.html; do :; done";
        for name in ["w1", "w2"] {
            assert_eq!(host.cli(cli, &["exec", name, "sh", "-c", fetch]).ok(), "page");
        }
        host.cli(cli, &["exec", "w1", "sh", "-c", "echo changed > /data/index.html"]).ok();
        assert_eq!(host.cli(cli, &["exec", "w2", "sh", "-c", fetch]).ok(), "changed");
        host.cli(cli, &["rm", "-f", "w1", "pack"]).ok();
        assert_eq!(host.cli(cli, &["exec", "w2", "sh", "-c", fetch]).ok(), "changed");
        host.cli(cli, &["rm", "-fv", "w2"]).ok();
        assert_eq!(folders(&host), [""; 0]);
    }

    fn r_vol_07_backup_by_a_helper(host, cli) {
        host.cli(cli, &["run", "--name", "dbstore", "-v", "dbdata:/dbdata", "busybox", "sh", "-c",
            "mkdir /dbdata/d; echo one > /dbdata/d/f; chown 3:4 /dbdata/d/f; chmod 640 /dbdata/d/f; ln /dbdata/d/f /dbdata/again; ln -s d/f /dbdata/link; touch -d '2020-01-02 03:04:05' /dbdata/d/f"]).ok();
        let backup = host.dir().join("backup");
        let mount = format!("{}:/backup", backup.display());
        inside(&host, cli, &["--volumes-from", "dbstore", "-v", &mount], "tar cf /backup/backup.tar -C / dbdata");
        host.cli(cli, &["create", "--name", "dbstore2", "-v", "/dbdata", "busybox"]).ok();
        inside(&host, cli, &["--volumes-from", "dbstore2", "-v", &mount], "cd /dbdata && tar xf /backup/backup.tar --strip 1 2>/dev/null || (cd / && tar xf /backup/backup.tar)");
        let look = "cd /dbdata; find . | sort | while read f; do stat -c '%n %u %g %a %Y %h %F' $f; done | grep -v '^\\. '; cat d/f";
        let tree = |from: &str| inside(&host, cli, &["--volumes-from", from], look);
        let restored = tree("dbstore2");
        assert!(restored.contains("./d/f 3 4 640 1577934245 2 regular file") && restored.ends_with("one"), "{restored}");
        assert_eq!(restored.lines().filter(|l| l.contains("regular")).count(), tree("dbstore").lines().filter(|l| l.contains("regular")).count());
    }

    fn r_vol_07_files_of_whole_volumes(host, cli) {
        inside(&host, cli, &["-v", "src:/s"], "mkdir /s/d; echo one > /s/d/f; chown 3:4 /s/d; ln /s/d/f /s/again; dd if=/dev/null of=/s/holes bs=1M seek=16 2>/dev/null");
        // the routes are ours, for any client; the commands are in wharf
        let archive = host.api().get("/volumes/src/export?pause=1");
        assert_eq!(archive.status, 200);
        assert!(archive.body.len() < 1 << 20, "holes take no room: {}", archive.body.len());
        let imported = host.api().send("POST", "/volumes/copy/import?labels=%7B%22a%22%3A%22b%22%7D", Some("application/x-tar"), &archive.body);
        assert_eq!((imported.status, &imported.json()["Labels"]), (201, &json!({"a": "b"})));
        let look = |name: &str| inside(&host, cli, &["-v", &format!("{name}:/s")], "cd /s; find . | sort | while read f; do stat -c '%n %u %g %a %h %s' $f; done; cat again; du -k holes | cut -f1");
        assert_eq!(look("copy"), look("src"));
        let again = host.api().send("POST", "/volumes/copy/import", Some("application/x-tar"), &archive.body);
        assert_eq!((again.status, again.message().as_str()), (409, "import copy: the volume exists and has files"));
        // half an archive leaves nothing
        let half = archive.body[..archive.body.len() / 2].to_vec();
        assert_eq!(host.api().send("POST", "/volumes/half/import", Some("application/x-tar"), &half).status, 400);
        assert_eq!(folders(&host), ["copy", "src"]);
        if cli == Cli::Docker {
            return;
        }
        let tar = host.wharf(&["volume", "export", "nosuch"]);
        assert!(tar.fails(1).contains("no such volume"));
        let file = host.dir().join("src.tar");
        host.wharf(&["volume", "export", "-o", file.to_str().unwrap(), "src"]).ok();
        assert_eq!(host.wharf(&["volume", "import", "third", file.to_str().unwrap()]).ok(), "third");
        assert_eq!(look("third"), look("src"));
        assert_eq!(host.wharf(&["volume", "clone", "--label", "x=y", "src", "fourth"]).ok(), "fourth");
        assert_eq!(look("fourth"), look("src"));
        host.wharf(&["volume", "rename", "fourth", "fifth"]).ok();
        assert_eq!(look("fifth"), look("src"));
        assert!(host.wharf(&["volume", "clone", "src", "fifth"]).fails(1).contains("a volume with the name fifth exists"));
        host.wharf(&["run", "-d", "--name", "user", "-v", "fifth:/s", "busybox", "sleep", "600"]).ok();
        assert!(host.wharf(&["volume", "rename", "fifth", "sixth"]).fails(1).contains("volume is in use"));
        // a snapshot of a volume that is written to, and back
        assert_eq!(host.wharf(&["volume", "snapshot", "--pause", "fifth", "s1"]).ok(), "s1");
        assert_eq!(host.wharf(&["exec", "user", "sh", "-c", "rm -r /s/d /s/again; echo two > /s/new; cat /s/new"]).ok(), "two");
        assert_eq!(host.wharf(&["volume", "snapshots", "-q", "fifth"]).ok(), "s1");
        assert_eq!(volume(&host, "fifth")["Status"]["Snapshots"], json!(["s1"]));
        assert!(host.wharf(&["volume", "restore", "fifth", "s1"]).fails(1).contains("volume is in use"));
        host.wharf(&["rm", "-f", "user"]).ok();
        host.wharf(&["volume", "restore", "fifth", "s1"]).ok();
        assert_eq!(look("fifth"), look("src"));
        host.wharf(&["volume", "snapshot", "--rm", "fifth", "s1"]).ok();
        assert!(host.wharf(&["volume", "restore", "fifth", "s1"]).fails(1).contains("no such snapshot: s1"));
    }

    fn r_vol_07_killed_at_every_step(host, cli) {
        data_image(&host, cli, "packed", "mkdir -p /data/sub; echo one > /data/f; echo two > /data/sub/g");
        inside(&host, cli, &["-v", "src:/s"], "mkdir /s/d; echo one > /s/d/f; echo two > /s/g");
        host.cli(cli, &["volume", "create", "gone"]).ok();
        host.api().call("POST", "/volumes/src/snapshots?name=snap", Value::Null);
        inside(&host, cli, &["-v", "src:/s"], "rm -r /s/d; echo three > /s/new");
        let post = |host: &Host, path: &str, body: Value| _ = host.api().try_send("POST", path, Some("application/json"), body.to_string().as_bytes());
        type Act = fn(&Host, &dyn Fn(&Host, &str, Value));
        let create: Act = |host, post| post(host, "/containers/create?name=c1", json!({"Image": "packed", "HostConfig": {"Binds": ["fresh:/data"]}}));
        let clone: Act = |host, post| post(host, "/volumes/src/clone", json!({"Name": "cloned"}));
        let rename: Act = |host, post| post(host, "/volumes/gone/rename?name=moved", Value::Null);
        let snapshot: Act = |host, post| post(host, "/volumes/src/snapshots?name=more", Value::Null);
        let restore: Act = |host, post| post(host, "/volumes/src/restore?snapshot=snap", Value::Null);
        let remove: Act = |host, post| {
            post(host, "/volumes/create", json!({"Name": "doomed"}));
            _ = host.api().try_send("DELETE", "/volumes/doomed", None, &[]);
        };
        let cases: &[(&str, &str, Act)] = &[
            ("create", "volume.create.after_row", create),
            ("create", "volume.fill.after_prepare", create),
            ("create", "volume.fill.after_decision", create),
            ("create", "volume.fill.after_move", create),
            ("clone", "volume.create.after_contents", clone),
            ("clone", "volume.create.after_intent", clone),
            ("clone", "volume.create.after_rename", clone),
            ("rename", "volume.rename.after_row", rename),
            ("snapshot", "volume.snapshot.after_copy", snapshot),
            ("restore", "volume.fill.after_decision", restore),
            ("restore", "volume.fill.after_removal", restore),
            ("restore", "volume.fill.after_move", restore),
            ("remove", "volume.remove.after_rename", remove),
            ("remove", "volume.remove.after_row", remove),
        ];
        let (now, then) = ("two\nthree\n", "one\ntwo\n");
        for (what, point, act) in cases {
            host.take_daemon().stop();
            host.start_with(&[], &format!("{point}=kill"));
            act(&host, &post);
            host.take_daemon().wait_dead();
            host.start();
            // nothing half: a folder is a volume and a volume is a folder
            let names = host.cli(cli, &["volume", "ls", "-q"]).ok();
            let has = |name: &str| names.lines().any(|line| line == name);
            eventually("leftovers go", || folders(&host).iter().all(|name| !name.starts_with('.')).then_some(()));
            assert_eq!(folders(&host), names.lines().collect::<Vec<_>>(), "{what} {point}");
            for name in names.lines() {
                let inner = std::fs::read_dir(host.data_root().join("volumes").join(name)).unwrap().flatten();
                let inner: Vec<String> = inner.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
                assert!(inner.iter().all(|n| n == "_data" || n == "snapshots"), "{what} {point}: {name} has {inner:?}");
            }
            let files = |name: &str| {
                let script = format!("cd {} && find . -type f | sort | xargs -r cat", data(&host, name).display());
                host.run("sh", &["-c", &script]).stdout
            };
            let decided = ["decision", "removal", "move"].iter().any(|word| point.ends_with(word));
            match *what {
                // the decision was made: the daemon that came back has finished it
                "create" => assert_eq!(files("fresh"), if decided { then } else { "" }, "{point}"),
                "clone" if has("cloned") => assert_eq!(files("cloned"), now, "{point}"),
                "clone" => assert_eq!(*point, "volume.create.after_contents"),
                "rename" => assert!(has("moved") && !has("gone"), "{names}"),
                "restore" => assert_eq!(files("src"), then, "{point}"),
                "remove" => assert!(!has("doomed"), "{point}"),
                _ => assert_eq!(volume(&host, "src")["Status"]["Snapshots"], json!(["snap"])),
            }
            if *what != "restore" {
                assert_eq!(files("src"), now, "{what} {point}");
            } else {
                inside(&host, cli, &["-v", "src:/s"], "rm -rf /s/*; echo two > /s/g; echo three > /s/new");
            }
            // a container that was not finished is gone, and so is its claim
            assert_eq!(host.cli(cli, &["ps", "-aq"]).ok(), "", "{point}");
            for name in ["fresh", "cloned"].into_iter().filter(|name| has(name)) {
                host.cli(cli, &["volume", "rm", name]).ok();
            }
        }
        assert_eq!(host.cli(cli, &["volume", "ls", "-q"]).ok(), "moved\nsrc");
        host.assert_no_leaks();
    }

    fn r_vol_08_a_limit_holds(host, cli) {
        assert_eq!(host.cli(cli, &["volume", "create", "-o", "size=16m", "small"]).ok(), "small");
        let status = &volume(&host, "small")["Status"];
        assert_eq!((&status["Limit"], &status["LimitedBy"]), (&json!(16 << 20), &json!("loop image")));
        inside(&host, cli, &["-v", "other:/o"], "echo fine > /o/f");
        host.cli(cli, &["run", "-d", "--name", "c1", "-v", "small:/s", "-v", "other:/o", "busybox", "sleep", "600"]).ok();
        let full = host.cli(cli, &["exec", "c1", "sh", "-c", "ls -A /s; dd if=/dev/zero of=/s/big bs=1M count=32"]);
        assert!(full.code == 1 && full.stderr.contains("No space left on device"), "{full:?}");
        assert_eq!(full.stdout, "", "a new volume is empty");
        // others are not hurt, and a second user sees the same file system
        assert_eq!(host.cli(cli, &["exec", "c1", "sh", "-c", "cat /o/f; dd if=/dev/zero of=/o/big bs=1M count=32 2>/dev/null && echo wrote"]).ok(), "fine\nwrote");
        assert_eq!(inside(&host, cli, &["-v", "small:/s"], "rm /s/big; echo kept > /s/f; cat /s/f"), "kept");
        host.crash_and_restart();
        assert_eq!(host.cli(cli, &["exec", "c1", "cat", "/s/f"]).ok(), "kept");
        host.cli(cli, &["rm", "-f", "c1"]).ok();
        host.assert_no_leaks();
        assert_eq!(inside(&host, cli, &["-v", "small:/s"], "cat /s/f"), "kept");
        // copies have the same limit
        let cloned = host.api().call("POST", "/volumes/small/clone", json!({"Name": "copy"}));
        assert_eq!(cloned.status, 201, "{}", cloned.message());
        assert_eq!(cloned.json()["Status"]["Limit"], json!(16 << 20));
        assert_eq!(inside(&host, cli, &["-v", "copy:/s"], "cat /s/f; dd if=/dev/zero of=/s/big bs=1M count=32 2>/dev/null || echo full"), "kept\nfull");
        host.cli(cli, &["volume", "rm", "small", "copy", "other"]).ok();
        assert!(host.cli(cli, &["volume", "create", "-o", "size=1k", "tiny"]).fails(1).contains("too small"));
        // what does not fit is not filled by half, and the container that could not be made does not keep the volume
        host.cli(cli, &["run", "--name", "c2", "busybox", "sh", "-c", "mkdir /seed; head -c 24m /dev/urandom >/seed/f"]).ok();
        host.cli(cli, &["commit", "c2", "seeded"]).ok();
        host.cli(cli, &["volume", "create", "-o", "size=16m", "small"]).ok();
        let said = said_no(host.cli(cli, &["run", "--rm", "-v", "small:/seed", "seeded", "true"]));
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(inside(&host, cli, &["-v", "small:/s"], "ls -A /s"), "");
        host.cli(cli, &["rm", "c2"]).ok();
        host.cli(cli, &["volume", "rm", "small"]).ok();
        assert_eq!(folders(&host), [""; 0]);
        host.assert_no_leaks();
    }

    fn r_vol_09_plugins(host, cli) {
        let plugin = Plugin::start(&host);
        assert_eq!(host.cli(cli, &["volume", "create", "-d", "folders", "-o", "key=value", "remote"]).ok(), "remote");
        let shown = volume(&host, "remote");
        assert_eq!((&shown["Driver"], &shown["Scope"], &shown["Status"]["owner"]), (&json!("folders"), &json!("global"), &json!("plugin")));
        assert_eq!(host.cli(cli, &["volume", "ls", "--format", "{{.Name}} {{.Driver}}"]).ok(), "remote folders");
        let said = host.cli(cli, &["volume", "create", "-d", "folders", "-o", "fail=1", "bad"]).fails(1);
        assert!(said.contains("VolumeDriver.Create: this one fails"), "{said}");
        inside(&host, cli, &["-v", "remote:/r"], "echo hello > /r/f");
        assert_eq!(std::fs::read_to_string(plugin.root.join("volumes/remote/f")).unwrap(), "hello\n");
        // by --volume-driver, made on the way; two users, two mounts, two unmounts
        for name in ["c1", "c2"] {
            host.cli(cli, &["run", "-d", "--name", name, "--volume-driver", "folders", "-v", "second:/r", "busybox", "sleep", "600"]).ok();
        }
        let before = plugin.count("VolumeDriver.Unmount");
        host.cli(cli, &["rm", "-f", "c1", "c2"]).ok();
        assert_eq!(plugin.count("VolumeDriver.Unmount"), before + 2);
        assert_eq!(plugin.count("VolumeDriver.Mount"), plugin.count("VolumeDriver.Unmount"));
        // what others have made there is seen, too
        std::fs::create_dir(plugin.root.join("volumes/foreign")).unwrap();
        assert_eq!(host.cli(cli, &["volume", "ls", "-q"]).ok(), "foreign\nremote\nsecond");
        assert_eq!(volume(&host, "foreign")["Driver"], json!("folders"));
        host.cli(cli, &["volume", "rm", "second"]).ok();
        assert!(!plugin.root.join("volumes/second").exists());
        assert!(host.api().get("/info").json()["Plugins"]["Volume"].as_array().unwrap().contains(&json!("folders")));
        // a plugin that is gone: lists go on with a warning, a force-removal forgets
        drop(plugin);
        let list = host.api().get("/volumes").json();
        assert_eq!(list["Volumes"][0]["Name"], json!("remote"));
        assert!(list["Warnings"][0].as_str().unwrap().contains("folders.sock"), "{list}");
        host.crash_and_restart();
        let plugin = Plugin::start(&host);
        assert_eq!(inside(&host, cli, &["-v", "remote:/r"], "cat /r/f"), "hello");
        host.cli(cli, &["volume", "rm", "remote"]).ok();
        drop(plugin);
        host.assert_no_leaks();
    }

    fn r_vol_10_sharing_is_immediate(host, cli) {
        let page = host.dir().join("www/index.html");
        std::fs::create_dir(page.parent().unwrap()).unwrap();
        std::fs::write(&page, "first").unwrap();
        std::fs::set_permissions(&page, PermissionsExt::from_mode(0o644)).unwrap();
        let mount = format!("{}:/www", page.parent().unwrap().display());
        for name in ["w1", "w2", "w3"] {
            host.cli(cli, &["run", "-d", "--name", name, "-v", &mount, "busybox", "httpd", "-f", "-h", "/www"]).ok();
        }
        let fetch = |name: &str| host.cli(cli, &["exec", name, "sh", "-c", "until wget -q -O - http://127.0.0.1/index.html; do :; done"]).ok();
        for text in ["first", "second", "third"] {
            std::fs::write(&page, text).unwrap();
            for name in ["w1", "w2", "w3"] {
                assert_eq!(fetch(name), text);
            }
        }
        host.cli(cli, &["exec", "w2", "sh", "-c", "echo back > /www/from"]).ok();
        assert_eq!(std::fs::read_to_string(page.with_file_name("from")).unwrap(), "back\n");
        host.cli(cli, &["rm", "-f", "w1", "w2", "w3"]).ok();
        assert!(page.exists());
        host.assert_no_leaks();
    }
}
