//! Objects in a bucket of somebody's own: one for each message, with an event of OCSF in each line.
//!
//! It is the object store's library that signs and asks, by a client of ours: so a bucket's host is looked up and judged
//! as that of a webhook is. Nothing of the machine's own, no variable and no role, is ever used for it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use object_store::aws::AmazonS3Builder;
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, RetryConfig};
use reqwest::Client;
use runward_notify::{Bucket, Failure, FailureKind, Message, ocsf_lines};

/// The client that asks.
struct Ours(Client);

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ours")
    }
}

impl HttpConnector for Ours {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// Puts a message into a bucket. The same message has the same name, whenever it is sent.
pub(super) async fn put(
    client: &Client,
    patience: Duration,
    bucket: &Bucket,
    message: &Message<'_>,
) -> Result<(), Failure> {
    let store = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_endpoint(bucket.endpoint.as_str().trim_end_matches('/'))
        .with_virtual_hosted_style_request(false)
        .with_access_key_id(&bucket.key_id)
        .with_secret_access_key(&bucket.key)
        .with_retry(RetryConfig {
            // Messages are tried again as all others are.
            max_retries: 0,
            retry_timeout: patience,
            ..RetryConfig::default()
        })
        .with_http_connector(Ours(client.clone()))
        .build()
        .map_err(|error| failure(&error))?;
    let name = Key::from(name(bucket, message));
    let put = store.put(&name, ocsf_lines(message).into());
    put.await.map(drop).map_err(|error| failure(&error))
}

/// `prefix/2026-08-01/msg_….ndjson`, by the day on which the message was made.
fn name(bucket: &Bucket, message: &Message<'_>) -> String {
    let made = Timestamp::from_millisecond(message.created_at).unwrap_or_default();
    let day = made.strftime("%Y-%m-%d");
    let prefix = match bucket.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    format!("{prefix}{day}/{}.ndjson", message.id)
}

/// What went wrong, in words of ours: what a store says may quote what it was asked.
fn failure(error: &object_store::Error) -> Failure {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};

    let (told, kind) = match error {
        Unauthenticated { .. } | PermissionDenied { .. } => (
            "the bucket does not let this key put objects",
            FailureKind::Refused,
        ),
        NotFound { .. } => ("there is no such bucket", FailureKind::Refused),
        _ if is_private(error) => (
            "the name leads to no address of the public internet; whoever runs the server can allow its network with --notify-allow",
            FailureKind::Refused,
        ),
        _ => (
            "the bucket can't be reached, or did not take it",
            FailureKind::Passing,
        ),
    };
    Failure {
        error: told.to_owned(),
        kind,
        after: None,
    }
}

fn is_private(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.is::<super::reach::NotPublic>() {
            return true;
        }
        next = cause.source();
    }
    false
}
