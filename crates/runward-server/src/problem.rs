//! What programs are told when a request fails (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runward_api::PolicyFault;
use runward_store::StoreError;
use serde::Serialize;

use crate::objects::ObjectError;

/// How long a client waits before it asks again, in seconds, where the fault is the server's.
const RETRY_AFTER: &str = "5";

/// A failed request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    faults: Vec<PolicyFault>,
}

#[derive(Serialize)]
struct Told<'a> {
    status: u16,
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "<[PolicyFault]>::is_empty")]
    faults: &'a [PolicyFault],
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem {
            status,
            title,
            detail: detail.into(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "the request can't be read", detail)
    }

    /// Also said of what belongs to somebody else, so that nobody learns that it is there.
    pub(crate) fn missing(what: &str) -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not found",
            format!("there is no such {what}"),
        )
    }

    /// It can be read, and can't be taken.
    pub(crate) fn not_possible(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not possible", detail)
    }

    /// The text of a policy has faults.
    pub(crate) fn policy(faults: Vec<PolicyFault>) -> Problem {
        Problem {
            faults,
            ..Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the policy can't be read",
                "nothing was changed; `faults` says what is wrong, and where",
            )
        }
    }

    /// It was there, and was deleted on purpose.
    pub(crate) fn gone(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::GONE, "gone", detail)
    }

    pub(crate) fn no_key() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "no valid key",
            "send `Authorization: Bearer` with a key of this server that is good for this",
        )
    }

    pub(crate) fn no_registration() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "no valid token",
            "the registration token was used, is older than an hour, or is none: make another one in Settings",
        )
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "not allowed", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not now", detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match error {
            StoreError::Missing(what) => Problem::missing(what),
            StoreError::Exists(_) => {
                Problem::new(StatusCode::CONFLICT, "exists already", error.to_string())
            }
            StoreError::Full(_) => {
                Problem::new(StatusCode::CONFLICT, "too many", error.to_string())
            }
            StoreError::Gone(why) => Problem::gone(why),
            StoreError::Conflict(why) => {
                Problem::new(StatusCode::CONFLICT, "not as things are", why)
            }
            StoreError::Unkeepable => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "can't be kept",
                error.to_string(),
            ),
            // The database's own words are for the log: they tell of its place and shape.
            other => {
                tracing::error!(error = %other, "the database failed");
                Problem::unavailable("the database can't answer; nothing was changed")
            }
        }
    }
}

impl From<ObjectError> for Problem {
    fn from(error: ObjectError) -> Problem {
        tracing::error!(%error, "the object store failed");
        Problem::unavailable("events can't be kept or read; nothing was acknowledged")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let told = Told {
            status: self.status.as_u16(),
            title: self.title,
            detail: &self.detail,
            faults: &self.faults,
        };
        let body = serde_json::to_vec(&told).unwrap_or_default();
        let kind = (header::CONTENT_TYPE, "application/problem+json");
        let mut response = (self.status, [kind], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE
            || self.status == StatusCode::TOO_MANY_REQUESTS
        {
            let after = HeaderValue::from_static(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }
}
