//! Traces, sent to a collector by OTLP over HTTP.
//!
//! Spans are gathered in a queue of bounded length, and sent by a thread of its own with a runtime of its own. When the
//! collector is away, spans are lost and nothing else is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, trace};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// What this program calls itself in traces, unless the standard variable says something else.
const SERVICE: &str = "runward-server";
/// How long sending spans may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the server's end waits for the last ones.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 64 << 10;

/// Spans on their way.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends them to a collector, which has the usual address below this one. Nothing is asked of it yet.
    ///
    /// How often a trace is begun, what else requests to the collector say, and more names of this server are taken from
    /// the standard variables (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`).
    pub(crate) fn start(endpoint: &str) -> anyhow::Result<Traces> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Collector::new()?)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .context("can't send traces")?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Traces { provider })
    }

    /// What makes them of the program's own spans. What is told in the log stays there: it may have names of jobs in it.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let wanted = dynamic_filter_fn(|about, context| {
            is_ours(about) && (ROOTS.contains(&about.name()) || context.lookup_current().is_some())
        });
        layer(self.provider.tracer(SERVICE)).with_filter(wanted.with_callsite_filter(|about| {
            if is_ours(about) {
                Interest::sometimes()
            } else {
                Interest::never()
            }
        }))
    }

    /// Sends what is left, within reason.
    pub(crate) fn end(self) {
        if self.provider.shutdown_with_timeout(END_PATIENCE).is_err() {
            tracing::debug!("the last spans could not be sent");
        }
    }
}

/// Spans that begin a trace. All others are a part of one or are not told: a worker that has nothing to do asks the
/// database that, several times a second.
const ROOTS: [&str; 2] = ["request", "worker.turn"];

fn is_ours(about: &Metadata<'_>) -> bool {
    about.is_span() && about.target().starts_with("runward")
}

fn layer<S, T>(tracer: T) -> OpenTelemetryLayer<S, T>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    T: trace::Tracer + 'static,
    T::Span: Send + Sync,
{
    OpenTelemetryLayer::new(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
}

fn resource() -> Resource {
    let named = Resource::builder_empty()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => named.with_service_name(name).build(),
        _ => named.build(),
    }
}

/// How the collector is spoken to: with the HTTP client of the object store, which trusts what the machine does.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    /// Of the thread that sends: it has no other.
    runtime: Runtime,
    is_away: AtomicBool,
}

impl Collector {
    fn new() -> anyhow::Result<Collector> {
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("can't send traces")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("can't send traces")?;
        Ok(Collector {
            client,
            runtime,
            is_away: AtomicBool::new(false),
        })
    }

    async fn ask(&self, request: reqwest::Request) -> reqwest::Result<Response<Bytes>> {
        let mut answer = self.client.execute(request).await?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await? {
            if body.len() + part.len() > ANSWER_MAX {
                break;
            }
            body.extend_from_slice(&part);
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }

    /// Says when it goes away and when it is back, and nothing in between.
    fn tell(&self, answered: &Result<Response<Bytes>, reqwest::Error>) {
        let why = match answered {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(error) => Some(root(error)),
        };
        match (why, self.is_away.load(Ordering::Relaxed)) {
            (Some(why), false) => {
                self.is_away.store(true, Ordering::Relaxed);
                tracing::warn!(why, "traces can't be sent; they are lost until it goes on");
            }
            (None, true) => {
                self.is_away.store(false, Ordering::Relaxed);
                tracing::info!("traces are sent again");
            }
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        // The thread that asks has nothing else to do.
        let answered = self.runtime.block_on(self.ask(request));
        self.tell(&answered);
        Ok(answered?)
    }
}

/// What is at the bottom of an error: the outer ones only repeat the address.
fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
