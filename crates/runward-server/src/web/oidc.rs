//! Logging in by an identity provider: the way there, and the way back.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{NewUser, Org, Role, StoreError, User};
use serde::Deserialize;

use super::access::{PageError, shown};
use super::entry::enter;
use crate::admin::first_org;
use crate::app::{App, now};
use crate::auth::{Begun, Cookie, Identified, LoginError, Person, Provider, Token, Viewer};
use crate::metrics::{Login, Way};
use crate::pages::{ConfirmedPage, LoginPage, own_address};
use crate::problem::Problem;

/// How long somebody may take at the provider, in seconds.
const PATIENCE: i64 = 600;
/// How long ago, in milliseconds, the provider may have asked somebody who was to show again who it is.
const AGAIN_WITHIN: i64 = 10 * 60 * 1000;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct BeginQuery {
    #[serde(default)]
    next: String,
    /// Set for somebody who is logged in, and shows again who it is.
    #[serde(default)]
    again: String,
}

/// `GET /login/oidc`: to the provider.
pub(crate) async fn begin(
    State(app): State<App>,
    Query(query): Query<BeginQuery>,
) -> Result<Response, PageError> {
    let provider = provider(&app)?;
    let secret = Token::generate();
    let secret = secret.map_err(|_| Problem::unavailable("there is no randomness for a login"))?;
    let next = own_address(&query.next).unwrap_or("/");
    let begun = Begun::new(&secret.text, !query.again.is_empty(), next);
    let address = match provider.begin(&begun, now()).await {
        Ok(address) => address,
        Err(error) => return Ok(refused(&app, next, &error)),
    };
    let mut response = Redirect::to(&address).into_response();
    let cookie = Cookie::Login.set(&begun.to_cookie(), app.config().is_secure(), PATIENCE);
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// `GET /login/oidc/callback`: back from the provider.
pub(crate) async fn callback(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let provider = provider(&app)?;
    let begun = Cookie::Login.read(&headers, app.config().is_secure());
    let begun = begun.and_then(|text| Begun::from_cookie(&text));
    let next = begun.as_ref().map_or("/", |begun| begun.next.as_str());
    let next = own_address(next).unwrap_or("/");
    let mut response = match identify(provider, begun.as_ref(), &answer).await {
        Err(error) => refused(&app, next, &error),
        Ok((who, true)) => confirm(&app, viewer, &who, next).await?,
        Ok((who, false)) => come_in(&app, provider, &who, next).await?,
    };
    // It is good for one answer.
    if let Some(cookie) = Cookie::Login.end(app.config().is_secure()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /login/confirmed`: where somebody ends who has shown again who it is.
pub(crate) async fn confirmed() -> Response {
    shown(&ConfirmedPage::new())
}

fn provider(app: &App) -> Result<&Provider, Problem> {
    app.provider().ok_or_else(|| Problem::missing("page"))
}

/// The login page, with what went wrong. Whoever has a password can still use it there.
fn refused(app: &App, next: &str, error: &LoginError) -> Response {
    let status = match error {
        LoginError::Away => StatusCode::SERVICE_UNAVAILABLE,
        LoginError::NotBegun => StatusCode::BAD_REQUEST,
        LoginError::Refused(_) => StatusCode::FORBIDDEN,
        LoginError::Bad(_) => StatusCode::UNAUTHORIZED,
    };
    tracing::info!(%error, "a login by the identity provider failed");
    app.metrics().login(Way::Provider, Login::Failed);
    let page = LoginPage::new("", "", next, Some(&error.to_string()));
    (status, shown(&page.with_provider(app.provider_name()))).into_response()
}

/// Who came back, and whether it was only to be confirmed.
async fn identify(
    provider: &Provider,
    begun: Option<&Begun>,
    answer: &Answer,
) -> Result<(Identified, bool), LoginError> {
    let begun = begun.filter(|begun| begun.is_state(&answer.state));
    let begun = begun.ok_or(LoginError::NotBegun)?;
    if let Some(error) = &answer.error {
        let why = answer.error_description.as_ref().unwrap_or(error);
        let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(LoginError::Refused(why.trim_end_matches('.').to_owned()));
    }
    let code = answer.code.as_deref().ok_or(LoginError::NotBegun)?;
    let who = provider
        .finish(begun, code, answer.iss.as_deref(), now())
        .await?;
    Ok((who, begun.again))
}

/// Notes that the person of this session has shown again who it is.
async fn confirm(
    app: &App,
    viewer: Option<Person>,
    who: &Identified,
    next: &str,
) -> Result<Response, PageError> {
    let same = viewer.filter(|person| person.session.user.subject.as_ref() == Some(&who.subject));
    let Some(person) = same else {
        let why = "you are logged in here as somebody else".to_owned();
        return Ok(refused(app, next, &LoginError::Refused(why)));
    };
    let at = who.authenticated_at.unwrap_or(0).min(now());
    if now() - at > AGAIN_WITHIN {
        let why = "it did not ask you again".to_owned();
        return Ok(refused(app, next, &LoginError::Refused(why)));
    }
    let session = person.token.hash();
    app.store().reauthenticated(&session, at).await?;
    Ok(Redirect::to(next).into_response())
}

/// Lets a person in whom the settings name.
async fn come_in(
    app: &App,
    provider: &Provider,
    who: &Identified,
    next: &str,
) -> Result<Response, PageError> {
    let known = app.store().user_of(&who.subject).await?;
    let role = provider.role(who, known.as_ref().map(|user| user.role));
    let Some(role) = role else {
        let why = format!(
            "{} is not among those who may log in; ask an admin",
            who.login
        );
        return Ok(refused(app, next, &LoginError::Refused(why)));
    };
    let user = match known {
        Some(user) => take_role(app, user, role).await?,
        None => match add(app, provider, who, role).await? {
            Some(user) => user,
            None => {
                let why = format!("somebody else is called {} here; ask an admin", who.login);
                return Ok(refused(app, next, &LoginError::Refused(why)));
            }
        },
    };
    app.metrics().login(Way::Provider, Login::Succeeded);
    // A provider that does not say when it asked may not have asked at all.
    enter(app, &user, next, Some(who.authenticated_at.unwrap_or(0))).await
}

/// Gives a person the role that the groups say; the last admin stays one.
async fn take_role(app: &App, mut user: User, role: Role) -> Result<User, PageError> {
    if user.role == role {
        return Ok(user);
    }
    if !app.store().set_role(user.org, user.id, role).await? {
        tracing::warn!(
            login = user.login,
            "the last admin is in no group of admins any more"
        );
        return Ok(user);
    }
    user.role = role;
    app.store()
        .audit(
            user.org,
            now(),
            "identity provider",
            "user.role",
            &user.login,
        )
        .await?;
    Ok(user)
}

/// Adds a person; none if the login is somebody else's.
async fn add(
    app: &App,
    provider: &Provider,
    who: &Identified,
    role: Role,
) -> Result<Option<User>, PageError> {
    let org = org(app, provider).await?;
    let user = NewUser {
        login: who.login.clone(),
        password_hash: None,
        subject: Some(who.subject.clone()),
        org: org.id,
        role,
    };
    let user = match app.store().add_user(&user, now()).await {
        Ok(user) => user,
        Err(StoreError::Exists(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    app.store()
        .audit(
            org.id,
            now(),
            "identity provider",
            "user.create",
            &user.login,
        )
        .await?;
    Ok(Some(user))
}

async fn org(app: &App, provider: &Provider) -> Result<Org, PageError> {
    let Some(slug) = &provider.settings.org else {
        let first = first_org(app).await;
        return first.map_err(|error| Problem::unavailable(error.to_string()).into());
    };
    let org = app.store().org(slug).await?;
    let why = "oidc-org names an organisation that is not there";
    org.ok_or_else(|| Problem::unavailable(why).into())
}
