use runward_event::Provider;
use serde::{Deserialize, Serialize};

use crate::{ChannelKind, Millis, Notification, Parcel, ProjectId, Severity};

/// The detection of a call that the fence stopped.
pub const BLOCKED_CALL: &str = "outbound-call-blocked";
/// The detections of calls that are not normal for a job.
pub const ANOMALOUS_CALLS: [&str; 3] = [
    "anomalous-outbound-call",
    "anomalous-data-volume",
    "anomaly-storm",
];
/// Calls that an outcome tells one by one. The rest is counted.
pub const CALLS_TOLD_MAX: usize = 10;
/// Runs of one job in one pipeline that are taken together: a matrix has at most 256.
pub const TOGETHER_MAX: u32 = 300;

/// Of which runs a channel is told how they came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunScope {
    /// Of none.
    #[default]
    None,
    /// Of those of pull and merge requests.
    Requests,
    /// Of all.
    All,
}

impl RunScope {
    /// Every one.
    pub const ALL: [RunScope; 3] = [RunScope::None, RunScope::Requests, RunScope::All];

    /// Its name in forms and JSON.
    pub fn word(self) -> &'static str {
        match self {
            RunScope::None => "none",
            RunScope::Requests => "requests",
            RunScope::All => "all",
        }
    }

    /// The one of this name.
    pub fn parse(word: &str) -> Option<RunScope> {
        RunScope::ALL.into_iter().find(|scope| scope.word() == word)
    }
}

/// How far the runs of an outcome have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeState {
    /// One of them goes on.
    Running,
    /// All have ended.
    Ended,
    /// One has fallen silent before its end: nobody knows what it did.
    Silent,
}

/// How a job came out, for those who stand at its commit. A job may be several runs: of a matrix, or of several commands
/// that were watched. What the provider calls one job has one outcome, so that a run that is well can't hide one that is
/// not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The same whenever it is told, and of nothing else.
    pub id: String,
    /// The CI system.
    pub provider: Provider,
    /// The project's number here.
    #[serde(skip)]
    pub project: Option<ProjectId>,
    /// Its full name.
    pub project_name: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job.
    pub job: String,
    /// The commit that was built.
    pub commit: String,
    /// The provider's id of the pipeline's run.
    pub provider_run: Option<String>,
    /// Whether it is of a pull or merge request.
    pub request: bool,
    /// How far it has come.
    pub state: OutcomeState,
    /// How many runs it is made of.
    pub runs: i64,
    /// When the first of them began.
    pub started_at: Millis,
    /// When something came of them last.
    pub last_seen_at: Millis,
    /// Calls that were stopped, and that no rule hides.
    pub blocked: i64,
    /// Calls that are not normal, and that no rule hides.
    pub anomalous: i64,
    /// The first of both.
    pub first: Vec<BadCall>,
    /// Events that were lost.
    pub lost: i64,
    /// The page with the evidence: a path of this server.
    pub link: String,
}

/// A call that should not have been made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadCall {
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one sentence without its full stop.
    pub sentence: String,
}

impl Outcome {
    /// Calls that should not have been made.
    pub fn bad(&self) -> i64 {
        self.blocked.saturating_add(self.anomalous)
    }

    /// Whether all has ended, and no call was made that should not have been.
    pub fn passed(&self) -> bool {
        self.state == OutcomeState::Ended && self.bad() == 0
    }

    /// What there is to say, in a few words of this server's own.
    pub fn title(&self) -> String {
        let mut parts = Vec::new();
        for (n, what) in [(self.blocked, "blocked"), (self.anomalous, "anomalous")] {
            match n {
                ..=0 => {}
                1 => parts.push(format!("1 {what} call")),
                n => parts.push(format!("{n} {what} calls")),
            }
        }
        let calls = parts.join(", ");
        match (self.state, calls.is_empty()) {
            (OutcomeState::Running, _) => "The job is being watched".to_owned(),
            (OutcomeState::Ended, true) => "No anomalous or blocked call".to_owned(),
            (OutcomeState::Ended, false) => calls,
            (OutcomeState::Silent, true) => "The agent fell silent before the job ended".to_owned(),
            (OutcomeState::Silent, false) => {
                format!("{calls}; the agent fell silent before the job ended")
            }
        }
    }

    /// The message that tells it.
    pub fn parcel(&self, now: Millis) -> Parcel {
        let gravest = self.first.iter().map(|call| call.severity).max();
        let told = Notification {
            kind: match (self.state, self.passed()) {
                (OutcomeState::Running, _) => "job-began",
                (_, true) => "job-passed",
                (_, false) => "job-not-passed",
            }
            .to_owned(),
            severity: gravest.unwrap_or_default(),
            sentence: format!("{}, {}: {}", self.project_name, self.job, self.title()),
            at: now,
            details: Vec::new(),
            link: self.link.clone(),
            repeats: 0,
        };
        Parcel {
            outcome: Some(Box::new(self.clone())),
            ..[told].into_iter().collect()
        }
    }

