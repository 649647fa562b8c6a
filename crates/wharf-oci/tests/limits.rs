//! Rows ISO-03…07 and ISO-09 through the runtime: cgroup paths, limits, updates, events.

mod world;

use serde_json::{Value, json};
use world::{READY, World};

/// Whether this machine has v1 memory, pids and cpu controllers (else the v2 rows in the virtual machine speak).
fn v1() -> bool {
    std::path::Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
}

#[test]
fn r_iso_03_one_cgroup_in_every_hierarchy() {
    let world = World::new(READY);
    let _lines = world.running();
    let pid = world.state()["pid"].as_i64().expect("a number");
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    let path = format!("/{}/c", world.parent);
    assert!(text.lines().all(|line| line.ends_with(&path)), "{text}");
    assert!(!world.cgroups().is_empty());
}

#[test]
fn r_iso_03_systemd_paths_are_accepted() {
    let world = World::new(READY);
    world
        .change(|spec| spec["linux"]["cgroupsPath"] = json!(format!("{}.slice:pre:c", world.parent.replace('-', "_"))));
    let mut command = world.command(&["--systemd-cgroup", "run", "-d", "c"]);
    assert!(command.stdout(std::process::Stdio::null()).status().expect("wharf-oci runs").success());
    let pid = world.state()["pid"].as_i64().expect("a number");
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    let slice = format!("{}.slice", world.parent.replace('-', "_"));
    assert!(text.lines().all(|line| line.ends_with(&format!("/{slice}/pre-c.scope"))), "{text}");
    world.oci(&["delete", "-f", "c"]).ok();
    for entry in std::fs::read_dir("/sys/fs/cgroup").expect("a folder").flatten() {
        let _ = std::fs::remove_dir(entry.path().join(&slice));
    }
    let _ = std::fs::remove_dir(std::path::Path::new("/sys/fs/cgroup").join(&slice));
}

#[test]
fn r_iso_04_limits_are_written_before_the_program_runs() {
    if !v1() {
        return;
    }
    let world = World::new(READY);
    world.change(|spec| {
        spec["linux"]["resources"] = json!({
            "memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432, "swappiness": 10},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
            "pids": {"limit": 20},
            "devices": [{"allow": false, "access": "rwm"}],
        });
    });
    let _lines = world.running();
    let check = |controller: &str, file: &str, value: &str| {
        assert_eq!(world.limit(controller, file).as_deref(), Some(value), "{file}");
    };
    check("memory", "memory.limit_in_bytes", "67108864");
    check("memory", "memory.memsw.limit_in_bytes", "134217728");
    check("memory", "memory.soft_limit_in_bytes", "33554432");
    check("memory", "memory.swappiness", "10");
    check("cpu", "cpu.shares", "512");
    check("cpu", "cpu.cfs_quota_us", "50000");
    check("cpuset", "cpuset.cpus", "0");
    check("pids", "pids.max", "20");
    // devices: null works, the disk does not
    world.oci(&["exec", "c", "sh", "-c", "echo x >/dev/null"]).ok();
    let said = world.oci(&["exec", "c", "sh", "-c", "busybox mknod /tmp/d c 10 200 && cat </tmp/d"]);
    assert!(said.err.contains("not permitted"), "{}", said.err);
}

#[test]
fn r_iso_09_update_changes_a_running_container() {
    if !v1() {
        return;
    }
    let world = World::new(READY);
    let _lines = world.running();
    world
        .oci(&["update", "--memory", "64m", "--memory-swap", "128m", "--pids-limit", "33", "--cpu-share", "2048", "c"])
        .ok();
    assert_eq!(world.limit("memory", "memory.limit_in_bytes").as_deref(), Some("67108864"));
    assert_eq!(world.limit("pids", "pids.max").as_deref(), Some("33"));
    assert_eq!(world.limit("cpu", "cpu.shares").as_deref(), Some("2048"));
    // raising both needs another order of writes than lowering
    world.oci(&["update", "--memory", "256m", "--memory-swap", "512m", "c"]).ok();
    assert_eq!(world.limit("memory", "memory.memsw.limit_in_bytes").as_deref(), Some("536870912"));
    std::fs::write(
        world.path().join("r.json"),
        json!({"memory": {"limit": 134217728}, "cpu": {"quota": 25000}}).to_string(),
    )
    .expect("a file");
    world.oci(&["update", "-r", "r.json", "c"]).ok();
    assert_eq!(world.limit("memory", "memory.limit_in_bytes").as_deref(), Some("134217728"));
    assert_eq!(world.limit("cpu", "cpu.cfs_quota_us").as_deref(), Some("25000"));
    world.oci(&["update", "--memory", "4k", "c"]).fails_with("unable to set memory limit to 4096");
    world.oci(&["update", "--memory", "x", "c"]).fails_with("invalid size: 'x'");
}

#[test]
fn r_iso_04_an_oom_kill_is_reported() {
    if !v1() {
        return;
    }
    let world = World::new(&[
        "sh",
        "-c",
        "echo ready; read go; x=$(head -c 60000000 /dev/zero | busybox tr '\\0' x); echo survived",
    ]);
    world.change(|spec| spec["linux"]["resources"]["memory"] = json!({"limit": 20_000_000, "swap": 20_000_000}));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut create = world.command(&["create", "c"]);
    let mut child = create.stdin(reader).stdout(std::process::Stdio::piped()).spawn().expect("wharf-oci runs");
    drop(create);
    assert!(child.wait().expect("a child").success());
    let mut lines = world::Lines::new(&mut child);
    world.oci(&["start", "c"]).ok();
    assert_eq!(lines.next(), "ready");
    let mut events = world
        .command(&["events", "--interval", "50ms", "c"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("wharf-oci runs");
    let mut seen = world::Lines::new(&mut events);
    // the first statistics show that it watches
    let first: Value = serde_json::from_str(&seen.next()).expect("JSON");
    assert_eq!(first["type"], "stats");
    std::io::Write::write_all(&mut &writer, b"go\n").expect("a pipe");
    drop(writer);
    let rest = seen.rest();
    assert!(events.wait().expect("a child").success());
    assert!(rest.contains(r#"{"type":"oom","id":"c"}"#), "{rest}");
}

#[test]
fn r_ops_06_events_give_statistics() {
    let world = World::new(READY);
    let _lines = world.running();
    let line: Value = serde_json::from_str(&world.oci(&["events", "--stats", "c"]).ok()).expect("JSON");
    assert_eq!((&line["type"], &line["id"]), (&json!("stats"), &json!("c")));
    assert!(line["data"]["cpu"]["usage"]["total"].as_u64().expect("a number") > 0);
    if v1() {
        assert!(line["data"]["memory"]["usage"]["usage"].as_u64().expect("a number") > 0);
        assert!(line["data"]["pids"]["current"].as_u64().expect("a number") >= 1);
    }
}

#[test]
fn r_iso_03_nested_cgroups_of_the_container_go_with_it() {
    if !v1() {
        return;
    }
    let world = World::new(READY);
    let _lines = world.running();
    let own = std::path::Path::new("/sys/fs/cgroup/pids").join(&world.parent).join("c");
    std::fs::create_dir_all(own.join("deep/deeper")).expect("a cgroup");
    world.oci(&["delete", "-f", "c"]).ok();
    world.assert_clean();
}
