use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{About, Detection, Millis, NewDetection, Pattern, PatternError};

/// Rules of one organisation that are live at once: each new detection is held against every one of them.
pub const SUPPRESSIONS_MAX: i64 = 500;
/// Characters of a rule's name.
pub const SUPPRESSION_NAME_MAX: usize = 100;
/// Characters of a rule's reason.
pub const SUPPRESSION_REASON_MAX: usize = 1_000;

/// What a rule can ask of a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// The project's full name.
    Project,
    /// The pipeline file or name.
    Pipeline,
    /// The job's name in the pipeline.
    Job,
    /// The detection's kind.
    Kind,
    /// The destination that it is about: `name:port`.
    Destination,
    /// The same without the port.
    Host,
    /// The path of the program that did it.
    Program,
    /// The path of the file that it is about, from the workspace.
    Path,
    /// The last part of that path.
    File,
    /// The kind of the secret that it is about.
    Secret,
}

impl Field {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Field; 10] = [
        Field::Project,
        Field::Pipeline,
        Field::Job,
        Field::Kind,
        Field::Destination,
        Field::Host,
        Field::Program,
        Field::Path,
        Field::File,
        Field::Secret,
    ];

    /// The name in addresses, forms and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Field::Project => "project",
            Field::Pipeline => "pipeline",
            Field::Job => "job",
            Field::Kind => "kind",
            Field::Destination => "destination",
            Field::Host => "host",
            Field::Program => "program",
            Field::Path => "path",
            Field::File => "file",
            Field::Secret => "secret",
        }
    }

    /// Whether it says where a rule holds.
    pub fn is_scope(self) -> bool {
        matches!(self, Field::Project | Field::Pipeline | Field::Job)
    }

    /// Whether every detection has it, so that `*` asks nothing of it.
    fn is_everywhere(self) -> bool {
        self.is_scope() || self == Field::Kind
    }

    /// Whether small and capital letters are the same in it, as they are to DNS.
    fn is_name_of_dns(self) -> bool {
        matches!(self, Field::Destination | Field::Host)
    }
}

/// What of a detection a rule can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The project's full name.
    pub project: &'a str,
    /// The pipeline.
    pub pipeline: &'a str,
    /// The job.
    pub job: &'a str,
    /// See [`Detection::kind`].
    pub kind: &'a str,
    /// See [`Detection::about`].
    pub about: About,
    /// See [`Detection::subject`].
    pub subject: &'a str,
    /// See [`Detection::program`].
    pub program: &'a str,
}

impl<'a> Facts<'a> {
    /// What the detection has in this field, if it has it.
    pub fn value(&self, field: Field) -> Option<&'a str> {
        let subject = |about| (self.about == about).then_some(self.subject);
        match field {
            Field::Project => Some(self.project),
            Field::Pipeline => Some(self.pipeline),
            Field::Job => Some(self.job),
            Field::Kind => Some(self.kind),
            Field::Destination => subject(About::Destination),
            Field::Host => subject(About::Destination).map(host),
            Field::Program => Some(self.program).filter(|program| !program.is_empty()),
            Field::Path => subject(About::File),
            Field::File => subject(About::File).map(file),
            Field::Secret => subject(About::Secret),
        }
    }
}

/// `name` of `name:port`, and an address of IPv6 without its brackets.
fn host(destination: &str) -> &str {
    let host = match destination.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => destination,
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

fn file(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, file)| file)
}

impl Detection {
    /// What rules look at.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            project: &self.project_name,
            pipeline: &self.pipeline,
            job: &self.job,
            kind: &self.kind,
            about: self.about,
            subject: &self.subject,
            program: &self.program,
        }
    }
}

impl NewDetection {
    /// What rules look at, of one in a run of this job.
    pub fn facts<'a>(&'a self, project: &'a str, pipeline: &'a str, job: &'a str) -> Facts<'a> {
        Facts {
            project,
            pipeline,
            job,
            kind: &self.kind,
            about: self.about,
            subject: &self.subject,
            program: &self.program,
        }
    }
}

