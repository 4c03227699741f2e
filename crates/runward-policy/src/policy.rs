use std::collections::BTreeMap;
use std::sync::Arc;

use runward_event::Mode;
use serde::Serialize;

use crate::endpoint::Action;
use crate::error::{PolicyError, PolicyWarning, Script, Stretch};
use crate::fault::Fault;
use crate::limits;
use crate::list::parse_endpoints;
use crate::narrowing::{Actor, Narrowing, NarrowingId, NarrowingSet};
use crate::origin::{Origin, Source};
use crate::rule::{Rule, RuleId};

/// What one source says: a file, or an option or variable by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePolicy {
    /// What it was read from.
    pub source: Arc<Source>,
    /// The mode it asks for, and where.
    pub mode: Option<(Mode, Origin)>,
    /// What it allows; `None` when it has no such list. An empty list is a list: nothing is allowed.
    pub allowed: Option<Vec<Rule>>,
    /// What it denies.
    pub denied: Vec<Rule>,
    /// What is odd about it.
    pub warnings: Vec<PolicyWarning>,
}

impl SourcePolicy {
    /// A source that says nothing.
    pub fn empty(source: Source) -> SourcePolicy {
        SourcePolicy {
            source: Arc::new(source),
            mode: None,
            allowed: None,
            denied: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A source that is only the name of a mode, such as `--egress-policy`.
    ///
    /// # Errors
    ///
    /// When the text is neither `audit` nor `block`.
    pub fn of_mode(text: &str, source: Source) -> Result<SourcePolicy, Vec<PolicyError>> {
        let mut policy = SourcePolicy::empty(source);
        let script = Script {
            source: Arc::clone(&policy.source),
            text,
        };
        let word = text.trim();
        let mode = parse_mode(word).map_err(|suggestion| {
            let whole = Stretch {
                line: 1,
                column: 1,
                length: text.chars().count(),
            };
            let mut error = script.error(whole, word, mode_fault(word));
            error.suggestion = suggestion;
            vec![error]
        })?;
        let origin = Origin {
            source: Arc::clone(&policy.source),
            line: 1,
            column: 1,
            text: word.to_owned(),
            group: None,
        };
        policy.mode = Some((mode, origin));
        Ok(policy)
    }

    /// A source that is only a list of endpoints, such as `--allowed-endpoints`.
    ///
    /// # Errors
    ///
    /// All that is wrong with the list.
    pub fn of_list(
        text: &str,
        action: Action,
        source: Source,
    ) -> Result<SourcePolicy, Vec<PolicyError>> {
        let mut policy = SourcePolicy::empty(source);
        let endpoints = parse_endpoints(text, action, &policy.source)?;
        policy.warnings = endpoints.warnings;
        match action {
            Action::Allow => policy.allowed = Some(endpoints.rules),
            Action::Deny => policy.denied = endpoints.rules,
        }
        Ok(policy)
    }
}

/// Reads `audit` or `block`; the error is what was probably meant.
pub(crate) fn parse_mode(word: &str) -> Result<Mode, Option<String>> {
    match word {
        "audit" => Ok(Mode::Audit),
        "block" => Ok(Mode::Block),
        other => Err(crate::text::nearest(other, ["audit", "block"]).map(str::to_owned)),
    }
}

pub(crate) fn mode_fault(word: &str) -> Fault {
    if word.contains("${{") || word.starts_with('$') {
        Fault::Expression
    } else {
        Fault::Mode
    }
}

fn stricter(one: Option<(Mode, Origin)>, other: Option<(Mode, Origin)>) -> Option<(Mode, Origin)> {
    match (&one, &other) {
        (Some((Mode::Audit, _)), Some((Mode::Block, _))) | (None, _) => other,
        _ => one,
    }
}

/// The policy that is in force: what all sources say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    mode: Option<(Mode, Origin)>,
    layers: Vec<Layer>,
    rules: Vec<Rule>,
    narrowings: Vec<Narrowing>,
    /// For each rule, the narrowing it has.
    narrowing_of: Vec<Option<NarrowingId>>,
}

/// One source that has a list of allowed endpoints. What is allowed must be allowed by every layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// What it was read from.
    pub source: Arc<Source>,
    /// The rules of its list.
    pub rules: Vec<RuleId>,
}

