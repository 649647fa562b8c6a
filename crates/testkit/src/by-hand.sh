# PID 1 of a throw-away host for people (`./x hello`, `./x shell`): a daemon of its own, gone with the command.
set -eu
mkdir -p "$WHARF_HOST_DIR/cg" "$WHARF_HOST_DIR/data"
mount --rbind /sys/fs/cgroup "$WHARF_HOST_DIR/cg"
mount -t sysfs sysfs /sys
mount --rbind "$WHARF_HOST_DIR/cg" /sys/fs/cgroup
umount -l "$WHARF_HOST_DIR/cg"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
hostname wharf-host
ip link set lo up
export DOCKER_HOST=unix:///run/wharf/wharf.sock
wharfd --data-root "$WHARF_HOST_DIR/data" --cgroup-parent "$WHARF_HOST_CGROUP" 2>"$WHARF_HOST_DIR/wharfd.log" &
tries=0
until wharf version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if ! kill -0 $! 2>/dev/null || [ $tries -gt 500 ]; then cat "$WHARF_HOST_DIR/wharfd.log" >&2; exit 1; fi
  sleep 0.02
done
status=0
"$@" || status=$?
wharf ps -aq | xargs -r wharf rm -f >/dev/null 2>&1 || true
exit $status
