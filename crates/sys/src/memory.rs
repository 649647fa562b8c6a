//! The C library's heap, for processes that must stay small.

/// Gives free pages of the heap back to the kernel. Worth it after a burst, in a process that then sleeps.
pub fn trim() {
    // SAFETY: malloc_trim takes its own locks and has no preconditions.
    unsafe { libc::malloc_trim(0) };
}
