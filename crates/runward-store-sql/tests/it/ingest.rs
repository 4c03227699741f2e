use std::time::Duration;

use runward_lab::test_name;
use runward_store::{
    About, Backlog, DestinationFilter, DetectionFilter, NewDetection, RunFilter, RunState,
    Store as _, StoreError, Tag,
};

use crate::bed::{ALL, Bed, NOW, batch, claim, digest, each, name};

#[tokio::test]
async fn batches_in_any_order_and_again_count_once() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| ()).await;
        for (first, last, acknowledged, repeated) in [
            (1, 10, 10, false),
            // Before its turn, and again.
            (21, 30, 10, false),
            (21, 30, 10, true),
            // Overlaps what is there, and closes the gap.
            (5, 20, 30, false),
            (1, 10, 30, true),
            // The same in other pieces, which nobody kept an object for.
            (1, 20, 30, true),
            (2, 9, 30, true),
            (40, 41, 30, false),
        ] {
            let received = bed
                .store
                .receive(run, &batch(first, last), NOW)
                .await
                .unwrap();
            assert_eq!(
                (received.acknowledged, received.repeated),
                (acknowledged, repeated),
                "{first}-{last}"
            );
        }
        let firsts: Vec<i64> = bed
            .store
            .batches(run)
            .await
            .unwrap()
            .iter()
            .map(|b| b.first)
            .collect();
        // Of the one that overlaps, only what was not acknowledged before counts.
        assert_eq!(firsts, [1, 11, 21, 40]);
    })
    .await;
}

#[tokio::test]
async fn a_run_belongs_to_whom_it_came_from() {
    each(test_name!(), async |bed: Bed| {
        let other = bed.store.add_org("other", "Other").await.unwrap();
        bed.run(1, |_| ()).await;
        let theirs = bed.store.open_run(&claim(&other, 1), NOW).await;
        assert!(matches!(theirs, Err(StoreError::Missing("run"))));
        assert_eq!(
            bed.store.opened(other.id, None, &name(1)).await.unwrap(),
            None
        );
        assert_eq!(bed.store.run(other.id, &name(1)).await.unwrap(), None);
        assert!(
            bed.store
                .runs(other.id, &Default::default(), ALL)
                .await
                .unwrap()
                .rows
                .is_empty()
        );

        // A key of one project is good for that one.
        let (run, project) = bed.store.run(bed.org.id, &name(1)).await.unwrap().unwrap();
        let mut same = claim(&bed.org, 2);
        same.project = Some(project.id);
        assert!(bed.store.open_run(&same, NOW).await.is_ok());
        let mut another = claim(&bed.org, 3);
        another.project = Some(project.id);
        another.identity.project = Some("group/secret".to_owned());
        assert!(matches!(
            bed.store.open_run(&another, NOW).await,
            Err(StoreError::Missing("project"))
        ));
        assert_eq!(bed.store.projects(bed.org.id).await.unwrap().len(), 1);
        assert_eq!(run.project, project.id);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_says_nothing_more_is_silent_until_it_does() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| ()).await;
        let state = async || {
            bed.store
                .run(bed.org.id, &name(1))
                .await
                .unwrap()
                .unwrap()
                .0
                .state
        };
        assert_eq!(bed.store.silence(NOW, NOW).await.unwrap(), 0);
        assert_eq!(bed.store.silence(NOW + 1, NOW).await.unwrap(), 1);
        assert_eq!(state().await, RunState::Silent);
        bed.store.receive(run, &batch(1, 2), NOW + 5).await.unwrap();
        assert_eq!(state().await, RunState::Running);
        bed.store.digest(run, &digest(2, &[])).await.unwrap();
        assert_eq!(state().await, RunState::Finished);
        assert_eq!(bed.store.silence(i64::MAX, NOW).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_keeps_a_run_going_until_it_has_ended() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| ()).await;
        let seen = async || {
            let (run, _) = bed.store.run(bed.org.id, &name(1)).await.unwrap().unwrap();
            let agents = bed.store.agents(bed.org.id, NOW).await.unwrap();
            (
                run.state,
                run.last_seen_at - NOW,
                agents[0].last_seen_at - NOW,
            )
        };
        bed.store.heartbeat(run, NOW + 10).await.unwrap();
        assert_eq!(bed.store.silence(NOW + 10, NOW).await.unwrap(), 0);
        assert_eq!(seen().await, (RunState::Running, 10, 10));
        assert_eq!(bed.store.silence(NOW + 11, NOW).await.unwrap(), 1);
        bed.store.heartbeat(run, NOW + 20).await.unwrap();
        assert_eq!(seen().await, (RunState::Running, 20, 20));

        bed.store
            .receive(run, &batch(1, 2), NOW + 30)
            .await
            .unwrap();
        bed.store.digest(run, &digest(2, &[])).await.unwrap();
        bed.store.heartbeat(run, NOW + 40).await.unwrap();
        assert_eq!(seen().await, (RunState::Finished, 30, 30));
        // What is not there is no fault of the database's.
        bed.store.heartbeat(run + 1, NOW).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_digest_replaces_the_one_before() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| ()).await;
        bed.store.receive(run, &batch(1, 10), NOW).await.unwrap();
        assert_eq!(bed.store.undigested(9).await.unwrap(), [(run, name(1))]);
        let waiting = Backlog {
            runs: 1,
            oldest_seen_at: Some(NOW),
        };
        assert_eq!(bed.store.backlog().await.unwrap(), waiting);
        bed.store
            .digest(run, &digest(5, &[("a.example:443", 0)]))
            .await
            .unwrap();
        bed.store
            .digest(
                run,
                &digest(10, &[("a.example:443", 2), ("b.example:443", 0)]),
            )
            .await
            .unwrap();
        // One that comes late knows less.
        bed.store.digest(run, &digest(4, &[])).await.unwrap();
        assert_eq!(bed.store.undigested(9).await.unwrap(), []);
        let none = Backlog {
            runs: 0,
            oldest_seen_at: None,
        };
        assert_eq!(bed.store.backlog().await.unwrap(), none);
        let found = bed
            .store
            .destinations(bed.org.id, &Default::default(), ALL)
            .await
            .unwrap()
            .rows;
        let found: Vec<_> = found
            .iter()
            .map(|d| {
                (
                    d.destination.as_str(),
                    d.runs,
                    d.jobs,
                    d.connections,
                    d.blocked,
                )
            })
            .collect();
        assert_eq!(
            found,
            [("b.example:443", 1, 1, 3, 0), ("a.example:443", 1, 1, 3, 2)]
        );
    })
    .await;
}

