//! Volumes.

use std::collections::BTreeMap;

object! {
    /// A volume.
    pub struct Volume = "volume.Volume" {
        /// RFC 3339, whole seconds.
        created_at: String = "CreatedAt" omit,
        /// `local` …
        driver: String = "Driver",
        /// `null` when made without.
        labels: Option<BTreeMap<String, String>> = "Labels",
        /// Folder on the host.
        mountpoint: String = "Mountpoint",
        /// Its name.
        name: String = "Name",
        /// `null` when made without.
        options: Option<BTreeMap<String, String>> = "Options",
        /// `local` or `global`.
        scope: String = "Scope",
        /// Of the driver.
        status: Option<BTreeMap<String, crate::go::Any>> = "Status" omit,
        /// Only in `df`.
        usage_data: Option<UsageData> = "UsageData" omit,
    }

    /// Use of a volume; -1 is unknown.
    pub struct UsageData = "volume.UsageData" {
        /// Containers.
        ref_count: i64 = "RefCount",
        /// Bytes.
        size: i64 = "Size",
    }

    /// Answer of `GET /volumes`.
    pub struct List = "volume.ListResponse" {
        /// By name.
        volumes: Vec<Volume> = "Volumes",
        /// From drivers that do not answer.
        warnings: Option<Vec<String>> = "Warnings",
    }

    /// Body of `POST /volumes/create`.
    pub struct CreateRequest = "volume.CreateOptions" {
        /// Driver; `local` when empty.
        driver: String = "Driver" omit,
        /// Options for the driver.
        driver_opts: Option<BTreeMap<String, String>> = "DriverOpts" omit,
        /// Labels.
        labels: Option<BTreeMap<String, String>> = "Labels" omit,
        /// A random one when empty.
        name: String = "Name" omit,
        /// Of a volume of a cluster.
        cluster_spec: Option<crate::go::Any> = "ClusterVolumeSpec" omit,
    }

    /// A copy of a volume's files that is kept with it. Not Docker's.
    pub struct Snapshot = "wharf.VolumeSnapshot" {
        /// Its name.
        name: String = "Name",
        /// RFC 3339, whole seconds.
        created_at: String = "CreatedAt" omit,
    }

    /// Answer of `POST /volumes/prune`.
    pub struct Pruned = "volume.PruneReport" {
        /// Names.
        volumes_deleted: Vec<String> = "VolumesDeleted",
        /// Bytes.
        space_reclaimed: u64 = "SpaceReclaimed",
    }
}
