//! Telling the kernel when written data shall go to the disk.

use rustix::fd::{AsFd, AsRawFd};

use crate::{Errno, Result};

/// Starts writing the dirty pages of a range to the disk and does not wait for it. No promise of durability: a sync has to follow,
/// and has less to wait for. `length` 0 means to the end of the file.
///
/// # Errors
/// The kernel's; `ESPIPE` for what is no file, folder, device or link.
pub fn start(fd: impl AsFd, offset: u64, length: u64) -> Result<()> {
    let range = |n: u64| i64::try_from(n).map_err(|_| Errno::INVAL);
    let (offset, length) = (range(offset)?, range(length)?);
    // SAFETY: the descriptor is borrowed, hence open; the call takes plain numbers and touches no memory of ours.
    let result = unsafe { libc::sync_file_range(fd.as_fd().as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    if result == 0 { Ok(()) } else { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_can_and_pipes_cannot() {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        super::start(&file, 0, 0).unwrap();
        super::start(&file, u64::MAX, 0).unwrap_err();
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert_eq!(super::start(&read, 0, 0), Err(rustix::io::Errno::SPIPE));
    }
}
