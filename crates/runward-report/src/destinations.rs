use std::borrow::Borrow;
use std::collections::HashMap;
use std::net::IpAddr;

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
        let key = (
            label(connect.name.as_deref(), connect.ip, connect.port),
            connect.protocol,
        );
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
        match connect.status {
            Status::Allowed => row.statuses.allowed += 1,
            Status::Blocked => row.statuses.blocked += 1,
            Status::Anomalous => row.statuses.anomalous += 1,
        }
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

    pub(crate) fn into_rows(self) -> Vec<Destination> {
        self.rows
    }
}

/// `name:port`, or `ip:port` when no name is known.
pub(crate) fn label(name: Option<&str>, ip: IpAddr, port: u16) -> String {
    let host = match (name, ip) {
        (Some(name), _) => head(name, limits::PATH).0.to_owned(),
        (None, IpAddr::V6(ip)) if port != 0 => format!("[{ip}]"),
        (None, ip) => ip.to_string(),
    };
    match port {
        0 => host,
        port => format!("{host}:{port}"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_called_by_its_name_first() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        for (name, ip, port, shown) in [
            (Some("a.example"), v4, 443, "a.example:443"),
            (None, v4, 443, "192.0.2.1:443"),
            (None, v6, 443, "[2001:db8::1]:443"),
            (None, v6, 0, "2001:db8::1"),
            (Some("a.example"), v6, 0, "a.example"),
        ] {
            assert_eq!(label(name, ip, port), shown);
        }
    }
}
