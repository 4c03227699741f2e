use serde::{Deserialize, Serialize};

use crate::{Millis, News, OrgId, Outcome, OutcomeState, ProjectId, RunScope, Severity};

/// Channels of one organisation: each new detection is held against every one of them.
pub const CHANNELS_MAX: i64 = 50;

/// How a message gets to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// By mail.
    Email,
    /// To an address that Slack gave out for one of its channels.
    Slack,
    /// To a channel of Slack, as an app of the workspace.
    SlackBot,
    /// To an address that a workflow of Microsoft Teams gave out.
    Teams,
    /// To a program, signed.
    Webhook,
    /// To a system log elsewhere, line by line.
    Syslog,
    /// To a collector of OpenTelemetry's.
    OtlpLogs,
    /// To a bucket, as objects.
    S3,
    /// To the commit that a job built, as a check of GitHub's.
    GithubCheck,
    /// To the commit that a job built, as a status of GitLab's.
    GitlabStatus,
}

impl ChannelKind {
    /// Every one.
    pub const ALL: [ChannelKind; 10] = [
        ChannelKind::Email,
        ChannelKind::Slack,
        ChannelKind::SlackBot,
        ChannelKind::Teams,
        ChannelKind::Webhook,
        ChannelKind::Syslog,
        ChannelKind::OtlpLogs,
        ChannelKind::S3,
        ChannelKind::GithubCheck,
        ChannelKind::GitlabStatus,
    ];

    /// Its name in addresses, forms and JSON.
    pub fn word(self) -> &'static str {
        match self {
            ChannelKind::Email => "email",
            ChannelKind::Slack => "slack",
            ChannelKind::SlackBot => "slack-bot",
            ChannelKind::Teams => "teams",
            ChannelKind::Webhook => "webhook",
            ChannelKind::Syslog => "syslog",
            ChannelKind::OtlpLogs => "otlp-logs",
            ChannelKind::S3 => "s3",
            ChannelKind::GithubCheck => "github-check",
            ChannelKind::GitlabStatus => "gitlab-status",
        }
    }

    /// The one of this name.
    pub fn parse(word: &str) -> Option<ChannelKind> {
        ChannelKind::ALL
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// How a message is written for a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageBody {
    /// `{"type":…,"timestamp":…,"data":{…}}`, as Standard Webhooks has it.
    #[default]
    Envelope,
    /// One notification by itself, with nothing around it.
    Raw,
    /// A list of events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

impl MessageBody {
    /// Every one.
    pub const ALL: [MessageBody; 3] = [MessageBody::Envelope, MessageBody::Raw, MessageBody::Ocsf];

    /// Its name in forms and JSON.
    pub fn word(self) -> &'static str {
        match self {
            MessageBody::Envelope => "envelope",
            MessageBody::Raw => "raw",
            MessageBody::Ocsf => "ocsf",
        }
    }

    /// The one of this name.
    pub fn parse(word: &str) -> Option<MessageBody> {
        MessageBody::ALL
            .into_iter()
            .find(|body| body.word() == word)
    }
}

/// A text that only whoever has the key can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which key it was sealed with.
    pub key: String,
    /// The sealed text.
    pub text: String,
}

/// What a channel is told, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// The only project that it is told of; all of the organisation if there is none.
    pub project: Option<ProjectId>,
    /// The only kinds; all if there are none, also those to come.
    pub kinds: Option<Vec<String>>,
    /// The mildest severity.
    pub least: Severity,
    /// What comes within so much time becomes one message; 0 tells everything at once.
    pub every: Millis,
    /// The same is told once in so much time; 0 tells it each time.
    pub quiet: Millis,
    /// Of which runs it is told how they came out.
    pub runs: RunScope,
}

impl Wants {
    /// Whether it is to be told of this.
    pub fn include(&self, news: &News) -> bool {
        let told = &news.notification;
        told.severity >= self.least
            && self.project.is_none_or(|only| news.project == Some(only))
            && self
                .kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&told.kind))
    }

    /// Whether a channel of this kind is to be told how this came out.
    pub fn include_outcome(&self, kind: ChannelKind, outcome: &Outcome) -> bool {
        let wanted = match self.runs {
            RunScope::None => false,
            RunScope::Requests => outcome.request,
            RunScope::All => true,
        };
        let placed = kind
            .stands_at()
            .is_none_or(|provider| outcome.provider == provider && outcome.has_place());
        wanted
            && placed
            && (outcome.state != OutcomeState::Running || kind.tells_beginnings())
            && self
                .project
                .is_none_or(|only| outcome.project == Some(only))
    }

    /// When something that happens now is to be told: at the end of its stretch of time, which all have in common.
    pub fn due(&self, now: Millis) -> Millis {
        match self.every {
            ..=0 => now,
            every => now
                .div_euclid(every)
                .saturating_add(1)
                .saturating_mul(every),
        }
    }
}

/// A channel as it is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChannel {
    /// What people call it.
    pub name: String,
    /// How messages get there.
    pub kind: ChannelKind,
    /// Where it leads, as far as that may be shown: addresses of people, or the host of a secret address.
    pub target: String,
    /// What is secret of that; none if nothing is.
    pub secret: Option<Sealed>,
    /// How a message is written. For webhooks.
    pub body: MessageBody,
    /// A job that did not pass stops nobody: its check is neither good nor bad. For checks of GitHub's.
    pub neutral: bool,
    /// What it is told.
    pub wants: Wants,
    /// Whether it is told anything.
    pub on: bool,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub org: OrgId,
    /// A random text that no other channel has, on this server or another: ids of messages begin with it.
    pub uid: String,
    /// What was kept.
    pub kept: NewChannel,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
    /// How it goes.
    pub health: Health,
}