#[tokio::test]
async fn a_destination_is_new_to_a_job_once() {
    each(test_name!(), async |bed: Bed| {
        let tags = async |number| {
            bed.store
                .run(bed.org.id, &name(number))
                .await
                .unwrap()
                .unwrap()
                .0
                .tags
        };
        bed.seen(1, &[("a.example:443", 0)]).await;
        bed.seen(2, &[("a.example:443", 0)]).await;
        bed.seen(3, &[("a.example:443", 0), ("new.example:443", 0)])
            .await;
        bed.seen(4, &[("new.example:443", 0)]).await;
        for (number, is_new) in [(1, false), (2, false), (3, true), (4, false)] {
            assert_eq!(
                tags(number).await.has(Tag::NewDestination),
                is_new,
                "{number}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn hostile_texts_are_kept_as_texts() {
    each(test_name!(), async |bed: Bed| {
        let text = "'; DROP TABLE run; --\0 \u{202e}%_\\ é".repeat(100);
        bed.run(1, |claim| {
            claim.identity.branch = Some(text.clone());
            claim.identity.project = Some(text.clone());
            claim.command = text.clone();
        })
        .await;
        let (run, project) = bed.store.run(bed.org.id, &name(1)).await.unwrap().unwrap();
        let branch = run.branch.unwrap();
        assert!(branch.starts_with("'; DROP TABLE run; --\u{fffd}") && branch.len() <= 1024);
        assert_eq!(project.name, branch);

        let run = bed.seen(2, &[("a\0b.example:443", 1)]).await;
        let mut found = digest(10, &[("a\0b.example:443", 1)]);
        found.detections.push(NewDetection {
            kind: "source-code-overwritten".to_owned(),
            severity: "high".to_owned(),
            title: text.clone(),
            subject: text.clone(),
            about: About::File,
            program: text.clone(),
            at: NOW,
        });
        bed.store.digest(run, &found).await.unwrap();
        let detections = bed
            .store
            .detections(bed.org.id, &DetectionFilter::default(), ALL)
            .await
            .unwrap();
        assert_eq!(detections.rows.len(), 1);
        let asked = RunFilter {
            branch: Some("a\0".to_owned()),
            ..RunFilter::default()
        };
        let answer = bed.store.runs(bed.org.id, &asked, ALL).await;
        assert!(
            matches!(&answer, Ok(page) if page.rows.is_empty())
                || matches!(answer, Err(StoreError::Unkeepable)),
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_come_at_once_are_all_counted() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| {}).await;
        let receiving = (0..40).rev().map(|n| {
            let store = bed.store.clone();
            tokio::spawn(async move { store.receive(run, &batch(n * 2 + 1, n * 2 + 2), NOW).await })
        });
        let receiving: Vec<_> = receiving.collect();
        for received in receiving {
            received.await.unwrap().unwrap();
        }
        let opened = bed.store.opened(bed.org.id, None, &name(1)).await.unwrap();
        assert_eq!(opened.unwrap().events, 80);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_digested_by_several_workers_is_counted_once() {
    each(test_name!(), async |bed: Bed| {
        let names: Vec<String> = (0..30).map(|n| format!("host-{n}.example:443")).collect();
        let mut there: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 0)).collect();
        let mut working = Vec::new();
        for number in 1..=4 {
            let run = bed.run(number, |_| {}).await;
            bed.store.receive(run, &batch(1, 10), NOW).await.unwrap();
            // Each run has them in another order.
            there.rotate_left(7);
            let digest = digest(10, &there);
            for _ in 0..3 {
                let (store, digest) = (bed.store.clone(), digest.clone());
                working.push(tokio::spawn(
                    async move { store.digest(run, &digest).await },
                ));
            }
        }
        for worked in working {
            worked.await.unwrap().unwrap();
        }
        let page = bed
            .store
            .destinations(bed.org.id, &DestinationFilter::default(), ALL)
            .await
            .unwrap();
        assert_eq!(page.rows.len(), 30);
        for row in page.rows {
            assert_eq!((row.runs, row.jobs, row.connections), (4, 1, 12), "{row:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_given_up_does_not_take_others_with_it() {
    each(test_name!(), async |bed: Bed| {
        let run = bed.run(1, |_| {}).await;
        for round in 0..40u64 {
            // As many as there are connections, each given up at another moment.
            for n in 0..8 {
                let (store, batch) = (bed.store.clone(), batch(1, 10));
                let given_up = tokio::spawn(async move { store.receive(run, &batch, NOW).await });
                tokio::time::sleep(Duration::from_micros(round * 20 + n)).await;
                given_up.abort();
            }
            // A change of one statement on each connection: it is there for others once it is done.
            let adding = (0..8).map(|n| {
                let store = bed.store.clone();
                tokio::spawn(async move {
                    let slug = format!("org-{round}-{n}");
                    store.add_org(&slug, "Name").await.unwrap();
                    store.org(&slug).await.unwrap().is_some()
                })
            });
            let adding: Vec<_> = adding.collect();
            for added in adding {
                assert!(added.await.unwrap());
            }
        }
        bed.store.receive(run, &batch(1, 300), NOW).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn how_busy_the_database_is_can_be_seen() {
    each(test_name!(), async |bed: Bed| {
        let before = bed.store.load();
        let run = bed.run(1, |_| ()).await;
        let missing = bed.store.receive(run + 1, &batch(1, 2), NOW).await;
        assert!(matches!(missing, Err(StoreError::Missing("run"))));
        let after = bed.store.load();
        assert!(after.changes >= before.changes + 2, "{after:?}");
        assert!(after.waited > before.waited, "{after:?}");
        for connections in [after.readers, after.writers] {
            let open = connections.used + connections.idle;
            assert!((1..=connections.most).contains(&open), "{after:?}");
        }
    })
    .await;
}
