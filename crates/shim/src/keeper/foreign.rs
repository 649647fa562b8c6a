//! A container that another OCI runtime makes (`--runtime`): the keeper stays its parent and has its stdio, log and exit record;
//! the runtime's commands `create`, `start`, `exec` and `delete` take the place of ours.
//!
//! Other runtimes want a root file system at a path. So the keeper takes a mount namespace of its own and mounts it there: as with
//! our own runtime nothing is mounted on the host, and nothing can be left behind.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Std};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use wharf_runtime::{Root, Stdio};
use wharf_sys::clone::{Flags, unshare};
use wharf_sys::{Errno, fd, pidfd};

use super::start::setup;
use crate::protocol::{Failure, Foreign, Launch};

/// How long a command of a runtime may take. The keeper serves nobody meanwhile, so one that hangs must not hold it for ever.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// Where the network namespace is found; beside the bundle's `config.json`.
pub(crate) const NETNS: &str = "netns";
/// Where the root file system is mounted.
pub(crate) const ROOTFS: &str = "rootfs";

const LOG: &str = "runtime.log";
const PID_FILE: &str = "runtime.pid";
const CONSOLE: &str = "console.sock";

/// Another runtime, and the container it made.
#[derive(Debug)]
pub(super) struct Runtime {
    program: PathBuf,
    args: Vec<String>,
    id: String,
    dir: PathBuf,
}

/// A process that it started.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) console: Option<OwnedFd>,
}

impl Runtime {
    /// Prepares what the bundle refers to, in a mount namespace of the keeper's own.
    pub(super) fn new(launch: &Launch, foreign: Foreign, netns: Option<OwnedFd>) -> Result<Self, Failure> {
        let root: Root =
            postcard::from_bytes(&foreign.root).map_err(|error| Failure::Malformed(format!("root: {error}")))?;
        let dir = launch.run_dir.clone();
        unshare(Flags::MOUNT).map_err(|error| setup("unshare the mount namespace", error))?;
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", slave).map_err(|error| setup("make mounts private", error))?;
        let rootfs = dir.join(ROOTFS);
        std::fs::create_dir_all(&rootfs).map_err(|error| setup("mkdir the root's place", error))?;
        wharf_runtime::attach_root(&root, &rootfs).map_err(|error| setup("mount the root", error))?;
        if let Some(netns) = netns {
            let place = dir.join(NETNS);
            std::fs::write(&place, "").map_err(|error| setup("make the network namespace's place", error))?;
            mount_bind(format!("/proc/self/fd/{}", fd::raw(&netns)), &place)
                .map_err(|error| setup("bind the network namespace", error))?;
        }
        Ok(Self { program: foreign.program, args: foreign.args, id: launch.id.clone(), dir })
    }

    /// `create` and `start`. After an error nothing is left of it.
    pub(super) fn launch(&self, stdio: Stdio) -> Result<Spawned, Failure> {
        let created = self.spawn(&["create".into(), "--bundle".into(), self.dir.clone().into()], stdio);
        let started = created.and_then(|spawned| {
            self.command(&["start".into(), OsString::from(&self.id)], Stdio::Console)?;
            Ok(spawned)
        });
        if started.is_err() {
            self.delete();
        }
        started
    }

    /// `exec --detach`.
    pub(super) fn exec(&self, exec: &str, process: &[u8], stdio: Stdio) -> Result<Spawned, Failure> {
        let document = self.dir.join(format!("exec-{exec}.json"));
        std::fs::write(&document, process).map_err(|error| setup("write the exec's document", error))?;
        let spawned =
            self.spawn(&["exec".into(), "--detach".into(), "--process".into(), document.clone().into()], stdio);
        let _ = std::fs::remove_file(document);
        spawned
    }

    /// `delete --force`: its state, and what it keeps of the control groups. The daemon removes the rest.
    pub(super) fn delete(&self) {
        let _ = self.command(&["delete".into(), "--force".into(), OsString::from(&self.id)], Stdio::Console);
    }

