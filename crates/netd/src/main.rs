//! The executable: serves the listening socket it was given as descriptor 3.

use std::process::ExitCode;

fn main() -> ExitCode {
    const LISTENER: i32 = 3;
    // two sockets for each container, and those of questions on their way
    wharf_sys::rlimit::raise_open_files();
    match wharf_sys::fd::inherited(LISTENER).map(wharf_netd::run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // nobody listens to what it could say; the code is what the daemon sees
        Ok(Err(_)) => ExitCode::from(1),
        Err(_) => ExitCode::from(2),
    }
}
