//! Raw streams: frames apart, standard input in, detach keys, signals and window sizes beside.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use wharf_sys::signal::SignalFd;

use crate::engine::{Client, Hijacked, Query, Stream, escape_path};
use crate::exit::Exit;
use crate::terminal::{self, Raw};

const BUFFER: usize = 64 << 10;

/// What is connected to what.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    pub(crate) tty: bool,
    pub(crate) stdin: bool,
    /// The sequence that detaches; empty: none.
    pub(crate) detach: Vec<u8>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// The user typed the detach keys.
    Detached,
}

/// A key sequence like `ctrl-p,ctrl-q` as bytes.
pub(crate) fn parse_keys(text: &str) -> Result<Vec<u8>, Exit> {
    let mut out = Vec::new();
    for key in text.split(',') {
        let byte = match key.strip_prefix("ctrl-") {
            Some("@") => Some(0),
            Some("[") => Some(27),
            Some("\\") => Some(28),
            Some("]") => Some(29),
            Some("^") => Some(30),
            Some("_") => Some(31),
            Some(letter) if letter.len() == 1 => match letter.as_bytes()[0] {
                letter @ b'a'..=b'z' => Some(letter - b'a' + 1),
                _ => None,
            },
            Some(_) => None,
            None if key.chars().count() == 1 && key.is_ascii() => Some(key.as_bytes()[0]),
            None => None,
        };
        match byte {
            Some(byte) => out.push(byte),
            None => return Err(Exit::error(format!("Unknown character: '{key}'"))),
        }
    }
    Ok(out)
}

/// Moves bytes both ways until the engine closes the stream or the user detaches.
pub(crate) fn run(hijacked: Hijacked, wiring: &Wiring) -> End {
    let raw = if wiring.tty && wiring.stdin { Raw::enter() } else { None };
    let detached = Arc::new(AtomicBool::new(false));
    if wiring.stdin
        && let Ok(stream) = hijacked.stream.try_clone()
    {
        let (flag, keys) = (detached.clone(), if wiring.tty { wiring.detach.clone() } else { Vec::new() });
        // never joined: a read from a terminal cannot be ended, and the process is about to end anyway
        thread::spawn(move || input(stream, &keys, &flag));
    }
    let source = Early { early: hijacked.early, at: 0, stream: hijacked.stream };
    let _ = if wiring.tty && !hijacked.multiplexed { copy(source, &mut io::stdout()) } else { split(source) };
    drop(raw);
    if detached.load(Ordering::Acquire) { End::Detached } else { End::Closed }
}

fn input(mut stream: Stream, keys: &[u8], detached: &AtomicBool) {
    let mut buffer = vec![0; BUFFER];
    let mut matched = 0;
    let stdin = io::stdin();
    loop {
        let count = match rustix::io::read(&stdin, &mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
        };
        if keys.is_empty() {
            if stream.write_all(&buffer[..count]).is_err() {
                return;
            }
            continue;
        }
        let mut out = Vec::with_capacity(count + keys.len());
        for &byte in &buffer[..count] {
            if byte == keys[matched] {
                matched += 1;
                if matched == keys.len() {
                    let _ = stream.write_all(&out);
                    detached.store(true, Ordering::Release);
                    stream.close();
                    return;
                }
                continue;
            }
            // not the sequence after all: what was held back goes first
            out.extend_from_slice(&keys[..matched]);
            matched = usize::from(byte == keys[0]);
            if matched == 0 {
                out.push(byte);
            }
        }
        if stream.write_all(&out).is_err() {
            return;
        }
    }
    stream.close_write();
}

/// Bytes that were read too early, then the stream.
struct Early<R> {
    early: Vec<u8>,
    at: usize,
    stream: R,
}

