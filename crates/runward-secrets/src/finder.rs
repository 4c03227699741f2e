use aho_corasick::{AhoCorasick, AhoCorasickKind, Input};
use hmac::{Hmac, KeyInit as _, Mac as _};
use runward_event::Encoding;
use sha2::Sha256;

use crate::needles::needles;
use crate::rules::{self, Rule, is_verified};
use crate::variables::{VARIABLE, Variable};

/// The key of the hashes by which a secret is recognised.
pub type Key = [u8; 32];

/// How much of a hash is told, in bytes: enough that two secrets never share it by chance.
const HASH_BYTES: usize = 16;
/// How many times one rule is tried in one unit of text.
const TRIES_MAX: usize = 64;
/// Above this, an automaton that is slower and smaller looks for the words. In bytes of words.
const FAST_MAX: usize = 24 << 10;

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What it is: the id of a rule, or [`VARIABLE`].
    pub rule: String,
    /// The variable that holds it.
    pub variable: Option<String>,
    /// How it was written.
    pub encoding: Encoding,
    /// The line that it begins in, from 1.
    pub line: u64,
    /// Whether it carries a checksum, which is right.
    pub verified: bool,
    /// HMAC-SHA-256 of the secret, its first half in hexadecimal.
    pub hash: String,
}

/// What is looked for: made once, for any number of streams.
#[derive(Debug)]
pub struct Finder {
    key: Key,
    variables: Vec<Variable>,
    rules: Vec<Rule>,
    words: AhoCorasick,
    /// What each of the words means, by its number.
    meanings: Vec<Meaning>,
    add_mask: bool,
}

#[derive(Debug)]
enum Meaning {
    /// It gives away a variable's value.
    Variable {
        index: usize,
        layers: u8,
        text: Vec<u8>,
    },
    /// A rule may fit.
    Rule(usize),
}

/// A place in a text where a secret is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) rule: &'static str,
    pub(crate) variable: Option<&'a str>,
    pub(crate) secret: &'a [u8],
    /// How often the text in this place was encoded.
    pub(crate) layers: u8,
}

/// Part of a text that is searched at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) text: &'a [u8],
    /// Where it begins: what is before was searched already.
    pub(crate) from: usize,
    /// Where the next unit begins, if the line goes on.
    pub(crate) next: Option<usize>,
}

