//! What every request and every worker shares.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runward_event::Time;
use runward_report::Report;
use runward_store::{Millis, Run, Store};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::auth::{Attempts, Fetch, Issuer, JobIssuer, Provider};
use crate::config::Config;
use crate::digest::fold;
use crate::ingest::Intake;
use crate::metrics::Metrics;
use crate::notify::Teller;
use crate::objects::Objects;
use crate::pages::deleted_when;
use crate::problem::Problem;
use crate::rates::Rates;

/// Reports that are kept for the next page of the same run. The largest have some tens of megabytes.
const REPORTS_MAX: usize = 8;

/// Reports that are made at once; others wait.
const FOLDING_MAX: usize = 2;
/// For how long they do.
const FOLDING_PATIENCE: Duration = Duration::from_secs(20);

/// The server, without its connections.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

struct Parts {
    config: Config,
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    objects: Objects,
    attempts: Attempts,
    intake: Intake,
    rates: Rates,
    /// Who may make a report now: the large ones take some hundred megabytes until they are made.
    folding: Semaphore,
    provider: Option<Provider>,
    job_issuers: Vec<JobIssuer>,
    teller: Teller,
    /// What the first person sets the server up with; none once there are people.
    setup: Mutex<Option<String>>,
    /// Newest last; a run's number, how many of its events are in it, and the report.
    reports: Mutex<VecDeque<(i64, i64, Arc<Report>)>>,
}

impl App {
    pub(crate) fn new(
        config: Config,
        store: Arc<dyn Store>,
        objects: Objects,
    ) -> anyhow::Result<App> {
        let fetch = Fetch::new(config.identity.ca.as_deref())?;
        let provider = config.identity.oidc.as_ref();
        let provider = provider.map(|oidc| Provider::new(oidc, &config.public_url, &fetch));
        let job_issuers = config.identity.ci_issuers.iter().map(|settings| JobIssuer {
            settings: settings.clone(),
            issuer: Issuer::new(&settings.address, &fetch),
        });
        let metrics = Metrics::default();
        let intake = Intake::new(metrics.ingest.turned_away.clone());
        let rates = Rates::new(metrics.slowed.clone());
        let objects = objects.counting(metrics.objects.clone());
        let metrics = metrics.watching(&store, intake.watched());
        Ok(App(Arc::new(Parts {
            job_issuers: job_issuers.collect(),
            teller: Teller::new(&config)?,
            provider,
            config,
            metrics: Arc::new(metrics),
            store,
            objects,
            attempts: Attempts::default(),
            intake,
            rates,
            folding: Semaphore::new(FOLDING_MAX),
            setup: Mutex::default(),
            reports: Mutex::default(),
        })))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.0.objects
    }

    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    pub(crate) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// The identity provider that people log in with, where there is one.
    pub(crate) fn provider(&self) -> Option<&Provider> {
        self.0.provider.as_ref()
    }

    /// What people call it.
    pub(crate) fn provider_name(&self) -> Option<&str> {
        self.provider()
            .map(|provider| provider.settings.name.as_str())
    }

    /// Who signs tokens of jobs.
    pub(crate) fn job_issuers(&self) -> &[JobIssuer] {
        &self.0.job_issuers
    }

    /// What tells people.
    pub(crate) fn teller(&self) -> &Teller {
        &self.0.teller
    }

    /// From now on, whoever has this token may make the first person.
    pub(crate) fn await_setup(&self, token: String) {
        *self.0.setup.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    pub(crate) fn is_setup_token(&self, token: &str) -> bool {
        let setup = self.0.setup.lock().unwrap_or_else(PoisonError::into_inner);
        // Both are hashed, so that the time of comparing tells nothing of the token.
        setup
            .as_ref()
            .is_some_and(|known| Sha256::digest(known) == Sha256::digest(token))
    }

    /// Takes the token away from everybody else; whether it was the right one.
    pub(crate) fn take_setup_token(&self, token: &str) -> bool {
        let mut setup = self.0.setup.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &String| Sha256::digest(known.as_str()) == Sha256::digest(token);
        setup.take_if(|known| is_it(known)).is_some()
    }

    pub(crate) fn forget_setup_token(&self) {
        *self.0.setup.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn known_report(&self, run: &Run) -> Option<Arc<Report>> {
        let reports = self
            .0
            .reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = reports
            .iter()
            .find(|known| known.0 == run.number && known.1 == run.events);
        known.map(|known| Arc::clone(&known.2))
    }

    /// The report of a run, made of its events.
    pub(crate) async fn report(&self, run: &Run) -> Result<Arc<Report>, Problem> {
        if let Some(deleted) = run.events_deleted {
            let when = deleted_when(deleted);
            return Err(Problem::gone(format!(
                "the events of this run were deleted {when}"
            )));
        }
        if let Some(report) = self.known_report(run) {
            return Ok(report);
        }
        let made = self.0.folding.acquire();
        let Ok(Ok(_made)) = tokio::time::timeout(FOLDING_PATIENCE, made).await else {
            return Err(Problem::unavailable(
                "too many reports are asked for at once; ask again later",
            ));
        };
        // Others who wanted the same one may have waited, too.
        if let Some(report) = self.known_report(run) {
            return Ok(report);
        }
        let batches = self.store().batches(run.number).await?;
        let report = Arc::new(fold(self.objects(), &batches).await?.report);
        let mut reports = self
            .0
            .reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reports.retain(|known| known.0 != run.number);
        if reports.len() >= REPORTS_MAX {
            reports.pop_front();
        }
        reports.push_back((run.number, run.events, Arc::clone(&report)));
        Ok(report)
    }
}

/// The server's clock.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// A time of an event.
pub(crate) fn millis(time: Time) -> Millis {
    Millis::try_from(time.unix_nanos() / 1_000_000).unwrap_or(Millis::MAX)
}
