//! What is mounted where: found once from the mount table, never guessed again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::cgroup::{Cgroup, Part};
use crate::error::Error;
use crate::files::{Dir, Made, read_all};
use crate::limits::Limits;
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
    v1: Vec<Mount>,
    unified: Option<Mount>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone)]
struct Mount {
    dir: Arc<Dir>,
    /// Controllers; of a named v1 hierarchy its `name=…`.
    controllers: Arc<[String]>,
    /// Whether it is the v2 hierarchy.
    unified: bool,
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

    /// Makes a cgroup in every hierarchy and writes the limits; nobody is inside yet.
    /// An existing folder is taken over when no process is in it.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::InvalidInput`], [`Error::Unsupported`], [`Error::Kernel`]; folders that this call
    /// made are gone again then.
    pub fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Cgroup, Error> {
        let mut made: Vec<(Arc<Dir>, PathBuf)> = Vec::with_capacity(self.v1.len() + 1);
        let created = self.make_all(path, &mut made).and_then(|cgroup| cgroup.apply(limits, true).map(|()| cgroup));
        if created.is_err() {
            for (root, relative) in made.iter().rev() {
                // a folder that somebody has used meanwhile stays
                let _ = root.remove_child(relative);
            }
        }
        created
    }

    fn make_all(&self, path: &CgroupPath, made: &mut Vec<(Arc<Dir>, PathBuf)>) -> Result<Cgroup, Error> {
        let mut parts = Vec::with_capacity(self.v1.len());
        for mount in &self.v1 {
            let cpuset = mount.controllers.iter().any(|name| name == "cpuset");
            let dir =
                make_path(mount, path.as_path(), made, |child| if cpuset { inherit_cpuset(child) } else { Ok(()) })?;
            parts.push(Part::new(dir, Arc::clone(&mount.controllers)));
        }
        let unified = match &self.unified {
            None => None,
            Some(mount) => {
                if !mount.controllers.is_empty() {
                    enable_controllers(&mount.dir, &mount.controllers)?;
                }
                Some(Part::new(make_path(mount, path.as_path(), made, |_| Ok(()))?, Arc::clone(&mount.controllers)))
            }
        };
        let cgroup = Cgroup::new(self.clone(), path.clone(), parts, unified);
        if made.is_empty() {
            cgroup.refuse_if_used()?;
        }
        Ok(cgroup)
    }

    /// Opens a cgroup that exists in at least one hierarchy.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Kernel`].
    pub fn open(&self, path: &CgroupPath) -> Result<Cgroup, Error> {
        let mut parts = Vec::with_capacity(self.v1.len());
        for mount in &self.v1 {
            if let Some(dir) = mount.dir.child(path.as_path())? {
                parts.push(Part::new(dir, Arc::clone(&mount.controllers)));
            }
        }
        let mut unified = None;
        if let Some(mount) = &self.unified {
            unified = mount.dir.child(path.as_path())?.map(|dir| Part::new(dir, Arc::clone(&mount.controllers)));
        }
        if parts.is_empty() && unified.is_none() {
            return Err(Error::NotFound(path.as_path().to_owned()));
        }
        Ok(Cgroup::new(self.clone(), path.clone(), parts, unified))
    }

    /// Names of the cgroups directly below `path`, over all hierarchies: what a reconciling daemon compares with its rows.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn children(&self, path: &CgroupPath) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for mount in self.v1.iter().chain(&self.unified) {
            if let Some(dir) = mount.dir.child(path.as_path())? {
                names.extend(dir.children()?.into_iter().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    pub(crate) fn roots(&self) -> impl Iterator<Item = &Arc<Dir>> {
        self.v1.iter().chain(&self.unified).map(|mount| &mount.dir)
    }
}

/// Makes the folder and those above it; calls `fresh` for each new one.
fn make_path(
    mount: &Mount,
    path: &Path,
    made: &mut Vec<(Arc<Dir>, PathBuf)>,
    fresh: impl Fn(&Dir) -> Result<(), Error>,
) -> Result<Dir, Error> {
    if !mount.unified && mount.dir.make(path).is_ok_and(|state| state == Made::New) {
        // as nearly always: the folders above are there
        let child = mount.dir.child(path)?.ok_or_else(|| Error::NotFound(mount.dir.path().join(path)))?;
        made.push((Arc::clone(&mount.dir), path.to_owned()));
        fresh(&child)?;
        return Ok(child);
    }
    let mut relative = PathBuf::new();
    let mut current: Option<Dir> = None;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        relative.push(component);
        let parent = current.as_ref().unwrap_or(&mount.dir);
        let state = parent.make(Path::new(component.as_os_str()))?;
        let child = parent.child(Path::new(component.as_os_str()))?;
        let child = child.ok_or_else(|| Error::NotFound(parent.path().join(component)))?;
        if state == Made::New {
            made.push((Arc::clone(&mount.dir), relative.clone()));
            fresh(&child)?;
            if components.peek().is_some() && mount.controllers.iter().any(|name| name == "cpuset") {
                // folders below are filled by the kernel; without it they are filled like this one
                let _ = child.write("cgroup.clone_children", "1");
            }
        }
        if mount.unified && components.peek().is_some() && !mount.controllers.is_empty() {
            enable_controllers(&child, &mount.controllers)?;
        }
        current = Some(child);
    }
    current.ok_or_else(|| Error::NotFound(path.to_owned()))
}

/// A new v1 cpuset is empty, and a process cannot enter an empty one: it gets what its parent has. Below a folder that
/// we have made the kernel does that: each write of ours would be checked against all siblings.
fn inherit_cpuset(child: &Dir) -> Result<(), Error> {
    if !child.read("cpuset.mems")?.trim().is_empty() {
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let value = child.read(&format!("../{file}"))?;
        if !value.trim().is_empty() {
            child.write(file, value.trim())?;
        }
    }
    Ok(())
}

/// Lets the children of a v2 cgroup have these controllers. One that the kernel refuses here (a threaded subtree, a
/// process inside) is left out: a limit that needs it then says so.
fn enable_controllers(dir: &Dir, controllers: &[String]) -> Result<(), Error> {
    let enabled = dir.read("cgroup.subtree_control")?;
    let missing: Vec<String> = controllers
        .iter()
        .filter(|name| !enabled.split_whitespace().any(|known| known == *name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() || dir.write("cgroup.subtree_control", &missing.join(" ")).is_ok() {
        return Ok(());
    }
    for name in &missing {
        let _ = dir.write("cgroup.subtree_control", name);
    }
    Ok(())
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
