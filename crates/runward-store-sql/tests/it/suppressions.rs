use runward_lab::test_name;
use runward_store::{
    About, Detection, DetectionFilter, DetectionStatus, Field, NewDetection, NewSuppression,
    SUPPRESSIONS_MAX, Store, StoreError, Suppression, SuppressionDraft, SuppressionState,
};

use crate::bed::{ALL, Bed, NOW, batch, digest, each, name};

fn rule(patterns: &[(Field, &str)], expires_at: Option<i64>) -> NewSuppression {
    let draft = SuppressionDraft {
        name: "ours".to_owned(),
        reason: "it is meant".to_owned(),
        expires_at,
        patterns: patterns
            .iter()
            .map(|(field, text)| (*field, (*text).to_owned()))
            .collect(),
    };
    draft.check(NOW).unwrap()
}

fn call(destination: &str, program: &str) -> NewDetection {
    NewDetection {
        kind: "outbound-call-blocked".to_owned(),
        severity: "medium".to_owned(),
        title: format!("{destination} was refused"),
        subject: destination.to_owned(),
        about: About::Destination,
        program: program.to_owned(),
        at: NOW,
    }
}

impl Bed {
    /// A run of a job in which this was found.
    async fn found(&self, number: u32, job: &str, detections: Vec<NewDetection>) -> i64 {
        let run = self
            .run(number, |claim| claim.identity.job = Some(job.to_owned()))
            .await;
        self.store.receive(run, &batch(1, 10), NOW).await.unwrap();
        let mut found = digest(10, &[]);
        found.detections = detections;
        self.store.digest(run, &found).await.unwrap();
        run
    }

    async fn add(&self, patterns: &[(Field, &str)], expires_at: Option<i64>) -> Suppression {
        self.store
            .add_suppression(self.org.id, &rule(patterns, expires_at), "ada", NOW)
            .await
            .unwrap()
    }

    async fn rule(&self, id: i64) -> Suppression {
        let found = self.store.suppression(self.org.id, id).await.unwrap();
        found.unwrap()
    }

    async fn in_state(&self, status: DetectionStatus) -> Vec<Detection> {
        let filter = DetectionFilter {
            status: Some(status),
            ..DetectionFilter::default()
        };
        self.store
            .detections(self.org.id, &filter, ALL)
            .await
            .unwrap()
            .rows
    }

    async fn subjects(&self, status: DetectionStatus) -> Vec<String> {
        let mut subjects: Vec<String> = self
            .in_state(status)
            .await
            .into_iter()
            .map(|detection| detection.subject)
            .collect();
        subjects.sort();
        subjects
    }

    /// What lists of runs say is open in this one.
    async fn open_in(&self, number: u32) -> i64 {
        let found = self.store.run(self.org.id, &name(number)).await.unwrap();
        found.unwrap().0.detections
    }
}

const NEW: DetectionStatus = DetectionStatus::New;
const HIDDEN: DetectionStatus = DetectionStatus::Suppressed;

