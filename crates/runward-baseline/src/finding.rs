//! One new thing, and what it is called.

use std::collections::BTreeMap;

use runward_event::Time;

use crate::anomaly::{Anomaly, Confidence, Disposition, Kind};
use crate::doings::Deed;
use crate::key::AnomalyKey;
use crate::limits;
use crate::place::{Place, Who};
use crate::score::Score;
use crate::summary::Lineage;

/// Of the many that did the same new thing, how many are remembered.
pub(crate) const WHO: usize = 4;

/// One new thing, before it is known whether anybody is told.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) subject: String,
    /// The place that becomes normal if this does: the new one, or the known one that it is about.
    pub(crate) place: String,
    pub(crate) is_file: bool,
    /// The names that it stands for, where that is not the place itself.
    pub(crate) samples: Vec<String>,
    pub(crate) owner: u8,
    /// The domain above the name, if strangers have names below it.
    pub(crate) parent: String,
    /// Nobody around knows it, nor its owner.
    pub(crate) is_stranger: bool,
    pub(crate) who: Vec<Who>,
    pub(crate) steps: Vec<String>,
    pub(crate) sent: u64,
    pub(crate) at: Time,
    pub(crate) lineage: Lineage,
    pub(crate) score: Score,
    pub(crate) disposition: Disposition,
    /// No run before this one showed it.
    pub(crate) is_fresh: bool,
}

impl Finding {
    /// Somebody did something at a place; what else there is to say is filled in.
    pub(crate) fn at(
        place: &Place,
        kind: Kind,
        key: String,
        (who, deed): (&Who, &Deed),
        score: Score,
    ) -> Finding {
        Finding {
            kind,
            key,
            subject: place.text.clone(),
            place: place.text.clone(),
            is_file: place.is_file,
            samples: Vec::new(),
            owner: place.owner_bytes(),
            parent: String::new(),
            is_stranger: false,
            who: vec![who.clone()],
            steps: Vec::new(),
            sent: 0,
            at: deed.at,
            lineage: deed.lineage.clone(),
            score,
            disposition: Disposition::News,
            is_fresh: true,
        }
    }

    /// Whether it would raise an alert by itself.
    pub(crate) fn alerts(&self) -> bool {
        self.disposition == Disposition::Alert
    }
}

/// What something new is at a place: of a destination, this; of a file, one kind whatever is new about it.
pub(crate) fn new_kind(place: &Place, of_destination: Kind) -> Kind {
    if place.is_file {
        Kind::NewOverwrite
    } else {
        of_destination
    }
}

/// What a new place is called, in this job and in others.
pub(crate) fn new_key(place: &Place, stranger: bool) -> String {
    if stranger && !place.is_file && !place.is_open() {
        return format!("owner|{}", place.owner);
    }
    if let (false, Some(mask)) = (stranger, place.mask_text()) {
        let kind = if place.is_file { "files" } else { "family" };
        return format!("{kind}|{mask}");
    }
    let kind = if place.is_file { "file" } else { "place" };
    format!("{kind}|{}", place.text)
}

/// What somebody new at a known place is called, in this job and in others.
pub(crate) fn lineage_key(place: &str, is_file: bool, who: &Who) -> String {
    let kind = if is_file { "rewrite" } else { "lineage" };
    format!("{kind}|{place}|{}|{}", who.program, who.dependency)
}

pub(crate) fn merge(by_key: &mut BTreeMap<String, Finding>, finding: Finding) {
    match by_key.entry(finding.key.clone()) {
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(finding);
        }
        std::collections::btree_map::Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.sent = known.sent.saturating_add(finding.sent);
            for who in finding.who {
                if known.who.len() < WHO && !known.who.contains(&who) {
                    known.who.push(who);
                }
            }
            for sample in finding.samples {
                if known.samples.len() < limits::SAMPLES && !known.samples.contains(&sample) {
                    known.samples.push(sample);
                }
            }
            known.is_stranger |= finding.is_stranger;
            if finding.score.value > known.score.value {
                known.score = finding.score;
                known.lineage = finding.lineage;
                known.subject = finding.subject;
            }
            known.at = known.at.min(finding.at);
        }
    }
}

pub(crate) fn anomaly(finding: &Finding, confidence: Confidence) -> Anomaly {
    Anomaly {
        key: AnomalyKey::new(&finding.key),
        kind: finding.kind,
        subject: finding.subject.clone(),
        lineage: finding.lineage.clone(),
        at: finding.at,
        score: finding.score.value,
        severity: finding.score.severity(),
        confidence,
        disposition: finding.disposition,
        explanation: finding.score.because.clone(),
    }
}
