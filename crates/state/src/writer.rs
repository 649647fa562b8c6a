//! The one thread that writes: takes everything that is queued, runs each closure in its own savepoint, commits once, then answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::{Error, Result, Transaction};

/// A queued closure: runs inside the open transaction (`None`: it could not be begun) and gives back its answer, to be sent
/// once the outcome of the commit is known.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;
/// Called with the outcome of the group's commit.
type Answer = Box<dyn FnOnce(Option<&Error>)>;

/// At most so many closures share a commit: bounds the time that the first of them waits.
const GROUP: usize = 256;
/// Stack of the writer thread in bytes; SQLite needs little.
const STACK: usize = 256 * 1024;

pub(crate) struct Writer {
    // both are `Some` until drop
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Writer> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("wharf-state".into())
            .stack_size(STACK)
            .spawn(move || run(&connection, &receiver))
            .map_err(Error::Thread)?;
        Ok(Writer { queue: Some(sender), thread: Some(thread) })
    }

    pub(crate) fn submit<T, E>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let job: Job = Box::new(move |connection| {
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
        if let Some(queue) = &self.queue {
            // the thread lives as long as `self`
            let _ = queue.send(job);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
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

fn run(connection: &Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(Error::from);
        let open = begun.is_ok().then_some(connection);
        let mut answers = vec![first(open)];
        while answers.len() < GROUP {
            let Ok(job) = queue.try_recv() else { break };
            answers.push(job(open));
        }
        let outcome = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(Error::from));
        if outcome.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            answer(outcome.as_ref().err());
        }
    }
}
