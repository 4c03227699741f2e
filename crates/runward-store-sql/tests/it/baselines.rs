//! Baselines, what is known around jobs, anomalies and incidents.

use runward_lab::test_name;
use runward_store::{
    About, Anomaly, BaselineChange, BaselineFilter, BaselineSettings, BaselineState,
    BaselineSummary, DetectionFilter, DetectionStatus, Digest, JobId, NewBaselineEntry,
    NewDetection, NewIncident, ProjectId, Store, StoreError,
};

use crate::bed::{ALL, Bed, NOW, batch, digest, each};

const DAY: i64 = 24 * 3_600_000;

fn entry(subject: &str) -> NewBaselineEntry {
    NewBaselineEntry {
        at: NOW,
        what: "opened".to_owned(),
        subject: subject.to_owned(),
        run: Some("f".repeat(32)),
        person: None,
        why: "no run went there before".to_owned(),
    }
}

fn change(version: i64) -> BaselineChange {
    BaselineChange {
        version,
        state: vec![0, 255, 7, u8::try_from(version).unwrap()],
        summary: BaselineSummary {
            state: BaselineState::Stable,
            runs: version + 1,
            members: 2,
            open: 1,
            alert_rate: [0.5, 0.25, 1.0],
        },
        entries: vec![entry("a.example:443")],
        keys: vec![(-5, 1, 0), (i64::MAX, 0, 1)],
        rates: [1.0, 0.5, 2.0, 1.5],
        faded: [0.5, 1.0],
        at: NOW + version,
    }
}

fn anomaly(key: &str, disposition: &str) -> Anomaly {
    Anomaly {
        key: key.to_owned(),
        kind: "new-destination".to_owned(),
        subject: format!("{key}.example:443"),
        program: "/usr/bin/curl".to_owned(),
        step: Some("build".to_owned()),
        dependency: None,
        at: NOW,
        score: 2.5,
        severity: "high".to_owned(),
        confidence: "medium".to_owned(),
        disposition: disposition.to_owned(),
        explanation: "No run went there before.\0".to_owned(),
    }
}

fn detection(kind: &str, subject: &str) -> NewDetection {
    NewDetection {
        kind: kind.to_owned(),
        severity: "high".to_owned(),
        title: subject.to_owned(),
        subject: subject.to_owned(),
        about: About::Destination,
        program: "/usr/bin/curl".to_owned(),
        at: NOW,
    }
}

/// A run that waits for its digest: number, project and job.
async fn waiting(bed: &Bed, name: u32, project: &str) -> (i64, ProjectId, JobId) {
    let run = bed
        .run(name, |claim| {
            claim.identity.project = Some(project.to_owned());
        })
        .await;
    bed.store.receive(run, &batch(1, 10), NOW).await.unwrap();
    let place = bed.store.run_place(run).await.unwrap().unwrap();
    assert_eq!(place.org, bed.org.id);
    (run, place.project, place.job)
}

#[tokio::test]
async fn a_digest_and_the_baseline_change_together_or_not_at_all() {
    each(test_name!(), async |bed| {
        let (run, project, job) = waiting(&bed, 1, "group/app").await;
        let store = &bed.store;
        assert_eq!(store.kept_baseline(job).await.unwrap().version, 0);
        let with = |version, destination| Digest {
            anomalies: vec![anomaly("one", "alert")],
            baseline: Some(change(version)),
            ..digest(10, &[(destination, 0)])
        };
        store.digest(run, &with(0, "a.example:443")).await.unwrap();
        let kept = store.kept_baseline(job).await.unwrap();
        assert_eq!((kept.version, kept.state), (1, change(0).state));
        // Made from what is not there any more.
        for version in [0, 7] {
            let stale = store.digest(run, &with(version, "b.example:443")).await;
            assert!(matches!(stale, Err(StoreError::Conflict(_))), "{stale:?}");
        }
        let destinations = store
            .destinations(bed.org.id, &Default::default(), ALL)
            .await
            .unwrap();
        assert_eq!(destinations.rows.len(), 1, "nothing of it was kept");
        store.digest(run, &with(1, "b.example:443")).await.unwrap();
        let listed = store.baseline(bed.org.id, job).await.unwrap().unwrap();
        assert_eq!(listed.summary, change(1).summary);
        assert_eq!((listed.project, listed.changed_at), (project, NOW + 1));
        let entries = store.baseline_entries(bed.org.id, job, ALL).await.unwrap();
        assert_eq!(entries.rows.len(), 2);
        assert_eq!(entries.rows[0].entry, entry("a.example:443"));
    })
    .await;
}