/// Which detections a rule hides: those that have every field that it names, with a value that fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matcher(BTreeMap<Field, Pattern>);

impl Matcher {
    /// Reads patterns. An empty one asks nothing, nor does `*` for what every detection has. Names of DNS are kept in
    /// small letters. All faults at once.
    pub fn parse<'a>(
        patterns: impl IntoIterator<Item = (Field, &'a str)>,
    ) -> Result<Matcher, Vec<(Field, PatternError)>> {
        let mut read = BTreeMap::new();
        let mut faults = Vec::new();
        for (field, text) in patterns {
            let pattern = if field.is_name_of_dns() {
                Pattern::parse(&text.to_ascii_lowercase())
            } else {
                Pattern::parse(text)
            };
            match pattern {
                Ok(pattern) if field.is_everywhere() && pattern.is_anything() => {}
                Ok(pattern) => {
                    read.insert(field, pattern);
                }
                Err(PatternError::Empty) => {}
                Err(error) => faults.push((field, error)),
            }
        }
        if faults.is_empty() {
            Ok(Matcher(read))
        } else {
            Err(faults)
        }
    }

    /// The pattern that a field has to fit, if one is asked.
    pub fn pattern(&self, field: Field) -> Option<&Pattern> {
        self.0.get(&field)
    }

    /// What is asked, in the order in which it is shown.
    pub fn patterns(&self) -> impl Iterator<Item = (Field, &Pattern)> {
        self.0.iter().map(|(field, pattern)| (*field, pattern))
    }

    /// Whether nothing is asked, so that everything would be hidden.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the detection is one of those.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.0.iter().all(|(field, pattern)| {
            let Some(value) = facts.value(*field) else {
                return false;
            };
            if field.is_name_of_dns() {
                return pattern.matches(&value.to_ascii_lowercase());
            }
            pattern.matches(value)
        })
    }
}

/// A rule that hides detections that are known and meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What it hides.
    pub matcher: Matcher,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Who ended it; nobody when it expired.
    pub ended_by: Option<String>,
    /// How many detections it hides now.
    pub hides: i64,
    /// How many became new again when it ended.
    pub given_back: i64,
    /// Whether it still has to go through older detections, to hide them or to give them back.
    pub busy: bool,
}

/// How it stands with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuppressionState {
    /// It hides what it matches.
    Live,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Ended,
}

impl Suppression {
    /// How it stands.
    pub fn state(&self, now: Millis) -> SuppressionState {
        match (&self.ended_by, self.ended_at, self.expires_at) {
            (Some(_), _, _) => SuppressionState::Ended,
            (None, Some(_), _) => SuppressionState::Expired,
            (None, None, Some(at)) if at <= now => SuppressionState::Expired,
            (None, None, _) => SuppressionState::Live,
        }
    }
}

/// A rule that is to be kept: [`SuppressionDraft::check`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSuppression {
    pub(crate) name: String,
    pub(crate) matcher: Matcher,
    pub(crate) reason: String,
    pub(crate) expires_at: Option<Millis>,
}

impl NewSuppression {
    /// See [`Suppression::name`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// See [`Suppression::matcher`].
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// See [`Suppression::reason`].
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// See [`Suppression::expires_at`].
    pub fn expires_at(&self) -> Option<Millis> {
        self.expires_at
    }
}

/// A rule as somebody wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuppressionDraft {
    /// See [`Suppression::name`].
    pub name: String,
    /// See [`Suppression::reason`].
    pub reason: String,
    /// See [`Suppression::expires_at`].
    pub expires_at: Option<Millis>,
    /// The patterns.
    pub patterns: Vec<(Field, String)>,
}

/// What is wrong with a draft, and where: the name of a [`Field`], or `name`, `reason`, `expires`, `rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: &'static str,
    /// A clause that says what is wrong, and what to do.
    pub why: String,
}

impl Fault {
    fn new(at: &'static str, why: impl Into<String>) -> Fault {
        Fault {
            at,
            why: why.into(),
        }
    }
}

