# PID 1 of a test host: runs in fresh network, mount, PID, IPC and UTS namespaces and makes them look like a machine.
# Says "ready" on stdout, then lives until its stdin closes; its death ends every process of the host.
set -eu
dir=$1
mkdir -p "$dir/cg"
mount --rbind /sys/fs/cgroup "$dir/cg"
mount -t sysfs sysfs /sys
mount --rbind "$dir/cg" /sys/fs/cgroup
umount -l "$dir/cg"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
# a daemon that is started without a data root (by the client, say) finds an empty /var/lib/wharf
mount -t tmpfs -o mode=755 tmpfs /var/lib
echo 'nameserver 203.0.113.1' >"$dir/resolv.conf"
[ -e /etc/resolv.conf ] && mount --bind "$dir/resolv.conf" "$(readlink -f /etc/resolv.conf)" 2>/dev/null || true
hostname testhost
ip link set lo up
echo ready
# not exec: the shell reaps orphans while it waits for cat
cat >/dev/null