impl Finder {
    /// Looks for the values of these variables, and for what the rules know.
    ///
    /// With `add_mask`, a line `::add-mask::SECRET` is no finding: that is how a job on GitHub has a secret hidden.
    pub fn new(key: Key, variables: Vec<Variable>, add_mask: bool) -> Finder {
        let rules = rules::all();
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut meanings = Vec::new();
        for (index, variable) in variables.iter().enumerate() {
            for needle in needles(&variable.value) {
                words.push(needle.text.clone());
                meanings.push(Meaning::Variable {
                    index,
                    layers: needle.layers,
                    text: needle.text,
                });
            }
        }
        for (index, rule) in rules.iter().enumerate() {
            for keyword in &rule.keywords {
                words.push(keyword.as_bytes().to_vec());
                meanings.push(Meaning::Rule(index));
            }
        }
        let fast = words.iter().map(Vec::len).sum::<usize>() <= FAST_MAX;
        let kind = match fast {
            true => AhoCorasickKind::DFA,
            false => AhoCorasickKind::ContiguousNFA,
        };
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(kind))
            .build(&words);
        Finder {
            key,
            variables,
            rules,
            // The words are fewer and shorter than any limit of the automaton's.
            words: automaton.unwrap_or_else(|_| unreachable!("there are not too many words")),
            meanings,
            add_mask,
        }
    }

    /// Whether this line asks that a secret be hidden.
    pub(crate) fn hides(&self, line: &[u8]) -> bool {
        self.add_mask && line.trim_ascii_start().starts_with(b"::add-mask::")
    }

    /// Calls `take` for each secret that stands in the text as it is.
    pub(crate) fn search<'a>(&'a self, unit: Unit<'a>, mut take: impl FnMut(Hit<'a>)) {
        let mut likely = Likely::default();
        let input = Input::new(unit.text).span(unit.from..unit.text.len());
        let Ok(seen) = self.words.try_find_overlapping_iter(input) else {
            return;
        };
        for word in seen {
            match self.meanings.get(word.pattern().as_usize()) {
                Some(Meaning::Rule(index)) => likely.add(*index),
                Some(Meaning::Variable {
                    index,
                    layers,
                    text,
                }) => {
                    // The automaton knows no case, secrets do.
                    let same = unit.text.get(word.range()) == Some(text);
                    if let (true, Some(variable)) = (same, self.variables.get(*index)) {
                        take(Hit {
                            rule: VARIABLE,
                            variable: Some(&variable.name),
                            secret: variable.value.trim_ascii(),
                            layers: *layers,
                        });
                    }
                }
                None => {}
            }
        }
        for index in likely.take() {
            if let Some(rule) = self.rules.get(index) {
                fits(rule, unit, &mut take);
            }
        }
    }

    /// What is told of a hit.
    pub(crate) fn found(&self, hit: Hit<'_>, layers: u8, line: u64) -> Found {
        Found {
            rule: hit.rule.to_owned(),
            variable: hit.variable.map(str::to_owned),
            encoding: match layers + hit.layers {
                0 => Encoding::Plain,
                1 => Encoding::Base64,
                _ => Encoding::Base64Twice,
            },
            line,
            verified: hit.variable.is_none() && is_verified(hit.secret),
            hash: self.hash(hit.secret),
        }
    }

    fn hash(&self, secret: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            unreachable!("a key may have any length");
        };
        mac.update(secret);
        let digest = mac.finalize().into_bytes();
        let shown = digest.iter().take(HASH_BYTES);
        shown.map(|byte| format!("{byte:02x}")).collect()
    }
}

fn fits<'a>(rule: &Rule, unit: Unit<'a>, take: &mut impl FnMut(Hit<'a>)) {
    let Some(regex) = rule.regex() else { return };
    let mut at = unit.from;
    for _ in 0..TRIES_MAX {
        let Some(captures) = (at <= unit.text.len())
            .then(|| regex.captures_at(unit.text, at))
            .flatten()
        else {
            return;
        };
        let Some(whole) = captures.get(0) else { return };
        at = whole.end().max(whole.start() + 1);
        // It may be longer than it looks from here, and the next unit sees all of it.
        let cut = whole.end() == unit.text.len();
        if cut && unit.next.is_some_and(|next| whole.start() >= next) {
            continue;
        }
        let group = captures.iter().skip(1).flatten().find(|g| !g.is_empty());
        let secret = group.unwrap_or(whole).as_bytes();
        if rule.accepts(secret) {
            take(Hit {
                rule: rule.id,
                variable: None,
                secret,
                layers: 0,
            });
        }
    }
}

/// A set of rules.
#[derive(Default)]
struct Likely([u64; 4]);

impl Likely {
    fn add(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn take(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                (word != 0).then(|| {
                    word &= word - 1;
                    at * 64 + bit as usize
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_every_rule() {
        assert!(rules::all().len() <= 4 * 64);
        let mut likely = Likely::default();
        for index in [0, 63, 64, 255] {
            likely.add(index);
        }
        assert_eq!(likely.take().collect::<Vec<_>>(), [0, 63, 64, 255]);
    }

    #[test]
    fn a_hash_depends_on_the_key_and_is_that_of_the_standard() {
        let hash = |key| Finder::new(key, Vec::new(), false).hash(b"x");
        assert_ne!(hash([0; 32]), hash([1; 32]));
        assert_eq!(hash([0; 32]).len(), 32);
        // RFC 4231, test case 1: a key of twenty bytes 0x0b, padded with zeros as HMAC does.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let finder = Finder::new(key, Vec::new(), false);
        assert_eq!(finder.hash(b"Hi There"), "b0344c61d8db38535ca8afceaf0bf12b");
    }
}
