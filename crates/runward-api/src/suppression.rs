use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::object;
use crate::{Detection, examples};

/// Which detections a rule hides: those that have every field that is named here, with a value that fits the pattern.
///
/// In a pattern, `*` stands for any characters or none, `\*` for the star itself, and `\\` for the backslash; the whole
/// value has to fit. At least one field must ask for something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(example = examples::matches())]
pub struct Matches {
    /// The project's full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The pipeline file or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The job's name in the pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The kind of the detection, such as `outbound-call-blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The destination that it is about: `name:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The same without the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path of the program that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The path of the file that it is about, from the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The last part of that path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The kind of the secret that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// How it stands with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SuppressionState {
    /// It hides what it matches.
    Live,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Ended,
}

/// A rule that hides detections that are known and meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suppression {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What it hides.
    pub matches: Matches,
    /// Why.
    pub reason: String,
    /// How it stands.
    pub state: SuppressionState,
    /// How many detections it hides now.
    pub hides: i64,
    /// How many became new again when it ended.
    pub given_back: i64,
    /// Whether it still goes through older detections, to hide them or to give them back.
    pub busy: bool,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it ends by itself.
    pub expires_at_ms: Option<i64>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// Who ended it; nobody when it expired.
    pub ended_by: Option<String>,
}

/// Rules, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suppressions {
    /// The rules.
    pub suppressions: Vec<Suppression>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A rule that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::suppression())]
pub struct NewSuppression {
    /// What people will call it.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What it hides.
    #[serde(deserialize_with = "object")]
    pub matches: Matches,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
    /// When it ends by itself: later than now.
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
}

/// What a rule would hide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuppressionPreview {
    /// How many detections that are new now.
    pub hides: i64,
    /// Whether all new detections were looked at; else there may be more among the older ones.
    pub complete: bool,
    /// The newest of those that it would hide, at most 20.
    pub detections: Vec<Detection>,
}
