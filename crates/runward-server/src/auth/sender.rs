//! Who sends a record: a program with a key, or a job with a token.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use runward_store::{KeyScope, OrgId, ProjectId};

use super::ci::{Job, owner};
use super::issuer::Issuer;
use super::jwt::{Token, TokenError};
use super::{Bearer, key};
use crate::app::{App, now};
use crate::config::CiIssuer;
use crate::problem::Problem;

/// Whoever may send records.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Whom the records belong to.
    pub(crate) org: OrgId,
    /// The only project that they may be about; any, if there is none.
    pub(crate) project: Option<ProjectId>,
    /// Whose share of the server's room they take: a key's number, or below zero an organisation's, for its jobs.
    pub(crate) share: i64,
    /// The only job that they may be about, where a token says it.
    pub(crate) job: Option<Job>,
}

/// An issuer of jobs' tokens.
#[derive(Debug)]
pub(crate) struct JobIssuer {
    pub(crate) settings: CiIssuer,
    pub(crate) issuer: Issuer,
}

impl FromRequestParts<App> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Sender, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let header = header.and_then(|header| header.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        if let Some(token) = token.filter(|token| !token.starts_with(key::PREFIX)) {
            let sent = job(app, token.trim()).await;
            if matches!(&sent, Err(problem) if problem.status() == StatusCode::UNAUTHORIZED) {
                key::guessed(parts, app).await?;
            }
            let sender = sent?;
            app.rates().sends(sender.share)?;
            return Ok(sender);
        }
        let Bearer(key) = Bearer::from_request_parts(parts, app).await?;
        if key.scope != KeyScope::Ingest && key.scope != KeyScope::Admin {
            return Err(Problem::no_key());
        }
        Ok(Sender {
            org: key.org,
            project: key.project,
            share: key.id,
            job: None,
        })
    }
}

async fn job(app: &App, token: &str) -> Result<Sender, Problem> {
    let token = Token::parse(token).map_err(untrusted)?;
    let known = app.job_issuers().iter();
    let mut known = known.filter(|known| known.settings.address == token.issuer());
    let issuer = known.next().ok_or_else(|| untrusted(TokenError::Issuer))?;
    // The audience names the organisation. Without a name it means the one that was there first, so that nobody who
    // comes later gets what used to be somebody else's.
    let here = &app.config().public_url;
    let orgs = app.store().orgs().await?;
    let named = orgs.iter().map(|org| format!("{here}/o/{}", org.slug));
    let audiences: Vec<String> = named.chain([here.clone()]).collect();
    let verified = issuer.issuer.verified(token, &audiences, now()).await;
    let (claims, audience) = verified.map_err(untrusted)?;
    let place = audiences.iter().position(|known| *known == audience);
    let named = place.and_then(|place| orgs.get(place)).map(|org| org.id);
    let first = orgs.iter().map(|org| org.id).min();
    let meant_for = named
        .or(first)
        .ok_or_else(|| untrusted(TokenError::Audience))?;
    let job = Job::new(issuer.settings.provider, &claims)
        .ok_or_else(|| untrusted(TokenError::Malformed))?;
    let trusts = app.store().trusts_of(&issuer.settings.address).await?;
    let org = owner(&job, &trusts, meant_for).map_err(|why| {
        Problem::new(
            StatusCode::FORBIDDEN,
            "the project is not trusted",
            why.to_string(),
        )
    })?;
    Ok(Sender {
        org,
        project: None,
        share: -org.0,
        job: Some(job),
    })
}

fn untrusted(error: TokenError) -> Problem {
    match error {
        TokenError::Away => Problem::unavailable(error.to_string()),
        other => Problem::new(
            StatusCode::UNAUTHORIZED,
            "no valid token",
            other.to_string(),
        ),
    }
}
