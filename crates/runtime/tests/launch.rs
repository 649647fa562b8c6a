//! Launches of real containers (root and a kernel with namespaces needed).

mod world;

use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use wharf_runtime::{ExecFds, ExecTarget, LaunchFds, Start, Stdio, exec, launch, plan_exec};
use world::{Outcome, World, describe, finish, ok, output, pipes, read_all, with_launcher};

#[test]
fn r_iso_01_namespaces_of_its_own() {
    let world = World::new();
    let mut document = world
        .document("for n in mnt uts ipc pid net cgroup user; do readlink /proc/self/ns/$n; done; hostname; echo $$");
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "cgroup"}));
    let text = ok(world.run(&document));
    let lines: Vec<&str> = text.lines().collect();
    for (kind, line) in ["mnt", "uts", "ipc", "pid", "net", "cgroup", "user"].iter().zip(&lines) {
        let outside = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("link");
        let same = outside.to_str() == Some(line);
        assert_eq!(same, *kind == "user", "{kind}: {line}");
    }
    assert_eq!(lines[7..], ["testhost", "1"]);
}

#[test]
fn r_iso_01_pid_1_is_the_process_and_the_host_sees_another_number() {
    let world = World::new();
    let plan = world.plan(&world.document("echo $$; grep NSpid /proc/self/status; exec sleep 1000"));
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds::default();
        let reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        let mut line = [0; 2];
        rustix::io::read(&reader, &mut line).expect("the shell's first line");
        let status = std::fs::read_to_string(format!("/proc/{}/status", init.pid.as_raw_nonzero())).expect("status");
        finish(&init);
        let numbers = status.lines().find(|line| line.starts_with("NSpid")).expect("NSpid").to_owned();
        Ok(Outcome { status: 0, output: format!("{}{numbers}", String::from_utf8_lossy(&line)) })
    });
    let text = ok(outcome);
    assert!(text.starts_with("1\nNSpid:"), "{text}");
    assert!(text.ends_with("\t1"), "{text}");
}

#[test]
fn r_iso_08_capabilities_default_set() {
    let world = World::new();
    let text = ok(world.run(&world.document("grep -E 'Cap|NoNewPrivs|Groups|Umask' /proc/self/status")));
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Groups:\t0 10",
        "Umask:\t0022",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn r_iso_07_ambient_capabilities_and_no_new_privs() {
    let world = World::new();
    let mut document = world.document("grep -E 'Cap|NoNewPrivs|Uid|Gid' /proc/self/status");
    let caps = json!(["CAP_NET_RAW", "CAP_KILL"]);
    document["process"]["capabilities"] =
        json!({"bounding": caps, "effective": caps, "permitted": caps, "inheritable": caps, "ambient": caps});
    document["process"]["user"] = json!({"uid": 1000, "gid": 1000, "umask": 0o077});
    document["process"]["noNewPrivileges"] = json!(true);
    let text = ok(world.run(&document));
    for line in
        ["CapEff:\t0000000000002020", "CapAmb:\t0000000000002020", "NoNewPrivs:\t1", "Uid:\t1000\t1000\t1000\t1000"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn r_iso_08_mounts_are_those_docker_makes() {
    let world = World::new();
    let mut plan = world.plan(&world.document("cat /proc/self/mountinfo"));
    plan.root = Some(world.overlay());
    let text = ok(world.run_plan(&plan));
    let seen: Vec<String> = text
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let dash = fields.iter().position(|field| *field == "-").expect("separator");
            let last = if fields[dash + 1] == "overlay" { "…" } else { fields[dash + 3] };
            format!("{} {} {} {}", fields[4], fields[5], fields[dash + 1], last)
        })
        .collect();
    let expect = [
        "/ rw,relatime overlay …",
        "/proc rw,nosuid,nodev,noexec,relatime proc rw",
        "/dev rw,nosuid tmpfs rw,size=65536k,mode=755",
        "/dev/pts rw,nosuid,noexec,relatime devpts rw,gid=5,mode=620,ptmxmode=666",
        "/sys ro,nosuid,nodev,noexec,relatime sysfs ro",
        "/dev/mqueue rw,nosuid,nodev,noexec,relatime mqueue rw",
        "/dev/shm rw,nosuid,nodev,noexec,relatime tmpfs rw,size=65536k",
        "/proc/bus ro,nosuid,nodev,noexec,relatime proc rw",
        "/proc/fs ro,nosuid,nodev,noexec,relatime proc rw",
        "/proc/irq ro,nosuid,nodev,noexec,relatime proc rw",
        "/proc/sys ro,nosuid,nodev,noexec,relatime proc rw",
        "/sys/firmware ro,relatime tmpfs ro,size=4k,nr_inodes=1",
    ];
    for line in expect {
        assert!(seen.iter().any(|s| s == line), "{line} in {seen:#?}");
    }
    assert!(!text.contains("shared:") && !text.contains("master:"), "nothing travels: {text}");
}

#[test]
fn r_iso_08_masked_and_readonly_paths() {
    let world = World::new();
    let script = "cat /proc/keys | wc -c; ls /sys/firmware | wc -l; (echo 1 > /proc/sys/kernel/panic) 2>&1; [ -c /proc/timer_list ] && echo hidden";
    let text = ok(world.run(&world.document(script)));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["0", "0"], "{text}");
    assert!(lines[2].contains("Read-only file system"), "{text}");
    assert_eq!(lines[3], "hidden");
}

