//! What is written for which limit: pretended hierarchies of ordinary files, no rights needed.

use std::collections::BTreeMap;
use std::path::Path;

use wharf_cgroup::{BlockIo, Cgroup, CgroupPath, Cpu, Hierarchy, Kind, Limits, Memory, ThrottleDevice};

/// A mount table line of a v1 hierarchy or, without controllers, of the v2 one.
fn line(root: &Path, name: &str, controllers: Option<&str>) -> String {
    let point = root.join(name).display().to_string();
    match controllers {
        Some(list) => format!("31 23 0:28 / {point} rw,relatime shared:9 - cgroup cgroup rw,{list}\n"),
        None => format!("41 31 0:38 / {point} rw,relatime - cgroup2 cgroup2 rw\n"),
    }
}

/// Makes `<root>/<mount>/t/<file>` with a content.
fn file(root: &Path, mount: &str, file: &str, content: &str) {
    let dir = root.join(mount).join("t");
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join(file), content).expect("a file");
}

fn content(root: &Path, mount: &str, file: &str) -> String {
    std::fs::read_to_string(root.join(mount).join("t").join(file)).expect("a file")
}

fn open(root: &Path, table: &str) -> Cgroup {
    let hierarchy = Hierarchy::from_mount_table(table, root).expect("folders that exist");
    hierarchy.open(&CgroupPath::new("t").expect("a path")).expect("made by the test")
}

fn v2(root: &Path, files: &[(&str, &str)]) -> Cgroup {
    std::fs::create_dir_all(root.join("u/t")).expect("a folder");
    std::fs::write(root.join("u/cgroup.controllers"), "cpu io memory pids cpuset\n").expect("a file");
    for (name, text) in files {
        file(root, "u", name, text);
    }
    open(root, &line(root, "u", None))
}

#[test]
fn kinds_are_told_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path();
    for name in ["memory", "cpu,cpuacct", "systemd", "unified"] {
        std::fs::create_dir_all(root.join(name)).expect("a folder");
    }
    std::fs::write(root.join("unified/cgroup.controllers"), "").expect("a file");
    let memory = line(root, "memory", Some("memory"));
    let cpu = line(root, "cpu,cpuacct", Some("cpu,cpuacct"));
    let named = line(root, "systemd", Some("xattr,name=systemd"));
    let unified = line(root, "unified", None);
    let kind = |table: String| Hierarchy::from_mount_table(&table, root).map(|hierarchy| hierarchy.kind());
    assert_eq!(kind(format!("{memory}{cpu}{named}")).ok(), Some(Kind::V1));
    assert_eq!(kind(format!("{memory}{unified}")).ok(), Some(Kind::Hybrid));
    assert_eq!(kind(unified).ok(), Some(Kind::V2));
    assert!(kind("1 2 0:3 / /proc rw - proc proc rw\n".to_owned()).is_err());
    let hierarchy = Hierarchy::from_mount_table(&format!("{memory}{cpu}{named}"), root).expect("folders that exist");
    assert_eq!(hierarchy.controllers().collect::<Vec<_>>(), ["memory", "cpu", "cpuacct", "name=systemd"]);
}

#[test]
fn v2_memory_and_swap() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = [("memory.max", ""), ("memory.swap.max", ""), ("memory.low", "")];
    let cgroup = v2(dir.path(), &files);
    let memory = Memory { limit: Some(100), swap: Some(300), reservation: Some(50), ..Memory::default() };
    cgroup.update(&Limits { memory, ..Limits::default() }).expect("files that exist");
    assert_eq!(content(dir.path(), "u", "memory.max"), "100");
    assert_eq!(content(dir.path(), "u", "memory.swap.max"), "200");
    assert_eq!(content(dir.path(), "u", "memory.low"), "50");
    let memory = Memory { limit: Some(100), swap: Some(50), ..Memory::default() };
    let error = cgroup.update(&Limits { memory, ..Limits::default() }).expect_err("swap below memory").to_string();
    assert_eq!(error, "memory swap: memory+swap limit should be >= memory limit");
}

#[test]
fn v2_refuses_a_limit_below_the_usage_when_asked_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let cgroup = v2(dir.path(), &[("memory.max", "max"), ("memory.current", "5000\n")]);
    let memory = Memory { limit: Some(4096), check_before_update: true, ..Memory::default() };
    let error = cgroup.update(&Limits { memory, ..Limits::default() }).expect_err("below the usage").to_string();
    assert_eq!(error, "memory limit: rejecting memory limit 4096 < usage 5000");
}

