//! How much of a job a report keeps. A job can do as much as it likes; a report stays a file that opens.

/// Connections that are listed one by one. Further ones are summed in their destination.
pub const NETWORK_ROWS: usize = 50_000;

/// File changes that are listed one by one.
pub const FILE_ROWS: usize = 50_000;

/// Changes of tracked source files that are listed in addition to [`FILE_ROWS`], so that a flood of new files cannot
/// hide an altered one.
pub const TRACKED_ROWS: usize = 10_000;

/// Processes that are listed one by one.
pub const PROCESS_ROWS: usize = 50_000;

/// Containers whose names are given.
pub const CONTAINERS: usize = 1000;

/// Findings of one detection that are listed one by one, so that a flood of one kind cannot hide another.
pub const DETECTIONS: usize = 10_000;

/// Words of a lockdown's list that are given.
pub const LOCKDOWN: usize = 100;

/// Destinations that are summed apart. Connections to further ones are summed together.
pub const DESTINATIONS: usize = 10_000;

/// Refusals that are summed apart, by destination, protocol and reason. Further ones are counted only.
pub const BLOCKED: usize = 10_000;

/// Rules of the policy that are listed.
pub const POLICY_RULES: usize = 20_000;

/// Names in DNS questions that are summed apart. Questions for further ones are summed together.
pub const DNS_NAMES: usize = 10_000;

/// Connections that may be open at the same time and still get their bytes and their outcome; and connections that are
/// remembered as blocked, so that each is counted once.
pub const OPEN_CONNECTIONS: usize = 100_000;

/// Different values in one list of a sum: the addresses, programs, steps or dependencies of a destination.
pub const SET: usize = 50;

/// Notes of the record that are kept.
pub const NOTES: usize = 100;

/// Kinds that this version does not know and that are counted by name.
pub const UNKNOWN_KINDS: usize = 50;

/// Programs that a process ran before its last one.
pub const EARLIER_IMAGES: usize = 16;

/// Ancestors that a row names, from the parent up.
pub const LINEAGE: usize = 64;

/// Bytes of arguments that a row gives of the process that it is about.
pub const ROW_ARGS: usize = 8 << 10;

/// Bytes of arguments that a row gives of each ancestor.
pub const LINEAGE_ARGS: usize = 1 << 10;

/// Bytes of one path or name; the kernel's own limit for a path.
pub const PATH: usize = 4096;

/// Bytes of process details in all rows of connections, refusals and file changes together. Past this, a row names its process
/// by id, pid and program only; arguments and ancestors stand in `processes`.
pub const ROW_DETAILS: usize = 64 << 20;

/// Bytes of process details in all findings together; past this they are as short as rows.
pub const FINDING_DETAILS: usize = 64 << 20;

/// Bytes of one diff. The sensor keeps to less; a record that was made by something else need not.
pub const DIFF: usize = 32 << 10;

/// Bytes of the diffs in all findings together.
pub const DIFFS: usize = 8 << 20;

/// Bytes of paths in all rows of file changes together.
pub const ROW_PATHS: usize = 16 << 20;

/// Bytes of arguments in all of `processes` together. Past this, arguments are left out and marked as truncated.
pub const PROCESS_ARGS: usize = 64 << 20;

/// Bytes of arguments in `report.html`, which a browser must hold.
pub const HTML_ARGS: usize = 24 << 20;

/// Bytes of arguments of one process in `report.html`.
pub const HTML_ARGS_EACH: usize = 16 << 10;
