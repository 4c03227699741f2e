//! The same in several places at once: what is new in more than one job, and what is found in more than one project.

use std::collections::BTreeMap;

use runward_baseline::{Anomaly, AnomalyKey, Incident, Lineage, Sighting};
use runward_detect::Severity;
use runward_report::Report;
use runward_store::{
    About, Digest, FINDING_SEEN, NewDetection, NewIncident, OrgId, RunPlace, SeenAnomaly,
};

use super::summary::{lineage, time};
use super::{INCIDENT, INCIDENTS, OVERWRITTEN, word};
use crate::app::{App, millis};
use crate::problem::Problem;

/// How long after one sighting the next one is still part of the same incident.
const WINDOW_SECONDS: u64 = 24 * 3600;
/// Sightings of one thing that are looked at.
const SIGHTINGS: u32 = 2_000;
/// Different findings of one run that are kept to be compared with those of others.
const FINDINGS: usize = 32;
/// Findings that baselines compare by what they are about, so that they need not be compared again.
const COMPARED: [&str; 2] = [OVERWRITTEN, "outbound-call-blocked"];

/// The incident that an anomaly is part of, if other jobs of the server have seen the same.
pub(super) async fn of_anomaly(
    app: &App,
    place: &RunPlace,
    report: &Report,
    anomaly: &Anomaly,
) -> Result<Option<NewIncident>, Problem> {
    let own = Sighting {
        key: anomaly.key.clone(),
        subject: anomaly.subject.clone(),
        at: anomaly.at,
        lineage: anomaly.lineage.clone(),
        ..sighted(place, report)
    };
    let incident = incident(app, &own).await?;
    Ok(incident.and_then(|incident| incident.kept(&own, About::Destination)))
}

/// Adds to the digest what other projects have to be compared with, and the incidents that come of comparing.
pub(crate) async fn compare(
    app: &App,
    place: &RunPlace,
    report: &Report,
    digest: &mut Digest,
) -> Result<(), Problem> {
    for (found, own) in findings(place, report) {
        digest.anomalies.push(as_anomaly(found, &own));
        if digest.incidents.len() >= 2 * INCIDENTS {
            continue;
        }
        // Several jobs of one project share their files, so what is found in all of them is found once.
        if let Some(incident) = incident(app, &own).await?
            && incident.incident.spread.projects() > 1
        {
            let about = match found.destination {
                Some(_) => About::Destination,
                None => About::Machine,
            };
            let kept = incident.kept(&own, about);
            digest.incidents.extend(kept.map(|kept| NewIncident {
                cause: Some(crate::digest::detection(found)),
                ..kept
            }));
        }
    }
    Ok(())
}

/// One of each kind and cause, the gravest first.
fn findings<'a>(
    place: &RunPlace,
    report: &'a Report,
) -> Vec<(&'a runward_report::Detection, Sighting)> {
    let mut found = BTreeMap::new();
    let worth_comparing = report.detections.iter().filter(|found| {
        found.severity >= Severity::Medium && !COMPARED.contains(&found.detection.as_str())
    });
    for detection in worth_comparing {
        let own = sighting_of(place, report, detection);
        if found.len() < FINDINGS {
            found.entry(own.key.clone()).or_insert((detection, own));
        }
    }
    found.into_values().collect()
}

fn sighting_of(place: &RunPlace, report: &Report, found: &runward_report::Detection) -> Sighting {
    let who = lineage(
        found.process.as_deref(),
        found.step.as_deref(),
        found.dependency.as_deref(),
    );
    // A dependency is a better name for a cause than the program that it used.
    let cause = found.destination.as_ref().or(who.dependency.as_ref());
    let cause = cause.unwrap_or(&who.executable);
    Sighting {
        key: AnomalyKey::of_finding(&found.detection, cause),
        subject: match &found.destination {
            Some(destination) => format!("{} ({destination})", found.detection),
            None => found.detection.clone(),
        },
        at: found.time,
        lineage: who,
        ..sighted(place, report)
    }
}

