//! Jobs that send by the token of their CI system.

use serde_json::{Value, json};

use crate::bed::Server;
use crate::issuer::{Issuer, forged, in_seconds};
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// A server that takes tokens of one issuer, and trusts it about `group/*`.
fn trusting() -> (Server, Issuer) {
    let issuer = Issuer::start();
    let server = Server::with(&[format!("--ci-issuers=gitlab={}", issuer.address)]);
    server.admin(&["trust", "group/*", "--issuer", &issuer.address], "");
    (server, issuer)
}

/// What GitLab would say about the job that the record is of.
fn claims(server: &Server, issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.address, "aud": server.address, "exp": in_seconds(300), "iat": in_seconds(0),
        "nbf": in_seconds(-5), "project_path": "group/app", "ref": "main", "sha": "c0ffee", "pipeline_id": "77",
        "pipeline_source": "push", "ci_config_ref_uri": "gitlab.example/group/app//.gitlab-ci.yml@refs/heads/main",
    })
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[test]
fn a_job_sends_by_its_token_and_what_it_left_out_is_the_tokens() {
    let (server, issuer) = trusting();
    let record = Recorded::default();
    let token = issuer.token(&claims(&server, &issuer));
    for (first, last) in [(1, 3), (4, record.len())] {
        let sent = server.events(&token, RUN, first, &record.packed(first, last));
        assert_eq!(sent.status, 200, "{}", sent.body);
    }
    let run = server.ask(
        "GET",
        &format!("/api/v1/runs/{RUN}"),
        &server.key("read"),
        "",
    );
    let run: Value = serde_json::from_str(&run.body).unwrap();
    let said = [
        &run["project"],
        &run["provider_run"],
        &run["commit"],
        &run["branch"],
    ];
    assert_eq!(said, ["group/app", "77", "c0ffee", "main"]);
    // It is good for nothing else.
    for path in ["/api/v1/runs", "/api/v1/keys", "/api/v1/members"] {
        assert_eq!(server.ask("GET", path, &token, "").status, 401, "{path}");
    }
}

#[test]
fn a_token_that_is_not_good_sends_nothing() {
    let (server, issuer) = trusting();
    let record = Recorded::default();
    let packed = record.packed(1, record.len());
    let good = claims(&server, &issuer);
    let ours = |name: &str, value: Value| issuer.token(&with(&good, name, value));
    let headed = |header: Value| issuer.sign(&header, &good);
    let cases = [
        (
            "another audience",
            ours("aud", json!("https://elsewhere.example")),
            401,
        ),
        ("expired", ours("exp", json!(in_seconds(-61))), 401),
        ("from the future", ours("nbf", json!(in_seconds(90))), 401),
        (
            "another issuer",
            ours("iss", json!("https://elsewhere.example")),
            401,
        ),
        ("unsigned", headed(json!({ "alg": "none" })), 401),
        (
            "signed with a public key as a secret",
            headed(json!({ "alg": "HS256", "kid": "one" })),
            401,
        ),
        (
            "an unknown key",
            headed(json!({ "alg": "ES256", "kid": "two" })),
            401,
        ),
        ("signed by somebody else", forged(&good), 401),
        ("no token at all", "a.b.c".to_owned(), 401),
        (
            "without its project",
            ours("project_path", Value::Null),
            401,
        ),
        (
            "of a project that nobody trusts",
            ours("project_path", json!("other/app")),
            403,
        ),
        (
            "of another project",
            ours("project_path", json!("group/other")),
            403,
        ),
        ("of another branch", ours("ref", json!("release")), 403),
        (
            "of a merge request",
            ours("pipeline_source", json!("merge_request_event")),
            403,
        ),
    ];
    for (what, token, status) in cases {
        let sent = server.events(&token, RUN, 1, &packed);
        assert_eq!(sent.status, status, "{what}: {}", sent.body);
        assert_eq!(sent.headers["content-type"], "application/problem+json");
    }
    let known = server.ask("GET", "/api/v1/runs", &server.key("read"), "");
    assert_eq!(known.body, "{\"runs\":[],\"next\":null}");
    // However many unknown keys are named, the issuer is asked once.
    for number in 0..5 {
        let token = headed(json!({ "alg": "ES256", "kid": format!("more {number}") }));
        assert_eq!(server.events(&token, RUN, 1, &packed).status, 401);
    }
    assert_eq!(issuer.asked("/keys"), 1);
}

#[test]
fn a_token_says_nothing_about_the_runs_of_others() {
    let (server, issuer) = trusting();
    let record = Recorded::default();
    let good = claims(&server, &issuer);
    let token = issuer.token(&good);
    assert_eq!(
        server.events(&token, RUN, 1, &record.packed(1, 3)).status,
        200
    );
    let rest = record.packed(4, record.len());
    for (name, value) in [("project_path", "group/other"), ("pipeline_id", "78")] {
        let other = issuer.token(&with(&good, name, json!(value)));
        for (first, batch) in [(1, record.packed(1, 3)), (4, rest.clone())] {
            let sent = server.events(&other, RUN, first, &batch);
            assert_eq!(sent.status, 403, "{name} {first}: {}", sent.body);
            assert!(
                sent.body.contains("the run's identity isn't the token's"),
                "{}",
                sent.body
            );
        }
    }
    // Another organisation's run is not there.
    let stranger = server.stranger();
    assert_eq!(
        server
            .events(&stranger, OTHER, 1, &record.packed(1, 3))
            .status,
        200
    );
    assert_eq!(server.events(&token, OTHER, 4, &rest).status, 404);
    assert_eq!(server.events(&token, RUN, 4, &rest).status, 200);
}

#[test]
fn a_record_belongs_to_the_organisation_that_its_token_is_made_for() {
    let (server, issuer) = trusting();
    let theirs = server.stranger();
    let trust = ["trust", "group/*", "--issuer", &issuer.address];
    server.admin(&[trust.as_slice(), &["--org", "other"]].concat(), "");
    let good = claims(&server, &issuer);
    let audience = json!(format!("{}/o/other", server.address));
    let record = Recorded::default();
    let packed = record.packed(1, record.len());
    let send = |claims, run| server.events(&issuer.token(claims), run, 1, &packed).status;
    assert_eq!(send(&good, RUN), 200);
    assert_eq!(send(&with(&good, "aud", audience), OTHER), 200);
    let ours = server.key("read");
    for (key, own, other) in [(&ours, RUN, OTHER), (&theirs, OTHER, RUN)] {
        let runs = server.ask("GET", "/api/v1/runs", key, "").body;
        assert!(runs.contains(own) && !runs.contains(other), "{runs}");
    }
    // Whoever trusts the project does not get what is made for nobody by name.
    let server = Server::with(&[format!("--ci-issuers=gitlab={}", issuer.address)]);
    server.stranger();
    server.admin(&[trust.as_slice(), &["--org", "other"]].concat(), "");
    let token = issuer.token(&claims(&server, &issuer));
    assert_eq!(server.events(&token, RUN, 1, &packed).status, 403);
}

#[test]
fn an_issuer_that_is_away_is_not_the_jobs_fault() {
    let issuer = Issuer::start();
    let address = issuer.address.clone();
    let server = Server::with(&[format!("--ci-issuers=gitlab={address}")]);
    let token = issuer.token(&claims(&server, &issuer));
    drop(issuer);
    let record = Recorded::default();
    let sent = server.events(&token, RUN, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 503, "{}", sent.body);
    assert!(sent.headers.contains_key("retry-after"));
    let key = server.key("ingest");
    let sent = server.events(&key, RUN, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 200, "keys work on");
}