#[test]
fn masking_does_not_trust_the_images_null_device() {
    // CVE-2025-31133: /dev comes from the image, and its null leads elsewhere
    let world = World::new();
    symlink("/etc/passwd", world.rootfs().join("dev/null")).expect("link");
    std::fs::create_dir_all(world.path().join("hostdev")).expect("folder");
    symlink("/etc/passwd", world.path().join("hostdev/null")).expect("link");
    let mut document = world.document("stat -c '%F %t:%T' /proc/timer_list; cat /proc/timer_list | wc -c");
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.retain(|mount| !mount["destination"].as_str().expect("text").starts_with("/dev"));
    mounts.push(json!({"destination": "/dev", "type": "bind", "source": world.path().join("hostdev"), "options": ["rbind", "rprivate"]}));
    assert_eq!(ok(world.run(&document)), "character special file 1:3\n0\n");
    // the folder of the image itself: its false null is replaced
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.pop();
    assert_eq!(ok(world.run(&document)), "character special file 1:3\n0\n");
}

#[test]
fn devices_and_links() {
    let world = World::new();
    let script = "for f in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$f; done; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x > /dev/null && echo fine";
    let text = ok(world.run(&world.document(script)));
    assert_eq!(
        text,
        "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 666\n/dev/tty 5:0 666\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\nfine\n"
    );
}

#[test]
fn own_devices() {
    let world = World::new();
    let mut document = world.document("stat -c '%t:%T %a %u:%g' /dev/mine /opt/deep/fifo; stat -c %F /opt/deep/fifo");
    document["linux"]["devices"] = json!([
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"path": "/opt/deep/fifo", "type": "p", "fileMode": 0o600},
    ]);
    assert_eq!(ok(world.run(&document)), "1:5 640 5:6\n0:0 600 0:0\nfifo\n");
}

#[test]
fn binds_of_folders_files_and_read_only_ones() {
    let world = World::new();
    std::fs::create_dir_all(world.path().join("data/sub")).expect("folder");
    std::fs::write(world.path().join("data/file"), "inside\n").expect("file");
    let mut document = world
        .document("cat /new/place/file /etc/single; (echo x > /new/place/file) 2>&1; echo x > /rw/file; ls /new/place");
    let bind = |target: &str, source: &str, options: &[&str]| json!({"destination": target, "type": "bind", "source": source, "options": options});
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.push(bind("/new/place", "data", &["rbind", "ro", "rprivate"]));
    mounts.push(bind("/etc/single", "data/file", &["bind", "rro"]));
    mounts.push(bind("/rw", "data", &["bind", "nosuid"]));
    let text = ok(world.run(&document));
    assert_eq!(text, "inside\ninside\nsh: can't create /new/place/file: Read-only file system\nfile\nsub\n");
    assert_eq!(std::fs::read_to_string(world.path().join("data/file")).expect("file"), "x\n");
}

#[test]
fn a_missing_bind_source_is_told_with_source_and_target() {
    let world = World::new();
    let mut document = world.document("true");
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.push(json!({"destination": "/x", "type": "bind", "source": "/no/such/source", "options": ["bind"]}));
    let error = world.run(&document).expect_err("no source");
    assert_eq!(
        error,
        "125|error mounting \"/no/such/source\" to rootfs at \"/x\": open mount source: no such file or directory"
    );
}

#[test]
fn a_file_over_a_folder_is_refused() {
    let world = World::new();
    let mut document = world.document("true");
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.push(json!({"destination": "/tmp", "type": "bind", "source": "/bin/busybox", "options": ["bind"]}));
    let error = world.run(&document).expect_err("a folder");
    assert!(error.contains("Are you trying to mount a directory onto a file (or vice-versa)?"), "{error}");
}

#[test]
fn symlinks_of_the_image_do_not_lead_out() {
    let world = World::new();
    let outside = world.path().join("outside");
    std::fs::create_dir_all(&outside).expect("folder");
    // absolute, relative with too many .., and dangling ones
    symlink(&outside, world.rootfs().join("abs")).expect("link");
    symlink("../../../../../../../../tmp", world.rootfs().join("up")).expect("link");
    symlink("/dangling/../made", world.rootfs().join("loose")).expect("link");
    symlink("loop", world.rootfs().join("loop")).expect("link");
    let mut document = world.document("mount | grep -c marker; ls -d /made/deep; ls -d /tmp/under");
    let mounts = document["mounts"].as_array_mut().expect("list");
    for target in ["/abs/x", "/up/under", "/loose/deep"] {
        mounts.push(json!({"destination": target, "type": "tmpfs", "source": "marker", "options": ["size=4k"]}));
    }
    assert_eq!(ok(world.run(&document)), "3\n/made/deep\n/tmp/under\n");
    assert_eq!(std::fs::read_dir(&outside).expect("folder").count(), 0, "nothing was made outside");
    assert!(!std::path::Path::new("/tmp/under").exists());
    let mut document = world.document("true");
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/loop/x", "type": "tmpfs", "source": "t"}));
    let error = world.run(&document).expect_err("a loop");
    assert!(error.contains("too many levels of symbolic links"), "{error}");
}

