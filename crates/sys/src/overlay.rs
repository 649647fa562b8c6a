//! One overlay, mounted detached, whatever of the mount API this kernel has.
//!
//! | kernel | how the lower folders are named |
//! | --- | --- |
//! | 6.7 and newer | `lowerdir+` once per folder, so neither their number nor their length matters |
//! | older | one `lowerdir` of at most 255 bytes: the folders are opened and named by their descriptors' numbers, relative to `/proc/self/fd` |

use crate::Result;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use std::ffi::{CStr, CString};

/// The longest value that `fsconfig(2)` takes as a string.
const LONGEST: usize = 255;

/// What to mount.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// Shown as the mount's source.
    pub source: &'a CStr,
    /// Folders, uppermost first; absolute.
    pub lower: &'a [CString],
    /// The writable folder and its work folder; read-only without.
    pub upper: Option<(&'a CStr, &'a CStr)>,
    /// Further options, each with its value.
    pub options: &'a [(CString, Option<CString>)],
}

/// Mounts an overlay that is attached nowhere.
///
/// # Errors
/// What the kernel says; `ENAMETOOLONG` when an old kernel gets more folders than fit into 255 bytes (about sixty).
pub fn mount(overlay: &Overlay<'_>) -> Result<OwnedFd> {
    if names_lowers_one_by_one() { modern(overlay) } else { by_number(overlay) }
}

/// Finds out what the kernel can, so that processes forked from this one know it.
pub fn probe() {
    names_lowers_one_by_one();
}

/// Whether `lowerdir+` exists. Kernels before 6.5 take any option until the file system is made, so a nonsense one tells them apart.
fn names_lowers_one_by_one() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| {
        let Ok(context) = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC) else { return true };
        let context = context.as_fd();
        fsconfig_set_flag(context, c"no-such-option").is_err()
            && fsconfig_set_string(context, c"lowerdir+", c"/").is_ok()
    })
}

fn modern(overlay: &Overlay<'_>) -> Result<OwnedFd> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    for lower in overlay.lower {
        set_folder(context, c"lowerdir+", lower)?;
    }
    if let Some((upper, work)) = overlay.upper {
        set_folder(context, c"upperdir", upper)?;
        set_folder(context, c"workdir", work)?;
    }
    finish(context, overlay)
}

/// A folder: by name, so that the mount table shows it, or, when the name is longer than the kernel takes, by descriptor (6.13).
fn set_folder(context: BorrowedFd<'_>, key: &CStr, path: &CStr) -> Result<()> {
    if path.count_bytes() <= LONGEST {
        return fsconfig_set_string(context, key, path);
    }
    fsconfig_set_fd(context, key, open(path)?.as_fd())
}

fn open(path: &CStr) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn finish(context: BorrowedFd<'_>, overlay: &Overlay<'_>) -> Result<OwnedFd> {
    fsconfig_set_string(context, c"source", overlay.source)?;
    for (key, value) in overlay.options {
        match value {
            Some(value) => fsconfig_set_string(context, key.as_c_str(), value.as_c_str())?,
            None => fsconfig_set_flag(context, key.as_c_str())?,
        }
    }
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// The kernel looks the numbers up when the file system is made, from the working folder: so that is changed for a moment. All
/// paths of our programs are absolute, so nobody else notices; two of these calls at once would, hence the lock. (A thread with a
/// working folder of its own would be cleaner, but keepers are forked from a template and must not have threads.)
fn by_number(overlay: &Overlay<'_>) -> Result<OwnedFd> {
    static WORKING_FOLDER: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let lower = overlay.lower.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    let upper = overlay.upper.map(|(upper, work)| Ok::<_, Errno>((open(upper)?, open(work)?))).transpose()?;
    let numbers: Vec<String> = lower.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let numbers = numbers.join(":");
    if numbers.len() > LONGEST {
        return Err(Errno::NAMETOOLONG);
    }
    let _alone = WORKING_FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = open(c".")?;
    rustix::process::chdir(c"/proc/self/fd")?;
    let made = (|| {
        let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let context = context.as_fd();
        fsconfig_set_string(context, c"lowerdir", numbers.as_str())?;
        if let Some((upper, work)) = &upper {
            fsconfig_set_string(context, c"upperdir", upper.as_raw_fd().to_string().as_str())?;
            fsconfig_set_string(context, c"workdir", work.as_raw_fd().to_string().as_str())?;
        }
        finish(context, overlay)
    })();
    rustix::process::fchdir(&before)?;
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs in a thread with a mount namespace of its own: nothing here is attached anywhere anyway.
    #[test]
    fn both_ways_show_the_same_files() {
        let dir = std::env::temp_dir().join(format!("wharf-overlay-{}", std::process::id()));
        for name in ["a", "b", "up", "work"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        std::fs::write(dir.join("a/x"), "from a").unwrap();
        std::fs::write(dir.join("b/x"), "from b").unwrap();
        let path = |name: &str| CString::new(dir.join(name).to_str().unwrap()).unwrap();
        let (lower, up, work) = ([path("a"), path("b")], path("up"), path("work"));
        for way in [modern as fn(&Overlay<'_>) -> Result<OwnedFd>, by_number] {
            let options = [(c"index".into(), Some(c"off".into()))];
            let overlay = Overlay { source: c"overlay", lower: &lower, upper: Some((&up, &work)), options: &options };
            let tree = way(&overlay).unwrap();
            let file = rustix::fs::openat(&tree, "x", OFlags::RDONLY, Mode::empty()).unwrap();
            let mut text = [0; 16];
            let count = rustix::io::read(&file, &mut text).unwrap();
            assert_eq!(&text[..count], b"from a");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
