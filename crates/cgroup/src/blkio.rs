//! Block device weights and ceilings: `blkio` in v1, `io` in v2.

use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::convert::blkio_weight_to_io_weight;
use crate::error::Error;
use crate::files::Dir;
use crate::limits::{BlockIo, ThrottleDevice};

pub(crate) fn apply_v1(cgroup: &Cgroup, io: &BlockIo) -> Result<(), Error> {
    if *io == BlockIo::default() {
        return Ok(());
    }
    let dir = cgroup.folder("blkio")?;
    // CFQ's name until 5.0, BFQ's since
    let weight_file = if dir.exists("blkio.weight") { "blkio.weight" } else { "blkio.bfq.weight" };
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        dir.write_limit(weight_file, &weight.to_string())?;
    }
    if let Some(weight) = io.leaf_weight.filter(|weight| *weight != 0) {
        dir.write_limit("blkio.leaf_weight", &weight.to_string())?;
    }
    for device in &io.weight_device {
        let (major, minor) = (device.major, device.minor);
        if let Some(weight) = device.weight.filter(|weight| *weight != 0) {
            let file = if weight_file == "blkio.weight" { "blkio.weight_device" } else { "blkio.bfq.weight_device" };
            dir.write_limit(file, &format!("{major}:{minor} {weight}"))?;
        }
        if let Some(weight) = device.leaf_weight.filter(|weight| *weight != 0) {
            dir.write_limit("blkio.leaf_weight_device", &format!("{major}:{minor} {weight}"))?;
        }
    }
    let ceilings = [
        ("blkio.throttle.read_bps_device", &io.read_bps),
        ("blkio.throttle.write_bps_device", &io.write_bps),
        ("blkio.throttle.read_iops_device", &io.read_iops),
        ("blkio.throttle.write_iops_device", &io.write_iops),
    ];
    for (file, devices) in ceilings {
        for device in devices {
            dir.write_limit(file, &format!("{}:{} {}", device.major, device.minor, device.rate))?;
        }
    }
    Ok(())
}

pub(crate) fn apply_v2(dir: &Dir, io: &BlockIo) -> Result<(), Error> {
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        // BFQ where that is the scheduler; its scale is v1's
        match dir.write("io.bfq.weight", &weight.to_string()) {
            Err(error) if error.errno() == Some(Errno::NOENT) => {
                dir.write_limit("io.weight", &format!("default {}", blkio_weight_to_io_weight(weight)))?;
            }
            other => other?,
        }
    }
    for device in &io.weight_device {
        if let Some(weight) = device.weight.filter(|weight| *weight != 0) {
            let line = format!("{}:{} {weight}", device.major, device.minor);
            match dir.write("io.bfq.weight", &line) {
                Err(error) if error.errno() == Some(Errno::NOENT) => {
                    let weight = blkio_weight_to_io_weight(weight);
                    dir.write_limit("io.weight", &format!("{}:{} {weight}", device.major, device.minor))?;
                }
                other => other?,
            }
        }
    }
    let ceilings =
        [("rbps", &io.read_bps), ("wbps", &io.write_bps), ("riops", &io.read_iops), ("wiops", &io.write_iops)];
    for (key, devices) in ceilings {
        for device in devices {
            dir.write_limit("io.max", &io_max(key, device))?;
        }
    }
    Ok(())
}

fn io_max(key: &str, device: &ThrottleDevice) -> String {
    let ThrottleDevice { major, minor, rate } = device;
    if *rate == 0 { format!("{major}:{minor} {key}=max") } else { format!("{major}:{minor} {key}={rate}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_zero_lifts_the_ceiling() {
        assert_eq!(io_max("rbps", &ThrottleDevice { major: 8, minor: 16, rate: 1024 }), "8:16 rbps=1024");
        assert_eq!(io_max("wiops", &ThrottleDevice { major: 8, minor: 16, rate: 0 }), "8:16 wiops=max");
    }
}
