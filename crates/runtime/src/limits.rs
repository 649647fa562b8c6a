//! `linux.resources` of the document as the limits of a cgroup.

use wharf_cgroup::{
    Access, BlockIo, Cgroup, CgroupPath, Cpu, DeviceKind, DeviceRule, Hierarchy, HugetlbLimit, InterfacePriority,
    JoinFds, Kind, Limits, Memory, Network, OCI_DEFAULT_DEVICES, RdmaLimit, ThrottleDevice, WeightDevice,
};
use wharf_spec::runtime::{
    DeviceType, LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxResources, LinuxThrottleDevice,
};

use crate::{CgroupFds, CgroupView, Error, V1Controller};

impl From<JoinFds> for CgroupFds {
    fn from(fds: JoinFds) -> Self {
        Self { tasks: fds.tasks, v2: fds.unified }
    }
}

impl CgroupView {
    /// Of a cgroup that need not be there yet.
    pub fn of(hierarchy: &Hierarchy, path: &CgroupPath) -> Self {
        let v1 = hierarchy.v1_folders(path).map(|(name, dir)| V1Controller { name, dir }).collect();
        let v2 = hierarchy.unified_folder(path).filter(|_| hierarchy.kind() == Kind::V2);
        Self { v1, v2 }
    }
}

impl From<&Cgroup> for CgroupView {
    fn from(cgroup: &Cgroup) -> Self {
        let v1 = cgroup.v1_folders().map(|(name, dir)| V1Controller { name, dir }).collect();
        let v2 = cgroup.unified_folder().filter(|_| cgroup.kind() == Kind::V2);
        Self { v1, v2 }
    }
}

/// The limits of a new container. When there are device rules, those of the specification's default devices follow them:
/// no container goes without `/dev/null`.
///
/// # Errors
/// [`Error::InvalidInput`]: a device rule that means nothing.
pub fn limits(resources: &LinuxResources) -> Result<Limits, Error> {
    let mut limits = limits_without_devices(resources);
    for (index, rule) in resources.devices.iter().enumerate() {
        limits.devices.push(device_rule(rule, index)?);
    }
    if !limits.devices.is_empty() {
        limits.devices.extend(OCI_DEFAULT_DEVICES);
    }
    Ok(limits)
}

/// The same for `update`, which leaves devices alone.
pub fn limits_without_devices(resources: &LinuxResources) -> Limits {
    let network = resources.network.clone().unwrap_or_default();
    let hugetlb = |entry: &wharf_spec::runtime::LinuxHugepageLimit| HugetlbLimit {
        page_size: entry.page_size.clone(),
        limit: entry.limit,
    };
    let priority = |entry: wharf_spec::runtime::LinuxInterfacePriority| InterfacePriority {
        name: entry.name,
        priority: entry.priority,
    };
    let rdma = |(device, entry): (&String, &wharf_spec::runtime::LinuxRdma)| RdmaLimit {
        device: device.clone(),
        hca_handles: entry.hca_handles,
        hca_objects: entry.hca_objects,
    };
    Limits {
        memory: resources.memory.as_ref().map(memory).unwrap_or_default(),
        cpu: resources.cpu.as_ref().map(cpu).unwrap_or_default(),
        // 0 has always meant "not set"
        pids: resources.pids.as_ref().map(|pids| pids.limit).filter(|limit| *limit != 0),
        block_io: resources.block_io.as_ref().map(block_io).unwrap_or_default(),
        hugetlb: resources.hugepage_limits.iter().map(hugetlb).collect(),
        rdma: resources.rdma.iter().map(rdma).collect(),
        network: Network {
            class_id: network.class_id,
            priorities: network.priorities.into_iter().map(priority).collect(),
        },
        devices: Vec::new(),
        unified: resources.unified.clone(),
    }
}

fn memory(memory: &LinuxMemory) -> Memory {
    Memory {
        limit: memory.limit,
        swap: memory.swap,
        reservation: memory.reservation,
        swappiness: memory.swappiness,
        oom_kill_disable: memory.disable_oom_killer,
        kernel_tcp: memory.kernel_tcp,
        check_before_update: memory.check_before_update.unwrap_or(false),
    }
}

fn cpu(cpu: &LinuxCpu) -> Cpu {
    Cpu {
        shares: cpu.shares,
        quota: cpu.quota,
        period: cpu.period,
        burst: cpu.burst,
        realtime_runtime: cpu.realtime_runtime,
        realtime_period: cpu.realtime_period,
        cpus: cpu.cpus.clone(),
        mems: cpu.mems.clone(),
        idle: cpu.idle,
    }
}

fn block_io(io: &LinuxBlockIo) -> BlockIo {
    let throttle = |devices: &[LinuxThrottleDevice]| {
        let one = |device: &LinuxThrottleDevice| ThrottleDevice {
            major: device.major,
            minor: device.minor,
            rate: device.rate,
        };
        devices.iter().map(one).collect()
    };
    let weight = |device: &wharf_spec::runtime::LinuxWeightDevice| WeightDevice {
        major: device.major,
        minor: device.minor,
        weight: device.weight,
        leaf_weight: device.leaf_weight,
    };
    BlockIo {
        weight: io.weight,
        leaf_weight: io.leaf_weight,
        weight_device: io.weight_device.iter().map(weight).collect(),
        read_bps: throttle(&io.throttle_read_bps_device),
        write_bps: throttle(&io.throttle_write_bps_device),
        read_iops: throttle(&io.throttle_read_iops_device),
        write_iops: throttle(&io.throttle_write_iops_device),
    }
}

fn device_rule(rule: &LinuxDeviceCgroup, index: usize) -> Result<DeviceRule, Error> {
    let field = |name: &str| format!("linux.resources.devices[{index}].{name}");
    let number = |value: Option<i64>, name: &str| match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value)
            .map(Some)
            .map_err(|_| Error::invalid(field(name), format!("{value} is no device number"))),
    };
    let kind = match rule.kind {
        DeviceType::All => DeviceKind::All,
        DeviceType::Block => DeviceKind::Block,
        DeviceType::Char | DeviceType::Unbuffered => DeviceKind::Char,
        DeviceType::Fifo => return Err(Error::invalid(field("type"), "a FIFO is no device")),
    };
    let access = Access::parse(&rule.access)
        .ok_or_else(|| Error::invalid(field("access"), format!("`{}` has letters other than r, w, m", rule.access)))?;
    let (major, minor) = (number(rule.major, "major")?, number(rule.minor, "minor")?);
    // v1 takes "every kind" as "every device" whatever follows
    let (major, minor) = if kind == DeviceKind::All { (None, None) } else { (major, minor) };
    Ok(DeviceRule { allow: rule.allow, kind, major, minor, access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_devices_follow_the_rules() {
        let deny = LinuxDeviceCgroup { access: "rwm".to_owned(), ..LinuxDeviceCgroup::default() };
        let resources = LinuxResources { devices: vec![deny], ..LinuxResources::default() };
        let limits = limits(&resources).expect("sound rules");
        assert_eq!(limits.devices.len(), 1 + OCI_DEFAULT_DEVICES.len());
        assert!(limits_without_devices(&resources).devices.is_empty());
    }

    #[test]
    fn senseless_rules_name_their_field() {
        let rule = LinuxDeviceCgroup { access: "rx".to_owned(), ..LinuxDeviceCgroup::default() };
        let resources = LinuxResources { devices: vec![rule], ..LinuxResources::default() };
        let error = limits(&resources).expect_err("x is no access").to_string();
        assert_eq!(error, "linux.resources.devices[0].access: `rx` has letters other than r, w, m");
    }
}
