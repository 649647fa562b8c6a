//! Rows OPS-06: hooks at their points, and what a failing one does.

mod world;

use serde_json::{Value, json};
use world::World;

/// A hook that writes its name and the status it is told into the log of the test.
fn hook(world: &World, name: &str) -> Value {
    let log = world.path().join("hooks.log");
    let script =
        format!("state=$(cat); status=${{state#*'\"status\":\"'}}; echo {name} ${{status%%'\"'*}} >>{}", log.display());
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
}

fn log(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(world.path().join("hooks.log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn r_ops_06_hooks_run_in_the_order_of_the_specification() {
    let world = World::new(&["true"]);
    let inside =
        json!([{"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null; echo startContainer >>/tmp/inside"]}]);
    let outside_path = world.path().join("createContainer").display().to_string();
    let create_container = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("cat >/dev/null; readlink /proc/self/ns/mnt >{outside_path}")]}]);
    world.change(|spec| {
        spec["hooks"] = json!({
            "prestart": hook(&world, "prestart"), "createRuntime": hook(&world, "createRuntime"),
            "createContainer": create_container, "startContainer": inside,
            "poststart": hook(&world, "poststart"), "poststop": hook(&world, "poststop"),
        });
    });
    world.create();
    let before = ["prestart created", "createRuntime created"];
    let creating = ["prestart creating", "createRuntime creating"];
    let seen = log(&world);
    assert!(seen == before || seen == creating, "{seen:?}");
    // the host's path, the container's mount namespace
    let namespace = std::fs::read_to_string(&outside_path).expect("written by the hook");
    let own = std::fs::read_link("/proc/self/ns/mnt").expect("a namespace");
    assert_ne!(namespace.trim(), own.to_str().expect("a plain path"));
    assert!(!world.rootfs().join("tmp/inside").exists());

    world.oci(&["start", "c"]).ok();
    assert_eq!(log(&world)[2..], ["poststart running"]);
    let pid = world.state()["pid"].as_i64().expect("a number");
    world::await_end(pid as i32);
    assert_eq!(std::fs::read_to_string(world.rootfs().join("tmp/inside")).expect("written inside"), "startContainer\n");
    world.oci(&["delete", "c"]).ok();
    assert_eq!(log(&world)[3..], ["poststop stopped"]);
}

#[test]
fn r_ops_06_a_failing_hook_undoes_the_creation() {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let world = World::new(&["true"]);
        world.change(|spec| {
            spec["hooks"] = json!({ point: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}], "poststop": hook(&world, "poststop") });
        });
        world.oci(&["create", "c"]).fails_with("hook");
        assert_eq!(log(&world), ["poststop stopped"], "{point}");
        world.assert_clean();
    }
}

#[test]
fn r_ops_06_a_failing_poststop_hook_is_only_logged() {
    let world = World::new(&["true"]);
    world.change(|spec| {
        spec["hooks"] = json!({ "poststop": [{"path": "/bin/false"}, {"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null"]}] });
    });
    let said = world.oci(&["run", "c"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("level=warning") && said.err.contains("poststop"), "{}", said.err);
}

#[test]
fn r_ops_06_a_hook_has_its_time() {
    let world = World::new(&["true"]);
    world.change(|spec| {
        spec["hooks"] = json!({ "createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}] });
    });
    world.oci(&["create", "c"]).fails_with("hook");
    world.assert_clean();
}
