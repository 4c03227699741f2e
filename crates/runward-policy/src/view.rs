//! A policy as people and programs see it: every rule with where it comes from, groups expanded.

use runward_event::Mode;
use serde::Serialize;

use crate::implicit::Implicit;
use crate::narrowing::Narrowing;
use crate::origin::Origin;
use crate::policy::Policy;
use crate::rule::{Rule, RuleId};

/// The policy in force, in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyView {
    /// What is done about traffic that is not allowed.
    pub egress_policy: Mode,
    /// Where that stands; missing when no source says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_policy_origin: Option<Origin>,
    /// The lists of allowed endpoints, strongest source first; a destination must be in every one.
    pub allowed_endpoints: Vec<LayerView>,
    /// What is denied.
    pub denied_endpoints: Vec<RuleView>,
    /// What is allowed without a rule.
    pub implicitly_allowed: Vec<Implicit>,
}

/// One list of allowed endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerView {
    /// The kind of source: `flag`, `file`, `workspace` or `variable`.
    pub kind: &'static str,
    /// The option, path or variable.
    pub source: String,
    /// Its rules.
    pub rules: Vec<RuleView>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// Its number, as verdicts name it.
    pub id: RuleId,
    /// The endpoint in its canonical spelling.
    pub endpoint: String,
    /// To which processes it applies.
    #[serde(flatten)]
    pub narrowing: Narrowing,
    /// Why it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

impl Policy {
    /// The policy in full, ready to be printed.
    pub fn view(&self) -> PolicyView {
        let layers = self.layers().iter().map(|layer| LayerView {
            kind: layer.source.kind(),
            source: layer.source.name().to_owned(),
            rules: layer
                .rules
                .iter()
                .filter_map(|id| Some(RuleView::of(*id, self.rule(*id)?)))
                .collect(),
        });
        PolicyView {
            egress_policy: self.mode(),
            egress_policy_origin: self.mode_origin().cloned(),
            allowed_endpoints: layers.collect(),
            denied_endpoints: self
                .denied()
                .map(|(id, rule)| RuleView::of(id, rule))
                .collect(),
            implicitly_allowed: Implicit::ALL.to_vec(),
        }
    }
}

impl RuleView {
    /// One rule of a policy.
    pub fn of(id: RuleId, rule: &Rule) -> RuleView {
        RuleView {
            id,
            endpoint: rule.spelled(),
            narrowing: rule.narrowing.clone(),
            reason: rule.reason.clone(),
            origin: rule.origin.clone(),
        }
    }
}
