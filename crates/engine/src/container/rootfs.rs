//! Reads and prepares files of a container's root without mounting it where anybody could see it.
//!
//! Small files (`/etc/passwd`) are looked up in the layers' folders directly, as overlayfs would: topmost first, ended by
//! whiteouts and opaque folders. Where a symbolic link is in the way, and for writing, the root is mounted detached.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, statat};
use rustix::io::Errno;
use wharf_spec::id::ContainerId;
use wharf_store::{Rootfs, Store};

use crate::users::Accounts;
use crate::{Error, Result};

/// Longest account file that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The account files of a container.
pub(crate) fn accounts(store: &Store, id: &ContainerId, root: &Rootfs) -> Result<Accounts> {
    let mut mounted = None;
    let mut read = |name: &str| -> Result<String> {
        if let Rootfs::Overlay { lower, upper, .. } = root
            && let Found::Settled(text) = in_layers(upper, lower, "etc", name)
        {
            return Ok(text);
        }
        let fd: &OwnedFd = match &mut mounted {
            Some(fd) => fd,
            none => none.insert(store.snapshot_open(id)?),
        };
        Ok(in_root(fd, &format!("etc/{name}")).unwrap_or_default())
    };
    Ok(Accounts { passwd: read("passwd")?, group: read("group")? })
}

enum Found {
    /// Its content; empty when there is none.
    Settled(String),
    /// Something that only a mount can resolve.
    Unclear,
}

fn in_layers(upper: &Path, lower: &[PathBuf], folder: &str, name: &str) -> Found {
    for layer in std::iter::once(upper).chain(lower.iter().map(PathBuf::as_path)) {
        let Ok(dir) = open(layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
            return Found::Unclear;
        };
        match statat(&dir, folder, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            Err(_) => return Found::Unclear,
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {}
                FileType::CharacterDevice if stat.st_rdev == 0 => return Found::Settled(String::new()),
                _ => return Found::Unclear,
            },
        }
        let path = format!("{folder}/{name}");
        match statat(&dir, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Err(_) => return Found::Unclear,
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => return in_root(&dir, &path).map_or(Found::Unclear, Found::Settled),
                FileType::CharacterDevice if stat.st_rdev == 0 => return Found::Settled(String::new()),
                _ => return Found::Unclear,
            },
        }
        if is_opaque(&layer.join(folder)) {
            break;
        }
    }
    Found::Settled(String::new())
}

/// Whether `path` is a folder for sure. Not so where only a mount can tell.
fn is_folder_in_layers(upper: &Path, lower: &[PathBuf], path: &Path) -> bool {
    for layer in std::iter::once(upper).chain(lower.iter().map(PathBuf::as_path)) {
        let mut at = layer.to_owned();
        let mut missing = false;
        for part in path.components() {
            let std::path::Component::Normal(name) = part else { continue };
            at.push(name);
            match std::fs::symlink_metadata(&at) {
                Ok(found) if found.is_dir() && !is_opaque(&at) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    missing = true;
                    break;
                }
                // opaque folders may hide what lies in lower layers, anything else is a link, a file or a whiteout
                _ => return false,
            }
        }
        if !missing {
            return true;
        }
    }
    false
}

fn is_opaque(folder: &Path) -> bool {
    ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|name| {
        let mut value = [0_u8; 8];
        matches!(rustix::fs::lgetxattr(folder, *name, &mut value[..]), Ok(1) if value[0] == b'y')
    })
}

