//! What a container sees of files: mounts, devices, hidden paths, user namespaces, and images that try to get out (root needed).

mod world;

use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use world::{World, ok};

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
    // bits that a change of owner takes away
    std::fs::write(world.rootfs().join("etc/tool"), "").expect("file");
    std::os::unix::fs::chown(world.rootfs().join("etc/tool"), Some(7), Some(8)).expect("owner");
    std::fs::set_permissions(world.rootfs().join("etc/tool"), Permissions::from_mode(0o6755)).expect("mode");
    let mut document = world.document(
        "cat /etc/deep/file; stat -c ' %a %u:%g' /etc/tool; echo x > /etc/new; echo; (echo x > /ro/new) 2>&1; ls /ro",
    );
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.push(json!({"destination": "/etc", "type": "tmpfs", "source": "t", "options": ["tmpcopyup"]}));
    mounts.push(json!({"destination": "/ro", "type": "tmpfs", "source": "t", "options": ["ro"]}));
    mounts.push(json!({"destination": "/ro/inner", "type": "tmpfs", "source": "t"}));
    assert_eq!(ok(world.run(&document)), "text 6755 7:8\n\nsh: can't create /ro/new: Read-only file system\ninner\n");
    assert!(!world.rootfs().join("etc/new").exists());
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
fn r_iso_10_an_ordinary_user_launches_in_a_user_namespace() {
    let world = World::new();
    for path in [world.path().to_owned(), world.rootfs()] {
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    }
    std::os::unix::fs::chown(world.rootfs(), Some(1000), Some(1000)).expect("chown");
    for name in ["dev", "proc", "sys", "tmp"] {
        std::os::unix::fs::chown(world.rootfs().join(name), Some(1000), Some(1000)).expect("chown");
    }
    let mut document = world.document(
        "id -u; cat /proc/self/uid_map; [ -c /dev/null ] && echo null; echo x > /mine; cat /data/uptime | wc -l",
    );
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    document["linux"]["namespaces"].as_array_mut().expect("list").push(json!({"type": "user"}));
    // group 5 is not mapped
    document["mounts"][2]["options"] = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
    let mounts = document["mounts"].as_array_mut().expect("list");
    mounts.push(
        json!({"destination": "/data/uptime", "type": "bind", "source": "/etc/hostname", "options": ["bind", "ro"]}),
    );
    let spec = serde_json::from_value(document).expect("document");
    let options = wharf_runtime::PlanOptions { rootless: true, ..world.options() };
    let plan = wharf_runtime::plan(&spec, &options).expect("plan");
    let outcome = world.run_as(1000, &plan);
    let text = ok(outcome);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..5], ["0", "0", "1000", "1", "null"], "{text}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(world.rootfs().join("mine")).expect("file").uid(), 1000);
}
