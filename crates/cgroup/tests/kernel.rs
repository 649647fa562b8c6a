//! Real hierarchies of this machine, in a sub-cgroup of each test's own; needs root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use wharf_cgroup::{Access, Cgroup, CgroupPath, DeviceKind, DeviceRule, Error, Hierarchy, Kind, Limits, Memory};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A cgroup parent of the test's own.
struct Parent {
    name: String,
    hierarchy: Hierarchy,
}

impl Parent {
    fn new(hierarchy: Hierarchy) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wharf-cgroup-test-{}-{number}", std::process::id());
        Self { name, hierarchy }
    }

    fn path(&self) -> CgroupPath {
        CgroupPath::new(&self.name).and_then(|parent| parent.join("c")).expect("a plain name")
    }

    fn create(&self, limits: &Limits) -> Cgroup {
        self.hierarchy.create(&self.path(), limits).expect("a cgroup of our own")
    }

    fn exists(&self) -> bool {
        self.hierarchy.open(&self.path()).is_ok()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if let Ok(cgroup) = self.hierarchy.open(&CgroupPath::new(&self.name).expect("a plain name")) {
            let _ = cgroup.kill();
            let _ = cgroup.remove();
        }
    }
}

/// The hierarchies of this machine as they are.
fn all() -> Hierarchy {
    Hierarchy::detect(Path::new("/sys/fs/cgroup")).expect("cgroups are mounted")
}

/// As they are, and of a hybrid machine also each half alone: what v1 and v2 machines have.
fn views() -> Vec<Hierarchy> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("a mount table");
    let half = |v2: bool| {
        let lines = table.lines().filter(|line| line.contains(" - cgroup2 ") == v2);
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        Hierarchy::from_mount_table(&text, Path::new("/sys/fs/cgroup"))
    };
    match all().kind() {
        Kind::Hybrid => vec![all(), half(true).expect("a v2 hierarchy"), half(false).expect("v1 hierarchies")],
        _ => vec![all()],
    }
}

/// A shell that enters the cgroup by itself, says `ready` and goes on with the script.
fn inside(cgroup: &Cgroup, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut enter = String::new();
    for (controller, folder) in cgroup.folders() {
        let (file, what) = if controller.is_empty() { ("cgroup.procs", "$$") } else { ("tasks", "0") };
        enter.push_str(&format!("echo {what} > {}/{file}; ", folder.display()));
    }
    let script = format!("{enter} echo ready; {script}");
    let mut child = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a pipe");
    assert_eq!(line, "ready\n");
    (child, out)
}

fn pid(child: &Child) -> i32 {
    child.id() as i32
}

/// The processes inside but for zombies: those whose parent has ended wait for the machine's init.
fn alive(cgroup: &Cgroup) -> Vec<i32> {
    let ended = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']))
    };
    cgroup.processes().expect("a list").into_iter().filter(|pid| !ended(pid)).collect()
}

#[test]
fn r_iso_03_create_enter_freeze_kill_remove() {
    for hierarchy in views() {
        let parent = Parent::new(hierarchy);
        let cgroup = parent.create(&Limits::default());
        let fds = cgroup.join_fds().expect("open files");
        assert_eq!(fds.unified.is_some(), parent.hierarchy.kind() != Kind::V1);
        let (mut child, _out) = inside(&cgroup, "sleep 1000 & sleep 1000");
        let pids = cgroup.processes().expect("a list");
        assert!(pids.contains(&pid(&child)), "{pids:?}");
        cgroup.freeze().expect("a freezer");
        assert!(cgroup.is_frozen().expect("a state"));
        cgroup.thaw().expect("a freezer");
        assert!(!cgroup.is_frozen().expect("a state"));
        // killed while frozen
        cgroup.freeze().expect("a freezer");
        cgroup.kill().expect("all end");
        assert!(!child.wait().expect("a child").success());
        assert_eq!(alive(&cgroup), []);
        cgroup.remove().expect("empty");
        assert!(!parent.exists());
        cgroup.remove().expect("removing twice is fine");
    }
}

#[test]
fn a_fork_bomb_is_killed() {
    for hierarchy in views() {
        let parent = Parent::new(hierarchy);
        let limits = Limits { pids: Some(100), ..Limits::default() };
        let limits = if parent.hierarchy.has_controller("pids") { limits } else { Limits::default() };
        let cgroup = parent.create(&limits);
        // each process makes the next and ends: only an atomic kill or a frozen group gets hold of it
        let (mut child, _out) = inside(&cgroup, "f() { f & }; f; sleep 1000");
        cgroup.kill().expect("all end");
        let _ = child.wait();
        assert_eq!(alive(&cgroup), []);
        cgroup.remove().expect("empty");
    }
}

#[test]
fn nested_groups_go_with_it() {
    for hierarchy in views() {
        let parent = Parent::new(hierarchy);
        let cgroup = parent.create(&Limits::default());
        for (_, folder) in cgroup.folders() {
            std::fs::create_dir_all(folder.join("a/b")).expect("a cgroup");
            std::fs::create_dir_all(folder.join("d")).expect("a cgroup");
        }
        cgroup.remove().expect("empty");
        assert!(!parent.exists());
    }
}

