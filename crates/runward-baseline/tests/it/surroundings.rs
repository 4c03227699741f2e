//! What other jobs know.

use runward_baseline::{Disposition, Scope};

use crate::{Job, alerts, by, call};

#[test]
fn what_the_same_program_does_in_another_job_of_the_project_is_news() {
    let neighbour = Job::with(&[call("a.example"), call("neighbour.example")], 120);
    let mut job = Job::with(&[call("a.example")], 120);
    job.project = neighbour.project;
    assert_eq!(
        job.judge(&[call("neighbour.example")])[0].disposition,
        Disposition::News
    );
    assert_eq!(
        alerts(&job.judge(&[call("stranger.example")])),
        ["stranger.example:443"]
    );
}

#[test]
fn the_same_new_thing_in_the_next_job_is_not_told_again_and_not_normal() {
    let mut first = Job::with(&[call("a.example")], 120);
    first.learn(&[call("a.example"), call("new.example")]);
    let mut second = Job::with(&[call("a.example")], 120);
    second.runs = first.runs;
    second.project = first.project;
    let found = second.judge(&[call("new.example")]);
    assert_eq!(found[0].disposition, Disposition::Known);
    second.runs += 60 * 24 * 15;
    let found = second.judge(&[call("new.example")]);
    assert_eq!(
        found[0].disposition,
        Disposition::Alert,
        "two weeks later it is another story"
    );
    let _ = second.learn(&[call("a.example")]);
}

#[test]
fn adding_and_taking_away_leaves_nothing_behind() {
    let mut job = Job::with(&[call("a.example"), by("/usr/bin/git", "b.example")], 120);
    for member in job.baseline.members() {
        let decided = job.baseline.remove(&member.key, "Ada", crate::time(50_000));
        job.project.apply(&decided.delta, crate::time(50_000));
    }
    let run = job.next(&[call("a.example"), by("/usr/bin/git", "b.example")]);
    assert!(job.project.level(&job.baseline.keys(&run)).known.is_empty());
}

#[test]
fn a_scope_is_the_same_after_writing_and_reading() {
    let job = Job::with(&[call("a.example"), call("b.example:80")], 130);
    let bytes = job.project.encode();
    assert_eq!(Scope::decode(&bytes), Ok(job.project.clone()));
    assert!(Scope::decode(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn a_quiet_organisation_vouches_for_its_next_job_and_a_noisy_one_does_not() {
    let promise = |rates: runward_baseline::Rates| {
        let job = Job::with(&[call("a.example")], 100);
        let mut around = runward_baseline::Surroundings::default();
        around.organisation.rates = rates;
        job.baseline.novelty(&around).alerts
    };
    let rates = |alerts: f64| runward_baseline::Rates {
        alerts,
        expected_alerts: 20.0,
        news: alerts,
        expected_news: 20.0,
    };
    let (quiet, unknown, noisy) = (
        promise(rates(2.0)),
        promise(Default::default()),
        promise(rates(120.0)),
    );
    assert!(
        quiet.high < unknown.high && unknown.high < noisy.high,
        "{quiet:?} {unknown:?} {noisy:?}"
    );
}
