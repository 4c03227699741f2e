//! Which name an address was looked up under.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use runward_event::{Dns, DnsMessageKind, ProcessId};

/// Addresses that are remembered; the oldest is forgotten for a new one.
const ADDRESSES_MAX: usize = 65_536;
/// Names that one address keeps: shared hosts have many.
const NAMES_MAX: usize = 8;

/// The names of addresses, as the job's own DNS answers tell them.
///
/// An address may stand for many names. The one that the connecting process looked up last is the best guess, then the
/// one that anything in the job looked up last, then what other processes of the machine (a system resolver) were told.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_address: HashMap<IpAddr, VecDeque<Binding>>,
    /// The keys of `by_address`, oldest first.
    order: VecDeque<IpAddr>,
}

#[derive(Debug)]
struct Binding {
    /// Who was told; `None` for a process outside of the job.
    process: Option<ProcessId>,
    name: String,
}

impl Names {
    /// Learns from an answer. Every address in it stands for the name that was asked for, whatever aliases lie between.
    pub(crate) fn learn(&mut self, dns: &Dns, process: Option<ProcessId>) {
        if dns.message != DnsMessageKind::Answer {
            return;
        }
        for answer in &dns.answers {
            if let ("A" | "AAAA", Ok(address)) = (answer.record_type.as_str(), answer.data.parse())
            {
                self.bind(address, process, &dns.name);
            }
        }
    }

    fn bind(&mut self, address: IpAddr, process: Option<ProcessId>, name: &str) {
        if !self.by_address.contains_key(&address) {
            if self.order.len() >= ADDRESSES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_address.remove(&oldest);
            }
            self.order.push_back(address);
        }
        let bindings = self.by_address.entry(address).or_default();
        bindings.retain(|known| known.process != process || known.name != name);
        if bindings.len() >= NAMES_MAX {
            bindings.pop_front();
        }
        bindings.push_back(Binding {
            process,
            name: name.to_owned(),
        });
    }

    /// The name under which `process` most likely knows `address`.
    pub(crate) fn name(&self, address: IpAddr, process: ProcessId) -> Option<&str> {
        let bindings = self.by_address.get(&address)?;
        let newest = |wanted: &dyn Fn(&Binding) -> bool| bindings.iter().rev().find(|b| wanted(b));
        newest(&|binding| binding.process == Some(process))
            .or_else(|| newest(&|binding| binding.process.is_some()))
            .or_else(|| newest(&|_| true))
            .map(|binding| binding.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use runward_event::{DnsAnswer, DnsTransport};

    use super::*;

    fn answer(name: &str, records: &[(&str, &str, &str)]) -> Dns {
        Dns {
            process: ProcessId(1),
            pid: 1,
            message: DnsMessageKind::Answer,
            transport: DnsTransport::Udp,
            ip: "192.0.2.53".parse().unwrap(),
            port: 53,
            id: 1,
            name: name.to_owned(),
            record_type: "A".to_owned(),
            rcode: Some("NOERROR".to_owned()),
            answers: records
                .iter()
                .map(|(name, record_type, data)| DnsAnswer {
                    name: (*name).to_owned(),
                    record_type: (*record_type).to_owned(),
                    ttl: 60,
                    data: (*data).to_owned(),
                })
                .collect(),
            truncated: Vec::new(),
        }
    }

    #[test]
    fn an_address_has_the_name_that_was_asked_for() {
        let address = "198.51.100.7".parse().unwrap();
        let mut names = Names::default();
        names.learn(
            &answer(
                "a.example",
                &[
                    ("a.example", "CNAME", "cdn.example"),
                    ("cdn.example", "A", "198.51.100.7"),
                ],
            ),
            Some(ProcessId(1)),
        );
        assert_eq!(names.name(address, ProcessId(1)), Some("a.example"));

        // Another process of the job looks up another name of the same host: each keeps its own.
        names.learn(
            &answer("b.example", &[("b.example", "A", "198.51.100.7")]),
            Some(ProcessId(2)),
        );
        assert_eq!(names.name(address, ProcessId(1)), Some("a.example"));
        assert_eq!(names.name(address, ProcessId(2)), Some("b.example"));
        assert_eq!(names.name(address, ProcessId(3)), Some("b.example"));

        // What the rest of the machine was told counts only where the job was told nothing.
        names.learn(
            &answer("c.example", &[("c.example", "A", "198.51.100.7")]),
            None,
        );
        assert_eq!(names.name(address, ProcessId(3)), Some("b.example"));
        names.learn(
            &answer("d.example", &[("d.example", "AAAA", "2001:db8::1")]),
            None,
        );
        assert_eq!(
            names.name("2001:db8::1".parse().unwrap(), ProcessId(1)),
            Some("d.example")
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut names = Names::default();
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 10 {
            let address = std::net::Ipv4Addr::from(n).to_string();
            names.learn(
                &answer("x.example", &[("x.example", "A", &address)]),
                Some(ProcessId(1)),
            );
        }
        for n in 0..20 {
            names.learn(
                &answer(&format!("{n}.example"), &[("", "A", "198.51.100.7")]),
                Some(ProcessId(1)),
            );
        }
        assert_eq!(names.order.len(), ADDRESSES_MAX);
        assert_eq!(names.by_address.len(), ADDRESSES_MAX);
        assert_eq!(
            names.by_address[&"198.51.100.7".parse::<IpAddr>().unwrap()].len(),
            NAMES_MAX
        );
        assert_eq!(names.name("0.0.0.1".parse().unwrap(), ProcessId(1)), None);
    }
}
