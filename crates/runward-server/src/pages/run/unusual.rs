//! Which connections of a run are not normal for its job.

use std::borrow::Cow;
use std::collections::HashMap;

use runward_event::{Protocol, Status};
use runward_report::NetworkRow;
use runward_store::Anomaly;

/// What is not normal, by the destination that it is about.
pub(super) struct Unusual<'a>(HashMap<&'a str, Vec<&'a Anomaly>>);

impl<'a> Unusual<'a> {
    /// What was found in a run.
    pub(super) fn of(anomalies: &'a [Anomaly]) -> Unusual<'a> {
        let mut found: HashMap<&str, Vec<&Anomaly>> = HashMap::new();
        for anomaly in anomalies {
            found.entry(&anomaly.subject).or_default().push(anomaly);
        }
        Unusual(found)
    }

    /// What is not normal about a connection. What is stopped is told as such.
    pub(super) fn about(&self, row: &NetworkRow) -> Option<&'a Anomaly> {
        if row.status != Status::Allowed {
            return None;
        }
        let found = self.0.get(subject(row).as_ref())?;
        let by_it = |anomaly: &&&Anomaly| {
            anomaly.kind != "new-lineage" || anomaly.program == row.process.exe
        };
        found.iter().find(by_it).copied()
    }

    /// Its status, with what is known of the job.
    pub(super) fn status(&self, row: &NetworkRow) -> Status {
        match self.about(row) {
            Some(_) => Status::Anomalous,
            None => row.status,
        }
    }
}

/// A connection's destination as anomalies and detections have it.
pub(super) fn subject(row: &NetworkRow) -> Cow<'_, str> {
    match row.protocol {
        Protocol::Udp => Cow::from(format!("{}/udp", row.destination)),
        _ => Cow::from(&row.destination),
    }
}
