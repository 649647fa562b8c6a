//! What is remembered of a container between commands.
//!
//! ```text
//! <root>/<id>/            made by `create` (mkdir is what makes the ID taken), removed by `delete`
//!     config.json         the bundle's document as `create` read it; later changes in the bundle have no effect
//!     state.json          by tmp + rename; first with pid 0, before anything outside of this folder is made (so that a creation
//!                         that was killed can be cleaned up), then with the pid, when the container exists
//!     start.fifo          exists until `start`; the waiting init holds its reading end
//! ```
//!
//! Nothing here says whether the container runs: that is read from the kernel each time (pid, start time, freezer).

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};
use wharf_cgroup::{Cgroup, CgroupPath, Hierarchy};
use wharf_spec::runtime::{ContainerStatus, Spec};

use crate::error::Error;

/// Version of `state.json`.
const VERSION: u32 = 1;

/// `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Saved {
    version: u32,
    pub(crate) id: String,
    pub(crate) oci_version: String,
    /// Process ID of the container's first process; 0 while it is being created.
    pub(crate) pid: i32,
    /// When that started, in clock ticks since boot: tells it from a later process with the same number.
    pub(crate) start_time: u64,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) created: String,
    pub(crate) owner: u32,
    pub(crate) cgroup: Option<CgroupPath>,
    /// Whether killing the first process ends all others.
    pub(crate) private_pid_namespace: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) rootless: bool,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What `create` knows before it makes anything.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a str,
    pub(crate) spec: &'a Spec,
    pub(crate) bundle: &'a Path,
    pub(crate) cgroup: Option<CgroupPath>,
    pub(crate) no_new_keyring: bool,
    pub(crate) rootless: bool,
}

impl Saved {
    pub(crate) fn new(facts: Facts<'_>) -> Self {
        let linux = facts.spec.linux.as_ref();
        let pid_namespace = wharf_spec::runtime::NamespaceType::Pid;
        let private = linux.is_some_and(|linux| {
            linux.namespaces.iter().any(|namespace| namespace.kind == pid_namespace && namespace.path.is_none())
        });
        let root = facts.spec.root.as_ref().map(|root| facts.bundle.join(&root.path)).unwrap_or_default();
        Self {
            version: VERSION,
            id: facts.id.to_owned(),
            oci_version: facts.spec.oci_version.clone(),
            pid: 0,
            start_time: 0,
            bundle: facts.bundle.to_owned(),
            rootfs: root,
            created: crate::clock::now(),
            owner: rustix::process::getuid().as_raw(),
            cgroup: facts.cgroup,
            private_pid_namespace: private,
            no_new_keyring: facts.no_new_keyring,
            rootless: facts.rootless,
            annotations: facts.spec.annotations.clone(),
        }
    }

    /// The first process exists.
    pub(crate) fn set_process(&mut self, pid: i32) {
        self.pid = pid;
        self.start_time = process_stat(pid).map_or(0, |stat| stat.start_time);
    }

    /// A pidfd of the first process; `None` when it has ended.
    pub(crate) fn pidfd(&self) -> Option<OwnedFd> {
        let pidfd = rustix::process::pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // the check comes after the opening: from here on the number cannot pass to another process unnoticed
        self.is_alive().then_some(pidfd)
    }

