//! Storage drivers: how a stack of unpacked layers becomes the writable root of a container.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{Error, Result};

/// The storage drivers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// One overlay mount per container, layers shared. The default.
    Overlay2,
    /// A full copy per container: works on any file system, needs the space.
    Vfs,
    /// A copy per container too, but every file is a clone that shares its data: btrfs only.
    Btrfs,
}

impl Driver {
    /// The name in `info` and `--storage-driver`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::Vfs => "vfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// `f_type` of btrfs.
const BTRFS_MAGIC: u64 = 0x9123_683e;

impl Driver {
    /// Whether the driver works on the file system that holds `root`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with what to use instead.
    pub(crate) fn check(self, root: &Path) -> Result<()> {
        if self != Self::Btrfs {
            return Ok(());
        }
        let stat = rustix::fs::statfs(root).map_err(Error::io("statfs", root))?;
        if u64::try_from(stat.f_type).unwrap_or(0) & 0xffff_ffff == BTRFS_MAGIC {
            return Ok(());
        }
        Err(Error::Unsupported(format!(
            "prerequisites for driver not satisfied (wrong filesystem?): {} is not on btrfs; use overlay2",
            root.display()
        )))
    }
}

impl FromStr for Driver {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "overlay2" | "overlay" | "overlayfs" => Ok(Self::Overlay2),
            "vfs" => Ok(Self::Vfs),
            "btrfs" => Ok(Self::Btrfs),
            "devicemapper" | "zfs" | "aufs" => Err(Error::Unsupported(format!(
                "storage driver {name} is not supported: it needs kernel modules and tools outside the kernel; use overlay2, \
                 which is faster on any local file system (or vfs, or btrfs)"
            ))),
            _ => Err(Error::Unsupported(format!("driver not supported: {name}"))),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The root file system of a container, as the runtime has to make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rootfs {
    /// An overlay mount. Nothing is mounted on the host: the runtime mounts it inside the container's own mount namespace.
    Overlay {
        /// Read-only folders, top first.
        lower: Vec<PathBuf>,
        /// The container's own layer.
        upper: PathBuf,
        /// Work folder of the kernel, on the same file system as `upper`.
        work: PathBuf,
        /// Further mount options, `name` or `name=value`.
        options: Vec<String>,
    },
    /// A plain folder.
    Dir(PathBuf),
}
