//! `runward job end` and `runward job status`: who is in a job, or root outside of every one, asks its attendant.

use std::fs;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::place;
use super::wire::{ANSWER_MAX, Answer, Policy, Request, Status, line, read};
use crate::cli::{JobEndOptions, JobStatusOptions, WatchOptions};
use crate::policy::sources::read_file;
use crate::{exit, output, policy};

/// How long an attendant may take for an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the agent waits for one attendant, and for all of them: a job can keep its own attendant busy, and must not
/// keep the agent from other jobs.
const GLANCE: Duration = Duration::from_secs(1);
const GLANCES: Duration = Duration::from_secs(10);
/// How long it waits for one that is to go on with a stage of its job.
const JOIN: Duration = Duration::from_secs(5);
/// How often one that is busy is asked again, and how long to wait before.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(300);
/// The columns of a terminal that does not say.
const WIDTH: u16 = 100;

pub(crate) fn end(options: &JobEndOptions) -> ExitCode {
    match report(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::FAILURE)
        }
    }
}

pub(crate) fn status(options: &JobStatusOptions) -> ExitCode {
    let found = jobs(|| Some(PATIENCE));
    if options.json {
        policy::print_json(&found);
        return ExitCode::SUCCESS;
    }
    if found.is_empty() {
        policy::print("No job is watched that you may know of.\n");
    }
    for status in found {
        policy::print(&status.line());
    }
    ExitCode::SUCCESS
}

/// The jobs whose attendants answer at once. Whoever is missing may be asked again.
pub(crate) fn jobs_at_a_glance() -> Vec<Status> {
    let began = Instant::now();
    jobs(|| Some(GLANCE).filter(|_| began.elapsed() < GLANCES))
}

/// What became of a stage whose job goes on.
pub(crate) enum Joined {
    /// The attendant holds it.
    Goes(Status),
    /// The job was ended before, and the stage now; with the reason.
    Killed(String),
}

/// Has the attendant of a job in stages go on with the next one.
pub(crate) fn join(job: &str, root: u32, last: bool) -> Result<Joined> {
    let request = Request::Join { root, last };
    match ask(&place::socket_of(job), &request, JOIN)? {
        Answer::Joined(status) => Ok(Joined::Goes(status)),
        Answer::Killed { why } => Ok(Joined::Killed(why)),
        Answer::Failed { why } => bail!("{why}"),
        _ => bail!("another stage of the same job still runs"),
    }
}

/// Tells the attendant of a job in stages that there are no more.
pub(crate) fn close(job: &str) {
    // It finds out by itself, later.
    let _ = ask(&place::socket_of(job), &Request::Over {}, GLANCE);
}

/// The jobs that this process may know of. `patience`: how long to wait for the next attendant; none: not at all.
fn jobs(patience: impl Fn() -> Option<Duration>) -> Vec<Status> {
    let sockets = place::sockets();
    let asked = sockets.iter().filter_map(|socket| {
        match ask(socket, &Request::Status {}, patience()?) {
            Ok(Answer::Status(status)) => Some(status),
            // Those of others, and of attendants that are gone.
            _ => None,
        }
    });
    asked.collect()
}

/// Hands a policy over to who holds the job that this process is in; `None` when it is in none. A job that is not held by
/// the service of this machine takes none: then nothing may begin.
pub(super) fn hand_over(watch: &WatchOptions) -> Result<Option<Status>> {
    let policy = Box::new(wanted(watch)?);
    let request = Request::Begin { policy };
    for socket in place::sockets() {
        match ask(&socket, &request, PATIENCE) {
            Ok(Answer::Tightened(status)) => return Ok(Some(status)),
            Ok(Answer::Refused { why }) => bail!("{why}"),
            Ok(Answer::Taken { job }) => bail!(
                "this is called from job {job}, which is watched already: its policy was taken when it began, and another one is refused"
            ),
            // Those of others, and of attendants that are gone.
            _ => {}
        }
    }
    Ok(None)
}

