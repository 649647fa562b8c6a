//! A volume as its row describes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A volume. Fields may be added (with `default`), never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// `local`, or the name of a plugin.
    pub driver: String,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// Labels; `None`: never given.
    pub labels: Option<BTreeMap<String, String>>,
    /// Driver options; `None`: never given.
    pub options: Option<BTreeMap<String, String>>,
    /// Where its files are.
    #[serde(default)]
    pub backing: Backing,
    /// The folder that is still to be renamed to the volume's name: a step of making or renaming it that a crash may have
    /// interrupted.
    #[serde(default)]
    pub(crate) comes_from: Option<String>,
}

impl Volume {
    /// Made for `-v /path` without a name.
    pub fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(super::ANONYMOUS_LABEL))
    }
}

/// Where the files of a volume are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Backing {
    /// In its folder.
    #[default]
    Folder,
    /// In its folder, which the file system counts as a project with a limit.
    Project {
        /// Number of the project.
        id: u32,
        /// Bytes.
        limit: u64,
    },
    /// In a folder that is a subvolume of btrfs with a limit.
    Subvolume {
        /// Bytes.
        limit: u64,
    },
    /// In an image file beside its folder, mounted on it while it is used.
    Image {
        /// Bytes.
        limit: u64,
    },
    /// In a file system that is mounted on its folder while it is used.
    Foreign(Foreign),
    /// Where a plugin says.
    Plugin,
}

impl Backing {
    /// Bytes it may hold, and what sees to it.
    pub fn limit(&self) -> Option<(u64, &'static str)> {
        match self {
            Backing::Project { limit, .. } => Some((*limit, "project quota")),
            Backing::Subvolume { limit } => Some((*limit, "btrfs quota")),
            Backing::Image { limit } => Some((*limit, "loop image")),
            Backing::Folder | Backing::Foreign(_) | Backing::Plugin => None,
        }
    }

    /// The quota project of its files.
    pub(crate) fn project(&self) -> Option<u32> {
        match self {
            Backing::Project { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The files lie in the folder whether the volume is used or not.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self, Backing::Folder | Backing::Project { .. } | Backing::Subvolume { .. })
    }
}

/// What the options `type`, `device` and `o` of the local driver ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Foreign {
    /// `nfs`, `tmpfs`, `ext4`, `none` …
    pub kind: String,
    /// A device, a folder, `:/export`, or anything where the type ignores it.
    pub device: String,
    /// As after `mount -o`.
    pub options: String,
}
