//! Options of netlink sockets.

use std::os::fd::{AsFd, AsRawFd};

/// A switch of a netlink socket (`SOL_NETLINK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetlinkOption {
    /// Answers carry the kernel's own words.
    ExtendedAck,
    /// Answers do not repeat the whole request.
    CapAck,
    /// The kernel checks requests for what it does not know instead of ignoring it.
    StrictCheck,
    /// Broadcasts that were lost are not reported as an error.
    NoEnobufs,
}

/// Switches an option on.
pub fn enable(socket: impl AsFd, option: NetlinkOption) -> crate::Result<()> {
    let name = match option {
        NetlinkOption::ExtendedAck => libc::NETLINK_EXT_ACK,
        NetlinkOption::CapAck => libc::NETLINK_CAP_ACK,
        NetlinkOption::StrictCheck => libc::NETLINK_GET_STRICT_CHK,
        NetlinkOption::NoEnobufs => libc::NETLINK_NO_ENOBUFS,
    };
    set(socket, name, 1)
}

/// Subscribes to a multicast group (numbers above 32 do not fit into the bind mask).
pub fn join(socket: impl AsFd, group: u32) -> crate::Result<()> {
    set(socket, libc::NETLINK_ADD_MEMBERSHIP, libc::c_int::try_from(group).map_err(|_| crate::Errno::INVAL)?)
}

fn set(socket: impl AsFd, name: libc::c_int, value: libc::c_int) -> crate::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).expect("an int is small");
    // SAFETY: the descriptor is borrowed for the call; `value` lives through it and `length` is its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            name,
            std::ptr::from_ref(&value).cast::<libc::c_void>(),
            length,
        )
    };
    crate::check(libc::c_long::from(result)).map(drop)
}
