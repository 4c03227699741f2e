//! Where people are told: channels, and the log of messages.

use std::fmt;

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{Channel, ChannelKind, DetectionFilter, Fault, StoreError};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::access::{Member, PageError, shown};
use super::confirm::{Act, Confirmed};
use super::organisation::Pairs;
use crate::app::{App, now};
use crate::kinds;
use crate::notify::{ChannelDraft, Refused, sign_anew, try_channel};
use crate::pages::{
    ChannelForm, ChannelPage, ChannelParts, FormParts, NewChannelPage, Notice, NotificationsPage,
    NotificationsParts, NotificationsQuery,
};
use crate::problem::Problem;

/// `GET /o/{org}/settings/notifications`
pub(crate) async fn list(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    show_list(&app, &member, &NotificationsQuery::parse(&pairs), None).await
}

async fn show_list(
    app: &App,
    member: &Member,
    query: &NotificationsQuery,
    notice: Option<Notice>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let channels = app.store().channels(org).await?;
    let projects = app.store().projects(org).await?;
    let deliveries = app
        .store()
        .deliveries(org, &query.filter(), query.page())
        .await?;
    let parts = NotificationsParts {
        channels: &channels,
        projects: &projects,
        deliveries: &deliveries,
        hour: app.config().notify.hour,
    };
    let shell = member.shell().telling(notice);
    Ok(shown(&NotificationsPage::new(shell, query, &parts, now())))
}

/// `GET /o/{org}/settings/notifications/new`: the kinds, or the form of one.
pub(crate) async fn form(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let kind = pairs.iter().find(|(name, _)| name == "channel");
    let kind = kind.and_then(|(_, word)| ChannelKind::parse(word));
    match kind {
        Some(kind) => show_form(&app, &member, kind, &ChannelForm::empty(kind), &[]).await,
        None => {
            let has_mail = app.teller().has_mail();
            Ok(shown(&NewChannelPage::choose(member.shell(), has_mail)))
        }
    }
}

async fn show_form(
    app: &App,
    member: &Member,
    kind: ChannelKind,
    form: &ChannelForm,
    faults: &[Fault],
) -> Result<Response, PageError> {
    let projects = app.store().projects(member.org.id).await?;
    let kinds = kinds(app, member).await?;
    let parts = FormParts {
        kind,
        form,
        faults,
        kinds: &kinds,
        projects: &projects,
        has_mail: app.teller().has_mail(),
    };
    let page = NewChannelPage::form(member.shell(), &parts);
    Ok((status(faults), shown(&page)).into_response())
}

fn status(faults: &[Fault]) -> StatusCode {
    match faults {
        [] => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Kinds of detections that there are, or were found.
async fn kinds(app: &App, member: &Member) -> Result<Vec<String>, StoreError> {
    let all = DetectionFilter::default();
    let counts = app.store().detection_counts(member.org.id, &all).await?;
    Ok(kinds::names(&counts))
}

/// Fields of a form, of which some may come several times.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    fn draft(&self) -> ChannelDraft {
        ChannelForm::parse(&self.0).draft()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fields, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fields of a form")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        from.deserialize_map(All)
    }
}

/// A channel that is to be made.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct MakeForm(Fields);

impl Act for MakeForm {
    fn csrf(&self) -> &str {
        self.0.value("csrf")
    }

    fn danger(&self) -> Option<String> {
        Some("have notifications of this organisation sent elsewhere".to_owned())
    }
}

