//! A bucket of an S3-compatible store: what the settings say of it, and opening it.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

/// How long it may take to reach the store.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request to it may take. An agent waits a minute for its acknowledgement.
const REQUEST: Duration = Duration::from_secs(15);
/// A request that failed is not sent again once so much time has passed since the first attempt.
const RETRY_WITHIN: Duration = Duration::from_secs(10);
/// How often a request that failed is sent again. Agents try again by themselves, so it is only for what passes.
const RETRIES: usize = 2;
/// Characters of a bucket's name (Amazon S3, "General purpose bucket naming rules").
const NAME: std::ops::RangeInclusive<usize> = 3..=63;

/// Where the bucket's name stands in addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// `https://endpoint/bucket`: what every store understands.
    #[default]
    Path,
    /// `https://bucket.endpoint`.
    Host,
}

/// A bucket, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// Without a `/` at its ends; may be empty.
    pub(crate) prefix: String,
    /// `https://host:port`, without a `/` at its end; Amazon's own if there is none.
    pub(crate) endpoint: Option<String>,
    /// What the variables say, if there is none.
    pub(crate) region: Option<String>,
    pub(crate) addressing: Addressing,
    /// What requests are signed with; what the usual variables say or the machine gives, if there is none.
    pub(crate) secret: Option<Secret>,
}

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    id: String,
    key: String,
    token: Option<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

impl Bucket {
    /// Reads `s3://bucket/prefix`.
    pub(crate) fn parse(address: &str) -> Result<Bucket, &'static str> {
        let rest = address
            .strip_prefix("s3://")
            .ok_or("the address does not begin with s3://")?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !NAME.contains(&name.len()) || !name.bytes().all(plain) {
            return Err(
                "the name of a bucket has 3 to 63 small letters, digits, `.` and `-`: write s3://bucket/prefix",
            );
        }
        let prefix = prefix.trim_matches('/');
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-=".contains(&byte))
                && part.bytes().any(|byte| byte != b'.')
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err("the prefix has other characters than letters, digits and `._-=/`");
        }
        Ok(Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
            addressing: Addressing::default(),
            secret: None,
        })
    }

    /// Makes ready to ask it.
    pub(super) fn open(&self) -> object_store::Result<AmazonS3> {
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST)
            .with_allow_http(self.is_plain());
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRY_WITHIN,
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.name)
            .with_virtual_hosted_style_request(self.addressing == Addressing::Host)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = self.endpoint() {
            // This one is stronger than all that variables may say.
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(secret) = &self.secret {
            builder = builder
                .with_access_key_id(&secret.id)
                .with_secret_access_key(&secret.key);
            if let Some(token) = &secret.token {
                builder = builder.with_token(token);
            }
        }
        builder.build()
    }

    /// The endpoint as the client wants it: with the bucket's name in the host, where that is the way.
    fn endpoint(&self) -> Option<String> {
        let endpoint = self.endpoint.as_ref()?;
        match (self.addressing, endpoint.split_once("://")) {
            (Addressing::Host, Some((scheme, host))) => {
                Some(format!("{scheme}://{}.{host}", self.name))
            }
            _ => Some(endpoint.clone()),
        }
    }

    /// Whether the endpoint is spoken to without TLS.
    fn is_plain(&self) -> bool {
        self.endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

impl Secret {
    /// Reads a file as Amazon's own tools have it: lines `aws_access_key_id = …`, of which the first profile counts.
    pub(crate) fn parse(text: &str) -> Result<Secret, &'static str> {
        let mut lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
            .peekable();
        lines.next_if(|line| line.starts_with('['));
        let (mut id, mut key, mut token) = (None, None, None);
        for line in lines.take_while(|line| !line.starts_with('[')) {
            let (name, value) = line
                .split_once('=')
                .ok_or("a line is not of the form `name = value`")?;
            let value = Some(value.trim().to_owned());
            match name.trim() {
                "aws_access_key_id" => id = value,
                "aws_secret_access_key" => key = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
        Ok(Secret {
            id: id.ok_or("aws_access_key_id is missing")?,
            key: key.ok_or("aws_secret_access_key is missing")?,
            token,
        })
    }
}
