//! What is normal for jobs: every run is held against its job's baseline, and one that has ended is learned.
//!
//! The rules are those of `runward-baseline`; here is what they need of the database, and what becomes of what they say.

mod fleet;
mod summary;

use std::collections::BTreeMap;

use runward_baseline::{
    Actor, Anomaly, Baseline, Change, Confidence, Decided, Disposition, Judgement, Key, Kind,
    Known, Level, Lineage, Rates, ScopeDelta, Settings, State, Surroundings, What,
};
use runward_detect::Severity;
use runward_event::Time;
use runward_report::Report;
use runward_store::{
    About, BaselineChange, BaselineSettings, BaselineState, BaselineSummary, Digest, JobId,
    KeptBaseline, KeptLevel, Millis, NewBaselineEntry, NewDetection, OrgId, ProjectId, RunPlace,
    StoreError, Tag,
};

use crate::app::{App, millis, now};
use crate::problem::Problem;
pub(crate) use fleet::compare;
use summary::{summary, time};

/// The detection of a file that git tracks and that has other content; see `docs/detections.md`.
pub(crate) const OVERWRITTEN: &str = "source-code-overwritten";
/// The detections that are made here.
pub(crate) const CALL: &str = "anomalous-outbound-call";
pub(crate) const VOLUME: &str = "anomalous-data-volume";
pub(crate) const STORM: &str = "anomaly-storm";
pub(crate) const INCIDENT: &str = "incident";

/// Incidents of one run.
const INCIDENTS: usize = 5;

const DAY_MS: f64 = 24.0 * 3600.0 * 1000.0;

/// Holds a run against the baseline of its job: adds to its digest what is not normal, takes away what is, and adds what
/// changes in the baseline.
pub(crate) async fn judge(
    app: &App,
    place: &RunPlace,
    report: &Report,
    digest: &mut Digest,
) -> Result<(), Problem> {
    digest.machine = (report.context.image.clone(), report.context.hosted);
    let Some(mut subject) = Subject::of(app, place.org, place.project, place.job).await? else {
        return Ok(());
    };
    let detected = digest
        .detections
        .iter()
        .any(|detection| detection.kind != OVERWRITTEN);
    let run = summary(report, place, detected);
    subject
        .look_around(app, &subject.baseline.keys(&run))
        .await?;
    let normal = subject.normal_files();
    let learned = if digest.complete {
        subject
            .baseline
            .learn(&run, &subject.around, &subject.settings)
    } else {
        subject
            .baseline
            .watch(&run, &subject.around, &subject.settings)
    };
    let judgement = &learned.judgement;
    digest
        .detections
        .retain(|detection| !is_normal(detection, &normal, judgement));
    let is_overwritten = |detection: &NewDetection| detection.kind == OVERWRITTEN;
    if !digest.detections.iter().any(is_overwritten) {
        digest.tags = digest.tags.without(Tag::OverwrittenFile);
    }
    let is_news = |anomaly: &Anomaly| anomaly.disposition == Disposition::News;
    if judgement.storm.is_some() || !judgement.anomalies.iter().all(is_news) {
        digest.tags = digest.tags.with(Tag::Anomalous);
    }
    digest.detections.extend(detections(judgement, report));
    digest.anomalies = judgement.anomalies.iter().map(kept).collect();
    for anomaly in judgement.anomalies.iter().take(INCIDENTS) {
        if anomaly.disposition != Disposition::News
            && let Some(incident) = fleet::of_anomaly(app, place, report, anomaly).await?
        {
            digest.incidents.push(incident);
        }
    }
    digest.baseline = subject.change(&learned.changes, &learned.delta);
    Ok(())
}

/// What a person decides about something new, or something normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is normal.
    Accept,
    /// It is wrong, and alerts whenever it is seen.
    Reject,
    /// It is not normal any more.
    Remove,
}

/// A job's baseline, with all that it takes to ask it something.
pub(crate) struct Subject {
    kept: KeptBaseline,
    pub(crate) baseline: Baseline,
    pub(crate) settings: Settings,
    pub(crate) around: Surroundings,
    org: OrgId,
    project: ProjectId,
    faded: [f64; 2],
}

