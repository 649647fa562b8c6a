//! A small virtual machine with pure cgroup v2 and an older kernel, for what the machine's own kernel cannot show.

use crate::daemon::executable;
use crate::host::{Output, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Boots Debian's cloud kernel (software emulation), runs `script` with busybox and our executables, and gives what it printed.
///
/// The machine has no disk and no network beyond `lo`; its root is a tmpfs, `cgroup.controllers` are all on v2.
#[track_caller]
pub fn virtual_machine(script: &str) -> Output {
    virtual_machine_with(&[], script)
}

/// The same with images of file systems: `/dev/vda`, `/dev/vdb` and so on. The script mounts them.
#[track_caller]
pub fn virtual_machine_with(disks: &[&Path], script: &str) -> Output {
    let programs = executable("wharfd");
    let programs = programs.parent().expect("an executable lies in a folder");
    // the kernel is kept between runs, like cargo's downloads
    let folder = programs.ancestors().nth(2).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from).join("wharf-vm");
    let mut command = Command::new("bash");
    command.args(["-c", include_str!("vm.sh"), "vm.sh"]).arg(folder).arg(programs).arg(script).args(disks);
    run(command, &[])
}
