//! Writing limits: which hierarchy takes which.

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::hierarchy::Kind;
use crate::limits::Limits;
use crate::{v1, v2};

impl Cgroup {
    /// Changes limits of a living cgroup; `None` and empty lists leave things alone.
    ///
    /// # Errors
    /// [`Error::InvalidInput`], [`Error::Unsupported`], [`Error::Kernel`] (`EBUSY`: below the present usage).
    pub fn update(&self, limits: &Limits) -> Result<(), Error> {
        self.apply(limits, false)
    }

    pub(crate) fn apply(&self, limits: &Limits, fresh: bool) -> Result<(), Error> {
        match self.unified_dir() {
            Some(dir) if self.kind() == Kind::V2 => v2::apply(self, dir, limits, fresh),
            _ => v1::apply(self, limits, fresh),
        }
    }
}
