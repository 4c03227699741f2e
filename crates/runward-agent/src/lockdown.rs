//! A job in lockdown: what it is killed for, and its end.

use runward_detect::{Finding, Selection, Severity, about, runner_names};
use runward_event::{Lockdown as Record, Tier, Time};
use runward_sensor::{Bans, Clock, Ended, Lockdown as Kernel, Sensor, SensorError};

/// Detections that the kernel side knows something of.
const MEMORY: &str = "runner-memory-read";
const FILELESS: &str = "fileless-execution";

/// How long the event of an act that the kernel side stopped may be on its way.
const HEARD_WITHIN_NS: u64 = 250_000_000;

/// What the kernel side stops by itself, so that the detection finds it too. What is left to the agent is as it was.
fn bans(selection: &Selection) -> Bans {
    let table = [
        (Bans::MEMORY_OUTSIDE, MEMORY, Severity::High),
        (Bans::ENVIRON_RUNNER, MEMORY, Severity::High),
        (Bans::MEMORY_INSIDE, MEMORY, Severity::Medium),
        (Bans::ENVIRON_OUTSIDE, MEMORY, Severity::Medium),
        (Bans::ENVIRON_INSIDE, MEMORY, Severity::Low),
        (Bans::FILELESS, FILELESS, Severity::High),
    ];
    table
        .into_iter()
        .filter(|(_, detection, severity)| selection.covers(detection, *severity))
        .fold(Bans::default(), |all, (ban, ..)| all.and(ban))
}

/// Ends the job at the first finding that is meant.
pub(crate) struct Lockdown {
    selection: Selection,
    kernel: Kernel,
    over: bool,
    /// What a person is told at once.
    told: Option<String>,
}

impl Lockdown {
    pub(crate) fn arm(
        sensor: &mut Sensor,
        job: u64,
        selection: Selection,
    ) -> Result<Lockdown, SensorError> {
        let runners: Vec<&str> = runner_names().collect();
        let kernel = sensor.lock_down(job, bans(&selection), &runners)?;
        Ok(Lockdown {
            selection,
            kernel,
            over: false,
            told: None,
        })
    }

    /// What an act of each kind comes to on this kernel, in a sentence.
    pub(crate) fn strength(&self, sensor: &Sensor) -> String {
        let mut sentences = Vec::new();
        if self.selection.covers(MEMORY, Severity::High) {
            sentences.push(match (sensor.tier(), sensor.sees_memory()) {
                (Tier::A, _) => "reading another process's memory is refused",
                (Tier::B, true) => {
                    "who reads another process's memory is killed before a byte is read"
                }
                (Tier::B, false) => "reading another process's memory is not seen on this kernel",
            });
        }
        if self.selection.covers(FILELESS, Severity::High) {
            sentences.push("a program without a file is killed before its first instruction");
        }
        sentences.push(if sentences.is_empty() {
            "the job is killed within milliseconds after the act"
        } else {
            "after any other act, the job is killed within milliseconds"
        });
        format!(
            "In lockdown for {}: {}.",
            self.selection.words().join(", "),
            sentences.join("; ")
        )
    }

    /// The first of these findings that the job is to be killed for.
    pub(crate) fn hit(&self, findings: &[Finding]) -> Option<Finding> {
        let meant = |finding: &&Finding| !self.over && self.selection.has(finding);
        findings.iter().find(meant).cloned()
    }

    /// When the kernel side has stopped something of which nobody has heard, although there was time for it: the event
    /// was lost.
    pub(crate) fn unheard(&self, clock: Clock) -> Option<Time> {
        if self.over {
            return None;
        }
        let since = self.kernel.condemned().ok().flatten()?;
        (Clock::boot_ns().saturating_sub(since) > HEARD_WITHIN_NS).then(|| clock.wall(since))
    }

    /// Ends the job, for this finding.
    pub(crate) fn end(&mut self, finding: Option<&Finding>, act: Time, clock: Clock) -> Record {
        self.over = true;
        let ended = self.kernel.end();
        let duration_ns = clock.now().nanos_since(act);
        self.told = Some(sentence(finding, &ended, duration_ns));
        let Ended { killed, left } = ended.unwrap_or_default();
        Record {
            detection: finding.map(|finding| finding.detection.clone()),
            act: finding.map(|finding| finding.seq),
            killed,
            left,
            duration_ns,
        }
    }

    /// Whether the job was ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Ends who is left, or came to light, some time after the job was ended.
    pub(crate) fn end_stragglers(&self) {
        if self.over {
            // It was said already how many were left.
            let _ = self.kernel.end();
        }
    }

    pub(crate) fn take(&mut self) -> Option<String> {
        self.told.take()
    }
}

fn sentence(
    finding: Option<&Finding>,
    ended: &Result<Ended, SensorError>,
    duration_ns: u64,
) -> String {
    let what = match finding {
        Some(finding) => format!("found {}", finding.detection),
        None => "the kernel stopped an act whose event was lost".to_owned(),
    };
    let next = finding
        .and_then(|finding| about(&finding.detection))
        .map_or("Look at the report before you run it again.", |about| {
            about.next
        });
    let tenths = duration_ns / 100_000;
    let after = format!("{}.{} ms after the act", tenths / 10, tenths % 10);
    match ended {
        Ok(Ended { left: 0, .. }) => {
            format!("lockdown: {what}, so the job was killed, all of it, {after}. {next}")
        }
        Ok(Ended { left, .. }) => format!(
            "lockdown: {what}, so the job was killed; {left} of its processes had not ended {after}. {next}"
        ),
        Err(error) => format!(
            "lockdown: {what}, but not all of the job may have been killed: {error}. End it by hand. {next}"
        ),
    }
}
