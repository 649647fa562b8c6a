//! Executables sealed into memory: what runs inside or beside a container can never be changed through `/proc/<pid>/exe`
//! (CVE-2019-5736), and an upgrade of the file on disk does not disturb processes started later from the sealed copy.

use crate::{Errno, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use std::ffi::CStr;

/// Copies `file` (from its start) into a sealed, executable memfd, close-on-exec.
///
/// # Errors
/// The kernel's.
pub fn sealed_executable(name: &CStr, file: impl AsFd) -> Result<OwnedFd> {
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // kernels before 6.3 do not know MFD_EXEC; there every memfd is executable
    let memfd = match rustix::fs::memfd_create(name, base | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, base)?,
        other => other?,
    };
    let size = rustix::fs::fstat(&file)?.st_size as u64;
    let mut offset = 0;
    while offset < size {
        let chunk = (size - offset).min(1 << 30) as usize;
        if rustix::fs::sendfile(&memfd, &file, Some(&mut offset), chunk)? == 0 {
            return Err(Errno::IO);
        }
    }
    seal(&memfd)?;
    Ok(memfd)
}

/// A sealed memfd with `bytes` in it: a message too long for a socket.
///
/// # Errors
/// The kernel's.
pub fn sealed_bytes(name: &CStr, bytes: &[u8]) -> Result<OwnedFd> {
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = match rustix::fs::memfd_create(name, base | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, base)?,
        other => other?,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let n = rustix::io::write(&memfd, rest)?;
        rest = &rest[n..];
    }
    seal(&memfd)?;
    Ok(memfd)
}

fn seal(memfd: &OwnedFd) -> Result<()> {
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    for _ in 1..TRIES {
        match rustix::fs::fcntl_add_seals(memfd, seals) {
            // the kernel itself still holds a page (it was copying, or looking at what is in use); it has waited a moment already
            Err(Errno::BUSY) => {}
            other => return other,
        }
    }
    rustix::fs::fcntl_add_seals(memfd, seals)
}

/// How often a file is tried to be sealed; the kernel waits about 0.1 s before it says that it is busy.
const TRIES: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_cannot_change() {
        let memfd = sealed_bytes(c"test", b"content").expect("memfd");
        assert_eq!(rustix::io::pwrite(&memfd, b"x", 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&memfd, 0), Err(Errno::PERM));
        let file = std::fs::File::open("/proc/self/exe").expect("own executable");
        let copy = sealed_executable(c"exe", &file).expect("memfd");
        assert_eq!(rustix::fs::fstat(&copy).expect("stat").st_size, rustix::fs::fstat(&file).expect("stat").st_size);
        assert_eq!(rustix::fs::ftruncate(&copy, 0), Err(Errno::PERM));
    }
}
