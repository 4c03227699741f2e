//! What holds whatever a job does.

use proptest::prelude::*;
use runward_baseline::{
    Baseline, Call, Context, Destination, Lineage, Overwrite, RunFacts, RunSummary, Settings,
    Surroundings, Trust, limits,
};
use runward_event::{Protocol, Time};

use crate::{Job, call, time};

/// Names over few letters, so that they meet, and texts that are no names.
fn name() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        4 => "[ab][0-9]{0,2}\\.(store\\.)?(ex|vendor)\\.(com|co\\.uk)".prop_map(Some),
        2 => "[a-c][0-9]\\.(s3\\.amazonaws\\.com|cloudfront\\.net|github\\.com)".prop_map(Some),
        1 => any::<String>().prop_map(Some),
        1 => "[a-z0-9]{60}(\\.[a-z0-9]{60}){2}\\.ex\\.com".prop_map(Some),
        1 => Just(None),
    ]
}

fn lineage() -> impl Strategy<Value = Lineage> {
    let program = prop_oneof![3 => "/bin/(a|b|c[0-9])", 1 => any::<String>()];
    let other = || prop_oneof![2 => Just(None), 2 => "(x|y)@[0-9]".prop_map(Some), 1 => any::<String>().prop_map(Some)];
    (program, other(), other()).prop_map(|(executable, step, dependency)| Lineage {
        executable,
        step,
        dependency,
    })
}

fn made() -> impl Strategy<Value = Call> {
    let ip = prop_oneof![
        Just(None),
        (0_u8..4).prop_map(|last| Some([10, 0, 0, last].into()))
    ];
    let sent = prop_oneof![0_u64..5_000, any::<u64>()];
    (name(), ip, 0_u16..3, any::<bool>(), lineage(), sent).prop_map(
        |(name, ip, port, udp, lineage, sent)| Call {
            destination: Destination {
                name,
                ip,
                port,
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
            },
            lineage,
            connections: 1,
            bytes_sent: sent,
            bytes_received: 0,
            first: time(0),
            blocked: sent == 3,
        },
    )
}

fn a_run() -> impl Strategy<Value = RunSummary> {
    let context = prop_oneof![3 => Just(Context::default()), 1 => (0_u8..9).prop_map(|n| Context {
        image: Some(n.to_string()),
        lockfile: Some((n / 2).to_string()),
        ..Context::default()
    })];
    let seconds = prop_oneof![9 => 0_u64..1_000_000, 1 => any::<u64>()];
    let trust =
        prop_oneof![1 => Just(Trust::Fork), 1 => Just(Trust::Branch), 3 => Just(Trust::Protected)];
    let overwrites = prop::collection::vec(
        (
            prop_oneof!["src/[a-c][0-9]\\.rs", any::<String>()],
            lineage(),
        ),
        0..3,
    );
    (
        (0_u16..40, seconds, any::<u64>(), trust, any::<bool>()),
        context,
        prop::collection::vec(made(), 0..12),
        overwrites,
    )
        .prop_map(
            |((id, second, started, trust, detected), context, calls, overwrites)| RunSummary {
                facts: RunFacts {
                    id: id.to_string(),
                    started: Time::from_unix_nanos(started),
                    received: Time::from_unix_nanos(second.saturating_mul(1_000_000_000)),
                    commit: (id % 3 > 0).then(|| id.to_string()),
                    trust,
                    context,
                    detected,
                },
                calls,
                overwrites: overwrites
                    .into_iter()
                    .map(|(path, lineage)| Overwrite {
                        path,
                        lineage,
                        at: time(0),
                    })
                    .collect(),
                uncounted: 0,
            },
        )
}

