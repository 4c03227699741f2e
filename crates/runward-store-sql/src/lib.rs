//! The control plane's tables, in SQLite or in any database that speaks PostgreSQL's protocol.
//!
//! Both are one code: the SQL here is what they have in common, and [`Dialect`] is what they have not. So they can't come
//! to differ in what they mean, and the suite in `tests/` runs on each.
//!
//! SQLite has one writer at a time; so writing goes through a connection of its own, and waits there in order instead of
//! failing because the database is busy.
//!
//! **Architecture invariant.** Every value reaches the database as a parameter. Text of the SQL itself is only ever put
//! together from constants of this crate.

mod access;
mod anomalies;
mod baselines;
mod channels;
mod deliveries;
mod destinations;
mod detections;
mod digest;
mod filter;
mod ingest;
mod load;
mod members;
mod outbox;
mod outcomes;
mod overview;
mod policies;
mod removal;
mod retention;
mod runs;
mod schema;
mod sending;
mod store;
mod suppressions;
mod tidying;
mod trust;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use load::Waits;
use runward_store::StoreError;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, AssertSqlSafe, ConnectOptions as _, Executor as _, Transaction};

/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that read.
const READERS: u32 = 8;
/// Connections to PostgreSQL that write.
const WRITERS: u32 = 8;
/// SQLite has one writer at a time.
const SQLITE_WRITERS: u32 = 1;

/// A database.
#[derive(Clone, Debug)]
pub struct SqlStore {
    read: AnyPool,
    write: AnyPool,
    dialect: Dialect,
    waits: Arc<Waits>,
}

/// What happens as a whole or not at all.
pub(crate) type Change = Transaction<'static, Any>;

/// What the databases do not have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl SqlStore {
    /// Opens the database in this file, which is made if it is not there.
    ///
    /// What was written is on the disk when a method returns: the log of changes is written through (`synchronous=FULL`).
    pub async fn sqlite(file: &Path) -> Result<SqlStore, StoreError> {
        install_default_drivers();
        let address = format!("sqlite://{}?mode=rwc", file.display());
        let options: AnyConnectOptions = address.parse().map_err(unavailable)?;
        let options = options.disable_statement_logging();
        let pool = |most: u32| {
            AnyPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(PATIENCE)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        for setting in SQLITE_SETTINGS {
                            connection.execute(AssertSqlSafe(*setting)).await?;
                        }
                        Ok(())
                    })
                })
        };
        let write = pool(SQLITE_WRITERS)
            .connect_with(options.clone())
            .await
            .map_err(unavailable)?;
        let read = pool(READERS)
            .connect_with(options)
            .await
            .map_err(unavailable)?;
        Ok(SqlStore {
            read,
            write,
            dialect: Dialect::Sqlite,
            waits: Arc::default(),
        })
    }

    /// Connects to a database by its address (`postgres://…`).
    pub async fn postgres(address: &str) -> Result<SqlStore, StoreError> {
        install_default_drivers();
        let options: AnyConnectOptions = address.parse().map_err(unavailable)?;
        let options = options.disable_statement_logging();
        let pool = |most: u32| {
            AnyPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(PATIENCE)
        };
        let write = pool(WRITERS)
            .connect_with(options.clone())
            .await
            .map_err(unavailable)?;
        let read = pool(READERS)
            .connect_with(options)
            .await
            .map_err(unavailable)?;
        Ok(SqlStore {
            read,
            write,
            dialect: Dialect::Postgres,
            waits: Arc::default(),
        })
    }
}

impl SqlStore {
    /// Begins a change of several statements.
    ///
    /// A request may be given up at any moment, and so may the future that waits here. What it waits for goes on in a task
    /// of its own: sqlx 0.9.0 hands a connection on with an open transaction where `BEGIN` is given up half way
    /// (its issue 4393), and what others write there is then never committed.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let write = self.write.clone();
        let since = Instant::now();
        let begun = tokio::spawn(async move { write.begin().await }).await;
        self.waits.count(since);
        match begun {
            Ok(begun) => begun.map_err(unavailable),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }
}

impl SqlStore {
    pub(crate) fn writers(&self) -> u32 {
        match self.dialect {
            Dialect::Sqlite => SQLITE_WRITERS,
            Dialect::Postgres => WRITERS,
        }
    }
}

/// Of each connection to SQLite. The cache is in KiB.
const SQLITE_SETTINGS: &[&str] = &[
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
];

/// Every failure of a database that is not about what was asked: it may work later.
pub(crate) fn unavailable(error: sqlx::Error) -> StoreError {
    /// PostgreSQL's `character_not_in_repertoire`: what it says of a NUL. Requests are checked for it nowhere else.
    const NUL: &str = "22021";
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() == Some(NUL) {
        return StoreError::Unkeepable;
    }
    FAILURES.fetch_add(1, Ordering::Relaxed);
    StoreError::Unavailable(error.to_string())
}

/// All of the program's, as what fails is turned into an error by functions that know of no store.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// How often [`unavailable`] was the answer.
pub(crate) fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}

/// A failure to insert: a name that is taken is the caller's affair, all else the database's.
pub(crate) fn taken(what: &str) -> impl FnOnce(sqlx::Error) -> StoreError {
    let what = what.to_owned();
    move |error| match error.as_database_error() {
        Some(database) if database.is_unique_violation() => StoreError::Exists(what),
        _ => unavailable(error),
    }
}
