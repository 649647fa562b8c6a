//! The terminal: size, raw mode, and its restoration whatever happens.

use std::io::{stdin, stdout};

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// Columns for wrapped text: those of standard input's terminal, else 80.
pub(crate) fn width() -> usize {
    tcgetwinsize(stdin()).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(80)
}

/// Rows and columns of standard output's terminal; zeroes without one.
pub(crate) fn size() -> (u16, u16) {
    tcgetwinsize(stdout()).map_or((0, 0), |size| (size.ws_row, size.ws_col))
}

/// Whether standard input is a terminal.
pub(crate) fn input_is_terminal() -> bool {
    isatty(stdin())
}

/// Raw mode; dropping it puts the old mode back.
#[derive(Debug)]
pub(crate) struct Raw(Termios);

impl Raw {
    /// Makes standard input raw, if it is a terminal.
    pub(crate) fn enter() -> Option<Self> {
        let old = tcgetattr(stdin()).ok()?;
        let mut raw = old.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw).ok()?;
        Some(Self(old))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}

/// A terminal that does not show what is typed; dropping it puts the old mode back.
#[derive(Debug)]
pub(crate) struct Silent(Termios);

impl Silent {
    /// Switches the echo of standard input off, if it is a terminal.
    pub(crate) fn enter() -> Option<Self> {
        let old = tcgetattr(stdin()).ok()?;
        let mut silent = old.clone();
        silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Drain, &silent).ok()?;
        Some(Self(old))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}
