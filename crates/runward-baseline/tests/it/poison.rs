//! Nothing becomes normal by being patient alone.

use runward_baseline::{Actor, How, Trust, What};

use crate::{Job, alerts, by, call};

#[test]
fn a_patient_attacker_is_told_at_once_and_is_still_not_normal_after_twenty_runs() {
    let known = call("registry.lab.example");
    let mut job = Job::with(std::slice::from_ref(&known), 120);
    let calls = [known, call("patient.example")];
    assert_eq!(
        alerts(&job.learn(&calls).judgement.anomalies),
        ["patient.example:443"]
    );
    for _ in 0..19 {
        job.learn(&calls);
    }
    assert_eq!(job.judge(&calls).len(), 1);
}

#[test]
fn nothing_of_a_fork_becomes_normal_not_even_while_the_baseline_is_new() {
    let mut job = Job::new();
    for number in 0..400 {
        let mut run = job.next(&[call("a.example"), call("fork.example")]);
        if number % 2 == 0 {
            run.facts.trust = Trust::Fork;
        } else {
            run.calls.truncate(1);
        }
        job.take(&run);
    }
    assert_eq!(job.baseline.members().len(), 1);
    assert_eq!(
        job.judge(&[call("a.example"), call("fork.example")]).len(),
        1
    );
}

#[test]
fn what_recurs_joins_only_by_different_commits_of_protected_branches_with_nothing_beside_it() {
    let vendor = ["api", "cdn"].map(|host| call(&format!("{host}.example-vendor.com")));
    // Expected news of an owner who is known: five are enough, and each of these conditions stops it.
    let joins = |change: fn(&mut runward_baseline::RunSummary, u64)| {
        let mut job = Job::with(&vendor, 120);
        let mut calls = vendor.to_vec();
        calls.push(call("new.example-vendor.com"));
        let mut joined = Vec::new();
        for number in 0..8 {
            let mut run = job.next(&calls);
            change(&mut run, number);
            joined.extend(
                job.take(&run)
                    .changes
                    .into_iter()
                    .filter(|change| change.what == What::Joined),
            );
        }
        joined
    };
    let joined = joins(|_, _| {});
    assert_eq!(joined.len(), 1);
    assert_eq!(joined[0].by, Actor::Rule);
    assert_eq!(joined[0].run.as_deref(), Some("run-125"));
    assert!(joins(|run, _| run.facts.commit = Some("always the same".to_owned())).is_empty());
    assert!(joins(|run, _| run.facts.trust = Trust::Branch).is_empty());
    assert!(joins(|run, _| run.facts.trust = Trust::Fork).is_empty());
    assert!(joins(|run, _| run.facts.detected = true).is_empty());
    assert!(
        joins(|run, number| run
            .calls
            .push(call(&format!("other{number}.stranger{number}.example"))))
        .is_empty()
    );
}

#[test]
fn an_alert_that_nobody_answers_joins_late_or_never_as_is_set() {
    let known = call("a.example");
    for (recurrence, joined) in [(Some(50), true), (Some(12), true), (None, false)] {
        let mut job = Job::with(std::slice::from_ref(&known), 120);
        job.settings.recurrence.alerts = recurrence;
        let mut runs = 0;
        while !job.judge(&[call("new.example")]).is_empty() && runs < 70 {
            job.learn(&[known.clone(), call("new.example")]);
            runs += 1;
        }
        assert_eq!(runs < 70, joined);
        if let Some(recurrence) = recurrence {
            assert_eq!(runs, recurrence);
            let members = job.baseline.members();
            assert!(members.iter().any(|member| member.how == How::Recurred));
        }
    }
}

#[test]
fn a_program_that_makes_noise_can_hide_nobody_but_itself() {
    let mut job = Job::new();
    for number in 0..200 {
        job.learn(&[
            call("a.example"),
            by("/usr/bin/lychee", &format!("x.site{number}.example")),
        ]);
    }
    let found = job.judge(&[by("/usr/bin/lychee", "stranger.example")]);
    assert_eq!(found.len(), 1, "it is not normal, only expected");
    assert_eq!(alerts(&found), [""; 0]);
    assert_eq!(
        alerts(&job.judge(&[call("stranger.example")])),
        ["stranger.example:443"]
    );
}
