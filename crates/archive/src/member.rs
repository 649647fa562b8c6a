//! One member of a tar archive, whatever dialect it was written in.

use std::path::PathBuf;

/// A moment: seconds since 1970 and nanoseconds on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// 0…999,999,999.
    pub nanos: u32,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// Another name of an earlier member.
    HardLink(PathBuf),
    /// A symbolic link.
    Symlink(PathBuf),
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// A piece of a sparse file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// A member's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name exactly as written (a trailing slash included).
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Name of the owner; only carried, never looked up.
    pub uname: String,
    /// Name of the group; only carried, never looked up.
    pub gname: String,
    /// Size of the file when it is unpacked.
    pub size: u64,
    /// Time of the last change.
    pub mtime: Time,
    /// Time of the last access, when the archive has it.
    pub atime: Option<Time>,
    /// Extended attributes in the order of their names.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Data of a sparse file, ascending; `None`: an ordinary file.
    pub sparse: Option<Vec<Extent>>,
}

impl Member {
    /// A member with the given name and kind, everything else zero.
    pub fn new(path: impl Into<PathBuf>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            uname: String::new(),
            gname: String::new(),
            size: 0,
            mtime: Time::default(),
            atime: None,
            xattrs: Vec::new(),
            sparse: None,
        }
    }
}
