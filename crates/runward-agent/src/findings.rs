//! What was found, in sentences for a person who watches the job run.

use std::collections::HashMap;

use runward_detect::Severity;
use runward_report::Detection;

/// How many findings of one detection are told of, so that many of one kind hide none of another; the report has them
/// all.
const TOLD_MAX: usize = 16;
/// Refusals are told by themselves, with the line that would allow them.
const REFUSALS: &str = "outbound-call-blocked";

/// Picks what has not been told before and is worth a line.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    seen: usize,
    /// By detection, of which there are few.
    told: HashMap<String, usize>,
    new: Vec<String>,
}

impl Findings {
    /// Looks at the findings so far; those that it has seen come first.
    pub(crate) fn observe(&mut self, detections: &[Detection]) {
        let new = detections.get(self.seen..).unwrap_or_default();
        self.seen = detections.len();
        for detection in new {
            if detection.severity < Severity::Medium || detection.detection == REFUSALS {
                continue;
            }
            let told = self.told.entry(detection.detection.clone()).or_default();
            *told += 1;
            if *told > TOLD_MAX {
                continue;
            }
            self.new.push(format!(
                "found {}: {}",
                detection.detection, detection.message
            ));
            if *told == TOLD_MAX {
                self.new.push(format!(
                    "found {} {TOLD_MAX} times; the report has the rest",
                    detection.detection
                ));
            }
        }
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(id: &str, severity: Severity) -> Detection {
        let record = serde_json::json!({
            "detection": id, "severity": severity, "time": "2026-08-01T09:00:00Z", "seq": 1, "message": "m", "next": "n",
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn many_of_one_kind_hide_none_of_another() {
        let mut detections = vec![detection("noise", Severity::Medium); 1_000];
        detections.push(detection("attack", Severity::High));
        detections.push(detection("harmless", Severity::Low));
        detections.push(detection(REFUSALS, Severity::Medium));
        let mut findings = Findings::default();
        findings.observe(&detections);
        let told = findings.take();
        assert_eq!(told.len(), TOLD_MAX + 2, "{told:?}");
        assert_eq!(
            told[TOLD_MAX],
            "found noise 16 times; the report has the rest"
        );
        assert_eq!(told[TOLD_MAX + 1], "found attack: m");
        findings.observe(&detections);
        assert!(findings.take().is_empty());
    }
}
