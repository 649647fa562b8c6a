//! Memory that is only kept, for processes that must stay small: the C library's heap, program text used once.

/// Gives free pages of the heap back to the kernel. Worth it after a burst, in a process that then sleeps.
pub fn trim() {
    // SAFETY: malloc_trim takes its own locks and has no preconditions.
    unsafe { libc::malloc_trim(0) };
}

/// Unmaps the pages of our own program text; those that are needed again come back from the page cache by a minor fault.
/// Worth it in a process that then sleeps: start-up and bursts touch far more code than idling does.
pub fn release_text() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Ok(program) = std::fs::read_link("/proc/self/exe") else { return };
    let program = program.to_string_lossy();
    for line in maps.lines().filter(|line| line.contains(" r-xp ") && line.ends_with(&*program)) {
        let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-')) else { continue };
        let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)) else { continue };
        // SAFETY: the range is a mapping of this process as the kernel just listed it, of a file, executable and not writable: no
        // page of it differs from the file, so dropping them changes nothing that can be read or executed.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn code_runs_on_after_its_pages_were_released() {
        super::release_text();
        super::trim();
        assert_eq!([3, 1, 2].iter().max(), Some(&3));
    }
}