impl Subject {
    /// The baseline of a job; none when its state can't be read. Then nothing is judged and nothing is changed, and the log
    /// says so: beginning anew by itself would make normal whatever comes next.
    pub(crate) async fn of(
        app: &App,
        org: OrgId,
        project: ProjectId,
        job: JobId,
    ) -> Result<Option<Subject>, Problem> {
        let kept = app.store().kept_baseline(job).await?;
        let baseline = match kept.version {
            0 => Baseline::default(),
            _ => match Baseline::decode(&kept.state) {
                Ok(baseline) => baseline,
                Err(error) => {
                    tracing::error!(job = job.0, %error, "a baseline can't be read");
                    return Ok(None);
                }
            },
        };
        let mut subject = Subject {
            kept,
            baseline,
            settings: settings(&app.store().baseline_settings(org).await?),
            around: Surroundings::default(),
            org,
            project,
            faded: [1.0; 2],
        };
        subject.look_around(app, &[]).await?;
        Ok(Some(subject))
    }

    async fn look_around(&mut self, app: &App, keys: &[Key]) -> Result<(), Problem> {
        let bits: Vec<i64> = keys.iter().map(|key| key.0.cast_signed()).collect();
        let levels = app.store().around(self.org, self.project, &bits).await?;
        let [(project, of_project), (organisation, of_organisation)] =
            levels.map(|kept| level(&kept, now()));
        self.around = Surroundings {
            project,
            organisation,
        };
        self.faded = [of_project, of_organisation];
        Ok(())
    }

    /// Files that the job overwrites as it always does.
    fn normal_files(&self) -> Vec<String> {
        let members = self.baseline.members().into_iter();
        members
            .filter(|member| member.is_file)
            .map(|member| member.subject)
            .collect()
    }

    /// What is to be kept of what has changed, if anything has.
    fn change(&self, changes: &[Change], delta: &ScopeDelta) -> Option<BaselineChange> {
        let state = self.baseline.encode();
        if state == self.kept.state && changes.is_empty() && delta.is_empty() {
            return None;
        }
        let rates = &delta.rates;
        Some(BaselineChange {
            version: self.kept.version,
            state,
            summary: self.summary(),
            entries: changes.iter().map(entry).collect(),
            keys: delta
                .keys
                .iter()
                .map(|(key, normal, open)| (key.0.cast_signed(), *normal, *open))
                .collect(),
            rates: [
                rates.alerts,
                rates.expected_alerts,
                rates.news,
                rates.expected_news,
            ],
            faded: self.faded,
            at: now(),
        })
    }

    fn summary(&self) -> BaselineSummary {
        let alerts = self.baseline.novelty(&self.around).alerts;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        BaselineSummary {
            state: match self.baseline.state(&self.around, &self.settings) {
                State::Creating { .. } => BaselineState::Creating,
                State::Stable => BaselineState::Stable,
                State::Unstable { .. } => BaselineState::Unstable,
            },
            runs: i64::try_from(self.baseline.runs()).unwrap_or(i64::MAX),
            members: count(self.baseline.members().len()),
            open: count(self.baseline.open(&self.settings).len()),
            alert_rate: [alerts.mean, alerts.low, alerts.high],
        }
    }

    /// Does what a person decided. The change, and what it is about; none if there was nothing to decide.
    pub(crate) fn decide(
        &mut self,
        decision: Decision,
        key: &str,
        by: &str,
    ) -> Option<(BaselineChange, String)> {
        let key = runward_baseline::AnomalyKey::new(key);
        let at = time(now());
        let Decided { changes, delta } = match decision {
            Decision::Accept => self.baseline.accept(&key, by, at),
            Decision::Reject => self.baseline.reject(&key, by, at),
            Decision::Remove => self.baseline.remove(&key, by, at),
        };
        let subject = changes.first()?.subject.clone();
        Some((self.change(&changes, &delta)?, subject))
    }
}

