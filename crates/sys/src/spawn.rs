//! Spawn-and-exec from a process with threads: vfork-style (posix_spawn), none of our code runs between fork and exec.

use crate::exec::PointerArray;
use crate::{Errno, Result};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;

/// What to execute.
#[derive(Debug)]
pub struct Command<'a> {
    /// Executable; `/proc/self/fd/N` for a sealed memfd ([`memfd_path`]).
    pub path: &'a CStr,
    /// Arguments, the first being the name.
    pub argv: &'a [CString],
    /// Environment.
    pub env: &'a [CString],
    /// Descriptors the program gets, at these numbers. 0, 1 and 2 are inherited when not named here; everything else that is
    /// not close-on-exec would leak, so keep all others so.
    pub fds: &'a [(RawFd, BorrowedFd<'a>)],
    /// Whether it gets a session of its own.
    pub new_session: bool,
}

/// A spawned process.
#[derive(Debug)]
pub struct Spawned {
    /// Process ID.
    pub pid: Pid,
    /// Its pidfd; the process cannot have been reaped before, being our child.
    pub pidfd: OwnedFd,
}

/// The path under which a child executes an open file.
pub fn memfd_path(fd: BorrowedFd<'_>) -> CString {
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("digits contain no NUL")
}

/// Spawns the command with all signals at their defaults and unblocked. Safe with any number of threads; does not return
/// before the exec has happened or failed.
///
/// # Errors
/// exec's errors (`ENOENT`, `EACCES`, …) and those of making a process. `EINVAL` when two descriptors get in each other's way.
pub fn spawn(command: &Command<'_>) -> Result<Spawned> {
    // a target number that is at the same time another entry's source would be overwritten before it is used
    let clash = |(to, own): &(RawFd, BorrowedFd<'_>)| {
        command.fds.iter().any(|(_, from)| from.as_raw_fd() == *to && own.as_raw_fd() != *to)
    };
    if command.fds.iter().any(clash) {
        return Err(Errno::INVAL);
    }
    let mut actions = Actions::new()?;
    for (to, from) in command.fds {
        actions.dup(from.as_raw_fd(), *to)?;
    }
    let attributes = Attributes::new(command.new_session)?;
    let argv = PointerArray::new(command.argv);
    let env = PointerArray::new(command.env);
    let mut pid = 0;
    // SAFETY: path and both arrays are NUL/NULL-terminated and outlive the call; actions and attributes are initialised.
    let code = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            command.path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr().cast::<*mut c_char>(),
            env.as_ptr().cast::<*mut c_char>(),
        )
    };
    done(code)?;
    let pid = Pid::from_raw(pid).ok_or(Errno::CHILD)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(Spawned { pid, pidfd })
}

fn done(code: libc::c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code)) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> Result<Actions> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: init fills in the whole object.
        done(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised by the line above.
        Ok(Actions(unsafe { raw.assume_init() }))
    }

    fn dup(&mut self, from: RawFd, to: RawFd) -> Result<()> {
        // SAFETY: the object is initialised; from == to clears close-on-exec.
        done(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in new, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new(new_session: bool) -> Result<Attributes> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: init fills in the whole object.
        done(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised by the line above.
        let mut attributes = Attributes(unsafe { raw.assume_init() });
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set.
        unsafe { libc::sigemptyset(none.as_mut_ptr()) };
        // SAFETY: both objects are initialised.
        done(unsafe { libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, all.as_ptr()) })?;
        // SAFETY: both objects are initialised.
        done(unsafe { libc::posix_spawnattr_setsigmask(&raw mut attributes.0, none.as_ptr()) })?;
        let mut flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        if new_session {
            flags |= 0x80; // POSIX_SPAWN_SETSID
        }
        // SAFETY: the object is initialised.
        done(unsafe { libc::posix_spawnattr_setflags(&raw mut attributes.0, flags as libc::c_short) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in new, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn spawns_a_sealed_copy_with_descriptors() {
        let busybox = std::fs::File::open("/bin/busybox").expect("static busybox");
        let sealed = crate::memfd::sealed_executable(c"busybox", &busybox).expect("memfd");
        let (ours, theirs) = crate::fd::seqpacket_pair().expect("socketpair");
        let path = memfd_path(sealed.as_fd());
        let argv = [c"sh".into(), c"-c".into(), c"echo hello >&9; exit 7".into()];
        let fds = [(9, theirs.as_fd())];
        let command = Command { path: &path, argv: &argv, env: &[], fds: &fds, new_session: true };
        let child = spawn(&command).expect("spawn");
        drop(theirs);
        let mut buffer = [0; 64];
        let got = crate::fd::receive(&ours, &mut buffer).expect("receive");
        assert_eq!(&buffer[..got.len], b"hello\n");
        assert_eq!(crate::pidfd::wait(&child.pidfd), Ok(crate::pidfd::Exit::Code(7)));
    }

    #[test]
    fn a_missing_program_is_told_at_once() {
        let command = Command { path: c"/no/such", argv: &[c"x".into()], env: &[], fds: &[], new_session: false };
        assert_eq!(spawn(&command).map(drop), Err(Errno::NOENT));
    }
}
