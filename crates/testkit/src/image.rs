//! The busybox image that tests run, made once per test process from the machine's static busybox.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A root file system archive for `import`: busybox, a link for each applet, `/etc/passwd` and the usual folders.
pub fn busybox_archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fill(dir.path()).expect("a root file system with busybox in it (is busybox-static installed?)");
        let tar = Command::new("tar").arg("-C").arg(dir.path()).args(["--numeric-owner", "-c", "."]).output();
        tar.expect("tar runs").stdout
    })
}

fn fill(root: &Path) -> std::io::Result<()> {
    for folder in ["bin", "etc", "tmp", "root", "var", "proc", "sys", "dev"] {
        std::fs::create_dir(root.join(folder))?;
    }
    Command::new("chmod").arg("1777").arg(root.join("tmp")).status()?;
    std::fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    let list = Command::new("/bin/busybox").arg("--list").stdout(Stdio::piped()).output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|a| *a != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/sh\n")?;
    std::fs::write(root.join("etc/group"), "root:x:0:\ndaemon:x:1:\nstaff:x:50:\n")
}
