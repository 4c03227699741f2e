//! How large a policy may be. Everything beyond is an error of the policy, never a policy that is cut.

/// Bytes of one policy file, or of one list of endpoints.
pub const TEXT_BYTES: usize = 1 << 20;

/// Endpoints of one source, with groups expanded.
pub const RULES_OF_SOURCE: usize = 10_000;

/// Bytes of the text of one endpoint: a name in characters of four bytes, and ports.
pub const ENDPOINT_BYTES: usize = 2048;

/// Port ranges of one endpoint.
pub const PORT_RANGES: usize = 64;

/// Different narrowings (`steps`, `executables`, `images`) of one policy: one bit each in a [`crate::NarrowingSet`].
pub const NARROWINGS: usize = 64;

/// Values of one list of a narrowing.
pub const NARROWING_VALUES: usize = 64;

/// Bytes of one value of a narrowing, or of a `reason`.
pub const VALUE_BYTES: usize = 1024;

/// Errors that are told of one source; a file that is no policy at all has one in every line.
pub const ERRORS: usize = 100;

/// Bytes that one job may put in the place of the `*` of one pattern, over all names that it asks for: hundreds of names
/// of real hosts, and less than the text of a private key.
pub const BYTES_BELOW_PATTERN: usize = 2048;

/// Grants of one host. What is beyond is *not* granted: too many narrowings of too many ports fail closed.
pub const GRANTS_OF_HOST: usize = 4096;

/// Bytes of one block list: twice what a feed of 100,000 names with a reason each has.
pub const BLOCK_LIST_BYTES: usize = 16 << 20;

/// Bytes of one line of a block list.
pub const BLOCK_LIST_LINE_BYTES: usize = 4096;

/// Entries of all block lists together; the kernel's maps have room for them.
pub const BLOCK_LIST_ENTRIES: usize = 250_000;

/// Labels of a name (RFC 1035: 255 bytes).
pub(crate) const NAME_LABELS: usize = 128;
