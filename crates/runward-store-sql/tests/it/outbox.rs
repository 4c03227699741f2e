//! Telling people: which detections become messages, and how workers share these.

use std::collections::BTreeSet;

use runward_lab::test_name;
use runward_store::{
    About, CHANNELS_MAX, Channel, ChannelKind, Delivery, DeliveryFilter, DeliveryState, Field,
    Keep, MessageBody, NewChannel, NewDetection, Outbox, PageRequest, ProjectId, RunScope, Sealed,
    Settled, Severity, Store, StoreError, SuppressionDraft, TOLD_MAX, Taken, Taker, WAITING_MAX,
    Wants,
};

use crate::bed::{ALL, Bed, NOW, batch, digest, each};

const HOUR: i64 = 3_600_000;
const LEASE: i64 = 60_000;

fn call(destination: &str) -> NewDetection {
    NewDetection {
        kind: "outbound-call-blocked".to_owned(),
        severity: "medium".to_owned(),
        title: format!("{destination} was refused"),
        subject: destination.to_owned(),
        about: About::Destination,
        program: "/usr/bin/curl".to_owned(),
        at: NOW,
    }
}

fn overwritten(path: &str) -> NewDetection {
    NewDetection {
        kind: "source-code-overwritten".to_owned(),
        severity: "high".to_owned(),
        about: About::File,
        subject: path.to_owned(),
        ..call(path)
    }
}

fn channel() -> NewChannel {
    NewChannel {
        name: "ours".to_owned(),
        kind: ChannelKind::Webhook,
        target: "hooks.example".to_owned(),
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
            runs: RunScope::None,
        },
        on: true,
    }
}

fn taker(name: &str) -> Taker {
    Taker {
        name: name.to_owned(),
        key: "k".to_owned(),
    }
}

impl Bed {
    async fn listen(&self, uid: &str, change: impl FnOnce(&mut NewChannel)) -> Channel {
        let mut wanted = channel();
        change(&mut wanted);
        self.store
            .add_channel(self.org.id, uid, &wanted, "ada", NOW)
            .await
            .unwrap()
    }

    /// A run in which this was found at that time.
    async fn find(&self, run: u32, at: i64, found: Vec<NewDetection>) -> i64 {
        let number = self.run(run, |_| ()).await;
        self.store
            .receive(number, &batch(1, 10), NOW)
            .await
            .unwrap();
        self.found_again(number, at, 10, found).await;
        number
    }

    async fn found_again(&self, run: i64, at: i64, events: i64, found: Vec<NewDetection>) {
        let mut all = digest(events, &[]);
        all.at = at;
        all.detections = found;
        self.store.digest(run, &all).await.unwrap();
    }

    async fn take(&self, name: &str, now: i64) -> Vec<Taken> {
        self.store
            .take(&taker(name), 10, now, now + LEASE)
            .await
            .unwrap()
    }

    /// Takes everything that is due, and has it arrive; the subjects of each message.
    async fn deliver(&self, now: i64) -> Vec<Vec<String>> {
        let mut delivered = Vec::new();
        loop {
            let all = self.take("w", now).await;
            if all.is_empty() {
                return delivered;
            }
            for taken in all {
                for due in taken.messages {
                    let id = taken.channel.id;
                    assert!(self.attempt("w", id, due.id, now).await);
                    self.settle("w", id, due.id, &Settled::Delivered, now).await;
                    let told = due.parcel.told.iter();
                    delivered.push(told.map(|n| n.details[0].value.clone()).collect());
                }
                self.store
                    .give_back(&taker("w"), taken.channel.id, NOW)
                    .await
                    .unwrap();
            }
        }
    }

    async fn attempt(&self, name: &str, channel: i64, message: i64, now: i64) -> bool {
        self.store
            .attempt(&taker(name), channel, message, now, now + LEASE)
            .await
            .unwrap()
    }

    async fn settle(&self, name: &str, channel: i64, message: i64, came: &Settled, now: i64) {
        self.store
            .settle(&taker(name), channel, message, came, now)
            .await
            .unwrap();
    }

