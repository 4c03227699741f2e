use std::collections::BTreeMap;

use runward_lab::test_name;
use runward_store::{
    About, Batch, DAY, Deleted, DeletedDetections, DestinationFilter, DetectionFilter,
    DetectionStatus, Digest, Field, NewDetection, Org, Overdue, Retention, Run, RunFilter,
    SWEEP_AFTER, Store, StoreError, SuppressionDraft, Tag,
};
use runward_store_sql::SqlStore;

use crate::bed::{ALL, Bed, NOW, batch, claim, digest, each, name};

/// In these tests, 0 is for ever.
fn terms(events: i64, detections: i64, runs: i64) -> Retention {
    let term = |days| (days != 0).then_some(days);
    Retention::new(term(events), term(detections), term(runs)).unwrap()
}

/// What a run is made of.
struct Made<'a> {
    number: u32,
    job: &'a str,
    host: &'a str,
    /// When the last of it came.
    at: i64,
    destinations: &'a [&'a str],
    detections: i64,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Made {
            number: 1,
            job: "test",
            host: "runner-1",
            at: NOW,
            destinations: &["a.example:443"],
            detections: 1,
        }
    }
}

fn found(number: i64) -> NewDetection {
    NewDetection {
        kind: "outbound-call-blocked".to_owned(),
        severity: "medium".to_owned(),
        title: "refused".to_owned(),
        subject: format!("host-{number}.example:443"),
        about: About::Destination,
        program: "/usr/bin/curl".to_owned(),
        at: NOW,
    }
}

impl Bed {
    async fn keep(&self, org: &Org, terms: Retention) {
        let seen = self.store.retention(org.id).await.unwrap();
        let changed = self.store.change_retention(org.id, &seen, &terms).await;
        changed.unwrap();
    }

    /// A run that has ended, of this organisation.
    async fn made(&self, org: &Org, made: Made<'_>) -> i64 {
        let mut claim = claim(org, made.number);
        claim.identity.job = Some(made.job.to_owned());
        claim.host = made.host.to_owned();
        // What a job says of its time counts for nothing.
        claim.started_at = NOW - 9_000 * DAY;
        let run = self.store.open_run(&claim, made.at).await.unwrap().number;
        let object = Batch {
            object: format!("events/{}/{}", claim.run, made.number),
            ..batch(1, 10)
        };
        self.store.receive(run, &object, made.at).await.unwrap();
        let places: Vec<(&str, i64)> = made.destinations.iter().map(|place| (*place, 0)).collect();
        let digest = Digest {
            detections: (0..made.detections).map(found).collect(),
            ..digest(10, &places)
        };
        self.store.digest(run, &digest).await.unwrap();
        run
    }

    async fn seen_run(&self, org: &Org, number: u32) -> Option<Run> {
        let found = self.store.run(org.id, &name(number)).await.unwrap();
        found.map(|(run, _)| run)
    }

    /// Destinations with their runs and jobs.
    async fn places(&self, org: &Org) -> BTreeMap<String, (i64, i64)> {
        let every = DestinationFilter::default();
        let all = self.store.destinations(org.id, &every, ALL).await.unwrap();
        let all = all.rows.into_iter();
        all.map(|place| (place.destination, (place.runs, place.jobs)))
            .collect()
    }
}

/// All that a worker does, but for the objects; until there is nothing to do.
async fn clean(store: &SqlStore, now: i64) {
    loop {
        let orgs = store.orgs_to_clean(now).await.unwrap();
        if orgs.is_empty() {
            return;
        }
        for org in orgs {
            store.cut_events(org, now, 3).await.unwrap();
            for (run, _) in store.runs_to_clear(org, 100).await.unwrap() {
                loop {
                    let some = store.batches_to_clear(run, 2).await.unwrap();
                    if !store.cleared(run, &some).await.unwrap() {
                        break;
                    }
                }
            }
            for (run, _) in store.runs_to_sweep(org, now, 100).await.unwrap() {
                store.swept(run).await.unwrap();
            }
            store.delete_detections(org, now).await.unwrap();
            store.delete_runs(org, now).await.unwrap();
        }
    }
}

/// The same, twice: what was cut the first time is old enough to be swept the second.
async fn clean_for_long(store: &SqlStore, now: i64) {
    clean(store, now).await;
    clean(store, now + SWEEP_AFTER).await;
}

