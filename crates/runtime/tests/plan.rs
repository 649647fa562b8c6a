//! Planning is pure: documents in, plans or sentences out.

use serde_json::{Value, json};
use std::ffi::CString;
use wharf_runtime::{CgroupView, MountSource, Plan, PlanOptions, Propagation, V1Controller, plan};
use wharf_spec::runtime::Spec;
use wharf_sys::mount::attr;

fn document() -> Value {
    serde_json::from_str(include_str!("world/docker.json")).expect("JSON")
}

fn options() -> PlanOptions {
    PlanOptions { id: "id".into(), bundle: "/bundle".into(), ..PlanOptions::default() }
}

fn planned(document: Value) -> Plan {
    let spec: Spec = serde_json::from_value(document).expect("a document");
    plan(&spec, &options()).expect("a plan")
}

/// The sentence for a document with `value` at `pointer` (whose last part is made when missing).
#[track_caller]
fn refused(pointer: &str, value: Value, expect: &str) {
    let mut document = document();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    document.pointer_mut(parent).expect("exists")[last] = value;
    let spec: Spec = serde_json::from_value(document).expect("a document");
    assert_eq!(plan(&spec, &options()).expect_err(expect).to_string(), expect);
}

#[test]
fn what_is_wrong_is_named() {
    refused("/process/args", json!([]), "process.args: must not be empty");
    refused("/process/cwd", json!("relative"), "process.cwd: Cwd must be an absolute path");
    refused("/process/env", json!(["NOEQUALS"]), "process.env: \"NOEQUALS\" is not of the form KEY=value");
    refused("/process/args", json!(["a\0b"]), "process.args: contains a NUL byte");
    refused("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj: 1001 is not between -1000 and 1000");
    refused(
        "/process/rlimits",
        json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}]),
        "process.rlimits: wrong rlimit value: RLIMIT_X",
    );
    refused(
        "/process/rlimits",
        json!([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]),
        "process.rlimits: RLIMIT_CPU: soft limit above the hard one",
    );
    refused(
        "/process/rlimits",
        json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]),
        "process.rlimits: RLIMIT_CPU appears twice",
    );
    refused("/process/scheduler", json!({"policy": "SCHED_X"}), "process.scheduler: unknown policy \"SCHED_X\"");
    refused(
        "/process/ioPriority",
        json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
        "process.ioPriority: priority is not between 0 and 7",
    );
    refused("/root", json!({"path": ""}), "root.path: must not be empty");
    refused("/hostname", json!("x".repeat(65)), "hostname: longer than 64 bytes");
    refused(
        "/linux/namespaces",
        json!([{"type": "mount"}, {"type": "mount"}]),
        "linux.namespaces: malformed spec file: duplicated ns \"mount\"",
    );
    refused(
        "/linux/namespaces",
        json!([{"type": "mount"}]),
        "hostname: unable to set hostname without a private UTS namespace",
    );
    refused(
        "/linux/namespaces",
        json!([{"type": "mount", "path": "relative"}]),
        "linux.namespaces: \"relative\" is not an absolute path",
    );
    refused(
        "/linux/uidMappings",
        json!([{"containerID": 0, "hostID": 1, "size": 1}]),
        "linux.uidMappings: mappings need a user namespace",
    );
    refused(
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 1}}),
        "linux.timeOffsets: offsets need a new time namespace",
    );
    refused("/linux/rootfsPropagation", json!("sideways"), "linux.rootfsPropagation: unknown propagation \"sideways\"");
    refused("/linux/maskedPaths", json!(["relative"]), "linux.maskedPaths: \"relative\" is not an absolute path");
    refused("/linux/personality", json!({"domain": "BSD"}), "linux.personality.domain: unknown domain \"BSD\"");
    refused(
        "/linux/devices",
        json!([{"path": "/dev/x", "type": "a"}]),
        "linux.devices[0]: a device node needs a type of c, b, u or p",
    );
    refused(
        "/linux/devices",
        json!([{"path": "/dev/x", "type": "c", "major": -1, "minor": 1}]),
        "linux.devices[0]: device number out of range",
    );
    refused(
        "/linux/sysctl",
        json!({"kernel.hostname": "x"}),
        "linux.sysctl: sysctl \"kernel.hostname\" conflicts with the hostname property",
    );
    refused(
        "/linux/sysctl",
        json!({"vm.swappiness": "x"}),
        "linux.sysctl: sysctl \"vm.swappiness\" is not in a separate kernel namespace",
    );
    refused("/linux/intelRdt", json!({}), "linux.intelRdt: no resource director support");
    refused(
        "/hooks",
        json!({"poststop": [{"path": "relative"}]}),
        "hooks.poststop: \"relative\" is not an absolute path",
    );
    refused(
        "/hooks",
        json!({"poststop": [{"path": "/x", "timeout": 0}]}),
        "hooks.poststop: timeout must be greater than zero",
    );
    let mount = |mount: Value| json!([mount]);
    refused(
        "/mounts",
        mount(json!({"destination": "/x", "type": "bind", "options": ["bind"]})),
        "mounts[0].source: a bind mount needs a source",
    );
    refused(
        "/mounts",
        mount(json!({"destination": "/x", "source": "y"})),
        "mounts[0].type: a mount that is no bind mount needs a type",
    );
    refused("/mounts", mount(json!({"destination": "", "type": "tmpfs"})), "mounts[0].destination: empty path");
    refused(
        "/mounts",
        mount(json!({"destination": "/proc", "type": "tmpfs"})),
        "mounts[0]: \"/proc\" cannot be mounted because it is not of type proc",
    );
    refused(
        "/mounts",
        mount(json!({"destination": "/x/../proc/sys", "type": "tmpfs"})),
        "mounts[0]: \"/proc/sys\" cannot be mounted because it is inside /proc",
    );
    refused(
        "/mounts",
        mount(json!({"destination": "/x", "type": "tmpfs", "options": ["idmap"]})),
        "mounts[0]: only bind mounts can be id-mapped",
    );
    refused(
        "/mounts",
        mount(json!({"destination": "/x", "type": "bind", "source": "/y", "options": ["bind", "idmap"]})),
        "mounts[0]: an id-mapped mount needs both uidMappings and gidMappings",
    );
}

