//! What a host must not have left when everything in it was removed.

use crate::host::Host;
use crate::wait::{PATIENCE, pause};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

impl Host {
    /// Fails unless no container, mount, interface, cgroup, process or folder of one is left.
    ///
    /// Call it when every container was removed and the daemon runs (reconciled).
    #[track_caller]
    pub fn assert_no_leaks(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let leaks = self.leaks();
            if leaks.is_empty() {
                return;
            }
            // a keeper that was told to end and a dying network namespace take a moment
            assert!(Instant::now() < end, "left behind:\n{}", leaks.join("\n"));
            pause(Duration::from_millis(20));
        }
    }

    /// Every trace of containers, one per line.
    pub fn leaks(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.init_pid())).unwrap_or_default();
        let data = self.data_root();
        let data = data.to_string_lossy();
        found.extend(
            mounts.lines().filter(|l| l.contains(&*data) || l.contains("/run/wharf/")).map(|l| format!("mount {l}")),
        );
        let links = self.run("ip", &["-o", "link"]).stdout;
        found.extend(links.lines().filter(|l| l.contains("veth")).map(|l| format!("link {l}")));
        for folder in cgroups(self.cgroup_parent()) {
            let children = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            found.extend(children.filter(|e| e.path().is_dir()).map(|e| format!("cgroup {}", e.path().display())));
        }
        let folders = std::fs::read_dir(self.data_root().join("containers")).into_iter().flatten().flatten();
        found.extend(folders.map(|e| format!("container {}", e.path().display())));
        let processes = self.run("ps", &["-eo", "pid,ppid,stat,args"]).stdout;
        let daemons: Vec<&str> =
            processes.lines().filter(|l| l.contains("wharfd --")).filter_map(|l| l.split_whitespace().next()).collect();
        let unexpected = processes.lines().skip(1).filter(|l| !expected_process(l, &daemons));
        found.extend(unexpected.map(|l| format!("process {l}")));
        found
    }
}

/// Whether a line of `ps` is part of every idle host: PID 1 and its cat, the daemon, its template, the name
/// server (which waits for the next container as long as the daemon lives), ps itself.
///
/// Keepers are forked from the template and look like it, but only the template is a child of the daemon.
fn expected_process(line: &str, daemons: &[&str]) -> bool {
    let mut words = line.split_whitespace();
    let (pid, parent) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    pid == "1"
        || line.contains("ps -eo")
        || daemons.contains(&pid)
        || (daemons.contains(&parent) && line.contains("wharf-shim --template"))
        || ((daemons.contains(&parent) || parent == "1") && line.ends_with("wharf-netd"))
        || (parent == "1" && line.ends_with("cat"))
}

/// The folder of `path` in every mounted hierarchy.
fn cgroups(path: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let mut roots = vec![root.to_owned()];
    roots.extend(std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| !p.is_symlink()));
    roots.into_iter().map(|r| r.join(path.trim_start_matches('/'))).filter(|p| p.is_dir()).collect()
}

/// Removes a test host's cgroups, deepest first; its processes are gone already.
pub(crate) fn remove_cgroups(path: &str) {
    fn remove(folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                remove(&entry.path());
            }
        }
        // dying processes hold it for a moment, longer on a busy machine: two seconds at the most
        for _ in 0..1000 {
            if std::fs::remove_dir(folder).is_ok() {
                break;
            }
            pause(Duration::from_millis(2));
        }
    }
    cgroups(path).iter().for_each(|folder| remove(folder));
}
