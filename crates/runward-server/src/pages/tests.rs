//! Every page, with the data of an ordinary fleet and with hostile data, held against what must be true of any page.

use std::collections::BTreeSet;
use std::path::Path;

use askama::Template as _;
use runward_store::{
    Channel, ChannelKind, Cursor, Delivery, DetectionStatus, Millis, Overdue, Overview, Page,
    Policy, Retention, Run,
};

use super::sample::{self, Kind, NOW};
use super::*;
use crate::what_if::{Tried, TriedRun};

/// A page by its address.
struct Sample {
    address: String,
    html: String,
}

const RUN: &str = "5f0c3a1e9b7d4c2688aa10ff42e6d913";

fn shell(kind: Kind) -> Shell {
    let name = match kind {
        Kind::Ordinary => "Northwind".to_owned(),
        Kind::Hostile => sample::hostile("Northwind"),
    };
    Shell::of("northwind", &name).seen_by(
        match kind {
            Kind::Ordinary => "admin@northwind.example",
            Kind::Hostile => "<script>",
        },
        "csrf-of-this-session",
        true,
    )
}

fn rows<T>(rows: Vec<T>, more: bool) -> Page<T> {
    Page {
        rows,
        next: more.then_some(Cursor { time: 1, id: 2 }),
    }
}

fn pairs(kind: Kind, query: &[(&str, &str)]) -> Vec<(String, String)> {
    query
        .iter()
        .map(|(key, value)| {
            let value = match kind {
                Kind::Ordinary => (*value).to_owned(),
                Kind::Hostile => sample::hostile(value),
            };
            ((*key).to_owned(), value)
        })
        .collect()
}

/// The pages of a run, below its address.
fn run_pages(kind: Kind, run: &Run, id: &str) -> Vec<Sample> {
    let report = sample::report(kind);
    let project = sample::project(kind);
    let mut run = run.clone();
    id.clone_into(&mut run.id);
    let policies = sample::attached_policies(kind);
    let anomalies = sample::baseline::anomalies(kind);
    let source = RunSource {
        policies: &policies,
        anomalies: &anomalies,
        job: None,
        told_files: None,
        run: &run,
        project: &project,
        report: &report,
        now: NOW,
    };
    let query = match kind {
        Kind::Ordinary => RowsQuery::default(),
        Kind::Hostile => RowsQuery::parse(&[("q".to_owned(), "<script>\"".to_owned())]),
    };
    let findings = RowsQuery::parse(&[("findings".to_owned(), "1".to_owned())]);
    let recommended = match kind {
        Kind::Ordinary => "# Made from one run. Read it before you use it.\nregistry.packages.example:443\ngit.example:443\nobjects.storage.example:443\nheaders.node.example:443\n".to_owned(),
        Kind::Hostile => sample::hostile("policy"),
    };
    let what_if = WhatIf {
        policy: recommended.clone(),
        error: None,
        unlisted: 2,
        unjudged: 1,
        rows: vec![WhatIfRow {
            destination: if kind == Kind::Hostile {
                sample::hostile("d")
            } else {
                "collect.telemetry.example:443".to_owned()
            },
            processes: vec!["/usr/bin/curl".to_owned()],
            connections: 1,
            stopped_then: 0,
            runs: 1,
            reason: if kind == Kind::Hostile {
                sample::hostile("r")
            } else {
                "no line of the policy allows it".to_owned()
            },
        }],
    };
    let broken = WhatIf {
        policy: "allow everything".to_owned(),
        error: Some("line 1: 'allow everything' is not an endpoint".to_owned()),
        ..WhatIf::default()
    };
    let detections = rows(sample::detections(kind), true);
    let counts = sample::detection_counts(kind);
    let s = || shell(kind);
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!("o/northwind/runs/{id}{path}"),
        html: html.unwrap(),
    };
    vec![
        page("", SummaryTab::new(s(), &source).render()),
        page(
            "/network",
            NetworkTab::new(s(), &source, &RowsQuery::default()).render(),
        ),
        page(
            "/network-searched",
            NetworkTab::new(s(), &source, &query).render(),
        ),
        page(
            "/network-findings",
            NetworkTab::new(s(), &source, &findings).render(),
        ),
        page(
            "/https",
            HttpsTab::new(s(), &source, &RowsQuery::default()).render(),
        ),
        page(
            "/https-searched",
            HttpsTab::new(s(), &source, &query).render(),
        ),
        page(
            "/files",
            FilesTab::new(s(), &source, &RowsQuery::default()).render(),
        ),
        page(
            "/files-searched",
            FilesTab::new(s(), &source, &query).render(),
        ),
        page(
            "/processes",
            ProcessesTab::new(s(), &source, &RowsQuery::default()).render(),
        ),
        page(
            "/processes-searched",
            ProcessesTab::new(s(), &source, &query).render(),
        ),
        page(
            "/detections",
            DetectionsTab::new(s(), &source, &detections, &counts).render(),
        ),
        page(
            "/policy",
            PolicyTab::new(s(), &source, &recommended, None).render(),
        ),
        page(
            "/policy-tried",
            PolicyTab::new(s(), &source, &recommended, Some(&what_if)).render(),
        ),
        page(
            "/policy-broken",
            PolicyTab::new(s(), &source, "", Some(&broken)).render(),
        ),
        page("/steps", StepsTab::new(s(), &source).render()),
    ]
}

/// Pages of a run whose events and detections were deleted.
fn gone_pages(kind: Kind) -> Vec<Sample> {
    let report = runward_report::Report::default();
    let project = sample::project(kind);
    let run = sample::old_run(kind);
    let source = RunSource {
        policies: &sample::attached_policies(kind),
        anomalies: &[],
        job: None,
        told_files: None,
        run: &run,
        project: &project,
        report: &report,
        now: NOW,
    };
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!("gone-run/{path}"),
        html: html.unwrap(),
    };
    let mut pages = vec![
        page(
            "summary",
            GoneTab::summary(shell(kind), &source, &sample::went(kind)).render(),
        ),
        page(
            "summary-nowhere",
            GoneTab::summary(shell(kind), &source, &[]).render(),
        ),
        page(
            "detections",
            DetectionsTab::new(shell(kind), &source, &rows(Vec::new(), false), &[]).render(),
        ),
    ];
    for tab in ["network", "https", "files", "processes", "policy", "steps"] {
        let html = GoneTab::named(shell(kind), &source, tab).unwrap().render();
        pages.push(page(tab, html));
    }
    assert!(GoneTab::named(shell(kind), &source, "none").is_none());
    pages
}

