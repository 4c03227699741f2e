use std::sync::Arc;

use runward_event::{ProcessExec, ProcessId, Time};

use crate::{Arguments, Dependency, Step};

/// One process: from its fork to its exit, over every program that it ran.
#[derive(Debug)]
pub struct Process {
    /// Names the process in every event of its job.
    pub id: ProcessId,
    /// Its process id; 0 when no event told it.
    pub pid: u32,
    /// The process that made it.
    pub parent: Parent,
    /// The processes that it made and that are still kept, oldest first.
    pub children: Vec<ProcessId>,
    /// How many finished processes below it were folded away to keep memory bounded.
    pub folded: u64,
    /// When it was forked; for a process whose fork was not seen, the first time that an event named it.
    pub started: Time,
    /// Every program that it ran, oldest first. Empty until the first exec: it then still runs its parent's image.
    pub images: Vec<Image>,
    /// How it ended; `None` while it runs, and when the event of its end was lost.
    pub exit: Option<Exit>,
    /// The CI step that it belongs to: the one that its own environment names, else that of its parent.
    pub step: Option<Arc<Step>>,
    /// The innermost dependency whose scripts or build it belongs to.
    pub dependency: Option<Arc<Dependency>>,
}

/// Where a process comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Nowhere: it is the job's first process.
    Root,
    /// It was made by this process.
    Known(ProcessId),
    /// The event of its birth was lost. Never guessed.
    Unknown,
}

/// One program that a process ran.
#[derive(Clone, Debug)]
pub struct Image {
    /// When the process began to run it.
    pub time: Time,
    /// The program, with symbolic links followed; for a script, its interpreter.
    pub exe: String,
    /// The path that was handed to `execve`: for a script, the script.
    pub path: String,
    /// The arguments.
    pub args: Arguments,
    /// The working directory at that moment.
    pub cwd: String,
    /// The effective user id.
    pub uid: u32,
    /// The id of the container that it ran in.
    pub container: Option<String>,
    /// The fields that are incomplete: those that the event marked, and `args` when the tree shortened them.
    pub truncated: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// When.
    pub time: Time,
    /// What it returned; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Image {
    pub(crate) fn of(time: Time, exec: &ProcessExec) -> Image {
        Image {
            time,
            exe: exec.exe.clone(),
            path: exec.path.clone(),
            args: Arguments::of(&exec.args),
            cwd: exec.cwd.clone(),
            uid: exec.uid,
            container: exec.container.clone(),
            truncated: exec.truncated.clone(),
        }
    }

    /// What this image costs in memory, in bytes, near enough for a budget.
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.exe, &self.path, &self.cwd]
            .into_iter()
            .chain(&self.container)
            .chain(&self.truncated);
        let texts: usize = texts.map(|text| size_of::<String>() + text.len()).sum();
        texts + self.args.weight()
    }

    /// Keeps only the beginning of the arguments: at most `bytes` of text.
    ///
    /// The first argument stays, shortened if it must be, because it is how people name the process.
    pub(crate) fn shorten_args(&mut self, bytes: usize) {
        if self.args.shorten(MAX_SHORT_ARGS, bytes) {
            self.mark_truncated("args");
        }
    }

    /// Keeps only the beginning of every text, for when even short arguments are too much.
    pub(crate) fn shorten_all(&mut self, bytes: usize) {
        self.shorten_args(bytes);
        for (name, text) in [
            ("exe", &mut self.exe),
            ("path", &mut self.path),
            ("cwd", &mut self.cwd),
        ] {
            if text.len() > bytes {
                text.truncate(text.floor_char_boundary(bytes));
                text.shrink_to_fit();
                if !self.truncated.iter().any(|field| field == name) {
                    self.truncated.push(name.to_owned());
                }
            }
        }
    }

    fn mark_truncated(&mut self, field: &str) {
        if !self.truncated.iter().any(|name| name == field) {
            self.truncated.push(field.to_owned());
        }
    }
}

/// Empty arguments cost memory without adding text, so their number is limited too.
const MAX_SHORT_ARGS: usize = 16;
