use std::cmp::Ordering;
use std::fmt;

use crate::Millis;

/// Days of the longest term that is not for ever: a hundred years.
pub const TERM_MAX: i64 = 36_500;

/// A day, in milliseconds.
pub const DAY: Millis = 24 * 3600 * 1000;

/// How long after the events of a run were taken away it is looked for objects that nothing leads to. A request that still
/// keeps one ends after a minute.
pub const SWEEP_AFTER: Millis = 3600 * 1000;

/// How long something is kept: some days, or for ever. What is for ever is the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(Option<i64>);

/// How long an organisation keeps what it was sent, counted from when the last event of a run came, by the server's
/// clock: a job's own clock could make its record old at once.
///
/// A run gets smaller step by step: first its events go, then its detections, then the run itself. The terms can't say
/// it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    events: Term,
    detections: Term,
    runs: Term,
}

/// Why terms can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionFault {
    /// One is none.
    #[error("{0}: a term has 1 to 36,500 days, or is for ever")]
    Range(&'static str),
    /// Events would be kept longer than detections.
    #[error(
        "detections: events would be kept longer than the detections that were found in them: keep detections at least \
         as long as events"
    )]
    DetectionsFirst,
    /// Detections would be kept longer than runs.
    #[error(
        "runs: detections would be kept longer than runs, and a detection goes with its run: keep runs at least as long \
         as detections"
    )]
    RunsFirst,
}

/// What is there, and has been kept for longer than some terms say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Runs whose events would be deleted.
    pub events: i64,
    /// Detections.
    pub detections: i64,
    /// Those of them that nobody has decided about.
    pub undecided: i64,
    /// Runs.
    pub runs: i64,
}

/// That a part of a run was deleted, because it had been kept for as long as its organisation wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// When.
    pub at: Millis,
    /// The term that was over, in days.
    pub after_days: i64,
}

/// What one step of deleting detections has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletedDetections {
    /// Runs that have none any more.
    pub runs: i64,
    /// Detections.
    pub detections: i64,
    /// Those of them that nobody had decided about.
    pub undecided: i64,
}

/// What one step of deleting runs has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletedRuns {
    /// Runs.
    pub runs: i64,
    /// Destinations that no run went to that is still kept.
    pub destinations: i64,
    /// Jobs that have no run any more.
    pub jobs: i64,
    /// Machines that have no run any more.
    pub agents: i64,
    /// Whether there was more than one step may do.
    pub more: bool,
}

impl Term {
    /// Without an end.
    pub const EVER: Term = Term(None);

    /// The days; none if it is for ever.
    pub fn days(self) -> Option<i64> {
        self.0
    }

    fn new(what: &'static str, days: Option<i64>) -> Result<Term, RetentionFault> {
        match days {
            Some(days) if !(1..=TERM_MAX).contains(&days) => Err(RetentionFault::Range(what)),
            days => Ok(Term(days)),
        }
    }
}

impl Ord for Term {
    fn cmp(&self, other: &Term) -> Ordering {
        let length = |term: &Term| term.0.unwrap_or(i64::MAX);
        length(self).cmp(&length(other))
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Term) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => out.write_str("for ever"),
            Some(1) => out.write_str("1 day"),
            Some(days) => write!(out, "{days} days"),
        }
    }
}

impl Default for Retention {
    /// Events are nearly all of the bytes, and are looked at in the days after a run; what they amount to stays for a year
    /// and a month, so that a yearly look back has the whole year.
    fn default() -> Retention {
        Retention {
            events: Term(Some(30)),
            detections: Term(Some(400)),
            runs: Term(Some(400)),
        }
    }
}

impl Retention {
    /// Terms in days, which are for ever where there is no number.
    pub fn new(
        events: Option<i64>,
        detections: Option<i64>,
        runs: Option<i64>,
    ) -> Result<Retention, RetentionFault> {
        let retention = Retention {
            events: Term::new("events", events)?,
            detections: Term::new("detections", detections)?,
            runs: Term::new("runs", runs)?,
        };
        if retention.detections < retention.events {
            return Err(RetentionFault::DetectionsFirst);
        }
        if retention.runs < retention.detections {
            return Err(RetentionFault::RunsFirst);
        }
        Ok(retention)
    }

