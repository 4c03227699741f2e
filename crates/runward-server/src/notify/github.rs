//! Checks at commits of GitHub's, set by an app.
//!
//! The app shows who it is by a token that it signs, and gets one that is good for one repository for an hour. With that,
//! the check of a job is looked for, and changed or made. So nothing of what was done before has to be remembered here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use runward_notify::{AppKey, Failure, FailureKind, HookUrl, Message, check_name, github_check};
use runward_store::{Millis, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reach::{Answer, Reach};
use super::teller::refused;

/// Tokens that are remembered; those of more repositories are asked for each time.
const TOKENS_MAX: usize = 1_000;
/// How long before its end a token is not used any more, in milliseconds.
const BEFORE_END: Millis = 120_000;
/// Checks of one name at one commit that are looked through.
const CHECKS: &str = "100";

/// An app, as a channel has it.
#[derive(Clone, Copy)]
pub(super) struct App<'a> {
    /// The channel: what one was given, another does not use.
    pub(super) channel: &'a str,
    pub(super) api: &'a HookUrl,
    pub(super) id: &'a str,
    pub(super) key: &'a AppKey,
}

/// Tokens of repositories, by channel and repository.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<(String, String), Kept>>);

#[derive(Clone)]
struct Kept {
    token: String,
    until: Millis,
}

impl Tokens {
    fn known(&self, app: App<'_>, project: &str, now: Millis) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get(&(app.channel.to_owned(), project.to_owned()))?;
        (now < kept.until).then(|| kept.token.clone())
    }

    fn keep(&self, app: App<'_>, project: &str, kept: Kept, now: Millis) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TOKENS_MAX {
            all.retain(|_, kept| now < kept.until);
        }
        if all.len() < TOKENS_MAX {
            all.insert((app.channel.to_owned(), project.to_owned()), kept);
        }
    }

    fn forget(&self, app: App<'_>, project: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(app.channel.to_owned(), project.to_owned()));
    }
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Granted {
    token: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct Commit {
    parents: Vec<Parent>,
}

#[derive(Deserialize)]
struct Parent {
    sha: String,
}

#[derive(Deserialize)]
struct Checks {
    check_runs: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    id: u64,
    external_id: Option<String>,
}

#[derive(Deserialize)]
struct Itself {
    permissions: HashMap<String, String>,
}

/// Sets the check of a job.
pub(super) async fn set_check(
    reach: &Reach,
    tokens: &Tokens,
    app: App<'_>,
    message: &Message<'_>,
    (outcome, neutral): (&Outcome, bool),
    now: Millis,
) -> Result<(), Failure> {
    let project = &outcome.project_name;
    if let Some(token) = tokens.known(app, project, now) {
        let caller = Caller { reach, app, token };
        match caller.set(message, outcome, neutral).await {
            // It may have been taken back before its end: another one may be good.
            Err(Refusal { status: 401, .. }) => tokens.forget(app, project),
            done => return done.map_err(|refusal| refusal.failure),
        }
    }
    let kept = grant(reach, app, project, now).await?;
    let token = kept.token.clone();
    tokens.keep(app, project, kept, now);
    let caller = Caller { reach, app, token };
    let set = caller.set(message, outcome, neutral).await;
    set.map_err(|refusal| {
        if refusal.status == 401 {
            tokens.forget(app, project);
        }
        refusal.failure
    })
}

/// Whether the app is who it says, and may set checks.
pub(super) async fn try_app(reach: &Reach, app: App<'_>, now: Millis) -> Result<(), Failure> {
    let what = "asking who the app is";
    let answer = signed(reach, app, Method::GET, &["app"], None, now).await?;
    let itself: Itself = read(answer, what).map_err(|refusal| refusal.failure)?;
    for (name, least) in [("checks", "write"), ("contents", "read")] {
        let has = itself.permissions.get(name).map(String::as_str);
        if has != Some("write") && has != Some(least) {
            return Err(refused(&format!(
                "the app lacks a permission: its page at GitHub has to say {name}: {least}"
            )));
        }
    }
    Ok(())
}

/// A token for one repository and nothing else, that may do what is needed here.
async fn grant(reach: &Reach, app: App<'_>, project: &str, now: Millis) -> Result<Kept, Failure> {
    let (owner, name) = project.split_once('/').unwrap_or((project, ""));
    let path = ["repos", owner, name, "installation"];
    let answer = signed(reach, app, Method::GET, &path, None, now).await?;
    let what = format!("looking for the app at {project}");
    let found = read::<Installation>(answer, &what).map_err(|mut refusal| {
        if refusal.status == 404 {
            refusal.failure.error = format!("the app is not installed at {project}");
        }
        refusal.failure
    })?;
    let id = found.id.to_string();
    let path = ["app", "installations", &id, "access_tokens"];
    let wanted = json!({
        "repositories": [name],
        "permissions": { "checks": "write", "contents": "read" },
    });
    let answer = signed(reach, app, Method::POST, &path, Some(&wanted), now).await?;
    let what = format!("getting a token for {project}");
    let granted: Granted = read(answer, &what).map_err(|refusal| refusal.failure)?;
    // One whose end can't be read is used once.
    let until = granted.expires_at.parse::<Timestamp>();
    Ok(Kept {
        token: granted.token,
        until: until.map_or(0, |until| until.as_millisecond() - BEFORE_END),
    })
}

/// Asks as the app itself.
async fn signed(
    reach: &Reach,
    app: App<'_>,
    method: Method,
    path: &[&str],
    body: Option<&Value>,
    now: Millis,
) -> Result<Answer, Failure> {
    let token = app
        .key
        .token(app.id, now.div_euclid(1_000), &SystemRandom::new());
    let token = token.ok_or_else(|| refused("nothing could be signed with the app's key"))?;
    let url = app.api.below(path, &[]);
    reach.ask(method, &url, headers(&token)?, body).await
}

/// Who asks with the token of a repository.
struct Caller<'a> {
    reach: &'a Reach,
    app: App<'a>,
    token: String,
}

