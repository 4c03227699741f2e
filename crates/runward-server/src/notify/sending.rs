//! The work of sending: bounded at any moment, and in nobody's way.

use std::sync::Arc;
use std::time::Duration;

use runward_notify::{Failure, FailureKind, Message, Target, settle, test};
use runward_store::{Channel, Keep, Millis, Parcel, Settled, Taken, Taker};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument as _, info_span};

use super::teller::{TellError, message_id, refused};
use crate::app::{App, now};
use crate::auth::Token;
use crate::problem::Problem;

/// How often it is looked whether something waits, where nobody says so.
const TICK: Duration = Duration::from_millis(500);
/// Channels that are sent to at once.
const AT_ONCE: usize = 16;
/// How many times as long as one message may take a worker has a channel, from when it begins one.
const LEASE: u32 = 6;
/// How often what is over is tidied away.
const TIDY: Duration = Duration::from_secs(60);
/// How long messages that ended are kept, in hours, and how many of one organisation.
const KEPT_HOURS: Millis = 30 * 24;
const KEPT: i64 = 10_000;
/// How long it is known what a channel was told, in hours: longer than any quiet time; and how much of it.
const TOLD_HOURS: Millis = 60 * 24;
const TOLD: i64 = 10_000;

/// Sends what waits until it is told to end.
pub(crate) async fn send_messages(app: App, mut ends: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    let mut tidied: Option<Instant> = None;
    let name = match Token::generate() {
        Ok(token) => token.text,
        Err(error) => {
            tracing::error!(%error, "no notification is sent: there is no randomness");
            return;
        }
    };
    say_about_keys(&app).await;
    loop {
        tokio::select! {
            _ = ends.changed() => break,
            () = sleep(TICK) => {}
            () = app.teller().news.notified() => {}
        }
        while under_way.try_join_next().is_some() {}
        if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
            tidied = Some(Instant::now());
            tidy(&app).await;
        }
        // A server without a key sends to channels that have no secret.
        let key = app.teller().key().unwrap_or_default().to_owned();
        let taker = Taker {
            name: name.clone(),
            key,
        };
        let free = u32::try_from(room.available_permits()).unwrap_or(0);
        if free == 0 {
            continue;
        }
        let taken = app.store().take(&taker, free, now(), lease(&app)).await;
        let taken = match taken {
            Ok(taken) => taken,
            // It is tried again with the next tick.
            Err(error) => {
                tracing::warn!(%error, "it could not be looked up which messages wait");
                continue;
            }
        };
        for taken in taken {
            let (app, taker, ends) = (app.clone(), taker.clone(), ends.clone());
            let place = Arc::clone(&room).acquire_owned().await;
            let id = taken.channel.id;
            let span = info_span!("notify.channel", runward.channel = id);
            let delivering = async move {
                if let Err(problem) = deliver(&app, &taker, taken, &ends).await {
                    tracing::warn!(
                        channel = id,
                        detail = problem.detail(),
                        "what came of a message could not be noted"
                    );
                }
                drop(place);
            };
            under_way.spawn(delivering.instrument(span));
        }
    }
    // What is being sent may arrive, and then it should be known that it has.
    let patience = app.config().notify.patience * 3;
    let ended = timeout(patience, async {
        while under_way.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!("some messages took too long; another server sends them again");
    }
}

/// Breaks off what takes longer than a channel is held: an API is asked several things for one message.
async fn in_time(
    app: &App,
    sent: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let patience = app.config().notify.patience * (LEASE - 1);
    timeout(patience, sent).await.unwrap_or_else(|_| {
        Err(Failure {
            error: "it took too long in all".to_owned(),
            kind: FailureKind::Passing,
            after: None,
        })
    })
}

/// Until when a channel is held that is taken now.
fn lease(app: &App) -> Millis {
    let lease = app.config().notify.patience * LEASE;
    now().saturating_add(Millis::try_from(lease.as_millis()).unwrap_or(Millis::MAX))
}

