use std::collections::HashSet;

use runward_event::Encoding;

use crate::finder::{Finder, Found, Hit};
use crate::lines::{Lines, Place};

/// How many different secrets of one stream are told.
const TOLD_MAX: usize = 500;

/// One output or file, as it is read. Each secret is told once in each encoding.
#[derive(Debug)]
pub struct Stream {
    lines: Lines,
    told: HashSet<(String, Encoding)>,
    untold: u64,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            lines: Lines::counted(),
            told: HashSet::new(),
            untold: 0,
        }
    }
}

impl Stream {
    /// Searches the next bytes. What is found does not depend on where they were cut.
    pub fn feed(&mut self, finder: &Finder, bytes: &[u8], sink: &mut dyn FnMut(Found)) {
        let (told, untold) = (&mut self.told, &mut self.untold);
        let mut take = |hit: Hit<'_>, place: Place| tell(finder, told, untold, hit, place, sink);
        self.lines.feed(finder, bytes, &mut take);
    }

    /// Searches what waits for its end, as if this were it. More may come: so a prompt is seen before it is answered.
    pub fn peek(&mut self, finder: &Finder, sink: &mut dyn FnMut(Found)) {
        let (told, untold) = (&mut self.told, &mut self.untold);
        let mut take = |hit: Hit<'_>, place: Place| tell(finder, told, untold, hit, place, sink);
        self.lines.clone().finish(finder, &mut take);
    }

    /// Searches what is left when nothing more comes.
    pub fn finish(&mut self, finder: &Finder, sink: &mut dyn FnMut(Found)) {
        let (told, untold) = (&mut self.told, &mut self.untold);
        let mut take = |hit: Hit<'_>, place: Place| tell(finder, told, untold, hit, place, sink);
        self.lines.finish(finder, &mut take);
    }

    /// How many findings there were beyond those that were told.
    pub fn untold(&self) -> u64 {
        self.untold
    }
}

fn tell(
    finder: &Finder,
    told: &mut HashSet<(String, Encoding)>,
    untold: &mut u64,
    hit: Hit<'_>,
    place: Place,
    sink: &mut dyn FnMut(Found),
) {
    let found = finder.found(hit, place.layers, place.line);
    let key = (found.hash.clone(), found.encoding);
    if told.contains(&key) {
        return;
    }
    if told.len() >= TOLD_MAX {
        *untold += 1;
        return;
    }
    told.insert(key);
    sink(found);
}
