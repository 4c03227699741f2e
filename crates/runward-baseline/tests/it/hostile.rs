//! Runs that are made to break, blind or flood.

use runward_baseline::{Baseline, DecodeError, Disposition, Settings, State, Trust, limits};
use runward_event::Time;

use crate::{Job, alerts, by, call, overwrite, time};

#[test]
fn ten_thousand_destinations_are_one_alert_and_nothing_is_lost() {
    let mut job = Job::with(&[call("a.example")], 120);
    let flood: Vec<_> = (0..10_000)
        .map(|number| call(&format!("x{number}.flood{number}.example")))
        .collect();
    let learned = job.learn(&flood);
    let storm = learned.judgement.storm.unwrap();
    assert_eq!(storm.disposition, Disposition::Alert);
    assert_eq!(storm.alerts, 10_000);
    assert!(
        storm.sentence.contains("/usr/bin/curl"),
        "{}",
        storm.sentence
    );
    assert_eq!(alerts(&learned.judgement.anomalies), [""; 0]);
    let listed = learned.judgement.anomalies.len() as u64;
    assert_eq!(listed + learned.judgement.omitted, 10_000);
    assert!(job.baseline.open(&job.settings).len() < 20);
    assert!(job.baseline.encode().len() < 16_384);
    // What is normal is still normal, and the next flood by the same program is the same story.
    assert!(job.judge(&[call("a.example")]).is_empty());
    let flood: Vec<_> = (0..500)
        .map(|number| call(&format!("y{number}.wave{number}.example")))
        .collect();
    let learned = job.learn(&flood);
    assert_eq!(
        learned.judgement.storm.unwrap().disposition,
        Disposition::Known
    );
}

#[test]
fn a_flood_while_the_baseline_is_new_stays_inside_the_bounds_and_is_counted() {
    let mut job = Job::new();
    job.settings.min_runs = 40;
    for number in 0..40 {
        let mut calls: Vec<_> = (0..300)
            .map(|name| call(&format!("{}.x{number}-{name}.example", "l".repeat(60))))
            .collect();
        calls.push(by("/usr/bin/git", "always.example"));
        job.learn(&calls);
    }
    assert!(job.baseline.encode().len() <= limits::STATE_BYTES);
    let (given_up, _) = job.baseline.given_up();
    assert!(given_up > 10_000, "{given_up}");
    assert!(
        job.judge(&[by("/usr/bin/git", "always.example")])
            .is_empty(),
        "what is always called is never given up"
    );
    assert!(matches!(
        job.baseline.state(&Default::default(), &job.settings),
        State::Unstable { .. }
    ));
}

#[test]
fn a_flood_below_a_known_owner_is_no_flood_of_lines() {
    let mut job = Job::with(&[call("a.vendor.example")], 120);
    // Letters alone, so that no two are a family.
    let letter =
        |number: u32, place: u32| char::from(b'a' + (number / 26_u32.pow(place) % 26) as u8);
    let name = |number: u32| {
        (0..3)
            .map(|place| letter(number, place))
            .collect::<String>()
    };
    let flood: Vec<_> = (0..5_000)
        .map(|number| call(&format!("x{}.vendor.example", name(number))))
        .collect();
    let learned = job.learn(&flood);
    assert!(
        learned.judgement.storm.is_none(),
        "names of an owner whom the job knows are news"
    );
    assert!(learned.changes.len() < 100, "{}", learned.changes.len());
    assert!(
        learned.delta.keys.len() < 1_000,
        "{}",
        learned.delta.keys.len()
    );
    assert!(job.baseline.given_up().0 > 1_000);
}

#[test]
fn labels_that_carry_data_do_not_fill_the_state() {
    let mut job = Job::new();
    for number in 0..200_u64 {
        let data = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        job.learn(&[
            call("a.example"),
            call(&format!("{data}.t.tunnel-owner.com")),
        ]);
    }
    assert!(
        job.baseline.members().len() < 10,
        "{:?}",
        job.baseline.members().len()
    );
}

#[test]
fn names_and_texts_that_are_none_are_kept_apart_and_shown_harmlessly() {
    let mut job = Job::with(&[call("a.example")], 120);
    let long = vec!["é".repeat(60); 20].join(".");
    let mut odd = Vec::new();
    for name in [
        "a b",
        "\u{202e}moc.live",
        "x\ny",
        "*",
        "|",
        "..",
        long.as_str(),
        "xn--\u{fc}",
    ] {
        let mut made = call("placeholder.example");
        made.destination.name = Some(name.to_owned());
        made.lineage.executable = format!("/tmp/{name}");
        made.lineage.step = Some(name.repeat(100));
        made.lineage.dependency = Some(name.to_owned());
        odd.push(made);
    }
    let mut run = job.next(&odd);
    run.overwrites.push(overwrite("\0", "\u{1b}[31m"));
    run.overwrites
        .push(overwrite(&"/".repeat(10_000), &"../".repeat(10_000)));
    job.settings.storm = 100;
    let learned = job.take(&run);
    assert_eq!(alerts(&learned.judgement.anomalies).len(), 10);
    for anomaly in &learned.judgement.anomalies {
        let shown = [
            &anomaly.subject,
            &anomaly.explanation.concat(),
            &anomaly.key.to_string(),
        ]
        .map(String::clone)
        .concat();
        assert!(
            !shown.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{shown:?}"
        );
        assert!(anomaly.key.as_str().len() <= limits::KEY_BYTES);
    }
    assert!(Baseline::decode(&job.baseline.encode()).is_ok());
}