impl Caller<'_> {
    async fn set(
        &self,
        message: &Message<'_>,
        outcome: &Outcome,
        neutral: bool,
    ) -> Result<(), Refusal> {
        let head = self.head(outcome).await?;
        let (method, id, what) = match self.known(outcome, &head).await? {
            Some(id) => (Method::PATCH, Some(id.to_string()), "changing the check"),
            None => (Method::POST, None, "making the check"),
        };
        let made_at = id.is_none().then_some(head.as_str());
        let check = github_check(message, outcome, neutral, made_at);
        let path: Vec<&str> = ["check-runs"].into_iter().chain(id.as_deref()).collect();
        let answer = self.ask(method, outcome, &path, &[], Some(&check)).await?;
        let what = format!("{what} at {}", outcome.project_name);
        read::<Value>(answer, &what).map(drop)
    }

    /// The commit where people look. For a request, what was built is a commit that GitHub made of the target's last one
    /// and of the request's, in this order.
    async fn head(&self, outcome: &Outcome) -> Result<String, Refusal> {
        if !outcome.request {
            return Ok(outcome.commit.clone());
        }
        let path = ["git", "commits", &outcome.commit];
        let answer = self.ask(Method::GET, outcome, &path, &[], None).await?;
        let what = format!("looking for the commit at {}", outcome.project_name);
        let commit: Commit = read(answer, &what)?;
        Ok(match commit.parents.as_slice() {
            [_, of_request] => of_request.sha.clone(),
            _ => outcome.commit.clone(),
        })
    }

    /// The check that was made of this outcome before, if one was.
    async fn known(&self, outcome: &Outcome, head: &str) -> Result<Option<u64>, Refusal> {
        let name = check_name(outcome);
        let mut query = vec![
            ("check_name", name.as_str()),
            ("filter", "all"),
            ("per_page", CHECKS),
        ];
        // An app may be named by another id, which is no number; then what others made is told apart by its id alone.
        if self.app.id.parse::<u64>().is_ok() {
            query.push(("app_id", self.app.id));
        }
        let path = ["commits", head, "check-runs"];
        let answer = self.ask(Method::GET, outcome, &path, &query, None).await?;
        let what = format!("looking for checks at {}", outcome.project_name);
        let checks: Checks = read(answer, &what)?;
        let same = |check: &&Check| check.external_id.as_ref() == Some(&outcome.id);
        Ok(checks.check_runs.iter().find(same).map(|check| check.id))
    }

    async fn ask(
        &self,
        method: Method,
        outcome: &Outcome,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Refusal> {
        let project = outcome.project_name.split('/');
        let path: Vec<&str> = ["repos"]
            .into_iter()
            .chain(project)
            .chain(path.iter().copied())
            .collect();
        let url = self.app.api.below(&path, query);
        let headers = headers(&self.token).map_err(Refusal::of)?;
        let answer = self.reach.ask(method, &url, headers, body).await;
        answer.map_err(Refusal::of)
    }
}

/// Why something was not done, and what was answered; 0 if nothing was.
struct Refusal {
    status: u16,
    failure: Failure,
}

impl Refusal {
    fn of(failure: Failure) -> Refusal {
        Refusal { status: 0, failure }
    }
}

/// What was answered, if it is what was asked for.
fn read<T: for<'de> Deserialize<'de>>(answer: Answer, what: &str) -> Result<T, Refusal> {
    let status = answer.status;
    if let Err(mut failure) = answer.judge() {
        failure.error = format!("{what}: {}", failure.error);
        failure.kind = match status {
            // GitHub answers so when it is asked too often, too (REST API, "Rate limits").
            403 if answer.is_limit() => FailureKind::Passing,
            // What is wrong is this message or its repository, and must not keep others waiting.
            403 | 404 | 422 => FailureKind::Final,
            _ => failure.kind,
        };
        return Err(Refusal { status, failure });
    }
    serde_json::from_str(&answer.body).map_err(|_| {
        let error = format!("{what}: what answered is not GitHub's API");
        let failure = answer.failure(error, FailureKind::Refused);
        Refusal { status, failure }
    })
}

fn headers(token: &str) -> Result<HeaderMap, Failure> {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut bearer = bearer.map_err(|_| refused("the token can't be sent"))?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, bearer);
    let accept = HeaderValue::from_static("application/vnd.github+json");
    headers.insert(header::ACCEPT, accept);
    let version = HeaderValue::from_static("2022-11-28");
    headers.insert("x-github-api-version", version);
    Ok(headers)
}
