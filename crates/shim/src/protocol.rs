//! What the daemon, the template and the keepers say to each other.
//!
//! ```text
//!  wharfd ──(1 Launch + fds)──► template ──fork──► keeper ◄──(2..6)── any daemon, through <run>/<id>/shim.sock
//!                                                    └───────(7..9)──►  the control end of Launch is such a connection too
//!
//!  one SOCK_SEQPACKET message = one frame:
//!  ┌─────────┬──────┬────────┬──────────────────────────────┬─────────────────┐
//!  │ version │ kind │ seq    │ body: postcard of the struct │ later additions │   + file descriptors (SCM_RIGHTS)
//!  │ u8 = 1  │ u8   │ u16 LE │ of that kind                 │ (appended)      │
//!  └─────────┴──────┴────────┴──────────────────────────────┴─────────────────┘
//!  kind with bit 7 set: the body is not here but in a memfd, which is the first descriptor.
//! ```
//!
//! Rules that let yesterday's keeper work under today's daemon, and the other way round:
//! * a struct's fields never change; new ones form a second struct appended to the body, and a reader that finds the
//!   body at its end takes that struct's default ([`Frame::addition`]);
//! * enum variants are appended only; a kind that the peer does not know is answered with [`Failure::Unsupported`], a
//!   body that it cannot read with [`Failure::Malformed`], and an event that it cannot read is left out;
//! * `seq` is chosen by who asks and comes back in the answer; 0 marks what nobody asked for (events).

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wharf_logs::{LogConfig, Position, Timestamp};

/// The version in every frame. It changes only when the header does.
pub const VERSION: u8 = 1;

/// Largest body that travels in the packet itself, in bytes; a larger one goes through a memfd.
pub const INLINE_MAX: usize = 60 * 1024;

/// Largest body accepted at all, in bytes: a plan with every option is far below this.
pub const BODY_MAX: usize = 16 * 1024 * 1024;

/// Most file descriptors in one message (the kernel allows 253).
pub const FDS_MAX: usize = 128;

/// Default detach sequence: ctrl-p ctrl-q.
pub const DETACH_KEYS: [u8; 2] = [0x10, 0x11];

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Daemon to template: fork a keeper and start a container ([`Launch`]). Descriptors: the control connection, then
    /// one per [`Launch::fds`].
    Launch = 1,
    /// Client to keeper: connect a socket to a process's stdio ([`Attach`]). Descriptor: the socket.
    Attach = 2,
    /// Client to keeper: run one more process ([`Exec`]). Descriptors: one per [`Exec::fds`].
    Exec = 3,
    /// Client to keeper: size of a terminal ([`Resize`]).
    Resize = 4,
    /// Client to keeper: end of input ([`CloseStdin`]).
    CloseStdin = 5,
    /// Client to keeper: asks for a [`Snapshot`]. No body.
    Query = 6,
    /// Keeper to client: answer to everything but `Query` ([`Reply`]). A `Launch` or `Exec` that worked brings a pidfd.
    Reply = 7,
    /// Keeper to client: answer to `Query`, and, with seq 0, what is sent when events were lost because the client did
    /// not read ([`Snapshot`]). Descriptor: a pidfd of the container's first process while it lives.
    Snapshot = 8,
    /// Keeper to client: something happened ([`Event`]).
    Event = 9,
    /// Client to keeper: as `Attach`, but the client gets no output before `Release`: the sender gives it what is in the log
    /// first. Descriptor: the socket. The answer tells how far the log has got ([`Held`], after the [`Reply`]).
    AttachHeld = 10,
    /// Client to keeper: the client of an `AttachHeld` gets its output from now on ([`Release`]).
    Release = 11,
    /// A kind of a later version. Never sent.
    Unknown = 0,
}

impl Kind {
    fn from_wire(byte: u8) -> Self {
        match byte {
            1 => Self::Launch,
            2 => Self::Attach,
            3 => Self::Exec,
            4 => Self::Resize,
            5 => Self::CloseStdin,
            6 => Self::Query,
            7 => Self::Reply,
            8 => Self::Snapshot,
            9 => Self::Event,
            10 => Self::AttachHeld,
            11 => Self::Release,
            _ => Self::Unknown,
        }
    }
}

/// What a descriptor sent along is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FdRole {
    /// A cgroup v1 `tasks` file, which the new process writes "0" to.
    CgroupTasks,
    /// A cgroup v2 folder for `CLONE_INTO_CGROUP`.
    CgroupDir,
    /// The network namespace to enter.
    Netns,
    /// The socket of the next [`Attach`] of the message.
    Attach,
    /// A namespace to enter, by its `CLONE_NEW*` flag.
    Namespace(u32),
    /// The root file system, a detached mount.
    Root,
}

