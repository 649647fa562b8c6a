//! Processes that ended: reaped, read to the end, recorded, told; in this order.

use std::time::Instant;

use rustix::process::WaitOptions;
use wharf_sys::failpoint;

use super::stdio::Reading;
use super::{EXIT_DRAIN, INIT, Keeper, STREAMS, exit};
use crate::protocol::{AttachEnd, Event, ExecState, Exit, ExitRecord, Snapshot, Target};

impl Keeper {
    pub(super) fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.next() {}
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if self.helper == Some(pid) {
                self.helper = None;
                self.log.compressed();
                continue;
            }
            let ended = self.processes.values_mut().find(|process| process.pid == pid && process.exit.is_none());
            // anything else is an orphan that came to the subreaper: reaping it was all there is to do
            if let Some(process) = ended {
                process.exit = Some(exit::of_status(status));
                let number = process.number;
                self.process_ended(number);
            }
        }
        if self.shared_pid && self.processes.get(&INIT).is_none_or(|init| init.exit.is_some()) {
            exit::kill_children();
        }
    }

    /// A process was reaped: whatever it left in its pipes is read at once, however full its clients are (it cannot be more
    /// than the pipes hold); what others may still write is waited for a little.
    pub(super) fn process_ended(&mut self, number: u32) {
        for stream in STREAMS {
            self.read_output(number, stream, Reading::Drain);
        }
        if let Some(process) = self.processes.get_mut(&number) {
            process.input = None;
            process.drain_until = Some(Instant::now() + EXIT_DRAIN);
        }
    }

    /// A process has ended and its output was read.
    pub(super) fn process_over(&mut self, number: u32) {
        let Some(process) = self.processes.remove(&number) else { return };
        let Some(exit) = process.exit else { return };
        for session in self.sessions.values_mut().filter(|session| session.process == number) {
            session.end(AttachEnd::Finished);
        }
        match process.target {
            Target::Init => self.container_over(exit),
            Target::Exec(id) => {
                self.tell(&Event::ExecExited { id: id.clone(), exit });
                self.ended.push_back(ExecState { id, process: process.started, exit: Some(exit) });
                if self.ended.len() > Snapshot::ENDED_MAX {
                    self.ended.pop_front();
                }
            }
        }
    }

    /// The log is complete, as both outputs have ended. Nobody hears of the end before it is recorded.
    pub(super) fn container_over(&mut self, exit: Exit) {
        let _ = failpoint::hit("shim.exit.before_record");
        // without room for the record the daemon at least hears of it now
        let written = exit::record(&self.exit_file, &ExitRecord { exit, log_lost: self.log_lost });
        if let Some(runtime) = &self.runtime {
            // now, as its control groups must be gone before the daemon hears of the end and removes its own
            runtime.delete();
        }
        // before anybody hears of it: the next keeper of this container takes the name as soon as it is told
        let _ = rustix::fs::unlink(&self.socket);
        self.listener = None;
        let _ = failpoint::hit("shim.exit.before_tell");
        self.exit = Some(exit);
        self.tell(&Event::Exited(exit));
        // a daemon that has heard of it brings it to the disk before it tells anybody; only without one is it ours to do
        let heard = self.conns.values().any(|conn| conn.is_flushed() && !conn.lost);
        self.unsynced = written.ok().filter(|_| !heard);
    }
}
