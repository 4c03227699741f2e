//! Asks identity providers: little, from addresses that the operator named, and never for long.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use ureq::http::{Request, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_MAX: u64 = 256 << 10;
/// Requests at once; each holds a thread.
const AT_ONCE: usize = 8;

/// A way to ask.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    agent: ureq::Agent,
    room: Arc<Semaphore>,
}

/// Nothing of use was answered.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {why}")]
pub(crate) struct FetchError {
    address: String,
    why: String,
    /// Whether it was answered, with a refusal.
    pub(crate) refused: bool,
}

/// Why a file of authorities can't be used.
#[derive(Debug, thiserror::Error)]
#[error("ca-file: there is no certificate in it that can be read")]
pub(crate) struct NoAuthority;

impl Fetch {
    /// Trusts these authorities (PEM), or the usual ones.
    pub(crate) fn new(ca: Option<&str>) -> Result<Fetch, NoAuthority> {
        let mut tls = TlsConfig::builder();
        if let Some(ca) = ca {
            let items: Result<Vec<PemItem<'_>>, _> = parse_pem(ca.as_bytes()).collect();
            let certificates: Vec<Certificate<'static>> = items
                .map_err(|_| NoAuthority)?
                .into_iter()
                .filter_map(|item| match item {
                    PemItem::Certificate(certificate) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(NoAuthority);
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls.build())
            .build();
        Ok(Fetch {
            agent: config.into(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// What is there, as JSON.
    pub(crate) async fn get(
        &self,
        address: &str,
        bearer: Option<&str>,
    ) -> Result<Value, FetchError> {
        let mut request = Request::get(address).header(header::ACCEPT, "application/json");
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        self.ask(address, request.body(String::new())).await
    }

    /// What is answered to a form, as JSON. `basic` is a user and a password.
    pub(crate) async fn post(
        &self,
        address: &str,
        basic: Option<&str>,
        form: String,
    ) -> Result<Value, FetchError> {
        let mut request = Request::post(address)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(basic) = basic {
            request = request.header(header::AUTHORIZATION, format!("Basic {basic}"));
        }
        self.ask(address, request.body(form)).await
    }

    async fn ask(
        &self,
        address: &str,
        request: ureq::http::Result<Request<String>>,
    ) -> Result<Value, FetchError> {
        let failed = |why: String| FetchError {
            address: address.to_owned(),
            why,
            refused: false,
        };
        let request = request.map_err(|error| failed(error.to_string()))?;
        let _room = self.room.acquire().await;
        let agent = self.agent.clone();
        let asked = tokio::task::spawn_blocking(move || -> Result<(u16, Vec<u8>), ureq::Error> {
            let mut response = agent.run(request)?;
            let status = response.status().as_u16();
            let body = response.body_mut().with_config().limit(ANSWER_MAX);
            Ok((status, body.read_to_vec()?))
        });
        let (status, body) = asked
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        if status != 200 {
            return Err(FetchError {
                refused: (400..500).contains(&status),
                ..failed(format!("the answer is {status}"))
            });
        }
        serde_json::from_slice(&body).map_err(|_| failed("the answer is not JSON".to_owned()))
    }
}
