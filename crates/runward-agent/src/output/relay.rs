//! The process between a job and its output.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use runward_secrets::{Finder, Found, Stream};
use runward_sensor::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread, read, write};

use super::message::{FoundLine, Line, read_setup};
use super::search::Search;

/// How much is read at once, in bytes: what a pipe holds.
const READ: usize = 64 << 10;
/// After this long without output, what waits for the end of its line is looked at.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Runs the relay: from standard input to standard output, with the agent's socket as standard error. Returns when
/// nothing more can come, or nobody takes it any more.
pub fn relay() -> io::Result<()> {
    let mut control = UnixStream::from(owned(io::stderr())?);
    let search = Search::from(read_setup(&mut control)?);
    let relay = Relay {
        looker: Some(Looker {
            search,
            finder: None,
            stream: Stream::default(),
            waits: false,
            control,
        }),
        input: owned(io::stdin())?,
        output: owned(io::stdout())?,
        bytes: vec![0; READ],
    };
    relay.run()
}

struct Relay {
    /// `None` when the agent wants to know no more.
    looker: Option<Looker>,
    input: OwnedFd,
    output: OwnedFd,
    bytes: Vec<u8>,
}

/// Looks at what passes, and tells the agent.
struct Looker {
    search: Search,
    /// Made when the first bytes come: most of a second's hundredth.
    finder: Option<Finder>,
    stream: Stream,
    /// Whether something may wait for the end of its line.
    waits: bool,
    control: UnixStream,
}

impl Relay {
    fn run(mut self) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            // Nobody reads any more, and the job must learn it as it would have without us: by its own next write.
            if ready.closed {
                return Ok(());
            }
            if ready.input {
                if self.pass()? == 0 {
                    self.settle();
                    return Ok(());
                }
            } else if ready.pause
                && let Some(looker) = &mut self.looker
            {
                looker.peek();
            }
            if ready.agent {
                self.hear()?;
            }
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let mut fds = vec![
            PollFd::new(&self.input, PollFlags::IN),
            PollFd::new(&self.output, PollFlags::empty()),
        ];
        let mut patience = None;
        if let Some(looker) = &self.looker {
            fds.push(PollFd::new(&looker.control, PollFlags::IN));
            patience = looker.waits.then_some(&PAUSE);
        }
        let count = loop {
            match poll(&mut fds, patience) {
                Err(Errno::INTR) => {}
                counted => break counted?,
            }
        };
        let flags = |at: usize| fds.get(at).map_or(PollFlags::empty(), PollFd::revents);
        Ok(Ready {
            input: flags(0).intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            closed: flags(1).contains(PollFlags::ERR),
            agent: !flags(2).is_empty(),
            pause: count == 0,
        })
    }

    /// Passes on what is there, and looks at it. Returns how much it was.
    fn pass(&mut self) -> io::Result<usize> {
        let length = match read(&self.input, &mut self.bytes[..]) {
            Err(Errno::INTR | Errno::AGAIN) => return self.pass(),
            length => length?,
        };
        let boot_ns = Clock::boot_ns();
        let bytes = self.bytes.get(..length).unwrap_or_default();
        write_all(&self.output, bytes)?;
        if let Some(looker) = &mut self.looker {
            looker.look(boot_ns, bytes);
        }
        Ok(length)
    }

    /// The agent says that the command has ended, or is gone.
    fn hear(&mut self) -> io::Result<()> {
        let Some(looker) = &mut self.looker else {
            return Ok(());
        };
        let mut mark = [0; 16];
        if matches!(looker.control.read(&mut mark), Ok(1..)) {
            // What is in the pipe now was printed before. What processes that go on add to it is not waited for.
            let mut left = usize::try_from(ioctl_fionread(&self.input)?).unwrap_or(0);
            while left > 0 {
                match self.pass()? {
                    0 => break,
                    length => left = left.saturating_sub(length),
                }
            }
            self.settle();
        }
        self.looker = None;
        Ok(())
    }

    fn settle(&mut self) {
        if let Some(looker) = self.looker.take() {
            looker.settle();
        }
    }
}

/// What can be done without waiting.
struct Ready {
    input: bool,
    closed: bool,
    agent: bool,
    pause: bool,
}

impl Looker {
    fn look(&mut self, boot_ns: u64, bytes: &[u8]) {
        self.waits = true;
        let search = &self.search;
        let finder = self.finder.get_or_insert_with(|| search.clone().finder());
        let control = &self.control;
        self.stream
            .feed(finder, bytes, &mut |found| tell(control, boot_ns, found));
    }

    fn peek(&mut self) {
        self.waits = false;
        let control = &self.control;
        if let Some(finder) = &self.finder {
            let boot_ns = Clock::boot_ns();
            self.stream
                .peek(finder, &mut |found| tell(control, boot_ns, found));
        }
    }

    fn settle(mut self) {
        let control = &self.control;
        if let Some(finder) = &self.finder {
            let boot_ns = Clock::boot_ns();
            self.stream
                .finish(finder, &mut |found| tell(control, boot_ns, found));
        }
        say(control, &Line::Settled(self.stream.untold()));
    }
}

fn tell(control: &UnixStream, boot_ns: u64, found: Found) {
    say(control, &Line::Found(FoundLine::new(boot_ns, found)));
}

/// Should the agent be gone, nobody wants to know.
fn say(mut control: &UnixStream, line: &Line) {
    if let Ok(mut text) = serde_json::to_vec(line) {
        text.push(b'\n');
        let _ = control.write_all(&text);
    }
}

/// The reader may be slow, and it may have asked that nobody waits for it.
fn write_all(output: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(&output, bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&output, PollFlags::OUT)];
                // Interrupted or not, the next write tells.
                let _ = poll(&mut fds, None);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn owned(stream: impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}
