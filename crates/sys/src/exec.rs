//! execve with pointer arrays made beforehand, so that a child between clone and exec does nothing but the call.

use crate::{Errno, last_errno};
use rustix::fd::{AsFd, AsRawFd};
use std::ffi::{CStr, CString, c_char};

/// A NULL-terminated array of C strings that borrows the strings.
#[derive(Debug)]
pub struct PointerArray<'a> {
    pointers: Vec<*const c_char>,
    strings: std::marker::PhantomData<&'a CStr>,
}

impl<'a> PointerArray<'a> {
    /// The array for argv or envp.
    pub fn new(strings: &'a [CString]) -> PointerArray<'a> {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        PointerArray { pointers, strings: std::marker::PhantomData }
    }

    /// The array with one string more at its end.
    pub fn with_last(strings: &'a [CString], last: Option<&'a CStr>) -> PointerArray<'a> {
        let last = last.map(CStr::as_ptr);
        let pointers = strings.iter().map(|s| s.as_ptr()).chain(last).chain([std::ptr::null()]).collect();
        PointerArray { pointers, strings: std::marker::PhantomData }
    }

    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// execve(2). Returns only on error.
pub fn execve(path: &CStr, argv: &PointerArray<'_>, envp: &PointerArray<'_>) -> Errno {
    // SAFETY: all three are NUL-terminated or NULL-terminated and outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    last_errno()
}

/// execveat(2) of an open file (`AT_EMPTY_PATH`). Returns only on error.
pub fn fexecve(file: impl AsFd, argv: &PointerArray<'_>, envp: &PointerArray<'_>) -> Errno {
    // SAFETY: as above; the empty path is a constant C string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}
