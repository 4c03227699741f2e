use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use runward_event::OutputPlace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Gid, Stat, Uid, fchown, fstat, major, minor};
use rustix::net::{AddressFamily, sockopt::socket_domain};
use rustix::termios::isatty;

use super::message::{Line, MARK, Seen, write_setup};
use super::search::Search;

/// How long the end waits for a relay whose output nobody takes.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// The longest line that a relay sends, in bytes.
const LINE_MAX: usize = 64 << 10;
/// How many lines one look takes, so that a storm can't keep the caller from its signals for long.
const LINES_MAX: usize = 256;

/// A job's outputs, those that are looked at.
#[derive(Debug, Default)]
pub struct Outputs {
    relays: Vec<End>,
    stdout: Option<PipeWriter>,
    stderr: Option<PipeWriter>,
    notes: Vec<String>,
    untold: u64,
}

/// The agent's end of a relay.
#[derive(Debug)]
struct End {
    place: OutputPlace,
    control: UnixStream,
    received: Vec<u8>,
    /// Whether it has looked at all that it will.
    settled: bool,
    /// Reaped when this is dropped and it has ended; it may outlive us.
    child: Child,
}

/// What an output leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A pipe, a file or a local socket: somebody keeps what is written.
    Kept,
    Terminal,
    /// `/dev/null`.
    Nowhere,
    /// Another machine, or a device.
    Elsewhere,
}

impl Outputs {
    /// Starts a relay for each output of this process that can be looked at. `command` is the program that calls
    /// [`super::relay`]; `owner` is who the job runs as, who must be able to open its own outputs.
    pub fn interpose(
        search: &Search,
        command: &dyn Fn() -> Command,
        owner: Option<(u32, u32)>,
    ) -> Outputs {
        let mut outputs = Outputs::default();
        let (out, err) = (io::stdout(), io::stderr());
        let (out, err) = (out.as_fd(), err.as_fd());
        let same = is_same(out, err);
        let place = if same {
            OutputPlace::Output
        } else {
            OutputPlace::Stdout
        };
        outputs.stdout = outputs.begin(search, command, owner, (out, place));
        outputs.stderr = match (&outputs.stdout, same) {
            (Some(shared), true) => shared.try_clone().ok(),
            (None, true) => None,
            (_, false) => outputs.begin(search, command, owner, (err, OutputPlace::Stderr)),
        };
        if same && outputs.stderr.is_none() {
            outputs.stdout = None;
        }
        outputs
    }

    /// What a reader should know about what is not looked at, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Has the job write where the relays read. Those outputs without one stay what they are.
    pub fn lead(&mut self, command: &mut Command) {
        if let Some(stdout) = self.stdout.take() {
            command.stdout(stdout);
        }
        if let Some(stderr) = self.stderr.take() {
            command.stderr(stderr);
        }
    }

