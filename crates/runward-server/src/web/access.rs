//! Who may see a page. Somebody who may not learns nothing: what is private and what is not there look the same.

use askama::Template;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use runward_store::{Org, Project, Role, Run, StoreError, Visibility};

use crate::app::App;
use crate::auth::{Person, Viewer};
use crate::pages::{ConfirmPage, ErrorPage, Shell};
use crate::problem::Problem;
use crate::query::encoded;

/// A page that can't be shown.
pub(crate) enum PageError {
    /// Somebody has to log in first; then this address is shown.
    Login(String),
    /// It can't be shown, and why.
    Problem(Problem, Box<Shell>),
    /// The person has to show again who it is; this page asks.
    Confirm(Box<ConfirmPage>),
}

impl PageError {
    pub(crate) fn missing(shell: Shell) -> PageError {
        PageError::Problem(Problem::missing("page"), Box::new(shell))
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> PageError {
        PageError::Problem(problem, Box::new(Shell::outside()))
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> PageError {
        Problem::from(error).into()
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            PageError::Login(next) => {
                Redirect::to(&format!("/login?next={}", encoded(&next))).into_response()
            }
            PageError::Confirm(page) => (StatusCode::FORBIDDEN, shown(&*page)).into_response(),
            PageError::Problem(problem, shell) => {
                let status = problem.status();
                let page =
                    ErrorPage::new(*shell, status.as_u16(), problem.detail(), advice(status));
                (status, shown(&page)).into_response()
            }
        }
    }
}

/// What a person can do about it.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Check the address, or log in as somebody who may see it.",
        StatusCode::GONE => "What was kept of the run stands on its page.",
        StatusCode::SERVICE_UNAVAILABLE => "Try again in a moment.",
        StatusCode::FORBIDDEN => "Ask an admin of the organisation.",
        _ => "Go back, and try it another way.",
    }
}

/// A page as an answer.
pub(crate) fn shown(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page could not be made\n",
            )
                .into_response()
        }
    }
}

/// A member of the organisation that the address names.
pub(crate) struct Member {
    pub(crate) org: Org,
    pub(crate) person: Person,
}

impl Member {
    /// What every page of the organisation has around it.
    pub(crate) fn shell(&self) -> Shell {
        shell_of(&self.org, Some(&self.person))
    }

    /// Somebody who may change things, by a form of this server's own page.
    pub(crate) fn may_change(&self, csrf: &str) -> Result<(), PageError> {
        self.came_from_here(csrf)?;
        if self.person.session.user.role == Role::Admin {
            return Ok(());
        }
        Err(self.refused("only an admin may do this"))
    }

    /// The form is of this server's own page.
    pub(crate) fn came_from_here(&self, csrf: &str) -> Result<(), PageError> {
        if csrf == self.person.session.csrf {
            return Ok(());
        }
        Err(self
            .refused("the form is from an older page: go back, load it again, and send it again"))
    }

    fn refused(&self, why: &str) -> PageError {
        PageError::Problem(Problem::forbidden(why), Box::new(self.shell()))
    }

    /// Whom changes are noted for.
    pub(crate) fn who(&self) -> &str {
        &self.person.session.user.login
    }
}

impl FromRequestParts<App> for Member {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Member, PageError> {
        let slug = parameter(parts, app, "org").await;
        let Some(person) = viewer(parts, app).await else {
            return Err(login_first(parts));
        };
        match app.store().org(&slug).await? {
            Some(org) if org.id == person.session.user.org => Ok(Member { org, person }),
            _ => Err(PageError::missing(shell_outside(&person))),
        }
    }
}

/// A run that the viewer may see: of the viewer's organisation, or of a public project.
pub(crate) struct Seen {
    pub(crate) org: Org,
    pub(crate) run: Run,
    pub(crate) project: Project,
    pub(crate) person: Option<Person>,
}

impl Seen {
    pub(crate) fn shell(&self) -> Shell {
        shell_of(&self.org, self.person.as_ref())
    }
}

impl FromRequestParts<App> for Seen {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Seen, PageError> {
        let slug = parameter(parts, app, "org").await;
        let id = parameter(parts, app, "run").await;
        let person = viewer(parts, app).await;
        let org = app.store().org(&slug).await?;
        let found = match &org {
            Some(org) => app.store().run(org.id, &id).await?,
            None => None,
        };
        if let (Some(org), Some((run, project))) = (org, found) {
            let is_member = person
                .as_ref()
                .is_some_and(|person| person.session.user.org == org.id);
            if is_member || project.visibility == Visibility::Public {
                return Ok(Seen {
                    org,
                    run,
                    project,
                    person: person.filter(|_| is_member),
                });
            }
        }
        match &person {
            Some(person) => Err(PageError::missing(shell_outside(person))),
            None => Err(login_first(parts)),
        }
    }
}

async fn parameter(parts: &mut Parts, app: &App, name: &str) -> String {
    let Ok(all) = RawPathParams::from_request_parts(parts, app).await else {
        return String::new();
    };
    let found = all.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_owned()).unwrap_or_default()
}

async fn viewer(parts: &mut Parts, app: &App) -> Option<Person> {
    let Ok(Viewer(person)) = Viewer::from_request_parts(parts, app).await;
    person
}

fn login_first(parts: &Parts) -> PageError {
    // After a form, its page can't be shown again, but the front page can.
    let next = match parts.method {
        Method::GET => parts.uri.path_and_query().map(ToString::to_string),
        _ => None,
    };
    PageError::Login(next.unwrap_or_else(|| "/".to_owned()))
}

pub(super) fn shell_of(org: &Org, person: Option<&Person>) -> Shell {
    let shell = Shell::of(&org.slug, &org.name);
    match person {
        Some(person) => {
            let user = &person.session.user;
            shell.seen_by(&user.login, &person.session.csrf, user.role == Role::Admin)
        }
        None => shell,
    }
}

fn shell_outside(person: &Person) -> Shell {
    let user = &person.session.user;
    Shell::outside().seen_by(&user.login, &person.session.csrf, false)
}
