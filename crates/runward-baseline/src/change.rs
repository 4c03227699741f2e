//! The changelog of a baseline.

use runward_event::Time;

/// One line of the changelog. The shell keeps it; the state does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, by the clock of the server.
    pub at: Time,
    /// What.
    pub what: What,
    /// What it is about, as people read it.
    pub subject: String,
    /// The run that caused it, if a run did.
    pub run: Option<String>,
    /// Who or what decided.
    pub by: Actor,
    /// Why, in one sentence.
    pub why: String,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum What {
    /// Something became normal.
    Joined,
    /// Names were joined into one pattern.
    Generalised,
    /// Something new was seen, and is not normal yet.
    Opened,
    /// A person refused something new: it alerts whenever it is seen.
    Rejected,
    /// Something is no longer normal, by a person.
    Removed,
    /// Something was not seen for so long that its place was given up.
    Forgotten,
    /// The pipeline file, the image or the pinned actions changed, and the estimate began anew.
    Reset,
    /// The state began as that of another job, which this one was once called.
    Adopted,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The rules of this crate.
    Rule,
    /// A person, by the name that they are known under.
    Person(String),
}