/// Start a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The container's full identifier.
    pub id: String,
    /// `wharf_runtime::Plan`, in postcard. The template was started by the same daemon, so the versions agree.
    pub plan: Vec<u8>,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Input stays open (`-i`); otherwise the container reads `/dev/null`.
    pub open_stdin: bool,
    /// Input ends with the first client that was attached to it.
    pub stdin_once: bool,
    /// The container shares another PID namespace: what it leaves behind must be killed by the keeper, as the kernel
    /// does it only for the first process of a PID namespace.
    pub shared_pid: bool,
    /// Where its output goes.
    pub log: LogConfig,
    /// Folder of `shim.sock`; it exists.
    pub run_dir: PathBuf,
    /// File that the exit record is written to ([`ExitRecord`]); its folder exists.
    pub exit_file: PathBuf,
    /// Clients that are attached before the first byte of output.
    pub attach: Vec<Attach>,
    /// What each descriptor after the control connection is.
    pub fds: Vec<FdRole>,
}

/// Follows a [`Launch`] when another OCI runtime makes the container. [`Launch::plan`] is empty then, and
/// [`Launch::run_dir`] is the bundle: it holds `config.json`, whose root is `<run_dir>/rootfs` and whose network namespace, when the
/// daemon made one, is `<run_dir>/netns`; the keeper puts both there, seen by nobody but it and the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// The runtime's executable.
    pub program: PathBuf,
    /// Arguments before the command.
    pub args: Vec<String>,
    /// `wharf_runtime::Root`, in postcard.
    pub root: Vec<u8>,
}

/// Follows an [`Exec`] in such a container, whose plan is empty then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignExec {
    /// The OCI `process` document, JSON.
    pub process: Vec<u8>,
}

/// Whose stdio.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The container's first process.
    Init,
    /// An exec, by its identifier.
    Exec(String),
}

/// How output is written to an attached client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wire {
    /// As it comes (terminals).
    Raw,
    /// Docker's multiplexed stream: `[1|2, 0, 0, 0, length u32 BE]` before each piece.
    Stdcopy,
}

/// Connect a client's socket to a process's stdio. The keeper owns the socket from here on, closes it at the end of
/// the session, and tells how the session ended with [`Event::AttachEnded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Chosen by the sender, unique in the daemon; comes back in [`Event::AttachEnded`].
    pub id: u64,
    /// Whose stdio.
    pub target: Target,
    /// What the client sends goes to the process.
    pub stdin: bool,
    /// The client receives standard output.
    pub stdout: bool,
    /// The client receives standard error (never anything with a terminal).
    pub stderr: bool,
    /// Framing of the output.
    pub wire: Wire,
    /// Keys that end the session and leave the process running; only terminals look for them. Empty: [`DETACH_KEYS`].
    pub detach_keys: Vec<u8>,
    /// What the daemon had already read from the socket.
    pub input: Vec<u8>,
}

/// Follows the answer to an `AttachHeld`: the client gets everything behind this place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The log up to here was written before; `None` when nothing is kept.
    pub log: Option<Position>,
    /// What has come of lines that have not ended, of both streams: neither in the log up to there, nor will the client get it.
    pub unfinished: [Vec<u8>; 2],
}

/// Lets a client have its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// [`Attach::id`].
    pub id: u64,
}

/// Run one more process in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The exec's identifier.
    pub id: String,
    /// `wharf_runtime::ExecPlan`, in postcard.
    pub plan: Vec<u8>,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Its input is a pipe that follows the attached client; otherwise `/dev/null`.
    pub stdin: bool,
    /// The client that gets its stdio. Without one the output is read and dropped.
    pub attach: Option<Attach>,
    /// What each descriptor is.
    pub fds: Vec<FdRole>,
}

/// Set a terminal's size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// Whose terminal.
    pub target: Target,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Close a process's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseStdin {
    /// Whose input.
    pub target: Target,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done, nothing to say.
    Done,
    /// A process runs.
    Started(Started),
    /// It did not work.
    Failed(Failure),
}

/// A process that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its PID, as the keeper sees it.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat` (clock ticks since boot): with the PID it names the process for good.
    pub start_ticks: u64,
    /// When its program began.
    pub at: Timestamp,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// The program does not exist (exit code 127).
    #[error("{0}")]
    NotFound(String),
    /// The program exists and cannot be executed (exit code 126).
    #[error("{0}")]
    NotExecutable(String),
    /// The container could not be prepared (exit code 125).
    #[error("{0}")]
    Setup(String),
    /// The process has ended.
    #[error("{0}")]
    NotRunning(String),
    /// No such exec, or it has no terminal or input.
    #[error("{0}")]
    NoTarget(String),
    /// The request does not follow the protocol.
    #[error("{0}")]
    Malformed(String),
    /// The keeper is older than the request.
    #[error("the keeper does not know this request")]
    Unsupported,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code; 128 + the signal's number when a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When the keeper saw it end.
    pub at: Timestamp,
}