/// Pages of a run of which nothing is known but that it began.
fn empty_run_pages() -> Vec<Sample> {
    let report = runward_report::Report::default();
    let project = sample::project(Kind::Ordinary);
    let run = Run {
        branch: None,
        commit: None,
        actor: None,
        trigger: None,
        url: None,
        command: String::new(),
        requested_mode: None,
        effective_mode: None,
        tier: None,
        connections: 0,
        processes: 0,
        ..sample::troubled_run(Kind::Ordinary)
    };
    let source = RunSource {
        policies: &[],
        anomalies: &[],
        job: None,
        told_files: None,
        run: &run,
        project: &project,
        report: &report,
        now: NOW,
    };
    let query = RowsQuery::default();
    let s = || shell(Kind::Ordinary);
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!("empty-run/{path}"),
        html: html.unwrap(),
    };
    vec![
        page("summary", SummaryTab::new(s(), &source).render()),
        page("network", NetworkTab::new(s(), &source, &query).render()),
        page("https", HttpsTab::new(s(), &source, &query).render()),
        page("files", FilesTab::new(s(), &source, &query).render()),
        page(
            "processes",
            ProcessesTab::new(s(), &source, &query).render(),
        ),
        page(
            "detections",
            DetectionsTab::new(s(), &source, &rows(Vec::new(), false), &[]).render(),
        ),
        page("policy", PolicyTab::new(s(), &source, "", None).render()),
        page("steps", StepsTab::new(s(), &source).render()),
    ]
}

/// The pages of the fleet.
fn fleet_pages(kind: Kind) -> Vec<Sample> {
    let projects = sample::projects(kind);
    let detections = sample::detections(kind);
    let runs = sample::runs(kind);
    let s = || shell(kind);
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!("o/northwind{path}"),
        html: html.unwrap(),
    };
    let runs_query = RunsQuery::parse(&pairs(
        kind,
        &[("q", "build"), ("branch", "main"), ("pipeline", "ci")],
    ));
    let destinations_query = DestinationsQuery::parse(&pairs(kind, &[("q", "example")]));
    let detections_query =
        DetectionsQuery::parse(&pairs(kind, &[("kind", "agent-tampered"), ("run", RUN)]));
    let settings = |created: Option<CreatedKey>, typed_retention: Option<RetentionTyped>| {
        SettingsPage::new(
            s().telling(Some(Notice::done("The member was added."))),
            &SettingsQuery::default(),
            SettingsParts {
                keys: &sample::keys(kind),
                registered: created
                    .is_some()
                    .then(|| Registered::new("https://runward.example", "rwr_example")),
                created,
                users: &sample::users(kind),
                viewer: 1,
                projects: &projects,
                trusts: &sample::trusts(kind),
                issuers: &["https://ci.example"],
                sign_on: Some(SingleSignOn {
                    name: "id.example",
                    issuer: "https://id.example",
                    admin_groups: &["ops".to_owned()],
                    allowed_groups: &[],
                    allowed_domains: &["northwind.example".to_owned()],
                }),
                retention: &Retention::default(),
                typed_retention,
                audit: &rows(sample::audit(kind), true),
            },
            NOW,
        )
        .render()
    };
    let confirm = |provider, error| {
        let fields = vec![
            ("csrf".to_owned(), "csrf".to_owned()),
            ("login".to_owned(), "new@northwind.example".to_owned()),
        ];
        let action = "/o/northwind/settings/members";
        ConfirmPage::new(
            s(),
            "add new@northwind.example to the organisation",
            action,
            fields,
            provider,
            error,
        )
        .render()
    };
    let shorter = RetentionTyped {
        terms: ["7", "90", ""].map(|days| match kind {
            Kind::Ordinary => days.to_owned(),
            Kind::Hostile => sample::hostile(days),
        }),
        losses: Some((
            Overdue {
                events: 1_204,
                detections: 17,
                undecided: 2,
                runs: 0,
            },
            "7-90-".to_owned(),
        )),
    };
    let created = CreatedKey {
        name: "nightly".to_owned(),
        key: "rwk_example_not_a_key".to_owned(),
    };
    vec![
        page(
            "",
            OverviewPage::new(s(), &sample::overview(), &runs, &detections[..3], NOW).render(),
        ),
        page(
            "/projects",
            ProjectsPage::new(
                s(),
                &projects,
                &sample::policies(kind),
                &sample::attachments(kind),
                NOW,
            )
            .render(),
        ),
        page(
            "/runs",
            RunsPage::new(
                s(),
                &RunsQuery::default(),
                &rows(runs.clone(), true),
                &projects,
                NOW,
            )
            .render(),
        ),
        page(
            "/runs-filtered",
            RunsPage::new(s(), &runs_query, &rows(runs.clone(), true), &projects, NOW).render(),
        ),
        page(
            "/destinations",
            DestinationsPage::new(
                s(),
                &DestinationsQuery::default(),
                &rows(sample::destinations(kind), true),
                NOW,
            )
            .render(),
        ),
        page(
            "/destinations-filtered",
            DestinationsPage::new(
                s(),
                &destinations_query,
                &rows(sample::destinations(kind), true),
                NOW,
            )
            .render(),
        ),
        page(
            "/destinations/2",
            DestinationPage::new(
                s(),
                &DestinationQuery::default(),
                &sample::destinations(kind)[1],
                &rows(sample::sightings(kind), true),
                NOW,
            )
            .render(),
        ),
        page(
            "/detections",
            DetectionsPage::new(
                s(),
                &DetectionsQuery::parse(&[]),
                &rows(detections.clone(), true),
                &sample::detection_counts(kind),
                NOW,
            )
            .render(),
        ),
        page(
            "/detections/kinds",
            DetectionKindsPage::new(s(), &sample::detection_counts(kind)).render(),
        ),
        page(
            "/detections-filtered",
            DetectionsPage::new(
                s(),
                &detections_query,
                &rows(detections, false),
                &sample::detection_counts(kind),
                NOW,
            )
            .render(),
        ),
        page(
            "/detections-hidden",
            DetectionsPage::new(
                s(),
                &DetectionsQuery::parse(&pairs(
                    Kind::Ordinary,
                    &[("status", "suppressed"), ("rule", "7")],
                )),
                &rows(sample::hidden_detections(kind), false),
                &sample::detection_counts(kind),
                NOW,
            )
            .render(),
        ),
        page("/incidents", incidents(kind)),
        page("/baseline", baselines(kind)),
        page("/baseline/7", baseline(kind)),
        page(
            "/agents",
            AgentsPage::new(s(), &sample::agents(kind), NOW).render(),
        ),
        page("/settings", settings(None, None)),
        page("/settings-created", settings(Some(created), None)),
        page("/settings-shorter", settings(None, Some(shorter))),
        page("/confirm", confirm(None, Some("The password is wrong."))),
        page("/confirm-provider", confirm(Some("id.example"), None)),
    ]
}