/// How it goes with a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When something was delivered last.
    pub delivered_at: Option<Millis>,
    /// When something could not be delivered last.
    pub failed_at: Option<Millis>,
    /// And why.
    pub error: Option<String>,
    /// How often in a row.
    pub failures: i64,
    /// Messages that wait.
    pub waiting: i64,
    /// Messages that were given up.
    pub dead: i64,
    /// Repeats that are held back, and not told yet.
    pub held: i64,
}

#[cfg(test)]
mod tests {
    use runward_event::Provider;

    use super::*;
    use crate::Notification;

    fn news(kind: &str, severity: Severity) -> News {
        News {
            notification: Notification {
                kind: kind.to_owned(),
                severity,
                sentence: String::new(),
                at: 0,
                details: Vec::new(),
                link: String::new(),
                repeats: 0,
            },
            project: Some(ProjectId(1)),
            same: String::new(),
        }
    }

    fn all() -> Wants {
        Wants {
            project: None,
            kinds: None,
            least: Severity::Low,
            every: 0,
            quiet: 0,
            runs: RunScope::None,
        }
    }

    #[test]
    fn a_channel_is_told_what_it_wants() {
        let only = |kinds: &[&str]| Wants {
            kinds: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
            ..all()
        };
        let least = |least| Wants { least, ..all() };
        let project = |id| Wants {
            project: Some(ProjectId(id)),
            ..all()
        };
        for (wants, included) in [
            (all(), true),
            (only(&["a", "b"]), true),
            (only(&["b"]), false),
            (only(&[]), false),
            (least(Severity::Medium), true),
            (least(Severity::High), false),
            (project(1), true),
            (project(2), false),
        ] {
            assert_eq!(
                wants.include(&news("a", Severity::Medium)),
                included,
                "{wants:?}"
            );
        }
        let of_none = News {
            project: None,
            ..news("a", Severity::High)
        };
        assert!(all().include(&of_none) && !project(1).include(&of_none));
    }

    fn outcome() -> Outcome {
        Outcome {
            id: "1".to_owned(),
            provider: Provider::Github,
            project: Some(ProjectId(1)),
            project_name: "acme/app".to_owned(),
            pipeline: "ci.yml".to_owned(),
            job: "build".to_owned(),
            commit: "a".repeat(40),
            provider_run: Some("77".to_owned()),
            request: true,
            state: OutcomeState::Ended,
            runs: 1,
            started_at: 0,
            last_seen_at: 0,
            blocked: 0,
            anomalous: 0,
            first: Vec::new(),
            lost: 0,
            link: "/".to_owned(),
        }
    }

    #[test]
    fn a_check_is_told_of_runs_of_its_provider_that_have_a_commit() {
        use ChannelKind::{GithubCheck, GitlabStatus, Webhook};
        let runs = |runs| Wants { runs, ..all() };
        let other = Wants {
            project: Some(ProjectId(2)),
            ..runs(RunScope::All)
        };
        let push = || Outcome {
            request: false,
            ..outcome()
        };
        let running = |provider| Outcome {
            state: OutcomeState::Running,
            provider,
            ..outcome()
        };
        let nowhere = Outcome {
            commit: String::new(),
            ..outcome()
        };
        for (wants, kind, outcome, told) in [
            (runs(RunScope::Requests), GithubCheck, outcome(), true),
            (runs(RunScope::Requests), GithubCheck, push(), false),
            (runs(RunScope::All), GithubCheck, push(), true),
            (runs(RunScope::None), GithubCheck, outcome(), false),
            (other, GithubCheck, outcome(), false),
            (runs(RunScope::All), GitlabStatus, outcome(), false),
            (runs(RunScope::All), GithubCheck, nowhere.clone(), false),
            (runs(RunScope::All), Webhook, nowhere, true),
            (
                runs(RunScope::All),
                GithubCheck,
                running(Provider::Github),
                true,
            ),
            (
                runs(RunScope::All),
                GitlabStatus,
                running(Provider::Gitlab),
                false,
            ),
            (
                runs(RunScope::All),
                Webhook,
                running(Provider::Github),
                false,
            ),
        ] {
            assert_eq!(
                wants.include_outcome(kind, &outcome),
                told,
                "{kind:?} {outcome:?}"
            );
        }
    }

    #[test]
    fn a_digest_is_due_at_the_end_of_the_hour() {
        let every = |every| Wants { every, ..all() };
        assert_eq!(every(0).due(5), 5);
        for (now, due) in [(0, 10), (9, 10), (10, 20), (-1, 0)] {
            assert_eq!(every(10).due(now), due, "{now}");
        }
    }

    #[test]
    fn a_body_is_read_as_it_is_written() {
        for body in MessageBody::ALL {
            assert_eq!(MessageBody::parse(body.word()), Some(body));
            assert_eq!(serde_json::to_value(body).unwrap(), body.word());
        }
    }

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in ChannelKind::ALL {
            assert_eq!(ChannelKind::parse(kind.word()), Some(kind));
            assert_eq!(
                serde_json::to_value(kind).unwrap(),
                serde_json::json!(kind.word())
            );
        }
    }
}