#[test]
fn a_run_that_comes_again_changes_nothing_and_is_judged_all_the_same() {
    let mut job = Job::with(&[call("a.example")], 120);
    let first = job.next(&[call("a.example"), call("new.example")]);
    assert!(job.take(&first).taken);
    let before = job.baseline.clone();
    for _ in 0..10 {
        let again = job.take(&first);
        assert!(!again.taken);
        assert_eq!(again.judgement.anomalies.len(), 1);
        assert!(again.delta.is_empty() && again.changes.is_empty());
    }
    assert_eq!(job.baseline, before);
}

#[test]
fn runs_older_than_all_that_are_remembered_are_not_taken_in() {
    let mut job = Job::with(&[call("a.example")], 2_000);
    let old = crate::run(1, 60, &[call("a.example")]);
    assert!(!job.take(&old).taken);
    let forged = crate::run(9_999_999, 120, &[call("a.example")]);
    assert!(!job.take(&forged).taken);
    assert_eq!(job.baseline.given_up().1, 2);
    assert_eq!(job.baseline.runs(), 2_000);
}

#[test]
fn clocks_that_jump_spoil_nothing() {
    let mut job = Job::new();
    for number in 0..400_u64 {
        let mut run = job.next(&[call("a.example")]);
        run.facts.started = match number % 5 {
            0 => Time::from_unix_nanos(0),
            1 => Time::from_unix_nanos(u64::MAX),
            2 => time(number * 60 + 86_400 * 400),
            _ => run.facts.started,
        };
        if number % 50 == 7 {
            run.facts.received =
                Time::from_unix_nanos(if number % 100 == 7 { 0 } else { u64::MAX });
        }
        job.take(&run);
    }
    let novelty = job.baseline.novelty(&Default::default());
    assert!(
        novelty.alerts.mean.is_finite() && novelty.alerts.high < 0.2,
        "{novelty:?}"
    );
    assert!(job.baseline.runs() > 300, "{}", job.baseline.runs());
    assert!(job.judge(&[call("a.example")]).is_empty());
    assert_eq!(
        alerts(&job.judge(&[call("new.example")])),
        ["new.example:443"]
    );
}

#[test]
fn a_fork_can_neither_fill_nor_disturb_the_baseline() {
    let mut job = Job::with(&[call("a.example")], 120);
    let promise = job.baseline.novelty(&Default::default());
    for number in 0..500 {
        let mut run = job.next(&[
            call(&format!("x.fork{number}.example")),
            by(&format!("/tmp/{number}"), "a.example"),
        ]);
        run.facts.trust = Trust::Fork;
        run.facts.context.image = Some(format!("image {number}"));
        job.take(&run);
    }
    assert_eq!(job.baseline.novelty(&Default::default()), promise);
    assert_eq!(job.baseline.members().len(), 1);
    assert!(job.baseline.encode().len() < 32_768);
}

#[test]
fn what_is_no_state_is_said_to_be_none() {
    let job = Job::with(&[call("a.example"), call("b.example")], 120);
    let bytes = job.baseline.encode();
    assert_eq!(Baseline::decode(&bytes), Ok(job.baseline.clone()));
    assert_eq!(Baseline::decode(&[]), Err(DecodeError::Damaged));
    assert_eq!(Baseline::decode(&[0]), Err(DecodeError::Damaged));
    let mut newer = bytes.clone();
    newer[0] = 9;
    assert_eq!(Baseline::decode(&newer), Err(DecodeError::Newer(9)));
    for end in 0..bytes.len() {
        assert!(Baseline::decode(&bytes[..end]).is_err(), "{end}");
    }
    assert_eq!(
        Baseline::decode(&vec![1; limits::STATE_BYTES + 1]),
        Err(DecodeError::Damaged)
    );
}

#[test]
fn what_a_newer_version_added_is_kept() {
    let job = Job::with(&[call("a.example")], 120);
    let mut newer = job.baseline.encode();
    newer.extend([7; 40]);
    let mut read = Baseline::decode(&newer).unwrap();
    assert_eq!(read.encode(), newer);
    let run = crate::run(500, 500 * 60, &[call("a.example")]);
    read.learn(&run, &Default::default(), &job.settings);
    assert!(read.encode().ends_with(&[7; 40]));
    newer.extend([7; 64 << 10]);
    assert_eq!(
        Baseline::decode(&newer),
        Err(DecodeError::Damaged),
        "more than anybody adds"
    );
}

/// Written by the first version of this format. States are kept over versions, so this one is read for ever.
#[test]
fn a_state_of_the_first_version_is_read_and_written_as_it_was() {
    let bytes = include_bytes!("../states/first");
    let state = Baseline::decode(bytes).unwrap();
    assert_eq!(state.encode(), bytes);
    let subjects: Vec<String> = state
        .members()
        .into_iter()
        .map(|member| member.subject)
        .collect();
    assert_eq!(
        subjects,
        [
            "accepted.example:443",
            "registry.example:443",
            "shard*.store.vendor.example:443",
            "version.txt"
        ]
    );
    let open = state.open(&Settings::default());
    let open: Vec<_> = open
        .iter()
        .map(|open| (open.subject.as_str(), open.rejected_by.as_deref()))
        .collect();
    assert_eq!(
        open,
        [
            ("new.example:443", None),
            ("rejected.example:443", Some("Ada"))
        ]
    );
}
