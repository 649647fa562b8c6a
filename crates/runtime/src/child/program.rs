//! Finding the program and the user's home inside the container, as the user that will run.

use crate::Step;
use crate::channel::{Done, Fail};
use crate::plan::ProcessPlan;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};

/// What is executed.
pub(super) struct Found {
    /// Path of the program.
    pub(super) path: CString,
    /// `HOME=…` when the environment has none.
    pub(super) home: Option<CString>,
}

/// The program: as it is when its name has a slash, else the first in `PATH` that can be executed.
pub(super) fn find(process: &ProcessPlan) -> Done<CString> {
    let fail = |errno| Fail { step: Step::LookUp, index: 0, errno };
    let name = process.argv.first().ok_or_else(|| fail(Errno::INVAL))?;
    if name.as_bytes().contains(&b'/') {
        return executable(name).map(|()| name.clone()).map_err(fail);
    }
    for dir in &process.path {
        let mut path = dir.to_bytes().to_vec();
        path.push(b'/');
        path.extend(name.to_bytes());
        let Ok(path) = CString::new(path) else { continue };
        // as users know it from Go's LookPath: what is there but not executable is passed over as if it were not there
        if executable(&path).is_ok() {
            return Ok(path);
        }
    }
    Err(fail(Errno::NOENT))
}

fn executable(path: &CStr) -> Result<()> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// `HOME=` with the folder that the container's user database gives for `uid`; `/` when it gives none.
pub(super) fn home(uid: u32) -> CString {
    let text = passwd().unwrap_or_default();
    let line = text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let id = std::str::from_utf8(fields.nth(2)?).ok()?;
        let home = fields.nth(2)?;
        (id.parse() == Ok(uid) && !home.is_empty()).then_some(home)
    });
    CString::new([b"HOME=", line.unwrap_or(b"/")].concat()).unwrap_or_else(|_| c"HOME=/".into())
}

fn passwd() -> Result<Vec<u8>> {
    /// An image decides about this file: it may be anything, and of any size.
    const MOST: usize = 1 << 20;
    const PATH: &CStr = c"/etc/passwd";
    // asked before it is opened: opening alone does something to a device, and this process has rights still
    if FileType::from_raw_mode(rustix::fs::stat(PATH)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let file =
        rustix::fs::open(PATH, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while text.len() < MOST {
        match rustix::io::read(&file, &mut piece)? {
            0 => break,
            n => text.extend_from_slice(&piece[..n]),
        }
    }
    Ok(text)
}
