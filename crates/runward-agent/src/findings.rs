//! What was found, in sentences for a person who watches the job run.

use runward_detect::Severity;
use runward_report::Detection;

/// How many findings are told of; the report has them all.
const TOLD_MAX: usize = 64;
/// Refusals are told by themselves, with the line that would allow them.
const REFUSALS: &str = "outbound-call-blocked";

/// Picks what has not been told before and is worth a line.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    seen: usize,
    told: usize,
    new: Vec<String>,
}

impl Findings {
    /// Looks at the findings so far; those that it has seen come first.
    pub(crate) fn observe(&mut self, detections: &[Detection]) {
        let new = detections.get(self.seen..).unwrap_or_default();
        self.seen = detections.len();
        for detection in new {
            if detection.severity >= Severity::Medium
                && detection.detection != REFUSALS
                && self.told < TOLD_MAX
            {
                self.told += 1;
                self.new.push(format!(
                    "found {}: {}",
                    detection.detection, detection.message
                ));
            }
        }
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }
}
