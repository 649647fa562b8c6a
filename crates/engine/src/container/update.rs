//! `update`: other limits and another restart policy, for a container that may run.

use std::sync::Arc;

use wharf_api::container::{Resources, UpdateConfig};

use super::actor::Actor;
use super::{declare, record};
use crate::oci::limits;
use crate::{Error, Result, blocking};

pub(super) async fn update(actor: &mut Actor, changes: UpdateConfig) -> Result<Vec<String>> {
    let mut host = (*actor.declared.host_config).clone();
    let UpdateConfig { mut resources, restart_policy } = changes;
    let warnings = limits::check(&mut resources, &actor.inner.abilities, true)?;
    merge(&mut host.resources, &resources)?;
    if !restart_policy.name.is_empty() {
        if host.auto_remove && restart_policy.name != "no" {
            return Err(Error::InvalidParameter(
                "Restart policy cannot be updated because AutoRemove is enabled for the container".into(),
            ));
        }
        host.restart_policy = restart_policy;
        declare::restart_policy(&host)?;
    }
    if let Some(live) = &actor.live {
        let limits = limits::limits(&resources)?;
        let cgroup = live.cgroup.clone();
        blocking(move || cgroup.update(&limits).map_err(|e| Error::system("Cannot update container", e))).await?;
    }
    let before = std::mem::replace(&mut actor.declared.host_config, Arc::new(host));
    if let Err(error) = record::save(&actor.inner.db, &actor.id, &actor.declared, &actor.lived).await {
        actor.declared.host_config = before;
        return Err(error);
    }
    actor.inner.container_event(&actor.id, "update", &[]);
    Ok(warnings)
}

/// Zero values leave the old ones.
fn merge(old: &mut Resources, new: &Resources) -> Result<()> {
    let swap = if new.memory_swap != 0 { new.memory_swap } else { old.memory_swap };
    if new.memory != 0 && new.memory > swap && swap > 0 {
        return Err(Error::Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
                .into(),
        ));
    }
    if new.nano_cpus > 0 && (old.cpu_period > 0 || old.cpu_quota > 0) {
        return Err(Error::Conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Period/Quota has already been set".into(),
        ));
    }
    if (new.cpu_period > 0 || new.cpu_quota > 0) && old.nano_cpus > 0 {
        return Err(Error::Conflict(
            "Conflicting options: CPU Period/Quota cannot be updated as NanoCPUs has already been set".into(),
        ));
    }
    let number = |old: &mut i64, new: i64| {
        if new != 0 {
            *old = new;
        }
    };
    number(&mut old.cpu_shares, new.cpu_shares);
    number(&mut old.memory, new.memory);
    number(&mut old.memory_swap, new.memory_swap);
    number(&mut old.memory_reservation, new.memory_reservation);
    number(&mut old.nano_cpus, new.nano_cpus);
    number(&mut old.cpu_period, new.cpu_period);
    number(&mut old.cpu_quota, new.cpu_quota);
    number(&mut old.cpu_realtime_period, new.cpu_realtime_period);
    number(&mut old.cpu_realtime_runtime, new.cpu_realtime_runtime);
    if new.blkio_weight != 0 {
        old.blkio_weight = new.blkio_weight;
    }
    for (old, new) in [(&mut old.cpuset_cpus, &new.cpuset_cpus), (&mut old.cpuset_mems, &new.cpuset_mems)] {
        if !new.is_empty() {
            old.clone_from(new);
        }
    }
    if let Some(limit) = new.pids_limit {
        // 0 is none
        old.pids_limit = Some(limit.max(0));
    }
    Ok(())
}
