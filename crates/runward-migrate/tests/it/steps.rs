//! Reads the step of Runward's from a file that was taken over: by a parser of YAML and by the policy's own, and by
//! nothing of the crate that is tested.

use std::collections::BTreeSet;
use std::sync::Arc;

use runward_policy::{Action, Endpoint, Source, parse_endpoints};
use runward_yaml::{Documents, Limits, PartId, PartValue};

/// The inputs of one step.
pub(crate) type Inputs = Vec<(String, String)>;

fn value(documents: &Documents, map: PartId, key: &str) -> Option<PartId> {
    match &documents.part(documents.meant(map)).value {
        PartValue::Map { pairs, .. } => pairs
            .iter()
            .find(|(name, _)| text(documents, *name) == key)
            .map(|(_, value)| *value),
        _ => None,
    }
}

fn text(documents: &Documents, id: PartId) -> String {
    match &documents.part(documents.meant(id)).value {
        PartValue::Scalar(scalar) => scalar.text.clone(),
        other => panic!("{other:?}"),
    }
}

/// The inputs of each step whose action begins with `uses`, wherever it stands.
pub(crate) fn of_action(text_: &str, uses: &str) -> Vec<Inputs> {
    let limits = Limits {
        depth: 32,
        nodes: 100_000,
    };
    let documents = Documents::read(text_, limits).unwrap();
    let mut found = Vec::new();
    for (id, part) in documents.parts() {
        if !matches!(part.value, PartValue::Map { .. }) {
            continue;
        }
        let Some(action) = value(&documents, id, "uses") else {
            continue;
        };
        if !text(&documents, action).starts_with(uses) {
            continue;
        }
        let inputs = match value(&documents, id, "with").map(|with| documents.meant(with)) {
            Some(with) => match &documents.part(with).value {
                PartValue::Map { pairs, .. } => pairs
                    .iter()
                    .map(|(key, value)| (text(&documents, *key), text(&documents, *value)))
                    .collect(),
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        found.push(inputs);
    }
    found
}

pub(crate) fn input<'i>(inputs: &'i Inputs, name: &str) -> Option<&'i str> {
    let mut inputs = inputs.iter();
    inputs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// The endpoints of a list; nothing when it has faults.
pub(crate) fn endpoints(list: &str) -> Option<BTreeSet<Endpoint>> {
    let source = Arc::new(Source::Flag("allowed-endpoints".to_owned()));
    let read = parse_endpoints(list, Action::Allow, &source).ok()?;
    Some(read.rules.into_iter().map(|rule| rule.endpoint).collect())
}
