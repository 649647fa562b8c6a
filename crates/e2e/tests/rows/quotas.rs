//! VOL-08 on file systems with quotas, in a small virtual machine: not every kernel has them.

use std::path::PathBuf;
use wharf_testkit::virtual_machine_with;

/// What all file systems have in common. `$by` is the word for what sees to the limit, `$full` what a write beyond it says.
const STORY: &str = r#"
set -e
fail() { echo "FAILED: $by: $1"; cat /tmp/log; exit 1; }
export DOCKER_HOST=unix:///run/wharf/wharf.sock
begin() {
  wharfd --data-root /mnt/wharf 2>/tmp/log &
  daemon=$!
  n=0; until wharf version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 600 ] || fail start; usleep 100000; done
}
end() { kill -$1 $daemon; wait $daemon || true; }
image() {
  rm -rf /tmp/root
  mkdir -p /tmp/root/bin /tmp/root/tmp /tmp/root/etc /tmp/root/seed
  cp -a /bin/busybox /tmp/root/bin/
  for a in sh cat dd echo head ls sleep rm df true; do ln -s busybox /tmp/root/bin/$a; done
  cp /etc/passwd /etc/group /tmp/root/etc/
  head -c 3000000 /dev/urandom >/tmp/root/seed/three
  tar -C /tmp/root -c . | wharf import -c 'CMD ["sh"]' - busybox >/dev/null || fail import
}
# more than fits into $1 of the container
too_much() { said=$(wharf run --rm -v $1:/v busybox dd if=/dev/zero of=/v/big bs=1M count=40 2>&1) && fail "$1 took 40m"; echo "$said" | grep -q "$full" || fail "$1: $said"; }
limit() { wharf volume inspect -f '{{.Status.LimitedBy}} {{json .Status.Limit}}' $1; }
bytes() { wharf run --rm -v $1:/v busybox sh -c 'cat /v/big | wc -c'; }

volumes() {
  begin; image
  wharf volume create -o size=16m v1 >/dev/null || fail create
  wharf volume create -o size=24m v2 >/dev/null
  wharf volume create free >/dev/null
  [ "$(limit v1)" = "$by 16777216" ] || fail "inspect: $(limit v1)"
  too_much v1
  # others are not hurt, at the same time as the first one is full
  [ "$(wharf run --rm -v v2:/v -v free:/f busybox sh -c 'head -c 20m /dev/zero >/v/big && head -c 40m /dev/zero >/f/big && echo well')" = well ] || fail others
  too_much v2
  # an end of the daemon of either kind changes nothing
  for how in TERM KILL; do
    end $how; begin
    [ "$(limit v1)" = "$by 16777216" ] || fail "inspect after $how"
    too_much v1
  done
  # what the engine itself writes is held to the limit, too: copy-up, cp, clone, import
  wharf volume create -o size=2m tiny >/dev/null
  wharf run --rm -v tiny:/seed busybox true 2>/tmp/said && fail 'copy-up took three megabytes'
  grep -q "$own" /tmp/said || fail "copy-up: $(cat /tmp/said)"
  [ -z "$(wharf run --rm -v tiny:/v busybox ls -A /v)" ] || fail 'half a copy-up'
  wharf create --name c1 -v v1:/v busybox >/dev/null
  head -c 40m /dev/urandom >/tmp/big
  wharf run --rm -v v1:/v busybox rm /v/big
  wharf cp -q /tmp/big c1:/v/big 2>/tmp/said && fail 'cp took 40m'
  grep -q "$own" /tmp/said || fail "cp: $(cat /tmp/said)"
  [ -z "$(wharf run --rm -v v1:/v busybox ls -A /v)" ] || fail 'half a file'
  wharf rm c1 >/dev/null
  tar -C /tmp -c big | wharf volume import v1 2>/tmp/said && fail 'import took 40m'
  grep -q "$own" /tmp/said || fail "import: $(cat /tmp/said)"
  [ -z "$(wharf run --rm -v v1:/v busybox ls -A /v)" ] || fail 'half an import'
  wharf volume clone v2 v3 >/dev/null
  [ "$(limit v3)" = "$by 25165824" ] || fail clone
  too_much v3
  # snapshots, their restoring, and a new name keep the limit
  wharf run --rm -v v1:/v busybox sh -c 'echo kept >/v/f'
  wharf volume snapshot v1 s1 >/dev/null || fail snapshot
  wharf run --rm -v v1:/v busybox sh -c 'echo lost >/v/f'
  wharf volume restore v1 s1 >/dev/null || fail restore
  wharf volume rename v1 v9 >/dev/null || fail rename
  [ "$(wharf run --rm -v v9:/v busybox cat /v/f)" = kept ] || fail restored
  too_much v9
  tar -C /etc -c passwd | wharf volume import new -o size=16m >/dev/null || fail 'import of a new one'
  too_much new
}
# after all of it is removed nothing is left
remove() {
  wharf volume rm v9 v2 v3 tiny new free >/dev/null || fail rm
  [ -z "$(ls -A /mnt/wharf/volumes)" ] || fail "left: $(ls -A /mnt/wharf/volumes)"
}
projects() {
  # a number is not used again while somebody has it, and is when nobody has it
  made=; for n in 1 2 3 4; do wharf volume create -o size=${n}m p$n >/dev/null & made="$made $!"; done; wait $made
  for n in 1 2 3 4; do [ "$(limit p$n)" = "$by $((n << 20))" ] || fail "p$n: $(limit p$n)"; done
  [ $(wharf run --rm -v p1:/a -v p2:/b -v p3:/c -v p4:/d busybox sh -c 'for v in a b c d; do head -c 40m /dev/zero >/$v/big 2>/dev/null || cat /$v/big; done | wc -c') -le $((10 << 20)) ] || fail 'limits of four made at once'
  wharf run --rm -v p4:/d busybox sh -c 'rm /d/big; head -c 3m /dev/zero >/d/big' || fail 'p4 has less than it should'
  wharf volume rm p2 >/dev/null
  wharf volume create -o size=16m p5 >/dev/null
  too_much p5
  wharf run --rm -v p3:/c busybox sh -c 'echo x >>/c/x' 2>/dev/null || true
  wharf run --rm -v p4:/d busybox sh -c 'echo x >/d/x' || fail 'p4 was hurt by p5'
  wharf volume rm p1 p3 p4 p5 >/dev/null
}
containers() {
  # the writable layer of a container
  wharf create --name bad --storage-opt size=many busybox 2>/dev/null && fail 'bad size'
  wharf run -d --name c1 --storage-opt size=16m busybox sleep 600 >/dev/null || fail --storage-opt
  wharf run -d --name c2 busybox sleep 600 >/dev/null
  for again in 1 2; do
    said=$(wharf exec c1 dd if=/dev/zero of=/big bs=1M count=40 2>&1) && fail 'a container took 40m'
    echo "$said" | grep -q "$full" || fail "container: $said"
    end KILL; begin
  done
  wharf exec c2 sh -c 'head -c 40m /dev/zero >/big' || fail 'another container was hurt'
  wharf rm -f c1 c2 >/dev/null
}
finish() { end TERM; umount /mnt || fail "umount: $(cat /proc/mounts)"; echo "WELL $by"; }
"#;

