//! How much a file of rules may have, and how much its rules may take.

/// Bytes of a file.
pub const FILE_BYTES: usize = 256 << 10;

/// Rules of a file.
pub const RULES: usize = 200;

/// Errors that are told of one file.
pub const ERRORS: usize = 100;

/// Bytes of one expression.
pub const EXPRESSION_BYTES: usize = 2_000;

/// Nodes of one expression, with what its macros become.
pub const EXPRESSION_NODES: usize = 500;

/// How deep an expression may be nested, and how long a chain of operators may be.
pub const EXPRESSION_DEPTH: usize = 64;

/// Steps that one expression may take at most, by the length of the lists that it goes through. A step takes some tens
/// of nanoseconds, so that no event takes longer than about a tenth of a second, whatever a job puts into it.
pub const STEPS: u64 = 1_000_000;

/// Bytes of a title, of `next`, and of a message as it is written.
pub const TEXT_BYTES: usize = 1_000;

/// Characters of an id.
pub const ID_CHARS: usize = 64;

/// Entries of a list of an event that expressions see.
pub const LIST: usize = 1_024;

/// Bytes of a text of an event that expressions see.
pub const TEXT: usize = 64 << 10;

/// Processes above one that expressions see.
pub const ANCESTORS: usize = 64;

/// Bytes of memory of one compiled regular expression.
pub const PATTERN_BYTES: usize = 256 << 10;

/// Regular expressions of a file.
pub const PATTERNS: usize = 200;

/// Findings of one rule in one job; past this they are counted.
pub const FINDINGS: u64 = 1_000;