#[test]
fn nothing_is_mounted_inside_proc() {
    // CVE-2019-16884, by name and by symlink
    let world = World::new();
    let mut document = world.document("true");
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/proc/self/attr", "type": "tmpfs", "source": "t"}));
    let spec = serde_json::from_value(document).expect("document");
    let error = wharf_runtime::plan(&spec, &world.options()).expect_err("inside /proc");
    assert_eq!(error.to_string(), "mounts[6]: \"/proc/self/attr\" cannot be mounted because it is inside /proc");

    symlink("/proc/self", world.rootfs().join("innocent")).expect("link");
    let mut document = world.document("true");
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/innocent/attr", "type": "tmpfs", "source": "t"}));
    let error = world.run(&document).expect_err("inside /proc");
    assert!(error.contains("\"/innocent/attr\" cannot be mounted because it is inside /proc"), "{error}");

    std::fs::remove_dir(world.rootfs().join("proc")).expect("folder");
    symlink("/tmp", world.rootfs().join("proc")).expect("link");
    let error = world.run(&world.document("true")).expect_err("proc is a link");
    assert!(error.starts_with("125|error mounting \"proc\" to rootfs at \"/proc\""), "{error}");
}

#[test]
fn files_in_proc_that_only_report_may_be_covered() {
    let world = World::new();
    std::fs::write(world.path().join("uptime"), "1 1\n").expect("file");
    let mut document = world.document("cat /proc/uptime");
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/proc/uptime", "type": "bind", "source": "uptime", "options": ["bind"]}));
    assert_eq!(ok(world.run(&document)), "1 1\n");
}

#[test]
fn a_leaked_folder_is_no_way_out() {
    // CVE-2024-21626: a working directory reached through an inherited descriptor
    let world = World::new();
    let mut document = world.document("true");
    for number in 3..12 {
        document["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        let plan = world.plan(&document);
        let leaked = std::fs::File::open("/").expect("root");
        let outcome = world.run_plan(&plan);
        drop(leaked);
        let error = outcome.expect_err("no such descriptor");
        assert!(error.contains("|chdir to cwd"), "{error}");
    }
}

#[test]
fn only_the_preserved_descriptors_are_left() {
    let world = World::new();
    let plan = world.plan(&world.document("ls /proc/self/fd; cat <&4"));
    let outcome = world.run_with(&plan, |fds| {
        let file = |text: &str| {
            let file = wharf_sys::memfd::sealed_bytes(c"kept", text.as_bytes()).expect("memfd");
            rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).expect("seek");
            file
        };
        fds.preserve = vec![file("three"), file("four")];
    });
    // 5 is the folder that ls reads
    assert_eq!(ok(outcome), "0\n1\n2\n3\n4\n5\nfour");
}

