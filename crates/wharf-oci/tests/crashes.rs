//! Row OPS-06 and issue-wide promise: `create` killed or failing at any step leaves nothing behind a forced `delete`.

mod world;

use serde_json::json;
use world::{READY, World};

const STEPS: [&str; 5] =
    ["oci.create.folder", "oci.create.intent", "oci.create.cgroup", "oci.create.launched", "oci.create.saved"];

/// Processes that are still in the container's cgroup.
fn processes(world: &World) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("a folder").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let inside = |pid: &i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
        // a zombie that its new parent has not reaped yet shows a deleted cgroup
        text.is_ok_and(|text| text.contains(&world.parent) && !text.contains("(deleted)"))
    };
    pids.filter(inside).collect()
}

#[test]
fn r_ops_06_create_killed_at_any_step_can_be_deleted() {
    for point in STEPS {
        let world = World::new(READY);
        let mut command = world.command(&["create", "c"]);
        let status =
            command.env("WHARF_FAILPOINTS", format!("{point}=kill")).stdout(std::process::Stdio::null()).status();
        assert!(!status.expect("wharf-oci runs").success(), "{point}");
        world.oci(&["create", "c"]).fails_with("container with given ID already exists");
        world.oci(&["delete", "--force", "c"]).ok();
        assert_eq!(processes(&world), Vec::<i32>::new(), "{point}");
        world.assert_clean();
        // and the ID is free again
        let _lines = world.running();
    }
}

#[test]
fn r_ops_06_create_failing_at_any_step_leaves_nothing() {
    for point in STEPS {
        let world = World::new(READY);
        let hook = format!("cat >/dev/null; echo poststop >>{}", world.path().join("hooks.log").display());
        world.change(|spec| spec["hooks"] = json!({"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", hook]}]}));
        let mut command = world.command(&["create", "c"]);
        let output = command.env("WHARF_FAILPOINTS", format!("{point}=error")).output().expect("wharf-oci runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(&format!("pass fail point `{point}`")), "{text}");
        assert_eq!(processes(&world), Vec::<i32>::new(), "{point}");
        world.assert_clean();
        let launched = point.ends_with("launched") || point.ends_with("saved");
        assert_eq!(world.path().join("hooks.log").exists(), launched, "{point}");
    }
}

#[test]
fn r_ops_06_a_container_in_creation_is_seen() {
    let world = World::new(READY);
    let mut command = world.command(&["create", "c"]);
    let status =
        command.env("WHARF_FAILPOINTS", "oci.create.launched=kill").stdout(std::process::Stdio::null()).status();
    assert!(!status.expect("wharf-oci runs").success());
    assert_eq!(world.status(), "creating");
    world.oci(&["start", "c"]).fails_with("cannot start");
    world.oci(&["kill", "c", "9"]).fails_with("container not running");
    world.oci(&["delete", "c"]).fails_with("that is not stopped: creating");
    world.oci(&["delete", "--force", "c"]).ok();
}
