use serde::{Deserialize, Serialize};

use crate::{About, Millis, NewDetection, Outcome, ProjectId};

/// Notifications that one message tells one by one. What comes on top of these is counted.
pub const TOLD_MAX: usize = 30;
/// Characters of a sentence.
const SENTENCE_MAX: usize = 600;
/// Characters of a detail.
const DETAIL_MAX: usize = 300;

/// How much something matters, if nobody meant it to happen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Low,
    /// Worth a look.
    Medium,
    /// A build's result may not be what its source says, or secrets may be gone.
    High,
    /// They are.
    Critical,
}

impl Severity {
    /// Every one, the mildest first.
    pub const ALL: [Severity; 4] = [
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The one of this name.
    pub fn parse(word: &str) -> Option<Severity> {
        Severity::ALL
            .into_iter()
            .find(|severity| severity.word() == word)
    }
}

/// Something that people are to be told. All of it that a job can influence is hostile: it is bounded here, and escaped
/// where it becomes a message of some medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What kind of thing it is: a detection's kind, such as `outbound-call-blocked`.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one sentence without its full stop.
    pub sentence: String,
    /// When, by the clock of the machine where it happened.
    pub at: Millis,
    /// What is known about it, in the order in which people read it.
    pub details: Vec<Detail>,
    /// Where the evidence is: a path of this server.
    pub link: String,
    /// How often the same has come again since it was told last, and was held back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: i64,
}

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What it is: `job`, `program`. A word of this server's own, with `-` for a space.
    pub name: String,
    /// What was found.
    pub value: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// A notification, and by what it is known when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What is to be told.
    pub notification: Notification,
    /// The project that it is about, if it is about one.
    pub project: Option<ProjectId>,
    /// Whatever has the same text here is the same thing.
    pub same: String,
}

/// Where a run belongs, for those who read of it elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The organisation's name in addresses.
    pub org: &'a str,
    /// The run's name.
    pub run: &'a str,
    /// The project's number.
    pub project: ProjectId,
    /// Its full name.
    pub project_name: &'a str,
    /// The pipeline.
    pub pipeline: &'a str,
    /// The job.
    pub job: &'a str,
    /// The branch, if it is known.
    pub branch: Option<&'a str>,
    /// Who started it, if that is known.
    pub actor: Option<&'a str>,
}

impl News {
    /// What is to be told of a detection.
    pub fn of_detection(found: &NewDetection, scene: &Scene<'_>) -> News {
        let subject = match found.about {
            About::Destination => Some("destination"),
            About::File => Some("file"),
            About::Secret => Some("secret"),
            // Its subject is the sentence.
            About::Machine => None,
        };
        let details = [
            subject.map(|name| (name, found.subject.as_str())),
            Some(("program", found.program.as_str())),
            Some(("job", scene.job)),
            Some(("pipeline", scene.pipeline)),
            Some(("project", scene.project_name)),
            scene.branch.map(|branch| ("branch", branch)),
            scene.actor.map(|actor| ("actor", actor)),
        ];
        let details = details.into_iter().flatten();
        let details = details.filter(|(_, value)| !value.is_empty());
        let project = scene.project.0.to_string();
        let same = [
            &found.kind,
            &found.subject,
            &found.program,
            &project,
            scene.pipeline,
            scene.job,
        ];
        News {
            notification: Notification {
                kind: found.kind.clone(),
                // A word of a newer version is rather told than not.
                severity: Severity::parse(&found.severity).unwrap_or(Severity::High),
                sentence: cut(&found.title, SENTENCE_MAX),
                at: found.at,
                details: details
                    .map(|(name, value)| Detail {
                        name: name.to_owned(),
                        value: cut(value, DETAIL_MAX),
                    })
                    .collect(),
                link: format!("/o/{}/runs/{}/detections", scene.org, scene.run),
                repeats: 0,
            },
            project: Some(scene.project),
            // NUL stands in none of them: the database would not keep it.
            same: same.join("\0"),
        }
    }
}

/// At most so many characters: both ends, because the ends of a path tell most.
fn cut(text: &str, max: usize) -> String {
    let length = text.chars().count();
    if length <= max {
        return text.to_owned();
    }
    let head = max / 2;
    let tail = max - head - 1;
    let start = text.chars().take(head);
    let end = text.chars().skip(length - tail);
    start.chain(['…']).chain(end).collect()
}

