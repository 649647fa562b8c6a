//! Making cgroups, and finding those that are there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cgroup::{Cgroup, Part};
use crate::error::Error;
use crate::files::{Dir, Made};
use crate::hierarchy::{Hierarchy, Mount};
use crate::limits::Limits;
use crate::path::CgroupPath;

impl Hierarchy {
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
