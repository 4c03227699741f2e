//! One thing in many places is one incident.

use runward_baseline::{Incident, Lineage, Sighting};

use crate::{Job, by, call, time};

const WINDOW: u64 = 24 * 3_600;

/// The event of November 2024: on machines of GitHub, a process of the runner's image began to call a name that tells a
/// machine its own address. Played over 40 jobs in 12 projects of 4 organisations, each judged by its own baseline.
fn november(jobs: i64) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for number in 0..jobs {
        let own = call(&format!("registry{number}.example"));
        let mut job = Job::with(std::slice::from_ref(&own), 110);
        job.runs += u64::try_from(number).unwrap() * 10;
        let mut found = by("/opt/runner/provisioner/provjobd", "api.ipify.org");
        found.lineage.step = None;
        let run = job.next(&[own, found]);
        let learned = job.take(&run);
        for anomaly in learned.judgement.anomalies {
            sightings.push(Sighting {
                key: anomaly.key,
                subject: anomaly.subject,
                at: run.facts.received,
                organisation: number % 4,
                project: number % 12,
                job: number,
                run: run.facts.id.clone(),
                lineage: anomaly.lineage,
                image: Some("ubuntu-22.04 20241103.1".to_owned()),
                hosted: Some(true),
            });
        }
    }
    sightings
}

#[test]
fn the_event_of_november_2024_is_one_incident_with_its_cause() {
    let sightings = november(40);
    assert_eq!(sightings.len(), 40);
    let incident = Incident::of(&sightings, WINDOW).unwrap();
    let spread = &incident.spread;
    assert_eq!(
        (spread.jobs(), spread.projects(), spread.organisations()),
        (40, 12, 4)
    );
    assert_eq!(
        incident.common.program.as_deref(),
        Some("/opt/runner/provisioner/provjobd")
    );
    assert_eq!(incident.common.hosted, Some(true));
    assert_eq!(
        incident.common.image.as_deref(),
        Some("ubuntu-22.04 20241103.1")
    );
    assert!(incident.common.outside_steps);
    assert_eq!(incident.first.job, 0);
    insta::assert_snapshot!(incident.sentence(), @"api.ipify.org:443 was new in 40 jobs of 12 projects and 4 organisations, always by /opt/runner/provisioner/provjobd, only on machines of the provider with the image ubuntu-22.04 20241103.1. It ran outside of every step: no code of the users did it.");
}

#[test]
fn the_second_job_makes_it_an_incident() {
    let sightings = november(2);
    assert_eq!(Incident::of(&sightings[..1], WINDOW), None);
    let incident = Incident::of(&sightings, WINDOW).unwrap();
    assert_eq!(incident.spread.jobs(), 2);
}

#[test]
fn sightings_far_apart_are_not_one_incident_and_order_does_not_matter() {
    let mut sightings = november(3);
    sightings[2].at = time(90 * 86_400);
    assert_eq!(
        Incident::of(&sightings, WINDOW),
        None,
        "the last wave is one job"
    );
    sightings.pop();
    let forwards = Incident::of(&sightings, WINDOW).unwrap();
    sightings.reverse();
    assert_eq!(Incident::of(&sightings, WINDOW), Some(forwards));
}

#[test]
fn what_differs_is_not_said_to_be_common() {
    let mut sightings = november(3);
    sightings[1].lineage = Lineage {
        executable: "/usr/bin/curl".to_owned(),
        step: Some("test".to_owned()),
        dependency: None,
    };
    sightings[2].hosted = None;
    let incident = Incident::of(&sightings, WINDOW).unwrap();
    assert_eq!(incident.common.program, None);
    assert_eq!(incident.common.hosted, None);
    assert!(!incident.common.outside_steps);
}

#[test]
fn an_organisation_learns_nothing_of_where_others_saw_it() {
    let incident = Incident::of(&november(8), WINDOW).unwrap();
    let seen = incident.seen_by(1);
    assert_eq!((seen.spread.jobs(), seen.spread.organisations()), (2, 1));
    assert_eq!(
        (seen.first.job, seen.first.project, seen.first.run.as_str()),
        (0, 0, "")
    );
}

#[test]
fn a_flood_of_places_stays_bounded_and_is_counted() {
    let one = &november(1)[0];
    let mut incident = Incident::of(
        &[
            one.clone(),
            Sighting {
                job: 77,
                ..one.clone()
            },
        ],
        WINDOW,
    )
    .unwrap();
    for job in 100..5_000 {
        assert!(incident.add(&Sighting { job, ..one.clone() }, WINDOW));
    }
    assert_eq!(incident.spread.jobs(), 2_000);
    assert_eq!(incident.spread.uncounted, 2_902);
}
