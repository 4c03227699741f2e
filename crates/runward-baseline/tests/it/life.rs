//! From the first run to a promise, and what becomes of an alert.

use runward_baseline::{Actor, Disposition, How, Kind, State, What};
use runward_detect::Severity;

use crate::{Job, alerts, by, call, time};

#[test]
fn a_hundred_clean_runs_make_a_stable_baseline_and_the_next_new_name_an_alert() {
    let calls = [call("registry.lab.example"), call("mirror.lab.example:80")];
    let mut job = Job::new();
    for number in 0..100 {
        let around = Default::default();
        let state = job.baseline.state(&around, &job.settings);
        assert!(
            matches!(state, State::Creating { runs, of: 100, .. } if runs == number),
            "{state:?}"
        );
        assert!(job.learn(&calls).judgement.anomalies.is_empty());
    }
    assert_eq!(
        job.baseline.state(&Default::default(), &job.settings),
        State::Stable
    );

    let learned = job.learn(&[call("registry.lab.example"), call("evil.example")]);
    let [anomaly] = learned.judgement.anomalies.as_slice() else {
        panic!("{learned:?}");
    };
    assert_eq!(anomaly.kind, Kind::NewDestination);
    assert_eq!(anomaly.subject, "evil.example:443");
    assert_eq!(anomaly.lineage.executable, "/usr/bin/curl");
    assert_eq!(anomaly.disposition, Disposition::Alert);
    assert_eq!(anomaly.severity, Severity::High);
    assert!(
        anomaly.explanation[0].contains("evil.example:443"),
        "{:?}",
        anomaly.explanation
    );
    assert_eq!(learned.changes[0].what, What::Opened);
    assert_eq!(learned.changes[0].run.as_deref(), Some("run-101"));
}

#[test]
fn the_same_call_again_is_neither_a_second_alert_nor_normal_until_somebody_accepts_it() {
    let known = call("registry.lab.example");
    let mut job = Job::with(std::slice::from_ref(&known), 100);
    let calls = [known, call("new.example")];
    let key = job.learn(&calls).judgement.anomalies[0].key.clone();
    for _ in 0..3 {
        let learned = job.learn(&calls);
        let [anomaly] = learned.judgement.anomalies.as_slice() else {
            panic!("{learned:?}");
        };
        assert_eq!(anomaly.key, key);
        assert_eq!(anomaly.disposition, Disposition::Known);
    }
    let open = job.baseline.open(&job.settings);
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].runs, 4);
    assert!(open[0].told);

    let decided = job.baseline.accept(&key, "Ada", time(100_000));
    assert_eq!(decided.changes[0].what, What::Joined);
    assert_eq!(decided.changes[0].by, Actor::Person("Ada".to_owned()));
    assert!(job.learn(&calls).judgement.anomalies.is_empty());
    let members = job.baseline.members();
    let member = members
        .iter()
        .find(|member| member.subject == "new.example:443")
        .unwrap();
    assert_eq!(member.how, How::Accepted("Ada".to_owned()));
    assert!(job.baseline.open(&job.settings).is_empty());
    assert!(
        job.baseline
            .accept(&key, "Ada", time(100_001))
            .changes
            .is_empty(),
        "there is nothing left to decide"
    );
}

#[test]
fn what_was_rejected_alerts_in_every_run_and_never_becomes_normal() {
    let known = call("registry.lab.example");
    let mut job = Job::with(std::slice::from_ref(&known), 100);
    let calls = [known, call("new.example")];
    let key = job.learn(&calls).judgement.anomalies[0].key.clone();
    let changes = job.baseline.reject(&key, "Ada", time(100_000)).changes;
    assert_eq!(changes[0].what, What::Rejected);
    for _ in 0..70 {
        let learned = job.learn(&calls);
        assert_eq!(alerts(&learned.judgement.anomalies), ["new.example:443"]);
        assert_eq!(
            learned.judgement.anomalies[0].explanation[0],
            "Ada rejected it."
        );
    }
}

#[test]
fn what_somebody_removes_is_new_again() {
    let mut job = Job::with(&[call("a.example"), call("b.example")], 100);
    let key = job.baseline.members()[0].key.clone();
    let removed = job.baseline.remove(&key, "Ada", time(100_000));
    assert_eq!(removed.changes[0].what, What::Removed);
    job.project.apply(&removed.delta, time(100_000));
    job.organisation.apply(&removed.delta, time(100_000));
    assert_eq!(
        alerts(&job.judge(&[call("a.example"), call("b.example")])),
        ["a.example:443"]
    );
}

