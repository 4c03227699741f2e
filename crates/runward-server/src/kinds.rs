//! Kinds of detections: those that records hold, and those that only a control plane can make.

use runward_detect::{About, Confidence, Severity};
use runward_store::DetectionStatus;

use crate::learn::{CALL, INCIDENT, STORM, VOLUME};

/// Those that are made here.
pub(crate) static OWN: [About; 4] = [
    About {
        id: CALL,
        title: "A job called a place that it never called before, or had somebody else call it",
        severity: Severity::High,
        confidence: Confidence::Medium,
        needs: "a stable baseline of the job",
        next: "Look at the process and its dependency. If the call is meant, accept it on the page of the baseline; if not, \
               change every secret that the job held.",
    },
    About {
        id: VOLUME,
        title: "A job sent far more to a known place than it ever did",
        severity: Severity::High,
        confidence: Confidence::Medium,
        needs: "a stable baseline of the job",
        next: "Look at who sent it, and what it read before. An upload that grew with the product can be accepted on the \
               page of the baseline.",
    },
    About {
        id: STORM,
        title: "A run did so much that is new that naming each of it would help nobody",
        severity: Severity::High,
        confidence: Confidence::Medium,
        needs: "a stable baseline of the job",
        next: "Look at what changed with this run: another image or toolchain explains a storm, and so does somebody who \
               hides in one.",
    },
    About {
        id: INCIDENT,
        title: "The same new thing in several jobs, or the same finding in several projects, within a day",
        severity: Severity::High,
        confidence: Confidence::High,
        needs: "runs of two jobs or more",
        next: "Look at what the sightings have in common: a program, an image or a dependency. Stop that everywhere first, \
               and clean up second.",
    },
];

/// All that are known, by name.
pub(crate) fn known() -> Vec<&'static About> {
    let mut all: Vec<&About> = runward_detect::ABOUTS.into_iter().chain(&OWN).collect();
    all.sort_by_key(|about| about.id);
    all
}

/// What is known of a kind; nothing of one that a newer agent, or a rule of somebody's own, has found.
pub(crate) fn about(kind: &str) -> Option<&'static About> {
    let own = OWN.iter().find(|about| about.id == kind);
    own.or_else(|| runward_detect::about(kind))
}

/// Names of kinds that are known, or were found, for forms to choose from.
pub(crate) fn names(counts: &[(String, DetectionStatus, i64)]) -> Vec<String> {
    let mut names: Vec<String> = known()
        .into_iter()
        .map(|about| about.id.to_owned())
        .chain(counts.iter().map(|(kind, _, _)| kind.clone()))
        .collect();
    names.sort();
    names.dedup();
    names
}
