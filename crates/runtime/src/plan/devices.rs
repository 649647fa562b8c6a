//! Planning of device nodes: those every container has (OCI runtime spec, "Default Devices") and the document's own.

use super::DeviceNode;
use super::options::c_path;
use crate::Error;
use std::path::{Component, Path, PathBuf};
use wharf_spec::runtime::{DeviceType, LinuxDevice};

const S_IFIFO: u32 = 0o010_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;

/// Name, major, minor. `console` is bound, `ptmx` is a link.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
];

/// The default nodes and then the document's; the latter win.
pub(super) fn nodes(devices: &[LinuxDevice], with_defaults: bool) -> Result<Vec<DeviceNode>, Error> {
    let mut nodes = Vec::new();
    if with_defaults {
        for (path, major, minor) in DEFAULT {
            let device = rustix::fs::makedev(major, minor);
            nodes.push(DeviceNode { path: c_path(path)?, mode: S_IFCHR | 0o666, device, uid: 0, gid: 0 });
        }
    }
    for (i, device) in devices.iter().enumerate() {
        let node = node(device, &format!("linux.devices[{i}]"))?;
        nodes.retain(|other| other.path != node.path);
        nodes.push(node);
    }
    Ok(nodes)
}

fn node(device: &LinuxDevice, field: &str) -> Result<DeviceNode, Error> {
    let kind = match device.kind {
        DeviceType::Char | DeviceType::Unbuffered => S_IFCHR,
        DeviceType::Block => S_IFBLK,
        DeviceType::Fifo => S_IFIFO,
        DeviceType::All => return Err(Error::invalid(field, "a device node needs a type of c, b, u or p")),
    };
    let number = |value: i64| u32::try_from(value).map_err(|_| Error::invalid(field, "device number out of range"));
    let device_number = match kind {
        S_IFIFO => 0,
        _ => rustix::fs::makedev(number(device.major)?, number(device.minor)?),
    };
    Ok(DeviceNode {
        path: c_path(clean(&device.path, field)?)?,
        mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
        device: device_number,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}

/// An absolute path without `.`, `..` and doubled slashes, so that prefixes can be compared.
pub(super) fn clean(path: &Path, field: &str) -> Result<PathBuf, Error> {
    let mut out = PathBuf::from("/");
    if path.as_os_str().is_empty() {
        return Err(Error::invalid(field, "empty path"));
    }
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        let check = |input: &str, expect: &str| {
            assert_eq!(clean(Path::new(input), "x").expect("not empty"), Path::new(expect), "{input}");
        };
        check("/a/../../b", "/b");
        check("a//b/./c", "/a/b/c");
        check("/", "/");
        check("/..", "/");
    }

    #[test]
    fn the_documents_devices_replace_the_defaults() {
        let own = LinuxDevice {
            path: "/dev/../dev/null".into(),
            kind: DeviceType::Char,
            major: 1,
            minor: 3,
            file_mode: Some(0o600),
            uid: Some(5),
            gid: None,
        };
        let nodes = nodes(&[own], true).expect("valid");
        assert_eq!(nodes.len(), 6);
        assert_eq!((nodes[5].path.as_c_str(), nodes[5].mode, nodes[5].uid), (c"/dev/null", S_IFCHR | 0o600, 5));
    }
}
