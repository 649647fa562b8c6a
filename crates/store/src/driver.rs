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

/// All of them; the default first.
const ALL: [Driver; 3] = [Driver::Overlay2, Driver::Vfs, Driver::Btrfs];

/// Chooses the driver for a data root and makes sure that it works there. `holds` tells whether the folder of a driver has a layer or
/// a container that the rows speak of.
///
/// # Errors
/// [`Error::Unsupported`] when `wanted` does not work here, or another driver's images are here: they would all be out of sight.
pub(crate) fn choose(root: &Path, wanted: Option<Driver>, holds: impl Fn(&Path) -> bool) -> Result<Driver> {
    let prior = ALL.into_iter().find(|driver| holds(&root.join(driver.name())));
    match (wanted, prior) {
        (None, Some(prior)) => Ok(prior),
        (Some(wanted), Some(prior)) if wanted == prior => Ok(prior),
        (Some(wanted), Some(prior)) => Err(Error::Unsupported(format!(
            "storage driver {wanted}: the images and containers in {} were made with {prior}; start with --storage-driver \
             {prior}, or with another --data-root",
            root.display()
        ))),
        (Some(wanted), None) => wanted.check(root).map(|()| wanted),
        (None, None) => match Driver::Overlay2.check(root) {
            Ok(()) => Ok(Driver::Overlay2),
            Err(error) => {
                tracing::warn!("storage driver vfs is used, which copies every image for each container: {error}");
                Ok(Driver::Vfs)
            }
        },
    }
}

/// Whether an overlay can have its upper layer on this file system. Asked once per data root: the folders of the driver say that
/// it was.
fn overlay_works(root: &Path) -> Result<()> {
    if root.join(Driver::Overlay2.name()).is_dir() {
        return Ok(());
    }
    let probe = root.join("overlay2-probe");
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| probe.join(name));
    for folder in [&lower, &upper, &work] {
        std::fs::create_dir_all(folder).map_err(Error::io("mkdir", folder))?;
    }
    let mounted = crate::snapshot::mount_overlay(&[lower], Some((&upper, &work)));
    crate::layout::remove_tree(&probe)?;
    mounted.map(drop).map_err(|error| {
        Error::Unsupported(format!(
            "storage driver overlay2 does not work on the file system of {} ({error}); use vfs",
            root.display()
        ))
    })
}

impl Driver {
    /// Whether the driver works on the file system that holds `root`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with what to use instead.
    fn check(self, root: &Path) -> Result<()> {
        match self {
            Self::Vfs => return Ok(()),
            Self::Overlay2 => return overlay_works(root),
            Self::Btrfs => {}
        }
        let fd = std::fs::File::open(root).map_err(Error::io("open", root))?;
        if wharf_sys::btrfs::is_btrfs(fd).map_err(Error::io("statfs", root))? {
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
            "fuse-overlayfs" => Err(Error::Unsupported(
                "storage driver fuse-overlayfs is not supported: the kernel mounts overlay file systems itself, without a helper; \
                 use overlay2 (or vfs where the file system cannot hold it)"
                    .into(),
            )),
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