#[tokio::test]
async fn terms_are_changed_from_what_was_seen_or_not_at_all() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let other = store.add_org("other", "Other").await.unwrap();
        let usual = Retention::default();
        assert_eq!(store.retention(org).await.unwrap(), usual);
        for (seen, wanted) in [
            (usual, terms(7, 30, 0)),
            (terms(7, 30, 0), terms(0, 0, 0)),
            (terms(0, 0, 0), terms(1, 1, 1)),
        ] {
            store.change_retention(org, &seen, &wanted).await.unwrap();
            assert_eq!(store.retention(org).await.unwrap(), wanted);
            let late = store.change_retention(org, &seen, &usual).await;
            assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
        }
        assert_eq!(store.retention(org).await.unwrap(), terms(1, 1, 1));
        assert_eq!(store.retention(other.id).await.unwrap(), usual);
    })
    .await;
}

#[tokio::test]
async fn events_are_cut_at_their_term_and_not_a_moment_before() {
    each(test_name!(), async |bed: Bed| {
        let org = bed.org.clone();
        let ever = bed.store.add_org("ever", "Ever").await.unwrap();
        let longer = bed.store.add_org("longer", "Longer").await.unwrap();
        bed.keep(&org, terms(7, 0, 0)).await;
        bed.keep(&ever, terms(0, 0, 0)).await;
        bed.keep(&longer, terms(8, 0, 0)).await;
        let old = NOW - 7 * DAY;
        let made = async |org: &Org, number, at| {
            bed.made(
                org,
                Made {
                    number,
                    at,
                    ..Made::default()
                },
            )
            .await
        };
        made(&org, 1, old).await;
        made(&org, 2, old + 1).await;
        made(&ever, 3, NOW - 9_000 * DAY).await;
        made(&longer, 4, old).await;
        // Of these, something still comes; one that fell silent is as one that has ended.
        bed.store.open_run(&claim(&org, 5), old).await.unwrap();
        bed.store.open_run(&claim(&org, 6), old - 5).await.unwrap();
        bed.store.silence(old - 4, NOW).await.unwrap();
        // These wait for their digest, one of them for so long that nobody can make it.
        for (number, at) in [(7, old - DAY + 1), (8, old - DAY)] {
            let run = bed.store.open_run(&claim(&org, number), at).await.unwrap();
            let received = bed.store.receive(run.number, &batch(1, 10), at).await;
            received.unwrap();
        }
        bed.store.silence(old - 3, NOW).await.unwrap();

        assert_eq!(bed.store.orgs_to_clean(NOW).await.unwrap(), [org.id]);
        clean(&bed.store, NOW).await;
        let gone = Some(Deleted {
            at: NOW,
            after_days: 7,
        });
        for (of, number, expected) in [
            (&org, 1, gone),
            (&org, 2, None),
            (&ever, 3, None),
            (&longer, 4, None),
            (&org, 5, None),
            (&org, 6, gone),
            (&org, 7, None),
            (&org, 8, gone),
        ] {
            let run = bed.seen_run(of, number).await.unwrap();
            assert_eq!(run.events_deleted, expected, "{number}");
            assert_eq!(run.detections_deleted, None, "{number}");
        }
        let recorded = RunFilter {
            recorded: true,
            ..RunFilter::default()
        };
        let found = bed.store.runs(org.id, &recorded, ALL).await.unwrap().rows;
        let mut found: Vec<String> = found.into_iter().map(|run| run.id).collect();
        found.sort();
        assert_eq!(found, [name(2), name(5), name(7)]);
        let waiting = bed.store.undigested(9).await.unwrap();
        assert_eq!(waiting.len(), 1, "nobody digests what is gone: {waiting:?}");
    })
    .await;
}

