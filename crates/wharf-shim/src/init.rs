//! The init that `--init` puts before a container's program: passes signals on, reaps orphans, ends as the program ends.
//!
//! It is this same executable, bound read-only to `/sbin/docker-init` and called by that name.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use wharf_sys::signal::{self, SignalFd};

/// SIGCHLD.
const CHILD: i32 = 17;
/// Not to be passed on: what the kernel sends to the process itself (ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS), what cannot be
/// caught (KILL, STOP) and what the terminal does to background jobs (TTIN, TTOU).
const OWN: [i32; 11] = [4, 5, 6, 7, 8, 9, 11, 19, 21, 22, 31];

/// Runs the program in `arguments` (after an optional `--`) and answers its exit code.
pub(crate) fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let first = arguments.next().filter(|a| a != "--").or_else(|| arguments.next());
    let Some(program) = first else { return ExitCode::from(2) };
    let caught: Vec<i32> = (1..=31).filter(|s| !OWN.contains(s)).collect();
    // a group of its own, so that the terminal can be given to it; spawned before signals are blocked here, because it would
    // inherit the mask and be deaf to everything that is passed on (until then PID 1 is immune to all of them)
    let spawned = Command::new(&program).args(arguments).process_group(0).spawn();
    let child = match spawned {
        Ok(child) => Pid::from_child(&child),
        Err(error) => {
            let text = format!("docker-init: exec {}: {error}\n", program.display());
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            return ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    let Ok(signals) = SignalFd::new(&caught) else { return ExitCode::FAILURE };
    let _ = signal::ignore(22);
    let _ = rustix::termios::tcsetpgrp(std::io::stdin(), child);
    // it may have ended before anybody listened
    if let Some(code) = reap(child) {
        return ExitCode::from(code);
    }
    loop {
        let mut fds = [PollFd::new(&signals, PollFlags::IN)];
        let _ = poll(&mut fds, None);
        while let Ok(Some(info)) = signals.next() {
            if info.signal == CHILD {
                if let Some(code) = reap(child) {
                    return ExitCode::from(code);
                }
            } else if let Some(signal) = Signal::from_named_raw(info.signal) {
                let _ = kill_process(child, signal);
            }
        }
    }
}

/// Reaps everything that has ended; the exit code when the program was among it.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            let status = std::process::ExitStatus::from_raw(status.as_raw());
            let number = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(255);
            code = u8::try_from(number & 0xff).ok();
        }
    }
    code
}