#[test]
fn v2_cpu_io_pids_and_unified() {
    let dir = tempfile::tempdir().expect("a folder");
    let names = ["cpu.weight", "cpu.max", "cpuset.cpus", "pids.max", "io.weight", "io.max", "memory.high"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, "")).collect();
    let cgroup = v2(dir.path(), &files);
    let limits = Limits {
        cpu: Cpu { shares: Some(1024), quota: Some(50_000), cpus: Some("0-1".to_owned()), ..Cpu::default() },
        pids: Some(-1),
        block_io: BlockIo {
            weight: Some(500),
            read_bps: vec![ThrottleDevice { major: 8, minor: 0, rate: 1_000_000 }],
            ..BlockIo::default()
        },
        unified: BTreeMap::from([("memory.high".to_owned(), "12345".to_owned())]),
        ..Limits::default()
    };
    cgroup.update(&limits).expect("files that exist");
    let check = |file: &str, expect: &str| assert_eq!(content(dir.path(), "u", file), expect, "{file}");
    check("cpu.weight", "100");
    check("cpu.max", "50000 100000");
    check("cpuset.cpus", "0-1");
    check("pids.max", "max");
    check("io.weight", "default 4950");
    check("io.max", "8:0 rbps=1000000");
    check("memory.high", "12345");
}

#[test]
fn what_a_machine_lacks_is_unsupported() {
    let dir = tempfile::tempdir().expect("a folder");
    let cgroup = v2(dir.path(), &[]);
    let limits = Limits { pids: Some(5), ..Limits::default() };
    let error = cgroup.update(&limits).expect_err("no such file").to_string();
    assert_eq!(error, "pids.max is not supported by the cgroups mounted here");
    let limits = Limits { unified: BTreeMap::from([("../x.y".to_owned(), "1".to_owned())]), ..Limits::default() };
    assert!(cgroup.update(&limits).is_err());
}

#[test]
fn v1_swap_is_raised_before_memory_and_lowered_after() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path();
    file(root, "memory", "memory.limit_in_bytes", "1000\n");
    file(root, "memory", "memory.memsw.limit_in_bytes", "2000\n");
    let cgroup = open(root, &line(root, "memory", Some("memory")));
    let memory = Memory { limit: Some(5000), swap: Some(9000), ..Memory::default() };
    cgroup.update(&Limits { memory, ..Limits::default() }).expect("files that exist");
    assert!(content(root, "memory", "memory.limit_in_bytes").starts_with("5000"));
    assert!(content(root, "memory", "memory.memsw.limit_in_bytes").starts_with("9000"));
    let limits = Limits { unified: BTreeMap::from([("memory.max".to_owned(), "1".to_owned())]), ..Limits::default() };
    assert!(cgroup.update(&limits).expect_err("v2 only").to_string().starts_with("unified"));
}

#[test]
fn v2_statistics() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = [
        ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n"),
        ("cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
        ("memory.current", "5000\n"),
        ("memory.max", "max\n"),
        ("memory.stat", "anon 1\nfile 2000\ninactive_file 1500\n"),
        ("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n"),
        ("pids.current", "4\n"),
        ("pids.max", "20\n"),
        ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
    ];
    let cgroup = v2(dir.path(), &files);
    let stats = cgroup.stats().expect("files that exist");
    assert_eq!((stats.cpu.usage, stats.cpu.user, stats.cpu.system), (30_000, 20_000, 10_000));
    assert_eq!((stats.cpu.throttling.periods, stats.cpu.throttling.throttled_time), (5, 7000));
    assert_eq!(stats.cpu.pressure.expect("a file").some.avg10, 1.5);
    assert_eq!((stats.memory.usage, stats.memory.limit, stats.memory.failcnt), (5000, u64::MAX, 3));
    assert_eq!((stats.memory.cache(), stats.memory.working_set()), (2000, 3500));
    assert_eq!((stats.pids.current, stats.pids.limit), (4, Some(20)));
    assert_eq!(stats.blkio.serviced.len(), 2);
    assert_eq!(cgroup.oom_kills().expect("a file"), 1);
}
