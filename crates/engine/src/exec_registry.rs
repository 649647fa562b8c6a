//! All execs by identifier, from their declaration until they have been over for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use wharf_spec::id::{ContainerId, ExecId};

use crate::{Error, Exec, ExecConfig, Result};

/// Execs that have ended and can still be inspected, at most; the oldest go first.
const ENDED: usize = 512;

#[derive(Default)]
pub(crate) struct Execs {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    all: HashMap<String, Exec>,
    ended: std::collections::VecDeque<String>,
}

impl Execs {
    pub(crate) fn insert(&self, id: ExecId, container: ContainerId, config: ExecConfig) {
        let exec = Exec {
            id: id.clone(),
            container,
            config: Arc::new(config),
            running: false,
            exit_code: None,
            pid: 0,
            can_remove: false,
        };
        self.tables().all.insert(id.to_string(), exec);
    }

    pub(crate) fn get(&self, id: &str) -> Result<Exec> {
        self.tables().all.get(id).cloned().ok_or_else(|| Error::no_such_exec(id))
    }

    /// Marks it as running; refuses one that has been started before.
    pub(crate) fn begin(&self, id: &str) -> Result<Exec> {
        let mut tables = self.tables();
        let exec = tables.all.get_mut(id).ok_or_else(|| Error::no_such_exec(id))?;
        if exec.exit_code.is_some() {
            return Err(Error::Conflict(format!("exec command {id} has already run")));
        }
        if exec.running {
            return Err(Error::Conflict(format!("exec command {id} is already running")));
        }
        exec.running = true;
        Ok(exec.clone())
    }

    pub(crate) fn started(&self, id: &str, pid: u32) {
        if let Some(exec) = self.tables().all.get_mut(id) {
            exec.pid = pid;
        }
    }

    /// It has ended (or could not be started); `false` when that was known.
    pub(crate) fn ended(&self, id: &str, code: i32) -> bool {
        let mut tables = self.tables();
        let Some(exec) = tables.all.get_mut(id).filter(|e| e.exit_code.is_none()) else { return false };
        (exec.running, exec.exit_code, exec.can_remove) = (false, Some(code), true);
        tables.ended.push_back(id.to_owned());
        if tables.ended.len() > ENDED
            && let Some(oldest) = tables.ended.pop_front()
        {
            tables.all.remove(&oldest);
        }
        true
    }

    /// Those of a container that run.
    pub(crate) fn running_in(&self, container: &ContainerId) -> Vec<String> {
        let tables = self.tables();
        tables.all.iter().filter(|(_, e)| e.running && e.container == *container).map(|(id, _)| id.clone()).collect()
    }

    /// Those of a container that have not ended.
    pub(crate) fn of(&self, container: &ContainerId) -> Vec<String> {
        let tables = self.tables();
        let mut ids: Vec<_> = tables
            .all
            .iter()
            .filter(|(_, e)| e.exit_code.is_none() && e.container == *container)
            .map(|(id, _)| id.clone())
            .collect();
        ids.sort();
        ids
    }

    pub(crate) fn forget_container(&self, container: &ContainerId) {
        let mut tables = self.tables();
        tables.all.retain(|_, e| e.container != *container);
        let Tables { all, ended } = &mut *tables;
        ended.retain(|id| all.contains_key(id));
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // a panic while holding it cannot leave the maps torn
        self.tables.lock().unwrap_or_else(|e| e.into_inner())
    }
}
