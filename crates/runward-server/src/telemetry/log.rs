//! The log: lines for people, or JSON for programs, on standard error.

use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::Traces;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

impl Format {
    pub(crate) fn parse(word: &str) -> Option<Format> {
        match word {
            "text" => Some(Format::Text),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// From now on, what the program says is told: the log here, and spans as traces, if there are any.
pub(crate) fn start(format: Format, traces: Option<&Traces>) {
    let wanted = EnvFilter::try_from_env("RUNWARD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Spans are for traces. In a line they would only repeat what it says.
    let wanted = wanted.and(filter_fn(|about| about.is_event()));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_filter(wanted).boxed(),
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            let lines = lines.with_current_span(false).with_span_list(false);
            lines.with_filter(wanted).boxed()
        }
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(traces.map(Traces::layer))
        .init();
}