#[test]
fn r_ctr_programs_that_cannot_run() {
    let world = World::new();
    let check = |args: Value, expect: &str| {
        let mut document = world.document("");
        document["process"]["args"] = args;
        assert_eq!(world.run(&document).expect_err("cannot run"), expect);
    };
    std::fs::write(world.rootfs().join("tmp/garbage"), "no program").expect("file");
    std::fs::set_permissions(world.rootfs().join("tmp/garbage"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("mode");
    check(json!(["nosuch"]), "127|exec: \"nosuch\": executable file not found in $PATH");
    check(json!(["/no/such"]), "127|exec: \"/no/such\": stat /no/such: no such file or directory");
    check(json!(["/etc/passwd"]), "126|exec: \"/etc/passwd\": permission denied");
    check(json!(["/etc"]), "126|exec: \"/etc\": is a directory: permission denied");
    let mut document = world.document("");
    document["process"]["args"] = json!(["/tmp/garbage"]);
    let expect = Outcome {
        status: 255,
        output: "exec /tmp/garbage: exec format error
"
        .into(),
    };
    assert_eq!(world.run(&document), Ok(expect));
}

#[test]
fn home_comes_from_the_images_user_database() {
    let world = World::new();
    let mut document = world.document("echo $HOME");
    assert_eq!(ok(world.run(&document)), "/root\n");
    document["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    assert_eq!(ok(world.run(&document)), "/home/user\n");
    document["process"]["user"] = json!({"uid": 4711, "gid": 1000});
    assert_eq!(ok(world.run(&document)), "/\n");
    document["process"]["env"].as_array_mut().expect("list").push(json!("HOME=/else"));
    assert_eq!(ok(world.run(&document)), "/else\n");
}

#[test]
fn a_missing_working_directory_is_made() {
    let world = World::new();
    let mut document = world.document("pwd");
    document["process"]["cwd"] = json!("/not/yet");
    assert_eq!(ok(world.run(&document)), "/not/yet\n");
}

#[test]
fn a_read_only_root() {
    let world = World::new();
    let mut document = world.document("(echo x > /file) 2>&1; echo x > /dev/shm/y && echo fine");
    document["root"]["readonly"] = json!(true);
    assert_eq!(ok(world.run(&document)), "sh: can't create /file: Read-only file system\nfine\n");
}

#[test]
fn writes_land_in_the_upper_folder() {
    let world = World::new();
    let mut plan = world.plan(&world.document("echo new > /etc/new; cat /etc/passwd | grep -c root"));
    plan.root = Some(world.overlay());
    assert_eq!(ok(world.run_plan(&plan)), "1\n");
    assert_eq!(std::fs::read_to_string(world.path().join("upper/etc/new")).expect("file"), "new\n");
    assert!(!world.rootfs().join("etc/new").exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    assert!(!mounts.contains(world.path().to_str().expect("text")), "nothing is mounted on the host");
}

#[test]
fn limits_sysctls_and_scores() {
    let world = World::new();
    let script = "ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax /proc/self/oom_score_adj; hostname; cat /proc/sys/kernel/domainname";
    let mut document = world.document(script);
    document["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]);
    document["process"]["oomScoreAdj"] = json!(500);
    document["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shmmax": "123456"});
    document["domainname"] = json!("example.org");
    assert_eq!(ok(world.run(&document)), "10\n20\n0\n123456\n500\ntesthost\nexample.org\n");
}

#[test]
fn sysctls_of_the_host_are_refused() {
    let world = World::new();
    let check = |name: &str| {
        let mut document = world.document("true");
        document["linux"]["sysctl"] = json!({name: "1"});
        let spec = serde_json::from_value(document).expect("document");
        wharf_runtime::plan(&spec, &world.options()).expect_err(name);
    };
    check("kernel.panic");
    check("vm.swappiness");
    check("net/../kernel/panic");
    check("net..kernel");
}

#[test]
fn r_iso_01_a_time_namespace_with_offsets() {
    let world = World::new();
    let mut document = world.document("cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime");
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "time"}));
    document["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1000000, "nanosecs": 0}});
    let text = ok(world.run(&document));
    let uptime: u64 = text.lines().last().expect("uptime").parse().expect("a number");
    assert!(text.contains("boottime") && uptime >= 1_000_000, "{text}");
}

#[test]
fn r_iso_02_a_user_namespace_maps_root_to_nobody() {
    let world = World::new();
    let bind = world.path().join("theirs");
    std::fs::create_dir_all(&bind).expect("folder");
    for path in [world.rootfs(), world.path().to_owned(), bind.clone()] {
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
        std::os::unix::fs::chown(&path, Some(100_000), Some(100_000)).expect("chown");
    }
    let mut document = world.document("cat /proc/self/uid_map; id -u; stat -c %u /; echo x > /mine; stat -c %u /mapped; [ -c /dev/null ] && echo null; ulimit -n; cat /proc/self/oom_score_adj; cat /proc/keys | wc -c");
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let linux = &mut document["linux"];
    linux["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    linux["uidMappings"] = map.clone();
    linux["gidMappings"] = map;
    document["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    document["process"]["oomScoreAdj"] = json!(100);
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/mapped", "type": "bind", "source": bind, "options": ["bind"]}));
    let text = ok(world.run(&document));
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "65536", "0", "0", "0", "null", "100", "100", "0"], "{text}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(world.rootfs().join("mine")).expect("file").uid(), 100_000);
    // and with an overlay
    let mut plan = world.plan(&document);
    plan.root = Some(world.overlay());
    assert_eq!(ok(world.run_plan(&plan)).split_whitespace().count(), 10);
}

#[test]
fn r_iso_02_a_user_namespace_with_all_the_others() {
    let world = World::new();
    let hidden = world.path().join("hidden");
    std::fs::create_dir_all(hidden.join("data")).expect("folder");
    std::fs::write(hidden.join("data/file"), "found\n").expect("file");
    std::fs::set_permissions(&hidden, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mode");
    let script = "cat /data/file /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax; ip link | grep -c 'lo:.*UP'; \
        grep -o 'boottime *[0-9]*' /proc/self/timens_offsets; cat /proc/self/cgroup | grep -c ':/$'; hostname; (echo x > /proc/sys/kernel/panic) 2>&1";
    let mut document = world.document(script);
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    let linux = &mut document["linux"];
    linux["uidMappings"] = map.clone();
    linux["gidMappings"] = map;
    linux["namespaces"].as_array_mut().expect("list").extend([
        json!({"type": "user"}),
        json!({"type": "time"}),
        json!({"type": "cgroup"}),
    ]);
    linux["timeOffsets"] = json!({"boottime": {"secs": 77}});
    linux["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7", "kernel.shmmax": "123456"});
    document["mounts"].as_array_mut().expect("list").push(
        json!({"destination": "/data", "type": "bind", "source": hidden.join("data"), "options": ["rbind", "ro"]}),
    );
    let outcome = world.run(&document).expect("launch");
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(lines[..4], ["found", "7", "123456", "1"], "{}", outcome.output);
    assert!(lines[4].starts_with("boottime") && lines[4].ends_with("77"), "{}", outcome.output);
    assert!(lines[5].parse::<u32>().expect("a number") > 0, "{}", outcome.output);
    assert_eq!(lines[6..], ["testhost", "sh: can't create /proc/sys/kernel/panic: Read-only file system"]);
}

#[test]
fn r_iso_02_a_mapped_root_reaches_what_only_the_host_may() {
    let world = World::new();
    let hidden = world.path().join("hidden");
    std::fs::create_dir_all(hidden.join("data")).expect("folder");
    std::fs::write(hidden.join("data/file"), "found\n").expect("file");
    for path in [world.path().to_owned(), world.rootfs()] {
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    }
    std::fs::set_permissions(&hidden, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mode");
    let mut document = world.document("cat /data/file");
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    document["mounts"].as_array_mut().expect("list").push(
        json!({"destination": "/data", "type": "bind", "source": hidden.join("data"), "options": ["rbind", "ro"]}),
    );
    // the folder for the target cannot be made by a mapped root in a root file system that is not mapped
    std::fs::create_dir(world.rootfs().join("data")).expect("folder");
    assert_eq!(ok(world.run(&document)), "found\n");
}

#[test]
fn r_iso_02_id_mapped_mounts() {
    let world = World::new();
    let data = world.path().join("data");
    std::fs::create_dir_all(&data).expect("folder");
    std::os::unix::fs::chown(&data, Some(1234), Some(1234)).expect("chown");
    let mut document = world.document("stat -c %u:%g /data");
    let map = json!([{"containerID": 1234, "hostID": 42, "size": 1}]);
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/data", "type": "bind", "source": data,
        "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map}));
    assert_eq!(ok(world.run(&document)), "42:42\n");
}

#[test]
fn tmpfs_that_starts_with_the_images_files() {
    let world = World::new();
    std::fs::create_dir_all(world.rootfs().join("etc/deep")).expect("folder");
    std::fs::write(world.rootfs().join("etc/deep/file"), "text").expect("file");
    let mut document = world.document("cat /etc/deep/file; echo x > /etc/new; echo; (echo x > /ro/new) 2>&1; ls /ro");
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.push(json!({"destination": "/etc", "type": "tmpfs", "source": "t", "options": ["tmpcopyup"]}));
    mounts.push(json!({"destination": "/ro", "type": "tmpfs", "source": "t", "options": ["ro"]}));
    mounts.push(json!({"destination": "/ro/inner", "type": "tmpfs", "source": "t"}));
    assert_eq!(ok(world.run(&document)), "text\nsh: can't create /ro/new: Read-only file system\ninner\n");
    assert!(!world.rootfs().join("etc/new").exists());
}

#[test]
fn a_terminal() {
    let world = World::new();
    let mut document = world.document("tty; stat -c %t:%T /dev/console; ls -1 /dev/pts; busybox stty size");
    document["process"]["terminal"] = json!(true);
    document["process"]["consoleSize"] = json!({"width": 91, "height": 17});
    let plan = world.plan(&document);
    let outcome = with_launcher(|| {
        let mut init =
            launch(&plan, LaunchFds { stdio: Stdio::Console, ..LaunchFds::default() }).map_err(|e| describe(&e))?;
        let output = read_all(init.console.take().expect("a master"));
        Ok(Outcome { status: wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status(), output })
    });
    assert_eq!(ok(outcome), "/dev/pts/0\r\n88:0\r\n0\r\nptmx\r\n17 91\r\n");
}

#[test]
fn held_until_told_to_proceed() {
    let world = World::new();
    let plan = world.plan(&world.document("echo ran"));
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds { start: Start::Held, ..LaunchFds::default() };
        let reader = output(&mut fds);
        let mut init = launch(&plan, fds).map_err(|e| describe(&e))?;
        assert_eq!(wharf_sys::pidfd::try_wait(&init.pidfd), Ok(None));
        init.proceed().map_err(|e| describe(&e))?;
        let output = read_all(reader);
        Ok(Outcome { status: wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status(), output })
    });
    assert_eq!(ok(outcome), "ran\n");
}

#[test]
fn held_at_a_gate_that_others_open() {
    let world = World::new();
    let plan = world.plan(&world.document("echo ran"));
    let fifo = world.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .expect("fifo");
    let outcome = with_launcher(|| {
        let open = |write: bool| std::fs::OpenOptions::new().read(!write).write(true).open(&fifo).expect("fifo");
        let mut fds = LaunchFds { start: Start::Gate(open(false).into()), ..LaunchFds::default() };
        let reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        rustix::io::write(open(true), b"0").expect("write");
        let output = read_all(reader);
        Ok(Outcome { status: wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status(), output })
    });
    assert_eq!(ok(outcome), "ran\n");
}

#[test]
fn exec_joins_everything() {
    let world = World::new();
    let mut document = world.document("exec sleep 1000");
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "cgroup"}));
    let plan = world.plan(&document);
    let spec = serde_json::from_value(document.clone()).expect("document");
    let mut process = document["process"].clone();
    process["args"] = json!([
        "sh",
        "-c",
        "for n in mnt uts ipc pid net cgroup; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo same; done; hostname; pwd; id -u; ls /proc/self/fd | wc -l"
    ]);
    process["cwd"] = json!("/tmp");
    process["user"] = json!({"uid": 1000, "gid": 1000});
    // looking at PID 1's namespaces as another user
    let caps = json!(["CAP_SYS_PTRACE"]);
    process["capabilities"] =
        json!({"bounding": caps, "effective": caps, "permitted": caps, "inheritable": caps, "ambient": caps});
    let process = serde_json::from_value(process).expect("process");
    let exec_plan = plan_exec(&spec, &process, &world.options()).expect("plan");
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds::default();
        let _reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        let (reader, stdio) = pipes();
        let target = ExecTarget { pidfd: init.pidfd.as_fd(), pid: init.pid };
        let joined = exec(&exec_plan, target, ExecFds { stdio, ..ExecFds::default() }).map_err(|e| describe(&e))?;
        let output = read_all(reader);
        let status = wharf_sys::pidfd::wait(&joined.pidfd).expect("our child").status();
        let mut wrong = exec_plan.clone();
        wrong.process.argv = vec![c"nosuch".into()];
        let error = exec(&wrong, target, ExecFds::default()).expect_err("no program");
        finish(&init);
        let gone = exec(&exec_plan, target, ExecFds::default()).expect_err("ended");
        Ok(Outcome { status, output: format!("{output}{}\n{}", describe(&error), gone.errno) })
    });
    let text = ok(outcome);
    assert_eq!(
        text,
        format!(
            "{}testhost\n/tmp\n1000\n4\n127|exec: \"nosuch\": executable file not found in $PATH\n3",
            "same\n".repeat(6)
        )
    );
}

