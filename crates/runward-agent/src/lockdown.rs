//! A job in lockdown: what it is killed for, and its end.

use runward_detect::{ABOUTS, Finding, Selection, Severity, about, runner_names};
use runward_event::{Lockdown as Record, Tier, Time};
use runward_report::Detection;
use runward_sensor::{Bans, Clock, Ended, Lockdown as Kernel, Sensor, SensorError};

/// Detections that the kernel side knows something of.
const MEMORY: &str = "runner-memory-read";
const FILELESS: &str = "fileless-execution";
/// Detections of what the fence refuses.
const REFUSED: &str = "outbound-call-blocked";
const TAMPERED: &str = "agent-tampered";

/// What lockdown does about an act, besides killing the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockdownEffect {
    /// It is refused.
    Prevented,
    /// The fence refuses it, where the job is fenced.
    FencePrevents,
    /// Its process is killed before the act has an effect.
    KilledBefore,
    /// The job is killed soon after the act.
    KilledAfter,
    /// It is not seen.
    Unseen,
}

impl LockdownEffect {
    /// For each detection there is; `sees_memory`: reaching into other processes is seen.
    pub fn all(tier: Tier, sees_memory: bool) -> Vec<(&'static str, LockdownEffect)> {
        let effect = |id| match (id, tier) {
            (MEMORY, Tier::A) => LockdownEffect::Prevented,
            (MEMORY, Tier::B) if sees_memory => LockdownEffect::KilledBefore,
            (MEMORY, Tier::B) => LockdownEffect::Unseen,
            (FILELESS, _) => LockdownEffect::KilledBefore,
            (REFUSED, _) | (TAMPERED, Tier::A) => LockdownEffect::FencePrevents,
            _ => LockdownEffect::KilledAfter,
        };
        let ids = ABOUTS.iter().map(|about| about.id);
        ids.map(|id| (id, effect(id))).collect()
    }

    /// After "is".
    pub fn words(self) -> &'static str {
        match self {
            LockdownEffect::Prevented => "prevented",
            LockdownEffect::FencePrevents => "prevented by the fence in block mode",
            LockdownEffect::KilledBefore => "killed before it has an effect",
            LockdownEffect::KilledAfter => "killed within milliseconds after the act",
            LockdownEffect::Unseen => "not seen on this kernel",
        }
    }
}

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

    /// Has it be for more, while the job runs.
    pub(crate) fn widen(&mut self, selection: &Selection) -> Result<(), SensorError> {
        let all = self.selection.clone().or(selection);
        self.kernel.widen(bans(&all))?;
        self.selection = all;
        Ok(())
    }

    /// What it is for.
    pub(crate) fn words(&self) -> &[String] {
        self.selection.words()
    }

    /// What it comes to on this kernel, in a sentence.
    pub(crate) fn strength(&self, sensor: &Sensor) -> String {
        let meant =
            |id: &str| about(id).is_some_and(|about| self.selection.covers(id, about.severity));
        let mut sentences: Vec<String> = LockdownEffect::all(sensor.tier(), sensor.sees_memory())
            .into_iter()
            .filter(|(id, effect)| *effect != LockdownEffect::KilledAfter && meant(id))
            .map(|(id, effect)| format!("{id} is {}", effect.words()))
            .collect();
        sentences.push(if sentences.is_empty() {
            "the job is killed within milliseconds after the act".to_owned()
        } else {
            "after any other act, the job is killed within milliseconds".to_owned()
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
        if self.over || self.selection.is_empty() {
            return None;
        }
        let since = self.kernel.condemned().ok().flatten()?;
        (Clock::boot_ns().saturating_sub(since) > HEARD_WITHIN_NS).then(|| clock.wall(since))
    }

    /// The first of what was found before that the job is to be killed for.
    pub(crate) fn hit_before<'a>(&self, found: &'a [Detection]) -> Option<&'a Detection> {
        let meant = |found: &&Detection| {
            let covers = self.selection.covers(&found.detection, found.severity);
            !self.over && covers
        };
        found.iter().find(meant)
    }

    /// Ends the job, for a detection that found something in an event: its id, and the event's number.
    pub(crate) fn end(&mut self, found: Option<(&str, u64)>, act: Time, clock: Clock) -> Record {
        self.over = true;
        let ended = self.kernel.end();
        let duration_ns = clock.now().nanos_since(act);
        let detection = found.map(|(detection, _)| detection);
        self.told = Some(sentence(detection, &ended, duration_ns));
        let Ended { killed, left } = ended.unwrap_or_default();
        Record {
            detection: detection.map(str::to_owned),
            act: found.map(|(_, seq)| seq),
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
    detection: Option<&str>,
    ended: &Result<Ended, SensorError>,
    duration_ns: u64,
) -> String {
    let what = match detection {
        Some(detection) => format!("found {detection}"),
        None => "the kernel stopped an act whose event was lost".to_owned(),
    };
    let next = detection
        .and_then(about)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(words: &[&str]) -> Selection {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Selection::parse(&words, ABOUTS.iter().map(|about| about.id)).unwrap()
    }

    #[test]
    fn the_kernel_stops_what_the_list_means_and_no_more() {
        let high = Bans::MEMORY_OUTSIDE
            .and(Bans::ENVIRON_RUNNER)
            .and(Bans::FILELESS);
        let medium = high.and(Bans::MEMORY_INSIDE).and(Bans::ENVIRON_OUTSIDE);
        let memory = Bans::MEMORY_OUTSIDE
            .and(Bans::ENVIRON_RUNNER)
            .and(Bans::MEMORY_INSIDE)
            .and(Bans::ENVIRON_OUTSIDE)
            .and(Bans::ENVIRON_INSIDE);
        for (words, want) in [
            (&["high"][..], high),
            (&["medium"], medium),
            (&["any"], medium.and(Bans::ENVIRON_INSIDE)),
            (&[MEMORY], memory),
            (&[FILELESS], Bans::FILELESS),
            (&["reverse-shell"], Bans::default()),
        ] {
            assert_eq!(bans(&selection(words)), want, "{words:?}");
        }
    }

    #[test]
    fn the_detections_that_are_named_here_exist() {
        for id in [MEMORY, FILELESS, REFUSED, TAMPERED] {
            assert!(about(id).is_some(), "{id}");
        }
    }

    #[test]
    fn what_could_not_be_ended_is_said() {
        let ended = |left| Ok(Ended { killed: 3, left });
        let said = sentence(None, &ended(0), 2_140_000);
        assert!(said.contains("all of it, 2.1 ms after the act"), "{said}");
        let said = sentence(None, &ended(2), 2_000_000_000);
        assert!(said.contains("2 of its processes had not ended"), "{said}");
    }
}
