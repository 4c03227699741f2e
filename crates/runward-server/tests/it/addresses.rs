//! Every address of the dashboard, asked as everybody: nobody, somebody of another organisation, an auditor, an admin and
//! an agent. The table is the server's own; an address without an example here does not build.

use crate::bed::{Answer, Server};
use crate::pages::{RUN, csrf, filled};

#[path = "../../src/web/table.rs"]
mod table;

pub(crate) use table::{ADDRESSES, Address, Audience, Method, Page};

const OVERVIEW: &str = "/o/main";
const ACCOUNTS: &str = "/o/main/settings/members";

/// Addresses at which a page is asked for, each with the form that is sent there.
fn examples(page: Page) -> Vec<(String, &'static str)> {
    let plain = |paths: &[&str]| paths.iter().map(|path| (path.to_string(), "")).collect();
    let below = |paths: &[&str]| {
        let paths = paths.iter().map(|path| (format!("{OVERVIEW}{path}"), ""));
        paths.collect()
    };
    let sent = |path: &str, form| vec![(format!("{OVERVIEW}{path}"), form)];
    match page {
        Page::Home => plain(&["/"]),
        Page::Login => plain(&["/login", "/login?next=%2Fo%2Fmain"]),
        Page::LogIn => vec![("/login".into(), "login=nobody&password=wrong&next=/")],
        Page::BeginSingleSignOn => plain(&["/login/oidc?next=/"]),
        Page::FinishSingleSignOn => plain(&["/login/oidc/callback?code=a&state=b"]),
        Page::ConfirmedSingleSignOn => plain(&["/login/confirmed"]),
        Page::LogOut => vec![("/logout".into(), "csrf=wrong")],
        Page::Setup => plain(&["/setup?token=wrong"]),
        Page::SetUp => vec![(
            "/setup".into(),
            "token=wrong&login=eve&password=long+enough+password&password2=long+enough+password",
        )],
        Page::Asset => plain(&["/assets/style.css", "/assets/live.js"]),
        Page::ApiReference => plain(&["/docs/api"]),
        Page::ForwardRun => plain(&[&format!("/runs/{RUN}")]),
        Page::Overview => below(&[""]),
        Page::Projects => below(&["/projects"]),
        Page::Runs => below(&["/runs", "/runs?tag=blocked-call&q=app&within=24h"]),
        Page::Destinations => below(&["/destinations", "/destinations?q=evil"]),
        Page::DestinationsCsv => below(&["/destinations.csv"]),
        Page::DestinationsJson => below(&["/destinations.json"]),
        Page::Destination => below(&["/destinations/1"]),
        Page::Detections => below(&["/detections", "/detections?status=all"]),
        Page::DetectionKinds => below(&["/detections/kinds"]),
        Page::DecideDetection => sent("/detections/1", "action=resolve"),
        Page::Suppressions => below(&["/suppressions", "/suppressions?state=all"]),
        Page::NewSuppression => below(&[
            "/suppressions/new",
            "/suppressions/new?kind=x&destination=evil.example%3A443",
        ]),
        Page::CreateSuppression => vec![
            (
                format!("{OVERVIEW}/suppressions"),
                "action=preview&host=evil.example",
            ),
            (
                format!("{OVERVIEW}/suppressions"),
                "action=save&host=evil.example&name=ours&reason=meant",
            ),
        ],
        Page::Suppression => below(&["/suppressions/1"]),
        Page::EndSuppression => sent("/suppressions/1", "action=end"),
        Page::Incidents => below(&["/incidents"]),
        Page::Baselines => below(&["/baseline", "/baseline?state=creating"]),
        Page::SetBaselines => sent(
            "/baseline",
            "min_runs=100&runs_per_alert=200&news_commits=5&alert_commits=50",
        ),
        Page::Baseline => below(&["/baseline/1"]),
        Page::DecideBaseline => sent("/baseline/1", "key=x&action=accept"),
        Page::Policies => below(&["/policies", "/policies?archived=1"]),
        Page::NewPolicy => below(&["/policies/new", "/policies/new?project=&runs=5"]),
        Page::CreatePolicy => sent(
            "/policies/new",
            "action=save&name=made&text=egress-policy:+block",
        ),
        Page::Policy => below(&["/policies/1"]),
        Page::ChangePolicy => sent(
            "/policies/1",
            "action=save&base=1&text=egress-policy:+audit",
        ),
        Page::PolicyVersion => below(&["/policies/1/versions/1"]),
        Page::AttachPolicy => sent("/policies/1/attachments", "project=1"),
        Page::DetachPolicy => sent("/policies/1/attachments/1", ""),
        Page::ArchivePolicy => sent("/policies/1/archive", ""),
        Page::Agents => below(&["/agents"]),
        Page::Settings => below(&["/settings"]),
        Page::CreateKey => sent("/settings/keys", "name=x&scope=ingest"),
        Page::RevokeKey => sent("/settings/keys/1", "action=revoke"),
        Page::AddMember => vec![(
            ACCOUNTS.into(),
            "login=mallory&password=long+enough+password&role=admin",
        )],
        Page::ChangeMember => vec![(format!("{ACCOUNTS}/2"), "action=auditor")],
        Page::CreateRegistration => sent("/settings/registrations", ""),
        Page::ChangeRetention => sent(
            "/settings/retention",
            "events=20&detections=400&runs=400&seen=30-400-400&sure=20-400-400",
        ),
        Page::AddTrust => sent(
            "/settings/trust",
            "issuer=https://gitlab.com&pattern=group/app",
        ),
        Page::RemoveTrust => sent("/settings/trust/1", ""),
        Page::SetVisibility => sent("/settings/projects/1", "visibility=public"),
        Page::Notifications => below(&["/settings/notifications"]),
        Page::NewChannel => below(&[
            "/settings/notifications/new",
            "/settings/notifications/new?channel=webhook",
        ]),
        Page::CreateChannel => sent(
            "/settings/notifications",
            "channel=webhook&name=more&url=https%3A%2F%2Flocalhost%2Fin&least=low&every=at-once&quiet=0&on=1",
        ),
        Page::Channel => below(&["/settings/notifications/1"]),
        Page::ChangeChannel => sent("/settings/notifications/1", "action=off"),
        Page::SendAgain => sent("/settings/notifications/deliveries/1", ""),
        Page::RunSummary => below(&[&format!("/runs/{RUN}")]),
        Page::RunTab => {
            let tabs = [
                "network",
                "network?findings=1",
                "https",
                "files",
                "processes",
                "processes.json",
                "detections",
                "policy",
                "steps",
            ];
            let tabs = tabs.map(|tab| format!("/runs/{RUN}/{tab}"));
            below(&tabs.each_ref().map(String::as_str))
        }
        Page::TryPolicyOnRun => vec![(
            format!("{OVERVIEW}/runs/{RUN}/policy"),
            "policy=packages.example%3A443",
        )],
    }
}

