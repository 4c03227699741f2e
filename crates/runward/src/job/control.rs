//! The attendant's side of its socket: who asks, and what.
//!
//! Everybody can connect. Who is neither in the job nor root outside of every job is sent away at once; of the others,
//! each has a line to say and little time for it, and the oldest gives way when there are too many.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use runward_agent::Job;
use runward_sensor::Peer;

use super::wire::{Answer, REQUEST_MAX, Request, line, request};

/// Clients that have not said all yet.
const CLIENTS_MAX: usize = 16;
/// Connections that are taken at once.
const ACCEPTED_MAX: usize = 32;
/// How long a client may take for its line.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to read the answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Control {
    listener: UnixListener,
    clients: VecDeque<Client>,
}

struct Client {
    stream: UnixStream,
    peer: Peer,
    said: Vec<u8>,
    since: Instant,
}

/// Somebody who may ask, and did.
pub(crate) struct Asked {
    pub(crate) stream: UnixStream,
    pub(crate) peer: Peer,
    pub(crate) request: Request,
}

impl Control {
    pub(crate) fn new(listener: UnixListener) -> Control {
        Control {
            listener,
            clients: VecDeque::new(),
        }
    }

    /// Readable when there is something for [`Control::take`].
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.iter().map(|client| client.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(clients)
    }

    /// Takes what was asked since the last call. Never waits.
    pub(crate) fn take(&mut self, job: &Job) -> Vec<Asked> {
        self.accept(job);
        let mut asked = Vec::new();
        let clients = std::mem::take(&mut self.clients);
        for mut client in clients {
            match client.listen() {
                Heard::Request(request) => asked.push(Asked {
                    stream: client.stream,
                    peer: client.peer,
                    request,
                }),
                Heard::Nonsense => answer(&client.stream, &Answer::Malformed),
                Heard::Part if client.since.elapsed() < PATIENCE => self.clients.push_back(client),
                Heard::Part | Heard::End => {}
            }
        }
        asked
    }

    fn accept(&mut self, job: &Job) {
        for _ in 0..ACCEPTED_MAX {
            // Out of descriptors, or nobody there: the next call tries again.
            let Ok((stream, _)) = self.listener.accept() else {
                return;
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let peer = job.peer(stream.as_fd());
            let Some(peer) = peer.ok().filter(|peer| is_heard(*peer)) else {
                answer(&stream, &Answer::NotYours);
                continue;
            };
            if self.clients.len() >= CLIENTS_MAX {
                self.clients.pop_front();
            }
            self.clients.push_back(Client {
                stream,
                peer,
                said: Vec::new(),
                since: Instant::now(),
            });
        }
    }
}

fn is_heard(peer: Peer) -> bool {
    peer.place.is_some() || peer.is_stranger_root
}

enum Heard {
    Request(Request),
    Nonsense,
    Part,
    End,
}

impl Client {
    fn listen(&mut self) -> Heard {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Heard::End,
                Ok(read) => {
                    let read = bytes.get(..read).unwrap_or(&[]);
                    let end = read.iter().position(|byte| *byte == b'\n');
                    self.said
                        .extend_from_slice(read.get(..end.unwrap_or(read.len())).unwrap_or(&[]));
                    if end.is_some() {
                        return request(&self.said).map_or(Heard::Nonsense, Heard::Request);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Heard::Part,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::End,
            }
            if self.said.len() > REQUEST_MAX {
                return Heard::Nonsense;
            }
        }
    }
}

/// Answers in what fits into the stream's buffer; never waits. Who does not read it has itself to blame.
pub(crate) fn answer(mut stream: &UnixStream, answer: &Answer) {
    let _ = stream.write_all(&line(answer));
}

/// Answers with whatever length, on a thread that may wait.
pub(crate) fn answer_slowly(mut stream: &UnixStream, answer: &Answer) {
    let ready = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_write_timeout(Some(ANSWER_PATIENCE)));
    if ready.is_ok() {
        let _ = stream.write_all(&line(answer));
    }
}
