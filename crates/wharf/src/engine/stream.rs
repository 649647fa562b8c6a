//! A two-way byte stream to an engine.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::tls::TlsStream;
use super::{Address, Error};

/// A socket, or the standard streams of an `ssh` process.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Ssh { input: Arc<Mutex<Option<ChildStdin>>>, output: Arc<Mutex<ChildStdout>>, child: Arc<Mutex<Child>> },
}

impl Stream {
    /// Connects to `address`; with `tls` over TCP nothing travels in the clear.
    pub(crate) fn connect(address: &Address, tls: Option<&Arc<rustls::ClientConfig>>) -> Result<Self, Error> {
        match address {
            Address::Unix(path) => match UnixStream::connect(path) {
                Ok(stream) => Ok(Self::Unix(stream)),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Error::Denied {
                    address: address.to_string(),
                    reason: format!("dial unix {}: connect: permission denied", path.display()),
                }),
                Err(_) => Err(Error::Unreachable(address.to_string())),
            },
            Address::Tcp { host, port, .. } => {
                let stream =
                    TcpStream::connect((host.as_str(), *port)).map_err(|_| Error::Unreachable(address.to_string()))?;
                // small requests must not wait for each other
                let _ = stream.set_nodelay(true);
                let Some(tls) = tls else { return Ok(Self::Tcp(stream)) };
                let stream = TlsStream::open(stream, host, tls.clone());
                let stream = stream.map_err(|error| Error::Broken(crate::go::io_error(&error)))?;
                Ok(Self::Tls(Box::new(stream)))
            }
            Address::Ssh { user, host, port, path } => {
                let mut command = Command::new("ssh");
                command.args(["-o", "ConnectTimeout=30", "-T"]);
                if let Some(user) = user {
                    command.args(["-l", user]);
                }
                if let Some(port) = port {
                    command.args(["-p", &port.to_string()]);
                }
                command.args(["--", host, "docker"]);
                if let Some(path) = path {
                    command.args(["--host", &format!("unix://{path}")]);
                }
                command.args(["system", "dial-stdio"]);
                let mut child = command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .map_err(|error| Error::Broken(format!("run ssh: {}", crate::go::io_error(&error))))?;
                let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                    return Err(Error::Broken("ssh has no standard streams".into()));
                };
                Ok(Self::Ssh {
                    input: Arc::new(Mutex::new(Some(input))),
                    output: Arc::new(Mutex::new(output)),
                    child: Arc::new(Mutex::new(child)),
                })
            }
        }
    }

    /// A second handle to the same stream.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Tls(stream) => Self::Tls(Box::new(stream.try_clone()?)),
            Self::Ssh { input, output, child } => {
                Self::Ssh { input: input.clone(), output: output.clone(), child: child.clone() }
            }
        })
    }

    /// Tells the other side that nothing more will be written.
    pub(crate) fn close_write(&self) {
        match self {
            Self::Unix(stream) => _ = stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => _ = stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => stream.close_write(),
            Self::Ssh { input, .. } => {
                if let Ok(mut input) = input.lock() {
                    *input = None;
                }
            }
        }
    }

    /// Ends the stream both ways, so that a reader in another thread returns.
    pub(crate) fn close(&self) {
        match self {
            Self::Unix(stream) => _ = stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => _ = stream.shutdown(Shutdown::Both),
            Self::Tls(stream) => stream.close(),
            Self::Ssh { child, .. } => {
                self.close_write();
                if let Ok(mut child) = child.lock() {
                    let _ = child.kill();
                }
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Ssh { output, .. } => match output.lock() {
                Ok(mut output) => output.read(buffer),
                Err(_) => Ok(0),
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(buffer),
            Self::Tcp(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
            Self::Ssh { input, .. } => match input.lock().as_deref_mut() {
                Ok(Some(input)) => input.write(buffer),
                _ => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Ssh { input, .. } => match input.lock().as_deref_mut() {
                Ok(Some(input)) => input.flush(),
                _ => Ok(()),
            },
        }
    }
}
