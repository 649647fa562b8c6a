//! Storage drivers: how a stack of unpacked layers becomes the writable root of a container.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{Error, Result};

/// The storage drivers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// One overlay mount per container, layers shared. The default.
    Overlay2,
    /// A full copy per container: works on any file system, needs the space.
    Vfs,
    /// One btrfs subvolume per container, cloned from one per layer.
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
