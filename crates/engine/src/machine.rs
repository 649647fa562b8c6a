//! What the machine says of itself.

use std::collections::BTreeMap;
use std::path::Path;

/// The machine's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Name of the file system below a path, as Docker names it.
pub(crate) fn file_system(path: &Path) -> String {
    let Ok(stat) = rustix::fs::statfs(path) else { return "<unknown>".into() };
    let name = match stat.f_type as u32 {
        0xef53 => "extfs",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x2fc1_2fc1 => "zfs",
        0x6969 => "nfs",
        0xf2f5_2010 => "f2fs",
        _ => "<unknown>",
    };
    name.into()
}

/// `/etc/os-release`, unquoted.
pub(crate) fn os_release() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string("/etc/os-release")
        .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    let line = |line: &str| {
        line.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter_map(line).collect()
}