    fn is_alive(&self) -> bool {
        process_stat(self.pid)
            .is_some_and(|stat| stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Opens its cgroup; `None` when it has none or that is gone.
    pub(crate) fn open_cgroup(&self) -> Result<Option<Cgroup>, Error> {
        let Some(path) = &self.cgroup else { return Ok(None) };
        match Hierarchy::detect(Path::new("/sys/fs/cgroup"))?.open(path) {
            Ok(cgroup) => Ok(Some(cgroup)),
            Err(wharf_cgroup::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

struct ProcessStat {
    state: char,
    start_time: u64,
}

/// `/proc/<pid>/stat`: the name in parentheses may contain anything, so the fields count from the last `)`.
fn process_stat(pid: i32) -> Option<ProcessStat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // the state is field 3, the start time field 22
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(ProcessStat { state, start_time })
}

/// The folder of one container.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of an ID, which may not exist.
    pub(crate) fn new(root: &Path, id: &str) -> Result<Self, Error> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty() || id.len() > 1024 || id == "." || id == ".." || !id.bytes().all(letter) {
            return Err(Error::BadId);
        }
        Ok(Self { path: root.join(id) })
    }

    /// Makes it: from here on the ID is taken.
    pub(crate) fn make(&self) -> Result<(), Error> {
        let fail = |source| Error::file("mkdir", &self.path, source);
        let make = || std::fs::DirBuilder::new().mode(0o711).create(&self.path);
        match make() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let root = self.path.parent().unwrap_or(&self.path);
                std::fs::DirBuilder::new().mode(0o700).recursive(true).create(root).map_err(fail)?;
                make().map_err(fail)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::Exists),
            other => other.map_err(fail),
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Removes it; its absence is success.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        // the usual files by name: no reading of the folder
        for name in ["start.fifo", "state.json", "config.json"] {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        match std::fs::remove_dir(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(_) => std::fs::remove_dir_all(&self.path).map_err(|source| Error::file("remove", &self.path, source)),
        }
    }

    /// Reads `state.json`.
    pub(crate) fn load(&self) -> Result<Saved, Error> {
        let path = self.path.join("state.json");
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::NotFound),
            other => other.map_err(|source| Error::file("read", &path, source))?,
        };
        let corrupt = |reason: String| Error::Json { path: path.clone(), reason };
        let saved: Saved = serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        if saved.version != VERSION {
            return Err(corrupt(format!("version {} is not known", saved.version)));
        }
        Ok(saved)
    }

    pub(crate) fn save(&self, saved: &Saved) -> Result<(), Error> {
        let text = serde_json::to_vec(saved)
            .map_err(|error| Error::Json { path: self.path.join("state.json"), reason: error.to_string() })?;
        self.replace("state.json", &text)
    }

    /// The document as `create` read it (with what `update` has changed since).
    pub(crate) fn load_spec(&self) -> Result<Spec, Error> {
        read_spec(&self.path.join("config.json"))
    }

    /// Writes the document for the first time: nobody reads it before there is a state.
    pub(crate) fn keep_spec(&self, text: &[u8]) -> Result<(), Error> {
        let path = self.path.join("config.json");
        let fail = |source| Error::file("write", &path, source);
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        std::io::Write::write_all(&mut file, text).map_err(fail)
    }

    pub(crate) fn save_spec(&self, text: &[u8]) -> Result<(), Error> {
        self.replace("config.json", text)
    }

    /// Readers see the old file or the new one, never a part.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        write_atomically(&self.path.join(name), content, 0o600)
    }

    /// Makes the FIFO and opens it for both directions, so that it stays usable when the other side has gone.
    pub(crate) fn make_gate(&self) -> Result<OwnedFd, Error> {
        let path = self.path.join("start.fifo");
        let fail = |errno: Errno| Error::file("make fifo", &path, errno);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .map_err(fail)?;
        rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(fail)
    }

    pub(crate) fn has_gate(&self) -> bool {
        self.path.join("start.fifo").exists()
    }

    /// Opens the gate. `false`: somebody else has.
    pub(crate) fn open_gate(&self) -> Result<bool, Error> {
        let path = self.path.join("start.fifo");
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = match rustix::fs::open(&path, flags, Mode::empty()) {
            // ENXIO: nobody reads any more, the process has ended
            Err(Errno::NOENT | Errno::NXIO) => return Ok(false),
            other => other.map_err(|errno| Error::file("open", &path, errno))?,
        };
        // of two concurrent starts one removes the name
        match rustix::fs::unlink(&path) {
            Err(Errno::NOENT) => return Ok(false),
            other => other.map_err(|errno| Error::file("remove", &path, errno))?,
        }
        rustix::io::write(&fd, b"\0").map_err(|errno| Error::file("write", &path, errno))?;
        Ok(true)
    }

    /// Where the container is in its life, asking the kernel.
    pub(crate) fn status(&self, saved: &Saved) -> Result<ContainerStatus, Error> {
        if saved.pid == 0 {
            return Ok(ContainerStatus::Creating);
        }
        if !saved.is_alive() {
            return Ok(ContainerStatus::Stopped);
        }
        if self.has_gate() {
            return Ok(ContainerStatus::Created);
        }
        match saved.open_cgroup()? {
            Some(cgroup) if cgroup.is_frozen()? => Ok(ContainerStatus::Paused),
            _ => Ok(ContainerStatus::Running),
        }
    }
}

/// Reads a document.
pub(crate) fn read_spec(path: &Path) -> Result<Spec, Error> {
    parse_spec(path, &read_document(path)?)
}

/// Reads the text of a document.
pub(crate) fn read_document(path: &Path) -> Result<Vec<u8>, Error> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::State(format!("JSON specification file {} not found", path.display())))
        }
        other => other.map_err(|source| Error::file("read", path, source)),
    }
}

/// Text to document.
pub(crate) fn parse_spec(path: &Path, text: &[u8]) -> Result<Spec, Error> {
    serde_json::from_slice(text).map_err(|error| Error::Json { path: path.to_owned(), reason: error.to_string() })
}

/// Writes a file under another name first: nobody sees a part of it.
pub(crate) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let temporary = path.with_file_name(name);
    let fail = |source| Error::file("write", path, source);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&temporary).map_err(fail)?;
    std::io::Write::write_all(&mut file, content).map_err(fail)?;
    std::fs::rename(&temporary, path).map_err(fail)
}
