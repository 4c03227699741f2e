//! How people come in and go out.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{Millis, Org, User};
use serde::Deserialize;

use super::access::{PageError, shown};
use crate::admin::{add_user, first_org};
use crate::app::{App, now};
use crate::auth::{Client, Cookie, Person, Token, Viewer, is_password};
use crate::metrics::{Login, Way};
use crate::pages::{LoginPage, SetupPage, own_address};
use crate::problem::Problem;

/// How long a session lasts, in seconds: a working day.
const SESSION: i64 = 12 * 3600;

/// `GET /`: to the organisation, or to the login.
pub(crate) async fn home(
    State(app): State<App>,
    Viewer(person): Viewer,
) -> Result<Redirect, PageError> {
    let Some(person) = person else {
        return Ok(Redirect::to("/login"));
    };
    let orgs = app.store().orgs().await?;
    let own = orgs
        .into_iter()
        .find(|org| org.id == person.session.user.org);
    Ok(Redirect::to(
        &own.map_or_else(|| "/login".to_owned(), |org| home_of(&org)),
    ))
}

fn home_of(org: &Org) -> String {
    format!("/o/{}", org.slug)
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct LoginQuery {
    #[serde(default)]
    next: String,
}

/// `GET /login`
pub(crate) async fn login_page(
    State(app): State<App>,
    Query(query): Query<LoginQuery>,
) -> Response {
    let page = LoginPage::new("", "", &query.next, None);
    shown(&page.with_provider(app.provider_name()))
}

#[derive(Deserialize)]
pub(crate) struct LoginForm {
    login: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /login`. It needs no secret of the form: browsers say where it comes from, and nobody gains by logging somebody
/// in as somebody else whose password they don't have.
pub(crate) async fn login(
    State(app): State<App>,
    Client(client): Client,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Result<Response, PageError> {
    let refused = |status: StatusCode, why: &str| {
        let page = LoginPage::new("", &form.login, &form.next, Some(why));
        (status, shown(&page.with_provider(app.provider_name()))).into_response()
    };
    if is_from_elsewhere(&app, &headers) {
        return Ok(refused(
            StatusCode::FORBIDDEN,
            "Log in on this server's own page.",
        ));
    }
    let count = |login| app.metrics().login(Way::Password, login);
    if !app.attempts().may_try(&form.login, client, now()) {
        count(Login::Slowed);
        return Ok(refused(
            StatusCode::TOO_MANY_REQUESTS,
            "There were too many attempts. Wait a quarter of an hour.",
        ));
    }
    let user = app.store().user(&form.login).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let fits = is_password(form.password.clone(), hash).await;
    let (Some(user), true) = (user, fits) else {
        count(Login::Failed);
        return Ok(refused(
            StatusCode::UNAUTHORIZED,
            "The login or the password is wrong.",
        ));
    };
    app.attempts().succeeded(&form.login, client);
    count(Login::Succeeded);
    let next = own_address(&form.next).unwrap_or("/").to_owned();
    enter(&app, &user, &next, None).await
}

/// Gives the browser a session, and shows where it wanted to go. `authenticated_at` is when the person showed who it is, if
/// that was before now.
pub(super) async fn enter(
    app: &App,
    user: &User,
    next: &str,
    authenticated_at: Option<Millis>,
) -> Result<Response, PageError> {
    let no_chance = |_| Problem::unavailable("there is no randomness for a session");
    let token = Token::generate().map_err(no_chance)?;
    let csrf = Token::generate().map_err(no_chance)?;
    app.store()
        .add_session(
            &token.hash(),
            user.id,
            &csrf.text,
            now(),
            now() + SESSION * 1000,
        )
        .await?;
    if let Some(at) = authenticated_at.filter(|at| *at < now()) {
        app.store().reauthenticated(&token.hash(), at).await?;
    }
    let mut response = Redirect::to(next).into_response();
    if let Some(value) = Cookie::Session.set(&token.text, app.config().is_secure(), SESSION) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

#[derive(Deserialize)]
pub(crate) struct LogoutForm {
    csrf: String,
}

/// `POST /logout`
pub(crate) async fn logout(
    State(app): State<App>,
    Viewer(person): Viewer,
    Form(form): Form<LogoutForm>,
) -> Result<Response, PageError> {
    let mut response = Redirect::to("/login").into_response();
    if let Some(Person { session, token }) = person
        && session.csrf == form.csrf
    {
        app.store().end_session(&token.hash()).await?;
        if let Some(value) = Cookie::Session.end(app.config().is_secure()) {
            response.headers_mut().insert(header::SET_COOKIE, value);
        }
    }
    Ok(response)
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct SetupQuery {
    #[serde(default)]
    token: String,
}

/// `GET /setup`: the first person, by the token that the server printed at its first start.
pub(crate) async fn setup_page(
    State(app): State<App>,
    Query(query): Query<SetupQuery>,
) -> Result<Response, PageError> {
    if !app.is_setup_token(&query.token) {
        return Err(Problem::missing("page").into());
    }
    Ok(shown(&SetupPage::new("", &query.token, "admin", None)))
}

#[derive(Deserialize)]
pub(crate) struct SetupForm {
    token: String,
    login: String,
    password: String,
    password2: String,
}

/// `POST /setup`
pub(crate) async fn setup(
    State(app): State<App>,
    Form(form): Form<SetupForm>,
) -> Result<Response, PageError> {
    if !app.is_setup_token(&form.token) {
        return Err(Problem::missing("page").into());
    }
    let again = |why: &str| {
        let page = SetupPage::new("", &form.token, &form.login, Some(why));
        Ok((StatusCode::UNPROCESSABLE_ENTITY, shown(&page)).into_response())
    };
    if form.password != form.password2 {
        return again("The two passwords are not the same.");
    }
    if form.login.trim().is_empty() {
        return again("A login is missing.");
    }
    let failed = |error: anyhow::Error| Problem::unavailable(error.to_string());
    let org = first_org(&app).await.map_err(failed)?;
    // Somebody may have been made meanwhile in another way: then the token is good for nothing any more.
    if !app.store().users(org.id).await?.is_empty() || !app.take_setup_token(&form.token) {
        app.forget_setup_token();
        return Err(Problem::missing("page").into());
    }
    let login = form.login.trim();
    if let Err(error) = add_user(
        &app,
        &org,
        login,
        &form.password,
        runward_store::Role::Admin,
    )
    .await
    {
        app.await_setup(form.token.clone());
        return again(&format!("{error}."));
    }
    app.store()
        .audit(org.id, now(), login, "user.create", login)
        .await?;
    match app.store().user(login).await? {
        Some(user) => enter(&app, &user, &home_of(&org), None).await,
        None => Ok(Redirect::to("/login").into_response()),
    }
}

/// Whether a browser says that a form was on another site's page.
fn is_from_elsewhere(app: &App, headers: &HeaderMap) -> bool {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let site = headers
        .get("sec-fetch-site")
        .and_then(|site| site.to_str().ok());
    match site {
        Some(site) => site != "same-origin" && site != "none",
        None => origin.is_some_and(|origin| origin != app.config().public_url),
    }
}
