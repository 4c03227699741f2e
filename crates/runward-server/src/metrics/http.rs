//! Requests and their answers.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::histogram;
use crate::app::App;

/// The route of a request to an address that there is not.
const NOWHERE: &str = "none";
/// The status of a request whose client left, or that took too long.
const UNANSWERED: &str = "none";

/// What is counted of requests, by the address as the program writes it, with its parameters in braces.
#[derive(Clone, Debug)]
pub(crate) struct HttpMetrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram>,
    under_way: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: &'static str,
}

impl Default for HttpMetrics {
    fn default() -> HttpMetrics {
        HttpMetrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            under_way: Gauge::default(),
        }
    }
}

impl HttpMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests by method, route and class of the answer's status; `none` where there was no such route or no answer",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long requests took until the answer began",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "http_requests_under_way",
            "Requests that are being answered",
            self.under_way.clone(),
        );
    }

    fn begin(&self, method: &'static str, route: String) -> UnderWay<'_> {
        self.under_way.inc();
        UnderWay {
            metrics: self,
            asked: Asked { method, route },
            status: UNANSWERED,
            began: Instant::now(),
        }
    }
}

/// A request, which is counted when it is over: also one that is given up.
struct UnderWay<'a> {
    metrics: &'a HttpMetrics,
    asked: Asked,
    status: &'static str,
    began: Instant,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.metrics.under_way.dec();
        let seconds = self.began.elapsed().as_secs_f64();
        self.metrics
            .seconds
            .get_or_create(&self.asked)
            .observe(seconds);
        let answered = Answered {
            method: self.asked.method,
            route: self.asked.route.clone(),
            status: self.status,
        };
        self.metrics.requests.get_or_create(&answered).inc();
    }
}

/// Counts a request.
pub(crate) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(NOWHERE, MatchedPath::as_str).to_owned();
    let mut under_way = app.metrics().http.begin(method(request.method()), route);
    let response = next.run(request).await;
    under_way.status = class(response.status());
    response
}

/// A method as a label: clients may invent others.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