impl<R: Read> Read for Early<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = &self.early[self.at..];
        if left.is_empty() {
            return self.stream.read(into);
        }
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Copies everything to `to`, at once.
pub(crate) fn copy(mut from: impl Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return to.flush(),
            Ok(count) => {
                to.write_all(&buffer[..count])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes a stream of frames apart: `[stream, 0, 0, 0, length; 4 bytes, big endian]`.
pub(crate) fn split(from: impl Read) -> io::Result<()> {
    split_to(from, &mut io::stdout().lock(), &mut io::stderr())
}

fn split_to(mut from: impl Read, stdout: &mut dyn Write, stderr: &mut dyn Write) -> io::Result<()> {
    let mut pending: Vec<u8> = Vec::with_capacity(BUFFER);
    let mut buffer = vec![0; BUFFER];
    // the frame that is being copied: where to, and how much of it is missing
    let mut frame: Option<(u8, usize)> = None;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        pending.extend_from_slice(&buffer[..count]);
        let mut at = 0;
        while at < pending.len() {
            match frame {
                None => {
                    let Some(head) = pending.get(at..at + 8) else { break };
                    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                    frame = Some((head[0], length as usize));
                    at += 8;
                }
                Some((stream, missing)) => {
                    let length = missing.min(pending.len() - at);
                    let bytes = &pending[at..at + length];
                    match stream {
                        2 => stderr.write_all(bytes)?,
                        3 => {
                            let text = String::from_utf8_lossy(bytes).into_owned();
                            return Err(io::Error::other(format!("error from daemon in stream: {text}")));
                        }
                        _ => stdout.write_all(bytes)?,
                    }
                    at += length;
                    frame = (length < missing).then_some((stream, missing - length));
                }
            }
        }
        stdout.flush()?;
        pending.drain(..at);
    }
}

/// What signals are for.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Container(String),
    Exec(String),
}

impl Target {
    fn path(&self, verb: &str) -> String {
        match self {
            Self::Container(id) => format!("/containers/{}/{verb}", escape_path(id)),
            Self::Exec(id) => format!("/exec/{}/{verb}", escape_path(id)),
        }
    }
}

const WINDOW: i32 = 28;
/// Everything people and supervisors send; faults and the child's end are not for the container.
const FORWARDED: [(i32, &str); 10] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
    (WINDOW, "WINCH"),
];

/// Signals taken away from this process, to be passed on. Must be made before other threads are.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: Option<SignalFd>,
    proxy: bool,
    tty: bool,
}

impl Signals {
    /// Catches the signals to forward (`proxy`) and the change of the window (`tty`).
    pub(crate) fn catch(proxy: bool, tty: bool) -> Self {
        let mut wanted: Vec<i32> = Vec::new();
        if proxy {
            wanted.extend(FORWARDED.iter().map(|(number, _)| number));
        } else if tty {
            wanted.push(WINDOW);
        }
        let descriptor = if wanted.is_empty() { None } else { SignalFd::new(&wanted).ok() };
        Self { descriptor, proxy, tty }
    }

    /// Passes them on to `target` from now on, in a thread of its own.
    pub(crate) fn forward(self, client: &Client, target: Target) {
        let Some(descriptor) = self.descriptor else { return };
        let client = client.another();
        thread::spawn(move || {
            loop {
                let _ = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None);
                while let Ok(Some(info)) = descriptor.next() {
                    if info.signal == WINDOW && self.tty {
                        resize(&client, &target);
                    } else if self.proxy
                        && let Some((_, name)) = FORWARDED.iter().find(|(number, _)| *number == info.signal)
                    {
                        let query = Query::new().with("signal", *name);
                        let _ = client.post(&target.path("kill"), &query, None);
                    }
                }
            }
        });
    }
}

/// Tells the engine how large our terminal is.
pub(crate) fn resize(client: &Client, target: &Target) {
    resize_by(client, target, 0);
}

/// Tells it a size that is larger by `more`.
pub(crate) fn resize_by(client: &Client, target: &Target, more: u16) {
    let (rows, columns) = terminal::size();
    if rows > 0 && columns > 0 {
        let (rows, columns) = (rows.saturating_add(more), columns.saturating_add(more));
        let query = Query::new().with("h", rows.to_string()).with("w", columns.to_string());
        let _ = client.post(&target.path("resize"), &query, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys() {
        assert_eq!(parse_keys("ctrl-p,ctrl-q"), Ok(vec![16, 17]));
        assert_eq!(parse_keys("ctrl-@,x"), Ok(vec![0, b'x']));
        assert_eq!(parse_keys("ctrl-["), Ok(vec![27]));
        assert_eq!(parse_keys("ctrl-P").unwrap_err().message, "Unknown character: 'ctrl-P'");
        assert!(parse_keys("").is_err());
    }

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn frames_in_pieces() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let bytes = b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x01E\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01d";
        split_to(Slow(bytes), &mut out, &mut err).expect("the frames are whole");
        assert_eq!((out.as_slice(), err.as_slice()), (&b"abcd"[..], &b"E"[..]));
        let told = split_to(&b"\x03\0\0\0\0\0\0\x02no"[..], &mut out, &mut err);
        assert!(told.is_err_and(|error| error.to_string().ends_with("no")));
    }
}