#[test]
fn exec_with_a_terminal_and_into_a_user_namespace() {
    let world = World::new();
    std::fs::set_permissions(world.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let mut document = world.document("exec sleep 1000");
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    let plan = world.plan(&document);
    let spec = serde_json::from_value(document.clone()).expect("document");
    let mut process = document["process"].clone();
    process["args"] = json!(["sh", "-c", "tty; id -u; cat /proc/self/uid_map"]);
    process["terminal"] = json!(true);
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    let process = serde_json::from_value(process).expect("process");
    let exec_plan = plan_exec(&spec, &process, &world.options()).expect("plan");
    let outcome = with_launcher(|| {
        let mut fds = LaunchFds::default();
        let _reader = output(&mut fds);
        let init = launch(&plan, fds).map_err(|e| describe(&e))?;
        let target = ExecTarget { pidfd: init.pidfd.as_fd(), pid: init.pid };
        let fds = ExecFds { stdio: Stdio::Console, ..ExecFds::default() };
        let mut joined = exec(&exec_plan, target, fds).map_err(|e| describe(&e))?;
        let output = read_all(joined.console.take().expect("a master"));
        let status = wharf_sys::pidfd::wait(&joined.pidfd).expect("our child").status();
        finish(&init);
        Ok(Outcome { status, output })
    });
    let text = ok(outcome);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["/dev/pts/0", "0", "0", "100000", "65536"]);
}