/// What an address that is for everybody answers, on a server that is set up and has no identity provider.
fn for_everybody(page: Page) -> u16 {
    match page {
        Page::Home | Page::LogOut => 303,
        Page::LogIn => 401,
        Page::BeginSingleSignOn | Page::FinishSingleSignOn | Page::Setup | Page::SetUp => 404,
        _ => 200,
    }
}

/// What the audit log says of a change.
fn noted(page: Page) -> Option<&'static str> {
    Some(match page {
        Page::DecideDetection => "detection.resolve",
        Page::SetBaselines => "baseline.settings",
        Page::CreateSuppression => "suppression.create",
        Page::EndSuppression => "suppression.end",
        Page::CreatePolicy => "policy.create",
        Page::ChangePolicy => "policy.change",
        Page::AttachPolicy => "policy.attach",
        Page::DetachPolicy => "policy.detach",
        Page::ArchivePolicy => "policy.archive",
        Page::CreateKey => "api-key.create",
        Page::RevokeKey => "api-key.revoke",
        Page::AddMember => "user.create",
        Page::ChangeMember => "user.role",
        Page::CreateRegistration => "registration.create",
        Page::ChangeRetention => "retention.change",
        Page::AddTrust => "trust.create",
        Page::RemoveTrust => "trust.remove",
        Page::SetVisibility => "project.publish",
        Page::CreateChannel => "channel.create",
        Page::ChangeChannel => "channel.off",
        _ => return None,
    })
}

