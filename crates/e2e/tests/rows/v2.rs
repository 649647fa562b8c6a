//! ISO-03 on pure cgroup v2 and an older kernel: the same daemon in a small virtual machine.

use wharf_testkit::virtual_machine;

/// Starts the daemon, imports busybox, runs the given lines, and stops at the first that fails.
pub(crate) fn script(lines: &str) -> String {
    format!(
        r#"
set -e
wharfd --data-root /var/lib/wharf 2>/tmp/log &
export DOCKER_HOST=unix:///run/wharf/wharf.sock
fail() {{ echo "FAILED: $1"; cat /tmp/log; exit 1; }}
n=0; until wharf version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 300 ] || fail start; usleep 100000; done
mkdir -p /tmp/root/bin /tmp/root/tmp /tmp/root/etc
cp -a /bin/busybox /tmp/root/bin/
for a in sh sleep cat echo grep dd head ls mkdir hostname wc true test tail; do ln -s busybox /tmp/root/bin/$a; done
cp /etc/passwd /etc/group /tmp/root/etc/
tar -C /tmp/root -c . | wharf import -c 'CMD ["sh"]' - busybox >/dev/null || fail import
{lines}
echo ALL-WELL
"#
    )
}

#[test]
fn r_iso_03_cgroup_v2_in_a_virtual_machine() {
    let out = virtual_machine(&script(
        r#"
wharf info -f '{{.CgroupVersion}} {{.CgroupDriver}}' | grep -x '2 cgroupfs' || fail info
[ "$(wharf run --rm busybox echo hello)" = hello ] || fail run
id=$(wharf run -d --name c1 -m 32m --memory-swap 48m --pids-limit 20 --cpus 0.5 --cpu-shares 512 busybox sleep 600) || fail limits
g=/sys/fs/cgroup/docker/$id
[ "$(cat $g/memory.max)" = 33554432 ] || fail memory.max
[ "$(cat $g/memory.swap.max)" = 16777216 ] || fail memory.swap.max
[ "$(cat $g/pids.max)" = 20 ] || fail pids.max
[ "$(cat $g/cpu.max)" = "50000 100000" ] || fail cpu.max
wharf exec c1 cat /proc/1/cgroup | grep -x '0::/' || fail 'cgroup namespace is private on v2'
wharf exec c1 sh -c 'cat /proc/self/cgroup' | grep -x '0::/' || fail 'exec joined'
wharf pause c1; [ "$(cat $g/cgroup.freeze)" = 1 ] || fail freeze; wharf unpause c1
wharf update -m 64m --memory-swap 64m c1; [ "$(cat $g/memory.max)" = 67108864 ] || fail update
wharf stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' c1 | grep '/ 64MiB 1' || fail stats
wharf rm -f c1; [ ! -e $g ] || fail 'cgroup removed'
wharf run --name oom -m 16m --memory-swap 16m busybox sh -c 'head -c 100m /dev/zero | tail' && fail oom
wharf inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom | grep -x 'true 137' || fail oomkilled
wharf run --rm --device-cgroup-rule 'c 1:11 r' busybox true || fail device-rule
wharf run --rm --privileged busybox ls /sys/fs/cgroup/cgroup.procs || fail privileged
"#,
    ));
    assert!(out.stdout.contains("ALL-WELL") && out.code == 0, "{}\n{}", out.stdout, out.stderr);
}

#[test]
fn r_ctr_10_survival_on_cgroup_v2() {
    let out = virtual_machine(&script(
        r#"
wharf run -d --name c1 busybox sleep 600
pid=$(wharf inspect -f '{{.State.Pid}}' c1)
kill -9 $(cat /run/wharf/wharfd.pid 2>/dev/null || cat /var/run/wharfd.pid)
wharfd --data-root /var/lib/wharf 2>/tmp/log &
n=0; until wharf ps >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 300 ] || fail restart; usleep 100000; done
[ "$(wharf inspect -f '{{.State.Pid}} {{.State.Running}}' c1)" = "$pid true" ] || fail survived
[ "$(wharf exec c1 echo well)" = well ] || fail exec
wharf rm -f c1
[ -z "$(ls -d /sys/fs/cgroup/docker/*/ 2>/dev/null)" ] || fail leak
"#,
    ));
    assert!(out.stdout.contains("ALL-WELL") && out.code == 0, "{}\n{}", out.stdout, out.stderr);
}