#[test]
fn r_iso_01_namespaces_of_another_container() {
    let world = World::new();
    let mut first = world.document("exec sleep 1000");
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    first["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    first["linux"]["uidMappings"] = map.clone();
    first["linux"]["gidMappings"] = map;
    let plain = world.plan(&world.document("exec sleep 1000"));
    let mapped = world.plan(&first);
    for (plan, with_user) in [(plain, false), (mapped, true)] {
        let outcome = with_launcher(|| {
            let mut fds = LaunchFds::default();
            let _reader = output(&mut fds);
            let init = launch(&plan, fds).map_err(|e| describe(&e))?;
            let ns = |kind: &str| format!("/proc/{}/ns/{kind}", init.pid.as_raw_nonzero());
            let mut second =
                world.document("echo $$; hostname; for n in net ipc uts; do readlink /proc/self/ns/$n; done");
            second["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "pid", "path": ns("pid")}, {"type": "network", "path": ns("net")},
                {"type": "ipc", "path": ns("ipc")}, {"type": "uts", "path": ns("uts")}]);
            second.as_object_mut().expect("object").remove("hostname");
            if with_user {
                second["linux"]["namespaces"]
                    .as_array_mut()
                    .expect("list")
                    .push(json!({"type": "user", "path": ns("user")}));
            }
            let spec = serde_json::from_value(second).expect("document");
            let second = wharf_runtime::plan(&spec, &world.options()).expect("plan");
            let mut fds = LaunchFds::default();
            let reader = output(&mut fds);
            let joined = launch(&second, fds).map_err(|e| describe(&e))?;
            let output = read_all(reader);
            let status = wharf_sys::pidfd::wait(&joined.pidfd).expect("our child").status();
            let expect: String = ["net", "ipc", "uts"]
                .iter()
                .map(|kind| std::fs::read_link(ns(kind)).expect("link").display().to_string() + "\n")
                .collect();
            let pid_is_ours = std::fs::read_link("/proc/self/ns/pid_for_children").expect("link")
                == std::fs::read_link("/proc/self/ns/pid").expect("link");
            finish(&init);
            assert!(pid_is_ours, "the launcher's own children stay in its namespace");
            Ok(Outcome {
                status,
                output: if output == format!("2\ntesthost\n{expect}") { "as expected".into() } else { output },
            })
        });
        assert_eq!(ok(outcome), "as expected");
    }
}

