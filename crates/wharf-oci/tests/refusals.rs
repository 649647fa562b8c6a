//! Row OPS-06: documents and commands that are wrong, and that nothing is left of them; `spec`, `features`, the log.

mod world;

use serde_json::{Value, json};
use world::{READY, World};

#[test]
fn r_ops_06_bad_documents_name_the_property() {
    let cases: [(&str, Value, &str); 9] = [
        ("/ociVersion", json!("3.0.0"), "ociVersion: unsupported version"),
        ("/process/args", json!([]), "process.args: must not be empty"),
        ("/process/cwd", json!("tmp"), "process.cwd: must be an absolute path"),
        ("/root/path", json!("nosuch"), "nosuch"),
        ("/mounts/0/destination", json!(""), "mounts[0].destination: required"),
        ("/mounts/1/type", json!("nosuchfs"), "no such device"),
        ("/linux/namespaces/0/type", json!("nosuch"), "unknown variant `nosuch`"),
        ("/linux/namespaces/1/type", json!("pid"), "pid is given twice"),
        ("/process/args/0", json!("nosuch"), "executable file not found in $PATH"),
    ];
    for (pointer, value, sentence) in cases {
        let world = World::new(&["true"]);
        world.change(|spec| *spec.pointer_mut(pointer).expect("a property") = value);
        world.oci(&["create", "c"]).fails_with(sentence);
        world.assert_clean();
    }
    let world = World::new(&["true"]);
    std::fs::write(world.config(), "{").expect("a file");
    world.oci(&["create", "c"]).fails_with("parse `");
    std::fs::remove_file(world.config()).expect("a file");
    world.oci(&["create", "c"]).fails_with("JSON specification file");
    world.oci(&["create", "--bundle", "/nosuch", "c"]).fails_with("open bundle `/nosuch`");
    world.assert_clean();
}

#[test]
fn r_ops_06_ids_are_names_and_taken_once() {
    let world = World::new(READY);
    for id in ["", ".", "..", "a/b", "a b", "ä"] {
        world.oci(&["create", id]).fails_with("invalid container ID format");
    }
    let _lines = world.running();
    world.oci(&["create", "c"]).fails_with("container with given ID already exists");
    assert_eq!(world.status(), "running");
    // the same cgroup under another ID
    world.oci(&["create", "other"]).fails_with("container's cgroup is not empty");
}

#[test]
fn r_ops_06_errors_go_to_the_json_log_and_to_the_terminal() {
    let world = World::new(&["nosuch"]);
    let said = world.oci(&["--log", "log.json", "--log-format", "json", "create", "c"]);
    let said = said.fails_with("executable file not found in $PATH");
    assert_eq!(said.code, 1);
    let text = std::fs::read_to_string(world.path().join("log.json")).expect("a log");
    let line: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(line["level"], "error");
    let message = line["msg"].as_str().expect("text");
    assert!(message.contains("unable to start container process: ") && said.err.contains(message), "{message}");
    assert!(line["time"].as_str().expect("text").ends_with('Z'));
    let said = world.oci(&["state", "nosuch"]);
    assert!(
        said.err.starts_with("time=\"") && said.err.contains("level=error msg=\"container does not exist\""),
        "{}",
        said.err
    );
}

#[test]
fn r_ops_06_commands_that_make_no_sense() {
    let world = World::new(&["true"]);
    world.oci(&["bogus"]).fails_with("No help topic for 'bogus'");
    world.oci(&["state"]).fails_with("requires exactly 1 argument(s)");
    world.oci(&["create", "--nosuch", "c"]).fails_with("flag provided but not defined: -nosuch");
    world.oci(&["--log-format", "xml", "list"]).fails_with("invalid log-format: xml");
    world.oci(&["kill", "c", "NOSUCH"]).fails_with("unknown signal");
    world.oci(&["checkpoint", "c"]).fails_with("checkpoint is not supported");
    world.oci(&["restore", "c"]).fails_with("restore is not supported");
    for args in [&["--help"][..], &["help"], &["run", "--help"], &[]] {
        assert!(world.oci(args).ok().starts_with("NAME:"));
    }
}

#[test]
fn r_ops_06_version_is_what_engines_parse() {
    let world = World::new(&["true"]);
    let text = world.oci(&["--version"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("wharf-oci version "));
    assert!(lines[1].starts_with("commit: "));
    assert!(lines[2].starts_with("spec: 1."));
}

#[test]
fn r_ops_06_spec_writes_a_document_once() {
    let world = World::new(&["true"]);
    world.oci(&["spec"]).fails_with("File config.json exists. Remove it first");
    std::fs::remove_file(world.config()).expect("a file");
    world.oci(&["spec", "--rootless"]).ok();
    let spec = world.spec();
    assert!(spec["linux"]["uidMappings"][0]["size"] == 1 && spec["linux"]["resources"].is_null());
}

#[test]
fn r_ops_06_features_follow_the_specification() {
    let world = World::new(&["true"]);
    let features: Value = serde_json::from_str(&world.oci(&["features"]).ok()).expect("JSON");
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["linux"]["namespaces"].as_array().expect("a list").len(), 8);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    assert!(features["hooks"].as_array().expect("a list").contains(&json!("createContainer")));
}

#[test]
fn r_ops_06_an_unfinished_creation_can_be_forced_away() {
    let world = World::new(&["true"]);
    std::fs::create_dir_all(world.states().join("c")).expect("a folder");
    world.oci(&["delete", "c"]).fails_with("container does not exist");
    world.oci(&["delete", "--force", "c"]).ok();
    std::fs::create_dir_all(world.states().join("c")).expect("a folder");
    std::fs::write(world.states().join("c/state.json"), "{").expect("a file");
    world.oci(&["state", "c"]).fails_with("parse `");
    world.oci(&["delete", "--force", "c"]).ok();
}
