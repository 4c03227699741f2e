use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who a job is: the answer of `runward-ci`, as far as the environment tells.
///
/// Every field but `provider` may be missing. All of it is a claim of the environment that the job started in:
/// enough to label a report, not to authorise anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobIdentity {
    /// The CI system, or `local` outside of one.
    pub provider: Provider,
    /// The project's full name, such as `group/app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The pipeline file or name, such as `.github/workflows/ci.yml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The job's name inside the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The provider's id of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which try of the run this is, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The branch or tag that is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that is built, as the provider writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The account that started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why the run started, in the provider's word (`push`, `schedule`, `merge_request_event`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Where a person finds the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What a job was made with, so that a reader sees when that changed. Each text changes when the thing does, and says
/// nothing else; what is not known is missing. All of it is the word of the environment and of the workspace: fit to
/// explain a change, unfit to authorise one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobContext {
    /// Whether the branch or tag is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// Whether it builds a request from a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<bool>,
    /// Whether the machine is the provider's, and not a user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted: Option<bool>,
    /// The image of the machine or container, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// SHA-256 of the file that describes the pipeline, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_file: Option<String>,
    /// SHA-256 of the actions and other parts that this file pins, in the order of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<String>,
    /// SHA-256 of the lockfiles of dependencies in the workspace, in the order of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockfiles: Option<String>,
}

impl JobContext {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == JobContext::default()
    }
}

/// A CI system that Runward recognises.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Provider {
    /// No CI system: a person's own machine.
    #[default]
    Local,
    /// GitHub Actions.
    Github,
    /// GitLab CI/CD.
    Gitlab,
    /// Gitea or Forgejo Actions.
    Gitea,
    /// Jenkins.
    Jenkins,
    /// Azure Pipelines.
    Azure,
    /// CircleCI.
    Circleci,
    /// Buildkite.
    Buildkite,
    /// Bitbucket Pipelines.
    Bitbucket,
    /// Woodpecker CI.
    Woodpecker,
    /// Drone.
    Drone,
    /// Something that sets `CI` but that Runward does not know by name.
    #[serde(other)]
    Unknown,
}

/// What is done about traffic that the policy does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Recorded.
    Audit,
    /// Recorded and stopped.
    Block,
}

impl Mode {
    /// The word for it, in records and settings.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Audit => "audit",
            Mode::Block => "block",
        }
    }
}

/// What this machine's kernel lets Runward do. Found by trying to load, never from version numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tier {
    /// BPF trampolines work: bad acts on files, memory and the agent can be prevented.
    A,
    /// No trampolines: bad acts are detected.
    B,
}