#[tokio::test]
async fn a_rule_hides_what_there_is_and_what_comes_and_nothing_else() {
    each(test_name!(), async |bed: Bed| {
        let scan = || call("scan.example:443", "/usr/bin/curl");
        bed.found(
            1,
            "test",
            vec![scan(), call("evil.example:443", "/usr/bin/curl")],
        )
        .await;
        let patterns = [(Field::Host, "scan.*"), (Field::Job, "test")];
        let rule = bed.add(&patterns, None).await;
        assert_eq!((rule.hides, rule.busy, rule.given_back), (1, false, 0));
        assert_eq!(rule.created_by, "ada");
        assert_eq!(bed.open_in(1).await, 1);

        // Another program that goes to the same place in the same run is another detection.
        bed.found(2, "test", vec![scan(), call("scan.example:443", "/tmp/x")])
            .await;
        bed.found(3, "deploy", vec![scan()]).await;
        assert_eq!(bed.rule(rule.id).await.hides, 3);
        assert_eq!((bed.open_in(2).await, bed.open_in(3).await), (0, 1));
        assert_eq!(
            bed.subjects(NEW).await,
            ["evil.example:443", "scan.example:443"]
        );
        let hidden = bed.in_state(HIDDEN).await;
        assert!(hidden.iter().all(|detection| {
            let by = detection.hidden_by.as_ref().unwrap();
            (by.rule, by.name.as_str()) == (rule.id, "ours")
        }));
        // Nothing is gone: it is counted, and can be listed.
        let of_rule = DetectionFilter {
            rule: Some(rule.id),
            ..DetectionFilter::default()
        };
        let counts = bed.store.detection_counts(bed.org.id, &of_rule).await;
        let kind = "outbound-call-blocked".to_owned();
        assert_eq!(counts.unwrap(), [(kind.clone(), HIDDEN, 3)]);
        let of_run = DetectionFilter {
            run: Some(name(1)),
            ..DetectionFilter::default()
        };
        let counts = bed.store.detection_counts(bed.org.id, &of_run).await;
        assert_eq!(counts.unwrap(), [(kind.clone(), NEW, 1), (kind, HIDDEN, 1)]);
        let shown = DetectionFilter {
            shown: true,
            ..of_run
        };
        let shown = bed.store.detections(bed.org.id, &shown, ALL).await.unwrap();
        assert_eq!(shown.rows.len(), 1);
        let overview = bed.store.overview(bed.org.id, 1, NOW).await.unwrap();
        assert_eq!(
            (overview.open_detections, overview.hidden_detections),
            (2, 3)
        );
    })
    .await;
}

