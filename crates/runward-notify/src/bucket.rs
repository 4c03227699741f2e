//! A bucket that messages are put into.

use std::fmt;

use crate::address::Allowed;
use crate::target::{HookUrl, TargetError};

/// Bytes of a region's name, and of what requests are signed with.
const REGION_MAX: usize = 60;
const KEY_MAX: usize = 300;

/// A bucket of somebody's own, and what requests to it are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What names of objects begin with, without a `/` at its ends; may be empty.
    pub prefix: String,
    /// Where the store listens.
    pub endpoint: HookUrl,
    /// The region that is signed for.
    pub region: String,
    /// The name of the key.
    pub key_id: String,
    /// The key.
    pub key: String,
}

/// A bucket as somebody writes it down.
#[derive(Clone, Copy, Debug, Default)]
pub struct BucketText<'a> {
    /// `s3://bucket/prefix`.
    pub bucket: &'a str,
    /// See [`Bucket::endpoint`]; Amazon's own in the region, if it is empty.
    pub endpoint: &'a str,
    /// See [`Bucket::region`]; `us-east-1`, if it is empty.
    pub region: &'a str,
    /// See [`Bucket::key_id`].
    pub key_id: &'a str,
    /// See [`Bucket::key`].
    pub key: &'a str,
}

impl Bucket {
    /// Reads it.
    pub fn parse(text: &BucketText<'_>, allowed: &Allowed) -> Result<Bucket, TargetError> {
        let rest = text.bucket.trim().strip_prefix("s3://");
        let rest = rest.ok_or(TargetError::NoBucket)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        // Amazon S3, "General purpose bucket naming rules".
        if !(3..=63).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(TargetError::NoBucket);
        }
        let is_part = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-=".contains(&b);
            part.bytes().all(plain) && part.bytes().any(|b| b != b'.')
        };
        if prefix.len() > 500 || !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(TargetError::NoBucket);
        }
        let region = match text.region.trim() {
            "" => "us-east-1",
            region => region,
        };
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if region.len() > REGION_MAX || !region.bytes().all(word) {
            return Err(TargetError::NoRegion);
        }
        let endpoint = match text.endpoint.trim() {
            "" => amazons(region),
            endpoint => endpoint.to_owned(),
        };
        let [key_id, key] = [text.key_id, text.key].map(str::trim);
        let visible = |key: &str| {
            (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
        };
        if !visible(key_id) || !visible(key) {
            return Err(TargetError::NoBucketKey);
        }
        Ok(Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: HookUrl::parse(&endpoint, allowed)?.bare()?,
            region: region.to_owned(),
            key_id: key_id.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Where the store listens, if that does not follow from the region.
    pub fn own_endpoint(&self) -> &str {
        let endpoint = self.endpoint.as_str();
        let follows = endpoint.trim_end_matches('/') == amazons(&self.region);
        if follows { "" } else { endpoint }
    }

    /// `s3://bucket/prefix`.
    pub fn address(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("s3://{}", self.name),
            prefix => format!("s3://{}/{prefix}", self.name),
        }
    }
}

/// Where Amazon's store listens in a region.
fn amazons(region: &str) -> String {
    format!("https://s3.{region}.amazonaws.com")
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_name_a_place_and_a_key() {
        let good = BucketText {
            bucket: "s3://acme-events/ci/runward/",
            key_id: "the-tests",
            key: "hush-hush",
            ..BucketText::default()
        };
        let parse = |text: BucketText<'_>| Bucket::parse(&text, &Allowed::default());
        let bucket = parse(good).unwrap();
        assert_eq!(bucket.address(), "s3://acme-events/ci/runward");
        assert_eq!(
            bucket.endpoint.as_str(),
            "https://s3.us-east-1.amazonaws.com/"
        );
        assert!(!format!("{bucket:?}").contains("hush"));
        assert_eq!(bucket.own_endpoint(), "");
        let endpoint = "https://s3.example";
        let other = parse(BucketText { endpoint, ..good }).unwrap();
        assert_eq!(other.own_endpoint(), "https://s3.example/");
        for bucket in [
            "acme",
            "s3://a",
            "s3://Acme-events",
            "s3://acme/../x",
            "s3://acme/a b",
        ] {
            let refused = parse(BucketText { bucket, ..good });
            assert_eq!(refused, Err(TargetError::NoBucket), "{bucket}");
        }
        let region = "a/b";
        assert_eq!(
            parse(BucketText { region, ..good }),
            Err(TargetError::NoRegion)
        );
        assert_eq!(
            parse(BucketText { key: "", ..good }),
            Err(TargetError::NoBucketKey)
        );
        for (endpoint, why) in [
            ("http://s3.example", TargetError::NotHttps),
            (
                "https://127.0.0.1",
                TargetError::NotPublic([127, 0, 0, 1].into()),
            ),
            ("https://s3.example/x", TargetError::NoUrl),
        ] {
            assert_eq!(
                parse(BucketText { endpoint, ..good }),
                Err(why),
                "{endpoint}"
            );
        }
    }
}
