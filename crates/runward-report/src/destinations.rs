use std::borrow::Borrow;
use std::collections::HashMap;

use runward_event::{Connect, ConnectClose, ConnectOutcome, Protocol, Status, Time};

use crate::limits;
use crate::model::{Destination, Omitted, Statuses};
use crate::people::Person;
use crate::text::head;

/// Sums connections by where they went.
#[derive(Default)]
pub(crate) struct Destinations {
    rows: Vec<Destination>,
    index: HashMap<(String, Protocol), usize>,
}

impl Destinations {
    /// Adds a connection; the answer is the number of its destination, if there was a place for it.
    pub(crate) fn connect(
        &mut self,
        time: Time,
        connect: &Connect,
        who: &Person,
        omitted: &mut Omitted,
    ) -> Option<usize> {
        let key = (label(connect), connect.protocol);
        let number = match self.index.get(&key) {
            Some(number) => *number,
            None if self.rows.len() >= limits::DESTINATIONS => {
                omitted.destination_connections += 1;
                return None;
            }
            None => {
                let number = self.rows.len();
                self.rows.push(empty(time, connect, key.0.clone()));
                self.index.insert(key, number);
                number
            }
        };
        let row = self.rows.get_mut(number)?;
        row.connections += 1;
        row.last_time = row.last_time.max(time);
        *counter(&mut row.statuses, connect.status) += 1;
        remember(&mut row.ips, &connect.ip, omitted);
        if !who.detail.exe.is_empty() {
            remember(&mut row.processes, who.detail.exe.as_str(), omitted);
        }
        if let Some(step) = who.step.as_deref() {
            remember(&mut row.steps, step, omitted);
        }
        if let Some(dependency) = who.dependency.as_deref() {
            row.dependency_connections += 1;
            remember(&mut row.dependencies, dependency, omitted);
        }
        Some(number)
    }

    /// Adds what became of a connection.
    pub(crate) fn close(&mut self, number: usize, close: &ConnectClose) {
        let Some(row) = self.rows.get_mut(number) else {
            return;
        };
        row.bytes_sent = row.bytes_sent.saturating_add(close.bytes_sent);
        row.bytes_received = row.bytes_received.saturating_add(close.bytes_received);
        row.failed += u64::from(close.outcome == ConnectOutcome::Failed);
    }

    /// A connection of a destination was stopped after it had been given another status.
    pub(crate) fn stopped(&mut self, number: usize, before: Status) {
        let Some(row) = self.rows.get_mut(number) else {
            return;
        };
        let before = counter(&mut row.statuses, before);
        *before = before.saturating_sub(1);
        row.statuses.blocked += 1;
    }

    /// What a destination is called.
    pub(crate) fn label(&self, number: usize) -> Option<&str> {
        self.rows.get(number).map(|row| row.destination.as_str())
    }

    pub(crate) fn into_rows(self) -> Vec<Destination> {
        self.rows
    }
}

fn counter(statuses: &mut Statuses, status: Status) -> &mut u64 {
    match status {
        Status::Allowed => &mut statuses.allowed,
        Status::Blocked => &mut statuses.blocked,
        Status::Anomalous => &mut statuses.anomalous,
    }
}

/// What the destination of a connection is called.
pub(crate) fn label(connect: &Connect) -> String {
    let name = connect
        .name
        .as_deref()
        .map(|name| head(name, limits::PATH).0);
    runward_detect::destination(name, connect.ip, connect.port, connect.protocol)
}

/// Puts `value` into a short list of different values.
pub(crate) fn remember<T, V>(list: &mut Vec<T>, value: &V, omitted: &mut Omitted)
where
    T: Borrow<V>,
    V: PartialEq + ToOwned<Owned = T> + ?Sized,
{
    if list.iter().any(|known| known.borrow() == value) {
        return;
    }
    if list.len() >= limits::SET {
        omitted.set_entries += 1;
        return;
    }
    list.push(value.to_owned());
}

fn empty(time: Time, connect: &Connect, destination: String) -> Destination {
    Destination {
        destination,
        name: connect
            .name
            .as_deref()
            .map(|name| head(name, limits::PATH).0.to_owned()),
        port: connect.port,
        protocol: connect.protocol,
        ips: Vec::new(),
        connections: 0,
        failed: 0,
        bytes_sent: 0,
        bytes_received: 0,
        first_time: time,
        last_time: time,
        processes: Vec::new(),
        steps: Vec::new(),
        dependencies: Vec::new(),
        dependency_connections: 0,
        statuses: Statuses::default(),
    }
}