#[test]
fn hooks_run_at_their_moments() {
    let world = World::new();
    let log = world.path().join("log");
    let inside = world.rootfs().join("log");
    std::fs::write(&inside, "").expect("file");
    let hook = |name: &str, file: &std::path::Path| json!([{"path": "/bin/busybox", "args": ["sh", "-c", format!("read s; echo {name} $(readlink /proc/self/ns/net) $s >> {}", file.display())], "env": ["PATH=/bin:/usr/bin"]}]);
    let mut document = world.document("cat /log; readlink /proc/self/ns/net");
    document["hooks"] = json!({
        "prestart": hook("prestart", &log), "createRuntime": hook("createRuntime", &log), "createContainer": hook("createContainer", &log),
        "startContainer": hook("startContainer", std::path::Path::new("/log")), "poststart": hook("poststart", &log),
    });
    document["annotations"] = json!({"a": "b"});
    let outcome = ok(world.run(&document));
    let text = std::fs::read_to_string(&log).expect("log") + &outcome;
    let own = std::fs::read_link("/proc/self/ns/net").expect("link").display().to_string();
    let theirs = outcome.lines().last().expect("its namespace");
    let lines: Vec<&str> = text.lines().collect();
    for (line, (name, ns, status)) in lines.iter().zip([
        ("prestart", own.as_str(), "creating"),
        ("createRuntime", &own, "creating"),
        ("createContainer", theirs, "creating"),
        ("poststart", &own, "running"),
        ("startContainer", theirs, "created"),
    ]) {
        assert!(line.starts_with(&format!("{name} {ns} ")), "{line}");
        assert!(line.contains(&format!("\"status\":\"{status}\",\"pid\":")), "{line}");
        assert!(line.contains("\"id\":\"test\"") && line.contains("\"annotations\":{\"a\":\"b\"}"), "{line}");
    }
}

#[test]
fn a_failing_hook_ends_the_launch() {
    let world = World::new();
    let check = |moment: &str, expect: &str| {
        let mut document = world.document("true");
        document["hooks"] = json!({moment: [{"path": "/bin/busybox", "args": ["sh", "-c", "echo no; exit 5"]}]});
        assert_eq!(world.run(&document).expect_err("a failing hook"), expect);
    };
    check("createRuntime", "125|error running createRuntime hook #0: exit status 5, output: no");
    check("createContainer", "125|run createContainer hook #0: operation canceled");
}

#[test]
fn root_propagation_does_not_reach_the_host() {
    let world = World::new();
    let mut document =
        world.document("mount -t tmpfs inner /tmp 2>/dev/null; cat /proc/self/mountinfo | grep -c shared:");
    document["linux"]["rootfsPropagation"] = json!("shared");
    let before = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let outcome = world.run(&document).expect("launch");
    assert!(outcome.output.trim().parse::<u32>().expect("a number") >= 1, "{}", outcome.output);
    assert_eq!(before, std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"));
}

#[test]
fn r_iso_08_a_filter_without_no_new_privs_leaves_no_extra_right() {
    let world = World::new();
    let mut document =
        world.document("grep -E 'CapEff|CapPrm|Seccomp:' /proc/self/status; (busybox mkdir /x) 2>&1; busybox uname -s");
    document["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 36}]});
    let text = ok(world.run(&document));
    assert_eq!(
        text,
        "CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nSeccomp:\t2\nmkdir: can't create directory '/x': File name too long\nLinux\n"
    );
    document["process"]["noNewPrivileges"] = json!(true);
    assert!(ok(world.run(&document)).contains("File name too long"));
}

#[test]
fn a_filter_that_notifies_hands_its_listener_to_the_agent() {
    let world = World::new();
    let path = world.path().join("agent");
    let agent = std::os::unix::net::UnixListener::bind(&path).expect("socket");
    let mut document = world.document("true");
    document["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "meta",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]});
    assert_eq!(world.run(&document).expect("launch").status, 0);
    let (client, _) = agent.accept().expect("a connection");
    let mut buffer = [0; 4096];
    let message = wharf_sys::fd::receive(&client, &mut buffer).expect("a message");
    let state: Value = serde_json::from_slice(&buffer[..message.len]).expect("JSON");
    assert_eq!((message.fds.len(), &state["metadata"], &state["state"]["id"]), (1, &json!("meta"), &json!("test")));
}

/// A cgroup of one's own below the root of a hierarchy, removed with it.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn new(hierarchy: &str) -> Cgroup {
        let path = std::path::Path::new("/sys/fs/cgroup")
            .join(hierarchy)
            .join(format!("wharf-runtime-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a cgroup");
        Cgroup(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn r_iso_03_the_process_starts_in_its_cgroups() {
    let hybrid = std::path::Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists();
    let v2 = std::path::Path::new("/sys/fs/cgroup/cgroup.procs").exists();
    let world = World::new();
    let unified = Cgroup::new(if hybrid { "unified" } else { "" });
    let pids = (!v2).then(|| Cgroup::new("pids"));
    let script = "cat /proc/self/cgroup; ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/tasks";
    let mut document = world.document(script);
    document["mounts"].as_array_mut().expect("list").push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup",
        "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"]}));
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "cgroup"}));
    let spec = serde_json::from_value(document).expect("document");
    let mut options = world.options();
    options.cgroup.v2 = Some(unified.0.clone()).filter(|_| v2);
    options.cgroup.v1 =
        pids.iter().map(|group| wharf_runtime::V1Controller { name: "pids".into(), dir: group.0.clone() }).collect();
    let plan = wharf_runtime::plan(&spec, &options).expect("plan");
    let outcome = world.run_with(&plan, |fds| {
        fds.cgroup.v2 = hybrid.then(|| std::fs::File::open(&unified.0).expect("folder").into());
        if let Some(group) = &pids {
            let tasks = std::fs::OpenOptions::new().write(true).open(group.0.join("tasks")).expect("tasks");
            fds.cgroup.tasks.push(tasks.into());
        }
    });
    let text = outcome.expect("launch").output;
    if hybrid {
        // the roots of its cgroup namespace, one controller to be seen, and it is in there (with cat)
        assert!(text.contains("0::/\n") && text.contains(":pids:/\n"), "{text}");
        assert!(text.contains("\npids\n1\n"), "{text}");
    }
}

