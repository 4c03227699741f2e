//! The same for files that git tracks.

use runward_baseline::Kind;

use crate::{Job, alerts, call, overwrite};

#[test]
fn a_job_that_always_rewrites_its_version_is_quiet_until_it_rewrites_its_source() {
    let mut job = Job::new();
    for number in 0..150 {
        let mut run = job.next(&[call("a.example")]);
        run.overwrites
            .push(overwrite("/usr/bin/make", "version.txt"));
        let learned = job.take(&run);
        assert!(learned.judgement.anomalies.is_empty(), "{number}");
    }
    let mut run = job.next(&[call("a.example")]);
    run.overwrites
        .push(overwrite("/usr/bin/make", "version.txt"));
    run.overwrites
        .push(overwrite("/usr/bin/make", "src/main.rs"));
    let learned = job.take(&run);
    assert_eq!(alerts(&learned.judgement.anomalies), ["src/main.rs"]);
    assert_eq!(learned.judgement.anomalies[0].kind, Kind::NewOverwrite);
    let files: Vec<_> = job
        .baseline
        .members()
        .into_iter()
        .filter(|member| member.is_file)
        .collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].subject, "version.txt");
}

#[test]
fn another_program_that_rewrites_the_same_file_is_told() {
    let mut job = Job::new();
    for _ in 0..120 {
        let mut run = job.next(&[call("a.example")]);
        run.overwrites
            .push(overwrite("/usr/bin/make", "version.txt"));
        job.take(&run);
    }
    let mut run = job.next(&[]);
    run.overwrites.push(overwrite("/tmp/x", "version.txt"));
    assert_eq!(alerts(&job.take(&run).judgement.anomalies), ["version.txt"]);
}

#[test]
fn a_place_and_a_file_of_the_same_text_are_two_things() {
    let mut job = Job::with(&[call("a.example")], 120);
    let mut run = job.next(&[]);
    run.overwrites
        .push(overwrite("/usr/bin/curl", "a.example:443"));
    assert_eq!(
        alerts(&job.take(&run).judgement.anomalies),
        ["a.example:443"]
    );
}
