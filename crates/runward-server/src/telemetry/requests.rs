//! A span for each request, as a part of the trace that it comes with.

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Instrument as _, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::metrics::method;

/// Answers a request inside of a span. The names of its fields are those of OpenTelemetry's conventions; of the address,
/// only the route is told.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str).unwrap_or_default();
    let method = method(request.method());
    let span = info_span!(
        "request",
        otel.name = format!("{method} {route}").trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if span.is_disabled() {
        return next.run(request).await;
    }
    if let Some(parent) = parent(request.headers()) {
        // It fails where nobody traces, and that is known to be otherwise.
        let _ = span.set_parent(parent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = i64::from(response.status().as_u16());
    span.record("http.response.status_code", status);
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The span that a request says it belongs to.
fn parent(headers: &HeaderMap) -> Option<Context> {
    let context = TraceContextPropagator::new().extract(&TraceParent(headers));
    context.has_active_span().then_some(context)
}

/// The one header of a trace that is read. `tracestate` is free text, which would be sent on.
struct TraceParent<'a>(&'a HeaderMap);

const TRACE_PARENT: &str = "traceparent";

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key).filter(|_| key == TRACE_PARENT)?;
        value.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACE_PARENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_gone_on_with_and_nothing_else_of_it_is_taken() {
        let parent = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACE_PARENT, value.parse().unwrap());
            headers.insert("tracestate", "vendor=secret".parse().unwrap());
            parent(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = parent(good).unwrap();
        let span = context.span().span_context().clone();
        assert_eq!(span.trace_id().to_string(), &good[3..35]);
        assert_eq!(span.trace_state().header(), "");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-x-y-01",
        ] {
            assert!(parent(bad).is_none(), "{bad}");
        }
    }
}
