//! A template, a busybox root file system, and containers that end with the test.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_logs::{LogConfig, ReadOptions, Reader, Rotation};
use wharf_runtime::{PlanOptions, plan, plan_exec};
use wharf_shim::client::{
    Error, Events, ExecRequest, Keeper, LaunchRequest, Launched, Notice, Process, Template, encode_plan,
};
use wharf_shim::protocol::{Attach, AttachEnd, Event, Exit, ExitRecord, Target, Wire};
use wharf_spec::runtime::Spec;

/// How long a test waits for what must come; only a failing test ever waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Programs that the containers use.
const APPLETS: &[&str] =
    &["sh", "cat", "sleep", "stty", "seq", "head", "yes", "true", "kill", "wc", "id", "dd", "tr", "env"];

/// Where containers live.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    pub(crate) template: Template,
    runtime: tokio::runtime::Runtime,
}

/// What a container gets.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) tty: bool,
    pub(crate) open_stdin: bool,
    pub(crate) stdin_once: bool,
    pub(crate) pid_namespace: bool,
    pub(crate) log: bool,
}

pub(crate) const PLAIN: Options =
    Options { tty: false, open_stdin: false, stdin_once: false, pid_namespace: true, log: true };
pub(crate) const INTERACTIVE: Options = Options { open_stdin: true, stdin_once: true, ..PLAIN };
pub(crate) const TERMINAL: Options = Options { tty: true, ..INTERACTIVE };

/// A running container.
pub(crate) struct Container<'a> {
    host: &'a Host,
    pub(crate) keeper: Keeper,
    pub(crate) events: Events,
    pub(crate) init: Process,
    spec: Spec,
    seen: Vec<Event>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        for name in ["bin", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir_all(root.join(name)).expect("a folder");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("static busybox");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("a link");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let template = runtime.block_on(Template::spawn(&crate::exe())).expect("a template");
        Self { folder, template, runtime }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it comes in time") })
    }

    pub(crate) fn run_dir(&self, id: &str) -> PathBuf {
        self.folder.path().join("run").join(id)
    }

    fn data(&self, id: &str, name: &str) -> PathBuf {
        self.folder.path().join("containers").join(id).join(name)
    }

    pub(crate) fn exit_record(&self, id: &str) -> Option<ExitRecord> {
        ExitRecord::read(&self.data(id, "exit")).expect("the record reads")
    }

    fn log_config(&self, id: &str) -> LogConfig {
        LogConfig::JsonFile { path: self.data(id, "json.log"), rotation: Rotation::default(), attrs: Vec::new() }
    }

    /// What was logged, both streams.
    pub(crate) fn logged(&self, id: &str) -> String {
        let options = ReadOptions { stdout: true, stderr: true, since: None, until: None, tail: None, follow: false };
        let mut reader = Reader::open(&self.log_config(id), options).expect("the log opens");
        let mut text = String::new();
        while let Some(entry) = reader.next_entry().expect("the log reads") {
            text.push_str(&String::from_utf8_lossy(entry.line));
        }
        text
    }

    fn spec(&self, arguments: &[&str], options: &Options) -> Spec {
        let mut namespaces =
            vec![json!({"type": "mount"}), json!({"type": "ipc"}), json!({"type": "uts"}), json!({"type": "network"})];
        if options.pid_namespace {
            namespaces.push(json!({"type": "pid"}));
        }
        let proc_ = json!({"destination": "/proc", "type": "proc", "source": "proc"});
        let dev = json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]});
        let pts = json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]});
        let document = json!({
            "ociVersion": "1.2.0",
            "process": self.process(arguments, options.tty),
            "root": {"path": self.folder.path().join("root")},
            "hostname": "box",
            "mounts": [proc_, dev, pts],
            "linux": {"namespaces": namespaces},
        });
        serde_json::from_value(document).expect("a document")
    }

    fn process(&self, arguments: &[&str], tty: bool) -> Value {
        json!({
            "terminal": tty,
            "user": {"uid": 0, "gid": 0},
            "args": arguments,
            "env": ["PATH=/bin", "HOME=/"],
            "cwd": "/",
        })
    }

    pub(crate) fn try_run(
        &self,
        id: &str,
        arguments: &[&str],
        options: &Options,
        attach: Vec<(Attach, OwnedFd)>,
    ) -> Result<Container<'_>, Error> {
        std::fs::create_dir_all(self.run_dir(id)).expect("a folder");
        std::fs::create_dir_all(self.data(id, "")).expect("a folder");
        let spec = self.spec(arguments, options);
        let planned = plan(&spec, &PlanOptions { id: id.into(), ..PlanOptions::default() }).expect("a plan");
        let request = LaunchRequest {
            id: id.into(),
            plan: encode_plan(&planned),
            tty: options.tty,
            open_stdin: options.open_stdin,
            stdin_once: options.stdin_once,
            shared_pid: !options.pid_namespace,
            log: if options.log { self.log_config(id) } else { LogConfig::None },
            run_dir: self.run_dir(id),
            exit_file: self.data(id, "exit"),
            attach,
            fds: Vec::new(),
            foreign: None,
        };
        let Launched { keeper, events, init } = self.block_on(self.template.launch(request))?;
        Ok(Container { host: self, keeper, events, init, spec, seen: Vec::new() })
    }

    pub(crate) fn run(&self, id: &str, arguments: &[&str], options: &Options) -> Container<'_> {
        self.try_run(id, arguments, options, Vec::new()).expect("the container starts")
    }
}

