//! How much a volume holds.
//!
//! A volume that is mounted is walked whenever somebody asks; one that is not was walked once after its last user. Docker asks
//! everybody else to keep out of a volume's folder, but backups are restored there all the same: so an old number is renewed, by
//! a thread of its own, for whoever asks next.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use wharf_archive::Writing;

use crate::row::Backing;
use crate::{Error, Result, Volumes, size};

/// How long a number is taken for right when nothing of ours has written into the volume.
const FRESH: Duration = Duration::from_secs(60);

impl Volumes {
    /// Bytes of its files; of one that is a file system of its own, what that takes on the disk. -1: unknown.
    pub fn size(&self, name: &str) -> i64 {
        let Ok(volume) = self.get(name) else { return -1 };
        let bytes = match &volume.backing {
            Backing::Image { .. } => Ok(size::image_use(&self.shared.folder(name))),
            Backing::Plugin | Backing::Foreign(_) => return -1,
            Backing::Folder | Backing::Project { .. } | Backing::Subvolume { .. } => {
                match self.shared.sizes.known(&volume.name) {
                    Some((bytes, age)) => {
                        if age > FRESH {
                            self.renew();
                        }
                        Ok(bytes)
                    }
                    None => self.walk(name),
                }
            }
        };
        bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// Says that somebody may write into the volume as long as the result lives, by another way than [`Volumes::mount`].
    pub fn writing(&self, name: &str) -> Writing<String> {
        self.shared.sizes.writing(name.to_owned())
    }

    fn walk(&self, name: &str) -> Result<u64> {
        self.shared.sizes.walk(&name.to_owned(), || {
            let data = self.data(name);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(&data, flags, Mode::empty()).map_err(Error::io("open", &data))?;
            Ok(wharf_archive::size(fd.as_fd())?)
        })
    }

    /// Walks the volumes whose numbers are old, behind the back of whoever asked.
    fn renew(&self) {
        if self.shared.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let volumes = self.clone();
        let work = move || {
            for volume in volumes.list() {
                if volumes.shared.sizes.known(&volume.name).is_some_and(|(_, age)| age > FRESH) {
                    // the old number is still there, and whoever reads it tries again
                    let _ = volumes.walk(&volume.name);
                }
            }
            volumes.shared.renewing.store(false, Ordering::Release);
        };
        if let Err(error) = std::thread::Builder::new().name("wharf-sizes".into()).spawn(work) {
            self.shared.renewing.store(false, Ordering::Release);
            tracing::warn!(%error, "sizes of volumes stay old: start a thread");
        }
    }
}