/// A regular file below `root`, links resolved inside it.
fn in_root(root: &OwnedFd, path: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let fd = openat2(root, path, flags, Mode::empty(), resolve).ok()?;
    if FileType::from_raw_mode(fstat(&fd).ok()?.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::from(fd).take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The account files below an open root.
pub(crate) fn accounts_in(root: &OwnedFd) -> Accounts {
    let read = |path| in_root(root, path).unwrap_or_default();
    Accounts { passwd: read("etc/passwd"), group: read("etc/group") }
}

/// Makes the working folder when the container has none there, as Docker does.
pub(crate) fn make_folder(store: &Store, id: &ContainerId, root: &Rootfs, path: &Path) -> Result<()> {
    if let Rootfs::Overlay { lower, upper, .. } = root
        && is_folder_in_layers(upper, lower, path)
    {
        return Ok(());
    }
    make_place(store.snapshot_open(id)?.as_fd(), path, true).map(drop)
}

/// Opens `path` below `root`, and makes what is missing: folders, and at its end a folder or an empty file.
pub(crate) fn make_place(root: BorrowedFd<'_>, path: &Path, folder: bool) -> Result<OwnedFd> {
    let fail = |errno: Errno| Error::system(format!("mkdir `{}` in the container", path.display()), errno);
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let open = |path: &Path| openat2(root, path, flags, Mode::empty(), resolve);
    let mut so_far = PathBuf::from(".");
    let mut at = open(&so_far).map_err(fail)?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let std::path::Component::Normal(name) = part else { continue };
        so_far.push(name);
        let last = parts.peek().is_none();
        let made = match open(&so_far) {
            Err(Errno::NOENT) if last && !folder => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&at, name, flags, Mode::from_raw_mode(0o755)).map_err(fail)?;
                open(&so_far)
            }
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)).map_err(fail)?;
                open(&so_far)
            }
            other => other,
        };
        at = match made {
            Err(Errno::NOTDIR) => {
                return Err(Error::InvalidParameter(format!("Cannot mkdir: {} is not a directory", path.display())));
            }
            other => other.map_err(fail)?,
        };
        let is_folder = FileType::from_raw_mode(fstat(&at).map_err(fail)?.st_mode) == FileType::Directory;
        if !is_folder && (folder || !last) {
            return Err(Error::InvalidParameter(format!("Cannot mkdir: {} is not a directory", path.display())));
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn found(upper: &Path, lower: &[PathBuf]) -> String {
        match in_layers(upper, lower, "etc", "passwd") {
            Found::Settled(text) => text,
            Found::Unclear => "unclear".into(),
        }
    }

    #[test]
    fn a_folder_is_one_only_where_no_layer_above_hides_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let layer = |name: &str| dir.path().join(name);
        for name in ["upper", "a/srv", "b/srv/app", "b/opt/x"] {
            fs::create_dir_all(layer(name)).expect("mkdir");
        }
        let lower = [layer("a"), layer("b")];
        let found = |path: &str| is_folder_in_layers(&layer("upper"), &lower, Path::new(path));
        assert!(found("/srv/app"));
        assert!(!found("/srv/other"));
        std::os::unix::fs::symlink("/srv", layer("upper").join("opt")).expect("symlink");
        assert!(!found("/opt/x"));
        fs::write(layer("a").join("srv/app"), "a file").expect("write");
        assert!(!found("/srv/app"));
    }

    #[test]
    fn the_topmost_layer_wins_and_links_are_left_to_the_kernel() {
        let dir = tempfile::tempdir().expect("a folder");
        let layer = |name: &str| dir.path().join(name);
        for name in ["upper", "a", "b"] {
            fs::create_dir_all(layer(name)).expect("mkdir");
        }
        let lower = [layer("a"), layer("b")];
        assert_eq!(found(&layer("upper"), &lower), "");
        fs::create_dir(layer("b").join("etc")).expect("mkdir");
        fs::write(layer("b").join("etc/passwd"), "b").expect("write");
        assert_eq!(found(&layer("upper"), &lower), "b");
        fs::create_dir(layer("a").join("etc")).expect("mkdir");
        fs::write(layer("a").join("etc/passwd"), "a").expect("write");
        assert_eq!(found(&layer("upper"), &lower), "a");
        fs::create_dir(layer("upper").join("etc")).expect("mkdir");
        std::os::unix::fs::symlink("/etc/shadow", layer("upper").join("etc/passwd")).expect("symlink");
        assert_eq!(found(&layer("upper"), &lower), "unclear");
    }
}
