use std::time::Duration;

use crate::Millis;

/// How busy a database is, as the connections to it show. Nothing is asked of it for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections that read.
    pub readers: Connections,
    /// Connections that write.
    pub writers: Connections,
    /// Statements and connections that it has failed since the program began.
    pub failures: u64,
    /// Changes of several statements that were begun.
    pub changes: u64,
    /// How long these have waited for their turn, all together.
    pub waited: Duration,
}

/// Connections of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub used: u32,
    /// Open, and in nobody's use.
    pub idle: u32,
    /// As many as there may be.
    pub most: u32,
}

/// Runs that wait for a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many there are.
    pub runs: i64,
    /// When the longest waiting one was heard of last.
    pub oldest_seen_at: Option<Millis>,
}
