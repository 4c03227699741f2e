//! The server's life: it listens, drains when it is told to end, and ends.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::admin::first_org;
use crate::app::App;
use crate::auth::Token;
use crate::listen::listen;
use crate::metrics;
use crate::notify::send_messages;
use crate::retention::keep_to_terms;
use crate::telemetry;
use crate::worker::work;

/// What every answer says to browsers. Nothing comes from elsewhere, nothing stands in line, nobody frames it.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Every address of the server but that of its metrics.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .merge(crate::api::router())
        .merge(crate::web::router());
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    let count = from_fn_with_state(app.clone(), metrics::count);
    let trace = from_fn(telemetry::trace);
    router.layer(count).layer(trace).with_state(app)
}

async fn ready(State(app): State<App>) -> Response {
    match app.store().ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database can't answer\n",
        )
            .into_response(),
    }
}

/// Serves and works until the process is told to end.
pub(crate) async fn serve(app: App) -> anyhow::Result<()> {
    let config = app.config().clone();
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "can't listen on {}: name another address with --listen",
            config.listen
        )
    })?;
    welcome(&app).await?;
    let (end, ends) = watch::channel(false);
    tell_metrics(&app, ends.clone()).await?;
    let mut workers = workers(&app, &ends);
    tracing::info!(address = %config.listen, public = config.public_url, "listening");
    let server = tokio::spawn(listen(listener, router(app), ends, config.drain));
    told_to_end().await?;
    tracing::info!("ending: requests that are under way may finish");
    let _ = end.send(true);
    if !server.await.unwrap_or(false) {
        tracing::warn!("some requests took too long and were broken off");
    }
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// What goes on without anybody asking, each on its own: deleting what is old may have to wait for a store that is slow,
/// and nothing else should.
fn workers(app: &App, ends: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    workers.spawn(work(app.clone(), ends.clone()));
    workers.spawn(keep_to_terms(app.clone(), ends.clone()));
    workers.spawn(send_messages(app.clone(), ends.clone()));
    workers
}

/// Says how to log in for the first time, as long as nobody can.
async fn welcome(app: &App) -> anyhow::Result<()> {
    let org = first_org(app).await?;
    if !app.store().users(org.id).await?.is_empty() {
        return Ok(());
    }
    let token = Token::generate()
        .context("there is no randomness for a token")?
        .text;
    #[expect(
        clippy::print_stderr,
        reason = "for the person who started the server, not for the log"
    )]
    {
        eprintln!("\nNobody can log in yet. Make the first person here, once:\n");
        eprintln!("    {}/setup?token={token}\n", app.config().public_url);
    }
    app.await_setup(token);
    Ok(())
}

/// Works without answering anybody.
pub(crate) async fn work_only(app: App) -> anyhow::Result<()> {
    let public = &app.config().public_url;
    if public.starts_with("http://127.0.0.1") {
        tracing::warn!(
            public,
            "links in notifications that this worker sends lead there: give it the --public-url of the servers"
        );
    }
    let (end, ends) = watch::channel(false);
    tell_metrics(&app, ends.clone()).await?;
    let mut workers = workers(&app, &ends);
    told_to_end().await?;
    let _ = end.send(true);
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// Answers scrapes at an address of their own, so that nobody reads metrics who only reaches the pages.
async fn tell_metrics(app: &App, ends: watch::Receiver<bool>) -> anyhow::Result<()> {
    let Some(address) = app.config().metrics_listen else {
        return Ok(());
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("can't listen on {address}: name another address with --metrics-listen")
    })?;
    tracing::info!(%address, "telling metrics");
    let router = metrics::router(Arc::clone(app.metrics()));
    // Nobody waits for it: a scrape that is under way at the end is tried again.
    tokio::spawn(listen(listener, router, ends, app.config().drain));
    Ok(())
}

/// Waits on a thread of its own. The runtime could wait for signals, too; but where all programs are built together, the
/// agent's runtime would then hold what that needs.
async fn told_to_end() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("can't handle signals")?;
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            // The first one ends the wait; a closed channel means that nobody waits any more.
            let _ = tell.send(signals.forever().next());
        })
        .context("can't start a thread")?;
    told.await.context("nobody waits for signals any more")?;
    Ok(())
}