/// `POST /o/{org}/settings/notifications`
pub(crate) async fn make(
    State(app): State<App>,
    Confirmed { member, form }: Confirmed<MakeForm>,
) -> Result<Response, PageError> {
    let MakeForm(fields) = form;
    let Some(kind) = ChannelKind::parse(fields.value("channel")) else {
        return Err(Problem::bad("there is no such kind of channel").into());
    };
    let typed = ChannelForm::parse(&fields.0);
    let drafted = match fields.draft().make(&app, kind) {
        Ok(drafted) => drafted,
        Err(Refused::Faults(faults)) => {
            return show_form(&app, &member, kind, &typed, &faults).await;
        }
        Err(Refused::Problem(problem)) => return Err(problem.into()),
    };
    let org = member.org.id;
    let kept = app
        .store()
        .add_channel(org, &drafted.uid, &drafted.channel, member.who(), now())
        .await;
    let kept = match kept {
        Err(full @ StoreError::Full(_)) => {
            let why = Notice::failed(&format!("Nothing was saved: {full}."));
            return show_list(&app, &member, &NotificationsQuery::default(), Some(why)).await;
        }
        kept => kept?,
    };
    audit(&app, &member, "channel.create", &kept).await?;
    let news = News {
        notice: Some(Notice::done(
            "The channel was made. Send a test to see that messages arrive.",
        )),
        signing: drafted.signing.map(|key| key.text()),
    };
    show(&app, &member, &kept, None, &[], news).await
}

/// Notes a change, without anything secret.
async fn audit(app: &App, member: &Member, act: &str, channel: &Channel) -> Result<(), StoreError> {
    let subject = format!("{} {}", channel.id, channel.kept.name);
    let org = member.org.id;
    app.store()
        .audit(org, now(), member.who(), act, &subject)
        .await
}

/// What the page of a channel says once.
#[derive(Default)]
struct News {
    notice: Option<Notice>,
    signing: Option<String>,
}

async fn show(
    app: &App,
    member: &Member,
    channel: &Channel,
    typed: Option<&ChannelForm>,
    faults: &[Fault],
    news: News,
) -> Result<Response, PageError> {
    let projects = app.store().projects(member.org.id).await?;
    let kinds = kinds(app, member).await?;
    let kept = ChannelForm::of(channel, app.config().notify.hour);
    let parts = ChannelParts {
        channel,
        form: FormParts {
            kind: channel.kept.kind,
            form: typed.unwrap_or(&kept),
            faults,
            kinds: &kinds,
            projects: &projects,
            has_mail: app.teller().has_mail(),
        },
        signing: news.signing,
    };
    let shell = member.shell().telling(news.notice);
    let page = ChannelPage::new(shell, parts, now());
    Ok((status(faults), shown(&page)).into_response())
}

