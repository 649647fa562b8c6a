//! Launches of real containers: namespaces, rights, limits, cgroups, filters, programs (root needed).

mod world;

use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use wharf_runtime::{LaunchFds, launch};
use world::{Outcome, World, describe, finish, ok, output, with_launcher};

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
