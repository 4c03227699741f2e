//! Rules that know a secret by its own form: data, in `data/rules.txt`.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::checksum;

/// How large a compiled rule may be, in bytes. The largest needs a tenth of this.
const RULE_MAX: usize = 4 << 20;
/// How much a rule's automaton may remember while it searches, in bytes.
const CACHE_MAX: usize = 1 << 20;

/// What a secret looks like.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name in findings.
    pub(crate) id: &'static str,
    /// In bits for each byte: a secret must have more than this.
    entropy: f64,
    /// One of these is in every text that the pattern fits, in any case.
    pub(crate) keywords: Vec<&'static str>,
    pattern: &'static str,
    /// Compiled when a keyword is seen for the first time: most are never needed.
    regex: OnceLock<Option<Regex>>,
}

/// Reads the table. A line that can't be read is left out; a test says so.
pub(crate) fn all() -> Vec<Rule> {
    include_str!("../data/rules.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse)
        .collect()
}

fn parse(line: &'static str) -> Option<Rule> {
    let mut fields = line.splitn(4, '\t');
    Some(Rule {
        id: fields.next()?,
        entropy: fields.next()?.parse().ok()?,
        keywords: fields.next()?.split(',').collect(),
        pattern: fields.next()?,
        regex: OnceLock::new(),
    })
}

impl Rule {
    pub(crate) fn regex(&self) -> Option<&Regex> {
        let compile = || {
            RegexBuilder::new(self.pattern)
                .unicode(false)
                .size_limit(RULE_MAX)
                .dfa_size_limit(CACHE_MAX)
                .build()
                .ok()
        };
        self.regex.get_or_init(compile).as_ref()
    }

    /// Whether a text that the pattern fits may be a secret: examples and `ghp_xxxxxxxx` are not.
    pub(crate) fn accepts(&self, secret: &[u8]) -> bool {
        (self.entropy == 0.0 || entropy(secret) > self.entropy) && !secret.ends_with(b"EXAMPLE")
    }
}

/// Whether the secret says itself that it is one.
pub(crate) fn is_verified(secret: &[u8]) -> bool {
    checksum::is_right(secret)
}

/// Shannon's entropy, in bits for each byte.
pub(crate) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_rule_that_compiles() {
        let lines = include_str!("../data/rules.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        let rules = all();
        assert_eq!(rules.len(), lines);
        for rule in &rules {
            assert!(rule.regex().is_some(), "{}", rule.id);
            for keyword in &rule.keywords {
                assert_eq!(*keyword, keyword.to_ascii_lowercase(), "{}", rule.id);
                assert!(keyword.len() > 1, "{}", rule.id);
            }
        }
    }

    #[test]
    fn entropy_is_none_for_one_letter_and_one_bit_for_two() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert!((entropy(b"abab") - 1.0).abs() < 1e-9);
    }
}
