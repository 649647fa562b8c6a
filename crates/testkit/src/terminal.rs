//! A command on a terminal of its own, as a person would sit at it.

use crate::host::{Cli, Host};
use crate::wait::{PATIENCE, wait_readable};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The far side of a pseudo terminal, and the command that runs on it.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    child: Child,
    screen: String,
    /// How far [`Terminal::expect`] has looked.
    seen: usize,
}

impl Terminal {
    /// Sends what a person would type.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("the terminal takes input");
    }

    /// Waits until `text` appears after what was already seen, and moves behind it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let more = Instant::now() < end && self.read();
            assert!(more, "the terminal never showed {text:?}, but {:?}", &self.screen[self.seen..]);
        }
    }

    /// Everything shown so far.
    pub fn screen(&self) -> &str {
        &self.screen
    }

    /// Changes the size; the command gets SIGWINCH.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("a pseudo terminal has a size");
    }

    /// Waits for the end of the command; gives its exit code and everything it showed.
    #[track_caller]
    pub fn wait(mut self) -> (i32, String) {
        while self.read() {}
        let status = self.child.wait().expect("our own child is waited for");
        (status.code().unwrap_or(-1), std::mem::take(&mut self.screen))
    }

    /// Reads once; false at the end or after [`PATIENCE`].
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        if !wait_readable(self.master.as_fd(), PATIENCE) {
            return false;
        }
        match self.master.read(&mut buffer) {
            Ok(n) if n > 0 => {
                self.screen.push_str(&String::from_utf8_lossy(&buffer[..n]));
                true
            }
            // EIO: the last user of the terminal is gone
            _ => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Host {
    /// Starts a command line on a terminal of 80 by 24.
    #[track_caller]
    pub fn terminal(&self, cli: Cli, args: &[&str]) -> Terminal {
        let mut command = self.command(cli);
        command.args(args);
        on_terminal(&command)
    }

    /// The same for a shell that finds our command line by its name.
    #[track_caller]
    pub fn shell(&self, program: &str, args: &[&str]) -> Terminal {
        on_terminal(&self.with_our_command(program, args))
    }
}

#[track_caller]
fn on_terminal(inner: &Command) -> Terminal {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("the pseudo terminal unlocks");
    let name = ptsname(&master, Vec::new()).expect("the pseudo terminal has a name");
    let slave = || File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes())).expect("its slave");
    // setsid makes the slave the controlling terminal, so that signals and sizes arrive
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(inner.get_program()).args(inner.get_args()).current_dir("/");
    command.envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("TERM", "xterm");
    let child = command.stdin(slave()).stdout(slave()).stderr(Stdio::from(slave())).spawn().expect("setsid starts");
    let terminal = Terminal { master: File::from(master), child, screen: String::new(), seen: 0 };
    terminal.resize(80, 24);
    terminal
}
