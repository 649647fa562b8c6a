//! A second execution of the program, from a read-only mount of its own file, before the C library starts (x86-64).
//!
//! Starting the C library of a static program costs more than the exec itself (it asks the processor for its caches, and in a
//! virtual machine each such question leaves the guest). A program that executes itself again would pay twice, so the first
//! instance does it at its very first instruction: its linker arguments name [`ENTRY`] as the entry point.
//!
//! Nothing exists there but the kernel: no thread-local storage, no relocated functions, no allocator, no panic. Only
//! registers, constants and system calls are used. Whatever fails, the program just starts as usual and finds out in
//! `main` that it is not protected.

/// The symbol for `-Wl,-e,…`.
pub const ENTRY: &str = "wharf_early_entry";

/// Keeps the entry point in the program; does nothing.
pub fn keep() {
    #[cfg(target_arch = "x86_64")]
    std::hint::black_box(x86_64::early as *const ());
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::{asm, global_asm};

    // rdx: a function to register with atexit, for the real entry point; rsp: argc, argv, envp
    global_asm!(
        ".globl wharf_early_entry",
        "wharf_early_entry:",
        "mov rbx, rsp",
        "mov r12, rdx",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {early}",
        "mov rsp, rbx",
        "mov rdx, r12",
        "jmp _start",
        early = sym early,
    );

    const AT_FDCWD: usize = -100isize as usize;
    const OWN: *const u8 = c"/proc/self/exe".as_ptr().cast();
    const EMPTY: *const u8 = c"".as_ptr().cast();
    /// Index of `f_flags` in `struct statfs` as 64-bit words, and its length with the spare words.
    const FLAGS: usize = 10;
    const STATFS_WORDS: usize = 15;

    /// Arguments of which each makes a process of a container.
    const LAUNCHING: [&[u8]; 3] = [b"create", b"exec", b"run"];

    #[inline(always)]
    fn call(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
        let result: isize;
        // SAFETY: the callers below pass pointers to constants, to their own stack or to the kernel's argument area.
        unsafe {
            asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
                 in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }

    /// `stack`: what the kernel left: argc, argv…, NULL, envp…, NULL.
    pub(super) extern "C" fn early(stack: *const usize) {
        // SAFETY: the kernel's layout, argc first.
        let count = unsafe { *stack };
        // argv follows, and envp behind its NULL
        let (argv, envp) = (stack.wrapping_add(1), stack.wrapping_add(count + 2));
        if !launches(argv, count) {
            return;
        }
        let file = call(libc::SYS_open, OWN as usize, libc::O_RDONLY as usize | libc::O_CLOEXEC as usize, 0, 0, 0);
        if file < 0 {
            return;
        }
        let mut stat = std::mem::MaybeUninit::<[usize; STATFS_WORDS]>::uninit();
        let known = call(libc::SYS_fstatfs, file as usize, stat.as_mut_ptr() as usize, 0, 0, 0) == 0;
        call(libc::SYS_close, file as usize, 0, 0, 0, 0);
        // SAFETY: in bounds; written by the kernel when the call succeeded, and only then looked at.
        if !known || unsafe { stat.as_ptr().cast::<usize>().wrapping_add(FLAGS).read() } & libc::ST_RDONLY as usize != 0
        {
            return;
        }
        let flags = (linux_raw_sys::general::OPEN_TREE_CLONE | linux_raw_sys::general::OPEN_TREE_CLOEXEC) as usize;
        let tree = call(libc::SYS_open_tree, AT_FDCWD, OWN as usize, flags, 0, 0);
        if tree < 0 {
            return;
        }
        let attributes = [linux_raw_sys::general::MOUNT_ATTR_RDONLY as usize, 0, 0, 0];
        let at_empty = libc::AT_EMPTY_PATH as usize;
        let read_only =
            call(libc::SYS_mount_setattr, tree as usize, EMPTY as usize, at_empty, attributes.as_ptr() as usize, 32);
        if read_only == 0 {
            // returns only on failure
            call(libc::SYS_execveat, tree as usize, EMPTY as usize, argv as usize, envp as usize, at_empty);
        }
        call(libc::SYS_close, tree as usize, 0, 0, 0, 0);
    }

    fn launches(argv: *const usize, count: usize) -> bool {
        let mut index = 1;
        while index < count {
            // SAFETY: index < argc, and the kernel's strings end in NUL.
            let word = unsafe { *argv.wrapping_add(index) } as *const u8;
            let mut name = 0;
            while name < LAUNCHING.len() {
                if equal(word, LAUNCHING[name]) {
                    return true;
                }
                name += 1;
            }
            index += 1;
        }
        false
    }

    /// Byte by byte: the C library's comparison is not there yet.
    fn equal(word: *const u8, name: &[u8]) -> bool {
        let mut at = 0;
        while at < name.len() {
            // SAFETY: at most one byte behind the last equal one, so not behind the NUL.
            if unsafe { word.wrapping_add(at).read_volatile() } != name[at] {
                return false;
            }
            at += 1;
        }
        // SAFETY: all bytes before were equal to the name's, none of which is NUL.
        unsafe { word.wrapping_add(at).read_volatile() == 0 }
    }
}