async fn found(app: &App, member: &Member, id: &str) -> Result<Channel, PageError> {
    let found = match id.parse() {
        Ok(id) => app.store().channel(member.org.id, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| PageError::missing(member.shell()))
}

/// `GET /o/{org}/settings/notifications/{id}`
pub(crate) async fn channel(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let channel = found(&app, &member, &id).await?;
    show(&app, &member, &channel, None, &[], News::default()).await
}

/// What is to be done with a channel.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct ChangeForm(Fields);

impl Act for ChangeForm {
    fn csrf(&self) -> &str {
        self.0.value("csrf")
    }

    fn danger(&self) -> Option<String> {
        match self.0.value("action") {
            "save" if self.0.draft().leads_elsewhere() => {
                Some("have notifications of this organisation sent elsewhere".to_owned())
            }
            "renew" => Some("have a webhook signed with another secret".to_owned()),
            _ => None,
        }
    }
}

/// `POST /o/{org}/settings/notifications/{id}`
pub(crate) async fn change(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Confirmed { member, form }: Confirmed<ChangeForm>,
) -> Result<Response, PageError> {
    let channel = found(&app, &member, &id).await?;
    match form.0.value("action") {
        "save" => save(&app, &member, &channel, &form.0).await,
        "test" => test(&app, &member, &channel).await,
        "on" => switch(&app, &member, &channel, true).await,
        "off" => switch(&app, &member, &channel, false).await,
        "renew" => renew(&app, &member, &channel).await,
        "remove" => remove(&app, &member, &channel).await,
        _ => Err(Problem::bad("there is nothing of this name to do with a channel").into()),
    }
}

async fn save(
    app: &App,
    member: &Member,
    channel: &Channel,
    fields: &Fields,
) -> Result<Response, PageError> {
    let typed = ChannelForm::parse(&fields.0);
    let changed = match fields.draft().change(app, channel) {
        Ok(changed) => changed,
        Err(Refused::Faults(faults)) => {
            let typed = Some(&typed);
            return show(app, member, channel, typed, &faults, News::default()).await;
        }
        Err(Refused::Problem(problem)) => return Err(problem.into()),
    };
    let kept = app
        .store()
        .change_channel(member.org.id, channel.id, &changed)
        .await?;
    audit(app, member, "channel.change", &kept).await?;
    Ok(back(member))
}

async fn test(app: &App, member: &Member, channel: &Channel) -> Result<Response, PageError> {
    let org = (member.org.slug.as_str(), member.org.name.as_str());
    let error = try_channel(app, channel, org, member.who()).await?;
    audit(app, member, "channel.test", channel).await?;
    let notice = match error {
        None => Notice::done("The test was taken. Look whether it shows where you expect it."),
        Some(error) => Notice::failed(&format!("The test did not arrive: {error}.")),
    };
    let news = News {
        notice: Some(notice),
        ..News::default()
    };
    show(app, member, channel, None, &[], news).await
}

async fn switch(
    app: &App,
    member: &Member,
    channel: &Channel,
    on: bool,
) -> Result<Response, PageError> {
    let mut changed = channel.kept.clone();
    changed.on = on;
    let kept = app
        .store()
        .change_channel(member.org.id, channel.id, &changed)
        .await?;
    let act = if on { "channel.on" } else { "channel.off" };
    audit(app, member, act, &kept).await?;
    Ok(back(member))
}

async fn renew(app: &App, member: &Member, channel: &Channel) -> Result<Response, PageError> {
    let (changed, signing) = sign_anew(app, channel)?;
    let kept = app
        .store()
        .change_channel(member.org.id, channel.id, &changed)
        .await?;
    audit(app, member, "channel.renew-secret", &kept).await?;
    let notice = "Messages are signed with this secret now, and with the last one as well, until the next is made.";
    let news = News {
        notice: Some(Notice::done(notice)),
        signing: Some(signing.text()),
    };
    show(app, member, &kept, None, &[], news).await
}

async fn remove(app: &App, member: &Member, channel: &Channel) -> Result<Response, PageError> {
    // A second click finds it removed, and sees so.
    let org = member.org.id;
    if app
        .store()
        .remove_channel(org, channel.id, now())
        .await?
        .is_some()
    {
        audit(app, member, "channel.remove", channel).await?;
    }
    Ok(back(member))
}

#[derive(serde::Deserialize)]
pub(crate) struct AgainForm {
    csrf: String,
}

/// `POST /o/{org}/settings/notifications/deliveries/{id}`: sends a message again that was given up.
pub(crate) async fn send_again(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, i64)>,
    Form(form): Form<AgainForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let (org, who) = (member.org.id, member.who());
    let sent = app.store().send_again(org, id, now()).await;
    let notice = match sent {
        Ok(None) => return Ok(back(&member)),
        Ok(Some(_)) => {
            app.teller().wake();
            app.store()
                .audit(org, now(), who, "delivery.send-again", &id.to_string())
                .await?;
            Notice::done("The message is being sent again.")
        }
        Err(StoreError::Conflict(why)) => Notice::failed(&format!("Nothing was sent: {why}.")),
        Err(error) => return Err(error.into()),
    };
    show_list(&app, &member, &NotificationsQuery::default(), Some(notice)).await
}

fn back(member: &Member) -> Response {
    let address = format!("/o/{}/settings/notifications", member.org.slug);
    Redirect::to(&address).into_response()
}
