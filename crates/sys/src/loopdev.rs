//! Loop devices: a file as a block device, for as long as something uses it.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LOOP_MAJOR: u32 = 7;

/// `struct loop_info64` of `linux/loop.h`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// A loop device that vanishes with its last user: drop it after the mount, and the mount is the last user.
#[derive(Debug)]
pub struct Loop {
    /// Its device node.
    pub path: PathBuf,
    _device: OwnedFd,
}

/// Makes `file` a block device (Linux 5.8). `nodes` is a folder of the caller's for the device node where `/dev` has none.
///
/// # Errors
/// The kernel's: `ENOENT` without loop devices.
pub fn attach(file: impl AsFd, read_only: bool, nodes: &Path) -> Result<Loop> {
    // somebody else may take the free one first
    for _ in 0..64 {
        let number = free()?;
        let (path, device) = open(number, nodes)?;
        match configure(&device, &file, read_only) {
            Ok(()) => return Ok(Loop { path, _device: device }),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::BUSY)
}

fn free() -> Result<u32> {
    let control = rustix::fs::open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // SAFETY: the request takes no argument.
    let number = check(unsafe { libc::syscall(libc::SYS_ioctl, control.as_raw_fd(), LOOP_CTL_GET_FREE) })?;
    Ok(number as u32)
}

fn open(number: u32, nodes: &Path) -> Result<(PathBuf, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let usual = PathBuf::from(format!("/dev/loop{number}"));
    match rustix::fs::open(&usual, flags, Mode::empty()) {
        Ok(fd) => return Ok((usual, fd)),
        Err(Errno::NOENT | Errno::NXIO) => {}
        Err(errno) => return Err(errno),
    }
    let own = nodes.join(format!("loop{number}"));
    let device = rustix::fs::makedev(LOOP_MAJOR, number);
    match rustix::fs::mknodat(rustix::fs::CWD, &own, FileType::BlockDevice, Mode::RUSR | Mode::WUSR, device) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let fd = rustix::fs::open(&own, flags, Mode::empty())?;
    Ok((own, fd))
}

fn configure(device: &OwnedFd, file: &impl AsFd, read_only: bool) -> Result<()> {
    // SAFETY: an all-zero loop_config is valid: it is plain integers and bytes.
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = file.as_fd().as_raw_fd() as u32;
    config.info.flags = LO_FLAGS_AUTOCLEAR | if read_only { LO_FLAGS_READ_ONLY } else { 0 };
    // SAFETY: config is valid for reads of a loop_config for the duration of the call.
    check(unsafe { libc::syscall(libc::SYS_ioctl, device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) }).map(drop)
}