    /// Whether its commit can be found at its provider. All of it is the job's word.
    pub fn has_place(&self) -> bool {
        is_repository(self.provider, &self.project_name) && is_commit(&self.commit)
    }
}

/// Whether a run is one of a pull or merge request, by what it says of itself.
pub fn is_request(provider: Provider, branch: Option<&str>, trigger: Option<&str>) -> bool {
    match provider {
        // `7/merge`: then the commit is one that the provider made of the request's last one and of its target's. With
        // `pull_request_target` it is the target's, which is nothing of the request.
        Provider::Github | Provider::Gitea => branch.is_some_and(|branch| {
            let branch = branch.strip_prefix("pull/").unwrap_or(branch);
            let number = branch.strip_suffix("/merge");
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        }),
        Provider::Gitlab => trigger == Some("merge_request_event"),
        _ => false,
    }
}

/// Whether this can be a commit: a hash in SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    matches!(text.len(), 40 | 64) && text.bytes().all(hex)
}

/// Whether this can be a project's full name there, of which an address can be made.
fn is_repository(provider: Provider, name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let part =
        |part: &str| part.chars().all(plain) && part.chars().any(|c| c != '.') && part.len() <= 255;
    let parts = name.split('/').count();
    let fits = match provider {
        Provider::Github => parts == 2 && name.is_ascii(),
        Provider::Gitlab => (2..=32).contains(&parts),
        _ => false,
    };
    fits && name.split('/').all(part)
}

impl ChannelKind {
    /// The provider at whose commits it stands, if it does. Such a channel is told of runs and of nothing else.
    pub fn stands_at(self) -> Option<Provider> {
        match self {
            ChannelKind::GithubCheck => Some(Provider::Github),
            ChannelKind::GitlabStatus => Some(Provider::Gitlab),
            _ => None,
        }
    }

    /// Whether it can be told how jobs came out.
    pub fn tells_outcomes(self) -> bool {
        use ChannelKind::{OtlpLogs, S3, Syslog, Webhook};

        matches!(self, Webhook | Syslog | OtlpLogs | S3) || self.stands_at().is_some()
    }

    /// Whether it is a record, that has everything, rather than news, of which the same is told once in a while.
    pub fn is_record(self) -> bool {
        use ChannelKind::{OtlpLogs, S3, Syslog};

        matches!(self, Syslog | OtlpLogs | S3)
    }

    /// Whether it is told of detections.
    pub fn tells_detections(self) -> bool {
        self.stands_at().is_none()
    }

    /// Whether it is told that a run has begun. A status of GitLab's that is running keeps the whole pipeline running,
    /// for ever if this server goes away meanwhile.
    pub fn tells_beginnings(self) -> bool {
        self == ChannelKind::GithubCheck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_repository_is_one() {
        for (provider, name, fits) in [
            (Provider::Github, "acme/app", true),
            (Provider::Github, "acme/.github", true),
            (Provider::Github, "acme/app/more", false),
            (Provider::Github, "acme", false),
            (Provider::Github, "acme/..", false),
            (Provider::Github, "../app", false),
            (Provider::Github, "acme/", false),
            (Provider::Github, "acme/a b", false),
            (Provider::Github, "acme/a?b", false),
            (Provider::Github, "acme/a%2fb", false),
            (Provider::Github, "acmé/app", false),
            (Provider::Gitlab, "group/app", true),
            (Provider::Gitlab, "group/sub/app", true),
            (Provider::Gitlab, "gruppe/größe", true),
            (Provider::Gitlab, "group/../app", false),
            (Provider::Gitlab, "group//app", false),
            (Provider::Gitlab, "app", false),
            (Provider::Jenkins, "group/app", false),
        ] {
            assert_eq!(is_repository(provider, name), fits, "{name}");
        }
    }

    #[test]
    fn only_what_can_be_a_commit_is_one() {
        for (text, fits) in [
            ("a".repeat(40), true),
            ("0".repeat(64), true),
            ("a".repeat(39), false),
            ("A".repeat(40), false),
            ("g".repeat(40), false),
            (String::new(), false),
        ] {
            assert_eq!(is_commit(&text), fits, "{text}");
        }
    }

    #[test]
    fn a_request_is_known_by_what_the_provider_builds_for_it() {
        use Provider::{Github, Gitlab};
        for (provider, branch, trigger, request) in [
            (Github, Some("7/merge"), Some("pull_request"), true),
            (Github, Some("pull/7/merge"), Some("pull_request"), true),
            (Github, Some("7/merge"), Some("pull_request_review"), true),
            (Github, Some("main"), Some("pull_request_target"), false),
            (Github, Some("x/merge"), Some("push"), false),
            (Github, Some("/merge"), Some("push"), false),
            (Github, None, Some("pull_request"), false),
            (
                Gitlab,
                Some("merge-requests/7/head"),
                Some("merge_request_event"),
                true,
            ),
            (Gitlab, Some("main"), Some("push"), false),
        ] {
            assert_eq!(is_request(provider, branch, trigger), request, "{branch:?}");
        }
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in RunScope::ALL {
            assert_eq!(RunScope::parse(scope.word()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.word());
        }
    }
}