fn settings() -> Settings {
    Settings {
        min_runs: 5,
        storm: 4,
        ..Settings::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever comes: no panic, a state inside its bounds that reads back as it was, and harmless texts.
    #[test]
    fn any_runs_leave_a_sound_state(runs in prop::collection::vec(a_run(), 0..40)) {
        let settings = settings();
        let mut baseline = Baseline::default();
        let around = Surroundings::default();
        for run in &runs {
            prop_assert!(baseline.keys(run).len() <= limits::KEYS);
            baseline.watch(run, &around, &settings);
            let learned = baseline.learn(run, &around, &settings);
            for anomaly in &learned.judgement.anomalies {
                prop_assert!(anomaly.score.is_finite());
                prop_assert!(anomaly.key.as_str().len() <= limits::KEY_BYTES);
                prop_assert!(!anomaly.subject.contains(char::is_control));
                prop_assert!(!anomaly.explanation.is_empty());
            }
        }
        let bytes = baseline.encode();
        prop_assert!(bytes.len() <= limits::STATE_BYTES);
        prop_assert_eq!(Baseline::decode(&bytes).unwrap(), baseline.clone());
        baseline.state(&around, &settings);
        let novelty = baseline.novelty(&around);
        prop_assert!(novelty.alerts.low <= novelty.alerts.mean && novelty.alerts.mean <= novelty.alerts.high);
        prop_assert!(novelty.news.mean.is_finite());
    }

    /// Any run may come again, at any time, any number of times.
    #[test]
    fn replays_change_nothing(runs in prop::collection::vec(a_run(), 1..30), again in prop::collection::vec(0_usize..30, 0..30)) {
        let settings = settings();
        let around = Surroundings::default();
        let mut baseline = Baseline::default();
        for run in &runs {
            baseline.learn(run, &around, &settings);
        }
        let before = baseline.clone();
        for at in again {
            let learned = baseline.learn(&runs[at % runs.len()], &around, &settings);
            prop_assert!(!learned.taken);
            prop_assert!(learned.delta.is_empty());
        }
        prop_assert_eq!(baseline.members(), before.members());
        prop_assert_eq!(baseline.runs(), before.runs());
    }

    /// While the baseline is new, the order in which runs come says nothing about what is normal.
    #[test]
    fn order_does_not_decide_what_is_normal(calls in prop::collection::vec(prop::collection::vec("[a-f]", 1..4), 1..20), seed in any::<u64>()) {
        let runs: Vec<RunSummary> = calls
            .iter()
            .zip(1..)
            .map(|(names, number)| {
                let calls: Vec<Call> = names.iter().map(|name| call(&format!("{name}.{name}.example"))).collect();
                crate::run(number, 1_000 + number, &calls)
            })
            .collect();
        let mut shuffled = runs.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let members = |runs: &[RunSummary]| {
            let mut job = Job::new();
            for run in runs {
                job.take(run);
            }
            let members = job.baseline.members();
            members.into_iter().map(|member| (member.subject, member.runs)).collect::<Vec<_>>()
        };
        prop_assert_eq!(members(&runs), members(&shuffled));
    }

    /// Counts only grow, and what is normal stays so, while a job does what it does.
    #[test]
    fn counts_grow_and_nothing_normal_is_lost(extra in prop::collection::vec(0_u8..20, 1..60)) {
        let mut job = Job::with(&[call("always.example")], 100);
        let mut before = job.baseline.members();
        for number in extra {
            job.learn(&[call("always.example"), call(&format!("x{number}.news{number}.example"))]);
            let now = job.baseline.members();
            for member in &before {
                let same = now.iter().find(|other| other.key == member.key);
                prop_assert!(same.is_some_and(|same| same.runs >= member.runs), "{:?}", member);
            }
            before = now;
        }
    }

    /// Any bytes are a state or are said to be none; a state keeps to the bounds.
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), flip in any::<u8>()) {
        let _ = Baseline::decode(&bytes);
        let mut real = Job::with(&[call("a.example"), call("b.example")], 12).baseline.encode();
        let place = at.index(real.len());
        real[place] ^= flip;
        bytes = real;
        if let Ok(mut read) = Baseline::decode(&bytes) {
            read.members();
            read.learn(&crate::run(900, 900 * 60, &[call("c.example")]), &Surroundings::default(), &settings());
            prop_assert!(read.encode().len() <= limits::STATE_BYTES);
        }
    }
}
