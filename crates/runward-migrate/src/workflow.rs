//! Workflows, and actions made of steps.

use runward_yaml::Documents;

use crate::action::Action;
use crate::check::is_as_planned;
use crate::edit::Lines;
use crate::error::{Refusal, RefusalReason};
use crate::layout::Layout;
use crate::remark::Remarks;
use crate::step::Planner;
use crate::steps::{Step, find, firewalled};
use crate::{Migration, limits};

/// Turns the steps of other tools in a workflow, or in an action made of steps, into steps of `action`.
///
/// # Errors
///
/// When the text is not YAML, or a step can't be changed by machine: then nothing of the file is changed.
pub fn migrate_workflow(text: &str, action: &Action) -> Result<Migration, Refusal> {
    let documents = read(text)?;
    let mut remarks = Remarks::default();
    let steps = find(&documents, &mut remarks)?;
    let layout = Layout {
        lines: Lines(text),
        documents: &documents,
    };
    if steps.is_empty() {
        firewalled(&documents, layout.lines, &mut remarks);
        return Ok(Migration {
            text: None,
            remarks: remarks.finish(),
        });
    }
    match change(layout, &steps, action, remarks) {
        Err(refusal) if refusal.reason == RefusalReason::NotTheSame => {
            // Which of the steps it is, a person wants to know.
            let fails = |step: &&Step| {
                let one = std::slice::from_ref(*step);
                change(layout, one, action, Remarks::default()).is_err()
            };
            Err(match steps.iter().find(fails) {
                Some(step) => Refusal::at(&documents, step.map, RefusalReason::NotTheSame),
                None => refusal,
            })
        }
        changed => changed,
    }
}

/// Reads all documents of a text.
pub(crate) fn read(text: &str) -> Result<Documents, Refusal> {
    if text.len() > limits::TEXT_BYTES {
        return Err(Refusal {
            line: 1,
            column: 1,
            reason: RefusalReason::TooLarge,
        });
    }
    Ok(Documents::read(text, limits::YAML)?)
}

fn change(
    layout: Layout<'_>,
    steps: &[Step],
    action: &Action,
    remarks: Remarks,
) -> Result<Migration, Refusal> {
    let mut planner = Planner::new(layout, action, remarks);
    for step in steps {
        planner.step(step)?;
    }
    firewalled(layout.documents, layout.lines, &mut planner.remarks);
    let Planner {
        edits,
        plan,
        remarks,
        ..
    } = planner;
    let checked = edits.apply(layout.text()).filter(|text| {
        let new = Documents::read(text, limits::YAML);
        new.is_ok_and(|new| is_as_planned(layout.documents, &new, &plan))
    });
    match (checked, steps.first()) {
        (Some(text), _) => Ok(Migration {
            text: Some(text),
            remarks: remarks.finish(),
        }),
        (None, Some(step)) => Err(Refusal::at(
            layout.documents,
            step.map,
            RefusalReason::NotTheSame,
        )),
        (None, None) => Ok(Migration::default()),
    }
}
