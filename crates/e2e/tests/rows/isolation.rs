//! ISO-01, ISO-03, ISO-08, NET-02, NET-03: what a container sees and what it may do.

use wharf_testkit::{Cli, Host};

fn inside(host: &Host, cli: Cli, args: &[&str], script: &str) -> String {
    let mut all = vec!["run", "--rm"];
    all.extend_from_slice(args);
    all.extend_from_slice(&["busybox", "sh", "-c", script]);
    host.cli(cli, &all).ok()
}

rows! {
    fn r_iso_08_the_container_own_network_settings(host, cli) {
        let script = "cd /proc/sys/net; cat ipv4/ip_unprivileged_port_start ipv4/ping_group_range ipv6/conf/default/disable_ipv6";
        for network in ["bridge", "none"] {
            for runtime in ["runc", "wharf"] {
                let out = host.cli(cli, &["run", "--rm", "--network", network, "--runtime", runtime, "busybox", "sh", "-c", script]).ok();
                assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "0", "2147483647", "0"], "{network}");
            }
        }
        // what the user wants comes last
        let wanted = ["run", "--rm", "--sysctl", "net.ipv4.ip_unprivileged_port_start=99", "busybox", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"];
        assert_eq!(host.cli(cli, &wanted).ok(), "99");
    }

    fn r_iso_01_own_namespaces(host, cli) {
        let ours = host.run("sh", &["-c", "for n in mnt uts ipc pid net cgroup; do readlink /proc/self/ns/$n; done"]).ok();
        let theirs = inside(&host, cli, &[], "for n in mnt uts ipc pid net cgroup; do readlink /proc/self/ns/$n; done");
        for (mine, other) in ours.lines().zip(theirs.lines()) {
            // Docker's default on v1 hosts is the host's cgroup namespace
            assert!(mine != other || mine.starts_with("cgroup"), "{mine}");
        }
        let private = inside(&host, cli, &["--cgroupns", "private"], "readlink /proc/self/ns/cgroup; cat /proc/1/cgroup");
        assert!(!ours.contains(private.lines().next().unwrap()));
        assert!(private.lines().skip(1).any(|l| l.ends_with(":/")), "{private}");
        assert_eq!(inside(&host, cli, &[], "echo $$; hostname | wc -c"), "1\n13");
    }

    fn r_iso_01_shared_namespaces(host, cli) {
        let pid_ns = host.run("readlink", &["/proc/self/ns/pid"]).ok();
        assert_eq!(inside(&host, cli, &["--pid", "host"], "readlink /proc/self/ns/pid"), pid_ns);
        let uts = host.run("readlink", &["/proc/self/ns/uts"]).ok();
        assert_eq!(inside(&host, cli, &["--uts", "host"], "readlink /proc/self/ns/uts"), uts);
        let ipc = host.run("readlink", &["/proc/self/ns/ipc"]).ok();
        assert_eq!(inside(&host, cli, &["--ipc", "host"], "readlink /proc/self/ns/ipc"), ipc);
        host.cli(cli, &["run", "-d", "--name", "a1", "--ipc", "shareable", "busybox", "sleep", "600"]).ok();
        let theirs = host.cli(cli, &["exec", "a1", "sh", "-c", "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc"]).ok();
        assert_eq!(inside(&host, cli, &["--pid", "container:a1", "--ipc", "container:a1"], "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc"), theirs);
        let processes = inside(&host, cli, &["--pid", "container:a1"], "ps");
        assert!(processes.contains("sleep 600"), "{processes}");
    }

    fn r_iso_03_one_cgroup_per_container(host, cli) {
        let id = host.cli(cli, &["run", "-d", "--name", "c1", "-m", "32m", "--pids-limit", "20", "--cpus", "0.5", "busybox", "sleep", "600"]).ok();
        let pid = host.cli(cli, &["inspect", "-f", "{{.State.Pid}}", "c1"]).ok();
        let groups = host.run("cat", &[&format!("/proc/{pid}/cgroup")]).ok();
        let want = format!("{}/{id}", host.cgroup_parent());
        for controller in ["memory", "pids", "cpu", "cpuset", "devices", "freezer", "blkio"] {
            let line = groups.lines().find(|l| l.split(':').nth(1).is_some_and(|c| c.split(',').any(|c| c == controller))).unwrap();
            assert!(line.ends_with(&want), "{line}");
        }
        let read = |file: &str| host.run("cat", &[&format!("/sys/fs/cgroup/{}", file.replace("ID", want.trim_start_matches('/')))]).ok();
        assert_eq!(read("memory/ID/memory.limit_in_bytes"), "33554432");
        assert_eq!(read("memory/ID/memory.memsw.limit_in_bytes"), "67108864");
        assert_eq!(read("pids/ID/pids.max"), "20");
        assert_eq!(read("cpu/ID/cpu.cfs_quota_us"), "50000");
        host.cli(cli, &["update", "--pids-limit", "-1", "c1"]).ok();
        assert_eq!(read("pids/ID/pids.max"), "max");
        assert_eq!(host.cli(cli, &["inspect", "-f", "{{.HostConfig.PidsLimit}}", "c1"]).ok(), "0");
        let other = host.cli(cli, &["run", "-d", "--cgroup-parent", &format!("{}/custom", host.cgroup_parent()), "busybox", "sleep", "600"]).ok();
        let pid = host.cli(cli, &["inspect", "-f", "{{.State.Pid}}", &other]).ok();
        assert!(host.run("cat", &[&format!("/proc/{pid}/cgroup")]).ok().contains(&format!("/custom/{other}")));
    }

    fn r_iso_08_capabilities_seccomp_and_no_more(host, cli) {
        let status = inside(&host, cli, &[], "grep -E 'Cap(Eff|Bnd|Prm|Inh|Amb)|Seccomp:|NoNewPrivs' /proc/self/status");
        assert!(status.contains("CapEff:\t00000000a80425fb"), "{status}");
        assert!(status.contains("CapBnd:\t00000000a80425fb"), "{status}");
        assert!(status.contains("CapInh:\t0000000000000000"), "{status}");
        assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t0"), "{status}");
        let none = inside(&host, cli, &["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], "grep CapEff /proc/self/status");
        assert_eq!(none, "CapEff:\t0000000000001000");
        let user = inside(&host, cli, &["-u", "1000"], "grep CapEff /proc/self/status");
        assert_eq!(user, "CapEff:\t0000000000000000");
        let open = inside(&host, cli, &["--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges"], "grep -E 'Seccomp:|NoNewPrivs' /proc/self/status");
        assert!(open.contains("Seccomp:\t0") && open.contains("NoNewPrivs:\t1"), "{open}");
        assert_eq!(inside(&host, cli, &[], "mount -t tmpfs none /tmp 2>/dev/null; unshare -n true 2>/dev/null; echo $?"), "1");
        let full = inside(&host, cli, &["--privileged"], "grep -E 'CapEff|Seccomp:' /proc/self/status; mount -t tmpfs none /tmp && echo mounted; ls /dev | grep -c null");
        assert!(full.contains("mounted") && full.contains("Seccomp:\t0"), "{full}");
        let bad = host.cli(cli, &["run", "--rm", "--cap-add", "NOPE", "busybox", "true"]).fails(125);
        assert!(bad.contains("invalid CapAdd: unknown capability: \"CAP_NOPE\""), "{bad}");
    }

    fn r_iso_08_custom_seccomp_profiles(host, cli) {
        let profile = host.dir().join("p.json");
        std::fs::write(&profile, r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}"#).unwrap();
        let option = format!("seccomp={}", profile.display());
        let out = host.cli(cli, &["run", "--rm", "--security-opt", &option, "busybox", "mkdir", "/x"]);
        assert_eq!(out.code, 1);
        assert!(out.stderr.contains("not supported"), "{}", out.stderr);
        std::fs::write(&profile, "{").unwrap();
        host.cli(cli, &["run", "--rm", "--security-opt", &option, "busybox", "true"]).fails(125);
    }

    fn r_iso_08_masked_and_read_only_paths(host, cli) {
        assert_eq!(inside(&host, cli, &[], "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | wc -w"), "0\n2");
        assert_eq!(inside(&host, cli, &[], "echo 1 2>/dev/null > /proc/sys/kernel/domainname; echo $?; echo b 2>/dev/null > /proc/sysrq-trigger; echo $?"), "1\n1");
        assert_eq!(inside(&host, cli, &[], "mkdir /sys/fs/cgroup/memory/x 2>/dev/null; echo $?; touch /sys/x 2>/dev/null; echo $?"), "1\n1");
        let open = inside(&host, cli, &["--security-opt", "systempaths=unconfined"], "head -c 1 /proc/timer_list >/dev/null 2>&1; mount | grep -c ' /proc/' || true");
        assert_eq!(open, "0");
        assert_eq!(inside(&host, cli, &["--read-only", "--tmpfs", "/scratch"], "touch /x 2>/dev/null; echo $?; touch /scratch/x; echo $?"), "1\n0");
    }

    fn r_iso_08_host_files_cannot_be_reached_through_proc(host, cli) {
        // CVE-2019-5736 and CVE-2024-21626: no descriptor and no executable of the host is reachable from inside
        let fds = inside(&host, cli, &[], "ls /proc/self/fd | wc -l");
        assert!(fds.parse::<u32>().unwrap() <= 4, "{fds}");
        for directory in ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/fd/9"] {
            let out = host.cli(cli, &["run", "--rm", "-w", directory, "busybox", "sh", "-c", "ls ../../../../ 2>/dev/null"]);
            assert!(!out.stdout.contains("work") && !out.stdout.contains("lost+found"), "{directory}: {}", out.stdout);
        }
        // what /proc/self/exe was before the program began is a sealed copy: it may be run, but never written
        let exe = host.cli(cli, &["run", "--rm", "--entrypoint", "/proc/self/exe", "busybox", "true"]);
        assert_ne!(exe.code, 0);
        let own = wharf_testkit::program("wharf-shim");
        let before = std::fs::read(&own).unwrap();
        inside(&host, cli, &[], "for p in /proc/[0-9]*/exe; do (echo x > $p) 2>/dev/null; done; true");
        assert!(before == std::fs::read(&own).unwrap(), "the host's executable is as it was");
    }

    fn r_net_02_none_host_and_container(host, cli) {
        assert_eq!(inside(&host, cli, &["--network", "none"], "ls /sys/class/net; hostname | wc -c"), "lo\n13");
        let net = host.run("readlink", &["/proc/self/ns/net"]).ok();
        assert_eq!(inside(&host, cli, &["--network", "host"], "readlink /proc/self/ns/net; hostname"), format!("{net}\ntesthost"));
        host.cli(cli, &["run", "-d", "--name", "web1", "busybox", "sh", "-c", "echo hello > /index.html; httpd -f -p 8080 -h /"]).ok();
        let mine = host.cli(cli, &["exec", "web1", "ip", "addr", "show", "eth0"]).ok();
        let shared = inside(&host, cli, &["--network", "container:web1"], "ip addr show eth0; until wget -q -O - http://127.0.0.1:8080/index.html; do :; done");
        assert_eq!(shared, format!("{mine}\nhello"));
        let conflict = host.cli(cli, &["run", "--rm", "--network", "container:web1", "-h", "x", "busybox", "true"]).fails(125);
        assert!(conflict.contains("conflicting options: hostname and the network mode"), "{conflict}");
    }

    fn r_net_03_default_bridge_plain(host, cli) {
        host.cli(cli, &["run", "-d", "--name", "a1", "busybox", "sh", "-c", "echo from a > /f; httpd -f -p 80 -h /"]).ok();
        let address = host.cli(cli, &["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "a1"]).ok();
        assert_eq!(address, "172.17.0.2");
        let fetch = format!("until wget -q -O - http://{address}/f; do :; done; ip route");
        let out = inside(&host, cli, &[], &fetch);
        assert!(out.starts_with("from a\ndefault via 172.17.0.1 dev eth0"), "{out}");
        assert!(host.run("ip", &["addr", "show", "docker0"]).ok().contains("172.17.0.1/16"));
        // out through the host: the outside world sees the host's address
        let mut server = host.outside().command("busybox");
        let mut server = server.args(["nc", "-l", "-p", "9000", "-e", "sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"]).spawn().unwrap();
        let answer = inside(&host, cli, &[], "until nc 203.0.113.1 9000 </dev/null; do :; done");
        server.wait().unwrap();
        assert!(answer.contains("027100CB:"), "masqueraded to 203.0.113.2: {answer}");
        host.cli(cli, &["rm", "-f", "a1"]).ok();
        host.assert_no_leaks();
    }
}