impl SuppressionDraft {
    /// What the rule would hide.
    pub fn matcher(&self) -> Result<Matcher, Vec<Fault>> {
        let patterns = self
            .patterns
            .iter()
            .map(|(field, text)| (*field, text.as_str()));
        let matcher = Matcher::parse(patterns).map_err(|faults| {
            let fault =
                |(field, error): (Field, PatternError)| Fault::new(field.name(), error.to_string());
            faults.into_iter().map(fault).collect::<Vec<_>>()
        })?;
        if matcher.is_everything() {
            let why = "this would hide every detection: name a project, a kind or a condition";
            return Err(vec![Fault::new("rule", why)]);
        }
        Ok(matcher)
    }

    /// The rule, or all that is wrong with it.
    pub fn check(&self, now: Millis) -> Result<NewSuppression, Vec<Fault>> {
        let mut faults = Vec::new();
        for (at, text, max) in [
            ("name", &self.name, SUPPRESSION_NAME_MAX),
            ("reason", &self.reason, SUPPRESSION_REASON_MAX),
        ] {
            if text.trim().is_empty() {
                faults.push(Fault::new(at, format!("a rule needs a {at}")));
            } else if text.chars().count() > max {
                faults.push(Fault::new(
                    at,
                    format!("a {at} has at most {max} characters"),
                ));
            } else if text.contains('\0') {
                faults.push(Fault::new(
                    at,
                    format!("a {at} can't hold the character NUL"),
                ));
            }
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            let why = "a rule can't end before it begins: choose a later day, or none";
            faults.push(Fault::new("expires", why));
        }
        let matcher = match self.matcher() {
            Ok(matcher) => matcher,
            Err(mut others) => {
                others.extend(faults);
                return Err(others);
            }
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(NewSuppression {
            name: self.name.trim().to_owned(),
            matcher,
            reason: self.reason.trim().to_owned(),
            expires_at: self.expires_at,
        })
    }
}

/// What a rule would hide of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionPreview {
    /// How many detections that are new now.
    pub hides: i64,
    /// How many were looked at, newest first.
    pub looked_at: i64,
    /// Whether these were all.
    pub complete: bool,
    /// The newest of those that it would hide.
    pub rows: Vec<Detection>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Facts<'_> = Facts {
        project: "group/app",
        pipeline: ".gitlab-ci.yml",
        job: "test",
        kind: "outbound-call-blocked",
        about: About::Destination,
        subject: "evil.example:443",
        program: "/usr/bin/curl",
    };
    const FILE: Facts<'_> = Facts {
        kind: "source-code-overwritten",
        about: About::File,
        subject: "src/lib.rs",
        program: "",
        ..CALL
    };
    const MACHINE: Facts<'_> = Facts {
        kind: "agent-tampered",
        about: About::Machine,
        subject: "",
        ..CALL
    };

    type Asked<'a> = &'a [(Field, &'a str)];

    fn hides(patterns: Asked<'_>, facts: &Facts<'_>) -> bool {
        Matcher::parse(patterns.iter().copied())
            .unwrap()
            .matches(facts)
    }

    #[test]
    fn a_rule_hides_what_fits_all_that_it_names() {
        use Field::*;
        let six = Facts {
            subject: "[2001:db8::1]:443",
            ..CALL
        };
        let bare = Facts {
            subject: "evil.example",
            ..CALL
        };
        let cases: &[(Asked<'_>, &Facts<'_>, bool)] = &[
            (&[(Project, "group/*")], &CALL, true),
            (&[(Project, "group")], &CALL, false),
            (&[(Project, "group/*"), (Job, "build")], &CALL, false),
            (&[(Pipeline, "*.yml"), (Job, "te*")], &CALL, true),
            (&[(Kind, "outbound-call-blocked")], &CALL, true),
            (&[(Kind, "outbound-call-blocked")], &FILE, false),
            (&[(Destination, "*.example:443")], &CALL, true),
            (&[(Destination, "Evil.EXAMPLE:443")], &CALL, true),
            (&[(Destination, "evil.example")], &CALL, false),
            (&[(Destination, "evil.example")], &bare, true),
            (&[(Host, "evil.example")], &CALL, true),
            (&[(Host, "evil.example")], &bare, true),
            (&[(Host, "2001:db8::1")], &six, true),
            (&[(Host, "*:443")], &CALL, false),
            (&[(Program, "/usr/bin/*")], &CALL, true),
            (&[(Program, "curl")], &CALL, false),
            (&[(Program, "/usr/bin/Curl")], &CALL, false),
            (&[(Path, "src/*")], &FILE, true),
            (&[(Path, "lib.rs")], &FILE, false),
            (&[(File, "lib.rs")], &FILE, true),
            (&[(File, "src/lib.rs")], &FILE, false),
            // What a detection does not have fits nothing, not even anything.
            (&[(Destination, "*")], &FILE, false),
            (&[(Path, "*")], &CALL, false),
            (&[(Secret, "*")], &CALL, false),
            (&[(Program, "*")], &FILE, false),
            (&[(Kind, "*"), (Path, "*")], &MACHINE, false),
            (&[(Kind, "agent-tampered")], &MACHINE, true),
            (&[(Kind, "a*"), (Program, "*")], &MACHINE, true),
        ];
        for (patterns, facts, expected) in cases {
            assert_eq!(hides(patterns, facts), *expected, "{patterns:?} {facts:?}");
        }
        let secret = Facts {
            about: About::Secret,
            subject: "aws-access-key",
            ..CALL
        };
        assert!(hides(&[(Secret, "aws-*")], &secret));
        assert!(!hides(&[(Path, "*")], &secret));
    }

    fn draft(patterns: Asked<'_>) -> SuppressionDraft {
        SuppressionDraft {
            name: " scanner ".to_owned(),
            reason: "it is ours".to_owned(),
            expires_at: Some(11),
            patterns: patterns
                .iter()
                .map(|(field, text)| (*field, (*text).to_owned()))
                .collect(),
        }
    }

    fn places(draft: &SuppressionDraft) -> Vec<&'static str> {
        let faults = draft.check(10).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.at).collect()
    }

    #[test]
    fn all_that_is_wrong_with_a_draft_is_told_at_once() {
        let good = draft(&[
            (Field::Kind, "*"),
            (Field::Host, "a.example"),
            (Field::Job, ""),
        ]);
        let kept = good.check(10).unwrap();
        assert_eq!(kept.name(), "scanner");
        let asked: Vec<Field> = kept.matcher().patterns().map(|(field, _)| field).collect();
        assert_eq!(asked, [Field::Host]);

        assert_eq!(places(&draft(&[])), ["rule"]);
        assert_eq!(
            places(&draft(&[(Field::Project, "**"), (Field::Kind, "*")])),
            ["rule"]
        );
        let long = "a".repeat(2_000);
        let wrong = SuppressionDraft {
            name: " ".to_owned(),
            reason: "r\0".to_owned(),
            expires_at: Some(10),
            ..draft(&[(Field::Path, &long), (Field::Host, "\0")])
        };
        assert_eq!(
            places(&wrong),
            ["path", "host", "name", "reason", "expires"]
        );
        let long = SuppressionDraft {
            name: "a".repeat(101),
            reason: "a".repeat(1_001),
            ..good
        };
        assert_eq!(places(&long), ["name", "reason"]);
    }

    #[test]
    fn a_matcher_is_kept_as_the_patterns_that_were_written() {
        let matcher = Matcher::parse([(Field::Kind, "x"), (Field::Path, r"a\*/*")]).unwrap();
        let json = serde_json::to_string(&matcher).unwrap();
        assert_eq!(json, r#"{"kind":"x","path":"a\\*/*"}"#);
        assert_eq!(serde_json::from_str::<Matcher>(&json).unwrap(), matcher);
        for field in Field::ALL {
            assert_eq!(
                serde_json::to_value(field).unwrap(),
                serde_json::json!(field.name())
            );
        }
    }
}