#[tokio::test]
async fn a_run_whose_events_are_gone_takes_nothing_and_stays_as_it_was() {
    each(test_name!(), async |bed: Bed| {
        let org = bed.org.clone();
        let run = bed.made(&org, Made::default()).await;
        let before = bed.seen_run(&org, 1).await.unwrap();
        let now = NOW + 30 * DAY;
        assert_eq!(bed.store.cut_events(org.id, now, 9).await.unwrap(), 1);
        assert_eq!(bed.store.cut_events(org.id, now, 9).await.unwrap(), 0);
        let store = &bed.store;
        let answers = [
            store.open_run(&claim(&org, 1), now).await.err(),
            store.opened(org.id, None, &name(1)).await.err(),
            store.receive(run, &batch(11, 12), now).await.err(),
            store.receive(run, &batch(1, 10), now).await.err(),
        ];
        for answer in answers {
            assert!(matches!(answer, Some(StoreError::Gone(_))), "{answer:?}");
        }
        // To others, it is as little there as before.
        let other = store.add_org("other", "Other").await.unwrap();
        let theirs = store.open_run(&claim(&other, 1), now).await;
        assert!(matches!(theirs, Err(StoreError::Missing("run"))));
        assert_eq!(store.opened(other.id, None, &name(1)).await.unwrap(), None);
        // A worker that read the events before comes late.
        let late = digest(12, &[("late.example:443", 0)]);
        store.digest(run, &late).await.unwrap();
        let after = bed.seen_run(&org, 1).await.unwrap();
        let expected = Run {
            events_deleted: Some(Deleted {
                at: now,
                after_days: 30,
            }),
            ..before
        };
        assert_eq!(after, expected);
        let went = store.went(org.id, run, 9).await.unwrap();
        let went: Vec<&str> = went
            .iter()
            .map(|went| went.observation.destination.as_str())
            .collect();
        assert_eq!(went, ["a.example:443"]);
        assert_eq!(store.went(other.id, run, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn what_leads_to_an_object_is_forgotten_after_it() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.id);
        let run = bed.made(&bed.org, Made::default()).await;
        for first in [11, 21, 31] {
            let received = store.receive(run, &batch(first, first + 9), NOW).await;
            received.unwrap();
        }
        store.digest(run, &digest(40, &[])).await.unwrap();
        // Nothing is forgotten of a run that was not cut, whoever asks for it.
        assert_eq!(store.batches_to_clear(run, 9).await.unwrap(), []);
        let all = store.batches(run).await.unwrap();
        assert!(!store.cleared(run, &all).await.unwrap());
        assert_eq!(store.batches(run).await.unwrap().len(), 4);

        let now = NOW + 30 * DAY;
        store.cut_events(org, now, 9).await.unwrap();
        assert_eq!(store.runs_to_clear(org, 9).await.unwrap(), [(run, name(1))]);
        let mut forgotten = Vec::new();
        loop {
            let some = store.batches_to_clear(run, 3).await.unwrap();
            forgotten.extend(some.clone());
            // Another worker has deleted the same ones, and says so first.
            let more = store.cleared(run, &some).await.unwrap();
            assert_eq!(store.cleared(run, &some).await.unwrap(), more);
            if !more {
                break;
            }
            assert!(
                store
                    .runs_to_sweep(org, now * 2, 9)
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
        assert_eq!(forgotten, all, "each once, and every one");
        assert_eq!(store.runs_to_clear(org, 9).await.unwrap(), []);
        let soon = now + SWEEP_AFTER - 1;
        assert_eq!(store.runs_to_sweep(org, soon, 9).await.unwrap(), []);
        assert_eq!(store.orgs_to_clean(soon).await.unwrap(), []);
        let found = store.runs_to_sweep(org, soon + 1, 9).await.unwrap();
        assert_eq!(found, [(run, name(1))]);
        store.swept(run).await.unwrap();
        assert_eq!(store.runs_to_sweep(org, now * 2, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn detections_go_at_their_term_whatever_has_become_of_them() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.clone());
        bed.keep(&org, terms(7, 60, 0)).await;
        for (number, at, detections) in [(1, 0, 3), (2, 1, 2), (3, -1, 0)] {
            let at = NOW - 60 * DAY + at;
            let made = Made {
                number,
                at,
                detections,
                ..Made::default()
            };
            bed.made(&org, made).await;
        }
        let all = DetectionFilter::default();
        let listed = store.detections(org.id, &all, ALL).await.unwrap().rows;
        let of = |run: u32, subject: &str| {
            let found = listed
                .iter()
                .find(|found| found.run == name(run) && found.subject == subject);
            found.unwrap().id
        };
        let resolved = of(1, "host-0.example:443");
        store
            .decide(org.id, resolved, DetectionStatus::Resolved, "ada", None)
            .await
            .unwrap();
        let draft = SuppressionDraft {
            name: "ours".to_owned(),
            reason: "it is meant".to_owned(),
            patterns: vec![(Field::Host, "host-1.example".to_owned())],
            ..SuppressionDraft::default()
        };
        let rule = draft.check(NOW).unwrap();
        let rule = store
            .add_suppression(org.id, &rule, "ada", NOW)
            .await
            .unwrap();
        assert_eq!(rule.hides, 2);

        let shorter = terms(7, 60, 60);
        let overdue = store.overdue(org.id, &shorter, NOW).await.unwrap();
        let expected = Overdue {
            events: 3,
            detections: 3,
            undecided: 1,
            runs: 2,
        };
        assert_eq!(overdue, expected);
        let ever = store.overdue(org.id, &terms(0, 0, 0), NOW).await.unwrap();
        assert_eq!(ever, Overdue::default());

        // Events go first.
        let early = store.delete_detections(org.id, NOW).await.unwrap();
        assert_eq!(early, DeletedDetections::default());
        let cut = NOW - SWEEP_AFTER;
        store.cut_events(org.id, cut, 9).await.unwrap();
        for (run, _) in store.runs_to_clear(org.id, 9).await.unwrap() {
            let all = store.batches_to_clear(run, 9).await.unwrap();
            store.cleared(run, &all).await.unwrap();
        }
        for (run, _) in store.runs_to_sweep(org.id, NOW, 9).await.unwrap() {
            store.swept(run).await.unwrap();
        }
        let deleted = store.delete_detections(org.id, NOW).await.unwrap();
        let expected = DeletedDetections {
            runs: 2,
            detections: 3,
            undecided: 1,
        };
        assert_eq!(deleted, expected);
        clean(store, NOW).await;

        let left = store.detections(org.id, &all, ALL).await.unwrap().rows;
        assert!(left.iter().all(|found| found.run == name(2)));
        assert_eq!(left.len(), 2, "younger by a moment");
        let gone = Some(Deleted {
            at: NOW,
            after_days: 60,
        });
        for (number, deleted, open) in [(1, gone, 0), (2, None, 1), (3, None, 0)] {
            let run = bed.seen_run(&org, number).await.unwrap();
            assert_eq!(run.detections_deleted, deleted, "{number}");
            assert_eq!(run.detections, open, "{number}");
            assert!(run.events_deleted.is_some(), "{number}");
        }
        let rule = store.suppression(org.id, rule.id).await.unwrap().unwrap();
        assert_eq!(rule.hides, 1);
        let late = store.decide(org.id, resolved, DetectionStatus::New, "ada", None);
        assert!(matches!(late.await, Err(StoreError::Missing("detection"))));
    })
    .await;
}

#[tokio::test]
async fn a_run_takes_with_it_what_no_other_run_stands_for() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.clone());
        let other = store.add_org("other", "Other").await.unwrap();
        bed.keep(&org, terms(1, 2, 3)).await;
        let old = NOW - 3 * DAY;
        let made = |number, job, host, at, destinations| Made {
            number,
            job,
            host,
            at,
            destinations,
            detections: 2,
        };
        let shared: &[&str] = &["both.example:443"];
        for made in [
            made(
                1,
                "test",
                "runner-1",
                old - 5,
                &["old.example:443", "both.example:443"],
            ),
            made(
                2,
                "gone",
                "runner-2",
                old - 4,
                &["both.example:443", "gone.example:443"],
            ),
            made(3, "test", "runner-3", old + SWEEP_AFTER + 1, shared),
        ] {
            bed.made(&org, made).await;
        }
        let theirs = made(4, "test", "runner-1", old - 9, &["old.example:443"]);
        bed.made(&other, theirs).await;
        let before = bed.places(&org).await;
        assert_eq!(before["both.example:443"], (3, 2));

        clean_for_long(store, NOW).await;
        for (of, number, there) in [
            (&org, 1, false),
            (&org, 2, false),
            (&org, 3, true),
            (&other, 4, true),
        ] {
            assert_eq!(bed.seen_run(of, number).await.is_some(), there, "{number}");
        }
        let after = bed.places(&org).await;
        let expected = BTreeMap::from([("both.example:443".to_owned(), (3, 1))]);
        assert_eq!(
            after, expected,
            "its runs are since it was first seen, its jobs those that are known"
        );
        assert_eq!(bed.places(&other).await["old.example:443"], (1, 1));
        let agents = store.agents(org.id, NOW).await.unwrap();
        let agents: Vec<&str> = agents.iter().map(|agent| agent.host.as_str()).collect();
        assert_eq!(agents, ["runner-3"]);
        let overview = store.overview(org.id, 7, NOW).await.unwrap();
        assert_eq!(
            (overview.projects, overview.jobs, overview.destinations),
            (1, 1, 1)
        );
        let projects = store.projects(org.id).await.unwrap();
        assert_eq!(projects[0].runs, 1);

        // The job has been there, though that run is forgotten; and what nobody remembers is new.
        let again = made(5, "test", "runner-3", NOW, &["both.example:443"]);
        bed.made(&org, again).await;
        let news = made(6, "test", "runner-3", NOW, &["old.example:443"]);
        bed.made(&org, news).await;
        for (number, is_new) in [(5, false), (6, true)] {
            let run = bed.seen_run(&org, number).await.unwrap();
            assert_eq!(run.tags.has(Tag::NewDestination), is_new, "{number}");
        }
        // A job that comes back is one job, and what a run was called can be a run again.
        let back = made(2, "gone", "runner-2", NOW, shared);
        bed.made(&org, back).await;
        assert_eq!(bed.places(&org).await["both.example:443"], (5, 2));
        assert!(
            bed.seen_run(&org, 2)
                .await
                .unwrap()
                .events_deleted
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn steps_are_bounded_and_sums_hold_between_them() {
    each(test_name!(), async |bed: Bed| {
        let (store, org) = (&bed.store, bed.org.clone());
        bed.keep(&org, terms(1, 1, 1)).await;
        let names: Vec<String> = (0..1_300)
            .map(|n| format!("host-{n:04}.example:443"))
            .collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let old = NOW - DAY;
        // Many that both runs went to, many that only the first went to, and a job that is forgotten with all its places.
        let made = |number, job, at, destinations| Made {
            number,
            job,
            at,
            destinations,
            detections: 700,
            ..Made::default()
        };
        bed.made(&org, made(1, "gone", old - 2, &all)).await;
        bed.made(&org, made(2, "test", old + SWEEP_AFTER + 1, &all[..650]))
            .await;
        bed.made(&org, made(3, "test", old - 1, &all[..10])).await;
        clean(store, NOW).await;
        let (mut steps, mut last) = (0, 1_300);
        loop {
            let now = NOW + SWEEP_AFTER;
            for (run, _) in store.runs_to_sweep(org.id, now, 9).await.unwrap() {
                store.swept(run).await.unwrap();
            }
            while store.delete_detections(org.id, now).await.unwrap().runs > 0 {}
            let done = store.delete_runs(org.id, now).await.unwrap();
            let overview = store.overview(org.id, 1, NOW).await.unwrap();
            assert!(last - overview.destinations <= 500, "{last} {overview:?}");
            last = overview.destinations;
            steps += 1;
            if !done.more {
                break;
            }
        }
        assert!(steps >= 4, "{steps}");
        assert_eq!(last, 650);
        let run = bed.seen_run(&org, 2).await.unwrap();
        assert_eq!(run.detections, 700);
        let went = store.went(org.id, run.number, 1_000).await.unwrap();
        assert_eq!(went.len(), 650);
        let places = bed.places(&org).await;
        assert!(places.values().all(|(_, jobs)| *jobs == 1), "{places:?}");
        assert_eq!(store.orgs_to_clean(NOW + SWEEP_AFTER).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_beside_each_other_and_digests_that_come_meanwhile_do_no_harm() {
    each(test_name!(), async |bed: Bed| {
        let org = bed.org.clone();
        bed.keep(&org, terms(1, 1, 1)).await;
        let names: Vec<String> = (0..60).map(|n| format!("host-{n}.example:443")).collect();
        for number in 0..24u32 {
            let from = usize::try_from(number).unwrap() * 2;
            let places: Vec<&str> = names[from..from + 14].iter().map(String::as_str).collect();
            bed.made(
                &org,
                Made {
                    number,
                    job: ["one", "two", "three"][from % 3],
                    host: ["runner-1", "runner-2"][from / 2 % 2],
                    at: NOW - DAY - i64::from(number),
                    destinations: &places,
                    detections: 2,
                },
            )
            .await;
        }
        clean(&bed.store, NOW).await;
        let now = NOW + SWEEP_AFTER;
        let mut working = Vec::new();
        for _ in 0..3 {
            let store = bed.store.clone();
            working.push(tokio::spawn(async move { clean(&store, now).await }));
        }
        // New runs of the same jobs go to the same places while the old ones are deleted.
        for number in 100..112u32 {
            let (store, names) = (bed.store.clone(), names.clone());
            let mut claim = claim(&org, number);
            claim.identity.job =
                Some(["one", "two"][usize::try_from(number).unwrap() % 2].to_owned());
            working.push(tokio::spawn(async move {
                let run = store.open_run(&claim, now).await.unwrap().number;
                store.receive(run, &batch(1, 10), now).await.unwrap();
                let places: Vec<(&str, i64)> =
                    names.iter().map(|name| (name.as_str(), 0)).collect();
                store.digest(run, &digest(10, &places)).await.unwrap();
            }));
        }
        for worked in working {
            worked.await.unwrap();
        }
        clean(&bed.store, now).await;
        for number in 0..24 {
            assert_eq!(bed.seen_run(&org, number).await, None, "{number}");
        }
        let overview = bed.store.overview(org.id, 1, now).await.unwrap();
        assert_eq!((overview.jobs, overview.destinations), (2, 60));
        for (place, (runs, jobs)) in bed.places(&org).await {
            assert!(runs >= 12 && jobs == 2, "{place}: {runs} {jobs}");
        }
        let agents = bed.store.agents(org.id, now).await.unwrap();
        assert_eq!(agents.len(), 1);
        for number in 100..112 {
            let run = bed.seen_run(&org, number).await.unwrap();
            let went = bed.store.went(org.id, run.number, 100).await.unwrap();
            assert_eq!(went.len(), 60, "{number}");
        }
    })
    .await;
}

/// Numbers that look like chance, and are the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) >> 1).unwrap() % end
    }
}

#[tokio::test]
async fn nothing_that_is_younger_than_its_term_is_ever_deleted() {
    each(test_name!(), async |bed: Bed| {
        let mut chance = Chance(2_026);
        let mut runs = Vec::new();
        let mut orgs = Vec::new();
        for number in 0..6 {
            let slug = format!("org-{number}");
            let org = bed.store.add_org(&slug, &slug).await.unwrap();
            let mut days = [
                1 + chance.below(9),
                1 + chance.below(9),
                1 + chance.below(9),
            ];
            days.sort_unstable();
            // Some are for ever, and then what must outlast them, too.
            let ever = usize::try_from(chance.below(6)).unwrap();
            days.iter_mut().skip(ever).for_each(|days| *days = 0);
            bed.keep(&org, terms(days[0], days[1], days[2])).await;
            orgs.push((org, days));
        }
        for number in 0..72u32 {
            let (org, days) = &orgs[usize::try_from(number % 6).unwrap()];
            let edge = days[usize::try_from(chance.below(3)).unwrap()];
            let at = NOW - edge * DAY - (chance.below(3) - 1) - chance.below(2) * chance.below(DAY);
            bed.made(
                org,
                Made {
                    number,
                    at,
                    ..Made::default()
                },
            )
            .await;
            runs.push((org.clone(), *days, number, at));
        }
        // A day later than the oldest of these steps, all are told apart again.
        for now in [NOW, NOW + 1, NOW + DAY / 2, NOW + 2 * DAY] {
            clean_for_long(&bed.store, now - SWEEP_AFTER).await;
            for (org, days, number, at) in &runs {
                let over = |days: i64| days != 0 && *at <= now - days * DAY;
                let was_over = |days: i64| days != 0 && *at <= now - SWEEP_AFTER - days * DAY;
                let Some(run) = bed.seen_run(org, *number).await else {
                    assert!(over(days[2]), "run {number} of {days:?} at {now}");
                    continue;
                };
                assert!(
                    !was_over(days[2]),
                    "run {number} of {days:?} is there at {now}"
                );
                if run.detections_deleted.is_some() {
                    assert!(over(days[1]), "detections of {number} {days:?} at {now}");
                } else {
                    assert!(!was_over(days[1]), "{number} {days:?} at {now}");
                    assert_eq!(run.detections, 1);
                }
                let batches = bed.store.batches(run.number).await.unwrap();
                assert_eq!(run.events_deleted.is_none(), batches.len() == 1);
                if run.events_deleted.is_some() {
                    assert!(over(days[0]), "events of {number} {days:?} at {now}");
                } else {
                    assert!(!was_over(days[0]), "{number} {days:?} at {now}");
                }
            }
        }
        assert!(
            runs.len() > bed_runs(&bed, &orgs).await,
            "some were deleted"
        );
    })
    .await;
}

async fn bed_runs(bed: &Bed, orgs: &[(Org, [i64; 3])]) -> usize {
    let mut count = 0;
    for (org, _) in orgs {
        let runs = bed.store.runs(org.id, &RunFilter::default(), ALL).await;
        count += runs.unwrap().rows.len();
    }
    count
}