async fn say_about_keys(app: &App) {
    let known = match app.store().sealing_keys().await {
        Ok(known) if !known.is_empty() => known,
        _ => return,
    };
    match app.teller().key() {
        Ok(own) if known.iter().all(|key| key == own) => {}
        Ok(_) => tracing::warn!(
            "some channels of notifications were made with another key for secrets: this server sends nothing to them"
        ),
        Err(error) => tracing::warn!(%error, "nothing is sent to channels with secrets"),
    }
}

async fn tidy(app: &App) {
    let notify = &app.config().notify;
    let ago = |hours: Millis| now().saturating_sub(hours.saturating_mul(notify.hour));
    let keep = Keep {
        due_since: now().saturating_sub(notify.pace.give_up),
        ended_since: ago(KEPT_HOURS),
        messages: KEPT,
        told_since: ago(TOLD_HOURS),
        told: TOLD,
    };
    if let Err(error) = app.store().tend_outbox(&keep, now()).await {
        tracing::warn!(%error, "old messages could not be tidied away");
    }
}

/// Sends messages of one channel, one after the other, until one fails.
async fn deliver(
    app: &App,
    taker: &Taker,
    taken: Taken,
    ends: &watch::Receiver<bool>,
) -> Result<(), Problem> {
    let channel = &taken.channel;
    let target = app.teller().target(channel, app.config());
    let mut failures = channel.health.failures;
    for due in &taken.messages {
        if *ends.borrow() {
            break;
        }
        let store = app.store();
        let mine = store.attempt(taker, channel.id, due.id, now(), lease(app));
        if !mine.await? {
            break;
        }
        let id = message_id(channel, due.id);
        let message = Message {
            id: &id,
            server: &app.config().public_url,
            org_slug: &taken.org_slug,
            org_name: &taken.org_name,
            parcel: &due.parcel,
            created_at: due.created_at,
        };
        let began = Instant::now();
        let came = match &target {
            Ok(target) => {
                let sent = app.teller().send(channel, target, &message, now());
                in_time(app, sent).await
            }
            Err(error) => Err(refused(&error.to_string())),
        };
        failures = if came.is_ok() { 0 } else { failures + 1 };
        let chance = getrandom::u32().unwrap_or_default();
        let pace = &app.config().notify.pace;
        let tried = (due.attempts + 1, due.since);
        let settled = settle(came, tried, failures, now(), chance, pace);
        let counts = &app.metrics().notify;
        counts.attempted(&settled, began.elapsed());
        match &settled {
            Settled::Delivered => {}
            Settled::Later { error, .. } => {
                tracing::info!(channel = channel.id, message = due.id, %error, "a message did not arrive yet");
            }
            Settled::Dead { error } => {
                tracing::warn!(channel = channel.id, message = due.id, %error, "a message was given up");
            }
        }
        store
            .settle(taker, channel.id, due.id, &settled, now())
            .await?;
        if matches!(settled, Settled::Later { .. }) {
            break;
        }
    }
    Ok(app.store().give_back(taker, channel.id, now()).await?)
}

/// Tries a channel at once; what went wrong, if something did. It is in the log afterwards.
pub(crate) async fn try_channel(
    app: &App,
    channel: &Channel,
    org: (&str, &str),
    by: &str,
) -> Result<Option<String>, Problem> {
    let (org_slug, org_name) = org;
    let told = test(&channel.kept.name, by, org_slug, now());
    let what = told.sentence.clone();
    let parcel: Parcel = std::iter::once(told).collect();
    let id = format!("{}_{}", message_id(channel, 0), now());
    let message = Message {
        id: &id,
        server: &app.config().public_url,
        org_slug,
        org_name,
        parcel: &parcel,
        created_at: now(),
    };
    let target: Result<Target, TellError> = app.teller().target(channel, app.config());
    let error = match target {
        Ok(target) => {
            let sent = app.teller().send(channel, &target, &message, now());
            in_time(app, sent).await.err().map(|failure| failure.error)
        }
        Err(error) => Some(error.to_string()),
    };
    app.store()
        .note_test(channel.org, channel.id, &what, error.as_deref(), now())
        .await?;
    Ok(error)
}