    /// Readable when something was found.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let open = self.relays.iter().filter(|end| !end.settled);
        open.map(|end| end.control.as_fd())
    }

    /// What was found since the last call. Does not wait.
    pub fn take(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for end in &mut self.relays {
            let gone = end.receive().is_err();
            end.read_lines(&mut seen, &mut self.untold);
            if gone && !end.settled && !end.received.contains(&b'\n') {
                // It was killed: what it copied last was not looked at, and nothing is copied any more.
                end.settled = true;
                self.notes
                    .push(format!("{} was not looked at to its end.", name(end.place)));
            }
        }
        seen
    }

    /// Waits until what was printed so far is looked at, when the command has ended.
    pub fn settle(&mut self) -> Vec<Seen> {
        for end in &mut self.relays {
            // It may have ended with its last writer.
            let _ = (&end.control).write_all(MARK);
        }
        let begun = Instant::now();
        let mut seen = self.take();
        while self.fds().next().is_some() {
            let Some(left) = SETTLE_MAX.checked_sub(begun.elapsed()) else {
                for end in self.relays.iter_mut().filter(|end| !end.settled) {
                    end.settled = true;
                    self.notes.push(format!(
                        "{} was not looked at to its end: nobody reads it.",
                        name(end.place)
                    ));
                }
                break;
            };
            let mut fds: Vec<_> = self
                .fds()
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            // Interrupted or not, the next look tells.
            let _ = poll(&mut fds, Timespec::try_from(left).ok().as_ref());
            drop(fds);
            seen.extend(self.take());
        }
        seen
    }

    /// How many findings there were beyond those that were told.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    fn begin(
        &mut self,
        search: &Search,
        command: &dyn Fn() -> Command,
        owner: Option<(u32, u32)>,
        (to, place): (BorrowedFd<'_>, OutputPlace),
    ) -> Option<PipeWriter> {
        let why = match kind(to) {
            Kind::Kept => match start(search, command, owner, (to, place)) {
                Ok((end, writer)) => {
                    self.relays.push(end);
                    return Some(writer);
                }
                Err(error) => error.to_string(),
            },
            Kind::Terminal => "it is a terminal".to_owned(),
            Kind::Nowhere => return None,
            Kind::Elsewhere => "it is a device or leads to another machine".to_owned(),
        };
        self.notes.push(format!(
            "{} is not searched for secrets: {why}.",
            name(place)
        ));
        None
    }
}

impl End {
    /// Takes what has come; an error when the other side is gone.
    fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        while self.received.len() < LINE_MAX {
            match self.control.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self
                    .received
                    .extend_from_slice(bytes.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_lines(&mut self, seen: &mut Vec<Seen>, untold: &mut u64) {
        for _ in 0..LINES_MAX {
            let Some(end) = self.received.iter().position(|byte| *byte == b'\n') else {
                if self.received.len() >= LINE_MAX {
                    self.received.clear();
                }
                return;
            };
            let line: Vec<u8> = self.received.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Line::Found(found)) => seen.push(found.seen(self.place)),
                Ok(Line::Settled(more)) => {
                    self.settled = true;
                    *untold += more;
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Where it goes on, the machine's first process reaps it.
        let _ = self.child.try_wait();
    }
}

fn start(
    search: &Search,
    command: &dyn Fn() -> Command,
    owner: Option<(u32, u32)>,
    (to, place): (BorrowedFd<'_>, OutputPlace),
) -> io::Result<(End, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    if let Some((uid, gid)) = owner {
        // A job opens `/dev/stdout` as the user that it runs as.
        fchown(&writer, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    let (control, theirs) = UnixStream::pair()?;
    // Nothing else of the caller's is kept: no folder, no terminal, and no environment by which a CI system would find it
    // and end it with the job.
    let child = command()
        .env_clear()
        .current_dir("/")
        .stdin(reader)
        .stdout(to.try_clone_to_owned()?)
        .stderr(OwnedFd::from(theirs))
        .spawn()?;
    write_setup(&control, &search.setup())?;
    control.set_nonblocking(true)?;
    let end = End {
        place,
        control,
        received: Vec::new(),
        settled: false,
        child,
    };
    Ok((end, writer))
}

fn kind(fd: BorrowedFd<'_>) -> Kind {
    if isatty(fd) {
        return Kind::Terminal;
    }
    let Ok(stat) = fstat(fd) else {
        return Kind::Nowhere;
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo | FileType::RegularFile => Kind::Kept,
        FileType::Socket if socket_domain(fd) == Ok(AddressFamily::UNIX) => Kind::Kept,
        FileType::CharacterDevice if is_null(&stat) => Kind::Nowhere,
        _ => Kind::Elsewhere,
    }
}

/// Number 1:3, by the kernel's list of devices (admin-guide/devices.txt).
fn is_null(stat: &Stat) -> bool {
    (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3)
}

/// Whether what is written to both comes out in one order.
fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(one), Ok(other)) = (fstat(one), fstat(other)) else {
        return false;
    };
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn name(place: OutputPlace) -> &'static str {
    match place {
        OutputPlace::Stdout => "Standard output",
        OutputPlace::Stderr => "Standard error",
        _ => "The output",
    }
}
