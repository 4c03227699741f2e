//! Where a file has steps: in the jobs of a workflow, and in an action made of steps.

use std::collections::HashSet;

use runward_yaml::{Documents, PartId, PartValue};

use crate::edit::Lines;
use crate::error::{Refusal, RefusalReason};
use crate::remark::Remarks;
use crate::tool::Tool;

/// A step that uses one of the tools.
pub(crate) struct Step {
    /// Its map.
    pub(crate) map: PartId,
    pub(crate) tool: &'static Tool,
}

/// The pairs of a map, aliases followed; nothing for what is no map.
pub(crate) fn pairs(documents: &Documents, id: PartId) -> &[(PartId, PartId)] {
    match &documents.part(documents.meant(id)).value {
        PartValue::Map { pairs, .. } => pairs,
        _ => &[],
    }
}

fn entries(documents: &Documents, id: PartId) -> &[PartId] {
    match &documents.part(documents.meant(id)).value {
        PartValue::List { entries, .. } => entries,
        _ => &[],
    }
}

/// A part's text, aliases followed.
pub(crate) fn text(documents: &Documents, id: PartId) -> Option<&str> {
    match &documents.part(documents.meant(id)).value {
        PartValue::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// The values of a key, of which there should be one.
fn values<'d>(
    documents: &'d Documents,
    map: PartId,
    key: &'d str,
) -> impl Iterator<Item = PartId> + 'd {
    let pairs = pairs(documents, map).iter();
    pairs
        .filter(move |(name, _)| text(documents, *name) == Some(key))
        .map(|(_, value)| *value)
}

/// All lists of steps.
fn lists(documents: &Documents) -> Vec<PartId> {
    let mut lists = Vec::new();
    for root in documents.roots() {
        for jobs in values(documents, *root, "jobs") {
            for (_, job) in pairs(documents, jobs) {
                lists.extend(values(documents, *job, "steps"));
            }
        }
        for runs in values(documents, *root, "runs") {
            lists.extend(values(documents, runs, "steps"));
        }
    }
    lists
}

/// The steps that use one of the tools, each once.
///
/// # Errors
///
/// When such a step takes its keys from elsewhere by a merge key.
pub(crate) fn find(documents: &Documents, remarks: &mut Remarks) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    let mut seen = HashSet::new();
    for list in lists(documents) {
        for entry in entries(documents, list) {
            let map = documents.meant(*entry);
            if !seen.insert(map) {
                continue;
            }
            let merges = values(documents, map, "<<").next();
            let tool = tool(documents, map);
            let merged = merges.and_then(|merged| merged_tool(documents, merged));
            if let (Some(merge), Some(_)) = (merges, tool.or(merged)) {
                return Err(Refusal::at(documents, merge, RefusalReason::MergeKey));
            }
            steps.extend(tool.map(|tool| Step { map, tool }));
        }
    }
    elsewhere(documents, &seen, remarks);
    Ok(steps)
}

fn tool(documents: &Documents, map: PartId) -> Option<&'static Tool> {
    let mut uses = values(documents, map, "uses");
    uses.find_map(|uses| Tool::of(text(documents, uses)?))
}

fn merged_tool(documents: &Documents, merged: PartId) -> Option<&'static Tool> {
    let maps = entries(documents, merged).iter().copied();
    let mut maps = maps.chain([merged]);
    maps.find_map(|map| tool(documents, map))
}

/// What looks like a step of a tool and stands where GitHub has none.
fn elsewhere(documents: &Documents, steps: &HashSet<PartId>, remarks: &mut Remarks) {
    for (id, part) in documents.parts() {
        if !matches!(part.value, PartValue::Map { .. }) || steps.contains(&id) {
            continue;
        }
        if let Some(tool) = tool(documents, id) {
            remarks.lost(
                part.at.line,
                format!(
                    "{} is used where no step of a job is; left alone",
                    tool.name
                ),
            );
        }
    }
}

/// Jobs on a runner with GitHub's own firewall, where the file has no step of Runward's yet.
pub(crate) fn firewalled(documents: &Documents, lines: Lines<'_>, remarks: &mut Remarks) {
    if lines.0.contains("runward") {
        return;
    }
    for root in documents.roots() {
        for jobs in values(documents, *root, "jobs") {
            for (_, job) in pairs(documents, jobs) {
                for runner in values(documents, *job, "runs-on") {
                    let labels = entries(documents, runner).iter().copied();
                    let mut labels = labels.chain([runner]);
                    let label = labels.find(|label| {
                        text(documents, *label).is_some_and(|label| label.ends_with("-firewall"))
                    });
                    if let Some(label) = label {
                        remarks.lost(
                            documents.part(label).at.line,
                            "this job runs behind GitHub's own egress firewall: to have Runward fence it, add a step with Runward's action and take another runner",
                        );
                    }
                }
            }
        }
    }
}
