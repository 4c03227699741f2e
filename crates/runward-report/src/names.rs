use std::collections::{BTreeMap, HashMap};

use runward_detect::Refusal;
use runward_event::{Dns, DnsMessageKind, Time};

use crate::destinations::remember;
use crate::limits;
use crate::model::{DnsClient, DnsName, Omitted};
use crate::people::Person;
use crate::text::head;

/// Sums DNS messages by the name that they are about.
#[derive(Default)]
pub(crate) struct Names {
    rows: Vec<DnsName>,
    index: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn message(&mut self, time: Time, dns: &Dns, who: &Person, omitted: &mut Omitted) {
        let Some(row) = self.row(time, &dns.name, who, omitted) else {
            return;
        };
        remember(&mut row.types, dns.record_type.as_str(), omitted);
        remember(&mut row.servers, dns.ip.to_string().as_str(), omitted);
        match dns.message {
            DnsMessageKind::Query => {
                row.queries += 1;
                row.dependency_queries += u64::from(who.dependency.is_some());
                asked(&mut row.clients, &who.detail.exe, omitted);
            }
            DnsMessageKind::Answer => {
                row.answers += 1;
                if let Some(rcode) = &dns.rcode {
                    answered(&mut row.rcodes, rcode, omitted);
                }
                for answer in &dns.answers {
                    if matches!(answer.record_type.as_str(), "A" | "AAAA") {
                        let data = head(&answer.data, limits::PATH).0;
                        remember(&mut row.addresses, data, omitted);
                    }
                }
            }
        }
    }

    /// A question that the fence refused. The question itself may be recorded besides, as a message.
    pub(crate) fn refused(
        &mut self,
        time: Time,
        refusal: &Refusal<'_>,
        who: &Person,
        omitted: &mut Omitted,
    ) {
        let name = refusal.name.unwrap_or_default();
        let Some(row) = self.row(time, name, who, omitted) else {
            return;
        };
        row.refused += 1;
        remember(&mut row.servers, refusal.ip.to_string().as_str(), omitted);
        // Who asked without a message on record is known from here alone.
        if row.clients.len() < limits::SET && row.clients.iter().all(|c| c.exe != who.detail.exe) {
            row.clients.push(DnsClient {
                exe: who.detail.exe.clone(),
                queries: 0,
            });
        }
    }

    /// The sum of a name, if there is a place for it.
    fn row(
        &mut self,
        time: Time,
        name: &str,
        who: &Person,
        omitted: &mut Omitted,
    ) -> Option<&mut DnsName> {
        let name = head(name, limits::PATH).0;
        let number = match self.index.get(name) {
            Some(number) => *number,
            None if self.rows.len() >= limits::DNS_NAMES => {
                omitted.dns_messages += 1;
                return None;
            }
            None => {
                let number = self.rows.len();
                self.rows.push(empty(name, time));
                self.index.insert(name.to_owned(), number);
                number
            }
        };
        let row = self.rows.get_mut(number)?;
        row.last_time = row.last_time.max(time);
        if let Some(step) = who.step.as_deref() {
            remember(&mut row.steps, step, omitted);
        }
        if let Some(dependency) = who.dependency.as_deref() {
            remember(&mut row.dependencies, dependency, omitted);
        }
        Some(row)
    }

    pub(crate) fn into_rows(self) -> Vec<DnsName> {
        self.rows
    }
}

fn asked(clients: &mut Vec<DnsClient>, exe: &str, omitted: &mut Omitted) {
    if let Some(client) = clients.iter_mut().find(|c| c.exe == exe) {
        client.queries += 1;
    } else if clients.len() < limits::SET {
        clients.push(DnsClient {
            exe: exe.to_owned(),
            queries: 1,
        });
    } else {
        omitted.set_entries += 1;
    }
}

fn answered(rcodes: &mut BTreeMap<String, u64>, rcode: &str, omitted: &mut Omitted) {
    if let Some(count) = rcodes.get_mut(rcode) {
        *count += 1;
    } else if rcodes.len() < limits::SET {
        rcodes.insert(rcode.to_owned(), 1);
    } else {
        omitted.set_entries += 1;
    }
}

fn empty(name: &str, time: Time) -> DnsName {
    DnsName {
        name: name.to_owned(),
        types: Vec::new(),
        queries: 0,
        answers: 0,
        refused: 0,
        rcodes: BTreeMap::new(),
        addresses: Vec::new(),
        servers: Vec::new(),
        clients: Vec::new(),
        steps: Vec::new(),
        dependencies: Vec::new(),
        dependency_queries: 0,
        first_time: time,
        last_time: time,
    }
}