/// What the options ask for, as far as it can be had when a job is held already.
fn wanted(watch: &WatchOptions) -> Result<Policy> {
    let others = [
        ("--rules", watch.rules.is_some()),
        ("--block-list", !watch.block_list.is_empty()),
        ("--no-builtin-block-list", watch.no_builtin_block_list),
        ("--no-diff", watch.no_diff),
    ];
    let others = others.into_iter().filter(|(_, given)| *given);
    let file = watch
        .policy
        .as_deref()
        .map(|path| Ok::<_, anyhow::Error>((output::shown(path), read_file(path)?)))
        .transpose()?;
    Ok(Policy {
        egress_policy: watch.sources.egress_policy.clone(),
        allowed_endpoints: watch.sources.allowed_endpoints.clone(),
        denied_endpoints: watch.sources.denied_endpoints.clone(),
        file,
        fail_on: watch.fail_on.clone(),
        lockdown: watch.lockdown.clone(),
        others: others.map(|(name, _)| name.to_owned()).collect(),
    })
}

fn report(options: &JobEndOptions) -> Result<u8> {
    let stderr = stderr();
    let width = rustix::termios::tcgetwinsize(&stderr).map_or(0, |size| size.ws_col);
    let wants_colour = output::wants_colour(&|name| std::env::var_os(name).map(drop));
    let request = Request::End {
        width: if width == 0 { WIDTH } else { width },
        color: stderr.is_terminal() && wants_colour,
    };
    let socket = match &options.job {
        Some(id) => place::socket_of(id),
        None => mine()?,
    };
    for _ in 0..ATTEMPTS {
        let answer = ask(&socket, &request, PATIENCE)
            .with_context(|| format!("cannot ask the attendant at {}", socket.display()))?;
        match answer {
            Answer::Busy => thread::sleep(PAUSE),
            Answer::Reported {
                code,
                said,
                commands,
                summary,
                markdown,
            } => {
                if let Some(path) = &options.summary {
                    fs::write(path, markdown)
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
                for sentence in said {
                    output::say(sentence);
                }
                if !options.quiet {
                    let _ = stderr.lock().write_all(summary.as_bytes());
                }
                for command in commands {
                    output::command(&command);
                }
                return Ok(code);
            }
            Answer::Failed { why } => bail!("the reports could not be made: {why}"),
            _ => bail!("the job is not yours to end"),
        }
    }
    bail!("the attendant is busy with others who ask for the same: try again")
}

/// The one job that answers.
fn mine() -> Result<PathBuf> {
    let mut mine = place::sockets().into_iter().filter(|socket| {
        matches!(
            ask(socket, &Request::Status {}, PATIENCE),
            Ok(Answer::Status(_))
        )
    });
    match (mine.next(), mine.next()) {
        (Some(socket), None) => Ok(socket),
        (None, _) => {
            bail!("this is called from no job that is watched: `sudo runward job start` begins one")
        }
        (Some(_), Some(_)) => {
            bail!("more than one job is watched: name one with --job (see `runward job status`)")
        }
    }
}

fn ask(socket: &Path, request: &Request, patience: Duration) -> std::io::Result<Answer> {
    let mut stream = connect(socket, patience)?;
    // Nobody else may answer in an attendant's name.
    if !socket_peercred(&stream)?.uid.is_root() {
        return Err(std::io::Error::other("it does not belong to root"));
    }
    stream.set_read_timeout(Some(patience))?;
    // Who has no business with the job may have been sent away before this arrives.
    let _ = stream.write_all(&line(request));
    let _ = stream.shutdown(Shutdown::Write);
    read(&stream, ANSWER_MAX)
}

/// Where too many wait to be let in already, this does, too, but no longer than it has patience.
fn connect(socket: &Path, patience: Duration) -> std::io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC;
    let stream = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let stream = UnixStream::from(stream);
    stream.set_write_timeout(Some(patience))?;
    net::connect(&stream, &SocketAddrUnix::new(socket)?)?;
    Ok(stream)
}