    /// Of the events themselves.
    pub fn events(&self) -> Term {
        self.events
    }

    /// Of detections, whatever has become of them.
    pub fn detections(&self) -> Term {
        self.detections
    }

    /// Of runs, with their sums and where they went.
    pub fn runs(&self) -> Term {
        self.runs
    }

    /// The terms, each with what it is of.
    fn named(&self) -> [(&'static str, Term); 3] {
        [
            ("events", self.events),
            ("detections", self.detections),
            ("runs", self.runs),
        ]
    }

    /// What these terms delete that the ones before would have kept, as the end of "You are about to …"; nothing if none
    /// of them is shorter.
    pub fn losses(&self, before: &Retention) -> Option<String> {
        let terms = self.named().into_iter().zip(before.named());
        let shorter = terms.filter(|((_, now), (_, before))| now < before);
        let told: Vec<String> = shorter
            .map(|((what, now), (_, before))| format!("{what} after {now} (until now {before})"))
            .collect();
        (!told.is_empty()).then(|| format!("delete for good: {}", told.join(", ")))
    }

    /// What differs from the terms before, for the log of changes.
    pub fn changes(&self, before: &Retention) -> String {
        let terms = self.named().into_iter().zip(before.named());
        let changed = terms.filter(|((_, now), (_, before))| now != before);
        let told: Vec<String> = changed
            .map(|((what, now), (_, before))| format!("{what}: {now}, before {before}"))
            .collect();
        told.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(events: i64, detections: i64, runs: i64) -> Result<Retention, RetentionFault> {
        // In this test, 0 is for ever.
        let term = |days| (days != 0).then_some(days);
        Retention::new(term(events), term(detections), term(runs))
    }

    #[test]
    fn what_is_made_of_something_is_kept_at_least_as_long() {
        for (events, detections, runs) in [
            (30, 400, 400),
            (1, 1, 1),
            (7, 30, 36_500),
            (30, 90, 0),
            (30, 0, 0),
            (0, 0, 0),
        ] {
            assert!(terms(events, detections, runs).is_ok());
        }
        for (terms, fault) in [
            (terms(31, 30, 400), RetentionFault::DetectionsFirst),
            (terms(0, 400, 400), RetentionFault::DetectionsFirst),
            (terms(30, 400, 399), RetentionFault::RunsFirst),
            (terms(30, 0, 400), RetentionFault::RunsFirst),
            (terms(-1, 400, 400), RetentionFault::Range("events")),
            (terms(1, 36_501, 0), RetentionFault::Range("detections")),
            (terms(1, 1, i64::MAX), RetentionFault::Range("runs")),
            (
                Retention::new(Some(0), None, None),
                RetentionFault::Range("events"),
            ),
        ] {
            assert_eq!(terms, Err(fault));
        }
        let usual = Retention::default();
        let again = Retention::new(
            usual.events().days(),
            usual.detections().days(),
            usual.runs().days(),
        );
        assert_eq!(again, Ok(usual));
    }

    #[test]
    fn a_shorter_term_says_what_it_deletes_and_a_longer_one_says_nothing() {
        let usual = Retention::default();
        let shorter = terms(1, 30, 400).unwrap();
        assert_eq!(
            shorter.losses(&usual).unwrap(),
            "delete for good: events after 1 day (until now 30 days), detections after 30 days (until now 400 days)"
        );
        assert_eq!(usual.losses(&shorter), None);
        assert_eq!(usual.losses(&usual), None);
        let ever = terms(0, 0, 0).unwrap();
        assert_eq!(ever.losses(&usual), None);
        assert!(usual.losses(&ever).unwrap().contains("until now for ever"));
        assert_eq!(
            ever.changes(&terms(30, 0, 0).unwrap()),
            "events: for ever, before 30 days"
        );
    }
}
