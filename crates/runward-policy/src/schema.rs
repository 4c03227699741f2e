//! The shape of a policy file, for editors and for documents. [`crate::parse_file`] reads the file itself, because its
//! errors must point into it; a test holds both to the same files.

#![expect(
    dead_code,
    reason = "these types are never made: only their schema is wanted"
)]

use runward_event::Mode;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

/// The JSON Schema of a policy file. Committed as `docs/schema/policy.json`; a test keeps both equal.
pub fn policy_schema() -> Schema {
    schemars::schema_for!(PolicyFile)
}

/// An egress policy of Runward: what a job may connect to. The language is described in docs/policy.md.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "Runward egress policy")]
struct PolicyFile {
    /// What is done about traffic that the policy does not allow. `block` in any source wins.
    #[schemars(extend("type" = "string"))]
    egress_policy: Option<Mode>,
    /// What may be connected to. An empty list allows nothing; without this key, other sources decide.
    #[schemars(extend("type" = ["string", "array"]))]
    allowed_endpoints: Option<EndpointList>,
    /// What may not be connected to, whatever else allows it.
    #[schemars(extend("type" = ["string", "array"]))]
    denied_endpoints: Option<EndpointList>,
}

/// Endpoints: a list, or one text in which they are separated by white space or commas.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum EndpointList {
    /// Separated by white space or commas, with comments from `#` to the end of the line.
    Text(String),
    /// One by one.
    List(Vec<Entry>),
}

/// One endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Entry {
    /// `host[:ports][/tcp|/udp|/any]`, or `@group`.
    Text(String),
    /// An endpoint for some processes only, or with a reason.
    Map(EndpointEntry),
}

/// An endpoint for some processes only, or with a reason. A process must fit every key that is there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct EndpointEntry {
    /// `host[:ports][/tcp|/udp|/any]`, or `@group`.
    endpoint: String,
    /// Names of CI steps; `*` stands for any characters.
    #[schemars(extend("type" = ["string", "array"]))]
    steps: Option<Values>,
    /// Programs, by name or by path; `*` stands for any characters.
    #[schemars(extend("type" = ["string", "array"]))]
    executables: Option<Values>,
    /// Container images, with or without tag; `*` stands for any characters.
    #[schemars(extend("type" = ["string", "array"]))]
    images: Option<Values>,
    /// Why the endpoint is needed.
    #[schemars(extend("type" = "string"))]
    reason: Option<String>,
}

/// One value or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Values {
    /// One.
    One(String),
    /// Several.
    Several(#[schemars(length(min = 1, max = 64))] Vec<String>),
}
