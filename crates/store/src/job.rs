//! A long operation: where its progress goes, and how it is told to stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Error, Result};

/// Progress of a long operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of one layer have been taken in (`docker load`: "Loading layer").
    Layer {
        /// First twelve digits of what names the layer.
        id: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all; 0 when unknown.
        total: u64,
    },
    /// A layer was there already.
    Exists {
        /// First twelve digits of what names the layer.
        id: String,
    },
}

type Callback = dyn Fn(Progress) + Send + Sync;

/// Handed to every long operation. The default reports nothing and is never cancelled. Clones are the same job.
#[derive(Clone, Default)]
pub struct Job {
    cancelled: Arc<AtomicBool>,
    progress: Option<Arc<Callback>>,
}

impl Job {
    /// A job that reports to `progress`, from any thread. The callback must not block for long.
    pub fn reporting(progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { cancelled: Arc::default(), progress: Some(Arc::new(progress)) }
    }

    /// Asks the operation to stop soon, leaving nothing behind; it answers [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn report(&self, make: impl FnOnce() -> Progress) {
        if let Some(progress) = &self.progress {
            progress(make());
        }
    }

    /// `true` when somebody listens.
    pub(crate) fn is_watched(&self) -> bool {
        self.progress.is_some()
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}
