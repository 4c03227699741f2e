use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cel::{Context, Env};
use runward_detect::{Finding, Observer, RuleAbout};
use runward_event::{Body, Event, RulesInForce};
use runward_tree::Tree;
use sha2::{Digest as _, Sha256};

use crate::error::RuleError;
use crate::file;
use crate::functions::environment;
use crate::rule::Rule;
use crate::scope::{self, Scope};
use crate::slots::Slots;
use crate::value::Data;

/// The rules of one file, at work in one job.
pub struct Rules {
    rules: Vec<Rule>,
    abouts: Vec<RuleAbout>,
    /// Which rules ask for events of a kind.
    by_kind: HashMap<String, Vec<usize>>,
    slots: Slots,
    functions: Arc<Env>,
    job: Data<'static>,
    /// The first event of which more was asked for than is shown.
    cut: Option<u64>,
    digest: String,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Reads a file, or tells all that is wrong with it.
    pub fn read(text: &str) -> Result<Rules, Vec<RuleError>> {
        let (rules, slots) = file::read(text)?;
        let mut by_kind: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for kind in &rule.kinds {
                by_kind.entry(kind.clone()).or_default().push(number);
            }
        }
        Ok(Rules {
            abouts: rules.iter().map(|rule| rule.about.clone()).collect(),
            rules,
            by_kind,
            slots,
            functions: environment(),
            job: Data::Map(Vec::new()),
            cut: None,
            digest: hex(&Sha256::digest(text.as_bytes())),
        })
    }

    /// What the record says of them.
    pub fn in_force(&self) -> RulesInForce {
        RulesInForce {
            sha256: self.digest.clone(),
            ids: self.abouts.iter().map(|about| about.id.clone()).collect(),
        }
    }
}

impl Observer for Rules {
    fn abouts(&self) -> &[RuleAbout] {
        &self.abouts
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        if let Body::JobStart(start) = &event.body {
            self.job = scope::job(start);
        }
        let Some(wanted) = self.by_kind.get(event.body.kind()) else {
            return;
        };
        let scope = Scope::new(&self.slots, &self.job, event, tree);
        let mut context = Context::with_env(Arc::clone(&self.functions));
        context.set_variable_resolver(&scope);
        for number in wanted {
            if let Some(rule) = self.rules.get_mut(*number) {
                rule.observe(event, &scope, &context, tree, findings);
            }
        }
        if self.cut.is_none() && scope.is_cut() {
            self.cut = Some(event.seq);
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.rules.iter().flat_map(Rule::notes).collect();
        notes.extend(self.cut.map(|seq| {
            format!(
                "Rules see the first {} entries of a list and the first {} bytes of a text; event {seq} has more.",
                crate::limits::LIST,
                crate::limits::TEXT
            )
        }));
        notes
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
