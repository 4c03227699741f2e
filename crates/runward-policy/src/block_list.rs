//! Block lists: destinations that nobody may reach, from outside of any policy, each with the reason why it is there.
//!
//! A list is a text with one entry a line: a name, `*.name` for everything below it, an address or a network, then white
//! space and the reason. The forms in which feeds of such destinations come are read too, where only one thing can be
//! meant: hosts files, and names that were made harmless to click on (`hxxp://evil[.]example`).

mod line;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use runward_event::{BlockListEntry, BlockListInForce};

use crate::limits;
use crate::name::{Name, NameError};
use crate::text::visible;
use line::Line;

/// The most bytes of a reason that are kept.
const REASON_BYTES: usize = 300;

/// Block lists, joined: what any of them has is blocked. Where several have the same, the first one answers for it.
#[derive(Clone, Debug, Default)]
pub struct BlockList {
    lists: Vec<BlockListInForce>,
    entries: Vec<Entry>,
    names: HashMap<Box<str>, usize>,
    /// What is below these names, and not they themselves.
    below: HashMap<Box<str>, usize>,
    nets: HashMap<IpNet, usize>,
    /// The lengths of prefixes that there are, so that a lookup tries no others.
    lengths: BTreeSet<(bool, u8)>,
}

#[derive(Clone, Debug)]
struct Entry {
    list: usize,
    line: u32,
    reason: Option<Box<str>>,
}

/// What an entry blocks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocked {
    /// This name.
    Name(Name),
    /// Everything below this name.
    Below(Name),
    /// An address or a network.
    Net(IpNet),
}

/// What is wrong with a line of a block list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockListError {
    /// The list, as it was named.
    pub source: String,
    /// The line, counted from 1; 0 when the list as a whole is meant.
    pub line: u32,
    /// What of it is meant, shortened: hostile until it is escaped.
    pub text: String,
    /// What is wrong.
    pub fault: BlockListFault,
}

/// Why a line of a block list can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockListFault {
    /// Neither a name nor an address.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A `*` that is not the whole first part.
    #[error("`*` can only stand for everything below a name: write `*.example.com`")]
    Star,
    /// A name without a dot.
    #[error("a name of one part is no host of the internet: write the whole name")]
    OnePart,
    /// A port.
    #[error("a block list blocks every port of a host: remove the port")]
    Port,
    /// An address of a page rather than of a host.
    #[error(
        "a block list blocks whole hosts, and this is one page of a host: write the host alone if nothing of it is needed"
    )]
    Page,
    /// A scheme that is none of the web.
    #[error("not a scheme that a list can have: write the host alone")]
    Scheme,
    /// Bits behind the prefix.
    #[error("the address has bits behind its prefix: did you mean `{0}`?")]
    HostBits(IpNet),
    /// A prefix of no such length.
    #[error("not a network: the prefix has at most 32 bits for IPv4 and 128 for IPv6")]
    Prefix,
    /// A large part of the internet.
    #[error(
        "the network is too large to be meant: at least 8 bits of prefix for IPv4, 16 for IPv6"
    )]
    TooWide,
    /// Loopback, or what names no host at all.
    #[error("the address stands for this machine or for no single host")]
    NoHost,
    /// A hosts file's line without names.
    #[error("a line of a hosts file has names behind the address")]
    HostsLine,
    /// A line that is too long to be an entry.
    #[error(
        "longer than a line of a block list can be ({} bytes)",
        limits::BLOCK_LIST_LINE_BYTES
    )]
    TooLong,
    /// The text is too long.
    #[error("larger than a block list can be ({} MiB)", limits::BLOCK_LIST_BYTES >> 20)]
    TooLarge,
    /// More entries than can be enforced, over all lists.
    #[error(
        "more than {} entries in all block lists together",
        limits::BLOCK_LIST_ENTRIES
    )]
    TooMany,
    /// Errors beyond those that are told.
    #[error("and {0} more errors")]
    More(usize),
}

impl fmt::Display for BlockListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.source))?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.text.is_empty() {
            write!(f, ": `{}`", visible(&self.text))?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl std::error::Error for BlockListError {}

impl BlockList {
    /// Adds a list. With an error anywhere in it, nothing of it is added, and all errors are given.
    pub fn add(&mut self, source: &str, text: &str) -> Result<(), Vec<BlockListError>> {
        let lines = read(source, text, self.entries.len())?;
        let list = self.lists.len();
        let mut count = 0;
        for line in lines {
            for blocked in line.blocked {
                count += 1;
                self.put(blocked, list, line.number, line.reason);
            }
        }
        self.lists.push(BlockListInForce {
            source: source.to_owned(),
            entries: count,
        });
        Ok(())
    }

