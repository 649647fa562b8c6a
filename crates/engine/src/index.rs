//! All containers by identifier and name. Reading it never waits for a container.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use wharf_spec::id::ContainerId;

use crate::container::handle::Handle;
use crate::{Error, Result, names};

/// The index. Its lock is held for a few map operations only, never across an await.
#[derive(Default)]
pub(crate) struct Index {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    containers: BTreeMap<ContainerId, Arc<Handle>>,
    names: HashMap<String, ContainerId>,
}

impl Index {
    /// Takes a name for a container: the wanted one (a leading slash is dropped), or one made up.
    pub(crate) fn reserve(
        &self,
        wanted: Option<&str>,
        id: &ContainerId,
        random: impl FnMut() -> u32,
    ) -> Result<String> {
        let mut tables = self.write();
        let name = match wanted {
            None => names::generate(random, |name| tables.names.contains_key(name)),
            Some(wanted) => {
                let name = wanted.strip_prefix('/').unwrap_or(wanted);
                if !names::is_valid(name) {
                    return Err(Error::InvalidParameter(format!(
                        "Invalid container name ({wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                    )));
                }
                if let Some(owner) = tables.names.get(name) {
                    return Err(Error::Conflict(format!(
                        "Conflict. The container name \"/{name}\" is already in use by container {:?}. You have to remove \
                         (or rename) that container to be able to reuse that name.",
                        owner.as_str()
                    )));
                }
                name.to_owned()
            }
        };
        tables.names.insert(name.clone(), id.clone());
        Ok(name)
    }

    /// Lets a name go, if it is this container's.
    pub(crate) fn release(&self, name: &str, id: &ContainerId) {
        let mut tables = self.write();
        if tables.names.get(name) == Some(id) {
            tables.names.remove(name);
        }
    }

    pub(crate) fn insert(&self, handle: Arc<Handle>) {
        self.write().containers.insert(handle.id.clone(), handle);
    }

    pub(crate) fn remove(&self, id: &ContainerId) {
        self.write().containers.remove(id);
    }

    /// The container with this identifier.
    pub(crate) fn get(&self, id: &ContainerId) -> Option<Arc<Handle>> {
        self.read().containers.get(id).cloned()
    }

    /// All containers, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.read().containers.values().cloned().collect()
    }

    /// The container that a user means: full identifier, name, unambiguous prefix of an identifier, in this order.
    pub(crate) fn resolve(&self, text: &str) -> Result<Arc<Handle>> {
        let tables = self.read();
        if text.is_empty() {
            return Err(Error::InvalidParameter("invalid name or ID supplied: \"\"".into()));
        }
        if let Some(handle) = tables.containers.get(text) {
            return Ok(handle.clone());
        }
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(handle) = tables.names.get(name).and_then(|id| tables.containers.get(id)) {
            return Ok(handle.clone());
        }
        let range = (std::ops::Bound::Included(text), std::ops::Bound::Unbounded);
        let mut found = tables.containers.range::<str, _>(range).take_while(|(id, _)| id.as_str().starts_with(text));
        match (found.next(), found.next()) {
            (Some((_, handle)), None) => Ok(handle.clone()),
            (None, _) => Err(Error::no_such_container(text)),
            (Some(_), Some(_)) => {
                Err(Error::InvalidParameter(format!("multiple IDs found with provided prefix: {text}")))
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        // a panic while holding it cannot leave the maps torn
        self.tables.read().unwrap_or_else(|e| e.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(|e| e.into_inner())
    }
}