#[test]
fn mounts_of_v1_cgroups() {
    let mut document = document();
    document["mounts"] = json!([{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"]}]);
    let spec: Spec = serde_json::from_value(document).expect("a document");
    let controller =
        |name: &str| V1Controller { name: name.into(), dir: format!("/sys/fs/cgroup/{name}/docker/id").into() };
    let cgroup = CgroupView { v1: vec![controller("memory"), controller("cpu,cpuacct")], v2: None };
    let plan = plan(&spec, &PlanOptions { cgroup, ..options() }).expect("a plan");
    let steps: Vec<(CString, u64, String)> = plan
        .mounts
        .iter()
        .map(|step| {
            let source = match &step.source {
                MountSource::Bind { path, .. } => path.to_string_lossy().into_owned(),
                MountSource::Filesystem { kind, .. } => kind.to_string_lossy().into_owned(),
                MountSource::Link { content } => format!("-> {}", content.to_string_lossy()),
                MountSource::Overlay(overlay) => format!("overlay of {}", overlay.lower.len()),
                MountSource::Remount => "remount".into(),
            };
            (step.target.clone(), step.set, source)
        })
        .collect();
    let flags = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    assert_eq!(
        steps,
        [
            (c"/sys/fs/cgroup".into(), flags, "tmpfs".into()),
            (c"/sys/fs/cgroup/memory".into(), flags | attr::RDONLY, "/sys/fs/cgroup/memory/docker/id".into()),
            (c"/sys/fs/cgroup/cpu,cpuacct".into(), flags | attr::RDONLY, "/sys/fs/cgroup/cpu,cpuacct/docker/id".into()),
            (c"/sys/fs/cgroup/cpu".into(), 0, "-> cpu,cpuacct".into()),
            (c"/sys/fs/cgroup/cpuacct".into(), 0, "-> cpu,cpuacct".into()),
        ]
    );
}

#[test]
fn read_only_file_systems_that_are_filled_first() {
    let mut document = document();
    document["mounts"] = json!([
        {"destination": "/dev", "type": "tmpfs", "source": "t", "options": ["ro", "size=1m"]},
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]},
    ]);
    let plan = planned(document);
    assert_eq!(plan.late_readonly, [CString::from(c"/dev")]);
    assert_eq!((plan.mounts[0].set, plan.mounts[1].set), (0, attr::RDONLY));
}

#[test]
fn the_last_of_several_variables_counts() {
    let mut document = document();
    document["process"]["env"] = json!(["A=1", "PATH=/x", "AB=2", "A=3", "PATH=/bin::/usr/bin"]);
    let plan = planned(document);
    assert_eq!(plan.process.env, [CString::from(c"AB=2"), c"A=3".into(), c"PATH=/bin::/usr/bin".into()]);
    assert_eq!(plan.process.path, [CString::from(c"/bin"), c"/usr/bin".into()]);
    assert!(plan.process.set_home);
}

#[test]
fn relative_paths_start_at_the_bundle() {
    let plan = planned(document());
    assert_eq!(plan.root, Some(wharf_runtime::Root::Dir(c"/bundle/rootfs".into())));
    assert_eq!((plan.propagation, plan.propagation_asked), ((Propagation::Slave, true), false));
    assert_eq!(plan.keyring.as_deref(), Some(c"_ses.id"));
}

#[test]
fn capabilities_that_nobody_knows_are_left_out() {
    let mut document = document();
    document["process"]["capabilities"] =
        json!({"bounding": ["CAP_KILL", "CAP_FROM_THE_FUTURE"], "effective": ["CAP_KILL"]});
    let sets = planned(document).process.capabilities;
    assert_eq!((sets.bounding, sets.effective, sets.permitted), (1 << 5, 1 << 5, 0));
}

#[test]
fn a_plan_stays_small_on_the_wire() {
    let spec: Spec = serde_json::from_value(document()).expect("a document");
    let mut spec = spec;
    let conditions = wharf_spec::seccomp::Conditions {
        arch: wharf_spec::seccomp::Arch::NATIVE,
        capabilities: wharf_spec::capability::DOCKER_DEFAULT,
        kernel: (6, 18),
    };
    let filter = wharf_spec::seccomp::Profile::docker_default().resolve(&conditions).expect("right");
    spec.linux.as_mut().expect("linux").seccomp = Some(filter);
    let bytes = postcard::to_stdvec(&plan(&spec, &options()).expect("a plan")).expect("serialisable");
    assert!(bytes.len() < 8 << 10, "{} bytes", bytes.len());
}
