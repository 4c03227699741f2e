/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database is away, full or too busy: the same may work later. Nothing was changed.
    #[error("the database can't answer now: {0}")]
    Unavailable(String),
    /// Another one has this name already.
    #[error("{0} exists already")]
    Exists(String),
    /// What the request stands on is not there, or belongs to somebody else.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// There are as many as there may be.
    #[error("there are as many {0} as there may be: end one that is no longer needed")]
    Full(&'static str),
    /// It was there, and was deleted because its organisation keeps such things no longer. A sentence for who asked.
    #[error("{0}")]
    Gone(&'static str),
    /// What is there now does not let it happen. A sentence for who asked.
    #[error("{0}")]
    Conflict(String),
    /// A text has a character that not every database keeps. Nothing was changed.
    #[error("a text has the character NUL, which can't be kept: leave it out")]
    Unkeepable,
    /// The database holds something that this version can't read.
    #[error("the database holds what can't be read: {0}")]
    Corrupt(String),
}
