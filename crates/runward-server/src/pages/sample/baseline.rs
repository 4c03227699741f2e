//! Baselines, and what was not normal in a run.

use runward_baseline::{
    AnomalyKey, How, Incident, Kind as New, Lineage, Member, MemberPattern, OpenAnomaly, Reason,
    Sighting, State,
};
use runward_event::Time;
use runward_store::{
    Anomaly, Baseline, BaselineEntry, BaselineState, BaselineSummary, JobId, NewBaselineEntry,
    ProjectId,
};

use super::{Kind, NOW, hostile};

/// A text that the job has chosen.
fn said(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Ordinary => text.to_owned(),
        Kind::Hostile => hostile(text),
    }
}

fn ago(hours: i64) -> Time {
    let millis = u64::try_from(NOW - hours * 3_600_000).unwrap();
    Time::from_unix_nanos(millis * 1_000_000)
}

pub(crate) fn baselines(kind: Kind) -> Vec<Baseline> {
    let states = [
        BaselineState::Unstable,
        BaselineState::Stable,
        BaselineState::Creating,
    ];
    states
        .into_iter()
        .zip(1..)
        .map(|(state, n)| Baseline {
            job: JobId(n),
            project: ProjectId(n),
            project_name: said(kind, "shop/web"),
            pipeline: said(kind, ".github/workflows/ci.yml"),
            job_name: said(kind, "build"),
            summary: BaselineSummary {
                state,
                runs: 412 / n,
                members: 9,
                open: 3 - n,
                alert_rate: [0.004, 0.001, 0.009],
            },
            changed_at: NOW - n * 3_600_000,
        })
        .collect()
}

pub(crate) fn state(kind: Kind) -> State {
    State::Unstable {
        reasons: vec![Reason {
            what: said(
                kind,
                "One program met new names in 12 of the last 100 runs.",
            ),
            remedy: "A pattern in a policy would settle it.".to_owned(),
            culprits: vec![said(kind, "shard17.store.example:443")],
            policy: vec![said(kind, "shard*.store.example:443")],
            accept: Vec::new(),
            runs: Some(80),
        }],
    }
}

pub(crate) fn members(kind: Kind) -> Vec<Member> {
    let member = |n: u64, subject: &str, is_file: bool, how| Member {
        key: AnomalyKey::new(&format!("key-{n}")),
        subject: said(kind, subject),
        pattern: subject.contains('*').then(|| MemberPattern {
            stars: vec!["1 to 2 digits".to_owned()],
            samples: vec![
                said(kind, "shard1.store.example"),
                said(kind, "shard17.store.example"),
            ],
            names: 31,
        }),
        is_file,
        programs: vec![
            said(kind, "/usr/bin/node (esbuild)"),
            "/usr/bin/git".to_owned(),
        ],
        steps: vec![said(kind, "npm ci"), "checkout".to_owned()],
        first_seen: ago(900),
        last_seen: ago(2),
        runs: 412 - n,
        most_sent: 120_000,
        how,
    };
    vec![
        member(1, "registry.npmjs.example:443", false, How::Created),
        member(2, "shard*.store.example:443", false, How::Recurred),
        member(3, "version.txt", true, How::Accepted(said(kind, "ada"))),
    ]
}

pub(crate) fn open(kind: Kind) -> Vec<OpenAnomaly> {
    let open = |n: u32, what, takes, rejected_by| OpenAnomaly {
        key: AnomalyKey::new(&format!("open-{n}")),
        kind: what,
        subject: said(kind, "collect.evil.example:443"),
        told: n == 1,
        programs: vec![said(kind, "/usr/bin/curl (left-padding)")],
        first_seen: ago(30),
        last_seen: ago(1),
        runs: n,
        counted: n,
        takes,
        rejected_by,
    };
    vec![
        open(1, New::NewDestination, Some(50), None),
        open(2, New::NewLineage, Some(5), None),
        open(3, New::DataVolume, None, Some(said(kind, "ada"))),
    ]
}

pub(crate) fn entries(kind: Kind) -> Vec<BaselineEntry> {
    ["opened", "joined", "reset"]
        .into_iter()
        .zip(1..)
        .map(|(what, n)| BaselineEntry {
            id: 10 - n,
            entry: NewBaselineEntry {
                at: NOW - n * 3_600_000,
                what: what.to_owned(),
                subject: said(kind, "collect.evil.example:443"),
                run: (n != 2).then(|| "5f0c3a1e9b7d4c2688aa10ff42e6d913".to_owned()),
                person: (n == 2).then(|| said(kind, "ada")),
                why: said(kind, "No run of this job went there before."),
            },
        })
        .collect()
}

pub(crate) fn incidents(kind: Kind) -> Vec<runward_store::Incident> {
    let sighting = |n: i64| Sighting {
        key: AnomalyKey::new("owner|evil.example"),
        subject: said(kind, "collect.evil.example:443"),
        at: ago(30 - n),
        organisation: 1 + n % 2,
        project: n % 3,
        job: n,
        run: format!("{n:032x}"),
        lineage: Lineage {
            executable: said(kind, "/opt/runner/provjobd"),
            step: None,
            dependency: Some(said(kind, "left-padding")),
        },
        image: Some(said(kind, "ubuntu24 20261101.1")),
        hosted: Some(true),
    };
    let seen: Vec<_> = (1..12).map(sighting).collect();
    let incident = Incident::of(&seen, 24 * 3600).unwrap();
    vec![runward_store::Incident {
        id: 1,
        key: incident.key.as_str().to_owned(),
        subject: incident.subject.clone(),
        first_at: NOW - 30 * 3_600_000,
        last_at: NOW - 3_600_000,
        jobs: 11,
        state: serde_json::to_vec(&incident).unwrap(),
    }]
}

pub(crate) fn anomalies(kind: Kind) -> Vec<Anomaly> {
    ["alert", "known", "news"]
        .into_iter()
        .zip(1..)
        .map(|(disposition, n)| Anomaly {
            key: said(kind, "key"),
            kind: "new-destination".to_owned(),
            subject: said(kind, &format!("collect{n}.evil.example:443")),
            program: said(kind, "/usr/bin/curl"),
            step: Some(said(kind, "npm ci")),
            dependency: (n == 1).then(|| said(kind, "left-padding")),
            at: NOW - 60_000,
            score: 3.0 - f64::from(n),
            severity: "high".to_owned(),
            confidence: "medium".to_owned(),
            disposition: disposition.to_owned(),
            explanation: said(kind, "No run of this job went there before."),
        })
        .collect()
}
