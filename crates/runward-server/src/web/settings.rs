//! Keys, people, and who may read what.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{KeyScope, Millis, NewApiKey, ProjectId, Role, StoreError, Visibility};
use serde::Deserialize;

use super::access::{Member, PageError, shown};
use super::confirm::{Act, Confirmed};
use super::organisation::Pairs;
use crate::admin::add_user;
use crate::app::{App, now};
use crate::auth::{NewKey, is_pattern};
use crate::pages::{
    CreatedKey, Notice, Registered, RetentionTyped, SettingsPage, SettingsParts, SettingsQuery,
    SingleSignOn,
};
use crate::problem::Problem;

/// How long a registration token is good for.
pub(crate) const REGISTRATION: Millis = 3600 * 1000;

pub(crate) async fn page(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    show(
        &app,
        &member,
        &SettingsQuery::parse(&pairs),
        News::default(),
    )
    .await
}

/// What the page says once.
#[derive(Default)]
pub(super) struct News {
    notice: Option<Notice>,
    created: Option<CreatedKey>,
    registered: Option<Registered>,
    retention: Option<RetentionTyped>,
}

impl News {
    /// About terms that were not saved.
    pub(super) fn retention(notice: Option<Notice>, typed: RetentionTyped) -> News {
        News {
            notice,
            retention: Some(typed),
            ..News::default()
        }
    }
}

impl From<Notice> for News {
    fn from(notice: Notice) -> News {
        News {
            notice: Some(notice),
            ..News::default()
        }
    }
}

pub(super) async fn told(
    app: &App,
    member: &Member,
    news: impl Into<News>,
) -> Result<Response, PageError> {
    show(app, member, &SettingsQuery::default(), news.into()).await
}

async fn show(
    app: &App,
    member: &Member,
    query: &SettingsQuery,
    news: News,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let keys = app.store().keys(org).await?;
    let users = app.store().users(org).await?;
    let projects = app.store().projects(org).await?;
    let audit = app.store().audit_log(org, query.audit_page()).await?;
    let trusts = app.store().trusts(org).await?;
    let retention = app.store().retention(org).await?;
    let issuers: Vec<&str> = app
        .job_issuers()
        .iter()
        .map(|known| known.settings.address.as_str())
        .collect();
    let parts = SettingsParts {
        keys: &keys,
        created: news.created,
        registered: news.registered,
        users: &users,
        viewer: member.person.session.user.id,
        projects: &projects,
        trusts: &trusts,
        issuers: &issuers,
        sign_on: sign_on(app),
        retention: &retention,
        typed_retention: news.retention,
        audit: &audit,
    };
    let shell = member.shell().telling(news.notice);
    Ok(shown(&SettingsPage::new(shell, query, parts, now())))
}

fn sign_on(app: &App) -> Option<SingleSignOn<'_>> {
    let settings = &app.provider()?.settings;
    Some(SingleSignOn {
        name: &settings.name,
        issuer: &settings.issuer,
        admin_groups: &settings.admin_groups,
        allowed_groups: &settings.allowed_groups,
        allowed_domains: &settings.allowed_domains,
    })
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

impl Act for KeyForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        let all = self.scope == KeyScope::Admin;
        all.then(|| "make a key that may do everything".to_owned())
    }
}

pub(crate) async fn create_key(
    State(app): State<App>,
    Confirmed { member, form }: Confirmed<KeyForm>,
) -> Result<Response, PageError> {
    let name: String = form.name.trim().chars().take(100).collect();
    if name.is_empty() {
        let notice = Notice::failed("A key needs a name, by which you will know it.");
        return told(&app, &member, notice).await;
    }
    let project = match form.project.trim() {
        "" => None,
        text => {
            let asked = ProjectId(text.parse().unwrap_or(0));
            if app.store().project(member.org.id, asked).await?.is_none() {
                return Err(Problem::missing("project").into());
            }
            Some(asked)
        }
    };
    let key =
        NewKey::generate().map_err(|_| Problem::unavailable("there is no randomness for a key"))?;
    let new = NewApiKey {
        name: name.clone(),
        prefix: key.prefix,
        hash: key.hash,
        org: member.org.id,
        project,
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
    let news = News {
        created: Some(created),
        ..News::default()
    };
    told(&app, &member, news).await
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

impl Act for MemberForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        Some(format!("add {} to the organisation", self.login.trim()))
    }
}

pub(crate) async fn add_member(
    State(app): State<App>,
    Confirmed { member, form }: Confirmed<MemberForm>,
) -> Result<Response, PageError> {
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
    told(&app, &member, notice).await
}