/// Keeps what an admin sets, and who did. It holds from the next run on.
pub(crate) async fn set(
    app: &App,
    org: OrgId,
    settings: &BaselineSettings,
    by: &str,
) -> Result<(), Problem> {
    if let Some(fault) = settings.fault() {
        return Err(Problem::not_possible(fault));
    }
    app.store().set_baseline_settings(org, settings).await?;
    let said = format!(
        "{} runs, {} runs per alert, {} commits for news, {} after an alert",
        settings.min_runs,
        settings.runs_per_alert,
        settings.news_commits,
        settings
            .alert_commits
            .map_or_else(|| "never".to_owned(), |commits| commits.to_string()),
    );
    app.store()
        .audit(org, now(), by, "baseline.settings", &said)
        .await?;
    Ok(())
}

/// What is answered where a state can't be read.
pub(crate) fn unreadable() -> Problem {
    Problem::unavailable("this baseline can't be read; the server's log says why")
}

/// Times that a decision is tried, when runs of the job are learned at the same time.
const TRIES: usize = 5;

/// Keeps what a person decided, and what follows from it for detections. What it was about; none if there was nothing to
/// decide.
pub(crate) async fn decide(
    app: &App,
    row: &runward_store::Baseline,
    org: OrgId,
    decision: Decision,
    key: &str,
    by: &str,
) -> Result<Option<String>, Problem> {
    for _ in 0..TRIES {
        let Some(mut subject) = Subject::of(app, org, row.project, row.job).await? else {
            return Err(unreadable());
        };
        let Some((change, about)) = subject.decide(decision, key, by) else {
            return Ok(None);
        };
        match app.store().change_baseline(org, row.job, &change).await {
            Err(StoreError::Conflict(_)) => continue,
            other => other?,
        }
        if decision == Decision::Accept {
            let kinds = [CALL, VOLUME, OVERWRITTEN];
            let comment = "accepted into the baseline";
            app.store()
                .settle_detections(org, row.job, &kinds, &about, by, comment)
                .await?;
        }
        let act = match decision {
            Decision::Accept => "baseline.accept",
            Decision::Reject => "baseline.reject",
            Decision::Remove => "baseline.remove",
        };
        let said = format!("{about} of {} {}", row.project_name, row.job_name);
        app.store().audit(org, now(), by, act, &said).await?;
        return Ok(Some(about));
    }
    Err(Problem::unavailable(
        "runs of this job come in too quickly; try again in a moment",
    ))
}

/// The policy that allows what is normal for a job.
pub(crate) fn policy(baseline: &Baseline) -> String {
    let mut text = String::from(
        "# What is normal for the job, by its baseline. Read it before you use it.\negress-policy: block\n",
    );
    let members = baseline.members();
    let calls: Vec<_> = members.iter().filter(|member| !member.is_file).collect();
    if !calls.is_empty() {
        text.push_str("allowed-endpoints:\n");
    }
    for call in calls {
        text.push_str(&format!(
            "  - {}  # {}: in {} runs\n",
            call.subject,
            call.programs.join(", "),
            call.runs
        ));
    }
    text
}

/// What an admin has set, as the rules have it. Numbers from a form were checked when they were kept.
pub(crate) fn settings(kept: &BaselineSettings) -> Settings {
    let count = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
    let mut settings = Settings {
        min_runs: count(kept.min_runs),
        min_days: kept.min_days.map(count),
        alert_budget: 1.0 / f64::from(count(kept.runs_per_alert).max(1)),
        ..Settings::default()
    };
    settings.recurrence.news = count(kept.news_commits);
    settings.recurrence.alerts = kept.alert_commits.map(count);
    settings
}

/// What is known at a level, and how much of its rates is still counted.
fn level(kept: &KeptLevel, now: Millis) -> (Level, f64) {
    let [alerts, expected_alerts, news, expected_news] = kept.rates;
    let days = kept
        .rated_at
        .map_or(0.0, |at| (now - at).max(0) as f64 / DAY_MS);
    let fade = |mut rates: Rates| {
        rates.fade(days);
        rates
    };
    let whole = Rates {
        alerts: 1.0,
        ..Rates::default()
    };
    let known = kept.keys.iter().map(|key| {
        let known = Known {
            normal: u32::try_from(key.normal).unwrap_or(u32::MAX),
            open: u32::try_from(key.open).unwrap_or(u32::MAX),
            opened: key.opened_at.map(time),
        };
        (Key(key.key.cast_unsigned()), known)
    });
    let level = Level {
        rates: fade(Rates {
            alerts,
            expected_alerts,
            news,
            expected_news,
        }),
        known: known.collect::<BTreeMap<_, _>>(),
    };
    (level, fade(whole).alerts)
}