fn incidents(kind: Kind) -> askama::Result<String> {
    let page = rows(sample::baseline::incidents(kind), true);
    IncidentsPage::new(shell(kind), runward_store::OrgId(1), &page, None, NOW).render()
}

fn baselines(kind: Kind) -> askama::Result<String> {
    let counts = [
        (runward_store::BaselineState::Stable, 1),
        (runward_store::BaselineState::Unstable, 2),
    ];
    BaselinesPage::new(
        shell(kind),
        &BaselinesQuery::parse(&pairs(kind, &[("project", "7")])),
        &rows(sample::baseline::baselines(kind), true),
        &counts,
        &runward_store::BaselineSettings::default(),
        NOW,
    )
    .render()
}

fn baseline(kind: Kind) -> askama::Result<String> {
    let row = &sample::baseline::baselines(kind)[0];
    let parts = BaselineParts {
        row,
        state: &sample::baseline::state(kind),
        rates: [
            "about once in 40 runs (between 30 and 60)".to_owned(),
            "about once in 240 runs (between 110 and 900)".to_owned(),
        ],
        members: &sample::baseline::members(kind),
        open: &sample::baseline::open(kind),
        entries: &rows(sample::baseline::entries(kind), true),
        given_up: (2, 0),
    };
    BaselinePage::new(shell(kind), &parts, entries_page(&[]), NOW).render()
}

/// The pages of suppression rules. The form's addresses say that they hold what was typed.
fn rule_pages(kind: Kind) -> Vec<Sample> {
    let rules = sample::suppressions(kind);
    let s = || shell(kind);
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!("o/northwind/suppressions{path}"),
        html: html.unwrap(),
    };
    let list = |state: &str, rules: &[runward_store::Suppression]| {
        let query = SuppressionsQuery::parse(&[("state".to_owned(), state.to_owned())]);
        SuppressionsPage::new(s(), &query, &rows(rules.to_vec(), true), 12, NOW).render()
    };
    let rule = |rule: &runward_store::Suppression, hidden| {
        SuppressionPage::new(s(), rule, &rows(hidden, true), NOW).render()
    };
    let typed = SuppressionForm::parse(&pairs(
        kind,
        &[
            ("kind", "outbound-call-blocked"),
            ("destination", "collect.telemetry.example:443"),
            ("program", "/usr/bin/node"),
            ("project", "northwind/web-shop"),
            ("pipeline", ".github/workflows/ci.yml"),
            ("job", "build"),
        ],
    ));
    let faults = [
        ("name", "a rule needs a name"),
        (
            "host",
            "a pattern has at most 1024 bytes: let * stand for a long part",
        ),
        (
            "expires",
            "a rule can't end before it begins: choose a later day, or none",
        ),
    ]
    .map(|(at, why)| runward_store::Fault {
        at,
        why: why.to_owned(),
    });
    let preview =
        |rows: Vec<runward_store::Detection>, complete| runward_store::SuppressionPreview {
            hides: if rows.is_empty() { 0 } else { 5 },
            looked_at: 20_000,
            complete,
            rows,
        };
    let kinds = sample::detection_counts(kind);
    let mut kinds: Vec<String> = kinds.into_iter().map(|(kind, _, _)| kind).collect();
    kinds.dedup();
    let form = |form: &SuppressionForm, faults: &[_], preview: Option<_>| {
        SuppressionFormPage::new(s(), form, faults, preview.as_ref(), (&kinds, 14), NOW).render()
    };
    let empty = SuppressionForm::default();
    let found = sample::detections(kind)[..3].to_vec();
    vec![
        page("", list("live", &rules[..2])),
        page("-all", list("all", &rules)),
        page("-none", list("ended", &[])),
        page("/7", rule(&rules[1], sample::hidden_detections(kind))),
        page("/4", rule(&rules[3], Vec::new())),
        page("/new", form(&empty, &[], None)),
        page(
            "/new-tried",
            form(&typed, &[], Some(preview(found.clone(), true))),
        ),
        page(
            "/new-tried-wide",
            form(&empty, &[], Some(preview(found, false))),
        ),
        page(
            "/new-tried-nothing",
            form(&typed, &[], Some(preview(Vec::new(), true))),
        ),
        page("/new-tried-faulty", form(&typed, &faults, None)),
    ]
}

/// The pages of notifications. The form's addresses say that they hold what was typed.
fn notification_pages(kind: Kind, admin: bool) -> Vec<Sample> {
    const HOUR: Millis = 3_600_000;
    let channels = sample::notifications::channels(kind);
    let deliveries = sample::notifications::deliveries(kind);
    let projects = sample::projects(kind);
    let kinds = ["agent-tampered", "outbound-call-blocked"].map(str::to_owned);
    let s = || Shell {
        admin,
        ..shell(kind)
    };
    let rights = if admin { "" } else { "-read" };
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!("o/northwind/settings/notifications{path}{rights}"),
        html: html.unwrap(),
    };
    let list = |query: &[(&str, &str)], channels: &[Channel], deliveries: Vec<Delivery>| {
        let query = NotificationsQuery::parse(&pairs(Kind::Ordinary, query));
        let parts = NotificationsParts {
            channels,
            projects: &projects,
            deliveries: &rows(deliveries, true),
            hour: HOUR,
        };
        NotificationsPage::new(s(), &query, &parts, NOW).render()
    };
    let faults = [
        (
            "name",
            "a channel needs a name, by which people will know it",
        ),
        ("url", "messages are sent over TLS only"),
        ("kinds", "name at least one kind, or take all"),
        ("quiet_hours", "this is between 0 and 720 hours"),
        (
            "pace",
            "a webhook without envelope gets each notification by itself",
        ),
    ]
    .map(|(at, why)| runward_store::Fault {
        at,
        why: why.to_owned(),
    });
    let typed = ChannelForm::parse(&pairs(
        kind,
        &[
            ("name", "On call"),
            ("url", "http://hooks.example/"),
            ("kinds", "some"),
            ("project", "1"),
            ("quiet", "-1"),
        ],
    ));
    let parts = |of, form, faults| FormParts {
        kind: of,
        form,
        faults,
        kinds: &kinds,
        projects: &projects,
        has_mail: false,
    };
    let empty = ChannelForm::empty(ChannelKind::Email);
    let new = |of, form, faults| NewChannelPage::form(s(), &parts(of, form, faults)).render();
    let one = |channel: &Channel, signing: Option<String>| {
        let form = ChannelForm::of(channel, HOUR);
        let parts = ChannelParts {
            channel,
            form: FormParts {
                kind: channel.kept.kind,
                form: &form,
                faults: &[],
                kinds: &kinds,
                projects: &projects,
                has_mail: false,
            },
            signing,
        };
        ChannelPage::new(s(), parts, NOW).render()
    };
    let mut all = vec![
        page("", list(&[], &channels, deliveries.clone())),
        page(
            "-of-one",
            list(
                &[("channel", "2"), ("state", "dead")],
                &channels,
                deliveries,
            ),
        ),
        page("-none", list(&[], &[], Vec::new())),
        page("/new", NewChannelPage::choose(s(), false).render()),
        page("/new-tried", new(ChannelKind::Webhook, &typed, &faults)),
        page("/new-mail", new(ChannelKind::Email, &empty, &[])),
        page("/new-app", new(ChannelKind::SlackBot, &empty, &[])),
        page("/new-check", new(ChannelKind::GithubCheck, &empty, &[])),
        page("/new-collector", new(ChannelKind::OtlpLogs, &empty, &[])),
        page("/new-bucket", new(ChannelKind::S3, &empty, &[])),
        page("/new-log", new(ChannelKind::Syslog, &empty, &[])),
        page(
            "/5-made",
            one(&channels[4], Some("whsec_example".to_owned())),
        ),
    ];
    let pages = channels
        .iter()
        .map(|channel| page(&format!("/{}", channel.id), one(channel, None)));
    all.extend(pages);
    all
}

