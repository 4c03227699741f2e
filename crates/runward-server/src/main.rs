//! `runward-server`: the control plane. Every job of every project, on machines of one's own.
//!
//! One process does everything by default: it answers agents and people (`api/`, `web/`), and works through what came in
//! (`worker`). What it keeps is behind two boundaries: [`runward_store::Store`] for what is looked up, and objects for the
//! events themselves.
//!
//! **Architecture invariant.** A server holds no state that another one needs: what was acknowledged is in the database
//! and in the objects, and what is in memory only saves time.
//!
//! **Architecture invariant.** Everything that comes from a job is hostile. It is bounded where it comes in, and escaped by
//! the templates where it is shown; there is no way from it to a header, a link's scheme or a piece of SQL.

mod admin;
mod api;
mod app;
mod auth;
mod config;
mod digest;
mod ingest;
mod kinds;
mod learn;
mod listen;
mod metrics;
mod notify;
mod objects;
mod pages;
mod policy;
mod problem;
mod query;
mod rates;
mod retention;
mod serve;
mod telemetry;
mod trial;
mod web;
mod what_if;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use runward_store::Store as _;
use runward_store_sql::SqlStore;

use crate::app::App;
use crate::config::{Config, Options};
use crate::objects::Objects;
use crate::telemetry::Traces;

/// See the fleet: the control plane of Runward.
#[derive(Debug, Parser)]
#[command(name = "runward-server", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Answer agents and people, and work through what comes in
    Serve,
    /// Only work through what comes in, beside servers on the same database
    Worker,
    /// Bring the database to the shape that this version needs, and end
    Migrate,
    /// Make keys and users
    #[command(subcommand)]
    Admin(admin::Act),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = Config::new(&cli.options, |path| std::fs::read_to_string(path));
    let traces = traces(&cli.role, config.as_ref().ok());
    let format = config.as_ref().map(|config| config.log_format);
    telemetry::start(
        format.unwrap_or_default(),
        traces.as_ref().ok().and_then(Option::as_ref),
    );
    match config
        .map_err(Into::into)
        .and_then(|config| run(&cli, config, traces?))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Traces of what runs for long, if they are wanted.
fn traces(role: &Role, config: Option<&Config>) -> anyhow::Result<Option<Traces>> {
    let endpoint = config.and_then(|config| config.otlp.as_deref());
    match role {
        Role::Serve | Role::Worker => endpoint.map(Traces::start).transpose(),
        Role::Migrate | Role::Admin(_) => Ok(None),
    }
}

fn run(cli: &Cli, config: Config, traces: Option<Traces>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the threads of the server")?;
    let ended = runtime.block_on(async {
        let app = open(config).await?;
        if matches!(cli.role, Role::Serve | Role::Worker) {
            tokio::spawn(look_for_objects(app.clone()));
        }
        match &cli.role {
            Role::Serve => serve::serve(app).await,
            Role::Worker => serve::work_only(app).await,
            Role::Migrate => Ok(()),
            Role::Admin(act) => admin::act(&app, act).await,
        }
    });
    if let Some(traces) = traces {
        traces.end();
    }
    ended
}

/// Opens what the server keeps, and brings it to this version's shape.
async fn open(config: Config) -> anyhow::Result<App> {
    let store = match &config.database {
        Some(address) => SqlStore::postgres(address).await?,
        None => SqlStore::sqlite(&folder(&config.data)?.join("runward.db")).await?,
    };
    store.migrate().await?;
    let objects = match &config.objects {
        Some(bucket) => Objects::bucket(bucket)?,
        None => Objects::folder(&folder(&config.data.join("objects"))?)?,
    };
    App::new(config, Arc::new(store), objects)
}

/// Says early what is wrong with the place of the objects, such as credentials that are not good for it. The server
/// starts nevertheless: what is only away comes back.
async fn look_for_objects(app: App) {
    if let Err(error) = app.objects().list("events", 1).await {
        tracing::error!(%error, "the object store can't be used now");
    }
}

/// Makes a folder, unless it is there.
fn folder(path: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(path).with_context(|| {
        format!(
            "can't make the folder {}: name another one with --data",
            path.display()
        )
    })?;
    Ok(path.to_owned())
}
