//! Hermetic test hosts: a daemon in namespaces of its own, beside a namespace that plays the outside world.
//!
//! ```text
//!   machine ── namespaces made by `unshare` ──┐
//!     host    (net, mount, pid, ipc, uts)  eth0 203.0.113.2 ──veth── wan0 203.0.113.1  outside (net)
//!       └ PID 1 = host.sh, wharfd, keepers, containers; own /run, /sys, data root and cgroup parent
//! ```
//!
//! Nothing of the machine is touched, any number of hosts live side by side, and when a [`Host`] is dropped (or its
//! test is killed) the kernel ends every process in it. Needs root, util-linux, iproute2 and a static busybox.

mod api;
mod daemon;
mod host;
mod image;
mod leaks;
mod peers;
mod registry;
pub mod scripted;
mod terminal;
mod vm;
mod wait;

pub use api::{Api, Response, read_response};
pub use daemon::{Daemon, executable as program};
pub use host::{Cli, Host, Output, Outside};
pub use image::busybox_archive;
pub use peers::peers;
pub use registry::{Connection, Registry};
pub use terminal::Terminal;
pub use vm::{virtual_machine, virtual_machine_with};
pub use wait::{eventually, wait_readable};

/// The image every host is given: busybox with one link per applet and `CMD ["sh"]`.
pub const IMAGE: &str = "busybox:latest";
