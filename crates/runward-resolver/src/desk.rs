//! The order of things: read, judge, find or ask, bind, answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::accept::Inquiry;
use crate::answer::{Answer, Reason, write_bare};
use crate::cache::Cache;
use crate::counters::Tally;
use crate::exchange;
use crate::gate::{Asker, Gate, Judgement, Kept, Kind, Question, Transport};
use crate::pool::{Pool, Upstreams};
use crate::question::{self, Asked, Head, Unusual};

/// The most questions that are upstream at once, each of which holds a socket.
const MOST_FLIGHTS: usize = 512;

/// The most questions of one listener that wait for an answer at once: a job that asks much does not stop the others.
const MOST_WAITING: usize = 256;

/// The longest message over TCP, in bytes; its length is written in two.
const MOST_TCP: usize = 65_535;

/// Where questions of all listeners are handled.
pub(crate) struct Desk {
    pub(crate) tally: Tally,
    gate: Arc<dyn Gate>,
    cache: Mutex<Cache>,
    pool: Mutex<Pool>,
    flights: Mutex<HashMap<Box<[u8]>, Vec<Waiter>>>,
}

/// One listener: the caller's number for it, and how many of its questions may still wait.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    waiting: Arc<Semaphore>,
}

/// How an answer that has to be waited for is sent. It does not keep a socket open whose listener has ended.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Udp(Weak<UdpSocket>),
    Tcp(mpsc::Sender<Vec<u8>>),
}

/// What becomes of a message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// The answer stands in the buffer.
    Answer,
    /// There is none yet, or none at all.
    Nothing,
}

/// A client that waits for an upstream's answer.
#[derive(Debug)]
struct Waiter {
    client: Client,
    section: Box<[u8]>,
    way: Way,
    _permit: OwnedSemaphorePermit,
}

/// Who asked, under which name, and how the answer must look.
#[derive(Debug)]
struct Client {
    asker: Asker,
    head: Head,
    name: String,
}

impl Place {
    pub(crate) fn new(id: u64) -> Self {
        Place {
            id,
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        }
    }
}

impl Desk {
    pub(crate) fn new(upstreams: &Upstreams, gate: Arc<dyn Gate>) -> Self {
        Desk {
            tally: Tally::default(),
            gate,
            cache: Mutex::new(Cache::new()),
            pool: Mutex::new(Pool::new(upstreams)),
            flights: Mutex::default(),
        }
    }

    pub(crate) fn replace_upstreams(&self, upstreams: &Upstreams) {
        *lock(&self.pool) = Pool::new(upstreams);
    }

