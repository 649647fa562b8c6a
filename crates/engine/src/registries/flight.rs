//! The download of one blob, on behalf of everybody who wants it: fetched once, unpacked while it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use wharf_registry::client::{Repository, Step};
use wharf_store::{Job, Store, Unpacked};

use super::partial::Partial;
use crate::{Error, Result};

/// Passengers are told of progress at most this often.
const TELL: Duration = Duration::from_millis(100);

/// How far a download is.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Others come first.
    Waiting,
    /// So many bytes are here.
    Downloading(u64),
    /// It broke, and goes on after this time.
    Retrying(Duration),
    /// All bytes are here.
    Unpacking,
    /// It is over.
    Done(Result<Unpacked>),
}

/// A download. It ends when nobody holds it any more.
#[derive(Debug)]
pub(crate) struct Flight {
    state: watch::Receiver<State>,
    task: AbortHandle,
    job: Job,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
        self.job.cancel();
    }
}

impl Flight {
    pub(super) fn start(store: Store, repository: Arc<Repository>, partial: Partial, turns: Arc<Semaphore>) -> Self {
        let turn = turns.clone().try_acquire_owned().ok();
        let (tell, state) = watch::channel(if turn.is_some() { State::Downloading(0) } else { State::Waiting });
        let job = Job::default();
        let work = Work { store, repository, partial, turns, tell, job: job.clone() };
        let task = tokio::spawn(async move {
            let done = work.run(turn).await;
            work.tell.send_replace(State::Done(done));
        });
        Self { state, task: task.abort_handle(), job }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), State::Done(Err(_)))
    }

    /// What happens, from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }
}

struct Work {
    store: Store,
    repository: Arc<Repository>,
    partial: Partial,
    turns: Arc<Semaphore>,
    tell: watch::Sender<State>,
    job: Job,
}

impl Work {
    async fn run(&self, turn: Option<OwnedSemaphorePermit>) -> Result<Unpacked> {
        let turn = match turn {
            Some(turn) => turn,
            None => {
                let turn = self.turns.clone().acquire_owned().await;
                turn.map_err(|_| Error::Unavailable("the engine is closing".into()))?
            }
        };
        let here = self.partial.here();
        let first = self.attempt(here).await;
        let again = here > 0 && matches!(&first, Err(Fault::Unpack(wharf_store::Error::DigestMismatch { .. })));
        let done = if again {
            // the part that was kept may be what is wrong: once more from the first byte
            self.partial.remove();
            self.attempt(0).await
        } else {
            first
        };
        drop(turn);
        done.map_err(|fault| match fault {
            Fault::Fetch(error) => error,
            Fault::Unpack(error) => {
                use wharf_store::Error as Store;
                if matches!(error, Store::DigestMismatch { .. } | Store::Archive(_) | Store::Document(_)) {
                    // no later attempt can use these bytes
                    self.partial.remove();
                }
                if matches!(error, Store::DigestMismatch { .. }) {
                    return Error::System(format!(
                        "filesystem layer verification failed for digest {}",
                        self.partial.digest
                    ));
                }
                error.into()
            }
        })
    }

    async fn attempt(&self, here: u64) -> Result<Unpacked, Fault> {
        let (feed, mut source) = self.partial.source(here);
        let (store, digest, size, job) = (self.store.clone(), self.partial.digest, self.partial.size, self.job.clone());
        let unpacked = tokio::task::spawn_blocking(move || store.unpack(&mut source, &digest, size, &job));
        let fetched = self.fetch(here, feed).await;
        let unpacked = unpacked.await.map_err(|e| Fault::Fetch(Error::system("unpack", e)))?;
        match (fetched, unpacked) {
            (Ok(()), Ok(layer)) => Ok(layer),
            (Err(error), Err(wharf_store::Error::Stream { .. })) => Err(Fault::Fetch(error)),
            (_, Err(error)) => Err(Fault::Unpack(error)),
            (Err(error), Ok(_)) => Err(Fault::Fetch(error)),
        }
    }

    /// Feeds the unpacker until the blob is complete.
    async fn fetch(&self, here: u64, feed: tokio::sync::mpsc::Sender<Bytes>) -> Result<()> {
        let mut at = here;
        self.tell.send_replace(State::Downloading(at));
        let mut told = Instant::now();
        let mut download = self.repository.download(&self.partial.digest, self.partial.size, here);
        loop {
            let step = download.next().await.inspect_err(|error| {
                if matches!(error, wharf_registry::client::Error::Lie(_)) {
                    self.partial.remove();
                }
            });
            match step? {
                Step::Data(piece) => {
                    at += piece.len() as u64;
                    if feed.send(piece).await.is_err() {
                        return Err(Error::System("the unpacking ended early".into()));
                    }
                    if told.elapsed() >= TELL {
                        told = Instant::now();
                        self.tell.send_replace(State::Downloading(at));
                    }
                }
                Step::Waiting(wait, error) => {
                    tracing::info!(blob = %self.partial.digest.short(), %error, "download broke; going on in {wait:?}");
                    self.tell.send_replace(State::Retrying(wait));
                }
                Step::End => break,
            }
        }
        self.tell.send_replace(State::Unpacking);
        // the end of the stream; a reader that is gone has its own error
        let _ = feed.send(Bytes::new()).await;
        Ok(())
    }
}

/// Where it failed.
enum Fault {
    Fetch(Error),
    Unpack(wharf_store::Error),
}
