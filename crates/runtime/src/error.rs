//! Errors: of a document that cannot be planned, and of a launch, with the step it died in and Docker's sentence for it.

use std::fmt;

/// A document that cannot become a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A property is missing, malformed or contradicts another.
    #[error("{field}: {reason}")]
    InvalidInput {
        /// The property (`mounts[2].options`).
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The property is right, but neither this runtime nor its kernel has it.
    #[error("{field}: {reason}")]
    Unsupported {
        /// The property.
        field: String,
        /// What is not there.
        reason: String,
    },
}

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::InvalidInput { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn unsupported(field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Unsupported { field: field.into(), reason: reason.into() }
    }
}

/// What a launch error means to whoever asked for the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchErrorKind {
    /// The program does not exist: exit code 127.
    NotFound,
    /// The program exists and cannot be executed: exit code 126.
    NotExecutable,
    /// The container could not be made: exit code 125.
    Setup,
}

macro_rules! steps {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)*) => {
        /// Where a launch stood when it failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Step { $($(#[doc = $doc])+ $name,)* }

        impl Step {
            const ALL: &'static [Step] = &[$(Step::$name,)*];

            /// The operation, for messages.
            pub const fn operation(self) -> &'static str {
                match self { $(Step::$name => $text,)* }
            }
        }
    };
}

steps! {
    /// The child ended before it could say why.
    Died = "container init",
    /// The message socket.
    Channel = "message socket",
    /// Opening a namespace file.
    OpenNamespace = "open namespace",
    /// Mounting the overlay.
    Overlay = "mount overlay",
    /// Opening or attaching the root folder.
    Root = "mount root file system",
    /// Opening what is bound.
    MountSource = "open mount source",
    /// Making the user namespace of an id-mapped mount, or applying it.
    IdMap = "map identities of mount",
    /// clone3.
    Clone = "clone3",
    /// Session of its own.
    Session = "setsid",
    /// Writing to a v1 `tasks` file.
    CgroupJoin = "join cgroup",
    /// Writing `uid_map` and `gid_map`.
    WriteIdMaps = "write id map",
    /// Taking user 0 of the user namespace.
    BecomeRoot = "setresuid",
    /// setns.
    JoinNamespace = "setns",
    /// unshare.
    Unshare = "unshare",
    /// `timens_offsets`.
    TimeOffsets = "write timens_offsets",
    /// Session key ring.
    Keyring = "join session key ring",
    /// `oom_score_adj`.
    OomScore = "write oom_score_adj",
    /// personality(2).
    Personality = "personality",
    /// set_mempolicy(2).
    MemoryPolicy = "set_mempolicy",
    /// Propagation of all mounts.
    Propagation = "set mount propagation",
    /// Loopback interface.
    Loopback = "set up loopback interface",
    /// Host or domain name.
    Hostname = "sethostname",
    /// A kernel parameter.
    Sysctl = "write sysctl",
    /// Finding or making a mount's target.
    MountTarget = "make mount target",
    /// A file system's creation.
    Mount = "mount",
    /// Attributes of a mount.
    MountAttributes = "mount_setattr",
    /// Copying the target's content into a tmpfs.
    CopyUp = "copy up",
    /// The target lies in a proc file system.
    InsideProc = "check that the target is not inside /proc",
    /// A device node.
    Device = "make device",
    /// The symlinks of `/dev`.
    DeviceLink = "make device link",
    /// The pseudo terminal.
    Console = "open console",
    /// A `prestart` or `createRuntime` hook.
    RuntimeHook = "run hook",
    /// A `createContainer` hook.
    Hook = "run createContainer hook",
    /// A `startContainer` hook.
    StartHook = "run startContainer hook",
    /// pivot_root and leaving the old root.
    PivotRoot = "pivot_root",
    /// Making the root read-only.
    ReadonlyRoot = "make root read-only",
    /// Hiding a path.
    MaskedPath = "mask path",
    /// Making a path read-only.
    ReadonlyPath = "make path read-only",
    /// Placing descriptors.
    Descriptors = "arrange descriptors",
    /// AppArmor or SELinux label.
    Label = "set exec label",
    /// Resource limit.
    Rlimit = "setrlimit",
    /// Scheduler.
    Scheduler = "sched_setattr",
    /// I/O priority.
    IoPriority = "ioprio_set",
    /// Capabilities.
    Capabilities = "set capabilities",
    /// Groups.
    Groups = "setgroups",
    /// User and group.
    User = "set user",
    /// no_new_privs.
    NoNewPrivs = "set no_new_privs",
    /// Working directory.
    Chdir = "chdir to cwd",
    /// The working directory is outside the root (a leaked descriptor).
    CwdOutside = "current working directory is outside of container mount namespace root -- possible container breakout detected",
    /// Finding the program.
    LookUp = "look up executable",
    /// Waiting for `start`.
    Gate = "wait for start",
    /// Installing the filter.
    Seccomp = "install seccomp filter",
    /// Handing the filter's listener to the agent.
    SeccompListener = "send seccomp listener",
}

