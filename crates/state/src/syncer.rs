//! The thread that waits for the disk for those who cannot: brings the write-ahead log there, at once when somebody waits for it
//! and a little later when nobody does.
//!
//! Beside the writer, so that a commit that waits for no disk never stands behind one that does.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::disk::Disk;
use crate::{Error, Reach, Result};

/// Called with the outcome.
pub(crate) type Answer = Box<dyn FnOnce(Option<&Error>) + Send>;

/// How long what was committed without waiting may stay out of the disk: long enough that whole lives of short containers
/// share one turn, short enough that nobody can have done much in the meantime.
const LAG: Duration = Duration::from_millis(50);

/// Stack of the thread in bytes; the checkpoint needs most of it.
const STACK: usize = 256 * 1024;

pub(crate) enum Message {
    /// Something was committed, and these wait until it has got so far (nobody, perhaps).
    Committed(Vec<(Reach, Answer)>),
    /// Wants to know when all that was committed so far has reached the disk, and does not press.
    Watching(Answer),
}

pub(crate) struct Syncer {
    // both are `Some` until drop
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// `reader`: a connection that checkpoints.
    pub(crate) fn start(disk: Arc<Disk>, reader: Arc<Mutex<Connection>>) -> Result<Syncer> {
        let (sender, messages) = channel();
        let work = Work { disk, reader, answers: Vec::new(), reach: Reach::Disk, due: None };
        let thread = std::thread::Builder::new()
            .name("wharf-sync".into())
            .stack_size(STACK)
            .spawn(move || work.run(&messages))
            .map_err(Error::Thread)?;
        Ok(Syncer { sender: Some(sender), thread: Some(thread) })
    }

    pub(crate) fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // the thread lives as long as `self`
            let _ = sender.send(message);
        }
    }

    /// For the writer, which ends before this one.
    pub(crate) fn sender(&self) -> Option<Sender<Message>> {
        self.sender.clone()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        drop(self.sender.take());
        let Some(thread) = self.thread.take() else { return };
        // the last handle may die inside an answer, on the thread itself
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

struct Work {
    disk: Arc<Disk>,
    reader: Arc<Mutex<Connection>>,
    answers: Vec<Answer>,
    /// The most that one of them wants.
    reach: Reach,
    /// When the next sync has to be; `None`: nobody has said that there is anything to do.
    due: Option<Instant>,
}

impl Work {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let message = match self.due {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match message {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.sync();
                    return;
                }
            }
            while let Ok(message) = messages.try_recv() {
                self.take(message);
            }
            if self.due.is_some_and(|at| at <= Instant::now()) {
                self.sync();
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Committed(waiting) => {
                self.within(if waiting.is_empty() { LAG } else { Duration::ZERO });
                for (reach, answer) in waiting {
                    self.reach = self.reach.max(reach);
                    self.answers.push(answer);
                }
            }
            Message::Watching(answer) if self.disk.is_current() => answer(None),
            Message::Watching(answer) => {
                self.within(LAG);
                self.answers.push(answer);
            }
        }
    }

    fn within(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn sync(&mut self) {
        if self.due.take().is_none() {
            return;
        }
        let reach = std::mem::replace(&mut self.reach, Reach::Disk);
        let failed = self.disk.sync(self.disk.last(), reach).err();
        for answer in std::mem::take(&mut self.answers) {
            answer(failed.as_ref());
        }
        if self.disk.wants_checkpoint() {
            self.disk.checkpointed();
            let reader = self.reader.lock().unwrap_or_else(|e| e.into_inner());
            // what cannot be moved now (a reader stands on it) is moved the next time
            let _ = reader.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }
}
