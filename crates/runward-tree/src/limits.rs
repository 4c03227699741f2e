/// How much a [`crate::Tree`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes kept. When there are more, finished processes without kept children are folded into their parents,
    /// oldest first, and those that did nothing on the network or to files before the others.
    pub processes: usize,
    /// Bytes of text (programs, arguments, working directories) kept. When there are more, the arguments of finished
    /// processes are shortened, oldest first; then finished processes are folded.
    pub text_bytes: usize,
    /// Programs kept for one process. When there are more, those between the oldest and the newest half are dropped.
    pub images_per_process: usize,
}

impl Default for Limits {
    /// 200,000 processes and 16 MiB of text, whichever comes first. That is room for about 50,000 compilers with
    /// ordinary arguments, and costs at most some 50 MB: the agent has 60 MB for everything.
    fn default() -> Limits {
        Limits {
            processes: 200_000,
            text_bytes: 16 << 20,
            images_per_process: 32,
        }
    }
}

/// What a [`crate::Tree`] gave up to stay inside its [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Finished processes that were folded into their parents.
    pub folded: u64,
    /// Events that named a new process while every place was taken by processes that are not known to have ended.
    pub refused: u64,
    /// Programs of processes that ran more of them than are kept.
    pub images: u64,
    /// Programs whose arguments were shortened.
    pub shortened: u64,
}

impl Dropped {
    /// Whether nothing was given up.
    pub fn is_empty(&self) -> bool {
        *self == Dropped::default()
    }
}
