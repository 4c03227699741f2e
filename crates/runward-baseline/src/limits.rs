//! How large everything may become, whatever a job does. What is given up for a bound is counted.

/// Bytes of a job's state, if it is full of the longest names that there can be. Real ones have about 11,000.
pub const STATE_BYTES: usize = 576 << 10;

/// Of these, bytes that a newer version may have added behind what this one knows.
pub(crate) const REST_BYTES: usize = 64 << 10;

/// Bytes of the state of a project or an organisation.
pub const SCOPE_BYTES: usize = 512 << 10;

/// Keys that a project or an organisation knows.
pub const SCOPE_KEYS: usize = 20_000;

/// Calls and overwritten files of one run that are looked at.
pub const CALLS: usize = 20_000;

/// Anomalies that one judgement lists.
pub const ANOMALIES: usize = 100;

/// Keys that are asked for to judge one run.
pub const KEYS: usize = 1_000;

/// Bytes of an [`crate::AnomalyKey`].
pub const KEY_BYTES: usize = 512;

/// Destinations that are normal for one job. The longest list in use that we know of has 62.
pub(crate) const PLACES: usize = 200;

/// New things of one run that become normal while a baseline is being created.
pub(crate) const NEWS: usize = 300;

/// Files that one job overwrites as a rule.
pub(crate) const FILES: usize = 64;

/// Programs with their dependencies that one job knows.
pub(crate) const ACTORS: usize = 160;

/// Of these, how many one destination or file knows.
pub(crate) const USES: usize = 8;

/// Steps that one job knows, and that one destination or file knows.
pub(crate) const STEPS: usize = 48;
pub(crate) const STEPS_OF_MEMBER: usize = 8;

/// New things that nobody has answered.
pub(crate) const OPEN: usize = 48;

/// Commits that one new thing was seen with; the most that a recurrence can ask for.
pub(crate) const COMMITS: usize = 64;

/// Names, programs and steps that are kept of one new thing, and names that are shown of one pattern.
pub(crate) const SAMPLES: usize = 4;

/// Patterns of one job.
pub(crate) const PATTERNS: usize = 48;

/// Names of runs that are remembered, so that none is taken in twice.
pub(crate) const RUNS: usize = 512;

/// Versions of one part of the context that are remembered, so that branches which differ are not changes.
pub(crate) const VERSIONS: usize = 16;

/// Places where one program is known to meet new names all the time.
pub(crate) const NOISES: usize = 3;

/// Bytes of a destination that is a name with its port, or of a path.
pub(crate) const PLACE_BYTES: usize = 272;

/// Bytes of a destination that is not a name.
pub(crate) const ODD_BYTES: usize = 64;

/// Bytes of a domain below which strangers have names.
pub(crate) const PARENT_BYTES: usize = 112;

/// Bytes of a program, a dependency, a step, a person.
pub(crate) const PROGRAM_BYTES: usize = 112;
pub(crate) const DEPENDENCY_BYTES: usize = 72;
pub(crate) const STEP_BYTES: usize = 64;
pub(crate) const PERSON_BYTES: usize = 64;
