//! Mounts what a volume is made of on its folder, and takes it away again.
//!
//! The mounts are in the daemon's own namespace, on `<root>/<name>/_data`: the path that `inspect` shows is the volume, for
//! the host too. Containers get a bind of it, so several of them see one file system, and a daemon that comes back after a
//! crash finds the mounts in its mount table.

use std::ffi::CString;
use std::fs;
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount};

use crate::error::reason;
use crate::row::Foreign;
use crate::{Error, Result};

/// Options of `mount(8)` that are flags of `mount(2)`: name, flag, whether it is set or cleared.
const FLAGS: &[(&str, MountFlags, bool)] = &[
    ("rw", MountFlags::RDONLY, false),
    ("ro", MountFlags::RDONLY, true),
    ("suid", MountFlags::NOSUID, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("dev", MountFlags::NODEV, false),
    ("nodev", MountFlags::NODEV, true),
    ("exec", MountFlags::NOEXEC, false),
    ("noexec", MountFlags::NOEXEC, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("atime", MountFlags::NOATIME, false),
    ("noatime", MountFlags::NOATIME, true),
    ("diratime", MountFlags::NODIRATIME, false),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("relatime", MountFlags::RELATIME, true),
    ("norelatime", MountFlags::RELATIME, false),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("nostrictatime", MountFlags::STRICTATIME, false),
    ("bind", MountFlags::BIND, true),
    ("rbind", MountFlags::BIND.union(MountFlags::REC), true),
];

/// Options that say how mounts travel.
const PROPAGATION: &[(&str, MountPropagationFlags, bool)] = &[
    ("shared", MountPropagationFlags::SHARED, false),
    ("rshared", MountPropagationFlags::SHARED, true),
    ("slave", MountPropagationFlags::DOWNSTREAM, false),
    ("rslave", MountPropagationFlags::DOWNSTREAM, true),
    ("private", MountPropagationFlags::PRIVATE, false),
    ("rprivate", MountPropagationFlags::PRIVATE, true),
    ("unbindable", MountPropagationFlags::UNBINDABLE, false),
    ("runbindable", MountPropagationFlags::UNBINDABLE, true),
];

/// The words after `-o`, sorted.
struct Words {
    flags: MountFlags,
    propagation: Vec<MountPropagationFlags>,
    data: Vec<String>,
    /// The device is a file.
    looped: bool,
}

impl Words {
    fn parse(options: &str) -> Words {
        let mut words = Words { flags: MountFlags::empty(), propagation: Vec::new(), data: Vec::new(), looped: false };
        for word in options.split(',').filter(|word| !word.is_empty()) {
            if let Some((_, flag, set)) = FLAGS.iter().find(|(name, ..)| *name == word) {
                words.flags.set(*flag, *set);
            } else if let Some((_, flag, deep)) = PROPAGATION.iter().find(|(name, ..)| *name == word) {
                let deep = if *deep { MountPropagationFlags::REC } else { MountPropagationFlags::empty() };
                words.propagation.push(*flag | deep);
            } else if word == "loop" {
                words.looped = true;
            } else if !matches!(word, "defaults" | "_netdev" | "auto" | "noauto" | "user" | "nofail") {
                words.data.push(word.to_owned());
            }
        }
        words
    }
}

/// Mounts a foreign file system on `target`.
pub(crate) fn foreign(what: &Foreign, target: &Path) -> Result<()> {
    let mut words = Words::parse(&what.options);
    if matches!(what.kind.as_str(), "nfs" | "nfs4" | "cifs") {
        resolve_address(&mut words.data)
            .map_err(|why| Error::Mount(format!("error resolving passed in network volume address: {why}")))?;
    }
    let shown = target.display();
    let data = words.data.join(",");
    let fail = |errno: Errno| {
        let mut text = format!("mount {}:{shown}", what.device);
        if !words.flags.is_empty() {
            text.push_str(&format!(", flags: {:#x}", words.flags.bits()));
        }
        if !data.is_empty() {
            text.push_str(&format!(", data: {data}"));
        }
        let why = reason(errno);
        Error::Mount(format!("error while mounting volume '{shown}': failed to mount local volume: {text}: {why}"))
    };
    let mut device = what.device.clone();
    // freed by the kernel when the mount goes
    let mut held = None;
    if words.looped {
        let file = open_image(Path::new(&what.device), words.flags.contains(MountFlags::RDONLY)).map_err(fail)?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        let looped =
            wharf_sys::loopdev::attach(&file, words.flags.contains(MountFlags::RDONLY), folder).map_err(fail)?;
        device = looped.path.to_string_lossy().into_owned();
        held = Some(looped);
    }
    let text = c_string(&data).map_err(fail)?;
    let given = (!data.is_empty()).then_some(text.as_c_str());
    mount(device.as_str(), target, what.kind.as_str(), words.flags, given).map_err(fail)?;
    drop(held);
    let rest = || -> rustix::io::Result<()> {
        // a first bind takes no other flags
        let others = words.flags - (MountFlags::BIND | MountFlags::REC);
        if words.flags.contains(MountFlags::BIND) && !others.is_empty() {
            mount_remount(target, MountFlags::BIND | others, "")?;
        }
        words.propagation.iter().try_for_each(|flags| mount_change(target, *flags))
    };
    rest().map_err(|errno| {
        let _ = unmount(target, UnmountFlags::DETACH);
        fail(errno)
    })
}

fn c_string(text: &str) -> rustix::io::Result<CString> {
    CString::new(text).map_err(|_| Errno::INVAL)
}

fn open_image(path: &Path, read_only: bool) -> rustix::io::Result<OwnedFd> {
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
    rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())
}

/// The kernel wants addresses, users give names.
fn resolve_address(data: &mut [String]) -> std::io::Result<()> {
    for word in data.iter_mut() {
        let Some(name) = word.strip_prefix("addr=") else { continue };
        if name.parse::<std::net::IpAddr>().is_err() {
            let found = (name, 0).to_socket_addrs()?.next();
            let found = found.ok_or_else(|| std::io::Error::other(format!("no address of {name}")))?;
            *word = format!("addr={}", found.ip());
        }
    }
    Ok(())
}

/// Mounts the file system in the file `image` on `target`. When a device has the file already (a mount that lingers), that
/// one is used: two devices on one file would destroy what is in it.
pub(crate) fn image(image: &Path, target: &Path) -> Result<()> {
    let fail = |op| Error::io::<Errno>(op, image);
    let held;
    let device = match device_of(image) {
        Some(device) => device,
        None => {
            let file = open_image(image, false).map_err(fail("open"))?;
            let folder = target.parent().unwrap_or(Path::new("/"));
            held = wharf_sys::loopdev::attach(&file, false, folder).map_err(fail("attach a loop device to"))?;
            held.path.clone()
        }
    };
    mount(&device, target, "ext4", MountFlags::empty(), c"discard").map_err(fail("mount"))
}

fn device_of(image: &Path) -> Option<PathBuf> {
    let devices = fs::read_dir("/sys/block").ok()?.flatten();
    let name = devices.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"loop")).find_map(|entry| {
        let file = fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
        (Path::new(file.trim_end_matches('\n')) == image).then(|| entry.file_name())
    })?;
    let path = Path::new("/dev").join(name);
    path.exists().then_some(path)
}

