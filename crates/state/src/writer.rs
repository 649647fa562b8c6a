//! The one thread that writes: takes everything that is queued, runs each closure in its own savepoint, commits once, then
//! answers those that do not wait for the disk and hands the others to the [`crate::syncer`].

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::syncer::{Answer, Message};
use crate::{Error, Result, Transaction};

/// When a closure's caller is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// After the commit: no process can lose it any more.
    Written,
    /// When it is on the disk: the machine cannot lose it any more.
    Synced,
}

struct Job {
    when: When,
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
    // both are `Some` until drop
    queue: Option<Sender<Vec<Job>>>,
    thread: Option<JoinHandle<()>>,
    /// What is to be committed with the next job.
    riders: Mutex<Vec<Job>>,
}

impl Writer {
    /// `syncer`: who brings commits to the disk.
    pub(crate) fn start(connection: Connection, syncer: Sender<Message>) -> Result<Writer> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("wharf-state".into())
            .stack_size(STACK)
            .spawn(move || run(&connection, &receiver, &syncer))
            .map_err(Error::Thread)?;
        Ok(Writer { queue: Some(sender), thread: Some(thread), riders: Mutex::default() })
    }

    pub(crate) fn submit<T, E>(
        &self,
        when: When,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let mut jobs = std::mem::take(&mut *self.riders());
        jobs.push(job(when, f, done));
        self.send(jobs);
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
        self.riders().push(job(When::Written, f, done));
    }

    fn riders(&self) -> MutexGuard<'_, Vec<Job>> {
        self.riders.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn send(&self, jobs: Vec<Job>) {
        if let Some(queue) = &self.queue {
            // the thread lives as long as `self`
            let _ = queue.send(jobs);
        }
    }
}

fn job<T, E>(
    when: When,
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
    Job { when, run }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let riders = std::mem::take(&mut *self.riders());
        self.send(riders);
        drop(self.queue.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        // the last handle may die inside `done`, on the writer thread itself
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
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

fn run(connection: &Connection, queue: &Receiver<Vec<Job>>, syncer: &Sender<Message>) {
    while let Ok(first) = queue.recv() {
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(Error::from);
        let open = begun.is_ok().then_some(connection);
        let (mut written, mut synced) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(jobs) = next {
            for Job { when, run } in jobs {
                let answers = if when == When::Written { &mut written } else { &mut synced };
                answers.push(run(open));
            }
            let room = written.len() + synced.len() < GROUP;
            next = if room { queue.try_recv().ok() } else { None };
        }
        let outcome = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(Error::from));
        if outcome.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        if let Err(error) = &outcome {
            written.into_iter().chain(synced).for_each(|answer| answer(Some(error)));
            continue;
        }
        // first: whoever hears of the commit may ask when it is on the disk. The syncer lives longer than this thread
        let _ = syncer.send(Message::Committed(written.len() + synced.len(), synced));
        written.into_iter().for_each(|answer| answer(None));
    }
}