/// The pages of named policies. Where a text is as somebody typed it, the address says so.
fn policy_pages(kind: Kind, admin: bool) -> Vec<Sample> {
    let (policies, attachments) = (sample::policies(kind), sample::attachments(kind));
    let (projects, jobs) = (sample::projects(kind), sample::known_jobs(kind));
    let versions = rows(sample::policy_versions(kind), true);
    let shown = |policy: &Policy, answer: &Answer, typed: Option<&Typed>, clash: bool| {
        let source = PolicySource {
            policy,
            text: sample::POLICY,
            versions: &versions,
            attachments: &attachments,
            projects: &projects,
            jobs: &jobs,
            now: NOW,
        };
        let shell = Shell {
            admin,
            ..shell(kind)
        };
        PolicyPage::new(
            shell,
            &PolicyQuery::default(),
            &source,
            typed,
            answer,
            clash,
        )
        .render()
    };
    let text = match kind {
        Kind::Ordinary => sample::POLICY
            .replace("steps:", "step:")
            .replace(":443\n  - end", ":44 3\n  - end"),
        Kind::Hostile => sample::hostile("text"),
    };
    let typed = Typed {
        name: text.clone(),
        text: text.clone(),
        note: text.clone(),
        whose: "3".to_owned(),
        runs: Some(20),
    };
    let Err(faults) = crate::policy::read(&text) else {
        panic!("the sample has faults");
    };
    let row = |n: u64| WhatIfRow {
        destination: match kind {
            Kind::Ordinary => format!("cdn-{n}.storage.example:443"),
            Kind::Hostile => sample::hostile("d"),
        },
        processes: vec!["/usr/bin/curl".to_owned(), "/usr/bin/node".to_owned()],
        connections: 40 - n * 7,
        stopped_then: n,
        runs: 4 - n,
        reason: "no line allows it; cdn-1.storage.example:443 would".to_owned(),
    };
    let tried = Tried {
        runs: sample::runs(kind)
            .into_iter()
            .map(|run| TriedRun {
                connections: 412,
                stopped: u64::try_from(run.blocked).unwrap(),
                unjudged: u64::try_from(run.blocked).unwrap() * 7,
                run,
            })
            .collect(),
        omitted: 2,
        rows: (0..3).map(row).collect(),
        unlisted: 1,
    };
    let tried = Answer::Tried(runward_event::Mode::Block, faults.clone(), tried);
    let fine = Answer::Fine(runward_event::Mode::Audit, Vec::new());
    let broken = Answer::Faults(faults);
    let archived = Policy {
        archived_at: Some(NOW - 1000),
        ..policies[2].clone()
    };
    let changed = sample::POLICY
        .replace("block", "audit")
        .replace("packages.", "");
    let version = |number: usize, text: &str| {
        (
            sample::policy_versions(kind)[number].clone(),
            text.to_owned(),
        )
    };
    let start = Start {
        project: Some(3),
        pipeline: text.clone(),
        job: text.clone(),
        said: Some(
            "The text allows what the last 10 of these runs did and nothing else.".to_owned(),
        ),
        failed: false,
    };
    let new = |typed: &Typed, answer: &Answer, start: &Start| {
        let shell = Shell {
            admin,
            ..shell(kind)
        };
        NewPolicyPage::new(shell, typed, answer, start, &projects, &jobs).render()
    };
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: format!(
            "o/northwind/policies{}{path}",
            if admin { "" } else { "/auditor" }
        ),
        html: html.unwrap(),
    };
    let list = |policies: &[Policy], archived| {
        let shell = Shell {
            admin,
            ..shell(kind)
        };
        PoliciesPage::new(shell, policies, &attachments, archived, NOW).render()
    };
    vec![
        page("", list(&policies, false)),
        page("/none", list(&[], false)),
        page("/archived", list(std::slice::from_ref(&archived), true)),
        page("/none-archived", list(&[], true)),
        page("/9", shown(&policies[1], &Answer::None, None, false)),
        page("/11", shown(&policies[2], &fine, None, false)),
        page("/12", shown(&archived, &Answer::None, None, false)),
        page(
            "/policy-tried",
            shown(&policies[1], &tried, Some(&typed), false),
        ),
        page(
            "/policy-tried-broken",
            shown(&policies[1], &broken, Some(&typed), false),
        ),
        page(
            "/policy-tried-clash",
            shown(&policies[1], &Answer::None, Some(&typed), true),
        ),
        page(
            "/9/versions/14",
            VersionPage::new(
                Shell {
                    admin,
                    ..shell(kind)
                },
                &policies[1],
                &version(0, sample::POLICY),
                Some(&version(2, &changed)),
                NOW,
            )
            .render(),
        ),
        page(
            "/9/versions/1",
            VersionPage::new(
                Shell {
                    admin,
                    ..shell(kind)
                },
                &policies[1],
                &version(2, &changed),
                None,
                NOW,
            )
            .render(),
        ),
        page(
            "/new",
            new(&Typed::default(), &Answer::None, &Start::default()),
        ),
        page(
            "/new-policy-tried",
            new(
                &typed,
                &Answer::Refused(
                    "Nothing was saved: a policy of this name exists already.".to_owned(),
                ),
                &start,
            ),
        ),
    ]
}