/// Whether this is a file that the job overwrites as always, or of which somebody was told in an earlier run.
fn is_normal(detection: &NewDetection, normal: &[String], judgement: &Judgement) -> bool {
    if detection.kind != OVERWRITTEN {
        return false;
    }
    let mut found = judgement.anomalies.iter().filter(|anomaly| {
        anomaly.kind == Kind::NewOverwrite && anomaly.subject == detection.subject
    });
    match found.next() {
        Some(anomaly) => anomaly.disposition == Disposition::Known,
        // A list that is not whole says nothing of what is not in it.
        None => judgement.omitted == 0 && normal.contains(&detection.subject),
    }
}

/// What a person should look at now. Overwritten files have a detection of their own.
fn detections(judgement: &Judgement, report: &Report) -> Vec<NewDetection> {
    let alerts = judgement.anomalies.iter().filter(|anomaly| {
        anomaly.disposition == Disposition::Alert && anomaly.kind != Kind::NewOverwrite
    });
    let mut found: Vec<NewDetection> = match &judgement.storm {
        None => alerts.filter_map(detection).collect(),
        Some(_) => Vec::new(),
    };
    if let Some(storm) = &judgement.storm
        && storm.disposition == Disposition::Alert
    {
        found.push(NewDetection {
            kind: STORM.to_owned(),
            severity: word(Severity::High),
            title: storm.sentence.clone(),
            subject: storm.key.as_str().to_owned(),
            about: About::Machine,
            program: String::new(),
            at: millis(report.start.unwrap_or_default()),
        });
    }
    found
}

fn detection(anomaly: &Anomaly) -> Option<NewDetection> {
    let kind = match anomaly.kind {
        Kind::NewDestination | Kind::NewLineage => CALL,
        Kind::DataVolume => VOLUME,
        _ => return None,
    };
    Some(NewDetection {
        kind: kind.to_owned(),
        severity: word(anomaly.severity),
        title: anomaly.explanation.join(" "),
        subject: anomaly.subject.clone(),
        about: About::Destination,
        program: anomaly.lineage.executable.clone(),
        at: millis(anomaly.at),
    })
}

/// The anomaly as it is kept with its run.
fn kept(anomaly: &Anomaly) -> runward_store::Anomaly {
    let Lineage {
        executable,
        step,
        dependency,
    } = anomaly.lineage.clone();
    runward_store::Anomaly {
        key: anomaly.key.as_str().to_owned(),
        kind: match anomaly.kind {
            Kind::NewDestination => "new-destination",
            Kind::NewLineage => "new-lineage",
            Kind::DataVolume => "data-volume",
            Kind::NewOverwrite => "new-overwrite",
            _ => "storm",
        }
        .to_owned(),
        subject: anomaly.subject.clone(),
        program: executable,
        step,
        dependency,
        at: millis(anomaly.at),
        score: anomaly.score,
        severity: word(anomaly.severity),
        confidence: match anomaly.confidence {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
        .to_owned(),
        disposition: match anomaly.disposition {
            Disposition::News => "news",
            Disposition::Known => "known",
            Disposition::Alert => "alert",
        }
        .to_owned(),
        explanation: anomaly.explanation.join(" "),
    }
}

fn entry(change: &Change) -> NewBaselineEntry {
    NewBaselineEntry {
        at: at(change.at),
        what: match change.what {
            What::Joined => "joined",
            What::Generalised => "generalised",
            What::Opened => "opened",
            What::Rejected => "rejected",
            What::Removed => "removed",
            What::Forgotten => "forgotten",
            What::Reset => "reset",
            What::Adopted => "adopted",
            _ => "changed",
        }
        .to_owned(),
        subject: change.subject.clone(),
        run: change.run.clone(),
        person: match &change.by {
            Actor::Person(name) => Some(name.clone()),
            Actor::Rule => None,
        },
        why: change.why.clone(),
    }
}

fn at(time: Time) -> Millis {
    millis(time)
}

/// A severity as it is kept.
fn word(severity: Severity) -> String {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
    .to_owned()
}