#[tokio::test]
async fn what_is_known_around_a_job_adds_up_and_goes_when_nobody_knows_it() {
    each(test_name!(), async |bed| {
        let (run, project, job) = waiting(&bed, 1, "group/app").await;
        let store = &bed.store;
        let keys = [-5, i64::MAX, 3];
        for version in 0..2 {
            let digest = Digest {
                baseline: Some(change(version)),
                ..digest(10, &[])
            };
            store.digest(run, &digest).await.unwrap();
        }
        let [of_project, of_org] = store.around(bed.org.id, project, &keys).await.unwrap();
        // The project's older figures count half, the organisation's whole.
        assert_eq!(of_project.rates, [1.5, 0.75, 3.0, 2.25]);
        assert_eq!(of_org.rates, [2.0, 1.0, 4.0, 3.0]);
        assert_eq!(of_org.rated_at, Some(NOW + 1));
        let found: Vec<_> = of_project
            .keys
            .iter()
            .map(|key| (key.key, key.normal, key.open, key.opened_at))
            .collect();
        assert_eq!(found, [(-5, 2, 0, None), (i64::MAX, 0, 2, Some(NOW + 1))]);
        let taken_back = BaselineChange {
            keys: vec![(-5, -2, 0), (i64::MAX, 0, -9)],
            ..change(2)
        };
        store
            .change_baseline(bed.org.id, job, &taken_back)
            .await
            .unwrap();
        let [of_project, _] = store.around(bed.org.id, project, &keys).await.unwrap();
        assert_eq!(of_project.keys, []);
        let other = store.add_org("other", "Other").await.unwrap();
        let theirs = store.change_baseline(other.id, job, &change(3)).await;
        assert!(matches!(theirs, Err(StoreError::Missing(_))), "{theirs:?}");
        assert_eq!(store.baseline(other.id, job).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn baselines_are_listed_by_state_and_project() {
    each(test_name!(), async |bed| {
        let store = &bed.store;
        for (number, state) in [(1, BaselineState::Creating), (2, BaselineState::Stable)] {
            let project = format!("group/app-{number}");
            let (run, ..) = waiting(&bed, number, &project).await;
            let mut change = change(0);
            change.summary.state = state;
            change.at += i64::from(number);
            let digest = Digest {
                baseline: Some(change),
                ..digest(10, &[])
            };
            store.digest(run, &digest).await.unwrap();
        }
        let names = async |filter: BaselineFilter| {
            let page = store.baselines(bed.org.id, &filter, ALL).await.unwrap();
            let names = page.rows.into_iter().map(|row| row.project_name);
            names.collect::<Vec<_>>()
        };
        let all = names(BaselineFilter::default()).await;
        assert_eq!(all, ["group/app-2", "group/app-1"]);
        let stable = BaselineFilter {
            state: Some(BaselineState::Stable),
            ..BaselineFilter::default()
        };
        assert_eq!(names(stable).await, ["group/app-2"]);
        let counts = store.baseline_counts(bed.org.id).await.unwrap();
        assert_eq!(
            counts,
            [(BaselineState::Creating, 1), (BaselineState::Stable, 1)]
        );
        let set = BaselineSettings {
            min_days: Some(9),
            alert_commits: None,
            ..BaselineSettings::default()
        };
        assert_eq!(
            store.baseline_settings(bed.org.id).await.unwrap(),
            BaselineSettings::default()
        );
        store.set_baseline_settings(bed.org.id, &set).await.unwrap();
        assert_eq!(store.baseline_settings(bed.org.id).await.unwrap(), set);
    })
    .await;
}

#[tokio::test]
async fn an_alert_stays_one_and_an_incident_is_told_to_each_organisation_once() {
    each(test_name!(), async |bed| {
        let store = &bed.store;
        let (run, ..) = waiting(&bed, 1, "group/app").await;
        let incident = |last: i64, jobs| NewIncident {
            key: "one".to_owned(),
            subject: "one.example:443".to_owned(),
            first_at: NOW,
            last_at: NOW + last,
            jobs,
            orgs: vec![bed.org.id],
            detection: detection("incident", "one.example:443"),
            state: vec![1, 2, 3],
            cause: None,
        };
        for (disposition, last) in [("alert", 5), ("known", 9)] {
            let digest = Digest {
                anomalies: vec![anomaly("one", disposition)],
                machine: (Some("ubuntu".to_owned()), Some(true)),
                incidents: vec![incident(last, 2 + last)],
                ..digest(10, &[])
            };
            store.digest(run, &digest).await.unwrap();
        }
        let kept = store.anomalies(run).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].disposition, "alert");
        let seen = store.sightings_of("one", NOW, 10).await.unwrap();
        assert_eq!((seen.len(), seen[0].hosted), (1, Some(true)));
        assert_eq!(store.sightings_of("one", NOW + 1, 10).await.unwrap(), []);
        let incidents = store.incidents(bed.org.id, ALL).await.unwrap().rows;
        assert_eq!(incidents.len(), 1);
        assert_eq!((incidents[0].jobs, incidents[0].last_at), (11, NOW + 9));
        let told = DetectionFilter {
            kind: Some("incident".to_owned()),
            ..DetectionFilter::default()
        };
        let told = store.detections(bed.org.id, &told, ALL).await.unwrap();
        assert_eq!(told.rows.len(), 1);
        // Much later it is another one.
        let (later, ..) = waiting(&bed, 2, "group/app").await;
        let again = Digest {
            incidents: vec![NewIncident {
                first_at: NOW + 9 * DAY,
                ..incident(9 * DAY, 3)
            }],
            ..digest(10, &[])
        };
        store.digest(later, &again).await.unwrap();
        let incidents = store.incidents(bed.org.id, ALL).await.unwrap().rows;
        assert_eq!(incidents.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_is_accepted_resolves_the_detections_of_that_job_alone() {
    each(test_name!(), async |bed| {
        let store = &bed.store;
        let mut jobs = Vec::new();
        for (number, project) in [(1, "group/app"), (2, "group/app"), (3, "group/other")] {
            let (run, _, job) = waiting(&bed, number, project).await;
            jobs.push(job);
            let digest = Digest {
                detections: vec![
                    detection("anomalous-outbound-call", "a.example:443"),
                    detection("outbound-call-blocked", "a.example:443"),
                ],
                ..digest(10, &[])
            };
            store.digest(run, &digest).await.unwrap();
        }
        let resolved = store
            .settle_detections(
                bed.org.id,
                jobs[0],
                &["anomalous-outbound-call"],
                "a.example:443",
                "ada",
                "accepted",
            )
            .await
            .unwrap();
        assert_eq!(resolved, 2);
        let new = DetectionFilter {
            status: Some(DetectionStatus::New),
            ..DetectionFilter::default()
        };
        let new = store.detections(bed.org.id, &new, ALL).await.unwrap();
        assert_eq!(new.rows.len(), 4);
        let runs = store
            .runs(bed.org.id, &Default::default(), ALL)
            .await
            .unwrap();
        let mut open: Vec<i64> = runs.rows.iter().map(|run| run.detections).collect();
        open.sort_unstable();
        assert_eq!(open, [1, 1, 2]);
    })
    .await;
}