#[derive(Deserialize)]
pub(crate) struct ChangeForm {
    csrf: String,
    action: MemberAction,
    /// For the question; the address says who it is.
    #[serde(default)]
    login: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MemberAction {
    Admin,
    Auditor,
    Remove,
}

impl Act for ChangeForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        let login = &self.login;
        Some(match self.action {
            MemberAction::Admin => format!("make {login} an admin"),
            MemberAction::Auditor => format!("make {login} an auditor"),
            MemberAction::Remove => format!("remove {login} from the organisation"),
        })
    }
}

pub(crate) async fn change_member(
    State(app): State<App>,
    Path((_, id)): Path<(String, i64)>,
    Confirmed { member, form }: Confirmed<ChangeForm>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let users = app.store().users(org).await?;
    let user = users.into_iter().find(|user| user.id == id);
    let user = user.ok_or(StoreError::Missing("member"))?;
    let (done, act) = match form.action {
        MemberAction::Admin => (
            app.store().set_role(org, id, Role::Admin).await?,
            "user.role",
        ),
        MemberAction::Auditor => (
            app.store().set_role(org, id, Role::Auditor).await?,
            "user.role",
        ),
        MemberAction::Remove => (app.store().remove_user(org, id).await?, "user.remove"),
    };
    if !done {
        let why = "Nothing was changed: the organisation would be without an admin.";
        return told(&app, &member, Notice::failed(why)).await;
    }
    app.store()
        .audit(org, now(), member.who(), act, &user.login)
        .await?;
    Ok(back(&member))
}

pub(crate) async fn create_registration(
    State(app): State<App>,
    member: Member,
    Form(form): Form<PlainForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let token = NewKey::registration()
        .map_err(|_| Problem::unavailable("there is no randomness for a token"))?;
    let until = now() + REGISTRATION;
    let org = member.org.id;
    app.store()
        .add_registration(&token.hash, org, now(), until)
        .await?;
    app.store()
        .audit(
            org,
            now(),
            member.who(),
            "registration.create",
            &token.prefix,
        )
        .await?;
    let registered = Registered::new(&app.config().public_url, &token.text);
    let news = News {
        registered: Some(registered),
        ..News::default()
    };
    told(&app, &member, news).await
}

#[derive(Deserialize)]
pub(crate) struct TrustForm {
    csrf: String,
    issuer: String,
    pattern: String,
}

impl Act for TrustForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        Some(format!("trust the jobs of {}", self.pattern.trim()))
    }
}

pub(crate) async fn add_trust(
    State(app): State<App>,
    Confirmed { member, form }: Confirmed<TrustForm>,
) -> Result<Response, PageError> {
    let (org, pattern) = (member.org.id, form.pattern.trim());
    let known = app.job_issuers().iter();
    let mut known = known.filter(|known| known.settings.address == form.issuer);
    if known.next().is_none() || !is_pattern(pattern) {
        let why =
            "Nothing was added: a project is written as group/app, or all of a group as group/*.";
        return told(&app, &member, Notice::failed(why)).await;
    }
    match app
        .store()
        .add_trust(org, &form.issuer, pattern, now())
        .await
    {
        Ok(_) => {}
        Err(StoreError::Exists(_)) => return Ok(back(&member)),
        Err(error) => return Err(error.into()),
    }
    let subject = format!("{} {pattern}", form.issuer);
    app.store()
        .audit(org, now(), member.who(), "trust.create", &subject)
        .await?;
    Ok(back(&member))
}

#[derive(Deserialize)]
pub(crate) struct UntrustForm {
    csrf: String,
}

impl Act for UntrustForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        Some("stop trusting jobs".to_owned())
    }
}

pub(crate) async fn remove_trust(
    State(app): State<App>,
    Path((_, id)): Path<(String, i64)>,
    Confirmed { member, .. }: Confirmed<UntrustForm>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    if let Some(trust) = app.store().remove_trust(org, id).await? {
        let subject = format!("{} {}", trust.issuer, trust.pattern);
        app.store()
            .audit(org, now(), member.who(), "trust.remove", &subject)
            .await?;
    }
    Ok(back(&member))
}

#[derive(Deserialize)]
pub(crate) struct VisibilityForm {
    csrf: String,
    visibility: Visibility,
}

impl Act for VisibilityForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        let public = self.visibility == Visibility::Public;
        public.then(|| "let everybody read a project's runs".to_owned())
    }
}

pub(crate) async fn set_visibility(
    State(app): State<App>,
    Path((_, id)): Path<(String, i64)>,
    Confirmed { member, form }: Confirmed<VisibilityForm>,
) -> Result<Response, PageError> {
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