/// Somebody who asks.
struct Visitor {
    name: &'static str,
    cookie: String,
    /// What their own pages put into forms.
    csrf: String,
}

impl Visitor {
    fn nobody() -> Visitor {
        Visitor {
            name: "nobody",
            cookie: String::new(),
            csrf: "guessed".into(),
        }
    }

    fn of(server: &Server, name: &'static str, cookie: String, org: &str) -> Visitor {
        let csrf = csrf(&server.get(&format!("/o/{org}"), &cookie).body);
        Visitor { name, cookie, csrf }
    }

    fn ask(&self, server: &Server, method: Method, path: &str, form: &str) -> Answer {
        match method {
            Method::Get => server.get(path, &self.cookie),
            Method::Post if form.starts_with("csrf=") => server.form(path, &self.cookie, form),
            Method::Post => server.form(path, &self.cookie, &format!("csrf={}&{form}", self.csrf)),
        }
    }
}

/// A server with something on every page, and everybody who could ask it.
struct House {
    server: Server,
    nobody: Visitor,
    stranger: Visitor,
    auditor: Visitor,
    admin: Visitor,
    ingest: String,
}

impl House {
    fn new() -> House {
        let (server, admin, auditor) = filled();
        let key = server.key("admin");
        let rule =
            r#"{"name":"theirs","reason":"known","matches":{"host":"nobody-calls-it.example"}}"#;
        let made = server.ask("POST", "/api/v1/suppressions", &key, rule);
        assert_eq!(made.status, 201);
        let channel = r#"{"name":"ops","kind":"webhook","url":"https://localhost/in"}"#;
        let made = server.ask("POST", "/api/v1/notifications/channels", &key, channel);
        assert_eq!(made.status, 201, "{}", made.body);
        server.stranger();
        let stranger = server.person_of("mallet", "admin", "other");
        House {
            nobody: Visitor::nobody(),
            stranger: Visitor::of(&server, "a stranger", stranger, "other"),
            auditor: Visitor::of(&server, "an auditor", auditor, "main"),
            admin: Visitor::of(&server, "an admin", admin, "main"),
            ingest: server.key("ingest"),
            server,
        }
    }

    fn visitors(&self) -> [&Visitor; 4] {
        [&self.nobody, &self.stranger, &self.auditor, &self.admin]
    }

    /// An agent's key opens no page.
    fn ask_as_agent(&self, method: Method, path: &str) -> Answer {
        let method = match method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        self.server.ask(method, path, &self.ingest, "")
    }
}

fn is_login(answer: &Answer) -> bool {
    answer.status == 303 && answer.location.starts_with("/login?next=")
}

/// Whatever is answered, no browser takes the text of a job for something to run.
fn assert_harmless(answer: &Answer, path: &str) {
    let content_type = answer.headers.get("content-type");
    let is_page = content_type.is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
    // In data, which no browser takes for a page, nothing is escaped.
    assert!(!is_page || !answer.body.contains("<script>alert"), "{path}");
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{path}"
    );
}