/// Joins sources into the policy that is in force, so that a weaker source can only tighten: what is allowed must be
/// allowed by every source that has a list of allowed endpoints, what any source denies is denied, and `block` beats
/// `audit`.
///
/// # Errors
///
/// When there are more different narrowings than a policy can have ([`limits::NARROWINGS`]).
pub fn combine(mut sources: Vec<SourcePolicy>) -> Result<Policy, Vec<PolicyError>> {
    sources.sort_by(|one, other| one.source.cmp(&other.source));
    let mut policy = Policy {
        mode: None,
        layers: Vec::new(),
        rules: Vec::new(),
        narrowings: Vec::new(),
        narrowing_of: Vec::new(),
    };
    let mut known = BTreeMap::new();
    for source in sources {
        policy.mode = stricter(policy.mode.take(), source.mode);
        if let Some(allowed) = source.allowed {
            let mut rules = Vec::with_capacity(allowed.len());
            for rule in allowed {
                rules.push(policy.add(rule, &mut known)?);
            }
            policy.layers.push(Layer {
                source: source.source,
                rules,
            });
        }
        for rule in source.denied {
            policy.add(rule, &mut known)?;
        }
    }
    Ok(policy)
}

impl Policy {
    fn add(
        &mut self,
        rule: Rule,
        known: &mut BTreeMap<Narrowing, NarrowingId>,
    ) -> Result<RuleId, Vec<PolicyError>> {
        let narrowing = if rule.narrowing.is_empty() {
            None
        } else if let Some(id) = known.get(&rule.narrowing) {
            Some(*id)
        } else {
            let id = self.add_narrowing(&rule)?;
            known.insert(rule.narrowing.clone(), id);
            Some(id)
        };
        // The bounds of sources keep this far below 2^32.
        let id = RuleId(u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
        self.rules.push(rule);
        self.narrowing_of.push(narrowing);
        Ok(id)
    }

    fn add_narrowing(&mut self, rule: &Rule) -> Result<NarrowingId, Vec<PolicyError>> {
        let id = u8::try_from(self.narrowings.len())
            .ok()
            .filter(|_| self.narrowings.len() < limits::NARROWINGS);
        let Some(id) = id else {
            let script = Script {
                source: Arc::clone(&rule.origin.source),
                text: "",
            };
            let place = Stretch {
                line: rule.origin.line,
                column: rule.origin.column,
                length: 1,
            };
            return Err(vec![script.error(
                place,
                &rule.origin.text,
                Fault::TooManyNarrowings,
            )]);
        };
        self.narrowings.push(rule.narrowing.clone());
        Ok(NarrowingId(id))
    }

    /// What is done about traffic that is not allowed; `audit` when no source says.
    pub fn mode(&self) -> Mode {
        self.mode.as_ref().map_or(Mode::Audit, |(mode, _)| *mode)
    }

    /// Where the mode stands, when a source says it.
    pub fn mode_origin(&self) -> Option<&Origin> {
        self.mode.as_ref().map(|(_, origin)| origin)
    }

    /// The lists of allowed endpoints, strongest source first. Without any, nothing is allowed.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// All rules; the place of each is its [`RuleId`].
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// One rule.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.index())
    }

    /// The rules that deny, with their ids.
    pub fn denied(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.numbered()
            .filter(|(_, rule)| rule.action == Action::Deny)
    }

    /// All rules with their ids.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0..).map(RuleId).zip(&self.rules)
    }

    /// The different narrowings; the place of each is its bit in a [`NarrowingSet`].
    pub fn narrowings(&self) -> &[Narrowing] {
        &self.narrowings
    }

    /// The narrowing of a rule as a set of one, or the empty set for a rule that is for every process.
    pub fn needs(&self, rule: RuleId) -> NarrowingSet {
        match self.narrowing_of.get(rule.index()) {
            Some(Some(id)) => NarrowingSet::one(*id),
            _ => NarrowingSet::EMPTY,
        }
    }

    /// All narrowings that a process fits: to be kept with the process, and compared with what a grant needs.
    pub fn fits(&self, actor: &Actor<'_>) -> NarrowingSet {
        (0..)
            .map(NarrowingId)
            .zip(&self.narrowings)
            .filter(|(_, narrowing)| narrowing.admits(actor))
            .fold(NarrowingSet::EMPTY, |set, (id, _)| {
                set.or(NarrowingSet::one(id))
            })
    }
}