/// Pages of an organisation that has nothing yet, seen by somebody who may only read; and those for nobody.
fn bare_pages(kind: Kind) -> Vec<Sample> {
    let typed = |text: &str| {
        if kind == Kind::Hostile {
            sample::hostile(text)
        } else {
            text.to_owned()
        }
    };
    let s = || Shell::of("empty", "Empty").seen_by("auditor@northwind.example", "csrf", false);
    let nobody = Shell::of("empty", "Empty");
    let page = |path: &str, html: askama::Result<String>| Sample {
        address: path.to_owned(),
        html: html.unwrap(),
    };
    let none = sample::projects(Kind::Ordinary).split_off(4);
    let filtered = RunsQuery::parse(&[("state".to_owned(), "silent".to_owned())]);
    let blocked = DestinationsQuery::parse(&[("blocked".to_owned(), "1".to_owned())]);
    vec![
        page("o/empty", OverviewPage::new(s(), &Overview::default(), &[], &[], NOW).render()),
        page("o/empty/projects", ProjectsPage::new(s(), &none, &[], &[], NOW).render()),
        page("o/empty/runs", RunsPage::new(s(), &RunsQuery::default(), &rows(Vec::new(), false), &none, NOW).render()),
        page("o/empty/runs-filtered", RunsPage::new(nobody, &filtered, &rows(Vec::new(), false), &none, NOW).render()),
        page("o/empty/destinations", DestinationsPage::new(s(), &DestinationsQuery::default(), &rows(Vec::new(), false), NOW).render()),
        page("o/empty/destinations-filtered", DestinationsPage::new(s(), &blocked, &rows(Vec::new(), false), NOW).render()),
        page("o/empty/destinations/1", DestinationPage::new(s(), &DestinationQuery::default(), &sample::destinations(kind)[0], &rows(Vec::new(), false), NOW).render()),
        page("o/empty/detections", DetectionsPage::new(s(), &DetectionsQuery::parse(&[]), &rows(Vec::new(), false), &[], NOW).render()),
        page("o/empty/suppressions", SuppressionsPage::new(s(), &SuppressionsQuery::parse(&[]), &rows(Vec::new(), false), 0, NOW).render()),
        page("o/empty/suppressions-all", SuppressionsPage::new(s(), &SuppressionsQuery::parse(&[("state".to_owned(), "all".to_owned())]), &rows(sample::suppressions(Kind::Ordinary), false), 12, NOW).render()),
        page("o/empty/suppressions/new", SuppressionFormPage::new(s(), &SuppressionForm::default(), &[], None, (&[], 0), NOW).render()),
        page("o/empty/agents", AgentsPage::new(s(), &[], NOW).render()),
        page("o/empty/settings", SettingsPage::new(s(), &SettingsQuery::default(), SettingsParts { keys: &sample::keys(kind), created: None, registered: None, users: &[], viewer: 1, projects: &none, trusts: &[], issuers: &[], sign_on: None, retention: &Retention::default(), typed_retention: None, audit: &rows(Vec::new(), false) }, NOW).render()),
        page("login", LoginPage::new("csrf", "", "/o/northwind/runs", None).with_provider(Some("id.example")).render()),
        page("confirmed", ConfirmedPage::new().render()),
        page("login-failed", LoginPage::new("csrf", &typed("admin@northwind.example"), &typed("//evil.example"), Some(&typed("This login or password is not right."))).render()),
        page("setup", SetupPage::new("csrf", &typed("token-from-the-log"), &typed("admin@northwind.example"), Some(&typed("The passwords differ."))).render()),
        page("error", ErrorPage::new(Shell::outside(), 503, "The database can't answer now.", "Nothing was changed. Try again in a minute; if it stays so, look at the server's log.").render()),
        page("o/northwind/error", ErrorPage::new(shell(kind), 404, &typed("There is no such run here."), "It may have been removed, or belongs to another organisation. Runs are kept as long as the server's settings say.").render()),
    ]
}

fn pages(kind: Kind) -> Vec<Sample> {
    let mut pages = fleet_pages(kind);
    pages.extend(rule_pages(kind));
    pages.extend(notification_pages(kind, true));
    pages.extend(notification_pages(kind, false));
    pages.extend(bare_pages(kind));
    pages.extend(policy_pages(kind, true));
    pages.extend(policy_pages(kind, false));
    pages.extend(run_pages(kind, &sample::run(kind), RUN));
    pages.extend(run_pages(
        kind,
        &sample::troubled_run(kind),
        "00000000000000000000000000000001",
    ));
    pages.extend(run_pages(
        kind,
        &sample::silent_run(kind),
        "00000000000000000000000000000004",
    ));
    pages.extend(gone_pages(kind));
    pages.extend(empty_run_pages());
    pages
}

fn every_page() -> Vec<Sample> {
    let mut all = pages(Kind::Ordinary);
    all.extend(pages(Kind::Hostile));
    all
}

/// A tag as a browser would read it.
#[derive(Debug)]
struct Tag {
    name: String,
    closes: bool,
    empty: bool,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The tags of a page. Templates write attributes with double quotes or without a value, and nothing else.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html
        .strip_prefix("<!doctype html>")
        .expect("a page says that it is one");
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let closes = rest.starts_with('/');
        rest = rest.trim_start_matches('/');
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .expect("a tag ends");
        let name = rest[..end].to_owned();
        assert!(!name.is_empty(), "a < that is no tag: {:.60}", rest);
        rest = &rest[end..];
        let mut tag = Tag {
            name,
            closes,
            empty: false,
            attributes: Vec::new(),
        };
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                tag.empty = true;
                rest = after;
                break;
            }
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .expect("an attribute ends");
            assert!(end > 0, "an odd attribute in {}: {:.60}", tag.name, rest);
            let name = rest[..end].to_owned();
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(after) = rest.strip_prefix("=\"") {
                let end = after.find('"').expect("a value ends");
                value = after[..end].to_owned();
                rest = &after[end + 1..];
            }
            assert!(!value.contains('<'), "a value holds a tag: {value:.60}");
            tag.attributes.push((name, value));
        }
        tags.push(tag);
    }
    tags
}

#[test]
fn nothing_of_a_job_becomes_a_tag_an_attribute_or_an_address() {
    for Sample { address, html } in every_page() {
        for tag in tags(&html) {
            assert!(
                !matches!(
                    tag.name.as_str(),
                    "img" | "iframe" | "object" | "embed" | "base" | "style"
                ),
                "{address}: <{}>",
                tag.name
            );
            for (name, value) in &tag.attributes {
                assert!(
                    !name.starts_with("on") && name != "style",
                    "{address}: {name} in <{}>",
                    tag.name
                );
                if matches!(name.as_str(), "href" | "src" | "action" | "formaction") {
                    let own = value.starts_with('/') && !value.starts_with("//");
                    let part = value.starts_with('#') && name == "href";
                    assert!(
                        own || part || value.starts_with("https://"),
                        "{address}: {name}={value:.80}"
                    );
                    assert!(
                        !value.contains(char::is_whitespace),
                        "{address}: {name}={value:.80}"
                    );
                }
            }
            for file in [tag.attribute("src"), tag.attribute("href")]
                .into_iter()
                .flatten()
            {
                if let Some(name) = file.strip_prefix("/assets/") {
                    assert!(
                        ASSETS.iter().any(|asset| asset.name == name),
                        "{address}: nobody serves {file}"
                    );
                }
            }
            if tag.name == "script" && !tag.closes {
                assert_eq!(tag.attribute("type"), Some("module"), "{address}");
                assert!(
                    tag.attribute("src")
                        .is_some_and(|src| src.starts_with("/assets/")),
                    "{address}"
                );
            }
            if tag
                .attribute("href")
                .is_some_and(|href| href.starts_with("https://"))
            {
                assert_eq!(
                    tag.attribute("rel"),
                    Some("noopener noreferrer nofollow"),
                    "{address}"
                );
            }
        }
        assert!(!html.to_lowercase().contains("<script>"), "{address}");
    }
}

