//! Where a cgroup lies, relative to the mount point of every hierarchy.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A path relative to a hierarchy's mount point: at least one component, no `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct CgroupPath(PathBuf);

impl CgroupPath {
    /// A cgroupfs path; a leading `/` is the mount point. `.` and `..` are resolved without ever leaving it.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut clean = PathBuf::new();
        for component in path.as_ref().components() {
            match component {
                Component::Normal(name) => clean.push(name),
                Component::ParentDir => {
                    clean.pop();
                }
                _ => {}
            }
        }
        if clean.as_os_str().is_empty() {
            return Err(Error::InvalidInput {
                field: "cgroup path",
                reason: format!("`{}` names the root of the hierarchy", path.as_ref().display()),
            });
        }
        Ok(Self(clean))
    }

    /// The folder of the unit that `slice:prefix:name` stands for ([`SystemdUnit`]).
    ///
    /// # Errors
    /// [`Error::InvalidInput`].
    pub fn from_systemd(text: &str) -> Result<Self, Error> {
        SystemdUnit::parse(text)?.path()
    }

    /// The path of a child.
    pub fn join(&self, name: &str) -> Result<Self, Error> {
        Self::new(self.0.join(name))
    }

    /// Relative to the mount point.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// What the systemd form of a cgroup path (`slice:prefix:name`) stands for.
///
/// This crate makes the unit's folder itself, as the cgroupfs driver does. A driver that speaks to systemd is one step
/// before [`crate::Hierarchy::create`]: it asks for this unit (`StartTransientUnit` with `Delegate=yes`) over D-Bus; `create`
/// then takes the folder over and writes the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemdUnit {
    /// The slice; `system.slice` when the form leaves it empty.
    pub slice: String,
    /// `prefix-name.scope`, `name.scope`, or the name itself when that is a slice.
    pub unit: String,
}

impl SystemdUnit {
    /// Reads `slice:prefix:name`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid =
            |reason: &str| Error::InvalidInput { field: "cgroup path", reason: format!("`{text}`: {reason}") };
        let parts: Vec<&str> = text.split(':').collect();
        let [slice, prefix, name] = parts[..] else { return Err(invalid("expected `slice:prefix:name`")) };
        if name.is_empty() || name.contains('/') || prefix.contains('/') {
            return Err(invalid("prefix and name must be unit names"));
        }
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        if expand_slice(slice).is_none() {
            return Err(invalid("bad slice name"));
        }
        let unit = match (name.ends_with(".slice"), prefix.is_empty()) {
            (true, _) => name.to_owned(),
            (false, true) => format!("{name}.scope"),
            (false, false) => format!("{prefix}-{name}.scope"),
        };
        Ok(Self { slice: slice.to_owned(), unit })
    }

    /// The folder that systemd makes for it: `a-b.slice` + `docker-c1.scope` is `a.slice/a-b.slice/docker-c1.scope`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the fields were set to what no unit is called.
    pub fn path(&self) -> Result<CgroupPath, Error> {
        CgroupPath::new(expand_slice(&self.slice).unwrap_or_default().join(&self.unit))
    }
}

/// `a-b.slice` lies in `a.slice/a-b.slice`; `-.slice` is the root.
fn expand_slice(slice: &str) -> Option<PathBuf> {
    if slice == "-.slice" {
        return Some(PathBuf::new());
    }
    let stem = slice.strip_suffix(".slice")?;
    if stem.is_empty() || stem.contains('/') {
        return None;
    }
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in stem.split('-') {
        if part.is_empty() {
            return None;
        }
        prefix.push_str(part);
        path.push(format!("{prefix}.slice"));
        prefix.push('-');
    }
    Some(path)
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.display())
    }
}

impl TryFrom<PathBuf> for CgroupPath {
    type Error = Error;
    fn try_from(path: PathBuf) -> Result<Self, Error> {
        Self::new(path)
    }
}

impl From<CgroupPath> for PathBuf {
    fn from(path: CgroupPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: Result<CgroupPath, Error>, expect: &str) {
        assert_eq!(path.map(|path| path.to_string()).unwrap_or_else(|error| error.to_string()), expect);
    }

    #[test]
    fn paths_stay_below_the_mount_point() {
        check(CgroupPath::new("/docker/abc"), "/docker/abc");
        check(CgroupPath::new("../../etc/./x/"), "/etc/x");
        check(CgroupPath::new("/a/../.."), "cgroup path: `/a/../..` names the root of the hierarchy");
    }

    #[test]
    fn systemd_names_become_their_folders() {
        check(CgroupPath::from_systemd("system.slice:docker:c1"), "/system.slice/docker-c1.scope");
        check(CgroupPath::from_systemd(":docker:c1"), "/system.slice/docker-c1.scope");
        check(
            CgroupPath::from_systemd("kube-pods-burst.slice:cri:x"),
            "/kube.slice/kube-pods.slice/kube-pods-burst.slice/cri-x.scope",
        );
        check(CgroupPath::from_systemd("-.slice::machine.slice"), "/machine.slice");
        check(CgroupPath::from_systemd("a:b"), "cgroup path: `a:b`: expected `slice:prefix:name`");
        check(CgroupPath::from_systemd("a--b.slice:p:n"), "cgroup path: `a--b.slice:p:n`: bad slice name");
    }
}