#[test]
fn every_address_answers_those_whom_it_is_for_and_nobody_else() {
    let house = House::new();
    let server = &house.server;
    for address in ADDRESSES {
        let Address { page, method, .. } = *address;
        for (path, form) in examples(page) {
            for visitor in house.visitors() {
                if address.audience == Audience::Admins && visitor.name == "an admin" {
                    // What admins may change is changed below.
                    continue;
                }
                let answer = visitor.ask(server, method, &path, form);
                let told = format!("{} {method:?} {path}: {answer:?}", visitor.name);
                assert_harmless(&answer, &path);
                match (address.audience, visitor.name) {
                    (Audience::Everybody, _) => {
                        assert_eq!(answer.status, for_everybody(page), "{told}");
                    }
                    (_, "nobody") => assert!(is_login(&answer), "{told}"),
                    (Audience::People, _) => {
                        assert!(answer.status == 303 && !is_login(&answer), "{told}");
                    }
                    // What is private and what is not there look the same.
                    (_, "a stranger") => assert_eq!(answer.status, 404, "{told}"),
                    (Audience::Admins, "an auditor") => assert_eq!(answer.status, 403, "{told}"),
                    (Audience::Members | Audience::Readers, _) => {
                        assert_eq!(answer.status, 200, "{told}");
                    }
                    (Audience::Admins, other) => panic!("{other} is not expected: {told}"),
                }
            }
            if address.audience != Audience::Everybody {
                let answer = house.ask_as_agent(method, &path);
                assert!(is_login(&answer), "an agent {method:?} {path}: {answer:?}");
            }
        }
    }
}

#[test]
fn a_change_needs_an_admin_and_a_form_of_this_server_and_is_noted() {
    let house = House::new();
    let server = &house.server;
    let changes = || {
        let changes = ADDRESSES
            .iter()
            .filter(|address| address.audience == Audience::Admins);
        changes.flat_map(|address| {
            let examples = examples(address.page).into_iter();
            examples.map(|(path, form)| (address.page, path, form))
        })
    };
    for (_, path, form) in changes() {
        let forged = format!("csrf=guessed&{form}");
        let answer = house.admin.ask(server, Method::Post, &path, &forged);
        assert_eq!(answer.status, 403, "{path}");
    }
    let settings = || server.get("/o/main/settings", &house.admin.cookie).body;
    let before = settings();
    assert!(!before.contains("mallory"));
    for (page, path, form) in changes() {
        let answer = house.admin.ask(server, Method::Post, &path, form);
        assert!(matches!(answer.status, 200 | 303), "{path}: {answer:?}");
        // No message was given up, so none is sent again; and in a new baseline there is nothing to decide.
        let nothing = [Page::SendAgain, Page::DecideBaseline];
        assert!(noted(page).is_some() || nothing.contains(&page), "{page:?}");
    }
    let log = settings();
    for address in ADDRESSES {
        if let Some(act) = noted(address.page) {
            assert!(log.contains(act), "{act}");
        }
    }
}

#[test]
fn runs_of_a_public_project_are_for_everybody_and_nothing_else_is() {
    let house = House::new();
    let server = &house.server;
    for (path, form) in examples(Page::SetVisibility) {
        let answer = house.admin.ask(server, Method::Post, &path, form);
        assert_eq!(answer.status, 303);
    }
    for address in ADDRESSES {
        for (path, form) in examples(address.page) {
            let answer = house.nobody.ask(server, address.method, &path, form);
            match address.audience {
                Audience::Everybody => {}
                Audience::Readers => assert_eq!(answer.status, 200, "{path}"),
                _ => assert!(is_login(&answer), "{path}: {answer:?}"),
            }
        }
    }
}

#[test]
fn a_run_that_is_not_there_looks_like_one_that_is_private() {
    let house = House::new();
    let unknown = format!("{OVERVIEW}/runs/{}", "f".repeat(32));
    let hidden = format!("{OVERVIEW}/runs/{RUN}");
    for visitor in [&house.nobody, &house.stranger] {
        let [unknown, hidden] =
            [&unknown, &hidden].map(|path| visitor.ask(&house.server, Method::Get, path, ""));
        assert_eq!(unknown.status, hidden.status, "{}", visitor.name);
        assert_eq!(
            unknown.body.replace(&"f".repeat(32), RUN),
            hidden.body,
            "{}",
            visitor.name
        );
    }
    let answer = house.admin.ask(&house.server, Method::Get, &unknown, "");
    assert_eq!(answer.status, 404);
}