#[test]
fn r_iso_08_dockers_filter_lets_programs_work_and_stops_the_rest() {
    use wharf_spec::seccomp::{Arch, Conditions, Profile};
    let world = World::new();
    let conditions =
        Conditions { arch: Arch::NATIVE, capabilities: wharf_spec::capability::DOCKER_DEFAULT, kernel: (6, 18) };
    let filter = Profile::docker_default().resolve(&conditions).expect("right");
    let mut document = world.document("id -u; echo x | cat; ls / | wc -l; (busybox unshare -U true) 2>&1; (busybox mount -t tmpfs x /tmp) 2>&1; grep Seccomp: /proc/self/status");
    document["linux"]["seccomp"] = serde_json::to_value(filter).expect("JSON");
    let text = ok(world.run(&document));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["0", "x", "8"], "{text}");
    assert!(lines[3].contains("Operation not permitted") && lines[4].contains("permission denied"), "{text}");
    assert_eq!(lines[5], "Seccomp:\t2");
}

#[test]
fn overlays_with_long_paths_and_many_layers() {
    let world = World::new();
    let mut deep = world.path().to_owned();
    while deep.as_os_str().len() < 300 {
        deep.push("a-folder-with-a-rather-long-name");
    }
    let mut layers = Vec::new();
    for i in 0..130 {
        let layer = deep.join(i.to_string());
        std::fs::create_dir_all(&layer).expect("folder");
        std::fs::write(layer.join(format!("file{i}")), "").expect("file");
        layers.push(layer);
    }
    layers.push(world.rootfs());
    let (upper, work) = (deep.join("upper"), deep.join("work"));
    std::fs::create_dir_all(&upper).expect("folder");
    std::fs::create_dir_all(&work).expect("folder");
    let mut plan = world.plan(&world.document("ls -d /file* | wc -l; echo x > /new"));
    plan.root =
        Some(wharf_runtime::Root::Overlay(wharf_runtime::Overlay::new(&layers, upper.clone(), work).expect("paths")));
    assert_eq!(ok(world.run_plan(&plan)), "130\n");
    assert!(upper.join("new").exists());
}

#[test]
fn a_launch_leaves_neither_descriptors_nor_children_behind() {
    let world = World::new();
    let mut document = world.document("true");
    document["process"]["terminal"] = json!(true);
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    document["mounts"]
        .as_array_mut()
        .expect("list")
        .push(json!({"destination": "/m", "type": "bind", "source": world.rootfs(),
        "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map}));
    let right = world.plan(&document);
    let mut wrong_at_the_end = right.clone();
    wrong_at_the_end.process.argv = vec![c"nosuch".into()];
    let mut wrong_at_the_start = right.clone();
    wrong_at_the_start.root = Some(wharf_runtime::Root::Dir(c"/no/such/root".into()));
    let mut wrong_amid = right.clone();
    wrong_amid.mounts[1].target = c"/etc/passwd/x".into();
    let outcome = with_launcher(|| {
        let open = || std::fs::read_dir("/proc/self/fd").expect("fds").count();
        let before = open();
        for plan in [&wrong_at_the_start, &wrong_amid, &wrong_at_the_end] {
            launch(plan, LaunchFds { stdio: Stdio::Console, ..LaunchFds::default() }).map(drop).expect_err("wrong");
            assert_eq!(open(), before);
            let children = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
            assert_eq!(children.map(drop), Err(rustix::io::Errno::CHILD));
        }
        let init =
            launch(&right, LaunchFds { stdio: Stdio::Console, ..LaunchFds::default() }).map_err(|e| describe(&e))?;
        assert_eq!(open(), before + 2, "the pidfd and the master");
        wharf_sys::pidfd::wait(&init.pidfd).expect("our child");
        Ok(Outcome { status: 0, output: String::new() })
    });
    ok(outcome);
}

#[test]
fn an_image_whose_user_database_is_no_file() {
    let world = World::new();
    std::fs::remove_file(world.rootfs().join("etc/passwd")).expect("file");
    let fifo = world.rootfs().join("etc/passwd");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .expect("fifo");
    assert_eq!(ok(world.run(&world.document("echo $HOME"))), "/\n");
    std::fs::remove_file(&fifo).expect("fifo");
    symlink("/etc/passwd", &fifo).expect("link");
    assert_eq!(ok(world.run(&world.document("echo $HOME"))), "/\n");
}

#[test]
fn a_working_directory_that_only_root_may_enter() {
    let world = World::new();
    std::fs::set_permissions(world.rootfs().join("root"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("mode");
    let mut document = world.document("readlink /proc/self/cwd; id -u");
    document["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    document["process"]["capabilities"] = json!({});
    document["process"]["cwd"] = json!("/root");
    assert_eq!(ok(world.run(&document)), "/root\n1000\n");
    document["process"]["cwd"] = json!("/etc/passwd");
    let error = world.run(&document).expect_err("no folder");
    assert_eq!(error, "126|chdir to cwd (\"/etc/passwd\") set in config.json failed: not a directory");
}
