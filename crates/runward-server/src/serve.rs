//! The server's life: it listens, drains when it is told to end, and ends.

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::admin::first_org;
use crate::app::App;
use crate::auth::Token;
use crate::listen::listen;
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

/// Every address of the server.
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
    router.with_state(app)
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
    let worker = tokio::spawn(work(app.clone(), ends.clone()));
    tracing::info!(address = %config.listen, public = config.public_url, "listening");
    let server = tokio::spawn(listen(listener, router(app), ends, config.drain));
    told_to_end().await?;
    tracing::info!("ending: requests that are under way may finish");
    let _ = end.send(true);
    if !server.await.unwrap_or(false) {
        tracing::warn!("some requests took too long and were broken off");
    }
    let _ = worker.await;
    Ok(())
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
    let (end, ends) = watch::channel(false);
    let worker = tokio::spawn(work(app, ends));
    told_to_end().await?;
    let _ = end.send(true);
    let _ = worker.await;
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