impl Step {
    pub(crate) fn from_wire(number: u16) -> Step {
        Step::ALL.get(usize::from(number)).copied().unwrap_or(Step::Channel)
    }

    pub(crate) fn wire(self) -> u16 {
        self as u16
    }
}

/// A launch or exec that failed. Its text is the sentence Docker users know, without the callers' prefixes
/// (`OCI runtime create failed: …`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchError {
    /// Where.
    pub step: Step,
    /// The kernel's number.
    pub errno: i32,
    /// What it was about: a path, the program's name, a mount's source and target.
    pub object: Option<String>,
}

impl LaunchError {
    pub(crate) fn new(step: Step, errno: wharf_sys::Errno) -> LaunchError {
        LaunchError { step, errno: errno.raw_os_error(), object: None }
    }

    pub(crate) fn about(step: Step, errno: wharf_sys::Errno, object: impl Into<String>) -> LaunchError {
        LaunchError { step, errno: errno.raw_os_error(), object: Some(object.into()) }
    }

    /// What it means to whoever asked.
    pub fn kind(&self) -> LaunchErrorKind {
        match (self.step, self.errno) {
            (Step::LookUp | Step::Chdir, libc_errno::ENOENT) => LaunchErrorKind::NotFound,
            (Step::LookUp, _) | (Step::Chdir, libc_errno::EACCES | libc_errno::ENOTDIR) => {
                LaunchErrorKind::NotExecutable
            }
            _ => LaunchErrorKind::Setup,
        }
    }

    /// The exit code Docker's command line gives for it.
    pub fn exit_code(&self) -> i32 {
        match self.kind() {
            LaunchErrorKind::NotFound => 127,
            LaunchErrorKind::NotExecutable => 126,
            LaunchErrorKind::Setup => 125,
        }
    }
}

mod libc_errno {
    pub(super) const ENOENT: i32 = wharf_sys::Errno::NOENT.raw_os_error();
    pub(super) const EACCES: i32 = wharf_sys::Errno::ACCESS.raw_os_error();
    pub(super) const EISDIR: i32 = wharf_sys::Errno::ISDIR.raw_os_error();
    pub(super) const ENOTDIR: i32 = wharf_sys::Errno::NOTDIR.raw_os_error();
}

/// The kernel's words for a number, in Go's lower-case form.
pub(crate) fn errno_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = errno_text(self.errno);
        let object = self.object.as_deref().unwrap_or_default();
        match (self.step, self.errno) {
            (Step::Died, _) => write!(f, "container init ended before the program started"),
            (Step::LookUp, libc_errno::ENOENT) if !object.contains('/') => {
                write!(f, "exec: {object:?}: executable file not found in $PATH")
            }
            (Step::LookUp, libc_errno::ENOENT) => write!(f, "exec: {object:?}: stat {object}: {text}"),
            (Step::LookUp, libc_errno::EISDIR) => write!(f, "exec: {object:?}: is a directory: permission denied"),
            (Step::LookUp, _) => write!(f, "exec: {object:?}: {text}"),
            (Step::RuntimeHook, _) => write!(f, "{object}"),
            (Step::CwdOutside, _) => write!(f, "{}", self.step.operation()),
            (Step::Chdir, _) => write!(f, "chdir to cwd ({object:?}) set in config.json failed: {text}"),
            (Step::InsideProc, _) => write!(f, "{object} cannot be mounted because it is inside /proc"),
            (Step::MountSource | Step::MountTarget | Step::Mount | Step::MountAttributes, errno) => {
                write!(f, "error mounting {object}: {}: {text}", self.step.operation())?;
                if errno == libc_errno::ENOTDIR {
                    let hint = "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type";
                    write!(f, ": {hint}")?;
                }
                Ok(())
            }
            _ if object.is_empty() => write!(f, "{}: {text}", self.step.operation()),
            _ => write!(f, "{} {object}: {text}", self.step.operation()),
        }
    }
}

impl std::error::Error for LaunchError {}
