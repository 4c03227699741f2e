use serde::Serialize;

use crate::rule::RuleId;

use super::{Matcher, Question};

/// The most rules that are named as near misses.
const NEAR: usize = 10;

/// A rule about the host that was asked for, which does not apply to the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    /// The rule.
    pub rule: RuleId,
    /// In what it differs.
    pub differs: Vec<Difference>,
}

/// What keeps a rule from applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It is about other ports.
    Port,
    /// It is about the other transport.
    Transport,
    /// It is for other steps, executables or images.
    Narrowing,
}

impl Matcher {
    /// The first rules about the same host that do not apply, and why not: what a person who wonders about a verdict
    /// wants to see.
    pub fn near_misses(&self, question: &Question<'_>) -> Vec<NearMiss> {
        let mine = self.policy.fits(&question.actor);
        let misses = self
            .rules_of(question.name, question.ip)
            .into_iter()
            .filter_map(|id| {
                let endpoint = &self.policy.rule(id)?.endpoint;
                let mut differs = Vec::new();
                if !endpoint.ports.contains(question.port) {
                    differs.push(Difference::Port);
                }
                if !endpoint.transports.contains(question.transport) {
                    differs.push(Difference::Transport);
                }
                if !mine.has_all(self.policy.needs(id)) {
                    differs.push(Difference::Narrowing);
                }
                (!differs.is_empty()).then_some(NearMiss { rule: id, differs })
            });
        misses.take(NEAR).collect()
    }
}