/// Everything that a daemon needs to know after it (re)connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The container's identifier.
    pub id: String,
    /// Its first process.
    pub init: Started,
    /// How the first process ended, when it has, and its log is complete.
    pub exit: Option<Exit>,
    /// Execs that run, and the last [`Snapshot::ENDED_MAX`] that ended.
    pub execs: Vec<ExecState>,
    /// Clients attached to the first process.
    pub attached: u32,
    /// Bytes of output that could not be logged (a full disk).
    pub log_lost: u64,
}

impl Snapshot {
    /// How many ended execs a keeper remembers.
    pub const ENDED_MAX: usize = 64;
}

/// One exec in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// Its identifier.
    pub id: String,
    /// Its process.
    pub process: Started,
    /// How it ended.
    pub exit: Option<Exit>,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The container's first process ended, its output is in the log and the exit record is on disk.
    Exited(Exit),
    /// An exec ended and its output was read to the end.
    ExecExited {
        /// The exec's identifier.
        id: String,
        /// How.
        exit: Exit,
    },
    /// A client's session is over.
    AttachEnded {
        /// [`Attach::id`].
        id: u64,
        /// Why.
        reason: AttachEnd,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachEnd {
    /// The process's output ended and the client has all of it.
    Finished,
    /// The client typed the detach keys.
    Detached,
    /// The client closed its connection, or its input ended and nothing keeps the session open.
    ClientClosed,
    /// The client did not read while others waited for the same output.
    TooSlow,
}

/// A frame with its descriptors, taken apart.
#[derive(Debug)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Number of the request.
    pub seq: u16,
    /// Postcard, and what later versions appended.
    pub body: Vec<u8>,
    /// Descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

/// A frame that does not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than its header.
    #[error("frame without a header")]
    Short,
    /// Another protocol.
    #[error("protocol version {0}")]
    Version(u8),
    /// The body is not what its kind asks for.
    #[error("body")]
    Body,
}

/// Bytes before the body.
pub const HEADER: usize = 4;

/// Bit of the kind that says that the body is in a memfd.
pub const IN_MEMFD: u8 = 0x80;

impl Frame {
    /// Header and body of a frame.
    pub fn encode<T: Serialize>(kind: Kind, seq: u16, body: &T) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[VERSION, kind as u8]);
        bytes.extend_from_slice(&seq.to_le_bytes());
        postcard::to_extend(body, bytes).expect("plain data with known lengths always encodes")
    }

    /// Kind (with whether the body is in a memfd) and sequence number of a received packet.
    pub fn header(packet: &[u8]) -> Result<(Kind, bool, u16), FrameError> {
        let [version, kind, low, high, ..] = *packet else { return Err(FrameError::Short) };
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let seq = u16::from_le_bytes([low, high]);
        Ok((Kind::from_wire(kind & !IN_MEMFD), kind & IN_MEMFD != 0, seq))
    }

    /// The body as the struct of its kind; what follows it is left alone.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        postcard::take_from_bytes(&self.body).map(|(value, _)| value).map_err(|_| FrameError::Body)
    }

    /// The body and the struct that a later version appended, or that struct's default when the sender was older.
    pub fn addition<T: DeserializeOwned, A: DeserializeOwned + Default>(&self) -> Result<(T, A), FrameError> {
        let (value, rest) = postcard::take_from_bytes(&self.body).map_err(|_| FrameError::Body)?;
        if rest.is_empty() {
            return Ok((value, A::default()));
        }
        let (more, _) = postcard::take_from_bytes(rest).map_err(|_| FrameError::Body)?;
        Ok((value, more))
    }
}

/// The exit record: one line of text, `wharf-exit 1 <code> <signal or 0> <nanoseconds since 1970> <log bytes lost>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRecord {
    /// How the first process ended.
    pub exit: Exit,
    /// Bytes of output that could not be logged.
    pub log_lost: u64,
}

impl ExitRecord {
    /// The file's content.
    pub fn encode(&self) -> String {
        let Exit { code, signal, at } = self.exit;
        format!("wharf-exit 1 {code} {} {} {}\n", signal.unwrap_or(0), at.as_nanos(), self.log_lost)
    }

    /// Reads the file's content; `None` when it is not a complete record.
    pub fn decode(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        if (words.next()?, words.next()?) != ("wharf-exit", "1") {
            return None;
        }
        let code = words.next()?.parse().ok()?;
        let signal = words.next()?.parse().ok().map(|number: i32| (number != 0).then_some(number))?;
        let at = Timestamp::from_nanos(words.next()?.parse().ok()?);
        let log_lost = words.next()?.parse().ok()?;
        Some(Self { exit: Exit { code, signal, at }, log_lost })
    }

    /// Reads a record; `None` when there is none.
    pub fn read(path: &std::path::Path) -> std::io::Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::decode(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