/// Where something was seen that is still to be said.
fn sighted(place: &RunPlace, report: &Report) -> Sighting {
    Sighting {
        key: AnomalyKey::new(""),
        subject: String::new(),
        at: report.start.unwrap_or_default(),
        organisation: place.org.0,
        project: place.project.0,
        job: place.job.0,
        run: place.id.clone(),
        lineage: Lineage::default(),
        image: report.context.image.clone(),
        hosted: report.context.hosted,
    }
}

/// An incident with the organisations that have a part in it.
struct Reached {
    incident: Incident,
    orgs: Vec<OrgId>,
}

/// What the server has seen of this with what was seen now, if that is more than one job.
async fn incident(app: &App, own: &Sighting) -> Result<Option<Reached>, Problem> {
    let window = i64::try_from(WINDOW_SECONDS * 1000).unwrap_or(i64::MAX);
    // By the clocks of the machines, as the sightings have it: a wrong one makes an incident smaller, and nothing else.
    let since = millis(own.at).saturating_sub(window);
    let key = own.key.as_str();
    let seen = app.store().sightings_of(key, since, SIGHTINGS).await?;
    let mut sightings: Vec<Sighting> = seen
        .iter()
        .filter(|seen| seen.run != own.run)
        .map(sighting)
        .collect();
    sightings.push(own.clone());
    let orgs = sightings.iter().map(|seen| OrgId(seen.organisation));
    let orgs = orgs.collect();
    let incident = Incident::of(&sightings, WINDOW_SECONDS);
    Ok(incident.map(|incident| Reached { incident, orgs }))
}

impl Reached {
    /// As it is kept, with what the organisation of `own` is told.
    fn kept(self, own: &Sighting, about: About) -> Option<NewIncident> {
        let Reached { incident, orgs } = self;
        Some(NewIncident {
            key: own.key.as_str().to_owned(),
            subject: incident.subject.clone(),
            first_at: millis(incident.first.at),
            last_at: millis(incident.last),
            jobs: i64::try_from(incident.spread.jobs()).unwrap_or(i64::MAX),
            orgs,
            state: serde_json::to_vec(&incident).ok()?,
            detection: NewDetection {
                kind: INCIDENT.to_owned(),
                severity: word(Severity::High),
                title: incident.seen_by(own.organisation).sentence(),
                subject: incident.subject.clone(),
                about,
                program: own.lineage.executable.clone(),
                at: millis(own.at),
            },
            cause: None,
        })
    }
}

/// A finding's sighting, in the table where sightings are looked up.
fn as_anomaly(found: &runward_report::Detection, own: &Sighting) -> runward_store::Anomaly {
    runward_store::Anomaly {
        key: own.key.as_str().to_owned(),
        kind: FINDING_SEEN.to_owned(),
        subject: own.subject.clone(),
        program: own.lineage.executable.clone(),
        step: own.lineage.step.clone(),
        dependency: own.lineage.dependency.clone(),
        at: millis(own.at),
        score: 0.0,
        severity: word(found.severity),
        confidence: "high".to_owned(),
        disposition: "alert".to_owned(),
        explanation: String::new(),
    }
}

fn sighting(seen: &SeenAnomaly) -> Sighting {
    let anomaly = &seen.anomaly;
    Sighting {
        key: AnomalyKey::new(&anomaly.key),
        subject: anomaly.subject.clone(),
        at: time(anomaly.at),
        organisation: seen.org.0,
        project: seen.project.0,
        job: seen.job.0,
        run: seen.run.clone(),
        lineage: Lineage {
            executable: anomaly.program.clone(),
            step: anomaly.step.clone(),
            dependency: anomaly.dependency.clone(),
        },
        image: seen.image.clone(),
        hosted: seen.hosted,
    }
}
