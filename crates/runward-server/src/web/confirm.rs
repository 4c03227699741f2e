//! Acts that are dangerous in wrong hands. Whoever does one has to have shown lately who it is; if that was too long ago,
//! it is asked again, and then what was sent goes on as it was.

use std::net::IpAddr;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use runward_store::Millis;
use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer};

use super::access::{Member, PageError};
use crate::app::{App, now};
use crate::auth::{Client, is_password};
use crate::metrics::{Login, Way};
use crate::pages::ConfirmPage;
use crate::problem::Problem;

/// The field with the password that was asked for again.
const PASSWORD: &str = "confirm-password";

/// A form with which something is changed.
pub(super) trait Act: for<'a> Deserialize<'a> + Send {
    /// What shows that the form is of this server's page.
    fn csrf(&self) -> &str;

    /// What it does, as the end of "You are about to …", if that is dangerous.
    fn danger(&self) -> Option<String>;
}

/// A form that an admin sent, who has shown lately who it is if the form is dangerous.
pub(crate) struct Confirmed<T> {
    pub(super) member: Member,
    pub(super) form: T,
}

impl<T: Act> FromRequest<App> for Confirmed<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Confirmed<T>, PageError> {
        let (mut parts, body) = request.into_parts();
        let member = Member::from_request_parts(&mut parts, app).await?;
        let Ok(Client(client)) = Client::from_request_parts(&mut parts, app).await;
        let address = parts.uri.path().to_owned();
        let request = Request::from_parts(parts, body);
        let form = Form::<Vec<(String, String)>>::from_request(request, app).await;
        let Form(fields) = form.map_err(|error| Problem::bad(error.body_text()))?;
        let form = MapDeserializer::<_, Error>::new(fields.iter().cloned());
        let form = T::deserialize(form).map_err(|error| Problem::bad(error.to_string()))?;
        member.may_change(form.csrf())?;
        let Some(danger) = form.danger() else {
            return Ok(Confirmed { member, form });
        };
        if member.person.is_fresh(now()) {
            return Ok(Confirmed { member, form });
        }
        let password = fields.iter().find(|(name, _)| name == PASSWORD);
        let asked = match password {
            None => Asked::NotYet,
            Some((_, password)) => ask(app, &member, client, password, now()).await?,
        };
        let why = match asked {
            Asked::Right => return Ok(Confirmed { member, form }),
            Asked::NotYet => None,
            Asked::Wrong => Some("The password is wrong."),
            Asked::TooOften => Some("There were too many attempts. Wait a quarter of an hour."),
        };
        let sent = fields.into_iter().filter(|(name, _)| name != PASSWORD);
        let provider = match member.person.session.user.password_hash {
            Some(_) => None,
            None => app.provider_name(),
        };
        let page = ConfirmPage::new(
            member.shell(),
            &danger,
            &address,
            sent.collect(),
            provider,
            why,
        );
        Err(PageError::Confirm(Box::new(page)))
    }
}

/// What came of asking for the password.
enum Asked {
    NotYet,
    Right,
    Wrong,
    TooOften,
}

async fn ask(
    app: &App,
    member: &Member,
    client: IpAddr,
    password: &str,
    now: Millis,
) -> Result<Asked, PageError> {
    let user = &member.person.session.user;
    let count = |login| app.metrics().login(Way::Password, login);
    if !app.attempts().may_try(&user.login, client, now) {
        count(Login::Slowed);
        return Ok(Asked::TooOften);
    }
    if !is_password(password.to_owned(), user.password_hash.clone()).await {
        count(Login::Failed);
        return Ok(Asked::Wrong);
    }
    count(Login::Succeeded);
    app.attempts().succeeded(&user.login, client);
    let session = member.person.token.hash();
    app.store().reauthenticated(&session, now).await?;
    Ok(Asked::Right)
}
