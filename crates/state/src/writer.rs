//! The queue of closures and its commits: whoever has the connection takes everything that is queued, runs each closure in its
//! own savepoint, commits once, then answers those that do not wait for the disk and hands the others to the [`crate::syncer`].
//!
//! Who may block commits on its own thread; a thread of ours does it for those who may not.

use std::sync::mpsc::{Sender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::disk::Disk;
use crate::syncer::{Answer, Message};
use crate::{Error, Reach, Result, Transaction};

struct Job {
    reach: Reach,
    run: Run,
}

/// A queued closure: runs inside the open transaction (`None`: it could not be begun) and gives back its answer, to be sent
/// once the outcome of the commit is known.
type Run = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;

/// At most so many closures share a commit: bounds the time that the first of them waits.
const GROUP: usize = 256;
/// Stack of the writer thread in bytes; SQLite needs little.
const STACK: usize = 256 * 1024;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    // `Some` until drop
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    connection: Mutex<Connection>,
    queue: Mutex<Queue>,
    /// Rung when something was queued for the thread.
    bell: Condvar,
    disk: Arc<Disk>,
    syncer: Sender<Message>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// What is to be committed with the next job.
    riders: Vec<Job>,
    /// Nobody will queue anything any more.
    closed: bool,
}

impl Writer {
    pub(crate) fn start(connection: Connection, disk: Arc<Disk>, syncer: Sender<Message>) -> Result<Writer> {
        let connection = Mutex::new(connection);
        let shared = Arc::new(Shared { connection, queue: Mutex::default(), bell: Condvar::new(), disk, syncer });
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("wharf-state".into())
            .stack_size(STACK)
            .spawn(move || of_thread.serve())
            .map_err(Error::Thread)?;
        Ok(Writer { shared, thread: Some(thread) })
    }

    /// Queues a closure for the thread.
    pub(crate) fn submit<T, E>(
        &self,
        reach: Reach,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.shared.queue().push(job(reach, f, done));
        self.shared.bell.notify_one();
    }

    /// Commits a closure, and what was queued before it, on the calling thread.
    pub(crate) fn write<T, E>(
        &self,
        reach: Reach,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (sender, answer) = sync_channel(1);
        let done = move |result| {
            // waited for below
            let _ = sender.send(result);
        };
        // the disk is this thread's business, not the syncer's
        self.shared.queue().push(job(Reach::Processes, f, done));
        self.shared.commit(reach == Reach::Processes);
        // somebody else may have taken it, whose answer comes in a moment
        let value = answer.recv().unwrap_or_else(|_| Err(E::from(Error::Closed)))?;
        self.shared.disk.sync(self.shared.disk.last(), reach)?;
        Ok(value)
    }

    /// Keeps a closure for the next job's commit.
    pub(crate) fn ride<T, E>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.shared.queue().riders.push(job(Reach::Processes, f, done));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().close();
        self.shared.bell.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // the last handle may die inside `done`, on the writer thread itself
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&mut self, job: Job) {
        let Queue { jobs, riders, .. } = self;
        jobs.append(riders);
        jobs.push(job);
    }

    fn group(&mut self) -> Vec<Job> {
        match self.jobs.len() {
            0..=GROUP => std::mem::take(&mut self.jobs),
            _ => self.jobs.drain(..GROUP).collect(),
        }
    }

    fn close(&mut self) {
        let Queue { jobs, riders, closed } = self;
        jobs.append(riders);
        *closed = true;
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn serve(&self) {
        loop {
            let mut queue = self.queue();
            while queue.jobs.is_empty() && !queue.closed {
                queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let closed = queue.closed;
            drop(queue);
            self.commit(true);
            if closed {
                return;
            }
        }
    }

    /// Commits everything that is queued. `tell`: the syncer hears of it also when none of them waits for the disk.
    fn commit(&self, tell: bool) {
        while self.commit_group(tell) {}
    }

    /// `false`: nothing is queued any more.
    fn commit_group(&self, tell: bool) -> bool {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // only now: what was queued first is committed first
        let jobs = self.queue().group();
        if jobs.is_empty() {
            return false;
        }
        let closures = jobs.len();
        let begun = begin(&connection);
        let open = begun.is_ok().then_some(&*connection);
        let (mut written, mut waiting) = (Vec::new(), Vec::new());
        for Job { reach, run } in jobs {
            match reach {
                Reach::Processes => written.push(run(open)),
                Reach::Disk | Reach::DiskWithFolders => waiting.push((reach, run(open))),
            }
        }
        let outcome = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(Error::from));
        if outcome.is_ok() {
            self.disk.committed(closures);
        } else if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        drop(connection);
        match &outcome {
            Ok(()) if tell || !waiting.is_empty() || self.disk.wants_checkpoint() => {
                // first: whoever hears of the commit may ask when it is on the disk. The syncer lives longer than the writer
                let _ = self.syncer.send(Message::Committed(waiting));
            }
            Ok(()) => {}
            Err(error) => waiting.into_iter().for_each(|(_, answer)| answer(Some(error))),
        }
        let failed = outcome.err();
        written.into_iter().for_each(|answer| answer(failed.as_ref()));
        true
    }
}

fn begin(connection: &Connection) -> Result<()> {
    if !connection.is_autocommit() {
        // a closure that panicked has left its transaction
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(connection.execute_batch("BEGIN IMMEDIATE")?)
}

fn job<T, E>(
    reach: Reach,
    f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    done: impl FnOnce(Result<T, E>) + Send + 'static,
) -> Job
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let run: Run = Box::new(move |connection| {
        let result = match connection {
            Some(connection) => in_savepoint(connection, f),
            None => Err(E::from(Error::Commit("no transaction".into()))),
        };
        Box::new(move |failed| {
            done(match failed {
                // the group did not reach the disk: a closure that succeeded has not happened either
                Some(error) if result.is_ok() => Err(E::from(Error::Commit(error.to_string()))),
                _ => result,
            });
        })
    });
    Job { reach, run }
}

fn in_savepoint<T, E: From<Error>>(
    connection: &Connection,
    f: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let sql = |statement: &str| connection.prepare_cached(statement)?.execute([]).map(drop);
    sql("SAVEPOINT job").map_err(Error::from)?;
    match f(&Transaction::new(connection)) {
        Ok(value) => {
            sql("RELEASE job").map_err(Error::from)?;
            Ok(value)
        }
        Err(error) => {
            sql("ROLLBACK TO job").and_then(|()| sql("RELEASE job")).map_err(Error::from)?;
            Err(error)
        }
    }
}