#[test]
fn characters_that_act_do_not_reach_a_page() {
    for Sample { address, html } in every_page() {
        let acting = html.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        });
        // What a person typed stands in its field again, where nothing is shown of it but the text.
        let typed = ["searched", "filtered", "login", "setup", "tried"]
            .into_iter()
            .any(|part| address.contains(part));
        assert!(typed || acting.is_none(), "{address}: {acting:?}");
    }
}

#[test]
fn what_a_job_says_is_cut() {
    for Sample { address, html } in pages(Kind::Hostile) {
        assert!(html.len() < 8_000_000, "{address}: {} bytes", html.len());
        // Half of a policy would allow something else, so what the server recommends is never cut.
        let whole = address.contains("policy");
        assert!(whole || !html.contains(&"A".repeat(5000)), "{address}");
    }
}

#[test]
fn pages_can_be_walked_by_keyboard_and_heard() {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    for Sample { address, html } in every_page() {
        let tags = tags(&html);
        let mut open: Vec<&str> = Vec::new();
        let mut ids = BTreeSet::new();
        for tag in &tags {
            if tag.closes {
                assert_eq!(
                    open.pop(),
                    Some(tag.name.as_str()),
                    "{address}: tags are crossed"
                );
            } else if !tag.empty && !VOID.contains(&tag.name.as_str()) {
                open.push(&tag.name);
            }
            if let Some(id) = tag.attribute("id") {
                assert!(ids.insert(id), "{address}: two elements are called {id}");
            }
        }
        assert!(open.is_empty(), "{address}: {open:?} stay open");
        let count = |name: &str| {
            tags.iter()
                .filter(|tag| tag.name == name && !tag.closes)
                .count()
        };
        assert_eq!((count("h1"), count("main")), (1, 1), "{address}");
        assert_eq!(
            count("table"),
            count("caption"),
            "{address}: a table without a caption"
        );
        assert!(
            html.contains("<a class=\"skip\" href=\"#main\">"),
            "{address}"
        );
        for tag in &tags {
            for name in ["for", "aria-labelledby", "aria-describedby"] {
                if let Some(id) = tag.attribute(name) {
                    assert!(ids.contains(id), "{address}: {name}={id} leads nowhere");
                }
            }
            let field = matches!(tag.name.as_str(), "input" | "select" | "textarea")
                && !matches!(tag.attribute("type"), Some("hidden" | "checkbox"));
            if field && !tag.closes {
                let id = tag.attribute("id").unwrap_or_default();
                let labelled = tags
                    .iter()
                    .any(|other| other.name == "label" && other.attribute("for") == Some(id));
                assert!(labelled, "{address}: the field {id:?} has no label");
            }
            if tag.name == "svg" && !tag.closes {
                let said = tag.attribute("aria-hidden") == Some("true")
                    || (tag.attribute("role") == Some("img")
                        && tag.attribute("aria-label").is_some());
                assert!(said, "{address}: a picture says nothing");
            }
        }
    }
}

#[test]
fn the_navigation_says_where_one_is() {
    for (path, label) in [
        ("", "Overview"),
        ("/runs", "Runs"),
        ("/settings", "Settings"),
    ] {
        let pages = fleet_pages(Kind::Ordinary);
        let page = pages
            .iter()
            .find(|p| p.address == format!("o/northwind{path}"))
            .unwrap();
        let current: Vec<Tag> = tags(&page.html)
            .into_iter()
            .filter(|tag| tag.attribute("aria-current") == Some("page"))
            .collect();
        assert_eq!(current.len(), 1, "{label}");
        assert_eq!(
            current[0].attribute("href"),
            Some(format!("/o/northwind{path}").as_str())
        );
    }
}

#[test]
fn who_is_not_logged_in_sees_no_navigation_and_no_form() {
    let nobody = Shell::of("northwind", "Northwind");
    let run = sample::run(Kind::Ordinary);
    let (project, report) = (
        sample::project(Kind::Ordinary),
        sample::report(Kind::Ordinary),
    );
    let source = RunSource {
        policies: &[],
        anomalies: &[],
        job: None,
        told_files: None,
        run: &run,
        project: &project,
        report: &report,
        now: NOW,
    };
    let html = SummaryTab::new(nobody, &source).render().unwrap();
    let tags = tags(&html);
    assert!(
        !tags
            .iter()
            .any(|tag| tag.attribute("aria-label") == Some("Sections"))
    );
    assert!(
        !tags
            .iter()
            .any(|tag| tag.attribute("method") == Some("post"))
    );
    assert!(
        tags.iter()
            .any(|tag| tag.attribute("href") == Some("/login"))
    );
}

#[test]
fn forms_that_change_something_carry_the_token() {
    for Sample { address, html } in every_page() {
        let tags = tags(&html);
        let mut posting = false;
        let mut token = false;
        for tag in &tags {
            match (tag.name.as_str(), tag.closes) {
                ("form", false) => {
                    posting = tag.attribute("method") == Some("post");
                    token = false;
                }
                ("form", true) => assert!(!posting || token, "{address}"),
                ("input", _) => {
                    token |= tag.attribute("name") == Some("csrf")
                        && !tag.attribute("value").unwrap().is_empty()
                }
                _ => {}
            }
        }
    }
}

#[test]
fn who_may_only_read_sees_no_form_that_changes_something() {
    let shell =
        || Shell::of("northwind", "Northwind").seen_by("auditor@northwind.example", "csrf", false);
    let html = DetectionsPage::new(
        shell(),
        &DetectionsQuery::parse(&[]),
        &rows(sample::detections(Kind::Ordinary), false),
        &[],
        NOW,
    )
    .render()
    .unwrap();
    let actions = |html: &str| -> Vec<String> {
        tags(html)
            .iter()
            .filter(|tag| tag.attribute("method") == Some("post"))
            .filter_map(|tag| tag.attribute("action").map(str::to_owned))
            .collect()
    };
    assert_eq!(actions(&html), ["/logout"]);
    for page in bare_pages(Kind::Ordinary) {
        if page.address.starts_with("o/empty") && !page.address.ends_with("runs-filtered") {
            assert_eq!(actions(&page.html), ["/logout"], "{}", page.address);
        }
    }
}

