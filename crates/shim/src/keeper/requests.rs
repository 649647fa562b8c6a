//! What daemons ask for.

use std::os::fd::OwnedFd;

use super::control::{self, Conn};
use super::process::Process;
use super::{INIT, Keeper, OOM_SCORE, STREAMS, set_oom_score, start};
use crate::protocol::{
    Attach, CloseStdin, Event, Exec, ExecState, Failure, ForeignExec, Frame, Held, Kind, Release, Reply, Resize,
    Snapshot, Started, Target,
};
use crate::wire::Packet;

impl Keeper {
    pub(super) fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        let Ok(Some(socket)) = control::accept(listener) else { return };
        if self.conns.len() < control::CONNECTIONS {
            let number = self.number();
            self.conns.insert(number, Conn::new(number, socket));
        }
    }

    pub(super) fn control(&mut self, number: u32) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        if conn.flush().is_err() {
            self.conns.remove(&number);
            return;
        }
        match conn.receive() {
            Ok(Some(frame)) => self.request(number, frame),
            Ok(None) => {}
            Err(_) => _ = self.conns.remove(&number),
        }
    }

    pub(super) fn request(&mut self, number: u32, mut frame: Frame) {
        let seq = frame.seq;
        let result = match frame.kind {
            Kind::Attach => self.attach(&mut frame).map(|_| None),
            Kind::AttachHeld => return self.attach_held(number, &mut frame),
            Kind::Release => self.release(&frame),
            Kind::Exec => self.exec(&mut frame),
            Kind::Resize => self.resize(&frame),
            Kind::CloseStdin => self.close_stdin(&frame),
            Kind::Query => return self.answer_snapshot(number, seq),
            Kind::Launch | Kind::Reply | Kind::Snapshot | Kind::Event | Kind::Unknown => Err(Failure::Unsupported),
        };
        let (reply, fd) = match result {
            Ok(None) => (Reply::Done, None),
            Ok(Some((started, pidfd))) => (Reply::Started(started), Some(pidfd)),
            Err(failure) => (Reply::Failed(failure), None),
        };
        self.answer(number, seq, &reply, fd);
    }

    /// Attaches a client; the session's number.
    fn attach(&mut self, frame: &mut Frame) -> Result<u32, Failure> {
        let attach: Attach = decode(frame)?;
        let socket = frame.fds.pop().ok_or_else(|| Failure::Malformed("attach without a socket".into()))?;
        let process = self.find(&attach.target)?.number;
        Ok(self.open_session(process, &attach, socket))
    }

    /// Attaches a client that is to be given the log first.
    fn attach_held(&mut self, conn: u32, frame: &mut Frame) {
        let seq = frame.seq;
        let position = self.log.position().map_err(|error| start::setup("look at the log", error));
        let opened = position.and_then(|log| self.attach(frame).map(|number| (log, number)));
        let answer = match opened {
            Ok((log, number)) => {
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.hold(conn);
                }
                let unfinished = STREAMS.map(|stream| self.log.unfinished(stream).to_vec());
                Frame::encode(Kind::Reply, seq, &(&Reply::Done, &Held { log, unfinished }))
            }
            Err(failure) => Frame::encode(Kind::Reply, seq, &Reply::Failed(failure)),
        };
        self.send(conn, answer, None);
    }

    fn release(&mut self, frame: &Frame) -> Result<Option<(Started, OwnedFd)>, Failure> {
        let Release { id } = decode(frame)?;
        // one that has gone needs nothing any more
        for session in self.sessions.values_mut().filter(|session| session.id == id) {
            session.release();
        }
        Ok(None)
    }

    pub(super) fn exec(&mut self, frame: &mut Frame) -> Result<Option<(Started, OwnedFd)>, Failure> {
        let (request, foreign): (Exec, Option<ForeignExec>) =
            frame.addition().map_err(|error| Failure::Malformed(error.to_string()))?;
        let mut sorted =
            start::Sorted::new(&request.fds, std::mem::take(&mut frame.fds), usize::from(request.attach.is_some()))?;
        if self.find(&Target::Exec(request.id.clone())).is_ok() {
            return Err(Failure::Malformed(format!("exec {} runs already", request.id)));
        }
        let socket = sorted.sockets.pop();
        let number = self.number();
        let init = self.find(&Target::Init)?;
        // inherited until the plan says otherwise: the container must not get the keeper's protection
        set_oom_score("0");
        let process = match (&self.runtime, &foreign) {
            (None, None) => start::exec(number, &request, init, sorted),
            (Some(runtime), Some(foreign)) => start::exec_foreign(number, &request, foreign, runtime),
            _ => Err(Failure::Malformed("an exec for another runtime".into())),
        };
        set_oom_score(OOM_SCORE);
        let process = process?;
        let started = process.started;
        let pidfd = rustix::io::fcntl_dupfd_cloexec(&process.pidfd, 3).map_err(|error| start::setup("dup", error))?;
        self.processes.insert(number, process);
        if let Some((attach, socket)) = request.attach.as_ref().zip(socket) {
            self.open_session(number, attach, socket);
        } else if let Some(process) = self.processes.get_mut(&number) {
            // nobody will ever type anything
            process.close_input(&self.poller);
        }
        Ok(Some((started, pidfd)))
    }

    pub(super) fn resize(&mut self, frame: &Frame) -> Result<Option<(Started, OwnedFd)>, Failure> {
        let Resize { target, width, height } = decode(frame)?;
        let process = self.find(&target)?;
        process.resize(width, height).map_err(|_| Failure::NoTarget("the process has no terminal".into()))?;
        Ok(None)
    }

    pub(super) fn close_stdin(&mut self, frame: &Frame) -> Result<Option<(Started, OwnedFd)>, Failure> {
        let CloseStdin { target } = decode(frame)?;
        let number = self.find(&target)?.number;
        if let Some(process) = self.processes.get_mut(&number) {
            process.close_input(&self.poller);
        }
        Ok(None)
    }

    /// A process that has not ended.
    pub(super) fn find(&self, target: &Target) -> Result<&Process, Failure> {
        let found = self.processes.values().find(|process| process.target == *target && process.exit.is_none());
        found.ok_or_else(|| match target {
            Target::Init => Failure::NotRunning("the container has ended".into()),
            Target::Exec(id) => Failure::NoTarget(format!("no exec {id} is running")),
        })
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let running = self.processes.values().filter_map(|process| match &process.target {
            Target::Init => None,
            Target::Exec(id) => Some(ExecState { id: id.clone(), process: process.started, exit: None }),
        });
        Snapshot {
            id: self.id.clone(),
            init: self.init,
            exit: self.exit,
            execs: running.chain(self.ended.iter().cloned()).collect(),
            attached: self.sessions.values().filter(|session| session.process == INIT).count() as u32,
            log_lost: self.log_lost,
        }
    }

    pub(super) fn init_pidfd(&self) -> Option<OwnedFd> {
        let init = self.processes.get(&INIT)?;
        rustix::io::fcntl_dupfd_cloexec(&init.pidfd, 3).ok()
    }

    pub(super) fn answer_snapshot(&mut self, number: u32, seq: u16) {
        let frame = Frame::encode(Kind::Snapshot, seq, &self.snapshot());
        let pidfd = self.init_pidfd();
        self.send(number, frame, pidfd);
    }

    pub(super) fn answer(&mut self, number: u32, seq: u16, reply: &Reply, fd: Option<OwnedFd>) {
        self.send(number, Frame::encode(Kind::Reply, seq, reply), fd);
    }

    pub(super) fn send(&mut self, number: u32, frame: Vec<u8>, fd: Option<OwnedFd>) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        if Packet::new(frame).and_then(|packet| conn.answer(packet, fd)).is_err() {
            self.conns.remove(&number);
        }
    }

    pub(super) fn tell(&mut self, event: &Event) {
        let frame = Frame::encode(Kind::Event, 0, event);
        self.conns.retain(|_, conn| Packet::new(frame.clone()).and_then(|packet| conn.event(packet)).is_ok());
    }
}

fn decode<T: serde::de::DeserializeOwned>(frame: &Frame) -> Result<T, Failure> {
    frame.decode().map_err(|error| Failure::Malformed(error.to_string()))
}