/// What is told at once: some notifications, and how many there are beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// What is told one by one.
    pub told: Vec<Notification>,
    /// How many more there are, of which nothing but this is told.
    pub more: i64,
    /// The gravest severity of all of them.
    pub severity: Severity,
    /// How a job came out, if it is that what is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<Outcome>>,
}

impl Parcel {
    /// Adds one, or counts it.
    pub fn add(&mut self, notification: Notification) {
        self.severity = self.severity.max(notification.severity);
        if self.told.len() < TOLD_MAX {
            self.told.push(notification);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// How many are in it, counted ones as well.
    pub fn count(&self) -> i64 {
        let told = i64::try_from(self.told.len()).unwrap_or(i64::MAX);
        told.saturating_add(self.more)
    }
}

impl FromIterator<Notification> for Parcel {
    fn from_iter<I: IntoIterator<Item = Notification>>(all: I) -> Parcel {
        let mut parcel = Parcel::default();
        for notification in all {
            parcel.add(notification);
        }
        parcel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> NewDetection {
        NewDetection {
            kind: "outbound-call-blocked".to_owned(),
            severity: "medium".to_owned(),
            title: "evil.example:443 was refused".to_owned(),
            subject: "evil.example:443".to_owned(),
            about: About::Destination,
            program: "/usr/bin/curl".to_owned(),
            at: 7,
        }
    }

    fn scene() -> Scene<'static> {
        Scene {
            org: "main",
            run: "0123",
            project: ProjectId(3),
            project_name: "group/app",
            pipeline: ".gitlab-ci.yml",
            job: "test",
            branch: Some("main"),
            actor: None,
        }
    }

    #[test]
    fn a_detection_is_told_with_what_is_known_of_it() {
        let news = News::of_detection(&found(), &scene());
        let told = news.notification;
        assert_eq!(told.link, "/o/main/runs/0123/detections");
        let details: Vec<(&str, &str)> = told
            .details
            .iter()
            .map(|detail| (detail.name.as_str(), detail.value.as_str()))
            .collect();
        assert_eq!(
            details,
            [
                ("destination", "evil.example:443"),
                ("program", "/usr/bin/curl"),
                ("job", "test"),
                ("pipeline", ".gitlab-ci.yml"),
                ("project", "group/app"),
                ("branch", "main"),
            ]
        );
    }

    #[test]
    fn the_same_is_what_another_run_of_the_job_finds_too() {
        let same = |found: &NewDetection, scene: &Scene<'_>| News::of_detection(found, scene).same;
        let first = same(&found(), &scene());
        let later = NewDetection {
            at: 8,
            title: "said otherwise".to_owned(),
            ..found()
        };
        let other_run = Scene {
            run: "4567",
            branch: None,
            ..scene()
        };
        assert_eq!(same(&later, &other_run), first);
        for other in [
            Scene {
                job: "build",
                ..scene()
            },
            Scene {
                project: ProjectId(4),
                ..scene()
            },
            Scene {
                pipeline: "other.yml",
                ..scene()
            },
        ] {
            assert_ne!(same(&found(), &other), first, "{other:?}");
        }
        let program = NewDetection {
            program: "/tmp/x".to_owned(),
            ..found()
        };
        assert_ne!(same(&program, &scene()), first);
    }

    #[test]
    fn a_message_is_bounded_and_counts_what_it_does_not_tell() {
        let long = NewDetection {
            title: "ä".repeat(5_000),
            subject: "x".repeat(5_000),
            ..found()
        };
        let told = News::of_detection(&long, &scene()).notification;
        assert_eq!(told.sentence.chars().count(), SENTENCE_MAX);
        assert_eq!(told.details[0].value.chars().count(), DETAIL_MAX);
        let grave = Notification {
            severity: Severity::High,
            ..told.clone()
        };
        let all = std::iter::repeat_n(told, 99).chain([grave]);
        let parcel: Parcel = all.collect();
        assert_eq!((parcel.told.len(), parcel.more), (TOLD_MAX, 70));
        assert_eq!((parcel.count(), parcel.severity), (100, Severity::High));
    }

    #[test]
    fn a_severity_is_read_as_it_is_written() {
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.word()), Some(severity));
            assert_eq!(
                serde_json::to_value(severity).unwrap(),
                serde_json::json!(severity.word())
            );
        }
        assert_eq!(Severity::parse("grave"), None);
    }
}
