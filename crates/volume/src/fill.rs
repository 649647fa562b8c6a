//! Puts files into a volume that others may look at: all of them or none.
//!
//! ```text
//!   prepare into   <fill>                          a crash: removed
//!   sync, rename   <fill> → <ready> | <replace>    the decision
//!   move each name out of it into the volume       a crash: goes on where it was
//!   remove the empty folder
//! ```
//!
//! `<fill>` lies beside `_data` where the volume is a folder of the same file system, and inside it (with a name that starts with
//! [`MARK`]) where it is a file system or a subvolume of its own: a rename must not leave either.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use wharf_sys::failpoint;

use crate::{Error, Result, copy};

/// How the engine's own names inside a mounted volume begin.
pub(crate) const MARK: &str = ".wharf-";
const FILL: &str = "fill";
const READY: &str = "ready";
const REPLACE: &str = "replace";
const MOVING: &str = "moving";
/// All of the engine's names inside a mounted volume.
pub(crate) const OURS: [&str; 4] = [".wharf-fill", ".wharf-ready", ".wharf-replace", ".wharf-moving"];

/// A volume's root and the folder in which files for it are prepared.
pub(crate) struct Place {
    pub(crate) base: OwnedFd,
    side: OwnedFd,
    prefix: &'static str,
    shown: std::path::PathBuf,
}

/// What becomes of the files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They stay. (There are none, usually.)
    Keep,
    /// They go.
    Replace,
}

impl Place {
    /// `base` is the volume's root; `beside`: the folder that it lies in.
    pub(crate) fn open(base: &Path, beside: Option<&Path>) -> Result<Place> {
        let base_fd = folder(base)?;
        let device = |fd: &OwnedFd| fs::fstat(fd).map(|stat| stat.st_dev).map_err(Error::io("stat", base));
        let beside = beside.map(folder).transpose()?;
        let (side, prefix) = match beside {
            Some(side) if device(&side)? == device(&base_fd)? => (side, ""),
            _ => (folder(base)?, MARK),
        };
        Ok(Place { base: base_fd, side, prefix, shown: base.to_owned() })
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn failed<E: Into<std::io::Error>>(&self, op: &'static str) -> impl FnOnce(E) -> Error + use<E> {
        Error::io(op, &self.shown)
    }

    /// Goes on with what a crash has interrupted.
    pub(crate) fn recover(&self) -> Result<()> {
        self.discard(FILL)?;
        for (name, existing) in [(READY, Existing::Keep), (REPLACE, Existing::Replace)] {
            if fs::statat(&self.side, self.name(name), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                self.finish(name, existing)?;
            }
        }
        self.discard(MOVING)
    }

    /// Fills the volume with what `prepare` puts into an empty folder. `project`: the quota project it belongs to.
    pub(crate) fn fill(
        &self,
        existing: Existing,
        project: Option<u32>,
        prepare: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<()> {
        self.recover()?;
        let name = self.name(FILL);
        fs::mkdirat(&self.side, &name, Mode::from_raw_mode(0o755)).map_err(self.failed("mkdir"))?;
        let prepared = self.prepare(&name, project, prepare);
        if let Err(error) = prepared {
            // the first error is the one to tell; what stays is removed the next time
            let _ = self.discard(FILL);
            return Err(error);
        }
        let decided = match existing {
            Existing::Keep => READY,
            Existing::Replace => REPLACE,
        };
        fs::renameat(&self.side, &name, &self.side, self.name(decided)).map_err(self.failed("rename"))?;
        failpoint::hit("volume.fill.after_decision").map_err(self.failed("fail point"))?;
        self.finish(decided, existing)
    }

    fn prepare(
        &self,
        name: &str,
        project: Option<u32>,
        prepare: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<()> {
        let staged = open_in(&self.side, name).map_err(self.failed("open"))?;
        if let Some(project) = project {
            wharf_sys::quota::set_project(&staged, project).map_err(self.failed("set quota project of"))?;
        }
        {
            let _held = wharf_sys::quota::HeldToLimits::begin();
            prepare(staged.as_fd())?;
        }
        failpoint::hit("volume.fill.after_prepare").map_err(self.failed("fail point"))?;
        if !copy::is_empty(&staged).map_err(self.failed("read"))? {
            fs::syncfs(&staged).map_err(self.failed("sync"))?;
        }
        Ok(())
    }

    fn finish(&self, name: &str, existing: Existing) -> Result<()> {
        let name = self.name(name);
        let staged = open_in(&self.side, &name).map_err(self.failed("open"))?;
        // attributes first: they are the last to be known to be right after a crash, too
        copy::folder_attributes(&staged, &self.base, &self.shown)?;
        if existing == Existing::Replace {
            self.make_way()?;
        }
        for entry in copy::names(&staged).map_err(self.failed("read"))? {
            match fs::renameat(&staged, &entry, &self.base, &entry) {
                Ok(()) => {}
                // somebody else was faster: what he put there stays
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR | Errno::NOTDIR) if existing == Existing::Keep => {}
                Err(errno) => return Err(self.failed("rename")(errno)),
            }
            failpoint::hit("volume.fill.after_move").map_err(self.failed("fail point"))?;
        }
        // moving names has changed the time of the folder
        copy::folder_attributes(&staged, &self.base, &self.shown)?;
        drop(staged);
        wharf_archive::remove(self.side.as_fd(), OsStr::new(&name))?;
        self.discard(MOVING)
    }

    /// Removes what is to be replaced. From the mark on, what is there are the new files, moved in before an interruption.
    fn make_way(&self) -> Result<()> {
        let moving = self.name(MOVING);
        if fs::statat(&self.side, &moving, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(());
        }
        for entry in copy::names(&self.base).map_err(self.failed("read"))? {
            if !copy::is_ours(entry.to_bytes()) {
                wharf_archive::remove(self.base.as_fd(), OsStr::from_bytes(entry.to_bytes()))?;
            }
            failpoint::hit("volume.fill.after_removal").map_err(self.failed("fail point"))?;
        }
        fs::mkdirat(&self.side, &moving, Mode::RWXU).map_err(self.failed("mkdir"))
    }

    fn discard(&self, name: &str) -> Result<()> {
        Ok(wharf_archive::remove(self.side.as_fd(), OsStr::new(&self.name(name)))?)
    }
}

fn folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::empty()).map_err(Error::io("open", path))
}

fn open_in(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}