#[test]
fn who_may_only_read_finds_nothing_to_change_a_policy_with() {
    let acts = |admin: bool| -> Vec<String> {
        let pages = policy_pages(Kind::Ordinary, admin);
        let all = pages.iter().flat_map(|page| tags(&page.html));
        let mut acts: Vec<String> = all
            .filter_map(|tag| match tag.name.as_str() {
                "button" => tag.attribute("value").map(str::to_owned),
                "form" if tag.attribute("method") == Some("post") => {
                    let action = tag.attribute("action")?;
                    Some(action.split('#').next()?.to_owned())
                }
                _ => None,
            })
            .collect();
        acts.sort();
        acts.dedup();
        acts
    };
    let address = "/o/northwind/policies";
    // Checking and trying change nothing.
    let reads = [
        "/logout".to_owned(),
        format!("{address}/11"),
        format!("{address}/9"),
        format!("{address}/new"),
        "check".to_owned(),
        "try".to_owned(),
    ];
    assert_eq!(acts(false), reads);
    let changes = acts(true);
    for act in ["save", "/attachments", "/attachments/2", "/archive"] {
        assert!(changes.iter().any(|change| change.ends_with(act)), "{act}");
    }
}

#[test]
fn who_may_only_read_finds_nothing_to_change_a_channel_with() {
    for Sample { address, html } in notification_pages(Kind::Ordinary, false) {
        let tags = tags(&html);
        let posts = tags
            .iter()
            .filter(|tag| tag.attribute("method") == Some("post"));
        let posts: Vec<_> = posts.filter_map(|tag| tag.attribute("action")).collect();
        assert_eq!(posts, ["/logout"], "{address}");
    }
}

