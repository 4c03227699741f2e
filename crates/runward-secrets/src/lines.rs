//! From bytes to units that are searched one by one: lines, and pieces of very long ones.

use crate::base64;
use crate::finder::{Finder, Hit, Unit};
use crate::private_key::{self, PrivateKey};

/// A line that is longer comes in pieces: each of these many bytes, and of those of the next that a secret may reach into.
pub(crate) const STEP: usize = 16 << 10;
pub(crate) const OVERLAP: usize = 4 << 10;
const UNIT: usize = STEP + OVERLAP;
/// How many layers of base64 are taken off.
const LAYERS_MAX: u8 = 2;
/// Lines of base64 that are wrapped, as `base64` wraps at 76 and PEM at 64 characters.
const WRAP: std::ops::RangeInclusive<usize> = 60..=128;
/// How much of wrapped base64 is put together before it is looked at, in characters.
const WRAPPED_MAX: usize = 64 << 10;

/// Where a hit was: under how many layers, and in which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) layers: u8,
    pub(crate) line: u64,
}

/// What is told of each hit.
pub(crate) trait Take: FnMut(Hit<'_>, Place) {}
impl<F: FnMut(Hit<'_>, Place)> Take for F {}

/// A text that comes in pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    place: Place,
    /// Whether lines are counted; a decoded text has the line that it was found in.
    counts: bool,
    /// The beginning of a unit whose end has not come. When the line began before it, its first byte was searched: it is
    /// there so that the beginning of a word can be told.
    begun: Vec<u8>,
    continued: bool,
    wrapped: Wrapped,
    key: PrivateKey,
}

impl Default for Place {
    fn default() -> Place {
        Place { layers: 0, line: 1 }
    }
}

/// Lines that are nothing but base64, put together.
#[derive(Clone, Debug, Default)]
struct Wrapped {
    text: Vec<u8>,
    width: usize,
    lines: usize,
    line: u64,
}

impl Lines {
    /// The text of a stream.
    pub(crate) fn counted() -> Lines {
        Lines {
            counts: true,
            ..Lines::default()
        }
    }

    /// The next piece.
    pub(crate) fn feed(&mut self, finder: &Finder, bytes: &[u8], take: &mut dyn Take) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.begun.is_empty() {
                true => self.fresh(finder, rest, take),
                false => self.go_on(finder, rest, take),
            };
        }
    }

    /// What is still waiting for more. Nothing comes after this.
    pub(crate) fn finish(&mut self, finder: &Finder, take: &mut dyn Take) {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.unit(finder, &begun, true, take);
        }
        self.unwrap(finder, take);
    }

    /// At the beginning of a line: searched where it lies if it is whole.
    fn fresh<'a>(&mut self, finder: &Finder, text: &'a [u8], take: &mut dyn Take) -> &'a [u8] {
        let (head, tail) = text.split_at(text.len().min(UNIT));
        if let Some(end) = memchr::memchr(b'\n', head) {
            let (line, after) = text.split_at(end);
            self.unit(finder, line, true, take);
            self.end_line();
            return after.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(head);
        if head.len() == UNIT {
            self.piece(finder, take);
        }
        tail
    }

    /// Inside of a line.
    fn go_on<'a>(&mut self, finder: &Finder, text: &'a [u8], take: &mut dyn Take) -> &'a [u8] {
        let room = (UNIT + usize::from(self.continued)).saturating_sub(self.begun.len());
        let (head, tail) = text.split_at(text.len().min(room));
        if let Some(end) = memchr::memchr(b'\n', head) {
            let (line, after) = text.split_at(end);
            self.begun.extend_from_slice(line);
            let begun = std::mem::take(&mut self.begun);
            self.unit(finder, &begun, true, take);
            self.begun = begun;
            self.begun.clear();
            self.end_line();
            return after.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(head);
        if head.len() == room {
            self.piece(finder, take);
        }
        tail
    }

    fn end_line(&mut self) {
        self.continued = false;
        if self.counts {
            self.place.line += 1;
        }
    }

    /// A full unit whose line goes on.
    fn piece(&mut self, finder: &Finder, take: &mut dyn Take) {
        let begun = std::mem::take(&mut self.begun);
        self.unit(finder, &begun, false, take);
        self.begun = begun;
        self.begun.drain(..STEP + usize::from(self.continued) - 1);
        self.continued = true;
    }

    /// One unit: a line, or a piece of a long one; `last` when the line ends with it.
    fn unit(&mut self, finder: &Finder, text: &[u8], last: bool, take: &mut dyn Take) {
        let place = self.place;
        let from = usize::from(self.continued);
        if place.layers == 0 && !self.continued && finder.hides(text) {
            return;
        }
        let next = (!last).then_some(from + STEP);
        finder.search(Unit { text, from, next }, |hit| take(hit, place));
        self.key.next(text, place.line, &mut |secret, line| {
            let hit = Hit {
                rule: private_key::ID,
                variable: None,
                secret,
                layers: 0,
            };
            take(hit, Place { line, ..place });
        });
        if place.layers >= LAYERS_MAX {
            return;
        }
        let whole = last && !self.continued;
        if whole && self.wrap(finder, text, take) {
            return;
        }
        base64::runs(text.get(from..).unwrap_or_default(), |at, run| {
            // A run that began before this unit may begin here at any of four places inside of its groups.
            let places = if at == 0 && self.continued { 4 } else { 1 };
            for skip in 0..places {
                decode(finder, run.get(skip..).unwrap_or_default(), place, take);
            }
        });
    }

    /// Puts wrapped base64 together. Returns whether that is all there is to look at in this line.
    fn wrap(&mut self, finder: &Finder, line: &[u8], take: &mut dyn Take) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let bare = line.strip_suffix(b"=").unwrap_or(line);
        let bare = bare.strip_suffix(b"=").unwrap_or(bare);
        if bare.is_empty() || !base64::is_standard(bare) {
            self.unwrap(finder, take);
            return false;
        }
        let full = WRAP.contains(&line.len()) && line.len().is_multiple_of(4);
        let goes_on = self.wrapped.lines > 0 && line.len() <= self.wrapped.width;
        if !goes_on {
            self.unwrap(finder, take);
            if !full || bare.len() < line.len() {
                return false;
            }
            self.wrapped.width = line.len();
            self.wrapped.line = self.place.line;
        }
        self.wrapped.text.extend_from_slice(bare);
        self.wrapped.lines += 1;
        if bare.len() < self.wrapped.width {
            // The last line of several, or one that has nothing to do with them.
            self.unwrap(finder, take);
            return false;
        }
        if self.wrapped.text.len() >= WRAPPED_MAX {
            self.wrapped.decode(finder, self.place, take);
            // Both are multiples of four, so groups stay groups.
            let keep = OVERLAP;
            let gone = self.wrapped.text.len().saturating_sub(keep) / 4 * 4;
            self.wrapped.text.drain(..gone);
            self.wrapped.line = self.place.line;
        }
        true
    }

    fn unwrap(&mut self, finder: &Finder, take: &mut dyn Take) {
        if self.wrapped.lines > 0 {
            self.wrapped.decode(finder, self.place, take);
            self.wrapped = Wrapped {
                text: std::mem::take(&mut self.wrapped.text),
                ..Wrapped::default()
            };
            self.wrapped.text.clear();
        }
    }
}

impl Wrapped {
    fn decode(&self, finder: &Finder, place: Place, take: &mut dyn Take) {
        let line = self.line;
        decode(finder, &self.text, Place { line, ..place }, take);
    }
}

/// Searches what a run of base64 stands for.
fn decode(finder: &Finder, run: &[u8], place: Place, take: &mut dyn Take) {
    let mut text = Vec::with_capacity(run.len() / 4 * 3 + 3);
    if run.len() < base64::RUN_MIN || !base64::decode(run, &mut text) {
        return;
    }
    let mut inner = Lines {
        place: Place {
            layers: place.layers + 1,
            line: place.line,
        },
        ..Lines::default()
    };
    inner.feed(finder, &text, take);
    inner.finish(finder, take);
}
