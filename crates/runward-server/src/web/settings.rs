//! Keys, people, and who may read what.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{KeyScope, NewApiKey, ProjectId, Role, Visibility};
use serde::Deserialize;

use super::access::{Member, PageError, shown};
use super::organisation::Pairs;
use crate::admin::add_user;
use crate::app::{App, now};
use crate::auth::NewKey;
use crate::pages::{CreatedKey, Notice, SettingsPage, SettingsQuery};
use crate::problem::Problem;

pub(crate) async fn page(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    show(&app, &member, &SettingsQuery::parse(&pairs), None, None).await
}

async fn show(
    app: &App,
    member: &Member,
    query: &SettingsQuery,
    created: Option<CreatedKey>,
    notice: Option<Notice>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let keys = app.store().keys(org).await?;
    let users = app.store().users(org).await?;
    let projects = app.store().projects(org).await?;
    let audit = app.store().audit_log(org, query.audit_page()).await?;
    let shell = member.shell().telling(notice);
    let page = SettingsPage::new(
        shell,
        query,
        &keys,
        created,
        &users,
        &projects,
        &audit,
        now(),
    );
    Ok(shown(&page))
}

fn back(member: &Member) -> Response {
    Redirect::to(&format!("/o/{}/settings", member.org.slug)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct KeyForm {
    csrf: String,
    name: String,
    scope: KeyScope,
    #[serde(default)]
    project: String,
}

pub(crate) async fn create_key(
    State(app): State<App>,
    member: Member,
    Form(form): Form<KeyForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let name: String = form.name.trim().chars().take(100).collect();
    if name.is_empty() {
        let notice = Notice::failed("A key needs a name, by which you will know it.");
        return show(&app, &member, &SettingsQuery::default(), None, Some(notice)).await;
    }
    let key =
        NewKey::generate().map_err(|_| Problem::unavailable("there is no randomness for a key"))?;
    let new = NewApiKey {
        name: name.clone(),
        prefix: key.prefix,
        hash: key.hash,
        org: member.org.id,
        project: form.project.parse().ok().map(ProjectId),
        scope: form.scope,
    };
    app.store().add_key(&new, now()).await?;
    app.store()
        .audit(member.org.id, now(), member.who(), "api-key.create", &name)
        .await?;
    let created = CreatedKey {
        name,
        key: key.text,
    };
    show(
        &app,
        &member,
        &SettingsQuery::default(),
        Some(created),
        None,
    )
    .await
}

#[derive(Deserialize)]
pub(crate) struct PlainForm {
    csrf: String,
}

pub(crate) async fn revoke_key(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, i64)>,
    Form(form): Form<PlainForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    if app.store().revoke_key(member.org.id, id, now()).await? {
        app.store()
            .audit(
                member.org.id,
                now(),
                member.who(),
                "api-key.revoke",
                &id.to_string(),
            )
            .await?;
    }
    Ok(back(&member))
}

#[derive(Deserialize)]
pub(crate) struct MemberForm {
    csrf: String,
    login: String,
    password: String,
    role: Role,
}

pub(crate) async fn add_member(
    State(app): State<App>,
    member: Member,
    Form(form): Form<MemberForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let login = form.login.trim();
    let notice = match add_user(&app, &member.org, login, &form.password, form.role).await {
        Ok(()) => {
            app.store()
                .audit(member.org.id, now(), member.who(), "user.create", login)
                .await?;
            Notice::done(&format!("{login} can log in now."))
        }
        Err(error) => Notice::failed(&format!("The person was not added: {error}.")),
    };
    show(&app, &member, &SettingsQuery::default(), None, Some(notice)).await
}

#[derive(Deserialize)]
pub(crate) struct VisibilityForm {
    csrf: String,
    visibility: Visibility,
}

pub(crate) async fn set_visibility(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, i64)>,
    Form(form): Form<VisibilityForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let org = member.org.id;
    app.store()
        .set_visibility(org, ProjectId(id), form.visibility)
        .await?;
    let act = match form.visibility {
        Visibility::Public => "project.publish",
        Visibility::Private => "project.hide",
    };
    app.store()
        .audit(org, now(), member.who(), act, &id.to_string())
        .await?;
    Ok(back(&member))
}
