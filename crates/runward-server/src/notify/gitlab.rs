//! Statuses at commits of GitLab's.
//!
//! A status that has ended is never changed by GitLab: another one of the same name takes its place. So it is looked first
//! whether what stands there says the same.

use axum::http::{HeaderMap, HeaderValue, Method};
use runward_notify::{Failure, FailureKind, HookUrl, Message, gitlab_status};
use runward_store::Outcome;
use serde::Deserialize;
use serde_json::Value;

use super::reach::{Answer, Reach};
use super::teller::refused;

/// What a token has to be good for.
const SCOPE: &str = "api";

/// A token, and where it is good.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) api: &'a HookUrl,
    pub(super) token: &'a str,
}

#[derive(Deserialize)]
struct Status {
    status: String,
    description: Option<String>,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct Itself {
    scopes: Vec<String>,
}

/// Sets the status of a job.
pub(super) async fn set_status(
    reach: &Reach,
    access: Access<'_>,
    message: &Message<'_>,
    outcome: &Outcome,
) -> Result<(), Failure> {
    let wanted = gitlab_status(message, outcome);
    let project = &outcome.project_name;
    if stands(reach, access, outcome, &wanted).await? {
        return Ok(());
    }
    let path = ["projects", project, "statuses", &outcome.commit];
    let answer = access.ask(reach, Method::POST, &path, &[], Some(&wanted));
    let what = format!("setting the status at {project}");
    read::<Value>(answer.await?, &what).map(drop)
}

/// Whether the token is good for that.
pub(super) async fn try_token(reach: &Reach, access: Access<'_>) -> Result<(), Failure> {
    let path = ["personal_access_tokens", "self"];
    let answer = access.ask(reach, Method::GET, &path, &[], None).await?;
    let itself: Itself = read(answer, "asking what the token is good for")?;
    if itself.scopes.iter().any(|scope| scope == SCOPE) {
        return Ok(());
    }
    Err(refused(
        "the token can't set statuses: make one with the scope api",
    ))
}

/// Whether the newest status of this name says the same.
async fn stands(
    reach: &Reach,
    access: Access<'_>,
    outcome: &Outcome,
    wanted: &Value,
) -> Result<bool, Failure> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str);
    let pipeline = wanted.get("pipeline_id").map(Value::to_string);
    let mut query = vec![
        ("name", text("name").unwrap_or_default()),
        ("order_by", "id"),
        ("sort", "desc"),
        ("per_page", "1"),
    ];
    if let Some(pipeline) = &pipeline {
        query.push(("pipeline_id", pipeline));
    }
    let path = [
        "projects",
        &outcome.project_name,
        "repository",
        "commits",
        &outcome.commit,
        "statuses",
    ];
    let answer = access.ask(reach, Method::GET, &path, &query, None).await?;
    let what = format!("looking for statuses at {}", outcome.project_name);
    let found: Vec<Status> = read(answer, &what)?;
    Ok(found.first().is_some_and(|newest| {
        Some(newest.status.as_str()) == text("state")
            && newest.description.as_deref() == text("description")
            && newest.target_url.as_deref() == text("target_url")
    }))
}

impl Access<'_> {
    async fn ask(
        self,
        reach: &Reach,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let token = HeaderValue::from_str(self.token);
        let mut token = token.map_err(|_| refused("the token can't be sent"))?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("private-token", token);
        let url = self.api.below(path, query);
        reach.ask(method, &url, headers, body).await
    }
}

/// What was answered, if it is what was asked for.
fn read<T: for<'de> Deserialize<'de>>(answer: Answer, what: &str) -> Result<T, Failure> {
    if let Err(mut failure) = answer.judge() {
        failure.error = format!("{what}: {}", failure.error);
        failure.kind = match answer.status {
            // Somebody else sets a status of this commit at this moment.
            409 => FailureKind::Passing,
            // What is wrong is this message or its project, and must not keep others waiting.
            400 | 403 | 404 | 422 => FailureKind::Final,
            _ => failure.kind,
        };
        return Err(failure);
    }
    serde_json::from_str(&answer.body).map_err(|_| {
        let error = format!("{what}: what answered is not GitLab's API");
        answer.failure(error, FailureKind::Refused)
    })
}
