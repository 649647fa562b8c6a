//! The document of typical declarations, as snapshots.

use super::*;
use wharf_api::container::Words;

fn ground() -> Ground {
    Ground {
        hostname: "0123456789ab".into(),
        args: vec!["sh".into(), "-c".into(), "true".into()],
        user: User { home: "/root".into(), ..User::default() },
        files: Files {
            resolv_conf: "/c/resolv.conf".into(),
            hostname: "/c/hostname".into(),
            hosts: "/c/hosts".into(),
            ..Files::default()
        },
        mounts: Vec::new(),
        link_env: Vec::new(),
        cgroup: "/docker/0123".into(),
        join: Join::default(),
        shm: None,
        available: CapabilitySet::ALL,
        kernel: (6, 18),
        seccomp_profile: "unconfined".into(),
        no_new_privileges: false,
        ulimits: vec![("nofile".into(), 1024, 2048)],
        shm_size: 64 << 20,
        init: None,
        owners: Default::default(),
    }
}

fn host() -> HostConfig {
    HostConfig {
        network_mode: "bridge".into(),
        ipc_mode: "private".into(),
        cgroupns_mode: "private".into(),
        ..HostConfig::default()
    }
}

fn text(config: &Config, host: &HostConfig, ground: &Ground) -> String {
    match spec(config, host, ground) {
        Ok(spec) => serde_json::to_string_pretty(&spec).expect("a document"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn r_iso_08_a_plain_container() {
    insta::assert_snapshot!(text(&Config::default(), &host(), &ground()));
}

#[test]
fn environment_is_merged_as_docker_does() {
    let config =
        Config { tty: true, env: Some(vec!["A=1".into(), "PATH=/bin".into(), "TERM".into()]), ..Config::default() };
    let spec = spec(&config, &host(), &ground()).expect("a document");
    assert_eq!(spec.process.expect("a process").env, ["PATH=/bin", "HOSTNAME=0123456789ab", "A=1", "HOME=/root"]);
}

#[test]
fn r_iso_07_capabilities() {
    let check = |add: &[&str], drop: &[&str], expect: &str| {
        let words = |list: &[&str]| Some(Words(list.iter().map(|w| (*w).to_owned()).collect()));
        let host = HostConfig { cap_add: words(add), cap_drop: words(drop), ..host() };
        let got = match security::capabilities(&host) {
            Ok(set) => set.names().join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect, "{add:?} {drop:?}");
    };
    check(&[], &["ALL"], "");
    check(&["NET_ADMIN"], &["all"], "CAP_NET_ADMIN");
    check(&["cap_sys_time"], &["ALL"], "CAP_SYS_TIME");
    check(&["NOPE"], &[], "invalid CapAdd: unknown capability: \"CAP_NOPE\"");
}

#[test]
fn r_iso_01_namespaces_follow_the_modes() {
    let kinds = |host: &HostConfig, ground: &Ground| {
        let list = namespaces(host, ground);
        list.iter()
            .map(|n| {
                format!("{}{}", n.kind.as_str(), n.path.as_ref().map_or(String::new(), |p| format!("={}", p.display())))
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(kinds(&host(), &ground()), "mount network uts pid ipc cgroup");
    let all_host = HostConfig {
        network_mode: "host".into(),
        uts_mode: "host".into(),
        pid_mode: "host".into(),
        ipc_mode: "host".into(),
        cgroupns_mode: "host".into(),
        ..HostConfig::default()
    };
    assert_eq!(kinds(&all_host, &ground()), "mount");
    let join = Join { pid: Some("/proc/7/ns/pid".into()), ..Join::default() };
    assert_eq!(kinds(&host(), &Ground { join, ..ground() }), "mount network uts pid=/proc/7/ns/pid ipc cgroup");
}

#[test]
fn r_iso_07_security_options() {
    let check =
        |option: &str, good: bool| assert_eq!(security::Options::parse(&[option.to_owned()]).is_ok(), good, "{option}");
    check("no-new-privileges", true);
    check("no-new-privileges=false", true);
    check("no-new-privileges=maybe", false);
    check("seccomp=unconfined", true);
    check("seccomp:unconfined", true);
    check("systempaths=unconfined", true);
    check("nonsense", false);
    check("nonsense=1", false);
}

#[test]
fn sysctls_stay_in_the_namespaces_of_the_container() {
    let with = |key: &str, host: HostConfig| {
        let host = HostConfig { sysctls: Some([(key.to_owned(), "1".to_owned())].into()), ..host };
        security::sysctls(&host).map_or_else(|e| e.to_string(), |_| "ok".into())
    };
    assert_eq!(with("net.core.somaxconn", host()), "ok");
    assert_eq!(with("kernel.shmmax", host()), "ok");
    assert_eq!(with("vm.swappiness", host()), "sysctl 'vm.swappiness' is not whitelisted");
    assert_eq!(with("net.ipv4/../../kernel/x", host()), "sysctl 'net.ipv4/../../kernel/x' is not whitelisted");
    let on_host = HostConfig { network_mode: "host".into(), ..HostConfig::default() };
    assert_eq!(
        with("net.core.somaxconn", on_host),
        "sysctl 'net.core.somaxconn' not allowed in host network namespace"
    );
}

#[test]
fn user_mounts_replace_and_sort() {
    use crate::container::snapshot::MountKind;
    let point = |destination: &str, rw| MountPoint {
        kind: MountKind::Bind,
        name: String::new(),
        source: "/src".into(),
        destination: destination.into(),
        driver: String::new(),
        mode: String::new(),
        rw,
        propagation: "rprivate".into(),
        image: None,
        declared: None,
    };
    let ground =
        Ground { mounts: vec![point("/a/b/c", true), point("/etc/hosts", false), point("/a", true)], ..ground() };
    let spec = spec(&Config::default(), &host(), &ground).expect("a document");
    let list: Vec<_> =
        spec.mounts.iter().skip(7).map(|m| format!("{} {}", m.destination.display(), m.options.join(","))).collect();
    assert_eq!(
        list,
        [
            "/a rbind,rprivate",
            "/etc/hosts rbind,rro,rprivate",
            "/etc/resolv.conf rbind,rprivate,rw",
            "/etc/hostname rbind,rprivate,rw",
            "/a/b/c rbind,rprivate",
        ]
    );
}