    async fn log(&self, state: Option<DeliveryState>) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            state,
            ..DeliveryFilter::default()
        };
        let page = PageRequest { limit: 200, ..ALL };
        let found = self.store.deliveries(self.org.id, &filter, page).await;
        found.unwrap().rows
    }

    async fn state_of(&self, id: i64) -> Channel {
        let found = self.store.channel(self.org.id, id).await.unwrap();
        found.unwrap()
    }
}

fn later(now: i64, rest: i64) -> Settled {
    Settled::Later {
        error: "it answered 500".to_owned(),
        due_at: now + 5_000,
        rest_until: now + rest,
    }
}

#[tokio::test]
async fn a_record_has_everything_that_was_found_and_people_are_told_how_much() {
    each(test_name!(), async |bed: Bed| {
        bed.listen("a", |channel| channel.kind = ChannelKind::Syslog)
            .await;
        bed.listen("b", |channel| channel.body = MessageBody::Ocsf)
            .await;
        bed.listen("c", |_| ()).await;
        let many = 2 * TOLD_MAX + 5;
        let found = (0..many).map(|n| call(&format!("{n}.example:443")));
        bed.find(1, NOW, found.collect()).await;
        let counts: Vec<usize> = bed.deliver(NOW).await.iter().map(Vec::len).collect();
        let mut sorted = counts.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            [5, 5, TOLD_MAX, TOLD_MAX, TOLD_MAX, TOLD_MAX, TOLD_MAX],
            "{counts:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_new_is_told_once_and_what_a_rule_hides_never() {
    each(test_name!(), async |bed: Bed| {
        bed.listen("a", |_| ()).await;
        let rule = SuppressionDraft {
            name: "ours".to_owned(),
            reason: "it is meant".to_owned(),
            expires_at: None,
            patterns: vec![(Field::Host, "scan.*".to_owned())],
        };
        let rule = rule.check(NOW).unwrap();
        let org = bed.org.id;
        let rule = bed.store.add_suppression(org, &rule, "ada", NOW).await;
        let rule = rule.unwrap().id;
        let found = || vec![call("evil.example:443"), call("scan.example:443")];
        let run = bed.find(1, NOW, found()).await;
        assert_eq!(bed.deliver(NOW).await, [["evil.example:443"]]);

        // The run is digested again, with one thing more.
        bed.store.receive(run, &batch(11, 20), NOW).await.unwrap();
        let mut more = found();
        more.push(overwritten("src/main.rs"));
        bed.found_again(run, NOW, 20, more).await;
        assert_eq!(bed.deliver(NOW).await, [["src/main.rs"]]);

        // What is new again because its rule is over, nobody found just now.
        assert!(
            bed.store
                .end_suppression(org, rule, "ada", NOW)
                .await
                .unwrap()
        );
        assert_eq!(bed.deliver(NOW).await, [[""; 0]; 0]);
        let log = bed.log(None).await;
        assert_eq!(log.len(), 2);
        assert!(log.iter().all(|row| row.state == DeliveryState::Delivered));
        assert_eq!(log[0].what, "src/main.rs was refused");
        assert_eq!(log[0].severity, Severity::High);
    })
    .await;
}

#[tokio::test]
async fn a_message_says_what_is_known_and_where_the_evidence_is() {
    each(test_name!(), async |bed: Bed| {
        bed.listen("a", |_| ()).await;
        bed.find(1, NOW, vec![call("evil.example:443")]).await;
        let taken = bed.take("w", NOW).await.remove(0);
        assert_eq!(
            (taken.org_slug.as_str(), taken.org_name.as_str()),
            ("main", "Main")
        );
        assert_eq!(taken.channel.kept, channel());
        let due = &taken.messages[0];
        assert_eq!((due.attempts, due.since, due.created_at), (0, NOW, NOW));
        let told = &due.parcel.told[0];
        assert_eq!(told.link, format!("/o/main/runs/{:032x}/detections", 1));
        let details: Vec<&str> = told.details.iter().map(|d| d.value.as_str()).collect();
        let expected = [
            "evil.example:443",
            "/usr/bin/curl",
            "test",
            ".gitlab-ci.yml",
            "group/app",
            "main",
        ];
        assert_eq!(details, expected);
    })
    .await;
}

#[tokio::test]
async fn each_channel_is_told_what_it_wants() {
    each(test_name!(), async |bed: Bed| {
        bed.find(1, NOW, Vec::new()).await;
        let projects = bed.store.projects(bed.org.id).await.unwrap();
        let project = projects[0].project.id;
        let all = bed.listen("all", |_| ()).await;
        let grave = bed
            .listen("grave", |channel| channel.wants.least = Severity::High)
            .await;
        let kinds = vec!["outbound-call-blocked".to_owned()];
        let calls = bed
            .listen("calls", |channel| channel.wants.kinds = Some(kinds))
            .await;
        let ours = bed
            .listen("ours", |channel| channel.wants.project = Some(project))
            .await;
        let off = bed.listen("off", |channel| channel.on = false).await;
        let other = bed.store.add_org("other", "Other").await.unwrap();
        bed.store
            .add_channel(other.id, "other", &channel(), "eve", NOW)
            .await
            .unwrap();

        bed.find(2, NOW, vec![call("a.example:1"), overwritten("a.rs")])
            .await;
        let mut waiting = Vec::new();
        for channel in [all.id, grave.id, calls.id, ours.id, off.id] {
            waiting.push(bed.state_of(channel).await.health.waiting);
        }
        assert_eq!(waiting, [1, 1, 1, 1, 0]);
        let told: BTreeSet<Vec<String>> = bed.deliver(NOW).await.into_iter().collect();
        // The gravest first.
        let expected = [&["a.rs", "a.example:1"][..], &["a.rs"], &["a.example:1"]];
        let expected = expected.map(|told| told.iter().map(ToString::to_string).collect());
        assert_eq!(told, BTreeSet::from(expected));
        let theirs = DeliveryFilter::default();
        let theirs = bed.store.deliveries(other.id, &theirs, ALL).await.unwrap();
        assert_eq!(theirs.rows, []);
        let mut wanted = channel();
        wanted.wants.project = Some(project);
        let stolen = bed
            .store
            .add_channel(other.id, "x", &wanted, "eve", NOW)
            .await;
        assert!(matches!(stolen, Err(StoreError::Missing("project"))));
    })
    .await;
}

#[tokio::test]
async fn repeats_are_counted_and_the_count_is_told_with_the_next() {
    each(test_name!(), async |bed: Bed| {
        let id = bed
            .listen("a", |channel| channel.wants.quiet = HOUR)
            .await
            .id;
        let same = || vec![call("evil.example:443")];
        bed.find(1, NOW, same()).await;
        bed.find(2, NOW + 1, same()).await;
        bed.find(3, NOW + HOUR - 1, same()).await;
        // Another program, file or destination is another thing.
        bed.find(4, NOW + 2, vec![call("evil.example:80")]).await;
        assert_eq!(bed.state_of(id).await.health.held, 2);
        let told = bed.deliver(NOW + HOUR).await;
        assert_eq!(told, [["evil.example:443"], ["evil.example:80"]]);

        bed.find(5, NOW + HOUR, same()).await;
        let taken = bed.take("w", NOW + HOUR).await.remove(0);
        let repeats: Vec<i64> = taken.messages[0]
            .parcel
            .told
            .iter()
            .map(|told| told.repeats)
            .collect();
        assert_eq!(repeats, [2]);
        assert_eq!(bed.state_of(id).await.health.held, 0);
        // From here on it is quiet again.
        bed.find(6, NOW + HOUR + 1, same()).await;
        assert_eq!(bed.state_of(id).await.health.held, 1);
    })
    .await;
}

#[tokio::test]
async fn a_digest_gathers_until_its_hour_is_over() {
    each(test_name!(), async |bed: Bed| {
        bed.listen("a", |channel| channel.wants.every = HOUR).await;
        let hour = NOW / HOUR * HOUR;
        for (run, at) in [(1, hour), (2, hour + 5), (3, hour + HOUR - 1)] {
            bed.find(run, at, vec![call(&format!("{run}.example:1"))])
                .await;
        }
        assert_eq!(bed.deliver(hour + HOUR - 1).await, [[""; 0]; 0]);
        let log = bed.log(Some(DeliveryState::Waiting)).await;
        assert_eq!(
            (log.len(), log[0].count, log[0].due_at),
            (1, 3, hour + HOUR)
        );
        // From when it is taken, it is closed.
        let taken = bed.take("w", hour + HOUR).await.remove(0);
        assert_eq!(taken.messages[0].parcel.told.len(), 3);
        bed.find(4, hour + HOUR, vec![call("4.example:1")]).await;
        let log = bed.log(Some(DeliveryState::Waiting)).await;
        assert_eq!(log.len(), 2);
        assert_eq!((log[0].count, log[1].count), (1, 3));
    })
    .await;
}

#[tokio::test]
async fn what_has_no_room_is_merged_and_counted() {
    each(test_name!(), async |bed: Bed| {
        let id = bed.listen("a", |_| ()).await.id;
        // What one run brings at once is one message.
        let many = |n: u32| (0..n).map(|i| call(&format!("{i}.example:1"))).collect();
        bed.find(1, NOW, many(200)).await;
        let log = bed.log(None).await;
        assert_eq!((log.len(), log[0].count), (1, 200));
        let taken = bed.take("w", NOW).await.remove(0);
        let parcel = &taken.messages[0].parcel;
        assert_eq!(parcel.told.len(), TOLD_MAX);
        assert_eq!(parcel.count(), 200);
        bed.store.give_back(&taker("w"), id, NOW).await.unwrap();

        for run in 2..150 {
            bed.find(run, NOW, many(1)).await;
        }
        let log = bed.log(Some(DeliveryState::Waiting)).await;
        let waiting = i64::try_from(log.len()).unwrap();
        assert_eq!(waiting, WAITING_MAX + 1);
        let counted: i64 = log.iter().map(|row| row.count).sum();
        assert_eq!(counted, 200 + 148, "nothing is dropped silently");
        assert_eq!(log[0].count, 148 - (WAITING_MAX - 1));
        // While it is full, what gathers goes on gathering.
        let taken = bed.take("w", NOW).await.remove(0);
        assert!(taken.messages.iter().all(|due| due.id != log[0].id));
        bed.store.give_back(&taker("w"), id, NOW).await.unwrap();
        let delivered = bed.deliver(NOW).await;
        assert_eq!(i64::try_from(delivered.len()).unwrap(), WAITING_MAX + 1);
    })
    .await;
}

#[tokio::test]
async fn a_raw_channel_gets_each_by_itself() {
    each(test_name!(), async |bed: Bed| {
        bed.listen("a", |channel| channel.body = MessageBody::Raw)
            .await;
        bed.find(1, NOW, vec![call("a.example:1"), call("b.example:1")])
            .await;
        assert_eq!(bed.deliver(NOW).await, [["a.example:1"], ["b.example:1"]]);
    })
    .await;
}

#[tokio::test]
async fn one_worker_has_a_channel_until_it_gives_it_back_or_its_time_is_over() {
    each(test_name!(), async |bed: Bed| {
        let id = bed.listen("a", |_| ()).await.id;
        bed.find(1, NOW, vec![call("a.example:1")]).await;
        bed.find(2, NOW, vec![call("b.example:1")]).await;
        let first = bed.take("one", NOW).await.remove(0);
        let [a, b] = [first.messages[0].id, first.messages[1].id];
        assert!(bed.take("two", NOW).await.is_empty());
        assert!(bed.attempt("one", id, a, NOW).await);
        assert!(!bed.attempt("two", id, b, NOW).await, "it is not theirs");
        bed.settle("one", id, a, &Settled::Delivered, NOW).await;
        assert!(!bed.attempt("one", id, a, NOW).await, "it has arrived");
        // The worker is killed in the middle of the next one. Beginning has lengthened its time.
        assert!(bed.attempt("one", id, b, NOW + 10).await);
        assert!(bed.take("two", NOW + LEASE).await.is_empty());
        let second = bed.take("two", NOW + 10 + LEASE).await.remove(0);
        assert_eq!(second.messages.len(), 1);
        assert_eq!((second.messages[0].id, second.messages[0].attempts), (b, 1));
        // One that comes back too late changes nothing of what another one has.
        let died = Settled::Dead {
            error: "late".to_owned(),
        };
        bed.settle("two", id, b, &Settled::Delivered, NOW + LEASE)
            .await;
        bed.settle("one", id, b, &died, NOW + LEASE).await;
        let log = bed.log(None).await;
        assert!(log.iter().all(|row| row.state == DeliveryState::Delivered));
        let health = bed.state_of(id).await.health;
        assert_eq!((health.failures, health.error), (0, None));
        assert_eq!(health.delivered_at, Some(NOW + LEASE));
    })
    .await;
}

#[tokio::test]
async fn nobody_takes_what_rests_is_off_or_can_not_be_opened() {
    each(test_name!(), async |bed: Bed| {
        let resting = bed.listen("resting", |_| ()).await.id;
        let off = bed.listen("off", |_| ()).await.id;
        let foreign = bed
            .listen("foreign", |channel| {
                channel.secret = channel.secret.take().map(|secret| Sealed {
                    key: "theirs".to_owned(),
                    ..secret
                });
            })
            .await
            .id;
        bed.find(1, NOW, vec![call("a.example:1")]).await;
        let mut wanted = channel();
        wanted.on = false;
        let org = bed.org.id;
        bed.store.change_channel(org, off, &wanted).await.unwrap();
        let keys = bed.store.sealing_keys().await.unwrap();
        assert_eq!(keys, ["k", "theirs"]);

        let taken = bed.take("w", NOW).await;
        let ids: Vec<i64> = taken.iter().map(|taken| taken.channel.id).collect();
        assert_eq!(ids, [resting]);
        let message = taken[0].messages[0].id;
        assert!(bed.attempt("w", resting, message, NOW).await);
        bed.settle("w", resting, message, &later(NOW, 9_000), NOW)
            .await;
        bed.store
            .give_back(&taker("w"), resting, NOW)
            .await
            .unwrap();
        let health = bed.state_of(resting).await.health;
        assert_eq!((health.failures, health.failed_at), (1, Some(NOW)));
        assert_eq!(health.error.as_deref(), Some("it answered 500"));
        // The message is due before the channel is.
        assert!(bed.take("w", NOW + 8_000).await.is_empty());
        let again = bed.take("w", NOW + 9_000).await.remove(0);
        assert_eq!(
            (again.messages[0].id, again.messages[0].attempts),
            (message, 1)
        );
        bed.store
            .give_back(&taker("w"), resting, NOW)
            .await
            .unwrap();
        // A channel that leads elsewhere begins anew.
        wanted.on = true;
        wanted.target = "other.example".to_owned();
        let changed = bed.store.change_channel(org, off, &wanted).await.unwrap();
        assert_eq!(changed.kept, wanted);
        let ids: Vec<i64> = bed
            .take("w", NOW)
            .await
            .iter()
            .map(|t| t.channel.id)
            .collect();
        assert_eq!(ids, [off]);
        assert_eq!(bed.state_of(foreign).await.health.waiting, 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_given_up_can_be_sent_again() {
    each(test_name!(), async |bed: Bed| {
        let id = bed.listen("a", |_| ()).await.id;
        bed.find(1, NOW, vec![call("a.example:1")]).await;
        let message = bed.take("w", NOW).await.remove(0).messages[0].id;
        assert!(bed.attempt("w", id, message, NOW).await);
        let died = Settled::Dead {
            error: "it is gone".to_owned(),
        };
        bed.settle("w", id, message, &died, NOW).await;
        bed.store.give_back(&taker("w"), id, NOW).await.unwrap();
        let dead = bed.log(Some(DeliveryState::Dead)).await;
        assert_eq!(dead[0].error.as_deref(), Some("it is gone"));
        assert_eq!((dead[0].attempts, dead[0].ended_at), (1, Some(NOW)));
        assert_eq!(bed.state_of(id).await.health.dead, 1);

        let org = bed.org.id;
        let other = bed.store.add_org("other", "Other").await.unwrap();
        let again = |org, id| bed.store.send_again(org, id, NOW + 5);
        assert_eq!(again(other.id, message).await.unwrap(), None);
        assert_eq!(again(org, message + 1).await.unwrap(), None);
        let what = again(org, message).await.unwrap();
        assert_eq!(what.as_deref(), Some("a.example:1 was refused"));
        assert_eq!(again(org, message).await.unwrap(), None, "it waits already");
        let due = bed.take("w", NOW + 5).await.remove(0).messages.remove(0);
        assert_eq!((due.id, due.attempts, due.since), (message, 0, NOW + 5));
        assert_eq!(due.parcel.told.len(), 1);

        // A test is in the log, and no letter.
        bed.store
            .note_test(org, id, "A test by ada", Some("refused"), NOW + 6)
            .await
            .unwrap();
        let tested = bed.log(None).await.remove(0);
        assert!(tested.test && tested.error.as_deref() == Some("refused"));
        assert_eq!(again(org, tested.id).await.unwrap(), None);

        let name = bed.store.remove_channel(org, id, NOW + 7).await.unwrap();
        assert_eq!(name.as_deref(), Some("ours"));
        assert_eq!(bed.store.remove_channel(org, id, NOW).await.unwrap(), None);
        let dead = bed.log(Some(DeliveryState::Dead)).await;
        assert_eq!(dead[1].error.as_deref(), Some("the channel was removed"));
        assert_eq!(dead[1].channel_name, "ours");
        let refused = again(org, message).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        bed.find(2, NOW, vec![call("b.example:1")]).await;
        assert_eq!(bed.log(None).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_waits_too_long_is_given_up_and_what_is_over_is_forgotten() {
    each(test_name!(), async |bed: Bed| {
        let id = bed
            .listen("a", |channel| channel.wants.quiet = HOUR)
            .await
            .id;
        for run in 1..=6 {
            let at = NOW + i64::from(run);
            bed.find(run, at, vec![call(&format!("{run}.example:1"))])
                .await;
        }
        let keep = Keep {
            due_since: NOW + 2,
            ended_since: 0,
            messages: 100,
            told_since: 0,
            told: 100,
        };
        bed.store.tend_outbox(&keep, NOW + 10).await.unwrap();
        let dead = bed.log(Some(DeliveryState::Dead)).await;
        assert_eq!(dead.len(), 2);
        assert!(
            dead[0]
                .error
                .as_deref()
                .unwrap()
                .starts_with("nobody could")
        );
        assert_eq!(bed.deliver(NOW + 11).await.len(), 4);
        // The oldest go first, whatever became of them.
        let keep = Keep {
            messages: 3,
            told: 2,
            ..keep
        };
        bed.store.tend_outbox(&keep, NOW + 11).await.unwrap();
        let log = bed.log(None).await;
        let what: Vec<&str> = log.iter().map(|row| &row.what[..1]).collect();
        assert_eq!(what, ["6", "5", "4"]);
        // What was forgotten is told again, and what was not is not.
        bed.find(7, NOW + 12, vec![call("1.example:1"), call("6.example:1")])
            .await;
        assert_eq!(bed.deliver(NOW + 12).await, [["1.example:1"]]);
        let keep = Keep {
            ended_since: NOW + 12,
            ..keep
        };
        bed.store.tend_outbox(&keep, NOW + 13).await.unwrap();
        assert_eq!(bed.log(None).await.len(), 1);
        // A channel that was removed goes with the last message to it.
        let org = bed.org.id;
        bed.store.remove_channel(org, id, NOW + 13).await.unwrap();
        bed.store.tend_outbox(&keep, NOW + 13).await.unwrap();
        assert_eq!(bed.log(None).await.len(), 1);
        let keep = Keep {
            ended_since: NOW + 20,
            ..keep
        };
        bed.store.tend_outbox(&keep, NOW + 20).await.unwrap();
        assert_eq!(bed.log(None).await, []);
    })
    .await;
}

#[tokio::test]
async fn an_organisation_has_so_many_channels_and_sees_its_own() {
    each(test_name!(), async |bed: Bed| {
        let org = bed.org.id;
        for number in 0..CHANNELS_MAX {
            bed.listen(&number.to_string(), |_| ()).await;
        }
        let full = bed
            .store
            .add_channel(org, "x", &channel(), "ada", NOW)
            .await;
        assert!(matches!(full, Err(StoreError::Full("channels"))));
        let all = bed.store.channels(org).await.unwrap();
        let other = bed.store.add_org("other", "Other").await.unwrap().id;
        assert_eq!(bed.store.channels(other).await.unwrap(), []);
        let first = all[0].id;
        assert_eq!(bed.store.channel(other, first).await.unwrap(), None);
        let stolen = bed.store.change_channel(other, first, &channel()).await;
        assert!(matches!(stolen, Err(StoreError::Missing("channel"))));
        assert_eq!(
            bed.store.remove_channel(other, first, NOW).await.unwrap(),
            None
        );
        bed.store
            .note_test(other, first, "x", None, NOW)
            .await
            .unwrap();
        assert_eq!(bed.log(None).await, []);
        bed.store.remove_channel(org, first, NOW).await.unwrap();
        let mut wanted = channel();
        wanted.wants.project = Some(ProjectId(99));
        let missing = bed.store.add_channel(org, "x", &wanted, "ada", NOW).await;
        assert!(matches!(missing, Err(StoreError::Missing("project"))));
        bed.listen("y", |_| ()).await;
    })
    .await;
}

#[tokio::test]
async fn runs_that_end_at_once_and_workers_beside_each_other_tell_each_thing_once() {
    const RUNS: u32 = 24;
    each(test_name!(), async |bed: Bed| {
        for uid in ["a", "b", "c"] {
            bed.listen(uid, |channel| channel.wants.quiet = HOUR).await;
        }
        let mut tasks = Vec::new();
        for run in 0..RUNS {
            let number = bed.run(run, |_| ()).await;
            bed.store.receive(number, &batch(1, 10), NOW).await.unwrap();
            // Each has something of its own, and something that all have; in an order of its own.
            let mut found = digest(10, &[]);
            found.detections = vec![call(&format!("{run}.example:1")), call("all.example:1")];
            if run % 2 == 0 {
                found.detections.reverse();
            }
            let store = bed.store.clone();
            tasks.push(tokio::spawn(async move {
                // Two servers digest the same run.
                let (one, two) =
                    tokio::join!(store.digest(number, &found), store.digest(number, &found));
                one.and(two)
            }));
        }
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let mut workers = Vec::new();
        for name in ["one", "two", "three"] {
            let store = bed.store.clone();
            workers.push(tokio::spawn(async move {
                let mut told = Vec::new();
                let mut idle = 0;
                while idle < 3 {
                    let all = store.take(&taker(name), 1, NOW, NOW + LEASE).await.unwrap();
                    idle = if all.is_empty() { idle + 1 } else { 0 };
                    for taken in all {
                        let id = taken.channel.id;
                        for due in taken.messages {
                            assert!(
                                store
                                    .attempt(&taker(name), id, due.id, NOW, NOW + LEASE)
                                    .await
                                    .unwrap()
                            );
                            let came = Settled::Delivered;
                            store
                                .settle(&taker(name), id, due.id, &came, NOW)
                                .await
                                .unwrap();
                            let subjects = due.parcel.told.iter();
                            told.extend(subjects.map(|n| (id, n.details[0].value.clone())));
                        }
                        store.give_back(&taker(name), id, NOW).await.unwrap();
                    }
                    tokio::task::yield_now().await;
                }
                told
            }));
        }
        let mut told = Vec::new();
        for worker in workers {
            told.extend(worker.await.unwrap());
        }
        let different: BTreeSet<_> = told.iter().cloned().collect();
        assert_eq!(different.len(), told.len(), "nothing is told twice");
        let all = usize::try_from(RUNS).unwrap() + 1;
        assert_eq!(told.len(), 3 * all, "nothing is missing");
        for channel in bed.store.channels(bed.org.id).await.unwrap() {
            assert_eq!(channel.health.held, i64::from(RUNS) - 1);
            assert_eq!(channel.health.waiting, 0);
        }
    })
    .await;
}
