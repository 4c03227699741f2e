//! How much a job may say by asking for names below a pattern.

use std::collections::{BTreeSet, HashMap};

use crate::limits::BYTES_BELOW_PATTERN;
use crate::matcher::Matcher;
use crate::name::Name;
use crate::rule::RuleId;

/// What a type adds to a question, in bytes: it can be chosen like the letters of a name.
const BYTES_OF_TYPE: usize = 2;

/// Counts what one job asks for below the patterns of its policy.
///
/// A pattern such as `*.example.com` allows every name there is below `example.com`, and whoever answers for that domain
/// reads all of them: that is a way out for as many bytes as somebody cares to ask. So what stands in the place of the
/// `*` is counted, once for each name, with the types that are asked for, and what is beyond
/// [`BYTES_BELOW_PATTERN`] is refused. Names that are written in the policy cost nothing.
#[derive(Clone, Debug, Default)]
pub struct BelowPatterns {
    spent: HashMap<RuleId, usize>,
    /// The names below patterns that were let through, with the types that they were asked for.
    let_through: HashMap<Name, BTreeSet<u16>>,
}

impl BelowPatterns {
    /// Whether a question for this name and record type, which the policy allows, may go out. When it may, it always may.
    pub fn admit(&mut self, policy: &Matcher, name: &Name, record_type: u16) -> bool {
        let known = self.let_through.get(name);
        if known.is_some_and(|types| types.contains(&record_type)) {
            return true;
        }
        let Some((rule, bytes)) = policy.below_pattern(name) else {
            return true;
        };
        let bytes = BYTES_OF_TYPE + if known.is_some() { 0 } else { bytes };
        let spent = self.spent.entry(rule).or_default();
        if *spent + bytes > BYTES_BELOW_PATTERN {
            return false;
        }
        *spent += bytes;
        let types = self.let_through.entry(name.clone()).or_default();
        types.insert(record_type);
        true
    }

    /// Whether a question for this name, which the policy allows, was let through. Always so for names that are written in
    /// the policy.
    pub fn let_through(&self, policy: &Matcher, name: &Name) -> bool {
        self.let_through.contains_key(name) || policy.below_pattern(name).is_none()
    }
}
