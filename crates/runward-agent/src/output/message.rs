use std::io::{self, Read, Write};

use runward_event::{Encoding, OutputPlace};
use runward_secrets::Found;
use serde::{Deserialize, Serialize};

/// What the agent says first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) key: [u8; 32],
    pub(super) variables: Vec<SetupVariable>,
    pub(super) add_mask: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SetupVariable {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

/// The longest setup that is taken, in bytes: the values in it have limits.
const SETUP_MAX: u32 = 32 << 20;

/// With its length before it, so that nothing is read that follows.
pub(super) fn write_setup(mut to: impl Write, setup: &Setup) -> io::Result<()> {
    let text = serde_json::to_vec(setup)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&text)
}

pub(super) fn read_setup(mut from: impl Read) -> io::Result<Setup> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > SETUP_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = Vec::new();
    from.take(length.into()).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// What the agent sends when the command has ended: all that was printed until then is to be looked at.
pub(super) const MARK: &[u8] = b"\n";

/// A line of the relay's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Found(FoundLine),
    /// Everything until the mark, or the end, was looked at; this many findings were too many to tell.
    Settled(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FoundLine {
    boot_ns: u64,
    rule: String,
    variable: Option<String>,
    encoding: Encoding,
    line: u64,
    verified: bool,
    hash: String,
}

/// A secret that was seen in an output or a file.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When, in nanoseconds since boot.
    pub(crate) boot_ns: u64,
    pub(crate) place: OutputPlace,
    /// The file's path as bytes, for [`OutputPlace::File`].
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) found: Found,
}

impl FoundLine {
    pub(super) fn new(boot_ns: u64, found: Found) -> FoundLine {
        FoundLine {
            boot_ns,
            rule: found.rule,
            variable: found.variable,
            encoding: found.encoding,
            line: found.line,
            verified: found.verified,
            hash: found.hash,
        }
    }

    pub(super) fn seen(self, place: OutputPlace) -> Seen {
        Seen {
            boot_ns: self.boot_ns,
            place,
            path: None,
            found: Found {
                rule: self.rule,
                variable: self.variable,
                encoding: self.encoding,
                line: self.line,
                verified: self.verified,
                hash: self.hash,
            },
        }
    }
}
