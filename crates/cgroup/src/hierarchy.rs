//! What is mounted where: found once from the mount table, never guessed again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::error::Error;
use crate::files::{Dir, read_all};
use crate::path::CgroupPath;

/// The three ways in which a machine mounts its cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only v1 hierarchies.
    V1,
    /// v1 hierarchies, and a v2 one beside them (which may hold controllers that no v1 hierarchy has).
    Hybrid,
    /// Only the v2 hierarchy.
    V2,
}

/// The cgroup mounts of this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    kind: Kind,
    pub(crate) v1: Vec<Mount>,
    pub(crate) unified: Option<Mount>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) dir: Arc<Dir>,
    /// Controllers; of a named v1 hierarchy its `name=…`.
    pub(crate) controllers: Arc<[String]>,
    /// Whether it is the v2 hierarchy.
    pub(crate) unified: bool,
}

impl Hierarchy {
    /// Finds the hierarchies mounted at or below `root` (`/sys/fs/cgroup`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] when there is none; [`Error::Kernel`] when one cannot be opened.
    pub fn detect(root: &Path) -> Result<Self, Error> {
        let table = Path::new("/proc/thread-self/mountinfo");
        let fail = |errno| Error::kernel("read", table, errno);
        let file = rustix::fs::open(table, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        let text = read_all(&file, 32 << 10).map_err(fail)?;
        Self::from_mount_table(&text, root)
    }

    /// The same from the text of a mount table (`/proc/<pid>/mountinfo`).
    ///
    /// # Errors
    /// As [`Self::detect`].
    pub fn from_mount_table(text: &str, root: &Path) -> Result<Self, Error> {
        let mut v1: Vec<Mount> = Vec::new();
        let mut unified = None;
        for line in text.lines() {
            let Some(found) = parse_line(line).filter(|found| found.point.starts_with(root)) else { continue };
            match found.controllers {
                // the last mount over a point is the one that is seen
                None => unified = Some(found.point),
                Some(controllers) => {
                    let seen = v1.iter().any(|mount| *mount.controllers == controllers[..]);
                    if !seen {
                        let dir = Arc::new(Dir::open(&found.point)?);
                        v1.push(Mount { dir, controllers: controllers.into(), unified: false });
                    }
                }
            }
        }
        let unified = unified.map(|point| open_unified(&point)).transpose()?;
        let kind = match (v1.is_empty(), &unified) {
            (false, Some(_)) => Kind::Hybrid,
            (false, None) => Kind::V1,
            (true, Some(_)) => Kind::V2,
            (true, None) => {
                return Err(Error::Unsupported {
                    what: format!("a container: no cgroup mounted below `{}`", root.display()),
                });
            }
        };
        Ok(Self { kind, v1, unified })
    }

    /// How cgroups are mounted here.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether some hierarchy has this controller (`memory`, `cpu`, `pids`, `blkio`/`io`, `hugetlb` …).
    pub fn has_controller(&self, name: &str) -> bool {
        self.v1.iter().chain(&self.unified).any(|mount| mount.controllers.iter().any(|known| known == name))
    }

    /// The controllers, as Docker and `cgroup.controllers` name them.
    pub fn controllers(&self) -> impl Iterator<Item = &str> {
        self.v1.iter().chain(&self.unified).flat_map(|mount| mount.controllers.iter().map(String::as_str))
    }

    /// Whether the root of the hierarchies has this file, which tells whether the kernel has the feature
    /// (`memory`, `memory.memsw.limit_in_bytes` in v1).
    pub fn has_file(&self, controller: &str, file: &str) -> bool {
        let mut mounts = self.v1.iter().chain(&self.unified);
        mounts.any(|mount| mount.controllers.iter().any(|known| known == controller) && mount.dir.exists(file))
    }

    /// Where a cgroup lies in each v1 hierarchy, whether it is there yet or not, with the name of the hierarchy's mount point
    /// (`memory`, `cpu,cpuacct`, `systemd`).
    pub fn v1_folders(&self, path: &CgroupPath) -> impl Iterator<Item = (String, PathBuf)> {
        self.v1.iter().map(move |mount| {
            let point = mount.dir.path();
            let name = point.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name, point.join(path.as_path()))
        })
    }

    /// Where a cgroup lies in the v2 hierarchy, whether it is there yet or not.
    pub fn unified_folder(&self, path: &CgroupPath) -> Option<PathBuf> {
        self.unified.as_ref().map(|mount| mount.dir.path().join(path.as_path()))
    }

    pub(crate) fn roots(&self) -> impl Iterator<Item = &Arc<Dir>> {
        self.v1.iter().chain(&self.unified).map(|mount| &mount.dir)
    }
}

fn open_unified(point: &Path) -> Result<Mount, Error> {
    let dir = Dir::open(point)?;
    let controllers: Vec<String> = dir.read("cgroup.controllers")?.split_whitespace().map(str::to_owned).collect();
    Ok(Mount { dir: Arc::new(dir), controllers: controllers.into(), unified: true })
}

struct Found {
    point: PathBuf,
    /// `None`: cgroup v2.
    controllers: Option<Vec<String>>,
}

/// One line: `36 35 98:0 /root /point rw,… optional… - type source super,options`.
fn parse_line(line: &str) -> Option<Found> {
    let (left, right) = line.split_once(" - ")?;
    let point = PathBuf::from(unescape(left.split(' ').nth(4)?));
    let mut right = right.split(' ');
    match right.next()? {
        "cgroup2" => Some(Found { point, controllers: None }),
        "cgroup" => {
            let options = right.nth(1)?.split(',');
            let known = |option: &&str| !matches!(*option, "rw" | "ro" | "xattr" | "noprefix" | "clone_children");
            let controllers = options.filter(known).filter(|option| !option.starts_with("release_agent="));
            Some(Found { point, controllers: Some(controllers.map(str::to_owned).collect()) })
        }
        _ => None,
    }
}

/// The mount table writes blanks and backslashes of paths as `\ooo`.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if *first == b'\\' => {
                out.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