#[test]
fn a_page_of_a_channel_never_repeats_a_secret() {
    let secret = "https://hooks.example/services/hush-hush";
    let pairs = [
        ("name", "x"),
        ("url", secret),
        ("token", "xoxb-hush-hush"),
        ("app_key", "hush-hush"),
        ("header", "x: hush-hush"),
        ("key_id", "hush-hush"),
        ("secret_key", "hush-hush"),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let form = ChannelForm::parse(&pairs);
    for kind in ChannelKind::ALL {
        let parts = FormParts {
            kind,
            form: &form,
            faults: &[],
            kinds: &[],
            projects: &[],
            has_mail: true,
        };
        let html = NewChannelPage::form(shell(Kind::Ordinary), &parts);
        assert!(!html.render().unwrap().contains("hush-hush"), "{kind:?}");
    }
}

#[test]
fn a_run_whose_mode_was_weakened_says_so_on_every_page() {
    let run = sample::troubled_run(Kind::Ordinary);
    for Sample { address, html } in run_pages(Kind::Ordinary, &run, RUN) {
        for said in [
            "The effective mode is not the one that was asked for.",
            "Asked for: block. In force: audit; nothing was stopped.",
            "1,207 events are missing from this record",
            "data-live",
            "data-version=\"4312\"",
            "src=\"/assets/live.js\"",
        ] {
            assert!(html.contains(said), "{address} lacks: {said}");
        }
    }
    for Sample { address, html } in run_pages(Kind::Ordinary, &sample::run(Kind::Ordinary), RUN) {
        assert!(!html.contains("data-live"), "{address}");
    }
}

#[test]
fn a_silent_run_says_that_its_record_is_incomplete() {
    for Sample { address, html } in
        run_pages(Kind::Ordinary, &sample::silent_run(Kind::Ordinary), RUN)
    {
        assert!(html.contains("The record is incomplete."), "{address}");
        assert!(html.contains("This job was not watched."), "{address}");
    }
}

#[test]
fn a_run_whose_events_were_deleted_says_so_on_every_page() {
    for page in gone_pages(Kind::Ordinary) {
        for said in [
            "The events of this run were deleted",
            "on 2026-05-22, as the organisation&#39;s settings said to do after 30 days",
        ] {
            assert!(page.html.contains(said), "{}: {said}", page.address);
        }
    }
    let page = |name: &str| {
        let mut pages = gone_pages(Kind::Ordinary).into_iter();
        pages
            .find(|page| page.address.ends_with(name))
            .unwrap()
            .html
    };
    let summary = page("/summary");
    for said in [
        "14 processes",
        "3 blocked calls",
        "collect.telemetry.example:443",
        "and 4 more",
    ] {
        assert!(summary.contains(said), "{said}: {summary}");
    }
    let found = page("/detections");
    assert!(
        found.contains(
            "deleted on 2026-07-21, as the organisation&#39;s settings said to do after 90 days"
        ),
        "{found}"
    );
    assert!(!found.contains("Nothing that Runward looks for happened"));
    assert!(page("/network").contains("Nothing is left to show here"));
}

#[test]
fn what_shorter_terms_delete_is_said_before_they_are_saved() {
    let find = |name: &str| {
        let mut pages = fleet_pages(Kind::Ordinary).into_iter();
        pages
            .find(|page| page.address.ends_with(name))
            .unwrap()
            .html
    };
    let plain = find("/settings");
    assert!(
        plain.contains("name=\"seen\" value=\"30-400-400\""),
        "{plain}"
    );
    assert!(!plain.contains("name=\"sure\""));
    let asked = find("/settings-shorter");
    for said in [
        "the events of 1,204 runs",
        "17 detections, of which nobody has decided about 2",
        "name=\"sure\" value=\"7-90-\"",
        "name=\"seen\" value=\"30-400-400\"",
        "name=\"events\" type=\"number\" min=\"1\" max=\"36500\" value=\"7\"",
    ] {
        assert!(asked.contains(said), "{said}: {asked}");
    }
}

#[test]
fn findings_are_what_was_not_simply_allowed() {
    let pages = run_pages(Kind::Ordinary, &sample::run(Kind::Ordinary), RUN);
    let of = |path: &str| {
        pages
            .iter()
            .find(|p| p.address.ends_with(path))
            .map(|p| p.html.matches("<tr").count())
            .unwrap()
    };
    // One row of each table is its head.
    assert_eq!((of("/network"), of("/network-findings")), (12, 4));
}

#[test]
fn the_address_that_a_job_gives_is_linked_only_if_it_is_harmless() {
    let summary = |kind| run_pages(kind, &sample::run(kind), RUN).remove(0).html;
    assert!(
        summary(Kind::Ordinary)
            .contains("href=\"https://ci.example/northwind/web-shop/runs/16788123456\"")
    );
    assert!(!summary(Kind::Hostile).contains("href=\"javascript"));
}

#[test]
fn the_rows_of_the_tree_have_as_many_of_each_column() {
    let json = serde_json::to_value(ProcessesJson::new(&sample::report(Kind::Hostile), 7)).unwrap();
    let length = |name: &str| json[name].as_array().map(Vec::len);
    assert_eq!(length("id"), Some(14));
    for column in [
        "pid",
        "depth",
        "size",
        "start",
        "took",
        "program",
        "path",
        "command",
        "folder",
        "cause",
        "end",
        "user",
        "flags",
        "connections",
        "blocked",
        "files",
    ] {
        assert_eq!(length(column), length("id"), "{column}");
    }
    let strings = json["strings"].as_array().unwrap();
    assert!(
        strings
            .iter()
            .all(|s| s.as_str().unwrap().chars().count() <= 260)
    );
    assert!(
        strings
            .iter()
            .all(|s| !s.as_str().unwrap().contains('\u{202e}'))
    );
}

#[test]
fn decided_detections_can_be_reopened_and_open_ones_resolved() {
    let pages = fleet_pages(Kind::Ordinary);
    let html = &pages
        .iter()
        .find(|p| p.address == "o/northwind/detections")
        .unwrap()
        .html;
    let of = |value: &str| {
        html.matches(&format!("name=\"action\" value=\"{value}\""))
            .count()
    };
    let detections = sample::detections(Kind::Ordinary);
    let resolved = detections
        .iter()
        .filter(|d| d.status == DetectionStatus::Resolved)
        .count();
    assert_eq!(
        (of("resolve"), of("reopen")),
        (detections.len() - resolved, resolved)
    );
    let form = "/o/northwind/suppressions/new?kind=outbound-call-blocked&#38;destination=collect.telemetry.example%3A443\
        &#38;program=%2Fusr%2Fbin%2Fnode&#38;project=northwind%2Fweb-shop\
        &#38;pipeline=.github%2Fworkflows%2Fci.yml&#38;job=build\"";
    assert!(html.contains(form), "{html}");
    assert!(html.contains("&#38;path=src%2Fcheckout%2Fsession.ts&#38;"));
}

#[test]
fn a_star_that_a_job_wrote_is_no_wildcard_of_the_rule_that_it_suggests() {
    let mut detection = sample::detections(Kind::Ordinary).remove(0);
    detection.subject = "*".to_owned();
    detection.job = r"a\*".to_owned();
    let html = DetectionsPage::new(
        shell(Kind::Ordinary),
        &DetectionsQuery::parse(&[]),
        &rows(vec![detection], false),
        &[],
        NOW,
    )
    .render()
    .unwrap();
    assert!(html.contains("&#38;destination=%5C%2A&#38;"), "{html}");
    assert!(html.contains("&#38;job=a%5C%5C%5C%2A\""), "{html}");
}

#[test]
fn what_rules_hide_is_counted_wherever_it_is_missing() {
    let pages = pages(Kind::Ordinary);
    for address in [
        "o/northwind",
        "o/northwind/detections",
        "o/northwind/suppressions",
        &format!("o/northwind/runs/{RUN}/detections"),
    ] {
        let page = pages.iter().find(|page| page.address == address).unwrap();
        assert!(page.html.contains("12 detections are"), "{address}");
        assert!(
            page.html
                .contains("/o/northwind/detections?status=suppressed"),
            "{address}"
        );
    }
    let hidden = pages
        .iter()
        .find(|page| page.address == "o/northwind/detections-hidden");
    let hidden = &hidden.unwrap().html;
    assert!(!hidden.contains("12 detections are"));
    assert_eq!(
        hidden
            .matches("Hidden by the rule <a href=\"/o/northwind/suppressions/7\">")
            .count(),
        3
    );
}

#[test]
fn a_form_with_faults_keeps_what_was_typed_and_says_each_fault_at_its_field() {
    let pages = rule_pages(Kind::Ordinary);
    let page = pages.iter().find(|page| page.address.ends_with("faulty"));
    let tags = tags(&page.unwrap().html);
    let invalid: Vec<&str> = tags
        .iter()
        .filter(|tag| tag.attribute("aria-invalid") == Some("true"))
        .filter_map(|tag| tag.attribute("name"))
        .collect();
    assert_eq!(invalid, ["host", "name", "expires"]);
    let value = |name: &str| {
        let field = tags.iter().find(|tag| tag.attribute("name") == Some(name));
        field
            .and_then(|field| field.attribute("value"))
            .map(str::to_owned)
    };
    assert_eq!(value("program").as_deref(), Some("/usr/bin/node"));
    assert_eq!(value("job").as_deref(), Some("build"));
}

#[test]
fn the_same_data_makes_the_same_page() {
    let page = |now: Millis| {
        OverviewPage::new(
            shell(Kind::Ordinary),
            &sample::overview(),
            &sample::runs(Kind::Ordinary),
            &[],
            now,
        )
        .render()
        .unwrap()
    };
    assert_eq!(page(NOW), page(NOW));
    assert_ne!(page(NOW), page(NOW + 3_600_000));
}

/// Writes every page below the folder that `RUNWARD_PREVIEW` names, for looking at them: serve it with any web server.
#[test]
fn previews_are_written_where_somebody_asks_for_them() {
    let Some(folder) = std::env::var_os("RUNWARD_PREVIEW") else {
        return;
    };
    let folder = Path::new(&folder);
    let write = |path: &str, text: &[u8]| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for Sample { address, html } in pages(Kind::Ordinary) {
        write(&format!("{address}/index.html"), html.as_bytes());
    }
    for Sample { address, html } in pages(Kind::Hostile) {
        write(&format!("hostile/{address}/index.html"), html.as_bytes());
    }
    let large = sample::large_report(100_000);
    for (run, report) in [(RUN, &sample::report(Kind::Ordinary)), ("large", &large)] {
        let json = serde_json::to_vec(&ProcessesJson::new(report, 1)).unwrap();
        write(&format!("o/northwind/runs/{run}/processes.json"), &json);
    }
    let (run, project) = (
        Run {
            id: "large".to_owned(),
            ..sample::run(Kind::Ordinary)
        },
        sample::project(Kind::Ordinary),
    );
    let source = RunSource {
        policies: &[],
        anomalies: &[],
        job: None,
        told_files: None,
        run: &run,
        project: &project,
        report: &large,
        now: NOW,
    };
    let html = ProcessesTab::new(shell(Kind::Ordinary), &source, &RowsQuery::default())
        .render()
        .unwrap();
    write(
        "o/northwind/runs/large/processes/index.html",
        html.as_bytes(),
    );
    for asset in ASSETS {
        write(&format!("assets/{}", asset.name), asset.body.as_bytes());
    }
}