    fn put(&mut self, blocked: Blocked, list: usize, line: u32, reason: Option<&str>) {
        let next = self.entries.len();
        let place = match blocked {
            Blocked::Name(name) => *self.names.entry(name.as_str().into()).or_insert(next),
            Blocked::Below(name) => *self.below.entry(name.as_str().into()).or_insert(next),
            Blocked::Net(net) => {
                self.lengths.insert(length(net));
                *self.nets.entry(net).or_insert(next)
            }
        };
        if place == next {
            let reason =
                reason.map(|reason| reason[..reason.floor_char_boundary(REASON_BYTES)].into());
            self.entries.push(Entry { list, line, reason });
        }
    }

    /// The entry that blocks this name, in whatever case, with or without the last dot.
    pub fn name(&self, name: &str) -> Option<BlockListEntry> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(at) = self.names.get(name.as_str()) {
            return self.told(*at, name);
        }
        let dots = name.match_indices('.').take(limits::NAME_LABELS);
        dots.filter_map(|(at, _)| name.get(at + 1..))
            .find_map(|above| self.told(*self.below.get(above)?, format!("*.{above}")))
    }

    /// The entry that blocks this address: the narrowest network that it is in.
    pub fn address(&self, ip: IpAddr) -> Option<BlockListEntry> {
        let ip = ip.to_canonical();
        let lengths = self.lengths.iter().rev();
        lengths
            .filter(|(is_v6, _)| *is_v6 == ip.is_ipv6())
            .find_map(|(_, length)| {
                let net = IpNet::new(ip, *length).ok()?.trunc();
                self.told(*self.nets.get(&net)?, shown(net))
            })
    }

    fn told(&self, at: usize, entry: String) -> Option<BlockListEntry> {
        let written = self.entries.get(at)?;
        let list = self.lists.get(written.list)?;
        Some(BlockListEntry {
            entry,
            source: format!("{}:{}", list.source, written.line),
            reason: written.reason.as_deref().map(str::to_owned),
        })
    }

    /// The names that are blocked, each with whether what is below it is meant and not it itself.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let exact = self.names.keys().map(|name| (&**name, false));
        exact.chain(self.below.keys().map(|name| (&**name, true)))
    }

    /// The networks that are blocked; a single address is one with the longest prefix.
    pub fn nets(&self) -> impl Iterator<Item = IpNet> {
        self.nets.keys().copied()
    }

    /// How many different entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The lists that were added.
    pub fn lists(&self) -> &[BlockListInForce] {
        &self.lists
    }
}

fn length(net: IpNet) -> (bool, u8) {
    (matches!(net, IpNet::V6(_)), net.prefix_len())
}

fn shown(net: IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    }
}

/// All lines with entries, or all errors.
fn read<'t>(
    source: &str,
    text: &'t str,
    before: usize,
) -> Result<Vec<Line<'t>>, Vec<BlockListError>> {
    let mut errors = Errors::new(source);
    if text.len() > limits::BLOCK_LIST_BYTES {
        errors.push(0, "", BlockListFault::TooLarge);
        return Err(errors.kept);
    }
    let mut entries = before;
    let mut lines = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, text) in (1..).zip(text.lines()) {
        match line::read(number, text) {
            Ok(line) => {
                entries += line.blocked.len();
                lines.push(line);
            }
            Err((text, fault)) => errors.push(number, text, fault),
        }
        if entries > limits::BLOCK_LIST_ENTRIES {
            errors.push(number, "", BlockListFault::TooMany);
            break;
        }
    }
    match errors.finish() {
        errors if errors.is_empty() => Ok(lines),
        errors => Err(errors),
    }
}

/// Collects errors up to a bound, so that a file that is no list does not make a flood.
struct Errors<'s> {
    source: &'s str,
    kept: Vec<BlockListError>,
    more: usize,
}

impl Errors<'_> {
    fn new(source: &str) -> Errors<'_> {
        Errors {
            source,
            kept: Vec::new(),
            more: 0,
        }
    }

    fn push(&mut self, line: u32, text: &str, fault: BlockListFault) {
        if self.kept.len() >= limits::ERRORS {
            self.more += 1;
            return;
        }
        self.kept.push(BlockListError {
            source: self.source.to_owned(),
            line,
            text: text[..text.floor_char_boundary(REASON_BYTES)].to_owned(),
            fault,
        });
    }

    fn finish(mut self) -> Vec<BlockListError> {
        if self.more > 0 {
            self.kept.push(BlockListError {
                source: self.source.to_owned(),
                line: 0,
                text: String::new(),
                fault: BlockListFault::More(self.more),
            });
        }
        self.kept
    }
}

#[cfg(test)]
mod tests;
