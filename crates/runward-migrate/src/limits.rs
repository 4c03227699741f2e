//! How much is read. A workflow of GitHub's may have half a megabyte.

use runward_yaml::Limits;

/// Bytes of one file.
pub const TEXT_BYTES: usize = 1 << 20;

pub(crate) const YAML: Limits = Limits {
    depth: 64,
    nodes: 200_000,
};

/// How many parts of a file are compared, aliases followed. A file whose aliases multiply has more.
pub(crate) const COMPARED: usize = 1_000_000;

/// How deep parts may be nested, aliases followed.
pub(crate) const COMPARED_DEPTH: usize = 128;

/// Remarks of one file; what is beyond is counted.
pub(crate) const REMARKS: usize = 200;
