//! Limits that v1 and v2 take in the same way.

use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::limits::{Cpu, Limits};

pub(crate) fn pids(cgroup: &Cgroup, limits: &Limits, fresh: bool) -> Result<(), Error> {
    // "unlimited" is what a new folder has
    let Some(limit) = limits.pids.filter(|limit| !fresh || *limit > 0) else { return Ok(()) };
    let value = if limit > 0 { limit.to_string() } else { "max".to_owned() };
    cgroup.folder("pids")?.write_limit("pids.max", &value)
}

pub(crate) fn cpuset(cgroup: &Cgroup, cpu: &Cpu) -> Result<(), Error> {
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            cgroup.folder("cpuset")?.write_limit(file, value)?;
        }
    }
    Ok(())
}

/// The files are named alike but for the last word.
pub(crate) fn hugetlb(cgroup: &Cgroup, limits: &Limits) -> Result<(), Error> {
    for entry in &limits.hugetlb {
        let size = &entry.page_size;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::InvalidInput { field: "hugepage size", reason: format!("`{size}`") });
        }
        let dir = cgroup.folder("hugetlb")?;
        let last = if cgroup.v1_dir("hugetlb").is_some() { "limit_in_bytes" } else { "max" };
        let value = entry.limit.to_string();
        dir.write_limit(&format!("hugetlb.{size}.{last}"), &value)?;
        // reservations count apart since 5.7; without this a process may reserve what it can never touch
        match dir.write(&format!("hugetlb.{size}.rsvd.{last}"), &value) {
            Err(error) if error.errno() == Some(Errno::NOENT) => {}
            other => other?,
        }
    }
    Ok(())
}

pub(crate) fn rdma(cgroup: &Cgroup, limits: &Limits) -> Result<(), Error> {
    for entry in &limits.rdma {
        let mut line = entry.device.clone();
        if let Some(handles) = entry.hca_handles {
            line.push_str(&format!(" hca_handle={handles}"));
        }
        if let Some(objects) = entry.hca_objects {
            line.push_str(&format!(" hca_object={objects}"));
        }
        cgroup.folder("rdma")?.write_limit("rdma.max", &line)?;
    }
    Ok(())
}
