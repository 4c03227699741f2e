use std::fmt;

/// One thing that is wrong with a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleError {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// What is wrong and what to do, in a sentence without control characters.
    pub message: String,
}

impl fmt::Display for RuleError {
    /// `LINE:COLUMN: what`; the caller knows the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for RuleError {}

/// What is wrong with an expression, and the byte of its text where.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// What a sentence repeats of a file or of the library that reads it.
pub(crate) fn harmless(text: &str) -> String {
    runward_detect::quote(text)
}
