//! How jobs came out, as it stands at their commits.

use insta::assert_json_snapshot;
use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag};
use runward_event::Provider;
use runward_notify::{Message, check_name, github_check, gitlab_status};
use runward_store::{BadCall, Outcome, OutcomeState, Parcel, Severity};

use crate::sample::{NOW, message};

const PAGE: &str = "/o/main/runs/a77ac4ed000000000000000000000001/detections";

fn outcome() -> Outcome {
    Outcome {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        provider: Provider::Github,
        project: None,
        project_name: "acme/shop".to_owned(),
        pipeline: ".github/workflows/ci.yml".to_owned(),
        job: "build".to_owned(),
        commit: "a".repeat(40),
        provider_run: Some("77".to_owned()),
        request: true,
        state: OutcomeState::Ended,
        runs: 2,
        started_at: NOW,
        last_seen_at: NOW + 61_000,
        blocked: 3,
        anomalous: 1,
        first: vec![
            BadCall {
                severity: Severity::Medium,
                sentence: "collect.evil.example:443 was refused to /usr/bin/curl (pid 812)"
                    .to_owned(),
            },
            BadCall {
                severity: Severity::High,
                sentence: "the job has never called new.example:443".to_owned(),
            },
        ],
        lost: 5,
        link: PAGE.to_owned(),
    }
}

fn well() -> Outcome {
    Outcome {
        blocked: 0,
        anomalous: 0,
        first: Vec::new(),
        lost: 0,
        runs: 1,
        ..outcome()
    }
}

fn told<T>(outcome: &Outcome, tell: impl FnOnce(&Message<'_>, &Outcome) -> T) -> T {
    let parcel: Parcel = outcome.parcel(NOW);
    tell(&message(&parcel), outcome)
}

#[test]
fn a_check_says_how_many_calls_there_were_and_which_came_first() {
    let check = told(&outcome(), |message, outcome| {
        github_check(message, outcome, false, Some(&outcome.commit))
    });
    assert_json_snapshot!("github_check", check);
    let changed = told(&outcome(), |message, outcome| {
        github_check(message, outcome, true, None)
    });
    assert!(changed.get("head_sha").is_none());
    assert_eq!(changed["conclusion"], "neutral");
    assert_json_snapshot!("gitlab_status", told(&outcome(), gitlab_status));
}

#[test]
fn a_job_passes_when_it_has_ended_and_made_no_bad_call() {
    let with = |state, blocked| Outcome {
        state,
        blocked,
        ..well()
    };
    for (outcome, status, conclusion, title) in [
        (
            with(OutcomeState::Ended, 0),
            "completed",
            Some("success"),
            "No anomalous or blocked call",
        ),
        (
            with(OutcomeState::Ended, 1),
            "completed",
            Some("failure"),
            "1 blocked call",
        ),
        (
            with(OutcomeState::Running, 1),
            "in_progress",
            None,
            "The job is being watched",
        ),
        (
            with(OutcomeState::Silent, 0),
            "completed",
            Some("failure"),
            "The agent fell silent before the job ended",
        ),
    ] {
        let check = told(&outcome, |message, outcome| {
            github_check(message, outcome, false, None)
        });
        assert_eq!(
            (check["status"].as_str(), check["conclusion"].as_str()),
            (Some(status), conclusion)
        );
        assert_eq!(check["output"]["title"], title);
        let state = if conclusion == Some("success") {
            "success"
        } else {
            "failed"
        };
        assert_eq!(told(&outcome, gitlab_status)["state"], state);
    }
}

#[test]
fn a_check_never_ends_before_it_begins() {
    // The job's clock is a day ahead.
    let ahead = Outcome {
        started_at: NOW + 86_400_000,
        ..well()
    };
    let check = told(&ahead, |message, outcome| {
        github_check(message, outcome, false, None)
    });
    assert_eq!(check["started_at"], check["completed_at"]);
}

#[test]
fn a_check_is_called_after_its_job() {
    let named = |pipeline: &str, job: &str| {
        check_name(&Outcome {
            pipeline: pipeline.to_owned(),
            job: job.to_owned(),
            ..well()
        })
    };
    assert_eq!(
        named(".github/workflows/ci.yml", "build"),
        "Runward / ci.yml / build"
    );
    assert_eq!(named("x/", "build"), "Runward / build");
    assert!(!named("a\nb", "c\u{202e}d\0").contains(['\n', '\u{202e}', '\0']));
    assert!(
        named(&"p".repeat(5_000), &"j".repeat(5_000))
            .chars()
            .count()
            < 200
    );
}

/// What stands in Markdown outside of code, and where its links lead.
fn outside(text: &str) -> (String, Vec<String>) {
    let (mut plain, mut links) = (String::new(), Vec::new());
    for event in Parser::new(text) {
        match event {
            Event::Text(text) => plain.push_str(&text),
            Event::Html(html) | Event::InlineHtml(html) => plain.push_str(&html),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push(dest_url.into_string());
            }
            _ => {}
        }
    }
    (plain, links)
}

fn check(text: &str) {
    // Whatever follows a mark of ours has to be inside of code.
    let text = format!("QQ{text}QQ");
    let nasty = Outcome {
        job: text.clone(),
        pipeline: text.clone(),
        first: (0..10)
            .map(|_| BadCall {
                severity: Severity::High,
                sentence: text.clone(),
            })
            .collect(),
        ..outcome()
    };
    let check = told(&nasty, |message, outcome| {
        github_check(message, outcome, false, None)
    });
    let summary = check["output"]["summary"].as_str().unwrap();
    let (plain, links) = outside(summary);
    assert!(!plain.contains("QQ"), "{plain}");
    assert_eq!(links, [format!("https://runward.example.com{PAGE}")]);
    assert!(summary.chars().count() < 65_535);
    let status = told(&nasty, gitlab_status);
    let description = status["description"].as_str().unwrap();
    assert!(description.chars().count() <= 255 && !description.contains(char::is_control));
}

#[test]
fn nothing_that_a_job_wrote_leaves_its_code_span_in_a_check() {
    for text in [
        "`",
        "``` ` ``",
        "a\n\n# b\n```\n",
        "\\`x\\",
        "[click](https://evil.example) ![x](https://evil.example/p.png)",
        "<script>alert(1)</script><!-- ",
        "@octocat #1 https://evil.example www.evil.example",
        "| a | \\| b",
        "\u{202e}\0\u{1b}[2J",
        "",
    ] {
        check(text);
        check(&text.repeat(3_000));
    }
}

proptest! {
    #[test]
    fn any_text_stays_in_its_code_span(text in "[`\\\\|\n <>a\\[\\]()!#@]{0,80}|.{0,200}") {
        check(&text);
    }
}
