//! This program's own file on disk must stay out of the container's reach (CVE-2019-5736): until its exec the container's
//! process *is* this program, so `/proc/self/exe` inside leads to it, and `#!/proc/self/exe` even executes it there.
//!
//! So a command that makes a process executes itself once more through a detached read-only mount of its own file. Nobody
//! can write through that: the mount belongs to no namespace and cannot be remounted. Where the kernel or the lack of
//! rights forbids it, a sealed copy in memory does the same at a higher price.
//!
//! On x86-64 the first instance does that before its C library starts ([`wharf_sys::early`]); what follows here then finds
//! the program protected.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::mount::{OpenTreeFlags, open_tree};
use wharf_sys::exec::{PointerArray, fexecve};
use wharf_sys::mount::{Change, attr};

use crate::error::Error;

const OWN: &str = "/proc/self/exe";

/// Returns when the running program's file cannot be written through `/proc/self/exe`; executes it anew if need be.
pub(crate) fn protect() -> Result<(), Error> {
    wharf_sys::early::keep();
    let fail = |errno: rustix::io::Errno| Error::file("protect", OWN, errno);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::open(OWN, flags, Mode::empty()).map_err(fail)?;
    if is_protected(&own) {
        return Ok(());
    }
    let safe = match read_only_mount() {
        Ok(file) => file,
        Err(_) => wharf_sys::memfd::sealed_executable(c"wharf-oci", &own).map_err(fail)?,
    };
    let c_string = |text: OsString| CString::new(text.into_vec()).ok();
    let argv: Vec<CString> = std::env::args_os().filter_map(c_string).collect();
    let pair = |(mut key, value): (OsString, OsString)| {
        key.push("=");
        key.push(value);
        c_string(key)
    };
    let env: Vec<CString> = std::env::vars_os().filter_map(pair).collect();
    Err(fail(fexecve(&safe, &PointerArray::new(&argv), &PointerArray::new(&env))))
}

fn is_protected(own: &OwnedFd) -> bool {
    let read_only = rustix::fs::fstatvfs(own).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    read_only || rustix::fs::fcntl_get_seals(own).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

fn read_only_mount() -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, OWN, flags)?;
    wharf_sys::mount::set_attr(&tree, &Change { set: attr::RDONLY, ..Change::default() })?;
    Ok(tree)
}
