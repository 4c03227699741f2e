//! What the server counts of itself, for whoever runs it.
//!
//! Counting is an addition to a number in memory; only a scrape makes text of it.
//!
//! **Architecture invariant.** The values of every label are a list in this program. Nothing that somebody sends, and no
//! name of an organisation, a machine or a run, becomes one: it would tell of private things, and grow without bound.

mod database;
mod http;
mod ingest;
mod notify;
mod objects;
mod process;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use runward_store::Store;

use self::database::Database;
pub(crate) use self::http::{HttpMetrics, count, method};
pub(crate) use self::ingest::{IngestMetrics, Room};
pub(crate) use self::notify::NotifyMetrics;
pub(crate) use self::objects::ObjectMetrics;
use self::process::Process;
pub(crate) use self::work::{Outcome, WorkMetrics};

/// What a scrape is answered with (OpenMetrics 1.0).
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters that are told apart by so many labels.
pub(crate) type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Histograms<const N: usize> = Family<Labels<N>, Histogram>;

/// Seconds in which most of what is done here is done, and in which it must not be.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// Counters that begin at 0 for each of these values, so that the first one that is counted shows as a change.
fn counters(label: &'static str, values: &[&'static str]) -> Counters<1> {
    let counters = Counters::default();
    for value in values {
        drop(counters.get_or_create(&[(label, *value)]));
    }
    counters
}

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) http: HttpMetrics,
    pub(crate) ingest: IngestMetrics,
    pub(crate) work: WorkMetrics,
    pub(crate) notify: NotifyMetrics,
    pub(crate) objects: ObjectMetrics,
    logins: Counters<2>,
    /// By the limit that was reached.
    pub(crate) slowed: Counters<1>,
}

/// How somebody logs in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Password,
    Provider,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login {
    Succeeded,
    Failed,
    /// There were too many attempts.
    Slowed,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let metrics = Metrics {
            registry: Registry::default(),
            http: HttpMetrics::default(),
            ingest: IngestMetrics::default(),
            work: WorkMetrics::default(),
            notify: NotifyMetrics::default(),
            objects: ObjectMetrics::default(),
            logins: Counters::default(),
            slowed: counters("limit", &["asking", "sending", "guessing"]),
        };
        for (way, login) in [
            (Way::Password, Login::Succeeded),
            (Way::Password, Login::Failed),
            (Way::Password, Login::Slowed),
            (Way::Provider, Login::Succeeded),
            (Way::Provider, Login::Failed),
        ] {
            drop(metrics.logins.get_or_create(&labels(way, login)));
        }
        metrics.registered()
    }
}

impl Metrics {
    /// These, and what is known of the database and the room for batches at the moment of a scrape.
    pub(crate) fn watching(mut self, store: &Arc<dyn Store>, room: Room) -> Metrics {
        let registry = self.registry.sub_registry_with_prefix("runward");
        registry.register_collector(Box::new(Database(Arc::clone(store))));
        registry.register_collector(Box::new(room));
        self
    }

    fn registered(mut self) -> Metrics {
        self.registry.register_collector(Box::new(Process));
        let registry = self.registry.sub_registry_with_prefix("runward");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", version);
        self.http.register(registry);
        self.ingest.register(registry);
        self.work.register(registry);
        self.notify.register(registry);
        self.objects.register(registry);
        registry.register(
            "logins",
            "Attempts of people to log in, by way and outcome",
            self.logins.clone(),
        );
        registry.register(
            "rate_limited_requests",
            "Requests that got 429, by the limit: of keys and people that ask, of those that send records, of clients without a valid key",
            self.slowed.clone(),
        );
        self
    }

    /// Counts that somebody tried to log in.
    pub(crate) fn login(&self, way: Way, login: Login) {
        self.logins.get_or_create(&labels(way, login)).inc();
    }

    fn scraped(&self) -> Response {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
            // Writing to a String does not fail.
            Err(_) => axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

fn labels(way: Way, login: Login) -> Labels<2> {
    let way = match way {
        Way::Password => "password",
        Way::Provider => "oidc",
    };
    let outcome = match login {
        Login::Succeeded => "ok",
        Login::Failed => "failed",
        Login::Slowed => "too-many",
    };
    [("way", way), ("outcome", outcome)]
}

/// What the address for metrics answers.
pub(crate) fn router(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(async move || metrics.scraped()))
}
