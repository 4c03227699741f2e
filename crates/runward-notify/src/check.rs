//! How a job came out, as a check of GitHub's and as a status of GitLab's.

use runward_report::code_span;
use runward_store::{Millis, Outcome, OutcomeState};
use serde_json::{Value, json};

use crate::message::Message;
use crate::words::{counted, plain, severity, timestamp};

/// Characters of a check's name that are a job's, and a pipeline's.
const JOB_MAX: usize = 100;
const PIPELINE_MAX: usize = 60;
/// Characters of a description (GitLab takes 255).
const DESCRIPTION_MAX: usize = 240;

/// What a check is called: after its job, and the file that the job is written in. It is the same in every run, so that
/// a rule of the repository can ask for it.
pub fn check_name(outcome: &Outcome) -> String {
    let job = plain(&outcome.job, JOB_MAX);
    let file = outcome.pipeline.rsplit('/').next().unwrap_or_default();
    match plain(file, PIPELINE_MAX).as_str() {
        "" => format!("Runward / {job}"),
        file => format!("Runward / {file} / {job}"),
    }
}

/// A check as JSON: what a request has in which it is made at the commit `head`, or, without one, changed.
pub fn github_check(
    message: &Message<'_>,
    outcome: &Outcome,
    neutral: bool,
    head: Option<&str>,
) -> Value {
    let mut check = json!({
        "name": check_name(outcome),
        "external_id": outcome.id,
        "details_url": message.page(&outcome.link),
        "started_at": timestamp(began(outcome)),
        "output": { "title": outcome.title(), "summary": summary(message, outcome) },
    });
    if let Some(head) = head {
        check["head_sha"] = head.into();
    }
    if outcome.state == OutcomeState::Running {
        check["status"] = "in_progress".into();
        return check;
    }
    check["status"] = "completed".into();
    check["completed_at"] = timestamp(outcome.last_seen_at).into();
    check["conclusion"] = match (outcome.passed(), neutral) {
        (true, _) => "success",
        (false, true) => "neutral",
        (false, false) => "failure",
    }
    .into();
    check
}

/// A status as JSON: what a request has in which it is set.
pub fn gitlab_status(message: &Message<'_>, outcome: &Outcome) -> Value {
    let mut description = outcome.title();
    if let Some(first) = outcome.first.first() {
        description = format!("{description}. First: {}", first.sentence);
    }
    let mut status = json!({
        "state": if outcome.passed() { "success" } else { "failed" },
        "name": check_name(outcome),
        "target_url": message.page(&outcome.link),
        "description": plain(&description, DESCRIPTION_MAX),
    });
    // Of several pipelines of one commit, it stands in that of the job.
    let pipeline = outcome.provider_run.as_deref();
    if let Some(pipeline) = pipeline.and_then(|id| id.parse::<u64>().ok()) {
        status["pipeline_id"] = pipeline.into();
    }
    status
}

/// A job's clock may be ahead; what has begun after its end would be refused.
fn began(outcome: &Outcome) -> Millis {
    outcome.started_at.min(outcome.last_seen_at)
}

/// Markdown, in which everything that a job wrote stands in code spans.
fn summary(message: &Message<'_>, outcome: &Outcome) -> String {
    let mut lines = vec![
        format!(
            "**{}** in the job {} of {}{}.",
            outcome.title(),
            code_span(&outcome.job),
            code_span(&outcome.pipeline),
            match outcome.runs {
                ..=1 => String::new(),
                n => format!(" ({n} recorded runs)"),
            }
        ),
        String::new(),
    ];
    for call in &outcome.first {
        let word = severity(call.severity);
        lines.push(format!("- {word}: {}", code_span(&call.sentence)));
    }
    let told = i64::try_from(outcome.first.len()).unwrap_or(i64::MAX);
    let more = outcome.bad().saturating_sub(told);
    if more > 0 {
        lines.push(format!("- and {}", counted(more, "more", "more")));
    }
    if outcome.lost > 0 {
        lines.push(String::new());
        let lost = counted(outcome.lost, "event was", "events were");
        lines.push(format!("{lost} lost: nobody knows what was in there."));
    }
    lines.push(String::new());
    let page = message.page(&outcome.link);
    lines.push(format!("[The evidence]({page})"));
    lines.join("\n")
}
