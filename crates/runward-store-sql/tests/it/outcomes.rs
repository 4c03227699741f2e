//! How jobs came out, as those are told who stand at their commits.

use runward_event::Provider;
use runward_lab::test_name;
use runward_store::{
    About, Channel, ChannelKind, Claim, DeliveryFilter, DeliveryState, Digest, Field, MessageBody,
    NewChannel, NewDetection, Outbox, Outcome, OutcomeState, PageRequest, RunScope, Sealed,
    Settled, Severity, Store, StoreError, SuppressionDraft, Taker, Wants,
};

use crate::bed::{ALL, Bed, NOW, batch, digest, each};

const LEASE: i64 = 60_000;

fn commit() -> String {
    "0123456789abcdef0123456789abcdef01234567".to_owned()
}

/// A pull request's build at GitHub.
fn pull(claim: &mut Claim) {
    let identity = &mut claim.identity;
    identity.provider = Provider::Github;
    identity.project = Some("acme/app".to_owned());
    identity.pipeline = Some(".github/workflows/ci.yml".to_owned());
    identity.branch = Some("7/merge".to_owned());
    identity.trigger = Some("pull_request".to_owned());
    identity.commit = Some(commit());
    identity.run = Some("77".to_owned());
    identity.attempt = Some(1);
}

fn call(kind: &str, destination: &str) -> NewDetection {
    NewDetection {
        kind: kind.to_owned(),
        severity: "medium".to_owned(),
        title: format!("{destination} was refused"),
        subject: destination.to_owned(),
        about: About::Destination,
        program: "/usr/bin/curl".to_owned(),
        at: NOW,
    }
}

fn blocked(destination: &str) -> NewDetection {
    call("outbound-call-blocked", destination)
}

fn taker() -> Taker {
    Taker {
        name: "w".to_owned(),
        key: "k".to_owned(),
    }
}

impl Bed {
    async fn stand(&self, kind: ChannelKind, change: impl FnOnce(&mut NewChannel)) -> Channel {
        let mut wanted = NewChannel {
            name: "ours".to_owned(),
            kind,
            target: "api.github.com".to_owned(),
            secret: Some(Sealed {
                key: "k".to_owned(),
                text: "sealed".to_owned(),
            }),
            body: MessageBody::Envelope,
            neutral: false,
            wants: Wants {
                project: None,
                kinds: None,
                least: Severity::Low,
                every: 0,
                quiet: 0,
                runs: RunScope::Requests,
            },
            on: true,
        };
        change(&mut wanted);
        let uid = format!("{kind:?}");
        let kept = self
            .store
            .add_channel(self.org.id, &uid, &wanted, "ada", NOW)
            .await;
        let kept = kept.unwrap();
        assert_eq!(kept.kept, wanted);
        kept
    }

    async fn amounts(&self, run: i64, events: i64, complete: bool, found: Vec<NewDetection>) {
        self.store
            .receive(run, &batch(1, events), NOW)
            .await
            .unwrap();
        let all = Digest {
            complete,
            detections: found,
            ..digest(events, &[])
        };
        self.store.digest(run, &all).await.unwrap();
    }

    /// What waits, in its order, and whether it arrives.
    async fn told(&self, arrives: bool) -> Vec<Outcome> {
        let mut told = Vec::new();
        let all = self
            .store
            .take(&taker(), 10, NOW, NOW + LEASE)
            .await
            .unwrap();
        for taken in all {
            let id = taken.channel.id;
            for due in taken.messages {
                told.push(*due.parcel.outcome.clone().unwrap());
                if arrives {
                    let mine = self
                        .store
                        .attempt(&taker(), id, due.id, NOW, NOW + LEASE)
                        .await;
                    assert!(mine.unwrap());
                    let settled = Settled::Delivered;
                    self.store
                        .settle(&taker(), id, due.id, &settled, NOW)
                        .await
                        .unwrap();
                }
            }
            self.store.give_back(&taker(), id, NOW).await.unwrap();
        }
        told
    }
}