    /// Runs a command that ends with a process of the container, which is the keeper's child then (it is a subreaper).
    fn spawn(&self, command: &[OsString], stdio: Stdio) -> Result<Spawned, Failure> {
        let pid_file = self.dir.join(PID_FILE);
        let _ = std::fs::remove_file(&pid_file);
        let mut args = command.to_vec();
        args.extend(["--pid-file".into(), pid_file.clone().into()]);
        let console = matches!(stdio, Stdio::Console).then(|| Console::listen(&self.dir)).transpose();
        let console = console.map_err(|error| setup("listen for the terminal", error))?;
        if let Some(console) = &console {
            args.extend(["--console-socket".into(), console.address.clone()]);
        }
        args.push(OsString::from(&self.id));
        self.command(&args, stdio)?;
        let text = std::fs::read_to_string(&pid_file).map_err(|error| setup("read the runtime's pid file", error))?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| setup("read the runtime's pid file", format!("{text:?} is no pid")))?;
        let pidfd =
            pidfd_open(pid, PidfdFlags::empty()).map_err(|error| setup("open the container's process", error))?;
        let console = console.map(|console| console.master()).transpose();
        let console = console.map_err(|error| setup("receive the terminal", error)).inspect_err(|_| {
            let _ = pidfd::kill(&pidfd, 9);
        })?;
        Ok(Spawned { pid, pidfd, console })
    }

    /// Runs one command to its end.
    fn command(&self, command: &[OsString], stdio: Stdio) -> Result<(), Failure> {
        let log = self.dir.join(LOG);
        let _ = std::fs::remove_file(&log);
        let mut child = Command::new(&self.program);
        child.args(&self.args).arg("--root").arg(self.dir.join("runtime")).arg("--log").arg(&log);
        child.args(["--log-format", "json"]).args(command).current_dir(&self.dir);
        // hooks and the runtime's own helpers look for programs
        child.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        child.stdin(Std::null()).stdout(Std::null()).stderr(Std::null());
        if let Stdio::Fds { stdin, stdout, stderr } = stdio {
            child.stdin(stdin).stdout(stdout).stderr(stderr);
        }
        let name = self.program.display();
        let spawned = child.spawn();
        // the container's ends of the pipes must not stay open here
        drop(child);
        let mut child = spawned.map_err(|error| Failure::Setup(format!("fork/exec {name}: {}", io_text(&error))))?;
        if !ends_in_time(&child) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::Setup(format!("{name}: no end within {} s", PATIENCE.tv_sec)));
        }
        let status = child.wait().map_err(|error| setup("wait for the runtime", error))?;
        if status.success() {
            return Ok(());
        }
        let said = last_message(&std::fs::read(&log).unwrap_or_default());
        Err(failure(said.unwrap_or_else(|| format!("{name}: {status}"))))
    }
}

fn ends_in_time(child: &Child) -> bool {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return true };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let mut poll = [PollFd::new(&pidfd, PollFlags::IN)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, Some(&PATIENCE))).is_ok_and(|ready| ready > 0)
}

/// The kernel's words without Rust's addition.
fn io_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// What a runtime's words mean: there is no other way to tell than to look into them, and Docker does the same.
fn failure(text: String) -> Failure {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["executable file not found", "no such file or directory"]) {
        Failure::NotFound(text)
    } else if says(&["permission denied", "is a directory", "exec format error"]) {
        Failure::NotExecutable(text)
    } else {
        Failure::Setup(text)
    }
}

/// The value of the last `"msg":"…"` in a log of JSON lines. The keeper carries no JSON parser for this one case.
fn last_message(log: &[u8]) -> Option<String> {
    const KEY: &str = "\"msg\":";
    let text = String::from_utf8_lossy(log);
    let (_, rest) = text.rsplit_once(KEY)?;
    let mut chars = rest.trim_start().strip_prefix('"')?.chars();
    let mut message = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(message),
            '\\' => match chars.next()? {
                'n' => message.push('\n'),
                't' => message.push('\t'),
                'u' => {
                    let code = chars.by_ref().take(4).collect::<String>();
                    message.push(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
                }
                other => message.push(other),
            },
            other => message.push(other),
        }
    }
}

/// A socket for the master of a terminal, as `--console-socket` wants it.
struct Console {
    listener: UnixListener,
    address: OsString,
    /// Keeps `address` valid.
    _dir: OwnedFd,
}

impl Console {
    fn listen(dir: &Path) -> std::io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let _ = std::fs::remove_file(dir.join(CONSOLE));
        let dir = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // by way of our descriptor, as an address has room for 107 bytes only
        let own = std::process::id();
        let address: OsString = format!("/proc/{own}/fd/{}/{CONSOLE}", fd::raw(&dir)).into();
        let listener = UnixListener::bind(OsStr::new(&address))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, address, _dir: dir })
    }

    /// The terminal, which was sent before the command ended.
    fn master(self) -> std::io::Result<OwnedFd> {
        let (socket, _) = self.listener.accept()?;
        let mut name = [0; 4096];
        let received = fd::try_receive(&socket, &mut name)?;
        received.fds.into_iter().next().ok_or_else(|| Errno::NOMSG.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_of_a_log_is_read() {
        let log = br#"{"level":"warning","msg":"first"}
{"level":"error","msg":"exec: \"nope\": executable \u003cfile\u003e not found","time":"x"}"#;
        assert_eq!(last_message(log).as_deref(), Some(r#"exec: "nope": executable <file> not found"#));
        assert_eq!(last_message(br#"{"msg": "spaced"}"#).as_deref(), Some("spaced"));
        for broken in [&b""[..], b"{}", br#"{"msg":"cut"#, br#"{"msg":"cut\"#, br#"{"msg":7}"#] {
            assert_eq!(last_message(broken), None);
        }
    }

    #[test]
    fn words_decide_the_exit_code() {
        assert!(matches!(failure("exec: \"x\": executable file not found in $PATH".into()), Failure::NotFound(_)));
        assert!(matches!(failure("exec: \"/etc\": permission denied".into()), Failure::NotExecutable(_)));
        assert!(matches!(failure("mount: invalid argument".into()), Failure::Setup(_)));
    }
}
