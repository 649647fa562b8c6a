//! Volumes with a limit: a project quota where the file system keeps to them, a subvolume with a quota on btrfs, else a file
//! system of that size in a file.
//!
//! Which projects are free is asked of the kernel: a number is taken as long as it has a limit or a file, so that what a removed
//! volume leaves behind, or another daemon on the same file system has, is not counted for a new one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use wharf_sys::quota::{self, ProjectQuota};
use wharf_sys::{Errno, btrfs};

use crate::open::remove_tree;
use crate::row::Backing;
use crate::{Error, Result, Shared};

/// Numbers of our projects start here ("WH"), away from those that people choose.
pub(crate) const FIRST_PROJECT: u32 = 0x5748_0000;
/// The smallest image that holds a file system with a journal, in bytes.
const SMALLEST: u64 = 4 << 20;
/// What a subvolume needs for its own trees and the names of some files, in bytes.
const SMALLEST_SUBVOLUME: u64 = 1 << 20;
/// The name of the image in a volume's folder.
pub(crate) const IMAGE: &str = "image";

impl Shared {
    /// Prepares the volume's folder (with an empty `_data` in it) for a limit.
    pub(crate) fn limit(&self, folder: &Path, limit: u64) -> Result<Backing> {
        let data = folder.join("_data");
        let fd = open(&data)?;
        if quota::enforces_project_limits(&fd) {
            let id = self.take_project(&fd, limit).map_err(Error::io("set quota of", &data))?;
            quota::set_project(&fd, id).map_err(Error::io("set quota project of", &data))?;
            return Ok(Backing::Project { id, limit });
        }
        if btrfs::is_btrfs(&fd).map_err(Error::io("statfs", &data))? {
            make_subvolume(folder, limit)?;
            return Ok(Backing::Subvolume { limit });
        }
        make_image(&folder.join(IMAGE), limit)?;
        Ok(Backing::Image { limit })
    }

    /// Gives a project that nobody has a limit, by which it is taken.
    fn take_project(&self, on: &File, limit: u64) -> Result<u32, Errno> {
        // one at a time
        let world = self.world();
        let rows: HashSet<u32> = world.volumes.values().filter_map(|volume| volume.backing.project()).collect();
        let is_free = |id: &u32| {
            !rows.contains(id) && quota::project_quota(on, *id).unwrap_or_default() == ProjectQuota::default()
        };
        let id = (FIRST_PROJECT..u32::MAX).find(is_free).ok_or(Errno::NOSPC)?;
        quota::set_project_limit(on, id, limit).map(|()| id)
    }

    /// Removes the folder of a volume that has no row any more, with all that is in it and the limit that its files had.
    pub(crate) fn remove_folder(&self, folder: &Path) -> Result<()> {
        if let Ok(data) = open(&folder.join("_data")) {
            self.forget_project(&data);
            remove_subvolume(folder, &data)?;
        }
        remove_tree(folder)
    }

    fn forget_project(&self, data: &File) {
        // whoever can write into a volume can change its project: the limit of another one stays
        let has_row = |id| self.world().volumes.values().any(|volume| volume.backing.project() == Some(id));
        if let Ok(id) = quota::project(data)
            && id >= FIRST_PROJECT
            && !has_row(id)
        {
            // a limit on a project without files hurts nobody
            let _ = quota::set_project_limit(data, id, 0);
        }
    }
}

fn open(folder: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty()).map(File::from).map_err(Error::io("open", folder))
}

/// What the files of a volume without a row are in, as far as the file system can tell.
pub(crate) fn found(folder: &Path) -> Backing {
    match fs::metadata(folder.join(IMAGE)) {
        Ok(meta) if meta.is_file() => return Backing::Image { limit: meta.len() },
        _ => {}
    }
    let Ok(data) = open(&folder.join("_data")) else { return Backing::Folder };
    let project = quota::project(&data).ok().filter(|id| *id >= FIRST_PROJECT);
    let limit = project.and_then(|id| quota::project_quota(&data, id).ok()).map(|quota| quota.limit);
    match (project, limit) {
        (Some(id), Some(limit)) if limit > 0 => Backing::Project { id, limit },
        _ => Backing::Folder,
    }
}

/// Puts a subvolume with a limit in the place of the empty `_data`.
fn make_subvolume(folder: &Path, limit: u64) -> Result<()> {
    if limit < SMALLEST_SUBVOLUME {
        let least = SMALLEST_SUBVOLUME >> 20;
        return Err(Error::Invalid(format!("size {limit} is too small: a subvolume needs at least {least}m")));
    }
    let data = folder.join("_data");
    let parent = open(folder)?;
    btrfs::enable_quota(&parent).map_err(Error::io("enable quotas of the file system of", folder))?;
    fs::remove_dir(&data).map_err(Error::io("rmdir", &data))?;
    btrfs::create_subvolume(&parent, c"_data").map_err(Error::io("create subvolume", &data))?;
    let made = open(&data)?;
    let number = btrfs::subvolume(&made).and_then(|number| number.ok_or(Errno::INVAL));
    let number = number.map_err(Error::io("look up subvolume", &data))?;
    btrfs::set_limit(&made, number, limit).map_err(Error::io("set quota of", &data))
}

fn remove_subvolume(folder: &Path, data: &File) -> Result<()> {
    let Ok(Some(number)) = btrfs::subvolume(data) else { return Ok(()) };
    let parent = open(folder)?;
    match btrfs::destroy_subvolume(&parent, c"_data") {
        Ok(()) => {}
        // somebody has made subvolumes in it: they go as folders do, for which a full one has no room
        Err(Errno::NOTEMPTY) => {
            btrfs::set_limit(data, number, btrfs::NO_LIMIT).map_err(Error::io("lift quota of", folder))?;
            remove_tree(&folder.join("_data"))?;
        }
        Err(errno) => return Err(Error::io("remove subvolume", folder)(errno)),
    }
    // the kernel may be busy with the files still; a group without a subvolume hurts nobody, and numbers are not used twice
    let _ = rustix::fs::syncfs(parent.as_fd()).and_then(|()| btrfs::forget_limit(&parent, number));
    Ok(())
}

fn make_image(path: &Path, limit: u64) -> Result<()> {
    if limit < SMALLEST {
        let least = SMALLEST >> 20;
        return Err(Error::Invalid(format!("size {limit} is too small: an image needs at least {least}m")));
    }
    let file = File::options().create_new(true).read(true).write(true).open(path).map_err(Error::io("create", path))?;
    // whole blocks: the file system would leave the rest unused
    file.set_len(limit & !4095).map_err(Error::io("truncate", path))?;
    drop(file);
    let mut command = Command::new("mkfs.ext4");
    command.env("PATH", search_path()).args(["-q", "-F", "-m", "0", "-b", "4096", "-O", "^resize_inode"]);
    command.args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"]).arg(path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Unsupported(
            "a size limit needs quotas on the data root's file system (prjquota of ext4 and XFS, btrfs), or the program \
             mkfs.ext4 (e2fsprogs)"
                .into(),
        ),
        _ => Error::io("run mkfs.ext4 on", path)(error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Error::Unsupported(format!("mkfs.ext4: {}", why.trim())))
}

fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/sbin:/usr/local/sbin")
}

/// Bytes that an image takes on the disk.
pub(crate) fn image_use(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder.join(IMAGE)).map_or(0, |meta| meta.blocks() * 512)
}