#[test]
fn a_run_that_goes_on_alerts_at_once_and_its_end_does_not_alert_again() {
    let known = call("registry.lab.example");
    let mut job = Job::with(std::slice::from_ref(&known), 100);
    let begun = job.next(&[call("new.example")]);
    let around = job.around(&begun);
    let told = job.baseline.watch(&begun, &around, &job.settings);
    assert_eq!(alerts(&told.judgement.anomalies), ["new.example:443"]);
    assert_eq!(told.changes.len(), 1);
    // The next batch of the same run says the same, and nothing is written down twice.
    let more = job.baseline.watch(&begun, &around, &job.settings);
    assert_eq!(more.judgement, told.judgement);
    assert!(more.changes.is_empty() && more.delta.is_empty());
    // Another run meanwhile is not told of it.
    assert_eq!(alerts(&job.judge(&[call("new.example")])), [""; 0]);
    let mut ended = begun;
    ended.calls.push(known);
    let learned = job.take(&ended);
    assert_eq!(
        learned.judgement.anomalies[0].key,
        told.judgement.anomalies[0].key
    );
    assert!(learned.changes.is_empty());
    assert_eq!(job.baseline.open(&job.settings)[0].runs, 1);
}

#[test]
fn days_end_the_first_state_where_somebody_set_them() {
    let mut job = Job::new();
    job.settings.min_days = Some(14);
    job.pace = 86_400;
    for _ in 0..14 {
        job.learn(&[call("a.example")]);
        assert!(matches!(
            job.baseline.state(&Default::default(), &job.settings),
            State::Creating { .. }
        ));
    }
    job.learn(&[call("a.example")]);
    assert!(!matches!(
        job.baseline.state(&Default::default(), &job.settings),
        State::Creating { .. }
    ));
    assert_eq!(alerts(&job.judge(&[call("b.example")])), ["b.example:443"]);
}

#[test]
fn a_job_that_ever_calls_new_names_is_unstable_and_says_who_causes_it() {
    let mut job = Job::new();
    for number in 0..300 {
        let name = format!("link{number}.site{number}.example");
        job.learn(&[call("registry.lab.example"), by("/usr/bin/lychee", &name)]);
    }
    let State::Unstable { reasons } = job.baseline.state(&Default::default(), &job.settings) else {
        panic!("it is called stable");
    };
    let causes: Vec<&String> = reasons.iter().flat_map(|reason| &reason.culprits).collect();
    assert!(
        causes
            .iter()
            .any(|cause| cause.as_str() == "/usr/bin/lychee"),
        "{reasons:?}"
    );
    assert!(reasons.iter().all(|reason| !reason.remedy.is_empty()));
    // It has been said; what this program does next is no alert any more, what another one does is.
    assert_eq!(
        alerts(&job.judge(&[by("/usr/bin/lychee", "one.more.example")])),
        [""; 0]
    );
    assert_eq!(
        alerts(&job.judge(&[call("one.more.example")])),
        ["one.more.example:443"]
    );
}

#[test]
fn a_promise_gets_tighter_with_every_clean_run() {
    let mut job = Job::with(&[call("a.example")], 100);
    let mut before = job.baseline.novelty(&Default::default()).alerts;
    for _ in 0..5 {
        for _ in 0..100 {
            job.learn(&[call("a.example")]);
        }
        let now = job.baseline.novelty(&Default::default()).alerts;
        assert!(
            now.high < before.high && now.low <= now.mean && now.mean <= now.high,
            "{now:?}"
        );
        before = now;
    }
    let sentence = before.sentence();
    assert!(
        sentence.starts_with("about once in ") && sentence.contains("between"),
        "{sentence}"
    );
}

#[test]
fn a_new_image_widens_the_promise_and_stands_in_the_changelog() {
    let mut job = Job::new();
    let image = |job: &mut Job, image: &str| {
        let mut run = job.next(&[call("a.example")]);
        run.facts.context.image = Some(image.to_owned());
        job.take(&run)
    };
    for _ in 0..200 {
        image(&mut job, "2026-01");
    }
    let before = job.baseline.novelty(&Default::default()).alerts;
    let learned = image(&mut job, "2026-02");
    assert_eq!(learned.changes[0].what, What::Reset);
    let after = job.baseline.novelty(&Default::default()).alerts;
    assert!(after.high > before.high, "{after:?} {before:?}");
    assert!(
        image(&mut job, "2026-01").changes.is_empty(),
        "a branch that still has the old one is no change"
    );
}

#[test]
fn a_renamed_job_resembles_what_it_was_and_can_go_on_from_there() {
    let old = Job::with(&[call("a.example"), call("b.example")], 120);
    let mut renamed = Job::with(&[call("a.example"), call("b.example")], 3);
    let other = Job::with(&[call("c.example")], 50);
    assert!(renamed.baseline.resembles(&old.baseline) > 0.9);
    assert!(renamed.baseline.resembles(&other.baseline) < 0.1);
    let decided = renamed
        .baseline
        .adopt(&old.baseline, "build", "Ada", time(10_000));
    assert_eq!(decided.changes[0].what, What::Adopted);
    assert_eq!(renamed.baseline.runs(), 120);
}