#[tokio::test]
async fn a_rule_that_ends_gives_back_what_it_alone_hid() {
    each(test_name!(), async |bed: Bed| {
        let found = vec![
            call("a.example:443", "/usr/bin/curl"),
            call("b.example:443", "/usr/bin/curl"),
        ];
        bed.found(1, "test", found).await;
        let wide = bed.add(&[(Field::Host, "*.example")], None).await;
        let narrow = bed.add(&[(Field::Host, "b.example")], None).await;
        assert_eq!((wide.hides, narrow.hides), (2, 0));

        let end = async |id| {
            let ended = bed.store.end_suppression(bed.org.id, id, "bob", NOW + 5);
            ended.await.unwrap()
        };
        assert!(end(wide.id).await);
        assert!(!end(wide.id).await, "what is over does not end again");
        assert_eq!(bed.subjects(NEW).await, ["a.example:443"]);
        assert_eq!(bed.open_in(1).await, 1);
        assert_eq!(bed.rule(narrow.id).await.hides, 1);
        // The rule itself stays, with what became of it.
        let wide = bed.rule(wide.id).await;
        assert_eq!(wide.state(NOW + 6), SuppressionState::Ended);
        assert_eq!(
            (
                wide.ended_at,
                wide.ended_by.as_deref(),
                wide.hides,
                wide.given_back
            ),
            (Some(NOW + 5), Some("bob"), 0, 1)
        );
        let in_state = async |state| {
            let found = bed.store.suppressions(bed.org.id, state, ALL).await;
            let rows = found.unwrap().rows;
            rows.into_iter().map(|rule| rule.id).collect::<Vec<_>>()
        };
        assert_eq!(in_state(None).await, [narrow.id, wide.id]);
        assert_eq!(in_state(Some(SuppressionState::Live)).await, [narrow.id]);
        assert_eq!(in_state(Some(SuppressionState::Ended)).await, [wide.id]);
        assert!(in_state(Some(SuppressionState::Expired)).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_rule_ends_by_itself_when_its_time_is_over() {
    each(test_name!(), async |bed: Bed| {
        bed.found(1, "test", vec![call("a.example:443", "/usr/bin/curl")])
            .await;
        let rule = bed.add(&[(Field::Host, "a.example")], Some(NOW + 10)).await;
        bed.store.tend_suppressions(NOW + 9).await.unwrap();
        assert_eq!(bed.rule(rule.id).await.hides, 1);
        for _ in 0..2 {
            bed.store.tend_suppressions(NOW + 10).await.unwrap();
            let rule = bed.rule(rule.id).await;
            assert_eq!(rule.state(NOW + 10), SuppressionState::Expired);
            assert_eq!((rule.hides, rule.given_back, rule.ended_by), (0, 1, None));
        }
        assert_eq!(bed.subjects(NEW).await, ["a.example:443"]);
        bed.found(2, "test", vec![call("a.example:443", "/usr/bin/curl")])
            .await;
        assert_eq!(bed.open_in(2).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_preview_says_what_saving_does_and_changes_nothing() {
    each(test_name!(), async |bed: Bed| {
        for number in 1..=5 {
            let found = vec![
                call("a.example:443", "/usr/bin/curl"),
                call(&format!("{number}.other:443"), "/usr/bin/curl"),
            ];
            bed.found(number, "test", found).await;
        }
        let asked = rule(&[(Field::Destination, "A.EXAMPLE:*")], None);
        let preview = bed
            .store
            .preview_suppression(bed.org.id, asked.matcher(), 3)
            .await
            .unwrap();
        assert_eq!((preview.hides, preview.looked_at), (5, 10));
        assert!(preview.complete);
        assert_eq!(preview.rows.len(), 3);
        assert!(
            preview
                .rows
                .iter()
                .all(|row| row.subject == "a.example:443")
        );
        assert_eq!(bed.in_state(NEW).await.len(), 10);
        let saved = bed.store.add_suppression(bed.org.id, &asked, "ada", NOW);
        assert_eq!(saved.await.unwrap().hides, 5);
    })
    .await;
}

#[tokio::test]
async fn what_somebody_decided_is_not_for_rules_and_opening_again_is() {
    each(test_name!(), async |bed: Bed| {
        bed.found(1, "test", vec![call("a.example:443", "/usr/bin/curl")])
            .await;
        let id = bed.in_state(NEW).await[0].id;
        let decide = async |status| {
            let decided = bed.store.decide(bed.org.id, id, status, "ada", None);
            decided.await.unwrap();
            let found = bed.store.detection(bed.org.id, id).await.unwrap();
            let found = found.unwrap();
            (found.status, found.hidden_by.map(|by| by.rule))
        };
        decide(DetectionStatus::Resolved).await;
        let rule = bed.add(&[(Field::Host, "a.example")], None).await;
        assert_eq!(rule.hides, 0);
        assert_eq!(decide(NEW).await, (HIDDEN, Some(rule.id)));
        assert_eq!(bed.rule(rule.id).await.hides, 1);
        assert_eq!(
            decide(DetectionStatus::Resolved).await,
            (DetectionStatus::Resolved, None)
        );
        let ended = bed.store.end_suppression(bed.org.id, rule.id, "ada", NOW);
        assert!(ended.await.unwrap());
        assert_eq!(decide(NEW).await, (NEW, None));
        assert_eq!(bed.open_in(1).await, 1);
    })
    .await;
}

#[tokio::test]
async fn rules_are_their_organisation_s_own() {
    each(test_name!(), async |bed: Bed| {
        let other = bed.store.add_org("other", "Other").await.unwrap();
        let asked = rule(&[(Field::Host, "*")], None);
        let theirs = bed.store.add_suppression(other.id, &asked, "eve", NOW);
        let theirs = theirs.await.unwrap();
        bed.found(1, "test", vec![call("a.example:443", "/usr/bin/curl")])
            .await;
        assert_eq!(bed.open_in(1).await, 1);
        let seen = bed.store.preview_suppression(other.id, asked.matcher(), 9);
        assert_eq!(seen.await.unwrap().hides, 0);
        let ours = bed.add(&[(Field::Host, "*")], None).await;
        assert_eq!(
            bed.store.suppression(other.id, ours.id).await.unwrap(),
            None
        );
        let ended = bed.store.end_suppression(other.id, ours.id, "eve", NOW);
        assert!(!ended.await.unwrap());
        assert_eq!(bed.rule(ours.id).await.hides, 1);
        let listed = bed.store.suppressions(other.id, None, ALL).await.unwrap();
        assert_eq!(listed.rows[0].id, theirs.id);
        assert_eq!(listed.rows.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn there_are_only_so_many_live_rules() {
    each(test_name!(), async |bed: Bed| {
        let mut last = 0;
        for _ in 0..SUPPRESSIONS_MAX {
            last = bed.add(&[(Field::Host, "a.example")], None).await.id;
        }
        let asked = rule(&[(Field::Host, "b.example")], None);
        let add = || bed.store.add_suppression(bed.org.id, &asked, "ada", NOW);
        assert!(matches!(add().await, Err(StoreError::Full(_))));
        let ended = bed.store.end_suppression(bed.org.id, last, "ada", NOW);
        assert!(ended.await.unwrap());
        add().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_flood_that_a_rule_hides_does_not_push_out_another_detection() {
    each(test_name!(), async |bed: Bed| {
        let rule = bed.add(&[(Field::Host, "*.flood.example")], None).await;
        let mut found: Vec<NewDetection> = (0..3_000)
            .map(|n| call(&format!("{n}.flood.example:443"), "/usr/bin/curl"))
            .collect();
        found.push(call("evil.example:443", "/usr/bin/curl"));
        bed.found(1, "test", found).await;
        assert_eq!(bed.subjects(NEW).await, ["evil.example:443"]);
        assert_eq!(bed.rule(rule.id).await.hides, 1_000);
    })
    .await;
}

#[tokio::test]
async fn a_long_list_is_gone_through_in_bounded_steps_without_leaving_anything() {
    each(test_name!(), async |bed: Bed| {
        for number in 1..=22 {
            let found = (0..1_000)
                .map(|n| call(&format!("{n}.example:443"), "/usr/bin/curl"))
                .collect();
            bed.found(number, "test", found).await;
        }
        let asked = [(Field::Host, "*.example")];
        let new = rule(&asked, None);
        let preview = bed
            .store
            .preview_suppression(bed.org.id, new.matcher(), 1)
            .await
            .unwrap();
        assert_eq!((preview.hides, preview.complete), (20_000, false));
        let added = bed.add(&asked, None).await;
        assert_eq!((added.hides, added.busy), (20_000, true));
        bed.store.tend_suppressions(NOW).await.unwrap();
        let tended = bed.rule(added.id).await;
        assert_eq!((tended.hides, tended.busy), (22_000, false));
        assert!(bed.in_state(NEW).await.is_empty());

        let ended = bed.store.end_suppression(bed.org.id, added.id, "ada", NOW);
        assert!(ended.await.unwrap());
        let ended = bed.rule(added.id).await;
        assert_eq!(
            (ended.hides, ended.given_back, ended.busy),
            (2_000, 20_000, true)
        );
        bed.store.tend_suppressions(NOW).await.unwrap();
        let tended = bed.rule(added.id).await;
        assert_eq!(
            (tended.hides, tended.given_back, tended.busy),
            (0, 22_000, false)
        );
        assert_eq!(bed.open_in(7).await, 1_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_found_while_a_rule_is_saved_is_hidden_all_the_same() {
    each(test_name!(), async |bed: Bed| {
        for round in 0..10 {
            let host = format!("{round}.example");
            let asked = rule(&[(Field::Host, &host)], None);
            let mut found = Vec::new();
            for n in 0..6 {
                let number = round * 10 + n;
                let run = bed.run(number, |_| ()).await;
                bed.store.receive(run, &batch(1, 10), NOW).await.unwrap();
                let (store, subject) = (bed.store.clone(), format!("{host}:443"));
                found.push(tokio::spawn(async move {
                    let mut one = digest(10, &[]);
                    one.detections = vec![call(&subject, "/usr/bin/curl")];
                    store.digest(run, &one).await.unwrap();
                }));
            }
            let saved = bed.store.add_suppression(bed.org.id, &asked, "ada", NOW);
            let saved = saved.await.unwrap();
            for task in found {
                task.await.unwrap();
            }
            assert_eq!(bed.rule(saved.id).await.hides, 6);
            for n in 0..6 {
                assert_eq!(bed.open_in(round * 10 + n).await, 0);
            }
        }
        assert!(bed.in_state(NEW).await.is_empty());
    })
    .await;
}
