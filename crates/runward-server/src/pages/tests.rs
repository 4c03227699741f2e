//! Every page, with the data of an ordinary fleet and with hostile data, held against what must be true of any page.

use std::collections::BTreeSet;
use std::path::Path;

use askama::Template as _;
use runward_store::{Cursor, DetectionStatus, Millis, Overview, Page, Run};

use super::sample::{self, Kind, NOW};
use super::*;

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
    let source = RunSource {
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
        rows: vec![WhatIfRow {
            destination: if kind == Kind::Hostile {
                sample::hostile("d")
            } else {
                "collect.telemetry.example:443".to_owned()
            },
            processes: vec!["/usr/bin/curl".to_owned()],
            connections: 1,
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
        rows: Vec::new(),
    };
    let detections = sample::detections(kind);
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
            DetectionsTab::new(s(), &source, &detections, true).render(),
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
            DetectionsTab::new(s(), &source, &[], false).render(),
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
    let subject = match kind {
        Kind::Ordinary => "collect.telemetry.example:443".to_owned(),
        Kind::Hostile => sample::hostile("subject"),
    };
    let settings = |created: Option<CreatedKey>| {
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
    let created = CreatedKey {
        name: "nightly".to_owned(),
        key: "rwk_example_not_a_key".to_owned(),
    };
    vec![
        page(
            "",
            OverviewPage::new(s(), &sample::overview(), &runs, &detections[..3], NOW).render(),
        ),
        page("/projects", ProjectsPage::new(s(), &projects, NOW).render()),
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
        page("/suppressions", SuppressionsPage::new(s()).render()),
        page(
            "/suppressions/new",
            SuppressionsPage::asked(s(), "outbound-call-blocked", &subject).render(),
        ),
        page("/baseline", BaselinePage::new(s()).render()),
        page("/policies", PoliciesPage::new(s()).render()),
        page(
            "/agents",
            AgentsPage::new(s(), &sample::agents(kind), NOW).render(),
        ),
        page("/settings", settings(None)),
        page("/settings-created", settings(Some(created))),
        page("/confirm", confirm(None, Some("The password is wrong."))),
        page("/confirm-provider", confirm(Some("id.example"), None)),
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
        page("o/empty/projects", ProjectsPage::new(s(), &none, NOW).render()),
        page("o/empty/runs", RunsPage::new(s(), &RunsQuery::default(), &rows(Vec::new(), false), &none, NOW).render()),
        page("o/empty/runs-filtered", RunsPage::new(nobody, &filtered, &rows(Vec::new(), false), &none, NOW).render()),
        page("o/empty/destinations", DestinationsPage::new(s(), &DestinationsQuery::default(), &rows(Vec::new(), false), NOW).render()),
        page("o/empty/destinations-filtered", DestinationsPage::new(s(), &blocked, &rows(Vec::new(), false), NOW).render()),
        page("o/empty/destinations/1", DestinationPage::new(s(), &DestinationQuery::default(), &sample::destinations(kind)[0], &rows(Vec::new(), false), NOW).render()),
        page("o/empty/detections", DetectionsPage::new(s(), &DetectionsQuery::parse(&[]), &rows(Vec::new(), false), &[], NOW).render()),
        page("o/empty/agents", AgentsPage::new(s(), &[], NOW).render()),
        page("o/empty/settings", SettingsPage::new(s(), &SettingsQuery::default(), SettingsParts { keys: &sample::keys(kind), created: None, registered: None, users: &[], viewer: 1, projects: &none, trusts: &[], issuers: &[], sign_on: None, audit: &rows(Vec::new(), false) }, NOW).render()),
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
    pages.extend(bare_pages(kind));
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
    let settings = bare_pages(Kind::Ordinary)
        .into_iter()
        .find(|p| p.address == "o/empty/settings")
        .unwrap();
    assert_eq!(actions(&settings.html), ["/logout"]);
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
    assert!(html.contains("/o/northwind/suppressions/new?kind=outbound-call-blocked&#38;subject=collect.telemetry.example%3A443&#38;project=3"));
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
