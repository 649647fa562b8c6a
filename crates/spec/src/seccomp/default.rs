//! Docker's default profile as data.

use super::{Action, Profile};

pub(super) fn profile() -> Profile {
    Profile {
        default_action: Action::Errno,
        default_errno_ret: Some(1),
        architectures: Vec::new(),
        arch_map: Vec::new(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls: Vec::new(),
    }
}
