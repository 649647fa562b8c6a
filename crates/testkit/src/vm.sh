# Boots Debian's cloud kernel in qemu (no KVM needed) with pure cgroup v2, our executables and busybox, and runs a script in it.
#
#   vm.sh FOLDER BIN SCRIPT [DISK...]    FOLDER keeps the kernel between runs; BIN holds the executables; DISKs are images
#                                        of file systems, in the machine /dev/vda, /dev/vdb ...
#
# Prints what the script printed; its exit status is this program's. Needs qemu-system-x86, busybox-static, apt, binutils.
set -euo pipefail
folder=$1 bin=$2 script=$3
shift 3
modules="overlay bridge veth nf_tables nft_chain_nat nft_masq nft_nat nft_ct nft_fib_inet nft_fib_ipv4 nft_fib_ipv6 nft_reject_inet nft_redir nft_compat nf_nat nf_conntrack 8021q dummy macvlan ipvlan sctp"
if [ $# -gt 0 ]; then modules="virtio_pci virtio_blk loop quota_v2 xfs btrfs $modules"; fi

# One test fetches, the others wait: two that unpack over each other would boot half a kernel.
kernel() {
  mkdir -p "$folder"
  exec 9>"$folder/lock"
  flock 9
  if [ ! -e "$folder/ready" ]; then fetch_kernel; fi
  exec 9>&-
}

fetch_kernel() {
  rm -rf "$folder/tree"
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -1)
  (cd "$folder" && apt-get download -qq "$package" >/dev/null && dpkg-deb -x "$package"_*.deb tree && rm -f -- *.deb)
  depmod -b "$folder/tree" "$(ls "$folder/tree/lib/modules")"
  touch "$folder/ready"
}

# every module with what it depends on, dependencies first
module_files() {
  local version tree name
  version=$(ls "$folder/tree/lib/modules") tree=$folder/tree
  for name in $modules; do
    modprobe -d "$tree" -S "$version" --show-depends "$name" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++'
}

initramfs() {
  local root=$1 applet
  mkdir -p "$root"/{bin,mnt,etc,proc,sys,dev,tmp,run,var/lib,root,modules,new}
  cp /bin/busybox "$root/bin/"
  for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
  for program in wharf wharfd wharf-shim wharf-oci wharf-netd examples/sctp; do
    [ -e "$bin/$program" ] && strip -o "$root/bin/${program##*/}" "$bin/$program"
  done
  local number=100 file
  for file in $(module_files); do cp "$file" "$root/modules/$((number++))-$(basename "$file")"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  printf '%s\n' "$script" >"$root/script"
  # pivot_root refuses to leave the initial ram disk, so the machine moves into a tmpfs first
  cat >"$root/init" <<'INIT'
#!/bin/sh
mount -t tmpfs -o mode=755,size=80% tmpfs /new
cp -a /bin /etc /mnt /modules /script /second /tmp /root /var /new/
mkdir /new/proc /new/sys /new/dev /new/run
exec switch_root /new /second
INIT
  cat >"$root/second" <<'INIT'
#!/bin/sh
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for m in /modules/*.ko; do insmod "$m" 2>/dev/null; done
ip link set lo up
hostname vm
echo VM-BEGIN
sh /script
echo "VM-END $?"
poweroff -f
INIT
  chmod +x "$root/init" "$root/second"
  (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$2"
}

drives=()
for disk in "$@"; do drives+=(-drive "file=$disk,format=raw,if=virtio,cache=unsafe"); done

kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
initramfs "$work/root" "$work/initramfs"
timeout 300 qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m 1500 -nographic -no-reboot -nodefaults -serial stdio "${drives[@]}" \
  -kernel "$folder"/tree/boot/vmlinuz-* -initrd "$work/initramfs" -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all" \
  </dev/null >"$work/serial" 2>&1 || true
tr -d "\r" <"$work/serial" | awk "/VM-BEGIN\$/ {on = 1; next} /^VM-END/ {on = 0} on"
status=$(tr -d '\r' <"$work/serial" | sed -n 's/^VM-END \([0-9]*\)$/\1/p')
[ -n "$status" ] || { cat "$work/serial" >&2; exit 99; }
exit "$status"