    /// Handles a client's message. Must run inside of the runtime.
    pub(crate) fn take(
        self: &Arc<Self>,
        place: &Place,
        client: SocketAddr,
        bytes: &[u8],
        way: &Way,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Now {
        let asked = match question::read(bytes) {
            Ok(asked) => asked,
            Err(unusual) => return self.turn_away(&unusual, out),
        };
        self.tally.questions.one();
        let client = Client {
            asker: Asker {
                listener: place.id,
                transport: way.transport(),
                client,
            },
            head: asked.head,
            name: asked.text(),
        };
        let question = Question {
            name: &client.name,
            kind: Kind(asked.kind.into()),
        };
        if self.gate.judge(&client.asker, &question) == Judgement::Refuse {
            self.tally.refused.one();
            // Not REFUSED: that makes a client try its other servers and then call it a temporary failure, which
            // package managers try again and again.
            let code = ResponseCode::NXDomain;
            write_bare(
                out,
                &client.head,
                asked.section,
                code,
                Some(Reason::Blocked),
            );
            return Now::Answer;
        }
        let key = asked.key();
        let found = lock(&self.cache).find(key.as_slice(), now);
        if let Some((answer, age)) = found {
            self.tally.from_cache.one();
            self.answer(&client, asked.section, &answer, age, out);
            return Now::Answer;
        }
        let Ok(permit) = Arc::clone(&place.waiting).try_acquire_owned() else {
            return self.overload(&asked, out);
        };
        let waiter = Waiter {
            client,
            section: asked.section.into(),
            way: way.clone(),
            _permit: permit,
        };
        if !self.wait(key.as_slice(), waiter, &asked) {
            return self.overload(&asked, out);
        }
        Now::Nothing
    }

    fn turn_away(&self, unusual: &Unusual<'_>, out: &mut Vec<u8>) -> Now {
        self.tally.unusual.one();
        match unusual {
            Unusual::Ignore => Now::Nothing,
            Unusual::Answer {
                head,
                section,
                code,
            } => {
                write_bare(out, head, section, *code, None);
                Now::Answer
            }
        }
    }

    fn overload(&self, asked: &Asked<'_>, out: &mut Vec<u8>) -> Now {
        self.tally.overload.one();
        write_bare(
            out,
            &asked.head,
            asked.section,
            ResponseCode::ServFail,
            None,
        );
        Now::Answer
    }

    /// Joins those who wait for the same answer, or goes upstream. Says whether there was room.
    fn wait(self: &Arc<Self>, key: &[u8], waiter: Waiter, asked: &Asked<'_>) -> bool {
        let mut flights = lock(&self.flights);
        if let Some(waiting) = flights.get_mut(key) {
            self.tally.coalesced.one();
            waiting.push(waiter);
            return true;
        }
        if flights.len() >= MOST_FLIGHTS {
            return false;
        }
        self.tally.forwarded.one();
        flights.insert(key.into(), vec![waiter]);
        let inquiry = Inquiry {
            name: asked.name.to_lowercase(),
            kind: asked.kind,
            dnssec: asked.dnssec(),
            checking_disabled: asked.head.checking_disabled,
        };
        tokio::spawn(Arc::clone(self).fly(key.into(), inquiry));
        true
    }

    /// Asks upstream, and answers all who wait for it.
    async fn fly(self: Arc<Self>, key: Box<[u8]>, inquiry: Inquiry) {
        let answer = self.ask(&inquiry).await.map(Arc::new);
        if let Some(answer) = &answer {
            lock(&self.cache).keep(key.clone(), Arc::clone(answer), Instant::now());
        }
        let waiting = lock(&self.flights).remove(&key).unwrap_or_default();
        let mut out = Vec::new();
        for waiter in waiting {
            let head = &waiter.client.head;
            match &answer {
                Some(answer) => self.answer(&waiter.client, &waiter.section, answer, 0, &mut out),
                None => {
                    self.tally.unanswered.one();
                    let code = ResponseCode::ServFail;
                    let reason = Some(Reason::Unreachable);
                    write_bare(&mut out, head, &waiter.section, code, reason);
                }
            }
            self.send(&waiter, &out);
        }
    }

    async fn ask(&self, inquiry: &Inquiry) -> Option<Answer> {
        let reply = exchange::ask(inquiry, &self.pool, &self.tally).await?;
        let (answer, left_out) = Answer::new(inquiry, reply)?;
        self.tally.unrelated.add(left_out.unrelated);
        self.tally.removed.add(left_out.beyond);
        self.tally.stripped.add(left_out.stripped);
        Some(answer)
    }

    /// Binds the addresses of an answer and writes it, or what the gate leaves of it.
    fn answer(
        &self,
        client: &Client,
        section: &[u8],
        answer: &Answer,
        age: u32,
        out: &mut Vec<u8>,
    ) {
        let addresses = answer.addresses(age);
        if addresses.is_empty() {
            return self.write(client, section, answer, age, None, out);
        }
        match self.gate.bind(&client.asker, &client.name, &addresses) {
            Ok(Kept::All) => self.write(client, section, answer, age, None, out),
            Ok(Kept::Only(kept)) => {
                let some = addresses.iter().filter(|bound| kept.contains(&bound.ip));
                let removed = addresses.len() - some.count();
                self.tally.removed.add(removed as u64);
                let reason = (removed == addresses.len()).then_some(Reason::Blocked);
                match answer.only(&kept) {
                    Some(rest) => self.write(client, section, &rest, age, reason, out),
                    None => write_bare(out, &client.head, section, ResponseCode::ServFail, None),
                }
            }
            Err(_) => {
                self.tally.unbound.one();
                write_bare(out, &client.head, section, ResponseCode::ServFail, None);
            }
        }
    }

    fn write(
        &self,
        client: &Client,
        section: &[u8],
        answer: &Answer,
        age: u32,
        reason: Option<Reason>,
        out: &mut Vec<u8>,
    ) {
        let room = match client.asker.transport {
            Transport::Udp => client.head.room(),
            Transport::Tcp => MOST_TCP,
        };
        if answer.write(out, &client.head, section, age, room, reason) {
            self.tally.truncated.one();
        }
    }

    fn send(&self, waiter: &Waiter, bytes: &[u8]) {
        let sent = match &waiter.way {
            Way::Udp(socket) => socket.upgrade().is_some_and(|socket| {
                let to = waiter.client.asker.client;
                socket.try_send_to(bytes, to).is_ok()
            }),
            Way::Tcp(queue) => queue.try_send(bytes.to_vec()).is_ok(),
        };
        if !sent {
            self.tally.unsent.one();
        }
    }
}

impl Way {
    fn transport(&self) -> Transport {
        match self {
            Way::Udp(_) => Transport::Udp,
            Way::Tcp(_) => Transport::Tcp,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics while it holds a lock, and a poisoned one would stop every job.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
