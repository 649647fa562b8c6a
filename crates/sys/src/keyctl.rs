//! The kernel's key rings, as far as containers need them.

use crate::{Result, check};
use std::ffi::CStr;

/// `KEYCTL_JOIN_SESSION_KEYRING`: a session key ring of one's own (created when there is none of that name).
///
/// # Errors
/// `ENOSYS` without key support, `EDQUOT` when the user has too many keys.
pub fn join_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: name is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}
