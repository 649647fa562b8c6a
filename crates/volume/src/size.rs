//! Volumes with a limit: a project quota where the file system counts projects, else a file system of that size in a file.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::row::Backing;
use crate::{Error, Result};

/// Numbers of our projects start here ("WH"), away from those that people choose.
pub(crate) const FIRST_PROJECT: u32 = 0x5748_0000;
/// The smallest image that holds a file system with a journal, in bytes.
const SMALLEST: u64 = 4 << 20;
/// The name of the image in a volume's folder.
pub(crate) const IMAGE: &str = "image";

/// Prepares the volume's folder (with an empty `_data` in it) for a limit. `project`: a number that no other volume has.
pub(crate) fn prepare(folder: &Path, limit: u64, project: u32) -> Result<Backing> {
    let data = folder.join("_data");
    let fd = File::open(&data).map_err(Error::io("open", &data))?;
    if wharf_sys::quota::set_project_limit(&fd, project, limit).is_ok() && counts(&fd, project, limit) {
        wharf_sys::quota::set_project(&fd, project).map_err(Error::io("set quota project of", &data))?;
        return Ok(Backing::Project { id: project, limit });
    }
    make_image(&folder.join(IMAGE), limit)?;
    Ok(Backing::Image { limit })
}

/// Quotas can be known and not be enforced: only a limit that is there again when asked for is one.
fn counts(fd: &File, project: u32, limit: u64) -> bool {
    wharf_sys::quota::project_quota(fd, project).is_ok_and(|quota| quota.limit == limit.div_ceil(1024) * 1024)
}

/// Forgets the limit of a project that is no longer used.
pub(crate) fn forget(folder: &Path, project: u32) {
    if let Ok(fd) = File::open(folder) {
        // a limit on a project without files hurts nobody
        let _ = wharf_sys::quota::set_project_limit(fd, project, 0);
    }
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
            "a size limit needs project quotas on the data root's file system, or the program mkfs.ext4 (e2fsprogs)"
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