/// Takes the mount away. One that somebody on the host still looks into goes when he has left.
pub(crate) fn release(target: &Path) -> Result<()> {
    match unmount(target, UnmountFlags::NOFOLLOW) {
        // EINVAL: nothing is mounted there
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(Errno::BUSY) => {
            unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).map_err(Error::io("unmount", target))
        }
        Err(errno) => Err(Error::io("unmount", target)(errno)),
    }
}

/// Names of volumes whose `_data` is a mount point in this namespace.
pub(crate) fn mounted(root: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut names: Vec<String> = table.lines().filter_map(|line| volume_of(root, line)).collect();
    names.dedup();
    names
}

fn volume_of(root: &Path, line: &str) -> Option<String> {
    // proc(5): the fifth field, with spaces and the like as octal numbers; a volume's own name has none
    let field = line.split(' ').nth(4)?;
    let path = PathBuf::from(field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"));
    let name = path.strip_prefix(root).ok()?.to_str()?.strip_suffix("/_data")?;
    (!name.contains('/')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_mount() {
        let words = Words::parse("bind,ro,rshared,size=1m,defaults,rw,nosuid");
        assert_eq!(words.flags, MountFlags::BIND | MountFlags::NOSUID);
        assert_eq!(words.data, ["size=1m"]);
        assert_eq!(words.propagation, [MountPropagationFlags::SHARED | MountPropagationFlags::REC]);
    }

    #[test]
    fn volumes_in_the_mount_table() {
        let line = "36 35 98:0 / /data\\040root/volumes/v1/_data rw - ext4 /dev/loop0 rw";
        assert_eq!(volume_of(Path::new("/data root/volumes"), line).as_deref(), Some("v1"));
        assert_eq!(volume_of(Path::new("/other"), line), None);
    }
}