#[test]
fn a_used_cgroup_is_not_taken_over() {
    for hierarchy in views() {
        let parent = Parent::new(hierarchy);
        let cgroup = parent.create(&Limits::default());
        // left over by a crash and empty: taken over
        parent.hierarchy.create(&parent.path(), &Limits::default()).expect("an empty folder");
        let (mut child, _out) = inside(&cgroup, "sleep 1000");
        let error = parent.hierarchy.create(&parent.path(), &Limits::default()).expect_err("somebody is inside");
        assert!(matches!(error, Error::NotEmpty { count: 1.., .. }), "{error}");
        cgroup.kill().expect("all end");
        child.wait().expect("a child");
    }
}

#[test]
fn a_limit_that_cannot_be_leaves_nothing() {
    let parent = Parent::new(all());
    let memory = Memory { limit: Some(1 << 20), swap: Some(1 << 10), ..Memory::default() };
    let error = parent.hierarchy.create(&parent.path(), &Limits { memory, ..Limits::default() });
    let error = error.expect_err("swap below memory").to_string();
    assert!(error.contains("memory+swap limit should be >= memory limit"), "{error}");
    assert!(!parent.exists());
    assert!(parent.hierarchy.open(&CgroupPath::new(&parent.name).expect("a plain name")).is_err());
}

#[test]
fn r_iso_07_devices_are_allowed_and_denied() {
    let null =
        |allow| DeviceRule { allow, kind: DeviceKind::Char, major: Some(1), minor: Some(3), access: Access::ALL };
    let all = DeviceRule { allow: false, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL };
    for hierarchy in views() {
        let parent = Parent::new(hierarchy);
        let cgroup = parent.create(&Limits { devices: vec![all, null(true)], ..Limits::default() });
        // not 2>/dev/null: that is a device as well
        let ask = "exec 2>&-; (: </dev/null) && echo null; (: </dev/zero) && echo zero; echo end";
        let answer = |rules: Option<Vec<DeviceRule>>| {
            let mut enter = String::new();
            for (controller, folder) in cgroup.folders() {
                let (file, what) = if controller.is_empty() { ("cgroup.procs", "$$") } else { ("tasks", "0") };
                enter.push_str(&format!("echo {what} > {}/{file}; ", folder.display()));
            }
            if let Some(devices) = rules {
                cgroup.update(&Limits { devices, ..Limits::default() }).expect("rules");
            }
            let output = Command::new("sh").args(["-c", &format!("{enter} {ask}")]).stdin(Stdio::null()).output();
            String::from_utf8_lossy(&output.expect("a shell").stdout).into_owned()
        };
        assert_eq!(answer(None), "null\nend\n", "{:?}", parent.hierarchy.kind());
        // the new program takes the place of the old one
        let zero = DeviceRule { minor: Some(5), ..null(true) };
        assert_eq!(answer(Some(vec![all, zero])), "zero\nend\n", "{:?}", parent.hierarchy.kind());
        cgroup.remove().expect("empty");
    }
}

#[test]
fn statistics_count() {
    let parent = Parent::new(all());
    let cgroup = parent.create(&Limits::default());
    let (mut child, mut out) =
        inside(&cgroup, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 1000");
    let mut line = String::new();
    out.read_line(&mut line).expect("a pipe");
    let stats = cgroup.stats().expect("files");
    assert!(stats.cpu.usage > 0);
    if parent.hierarchy.has_controller("memory") {
        assert!(stats.memory.usage > 0 && stats.memory.stats.contains_key("pgfault"));
    }
    if parent.hierarchy.has_controller("pids") {
        assert!(stats.pids.current >= 1);
    }
    cgroup.kill().expect("all end");
    child.wait().expect("a child");
    cgroup.remove().expect("empty");
}

#[test]
fn r_iso_04_an_oom_kill_is_seen() {
    let parent = Parent::new(all());
    if !parent.hierarchy.has_controller("memory") {
        return;
    }
    let memory = Memory { limit: Some(16 << 20), swap: Some(16 << 20), ..Memory::default() };
    let cgroup = parent.create(&Limits { memory, ..Limits::default() });
    let watch = cgroup.watch_oom().expect("a memory controller");
    let (mut child, _out) = inside(&cgroup, "x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo survived");
    let mut fds = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, None).expect("poll");
    let _ = child.wait();
    watch.drain();
    assert!(cgroup.oom_kills().expect("a counter") >= 1);
    cgroup.kill().expect("all end");
    cgroup.remove().expect("empty");
}

#[test]
fn children_are_listed() {
    let parent = Parent::new(all());
    let cgroup = parent.create(&Limits::default());
    let above = CgroupPath::new(&parent.name).expect("a plain name");
    assert_eq!(parent.hierarchy.children(&above).expect("a folder"), ["c"]);
    cgroup.remove().expect("empty");
    assert!(parent.hierarchy.children(&above).expect("a folder").is_empty());
}
