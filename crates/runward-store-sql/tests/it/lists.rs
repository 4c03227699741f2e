use runward_lab::test_name;
use runward_store::{
    About, DestinationFilter, DetectionFilter, DetectionStatus, NewDetection, PageRequest,
    RunFilter, Store as _, StoreError, Tag, Tags,
};

use crate::bed::{ALL, Bed, NOW, batch, digest, each, name};

#[tokio::test]
async fn pages_have_every_run_once_newest_first() {
    each(test_name!(), async |bed: Bed| {
        for number in 0..25 {
            // Several at the same moment.
            bed.run(number, |claim| {
                claim.started_at = NOW + i64::from(number / 4)
            })
            .await;
        }
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: 7 };
            let page = bed
                .store
                .runs(bed.org.id, &RunFilter::default(), page)
                .await
                .unwrap();
            found.extend(page.rows.into_iter().map(|run| run.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (0..25).rev().map(name).collect();
        assert_eq!(found, expected);
    })
    .await;
}

#[tokio::test]
async fn filters_keep_what_they_say() {
    each(test_name!(), async |bed: Bed| {
        bed.seen(1, &[("a.example:443", 0)]).await;
        bed.seen(2, &[("a.example:443", 4)]).await;
        let run = bed
            .run(3, |claim| {
                claim.identity.branch = Some("Feature/100%_x".to_owned());
                claim.identity.project = Some("group/lib".to_owned());
            })
            .await;
        bed.store.receive(run, &batch(1, 1), NOW).await.unwrap();
        let projects = bed.store.projects(bed.org.id).await.unwrap();
        let lib = projects
            .iter()
            .find(|p| p.project.name == "group/lib")
            .unwrap()
            .project
            .id;
        let blocked = Tags::default().with(Tag::BlockedCall);
        let mut tagged = digest(10, &[("a.example:443", 4)]);
        tagged.tags = blocked;
        let second = bed
            .store
            .opened(bed.org.id, None, &name(2))
            .await
            .unwrap()
            .unwrap()
            .number;
        bed.store.digest(second, &tagged).await.unwrap();
        let cases: Vec<(&str, RunFilter, &[u32])> = vec![
            ("all", RunFilter::default(), &[2, 1, 3]),
            (
                "project",
                RunFilter {
                    project: Some(lib),
                    ..Default::default()
                },
                &[3],
            ),
            (
                "branch",
                RunFilter {
                    branch: Some("main".to_owned()),
                    ..Default::default()
                },
                &[2, 1],
            ),
            (
                "tag",
                RunFilter {
                    tags: blocked,
                    ..Default::default()
                },
                &[2],
            ),
            (
                "text",
                RunFilter {
                    text: Some("feature/100%".to_owned()),
                    ..Default::default()
                },
                &[3],
            ),
            (
                "no pattern",
                RunFilter {
                    text: Some("feature/1%x".to_owned()),
                    ..Default::default()
                },
                &[],
            ),
            (
                "since",
                RunFilter {
                    since: Some(NOW + 2),
                    ..Default::default()
                },
                &[2],
            ),
            (
                "until",
                RunFilter {
                    until: Some(NOW + 2),
                    ..Default::default()
                },
                &[1, 3],
            ),
            (
                "state",
                RunFilter {
                    state: Some(runward_store::RunState::Running),
                    ..Default::default()
                },
                &[3],
            ),
        ];
        for (what, filter, expected) in cases {
            let found = bed.store.runs(bed.org.id, &filter, ALL).await.unwrap().rows;
            let found: Vec<String> = found.into_iter().map(|run| run.id).collect();
            let expected: Vec<String> = expected.iter().copied().map(name).collect();
            assert_eq!(found, expected, "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn destinations_are_summed_and_found() {
    each(test_name!(), async |bed: Bed| {
        bed.seen(1, &[("a.example:443", 0), ("b.example:443", 0)])
            .await;
        bed.seen(2, &[("a.example:443", 1)]).await;
        let list = async |text: Option<&str>, blocked| {
            let filter = DestinationFilter {
                text: text.map(str::to_owned),
                blocked,
            };
            bed.store
                .destinations(bed.org.id, &filter, ALL)
                .await
                .unwrap()
                .rows
        };
        assert_eq!(list(None, false).await.len(), 2);
        assert_eq!(
            list(Some("B.EX"), false).await[0].destination,
            "b.example:443"
        );
        let blocked = list(None, true).await;
        assert_eq!(blocked.len(), 1);
        let destination = &blocked[0];
        assert_eq!(
            (
                destination.runs,
                destination.jobs,
                destination.connections,
                destination.blocked
            ),
            (2, 1, 6, 1)
        );
        assert_eq!(destination.programs, ["/usr/bin/curl"]);
        let runs = bed
            .store
            .sightings(bed.org.id, destination.id, ALL)
            .await
            .unwrap()
            .rows;
        let runs: Vec<&str> = runs.iter().map(|s| s.run.as_str()).collect();
        assert_eq!(runs, [name(2), name(1)]);
        let other = bed.store.add_org("other", "Other").await.unwrap();
        assert_eq!(
            bed.store
                .destination(other.id, destination.id)
                .await
                .unwrap(),
            None
        );
        assert!(
            bed.store
                .sightings(other.id, destination.id, ALL)
                .await
                .unwrap()
                .rows
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_decision_about_a_detection_outlives_the_next_digest() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| ()).await;
        bed.store.receive(run, &batch(1, 10), NOW).await.unwrap();
        let mut found = digest(5, &[]);
        found.complete = false;
        found.detections.push(NewDetection {
            kind: "outbound-call-blocked".to_owned(),
            severity: "medium".to_owned(),
            title: "stopped".to_owned(),
            subject: "evil.example:443".to_owned(),
            about: About::Destination,
            program: "/usr/bin/curl".to_owned(),
            at: NOW,
        });
        bed.store.digest(run, &found).await.unwrap();
        let open = DetectionFilter {
            status: Some(DetectionStatus::New),
            ..Default::default()
        };
        let listed = bed
            .store
            .detections(bed.org.id, &open, ALL)
            .await
            .unwrap()
            .rows;
        assert_eq!(listed.len(), 1);
        let id = listed[0].id;
        let counted = async || {
            bed.store
                .run(bed.org.id, &name(1))
                .await
                .unwrap()
                .unwrap()
                .0
                .detections
        };
        assert_eq!(counted().await, 1);

        bed.store
            .decide(
                bed.org.id,
                id,
                DetectionStatus::Resolved,
                "ada",
                Some("known"),
            )
            .await
            .unwrap();
        assert_eq!(counted().await, 0);
        found.events = 10;
        bed.store.digest(run, &found).await.unwrap();
        let detection = bed.store.detection(bed.org.id, id).await.unwrap().unwrap();
        assert_eq!(detection.status, DetectionStatus::Resolved);
        assert_eq!(detection.comment.as_deref(), Some("known"));
        assert_eq!(counted().await, 0);
        assert_eq!(
            bed.store
                .detection_counts(bed.org.id, &DetectionFilter::default())
                .await
                .unwrap(),
            [(
                "outbound-call-blocked".to_owned(),
                DetectionStatus::Resolved,
                1
            )]
        );
        let other = bed.store.add_org("other", "Other").await.unwrap();
        let theirs = bed
            .store
            .decide(other.id, id, DetectionStatus::New, "eve", None)
            .await;
        assert!(matches!(theirs, Err(StoreError::Missing("detection"))));
    })
    .await;
}

#[tokio::test]
async fn the_overview_has_every_day() {
    each(test_name!(), async |bed: Bed| {
        bed.seen(1, &[("a.example:443", 2)]).await;
        bed.run(2, |claim| claim.started_at = NOW - 2 * 86_400_000)
            .await;
        let overview = bed.store.overview(bed.org.id, 7, NOW).await.unwrap();
        let runs: Vec<i64> = overview.days.iter().map(|day| day.runs).collect();
        assert_eq!(runs, [0, 0, 0, 0, 1, 0, 1]);
        assert_eq!(overview.days[6].blocked, 2);
        assert_eq!(
            (overview.projects, overview.jobs, overview.blocking_jobs),
            (1, 1, 1)
        );
        assert_eq!((overview.running, overview.destinations), (1, 1));
        let agents = bed.store.agents(bed.org.id, NOW).await.unwrap();
        assert_eq!(
            (agents[0].host.as_str(), agents[0].running),
            ("runner-1", 1)
        );
    })
    .await;
}