impl Container<'_> {
    /// The first event (also of those already seen) that `wanted` takes.
    pub(crate) fn event<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        if let Some(found) = self.seen.iter().find_map(&wanted) {
            return found;
        }
        loop {
            match self.host.block_on(self.events.next()).expect("the keeper lives") {
                Notice::Event(event) => {
                    let found = wanted(&event);
                    self.seen.push(event);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Notice::Resync(_) => {}
            }
        }
    }

    pub(crate) fn exit(&mut self) -> Exit {
        self.event(|event| if let Event::Exited(exit) = event { Some(*exit) } else { None })
    }

    pub(crate) fn exec_exit(&mut self, wanted: &str) -> Exit {
        self.event(|event| match event {
            Event::ExecExited { id, exit } if id == wanted => Some(*exit),
            _ => None,
        })
    }

    pub(crate) fn attach_end(&mut self, wanted: u64) -> AttachEnd {
        self.event(|event| match event {
            Event::AttachEnded { id, reason } if *id == wanted => Some(*reason),
            _ => None,
        })
    }

    pub(crate) fn kill(&self) {
        wharf_sys::pidfd::kill(&self.init.pidfd, 9).expect("it lives");
    }

    pub(crate) fn attach(&self, id: u64, wire: Wire) -> Client {
        let (client, attach, socket) = Client::new(id, Target::Init, wire);
        self.host.block_on(self.keeper.attach(&attach, socket)).expect("it attaches");
        client
    }

    pub(crate) fn exec(
        &self,
        id: &str,
        arguments: &[&str],
        tty: bool,
        attach: Option<(Attach, OwnedFd)>,
    ) -> Result<Process, Error> {
        let process = serde_json::from_value(self.host.process(arguments, tty)).expect("a process");
        let planned = plan_exec(&self.spec, &process, &PlanOptions::default()).expect("a plan");
        let stdin = attach.is_some();
        let request = ExecRequest {
            id: id.into(),
            plan: encode_plan(&planned),
            tty,
            stdin,
            attach,
            fds: Vec::new(),
            foreign: None,
        };
        self.host.block_on(self.keeper.exec(request))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // whatever the test found out, nothing of it stays
        let _ = wharf_sys::pidfd::kill(&self.init.pidfd, 9);
    }
}

/// The client's end of an attached socket.
pub(crate) struct Client {
    pub(crate) socket: UnixStream,
    wire: Wire,
}

impl Client {
    pub(crate) fn new(id: u64, target: Target, wire: Wire) -> (Self, Attach, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let attach = Attach {
            id,
            target,
            stdin: true,
            stdout: true,
            stderr: true,
            wire,
            detach_keys: Vec::new(),
            input: Vec::new(),
        };
        (Self { socket: ours, wire }, attach, theirs.into())
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).expect("the keeper reads");
    }

    pub(crate) fn end_input(&self) {
        self.socket.shutdown(std::net::Shutdown::Write).expect("it shuts");
    }

    /// Everything to the end: output and error output.
    pub(crate) fn read_all(&mut self) -> (String, String) {
        let mut bytes = Vec::new();
        self.socket.read_to_end(&mut bytes).expect("output to its end");
        let mut streams = [Vec::new(), Vec::new()];
        if self.wire == Wire::Raw {
            streams[0] = bytes;
        } else {
            let mut rest = &bytes[..];
            while let [stream, 0, 0, 0, a, b, c, d, after @ ..] = rest {
                let (piece, following) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
                streams[usize::from(*stream) - 1].extend_from_slice(piece);
                rest = following;
            }
            assert!(rest.is_empty(), "{rest:?}");
        }
        let [out, err] = streams.map(|stream| String::from_utf8_lossy(&stream).into_owned());
        (out, err)
    }

    /// Raw output until it ends with `text`.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let mut byte = [0; 256];
        while !String::from_utf8_lossy(&seen).contains(text) {
            match self.socket.read(&mut byte).expect("more output") {
                0 => panic!("output ended: {}", String::from_utf8_lossy(&seen)),
                count => seen.extend_from_slice(&byte[..count]),
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}