/// An image of a file system, made by `mkfs` with these arguments.
fn disk(folder: &std::path::Path, mkfs: &str, arguments: &[&str], size: u64) -> PathBuf {
    let image = folder.join(mkfs);
    std::fs::File::create(&image).unwrap().set_len(size).unwrap();
    let made = std::process::Command::new(mkfs).args(arguments).arg(&image).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    image
}

fn check(mkfs: &str, arguments: &[&str], lines: &str) {
    let folder = tempfile::tempdir().unwrap();
    let image = disk(folder.path(), mkfs, arguments, 512 << 20);
    let out = virtual_machine_with(&[&image], &format!("{STORY}\n{lines}\necho ALL-WELL\n"));
    assert!(out.stdout.contains("ALL-WELL") && out.code == 0, "{}\n{}", out.stdout, out.stderr);
}

#[test]
fn r_vol_08_projects_of_ext4() {
    check(
        "mkfs.ext4",
        &["-q", "-F", "-O", "project,quota"],
        r#"
by='project quota' full='Disk quota exceeded' own='[Dd]isk quota exceeded'
mount -t ext4 -o prjquota /dev/vda /mnt
volumes; remove; projects; containers; finish
# counted, but nobody is held to it: that is no limit
by='loop image' full='No space left on device' own='[Nn]o space left on device'
mount -t ext4 /dev/vda /mnt
begin
said=$(wharf create --storage-opt size=16m busybox 2>&1) && fail 'a limit that does not hold'
echo "$said" | grep -q "supported only for overlay over xfs with 'pquota' mount option" || fail "$said"
said=$(wharf volume create -o size=16m v1 2>&1) && fail 'without mkfs.ext4'
echo "$said" | grep -q 'needs quotas on the data root' || fail "$said"
[ -z "$(ls -A /mnt/wharf/volumes)" ] || fail "left: $(ls -A /mnt/wharf/volumes)"
finish
"#,
    );
}

#[test]
fn r_vol_08_projects_of_xfs() {
    check(
        "mkfs.xfs",
        &["-q"],
        r#"
by='project quota' full='No space left on device' own='[Nn]o space left on device'
mount -t xfs -o prjquota /dev/vda /mnt
volumes; remove; projects; containers; finish
"#,
    );
}

#[test]
fn r_vol_08_subvolumes_of_an_older_btrfs() {
    check(
        "mkfs.btrfs",
        &["-q"],
        r#"
by='btrfs quota' full='Disk quota exceeded' own='[Dd]isk quota exceeded'
mount -t btrfs /dev/vda /mnt
volumes; remove; finish
"#,
    );
}
