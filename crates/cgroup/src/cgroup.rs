//! One container's cgroup: the same path in every hierarchy.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;

use crate::error::Error;
use crate::files::Dir;
use crate::hierarchy::{Hierarchy, Kind};
use crate::path::CgroupPath;

/// A cgroup in every hierarchy of this machine. Holds open descriptors of the folders, so it stays right whatever is
/// mounted over them.
#[derive(Debug)]
pub struct Cgroup {
    hierarchy: Hierarchy,
    path: CgroupPath,
    parts: Vec<Part>,
    unified: Option<Part>,
}

/// The cgroup's folder in one hierarchy.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) dir: Dir,
    pub(crate) controllers: Arc<[String]>,
}

impl Part {
    pub(crate) fn new(dir: Dir, controllers: Arc<[String]>) -> Self {
        Self { dir, controllers }
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

/// What a process needs to enter a cgroup by itself.
#[derive(Debug, Default)]
pub struct JoinFds {
    /// `tasks` files of the v1 hierarchies: the process, while it has one thread, writes `0` into each.
    pub tasks: Vec<OwnedFd>,
    /// The v2 folder, for `clone3(CLONE_INTO_CGROUP)`.
    pub unified: Option<OwnedFd>,
}

impl Cgroup {
    pub(crate) fn new(hierarchy: Hierarchy, path: CgroupPath, parts: Vec<Part>, unified: Option<Part>) -> Self {
        Self { hierarchy, path, parts, unified }
    }

    /// Its path below each mount point.
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// How cgroups are mounted here.
    pub fn kind(&self) -> Kind {
        self.hierarchy.kind()
    }

    pub(crate) fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Its folders by controller (a v2 one under the empty name), as `state.json` and tools show them.
    pub fn folders(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let v1 = self
            .parts
            .iter()
            .flat_map(|part| part.controllers.iter().map(|name| (name.as_str(), part.dir.path().to_owned())));
        v1.chain(self.unified.iter().map(|part| ("", part.dir.path().to_owned())))
    }

    /// Its v1 folders with the name of each hierarchy's mount point (`memory`, `cpu,cpuacct`, `systemd`).
    pub fn v1_folders(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let depth = self.path.as_path().components().count();
        self.parts.iter().map(move |part| {
            let mount = part.dir.path().ancestors().nth(depth).and_then(|path| path.file_name());
            (mount.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(), part.dir.path().to_owned())
        })
    }

    /// Its v2 folder.
    pub fn unified_folder(&self) -> Option<PathBuf> {
        self.unified_dir().map(|dir| dir.path().to_owned())
    }

    /// The folder that has a controller: the v1 hierarchy's, else the v2 one.
    pub(crate) fn dir(&self, controller: &str) -> Option<&Dir> {
        self.v1_dir(controller)
            .or_else(|| self.unified.as_ref().filter(|part| part.has(controller)).map(|part| &part.dir))
    }

    /// The folder of a controller that a limit needs.
    pub(crate) fn folder(&self, controller: &str) -> Result<&Dir, Error> {
        self.dir(controller).ok_or_else(|| Error::Unsupported { what: format!("the {controller} controller") })
    }

    pub(crate) fn v1_dir(&self, controller: &str) -> Option<&Dir> {
        self.parts.iter().find(|part| part.has(controller)).map(|part| &part.dir)
    }

    pub(crate) fn unified_dir(&self) -> Option<&Dir> {
        self.unified.as_ref().map(|part| &part.dir)
    }

    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Dir> {
        self.parts.iter().chain(&self.unified).map(|part| &part.dir)
    }

    /// Descriptors by which a new process enters.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn join_fds(&self) -> Result<JoinFds, Error> {
        let tasks =
            self.parts.iter().map(|part| part.dir.open_file("tasks", OFlags::WRONLY)).collect::<Result<_, _>>()?;
        let clone = |part: &Part| {
            rustix::io::fcntl_dupfd_cloexec(part.dir.as_fd(), 0)
                .map_err(|errno| Error::kernel("duplicate descriptor of", part.dir.path(), errno))
        };
        Ok(JoinFds { tasks, unified: self.unified.as_ref().map(clone).transpose()? })
    }

    /// Every process inside, those in nested cgroups included; as this process's PID namespace numbers them.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn processes(&self) -> Result<Vec<i32>, Error> {
        // a v1 hierarchy that containers have no reason to divide, else whatever there is
        let dir = self.v1_dir("devices").or_else(|| self.v1_dir("freezer")).or_else(|| self.dirs().last());
        let mut pids = Vec::new();
        if let Some(dir) = dir {
            collect(dir, &mut pids)?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    pub(crate) fn refuse_if_used(&self) -> Result<(), Error> {
        let count = self.processes()?.len();
        if count > 0 {
            let path = self.dirs().next().map(|dir| dir.path().to_owned()).unwrap_or_default();
            return Err(Error::NotEmpty { path, count });
        }
        Ok(())
    }
}

fn collect(dir: &Dir, pids: &mut Vec<i32>) -> Result<(), Error> {
    // EOPNOTSUPP: a threaded v2 cgroup lists its processes in the domain above
    let text = dir.read_if_any("cgroup.procs")?.unwrap_or_default();
    // 0: a process outside our PID namespace
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid != 0));
    for name in dir.children()? {
        if let Some(child) = dir.child(&name)? {
            collect(&child, pids)?;
        }
    }
    Ok(())
}
