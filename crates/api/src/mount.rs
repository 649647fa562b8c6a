//! Mounts as a client declares them (`--mount`) and as `inspect` shows them.

use std::collections::BTreeMap;

object! {
    /// One `--mount` of a container declaration.
    pub struct Mount = "mount.Mount" {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        kind: String = "Type" omit,
        /// Host path, volume name or image reference; empty for tmpfs and anonymous volumes.
        source: String = "Source" omit,
        /// Path inside the container.
        target: String = "Target" omit,
        /// Whether the container may not write.
        read_only: bool = "ReadOnly" omit,
        /// Ignored on Linux.
        consistency: String = "Consistency" omit,
        /// Only for binds.
        bind_options: Option<BindOptions> = "BindOptions" omit,
        /// Only for volumes.
        volume_options: Option<VolumeOptions> = "VolumeOptions" omit,
        /// Only for images.
        image_options: Option<ImageOptions> = "ImageOptions" omit,
        /// Only for tmpfs.
        tmpfs_options: Option<TmpfsOptions> = "TmpfsOptions" omit,
        /// Only for cluster volumes.
        cluster_options: Option<ClusterOptions> = "ClusterOptions" omit,
    }

    /// Options of a bind mount.
    pub struct BindOptions = "mount.BindOptions" {
        /// `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave` or empty.
        propagation: String = "Propagation" omit,
        /// Leave out mounts below the source.
        non_recursive: bool = "NonRecursive" omit,
        /// Make the source folder when it is missing.
        create_mountpoint: bool = "CreateMountpoint" omit,
        /// Read-only does not apply to mounts below.
        read_only_non_recursive: bool = "ReadOnlyNonRecursive" omit,
        /// An error when read-only cannot be made recursive.
        read_only_force_recursive: bool = "ReadOnlyForceRecursive" omit,
        /// Wharf's own: who the owner of the source is inside. (Docker ignores it, so clients ask first who answers.)
        id_map: Option<IdMap> = "IdMap" omit,
    }

    /// The owner of a bind's source as another user.
    pub struct IdMap = "wharf.IdMap" {
        /// User inside the container.
        uid: Option<u32> = "Uid" omit,
        /// Group inside the container.
        gid: Option<u32> = "Gid" omit,
    }

    /// Options of a volume mount.
    pub struct VolumeOptions = "mount.VolumeOptions" {
        /// Do not fill a fresh volume from the image.
        no_copy: bool = "NoCopy" omit,
        /// Labels for a volume that is made by this mount.
        labels: Option<BTreeMap<String, String>> = "Labels" omit,
        /// Folder inside the volume.
        subpath: String = "Subpath" omit,
        /// Driver for a volume that is made by this mount.
        driver_config: Option<Driver> = "DriverConfig" omit,
    }

    /// A volume driver and its options.
    pub struct Driver = "mount.Driver" {
        /// Name of the driver; empty means `local`.
        name: String = "Name" omit,
        /// Options for the driver.
        options: Option<BTreeMap<String, String>> = "Options" omit,
    }

    /// Options of an image mount.
    pub struct ImageOptions = "mount.ImageOptions" {
        /// Folder inside the image.
        subpath: String = "Subpath" omit,
    }

    /// Options of a tmpfs mount.
    pub struct TmpfsOptions = "mount.TmpfsOptions" {
        /// Size limit in bytes; 0 is unlimited.
        size_bytes: i64 = "SizeBytes" omit,
        /// Permission bits of the mount's root.
        mode: u32 = "Mode" omit,
        /// Further options: `[["noexec"], ["uid", "1000"]]`.
        options: Option<Vec<Vec<String>>> = "Options" omit,
    }

    /// Options of a cluster volume (none).
    pub struct ClusterOptions = "mount.ClusterOptions" {}

    /// A mount of a container as `inspect` and `ps` show it.
    pub struct MountPoint = "container.MountPoint" {
        /// `bind`, `volume`, `tmpfs`, `image`.
        kind: String = "Type" omit,
        /// Name of the volume.
        name: String = "Name" omit,
        /// Host path of what is mounted.
        source: String = "Source",
        /// Path inside the container.
        destination: String = "Destination",
        /// Volume driver.
        driver: String = "Driver" omit,
        /// Mode string as the client gave it (`ro`, `z`).
        mode: String = "Mode",
        /// Whether the container may write.
        rw: bool = "RW",
        /// Mount propagation of a bind.
        propagation: String = "Propagation",
    }
}