#[tokio::test]
async fn a_job_that_made_no_bad_call_passes_and_says_so_once() {
    each(test_name!(), async |bed: Bed| {
        bed.stand(ChannelKind::GithubCheck, |_| ()).await;
        let run = bed.run(1, pull).await;
        bed.amounts(run, 2, false, vec![]).await;
        bed.amounts(run, 3, false, vec![]).await;
        let told = bed.told(true).await;
        assert_eq!(told.len(), 1, "that it goes on is told once: {told:?}");
        assert_eq!(told[0].state, OutcomeState::Running);
        assert!(!told[0].passed() && told[0].request);
        let began = told[0].id.clone();
        // What is no call does not count.
        let overwritten = call("source-code-overwritten", "src/lib.rs");
        bed.amounts(run, 10, true, vec![overwritten.clone()]).await;
        bed.amounts(run, 10, true, vec![overwritten.clone()]).await;
        let told = bed.told(true).await;
        assert_eq!(told.len(), 1, "{told:?}");
        let outcome = &told[0];
        assert!(outcome.passed());
        assert_eq!(outcome.title(), "No anomalous or blocked call");
        assert_eq!((&outcome.id, &outcome.commit), (&began, &commit()));
        assert_eq!(outcome.provider_run.as_deref(), Some("77"));
        assert!(
            outcome.link.starts_with("/o/main/runs/"),
            "{}",
            outcome.link
        );
        // Another digest of the same, after it arrived, is no news.
        bed.amounts(run, 10, true, vec![overwritten]).await;
        assert_eq!(bed.told(true).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_bad_call_is_counted_unless_a_rule_hides_it() {
    each(test_name!(), async |bed: Bed| {
        bed.stand(ChannelKind::GithubCheck, |_| ()).await;
        let draft = SuppressionDraft {
            name: "known".to_owned(),
            patterns: vec![(Field::Host, "hidden.example".to_owned())],
            reason: "ours".to_owned(),
            expires_at: None,
        };
        let rule = draft.check(NOW).unwrap();
        bed.store
            .add_suppression(bed.org.id, &rule, "ada", NOW)
            .await
            .unwrap();
        let first = bed.run(1, pull).await;
        bed.amounts(first, 10, true, vec![blocked("hidden.example:443")])
            .await;
        assert!(bed.told(true).await[0].passed());
        let second = bed.run(2, |claim| {
            pull(claim);
            claim.identity.attempt = Some(2);
        });
        let second = second.await;
        let found = vec![
            blocked("hidden.example:443"),
            blocked("evil.example:443"),
            call("anomalous-outbound-call", "new.example:443"),
            call("anomalous-data-volume", "big.example:443"),
            call("anomaly-storm", "storm"),
            call("incident", "new.example:443"),
        ];
        bed.amounts(second, 10, true, found).await;
        let told = bed.told(true).await;
        assert_eq!((told[0].blocked, told[0].anomalous), (1, 3), "{told:?}");
        assert_eq!(told[0].title(), "1 blocked call, 3 anomalous calls");
        assert_eq!(told[0].first.len(), 4);
        assert_eq!(told[0].first[0].sentence, "evil.example:443 was refused");
        assert!(told[0].link.ends_with("/detections"));
    })
    .await;
}

#[tokio::test]
async fn what_the_provider_calls_one_job_has_one_outcome_and_two_jobs_have_two() {
    each(test_name!(), async |bed: Bed| {
        bed.stand(ChannelKind::GithubCheck, |_| ()).await;
        let bad = bed.run(1, pull).await;
        bed.amounts(bad, 10, true, vec![blocked("evil.example:443")])
            .await;
        // Another leg of the matrix, which is well, does not hide it.
        let good = bed.run(2, pull).await;
        bed.amounts(good, 2, false, vec![]).await;
        let told = bed.told(true).await;
        assert_eq!(
            told[0].state,
            OutcomeState::Running,
            "one leg goes on: {told:?}"
        );
        bed.amounts(good, 10, true, vec![]).await;
        let told = bed.told(true).await;
        assert_eq!(
            (told.len(), told[0].runs, told[0].blocked),
            (1, 2, 1),
            "{told:?}"
        );
        let same = told[0].id.clone();
        for (number, change) in [
            (
                3,
                Box::new(|c: &mut Claim| c.identity.job = Some("lint".to_owned()))
                    as Box<dyn Fn(&mut Claim)>,
            ),
            (4, Box::new(|c: &mut Claim| c.identity.attempt = Some(2))),
            (
                5,
                Box::new(|c: &mut Claim| c.identity.run = Some("78".to_owned())),
            ),
            (6, Box::new(|c: &mut Claim| c.identity.run = None)),
            (7, Box::new(|c: &mut Claim| c.identity.run = None)),
        ] {
            let run = bed.run(number, |claim| {
                pull(claim);
                change(claim);
            });
            let run = run.await;
            bed.amounts(run, 10, true, vec![]).await;
            let told = bed.told(true).await;
            assert_eq!((told.len(), told[0].runs), (1, 1), "{number}: {told:?}");
            assert!(told[0].passed() && told[0].id != same);
        }
    })
    .await;
}

#[tokio::test]
async fn only_runs_that_have_a_place_at_the_provider_are_told() {
    each(test_name!(), async |bed: Bed| {
        bed.stand(ChannelKind::GithubCheck, |_| ()).await;
        bed.stand(ChannelKind::GitlabStatus, |_| ()).await;
        let changes: [fn(&mut Claim); 5] = [
            // As it is: GitLab, and no request.
            |_| (),
            |claim| {
                pull(claim);
                claim.identity.branch = Some("main".to_owned());
            },
            |claim| {
                pull(claim);
                claim.identity.commit = None;
            },
            |claim| {
                pull(claim);
                claim.identity.project = Some("acme/../other/app".to_owned());
            },
            |claim| {
                pull(claim);
                claim.identity.provider = Provider::Jenkins;
            },
        ];
        for (number, change) in (1..).zip(changes) {
            let run = bed.run(number, change).await;
            bed.amounts(run, 10, true, vec![blocked("evil.example:443")])
                .await;
            assert_eq!(bed.told(true).await, [], "{number}");
        }
        let merge = bed.run(9, |claim| {
            claim.identity.trigger = Some("merge_request_event".to_owned());
            claim.identity.commit = Some(commit());
        });
        let merge = merge.await;
        // GitLab is not told that it goes on.
        bed.amounts(merge, 2, false, vec![]).await;
        assert_eq!(bed.told(true).await, []);
        bed.amounts(merge, 10, true, vec![]).await;
        let told = bed.told(true).await;
        assert_eq!((told.len(), told[0].provider), (1, Provider::Gitlab));
    })
    .await;
}

#[tokio::test]
async fn the_last_word_is_the_only_one_that_waits_and_the_only_one_that_is_sent_again() {
    each(test_name!(), async |bed: Bed| {
        let channel = bed.stand(ChannelKind::GithubCheck, |_| ()).await;
        let run = bed.run(1, pull).await;
        bed.amounts(run, 2, false, vec![]).await;
        let taken = bed
            .store
            .take(&taker(), 10, NOW, NOW + LEASE)
            .await
            .unwrap();
        let old = taken[0].messages[0].id;
        // While the first one is being sent, the run ends.
        bed.amounts(run, 10, true, vec![blocked("evil.example:443")])
            .await;
        let dead = Settled::Dead {
            error: "it answered 500".to_owned(),
        };
        bed.store
            .settle(&taker(), channel.id, old, &dead, NOW)
            .await
            .unwrap();
        assert!(
            !bed.store
                .attempt(&taker(), channel.id, old, NOW, NOW + LEASE)
                .await
                .unwrap()
        );
        bed.store
            .give_back(&taker(), channel.id, NOW)
            .await
            .unwrap();
        let told = bed.told(false).await;
        assert_eq!((told.len(), told[0].blocked), (1, 1), "{told:?}");
        // One that was given up is sent again, unless something newer was said since.
        let taken = bed
            .store
            .take(&taker(), 10, NOW, NOW + LEASE)
            .await
            .unwrap();
        let old = taken[0].messages[0].id;
        bed.store
            .attempt(&taker(), channel.id, old, NOW, NOW + LEASE)
            .await
            .unwrap();
        bed.store
            .settle(&taker(), channel.id, old, &dead, NOW)
            .await
            .unwrap();
        bed.store
            .give_back(&taker(), channel.id, NOW)
            .await
            .unwrap();
        assert!(
            bed.store
                .send_again(bed.org.id, old, NOW)
                .await
                .unwrap()
                .is_some()
        );
        let taken = bed
            .store
            .take(&taker(), 10, NOW, NOW + LEASE)
            .await
            .unwrap();
        assert_eq!(taken[0].messages[0].id, old);
        bed.store
            .attempt(&taker(), channel.id, old, NOW, NOW + LEASE)
            .await
            .unwrap();
        bed.store
            .settle(&taker(), channel.id, old, &dead, NOW)
            .await
            .unwrap();
        bed.store
            .give_back(&taker(), channel.id, NOW)
            .await
            .unwrap();
        let more = vec![blocked("evil.example:443"), blocked("other.example:443")];
        bed.amounts(run, 11, true, more).await;
        let again = bed.store.send_again(bed.org.id, old, NOW).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        let filter = DeliveryFilter {
            state: Some(DeliveryState::Waiting),
            ..DeliveryFilter::default()
        };
        let page = PageRequest { limit: 200, ..ALL };
        let waiting = bed
            .store
            .deliveries(bed.org.id, &filter, page)
            .await
            .unwrap()
            .rows;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].what, "acme/app, test: 2 blocked calls");
    })
    .await;
}

#[tokio::test]
async fn a_job_whose_agent_falls_silent_has_not_passed() {
    each(test_name!(), async |bed: Bed| {
        bed.stand(ChannelKind::GithubCheck, |_| ()).await;
        let run = bed.run(1, pull).await;
        bed.amounts(run, 2, false, vec![]).await;
        assert_eq!(bed.told(true).await.len(), 1);
        assert_eq!(bed.store.silence(NOW + 1, NOW).await.unwrap(), 1);
        let told = bed.told(true).await;
        assert_eq!(told[0].state, OutcomeState::Silent);
        assert!(!told[0].passed());
        // It was only the network.
        bed.amounts(run, 10, true, vec![]).await;
        assert!(bed.told(true).await[0].passed());
    })
    .await;
}
