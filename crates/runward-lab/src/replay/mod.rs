//! Incidents re-enacted: a job that does what malicious code did on a runner, on this lab's hosts only and without its
//! malice, under `runward`; and what `runward` made of it.

mod stage;
mod table;

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use self::stage::{Played, Stage};
pub use self::table::{REPLAYS, Replay};
use crate::error::LabError;

/// What was seen of an incident.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// The incident's name.
    pub name: &'static str,
    /// Whether anything was found; for a benign one, whether it can be seen that it is known.
    pub seen: bool,
    /// Whether every detection that must name it does; for a benign one, whether nothing calls it an attack.
    pub named: bool,
    /// Whether the findings name the step and the dependency that did it.
    pub attributed: bool,
    /// Whether it is no attack, so that nothing may be called one and nothing may be stopped.
    pub benign: bool,
    /// Whether it was stopped when it was done once more in lockdown: it ended as a job that was killed, its script did not
    /// go on, and nothing of it was left.
    pub stopped: bool,
    /// From the act, by the kernel's clock, until no process of the job was left, in milliseconds. Missing when it was not
    /// stopped.
    pub stop_ms: Option<f64>,
    /// From the act, by the kernel's clock, to the line about it on the terminal: the slowest of its findings, in
    /// milliseconds. Missing when nothing is told while the job runs.
    pub detect_ms: Option<f64>,
    /// What was found: detection, severity and sentence.
    pub found: Vec<String>,
}

impl Replayed {
    /// Whether all is as it must be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.seen && self.named && self.attributed && self.stopped != self.benign
    }
}

/// How `runward` ends when it has killed a job.
const LOCKDOWN: i32 = 87;
/// What is no attack has to survive this.
const LOCKDOWN_OF_BENIGN: &str = "medium";

impl Replay {
    /// Re-enacts it under this `runward`, twice: the second time in lockdown.
    pub fn play(&self, runward: &Path) -> Result<Replayed, LabError> {
        let watched = Stage::new(self)?.play(self, runward, None)?;
        let list = if self.benign {
            LOCKDOWN_OF_BENIGN.to_owned()
        } else {
            self.named.join(",")
        };
        let locked = Stage::new(self)?.play(self, runward, Some(&list))?;
        Ok(self.judge(&watched, &locked))
    }

    /// Whether this machine lacks something that it needs.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        let needs = [
            Some(crate::Need::Root),
            Some(crate::Need::Netns),
            self.git.then_some(crate::Need::Program("git")),
        ];
        needs.into_iter().flatten().find_map(crate::missing)
    }

    fn judge(&self, played: &Played, locked: &Played) -> Replayed {
        let empty = Vec::new();
        let all = played.report["detections"].as_array().unwrap_or(&empty);
        let of = |id: &str| -> Vec<&Value> {
            all.iter()
                .filter(|found| found["detection"] == id)
                .collect()
        };
        let alarming = |found: &Value| found["severity"] != "info";
        let (seen, named) = if self.benign {
            let known = |id: &&str| of(id).iter().any(|found| found["severity"] == "info");
            (self.named.iter().all(known), !all.iter().any(alarming))
        } else {
            let named = |id: &&str| of(id).iter().any(|found| alarming(found));
            (all.iter().any(alarming), self.named.iter().all(named))
        };
        let attributed = |found: &&Value| {
            let step = self.step.is_none_or(|step| found["step"] == step);
            let of = &found["dependency"]["name"];
            step && self.dependency.is_none_or(|dependency| of == dependency)
        };
        Replayed {
            name: self.name,
            seen,
            named,
            attributed: self.named.iter().all(|id| of(id).iter().any(&attributed)),
            benign: self.benign,
            stopped: locked.code == Some(LOCKDOWN) && !locked.went_on && !locked.left_some,
            stop_ms: locked.report["lockdown"]["seconds"]
                .as_f64()
                .map(|seconds| seconds * 1e3),
            detect_ms: played.detect_ms(all),
            found: all
                .iter()
                .map(|found| {
                    let text = |name: &str| found[name].as_str().unwrap_or("?").to_owned();
                    format!(
                        "{} ({}): {}",
                        text("detection"),
                        text("severity"),
                        text("message")
                    )
                })
                .collect(),
        }
    }
}

/// How far measurements lie apart, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    count: usize,
    median: f64,
    p99: f64,
    longest: f64,
}

impl Spread {
    /// Of these; `None` of none.
    #[must_use]
    pub fn of(mut measured: Vec<f64>) -> Option<Spread> {
        measured.sort_by(f64::total_cmp);
        // The smallest of the measurements that so many hundredths of all do not exceed.
        let at = |hundredths: usize| {
            let rank = (measured.len() * hundredths).div_ceil(100);
            measured.get(rank.saturating_sub(1)).copied()
        };
        Some(Spread {
            count: measured.len(),
            median: at(50)?,
            p99: at(99)?,
            longest: at(100)?,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread {
            count,
            median,
            p99,
            longest,
        } = self;
        write!(
            f,
            "{count} measurements, median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms"
        )
    }
}

/// The table that people read.
#[must_use]
pub fn table(rows: &[Replayed]) -> String {
    let mut text = format!(
        "{:<24} {:<5} {:<6} {:<11} {:<8} {:<14} {}\n",
        "incident", "seen", "named", "attributed", "stopped", "told after", "stopped after"
    );
    let yes = |is: bool| if is { "yes" } else { "NO" };
    for row in rows {
        let told = row
            .detect_ms
            .map_or_else(|| "in the report".to_owned(), |ms| format!("{ms:.1} ms"));
        let stopped = match (row.stopped, row.benign) {
            (false, true) => "no need",
            (true, true) => "WRONGLY",
            (is, false) => yes(is),
        };
        let after = row
            .stop_ms
            .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        text += &format!(
            "{:<24} {:<5} {:<6} {:<11} {stopped:<8} {told:<14} {after}\n",
            row.name,
            yes(row.seen),
            yes(row.named),
            yes(row.attributed),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_what_was_measured() {
        assert_eq!(Spread::of(Vec::new()), None);
        let of = |measured: Vec<f64>| Spread::of(measured).unwrap().to_string();
        assert_eq!(
            of(vec![3.0, 1.0]),
            "2 measurements, median 1.0 ms, p99 3.0 ms, longest 3.0 ms"
        );
        assert_eq!(
            of((1..=200).rev().map(f64::from).collect()),
            "200 measurements, median 100.0 ms, p99 198.0 ms, longest 200.0 ms"
        );
    }
}
